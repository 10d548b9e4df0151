package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// target is a driver whose requests are answered by a function.
type target struct {
	prepare func(Arrival) error
	answer  func(ctx context.Context, s *measure.Sample)
	mu      sync.Mutex
	samples []measure.Sample // in the order in which they were sent
	ahead   time.Duration    // the longest time that a request was prepared ahead
	start   time.Time
}

type request struct{ target *target }

func (d *target) Prepare(a Arrival) (Request, error) {
	d.ahead = max(d.ahead, a.Intended-time.Since(d.start))
	if d.prepare != nil {
		if err := d.prepare(a); err != nil {
			return nil, err
		}
	}
	return request{d}, nil
}

func (d *target) Close() error          { return nil }
func (d *target) begin(start time.Time) { d.start = start }

// driven is a driver that is told when the run begins.
type driven interface {
	Driver
	begin(start time.Time)
}

func (r request) Send(ctx context.Context, s *measure.Sample) {
	r.target.mu.Lock()
	r.target.samples = append(r.target.samples, *s)
	r.target.mu.Unlock()
	if r.target.answer != nil {
		r.target.answer(ctx, s)
	}
}

// after answers ok after a service time.
func after(d time.Duration) func(context.Context, *measure.Sample) {
	return func(ctx context.Context, s *measure.Sample) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			s.Outcome = measure.Unfinished
		}
	}
}

// outcome is what a run recorded.
type outcome struct {
	measure.Row               // all rows in one
	rows        []measure.Row // as Sum returns them
	response    measure.Distribution
	lag         measure.Distribution
	took        time.Duration
}

// drive runs loads, each against its target, and checks that no arrival is lost
// or counted twice.
func drive[D driven](t *testing.T, ctx context.Context, abort <-chan struct{}, loads []scenarios.Load, targets []D) outcome {
	t.Helper()
	var ops []measure.Operation
	var plans []Plan
	var planned int64
	start := time.Now()
	for i, l := range loads {
		p := Plan{Load: l, Schedule: NewSchedule(l), Driver: targets[i], InFlight: InFlightLimits([]scenarios.Load{l}, 0)[0]}
		for _, op := range l.Operations {
			p.Ops = append(p.Ops, len(ops))
			ops = append(ops, measure.Operation{Load: l.Name, Name: op.Name})
		}
		plans = append(plans, p)
		planned += p.Schedule.Len()
		targets[i].begin(start)
	}
	rec := measure.NewRecorder(ops, 2)
	Run(ctx, abort, start, plans, rec)
	o := outcome{took: time.Since(start)}
	w := rec.Flush(o.took)
	o.rows = w.Rows
	for _, row := range w.Rows {
		o.Add(&row)
	}
	for _, i := range w.Intervals {
		switch i.Kind {
		case measure.ResponseTimes:
			o.response.Add(i)
		case measure.Lags:
			o.lag.Add(i)
		}
	}
	if o.Planned != planned {
		t.Errorf("planned %d, the schedules have %d", o.Planned, planned)
	}
	if o.Planned != o.Sent+o.Dropped()+o.NotDue {
		t.Errorf("planned %d, sent %d, dropped %d, not due %d", o.Planned, o.Sent, o.Dropped(), o.NotDue)
	}
	if o.Sent != o.Completed()+o.TimedOut+o.GeneratorErrors+o.Unfinished {
		t.Errorf("sent %d, but completed %d, timed out %d, generator errors %d, unfinished %d", o.Sent, o.Completed(), o.TimedOut, o.GeneratorErrors, o.Unfinished)
	}
	return o
}

// in runs f in virtual time.
func in(t *testing.T, f func(t *testing.T, ctx context.Context)) {
	synctest.Test(t, func(t *testing.T) { f(t, t.Context()) })
}

