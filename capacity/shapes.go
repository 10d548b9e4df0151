package capacity

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Loads that rise and fall at different times make another mix at each instant. A rate
// then stands for the whole plan, made larger or smaller in proportion until that is
// its highest, and a quota binds where it is charged most: what an arrival charges is
// the charge of that instant for each arrival of the highest rate. Of loads that keep
// their proportion all the time it is the mean charge.

// instants returns the planned rates of each of the loads just before and just after
// every instant at which one of them has a corner, and the instants in seconds.
func instants(loads []Load) (rates [][]float64, at []float64) {
	plans := make([][]segment, len(loads))
	var corners []float64
	for i, l := range loads {
		plans[i] = l.segments()
		for _, s := range plans[i] {
			corners = append(corners, s.t0, s.t1)
		}
	}
	slices.Sort(corners)
	for _, t := range slices.Compact(corners) {
		before, after := make([]float64, len(loads)), make([]float64, len(loads))
		for i, segs := range plans {
			before[i], after[i] = rateAt(segs, t)
		}
		rates, at = append(rates, before, after), append(at, t, t)
	}
	return rates, at
}

// PeakRate returns the highest planned rate of the loads together, per second.
func PeakRate(loads []Load) float64 {
	return PeakUse(loads, func(Load) float64 { return 1 })
}

// PeakUse returns the highest rate at which the loads use what an arrival of each uses
// so much of. Each load's rate is linear between the ends of its stages, so the sum is
// highest at the end of a stage, on one side of it or the other.
func PeakUse(loads []Load, each func(l Load) float64) (peak float64) {
	rates, _ := instants(loads)
	for _, r := range rates {
		var use float64
		for i, l := range loads {
			use += r[i] * each(l)
		}
		peak = max(peak, use)
	}
	return peak
}

// shapes groups loads whose planned rates keep their proportion all the time. Loads of
// which no plan is known are taken for ones that do.
func shapes(loads []Load) [][]Load {
	rates, _ := instants(loads)
	peaks := make([]float64, len(loads))
	for _, r := range rates {
		for i, v := range r {
			peaks[i] = max(peaks[i], v)
		}
	}
	var groups [][]Load
	var first []int // of each group
	for i, l := range loads {
		g := slices.IndexFunc(first, func(k int) bool {
			return !slices.ContainsFunc(rates, func(r []float64) bool { return math.Abs(r[i]/peaks[i]-r[k]/peaks[k]) > 1e-6 })
		})
		if peaks[i] == 0 {
			return [][]Load{loads}
		}
		if g < 0 {
			first, groups = append(first, i), append(groups, []Load{l})
			continue
		}
		groups[g] = append(groups[g], l)
	}
	return groups
}

// crest is the instant at which a quota is charged most by plan.
type crest struct {
	at    float64   // seconds of the run
	rates []float64 // of each load, as a part of the highest rate of all together
}

// crestOf returns it for loads of which one arrival charges so much on average.
func crestOf(loads []Load, cost []float64) (b crest) {
	rates, at := instants(loads)
	peak, most, top := 0.0, math.Inf(-1), 0.0
	for k, r := range rates {
		var use float64
		for i, v := range r {
			use += v * cost[i]
		}
		all := sum(r)
		peak = max(peak, all)
		if close := 1e-9 * math.Abs(most); use > most+close || use > most-close && all > top {
			most, top, b = use, all, crest{at[k], slices.Clone(r)}
		}
	}
	for i := range b.rates {
		b.rates[i] /= peak
	}
	return b
}

// note says of which instant the unit cost is, and of what its mix then is.
func (b crest) note(loads []Load) string {
	var mix []string
	for i, l := range loads {
		mix = append(mix, fmt.Sprintf("%s %s", l.Name, unit.HumanShare(b.rates[i])))
	}
	return fmt.Sprintf("the loads rise and fall at different times: rates are the highest of the plan, made larger in proportion, and the unit cost is what the mix of second %s, in which it is charged most, charges for each arrival of that rate (%s)",
		count(int64(b.at)), strings.Join(mix, ", "))
}

