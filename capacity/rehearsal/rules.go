package rehearsal

import (
	"fmt"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// rules are the scenario's stop rules. They are asked once a second about the
// last seconds of the client's own ledger, which is at most a second old.
type rules struct {
	stop    []scenarios.Threshold
	limits  map[string]float64
	seconds map[int]*second
	newest  int
}

// second is what the rules need of one second, over all operations.
type second struct {
	sent, done, errors, throttled int64
	tokensSent, tokensDone        int64
}

// memory is how many seconds back the rules look: rows are additive, and the
// answers of a second come in later ones.
const memory = 10

func newRules(stop []scenarios.Threshold, quotas []capacity.Quota) *rules {
	r := &rules{stop: stop, limits: map[string]float64{}, seconds: map[int]*second{}}
	for _, q := range quotas {
		r.limits[q.ID] = q.Limit
	}
	return r
}

// broken adds rows to the ledger and returns why the run must stop, or "".
func (r *rules) broken(rows []measure.Row) string {
	if len(r.stop) == 0 {
		return ""
	}
	for _, row := range rows {
		s := r.seconds[row.Second]
		if s == nil {
			s = &second{}
			r.seconds[row.Second] = s
		}
		r.newest = max(r.newest, row.Second)
		s.sent += row.Sent
		s.errors += row.Failed + row.Rejected + row.TimedOut + row.Unclassified
		s.throttled += row.Throttled
		s.done += row.OK + row.Throttled + row.Failed + row.Rejected + row.TimedOut + row.Unclassified
		s.tokensSent += row.TokensSent
		s.tokensDone += row.TokensDone
	}
	for at := range r.seconds {
		if at < r.newest-memory {
			delete(r.seconds, at)
		}
	}
	for _, rule := range r.stop {
		for at, s := range r.seconds {
			if v, ok := r.figure(rule, s); ok && rule.Holds(v) {
				return fmt.Sprintf("stop rule %s: it was %s in second %d", rule.Text, unit.HumanShare(v), at)
			}
		}
	}
	return ""
}

// figure returns what the rule is about in the second, as a fraction.
func (r *rules) figure(rule scenarios.Threshold, s *second) (float64, bool) {
	switch rule.Metric {
	case "utilization":
		limit := r.limits[rule.Of]
		return float64(max(s.tokensSent, s.tokensDone)) / limit, limit > 0
	case "errors":
		return float64(s.errors) / float64(s.done), s.done > 0
	case "throttled":
		return float64(s.throttled) / float64(s.done), s.done > 0
	}
	return 0, false
}
