package capacity

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// cloudSums is what the cloud published of a quota, set against the client's requests in
// the same periods, without those that never charged it: rejected ones, and those that
// this quota or one before it refused. A series of requests would not do instead: it
// counts calls, of which one arrival may make several.
type cloudSums struct {
	period         time.Duration
	used, requests float64     // of all periods
	refused        float64     // share of the client's throttled requests that surely never charged it
	fewer          float64     // of the requests, were all refusals before it that may have been
	largest        float64     // requests of a period
	sums           stats.Ratio // by periods, or where these are no longer than a second by blocks of them
	fine           stats.Ratio // by seconds, where periods are none longer
	idle           []float64   // of periods of more than a second in which nothing was sent, so of others
}

// everybody returns the sums with those of periods in which nothing was sent.
func (s *cloudSums) everybody() stats.Ratio {
	return stats.Ratio{Num: slices.Concat(s.sums.Num, s.idle), Den: slices.Concat(s.sums.Den, make([]float64, len(s.idle)))}
}

// cloudSums returns the sums of a role of q, of calm's seconds alone where it says so.
// ok is false where there are none, or no requests (of calm seconds too few) to set them
// against.
func (a *analysis) cloudSums(q Quota, role Role, calm []bool) (s cloudSums, ok bool) {
	series, ok := a.series(q.ID, role)
	if !ok || series.statistic != "Sum" {
		return s, false
	}
	s.period = series.period
	var atMost float64
	s.refused, atMost = a.refusedBefore(q)
	flows := a.arrivalsOf(q, s.period)
	served := func(f flow, refused float64) float64 { return max(0, f.sent-f.lost-refused*f.throttled) }

	var charged []bool // by seconds
	if s.period <= time.Second {
		s.fine = stats.Ratio{Num: make([]float64, a.seconds), Den: make([]float64, a.seconds)}
		charged = make([]bool, a.seconds)
	}
	for _, at := range series.at {
		f, there := flows[at]
		if !there && !a.run.Manifest.Sandbox {
			if s.period > time.Second {
				s.idle = append(s.idle, series.values[at])
			}
			continue // what others did before, after and in a pause
		}
		if calm != nil && !a.within(calm, at, s.period) {
			continue
		}
		n := served(f, s.refused)
		s.used += series.values[at]
		s.requests += n
		s.fewer += served(f, atMost)
		s.largest = max(s.largest, n)
		if s.period <= time.Second {
			second := int(floorTo(at-a.run.Manifest.Start.UnixNano(), int64(time.Second)) / int64(time.Second))
			if second = min(max(second, 0), a.seconds-1); n > 0 || series.values[at] > 0 {
				s.fine.Num[second] += series.values[at]
				s.fine.Den[second] += n
				charged[second] = true
			}
		} else if n > 0 {
			s.sums.Num, s.sums.Den = append(s.sums.Num, series.values[at]), append(s.sums.Den, n)
		}
	}
	if s.period <= time.Second {
		if blocks := inBlocks([]iter.Seq2[int, charge]{perSecond(s.fine)}, charged); blocks != nil {
			s.sums = blocks[0]
		}
	}
	return s, s.requests > 0 && (calm == nil || s.requests >= coldAnswers)
}

