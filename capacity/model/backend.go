package model

import (
	"math"
	"math/rand/v2"
	"slices"
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
	operations []operation // in the order of the System's
	index      map[string]int
	tracking   []tasks                      // those that are charged
	levels     []func(at time.Duration) int // of the limiters that have one and are charged; else nil
	out        Outcome
}

// operation is an Operation with its state.
type operation struct {
	serviceTime   sampler
	responseBytes int64
	steps         []step
	charged       []Charge // the outcome's, used again for every request
	sparse        bool     // a charge's place in the outcome is not that in the file
	served        bool
}

// step is one charge of an operation, with all that Serve needs of it in one
// place. The gates of all charges on a limiter share its state.
type step struct {
	bucket *limiter.TokenBucket // in place of gate, being most of all charges
	gate   gate
	warm   time.Duration // instant from which the warm amount is charged
	hold   bool
	tokens bool
	lambda *environments // gate, where an account is charged with it
	amounts

	after   time.Duration
	limiter string
	number  int       // of the limiter
	share   float64   // of the requests that make the charge
	chance  *rand.PCG // draws which ones
}

// gate is a limiter as one operation charges it. It completes c, whose Amount
// is set, and reports whether the charge is admitted. service is how long the
// request takes, with what it has waited for before.
type gate interface {
	admit(at, service time.Duration, c *Charge) bool
}

// Start returns the System with full buckets, idle environments and nothing
// served. Equal seeds and equal calls of Serve give equal outcomes.
func (s *System) Start(seed uint64) *Backend {
	b := &Backend{index: make(map[string]int, len(s.Operations)), levels: make([]func(time.Duration) int, len(s.Limiters))}
	gates := make(map[string]func(ChargeSpec, *rand.PCG) gate, len(s.Limiters))
	most := make(map[string]float64, len(s.Limiters))
	accounts := map[string]*account{}
	for i, l := range s.Limiters {
		gates[l.ID], most[l.ID] = l.start(i, s.reserved(l.ID), accounts), l.most()
	}
	for i, spec := range s.Operations {
		o := operation{serviceTime: spec.ServiceTime.sampler(stream(seed, "service time", spec.Name)), responseBytes: spec.Response.Bytes}
		for i, c := range spec.Charges {
			of := func(purpose string) *rand.PCG { return stream(seed, purpose, spec.Name, c.Limiter, strconv.Itoa(i)) }
			x := step{
				amounts: c.Amount.amounts(most[c.Limiter], of("amount")),
				limiter: c.Limiter,
				number:  s.number(c.Limiter),
				share:   c.share(),
				chance:  of("share"),
				hold:    c.Hold,
				tokens:  c.Limiter == RequestTokens,
				warm:    never,
				after:   c.Amount.After,
				gate:    gates[c.Limiter](c, of("key")),
			}
			if b, ok := x.gate.(bucket); ok {
				x.bucket = b.TokenBucket
			}
			if g, ok := x.gate.(tasks); ok && !slices.Contains(b.tracking, g) {
				b.tracking = append(b.tracking, g)
			}
			if e, ok := x.gate.(*environments); ok {
				b.levels[x.number] = e.InUseAt
			}
			if e, ok := x.gate.(*environments); ok && e.account != nil {
				b.levels[e.account.number] = e.account.Claimed
				x.lambda, o.sparse = e, true
				o.charged = append(o.charged, Charge{})
			}
			o.steps = append(o.steps, x)
			o.sparse = o.sparse || c.share() < 1
			o.charged = append(o.charged, Charge{Limiter: c.Limiter, Number: x.number})
		}
		b.operations = append(b.operations, o)
		b.index[spec.Name] = i
	}
	return b
}

// number returns the place of a limiter in the System.
func (s *System) number(id string) int {
	return slices.IndexFunc(s.Limiters, func(l Limiter) bool { return l.ID == id })
}

// reserved returns what functions have reserved of an account.
func (s *System) reserved(account string) (n int) {
	for _, l := range s.Limiters {
		if l.Account == account && l.Reserved {
			n += int(l.Limit)
		}
	}
	return n
}

