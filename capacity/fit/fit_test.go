package fit_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/fit"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/capacity/simulator/simulatortest"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// truth is a System with varying amounts, limits as given.
func truth(t testing.TB, tokens, environments int) *model.System {
	t.Helper()
	return simulatortest.System(t, fmt.Sprintf(`as_of: 2026-11-21
limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: %d tokens/s, burst: %[1]d tokens}
  - {id: lambda.concurrency, kind: concurrency, limit: %d}
  - {id: momento.throughput, kind: token_bucket, rate: 50MB/s, burst: 50MB}
operations:
  - name: list
    service_time: {lognormal: {p50: 80ms, p99: 400ms}}
    response: {bytes: 2KB}
    charges:
      - {limiter: appsync.request-tokens, amount: {mixture: [{amount: 1, share: 60%%}, {amount: 3, share: 30%%}, {amount: 12, share: 10%%}]}}
      - {limiter: lambda.concurrency, hold: service_time}
      - {limiter: momento.throughput, amount: {lognormal: {p50: 20KB, p99: 120KB}}}
  - name: get
    service_time: {exponential: {mean: 30ms}}
    charges:
      - {limiter: appsync.request-tokens, amount: 1}
      - {limiter: lambda.concurrency, hold: service_time}
`, tokens, environments))
}

func scenario(t testing.TB, rate float64, seed int) *scenarios.Scenario {
	t.Helper()
	return simulatortest.Scenario(t, fmt.Sprintf(`loads:
  - name: users
    seed: %d
    profile: [{stage: hold, rate: %g/s, for: 120s}]
    operations:
      - {name: list, weight: 3, graphql: {query: "query list { list }"}}
      - {name: fetch, weight: 1, graphql: {query: "query get { get }"}}
`, seed, rate))
}

func simulate(t testing.TB, s *scenarios.Scenario, sys *model.System, seed uint64) *capacity.Run {
	t.Helper()
	return simulatortest.Run(t, s, sys, simulator.Options{ID: fmt.Sprintf("run-%d", seed), Seed: seed})
}

// What a System is made of is found again in the System that is fitted to its
// run, and the operation of another name is known by the name that is sent.
func TestFindsTheSystemAgain(t *testing.T) {
	f, err := fit.Runs([]*capacity.Run{simulate(t, scenario(t, 200, 1), truth(t, 5000, 1000), 1), simulate(t, scenario(t, 100, 2), truth(t, 5000, 1000), 2)}, "again")
	if err != nil {
		t.Fatal(err)
	}
	if len(f.System.Operations) != 2 || len(f.System.Limiters) != 3 {
		t.Fatalf("%s", f.Text)
	}
	for _, op := range f.System.Operations {
		switch op.Name {
		case "list":
			if op.ServiceTime.Shape != model.Lognormal || !within(op.ServiceTime.P50.Seconds(), 0.08, 0.03) || !within(op.ServiceTime.P99.Seconds(), 0.4, 0.1) {
				t.Errorf("list takes %+v", op.ServiceTime)
			}
			if op.Response.Bytes != 2000 {
				t.Errorf("list answers %d bytes", op.Response.Bytes)
			}
		case "get":
			if op.ServiceTime.Shape != model.Exponential || !within(op.ServiceTime.Mean.Seconds(), 0.03, 0.05) {
				t.Errorf("get takes %+v", op.ServiceTime)
			}
		default:
			t.Errorf("operation %s", op.Name)
		}
		for _, c := range op.Charges {
			want := map[string]float64{"list appsync.request-tokens": 2.7, "get appsync.request-tokens": 1, "list momento.throughput": truth(t, 1000, 1).Operations[0].Charges[2].Amount.Mean()}[op.Name+" "+c.Limiter]
			if want > 0 && !within(c.Amount.Mean(), want, 0.05) {
				t.Errorf("%s charges %v of %s, want %v", op.Name, c.Amount.Mean(), c.Limiter, want)
			}
			if op.Name == "list" && c.Limiter == "appsync.request-tokens" && len(c.Amount.Mixture) != 3 {
				t.Errorf("the mixture of tokens is lost: %+v", c.Amount)
			}
		}
	}
	for _, want := range []string{"run-1, simulated, 2026-11-21", "run-2", "the network's time included", "System file x"} {
		if !strings.Contains(string(f.Text), want) {
			t.Errorf("the file doesn't say %q:\n%s", want, f.Text)
		}
	}
}

