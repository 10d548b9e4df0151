package capacity_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/capacity/simulator/simulatortest"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// simulated assesses a run of the given profile against a System of which the
// limiters and the one operation are given.
func simulated(t *testing.T, profile, limiters, operation string) capacity.Assessment {
	t.Helper()
	return simulatedMix(t, profile, `[{name: list, graphql: {query: "query list { list }"}}]`, limiters, operation)
}

// simulatedMix assesses a run of several operations.
func simulatedMix(t *testing.T, profile, mix, limiters, operations string) capacity.Assessment {
	t.Helper()
	return capacity.Assess(simulatedRun(t, profile, mix, limiters, operations, time.Second))
}

// simulatedRun is a run whose limiters are known by so long periods.
func simulatedRun(t *testing.T, profile, mix, limiters, operations string, period time.Duration) *capacity.Run {
	t.Helper()
	s := simulatortest.Scenario(t, fmt.Sprintf(`loads:
  - name: users
    profile: %s
    operations: %s
`, profile, mix))
	sys := simulatortest.System(t, "limiters:\n"+limiters+"operations:\n"+operations)
	return simulatortest.Run(t, s, sys, simulator.Options{Seed: 1, Resolution: period})
}

// A request that one of a service's quotas refused in a minute of which nothing was
// published may have been any of them's: that the other minutes have none is no zero.
func TestRefusedInAMissingMinute(t *testing.T) {
	run := simulatedRun(t, "[{stage: hold, rate: 20/s, for: 3m}]", `[{name: list, graphql: {query: "query list { list }"}}]`,
		"  - {id: momento.item-size, kind: item_size, largest: 1MB}\n  - {id: momento.operations, kind: token_bucket, rate: 100 ops/s}\n",
		"  - name: list\n    service_time: 20ms\n    charges:\n      - {limiter: momento.item-size, amount: {mixture: [{amount: 2MB, share: 0.05%}, {amount: 1KB, share: 99.95%}]}}\n      - {limiter: momento.operations, amount: 1}\n", time.Minute)
	refused := map[time.Time]bool{}
	for _, s := range run.Series {
		for p := range s.Points.All() {
			refused[p.At] = refused[p.At] || s.Role == capacity.RoleThrottles && p.Value > 0
		}
	}
	for missing := range 2 {
		a := capacity.Assess(run)
		for _, id := range []string{"momento.item-size", "momento.operations"} {
			if n := quota(t, a, id).Throttled; (n == nil) != (missing > 0) {
				t.Errorf("%s, %d: %v refused", id, missing, n)
			}
		}
		for i := range run.Series {
			var left []measure.Point
			for p := range run.Series[i].Points.All() {
				if !refused[p.At] {
					left = append(left, p)
				}
			}
			run.Series[i].Points = measure.PointsOf(left...)
		}
	}
}

// Environments serve ten requests a second each, however short these are: 100 of
// them with requests of 20 ms bind at 1,000/s, not at 5,000/s, and both the rate
// and what a target requires say so.
func TestRequestsOfAUnit(t *testing.T) {
	const operation = "  - name: list\n    service_time: 20ms\n    charges:\n      - {limiter: lambda.concurrency, hold: service_time}\n"
	profile := "[{stage: hold, rate: 500/s, for: 60s}]"
	for _, c := range []struct {
		requests string
		binds    float64
	}{{", requests: 10/s", 1000}, {"", 5000}} {
		a := simulated(t, profile, "  - {id: lambda.concurrency, kind: concurrency, limit: 100"+c.requests+"}\n", operation)
		q := quota(t, a, "lambda.concurrency")
		if c.binds == 5000 {
			if q.BindsAt.Grade != capacity.Refused {
				t.Errorf("without a bound on requests: %+v", q.BindsAt)
			}
			continue
		}
		if math.Abs(*q.BindsAt.Rate/c.binds-1) > 1e-3 || *q.SafeRate.Rate > c.binds || *q.SafeRate.Rate < 0.8*c.binds {
			t.Errorf("binds at %v, safe to %v, want %v", *q.BindsAt.Rate, *q.SafeRate.Rate, c.binds)
		}
		if q.Required.Quota != 50 && q.Required.Quota != 51 { // 500/s of 10 each, rounded up
			t.Errorf("requires %+v", q.Required)
		}
		if !slices.ContainsFunc(q.Notes, func(n string) bool { return strings.Contains(n, "each unit allows") }) {
			t.Errorf("notes %q", q.Notes)
		}
	}
}