// of returns the parts of a mix at the instant.
func (b crest) of(parts []part, loads []Load) []part {
	shares := make(map[string]float64) // of the parts in their load
	for _, p := range parts {
		shares[p.op.Load] += p.weight
	}
	then := slices.Clone(parts)
	for i := range then {
		p := &then[i]
		k := slices.IndexFunc(loads, func(l Load) bool { return l.Name == p.op.Load })
		p.weight *= b.rates[k] / max(shares[p.op.Load], math.SmallestNonzeroFloat64)
	}
	return then
}

// shapedLedgerCost is ledgerCost of loads of different shapes.
func (a *analysis) shapedLedgerCost(parts []part, loads []Load, calm []bool) (c cost, ok bool) {
	c, ok = a.ledgerCost(parts, calm)
	if !ok {
		return c, false
	}
	costs := make([]float64, len(loads))
	for i, l := range loads {
		var all float64
		for _, p := range parts {
			if p.op.Load != l.Name {
				continue
			}
			all += p.weight
			k := slices.IndexFunc(c.byOperation, func(o OperationCost) bool { return o.Load == l.Name && o.Name == p.op.Name })
			if k >= 0 {
				costs[i] += p.weight * c.byOperation[k].UnitCost
			}
		}
		costs[i] /= max(all, math.SmallestNonzeroFloat64)
	}
	b := crestOf(loads, costs)
	c, ok = a.ledgerCost(b.of(parts, loads), calm)
	c.notes, c.crest = append(c.notes, b.note(loads)), &b.at
	return c, ok
}

// shapedCloudCost is cloudCost of loads of different shapes, whose costs it tells apart.
// Where the sums don't tell, unlike says how far off the mean of all may be.
func (a *analysis) shapedCloudCost(q Quota, parts []part, groups [][]Load, role Role, calm []bool) (c cost, ok bool) {
	all, ok := a.cloudCost(q, parts, role, calm)
	if !ok || all.Value <= 0 {
		return all, ok
	}
	series, _ := a.series(q.ID, role)
	atLeast, _ := a.refusedBefore(q)
	flows := make([]map[int64]flow, len(groups))
	for g, loads := range groups {
		flows[g] = a.arrivals(series.period, func(load, op string) bool {
			return q.Charges(load, op) && slices.ContainsFunc(loads, func(l Load) bool { return l.Name == load })
		})
	}
	p := periods{fine: series.period <= time.Second}
	if p.fine {
		p.used = make([]float64, a.seconds)
	}
	p.requests = make([][]float64, len(groups))
	for g := range groups {
		p.requests[g] = make([]float64, len(p.used))
	}
	for _, at := range series.at {
		if calm != nil && !a.within(calm, at, series.period) {
			continue
		}
		n := make([]float64, len(groups))
		for g := range groups {
			f := flows[g][at]
			n[g] = max(0, f.sent-f.lost-atLeast*f.throttled)
		}
		if sum(n) == 0 && (series.values[at] == 0 || !a.run.Manifest.Sandbox) {
			continue
		}
		i := len(p.used)
		if p.fine {
			i = int(floorTo(at-a.run.Manifest.Start.UnixNano(), int64(time.Second)) / int64(time.Second))
			i = min(max(i, 0), a.seconds-1)
		} else {
			p.used = append(p.used, 0)
		}
		p.used[i] += series.values[at]
		for g, v := range n {
			if !p.fine {
				p.requests[g] = append(p.requests[g], 0)
			}
			p.requests[g][i] += v
		}
	}
	if calm != nil && slices.ContainsFunc(p.requests, func(of []float64) bool { return sum(of) < coldAnswers }) {
		return all, false
	}
	c, ok = apartCost(all, parts, groups, p)
	if !ok {
		return notApart(all, groups, parts), calm == nil
	}
	if least, most := a.servedShapes(groups, parts, atLeast); calm == nil {
		c.Low, c.High, c.unlike = c.Low*least, c.High*most, most-least
	}
	return c, true
}

