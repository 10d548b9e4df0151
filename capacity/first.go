package capacity

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/scenarios/unit"
)

// firstToBind names the quota with the lowest binding rate against the tested
// one, and says in one sentence what that means, or why there is no answer; before
// that, what no rate keeps to.
func (a *analysis) firstToBind(v Verdict, sorted []assessed) (*string, string) {
	id, reason := a.bindsByRate(v, sorted)
	var always []string
	for i := range sorted {
		if sorted[i].exceeded != "" {
			always = append(always, sorted[i].exceeded)
		}
	}
	if len(always) > 0 {
		reason = strings.Join(always, "; ") + "; for the rest, " + reason
	}
	return id, reason
}

// bindsByRate is firstToBind of the quotas that grow with the rate.
func (a *analysis) bindsByRate(v Verdict, sorted []assessed) (*string, string) {
	if len(sorted) == 0 {
		return nil, "no quota is known that the load runs into"
	}
	if torn := a.torn(); torn != "" {
		return nil, "no prediction and no requirement: " + torn
	}
	var first, refusing *assessed
	var unknown, withheld []string
	var hidden []*assessed
	fixed := 0
	bound := slices.IndexFunc(sorted, func(q assessed) bool { return q.Bound })
	for i := range sorted {
		q := &sorted[i]
		switch {
		case i == bound: // which is seen, so no prediction comes before it
			first = q
		case q.Kind == FixedQuota:
			fixed++
		case q.BindsAtMost != nil: // above which it binds for certain
			if first == nil && bound < 0 {
				first = q
			}
		case q.hidden != "":
			hidden = append(hidden, q)
			if share := a.refusedBy(q); v.Status == Valid && share > maxRefused && (refusing == nil || share > a.refusedBy(refusing)) {
				refusing = q
			}
		case math.IsNaN(q.binds) && (q.UnitCost == nil || q.Throttled != nil && *q.Throttled > 0):
			unknown = append(unknown, q.ID)
		case math.IsNaN(q.binds): // none of it was used
		case q.BindsAt == nil:
			withheld = append(withheld, q.ID)
		case first == nil && q.BindsAt.Rate != nil && bound < 0:
			first = q
		}
	}
	// What refused requests at the rates of the run comes before what would bind above them.
	if refusing != nil && bound < 0 && (first == nil || first.BindsAt != nil && *first.BindsAt.Rate > first.TestedRate) {
		first = refusing
		hidden = slices.DeleteFunc(hidden, func(q *assessed) bool { return q == first })
	}
	var b strings.Builder
	var id *string
	switch {
	case first != nil && first.Bound:
		id = &first.ID
		fmt.Fprintf(&b, "%s bound: %s", first.ID, a.kafka(nil).text())
		if first.BindsAt == nil || first.BindsAt.Rate == nil {
			fmt.Fprintf(&b, "; no prediction: the run is %s", v.Status)
		} else {
			fmt.Fprintf(&b, "; it binds at %s", a.rate(*first.BindsAt.Rate))
		}
		b.WriteString(requires(first, ""))
	case first != nil && first.BindsAtMost != nil:
		id = &first.ID
		fmt.Fprintf(&b, "%s binds at %s at most: it refused %s of the requests, dear ones first, which told no charge", first.ID, a.rate(*first.BindsAtMost), unit.HumanShare(a.refusedBy(first)))
	case first != nil && first.hidden != "":
		id = &first.ID
		fmt.Fprintf(&b, "%s bound: it refused %s of the requests; at which rate it binds isn't known, since %s", first.ID, unit.HumanShare(a.refusedBy(first)), first.hidden)
	case first != nil:
		id = &first.ID
		fmt.Fprintf(&b, "%s binds at %s", first.ID, a.rate(*first.BindsAt.Rate))
		if p := first.BindsAt; p.Low != nil && p.High == nil {
			b.WriteString(" at least")
		}
		if first.BindsAt.Grade != Tested {
			fmt.Fprintf(&b, " (%s: tested to %s)", first.BindsAt.Grade, a.rate(first.TestedRate))
		}
		if first.dear > 0 {
			fmt.Fprintf(&b, ", in the run's dearest stretch at %s", a.rate(first.dear))
		}
		b.WriteString(requires(first, ""))
	case v.Status != Valid:
		var names []string
		for _, c := range v.Failed() {
			names = append(names, c.Name)
		}
		fmt.Fprintf(&b, "no prediction: the run is %s (%s)", v.Status, strings.Join(names, ", "))
		if carried := a.carried(); v.Status == Invalid && carried > 0 {
			fmt.Fprintf(&b, "; the target answered at least %s ok", a.rate(carried))
		}
		if q := tightest(sorted); q != nil {
			b.WriteString(requires(q, " of "+q.ID))
		}
	case fixed == len(sorted):
		return nil, "no quota is known that grows with the rate"
	case len(unknown)+len(hidden) > 0 && len(unknown)+len(hidden) == len(sorted)-fixed:
		return nil, "no prediction: the run shows no quota's cost per request"
	default:
		q := tightest(sorted)
		if q == nil {
			return nil, "no quota binds: the run used none of them"
		}
		fmt.Fprintf(&b, "no quota that was measured binds up to %s, which is %dx the highest tested rate", a.rate(indicativeTo*q.TestedRate), indicativeTo)
		b.WriteString(requires(q, " of "+q.ID))
	}
	if first != nil {
		for i := range sorted {
			q := &sorted[i]
			if q.ID != first.ID && q.BindsFirst != nil && *q.BindsFirst >= 0.01 {
				fmt.Fprintf(&b, "; %s may bind first, with a probability of %s", q.ID, unit.HumanShare(*q.BindsFirst))
			}
		}
	}
	for i := range sorted {
		if q := &sorted[i]; q != first && q.dear > 0 && q.TestedRate > 0 && (first == nil || q.dear/q.TestedRate < first.ratio()) {
			fmt.Fprintf(&b, "; in its dearest stretch %s binds at %s", q.ID, a.rate(q.dear))
		}
	}
	for i := range sorted {
		if q := &sorted[i]; q.early != "" {
			fmt.Fprintf(&b, "; %s refused %s all the same: %s", q.ID, unit.HumanCount(float64(*q.Throttled), unit.Requests), q.early)
		}
	}
	if first != nil && len(withheld) > 0 {
		fmt.Fprintf(&b, "; withheld: %s", strings.Join(withheld, ", "))
	}
	for i, q := range hidden {
		if i > 0 && hidden[i-1].hidden == q.hidden {
			fmt.Fprintf(&b, ", %s", q.ID)
		} else {
			fmt.Fprintf(&b, "; not known, since %s: %s", q.hidden, q.ID)
		}
	}
	if len(unknown) > 0 {
		fmt.Fprintf(&b, "; not measured: %s", strings.Join(unknown, ", "))
	}
	return id, b.String()
}

