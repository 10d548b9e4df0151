package capacity

import (
	"math"
	"slices"
	"time"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// Coverage returns the share, from 0 to 1, of the run's UTC minutes that have a
// point in s. The minutes are those in which a load that charges the series'
// quota sent something; a record without such rows is asked for every minute
// from its start to its end. NaN where there is no minute to cover.
//
// Services leave out minutes in which a counter stayed at nothing, so the
// coverage of a series of throttles says little.
func Coverage(run *Run, s measure.Series) float64 {
	sent := MinuteSums(run, s.Quota, func(r measure.Row) float64 { return float64(r.Sent) })
	minutes := make(map[int64]bool)
	for _, p := range sent {
		if p.Value > 0 {
			minutes[p.At.Unix()] = true
		}
	}
	if len(minutes) == 0 && !run.Manifest.Start.IsZero() {
		for at := run.Manifest.Start.Truncate(time.Minute); at.Before(run.Manifest.End); at = at.Add(time.Minute) {
			minutes[at.Unix()] = true
		}
	}
	if len(minutes) == 0 {
		return math.NaN()
	}
	wanted := len(minutes)
	for _, p := range s.Points {
		delete(minutes, p.At.Truncate(time.Minute).Unix())
	}
	return float64(wanted-len(minutes)) / float64(wanted)
}

// MinuteSums adds up a figure of the rows for each UTC minute, over the loads
// and operations that charge the quota with the given id ("" or an unknown id:
// all of them). The points are sorted; a minute without rows has none. A
// second that a minute's end cuts in two is shared out by its length on either
// side, so each sum is off by at most a part of one second's figure while the
// total is exact up to rounding.
func MinuteSums(run *Run, quota string, of func(measure.Row) float64) []measure.Point {
	charges := chargers(run, quota)
	sums := make(map[int64]float64)
	for _, r := range run.Rows {
		if !charges(r) {
			continue
		}
		from := run.Manifest.Start.Add(time.Duration(r.Second) * time.Second)
		minute := from.Truncate(time.Minute)
		v, next := of(r), minute.Add(time.Minute)
		before := min(1, next.Sub(from).Seconds())
		sums[minute.Unix()] += v * before
		if before < 1 {
			sums[next.Unix()] += v * (1 - before)
		}
	}
	points := make([]measure.Point, 0, len(sums))
	for at, v := range sums {
		points = append(points, measure.Point{At: time.Unix(at, 0).UTC(), Value: v})
	}
	slices.SortFunc(points, func(a, b measure.Point) int { return a.At.Compare(b.At) })
	return points
}

// Reconciliation sets what the client's ledger counted against what the cloud
// published for the same minutes.
type Reconciliation struct {
	Quota string
	// Ledger and Cloud are sums in the quota's unit over the compared minutes,
	// of which there are Minutes.
	Ledger, Cloud float64
	Minutes       int
	// Difference is (Cloud - Ledger) / Ledger. Above zero, others charged the
	// quota too, or answers with their counts were lost; below, the cloud's data
	// is incomplete or belongs to something else.
	Difference float64
	// Unmeasured counts the run's sent requests whose answer carried no token
	// count; refusals with status 429 are among them.
	Unmeasured int64
}

// Reconcile compares each usage series that the client's ledger also counts,
// appsync.request-tokens, with that ledger, in the UTC minutes that have a
// point. Minutes that the cloud left out are left out of the ledger's sum as
// well. A sandbox is idle before and after the run, so all its minutes count;
// elsewhere only those that lie wholly inside the run do, since the others hold
// what the service did before and after. Without a minute to compare, or
// without tokens in the ledger, there is no reconciliation.
func Reconcile(run *Run) []Reconciliation {
	var out []Reconciliation
	for _, s := range run.Series {
		if s.Quota != RequestTokens || s.Role != RoleUsage || s.Statistic != "Sum" {
			continue
		}
		// Tokens are charged when a request comes in, so they are placed by its
		// sent instant.
		ledger := MinuteSums(run, s.Quota, func(r measure.Row) float64 { return float64(r.TokensSent) })
		x := Reconciliation{Quota: s.Quota}
		for _, p := range s.Points {
			if !run.Manifest.Sandbox && (p.At.Before(run.Manifest.Start) || p.At.Add(time.Minute).After(run.Manifest.End)) {
				continue
			}
			if i := slices.IndexFunc(ledger, func(l measure.Point) bool { return l.At.Equal(p.At) }); i >= 0 {
				x.Ledger += ledger[i].Value
			}
			x.Cloud += p.Value
			x.Minutes++
		}
		for _, r := range run.Rows {
			x.Unmeasured += r.OK + r.Throttled + r.Failed + r.Rejected + r.Unclassified + r.TimedOut + r.Unfinished - r.TokensN
		}
		if x.Ledger > 0 {
			x.Difference = (x.Cloud - x.Ledger) / x.Ledger
			out = append(out, x)
		}
	}
	return out
}

// AnyValue as the value of a wanted series' label asks for the sum over all
// values of the label.
const AnyValue = "*"

// RequestTokens is the id of AppSync's quota of request tokens, the only one
// that the client's answers count.
const RequestTokens = "appsync.request-tokens"

// chargers returns whether a row belongs to a load and operation that charge
// the quota.
func chargers(run *Run, quota string) func(measure.Row) bool {
	i := slices.IndexFunc(run.Manifest.Quotas, func(q Quota) bool { return q.ID == quota })
	if i < 0 {
		return func(measure.Row) bool { return true }
	}
	q := run.Manifest.Quotas[i]
	return func(r measure.Row) bool {
		return (len(q.Loads) == 0 || slices.Contains(q.Loads, r.Load)) &&
			(len(q.Operations) == 0 || slices.Contains(q.Operations, r.Operation))
	}
}
