package capacity

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

const (
	draws = 2000 // of the bootstrap
	seed  = 1    // of every random stream here, so that equal runs give equal bytes
	// minBlocks is how many blocks of time an interval is resampled from.
	minBlocks = 5
	// fewBlocks is below how many blocks an interval is at least that of independent answers.
	fewBlocks = 20
	// floor is the least relative width of an interval to either side: costs are
	// known to no more digits than their service states.
	floor = 1e-6
	// coldWindow is how long the dearest stretch of a run is, in seconds, and
	// coldAnswers how many answers it must have.
	coldWindow  = 10
	coldAnswers = 20
)

// part is one operation of the loads that charge a quota.
type part struct {
	op      *operation
	weight  float64 // share of these loads' planned arrivals; all parts add up to 1
	charges bool
}

// mix returns the planned mix of the loads that charge q. Loads weigh by the
// integral of their profile and operations by their share of it, so that the
// chance of the realised mix does not enter; where the record has no plan, the
// planned arrivals that were counted take its place.
func (a *analysis) mix(q Quota) []part {
	var parts []part
	var total float64
	for _, op := range a.ops {
		if len(q.Loads) > 0 && !slices.Contains(q.Loads, op.Load) {
			continue
		}
		weight := float64(op.all.Planned)
		if l, ok := a.load(op.Load); ok {
			if n := a.plannedArrivals(l); n > 0 {
				i := slices.IndexFunc(l.Operations, func(o Operation) bool { return o.Name == op.Name })
				if i >= 0 && l.Operations[i].Share > 0 {
					weight = n * l.Operations[i].Share
				}
			}
		}
		total += weight
		parts = append(parts, part{op, weight, q.Charges(op.Load, op.Name)})
	}
	for i := range parts {
		parts[i].weight /= max(total, math.SmallestNonzeroFloat64)
	}
	return parts
}

// plannedArrivals returns how many arrivals the plan of a load has.
func (a *analysis) plannedArrivals(l Load) float64 {
	if n := l.expected(0, math.Inf(1)); n > 0 {
		return n
	}
	return float64(l.Planned)
}

// cost is the unit cost of a quota.
type cost struct {
	Estimate
	// draws is what the value is in each draw of the bootstrap; nil where the
	// interval comes from elsewhere.
	draws       []float64
	cold        float64
	byOperation []OperationCost
	// above is by how much the mean may be too low, at most, if all that was refused
	// charged as much as the dearest of its operation, and unlike by which part of
	// itself the mean may differ from the planned mix's: as operations were refused
	// unequally.
	above, unlike float64
	why           string // of unlike, where it isn't refusals
	byLoad        []LoadCost
	crest         *float64 // the instant whose mix it is of, where loads have several shapes
	// values is the distribution of single charges where answers told them; nil:
	// every charge counts as the mean.
	values []weighted
	others float64 // what others use of the quota: per second of a rate, at once of a level
	alike  bool    // which is supposed: sums are too few to tell
	notes  []string
}

// variation returns the mean square of single charges over the square of their mean; nil
// where the run doesn't tell how much they vary.
func (c *cost) variation() *float64 {
	var mean, squares float64
	for _, v := range c.values {
		mean, squares = mean+v.weight*v.value, squares+v.weight*v.value*v.value
	}
	if mean <= 0 || c.alike {
		return nil
	}
	return new(max(1, squares/(mean*mean)))
}

// weighted is a charge with its share of the arrivals.
type weighted struct{ value, weight float64 }