// cloudCost returns what one arrival charges on average, from sums that the
// cloud published: for a rate its use, for a level the seconds that it was
// held. Where calm says so of seconds, the sums of these alone count.
func (a *analysis) cloudCost(q Quota, parts []part, role Role, calm []bool) (c cost, ok bool) {
	s, ok := a.cloudSums(q, role, calm)
	if !ok {
		return c, false
	}
	sums := s.sums
	if role == RoleDuration {
		if waited := a.inFlight(q); s.used > 1.05*waited && waited > 0 {
			c.notes = append(c.notes, fmt.Sprintf("it was held for %s in all, while the client's requests waited for %s: others use it too, a request holds more than one, or goes on when the client has given up", unit.HumanSeconds(s.used), unit.HumanSeconds(waited)))
		}
	}
	minutes := fmt.Sprintf("%d %s sums", len(sums.Num), short(s.period))
	switch len(sums.Num) {
	case 0:
		minutes = "few seconds"
	case 1:
		minutes = "a single " + short(s.period) + " sum"
	}
	mean := s.used / s.requests
	c.Estimate = Estimate{mean, mean, mean}
	var low, high float64 = mean, mean
	for i, n := range sums.Den {
		// A request may be counted in the period after the one it was sent in,
		// which tells too much of periods with few.
		if n < 0.2*s.largest || n < coldAnswers {
			continue
		}
		m := sums.Num[i] / n
		low, high = min(low, m), max(high, m)
	}
	c.cold = dearest(sums, 1, mean)
	if s.period <= time.Second {
		c.cold = dearest(s.fine, coldWindow, mean)
	}
	if len(sums.Num) >= minBlocks {
		_, draws, iv := resample(len(sums.Num)).Ratios([]stats.Ratio{sums}, []float64{1})
		c.draws, c.Low, c.High = draws, max(0, iv.Low), iv.High
	} else {
		half := 1.96 * mean / math.Sqrt(s.requests)
		c.Low, c.High = max(0, min(low, mean-half)), max(high, mean+half)
		c.notes = append(c.notes, fmt.Sprintf("unit cost from %s, too few for an interval of their own: it supposes that single costs vary by no more than their mean", minutes))
	}
	if a.run.Manifest.Sandbox {
		// Nobody else uses it.
	} else if line, ok := a.apart(q, s); ok {
		c.Estimate, c.draws, c.cold = Estimate{line.Slope, max(line.Low, 0), line.High}, nil, line.Slope
		c.others = line.Intercept / s.period.Seconds()
		c.notes = append(c.notes, fmt.Sprintf("others use about %s a second of it, told apart by a robust line through %d %s sums", unit.Human(c.others), len(sums.Num)+len(s.idle), short(s.period)))
		for i := range sums.Num {
			sums.Num[i] = max(0, sums.Num[i]-line.Intercept)
		}
	} else {
		everybody := s.everybody()
		c.shared = true
		c.Low = min(c.Low, ownAtLeast(everybody.Num, [][]float64{everybody.Den}, []float64{1}))
		c.notes = append(c.notes, Shared)
	}
	if s.fewer > 0 && s.fewer < s.requests {
		c.High = max(c.High, s.used/s.fewer)
		c.notes = append(c.notes, "some refusals can't be told apart: the interval of the unit cost covers both readings")
	}
	if least, most := servedMix(parts, s.refused); most > 1+maxDifference && calm == nil {
		c.Low, c.High, c.unlike = c.Low*least, c.High*most, most-least
		c.notes = append(c.notes, "some operations were refused more often than others before they charged it, and its sums don't tell them apart: the interval of the unit cost covers any part that each had in them")
	}
	c.atLeastFloor()

	// From one arrival that charges it to one of the loads that do.
	var charging float64
	var only *operation
	count := 0
	for _, p := range parts {
		if p.charges && p.weight > 0 {
			charging += p.weight
			only = p.op
			count++
		}
	}
	if count == 1 {
		c.byOperation = []OperationCost{{Load: only.Load, Name: only.Name, UnitCost: c.Value}}
	}
	values, sd := twoPoints(c.Value, sums, charging)
	c.values, c.alike = values, len(sums.Num) < minBlocks
	if q.Kind == RateQuota { // a level refuses whatever comes
		var sent, throttled float64
		for _, p := range parts {
			if p.charges {
				sent, throttled = sent+float64(p.op.all.Sent), throttled+float64(p.op.all.Throttled)
			}
		}
		c.above = throttled / max(sent, 1) * 3 * sd * charging
	}
	c.Value, c.Low, c.High, c.cold = c.Value*charging, c.Low*charging, c.High*charging, c.cold*charging
	for d := range c.draws {
		c.draws[d] *= charging
	}
	if bad := a.unsure(q); bad > 0.01 {
		c.notes = append(c.notes, "more than 1 % of the requests failed or timed out and may not have charged the quota: its unit cost may be higher")
	}
	return c, true
}

