package rehearsal

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// failing rehearses a run in which every request is sent and answered, and returns
// the checks that fail. What the runtime of the machine that tests did meanwhile is
// no part of virtual time, and left out.
func failing(t *testing.T, c Config) (names []string) {
	t.Helper()
	run := rehearse(t, c, nil)
	if s := sums(t, run); s.OK != s.Planned || s.DroppedGenerator+s.DroppedSaturation != 0 {
		t.Errorf("%+v", s)
	}
	run.Series = slices.DeleteFunc(run.Series, func(s measure.Series) bool { return s.Metric == "gc_pause" || s.Metric == "sched_latency" })
	for _, check := range capacity.VerdictOf(run).Failed() {
		names = append(names, check.Name)
	}
	return names
}

// held is a driver whose Watch, which is called where the record is written,
// takes as long as a disk that hardly writes.
type held struct{ watched }

func (h held) Watch(at time.Time, period time.Duration) ([]measure.Series, []load.Notice) {
	if *h.opened > 0 { // the load goes on
		time.Sleep(5 * time.Second) // virtual
	}
	return h.watched.Watch(at, period)
}

// A disk that takes five seconds for the record of one holds up no request, loses
// no count and invents none. What is read once a second is read too rarely then,
// which the check of the processor says, and that one alone.
func TestSlowDisk(t *testing.T) {
	with := func(d load.Driver) []string {
		c := config(50, time.Minute, backend{time.Millisecond})
		c.Driver = func(scenarios.Load, int) (load.Driver, error) { return d, nil }
		return failing(t, c)
	}
	fast := watched{warming{backend{time.Millisecond}, make(chan int, 1)}, new(int64)}
	if names := with(fast); names != nil {
		t.Errorf("with a good disk %v fail", names)
	}
	slow := held{watched{warming{backend{time.Millisecond}, make(chan int, 1)}, new(int64)}}
	if names := with(slow); !slices.Equal(names, []string{capacity.CheckGeneratorCPU}) {
		t.Errorf("with a slow disk %v fail", names)
	}
}

// A wall clock that is set while the run goes on is told by its own check alone: the
// load keeps to the monotonic one. What a clock that is disciplined does is none.
func TestClockStep(t *testing.T) {
	for _, step := range []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second, -2 * time.Second} {
		c := config(50, time.Minute, backend{time.Millisecond})
		var first time.Time
		c.wall = func(now time.Time) time.Time {
			if first.IsZero() {
				first = now
			}
			wall := now.Round(0)
			if now.Sub(first) >= 30*time.Second {
				wall = wall.Add(step)
			}
			return wall
		}
		var want []string
		if step.Abs() > 100*time.Millisecond {
			want = []string{capacity.CheckClockStep}
		}
		if names := failing(t, c); !slices.Equal(names, want) {
			t.Errorf("with a step of %s %v fail, want %v", step, names, want)
		}
	}
}

// paced sends each request of one load when due says instead of at its intended
// instant, and records what it did in load.Run's way.
func paced(due func(intended time.Duration) time.Duration) func(context.Context, <-chan struct{}, time.Time, []load.Plan, *measure.Recorder) {
	return func(ctx context.Context, _ <-chan struct{}, start time.Time, plans []load.Plan, rec *measure.Recorder) {
		p := plans[0]
		var sent sync.WaitGroup
		for a := range p.Schedule.Arrivals(0, 1) {
			time.Sleep(time.Until(start.Add(due(a.Intended)))) // virtual
			r, _ := p.Driver.Prepare(a)
			s := measure.Sample{Op: p.Ops[a.Operation], Measured: a.Measured, Intended: a.Intended, Sent: time.Since(start), Tokens: measure.NoTokens}
			rec.Plan(s.Op, s.Intended, s.Measured)
			sent.Go(func() {
				r.Send(ctx, &s)
				s.Done = time.Since(start)
				rec.Record(0, &s)
			})
		}
		sent.Wait()
	}
}

// A pacer that releases requests ahead of their instants makes no request late, so
// their lag is as good as can be: only their counts tell. It is the audit of arrivals
// that does, and that alone.
func TestBiasedPacer(t *testing.T) {
	const group = 200 * time.Millisecond
	for name, c := range map[string]struct {
		due  func(intended time.Duration) time.Duration
		want []string
	}{
		"as planned":                       {func(at time.Duration) time.Duration { return at }, nil},
		"a millisecond late":               {func(at time.Duration) time.Duration { return at + time.Millisecond }, nil},
		"together at the start of a group": {func(at time.Duration) time.Duration { return at.Truncate(group) }, []string{capacity.CheckArrivals}},
		"3 % fast, set right every 5 s":    {func(at time.Duration) time.Duration { return at - at%(5*time.Second)*3/100 }, []string{capacity.CheckArrivals}},
		"a quarter of a second early":      {func(at time.Duration) time.Duration { return max(0, at-250*time.Millisecond) }, []string{capacity.CheckArrivals}},
	} {
		cfg := config(50, time.Minute, backend{3 * time.Second})
		cfg.send = paced(c.due)
		if names := failing(t, cfg); !slices.Equal(names, c.want) {
			t.Errorf("%s: %v fail, want %v", name, names, c.want)
		}
	}
}

// stalling answers after 5 ms, and not at all from second 10 to 12.
type stalling struct {
	backend
	start time.Time
}

func (b stalling) Prepare(load.Arrival) (load.Request, error) { return b, nil }

func (b stalling) Send(ctx context.Context, s *measure.Sample) {
	b.delay = 5 * time.Millisecond
	if at := time.Since(b.start); at >= 10*time.Second && at < 12*time.Second {
		b.delay = 12*time.Second - at
	}
	b.backend.Send(ctx, s)
}

// Requests that may be sent late and wait for each other at the in-flight limit make a
// run INVALID, but not because this machine was late: the check of the lag says so, of
// several operations together, the audit of arrivals says nothing, and it is the backend
// that is blamed.
func TestLateAtTheInFlightLimit(t *testing.T) {
	cfg := config(50, time.Minute, backend{})
	l := &cfg.Scenario.Loads[0]
	l.InFlight, l.Late, l.Arrivals = 1, scenarios.Send, scenarios.Uniform
	l.Operations = []scenarios.Operation{{Name: "list", Weight: 1}, {Name: "get", Weight: 1}}
	var b stalling
	cfg.Driver = func(scenarios.Load, int) (load.Driver, error) {
		b.start = time.Now().Add(lead)
		return b, nil
	}
	run := rehearse(t, cfg, nil)
	run.Series = slices.DeleteFunc(run.Series, func(s measure.Series) bool { return s.Metric == "gc_pause" || s.Metric == "sched_latency" })
	failed := capacity.VerdictOf(run).Failed()
	if len(failed) != 1 || failed[0].Name != capacity.CheckLag || !strings.Contains(failed[0].Hint, "raise in_flight of viewers") {
		t.Errorf("%+v fail, want the lag alone, for the in-flight limit", failed)
	}
	if by := capacity.Assess(run).LimitedBy; by.Who != capacity.ByBackend {
		t.Errorf("limited by %+v", by)
	}
	l.InFlight = 300
	run = rehearse(t, cfg, nil)
	run.Series = slices.DeleteFunc(run.Series, func(s measure.Series) bool { return s.Metric == "gc_pause" || s.Metric == "sched_latency" })
	if failed := capacity.VerdictOf(run).Failed(); len(failed) > 0 {
		t.Errorf("with room for the stall %+v fail", failed)
	}
}
