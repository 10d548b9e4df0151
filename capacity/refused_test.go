package capacity_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// Refusals of the quotas in front never reached the ones behind.
func TestAssessRefusedInFront(t *testing.T) {
	tokens := limiterOf(100, 100)
	w := world{
		loads:  []capacity.Load{ramp("viewers", 200, 200, 40*time.Second, capacity.Operation{Name: "list", Share: 1})},
		quotas: []capacity.Quota{tokenQuota(100), {ID: "dynamodb.T.read", Kind: capacity.RateQuota, Limit: 1000, Unit: "RCU", Period: "s"}},
		serve: func(at time.Duration, _, _ string) answer {
			if !tokens.Admit(at, 1) {
				return answer{outcome: measure.Throttled, reason: "HTTP 429", tokens: measure.NoTokens, service: time.Millisecond}
			}
			return answer{tokens: 1, service: 10 * time.Millisecond, cloud: map[string]map[capacity.Role]float64{"dynamodb.T.read": {capacity.RoleUsage: 2.5}}}
		},
	}
	a := capacity.Assess(w.run())
	q := quota(t, a, "dynamodb.T.read")
	near(t, "unit cost", &q.UnitCost.Value, 2.5, 0.001)
	if q.Throttled == nil || *q.Throttled != 0 {
		t.Errorf("throttled %v, want 0", q.Throttled)
	}
}

// Single requests that charge more than a bucket holds are told of where there are any,
// not wherever no rate is safe.
func TestDearestRequestAgainstTheBucket(t *testing.T) {
	for _, c := range []struct {
		limit, burst float64
		charge       int64
		told         bool
	}{{0.001, 1, 1, false}, {100, 10, 20, true}, {100, 20, 20, false}} {
		tokens := limiterOf(c.limit, c.burst)
		w := world{
			loads: []capacity.Load{ramp("viewers", 50, 50, 30*time.Second, capacity.Operation{Name: "list", Share: 1})},
			serve: func(at time.Duration, _, _ string) answer {
				if !tokens.Admit(at, min(float64(c.charge), c.burst)) {
					return answer{outcome: measure.Throttled, reason: "HTTP 429", tokens: measure.NoTokens, service: time.Millisecond}
				}
				return answer{tokens: c.charge, service: 10 * time.Millisecond}
			},
		}
		q := tokenQuota(c.limit)
		q.Burst = c.burst
		w.quotas = []capacity.Quota{q}
		got := quota(t, capacity.Assess(w.run()), q.ID)
		if told := strings.Contains(strings.Join(got.Notes, "; "), "single requests charge more than a bucket of"); told != c.told || got.SafeRate == nil {
			t.Errorf("%+v: %q, safe at %+v", c, got.Notes, got.SafeRate)
		}
		// A bucket that holds one request is full after burst/limit: Poisson arrivals find it
		// so but for one in a thousand where they come 1,000 times as seldom.
		if want := -math.Log1p(-1e-3) * c.limit / c.burst; float64(c.charge) == c.burst && c.burst > 1 && math.Abs(*got.SafeRate.Rate/want-1) > 0.25 {
			t.Errorf("%+v: safe at %v, want %v", c, *got.SafeRate.Rate, want)
		}
	}
}

// Where the run says the order, refusals of a table in front of a function never
// reached it; where it doesn't, Lambda is supposed to stand in front.
func TestAssessOrderOfTheSystem(t *testing.T) {
	reads := limiterOf(100, 100)
	w := world{
		loads: []capacity.Load{ramp("viewers", 200, 200, 40*time.Second, capacity.Operation{Name: "list", Share: 1})},
		quotas: []capacity.Quota{
			{ID: "lambda.calls", Kind: capacity.RateQuota, Limit: 1000, Unit: "requests", Period: "s", Behind: []string{"dynamodb.T.read"}},
			{ID: "dynamodb.T.read", Kind: capacity.RateQuota, Limit: 100, Unit: "RCU", Period: "s"},
		},
		serve: func(at time.Duration, _, _ string) answer {
			if !reads.Admit(at, 1) {
				return answer{outcome: measure.Throttled, reason: "DynamoDB:ProvisionedThroughputExceededException", tokens: measure.NoTokens, service: time.Millisecond}
			}
			return answer{tokens: measure.NoTokens, service: 10 * time.Millisecond, cloud: map[string]map[capacity.Role]float64{
				"lambda.calls": {capacity.RoleUsage: 3}, "dynamodb.T.read": {capacity.RoleUsage: 1},
			}}
		},
	}
	run := w.run()
	near(t, "unit cost", &quota(t, capacity.Assess(run), "lambda.calls").UnitCost.Value, 3, 0.001)
	if s := capacity.Admitted(run)["lambda.calls"]; !run.Manifest.SaysOrder() || s.High > 0.6 || s.Low != s.High {
		t.Errorf("admitted %v of about half", s)
	}
	run.Manifest.Quotas[0].Behind = nil
	if s := capacity.Admitted(run)["lambda.calls"]; run.Manifest.SaysOrder() || s.High != 1 {
		t.Errorf("admitted %v, supposed to stand in front", s)
	}
}

