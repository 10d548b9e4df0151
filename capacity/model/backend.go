package model

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/headroom-load/headroom/capacity/model/limiter"
)

// RequestTokens is the limiter whose charges a GraphQL answer reports in the
// header x-amzn-appsync-TokensConsumed. Its charges are whole tokens.
const RequestTokens = "appsync.request-tokens"

// Backend is a System in operation: the state of its limiters and its random
// streams. It is not safe for concurrent use.
type Backend struct {
	now        time.Duration
	operations map[string]*operation
}

// operation is an Operation with its state.
type operation struct {
	Operation
	serviceTime sampler
	gates       []gate // of the charges
	amounts     []amounts
	charged     []Charge // the outcome's, used again for every request
	served      bool
	first       time.Duration // when the first request was served
}

// gate is a limiter as one operation charges it. It completes c, whose Amount
// is set, and reports whether the charge is admitted.
type gate interface {
	admit(at, service time.Duration, c *Charge) bool
}

// Start returns the System with full buckets, idle environments and nothing
// served. Equal seeds and equal calls of Serve give equal outcomes.
func (s *System) Start(seed uint64) *Backend {
	b := &Backend{operations: make(map[string]*operation, len(s.Operations))}
	gates := make(map[string]func(ChargeSpec, *rand.Rand) gate, len(s.Limiters))
	most := make(map[string]float64, len(s.Limiters))
	for _, l := range s.Limiters {
		gates[l.ID], most[l.ID] = l.start(), l.atOnce()
	}
	for _, spec := range s.Operations {
		o := &operation{Operation: spec, serviceTime: spec.ServiceTime.sampler(stream(seed, "service time", spec.Name))}
		for i, c := range spec.Charges {
			keys := stream(seed, "key", spec.Name, c.Limiter, strconv.Itoa(i))
			o.gates = append(o.gates, gates[c.Limiter](c, keys))
			o.amounts = append(o.amounts, c.Amount.amounts(most[c.Limiter], stream(seed, "amount", spec.Name, c.Limiter, strconv.Itoa(i))))
			o.charged = append(o.charged, Charge{Limiter: c.Limiter})
		}
		b.operations[spec.Name] = o
	}
	return b
}

// Serve returns what becomes of a request of the operation that arrives at the
// given offset from the start, and false if the System has no such operation.
// Offsets don't decrease; an earlier one than before counts as the one before.
func (b *Backend) Serve(at time.Duration, operation string) (Outcome, bool) {
	o, ok := b.operations[operation]
	if !ok {
		return Outcome{}, false
	}
	b.now = max(b.now, at)
	at = b.now
	service := o.serviceTime.draw() // of every request, so that the n-th one's doesn't depend on refusals
	out := Outcome{ServiceTime: service, Charges: o.charged, ResponseBytes: o.Response.Bytes}
	var held time.Duration
	for i := range o.Charges {
		spec, c := &o.Charges[i], &o.charged[i]
		c.Amount, c.Hold, c.Level = o.amounts[i].draw(o.served && at-o.first >= spec.Amount.After), 0, 0
		c.Refused = !o.gates[i].admit(at, service, c)
		if c.Refused {
			out.RefusedBy, out.ServiceTime, out.ResponseBytes = c.Limiter, held, 0
			out.Charges = o.charged[:i+1]
			break
		}
		if spec.Limiter == RequestTokens {
			out.Tokens += int64(c.Amount)
		}
		if spec.Hold {
			out.ServiceTime += c.Hold - service
			held = max(held, c.Hold)
		}
	}
	if out.RefusedBy == "" && !o.served {
		o.served, o.first = true, at
	}
	return out, true
}

// atOnce returns the most that the limiter admits at one instant.
func (l Limiter) atOnce() float64 {
	if l.Kind == Window {
		return l.Limit
	}
	return l.Burst
}

// start gives the limiter its state, and returns it as a charge meets it. The
// gates of all charges share the state; keys is the charge's own stream.
func (l Limiter) start() func(c ChargeSpec, keys *rand.Rand) gate {
	var g gate
	switch l.Kind {
	case Partitions:
		p := limiter.NewPartitions(l.Partitions, l.Limit/float64(l.Partitions), l.Saved)
		return func(c ChargeSpec, keys *rand.Rand) gate {
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
	return func(ChargeSpec, *rand.Rand) gate { return g }
}

type (
	bucket       struct{ *limiter.TokenBucket }
	window       struct{ *limiter.Window }
	environments struct{ *limiter.Concurrency }
	partitions   struct {
		*limiter.Partitions
		hit  chooser
		keys *rand.Rand
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
