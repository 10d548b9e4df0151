// Package fluid is the room of Systems under more load than requests can be
// served one by one: it follows rates through the limiters in small steps.
//
// A Flow has the limits, the order of charges and the states of a model.Backend,
// but no requests, so it knows no chance: a load below a limit is never refused,
// where single requests would be now and then, and nothing waits for a server
// that is not busy all the time. Drawn amounts and times count by their means, and
// an exceeded limit refuses large and small charges alike, of which single requests
// get the small ones through more often.
// Environments are busy as if service times were exponential, and stay once
// created.
// Tests hold it against the Backend where that says the same.
package fluid

import (
	"fmt"
	"math"
	"time"

	"github.com/headroom-load/headroom/capacity/model"
)

// Flow is a System under rates. It is not safe for concurrent use.
type Flow struct {
	now        time.Duration
	step       time.Duration
	operations []operation
	limiters   []limiter
}

type operation struct {
	charges []charge
	service float64 // mean, seconds
	tokens  int     // index of the charge on request tokens; -1: none
	served  bool
	first   time.Duration // when the first request was served
	out     Served
}

type charge struct {
	model.ChargeSpec
	of    int     // index of the limiter
	mean  float64 // of a drawn amount; -1: cold and warm
	fits  float64 // share of the amounts that a limit of sizes admits
	parts []float64
	busy  float64 // environments that this charge keeps busy
	decay float64 // of busy in a step
	adds  float64 // environments that are still busy at the end of the step, per request
}

// Served is what became of an operation's requests in a step.
type Served struct {
	OK      float64
	Refused []float64 // by charge
	Tokens  float64   // that answers tell of, with those of requests that a later limiter refused
	Wait    time.Duration
	Created float64 // of OK, those that waited for a new environment to start
	Init    time.Duration
}

// Use is what a limiter was charged in a step.
type Use struct {
	Amount    float64
	Requests  float64
	Throttled float64
	Held      float64 // environment-seconds
	Level     float64 // environments in use, the most at the end of a step
}

// Start returns the System with full buckets, idle environments and nothing
// served, to be followed in steps of the given length. It is an error where a
// limiter has no form for rates.
func Start(s *model.System, step time.Duration) (*Flow, error) {
	f := &Flow{step: step}
	index := make(map[string]int, len(s.Limiters))
	for i, l := range s.Limiters {
		x := limiter{Limiter: l}
		if !x.start() {
			return nil, fmt.Errorf("%s (%s) has no form for rates: simulate its requests one by one", l.ID, l.Kind)
		}
		f.limiters = append(f.limiters, x)
		index[l.ID] = i
	}
	for _, o := range s.Operations {
		x := operation{service: o.ServiceTime.MeanSeconds(), tokens: -1}
		x.out.Refused = make([]float64, len(o.Charges))
		for i, c := range o.Charges {
			l := &f.limiters[index[c.Limiter]]
			if c.Account != "" {
				return nil, fmt.Errorf("%s, with an account, has no form for rates: simulate its requests one by one", c.Limiter)
			}
			y := charge{ChargeSpec: c, of: index[c.Limiter], mean: -1, fits: 1}
			if c.Share == 0 {
				y.Share = 1
			}
			if len(c.Amount.Mixture) > 0 || c.Amount.P50 > 0 {
				y.mean = c.Amount.Mean()
			}
			if l.Kind == model.ItemSize {
				y.fits = c.Amount.AtMost(l.Limit)
			}
			if l.Kind == model.Partitions || l.Kind == model.Queue {
				y.parts = l.Spread(c.Keys)
			}
			if c.Limiter == model.RequestTokens {
				x.tokens = i
			}
			y.decay, y.adds = remain(x.service, step)
			l.service = max(l.service, x.service)
			x.charges = append(x.charges, y)
		}
		f.operations = append(f.operations, x)
	}
	return f, nil
}

// remain returns the part of what is busy that still is after a step, and how
// much of what a request keeps busy during it.
func remain(mean float64, step time.Duration) (decay, adds float64) {
	if mean <= 0 {
		return 0, 0
	}
	x := step.Seconds() / mean
	decay = math.Exp(-x)
	return decay, (1 - decay) / x
}

// Step lets the arrivals of each operation of the System come, evenly over one
// more step, and adds to use what each limiter is charged. Served says what
// becomes of them.
func (f *Flow) Step(arrivals []float64, use []Use) {
	for i := range f.limiters {
		f.limiters[i].tick(f.now, f.step)
	}
	for i := range f.operations {
		o := &f.operations[i]
		for j := range o.charges {
			c := &o.charges[j]
			if c.Hold {
				c.busy *= c.decay
				f.limiters[c.of].busy += c.busy
			}
		}
	}
	for i := range f.operations {
		f.serve(&f.operations[i], arrivals[i], use)
	}
	for i := range f.limiters {
		use[i].Level = max(use[i].Level, f.limiters[i].busy)
	}
	f.now += f.step
}

// Served returns what became of an operation's requests in the step before. It is
// valid until the next.
func (f *Flow) Served(operation int) *Served { return &f.operations[operation].out }

func (f *Flow) serve(o *operation, flow float64, use []Use) {
	clear(o.out.Refused)
	o.out = Served{Refused: o.out.Refused}
	service := o.service
	for i := range o.charges {
		c := &o.charges[i]
		l, u := &f.limiters[c.of], &use[c.of]
		each := c.mean
		if each < 0 {
			each = c.Amount.Cold
			if o.served && f.now-o.first >= c.Amount.After {
				each = c.Amount.Warm
			}
		}
		asking := flow * c.Share
		var admitted float64
		switch l.Kind {
		case model.Concurrency:
			var created float64
			admitted, created = l.environments(asking, c.adds)
			held := service*admitted + created*l.Init.Seconds()
			warm := admitted
			if len(l.created) > 0 {
				warm -= created
				l.busy += created
			}
			c.busy += warm * c.adds
			l.busy += warm * c.adds
			o.out.Created, o.out.Init = o.out.Created+created, l.Init
			u.Amount += admitted
			u.Held += held
		case model.ItemSize:
			admitted = asking * c.fits
			u.Amount += admitted * each
		case model.Queue:
			var wait float64
			admitted, wait = l.queue(asking, each, c.parts)
			o.out.Wait += time.Duration(wait * 1e9)
			service += wait
			u.Amount += admitted * each
		default:
			admitted = l.admit(asking, each, c.parts)
			u.Amount += admitted * each
		}
		refused := asking - admitted
		o.out.Refused[i] = refused
		u.Requests += admitted
		u.Throttled += refused
		if i == o.tokens {
			o.out.Tokens = admitted * each
		}
		flow -= refused
	}
	o.out.OK = flow
	o.out.Created = min(o.out.Created, flow)
	if flow > 0 && !o.served {
		o.served, o.first = true, f.now
	}
}