// never is after every instant of a run.
const never = time.Duration(math.MaxInt64)

// Level returns how much of a limiter, by its number in the System, is in use at an
// instant, not before that of the last call: environments. Of limiters that have
// no level, and of those that nothing charges, it is 0.
func (b *Backend) Level(limiter int, at time.Duration) float64 {
	if level := b.levels[limiter]; level != nil {
		return float64(level(at))
	}
	return 0
}

// TaskChanges is how the number of an ECS service's tasks changed.
type TaskChanges struct {
	Limiter string
	Changes []limiter.Scaled
}

// TaskChanges returns those of all limiters of the kind tasks that are charged, so
// far.
func (b *Backend) TaskChanges() []TaskChanges {
	var out []TaskChanges
	for _, t := range b.tracking {
		out = append(out, TaskChanges{t.id, t.Scaled()})
	}
	return out
}

// Operation returns the number by which ServeNumber knows an operation, and
// false if the System has no such operation.
func (b *Backend) Operation(name string) (int, bool) {
	n, ok := b.index[name]
	return n, ok
}

// Serve returns what becomes of a request of the operation that arrives at the
// given offset from the start, and false if the System has no such operation.
// Offsets don't decrease; an earlier one than before counts as the one before.
func (b *Backend) Serve(at time.Duration, operation string) (Outcome, bool) {
	n, ok := b.index[operation]
	if !ok {
		return Outcome{}, false
	}
	return *b.ServeNumber(at, n), true
}

// ServeNumber is Serve for an operation by its number, without a search. The outcome
// is valid until the next call.
func (b *Backend) ServeNumber(at time.Duration, operation int) *Outcome {
	o := &b.operations[operation]
	at = max(at, b.now)
	b.now = at
	service := o.serviceTime.draw() // of every request, so that the n-th one's doesn't depend on refusals
	out := &b.out
	out.RefusedBy, out.ServiceTime, out.Tokens, out.ResponseBytes = "", service, 0, o.responseBytes
	var held, waited time.Duration
	made := 0
	for i := range o.steps {
		x, c := &o.steps[i], &o.charged[made]
		if o.sparse {
			if x.share < 1 && uniform(x.chance) >= x.share {
				continue
			}
			c.Limiter, c.Number = x.limiter, x.number
		}
		made++
		if x.lambda != nil {
			if !x.lambda.room(at, c) {
				return b.refused(o.charged[:made], held)
			}
			c = &o.charged[made]
			c.Limiter, c.Number = x.limiter, x.number
			made++
		}
		c.Amount, c.Hold, c.Level, c.Wait, c.InProvisioned, c.Spilled = x.draw(at >= x.warm), 0, 0, 0, false, false
		if x.bucket != nil {
			c.Refused = !x.bucket.Admit(at, c.Amount)
		} else {
			c.Refused = !x.gate.admit(at, service, c)
		}
		if c.Refused {
			if x.lambda != nil { // what the function refused, its account didn't see
				made--
				o.charged[made-1] = *c
			}
			return b.refused(o.charged[:made], held)
		}
		if x.tokens {
			out.Tokens += int64(c.Amount)
		}
		if c.Wait > 0 {
			service += c.Wait
			out.ServiceTime += c.Wait
			waited += c.Wait
			held = max(held, waited)
		}
		if x.lambda != nil {
			x.lambda.claim(at, &o.charged[made-2], c.Hold)
		}
		if x.hold {
			out.ServiceTime += c.Hold - service
			held = max(held, c.Hold)
		}
	}
	out.Charges = o.charged[:made]
	if !o.served {
		o.served = true
		for i := range o.steps {
			o.steps[i].warm = at + o.steps[i].after
		}
	}
	return out
}

// refused completes the outcome of a request whose last charge was refused, when
// it lets go of what it holds.
func (b *Backend) refused(charges []Charge, held time.Duration) *Outcome {
	b.out.RefusedBy, b.out.ServiceTime, b.out.ResponseBytes = charges[len(charges)-1].Limiter, held, 0
	b.out.Charges = charges
	return &b.out
}
