package simulator_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/capacity/simulator/simulatortest"
	"github.com/headroom-load/headroom/scenarios"
)

func simulate(t testing.TB, s *scenarios.Scenario, sys *model.System) *capacity.Run {
	t.Helper()
	return simulatortest.Run(t, s, sys, simulator.Options{Seed: 1})
}

// The ready-made premiere is stopped by its tokens at 2,000/200 = 10/s, and the
// redesigned one by its cache's throughput at 1.5 GB/s / 3 MB = 500/s.
func TestReady(t *testing.T) {
	for _, c := range []struct {
		name, first string
		rate        float64
	}{{"premiere", "appsync.request-tokens", 10}, {"premiere-cached", "momento.throughput", 500}} {
		s, sys := simulatortest.Ready(t, c.name)
		a := capacity.Assess(simulate(t, s, sys))
		if a.Verdict.Status != capacity.Valid {
			t.Errorf("%s: %s, failed %+v", c.name, a.Verdict.Status, a.Verdict.Failed())
		}
		if a.FirstToBind == nil || *a.FirstToBind != c.first {
			t.Errorf("%s: first to bind %v: %s", c.name, a.FirstToBind, a.FirstToBindReason)
			continue
		}
		for _, q := range a.Quotas {
			if q.ID == c.first && (q.BindsAt == nil || math.Abs(*q.BindsAt.Rate-c.rate) > 1e-6*c.rate) {
				t.Errorf("%s: binds at %+v, want %v", c.name, q.BindsAt, c.rate)
			}
		}
		for _, op := range a.Operations {
			if op.Planned != op.Sent+op.Dropped+op.NotDue || op.Sent != op.Completed+op.TimedOut+op.GeneratorErrors+op.Unfinished {
				t.Errorf("%s: not conserved: %+v", c.name, op)
			}
		}
	}
}

// A second in which nothing was charged is known to be one.
func TestEverySecondHasItsPoint(t *testing.T) {
	s, sys := load(t, `limiters:
  - {id: stock.lookups, kind: token_bucket, rate: 1000 ops/s}
  - {id: lambda.concurrency, kind: concurrency, limit: 100}
operations: [{name: get, service_time: 2500ms, charges: [{limiter: lambda.concurrency, hold: service_time, share: 50%}, {limiter: stock.lookups, amount: 1, share: 20%}]}]
`, `
  - name: clients
    arrivals: uniform
    profile: [{stage: steady, rate: 1/s, for: 40s}]
    operations: [{name: get, graphql: {query: "query get { get }"}}]
`)
	run := simulate(t, s, sys)
	for _, x := range run.Series {
		if x.Points.Len() < 40 {
			t.Errorf("%s of %s has %d points", x.Metric, x.Quota, x.Points.Len())
		}
		if x.Quota == "lambda.concurrency" && x.Role == capacity.RoleUsage {
			var sum float64
			for p := range x.Points.All() {
				sum += p.Value
			}
			if sum < 30 { // half of 40 requests, each of them in use in two seconds or three
				t.Errorf("%v environment-seconds are in use", sum)
			}
		}
	}
	if a := capacity.Assess(run); a.Verdict.Status != capacity.Valid {
		t.Errorf("%s: %+v", a.Verdict.Status, a.Verdict.Failed())
	}
}