// ledgerCost returns the mean tokens of one arrival at the planned mix: for
// each operation the ratio of its tokens to the answers that told them, with a
// bootstrap over blocks of seconds. Where an operation has answers in measured
// stages, those alone count; and where calm says so of seconds, these. ok is false
// where an operation of the mix never told its cost; the notes say which.
func (a *analysis) ledgerCost(parts []part, calm []bool) (c cost, ok bool) {
	var series []iter.Seq2[int, charge]
	var weights []float64
	var independent float64 // variance, were single answers independent
	answered := make([]bool, a.seconds)
	for _, p := range parts {
		if !p.charges || p.weight == 0 {
			continue
		}
		// In calm seconds all count: those before the measured stages are most of them.
		measured := p.op.measured.TokensN > 0 && calm == nil
		told := func(yield func(int, charge) bool) {
			for row := range p.op.rows {
				if (row.TokensN > 0 || row.TokensDone > 0) && (row.Measured || !measured) && (calm == nil || calm[row.Second]) &&
					!yield(row.Second, charge{float64(row.TokensDone), float64(row.TokensN)}) {
					return
				}
			}
		}
		var tokens, answers float64
		for second, c := range told {
			tokens, answers = tokens+c.amount, answers+c.requests
			answered[second] = true
		}
		if calm != nil && answers < coldAnswers {
			return c, false
		}
		if answers == 0 {
			if p.op.all.Planned == 0 {
				c.notes = append(c.notes, fmt.Sprintf("%s never had its turn and is left out of the unit cost", p.op.Name))
				continue
			}
			c.notes = append(c.notes, fmt.Sprintf("no answer of %s told its tokens, so the unit cost of the mix is not known", p.op.Name))
			return c, false
		}
		mean := tokens / answers
		values, sd := singleCharges(p.op.times[measure.TokenCounts], mean, p.weight)
		c.values = append(c.values, values...)
		if all := &p.op.all; all.Sent > 0 {
			dearest := slices.MaxFunc(values, func(x, y weighted) int { return cmp.Compare(x.value, y.value) }).value
			c.above += p.weight * float64(all.Throttled) / float64(all.Sent) * (dearest - mean)
		}
		c.byOperation = append(c.byOperation, OperationCost{Load: p.op.Load, Name: p.op.Name, UnitCost: mean})
		c.cold += p.weight * p.op.cold(mean)
		series, weights = append(series, told), append(weights, p.weight)
		independent += p.weight * p.weight * sd * sd / answers
	}
	if len(series) == 0 {
		return c, false
	}
	if blocks := inBlocks(series, answered); blocks != nil {
		value, draws, iv := resample(len(blocks[0].Num)).Ratios(blocks, weights)
		c.Value, c.draws, c.Low, c.High = value, draws, max(0, iv.Low), iv.High
		few := slices.ContainsFunc(blocks, func(s stats.Ratio) bool {
			return len(slices.DeleteFunc(slices.Clone(s.Den), func(n float64) bool { return n == 0 })) < fewBlocks
		})
		if half := 1.96 * math.Sqrt(independent); few {
			// Few blocks, or few in which one of the operations comes, show less than they vary by.
			c.Low, c.High = min(c.Low, max(0, value-half)), max(c.High, value+half)
		}
	} else {
		for i, o := range c.byOperation {
			c.Value += weights[i] * o.UnitCost
		}
		half := 1.96 * math.Sqrt(independent)
		c.Low, c.High = max(0, c.Value-half), c.Value+half
		c.notes = append(c.notes, "answers came in too few seconds for an interval of their own: that of the unit cost takes them as independent of each other")
	}
	c.atLeastFloor()
	c.cold = max(c.cold, c.Value)
	return c, true
}

// atLeastFloor widens an interval that is narrower than its figures' digits.
func (e *Estimate) atLeastFloor() {
	e.Low, e.High = min(e.Low, e.Value*(1-floor)), max(e.High, e.Value*(1+floor))
}

// charge is what some requests charged together.
type charge struct{ amount, requests float64 }

// perSecond yields a ratio's sums by their index, the second.
func perSecond(r stats.Ratio) iter.Seq2[int, charge] {
	return func(yield func(int, charge) bool) {
		for second, amount := range r.Num {
			if !yield(second, charge{amount, r.Den[second]}) {
				return
			}
		}
	}
}

// inBlocks adds up series of charges by seconds to series by blocks of seconds, leaving
// out seconds in which nothing was answered; nil where there are too few. Blocks are
// the same for every quota that was answered in the same seconds, so that their
// costs are drawn together.
func inBlocks(series []iter.Seq2[int, charge], answered []bool) []stats.Ratio {
	seconds := 0
	for _, has := range answered {
		if has {
			seconds++
		}
	}
	length := stats.BlockLength(seconds)
	n := (seconds + length - 1) / length
	if n < minBlocks {
		return nil
	}
	of := make([]int32, len(answered)) // the block of each second
	at := 0
	for s, has := range answered {
		if of[s] = int32(at / length); has {
			at++
		}
	}
	blocks := make([]stats.Ratio, len(series))
	for i, charges := range series {
		blocks[i] = stats.Ratio{Num: make([]float64, n), Den: make([]float64, n)}
		for s, c := range charges {
			if answered[s] {
				blocks[i].Num[of[s]] += c.amount
				blocks[i].Den[of[s]] += c.requests
			}
		}
	}
	return blocks
}

// resample returns the bootstrap from so many blocks.
func resample(blocks int) stats.Resample {
	return stats.Resample{Blocks: blocks, Draws: draws, Seed: seed}
}

