package limiter

import (
	"testing"
	"time"
)

// An unending demand is served at the warm rate for thirty minutes, then at twice
// that, and so on.
func TestOnDemandDoubles(t *testing.T) {
	o := NewOnDemand(100, 350)
	served := map[time.Duration]float64{} // by minute
	for n := range 1000 * 60 * 100 {
		at := every(n, 1000)
		if o.Admit(at, 1) {
			served[at/time.Minute]++
		}
	}
	for minute, want := range map[time.Duration]float64{1: 100, 29: 100, 31: 200, 59: 200, 61: 350, 91: 350} {
		if got := served[minute] / 60; got < want-1 || got > want+5 { // more for the burst of the first second
			t.Errorf("minute %d: %v/s, want %v/s", minute, got, want)
		}
	}
}

// A pre-warmed table takes the spike that a new one refuses.
func TestOnDemandWarm(t *testing.T) {
	for _, c := range []struct {
		warm    float64
		refuses bool
	}{{4000, true}, {10_000, false}} {
		o := NewOnDemand(c.warm, 0)
		refused := 0
		for n := range 80_000 {
			if !o.Admit(every(n, 8000), 1) {
				refused++
			}
		}
		if (refused > 0) != c.refuses {
			t.Errorf("warm %v: %d refused at 8,000/s", c.warm, refused)
		}
	}
}