func TestTenMinutesAt200(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		d := &target{answer: after(20 * time.Millisecond)}
		o := drive(t, ctx, nil, []scenarios.Load{uniform(hold(200, 10*time.Minute))}, []*target{d})
		if o.OK != 120_000 || o.Dropped() != 0 {
			t.Errorf("ok %d, dropped %d; want 120,000 and 0", o.OK, o.Dropped())
		}
		if o.took != 10*time.Minute-2500*time.Microsecond+20*time.Millisecond {
			t.Errorf("took %v", o.took)
		}
		if o.lag.Max() != 0 || o.response.Quantile(0.5) < 20_000 || o.response.Max() != 20_000 {
			t.Errorf("lag %v us, response time %v to %v us", o.lag.Max(), o.response.Quantile(0.5), o.response.Max())
		}
		for _, row := range o.rows[:600] {
			if row.Planned != 200 || row.Sent != 200 || row.PlannedSlots != row.SentSlots || row.SentSlots[3] != 20 {
				t.Fatalf("second %d: %+v", row.Second, row)
			}
		}
		if d.ahead > time.Minute {
			t.Errorf("a request was prepared %v ahead", d.ahead)
		}
	})
}

func TestPoissonIsSentAsPlanned(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		l := random(1, ramp(0, 500, 10*time.Second), hold(0, 3*time.Second), hold(500, 10*time.Second))
		l.Start = 2 * time.Second
		l.Operations = []scenarios.Operation{{Name: "a", Weight: 3}, {Name: "b", Weight: 1}}
		l.Profile[0].Measure = false
		d := &target{answer: after(time.Second)}
		drive(t, ctx, nil, []scenarios.Load{l}, []*target{d})
		n := 0
		for a := range NewSchedule(l).Arrivals(0, 1) {
			if s := d.samples[n]; s.Intended != a.Intended || s.Sent != a.Intended || s.Op != a.Operation || s.Measured != a.Measured {
				t.Fatalf("arrival %+v was sent as %+v", a, s)
			}
			n++
		}
		if n != len(d.samples) {
			t.Errorf("sent %d of %d", len(d.samples), n)
		}
	})
}

