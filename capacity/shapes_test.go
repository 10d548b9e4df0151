package capacity_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/fit"
	"github.com/headroom-load/headroom/capacity/plan"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/capacity/simulator/simulatortest"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// steadyAndSpike simulates 100 cheap requests a second for five minutes, beside which a
// spike goes up to 500 dear ones for ten seconds, all of it so many times.
func steadyAndSpike(t *testing.T, times float64, by time.Duration, lasts int) *capacity.Run {
	t.Helper()
	sys := simulatortest.System(t, `limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: 15000 tokens/s, burst: 15000 tokens}
  - {id: lambda.concurrency, kind: concurrency, limit: 5000}
  - {id: dynamodb.T.read, kind: token_bucket, rate: 40000 RCU/s, burst: 40000 RCU}
  - {id: momento.operations, kind: token_bucket, rate: 10000 ops/s, burst: 10000 ops}
operations:
  - name: cheap
    service_time: 20ms
    charges: [{limiter: appsync.request-tokens, amount: 1}, {limiter: lambda.concurrency, hold: service_time}, {limiter: dynamodb.T.read, amount: 1}]
  - name: dear
    service_time: 200ms
    charges: [{limiter: appsync.request-tokens, amount: 20}, {limiter: lambda.concurrency, hold: service_time}, {limiter: dynamodb.T.read, amount: 30}, {limiter: momento.operations, amount: 4}]
`)
	s := simulatortest.Scenario(t, fmt.Sprintf(`forecast: 1200/s
loads:
  - name: steady
    profile: [{stage: hold, rate: %g/s, for: %ds}]
    operations: [{name: cheap, graphql: {query: "query cheap { cheap }"}}]
  - name: spike
    start: %ds
    profile: [{stage: up, ramp: %[4]g/s, for: 10s}, {stage: top, rate: %[4]g/s, for: 10s}, {stage: down, ramp: 0/s, for: 10s}]
    operations: [{name: dear, graphql: {query: "query dear { dear }"}}]
`, 100*times, lasts, lasts/2, 500*times))
	return simulatortest.Run(t, s, sys, simulator.Options{Seed: 1, Resolution: by})
}

// The spike makes up a quarter of all arrivals and nearly all of what is charged while
// the rate is highest: 100 requests of one token and 500 of 20 are 10,100 tokens/s at
// 600/s, where the mean of the run is 5.75 tokens. The plan made 1.485 times as large
// meets 15,000 tokens/s at 891/s, and refuses just above it; at 1,200/s it takes twice
// what it took, of a quota that the spike alone charges too.
func TestLoadsOfDifferentShapes(t *testing.T) {
	for _, by := range []time.Duration{time.Second, time.Minute} {
		run := steadyAndSpike(t, 1, by, 300)
		a := capacity.Assess(run)
		for id, want := range map[string]float64{
			capacity.RequestTokens: 10100.0 / 600, "lambda.concurrency": 102.0 / 600, "dynamodb.T.read": 15100.0 / 600, "momento.operations": 4,
		} {
			q := quota(t, a, id)
			if u := q.UnitCost; u == nil || u.Low > want || u.High < want || u.High-u.Low > 0.1*want {
				t.Errorf("by %v %s costs %+v, want %v inside", by, id, u, want)
			}
			if peak := map[bool]float64{true: 500, false: 600}[id == "momento.operations"]; math.Abs(q.Required.Target-2*peak) > 0.01 || math.Abs(q.Required.Quota/(2*peak*want)-1) > 0.03 {
				t.Errorf("by %v %+v of %s are required, want %v for %v/s", by, q.Required, id, 2*peak*want, 2*peak)
			}
		}
		if q := quota(t, a, capacity.RequestTokens); a.FirstToBind == nil || *a.FirstToBind != q.ID || math.Abs(*q.BindsAt.Rate-891.09) > 0.1 || q.BindsAt.Grade != capacity.Supported {
			t.Errorf("by %v %v binds first, tokens at %+v", by, a.FirstToBind, q.BindsAt)
		}
		p, err := plan.New(run, a, plan.Request{Rate: 1200})
		if err != nil {
			t.Fatal(err)
		}
		needs := append([]plan.Need{}, p.Enough...)
		for _, s := range p.Steps {
			needs = append(needs, s.Need)
		}
		for _, n := range needs {
			want := map[string]float64{capacity.RequestTokens: 20200, "lambda.concurrency": 204, "dynamodb.T.read": 30200, "momento.operations": 4000}[n.Quota]
			if math.Abs(n.Required/want-1) > 0.03 {
				t.Errorf("by %v the plan requires %v of %s, want %v", by, n.Required, n.Quota, want)
			}
		}
		if !slices.ContainsFunc(p.Supposed, func(s string) bool { return strings.Contains(s, "the mix of the whole run") }) || !strings.HasPrefix(needs[0].Factors[len(needs[0].Factors)-1].Why, "of the mix in second 1") {
			t.Errorf("by %v it is supposed %q, and why is %+v", by, p.Supposed, needs[0].Factors)
		}
		if p.Tested != 600 || math.Abs(*p.Carries-891.09) > 0.1 {
			t.Errorf("by %v the plan carries %v/s, and %v/s were tested", by, *p.Carries, p.Tested)
		}
		f, err := fit.Runs([]*capacity.Run{run}, "fitted")
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range f.System.Operations {
			for _, c := range op.Charges {
				if want := map[string]float64{"cheap": 1, "dear": 30}[op.Name]; c.Limiter == "dynamodb.T.read" && math.Abs(c.Mean()/want-1) > 0.03 {
					t.Errorf("by %v %s is fitted to charge %v RCU, want %v", by, op.Name, c.Mean(), want)
				}
			}
		}
	}
	refused := func(times float64) float64 {
		n, _ := capacity.Refusals(steadyAndSpike(t, times, time.Second, 300), capacity.RequestTokens)
		return n
	}
	if below, above := refused(1.4), refused(1.8); below > 0 || above == 0 {
		t.Errorf("1.4 times the plan is refused %v requests, and 1.8 times the plan %v", below, above)
	}
}