// Between 1.5 and 3 times the tested rate the interval covers the spread of
// models where the run's rates tell them apart, and says where they don't.
func TestSpreadOfModels(t *testing.T) {
	const (
		limiters  = "  - {id: momento.throughput, kind: token_bucket, rate: 2MB/s, burst: 2MB}\n"
		operation = "  - name: list\n    service_time: 20ms\n    charges:\n      - {limiter: momento.throughput, amount: {lognormal: {p50: 9KB, p99: 30KB}}}\n"
	)
	ramp := quota(t, simulated(t, "[{stage: ramp, ramp: 80/s, for: 120s}, {stage: hold, rate: 80/s, for: 30s}]", limiters, operation), "momento.throughput")
	hold := quota(t, simulated(t, "[{stage: hold, rate: 80/s, for: 150s}]", limiters, operation), "momento.throughput")
	for name, q := range map[string]capacity.QuotaResult{"ramp": ramp, "hold": hold} {
		if q.BindsAt.Grade != capacity.Indicative {
			t.Fatalf("%s: %+v", name, q.BindsAt)
		}
	}
	width := func(q capacity.QuotaResult) float64 { return (*q.BindsAt.High - *q.BindsAt.Low) / *q.BindsAt.Rate }
	cost := (ramp.UnitCost.High - ramp.UnitCost.Low) / ramp.UnitCost.Value
	if width(ramp) <= cost*1.02 {
		t.Errorf("the interval of a ramp, %.1f %%, is no wider than its cost's, %.1f %%", 100*width(ramp), 100*cost)
	}
	if !slices.ContainsFunc(ramp.Notes, func(n string) bool { return strings.Contains(n, "power-law") }) ||
		!slices.ContainsFunc(hold.Notes, func(n string) bool { return strings.Contains(n, "vary too little") }) {
		t.Errorf("notes %q and %q", ramp.Notes, hold.Notes)
	}
}

// One request in four charges the quota one unit: with 100 of them a second it binds at
// 400/s of all requests by any model of its use, and by none at the 100/s of those that
// charge it.
func TestSpreadOfModelsInAMix(t *testing.T) {
	const mix = `[{name: list, graphql: {query: "query list { list }"}}, {name: get, weight: 3, graphql: {query: "query get { get }"}}]`
	a := simulatedMix(t, "[{stage: ramp, ramp: 200/s, for: 60s}, {stage: hold, rate: 200/s, for: 60s}]", mix,
		"  - {id: momento.operations, kind: token_bucket, rate: 100 ops/s}\n",
		"  - {name: list, service_time: 20ms, charges: [{limiter: momento.operations, amount: 1}]}\n  - {name: get, service_time: 20ms}\n")
	if q := quota(t, a, "momento.operations"); q.BindsAt.Grade != capacity.Indicative || *q.BindsAt.Low < 340 || *q.BindsAt.High > 460 || *q.SafeRate.Rate < 300 {
		t.Errorf("binds at %v from %v to %v, safe to %v", *q.BindsAt.Rate, *q.BindsAt.Low, *q.BindsAt.High, *q.SafeRate.Rate)
	}
}

// Provisioned environments are those of the requests that charge their own limiter: the
// requests of a function run in none of its account, and those of the account in none of it.
func TestProvisionedBesideAFunction(t *testing.T) {
	const mix = `[{name: list, graphql: {query: "query list { list }"}}, {name: get, graphql: {query: "query get { get }"}}]`
	const profile = "[{stage: hold, rate: 100/s, for: 120s}]"
	operations := "  - {name: list, service_time: 100ms, charges: [{limiter: lambda.items.concurrency, hold: service_time}]}\n" +
		"  - {name: get, service_time: 100ms, charges: [{limiter: lambda.concurrency, hold: service_time}]}\n"
	for _, c := range []struct{ account, function, of string }{
		{", provisioned: 5", "", "lambda.concurrency"}, {"", ", provisioned: 5", "lambda.items.concurrency"},
	} {
		a := simulatedMix(t, profile, mix, "  - {id: lambda.concurrency, kind: concurrency, limit: 1000"+c.account+"}\n"+
			"  - {id: lambda.items.concurrency, kind: concurrency, account: lambda.concurrency"+c.function+"}\n", operations)
		s := quota(t, a, c.of).SpillOver
		if s == nil || s.Requests < 5700 || s.Requests > 6300 || math.Abs(*s.Share-0.285) > 0.04 {
			t.Fatalf("%s: %+v, want half of 12,000 requests, of which B(5, 5) = 0.285 spill over", c.of, s)
		}
		if (s.Predicted != nil) != (c.of != "lambda.concurrency") {
			t.Errorf("%s: Erlang's formula has %v of a hold that is both functions'", c.of, s.Predicted)
		}
	}
}

// A Kafka quota refuses nothing: at 1.5 times its rate requests wait longer and
// longer, and none is throttled.
func TestKafkaQuotaHoldsBack(t *testing.T) {
	a := simulated(t, "[{stage: hold, rate: 150/s, for: 18s}]", "  - {id: kafka.producer-byte-rate, kind: kafka_quota, rate: 20KB/s}\n",
		"  - name: list\n    service_time: 2ms\n    charges:\n      - {limiter: kafka.producer-byte-rate, amount: 200}\n")
	op := a.Operations[0]
	if op.Throttled != 0 || op.OK == 0 || op.ResponseTime.Max == nil || *op.ResponseTime.Max < 2 {
		t.Errorf("%+v, at most %v s", op, op.ResponseTime.Max)
	}
	if q := quota(t, a, "kafka.producer-byte-rate"); math.Abs(q.UnitCost.Value-200) > 1 || q.BindsAt == nil || math.Abs(*q.BindsAt.Rate-100) > 1 {
		t.Errorf("unit cost %+v, binds at %+v", q.UnitCost, q.BindsAt)
	}
}

