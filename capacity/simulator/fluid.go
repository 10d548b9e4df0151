package simulator

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/model/fluid"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// Most is how many arrivals Simulate takes one by one. Ten million take about two
// seconds.
const Most = 50_000_000

// fluidStep is half a slot of a row.
const fluidStep = time.Second / measure.Slots / 2

// Fluid simulates the scenario by its rates instead of its requests, in a time
// that the length of the run decides and not its rates. The Run says so in its
// notes: it knows no chance (see package fluid), counts are those expected and
// rounded, and response times are quantiles of the service times, with what was
// waited for. It is an error where requests would time out or more of them be in
// flight than their load allows: what becomes of these, single requests show.
func Fluid(s *scenarios.Scenario, sys *model.System, o Options) (*capacity.Run, error) {
	f := &flow{sys: sys, arrivals: make([]float64, len(sys.Operations)), use: make([]fluid.Use, len(sys.Limiters))}
	plans, operations, err := f.prepare(s, sys, o)
	if err != nil {
		return nil, err
	}
	f.meters.unknown()
	if f.Flow, err = fluid.Start(sys, fluidStep); err != nil {
		return nil, err
	}
	for i := range plans {
		p := &plans[i]
		var weights float64
		for _, op := range p.Load.Operations {
			weights += op.Weight
		}
		for j, op := range p.Load.Operations {
			served := f.served[i][j]
			of := &sys.Operations[served]
			c := &current{
				plan: p, Operation: operations[p.Ops[j]], share: op.Weight / weights, served: served, of: of,
				longest: of.ServiceTime.Quantile(0.9999), mean: of.ServiceTime.MeanSeconds(),
				waits: map[time.Duration]float64{}, tokens: map[int64]float64{},
			}
			for k := range c.parts {
				c.parts[k].refused, c.parts[k].throttled = make([]float64, len(of.Charges)), make([]carry, len(of.Charges))
			}
			f.currents = append(f.currents, c)
		}
	}
	if err := f.follow(); err != nil {
		return nil, err
	}
	f.run.Latency = f.latency()
	for i := range f.run.Manifest.Loads {
		l := &f.run.Manifest.Loads[i]
		l.Planned = 0
		for r := range f.run.Rows.All() {
			if r.Load == l.Name {
				l.Planned += r.Planned
			}
		}
	}
	f.run.Manifest.Fluid = true
	f.run.Manifest.Notes = append(f.run.Manifest.Notes,
		"fluid: rates were followed, not single requests, so what chance refuses below a limit is not in it, and response times are quantiles of the service times")
	f.finish()
	return f.run, nil
}

// flow is a fluid simulation while it goes on.
type flow struct {
	frame
	*fluid.Flow
	sys      *model.System
	arrivals []float64 // of each of the System's operations in a step
	use      []fluid.Use
	throttle []carry // of each limiter
	currents []*current
}

// current is one operation of one load.
type current struct {
	measure.Operation
	plan    *load.Plan
	share   float64 // of the load's arrivals
	served  int     // the System's operation
	of      *model.Operation
	longest time.Duration // service time
	mean    float64       // service time, seconds

	before float64 // expected until the step
	now    float64 // and in it
	parts  [2]part // of the second in hand: not measured, measured
	waits  map[time.Duration]float64
	tokens map[int64]float64
	sent   int64 // measured
}

// part is what came in a second.
type part struct {
	slots   [measure.Slots]float64
	refused []float64 // by charge
	tokens  float64
	held    float64 // seconds in flight

	planned, token carry
	throttled      []carry // by charge
}

// carry turns amounts into whole numbers whose sum stays within one half of theirs.
type carry struct {
	sum   float64
	given int64
}

func (c *carry) next(x float64) int64 {
	c.sum += x
	n := int64(math.Floor(c.sum+0.5)) - c.given
	c.given += n
	return n
}

// follow takes the rates through the limiters.
func (f *flow) follow() error {
	f.throttle = make([]carry, len(f.sys.Limiters))
	end := f.end
	second := time.Duration(0)
	for at := time.Duration(0); at < end; at += fluidStep {
		if at-second >= time.Second {
			f.close(second)
			second += time.Second
		}
		clear(f.arrivals)
		for _, c := range f.currents {
			expected := c.plan.Schedule.Expected(min(at+fluidStep, end)) * c.share
			c.now, c.before = expected-c.before, expected
			f.arrivals[c.served] += c.now
		}
		f.Step(f.arrivals, f.use)
		for _, c := range f.currents {
			if c.now > 0 {
				if err := c.take(at, f.Served(c.served), c.now/f.arrivals[c.served]); err != nil {
					return err
				}
			}
		}
	}
	f.close(second)
	f.run.Manifest.End = f.run.Manifest.Start.Add(end)
	return nil
}