// outage holds every request that comes from second 3 to 6 until second 6.
func outage(d *target) func(context.Context, *measure.Sample) {
	return func(ctx context.Context, s *measure.Sample) {
		if now := time.Since(d.start); now >= 3*time.Second && now < 6*time.Second {
			time.Sleep(6*time.Second - now)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestOutage is the closed form of a stall of D = 3 s in T = 10 s: quantile p of
// the response time from the intended instant is D - (1-p)T.
func TestOutage(t *testing.T) {
	for _, arrivals := range []scenarios.Arrivals{scenarios.Uniform, scenarios.Poisson} {
		in(t, func(t *testing.T, ctx context.Context) {
			l := uniform(hold(200, 10*time.Second))
			l.Arrivals = arrivals
			d := &target{}
			d.answer = outage(d)
			o := drive(t, ctx, nil, []scenarios.Load{l}, []*target{d})
			if o.Sent != o.Planned || o.OK != o.Planned {
				t.Errorf("%s: sent %d, ok %d of %d", arrivals, o.Sent, o.OK, o.Planned)
			}
			for p, want := range map[float64]float64{0.95: 2.5, 0.99: 2.9} {
				if got := o.response.Quantile(p) / 1e6; math.Abs(got/want-1) > 0.05 {
					t.Errorf("%s: p%v is %.3f s, want %v", arrivals, 100*p, got, want)
				}
			}
		})
	}
}

func TestOutageWithTenInFlight(t *testing.T) {
	for _, late := range []scenarios.Late{scenarios.Drop, scenarios.Send} {
		in(t, func(t *testing.T, ctx context.Context) {
			l := uniform(hold(200, 10*time.Second))
			l.InFlight, l.Late = 10, late
			d := &target{}
			d.answer = outage(d)
			o := drive(t, ctx, nil, []scenarios.Load{l}, []*target{d})
			if late == scenarios.Send {
				// 590 arrivals wait for up to 3 s less 50 ms; ten at a time are
				// sent each millisecond.
				if o.Sent != 2000 || o.lag.Max() < 2.94e6 || o.lag.Max() > 2.96e6 {
					t.Errorf("send: sent %d, largest lag %v us", o.Sent, o.lag.Max())
				}
				return
			}
			// Of 600 arrivals in the outage 10 are held and the last 20 have
			// waited for less than 100 ms when it ends.
			if o.DroppedSaturation != 570 || o.DroppedGenerator != 0 || o.Sent != 1430 {
				t.Errorf("dropped %d by saturation and %d by the generator, sent %d", o.DroppedSaturation, o.DroppedGenerator, o.Sent)
			}
			if o.lag.Max() < 90_000 || o.lag.Max() > 100_000 {
				t.Errorf("largest lag %v us, want just below the budget", o.lag.Max())
			}
			if want := 3001000 - 2500.0; o.response.Max() != want {
				t.Errorf("largest response time %v us, want %v: from the intended instant", o.response.Max(), want)
			}
			for _, row := range o.rows {
				for i, n := range row.SentSlots {
					if n > row.PlannedSlots[i]+20 {
						t.Errorf("slot %d of second %d: sent %d of %d planned", i, row.Second, n, row.PlannedSlots[i])
					}
				}
			}
		})
	}
}

// stalling is a timer that holds its user once, for d, on the first wait for an
// instant after at.
type stalling struct {
	timer
	at, d time.Duration
}

func (s *stalling) wait(until time.Duration) bool {
	if until > s.at {
		time.Sleep(s.d)
		s.d = 0
	}
	return s.timer.wait(until)
}

// stall runs l, holds the generator for d when the first arrival after at is
// due, and returns the runner and what was recorded.
func stall(ctx context.Context, l scenarios.Load, at, d time.Duration, answer func(context.Context, *measure.Sample)) (*runner, *target, measure.Row, []measure.Row) {
	start := time.Now()
	rec := measure.NewRecorder([]measure.Operation{{Load: l.Name, Name: "get"}}, 1)
	t := &target{start: start, answer: answer}
	p := Plan{Load: l, Schedule: NewSchedule(l), Driver: t, Ops: []int{0}, InFlight: InFlightLimits([]scenarios.Load{l}, 0)[0]}
	r := newRunner(p, start, ctx.Done(), ctx, rec)
	r.timer = &stalling{r.timer, at, d}
	r.run()
	var sum measure.Row
	rows := measure.Sum(rec.Flush(0).Rows)
	for _, row := range rows {
		sum.Add(&row)
	}
	return r, t, sum, rows
}

// TestNoBurstAfterStall holds the generator itself for 500 ms.
func TestNoBurstAfterStall(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		const rate = 1000
		l := uniform(hold(rate, 3*time.Second))
		_, _, sum, rows := stall(ctx, l, time.Second, 500*time.Millisecond, after(time.Millisecond))
		for _, row := range rows {
			for i, n := range row.SentSlots {
				if budget := int64(rate * l.Lateness / time.Second); n > row.PlannedSlots[i]+budget {
					t.Errorf("slot %d of second %d: sent %d of %d planned and %d of the budget", i, row.Second, n, row.PlannedSlots[i], budget)
				}
			}
		}
		if sum.DroppedGenerator < 395 || sum.DroppedGenerator > 405 || sum.DroppedSaturation != 0 || sum.Sent+sum.DroppedGenerator != 3*rate {
			t.Errorf("sent %d, dropped %d by the generator and %d by saturation", sum.Sent, sum.DroppedGenerator, sum.DroppedSaturation)
		}
	})
}

// TestStallNeedsFewWorkers: what fell due while this machine was held is worked
// off by the workers that the target's pace needs (rate x service time) and a few
// more, in order, and before long. The bounds leave room for the order in which
// the scheduler lets goroutines run, which virtual time doesn't settle.
func TestStallNeedsFewWorkers(t *testing.T) {
	for _, c := range []struct {
		rate          float64
		service       time.Duration
		at, stall     time.Duration
		workers       int           // at most; one for each late arrival would be rate x stall
		lasts         time.Duration // until arrivals are on time again, after the stall
		droppedAtMost int64
	}{
		{5000, time.Millisecond, time.Second, 100 * time.Millisecond, 70, 40 * time.Millisecond, 10},
		{5000, time.Millisecond, time.Second, 20 * time.Millisecond, 45, 20 * time.Millisecond, 0},
		{20_000, 200 * time.Microsecond, time.Second, 66 * time.Millisecond, 120, 20 * time.Millisecond, 0},
		{2000, 20 * time.Millisecond, time.Second, 60 * time.Millisecond, 200, 80 * time.Millisecond, 0},
		{1000, 400 * time.Millisecond, time.Second, 90 * time.Millisecond, 500, 2 * time.Millisecond, 0},
		{5000, time.Millisecond, 0, 50 * time.Millisecond, 60, 40 * time.Millisecond, 0},       // there is no worker yet
		{5000, 20 * time.Millisecond, 0, 50 * time.Millisecond, 400, 80 * time.Millisecond, 0}, // and the target takes its time
	} {
		in(t, func(t *testing.T, ctx context.Context) {
			l := uniform(hold(c.rate, 2*time.Second))
			r, d, sum, _ := stall(ctx, l, c.at, c.stall, after(c.service))
			name := fmt.Sprintf("%v/s of %v, stalled for %v at %v", c.rate, c.service, c.stall, c.at)
			if r.started > c.workers {
				t.Errorf("%s: %d workers, want at most %d", name, r.started, c.workers)
			}
			if sum.DroppedSaturation > 0 || sum.DroppedGenerator > c.droppedAtMost || sum.Sent+sum.Dropped() != sum.Planned {
				t.Errorf("%s: dropped %d by the generator and %d by saturation of %d, sent %d", name, sum.DroppedGenerator, sum.DroppedSaturation, sum.Planned, sum.Sent)
			}
			var late, sent, before, at time.Duration // before is the last arrival that was sent before the instant at
			for _, s := range d.samples {
				if s.Sent > at {
					before, at = sent, s.Sent
				}
				if sent = max(sent, s.Intended); s.Intended < before {
					t.Fatalf("%s: the arrival of %v was sent after that of %v", name, s.Intended, before)
				}
				if s.Sent-s.Intended > moment {
					late = s.Sent
				}
			}
			t.Logf("%s: %d workers, dropped %d, late until %v after the stall", name, r.started, sum.Dropped(), late-c.at-c.stall)
			if after := late - c.at - c.stall; after > c.lasts {
				t.Errorf("%s: arrivals were late for %v after it, want %v", name, after, c.lasts)
			}
		})
	}
}

// TestStallMeetsOutage: the target answers nothing from the moment in which the
// generator is held. Every arrival still gets its worker.
func TestStallMeetsOutage(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		l := uniform(hold(1000, time.Second), hold(0, 5*time.Second))
		_, d, sum, _ := stall(ctx, l, 960*time.Millisecond, 20*time.Millisecond, func(_ context.Context, s *measure.Sample) {
			if s.Sent > 950*time.Millisecond {
				time.Sleep(3 * time.Second)
			}
		})
		if sum.Sent != 1000 {
			t.Errorf("sent %d, dropped %d", sum.Sent, sum.Dropped())
		}
		if s := d.samples[999]; s.Sent > 1020*time.Millisecond {
			t.Errorf("the last arrival was sent at %v", s.Sent)
		}
	})
}

