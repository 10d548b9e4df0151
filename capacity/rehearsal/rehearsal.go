// Package rehearsal is the room of one execution: it takes a scenario, the
// drivers that send its load and the source that reads its quotas' use, runs
// them on one clock, and leaves a complete record, whatever happens.
//
// The way of a run: plan (schedules, in-flight limits, manifest), drive (load
// is sent; each second is written to the record, stop rules are asked), drain,
// settle and collect (the cloud's series), finish. Nothing is reported from
// memory: what a run says is read back from its record.
package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/loads"
	"github.com/headroom-load/headroom/capacity/observe"
	"github.com/headroom-load/headroom/capacity/price"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// Config is what a run is made of.
type Config struct {
	// ID names the run.
	ID       string
	Scenario *scenarios.Scenario
	// Target says for readers where the load goes, without secrets.
	Target  string
	Sandbox bool
	// Driver makes the driver of a load that may have up to inFlight requests
	// waiting for their answers.
	Driver func(l scenarios.Load, inFlight int) (load.Driver, error)
	// Quotas are the resolved limits, and Want the series that show their use.
	Quotas []capacity.Quota
	Want   []measure.Series
	// Source reads Want; nil: no cloud is asked.
	Source observe.Source
	// Settle is how long the source's values may take to arrive, and for how long
	// after the last answer Live is read.
	Settle time.Duration
	// Live is read before the load, each second of it, and after it; nil: nothing
	// is.
	Live Live
	// Events are what happened before the run, such as a refused look-up.
	Events []capacity.Event
	Notes  []string
	Tool   capacity.Tool
	// Files is the limit of open files, or 0 where there is none.
	Files int
	// Calibration is what is known of this machine, or nil.
	Calibration *capacity.Calibration
	// Progress is called about once a second while load is sent, if not nil.
	Progress func(Progress)

	// wall is what the wall clock showed at a reading of the monotonic one; nil:
	// what that reading says of it.
	wall func(now time.Time) time.Time
	// send sends the load; nil: load.Run does.
	send func(ctx context.Context, abort <-chan struct{}, start time.Time, plans []load.Plan, rec *measure.Recorder)
}

// Progress is how far a run has come.
type Progress struct {
	Elapsed, Total time.Duration
	Stage          string // what goes on: a load's stage, "draining", "waiting for metrics"
	// Figures of the last whole second, over all loads.
	Planned, Sent, OK, Throttled, Errors, Dropped int64
	Tokens                                        int64
	Unfinished                                    int64 // requests that wait for an answer
}

// lead is the time between the plan and the first instant of the run, for the
// drivers to get their first requests ready.
const lead = 250 * time.Millisecond

// Plan returns the manifest of the run that the configuration describes, and
// what each load will do.
func Plan(c Config) (capacity.Manifest, []load.Plan, []measure.Operation) {
	m := capacity.Manifest{
		ID: c.ID, Kind: capacity.Measured, State: capacity.Running,
		Scenario: loads.Scenario(c.Scenario),
		Target:   c.Target, Sandbox: c.Sandbox,
		Region: c.Scenario.Target.AWS.Region, Account: c.Scenario.Target.AWS.Account,
		Quotas: c.Quotas, Expected: c.Want, Settle: c.Settle.Seconds(),
		Tool: c.Tool, Machine: machine(c.Files), Notes: c.Notes,
	}
	m.Machine.Calibration = c.Calibration
	kept, plans, operations := loads.Plan(c.Scenario, c.Files)
	m.Loads = kept
	return m, plans, operations
}

