package capacity_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/capacity/simulator/simulatortest"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// How much a cost stands on is said in words that fit the number.
func TestFewSums(t *testing.T) {
	sys := simulatortest.System(t, `limiters: [{id: lambda.concurrency, kind: concurrency, limit: 5000}]
operations: [{name: list, service_time: 200ms, charges: [{limiter: lambda.concurrency, hold: service_time}]}]
`)
	for _, c := range []struct {
		by    time.Duration
		lasts string
		want  string
	}{
		{time.Minute, "120s", "unit cost from 2 60s sums, too few"},
		{time.Minute, "30s", "unit cost from a single 60s sum, too few"},
		{time.Second, "3s", "unit cost from few seconds, too few"},
	} {
		s := simulatortest.Scenario(t, fmt.Sprintf(`loads:
  - name: users
    arrivals: uniform
    profile: [{stage: hold, rate: 500/s, for: %s}]
    operations: [{name: list, graphql: {query: "query list { list }"}}]
`, c.lasts))
		run := simulatortest.Run(t, s, sys, simulator.Options{Seed: 1, Resolution: c.by})
		if notes := strings.Join(quota(t, capacity.Assess(run), "lambda.concurrency").Notes, "; "); !strings.Contains(notes, c.want) {
			t.Errorf("%s by %v: %s, want %q", c.lasts, c.by, notes, c.want)
		}
	}
}

// While environments start, 500 requests a second hold one for 1.4 s each: nearly 700
// in the second second, as 200 ms of a warm one would never. A launch at twice the rate
// needs twice that, whether the levels are known by the second or by the minute. Without
// cold starts it needs what the mean says, whatever chance made the peak.
func TestColdLevel(t *testing.T) {
	s := simulatortest.Scenario(t, `forecast: 1000/s
loads:
  - name: users
    profile: [{stage: hold, rate: 500/s, for: 120s}]
    operations: [{name: list, graphql: {query: "query list { list }"}}]
`)
	for _, c := range []struct {
		init      string
		low, high float64
	}{{", init: 1.2s", 1150, 1400}, {"", 200, 205}} {
		var required []float64
		for _, by := range []time.Duration{time.Second, time.Minute} {
			sys := simulatortest.System(t, fmt.Sprintf(`limiters: [{id: lambda.concurrency, kind: concurrency, limit: 5000%s}]
operations: [{name: list, service_time: 200ms, charges: [{limiter: lambda.concurrency, hold: service_time}]}]
`, c.init))
			run := simulatortest.Run(t, s, sys, simulator.Options{Seed: 1, Resolution: by})
			q := quota(t, capacity.Assess(run), "lambda.concurrency")
			required = append(required, q.Required.Quota)
			// That one stretch differs from all others leaves no interval without an end.
			if u := q.UnitCost; u.Low < 0.19 || u.High > 0.3 || u.Low > u.Value || u.High < u.Value {
				t.Errorf("by %v an environment is held for %+v", by, *u)
			}
		}
		if math.Abs(required[0]/required[1]-1) > 0.02 || required[0] < c.low || required[0] > c.high {
			t.Errorf("with%s 1,000/s requires %v environments by the second and %v by the minute, want %v to %v", c.init, required[0], required[1], c.low, c.high)
		}
	}
}

// One charge in a hundred is twenty times as dear, and where more of them come at once it
// is chance: what a rate requires is by the mean of all, 1.19, and not by that stretch.
func TestDearByChance(t *testing.T) {
	dearByChance(t, "amount: {mixture: [{amount: 1, share: 99%}, {amount: 20, share: 1%}]}")
	dearByChance(t, "amount: 50, share: 2%")
}

func dearByChance(t *testing.T, amount string) {
	sys := simulatortest.System(t, fmt.Sprintf(`limiters: [{id: momento.operations, kind: token_bucket, rate: 500 ops/s, burst: 500 ops}, {id: appsync.request-tokens, kind: token_bucket, rate: 500 tokens/s, burst: 500 tokens}]
operations: [{name: list, service_time: 20ms, charges: [{limiter: momento.operations, %[1]s}, {limiter: appsync.request-tokens, %[1]s}]}]
`, amount))
	const tries = 40
	dearer := map[string]int{}
	for n := range tries {
		s := simulatortest.Scenario(t, fmt.Sprintf(`loads:
  - name: users
    seed: %d
    profile: [{stage: hold, rate: 100/s, for: 60s}]
    operations: [{name: list, graphql: {query: "query list { list }"}}]
`, n))
		run := simulatortest.Run(t, s, sys, simulator.Options{Seed: uint64(n)})
		for _, q := range capacity.Assess(run).Quotas {
			if *q.ColdCost > 1.05*q.UnitCost.Value {
				dearer[q.ID]++
			}
		}
	}
	for id, n := range dearer {
		if n > tries/10 {
			t.Errorf("%d of %d runs take chance for a dear stretch of %s, %s", n, tries, id, amount)
		}
	}
}

