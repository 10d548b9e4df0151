// Package retry is the room of clients that try again: how long they wait, when
// they stop, and what they do to a backend that has no room for it.
//
// A quota sees attempts, a user sees requests. Where refusing is free, retries
// only raise the rate at which a limit refuses (Amplification, Saturated). Where
// work is wasted, because an answer comes after its client has given up, they can
// hold a backend down long after what overloaded it is gone: Simulate shows
// whether a load is in that range, which begins at HiddenCapacity.
package retry

import (
	"math"
	"math/rand/v2"
	"time"
)

// Jitter says how the wait before a retry is drawn.
type Jitter string

// The jitters, of which None waits the whole backoff (AWS Architecture Blog,
// "Exponential Backoff and Jitter").
const (
	None         Jitter = "none"         // min(cap, base * 2^i)
	Full         Jitter = "full"         // uniform from 0 to that
	Decorrelated Jitter = "decorrelated" // min(cap, uniform from base to 3 times the wait before)
)

// Policy is how a client retries. The zero Policy makes one attempt.
type Policy struct {
	Attempts  int // in all; 0 or 1: no retry
	Base, Cap time.Duration
	Jitter    Jitter
	Budget    *Quota // nil: no bound
}

// SDK is what AWS SDK for Go v2 1.47 does by default: three attempts, full jitter
// of up to 1 s, 2 s and so on, 20 s at most, within its retry quota.
func SDK() Policy {
	q := Quota{Capacity: 500, Cost: 5, TimeoutCost: 10, Gain: 1}
	return Policy{Attempts: 3, Base: time.Second, Cap: 20 * time.Second, Jitter: Full, Budget: &q}
}

// Wait returns how long the client waits before retry n, counted from 0, after it
// has waited so long before the one before.
func (p Policy) Wait(n int, before time.Duration, r *rand.Rand) time.Duration {
	most := float64(p.Base) * math.Exp2(float64(min(n, 62)))
	if p.Cap > 0 {
		most = min(most, float64(p.Cap))
	}
	switch p.Jitter {
	case Full:
		return time.Duration(most * r.Float64())
	case Decorrelated:
		from := float64(p.Base)
		to := max(3*float64(max(before, p.Base)), from)
		wait := from + (to-from)*r.Float64()
		if p.Cap > 0 {
			wait = min(wait, float64(p.Cap))
		}
		return time.Duration(wait)
	}
	return time.Duration(min(most, math.MaxInt64/2))
}

// Quota bounds the retries of a client: each takes its cost, and there is none
// where that is not left. A success gives back a gain, a retried one what its last
// retry took. So a client that fails all the time makes Capacity/Cost retries, and
// no more than a part 1/Cost of its successes go on.
type Quota struct {
	Capacity, Cost, TimeoutCost, Gain int
}

// Budget is the state of a Quota.
type Budget struct {
	Quota
	left int
}

// NewBudget returns a full budget.
func NewBudget(q Quota) *Budget { return &Budget{q, q.Capacity} }

// Retry takes the cost of a retry, after a timeout or another failure, and
// returns it; false where it is not left.
func (b *Budget) Retry(timeout bool) (cost int, ok bool) {
	cost = b.Cost
	if timeout {
		cost = b.TimeoutCost
	}
	if b.left < cost {
		return 0, false
	}
	b.left -= cost
	return cost, true
}

// Success gives back for a request that succeeded; cost is what its last retry
// took, 0 where it was the first attempt.
func (b *Budget) Success(cost int) {
	if cost == 0 {
		cost = b.Gain
	}
	b.left = min(b.Capacity, b.left+cost)
}

// Amplification returns how many attempts a request makes on average where each
// fails with probability f, independently, and at most so many are made:
// (1-f^k)/(1-f). Layers that retry multiply.
func Amplification(f float64, attempts int) float64 {
	if f >= 1 {
		return float64(attempts)
	}
	return (1 - math.Pow(f, float64(attempts))) / (1 - f)
}

// Saturated returns the attempts a second, and the share of them that fails, where
// requests come at a rate and a backend serves so many a second and refuses the
// rest at no cost: the fixed point of attempts = rate * Amplification(f) and f =
// 1 - capacity/attempts.
func Saturated(rate, capacity float64, attempts int) (perSecond, failing float64) {
	if rate <= capacity {
		return rate, 0
	}
	low, high := 0.0, 1.0
	for range 200 {
		failing = (low + high) / 2
		if 1-capacity/(rate*Amplification(failing, attempts)) > failing {
			low = failing
		} else {
			high = failing
		}
	}
	return rate * Amplification(failing, attempts), failing
}

// HiddenCapacity returns the rate from which on a backend that serves so many a
// second may stay down once it is: at every lower one it serves even if all
// requests make all their attempts (Bronson et al., "Metastable Failures in
// Distributed Systems", HotOS 2021).
func HiddenCapacity(capacity float64, attempts int) float64 {
	return capacity / float64(max(attempts, 1))
}
