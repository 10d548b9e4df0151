package capacity

import "github.com/headroom-load/headroom/capacity/stats"

// surely is how rarely chance may explain what is taken for more than chance: a
// millionth of the instants.
const surely = 1 - 1e-6

// coldHeld returns for how long, in seconds, each arrival of the tested rate would
// have held a unit of the level q to make up the most that were held in a second, and in
// which, where independent arrivals that each hold one for the given mean would not; else
// 0.
//
// Requests that begin cold hold longer, all at once, and so do those that a backend which
// stands still leaves waiting: the run doesn't tell which it was. What a service publishes by the
// minute averages them with those that follow, so this counts what the client saw in
// flight in each second, of which no more was held than the quota's own peak.
func (a *analysis) coldHeld(q Quota, r QuotaResult, mean float64) (held, second float64) {
	if r.Peak == nil || r.TestedRate <= 0 {
		return 0, 0
	}
	waited := make([]float64, a.seconds)
	for r := range a.run.Rows.All() {
		if q.Charges(r.Load, r.Operation) {
			waited[r.Second] += r.InFlight
		}
	}
	most := 0.0
	for s, n := range waited {
		if n > most {
			most, second = n, float64(s)
		}
	}
	most = min(most, *r.Peak)
	if most <= float64(stats.PoissonQuantile(r.TestedRate*mean, surely)) {
		return 0, 0
	}
	return most / r.TestedRate, second
}