// carriedOver is how many seconds a rate must last to count as carried.
const carriedOver = 5

// carried returns the highest rate of ok answers over five seconds. Where the
// generator was the limit, it is all that can be said of the target.
func (a *analysis) carried() (rate float64) {
	ok := make([]float64, a.seconds)
	for r := range a.run.Rows.All() {
		ok[r.Second] += float64(r.OK)
	}
	var sum float64
	for s, n := range ok {
		sum += n
		if s >= carriedOver {
			sum -= ok[s-carriedOver]
		}
		if s >= carriedOver-1 {
			rate = max(rate, sum/carriedOver)
		}
	}
	return rate
}

// tightest returns the quota of which the target requires most, or nil.
func tightest(all []assessed) *assessed {
	var worst *assessed
	for i := range all {
		q := &all[i]
		if q.Required != nil && q.Limit > 0 && (worst == nil || q.Required.Quota/q.Limit > worst.Required.Quota/worst.Limit) {
			worst = q
		}
	}
	return worst
}

// requires prints what the target needs of a quota, which named may name.
func requires(q *assessed, named string) string {
	if q.Required == nil || q.Limit <= 0 {
		return ""
	}
	amount := unit.HumanRate(q.Required.Quota, q.Unit)
	if q.Kind == LevelQuota {
		amount = unit.HumanCount(q.Required.Quota, q.Unit)
	}
	times := q.Required.Quota / q.Limit
	of := strings.TrimSuffix(unit.Human(times), ".00") + "x the quota"
	if times < 1 {
		of = unit.HumanShare(times) + " of the quota"
	}
	return fmt.Sprintf("; %s requires %s%s, %s", unit.HumanRate(q.Required.Target, unit.Arrivals), amount, named, of)
}
