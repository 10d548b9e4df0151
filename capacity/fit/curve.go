package fit

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// How the curve of an own server's throughput is read from runs: by means over
// steps of some seconds, of which there must be enough, and far enough apart.
const (
	curveStep   = 5 // seconds
	curveLevels = 8
	curveRange  = 3 // most requests in flight over fewest
)

// level is a mean number of requests in flight and the ok answers per second then.
type level struct{ flying, rate float64 }

// levels returns the steps of a run that had answers and neither refusals nor
// drops.
func levels(run *capacity.Run) []level {
	type second struct {
		flying, ok float64
		dirty      bool
	}
	var seconds []second
	for r := range run.Rows.All() {
		for len(seconds) <= r.Second {
			seconds = append(seconds, second{})
		}
		s := &seconds[r.Second]
		s.flying += r.InFlight
		s.ok += float64(r.OK)
		s.dirty = s.dirty || r.Throttled+r.Dropped()+r.TimedOut > 0
	}
	var out []level
	for at := 0; at+curveStep <= len(seconds); at += curveStep {
		var l level
		dirty := false
		for _, s := range seconds[at : at+curveStep] {
			l.flying += s.flying / curveStep
			l.rate += s.ok / curveStep
			dirty = dirty || s.dirty
		}
		if !dirty && l.flying > 0 && l.rate > 0 {
			out = append(out, l)
		}
	}
	return out
}

// curve says how the throughput of a target without quotas grows with the
// requests in flight, by the Universal Scalability Law; "" where there are quotas,
// which clip and follow no such curve, or the runs' levels don't tell.
func (f *fitter) curve() string {
	if len(f.quotas) > 0 || len(f.levels) < curveLevels {
		return ""
	}
	slices.SortFunc(f.levels, func(a, b level) int { return cmp.Compare(a.flying, b.flying) })
	var n, x []float64
	for _, l := range f.levels {
		n, x = append(n, l.flying), append(x, l.rate)
	}
	most := n[len(n)-1]
	if most < curveRange*n[0] {
		return ""
	}
	u, ok := stats.FitUSL(n, x)
	if !ok {
		return ""
	}
	text := fmt.Sprintf("throughput against requests in flight, %s to %s (Universal Scalability Law): %s alone, contention %.3g, coherency %.3g",
		unit.Human(n[0]), unit.Human(most), unit.HumanRate(u.Gamma, unit.Requests), u.Alpha, u.Beta)
	switch {
	case math.IsInf(u.Limit, 1):
		text += "; no limit shows in what was tested"
	case math.IsInf(u.Peak, 1):
		text += fmt.Sprintf("; it levels off towards %s, with no sign of falling again", unit.HumanRate(u.Limit, unit.Requests))
	case u.Peak > 1.5*most:
		text += "; it would fall again beyond what was tested, which is no finding"
	default:
		text += fmt.Sprintf("; most at %s in flight, %s, and less beyond", unit.Human(u.Peak), unit.HumanRate(u.Limit, unit.Requests))
	}
	return text
}
