// Package simulator is the room of rehearsals that nobody has to send: it runs a
// scenario against a System in virtual time and returns a Run that is assessed
// and reported like a measured one, marked simulated.
//
// Arrivals are those of the same load.Schedule as in a real run, refusals those
// of the same model.Backend as in the sandbox, and what comes of them goes
// through the same measure.Recorder. The generator is ideal: requests are sent
// at their intended instants, unless all that the in-flight limit allows wait
// for an answer; the network takes no time. So what a simulation says of
// quotas is what the sandbox does, and its response times are service times
// plus waiting for a place.
//
// Nothing here reads a clock or draws a number of its own: equal scenarios,
// Systems and options give equal Runs.
package simulator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/loads"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/model/retry"
	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Options says how a simulation is run.
type Options struct {
	ID string
	// Seed drives the System's random draws, as a sandbox's does.
	Seed uint64
	// Resolution is the period of the series of the limiters' use: a second by
	// default. With a minute they are as coarse as a cloud's.
	Resolution time.Duration
	// Files is the limit of open files that in-flight limits are sized by; 0:
	// none.
	Files int
	Tool  capacity.Tool
	// Retry is what clients do about a request that was throttled or timed out.
	// Quotas see every attempt, and tokens and what is in flight are of attempts, in
	// the seconds in which these are sent and done. All else of the Run's rows and its
	// times are of requests, from their first attempt to the last answer. A client that
	// waits for its retry takes no place of the in-flight limit. Only Run retries.
	Retry retry.Policy
	// Fluid lets Simulate and Again follow rates, however few requests there are.
	Fluid bool
}

// Simulate simulates the scenario request by request, or by its rates where there
// are more than Most arrivals and clients don't retry.
func Simulate(s *scenarios.Scenario, sys *model.System, o Options) (*capacity.Run, error) {
	var arrivals float64
	for _, l := range s.Loads {
		for _, st := range l.Profile {
			arrivals += st.Arrivals()
		}
	}
	if o.Fluid || arrivals > Most && o.Retry.Attempts < 2 {
		return Fluid(s, sys, o)
	}
	return Run(s, sys, o)
}

// Run simulates the scenario, every operation of which the System must have,
// request by request, and returns its Run.
func Run(s *scenarios.Scenario, sys *model.System, o Options) (*capacity.Run, error) {
	x := &simulation{backend: sys.Start(o.Seed)}
	plans, operations, err := x.prepare(s, sys, o)
	if err != nil {
		return nil, err
	}
	x.retries = newRetries(o.Retry, o.Seed)
	for i := range plans {
		x.all = append(x.all, newStream(&plans[i], x.served[i]))
	}
	seconds := int64(x.end/time.Second) + 1
	x.recorder = measure.NewVirtual(operations, time.Duration(1+seconds*int64(len(operations))/maxSteps)*time.Second)
	x.drive()
	x.run.Rows, x.run.Latency = x.recorder.End(x.end + 1)
	x.run.Manifest.Notes = append(x.run.Manifest.Notes, x.retries.notes(sys)...)
	for _, t := range x.backend.TaskChanges() {
		x.run.Manifest.Notes = append(x.run.Manifest.Notes, tasksOf(sys, t))
	}
	x.finish()
	return x.run, nil
}

// tasksOf says how many tasks a service had.
func tasksOf(sys *model.System, t model.TaskChanges) string {
	i := slices.IndexFunc(sys.Limiters, func(l model.Limiter) bool { return l.ID == t.Limiter })
	said := fmt.Sprintf("%s: tasks: %d at first", t.Limiter, sys.Limiters[i].Tracked.Min)
	for _, c := range t.Changes {
		said += fmt.Sprintf(", %d from %s on", c.Tasks, unit.FormatDuration(c.At))
	}
	return said
}

// frame is what every simulation of a scenario has.
type frame struct {
	run    *capacity.Run
	meters *meters
	tokens bool          // whether the System has request tokens at all
	served [][]int       // the System's operation, by load and operation of it
	end    time.Duration // of all plans, and of the last answer so far
}

// prepare makes the run without what happens in it, and returns the loads' plans
// and the operations that they name.
func (x *frame) prepare(s *scenarios.Scenario, sys *model.System, o Options) ([]load.Plan, []measure.Operation, error) {
	if o.Resolution <= 0 {
		o.Resolution = time.Second
	}
	kept, plans, operations := loads.Plan(s, o.Files)
	for _, p := range plans {
		var served []int
		for _, op := range p.Load.Operations {
			if op.Kafka != nil {
				return nil, nil, fmt.Errorf("load %s is of Kafka records, which are not simulated: headroom run sends them, to a sandbox too", p.Load.Name)
			}
			name, _ := quotas.ServedAs(op)
			i := slices.IndexFunc(sys.Operations, func(o model.Operation) bool { return o.Name == name })
			if i < 0 {
				return nil, nil, fmt.Errorf("the System %s has no operation %q, which %s of load %s asks for", sys.Name, name, op.Name, p.Load.Name)
			}
			served = append(served, i)
		}
		x.served = append(x.served, served)
		x.end = max(x.end, p.Load.Start+p.Load.Duration())
	}
	resolved := quotas.Resolve(context.Background(), s, sys, nil)
	x.run = &capacity.Run{
		Manifest: capacity.Manifest{
			Schema: "headroom.record/1", ID: o.ID, Kind: capacity.Simulated, State: capacity.Complete,
			Start: start(sys), Scenario: loads.Scenario(s), Target: "simulated System " + sys.Name, Sandbox: true,
			Loads: kept, Quotas: resolved.Quotas, Tool: o.Tool,
		},
		Events: append(slices.Clone(resolved.Events), loads.Stages(s)...),
	}
	x.meters = newMeters(x.run, sys, resolved.Want, o.Resolution)
	x.tokens = slices.ContainsFunc(sys.Limiters, func(l model.Limiter) bool { return l.ID == model.RequestTokens })
	return plans, operations, nil
}

