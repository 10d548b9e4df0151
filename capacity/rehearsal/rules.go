package rehearsal

import (
	"fmt"
	"maps"
	"slices"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/price"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// rules are the scenario's stop rules. They are asked once a second about the
// last seconds of the client's own ledger, which is at most a second old.
type rules struct {
	stop   []scenarios.Threshold
	quotas []capacity.Quota
	recent []measure.Row
	spent  price.Ledger
}

// memory is how many seconds back the rules look: rows are additive, and the
// answers of a second come in later ones.
const memory = 10

// broken adds rows to the ledger and returns why the run must stop, or "".
func (r *rules) broken(rows []measure.Row) string {
	if len(r.stop) == 0 {
		return ""
	}
	for _, q := range r.quotas {
		if q.ID == capacity.RequestTokens {
			r.spent.Add(rows, q)
		}
	}
	r.recent = measure.Sum(append(r.recent, rows...))
	if n := len(r.recent); n > 0 {
		newest := r.recent[n-1].Second
		r.recent = slices.DeleteFunc(r.recent, func(row measure.Row) bool { return row.Second < newest-memory })
	}
	for _, rule := range r.stop {
		if rule.Metric == "cost" {
			if rule.Holds(r.spent.USD) {
				return fmt.Sprintf("stop rule %s: it was at least %.2f USD by %s", rule.Text, r.spent.USD, r.spent.Prices)
			}
			continue
		}
		figures := r.figures(rule)
		for _, second := range slices.Sorted(maps.Keys(figures)) {
			if v := figures[second]; rule.Holds(v) {
				return fmt.Sprintf("stop rule %s: it was %s in second %d", rule.Text, unit.HumanShare(v), second)
			}
		}
	}
	return ""
}

// figures returns what the rule is about, as a fraction, for each recent second
// that tells.
func (r *rules) figures(rule scenarios.Threshold) map[int]float64 {
	figures := map[int]float64{}
	if rule.Metric == "utilization" {
		for _, q := range r.quotas {
			if q.ID != rule.Of {
				continue
			}
			for use := range capacity.LedgerUse(q, measure.Each(r.recent)) {
				figures[use.Second] = float64(use.PerSecond()) / q.Limit
			}
		}
		return figures
	}
	type count struct{ of, ended int64 }
	counts := map[int]count{}
	for _, row := range r.recent {
		c := counts[row.Second]
		c.ended += row.Completed() + row.TimedOut
		switch rule.Metric {
		case "errors":
			c.of += row.Failed + row.Rejected + row.Unclassified + row.TimedOut
		case "throttled":
			c.of += row.Throttled
		}
		counts[row.Second] = c
	}
	for second, c := range counts {
		if c.ended > 0 {
			figures[second] = float64(c.of) / float64(c.ended)
		}
	}
	return figures
}
