package limiter

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// every returns the instant of the n-th of evenly spaced arrivals.
func every(n int, perSecond float64) time.Duration {
	return time.Duration(float64(n) / perSecond * float64(time.Second))
}

// A bucket of 5,000 refilled at 10,000/s under 15,000/s throttles first at
// b/(lambda-r) = 1.0 s and admits b + rT = 105,000 of 150,000 in 10 s (science R18).
func TestTokenBucketConstantDemand(t *testing.T) {
	b := NewTokenBucket(10_000, 5_000)
	admitted := 0
	var first time.Duration
	for n := range 150_000 {
		at := every(n, 15_000)
		if b.Admit(at, 1) {
			admitted++
		} else if first == 0 {
			first = at
		}
	}
	if first < 999*time.Millisecond || first > 1001*time.Millisecond {
		t.Errorf("first throttle at %v, want 1s", first)
	}
	// The last arrival is at 9.99993 s, so 105,000 itself isn't reached.
	if admitted != 104_999 {
		t.Errorf("admitted %d, want 104999", admitted)
	}
}

// Demand that equals the refill is never refused, whatever the rounding of
// instants to nanoseconds.
func TestTokenBucketExactDemand(t *testing.T) {
	for _, perSecond := range []float64{3, 7, 10, 333, 9_999} {
		b := NewTokenBucket(200*perSecond, 200)
		for n := range 100_000 {
			if !b.Admit(every(n, perSecond), 200) {
				t.Fatalf("%v/s: arrival %d refused", perSecond, n)
			}
		}
	}
}

func TestTokenBucketRefusalTakesNothing(t *testing.T) {
	b := NewTokenBucket(1, 10)
	if !b.Admit(0, 8) || b.Admit(0, 3) || !b.Admit(0, 2) {
		t.Error("want 8 of 10 admitted, 3 refused, 2 admitted")
	}
}

// What is admitted in any window from s to t is at most b + r(t-s); a greedy
// client gets all of it but for less than one charge.
func TestTokenBucketBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.01, 1e9).Draw(t, "rate")
		burst := rate * rapid.Float64Range(0.01, 300).Draw(t, "burst seconds")
		b := NewTokenBucket(rate, burst)
		var at time.Duration
		type charge struct {
			at   time.Duration
			cost float64
		}
		var admitted []charge
		for range rapid.IntRange(1, 80).Draw(t, "arrivals") {
			at += time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "gap"))
			cost := burst * rapid.Float64Range(0, 1).Draw(t, "cost")
			if b.Admit(at, cost) {
				admitted = append(admitted, charge{at, cost})
			}
		}
		for i := range admitted {
			sum := 0.0
			for _, c := range admitted[i:] {
				sum += c.cost
				if bound := burst + rate*(c.at-admitted[i].at).Seconds(); sum > bound+2*b.slack {
					t.Fatalf("admitted %v from %v to %v, want at most %v", sum, admitted[i].at, c.at, bound)
				}
			}
		}
	})
}

func TestTokenBucketGreedy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(1, 1e6).Draw(t, "rate")
		burst := rate * rapid.Float64Range(0.1, 5).Draw(t, "burst seconds")
		cost := burst / rapid.Float64Range(2, 50).Draw(t, "charges in the burst")
		step := time.Duration(cost/rate*float64(time.Second)) / 3
		b := NewTokenBucket(rate, burst)
		sum := 0.0
		var at time.Duration
		for range 500 {
			for b.Admit(at, cost) {
				sum += cost
			}
			bound := burst + rate*at.Seconds()
			if sum > bound+2*b.slack || sum < bound-cost-2*b.slack {
				t.Fatalf("admitted %v until %v, want %v less than one charge of %v", sum, at, bound, cost)
			}
			at += step
		}
	})
}

// A minute of 10 s at 12,000/s and 50 s at 3,000/s is 4,500/s in the mean, and passes
// 10,000/s only with a burst of 20,000 and one for the request in hand; each one less
// refuses one (science R20).
func TestTokenBucketBurstNeeded(t *testing.T) {
	refused := func(burst float64) (n int) {
		b := NewTokenBucket(10_000, burst)
		for i := range 120_000 {
			if !b.Admit(every(i, 12_000), 1) {
				n++
			}
		}
		for i := range 150_000 {
			if !b.Admit(10*time.Second+every(i, 3_000), 1) {
				n++
			}
		}
		return n
	}
	for burst, want := range map[float64]int{20_001: 0, 19_991: 10, 19_001: 1_000, 10_001: 10_000} {
		if n := refused(burst); n != want {
			t.Errorf("burst %v: %d refused, want %d", burst, n, want)
		}
	}
}

// More quota never admits less of the same requests.
func TestTokenBucketMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(1, 100).Draw(t, "rate")
		burst := rapid.Float64Range(1, 100).Draw(t, "burst")
		small := NewTokenBucket(rate, burst)
		large := NewTokenBucket(rate*rapid.Float64Range(1, 3).Draw(t, "more rate"), burst*rapid.Float64Range(1, 3).Draw(t, "more burst"))
		var at time.Duration
		fewer, more := 0, 0
		for range 300 {
			at += time.Duration(rapid.Int64Range(0, 50e6).Draw(t, "gap"))
			if small.Admit(at, 1) {
				fewer++
			}
			if large.Admit(at, 1) {
				more++
			}
			if more < fewer {
				t.Fatalf("until %v %d admitted, with less quota %d", at, more, fewer)
			}
		}
	})
}