// A run that tells no bytes, as one simulated of a System that doesn't say how many
// answers have, takes no part in their mean.
func TestBytesOfThoseThatTell(t *testing.T) {
	silent := truth(t, 5000, 1000)
	for i := range silent.Operations {
		silent.Operations[i].Response.Bytes = 0
	}
	f, err := fit.Runs([]*capacity.Run{simulate(t, scenario(t, 100, 1), truth(t, 5000, 1000), 1), simulate(t, scenario(t, 200, 2), silent, 2)}, "again")
	if err != nil {
		t.Fatal(err)
	}
	if got := f.System.Operations[0]; got.Name != "list" || got.Response.Bytes != 2000 {
		t.Errorf("%s answers %d bytes, want 2,000", got.Name, got.Response.Bytes)
	}
}

// A limit of sizes has no cost per request: what was refused for its size is as large
// as the largest, in the share of those that came so far.
func TestSizes(t *testing.T) {
	sys := simulatortest.System(t, `limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: 50 tokens/s, burst: 50 tokens}
  - {id: momento.item-size, kind: item_size, largest: 1MB}
operations:
  - name: list
    service_time: 80ms
    charges:
      - {limiter: appsync.request-tokens, amount: 1}
      - {limiter: momento.item-size, amount: {mixture: [{amount: 300KB, share: 80%}, {amount: 3MB, share: 20%}]}}
  - name: get
    service_time: 80ms
    charges:
      - {limiter: appsync.request-tokens, amount: 1}
`)
	f, err := fit.Runs([]*capacity.Run{simulate(t, scenario(t, 100, 1), sys, 1)}, "again") // half of it is refused before
	if err != nil {
		t.Fatal(err)
	}
	l := f.System.Limiters[len(f.System.Limiters)-1]
	if l.ID != "momento.item-size" || l.Kind != model.ItemSize || l.Limit != 1e6 {
		t.Fatalf("%s", f.Text)
	}
	for _, op := range f.System.Operations {
		for _, c := range op.Charges {
			if c.Limiter != l.ID {
				continue
			}
			if m := c.Amount.Mixture; op.Name != "list" || len(m) != 2 || m[0].Amount != 3e6 || !within(m[0].Share, 0.2, 0.05) || m[1].Amount != 1e6 {
				t.Errorf("%s charges %+v", op.Name, c.Amount)
			}
		}
	}
}

// A table's partitions stay what they are: full at the same use, with the same savings,
// and no quota of AWS that one could have raised. A limit by the second stays one, too.
func TestKindsStay(t *testing.T) {
	sys := simulatortest.System(t, `limiters:
  - {id: momento.operations, kind: window, rate: 700 ops/s}
  - {id: dynamodb.Episodes.read, kind: partitions, partitions: 4, rate: 100 RCU/s, burst: 30s}
  - {id: kafka.producer-byte-rate, kind: kafka_quota, rate: 900KB/s}
operations:
  - {name: list, service_time: 80ms, charges: [{limiter: momento.operations, amount: 1}, {limiter: kafka.producer-byte-rate, amount: 200}, {limiter: dynamodb.Episodes.read, amount: 2, key: {zipf: 500}}]}
  - {name: get, service_time: 80ms, charges: [{limiter: momento.operations, amount: 1}]}
`)
	found := func(run *capacity.Run) capacity.Quota {
		return run.Manifest.Quotas[slices.IndexFunc(run.Manifest.Quotas, func(q capacity.Quota) bool { return q.ID == "dynamodb.Episodes.read" })]
	}
	run := simulate(t, scenario(t, 100, 1), sys, 1)
	f, err := fit.Runs([]*capacity.Run{run}, "again")
	if err != nil {
		t.Fatal(err)
	}
	if l := f.System.Limiters; len(l) != 3 || l[2].Kind != model.KafkaQuota || l[0].Kind != model.Window || l[1].Kind != model.Partitions || l[1].Saved != 30*time.Second {
		t.Fatalf("%s", f.Text)
	}
	again := simulate(t, scenario(t, 100, 1), f.System, 1)
	if twice, err := fit.Runs([]*capacity.Run{again}, "twice"); err != nil || !strings.Contains(string(f.Text), "of 4 partitions") || strings.Contains(string(twice.Text), "of 1 partitions") {
		t.Errorf("%v: %s, and fitted again %s", err, f.Text, twice.Text)
	}
	was, is := found(run), found(again)
	if !within(is.Limit, was.Limit, 1e-6) || is.Limit >= 400 || is.Code != "" || is.Service != "" || is.Adjustable || !slices.Contains(is.Notes, "what one partition allows, which no quota raises") {
		t.Errorf("%+v, was %+v", is, was)
	}

	// Beyond the limit, and the savings, no fewer are refused than were.
	refused := func(sys *model.System) float64 {
		for _, q := range capacity.Assess(simulate(t, scenario(t, 400, 2), sys, 2)).Quotas {
			if q.ID == "dynamodb.Episodes.read" {
				return float64(*q.Throttled)
			}
		}
		return 0
	}
	if got, want := refused(f.System), refused(sys); want == 0 || got < want {
		t.Errorf("%v are refused, were %v", got, want)
	}
}

