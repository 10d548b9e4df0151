package plan

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/price"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// cost is what one arrival costs of a quota, of those that charge it.
type cost struct {
	value    float64 // in the quota's unit; of a level in seconds
	mean     float64 // of many arrivals, where value allows for the dear ones
	why      string
	varies   float64 // single charges' mean square over the square of their mean, at least 1
	others   float64 // what others use of the quota, whatever the rate
	least    float64 // that an arrival takes up of a level, in seconds, however short it is
	share    float64 // part of all arrivals that it is of
	supposed bool    // it isn't the run's
}

// suppose returns c with another value and mean, whose charges vary so many times as much.
func (c cost) suppose(value, mean, keeps float64, why string) cost {
	c.value, c.mean, c.why, c.varies, c.supposed = value, mean, why, max(1, c.varies*keeps), true
	return c
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
	mixed := false // some cost is that of an instant's mix
	for _, q := range a.Quotas {
		share := shareOf(run, quotaOf(run, q.ID))
		if q.UnitCost == nil {
			if q.BindsAtMost != nil && q.ID == capacity.RequestTokens && w.Tokens != nil {
				costs[q.ID] = cost{share: share} // which --tokens fills in
			}
			continue
		}
		c := cost{value: q.UnitCost.Value, mean: q.UnitCost.Value, why: "mean of the run", varies: 1, share: share}
		mean := "the run's mean"
		if q.BusiestAt != nil {
			c.why = fmt.Sprintf("of the mix in second %.0f of the run, in which its loads charge most", *q.BusiestAt)
			mean = "that of the busiest second's mix"
			mixed = true
		}
		if q.Others != nil {
			c.others = *q.Others
		}
		if of := quotaOf(run, q.ID); of.Requests > 0 {
			c.least = 1 / of.Requests
		}
		if q.Variation != nil {
			c.varies = *q.Variation
		}
		if q.ColdCost != nil && *q.ColdCost > c.value*(1+1e-9) {
			why := "of the run's dearest stretch, since a launch begins cold"
			if q.MostHeldAt != nil {
				why = fmt.Sprintf("by which the tested rate holds as many at once as in second %.0f of the run, while they started or the backend stood still", *q.MostHeldAt)
			}
			c.value, c.why = *q.ColdCost, fmt.Sprintf("%s; %s is %s", why, mean, amount(q.UnitCost.Value, q))
		}
		if p.Margin > 0 && q.UnitCost.High > c.value*(1+known) {
			c.value, c.why = q.UnitCost.High, fmt.Sprintf("upper end of its 95 %% interval; %s is %s", mean, amount(q.UnitCost.Value, q))
		}
		costs[q.ID] = c
	}
	suppose := func(format string, args ...any) { p.Supposed = append(p.Supposed, fmt.Sprintf(format, args...)) }
	if mixed && w.Mix == nil {
		suppose("rates are the highest of the run's plan, made larger in proportion; an hour at the target has the mix of the whole run")
	}
	if w.Mix != nil {
		if err := w.remix(run, a, costs); err != nil {
			return nil, err
		}
		suppose("another mix of operations, each of which costs what it did in the run")
	}
	change := func(what string, of func(q capacity.QuotaResult) bool, to func(q capacity.QuotaResult, c cost) cost) error {
		found := false
		for _, q := range a.Quotas {
			if c, ok := costs[q.ID]; ok && of(q) {
				costs[q.ID] = to(q, c)
				found = true
			}
		}
		if !found {
			return fmt.Errorf("%s changes nothing: the run tells no cost of such a quota", what)
		}
		return nil
	}
	if w.Tokens != nil {
		if err := change("--tokens", func(q capacity.QuotaResult) bool { return q.ID == capacity.RequestTokens }, func(_ capacity.QuotaResult, c cost) cost {
			return c.suppose(*w.Tokens, *w.Tokens, 0, "supposed")
		}); err != nil {
			return nil, err
		}
		suppose("a request costs %s, as after a redesign that was not measured", unit.HumanCount(*w.Tokens, unit.Tokens))
	}
	if w.HitRatio != nil {
		if err := change("--hit-ratio", func(q capacity.QuotaResult) bool { return strings.HasPrefix(q.ID, "dynamodb.") }, func(q capacity.QuotaResult, c cost) cost {
			misses := 1 - *w.HitRatio
			return c.suppose(c.value*misses, c.mean*misses, 1/max(misses, math.SmallestNonzeroFloat64), fmt.Sprintf("the cache's misses, %s of %s: %s", unit.HumanShare(misses), amount(c.value, q), c.why))
		}); err != nil {
			return nil, err
		}
		suppose("a cache in front of DynamoDB answers %s of the requests; its own limits are not in this plan, and it is warm", unit.HumanShare(*w.HitRatio))
	}
	if w.Duration != nil {
		if err := change("--duration", func(q capacity.QuotaResult) bool { return q.Kind == capacity.LevelQuota }, func(_ capacity.QuotaResult, c cost) cost {
			return c.suppose(*w.Duration, *w.Duration, 0, "supposed")
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
	c := costs["lambda.concurrency"]
	held := c.mean
	if r.WhatIf.HitRatio == nil || held <= 0 {
		return ""
	}
	misses, hits := Herd(r.Rate*c.share, held, 60)
	return fmt.Sprintf("where all requests ask the cache for the same value, %s requests miss it at once each time that it expires, since it takes %s to fetch: let one of them fetch it while the others wait. With a TTL of 1m no more than %s hit",
		unit.Human(misses), unit.HumanSeconds(held), unit.HumanShare(hits))
}

// use returns what an arrival is supposed to use, on average, of each quota of which
// it doesn't cost what it did in the run, and of what another mix changes. It is NaN of
// a quota whose cost the run doesn't tell.
func (w WhatIf) use(run *capacity.Run, a capacity.Assessment, costs map[string]cost) map[string]float64 {
	use := make(map[string]float64)
	if w.Mix != nil {
		use = price.Mix(run, w.Mix)
	}
	for _, q := range a.Quotas {
		if q.UnitCost == nil && q.Kind != capacity.FixedQuota {
			use[q.ID] = math.NaN()
		}
	}
	for id, c := range costs {
		if c.supposed {
			use[id] = c.mean * c.share
		}
	}
	return use
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
	if total <= 0 {
		return errors.New("--mix gives no operation any weight: write list=5,get=1")
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
		why := "mean of the operations' own costs at the supposed mix"
		dear := 1.0
		if c.mean > 0 {
			dear = c.value / c.mean
		}
		if dear > 1+known {
			why = fmt.Sprintf("%s, %s, times %s, by which the run's cost allows for dear ones", why, amount(value, q), unit.Digits(dear))
		}
		c = c.suppose(value*dear, value, 1, why)
		c.share = 1 // the mix is of all arrivals
		costs[q.ID] = c
	}
	return nil
}

// charges reports whether an operation charges a quota, as far as is known.
func charges(run *capacity.Run, quota, operation string) bool {
	q := quotaOf(run, quota)
	return slices.ContainsFunc(run.Manifest.Loads, func(l capacity.Load) bool {
		return q.Charges(l.Name, operation) && slices.ContainsFunc(l.Operations, func(o capacity.Operation) bool { return o.Name == operation })
	})
}

func quotaOf(run *capacity.Run, id string) capacity.Quota {
	i := slices.IndexFunc(run.Manifest.Quotas, func(q capacity.Quota) bool { return q.ID == id })
	return run.Manifest.Quotas[i]
}