func TestSlowPrepare(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		d := &target{prepare: func(Arrival) error { time.Sleep(20 * time.Millisecond); return nil }}
		o := drive(t, ctx, nil, []scenarios.Load{uniform(hold(200, 10*time.Second))}, []*target{d})
		// One in four is what 20 ms each allow.
		if o.DroppedSaturation != 0 || o.Sent < 400 || o.Sent > 510 {
			t.Errorf("dropped %d by the generator, %d by saturation, sent %d", o.DroppedGenerator, o.DroppedSaturation, o.Sent)
		}
		if o.lag.Max() > 100_000 {
			t.Errorf("largest lag %v us", o.lag.Max())
		}
	})
}

func TestPrepareFails(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		d := &target{prepare: func(a Arrival) error {
			if a.N%4 == 0 {
				return errors.New("no credentials")
			}
			return nil
		}}
		o := drive(t, ctx, nil, []scenarios.Load{uniform(hold(100, time.Second))}, []*target{d})
		if o.GeneratorErrors != 25 || o.OK != 75 || o.Reasons["generator_error no credentials"] != 25 {
			t.Errorf("%d generator errors, %d ok, reasons %v", o.GeneratorErrors, o.OK, o.Reasons)
		}
	})
}

func TestStopDrains(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		ctx, stop := context.WithTimeout(ctx, 3*time.Second+time.Millisecond)
		defer stop()
		d := &target{answer: after(4 * time.Second)}
		o := drive(t, ctx, nil, []scenarios.Load{uniform(hold(100, 10*time.Second))}, []*target{d})
		if o.OK != 300 || o.NotDue != 700 || o.Dropped() != 0 || o.Unfinished != 0 {
			t.Errorf("ok %d, not due %d, dropped %d, unfinished %d", o.OK, o.NotDue, o.Dropped(), o.Unfinished)
		}
		if o.took != 3*time.Second-5*time.Millisecond+4*time.Second {
			t.Errorf("took %v, want until the last answer", o.took)
		}
		for _, row := range o.rows {
			if row.Second > 2 && row.Second < 10 && row.NotDue != 100 {
				t.Errorf("second %d: not due %d", row.Second, row.NotDue)
			}
		}
	})
}