// Where one operation of two is refused more often before it charges a quota, the sums
// are of another mix than was planned: 4 for each "list" and 1 for each "get" are 2.5
// at equal parts. The interval covers what a twentieth of them may hide; half of them
// hide the cost.
func TestAssessAnotherMixServed(t *testing.T) {
	for _, x := range []struct {
		every  int // how many lists make one that is refused
		both   bool
		hidden bool
	}{{20, false, false}, {2, false, true}, {2, true, false}} {
		n := map[string]int{}
		w := world{
			loads: []capacity.Load{ramp("viewers", 200, 200, 40*time.Second, capacity.Operation{Name: "list", Share: 0.5}, capacity.Operation{Name: "get", Share: 0.5})},
			quotas: []capacity.Quota{
				{ID: "dynamodb.T.read", Kind: capacity.RateQuota, Limit: 100, Unit: "RCU", Period: "s"},
				{ID: "momento.operations", Kind: capacity.RateQuota, Limit: 10000, Unit: "ops", Period: "s", Behind: []string{"dynamodb.T.read"}},
			},
			serve: func(_ time.Duration, _, op string) answer {
				if n[op]++; n[op]%x.every == 0 && (x.both || op == "list") {
					return answer{outcome: measure.Throttled, reason: "DynamoDB:ProvisionedThroughputExceededException", tokens: measure.NoTokens, service: time.Millisecond}
				}
				ops := map[string]float64{"list": 4, "get": 1}[op]
				return answer{tokens: measure.NoTokens, service: 10 * time.Millisecond, cloud: map[string]map[capacity.Role]float64{
					"momento.operations": {capacity.RoleUsage: ops}, "dynamodb.T.read": {capacity.RoleUsage: 1},
				}}
			},
		}
		q := quota(t, capacity.Assess(w.run()), "momento.operations")
		switch c := q.UnitCost; {
		case (c == nil) != x.hidden || x.hidden && (q.BindsAt != nil || q.BindsAtMost != nil || q.Required != nil):
			t.Errorf("%+v: %+v", x, q)
		case c != nil && (c.Low > 2.5 || c.High < 2.5 || c.High > 1.15*c.Value):
			t.Errorf("%+v: %+v, want 2.5 inside", x, *c)
		}
		if noted := said(q, "refused more often than others"); noted == x.both {
			t.Errorf("%+v: notes %q", x, q.Notes)
		}
	}
}

// Two quotas of one service refuse with one errorType: the cloud's counts tell
// them apart. Where there are none, nothing is said.
func TestAssessAmbiguousThrottles(t *testing.T) {
	for _, cloud := range []bool{true, false} {
		w := cached(4)
		n, serve := 0, w.serve
		w.serve = func(at time.Duration, load, op string) answer {
			a := serve(at, load, op)
			if !cloud {
				delete(a.cloud["momento.operations"], capacity.RoleThrottles)
				delete(a.cloud["momento.throughput"], capacity.RoleThrottles)
			}
			if n++; n%100 == 0 {
				a.outcome, a.reason = measure.Throttled, "LimitExceededException"
				if cloud {
					a.cloud["momento.throughput"] = map[capacity.Role]float64{capacity.RoleThrottles: 1}
				}
			}
			return a
		}
		a := capacity.Assess(w.run())
		if got := quota(t, a, capacity.RequestTokens).Throttled; got == nil || *got != 0 {
			t.Errorf("appsync throttled %v, want 0", got)
		}
		ops, bytes := quota(t, a, "momento.operations").Throttled, quota(t, a, "momento.throughput").Throttled
		switch {
		case cloud && (ops == nil || *ops != 0 || bytes == nil || *bytes != int64(n/100)):
			t.Errorf("operations %v, throughput %v, want 0 and %d", ops, bytes, n/100)
		case !cloud && (ops != nil || bytes != nil):
			t.Errorf("operations %v, throughput %v, want neither", ops, bytes)
		}
	}
}