// singleCharges returns the distribution of an operation's single charges, fitted to
// its exact mean, and their standard deviation; without a histogram every
// charge is the mean, with a deviation as large.
func singleCharges(d *measure.Distribution, mean, weight float64) (values []weighted, sd float64) {
	if d == nil || d.N() == 0 || d.Mean() == 0 {
		return []weighted{{mean, weight}}, mean
	}
	var charges, weights []float64
	for value, count := range d.Values() {
		charges, weights = append(charges, value), append(weights, weight*float64(count)/float64(d.N()))
	}
	scale := mean / d.Mean()
	by := scale
	if math.Abs(scale-1) > maxDifference { // which is no rounding: they are of other requests
		if tilted, ok := stats.Tilt(charges, weights, mean); ok {
			weights, by = tilted, 1
		}
	}
	for i, value := range charges {
		values = append(values, weighted{by * value, weights[i]})
	}
	return values, scale * d.Deviation()
}

// cold returns the operation's mean tokens in its dearest ten seconds, counted
// in measured stages or not: where that exceeds the given mean by more than a little
// and three standard errors of its seconds. Otherwise it is the mean.
func (op *operation) cold(mean float64) float64 {
	type second struct{ tokens, n float64 }
	dearest := mean
	var window []second // those with answers of the ten seconds in hand
	end := func() {
		var tokens, n, squares float64
		for _, s := range window {
			tokens += s.tokens
			n += s.n
		}
		if n < coldAnswers || len(window) < 2 {
			return
		}
		m := tokens / n
		for _, s := range window {
			squares += (s.tokens - m*s.n) * (s.tokens - m*s.n)
		}
		k := float64(len(window))
		if m-mean > max(maxDifference*mean, 3*math.Sqrt(squares*k/(k-1))/n) {
			dearest = max(dearest, m)
		}
	}
	last := 0
	for r := range op.rows { // in the order of their seconds
		if r.TokensN == 0 && r.TokensDone == 0 {
			continue
		}
		if r.Second/coldWindow != last/coldWindow {
			end()
			window = window[:0]
		}
		if len(window) == 0 || r.Second != last {
			window = append(window, second{})
		}
		last = r.Second
		s := &window[len(window)-1]
		s.tokens, s.n = s.tokens+float64(r.TokensDone), s.n+float64(r.TokensN)
	}
	end()
	return dearest
}