// Run executes the rehearsal and leaves its record in dir. When ctx is done no
// new request is sent, what is in flight drains, and the record says that the
// run was interrupted; when abort is closed, what is still in flight is given
// up. The returned manifest is that of the finished record. An error means that
// the record could not be made or written.
func Run(ctx context.Context, abort <-chan struct{}, c Config, dir string) (capacity.Manifest, error) {
	m, plans, operations := Plan(c)
	for i := range plans {
		d, err := c.Driver(plans[i].Load, plans[i].InFlight)
		if err != nil {
			return m, err
		}
		defer d.Close()
		plans[i].Driver = d
	}
	warming := time.Now()
	warm(ctx, plans)
	var before reading
	if c.Live != nil {
		before = read(ctx, c.Live)
	}
	start := time.Now().Add(lead)
	m.Start = start.Round(0)
	w, err := record.Create(dir, m)
	if err != nil {
		return m, err
	}
	x := &execution{
		config: c, manifest: &m, writer: w,
		recorder: measure.NewRecorder(operations, recorderShards()),
		start:    start,
		total:    total(c.Scenario),
		rules:    &rules{stop: c.Scenario.Stop, quotas: c.Quotas, spent: price.Ledger{Prices: price.With(c.Scenario.Prices)}},
		strain:   strainMeter{wall: c.wall},
		watchers: map[string]load.Watcher{},
		faults:   map[string]bool{},
		stages:   loads.Stages(c.Scenario),
	}
	for _, p := range plans {
		if d, ok := p.Driver.(load.Watcher); ok {
			x.watchers[p.Load.Name] = d
		}
	}
	// What was opened ahead stands in the record before the start.
	opened, events := x.watch(warming.UTC().Round(0), time.Since(warming))
	err = errors.Join(w.Series(opened...), w.Event(slices.Concat(c.Events, events)...))
	if err == nil && c.Live != nil {
		following, stop := context.WithCancel(context.WithoutCancel(ctx))
		x.readings = follow(following, c.Live)
		defer func() {
			stop()
			for range x.readings { // until it has ended, so that Live may be closed
			}
		}()
		err = x.keep(before)
	}
	if err == nil {
		err = x.drive(ctx, abort, plans)
	}
	if err == nil {
		err = x.collect(ctx, abort)
	}
	if m.State == capacity.Running {
		m.State = capacity.Complete
	}
	if err != nil {
		m.State, m.Reason = capacity.Interrupted, "the record could not be written: "+err.Error()
	}
	return m, errors.Join(err, w.Finish(m))
}

// The connections that are opened before the load begins: as many as it needs
// for its peak rate at an answer time of 100 ms, so many a second that no
// target takes it for an attack, and for no longer than warmUp in all.
const (
	warmAnswer    = 100 * time.Millisecond
	warmPerSecond = 100
	warmUp        = 2500 * time.Millisecond
)

// warm opens connections ahead of the load. A target that can't be reached
// shows in the run itself, where it is counted.
func warm(ctx context.Context, plans []load.Plan) {
	ctx, cancel := context.WithTimeout(ctx, warmUp)
	defer cancel()
	for _, p := range plans {
		if d, ok := p.Driver.(load.Warmer); ok {
			_ = d.Warm(ctx, ahead(p), warmPerSecond)
		}
	}
}

// ahead is how many connections of a load are to be opened before it begins.
func ahead(p load.Plan) int {
	return min(p.InFlight, int(math.Ceil(p.Load.PeakRate()*warmAnswer.Seconds())), int(warmPerSecond*warmUp.Seconds()))
}

// execution is a run while it goes on. Its methods are called by one goroutine.
type execution struct {
	config   Config
	manifest *capacity.Manifest
	writer   *record.Writer
	recorder *measure.Recorder
	start    time.Time // with its monotonic reading
	total    time.Duration
	rules    *rules
	cpu      cpuMeter
	strain   strainMeter
	flushed  time.Duration
	watchers map[string]load.Watcher // of the loads that have one
	readings <-chan reading          // of Live; nil without
	faults   map[string]bool         // of Live that were noted
	stages   []capacity.Event        // that have not begun
}

