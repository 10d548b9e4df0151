package simulator_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/model/retry"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/capacity/simulator/simulatortest"
	"github.com/headroom-load/headroom/scenarios"
)

func load(t testing.TB, system, loads string) (*scenarios.Scenario, *model.System) {
	t.Helper()
	return simulatortest.Scenario(t, "loads:"+loads), simulatortest.System(t, system)
}

// Refused requests that come again raise what the limit refuses to the fixed
// point, and leave what it serves.
func TestRetriesOfRefusals(t *testing.T) {
	s, sys := load(t, `limiters: [{id: stock.lookups, kind: token_bucket, rate: 1000 ops/s}]
operations: [{name: get, service_time: 1ms, charges: [{limiter: stock.lookups, amount: 1}]}]
`, `
  - name: clients
    profile: [{stage: steady, rate: 1100/s, for: 60s}]
    operations: [{name: get, graphql: {query: "query get { get }"}}]
`)
	run := simulatortest.Run(t, s, sys, simulator.Options{ID: "x", Seed: 1, Retry: retry.Policy{Attempts: 3, Base: time.Second, Cap: time.Second, Jitter: retry.Full}})
	var served, refused float64
	for _, x := range run.Series {
		for p := range x.Points.All() {
			if at := p.At.Sub(run.Manifest.Start); at < 20*time.Second || at >= 55*time.Second {
				continue
			}
			switch x.Role {
			case capacity.RoleUsage:
				served += p.Value
			case capacity.RoleThrottles:
				refused += p.Value
			}
		}
	}
	perSecond, failing := retry.Saturated(1100, 1000, 3)
	for _, c := range []struct {
		what      string
		got, want float64
	}{{"served", served / 35, 1000}, {"attempts", (served + refused) / 35, perSecond}, {"failing", refused / (served + refused), failing}} {
		if math.Abs(c.got/c.want-1) > 0.03 {
			t.Errorf("%s %.3f, want %.3f", c.what, c.got, c.want)
		}
	}
	op := capacity.Assess(run).Operations[0]
	if op.Planned != op.Sent || op.Sent != op.OK+op.Throttled || math.Abs(float64(op.OK)/60/1000-1) > 0.03 {
		t.Errorf("requests: %+v", op)
	}
	if len(run.Manifest.Notes) != 1 {
		t.Errorf("notes: %q", run.Manifest.Notes)
	}
}

// What a retry charges and how long it is in flight lie in the second in which it is
// sent. Of 100 requests in the first second a limit serves 40 a second, and those that
// it refused come again after just 1 s, then after 2 s: in the seconds 0, 1 and 3 there
// are 100, 60 and 20 attempts, all of them at 5 tokens, and 40, 40 and 20 of them take
// the 1 ms that the service takes.
func TestRetriesInTheirSeconds(t *testing.T) {
	s, sys := load(t, `limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: 1000 tokens/s}
  - {id: stock.lookups, kind: window, rate: 40 ops/s}
operations: [{name: get, service_time: 1ms, charges: [{limiter: appsync.request-tokens, amount: 5}, {limiter: stock.lookups, amount: 1}]}]
`, `
  - name: clients
    arrivals: uniform
    profile: [{stage: steady, rate: 100/s, for: 1s}]
    operations: [{name: get, graphql: {query: "query get { get }"}}]
`)
	run := simulatortest.Run(t, s, sys, simulator.Options{ID: "x", Seed: 1, Retry: retry.Policy{Attempts: 3, Base: time.Second, Jitter: retry.None}})
	var tokens, requests, ok [4]int64
	var flying [4]float64
	for r := range run.Rows.All() {
		tokens[r.Second] += r.TokensSent
		requests[r.Second] += r.Sent
		ok[r.Second] += r.OK
		flying[r.Second] += math.Round(r.InFlight*1e6) / 1e6
		if r.TokensDone != r.TokensSent {
			t.Errorf("second %d: %d tokens by sent, %d by done time", r.Second, r.TokensSent, r.TokensDone)
		}
	}
	if want := [4]int64{500, 300, 0, 100}; tokens != want {
		t.Errorf("tokens %v, want %v", tokens, want)
	}
	if want := [4]int64{100}; requests != want {
		t.Errorf("requests %v, want %v", requests, want)
	}
	if want := [4]int64{40, 40, 0, 20}; ok != want {
		t.Errorf("served %v, want %v", ok, want)
	}
	if want := [4]float64{.04, .04, 0, .02}; flying != want {
		t.Errorf("in flight %v, want %v", flying, want)
	}
	a := capacity.Assess(run)
	i := slices.IndexFunc(a.Quotas, func(q capacity.QuotaResult) bool { return q.ID == capacity.RequestTokens })
	if q := a.Quotas[i]; q.Peak == nil || *q.Peak != 500 || q.UnitCost == nil || math.Abs(q.UnitCost.Value-9) > 1e-9 {
		t.Errorf("peak %v, cost of a request with its retries %+v, want 500 and 9", q.Peak, q.UnitCost)
	}
	if status := a.Verdict.Status; status == capacity.Invalid {
		t.Errorf("%s: %+v", status, a.Verdict.Failed())
	}
}

// A node of 300/s that a spike has overloaded does only wasted work afterwards at
// 280/s with two attempts, and recovers at 149/s.
func TestMetastableRun(t *testing.T) {
	for rate, up := range map[int]bool{280: false, 149: true} {
		s, sys := load(t, `limiters: [{id: redis.node, kind: queue, rate: 300 ops/s, longest: 3s}]
operations: [{name: get, service_time: 1ms, charges: [{limiter: redis.node, amount: 1}]}]
`, fmt.Sprintf(`
  - name: clients
    timeout: 1s
    in_flight: 10000
    profile: [{stage: before, rate: %[1]d/s, for: 20s}, {stage: spike, rate: 1500/s, for: 5s}, {stage: after, rate: %[1]d/s, for: 10m}]
    operations: [{name: get, graphql: {query: "query get { get }"}}]
`, rate))
		run := simulatortest.Run(t, s, sys, simulator.Options{ID: "x", Seed: 1, Retry: retry.Policy{Attempts: 2, Base: 100 * time.Millisecond, Jitter: retry.Full}})
		var ok, sent int64
		for r := range run.Rows.All() {
			if r.Second >= 560 && r.Second < 620 {
				ok, sent = ok+r.OK, sent+r.Sent
			}
		}
		if share := float64(ok) / float64(sent); up && share < 0.95 || !up && share > 0.05 {
			t.Errorf("%d/s: in the last minute %d of %d requests are served", rate, ok, sent)
		}
	}
}
