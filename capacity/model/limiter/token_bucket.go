package limiter

import "time"

// TokenBucket admits a charge while its level covers it. The level rises at a
// constant rate up to the burst, and a refused charge takes nothing:
//
//	level = min(burst, level + rate*dt); admit iff level >= cost
//
// Over any stretch of d seconds it admits at most burst + rate*d. API Gateway
// throttles this way; for AppSync, which doesn't publish its rule, it is the
// working assumption.
type TokenBucket struct {
	rate, burst float64 // per second; capacity
	slack       float64
	level       float64
	last        time.Duration
}

// NewTokenBucket returns a full bucket of the given refill rate per second and
// capacity.
func NewTokenBucket(rate, burst float64) *TokenBucket {
	return &TokenBucket{rate: rate, burst: burst, slack: slack * (burst + 2*rate), level: burst}
}

// Admit takes cost out of the bucket at the instant at, if it is there.
func (b *TokenBucket) Admit(at time.Duration, cost float64) bool {
	b.level = min(b.burst, b.level+b.rate*float64(at-b.last)*1e-9)
	b.last = at
	if b.level+b.slack < cost {
		return false
	}
	b.level -= cost
	return true
}

// reset changes the rate and the burst from the instant at on. What is in the
// bucket stays, as far as it still fits.
func (b *TokenBucket) reset(at time.Duration, rate, burst float64) {
	full := b.level >= b.burst
	b.level = min(b.burst, b.level+b.rate*float64(at-b.last)*1e-9)
	full = full || b.level >= b.burst
	b.last, b.rate, b.burst, b.slack = at, rate, burst, slack*(burst+2*rate)
	if b.level = min(b.level, burst); full {
		b.level = burst
	}
}
