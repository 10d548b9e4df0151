package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// cost is what one arrival of the loads that charge a quota costs of it.
type cost struct {
	value   float64 // in the quota's unit; of a level in seconds
	mean    float64 // of many arrivals, where value allows for the dear ones
	why     string
	foreign float64 // factor by which the quota's use exceeds the run's own
}

// known is how well, relatively, a cost must be known to count as known: every
// interval has a floor below that.
const known = 1e-5

// amount prints a cost.
func amount(v float64, q capacity.QuotaResult) string {
	if q.Kind == capacity.LevelQuota {
		return unit.HumanSeconds(v)
	}
	return unit.HumanQuantity(v, q.Unit)
}

// costs returns the cost of each quota that the run tells, changed as is
// supposed, and says in the plan what is supposed.
func (w WhatIf) costs(run *capacity.Run, a capacity.Assessment, p *Plan) (map[string]cost, error) {
	costs := make(map[string]cost)
	for _, q := range a.Quotas {
		if q.UnitCost == nil {
			continue
		}
		c := cost{value: q.UnitCost.Value, mean: q.UnitCost.Value, why: "mean of the run"}
		if q.ColdCost != nil && *q.ColdCost > c.value*(1+1e-9) {
			c.value, c.why = *q.ColdCost, fmt.Sprintf("of the run's dearest stretch, since a launch begins cold; its mean is %s", amount(q.UnitCost.Value, q))
		}
		if p.Margin > 0 && q.UnitCost.High > c.value*(1+known) {
			c.value, c.why = q.UnitCost.High, fmt.Sprintf("upper end of its 95 %% interval; the run's mean is %s", amount(q.UnitCost.Value, q))
		}
		costs[q.ID] = c
	}
	for _, x := range capacity.Reconcile(run) {
		if c, ok := costs[x.Quota]; ok && x.Difference > 0.02 && !run.Manifest.Sandbox {
			c.foreign = 1 + x.Difference
			costs[x.Quota] = c
		}
	}
	suppose := func(format string, args ...any) { p.Supposed = append(p.Supposed, fmt.Sprintf(format, args...)) }
	if w.Mix != nil {
		if err := w.remix(run, a, costs); err != nil {
			return nil, err
		}
		suppose("another mix of operations, each of which costs what it did in the run")
	}
	change := func(what string, of func(q capacity.QuotaResult) bool, to func(c cost) cost) error {
		found := false
		for _, q := range a.Quotas {
			if c, ok := costs[q.ID]; ok && of(q) {
				costs[q.ID] = to(c)
				found = true
			}
		}
		if !found {
			return fmt.Errorf("%s changes nothing: the run tells no cost of such a quota", what)
		}
		return nil
	}
	if w.Tokens != nil {
		if err := change("--tokens", func(q capacity.QuotaResult) bool { return q.ID == capacity.RequestTokens }, func(c cost) cost {
			return cost{*w.Tokens, *w.Tokens, "supposed", c.foreign}
		}); err != nil {
			return nil, err
		}
		suppose("a request costs %s, as after a redesign that was not measured", unit.HumanQuantity(*w.Tokens, unit.Tokens))
	}
	if w.HitRatio != nil {
		if err := change("--hit-ratio", func(q capacity.QuotaResult) bool { return strings.HasPrefix(q.ID, "dynamodb.") }, func(c cost) cost {
			misses := 1 - *w.HitRatio
			return cost{c.value * misses, c.mean * misses, fmt.Sprintf("%s of the run's: the cache's misses", unit.HumanShare(misses)), c.foreign}
		}); err != nil {
			return nil, err
		}
		suppose("a cache in front of DynamoDB answers %s of the requests; its own limits are not in this plan, and it is warm", unit.HumanShare(*w.HitRatio))
	}
	if w.Duration != nil {
		if err := change("--duration", func(q capacity.QuotaResult) bool { return q.Kind == capacity.LevelQuota }, func(c cost) cost {
			return cost{*w.Duration, *w.Duration, "supposed", c.foreign}
		}); err != nil {
			return nil, err
		}
		suppose("a request holds an environment for %s", unit.HumanSeconds(*w.Duration))
	}
	return costs, nil
}

// herd says what a supposed cache does when a value expires, or "" where no cache is
// supposed or the run doesn't tell how long a value takes to fetch.
func herd(r Request, costs map[string]cost) string {
	held := costs["lambda.concurrency"].mean
	if r.WhatIf.HitRatio == nil || held <= 0 {
		return ""
	}
	misses, hits := Herd(r.Rate, held, 60)
	return fmt.Sprintf("where all requests ask the cache for the same value, %s requests miss it at once each time that it expires, since it takes %s to fetch: let one of them fetch it while the others wait. With a TTL of 1m no more than %s hit",
		unit.Human(misses), unit.HumanSeconds(held), unit.HumanShare(hits))
}

// supposedCosts returns how many times the run's mean cost of a quota is supposed,
// where it is another.
func supposedCosts(a capacity.Assessment, costs map[string]cost) map[string]float64 {
	times := make(map[string]float64)
	for _, q := range a.Quotas {
		if c, ok := costs[q.ID]; ok && q.UnitCost.Value > 0 {
			times[q.ID] = c.mean / q.UnitCost.Value
		}
	}
	return times
}

// remix weighs the operations' own costs anew.
func (w WhatIf) remix(run *capacity.Run, a capacity.Assessment, costs map[string]cost) error {
	var names []string
	for _, l := range run.Manifest.Loads {
		for _, op := range l.Operations {
			names = append(names, op.Name)
		}
	}
	var total float64
	for name, weight := range w.Mix {
		if !slices.Contains(names, name) {
			return fmt.Errorf("--mix names %q, which is no operation of the run: it has %s", name, strings.Join(names, ", "))
		}
		total += weight
	}
	for _, q := range a.Quotas {
		c, ok := costs[q.ID]
		if !ok {
			continue
		}
		var value float64
		for name, weight := range w.Mix {
			at := slices.IndexFunc(q.ByOperation, func(o capacity.OperationCost) bool { return o.Name == name })
			switch {
			case at >= 0:
				value += weight / total * q.ByOperation[at].UnitCost
			case charges(run, q.ID, name):
				return fmt.Errorf("--mix: the run doesn't tell what %s alone costs of %s: rehearse it alone", name, q.ID)
			}
		}
		c.value, c.mean, c.why = value, value, "mean of the operations' own costs at the supposed mix"
		costs[q.ID] = c
	}
	return nil
}

// charges reports whether an operation charges a quota, as far as is known.
func charges(run *capacity.Run, quota, operation string) bool {
	for _, q := range run.Manifest.Quotas {
		if q.ID == quota {
			return len(q.Operations) == 0 || slices.Contains(q.Operations, operation)
		}
	}
	return true
}