// drive sends the load and writes each second until every request has its
// outcome.
func (x *execution) drive(ctx context.Context, abort <-chan struct{}, plans []load.Plan) error {
	sending, stop := context.WithCancel(ctx)
	defer stop()
	send := x.config.send
	if send == nil {
		send = load.Run
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		send(sending, abort, x.start, plans, x.recorder)
	}()
	x.cpu.read() // from here on they measure
	x.strain.read(x.start, x.start)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	interrupted := ctx.Done()
	var failure error
	for {
		select {
		case <-finished:
			x.manifest.End = x.start.Add(time.Since(x.start)).Round(0)
			return errors.Join(failure, x.second(stop))
		case <-interrupted:
			interrupted = nil
			x.end(capacity.Interrupted, "interrupted by the user", "interrupt")
		case r := <-x.readings:
			if err := x.keep(r); err != nil && failure == nil {
				failure = err
				stop()
			}
		case <-tick.C:
			if err := x.second(stop); err != nil && failure == nil {
				failure = err
				stop() // nothing more can be written: don't go on sending
			}
		}
	}
}

// end notes why the run ends before its plan does; the first reason stays.
func (x *execution) end(state capacity.State, reason, kind string) {
	if x.manifest.State != capacity.Running {
		return
	}
	x.manifest.State, x.manifest.Reason = state, reason
	now := time.Since(x.start)
	events := append(x.begun(now), capacity.Event{At: now.Seconds(), Kind: kind, Text: reason})
	x.stages = nil // nothing is sent any more
	// A failed write shows at the next window.
	_ = x.writer.Event(events...)
}

// begun returns the stages that have begun since the last call.
func (x *execution) begun(now time.Duration) (events []capacity.Event) {
	n := 0
	for n < len(x.stages) && x.stages[n].At <= now.Seconds() {
		n++
	}
	events, x.stages = slices.Clone(x.stages[:n]), x.stages[n:]
	return events
}

// second writes what was recorded since the last call and asks the stop rules.
func (x *execution) second(stop context.CancelFunc) error {
	now := time.Since(x.start)
	if now <= 0 {
		return nil
	}
	win := x.recorder.Flush(now)
	err := errors.Join(x.writer.Window(win), x.writer.Event(x.begun(now)...))
	if now > x.flushed {
		at := x.start.Add(x.flushed).UTC().Round(0)
		series := x.strain.read(x.start, at)
		if used, ok := x.cpu.read(); ok {
			series = append(series, measure.Series{
				Source: "generator", Metric: "cpu", Statistic: "Average", Unit: "fraction", Period: time.Second,
				Points: measure.PointsOf(measure.Point{At: at, Value: used}),
			})
		}
		seen, events := x.watch(at, now-x.flushed)
		err = errors.Join(err, x.writer.Series(append(series, seen...)...), x.writer.Event(events...))
	}
	x.flushed = now
	if reason := x.rules.broken(win.Rows); reason != "" && x.manifest.State == capacity.Running {
		x.end(capacity.Stopped, reason, "stop")
		stop()
	}
	if x.config.Progress != nil {
		x.config.Progress(x.progress(now, win.Rows))
	}
	return err
}

// watch returns what the drivers saw of their targets in the last second.
func (x *execution) watch(at time.Time, period time.Duration) (series []measure.Series, events []capacity.Event) {
	period = max(period.Round(time.Second), time.Second) // points of one period make one series
	for _, name := range slices.Sorted(maps.Keys(x.watchers)) {
		seen, notices := x.watchers[name].Watch(at, period)
		for _, s := range seen {
			s.Labels["load"] = name
			series = append(series, s)
		}
		for _, n := range notices {
			events = append(events, capacity.Event{At: n.At.Sub(x.start).Seconds(), For: n.For.Seconds(), Kind: n.Kind, Text: name + ": " + n.Text})
		}
	}
	return series, events
}