// cloudCost returns what one arrival charges on average, from sums that the
// cloud published: for a rate its use, for a level the seconds that it was
// held. Sums are set against the client's requests in the same periods, without
// those that never charged the quota: rejected ones, and those that this quota
// or one before it refused. A series of requests would not do instead: it
// counts calls, of which one arrival may make several. Where calm says so of
// seconds, the sums of these alone count.
func (a *analysis) cloudCost(q Quota, parts []part, role Role, calm []bool) (c cost, ok bool) {
	series, ok := a.series(q.ID, role)
	if !ok || series.statistic != "Sum" {
		return c, false
	}
	atLeast, atMost := a.refusedBefore(q)
	flows := a.arrivalsOf(q, series.period)
	served := func(f flow, refused float64) float64 { return max(0, f.sent-f.lost-refused*f.throttled) }

	var used, requests, fewer, largest float64
	var sums stats.Ratio // by periods of more than a second
	var fine stats.Ratio // by seconds, where periods are none longer
	var charged []bool
	if series.period <= time.Second {
		fine = stats.Ratio{Num: make([]float64, a.seconds), Den: make([]float64, a.seconds)}
		charged = make([]bool, a.seconds)
	}
	for _, at := range series.at {
		f, there := flows[at]
		if !there && !a.run.Manifest.Sandbox {
			continue // what others did before and after
		}
		if calm != nil && !a.within(calm, at, series.period) {
			continue
		}
		n := served(f, atLeast)
		used += series.values[at]
		requests += n
		fewer += served(f, atMost)
		largest = max(largest, n)
		if series.period <= time.Second {
			second := int(floorTo(at-a.run.Manifest.Start.UnixNano(), int64(time.Second)) / int64(time.Second))
			if second = min(max(second, 0), a.seconds-1); n > 0 || series.values[at] > 0 {
				fine.Num[second] += series.values[at]
				fine.Den[second] += n
				charged[second] = true
			}
		} else if n > 0 {
			sums.Num, sums.Den = append(sums.Num, series.values[at]), append(sums.Den, n)
		}
	}
	if requests == 0 || calm != nil && requests < coldAnswers {
		return c, false
	}
	if series.period <= time.Second {
		sums = stats.Ratio{}
		if blocks := inBlocks([]iter.Seq2[int, charge]{perSecond(fine)}, charged); blocks != nil {
			sums = blocks[0]
		}
	}
	if role == RoleDuration {
		if waited := a.inFlight(q); used > 1.05*waited && waited > 0 {
			c.notes = append(c.notes, fmt.Sprintf("it was held for %s in all, while the client's requests waited for %s: others use it too, a request holds more than one, or goes on when the client has given up", unit.HumanSeconds(used), unit.HumanSeconds(waited)))
		}
	}
	minutes := fmt.Sprintf("%d %s sums", len(sums.Num), short(series.period))
	switch len(sums.Num) {
	case 0:
		minutes = "few seconds"
	case 1:
		minutes = "a single " + short(series.period) + " sum"
	}
	mean := used / requests
	c.Estimate = Estimate{mean, mean, mean}
	var low, high float64 = mean, mean
	for i, n := range sums.Den {
		// A request may be counted in the period after the one it was sent in,
		// which tells too much of periods with few.
		if n < 0.2*largest || n < coldAnswers {
			continue
		}
		m := sums.Num[i] / n
		low, high = min(low, m), max(high, m)
	}
	c.cold = dearest(sums, 1, mean)
	if series.period <= time.Second {
		c.cold = dearest(fine, coldWindow, mean)
	}
	if len(sums.Num) >= minBlocks {
		_, draws, iv := resample(len(sums.Num)).Ratios([]stats.Ratio{sums}, []float64{1})
		c.draws, c.Low, c.High = draws, max(0, iv.Low), iv.High
	} else {
		half := 1.96 * mean / math.Sqrt(requests)
		c.Low, c.High = max(0, min(low, mean-half)), max(high, mean+half)
		c.notes = append(c.notes, fmt.Sprintf("unit cost from %s, too few for an interval of their own: it supposes that single costs vary by no more than their mean", minutes))
	}
	if a.run.Manifest.Sandbox {
		// Nobody else uses it.
	} else if others, ok := c.apart(sums, series.period, len(shapes(a.charging(q)))); ok {
		for i := range sums.Num {
			sums.Num[i] = max(0, sums.Num[i]-others)
		}
	} else {
		c.notes = append(c.notes, "the cloud's sums hold everybody's use: the unit cost supposes that nothing else charged this quota in those minutes")
	}
	if fewer > 0 && fewer < requests {
		c.High = max(c.High, used/fewer)
		c.notes = append(c.notes, "some refusals can't be told apart: the interval of the unit cost covers both readings")
	}
	if least, most := servedMix(parts, atLeast); most > 1+maxDifference && calm == nil {
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
	dearest := mean
	for i, n := range windows.Den {
		if n < 0.2*slices.Max(windows.Den) || n < coldAnswers {
			continue
		}
		if m := windows.Num[i] / n; m-mean > maxDifference*mean && m > dearest && m-mean > byChance(sums, width, windows, i, mean) {
			dearest = m
		}
	}
	return dearest
}

// byChance returns how far the mean of the i-th window may lie above that of all without
// more than chance: it does in one of a thousand runs. Single charges are supposed to
// vary by their mean, or by more where the sums tell so that don't lie in one stretch
// with it above the mean.
func byChance(sums stats.Ratio, width int, windows stats.Ratio, i int, mean float64) float64 {
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
	return sd / math.Sqrt(windows.Den[i]) * math.Sqrt2 * math.Erfinv(1-2*0.001/float64(len(windows.Num)))
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

// apart takes others' steady use out of a cost that stands on everybody's sums, and
// returns what they use in each period: a robust line through the periods has the run's
// cost as its slope, and what others use where it crosses zero. ok is false where the
// run's own requests vary too little to tell, where nothing speaks for others, and where
// the sums lie off the line by as much as half of these: then it is the cost that
// changed, as it does where loads of several shapes have another mix each minute.
func (c *cost) apart(sums stats.Ratio, period time.Duration, shapes int) (others float64, ok bool) {
	if len(sums.Den) == 0 || slices.Max(sums.Den) < apartRange*slices.Min(sums.Den) || shapes > 1 {
		return 0, false
	}
	line, ok := stats.TheilSen(sums.Den, sums.Num)
	if !ok || line.Slope <= 0 || line.Intercept < apartShare*sum(sums.Num)/float64(len(sums.Num)) {
		return 0, false
	}
	for i, n := range sums.Den {
		if math.Abs(sums.Num[i]-line.Intercept-line.Slope*n) > line.Intercept/2 {
			return 0, false
		}
	}
	c.Estimate, c.draws, c.cold = Estimate{line.Slope, max(line.Low, 0), line.High}, nil, line.Slope
	c.others = line.Intercept / period.Seconds()
	c.notes = append(c.notes, fmt.Sprintf("others use about %s a second of it, told apart by a robust line through %d %s sums", unit.Human(c.others), len(sums.Num), short(period)))
	return line.Intercept, true
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

// short prints a period as "60s".
func short(d time.Duration) string { return fmt.Sprintf("%gs", d.Seconds()) }