// Items above a limit fail at any rate: the largest one is held against it, refused or
// not, and nothing is predicted by the rate.
func TestItemSize(t *testing.T) {
	const limiters = "  - {id: momento.item-size, kind: item_size, largest: 1MB}\n  - {id: momento.operations, kind: token_bucket, rate: 100 ops/s}\n"
	operation := func(item string) string {
		return "  - name: list\n    service_time: 20ms\n    charges:\n      - {limiter: momento.item-size, amount: " + item + "}\n      - {limiter: momento.operations, amount: 1}\n"
	}
	const profile = "[{stage: hold, rate: 80/s, for: 60s}]"
	for _, c := range []struct {
		item      string
		largest   float64
		throttled bool
	}{
		{"400KB", 4e5, false},
		{"{mixture: [{amount: 500KB, share: 95%}, {amount: 3MB, share: 5%}]}", 3e6, true},
	} {
		a := simulated(t, profile, limiters, operation(c.item))
		q := quota(t, a, "momento.item-size")
		if q.Kind != capacity.FixedQuota || q.Period != nil || *q.Peak != c.largest || math.Abs(*q.Utilization-c.largest/1e6) > 1e-9 {
			t.Errorf("%s: %s quota, peak %v, utilization %v", c.item, q.Kind, *q.Peak, *q.Utilization)
		}
		if q.UnitCost != nil || q.BindsAt != nil || q.SafeRate != nil || q.Required != nil || q.BindsFirst != nil {
			t.Errorf("%s: a size is predicted by the rate: %+v", c.item, q)
		}
		if *a.FirstToBind != "momento.operations" || strings.Contains(a.FirstToBindReason, "not measured") {
			t.Errorf("%s: %s", c.item, a.FirstToBindReason)
		}
		told := strings.HasPrefix(a.FirstToBindReason, fmt.Sprintf("momento.item-size refuses what is above 1.00 MB at any rate (%d of ", *q.Throttled)) &&
			strings.Contains(a.FirstToBindReason, "; compress the value and cut it into chunks below the limit; for the rest, momento.operations binds at 100")
		if c.throttled != (*q.Throttled > 0) || c.throttled != told || c.throttled != (a.Quotas[0].ID == q.ID) {
			t.Errorf("%s: %d throttled; %s first; %s", c.item, *q.Throttled, a.Quotas[0].ID, a.FirstToBindReason)
		}
		// What was refused for its size charged no operation, and would once it fits.
		if ops := quota(t, a, "momento.operations"); math.Abs(*ops.BindsAt.Rate-100) > 0.1 {
			t.Errorf("%s: operations bind at %v", c.item, *ops.BindsAt.Rate)
		}
	}
}

// What spills over provisioned environments is counted, and is what Erlang's loss
// formula says of it, whatever the distribution of service times: B(50, 55) and
// B(100, 100).
func TestSpillOver(t *testing.T) {
	operation := func(time string) string {
		return "  - name: list\n    service_time: " + time + "\n    charges:\n      - {limiter: lambda.concurrency, hold: service_time}\n"
	}
	limiters := func(provisioned int) string {
		return fmt.Sprintf("  - {id: lambda.concurrency, kind: concurrency, limit: 1000, provisioned: %d, init: 1s, keep_alive: 10m}\n", provisioned)
	}
	const profile = "[{stage: start, rate: 500/s, for: 1s, measure: false}, {stage: hold, rate: 500/s, for: 10m}]"
	for _, c := range []struct {
		time        string
		provisioned int
		want        float64
	}{
		{"100ms", 55, 0.05375},
		{"{exponential: {mean: 200ms}}", 100, 0.0757},
	} {
		s := quota(t, simulated(t, profile, limiters(c.provisioned), operation(c.time)), "lambda.concurrency").SpillOver
		if *s.Provisioned != float64(c.provisioned) || s.Requests < 299_000 || *s.Share != float64(s.Spilled)/float64(s.Requests) {
			t.Errorf("%s: %+v", c.time, s)
		}
		if math.Abs(*s.Predicted/c.want-1) > 0.05 || math.Abs(*s.Share/c.want-1) > 0.06 {
			t.Errorf("%s: %.5f spilled over, predicted %.5f, want %.5f", c.time, *s.Share, *s.Predicted, c.want)
		}
	}
	if s := quota(t, simulated(t, profile, limiters(0), operation("100ms")), "lambda.concurrency").SpillOver; s != nil {
		t.Errorf("nothing is provisioned: %+v", s)
	}
}
