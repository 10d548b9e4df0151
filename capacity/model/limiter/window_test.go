package limiter

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWindow(t *testing.T) {
	w := NewWindow(100)
	for _, c := range []struct {
		at   time.Duration
		cost float64
		want bool
	}{
		{900 * time.Millisecond, 60, true},
		{999 * time.Millisecond, 50, false}, // 110 of 100; takes nothing
		{999 * time.Millisecond, 40, true},
		{1000 * time.Millisecond, 100, true}, // the next second: 200 within 100 ms
		{1001 * time.Millisecond, 1, false},
		{1999 * time.Millisecond, 1, false},
		{5000 * time.Millisecond, 100, true}, // unused seconds aren't saved up
		{5000 * time.Millisecond, 1, false},
	} {
		if got := w.Admit(c.at, c.cost); got != c.want {
			t.Errorf("%v of %v at %v: admitted %v", c.cost, 100, c.at, got)
		}
	}
}

// Each aligned second admits as many whole charges as fit, and no more.
func TestWindowFillsEachSecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fit := rapid.IntRange(1, 40).Draw(t, "charges that fit")
		cost := rapid.Float64Range(0.1, 1e6).Draw(t, "cost")
		w := NewWindow(float64(fit) * cost)
		admitted := map[time.Duration]int{}
		var at time.Duration
		for range 200 {
			at += time.Duration(rapid.Int64Range(0, int64(30*time.Millisecond)).Draw(t, "gap"))
			before := admitted[at/time.Second]
			if ok := w.Admit(at, cost); ok != (before < fit) {
				t.Fatalf("charge %d of the second, %d fit: admitted %v", before+1, fit, ok)
			} else if ok {
				admitted[at/time.Second]++
			}
		}
	})
}
