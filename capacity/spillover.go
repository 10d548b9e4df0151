package capacity

import (
	"math"

	"github.com/headroom-load/headroom/capacity/stats"
)

// spillOver says which share of a level's requests found every unit that is
// allocated in advance busy, where that was counted. held is how long an arrival of
// the loads holds a unit, in seconds; NaN where that isn't known.
func (a *analysis) spillOver(q Quota, loads []Load, held float64) (s *SpillOver, note string) {
	provisioned, inThem := a.series(q.ID, RoleProvisioned)
	spilled, over := a.series(q.ID, RoleSpilled)
	switch {
	case !inThem && !over:
		return nil, ""
	case !inThem || !over:
		return nil, "of the requests that ran in what is allocated in advance and those that spilled over, only one was counted"
	}
	s = &SpillOver{Spilled: int64(math.Round(spilled.sum()))}
	s.Requests = s.Spilled + int64(math.Round(provisioned.sum()))
	if s.Requests > 0 {
		s.Share = new(float64(s.Spilled) / float64(s.Requests))
	}
	if q.Provisioned > 0 {
		s.Provisioned = &q.Provisioned
		// An account's hold is also that of functions whose requests run elsewhere.
		if all, ok := a.series(q.ID, RoleRequests); ok && math.Round(all.sum()) > float64(s.Requests) {
			return s, ""
		}
		if share := spillShare(loads, held, int(q.Provisioned)); !math.IsNaN(share) && !uniformArrivals(loads) {
			s.Predicted = &share
		}
	}
	return s, ""
}

// spillShare returns the share of Poisson arrivals at the loads' planned rates that
// find so many units busy, each of which is held for a time in seconds, whatever its
// distribution: Erlang's loss formula second by second, as if each lasted.
func spillShare(loads []Load, held float64, units int) float64 {
	var lost, all, end float64
	for _, l := range loads {
		end = max(end, l.End())
	}
	plans := make([][]segment, len(loads))
	for i, l := range loads {
		plans[i] = l.segments()
	}
	known := math.NaN() // the rate of the second before, and its share
	var share float64
	for t := 0.0; t < end; t++ {
		var rate float64
		for _, segs := range plans {
			rate += expected(segs, t, t+1)
		}
		if rate != known {
			known, share = rate, stats.ErlangB(rate*held, units)
		}
		lost, all = lost+rate*share, all+rate
	}
	return lost / all
}