// finish adds the series of what the limiters were charged.
func (x *frame) finish() {
	x.run.Series = x.meters.series()
	for _, s := range x.run.Series {
		s.Points = measure.Points{}
		x.run.Manifest.Expected = append(x.run.Manifest.Expected, s)
	}
}

// start returns the instant that a Run's times count from. Virtual time has no
// date of its own, so it is the one that the System's limits were true at.
func start(sys *model.System) time.Time {
	at, err := time.Parse(time.DateOnly, sys.AsOf)
	if err != nil {
		at = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return at
}

// maxSteps is how many histograms of response times a Run has at most.
const maxSteps = 256

// simulation is a run while it goes on.
type simulation struct {
	frame
	recorder *measure.Virtual
	backend  *model.Backend
	retries  *retries
	first    attempt       // the one in hand
	all      []*stream     // of each load
	passed   time.Duration // the last whole second
}

// drive sends every arrival at its instant, whichever load it is of, and every
// retry.
func (x *simulation) drive() {
	var streams []*stream // that have an arrival left
	for _, l := range x.all {
		if l.advance() {
			streams = append(streams, l)
		}
	}
	for len(streams) > 0 || len(x.retries.due) > 0 {
		next := 0
		for i := 1; i < len(streams); i++ {
			if streams[i].sends < streams[next].sends {
				next = i
			}
		}
		if r := x.retries; len(r.due) > 0 && (len(streams) == 0 || r.due[0].at < streams[next].sends) {
			a := r.next()
			x.until(a.at)
			x.attempt(a)
			continue
		}
		l := streams[next]
		x.until(l.sends)
		x.send(l)
		if !l.advance() {
			streams = slices.Delete(streams, next, next+1)
		}
	}
	x.until(x.end + 1)
	x.meters.passed(x.end+1, x.backend)
	x.run.Manifest.End = x.run.Manifest.Start.Add(x.end)
}

// until closes each second that is over by an instant.
func (x *simulation) until(at time.Duration) {
	for x.passed+time.Second <= at {
		x.second()
	}
}

// second closes the second in hand.
func (x *simulation) second() {
	x.passed += time.Second
	for _, l := range x.all {
		l.flying.over(x.passed)
	}
	x.recorder.Pass(x.passed)
	x.meters.passed(x.passed, x.backend)
}

// send sends a load's next arrival, or drops it where no place was free in time.
func (x *simulation) send(l *stream) {
	a := &l.next.Arrival
	op := l.plan.Ops[a.Operation]
	if l.drops && l.sends-a.Intended > l.plan.Load.Lateness {
		x.recorder.Drop(op, a.Intended, a.Measured, measure.Saturation)
		return
	}
	x.first.at, x.first.stream, x.first.served = l.sends, l, l.served[a.Operation]
	s := &x.first.sample // what attempt sets isn't set here: a whole sample would take a tenth of the time
	s.Op, s.Measured, s.Intended, s.Sent, s.Tokens = op, a.Measured, a.Intended, l.sends, measure.NoTokens
	x.attempt(&x.first)
}

// attempt makes one attempt of a request.
func (x *simulation) attempt(a *attempt) {
	out := x.backend.ServeNumber(a.at, a.served)
	x.meters.served(a.at, out)
	timeout := a.stream.plan.Load.Timeout
	s := &a.sample
	s.Outcome, s.Reason, s.Done, s.BytesIn = measure.OK, "", a.at+out.ServiceTime, out.ResponseBytes
	service := ""
	if out.RefusedBy != "" {
		service, _, _ = strings.Cut(out.RefusedBy, ".")
	}
	switch {
	case out.ServiceTime >= timeout:
		s.Outcome, s.Done = measure.TimedOut, a.at+timeout
	case service != "":
		s.Outcome, s.Reason = measure.Throttled, throttleReason(service)
	}
	did := measure.Attempt{Sent: a.at, Done: s.Done, Tokens: measure.NoTokens, First: s.Tokens == measure.NoTokens}
	if x.tokens && service != "appsync" && s.Outcome != measure.TimedOut {
		did.Tokens = out.Tokens
		s.Tokens = max(s.Tokens, 0) + out.Tokens
	}
	if x.retries.again(a) {
		x.recorder.Attempt(s.Op, s.Measured, did)
		return
	}
	x.end = max(x.end, s.Done)
	x.recorder.Record(s, did)
	a.stream.flying.push(s.Done)
}

// throttleReason is how a refusal by a limiter of the service reads in an answer.
func throttleReason(service string) string {
	switch service {
	case "appsync":
		return "HTTP 429"
	case "lambda":
		return "Lambda:TooManyRequestsException"
	case "dynamodb":
		return "DynamoDB:ProvisionedThroughputExceededException"
	case "momento":
		return "LimitExceededException"
	}
	return "ThrottlingException"
}
