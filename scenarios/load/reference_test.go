package load

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// silent answers after the service time, but nothing between two instants.
func silent(d *target, from, to, service time.Duration) func(context.Context, *measure.Sample) {
	return func(ctx context.Context, s *measure.Sample) {
		wait := service
		if now := time.Since(d.start); now >= from && now < to {
			wait = to - now + service
		}
		after(wait)(ctx, s)
	}
}

// Pauses of a target whose quantiles are known in closed form or published: what a
// user waits counts from when the request should have been sent.
func TestPauses(t *testing.T) {
	for _, c := range []struct {
		name      string
		rate      float64
		during    time.Duration
		from, to  time.Duration
		service   time.Duration
		mean      float64 // seconds; 0: not stated
		quantiles map[float64]float64
		within    float64
	}{
		// Gil Tene's example: 100 s at 1 ms, then nothing for 100 s (R01). Corrected,
		// the mean is 25.003 s, half of all take 1 ms and 1 % more than 98 s.
		{"Tene", 100, 200 * time.Second, 100 * time.Second, 200 * time.Second, time.Millisecond, 25.003, map[float64]float64{0.5: 0.001, 0.75: 50, 0.9: 80, 0.95: 90, 0.99: 98, 0.9999: 99.98}, 0.005},
		// The second example of wrk2's README: a pause of 1.42 s in 19.75 s at 2,000/s
		// (R42), by the model, which leaves out the time to drain.
		{"wrk2", 2000, 19750 * time.Millisecond, 10 * time.Second, 11420 * time.Millisecond, 500 * time.Microsecond, 0, map[float64]float64{0.5: 0.0005, 0.95: 0.4325, 0.99: 1.2225}, 0.02},
	} {
		in(t, func(t *testing.T, ctx context.Context) {
			l := uniform(hold(c.rate, c.during))
			l.InFlight, l.Timeout = 20_000, 10*time.Minute
			d := &target{}
			d.answer = silent(d, c.from, c.to, c.service)
			o := drive(t, ctx, nil, []scenarios.Load{l}, []*target{d})
			if o.OK != o.Planned {
				t.Errorf("%s: %d ok of %d", c.name, o.OK, o.Planned)
			}
			for p, want := range c.quantiles {
				if got := o.response.Quantile(p) / 1e6; math.Abs(got/want-1) > c.within {
					t.Errorf("%s: p%g is %.4f s, want %v", c.name, 100*p, got, want)
				}
			}
			if got := o.response.Mean() / 1e6; c.mean > 0 && math.Abs(got/c.mean-1) > c.within {
				t.Errorf("%s: mean %.3f s, want %v", c.name, got, c.mean)
			}
		})
	}
}

// Targets whose response times are known: what is recorded of them lies within 1 %.
func TestKnownTargets(t *testing.T) {
	const ms = float64(time.Millisecond)
	lognormal := func(p float64) float64 { return 20 * ms * math.Exp(0.5*math.Sqrt2*math.Erfinv(2*p-1)) }
	for name, c := range map[string]struct {
		service func(n int64) float64
		want    map[float64]float64
	}{
		"constant": {func(int64) float64 { return 10 * ms }, map[float64]float64{0: 10 * ms, 0.5: 10 * ms, 0.999: 10 * ms}},
		"one in a hundred slow": {
			func(n int64) float64 { return map[bool]float64{false: ms, true: 100 * ms}[n%100 == 50] },
			map[float64]float64{0.5: ms, 0.98: ms, 0.995: 100 * ms},
		},
		"lognormal": { // each at the next point of a sequence that is even over 0 to 1
			func(n int64) float64 { return lognormal(math.Mod((float64(n)+0.5)*math.Phi, 1)) },
			map[float64]float64{0.1: lognormal(0.1), 0.5: lognormal(0.5), 0.9: lognormal(0.9), 0.99: lognormal(0.99)},
		},
	} {
		in(t, func(t *testing.T, ctx context.Context) {
			l := uniform(hold(1000, 20*time.Second))
			l.InFlight = 5000
			var n atomic.Int64
			d := &target{answer: func(ctx context.Context, s *measure.Sample) {
				after(time.Duration(c.service(n.Add(1)-1)))(ctx, s)
			}}
			o := drive(t, ctx, nil, []scenarios.Load{l}, []*target{d})
			if o.OK != 20_000 {
				t.Errorf("%s: %d ok", name, o.OK)
			}
			for p, want := range c.want {
				if got := o.response.Quantile(p) * 1e3; math.Abs(got/want-1) > 0.01 {
					t.Errorf("%s: p%g is %.3f ms, want %.3f", name, 100*p, got/ms, want/ms)
				}
			}
		})
	}
}