// Operations that no run tells apart have the mean of the requests that charge a quota,
// 15, and not that of all of the load's, a third of which charge nothing: 10.
func TestMeanOfThoseThatCharge(t *testing.T) {
	sys := simulatortest.System(t, `limiters: [{id: dynamodb.T.read, kind: token_bucket, rate: 9000 RCU/s, burst: 9000 RCU}]
operations:
  - {name: a, service_time: 10ms, charges: [{limiter: dynamodb.T.read, amount: 10}]}
  - {name: b, service_time: 10ms, charges: [{limiter: dynamodb.T.read, amount: 20}]}
  - {name: c, service_time: 10ms}
`)
	s := simulatortest.Scenario(t, `loads:
  - name: users
    profile: [{stage: hold, rate: 200/s, for: 60s}]
    operations: [{name: a, graphql: {query: "query a { a }"}}, {name: b, graphql: {query: "query b { b }"}}, {name: c, graphql: {query: "query c { c }"}}]
`)
	run := simulate(t, s, sys, 1)
	f, err := fit.Runs([]*capacity.Run{run}, "x")
	if err != nil {
		t.Fatal(err)
	}
	// Of another mix nothing is said of the quota: at twice as many of b as of a it costs
	// 16.7, which 15 would deny.
	if !slices.Equal(f.Pooled, []string{"dynamodb.T.read"}) {
		t.Errorf("pooled: %q", f.Pooled)
	}
	for mixed, mix := range map[bool]map[string]float64{false: nil, true: {"a": 1, "b": 2}} {
		again, err := simulator.Again(run, f.System, simulator.Change{Mix: mix, Pooled: f.Pooled}, simulator.Options{ID: "again", Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		said := strings.Contains(strings.Join(again.Manifest.Notes, "; "), "left out: dynamodb.T.read, of which the record tells only what its own mix")
		if left := len(again.Manifest.Quotas) == 0; left != mixed || said != mixed {
			t.Errorf("another mix: %v, quotas %v, notes %q", mixed, again.Manifest.Quotas, again.Manifest.Notes)
		}
	}
	for _, op := range f.System.Operations {
		if op.Name == "c" {
			if len(op.Charges) > 0 {
				t.Errorf("c charges %+v", op.Charges)
			}
			continue
		}
		if got := op.Charges[0].Mean(); !within(got, 15, 0.03) {
			t.Errorf("%s charges %v, want 15", op.Name, got)
		}
	}
}

func within(got, want, share float64) bool { return math.Abs(got/want-1) <= share }

// A System fitted at 50 % of a load predicts what is used at 80 %: the mean use
// of an arrival lies inside the interval.
func TestBackTest(t *testing.T) {
	asked, inside := 0, 0
	for seed := range uint64(10) {
		sys := truth(t, 5000, 1000)
		was := capacity.Assess(simulate(t, scenario(t, 160, int(seed)), sys, seed))
		is := capacity.Assess(simulate(t, scenario(t, 256, int(seed)+100), sys, seed+100))
		for _, q := range is.Quotas {
			for _, p := range was.Quotas {
				if p.ID != q.ID {
					continue
				}
				asked++
				// Both are estimates.
				spread := math.Hypot(p.UnitCost.High-p.UnitCost.Low, q.UnitCost.High-q.UnitCost.Low) / 2
				if math.Abs(q.UnitCost.Value-p.UnitCost.Value) <= spread {
					inside++
				}
			}
		}
	}
	t.Logf("%d of %d uses at 80 %% inside the interval from 50 %%", inside, asked)
	if inside < asked*85/100 || asked != 30 {
		t.Errorf("%d of %d uses at 80 %% lie inside the interval from 50 %%", inside, asked)
	}
}

// Where a limit binds between 50 and 80 % of the load, which the run at 50 %
// never met, the fitted System refuses the true share within 2 points.
func TestBackTestBeyondALimit(t *testing.T) {
	for seed := range uint64(6) {
		sys := truth(t, 523, 1000) // tokens bind at 230/s
		f, err := fit.Runs([]*capacity.Run{simulate(t, scenario(t, 160, int(seed)), sys, seed)}, "half")
		if err != nil {
			t.Fatal(err)
		}
		share := func(sys *model.System, seed uint64) float64 {
			var throttled, sent int64
			for _, op := range capacity.Assess(simulate(t, scenario(t, 256, int(seed)), sys, seed)).Operations {
				throttled, sent = throttled+op.Throttled, sent+op.Sent
			}
			return float64(throttled) / float64(sent)
		}
		if got, want := share(f.System, seed+200), share(sys, seed+100); math.Abs(got-want) > 0.02 || want == 0 {
			t.Errorf("seed %d: %.2f %% throttled predicted, %.2f %% are", seed, 100*got, 100*want)
		}
	}
}

// An operation whose tokens fall after a minute is fitted with both amounts.
func TestColdAndWarm(t *testing.T) {
	sys := simulatortest.System(t, `limiters: [{id: appsync.request-tokens, kind: token_bucket, rate: 100000 tokens/s, burst: 100000 tokens}]
operations:
  - {name: list, service_time: 10ms, charges: [{limiter: appsync.request-tokens, amount: {cold: 200, warm: 100, after: 60s}}]}
  - {name: get, service_time: 10ms, charges: [{limiter: appsync.request-tokens, amount: 1}]}
`)
	f, err := fit.Runs([]*capacity.Run{simulate(t, scenario(t, 40, 1), sys, 1)}, "x")
	if err != nil {
		t.Fatal(err)
	}
	a := f.System.Operations[0].Charges[0].Amount
	if a.Cold != 200 || a.Warm != 100 || a.After < 55*time.Second || a.After > 65*time.Second {
		t.Errorf("fitted %+v\n%s", a, f.Text)
	}
}

func TestRefusesWhatIsNotValid(t *testing.T) {
	run := simulate(t, scenario(t, 40, 1), truth(t, 5000, 1000), 1)
	run.Manifest.State = capacity.Interrupted
	var refused *fit.NotValidError
	if _, err := fit.Runs([]*capacity.Run{run}, "x"); !errors.As(err, &refused) {
		t.Errorf("error %v", err)
	}
}

// What would have taken longer than the timeout is missing from the fitted service time,
// which is said of the operation.
func TestTimedOutIsSaid(t *testing.T) {
	for _, timeout := range []time.Duration{30 * time.Second, 300 * time.Millisecond} {
		s := scenario(t, 40, 1)
		s.Loads[0].Timeout = timeout
		run := simulate(t, s, truth(t, 5000, 1000), 1)
		var timedOut int64
		for r := range run.Rows.All() {
			if r.Operation == "list" {
				timedOut += r.TimedOut
			}
		}
		f, err := fit.Runs([]*capacity.Run{run}, "x")
		if err != nil {
			t.Fatal(err)
		}
		said := fmt.Sprintf("%s requests of list timed out", unit.HumanCount(float64(timedOut), ""))
		if got := slices.ContainsFunc(f.Warnings, func(w string) bool { return strings.Contains(w, said) }); got != (timeout < time.Second) || got != (timedOut > 0) {
			t.Errorf("with a timeout of %s %d timed out: %q", timeout, timedOut, f.Warnings)
		}
	}
}