func TestStopWhileSaturated(t *testing.T) {
	for _, late := range []scenarios.Late{scenarios.Drop, scenarios.Send} {
		in(t, func(t *testing.T, ctx context.Context) {
			ctx, stop := context.WithTimeout(ctx, 30*time.Second+time.Millisecond)
			defer stop()
			l := uniform(hold(100, time.Minute))
			l.InFlight, l.Late = 5, late
			o := drive(t, ctx, nil, []scenarios.Load{l}, []*target{{answer: after(time.Minute)}})
			if o.OK != 5 || o.took > time.Minute+time.Second {
				t.Errorf("%s: ok %d after %v", late, o.OK, o.took)
			}
			// What came due and was neither sent nor dropped while it waited is
			// at most what may wait.
			if notDue := o.NotDue - 3000; notDue < 0 || late == scenarios.Drop && notDue > 1 || notDue > 3000-aheadCount {
				t.Errorf("%s: not due %d, dropped %d", late, o.NotDue, o.Dropped())
			}
		})
	}
}

func TestAbort(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		abort := make(chan struct{})
		time.AfterFunc(3*time.Second+time.Millisecond, func() { close(abort) })
		d := &target{answer: after(time.Second)}
		o := drive(t, ctx, abort, []scenarios.Load{uniform(hold(100, 10*time.Second))}, []*target{d})
		if o.OK != 200 || o.Unfinished != 100 || o.NotDue != 700 {
			t.Errorf("ok %d, unfinished %d, not due %d", o.OK, o.Unfinished, o.NotDue)
		}
		if o.took != 3*time.Second+time.Millisecond {
			t.Errorf("took %v", o.took)
		}
	})
}

func TestStoppedBeforeItBegan(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		ctx, stop := context.WithCancel(ctx)
		stop()
		l := random(1, hold(100, 24*time.Hour))
		l.Operations = append(l.Operations, scenarios.Operation{Name: "list", Weight: 1})
		o := drive(t, ctx, nil, []scenarios.Load{l}, []*target{{}})
		if o.Sent != 0 || o.NotDue != o.Planned || len(o.rows) != 2*24*3600 {
			t.Errorf("sent %d, not due %d of %d in %d rows", o.Sent, o.NotDue, o.Planned, len(o.rows))
		}
	})
}

func TestPauseAndTwoLoads(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		a := uniform(hold(10, 2*time.Second), hold(0, 5*time.Minute), hold(10, 2*time.Second))
		b := uniform(ramp(0, 4000, 2*time.Second))
		b.Name, b.Start = "others", 4*time.Minute
		da, db := &target{}, &target{answer: after(10 * time.Millisecond)}
		o := drive(t, ctx, nil, []scenarios.Load{a, b}, []*target{da, db})
		if len(da.samples) != 40 || len(db.samples) != 4000 || o.OK != 4040 {
			t.Errorf("sent %d and %d, ok %d", len(da.samples), len(db.samples), o.OK)
		}
		if s := da.samples[20]; s.Sent != 5*time.Minute+2*time.Second+50*time.Millisecond {
			t.Errorf("first arrival after the pause was sent at %v", s.Sent)
		}
		if da.ahead > time.Minute || db.ahead > time.Minute {
			t.Errorf("requests were prepared %v and %v ahead", da.ahead, db.ahead)
		}
		if first, last := db.samples[0].Sent, db.samples[3999].Sent; first < 4*time.Minute || last > 4*time.Minute+2*time.Second {
			t.Errorf("the second load ran from %v to %v", first, last)
		}
		// From groupRate on, arrivals leave at whole milliseconds.
		for _, s := range db.samples {
			if lag := s.Sent - s.Intended; lag < 0 || lag >= groupTime || s.Sent%groupTime != 0 {
				t.Fatalf("intended %v, sent %v", s.Intended, s.Sent)
			}
		}
	})
}