// A stall of 1 s in 6 s at 200/s, with ten in flight at most (R03): what can't be
// sent in time is dropped and counted, and never a run that looks fast.
func TestStallWithTenInFlight(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		l := uniform(hold(200, 6*time.Second))
		l.InFlight = 10
		d := &target{}
		d.answer = silent(d, 2*time.Second, 3*time.Second, time.Millisecond)
		o := drive(t, ctx, nil, []scenarios.Load{l}, []*target{d})
		// All but the ten that are in flight and the 20 of the last 100 ms.
		if o.DroppedSaturation < 165 || o.DroppedSaturation > 175 || o.DroppedGenerator != 0 {
			t.Errorf("%d dropped by saturation, %d by the generator", o.DroppedSaturation, o.DroppedGenerator)
		}
	})
	in(t, func(t *testing.T, ctx context.Context) {
		l := uniform(hold(200, 6*time.Second))
		d := &target{}
		d.answer = silent(d, 2*time.Second, 3*time.Second, time.Millisecond)
		o := drive(t, ctx, nil, []scenarios.Load{l}, []*target{d})
		for p, want := range map[float64]float64{0.9: 0.4, 0.99: 0.94} {
			if got := o.response.Quantile(p) / 1e6; math.Abs(got/want-1) > 0.05 {
				t.Errorf("p%g is %.3f s, want %v", 100*p, got, want)
			}
		}
	})
}

// Targets whose quantiles are known: what a run prints is within 1 % or 0.5 ms of
// them. The first three answer from a list of equally likely times, so that the
// truth is of the list and not of a sample.
func TestTruthServers(t *testing.T) {
	const n = 20_000
	lognormal := make([]time.Duration, n)
	for i := range lognormal {
		z := math.Sqrt2 * math.Erfinv(2*(float64(i)+.5)/n-1)
		lognormal[i] = time.Duration(80e6 * math.Exp(.5*z))
	}
	bimodal := make([]time.Duration, n)
	for i := range bimodal {
		bimodal[i] = time.Millisecond
		if i%100 == 7 {
			bimodal[i] = 100 * time.Millisecond
		}
	}
	for name, times := range map[string][]time.Duration{
		"constant": slices.Repeat([]time.Duration{10 * time.Millisecond}, n), "1 % slow": bimodal, "lognormal": lognormal,
	} {
		in(t, func(t *testing.T, ctx context.Context) {
			rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { times[i], times[j] = times[j], times[i] })
			var next atomic.Int64
			d := &target{answer: func(ctx context.Context, s *measure.Sample) { after(times[next.Add(1)-1])(ctx, s) }}
			o := drive(t, ctx, nil, []scenarios.Load{uniform(hold(500, n/500*time.Second))}, []*target{d})
			if o.OK != n {
				t.Fatalf("%s: %d ok", name, o.OK)
			}
			sorted := slices.Sorted(slices.Values(times))
			for _, p := range []float64{.5, .9, .95, .989, .9905, .999} {
				want := sorted[int(math.Ceil(p*n-1e-6))-1].Seconds()
				if got := o.response.Quantile(p) / 1e6; math.Abs(got-want) > max(.01*want, .0005) {
					t.Errorf("%s: p%g is %.5f s, want %.5f s", name, 100*p, got, want)
				}
			}
		})
	}
	in(t, func(t *testing.T, ctx context.Context) { // one stall of 2 s in 20 s
		d := &target{}
		d.answer = silent(d, 5*time.Second, 7*time.Second, time.Millisecond)
		o := drive(t, ctx, nil, []scenarios.Load{uniform(hold(500, 20*time.Second))}, []*target{d})
		for _, p := range []float64{.5, .92, .95, .99, .999} {
			want := .001 + max(0, 2-(1-p)*20) // what is left of the stall
			if got := o.response.Quantile(p) / 1e6; math.Abs(got-want) > max(.01*want, .0005) {
				t.Errorf("stall: p%g is %.4f s, want %.4f s", 100*p, got, want)
			}
		}
	})
}
