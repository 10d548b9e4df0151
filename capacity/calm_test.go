package capacity_test

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
	"github.com/headroom-load/headroom/capacity/plan"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/capacity/simulator/simulatortest"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// Requests that charge 3, 4 or 14 tokens, 5.4 in the mean, which 3,000 tokens/s carry
// up to 555.6/s.
const unequal = `limiters: [{id: appsync.request-tokens, kind: token_bucket, rate: 3000 tokens/s, burst: 3000 tokens}]
operations:
  - name: get
    service_time: 20ms
    charges: [{limiter: appsync.request-tokens, amount: {mixture: [{amount: 3, share: 60%}, {amount: 4, share: 20%}, {amount: 14, share: 20%}]}}]
`

const trueCost = 0.6*3 + 0.2*4 + 0.2*14

// above simulates unequal requests at so many times the rate that binds.
func above(t *testing.T, times float64, seed int, ramp bool) *capacity.Run {
	t.Helper()
	rate := times * 3000 / trueCost
	profile := fmt.Sprintf("{stage: hold, rate: %.3f/s, for: 30s}", rate)
	if ramp {
		profile = fmt.Sprintf("{stage: ramp, ramp: %.3f/s, for: 30s}, %s", rate, profile)
	}
	s := simulatortest.Scenario(t, fmt.Sprintf("forecast: 1000/s\nloads:\n  - name: users\n    seed: %d\n    profile: [%s]\n    operations: [{name: get, graphql: {query: 'query get { get }'}}]\n", seed, profile))
	return simulatortest.Run(t, s, simulatortest.System(t, unequal), simulator.Options{Seed: uint64(seed)})
}

// However far above its limit a run goes, the unit cost is that of all requests: it
// is told by those from before the bucket was empty, which then lets the cheap ones
// through and would make it 3.2 tokens at five times the limit.
func TestUnitCostFarAboveTheLimit(t *testing.T) {
	held, all := 0, 0
	for _, times := range []float64{1.3, 2, 5} {
		var off []float64
		for seed := range 20 {
			q := quota(t, capacity.Assess(above(t, times, seed, true)), capacity.RequestTokens)
			if q.UnitCost == nil || q.BindsAt == nil || q.Required == nil {
				t.Fatalf("at %g times the limit: %+v", times, q)
			}
			off = append(off, q.UnitCost.Value/trueCost-1)
			if all++; q.UnitCost.Low <= trueCost && trueCost <= q.UnitCost.High {
				held++
			}
			if !said(q, "before refusals began") {
				t.Errorf("it isn't said where the unit cost is from: %q", q.Notes)
			}
		}
		slices.Sort(off)
		if middle := off[len(off)/2]; math.Abs(middle) > 0.02 {
			t.Errorf("at %g times the limit the unit cost is %+.1f %% off in the median", times, 100*middle)
		}
	}
	if held < all*8/10 {
		t.Errorf("%d of %d intervals hold the true unit cost", held, all)
	}
}

// A run that is above the limit from its first second on doesn't tell what a request
// charges, and nothing is said that would follow from it.
func TestUnitCostHidden(t *testing.T) {
	run := above(t, 3, 1, false)
	a := capacity.Assess(run)
	q := quota(t, a, capacity.RequestTokens)
	if q.UnitCost != nil || q.BindsAt != nil || q.SafeRate != nil || q.Required != nil || !said(q, "isn't known") {
		t.Errorf("%+v", q)
	}
	if q.BindsAtMost == nil || *q.BindsAtMost < 3000/trueCost || a.FirstToBind == nil || *a.FirstToBind != q.ID {
		t.Errorf("binds at most at %v; first to bind %v: %s", q.BindsAtMost, a.FirstToBind, a.FirstToBindReason)
	}
	if _, err := plan.New(run, a, plan.Request{Rate: 1000}); !errors.Is(err, plan.ErrCostHidden) {
		t.Errorf("planned: %v", err)
	}
	p, err := plan.New(run, a, plan.Request{Rate: 1000, WhatIf: plan.WhatIf{Tokens: new(5.4)}})
	if err != nil || len(p.Steps) != 1 || p.Steps[0].Required != 5400 || math.Abs(*p.Carries-3000/5.4) > 1e-9 {
		t.Errorf("supposing 5.4 tokens: %+v, %v", p, err)
	}
	if f, err := fit.Runs([]*capacity.Run{run}, "hidden"); err != nil || len(f.Warnings) == 0 {
		t.Errorf("fitted without a warning: %v", err)
	}
}

// A quota that refused requests of the run stops a launch before one that would bind
// above the run's rates, though nobody knows at which rate: half of the lists never
// reached it, so what a request of the planned mix charges isn't known.
func TestRefusingBindsBeforeWhatIsPredicted(t *testing.T) {
	n := map[string]int{}
	w := world{
		loads: []capacity.Load{ramp("viewers", 200, 200, 40*time.Second, capacity.Operation{Name: "list", Share: 0.5}, capacity.Operation{Name: "get", Share: 0.5})},
		quotas: []capacity.Quota{
			tokenQuota(1650),
			{ID: "momento.operations", Kind: capacity.RateQuota, Limit: 100, Unit: "ops", Period: "s", Behind: []string{capacity.RequestTokens}},
		},
		serve: func(_ time.Duration, _, op string) answer {
			n[op]++
			refused := answer{outcome: measure.Throttled, tokens: measure.NoTokens, service: time.Millisecond}
			switch {
			case op == "list" && n[op]%2 == 0:
				refused.reason = "HTTP 429"
				return refused
			case op == "get" && n[op]%5 == 0:
				refused.reason = "Momento:LimitExceededException"
				return refused
			}
			return answer{tokens: map[string]int64{"list": 10, "get": 1}[op], service: 10 * time.Millisecond, cloud: map[string]map[capacity.Role]float64{
				"momento.operations": {capacity.RoleUsage: map[string]float64{"list": 4, "get": 1}[op]},
			}}
		},
	}
	a := capacity.Assess(w.run())
	q := quota(t, a, "momento.operations")
	if q.UnitCost != nil || q.BindsAt != nil || q.BindsAtMost != nil {
		t.Errorf("%+v", q)
	}
	if d := quota(t, a, capacity.RequestTokens); d.BindsAt == nil || *d.BindsAt.Rate < 250 {
		t.Errorf("the other would bind at %+v", d.BindsAt)
	}
	if a.FirstToBind == nil || *a.FirstToBind != q.ID || !strings.Contains(a.FirstToBindReason, "bound: it refused 10.0 % of the requests") {
		t.Errorf("%v: %s", a.FirstToBind, a.FirstToBindReason)
	}
}

// What fit makes of a run far above the limit charges what the requests did, not what
// the bucket let through.
func TestFittedFarAboveTheLimit(t *testing.T) {
	f, err := fit.Runs([]*capacity.Run{above(t, 3, 1, true)}, "above")
	if err != nil {
		t.Fatal(err)
	}
	got := map[float64]float64{}
	for _, part := range f.System.Operations[0].Charges[0].Amount.Mixture {
		got[part.Amount] = part.Share
	}
	for amount, share := range map[float64]float64{3: 0.6, 4: 0.2, 14: 0.2} {
		if math.Abs(got[amount]-share) > 0.04 {
			t.Errorf("%g tokens have a share of %.3f, truly %g", amount, got[amount], share)
		}
	}
}
