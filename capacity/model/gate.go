package model

import (
	"math/rand/v2"
	"time"

	"github.com/headroom-load/headroom/capacity/model/limiter"
)

// atOnce returns the most that the limiter admits at one instant.
func (l Limiter) atOnce() float64 {
	if l.Kind == Window {
		return l.Limit
	}
	return l.Burst
}

// start gives the limiter its state, and returns it as a charge meets it. The
// gates of all charges share the state; keys is the charge's own stream.
func (l Limiter) start() func(c ChargeSpec, keys *rand.PCG) gate {
	var g gate
	switch l.Kind {
	case Partitions:
		p := limiter.NewPartitions(l.Partitions, l.Limit/float64(l.Partitions), l.Saved)
		return func(c ChargeSpec, keys *rand.PCG) gate {
			return &partitions{p, newChooser(c.Keys.shares(l.Partitions)), keys}
		}
	case Concurrency:
		g = environments{limiter.NewConcurrency(limiter.Environments{
			Limit: int(l.Limit), Provisioned: l.Provisioned, Step: l.Scaling.Step, Per: l.Scaling.Per, Init: l.Init, KeepAlive: l.KeepAlive,
		})}
	case Window:
		g = window{limiter.NewWindow(l.Limit)}
	default:
		g = bucket{limiter.NewTokenBucket(l.Limit, l.Burst)}
	}
	return func(ChargeSpec, *rand.PCG) gate { return g }
}

type (
	bucket       struct{ *limiter.TokenBucket }
	window       struct{ *limiter.Window }
	environments struct{ *limiter.Concurrency }
	partitions   struct {
		*limiter.Partitions
		hit  chooser
		keys *rand.PCG
	}
)

func (b bucket) admit(at, _ time.Duration, c *Charge) bool { return b.Admit(at, c.Amount) }

func (w window) admit(at, _ time.Duration, c *Charge) bool { return w.Admit(at, c.Amount) }

func (e environments) admit(at, service time.Duration, c *Charge) (ok bool) {
	c.Hold, ok = e.Admit(at, service)
	c.Level = float64(e.InUse())
	return ok
}

func (p *partitions) admit(at, _ time.Duration, c *Charge) bool {
	return p.Admit(at, p.hit.draw(p.keys), c.Amount)
}
