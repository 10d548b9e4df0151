// Package calibration is the room that measures the measurer: what this
// machine can do with this program against a server that does nothing. A run's
// record carries it, so that a reader knows how far the generator was from its
// own limit, and a plan beyond that limit is refused before it is carried out.
//
// The figures come the way that a run's do: the product's own driver, runner,
// record and assessment. Only the ceiling is closed loop, as it must be.
package calibration

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/capacity/rehearsal"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Config is what a calibration is made with.
type Config struct {
	// Driver makes a driver that sends a load to the null server, and DriverHTTP2 one
	// that does so over HTTP/2; nil: its ceiling is not measured.
	Driver, DriverHTTP2 func(l scenarios.Load, inFlight int) (load.Driver, error)
	// Stall makes the null server hold its answers for so long.
	Stall func(time.Duration) error
	// Scratch is a folder for the records of the calibration's runs.
	Scratch string
	Tool    capacity.Tool
	// Files is the limit of open files, or 0 where there is none.
	Files int
	Steps Steps
	// Progress is told what comes next, if not nil.
	Progress func(string)
}

// Steps says how long each step takes and how hard it is.
type Steps struct {
	Timers      int           // how many timers are measured
	Connections int           // of the closed loop
	Ceiling     time.Duration // the closed loop, after a quarter of it to warm up
	Open        time.Duration // each run at a fraction of the ceiling, after WarmUp
	WarmUp      time.Duration // of open loops
	Rate        float64       // of the stall self-test, arrivals per second
	Length      time.Duration // of the stall self-test, after WarmUp
	Stall       time.Duration
}

// Whole takes up to 23 s, and Quick, with coarser figures, up to 10 s.
var (
	Whole = Steps{
		Timers: 200, Connections: 64, Ceiling: 2 * time.Second, Open: 3 * time.Second, WarmUp: time.Second,
		Rate: 500, Length: 8 * time.Second, Stall: 1500 * time.Millisecond,
	}
	Quick = Steps{
		Timers: 50, Connections: 64, Ceiling: 500 * time.Millisecond, Open: time.Second, WarmUp: 500 * time.Millisecond,
		Rate: 500, Length: 3 * time.Second, Stall: time.Second,
	}
)

// Longest is when Measure gives up a step: more than twice what the longest one
// takes on an idle machine.
const Longest = 25 * time.Second

// ErrBusy is what Measure returns when a step took longer than Longest.
var ErrBusy = errors.New("it took more than " + unit.FormatDuration(Longest) + ", as this machine is busy: close other programs and calibrate again")

// fractions of the ceiling at which the open loop is tried, until one run is
// VALID. On its way each arrival wakes up a goroutine of its own, where a closed
// loop keeps its goroutines busy; and the server may share this machine's CPUs.
var fractions = []float64{0.5, 0.25}

// Tolerance is how far a printed quantile of the stall self-test may lie from
// its closed form, as a fraction of it.
const Tolerance = 0.05