func (x *execution) progress(now time.Duration, rows []measure.Row) Progress {
	p := Progress{Elapsed: now, Total: x.total, Stage: stageAt(x.config.Scenario, now)}
	for _, r := range rows {
		p.Planned += r.Planned
		p.Sent += r.Sent
		p.OK += r.OK
		p.Throttled += r.Throttled
		p.Errors += r.Failed + r.Rejected + r.Unclassified + r.TimedOut + r.GeneratorErrors
		p.Dropped += r.DroppedGenerator + r.DroppedSaturation
		p.Tokens += r.TokensDone
	}
	return p
}

// collect waits for the cloud's series and for what is read live after the load,
// and writes them.
func (x *execution) collect(ctx context.Context, abort <-chan struct{}) error {
	cloud := x.config.Source != nil && len(x.config.Want) > 0
	if !cloud && x.readings == nil {
		return nil
	}
	if ctx.Err() != nil {
		// The user has asked to end: read what is there, without waiting.
		ctx = context.WithoutCancel(ctx)
		x.config.Settle = 0
	}
	ctx, cancel := context.WithTimeout(ctx, x.config.Settle+2*time.Minute)
	defer cancel()
	go func() {
		select {
		case <-abort:
			cancel()
		case <-ctx.Done():
		}
	}()
	if x.config.Progress != nil && x.config.Settle > 0 {
		x.config.Progress(Progress{Elapsed: time.Since(x.start), Total: x.total, Stage: fmt.Sprintf("waiting %s for metrics", x.config.Settle)})
	}
	type collection struct {
		series []measure.Series
		events []capacity.Event
		lost   *measure.Lost
	}
	done := make(chan collection, 1)
	go func() {
		var c collection
		defer func() {
			c.lost = measure.Recovered(recover())
			done <- c
		}()
		if cloud {
			c.series, c.events = observe.Collector{Source: x.config.Source, Settle: x.config.Settle}.Collect(ctx, x.config.Want, x.manifest.Start, x.manifest.End)
			c.series = append(c.series, clock(x.config.Source, x.manifest.End)...)
		}
	}()
	// The last reading begins when what was acknowledged has come to rest.
	last := x.manifest.End.Add(max(x.config.Settle, liveRest))
	var failure error
	givenUp := ctx.Done()
	for collected, rested := false, x.readings == nil; !collected || !rested; {
		select {
		case c := <-done:
			if c.lost != nil {
				panic(c.lost) // as where it is read by this goroutine
			}
			collected = true
			failure = errors.Join(failure, x.writer.Series(c.series...), x.writer.Event(c.events...))
		case r := <-x.readings:
			failure = errors.Join(failure, x.keep(r))
			rested = rested || !r.began.Before(last)
		case <-givenUp:
			rested, givenUp = true, nil
		}
	}
	return failure
}

// clock returns by how much a source's clock was ahead of this machine's at the end,
// where it tells.
func clock(source observe.Source, end time.Time) []measure.Series {
	own, ok := source.(observe.Clock)
	if !ok {
		return nil
	}
	d, told := own.Ahead()
	if !told {
		return nil
	}
	return []measure.Series{{
		Source: "generator", Metric: capacity.CloudClock, Statistic: "Minimum", Unit: "s", Period: time.Second,
		Points: measure.PointsOf(measure.Point{At: end.UTC(), Value: d.Seconds()}),
	}}
}

// total returns the length of the scenario's plan.
func total(s *scenarios.Scenario) time.Duration {
	var d time.Duration
	for _, l := range s.Loads {
		d = max(d, l.Start+l.Duration())
	}
	return d
}

// stageAt names the stage of each load at an instant.
func stageAt(s *scenarios.Scenario, now time.Duration) string {
	var names []string
	for _, l := range s.Loads {
		at := l.Start
		for _, st := range l.Profile {
			if now >= at && now < at+st.For {
				names = append(names, st.Name)
			}
			at += st.For
		}
	}
	if len(names) == 0 {
		return "draining"
	}
	return strings.Join(names, ", ")
}