// shapedKafkaCost is kafkaCost of loads of different shapes.
func (a *analysis) shapedKafkaCost(u *kafkaUse, q Quota, parts []part, groups [][]Load) (c cost, ok bool) {
	all, ok := a.kafkaCost(u, q, parts)
	if !ok {
		return all, false
	}
	use, _, _ := u.hottest(q)
	p := periods{fine: true, used: use}
	for _, loads := range groups {
		records := make([]float64, len(use))
		for _, l := range loads {
			if own := a.kafka([]string{l.Name}); own != nil {
				for i, n := range own.total(own.records) {
					records[i] += n
				}
			}
		}
		p.requests = append(p.requests, records)
	}
	if c, ok = apartCost(all, parts, groups, p); !ok {
		return notApart(all, groups, parts), true
	}
	c.cold = c.Value // what a record charges doesn't begin cold
	return c, true
}

// periods are what a quota was charged in each of some periods of time, and by how many
// requests of each group of loads. Fine ones are the seconds of the run.
type periods struct {
	fine     bool
	used     []float64
	requests [][]float64
}

// blocks adds up seconds to blocks.
func (p periods) blocks() (used []float64, requests [][]float64) {
	if !p.fine {
		return p.used, p.requests
	}
	series := make([]iter.Seq2[int, charge], len(p.requests))
	has := make([]bool, len(p.used))
	for g, n := range p.requests {
		series[g] = perSecond(stats.Ratio{Num: p.used, Den: n})
		for i := range has {
			has[i] = has[i] || n[i] > 0 || p.used[i] > 0
		}
	}
	for _, s := range inBlocks(series, has) {
		used, requests = s.Num, append(requests, s.Den)
	}
	return used, requests
}

// apartCost returns the cost at the plan's crest by least squares, with a bootstrap over
// blocks of time. ok is false where the sums don't tell loads apart.
func apartCost(all cost, parts []part, groups [][]Load, p periods) (c cost, ok bool) {
	used, requests := p.blocks()
	if len(used) <= len(groups) {
		return c, false
	}
	fit, ok := resample(len(used)).Apart(used, requests)
	if !ok {
		return c, false
	}
	b, weights := crestOfGroups(groups, parts, fit.Costs)
	for g, w := range weights {
		c.Value += w * fit.Costs[g]
		c.values = append(c.values, pair(fit.Costs[g], fit.Deviation, w)...)
		for _, l := range groups[g] {
			c.byLoad = append(c.byLoad, LoadCost{l.Name, fit.Costs[g]})
		}
		only := slices.DeleteFunc(slices.Clone(parts), func(p part) bool {
			return !p.charges || p.weight == 0 || !slices.ContainsFunc(groups[g], func(l Load) bool { return l.Name == p.op.Load })
		})
		if len(only) == 1 {
			c.byOperation = append(c.byOperation, OperationCost{only[0].op.Load, only[0].op.Name, fit.Costs[g]})
		}
	}
	c.Low, c.High = c.Value, c.Value
	if len(used) >= minBlocks {
		var iv stats.Interval
		_, c.draws, iv = fit.Sum(weights)
		c.Low, c.High = max(0, iv.Low), iv.High
	}
	// Few blocks, or few in which one of the loads comes, show less than they vary by.
	half, effective := fit.Spread(weights, nil)
	if effective < minBlocks {
		half, _ = fit.Spread(weights, fit.Costs)
	}
	if effective < fewBlocks {
		c.Low, c.High = min(c.Low, max(0, c.Value-half)), max(c.High, c.Value+half)
	}
	if all.shared {
		c.Low = min(c.Low, ownAtLeast(used, requests, weights))
	}
	c.atLeastFloor()
	width := 1
	if p.fine {
		width = coldWindow
	}
	c.cold = c.Value * dearest(p.charged(fit.Costs), width, 1)
	c.above, c.others, c.alike = all.above, all.others, len(used) < minBlocks
	c.notes, c.crest = append(all.notes, b.note(slices.Concat(groups...))), &b.at
	return c, true
}

