package load

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// Whatever the target does and however few requests may be in flight, each arrival is
// sent at its instant, or where all places are taken when the first of them is free,
// before all later arrivals; and it is dropped exactly if that is later than its load
// allows. A queue of a few lines tells which, when, and how long each takes.
func TestPlacesInFlight(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 2026))
	dropped, late := 0, 0
	for range 60 {
		l := scenarios.Load{
			Name: "l", Arrivals: scenarios.Poisson, Seed: rng.Uint64(), Late: scenarios.Drop,
			InFlight: 1 + rng.IntN(12), Lateness: time.Duration(1+rng.IntN(300)) * time.Millisecond, Timeout: time.Minute,
			Profile: []scenarios.Stage{
				{Name: "warm", To: 40, For: 2 * time.Second},
				{Name: "a", From: 40, To: 40 + 100*rng.Float64(), For: 6 * time.Second, Measure: true},
				{Name: "b", From: 90, To: 0, For: 2 * time.Second},
			},
			Operations: []scenarios.Operation{{Name: "q", Weight: 2}, {Name: "r", Weight: 1}},
		}
		if rng.IntN(3) == 0 {
			l.Late = scenarios.Send
		}
		mean := 2 * float64(l.InFlight) / 100 * rng.Float64() // up to twice what the places carry
		from := time.Duration(8e9 * rng.Float64())
		until := from + time.Duration(1e9*rng.Float64()) // a stall
		seed := rng.Uint64()
		service := func(intended, sent time.Duration) time.Duration {
			d := time.Duration(mean * 1e9 * rand.New(rand.NewPCG(seed, uint64(intended))).ExpFloat64())
			if sent >= from && sent < until {
				d += until - sent
			}
			return d
		}

		free := make([]time.Duration, l.InFlight)
		var sent []measure.Sample
		var response []time.Duration // of measured stages
		var drops int64
		for a := range NewSchedule(l).Arrivals(0, 1) {
			place := slices.Index(free, slices.Min(free))
			at := max(a.Intended, free[place])
			if l.Late == scenarios.Drop && at-a.Intended > l.Lateness {
				drops++
				continue
			}
			free[place] = at + service(a.Intended, at)
			sent = append(sent, measure.Sample{Op: a.Operation, Measured: a.Measured, Intended: a.Intended, Sent: at})
			if at > a.Intended {
				late++
			}
			if a.Measured {
				response = append(response, free[place]-a.Intended)
			}
		}
		dropped += int(drops)

		in(t, func(t *testing.T, ctx context.Context) {
			d := new(target)
			d.answer = func(_ context.Context, s *measure.Sample) { time.Sleep(service(s.Intended, s.Sent)) } // virtual
			o := drive(t, ctx, nil, []scenarios.Load{l}, []*target{d})
			if o.Sent != int64(len(sent)) || o.DroppedSaturation != drops || o.DroppedGenerator != 0 || o.OK != o.Sent {
				t.Fatalf("sent %d, %d dropped at the limit and %d by this machine, want %d and %d\n%+v", o.Sent, o.DroppedSaturation, o.DroppedGenerator, len(sent), drops, l)
			}
			slices.SortFunc(d.samples, func(x, y measure.Sample) int { return int(x.Intended - y.Intended) })
			for i, s := range d.samples {
				if w := sent[i]; s.Op != w.Op || s.Measured != w.Measured || s.Intended != w.Intended || s.Sent != w.Sent {
					t.Fatalf("of %s, sent at %s, want %s at %s\n%+v", s.Intended, s.Sent, w.Intended, w.Sent, l)
				}
			}
			slices.Sort(response)
			if n := o.response.N(); n != int64(len(response)) {
				t.Fatalf("%d response times, want %d", n, len(response))
			}
			for _, p := range []float64{0.5, 0.9, 0.99, 1} {
				want := float64(response[max(0, int(p*float64(len(response))+0.999999)-1)].Microseconds())
				if got := o.response.Quantile(p); got < want-1 || got > want*1.002+2 {
					t.Fatalf("quantile %g is %g us, want %g\n%+v", p, got, want, l)
				}
			}
		})
	}
	if dropped < 1000 || late < 1000 {
		t.Errorf("%d were dropped and %d late: too few to tell", dropped, late)
	}
}