// Two minutes don't tell what each of two loads charges: the cost at the spike, three
// times the mean, is n/a with the reason, and not the mean.
func TestShapesNotToldApart(t *testing.T) {
	a := capacity.Assess(steadyAndSpike(t, 1, time.Minute, 100))
	for _, id := range []string{"dynamodb.T.read", "lambda.concurrency"} {
		q := quota(t, a, id)
		if q.UnitCost != nil || q.BindsAt != nil || q.Required != nil || q.BindsAtMost != nil || !said(q, "rise and fall at different times") {
			t.Errorf("%+v", q)
		}
	}
	if q := quota(t, a, "momento.operations"); q.UnitCost == nil || q.UnitCost.Low > 4 || q.UnitCost.High < 4 {
		t.Errorf("one load charges %+v, want 4", q.UnitCost)
	}
	if !strings.Contains(a.FirstToBindReason, "sums don't tell loads of different shapes apart: dynamodb.T.read, lambda.concurrency") {
		t.Error(a.FirstToBindReason)
	}
}

// Records of two loads: 100 a second of 200 bytes, and for 30 s 400 of 2,000 beside them,
// which is 820 KB/s of 500 records, 1,640 bytes each, and 900 on average.
func TestRecordsOfDifferentShapes(t *testing.T) {
	steady := ramp("steady", 100, 100, 150*time.Second, capacity.Operation{Name: "beat", Share: 1})
	spike := ramp("spike", 400, 400, 30*time.Second, capacity.Operation{Name: "view", Share: 1})
	spike.Start = 60
	for _, l := range []capacity.Load{steady, spike} {
		l.Operations[0].Kind = "kafka"
	}
	w := world{
		loads: []capacity.Load{steady, spike}, live: true,
		quotas: []capacity.Quota{{ID: measure.KafkaByteRate, Kind: capacity.RateQuota, Limit: 1e6, Unit: "B", Period: "s", Each: "broker"}},
		serve: func(time.Duration, string, string) answer {
			return answer{outcome: measure.OK, tokens: measure.NoTokens, service: 5 * time.Millisecond}
		},
	}
	run := w.run()
	for load, size := range map[string]float64{"steady": 200, "spike": 2000} {
		bytes := measure.Series{Source: measure.KafkaClient, Metric: measure.KafkaProducedBytes, Labels: map[string]string{"load": load, "broker": "0"}, Statistic: "Sum", Period: time.Second}
		records := measure.Series{Source: measure.KafkaClient, Metric: measure.KafkaAcknowledged, Labels: map[string]string{"load": load, "topic": "t", "partition": "0"}, Statistic: "Sum", Period: time.Second}
		for r := range run.Rows.All() {
			if r.Load == load {
				at := run.Manifest.Start.Add(time.Duration(r.Second) * time.Second)
				bytes.Points.Add(measure.Point{At: at, Value: size * float64(r.OK)})
				records.Points.Add(measure.Point{At: at, Value: float64(r.OK)})
			}
		}
		run.Series = append(run.Series, bytes, records)
	}
	q := quota(t, capacity.Assess(run), measure.KafkaByteRate)
	if u := q.UnitCost; u == nil || math.Abs(u.Value-1640) > 1 || q.Required == nil || math.Abs(q.Required.Quota-820e3) > 1e3 || !said(q, "rise and fall at different times") {
		t.Errorf("a record charges %+v, %+v are required: %q", u, q.Required, q.Notes)
	}
}