// At 20,000/s five arrivals leave together, 250 us apart.
func TestGroupsOfFive(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		d := &target{}
		drive(t, ctx, nil, []scenarios.Load{uniform(hold(20_000, time.Second))}, []*target{d})
		together := make(map[time.Duration]int)
		for _, s := range d.samples {
			if lag := s.Sent - s.Intended; lag < 0 || lag >= 250*time.Microsecond {
				t.Fatalf("intended %v, sent %v", s.Intended, s.Sent)
			}
			together[s.Sent]++
		}
		for at, n := range together {
			if n != groupSize {
				t.Fatalf("%d arrivals left at %v", n, at)
			}
		}
	})
}

func TestPrecisePacing(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		l := random(1, hold(5000, 2*time.Second))
		l.Pacing = scenarios.Precise
		d := &target{}
		drive(t, ctx, nil, []scenarios.Load{l}, []*target{d})
		for _, s := range d.samples {
			if s.Sent != s.Intended {
				t.Fatalf("intended %v, sent %v", s.Intended, s.Sent)
			}
		}
	})
}

// TestExactTimer uses the machine's own time.
func TestExactTimer(t *testing.T) {
	stopped := make(chan struct{})
	start := time.Now()
	timer := newExact(start, stopped)
	defer timer.close()
	for _, until := range []time.Duration{-time.Second, 0, 1, time.Microsecond, 700 * time.Microsecond, 3 * time.Millisecond, 3*time.Millisecond + 1, 10 * time.Millisecond} {
		if !timer.wait(until) {
			t.Errorf("the wait for %v was stopped", until)
		}
		if now := time.Since(start); now < until {
			t.Errorf("waited until %v, want %v", now, until)
		}
	}
	until := 10 * time.Millisecond
	if n := testing.AllocsPerRun(20, func() {
		until += 100 * time.Microsecond
		timer.wait(until)
	}); n > 0 {
		t.Errorf("a wait allocates %v times", n)
	}
	time.AfterFunc(5*time.Millisecond, func() { close(stopped) })
	if timer.wait(time.Hour) || timer.wait(0) {
		t.Error("a wait wasn't stopped")
	}
}

// TestWorkersAreReused: as many as requests overlap, not one for each arrival.
func TestWorkersAreReused(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		l := uniform(hold(100, 10*time.Second))
		start := time.Now()
		d := &target{start: start, answer: after(45 * time.Millisecond)}
		rec := measure.NewRecorder([]measure.Operation{{}}, 1)
		r := newRunner(Plan{Load: l, Schedule: NewSchedule(l), Driver: d, Ops: []int{0}, InFlight: 1000}, start, ctx.Done(), ctx, rec)
		if r.run(); r.started != 5 {
			t.Errorf("%d workers for 100/s of 45 ms, want 5", r.started)
		}
	})
}

func TestWideLatenessKeepsOrder(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		l := uniform(hold(100, 5*time.Second))
		l.InFlight, l.Lateness = 1, time.Hour
		d := &target{answer: after(20 * time.Millisecond)}
		o := drive(t, ctx, nil, []scenarios.Load{l}, []*target{d})
		if o.Sent != 500 || o.Dropped() != 0 {
			t.Errorf("sent %d, dropped %d", o.Sent, o.Dropped())
		}
		for i, s := range d.samples {
			if want := time.Duration(i)*10*time.Millisecond + 5*time.Millisecond; s.Intended != want {
				t.Fatalf("request %d is the arrival of %v", i, s.Intended)
			}
		}
	})
}

// null answers at once.
type null struct{}

func (null) Prepare(Arrival) (Request, error)          { return null{}, nil }
func (null) Close() error                              { return nil }
func (null) Send(_ context.Context, s *measure.Sample) {}

// BenchmarkRun measures what an arrival costs on its way through the runner,
// with nothing to wait for.
func BenchmarkRun(b *testing.B) {
	for _, inFlight := range []int{1, 64} {
		b.Run(fmt.Sprintf("in flight %d", inFlight), func(b *testing.B) {
			l := uniform(hold(1e9, time.Duration(b.N)))
			l.Late = scenarios.Send
			p := Plan{Load: l, Schedule: NewSchedule(l), Driver: null{}, Ops: []int{0}, InFlight: inFlight}
			rec := measure.NewRecorder([]measure.Operation{{}}, 1)
			b.ReportAllocs()
			b.ResetTimer()
			Run(b.Context(), nil, time.Now(), []Plan{p}, rec)
		})
	}
}