func TestSameSeedSameRun(t *testing.T) {
	s, sys := simulatortest.Ready(t, "premiere")
	one, two := simulate(t, s, sys), simulate(t, s, sys)
	if diff := cmp.Diff(one.Rows.Slice(), two.Rows.Slice()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(one.Series, two.Series); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(capacity.Assess(one), capacity.Assess(two)); diff != "" {
		t.Error(diff)
	}
}

// What a record keeps is enough for the same simulation again.
func TestAgain(t *testing.T) {
	for _, name := range []string{"premiere", "premiere-cached"} {
		s, sys := simulatortest.Ready(t, name)
		run := simulate(t, s, sys)
		again, err := simulator.Again(run, sys, simulator.Change{}, simulator.Options{ID: "y", Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(run.Rows.Slice(), again.Rows.Slice()); diff != "" {
			t.Errorf("%s: -run +again:\n%s", name, diff)
		}
		if diff := cmp.Diff(run.Series, again.Series); diff != "" {
			t.Errorf("%s: -run +again:\n%s", name, diff)
		}
		if diff := cmp.Diff(run.Manifest.Quotas, again.Manifest.Quotas); diff != "" {
			t.Errorf("%s: -run +again:\n%s", name, diff)
		}
	}
}

// One thing changed moves the wall as arithmetic says.
func TestAgainChanged(t *testing.T) {
	s, sys := simulatortest.Ready(t, "premiere")
	run := simulate(t, s, sys)
	constant := model.Distribution{Shape: model.Constant, Mean: time.Second}
	for _, c := range []struct {
		what   string
		change simulator.Change
		quota  string
		binds  float64
	}{
		{"as it was", simulator.Change{}, "appsync.request-tokens", 10},
		{"tokens", simulator.Change{System: []model.Change{{Amounts: map[string]model.Amount{"appsync.request-tokens": {Cold: 1, Warm: 1}}}}}, "appsync.request-tokens", 2000},
		{"limit", simulator.Change{System: []model.Change{{Limits: map[string]float64{"appsync.request-tokens": 20_000}}}}, "appsync.request-tokens", 100},
		{"rate", simulator.Change{Rate: 3}, "appsync.request-tokens", 10},
		{"service time", simulator.Change{System: []model.Change{
			{ServiceTime: &constant},
			{Limits: map[string]float64{"appsync.request-tokens": 20_000, "lambda.concurrency": 50}},
		}}, "lambda.concurrency", 50},
	} {
		again, err := simulator.Again(run, sys, c.change, simulator.Options{ID: "y", Seed: 1})
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		a := capacity.Assess(again)
		for _, q := range a.Quotas {
			// Environments that start add to the time that one is held, hence 10 %.
			if q.ID == c.quota && (q.UnitCost == nil || math.Abs(q.Limit/q.UnitCost.Value/c.binds-1) > 0.1) {
				t.Errorf("%s: %s has a limit of %v and a unit cost of %+v, want a quotient of %v", c.what, q.ID, q.Limit, q.UnitCost, c.binds)
			}
		}
		if len(again.Manifest.Notes) == 0 {
			t.Errorf("%s: no note says where the run came from", c.what)
		}
		if notes := strings.Join(again.Manifest.Notes, "; "); c.what == "service time" && !strings.Contains(notes, "limit of appsync.request-tokens 20,000 tokens/s, limit of lambda.concurrency 50 environments") {
			t.Errorf("limits without their units: %s", notes)
		}
		if c.change.Rate == 3 && math.Abs(float64(again.Manifest.Loads[0].Planned)/float64(run.Manifest.Loads[0].Planned)-3) > 0.2 {
			t.Errorf("planned %d and %d", run.Manifest.Loads[0].Planned, again.Manifest.Loads[0].Planned)
		}
	}
	for _, c := range []simulator.Change{
		{Mix: map[string]float64{"getProgram": 1}},
		{System: []model.Change{{Operation: "getProgram"}}},
		{System: []model.Change{{Limits: map[string]float64{"lambda": 1}}}},
		{System: []model.Change{{Limits: map[string]float64{"appsync.request-tokens": 10}}}}, // 200 at once
		{System: []model.Change{{Amounts: map[string]model.Amount{"appsync.request-tokens": {Cold: 3000, Warm: 1}}}}},
		{System: []model.Change{{Shares: map[string]float64{"lambda.concurrency": 2}}}},
	} {
		if _, err := simulator.Again(run, sys, c, simulator.Options{}); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
