package simulator_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/scenarios"
)

const anything = "operations: [{name: get}]\n"

const oneLoad = `
  - name: clients
    profile: [{stage: steady, rate: 10/s, for: 5s}]
    operations: [{name: get, graphql: {query: "query get { get }"}}]
`

// link is a limiter of a System with one operation, which charges all of them.
type link struct {
	kind          string
	limit, amount int
}

func links(t *rapid.T, most int, kinds ...string) (chain []link) {
	for range rapid.IntRange(1, most).Draw(t, "limiters") {
		chain = append(chain, link{rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.IntRange(5, 80).Draw(t, "limit"), rapid.IntRange(1, 3).Draw(t, "amount")})
	}
	return chain
}

// system returns the System of a chain.
func system(t interface{ Fatal(...any) }, chain []link) *model.System {
	var limiters, charges strings.Builder
	for i, l := range chain {
		charge := fmt.Sprintf("amount: %d", l.amount)
		form := fmt.Sprintf("rate: %d ops/s", l.limit*l.amount)
		switch l.kind {
		case "concurrency":
			charge, form = "hold: service_time", fmt.Sprintf("limit: %d, scaling: {step: %[1]d, per: 10s}", l.limit)
		case "queue":
			form += ", longest: 500ms"
		}
		fmt.Fprintf(&limiters, "  - {id: l%d, kind: %s, %s}\n", i, l.kind, form)
		fmt.Fprintf(&charges, "      - {limiter: l%d, %s}\n", i, charge)
	}
	s, err := model.Parse("system.yaml", []byte("version: 1\nname: x\nlimiters:\n"+limiters.String()+"operations:\n  - name: get\n    service_time: 300ms\n    charges:\n"+charges.String()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// served counts what a System serves of arrivals, and what it refuses.
func served(s *model.System, arrivals []time.Duration) (ok, refused int) {
	b := s.Start(1)
	for _, at := range arrivals {
		if out, _ := b.Serve(at, "get"); out.RefusedBy == "" {
			ok++
		} else {
			refused++
		}
	}
	return ok, refused
}

// More of the quota that is charged last, or of the only one, never lowers the
// goodput of requests that are alike and not tried again. More of one that is
// charged before others may: what it lets through stays charged to the next even
// where a later one refuses it.
func TestMoreQuotaNeverLowersGoodput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chain := links(t, 3, "token_bucket", "concurrency", "on_demand", "queue", "window")
		var arrivals []time.Duration
		var at time.Duration
		for range 400 {
			at += time.Duration(rapid.Int64Range(0, 50e6).Draw(t, "gap"))
			arrivals = append(arrivals, at)
		}
		less, refused := served(system(t, chain), arrivals)
		if less+refused != len(arrivals) {
			t.Fatalf("%d served and %d refused of %d", less, refused, len(arrivals))
		}
		chain[len(chain)-1].limit += rapid.IntRange(1, 80).Draw(t, "more")
		if more, _ := served(system(t, chain), arrivals); more < less {
			t.Fatalf("%d served, with more of the last quota only %d", less, more)
		}
	})
}

// Every simulated request is accounted for, second by second, and the time that
// requests were in flight is their number times what they took (Little).
func TestSimulationConserves(t *testing.T) {
	plan, _ := load(t, anything, oneLoad)
	rapid.Check(t, func(t *rapid.T) {
		chain := links(t, 3, "token_bucket", "concurrency", "on_demand", "queue", "window", "partitions")
		for i := range chain {
			if chain[i].kind == "partitions" {
				chain[i].kind = "partitions, partitions: 2"
			}
		}
		rate := rapid.IntRange(1, 120).Draw(t, "rate")
		s := *plan
		s.Loads = slices.Clone(s.Loads)
		s.Loads[0].Profile = []scenarios.Stage{{Name: "onset", Ramp: true, To: float64(rate), For: 2 * time.Second, Measure: true}, {Name: "hold", From: float64(rate), To: float64(rate), For: 4 * time.Second, Measure: true}}
		s.Loads[0].InFlight = rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "in flight")
		run, err := simulator.Run(&s, system(t, chain), simulator.Options{ID: "x", Seed: rapid.Uint64().Draw(t, "seed")})
		if err != nil {
			t.Fatal(err)
		}
		var flying, planned int64
		var inFlight float64
		for r := range run.Rows.All() {
			if r.Planned != r.Sent+r.Dropped()+r.NotDue {
				t.Fatalf("second %d: %+v", r.Second, r)
			}
			planned += r.Planned
			if flying += r.Sent - r.Completed() - r.TimedOut; flying < 0 {
				t.Fatalf("until second %d %d more were answered than sent", r.Second, -flying)
			}
			inFlight += r.InFlight
		}
		if flying != 0 || planned != run.Manifest.Loads[0].Planned {
			t.Fatalf("%d in flight at the end, %d planned of %d", flying, planned, run.Manifest.Loads[0].Planned)
		}
		var took float64 // of measured requests
		for _, iv := range run.Latency {
			if iv.Kind == "service" {
				took += iv.Histogram.Mean() * float64(iv.Histogram.TotalCount()) / 1e6
			}
		}
		if math.Abs(inFlight-took) > 0.01*took+0.01 {
			t.Fatalf("%.3f s in flight, of requests that took %.3f s together", inFlight, took)
		}
	})
}

// Rates and limits k times as high have k times the counts.
func TestScaledSimulation(t *testing.T) {
	counts := func(k int) (ok, throttled float64) {
		s, sys := load(t, fmt.Sprintf(`limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: %d tokens/s}
  - {id: lambda.concurrency, kind: concurrency, limit: %d}
operations:
  - {name: get, service_time: 500ms, charges: [{limiter: appsync.request-tokens, amount: 10}, {limiter: lambda.concurrency, hold: service_time}]}
`, 6_000*k, 280*k), fmt.Sprintf(`
  - name: clients
    arrivals: uniform
    profile: [{stage: steady, rate: %d/s, for: 30s}]
    operations: [{name: get, graphql: {query: "query get { get }"}}]
`, 700*k))
		for _, op := range capacity.Assess(simulate(t, s, sys)).Operations {
			ok, throttled = ok+float64(op.OK), throttled+float64(op.Throttled)
		}
		return ok, throttled
	}
	ok, throttled := counts(1)
	okMore, throttledMore := counts(10)
	for _, x := range [][2]float64{{ok, okMore}, {throttled, throttledMore}} {
		if math.Abs(x[1]/x[0]/10-1) > 0.02 {
			t.Errorf("counts %v and, of ten times as much, %v", x[0], x[1])
		}
	}
}