// dearest returns the highest mean of a window of so many sums that isn't above that of
// all by chance, or because few requests were counted in the period after the one they
// were sent in.
func dearest(sums stats.Ratio, width int, mean float64) float64 {
	var windows stats.Ratio
	for from := 0; from < len(sums.Num); from += width {
		to := min(from+width, len(sums.Num))
		windows.Num, windows.Den = append(windows.Num, sum(sums.Num[from:to])), append(windows.Den, sum(sums.Den[from:to]))
	}
	if len(windows.Den) == 0 {
		return mean
	}
	dearest := mean
	fewest := max(0.2*slices.Max(windows.Den), coldAnswers)
	deviations := math.Sqrt2 * math.Erfinv(1-2*0.001/float64(len(windows.Num))) // that chance makes in one of a thousand runs
	for i, n := range windows.Den {
		if n < fewest {
			continue
		}
		m := windows.Num[i] / n
		chance := func(sd float64) float64 { return sd / math.Sqrt(n) * deviations }
		if m-mean > maxDifference*mean && m > dearest && m-mean > chance(mean) && m-mean > chance(variation(sums, width, windows, i, mean)) {
			dearest = m
		}
	}
	return dearest
}

// variation returns how much single charges vary: by their mean, as is supposed, or by
// more where the sums tell so that don't lie in one stretch with the i-th window above
// the mean.
func variation(sums stats.Ratio, width int, windows stats.Ratio, i int, mean float64) float64 {
	above := func(k int) bool {
		return k >= 0 && k < len(windows.Num) && windows.Num[k] > mean*windows.Den[k]
	}
	from, to := i, i+1
	for above(from - 1) {
		from--
	}
	for above(to) {
		to++
	}
	from, to = from*width, min(to*width, len(sums.Num))
	sd := mean
	if len(sums.Num)-(to-from) >= minBlocks {
		others := stats.Ratio{Num: slices.Concat(sums.Num[:from], sums.Num[to:]), Den: slices.Concat(sums.Den[:from], sums.Den[to:])}
		if n := sum(others.Den); n > 0 {
			sd = max(sd, deviation(sum(others.Num)/n, others))
		}
	}
	return sd
}

// deviation returns the standard deviation of single charges around the mean, of which
// sums vary as much as these.
func deviation(mean float64, sums stats.Ratio) float64 {
	var squares float64
	for i, den := range sums.Den {
		d := sums.Num[i] - mean*den
		squares += d * d
	}
	return math.Sqrt(squares / sum(sums.Den))
}

// servedMix returns how many times the mean of the requests that charged a quota the
// mean at the mix that was sent is, at least and at most, whatever each operation
// charges: 1 where as much was refused of each. refused is which share of the throttled
// requests never charged it.
func servedMix(parts []part, refused float64) (least, most float64) {
	var sent, charged float64
	served := func(p part) float64 {
		return max(0, float64(p.op.all.Sent-p.op.all.GeneratorErrors)-refused*float64(p.op.all.Throttled))
	}
	for _, p := range parts {
		if p.charges {
			sent += float64(p.op.all.Sent - p.op.all.GeneratorErrors)
			charged += served(p)
		}
	}
	least, most = 1, 1
	for _, p := range parts {
		n := float64(p.op.all.Sent - p.op.all.GeneratorErrors)
		if !p.charges || n == 0 {
			continue
		}
		times := n / sent * charged / max(served(p), 1)
		least, most = min(least, times), max(most, times)
	}
	return least, most
}

// inFlight returns how long, in seconds, the requests that charge q waited for
// their answers together: the integral of those in flight.
func (a *analysis) inFlight(q Quota) (sum float64) {
	for r := range a.run.Rows.All() {
		if q.Charges(r.Load, r.Operation) {
			sum += r.InFlight
		}
	}
	return sum
}

// Others' use is told apart from the run's where the run's own varied by as much,
// and where it is more than a small part of the whole.
const (
	apartRange = 1.5
	apartShare = 0.05
)