// Measure calibrates this machine. Each step may take Longest. An error means
// that there is no result; a self-test that failed is a result.
func Measure(ctx context.Context, c Config) (*capacity.Calibration, error) {
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	res := &capacity.Calibration{
		At: time.Now().UTC().Truncate(time.Second), Connections: c.Steps.Connections,
	}
	res.OS, res.Arch, res.CPUs, res.GOMAXPROCS, res.Tool = here(c.Tool)

	step := func(name, details string, measure func(context.Context) error) error {
		c.Progress(name + details)
		ctx, cancel := context.WithTimeoutCause(ctx, Longest, ErrBusy)
		defer cancel()
		if err := measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	err := step("timers", "", func(ctx context.Context) (err error) {
		res.Timer, err = timers(ctx, c.Steps.Timers)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = step("ceiling", fmt.Sprintf(": closed loop, %d connections", c.Steps.Connections), func(ctx context.Context) (err error) {
		res.Ceiling, err = Ceiling(ctx, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	if two := c; c.DriverHTTP2 != nil {
		two.Driver, two.Steps.Connections = c.DriverHTTP2, streams*res.GOMAXPROCS // a full connection for each processor
		err = step("ceiling over HTTP/2", fmt.Sprintf(": closed loop, %d requests under way", two.Steps.Connections), func(ctx context.Context) (err error) {
			res.CeilingHTTP2, err = Ceiling(ctx, two)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for _, f := range fractions {
		rate := math.Floor(res.Ceiling * f)
		err = step("open loop", fmt.Sprintf(": %s/s", unit.Human(rate)), func(ctx context.Context) (err error) {
			res.Open, err = openLoop(ctx, c, rate)
			return err
		})
		if err != nil {
			return nil, err
		}
		if res.Open.Status == capacity.Valid {
			break
		}
	}
	err = step("stall self-test", fmt.Sprintf(": %s/s, answers held for %s", unit.Human(c.Steps.Rate), unit.FormatDuration(c.Steps.Stall)), func(ctx context.Context) (err error) {
		res.Stall, err = stall(ctx, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// here is what a calibration holds for.
func here(t capacity.Tool) (os, arch string, cpus, procs int, tool string) {
	return runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.GOMAXPROCS(0), t.Version
}

// timers measures how late n timers fire while nothing else goes on.
func timers(ctx context.Context, n int) (capacity.Spread, error) {
	var d measure.Distribution
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for i := range n {
		// Between 1 and 2 ms, so that no rhythm of the system is met.
		wait := time.Millisecond + time.Duration(i*382%1000)*time.Microsecond
		set := time.Now()
		timer.Reset(wait)
		select {
		case <-timer.C:
			d.Record(int64((time.Since(set) - wait) / time.Microsecond))
		case <-ctx.Done():
			return capacity.Spread{}, context.Cause(ctx)
		}
	}
	return spread(&d), nil
}

func spread(d *measure.Distribution) capacity.Spread {
	if d.N() == 0 {
		return capacity.Spread{}
	}
	return capacity.Spread{N: d.N(), P50: d.Quantile(0.5) / 1e6, P99: d.Quantile(0.99) / 1e6, Max: d.Max() / 1e6}
}

// plan is a load of the null operation.
func plan(rate float64, profile ...scenarios.Stage) scenarios.Load {
	for i := range profile {
		profile[i].From, profile[i].To = rate, rate
	}
	return scenarios.Load{
		Name: "calibration", Arrivals: scenarios.Uniform, Seed: 1, Profile: profile,
		Operations: []scenarios.Operation{{Name: "null", Weight: 1, GraphQL: &scenarios.GraphQLOperation{
			Document: "query null($first: Int) { null(first: $first) }", OperationName: "null", Variables: []byte(`{"first":50}`),
		}}},
		Late: scenarios.Drop, Lateness: 100 * time.Millisecond, Timeout: 10 * time.Second,
	}
}

// Ceiling returns the requests per second of a closed loop: each worker sends
// its next request when it has the answer to the last one. Preparing and
// recording are part of it.
func Ceiling(ctx context.Context, c Config) (float64, error) {
	l := plan(1, scenarios.Stage{Name: "closed", For: time.Second, Measure: true})
	d, err := c.Driver(l, c.Steps.Connections)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	requests := make(chan load.Request, 1024)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel(nil)
	group.Go(func() {
		for n := int64(0); ; n++ {
			r, err := d.Prepare(load.Arrival{N: n, Measured: true})
			if err != nil {
				cancel(err)
				return
			}
			select {
			case requests <- r:
			case <-ctx.Done():
				return
			}
		}
	})
	start := time.Now()
	rec := measure.NewRecorder([]measure.Operation{{Load: l.Name, Name: "null"}}, 2*runtime.GOMAXPROCS(0))
	done := make([]struct {
		atomic.Int64
		_ [56]byte // a cache line each
	}, c.Steps.Connections)
	for i := range done {
		group.Go(func() {
			for {
				var r load.Request
				select {
				case r = <-requests:
				case <-ctx.Done():
					return
				}
				now := time.Since(start)
				s := measure.Sample{Measured: true, Intended: now, Sent: now, Tokens: measure.NoTokens}
				r.Send(ctx, &s)
				s.Done = time.Since(start)
				rec.Record(i, &s)
				switch {
				case ctx.Err() != nil:
					return
				case s.Outcome != measure.OK:
					cancel(fmt.Errorf("the null server's answer was %s %s", s.Outcome, s.Reason))
					return
				}
				done[i].Add(1)
			}
		})
	}
	count := func(after time.Duration) (int64, time.Time) {
		select {
		case <-time.After(after):
		case <-ctx.Done():
		}
		var n int64
		for i := range done {
			n += done[i].Load()
		}
		return n, time.Now()
	}
	n1, t1 := count(c.Steps.Ceiling / 4)
	n2, t2 := count(c.Steps.Ceiling)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if n2 == n1 {
		return 0, errors.New("the null server answered nothing")
	}
	return float64(n2-n1) / t2.Sub(t1).Seconds(), nil
}

// rehearse runs a load against the null server as run does, and returns what
// the record of it says.
func rehearse(ctx context.Context, c Config, name string, l scenarios.Load, during func(time.Duration)) (*capacity.Run, capacity.Assessment, error) {
	dir := filepath.Join(c.Scratch, name)
	m, err := rehearsal.Run(ctx, ctx.Done(), rehearsal.Config{
		ID: name, Scenario: &scenarios.Scenario{Version: 1, Name: name, Loads: []scenarios.Load{l}},
		Target: "null server", Driver: c.Driver, Tool: c.Tool, Files: c.Files,
		Progress: func(p rehearsal.Progress) { during(p.Elapsed) },
	}, dir)
	if err == nil && m.State != capacity.Complete {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, capacity.Assessment{}, err
	}
	run, err := record.Read(dir)
	if err != nil {
		return nil, capacity.Assessment{}, err
	}
	return run, capacity.Assess(run), nil
}

func openLoop(ctx context.Context, c Config, rate float64) (capacity.OpenLoop, error) {
	l := plan(rate,
		scenarios.Stage{Name: "warm-up", For: c.Steps.WarmUp},
		scenarios.Stage{Name: "open", For: c.Steps.Open, Measure: true})
	run, a, err := rehearse(ctx, c, fmt.Sprintf("open-%.0f", rate), l, func(time.Duration) {})
	if err != nil {
		return capacity.OpenLoop{}, err
	}
	res := capacity.OpenLoop{Rate: rate, For: c.Steps.Open.Seconds(), Status: a.Verdict.Status, Reason: failed(a.Verdict)}
	var lags measure.Distribution
	for _, iv := range run.Latency {
		if iv.Kind == measure.Lags {
			lags.Add(iv)
		}
	}
	res.Lag = spread(&lags)
	res.CPU = cpuPerRequest(run, c.Steps.WarmUp, c.Steps.WarmUp+c.Steps.Open)
	return res, nil
}

// cpuPerRequest returns the processor time in seconds of one request in the
// whole seconds between two instants of a run.
func cpuPerRequest(run *capacity.Run, from, to time.Duration) float64 {
	first, end := int(math.Ceil(from.Seconds())), int(to.Seconds())
	var used float64
	seconds := map[int]bool{}
	for _, s := range run.Series {
		if s.Source != "generator" || s.Metric != "cpu" {
			continue
		}
		for p := range s.Points.All() {
			// A reading begins a little after the second that it is of.
			if at := int(math.Round(p.At.Sub(run.Manifest.Start).Seconds())); at >= first && at < end {
				used += p.Value * float64(run.Manifest.Machine.CPUs)
				seconds[at] = true
			}
		}
	}
	var sent int64
	for r := range run.Rows.All() {
		if seconds[r.Second] {
			sent += r.Sent
		}
	}
	if sent == 0 {
		return 0
	}
	return used / float64(sent)
}

func stall(ctx context.Context, c Config) (capacity.StallTest, error) {
	s := c.Steps
	l := plan(s.Rate,
		scenarios.Stage{Name: "warm-up", For: s.WarmUp},
		scenarios.Stage{Name: "stall", For: s.Length, Measure: true})
	// The stall begins after a quarter of the measured stage, a second later at
	// most, and must be over before that ends.
	begin := s.WarmUp + s.Length/4
	var told bool
	var tell error
	_, a, err := rehearse(ctx, c, "stall", l, func(now time.Duration) {
		if !told && now >= begin {
			told, tell = true, c.Stall(s.Stall)
		}
	})
	if err := errors.Join(err, tell); err != nil {
		return capacity.StallTest{}, err
	}
	var times capacity.Times
	for _, op := range a.Operations {
		times = op.ResponseTime
	}
	res := Judge(s, times)
	if !res.Passed && a.Verdict.Status != capacity.Valid {
		res.Reason = "the run was " + string(a.Verdict.Status) + ": " + failed(a.Verdict)
	}
	return res, nil
}

// Judge holds the printed response times of the stall self-test against their
// closed form.
func Judge(s Steps, printed capacity.Times) capacity.StallTest {
	res := capacity.StallTest{Rate: s.Rate, For: s.Length.Seconds(), Stall: s.Stall.Seconds(), Passed: true}
	worst := 0.0
	for _, q := range []struct {
		p       float64
		printed *float64
	}{{0.90, printed.P90}, {0.95, printed.P95}, {0.99, printed.P99}} {
		want := res.Stall - (1-q.p)*res.For
		if want <= 0 {
			continue // the stall is in fewer of the requests
		}
		res.Quantiles = append(res.Quantiles, capacity.StallQuantile{P: q.p, Want: want, Printed: q.printed})
		if q.printed == nil {
			res.Passed, res.Reason = false, fmt.Sprintf("p%.0f was withheld", q.p*100)
			continue
		}
		worst = max(worst, math.Abs(*q.printed-want)/want)
		res.Error = &worst
	}
	if worst > Tolerance {
		res.Passed = false
		res.Reason = fmt.Sprintf("a quantile is %s off, and may be %s", unit.HumanShare(worst), unit.HumanShare(Tolerance))
	}
	return res
}

// failed lists the checks that a verdict failed.
func failed(v capacity.Verdict) string {
	var all []string
	for _, c := range v.Failed() {
		all = append(all, c.Name+" "+c.Value)
	}
	return strings.Join(all, "; ")
}

// Peak returns the highest rate, in arrivals per second over one second, that
// the loads of a run plan together.
func Peak(plans []load.Plan) float64 {
	var end time.Duration
	for _, p := range plans {
		end = max(end, p.Load.Start+p.Load.Duration())
	}
	// Every load's stages may begin at odd instants: the second that begins
	// with each of them counts too.
	starts := []time.Duration{}
	for _, p := range plans {
		at := p.Load.Start
		for _, st := range p.Load.Profile {
			starts = append(starts, at, max(0, at+st.For-time.Second))
			at += st.For
		}
	}
	for at := time.Duration(0); at < end; at += time.Second {
		starts = append(starts, at)
	}
	slices.Sort(starts)
	var peak float64
	for _, at := range slices.Compact(starts) {
		var rate float64
		for _, p := range plans {
			rate += p.Schedule.Expected(at+time.Second) - p.Schedule.Expected(at)
		}
		peak = max(peak, rate)
	}
	return peak
}
