package limiter

import "time"

// OnDemand is a DynamoDB table in on-demand mode: it serves at once up to its
// warm throughput or twice the highest use before, whichever is more, and may
// refuse what is above twice that use within thirty minutes. Here it does, to
// the letter: the highest minute of each thirty counts from their end on
// (DynamoDB Developer Guide, "On-demand capacity mode": a new table sustains
// 4,000 WCU/s and 12,000 RCU/s). What AWS grants beyond is left out.
type OnDemand struct {
	warm, most float64
	bucket     TokenBucket
	period     time.Duration // the one in hand, counted from 0
	minute     time.Duration // the one in hand
	used       float64       // in it
	highest    float64       // use per second, over a minute of the period in hand
	before     float64       // and of all periods before
}

// doubling is the time after which a higher use counts.
const doubling = 30 * time.Minute

// NewOnDemand returns a table with a warm throughput per second that never serves
// more than most; 0: no bound.
func NewOnDemand(warm, most float64) *OnDemand {
	return &OnDemand{warm: warm, most: most, bucket: *NewTokenBucket(warm, warm)}
}

// Admit charges cost, if the table serves it.
func (o *OnDemand) Admit(at time.Duration, cost float64) bool {
	if m := at / time.Minute; m != o.minute {
		o.highest = max(o.highest, o.used/60)
		o.minute, o.used = m, 0
	}
	if p := at / doubling; p != o.period {
		o.period = p
		o.before, o.highest = max(o.before, o.highest), 0
		rate := max(o.warm, 2*o.before)
		if o.most > 0 {
			rate = min(rate, o.most)
		}
		o.bucket.reset(at, rate, rate)
	}
	if !o.bucket.Admit(at, cost) {
		return false
	}
	o.used += cost
	return true
}