// apart tells others' steady use from the run's own cost, both of which everybody's sums
// hold: a robust line through the periods has the run's cost as its slope, and what others
// use in each where it crosses zero. ok is false where the run's own requests vary too
// little to tell, where nothing speaks for others, and where the sums lie off the line by
// as much as half of these: then it is the cost that changed, as it does where loads of
// several shapes have another mix each minute.
func (a *analysis) apart(q Quota, s cloudSums) (line stats.Line, ok bool) {
	everybody := s.everybody()
	num, den := everybody.Num, everybody.Den
	if len(den) == 0 || slices.Max(den) < apartRange*slices.Min(den) || len(shapes(a.charging(q))) > 1 {
		return line, false
	}
	line, ok = stats.TheilSen(den, num)
	if !ok || line.Slope <= 0 || line.Intercept < apartShare*sum(num)/float64(len(num)) {
		return line, false
	}
	for i, n := range den {
		if math.Abs(num[i]-line.Intercept-line.Slope*n) > line.Intercept/2 {
			return line, false
		}
	}
	return line, true
}

// othersOf returns what others use of a rate a second, as cloudCost tells it apart, for
// who doesn't need the cost.
func (a *analysis) othersOf(q Quota) float64 {
	if a.run.Manifest.Sandbox {
		return 0
	}
	s, ok := a.cloudSums(q, usageRole(q), nil)
	if !ok {
		return 0
	}
	line, ok := a.apart(q, s)
	if !ok {
		return 0
	}
	return line.Intercept / s.period.Seconds()
}

// Shared is the note on a quota of which it isn't known whether others used it too.
const Shared = "the cloud's sums hold everybody's use: the unit cost supposes that nothing else charged this quota in those minutes; if others did, it is less, down to the end of its interval, and it binds at a higher rate"

// ownAtLeast returns how much of what was used in each of some periods the requests of
// these must have charged, as their weighted costs, where others' steady use may be any
// part of it: the lower end of the interval if that is told apart by how the requests
// vary, and 0 where they don't.
func ownAtLeast(used []float64, requests [][]float64, weights []float64) float64 {
	if len(used) < minBlocks {
		return 0
	}
	var all float64
	for _, n := range requests {
		all += sum(n)
	}
	// What others use of a period counts as much as the requests of a mean one.
	steady := slices.Repeat([]float64{all / float64(len(used))}, len(used))
	fit, ok := resample(len(used)).Apart(used, append(slices.Clone(requests), steady))
	if !ok {
		return 0
	}
	weights = append(slices.Clone(weights), 0)
	value, _, iv := fit.Sum(weights)
	if half, effective := fit.Spread(weights, nil); effective < fewBlocks {
		return max(0, min(iv.Low, value-half)) // the few in which the requests vary
	}
	return max(0, iv.Low)
}

// twoPoints returns single charges of the given mean that vary as much as sums of
// them do, and their standard deviation. Too few sums tell no variation.
func twoPoints(mean float64, sums stats.Ratio, weight float64) (values []weighted, sd float64) {
	if len(sums.Num) < minBlocks || sum(sums.Den) == 0 {
		return []weighted{{mean, weight}}, 0
	}
	sd = deviation(mean, sums)
	return pair(mean, sd, weight), sd
}

// pair returns two charges of the given mean and standard deviation, of equal weight or,
// where the lower would be below 0, that and one in so many.
func pair(mean, sd, weight float64) []weighted {
	switch {
	case sd == 0:
		return []weighted{{mean, weight}}
	case sd <= mean:
		return []weighted{{mean - sd, weight / 2}, {mean + sd, weight / 2}}
	}
	share := mean * mean / (mean*mean + sd*sd)
	return []weighted{{0, weight * (1 - share)}, {mean / share, weight * share}}
}

// unsure returns the share of sent requests of which it isn't known whether
// they charged the quota.
func (a *analysis) unsure(q Quota) float64 {
	var sent, bad int64
	for _, op := range a.ops {
		if q.Charges(op.Load, op.Name) {
			sent += op.all.Sent
			bad += op.all.Failed + op.all.TimedOut + op.all.Unclassified + op.all.Unfinished
		}
	}
	return float64(bad) / float64(max(sent, 1))
}
