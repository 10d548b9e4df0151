package simulator_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/capacity/simulator/simulatortest"
	"github.com/headroom-load/headroom/scenarios"
)

const five = `limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: %d tokens/s}
  - {id: lambda.concurrency, kind: concurrency, limit: 2000, scaling: {step: 1000, per: 10s}, init: 1s}
  - {id: dynamodb.T.read, kind: partitions, partitions: 4, rate: 5000 RCU/s, burst: 300s}
  - {id: momento.operations, kind: token_bucket, rate: 15000 ops/s}
  - {id: momento.throughput, kind: window, rate: 1.5GB/s}
operations:
  - name: list
    service_time: {lognormal: {p50: 80ms, p99: 400ms}}
    charges:
      - {limiter: appsync.request-tokens, amount: 10}
      - {limiter: lambda.concurrency, hold: service_time}
      - {limiter: dynamodb.T.read, amount: 2, key: {zipf: 500}}
      - {limiter: momento.operations, amount: 2}
      - {limiter: momento.throughput, amount: 200KB}
`

func written(t testing.TB, tokens int, profile string) (*scenarios.Scenario, *model.System) {
	t.Helper()
	return simulatortest.Scenario(t, `loads:
  - name: viewers
    profile: `+profile+`
    operations: [{name: list, graphql: {query: "query list { list }"}}]
`), simulatortest.System(t, fmt.Sprintf(five, tokens))
}

