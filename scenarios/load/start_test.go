package load

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// starting is a driver whose requests are Starters. wait says when the request
// sent at an instant is answered, or that it is refused.
type starting struct {
	start time.Time
	wait  func(sent time.Duration) (time.Duration, bool)
}

type started struct{ driver *starting }

func (d *starting) Prepare(Arrival) (Request, error) { return started{d}, nil }
func (d *starting) Close() error                     { return nil }

func (r started) Send(context.Context, *measure.Sample) { panic("was not started") }

func (r started) Start(_ context.Context, s *measure.Sample, done func(bool)) {
	d, sent := r.driver.wait(s.Sent)
	if d == 0 {
		done(sent)
		return
	}
	time.AfterFunc(d, func() {
		s.Outcome, s.BytesOut = measure.OK, 1
		done(sent)
	})
}

// launch runs l with requests that are answered as wait says.
func launch(t *testing.T, ctx context.Context, abort <-chan struct{}, l scenarios.Load, wait func(time.Duration) (time.Duration, bool)) outcome {
	return drive(t, ctx, abort, []scenarios.Load{l}, []driven{&starting{wait: wait}})
}

func (d *starting) begin(start time.Time) { d.start = start }

func TestStarted(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		l := uniform(hold(1000, 10*time.Second))
		o := launch(t, ctx, nil, l, func(time.Duration) (time.Duration, bool) { return 5 * time.Millisecond, true })
		if o.OK != 10_000 || o.BytesOut != 10_000 || o.lag.Max() != 0 || o.response.Quantile(0.01) != 5000 || o.response.Max() != 5000 {
			t.Errorf("ok %d, bytes %d, lag %v, response %v to %v us", o.OK, o.BytesOut, o.lag.Max(), o.response.Quantile(0.01), o.response.Max())
		}
	})
}

// TestStartedOutage is the closed form of TestOutage, and with little room what
// can't wait for longer than its lateness is dropped.
func TestStartedOutage(t *testing.T) {
	stalled := func(sent time.Duration) (time.Duration, bool) {
		if sent >= 3*time.Second && sent < 6*time.Second {
			return 6*time.Second - sent + time.Millisecond, true
		}
		return time.Millisecond, true
	}
	in(t, func(t *testing.T, ctx context.Context) {
		l := random(1, hold(1000, 10*time.Second))
		o := launch(t, ctx, nil, l, stalled)
		if o.OK != o.Planned {
			t.Errorf("ok %d of %d", o.OK, o.Planned)
		}
		for p, want := range map[float64]float64{0.95: 2.5, 0.99: 2.9} {
			if got := o.response.Quantile(p) / 1e6; math.Abs(got/want-1) > 0.05 {
				t.Errorf("p%v is %.3f s, want %v", 100*p, got, want)
			}
		}
	})
	in(t, func(t *testing.T, ctx context.Context) {
		l := uniform(hold(200, 10*time.Second))
		l.InFlight = 10
		o := launch(t, ctx, nil, l, stalled)
		if o.DroppedSaturation != 570 || o.DroppedGenerator != 0 || o.OK != 1430 {
			t.Errorf("dropped %d by saturation and %d by the generator, ok %d", o.DroppedSaturation, o.DroppedGenerator, o.OK)
		}
		if o.lag.Max() < 90_000 || o.lag.Max() > 100_000 {
			t.Errorf("largest lag %v us, want just below the budget", o.lag.Max())
		}
	})
	in(t, func(t *testing.T, ctx context.Context) {
		l := uniform(hold(200, 10*time.Second))
		l.InFlight, l.Late = 10, scenarios.Send
		o := launch(t, ctx, nil, l, stalled)
		if o.OK != 2000 || o.lag.Max() < 2.94e6 || o.lag.Max() > 2.96e6 {
			t.Errorf("ok %d, largest lag %v us", o.OK, o.lag.Max())
		}
	})
}

// TestStartRefused: a full buffer, which is told from within Start or later.
func TestStartRefused(t *testing.T) {
	for _, later := range []time.Duration{0, time.Millisecond} {
		in(t, func(t *testing.T, ctx context.Context) {
			l := uniform(hold(100, 10*time.Second))
			o := launch(t, ctx, nil, l, func(sent time.Duration) (time.Duration, bool) {
				if sent >= 5*time.Second {
					return later, false
				}
				return 2 * time.Millisecond, true
			})
			if o.OK != 500 || o.Sent != 500 || o.DroppedSaturation != 500 || o.lag.Max() != 0 {
				t.Errorf("ok %d, sent %d, dropped %d by saturation", o.OK, o.Sent, o.DroppedSaturation)
			}
		})
	}
}

func TestStartedAbort(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		abort := make(chan struct{})
		time.AfterFunc(3*time.Second+time.Millisecond, func() { close(abort) })
		o := launch(t, ctx, abort, uniform(hold(100, 10*time.Second)), func(time.Duration) (time.Duration, bool) { return time.Second, true })
		if o.OK != 200 || o.Unfinished != 100 || o.NotDue != 700 || o.took != 3*time.Second+time.Millisecond {
			t.Errorf("ok %d, unfinished %d, not due %d after %v", o.OK, o.Unfinished, o.NotDue, o.took)
		}
		time.Sleep(2 * time.Second) // answers that nobody waits for any more
	})
}

func TestStartedStopDrains(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		ctx, stop := context.WithTimeout(ctx, 3*time.Second+time.Millisecond)
		defer stop()
		o := launch(t, ctx, nil, uniform(hold(100, 10*time.Second)), func(time.Duration) (time.Duration, bool) { return 4 * time.Second, true })
		if o.OK != 300 || o.NotDue != 700 || o.Unfinished != 0 {
			t.Errorf("ok %d, not due %d, unfinished %d", o.OK, o.NotDue, o.Unfinished)
		}
	})
}

// flown is an answer that is there at once.
type flown struct{}

func (flown) Prepare(Arrival) (Request, error)                            { return flown{}, nil }
func (flown) Close() error                                                { return nil }
func (flown) Send(context.Context, *measure.Sample)                       {}
func (flown) Start(_ context.Context, _ *measure.Sample, done func(bool)) { done(true) }

func BenchmarkStart(b *testing.B) {
	l := uniform(hold(1, time.Second))
	rec := measure.NewRecorder([]measure.Operation{{Load: l.Name, Name: "get"}}, 1)
	r := newRunner(Plan{Load: l, Driver: flown{}, Ops: []int{0}, InFlight: 10}, time.Now(), nil, context.Background(), rec)
	s := shot{request: flown{}}
	b.ReportAllocs()
	for b.Loop() {
		r.begin(s, r.now())
	}
}