// take adds this load's share of what became of an operation's requests in a step.
func (c *current) take(at time.Duration, out *fluid.Served, share float64) error {
	if longest := c.longest + out.Wait + out.Init; longest >= c.plan.Load.Timeout {
		return fmt.Errorf("some requests of %s would take %v or longer, and time out: simulate them one by one", c.Name, longest.Round(time.Millisecond))
	}
	ok, created := out.OK*share, out.Created*share
	held := ok*(c.mean+out.Wait.Seconds()) + created*out.Init.Seconds()
	if held/fluidStep.Seconds() > float64(c.plan.InFlight) {
		return fmt.Errorf("more requests of load %s would be in flight at %v than its limit of %d: simulate them one by one", c.Load, at, c.plan.InFlight)
	}
	measured := c.plan.Schedule.Measured(at)
	p := &c.parts[0]
	if measured {
		p = &c.parts[1]
	}
	p.slots[at%time.Second/(time.Second/measure.Slots)] += c.now
	for i, n := range out.Refused {
		p.refused[i] += n * share
	}
	p.tokens += out.Tokens * share
	p.held += held
	if measured {
		c.waits[out.Wait.Round(time.Millisecond)] += ok - created
		c.waits[(out.Wait + out.Init).Round(time.Millisecond)] += created
		if out.Tokens > 0 && out.OK > 0 {
			c.tokens[int64(math.Round(out.Tokens/out.OK))] += ok
		}
	}
	return nil
}

// close makes the rows of the second that has passed, and the points of what the
// limiters were charged in it.
func (f *flow) close(second time.Duration) {
	for _, c := range f.currents {
		for measured := range c.parts {
			if row, came := f.row(c, measured == 1); came {
				row.Second = int(second / time.Second)
				f.run.Rows.Add(&row)
			}
		}
	}
	for i := range f.use {
		u := &f.use[i]
		f.meters.flowed(second, i, u, float64(f.throttle[i].next(u.Throttled)))
		*u = fluid.Use{}
	}
}

// row returns what of c came in the second in hand, and begins the next.
func (f *flow) row(c *current, measured bool) (row measure.Row, came bool) {
	p := &c.parts[0]
	if measured {
		p = &c.parts[1]
	}
	row = measure.Row{Load: c.Load, Operation: c.Name, Measured: measured, InFlight: p.held}
	for i, n := range p.slots {
		n := p.planned.next(n)
		row.PlannedSlots[i], row.SentSlots[i] = n, n
		row.Planned, row.Sent = row.Planned+n, row.Sent+n
	}
	answered := row.Sent // with the tokens' header
	for i, n := range p.refused {
		n := p.throttled[i].next(n)
		if over := row.Throttled + n - row.Sent; over > 0 { // by rounding
			p.throttled[i].given -= over
			n -= over
		}
		if n <= 0 {
			continue
		}
		row.Throttled += n
		service, _, _ := strings.Cut(c.of.Charges[i].Limiter, ".")
		if service == "appsync" {
			answered -= n
		}
		if row.Reasons == nil {
			row.Reasons = map[string]int64{}
		}
		row.Reasons[measure.Throttled.String()+" "+throttleReason(service)] += n
	}
	row.OK = row.Sent - row.Throttled
	row.BytesIn = row.OK * c.of.Response.Bytes
	if f.tokens {
		n := p.token.next(p.tokens)
		row.TokensSent, row.TokensDone, row.TokensN, row.TokensNSent = n, n, answered, answered
	}
	if measured {
		c.sent += row.Sent
	}
	clear(p.slots[:])
	clear(p.refused)
	p.tokens, p.held = 0, 0
	return row, row.Sent > 0
}

// points is how many values stand for a service time's distribution.
const points = 2000

// latency returns the histograms of the run.
func (f *flow) latency() []measure.Interval {
	var out []measure.Interval
	for _, c := range f.currents {
		var times, lags, tokens measure.Distribution
		var count carry
		for _, wait := range slices.Sorted(maps.Keys(c.waits)) {
			n := points
			if c.of.ServiceTime.Shape == model.Constant {
				n = 1
			}
			for i := range n {
				took := c.of.ServiceTime.Quantile((float64(i)+0.5)/float64(n)) + wait
				times.RecordMany(took.Microseconds(), count.next(c.waits[wait]/float64(n)))
			}
		}
		if times.N() == 0 {
			continue
		}
		lags.RecordMany(0, c.sent)
		out = append(out,
			times.Interval(c.Load, c.Name, measure.ResponseTimes, 0, f.end),
			times.Interval(c.Load, c.Name, measure.ServiceTimes, 0, f.end),
			lags.Interval(c.Load, c.Name, measure.Lags, 0, f.end))
		var n carry
		for _, of := range slices.Sorted(maps.Keys(c.tokens)) {
			tokens.RecordMany(of, n.next(c.tokens[of]))
		}
		if tokens.N() > 0 {
			out = append(out, tokens.Interval(c.Load, c.Name, measure.TokenCounts, 0, f.end))
		}
	}
	return out
}
