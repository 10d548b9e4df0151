package capacity

import (
	"math"
	"slices"
	"time"
)

// How many steps of the run, and how much variation of their rates, it takes to
// tell one model of use from another.
const (
	spreadStep  = 5 // seconds
	spreadSteps = 6
	spreadRange = 1.5 // highest rate over lowest
)

// observed is the use of a quota in one step of the run, and the arrivals of the
// loads that charge it, both per second.
type observed struct{ rate, use float64 }

// models returns the lowest and the highest rate at which a quota binds by three
// models of its use: proportional to the rate, with a quadratic part, and a power
// of it. A prediction far beyond what was tested is no better than the choice
// among these. ok is false where the run's rates vary too little to tell them
// apart, or nothing was observed in steps. Rates are of the loads that charge the
// quota, whichever of their operations do.
//
// Steps with refusals are left out: what is refused charges nothing.
func (a *analysis) models(q Quota, loads []Load) (low, high float64, ok bool) {
	points := a.observed(q, loads)
	if len(points) < spreadSteps {
		return 0, 0, false
	}
	least, most := math.Inf(1), 0.0
	for _, p := range points {
		least, most = min(least, p.rate), max(most, p.rate)
	}
	if most < spreadRange*least {
		return 0, 0, false
	}
	var xx, xy, xxx, xxxx, xxy float64
	var n, lx, ly, lxx, lxy float64
	for _, p := range points {
		x, y := p.rate, p.use
		xx, xy, xxx, xxxx, xxy = xx+x*x, xy+x*y, xxx+x*x*x, xxxx+x*x*x*x, xxy+x*x*y
		u, v := math.Log(x), math.Log(y)
		n, lx, ly, lxx, lxy = n+1, lx+u, ly+v, lxx+u*u, lxy+u*v
	}
	linear := xy / xx
	binds := []float64{q.Limit / linear}
	// use = b rate + c rate^2, where it doesn't fall before the limit.
	if det := xx*xxxx - xxx*xxx; det > 0 {
		b, c := (xy*xxxx-xxy*xxx)/det, (xxy*xx-xy*xxx)/det
		if disc := b*b + 4*c*q.Limit; disc >= 0 && b > 0 {
			binds = append(binds, 2*q.Limit/(b+math.Sqrt(disc)))
		}
	}
	// use = exp(d) rate^k
	if det := n*lxx - lx*lx; det > 0 {
		if k := (n*lxy - lx*ly) / det; k > 0 {
			binds = append(binds, math.Exp((math.Log(q.Limit)-(ly-k*lx)/n)/k))
		}
	}
	low, high = binds[0], binds[0]
	for _, b := range binds[1:] {
		low, high = min(low, b), max(high, b)
	}
	return low, high, true
}

// observed returns the steps of the run in which the quota was charged and
// nothing was throttled.
func (a *analysis) observed(q Quota, loads []Load) []observed {
	use := make([]float64, a.seconds)
	known := make([]bool, a.seconds)
	switch c, ok := a.series(q.ID, usageRole(q)); {
	case q.ID == RequestTokens && a.ledgerHas(q):
		for u := range LedgerUse(q, a.run.Rows.All()) {
			use[u.Second], known[u.Second] = float64(u.Sent), true
		}
	case ok && c.statistic == "Sum" && c.period <= time.Second:
		for _, at := range c.at {
			if s := int((at - a.run.Manifest.Start.UnixNano()) / int64(time.Second)); s >= 0 && s < a.seconds {
				use[s] += c.values[at]
				known[s] = true
			}
		}
	}
	sent := make([]float64, a.seconds)
	clean := make([]bool, a.seconds)
	for s := range clean {
		clean[s] = true
	}
	for r := range a.run.Rows.All() {
		if slices.ContainsFunc(loads, func(l Load) bool { return l.Name == r.Load }) {
			sent[r.Second] += float64(r.Sent)
		}
		if q.Charges(r.Load, r.Operation) {
			clean[r.Second] = clean[r.Second] && r.Throttled == 0
		}
	}
	var points []observed
	for from := 0; from+spreadStep <= a.seconds; from += spreadStep {
		p, whole := observed{}, true
		for s := from; s < from+spreadStep; s++ {
			p.rate += sent[s] / spreadStep
			p.use += use[s] / spreadStep
			whole = whole && clean[s] && known[s]
		}
		if whole && p.rate > 0 && p.use > 0 {
			points = append(points, p)
		}
	}
	return points
}

// usageRole returns the role of the series that sums up what a quota's arrivals
// charge: of a level, how long it was held.
func usageRole(q Quota) Role {
	if q.Kind == LevelQuota {
		return RoleDuration
	}
	return RoleUsage
}