// A request charges 200 tokens for a minute and 100 from then on: of 5,000 tokens/s a
// launch meets the limit at 25/s, and a warm system at 50/s. The mean of the run, 150,
// would have it at 33/s alone, with an interval that holds neither.
func TestBindsWhereItIsDearest(t *testing.T) {
	sys := simulatortest.System(t, `limiters: [{id: appsync.request-tokens, kind: token_bucket, rate: 5000 tokens/s, burst: 5000 tokens}]
operations: [{name: list, service_time: 20ms, charges: [{limiter: appsync.request-tokens, amount: {cold: 200, warm: 100, after: 60s}}]}]
`)
	s := simulatortest.Scenario(t, `loads:
  - name: users
    profile: [{stage: hold, rate: 20/s, for: 120s}]
    operations: [{name: list, graphql: {query: "query list { list }"}}]
`)
	run := simulatortest.Run(t, s, sys, simulator.Options{Seed: 1})
	a := capacity.Assess(run)
	q := quota(t, a, capacity.RequestTokens)
	if math.Abs(*q.BindsAt.Low-25) > 0.01 || *q.SafeRate.Rate > 25 || !said(q, "it binds at 25 requests/s") && !said(q, "it binds at 25.0 requests/s") {
		t.Errorf("binds at %v from %v, safe at %v: %q", *q.BindsAt.Rate, *q.BindsAt.Low, *q.SafeRate.Rate, q.Notes)
	}
	if !strings.Contains(a.FirstToBindReason, "in the run's dearest stretch at 25.0 requests/s") {
		t.Error(a.FirstToBindReason)
	}
}

// Where even the dearest stretch binds far above what was tested, no rate is named for it:
// a request that charges 200 tokens for a minute meets 50,000 tokens/s at 250/s, beyond
// three times 20/s.
func TestDearestIsNamedAsFarAsPredicted(t *testing.T) {
	for _, c := range []struct {
		limit string
		says  bool
	}{{"50000", false}, {"8000", true}} { // 40/s of the dear ones, 80/s of the others
		a := simulated(t, "[{stage: hold, rate: 20/s, for: 120s}]", "  - {id: appsync.request-tokens, kind: token_bucket, rate: "+c.limit+" tokens/s}\n",
			"  - {name: list, service_time: 20ms, charges: [{limiter: appsync.request-tokens, amount: {cold: 200, warm: 100, after: 60s}}]}\n")
		q := quota(t, a, capacity.RequestTokens)
		if said(q, "dearest stretch") != c.says || strings.Contains(a.FirstToBindReason, "dearest stretch") != c.says {
			t.Errorf("%s tokens/s: %q; %q", c.limit, q.Notes, a.FirstToBindReason)
		}
		if said(q, "the interval of binds_at covers") != (c.says && q.BindsAt.Rate != nil) {
			t.Errorf("%s tokens/s has binds_at %+v: %q", c.limit, q.BindsAt, q.Notes)
		}
	}
}

// A backend that stands still for two seconds leaves all requests waiting at once, which
// is not known from environments that start: the second is named, and both.
func TestMostHeldByAnOutage(t *testing.T) {
	w := world{
		loads:  []capacity.Load{ramp("viewers", 200, 200, 60*time.Second, capacity.Operation{Name: "list", Share: 1})},
		quotas: []capacity.Quota{{ID: "lambda.concurrency", Kind: capacity.LevelQuota, Limit: 5000, Unit: "environments"}},
		serve: func(at time.Duration, _, _ string) answer {
			held := 50 * time.Millisecond
			if at > 30*time.Second && at < 32*time.Second {
				held += 32*time.Second - at
			}
			return answer{tokens: measure.NoTokens, service: held, cloud: map[string]map[capacity.Role]float64{
				"lambda.concurrency": {capacity.RoleDuration: held.Seconds(), capacity.RoleUsage: 400},
			}}
		},
	}
	q := quota(t, capacity.Assess(w.run()), "lambda.concurrency")
	if q.MostHeldAt == nil || *q.MostHeldAt < 30 || *q.MostHeldAt > 32 {
		t.Errorf("most was held in second %v, want 31: %+v", q.MostHeldAt, q)
	}
}