// crestOfGroups returns the crest of loads of which one request charges so much, by
// group, and how many requests of each group come then for each arrival of the highest
// rate.
func crestOfGroups(groups [][]Load, parts []part, costs []float64) (b crest, weights []float64) {
	var each []float64
	for g, loads := range groups {
		for _, l := range loads {
			each = append(each, costs[g]*chargingShare(parts, l.Name))
		}
	}
	b = crestOf(slices.Concat(groups...), each)
	i := 0
	for _, loads := range groups {
		var weight float64
		for _, l := range loads {
			weight += b.rates[i] * chargingShare(parts, l.Name)
			i++
		}
		weights = append(weights, weight)
	}
	return b, weights
}

// charged returns what was charged in each period against what the costs of its requests
// come to, both counted in requests of the mean cost.
func (p periods) charged(costs []float64) stats.Ratio {
	e := stats.Ratio{Num: slices.Clone(p.used), Den: make([]float64, len(p.used))}
	var requests float64
	for g, of := range p.requests {
		requests += sum(of)
		for i, n := range of {
			e.Den[i] += n * costs[g]
		}
	}
	mean := sum(e.Den) / requests
	for i := range e.Den {
		e.Num[i], e.Den[i] = e.Num[i]/mean, e.Den[i]/mean
	}
	return e
}

// servedShapes is servedMix of loads whose charges are told apart: what was refused of
// one of them more than of another is known where all of it was refused before the quota
// or none, and what of the operations of one is not.
func (a *analysis) servedShapes(groups [][]Load, parts []part, refused float64) (least, most float64) {
	if refused > 0 && refused < 1 {
		return servedMix(parts, refused)
	}
	least, most = 1, 1
	for _, loads := range groups {
		low, high := servedMix(slices.DeleteFunc(slices.Clone(parts), func(p part) bool {
			return !slices.ContainsFunc(loads, func(l Load) bool { return l.Name == p.op.Load })
		}), refused)
		least, most = min(least, low), max(most, high)
	}
	return least, most
}

// notApart returns the cost of all loads together as one that may be off by what the
// mix of the busiest instant may differ from theirs, whichever of them charges.
func notApart(all cost, groups [][]Load, parts []part) cost {
	loads := slices.Concat(groups...)
	only := func(of func(i int) bool) []float64 {
		cost := make([]float64, len(loads))
		for i := range cost {
			if of(i) {
				cost[i] = 1
			}
		}
		return cost
	}
	together := crestOf(loads, only(func(int) bool { return true }))
	least, most := 1.0, 1.0
	for i, l := range loads {
		var share float64 // of all arrivals
		for _, p := range parts {
			if p.op.Load == l.Name {
				share += p.weight
			}
		}
		if share == 0 {
			continue
		}
		alone := crestOf(loads, only(func(k int) bool { return k == i }))
		least, most = min(least, together.rates[i]/share), max(most, alone.rates[i]/share)
	}
	all.Low, all.High = all.Low*least, all.High*most
	if d := most - least; d > all.unlike {
		all.unlike = d
		all.why = "its loads rise and fall at different times, and sums don't tell what each of them charges; a longer run, or each load alone, would tell it"
	}
	return all
}

// chargingShare returns which part of a load's arrivals charges the quota.
func chargingShare(parts []part, load string) float64 {
	var all, charging float64
	for _, p := range parts {
		if p.op.Load == load {
			all += p.weight
			if p.charges {
				charging += p.weight
			}
		}
	}
	return charging / max(all, math.SmallestNonzeroFloat64)
}
