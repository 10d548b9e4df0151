package limiter

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Science R23: 15 MB/s against 10 MB/s are held back for 5.0, 5.25 and 5.5 s where
// the window is 10, 10.5 and 11 s long.
func TestKafkaQuotaThrottle(t *testing.T) {
	for _, window := range []time.Duration{10 * time.Second, 10500 * time.Millisecond, 10999999 * time.Microsecond} {
		q := NewKafkaQuota(10)
		q.Admit(90*time.Second, 0)
		// All of it in one request, which is what the window's rate is made of.
		at := 90*time.Second + window
		if wait := q.Admit(at, 15*window.Seconds()); wait != 0 {
			t.Errorf("the request itself waits %v", wait)
		}
		want := 0.5 * window.Seconds()
		if got := q.Admit(at+1, 0).Seconds(); math.Abs(got-want) > 1e-3 {
			t.Errorf("window of %v: held back for %.4f s, want %.4f", window, got, want)
		}
	}
}

// In the long run a client sends at the quota, whatever it offers; below it nothing
// waits.
func TestKafkaQuotaLongRun(t *testing.T) {
	for _, offered := range []float64{0.9, 1.5, 4} {
		q := NewKafkaQuota(1e6)
		const size = 10_000.0
		var at, wait, from time.Duration
		n, first := 0, 0
		for ; at < 600*time.Second; n++ {
			if at < time.Minute { // the free burst is no part of the long run
				from, first = at, n
			}
			// The client keeps its connection full: the next request comes when the one
			// before was read, or at its own time.
			wait = q.Admit(at, size)
			at = max(at+wait, time.Duration(float64(n+1)*size/(offered*1e6)*1e9))
			if offered < 1 && wait > 0 {
				t.Fatalf("%v of the quota waits %v", offered, wait)
			}
		}
		rate := float64(n-first) * size / (at - from).Seconds()
		if want := min(offered, 1) * 1e6; math.Abs(rate/want-1) > 0.01 {
			t.Errorf("%v of the quota offered: %.0f a second sent, want %.0f", offered, rate, want)
		}
	}
}

// What comes after a pause of eleven seconds passes until its window is full.
func TestKafkaQuotaFreeBurst(t *testing.T) {
	q := NewKafkaQuota(1000)
	var sent float64
	for at := 20 * time.Second; ; at += 10 * time.Millisecond {
		if q.Admit(at, 100) > 0 { // 10,000/s
			break
		}
		sent += 100
	}
	if sent < 10_000 || sent > 11_100 {
		t.Errorf("%v bytes pass before the first wait, want 10 to 11 s of the quota", sent)
	}
}

// Waits don't depend on the unit that bytes are counted in.
func TestKafkaQuotaScales(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := math.Ldexp(1, rapid.IntRange(1, 20).Draw(t, "k")) // exact, as an instant beside a sample's edge must be
		one, other := NewKafkaQuota(100), NewKafkaQuota(100*k)
		var at time.Duration
		for range 200 {
			at += time.Duration(rapid.Int64Range(0, 500e6).Draw(t, "gap"))
			cost := float64(rapid.IntRange(0, 200).Draw(t, "cost"))
			a, b := one.Admit(at, cost), other.Admit(at, k*cost)
			if a != b {
				t.Fatalf("at %v: %v and, in units of 1/%v, %v", at, a, k, b)
			}
		}
	})
}