// A fluid run of an overload has the counts, tokens, peaks and times of one whose
// requests were simulated, and says what it is.
func TestFluidRun(t *testing.T) {
	s, sys := written(t, 20_000, "[{stage: warm-up, rate: 500/s, for: 5s, measure: false}, {stage: onset, ramp: 3000/s, for: 7s}, {stage: premiere, rate: 3000/s, for: 30s}]")
	single := simulate(t, s, sys)
	rates, err := simulator.Fluid(s, sys, simulator.Options{ID: "x", Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	a, b := capacity.Assess(rates), capacity.Assess(single)
	if a.Verdict.Status != capacity.Valid {
		t.Errorf("%s: %+v", a.Verdict.Status, a.Verdict.Failed())
	}
	x, y := a.Operations[0], b.Operations[0]
	if x.Planned != x.Sent || x.Sent != x.Completed || x.Completed != x.OK+x.Throttled {
		t.Errorf("not conserved: %+v", x)
	}
	near := func(what string, x, y, within float64) {
		t.Helper()
		if math.Abs(x/y-1) > within {
			t.Errorf("%s %v, of single requests %v", what, x, y)
		}
	}
	near("sent", float64(x.Sent), float64(y.Sent), 0.01)
	near("throttled", float64(x.Throttled), float64(y.Throttled), 0.02)
	near("p50", *x.ResponseTime.P50, *y.ResponseTime.P50, 0.02)
	near("p99", *x.ResponseTime.P99, *y.ResponseTime.P99, 0.03)
	for _, q := range a.Quotas {
		other := b.Quotas[slices.IndexFunc(b.Quotas, func(o capacity.QuotaResult) bool { return o.ID == q.ID })]
		near("peak of "+q.ID, *q.Peak, *other.Peak, 0.1) // chance makes peaks
		near("unit cost of "+q.ID, q.UnitCost.Value, other.UnitCost.Value, 0.03)
	}
	if *a.FirstToBind != *b.FirstToBind {
		t.Errorf("first to bind %s, of single requests %s", *a.FirstToBind, *b.FirstToBind)
	}
	if len(rates.Manifest.Notes) == 0 {
		t.Error("nothing says that the run is fluid")
	}
}

// What rates can't show is refused.
// Where nothing is by chance, that nothing was refused is no sample of anything.
func TestFluidHasNoConfidence(t *testing.T) {
	s, sys := written(t, 20_000, "[{stage: steady, rate: 500/s, for: 30s}]")
	sys.Limiters[1].Init = 0
	for _, fluid := range []bool{false, true} {
		run, err := simulator.Simulate(s, sys, simulator.Options{ID: "run", Seed: 1, Fluid: fluid})
		if err != nil {
			t.Fatal(err)
		}
		by := capacity.Assess(run).LimitedBy
		if text := strings.Join(by.Evidence, " "); by.Who != capacity.ByNothing || strings.Contains(text, "confidence") == fluid {
			t.Errorf("fluid %v: limited by %s: %s", fluid, by.Who, text)
		}
	}
}

// A spike that has gone down to next to nothing, beside another load, asks for so little
// of an empty bucket that it is lost in rounding: what comes of it is a number, and refusals
// are about those of single requests, of which cheap ones find room where dear ones don't.
func TestFluidOfNextToNothing(t *testing.T) {
	sys := simulatortest.System(t, `limiters: [{id: appsync.request-tokens, kind: token_bucket, rate: 6000 tokens/s, burst: 6000 tokens}]
operations:
  - {name: cheap, service_time: 20ms, charges: [{limiter: appsync.request-tokens, amount: 1}]}
  - {name: dear, service_time: 20ms, charges: [{limiter: appsync.request-tokens, amount: 20}]}
`)
	s := simulatortest.Scenario(t, `loads:
  - name: steady
    arrivals: uniform
    profile: [{stage: hold, rate: 100/s, for: 120s}]
    operations: [{name: cheap, graphql: {query: "query cheap { cheap }"}}]
  - name: spike
    arrivals: uniform
    start: 60s
    profile: [{stage: up, ramp: 500/s, for: 10s}, {stage: top, rate: 500/s, for: 10s}, {stage: down, ramp: 0/s, for: 10s}]
    operations: [{name: dear, graphql: {query: "query dear { dear }"}}]
`)
	var refused []float64
	for _, fluid := range []bool{false, true} {
		run, err := simulator.Simulate(s, sys, simulator.Options{ID: "x", Fluid: fluid})
		if err != nil {
			t.Fatal(err)
		}
		for _, series := range run.Series {
			for p := range series.Points.All() {
				if math.IsNaN(p.Value) {
					t.Fatalf("fluid %v: %s %s is no number at %v", fluid, series.Quota, series.Role, p.At)
				}
			}
		}
		n, _ := capacity.Refusals(run, capacity.RequestTokens)
		refused = append(refused, n)
	}
	if refused[0] < 2000 || math.Abs(refused[1]/refused[0]-1) > 0.25 {
		t.Errorf("%v refused one by one, %v by rates", refused[0], refused[1])
	}
}

func TestFluidRefuses(t *testing.T) {
	s, sys := written(t, 20_000, "[{stage: premiere, rate: 3000/s, for: 10s}]")
	s.Loads[0].Timeout = 300 * time.Millisecond
	if _, err := simulator.Fluid(s, sys, simulator.Options{}); err == nil {
		t.Error("a run with timeouts is followed by its rates")
	}
	s.Loads[0].Timeout, s.Loads[0].InFlight = time.Minute, 10
	if _, err := simulator.Fluid(s, sys, simulator.Options{}); err == nil {
		t.Error("a run above its in-flight limit is followed by its rates")
	}
}

// BenchmarkFluid simulates an hour at 5,000/s: 100 ms are allowed.
func BenchmarkFluid(b *testing.B) {
	s, sys := written(b, 100_000, "[{stage: premiere, rate: 5000/s, for: 1h}]")
	for b.Loop() {
		if _, err := simulator.Fluid(s, sys, simulator.Options{ID: "x"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRun simulates ten million arrivals through five limiters (two token
// buckets, a window, environments and a table's partitions) on one core, the whole way
// from the schedule to the run: 2 s are allowed, which are 200 ns for each.
func BenchmarkRun(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s, sys := written(b, 100_000, "[{stage: premiere, rate: 5000/s, for: 2000s}]")
	var arrivals int64
	for b.Loop() {
		run, err := simulator.Run(s, sys, simulator.Options{ID: "x"})
		if err != nil {
			b.Fatal(err)
		}
		arrivals = run.Manifest.Loads[0].Planned
	}
	b.ReportMetric(float64(arrivals), "arrivals")
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(arrivals), "ns/arrival")
}
