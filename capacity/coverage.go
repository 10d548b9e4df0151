package capacity

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// SourceFault is the kind of events that tell of what could not be read of a cloud, of
// Service Quotas before the load and of metrics after it.
const SourceFault = "source-error"

// AnyValue as the value of a wanted series' label asks for the sum over all
// values of the label.
const AnyValue = "*"

// RequestTokens is the id of AppSync's quota of request tokens, the only one
// that the client's answers count.
const RequestTokens = model.RequestTokens

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
	// Unmeasured counts the run's sent requests that charge the quota and whose
	// answer carried no token count; refusals with status 429 are among them.
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
	run = withKafka(run)
	q := quotaOf(run, RequestTokens)
	var out []Reconciliation
	for _, s := range run.Series {
		if s.Quota != RequestTokens || s.Role != RoleUsage || s.Statistic != "Sum" {
			continue
		}
		// Tokens are charged when a request comes in, so they are placed by its
		// sent instant.
		ledger := minuteSums(run, q, func(r *measure.Row) float64 { return float64(r.TokensSent) })
		x := Reconciliation{Quota: s.Quota}
		for _, p := range minutes(s.Points) {
			if !run.Manifest.Sandbox && (p.At.Before(run.Manifest.Start) || p.At.Add(time.Minute).After(run.Until())) {
				continue
			}
			if i := slices.IndexFunc(ledger, func(l measure.Point) bool { return l.At.Equal(p.At) }); i >= 0 {
				x.Ledger += ledger[i].Value
			}
			x.Cloud += p.Value
			x.Minutes++
		}
		for r := range run.Rows.All() {
			if q.Charges(r.Load, r.Operation) {
				x.Unmeasured += r.OK + r.Throttled + r.Failed + r.Rejected + r.Unclassified + r.TimedOut + r.Unfinished - r.TokensN
			}
		}
		if x.Ledger > 0 {
			x.Difference = (x.Cloud - x.Ledger) / x.Ledger
			out = append(out, x)
		}
	}
	return out
}

// foreignTokens returns how many request tokens others used a second, by what the cloud
// counted above the client's and above what answers that never came may have carried; 0
// where that is within the bound of the reconciliation, or isn't known.
func (a *analysis) foreignTokens() float64 {
	if a.run.Manifest.Sandbox {
		return 0
	}
	for _, r := range Reconcile(a.run) {
		if r.Difference > maxDifference+a.uncounted() && r.Minutes > 0 {
			return (r.Cloud - r.Ledger*(1+a.uncounted())) / float64(60*r.Minutes)
		}
	}
	return 0
}

// minutes adds up points of shorter periods, sorted by time, to those of UTC
// minutes.
func minutes(points measure.Points) []measure.Point {
	var out []measure.Point
	for p := range points.All() {
		at := p.At.Truncate(time.Minute)
		if n := len(out); n == 0 || !out[n-1].At.Equal(at) {
			out = append(out, measure.Point{At: at})
		}
		out[len(out)-1].Value += p.Value
	}
	return out
}

// minuteSums adds up a figure of the rows for each UTC minute, over the loads
// and operations that charge q. The points are sorted; a minute in which nothing
// was sent has none. A second that a minute's end cuts in two is shared out by
// the tenths of a second in which its requests were sent.
func minuteSums(run *Run, q Quota, of func(*measure.Row) float64) []measure.Point {
	start := run.Manifest.Start.UnixNano()
	sums := make(map[int64]float64)
	for r := range run.Rows.All() {
		if !q.Charges(r.Load, r.Operation) {
			continue
		}
		slots := sentSlots(r)
		var sent float64
		for _, n := range slots {
			sent += n
		}
		if sent == 0 {
			slots, sent = [measure.Slots]float64{1}, 1
		}
		for k, n := range slots {
			if n > 0 {
				at := start + int64(r.Second)*int64(time.Second) + slotMiddle(k)
				sums[floorTo(at, int64(time.Minute))] += of(r) * n / sent
			}
		}
	}
	points := make([]measure.Point, 0, len(sums))
	for _, at := range slices.Sorted(maps.Keys(sums)) {
		points = append(points, measure.Point{At: time.Unix(0, at).UTC(), Value: sums[at]})
	}
	return points
}

// Coverage returns the share, from 0 to 1, of the UTC minutes in which the run
// sent something that charges the series' quota and that have a point in s; NaN
// where nothing was sent. A service may leave out the minutes in which a counter
// stayed at nothing, so the coverage of throttles says little.
func Coverage(run *Run, s measure.Series) float64 {
	covered := make(map[int64]bool)
	for p := range s.Points.All() {
		covered[floorTo(p.At.UnixNano(), int64(time.Minute))] = true
	}
	there, all := 0, 0
	for at, f := range (&analysis{run: run}).arrivals(time.Minute, quotaOf(run, s.Quota).Charges) {
		if f.sent == 0 {
			continue
		}
		all++
		if covered[at] {
			there++
		}
	}
	if all == 0 {
		return math.NaN()
	}
	return float64(there) / float64(all)
}

// quotaOf returns the quota of the run with the id, or one that all operations
// charge.
func quotaOf(run *Run, id string) Quota {
	if i := slices.IndexFunc(run.Manifest.Quotas, func(q Quota) bool { return q.ID == id }); i >= 0 {
		return run.Manifest.Quotas[i]
	}
	return Quota{ID: id}
}
