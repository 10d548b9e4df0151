package capacity

import (
	"fmt"
	"maps"
	"strings"

	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Assess turns a run into figures: what each operation did, what each quota had
// to bear and at which rate it binds, and which thresholds were met. It is
// deterministic: the same run gives the same bytes.
//
// A run that is not VALID gives no prediction. After drops at the in-flight
// limit alone, a quota that was seen to throttle keeps its figures. A record that
// is not whole gives counts alone: no use, no cost and no limiter, since every one of
// them would be of the part that is left.
func Assess(run *Run) Assessment {
	a := analyse(run)
	v := a.verdict()
	res := Assessment{Verdict: v, Withheld: a.torn(), LimitedBy: a.limitedBy(v), Operations: []OperationResult{}, Thresholds: []ThresholdResult{}}
	res.TimesWithheld = a.timesWithheld(v)
	withheld := res.TimesWithheld != ""
	for _, op := range a.ops {
		r := op.result(withheld, a.grows(op), a.censored(op))
		if res.Withheld != "" {
			r.Tokens.Mean, r.Tokens.P99, r.Tokens.Max = nil, nil, nil
		}
		res.Operations = append(res.Operations, r)
	}
	if res.Withheld == "" {
		res.Consumers = a.consumers()
	}
	res.Quotas, res.FirstToBind, res.FirstToBindReason = a.quotas(v)
	for _, t := range run.Manifest.Scenario.Thresholds {
		r := ThresholdResult{Expression: t.Text}
		if res.Withheld == "" {
			r.Value = a.figure(t, res.Quotas, withheld)
		}
		r.AtLeast = r.Value != nil && *r.Value >= a.censoredFrom(t)
		r.Passed = r.Value != nil && t.Holds(*r.Value) && !(r.AtLeast && strings.HasPrefix(t.Op, "<"))
		if r.Value != nil {
			r.Margin = a.margin(t)
		}
		res.Thresholds = append(res.Thresholds, r)
		if s := a.missed(v, t, r); s != "" {
			res.FirstToBindReason += s
		}
	}
	for _, c := range res.Consumers {
		res.FirstToBindReason += c.behind()
	}
	return res
}

// timesWithheld says why the run gives neither means nor percentiles of times, or "".
// What was dropped or given up would have come late, and is missing from all times.
func (a *analysis) timesWithheld(v Verdict) string {
	torn := a.torn()
	switch {
	case torn != "":
		return torn
	case v.Status == Invalid:
		return "the run is INVALID"
	case a.total.DroppedSaturation > 0:
		return "arrivals were dropped at the in-flight limit"
	case a.total.Unfinished > 0:
		return "requests were given up with the run"
	}
	return ""
}

// missed says that a VALID run missed a threshold of response times, which then stops
// a launch at a lower rate than the quotas do that bind above the run's; "" of other
// thresholds.
func (a *analysis) missed(v Verdict, t scenarios.Threshold, r ThresholdResult) string {
	if v.Status != Valid || r.Passed || r.Value == nil || !ofResponses(t) {
		return ""
	}
	was := unit.HumanSeconds(*r.Value)
	if r.AtLeast {
		was += " or more"
	}
	return fmt.Sprintf("; %s is missed already at up to %s: it was %s", t.Text, a.rate(PeakRate(a.run.Manifest.Loads)), was)
}

// result returns what the operation did in the measured stages, in which its
// response times may have grown, and are censored from some seconds on.
func (op *operation) result(withheld, grows bool, censored float64) OperationResult {
	m := &op.measured
	r := OperationResult{
		Load: op.Load, Name: op.Name,
		Planned: m.Planned, Sent: m.Sent, Dropped: m.Dropped(), NotDue: m.NotDue,
		Completed: m.Completed(), TimedOut: m.TimedOut, GeneratorErrors: m.GeneratorErrors, Unfinished: m.Unfinished,
		OK: m.OK, Throttled: m.Throttled, Failed: m.Failed, Rejected: m.Rejected, Unclassified: m.Unclassified,
		ResponseTime: op.responseTime(withheld, grows, censored),
		ServiceTime:  times(op.distribution(measure.ServiceTimes), withheld, never),
		Lag:          times(op.distribution(measure.Lags), false, never), // it is the evidence
		Reasons:      maps.Clone(m.Reasons),
	}
	if op.all.TokensN > 0 {
		r.Tokens = TokenUse{Total: new(op.all.TokensDone), N: op.all.TokensN}
	}
	if m.TokensN > 0 {
		r.Tokens.Mean = new(float64(m.TokensDone) / float64(m.TokensN))
	}
	if d := op.distribution(measure.TokenCounts); d.N() > 0 {
		r.Tokens.Max = new(d.Max())
		if stats.Earned(d.N(), 0.99) {
			r.Tokens.P99 = new(d.Quantile(0.99))
		}
	}
	return r
}

// times summarises a distribution of microseconds, which is censored from some
// seconds on.
func times(d *measure.Distribution, withheld bool, censored float64) Times {
	t := Times{N: d.N()}
	if t.N == 0 {
		return t
	}
	t.Max = new(d.Max() / 1e6)
	if !withheld {
		t.Mean = new(d.Mean() / 1e6)
		if censored < never {
			t.AtLeast = append(t.AtLeast, "mean")
		}
		for i, into := range []**float64{&t.P50, &t.P90, &t.P95, &t.P99, &t.P999} {
			if k := percentiles[i]; stats.Earned(t.N, k.p) {
				*into = new(d.Quantile(k.p) / 1e6)
				if **into >= censored {
					t.AtLeast = append(t.AtLeast, k.name)
				}
			}
		}
	}
	if *t.Max >= censored {
		t.AtLeast = append(t.AtLeast, "max")
	}
	return t
}

// figure returns what a threshold is about, or nil where the run does not say.
//
//   - p50 ... p999, mean, max: of the response time, of one operation or all
//   - errors, throttled: share of the sent requests; dropped: share of the planned
//   - tokens: mean tokens of one request
//   - rate: ok answers per second that came within the measured stages
//   - headroom, utilization, binds_at: of a quota
//
// Operations count in their measured stages.
func (a *analysis) figure(t scenarios.Threshold, quotas []QuotaResult, withheld bool) *float64 {
	switch t.Metric {
	case "headroom", "utilization", "binds_at":
		for i := range quotas {
			q := &quotas[i]
			switch {
			case q.ID != t.Of:
			case t.Metric == "headroom":
				return q.Headroom
			case t.Metric == "utilization":
				return q.Utilization
			case q.BindsAt != nil:
				return q.BindsAt.Rate
			}
		}
		return nil
	case "rate":
		return a.deliveredRate(t.Of)
	}
	var r measure.Row
	response := new(measure.Distribution)
	for _, op := range a.ops {
		if t.Of != "" && op.Name != t.Of {
			continue
		}
		r.Add(&op.measured)
		if d := op.times[measure.ResponseTimes]; d != nil {
			response.Merge(d)
		}
	}
	whole := times(response, withheld, never)
	switch t.Metric {
	case "p50":
		return whole.P50
	case "p90":
		return whole.P90
	case "p95":
		return whole.P95
	case "p99":
		return whole.P99
	case "p999":
		return whole.P999
	case "mean":
		return whole.Mean
	case "max":
		return whole.Max
	case "errors":
		return ratio(r.Failed+r.Rejected+r.TimedOut+r.Unclassified, r.Sent)
	case "throttled":
		return ratio(r.Throttled, r.Sent)
	case "dropped":
		return ratio(r.Dropped(), r.Planned)
	case "tokens":
		return ratio(r.TokensDone, r.TokensN)
	}
	return nil
}

// ratio returns n/of, or nil where of is 0.
func ratio(n, of int64) *float64 {
	if of == 0 {
		return nil
	}
	return new(float64(n) / float64(of))
}
