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
	shared bool    // others may use it too, and nothing tells how much
	alike  bool    // which is supposed: sums are too few to tell
	skew   float64 // of the broker or partition charged most, of which the cost is, to the mean of all; 0 elsewhere
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

// short prints a period as "60s".
func short(d time.Duration) string { return fmt.Sprintf("%gs", d.Seconds()) }
