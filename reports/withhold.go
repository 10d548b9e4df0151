package reports

import (
	"fmt"
	"math"
	"slices"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios"
)

// withhold returns a copy of an assessment that holds nothing a report must not
// show: no figure that is not a number, and no prediction where the run is not
// VALID. After drops at the in-flight limit alone, a quota that was seen to
// throttle keeps its own. What a target requires is arithmetic and stays, where the
// record is whole.
func withhold(run *capacity.Run, a capacity.Assessment) capacity.Assessment {
	a.Verdict.Checks = orEmpty(slices.Clone(a.Verdict.Checks))
	a.LimitedBy.Evidence = orEmpty(slices.Clone(a.LimitedBy.Evidence))
	if a.LimitedBy.Who == "" {
		a.LimitedBy.Who = capacity.ByUnknown
	}
	a.Operations = orEmpty(slices.Clone(a.Operations))
	a.Quotas = orEmpty(slices.Clone(a.Quotas))
	a.Thresholds = orEmpty(slices.Clone(a.Thresholds))
	a.Consumers = slices.Clone(a.Consumers)
	for i := range a.Consumers {
		if a.Verdict.Status != capacity.Valid {
			a.Consumers[i].Drain = nil // a prediction
		}
	}
	for i := range a.Operations {
		o := &a.Operations[i]
		for _, t := range []*capacity.Times{&o.ResponseTime, &o.ServiceTime, &o.Lag} {
			prune(&t.Mean, &t.P50, &t.P90, &t.P95, &t.P99, &t.P999, &t.Max)
		}
		prune(&o.Tokens.Mean, &o.Tokens.P99, &o.Tokens.Max)
	}
	carries := map[string]bool{} // by quota, whether the run carries a prediction
	bound := map[string]bool{}   // by quota, whether the run was seen to wait for it
	for i := range a.Quotas {
		q := &a.Quotas[i]
		carries[q.ID] = predictable(a.Verdict, *q)
		bound[q.ID] = q.Bound
		prune(&q.Peak, &q.PeakAt, &q.Utilization, &q.Headroom, &q.Coverage, &q.ColdCost, &q.BindsAtMost)
		if c := q.UnitCost; c != nil && !finite(c.Value, c.Low, c.High) {
			q.UnitCost = nil
		}
		q.ByOperation = orEmpty(slices.DeleteFunc(slices.Clone(q.ByOperation), func(c capacity.OperationCost) bool { return !finite(c.UnitCost) }))
		if r := q.Required; r != nil && !finite(r.Target, r.Quota) {
			q.Required = nil
		}
		for _, p := range []**capacity.Prediction{&q.BindsAt, &q.SafeRate} {
			switch {
			case *p == nil:
			case !carries[q.ID]:
				*p = nil
			default:
				c := **p
				prune(&c.Rate, &c.Low, &c.High)
				*p = &c
			}
		}
	}
	for i := range a.Thresholds {
		t := &a.Thresholds[i]
		prune(&t.Value)
		if m, ok := threshold(run, t.Expression); ok && m.Metric == "binds_at" && !carries[m.Of] {
			t.Value, t.Passed = nil, false
		}
	}
	if a.FirstToBind != nil && !carries[*a.FirstToBind] && !bound[*a.FirstToBind] {
		a.FirstToBind = nil
		a.FirstToBindReason = fmt.Sprintf("the run is %s, so it does not say which quota binds first", a.Verdict.Status)
	}
	return a
}

// predictable reports whether the run carries a prediction for q.
func predictable(v capacity.Verdict, q capacity.QuotaResult) bool {
	failed := v.Failed()
	return v.Status == capacity.Valid ||
		len(failed) == 1 && failed[0].Name == capacity.CheckSaturationDrops && q.Throttled != nil && *q.Throttled > 0
}

// threshold finds a threshold of the scenario by its text.
func threshold(run *capacity.Run, text string) (scenarios.Threshold, bool) {
	i := slices.IndexFunc(run.Manifest.Scenario.Thresholds, func(t scenarios.Threshold) bool { return t.Text == text })
	if i < 0 {
		return scenarios.Threshold{}, false
	}
	return run.Manifest.Scenario.Thresholds[i], true
}

func finite(values ...float64) bool {
	return !slices.ContainsFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
}

// prune makes nil of pointers to what is not a number.
func prune(values ...**float64) {
	for _, v := range values {
		if *v != nil && !finite(**v) {
			*v = nil
		}
	}
}

// orEmpty returns s, or an empty slice in place of nil, which JSON would write
// as null.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
