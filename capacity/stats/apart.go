package stats

import (
	"math"
	"slices"
)

// Apart is what each of several kinds of request charges, told apart by how sums of
// all their charges move with their counts.
type Apart struct {
	Costs     []float64 // by kind, none below 0
	Deviation float64   // of single charges from these, as the sums vary

	resample Resample
	sums     []float64
	counts   [][]float64
	products []float64 // of each block: counts by counts, then counts by sums
}

// leastApart is how much of a kind's counts the other kinds' must leave unexplained, as
// a share of their squares: with less the sums don't tell it from these.
const leastApart = 1e-3

// Apart tells charges apart by least squares, the sum of each block weighing by the
// inverse of its count: independent charges make a sum vary in proportion to that. ok is
// false where the sums don't tell: the counts of one kind go with those of others, or
// there are no more sums than kinds. counts holds one series for each kind, as long as
// sums and the Resample's blocks.
func (r Resample) Apart(sums []float64, counts [][]float64) (a *Apart, ok bool) {
	k := len(counts)
	a = &Apart{resample: r, sums: sums, counts: counts, products: make([]float64, r.Blocks*(k*k+k))}
	var requests float64
	for b := range sums {
		n := a.count(b)
		requests += n
		row := a.of(b)
		for g := range counts {
			for h := range counts {
				row[g*k+h] = counts[g][b] * counts[h][b] / max(n, 1)
			}
			row[k*k+g] = counts[g][b] * sums[b] / max(n, 1)
		}
	}
	a.Costs, ok = leastSquares(a.equations(nil), k)
	if !ok || len(sums) <= k {
		return nil, false
	}
	var squares float64
	for b := range sums {
		off := a.off(b, a.Costs)
		squares += off * off
	}
	a.Deviation = math.Sqrt(squares / requests * float64(len(sums)) / float64(len(sums)-k))
	return a, true
}

// count is how many requests a block has, of all kinds.
func (a *Apart) count(b int) (n float64) {
	for _, of := range a.counts {
		n += of[b]
	}
	return n
}

// of is a block's part of the normal equations.
func (a *Apart) of(b int) []float64 {
	k := len(a.counts)
	return a.products[b*(k*k+k) : (b+1)*(k*k+k)]
}

// equations adds up the normal equations of all blocks, each as many times; nil: once.
func (a *Apart) equations(times []uint16) []float64 {
	all := make([]float64, len(a.of(0)))
	for b := range a.sums {
		k := 1.0
		if times != nil {
			k = float64(times[b])
		}
		for i, v := range a.of(b) {
			all[i] += k * v
		}
	}
	return all
}

// off is what a block's sum has above what the costs make it.
func (a *Apart) off(b int, costs []float64) float64 {
	off := a.sums[b]
	for g, c := range costs {
		off -= c * a.counts[g][b]
	}
	return off
}

// pulls returns by how much of what each block's sum is off it moves the costs' sum,
// weighted, by the given equations.
func (a *Apart) pulls(equations, weights []float64) []float64 {
	k := len(weights)
	free := make([]int, k)
	for g := range free {
		free[g] = g
	}
	x, ok := solve(append(slices.Clone(equations[:k*k]), weights...), k, free)
	if !ok {
		return nil
	}
	pulls := make([]float64, len(a.sums))
	for b := range pulls {
		for g, of := range a.counts {
			pulls[b] += x[g] * of[b]
		}
		pulls[b] /= max(a.count(b), 1)
	}
	return pulls
}

// Sum returns the weighted sum of the costs, what it is in each draw of the bootstrap,
// and its 95 % interval, as Ratios does. A draw whose blocks don't tell keeps the costs
// of all.
func (a *Apart) Sum(weights []float64) (value float64, draws []float64, iv Interval) {
	k := len(weights)
	weigh := func(costs []float64) (sum float64) {
		for g, w := range weights {
			sum += w * costs[g]
		}
		return sum
	}
	value = weigh(a.Costs)
	linear := a.pulls(a.equations(nil), weights)
	for b := range linear {
		linear[b] *= a.off(b, a.Costs)
	}
	var away []float64
	for d, times := range a.resample.each {
		equations := a.equations(times)
		costs, told := leastSquares(equations, k)
		if !told {
			draws = append(draws, value)
			continue
		}
		draws = append(draws, weigh(costs))
		var squares float64
		for b, pull := range a.pulls(equations, weights) {
			part := pull * a.off(b, costs)
			squares += float64(times[b]) * part * part
		}
		if se := math.Sqrt(squares); se > dust*value {
			away = append(away, (draws[d]-value)/se)
		}
	}
	return value, draws, studentized(value, draws, away, linear)
}

// Spread is half of the 95 % interval of the costs' sum, weighted, where single charges
// deviate independently: those of each kind by so much as is supposed, or, where nothing
// is (nil), by what the sums tell of all. blocks is how many it stands on: few where one
// kind comes in few of them.
func (a *Apart) Spread(weights, supposed []float64) (half, blocks float64) {
	var variance, shares, squares float64
	for b, pull := range a.pulls(a.equations(nil), weights) {
		for g, of := range a.counts {
			d := a.Deviation
			if supposed != nil {
				d = max(d, supposed[g])
			}
			variance += pull * pull * of[b] * d * d
		}
		share := pull * pull * a.count(b)
		shares, squares = shares+share, squares+share*share
	}
	blocks = shares * shares / squares
	half = 1.96 * math.Sqrt(variance)
	if supposed == nil {
		half *= student(blocks - 1)
	}
	return half, blocks
}

// leastSquares solves the normal equations of k unknowns, none of which is below 0: the
// one that would be furthest is taken for 0, and the others are solved again.
func leastSquares(products []float64, k int) (x []float64, ok bool) {
	free := make([]int, k)
	for g := range free {
		free[g] = g
	}
	for {
		x = make([]float64, k)
		solved, ok := solve(products, k, free)
		if !ok {
			return nil, false
		}
		worst := 0
		for i, v := range solved {
			x[free[i]] = v
			if v < solved[worst] {
				worst = i
			}
		}
		if len(solved) == 0 || solved[worst] >= 0 {
			return x, true
		}
		x[free[worst]] = 0
		free = slices.Delete(free, worst, worst+1)
	}
}

// solve solves the equations of the free unknowns alone, by Cholesky's decomposition of
// the matrix with a diagonal of ones.
func solve(products []float64, k int, free []int) (x []float64, ok bool) {
	n := len(free)
	scale := make([]float64, n)
	for i, g := range free {
		scale[i] = math.Sqrt(products[g*k+g])
		if scale[i] == 0 {
			return nil, false
		}
	}
	low := make([]float64, n*n)
	x = make([]float64, n)
	for i, g := range free {
		x[i] = products[k*k+g] / scale[i]
		for j := range i + 1 {
			v := products[g*k+free[j]] / scale[i] / scale[j]
			for m := range j {
				v -= low[i*n+m] * low[j*n+m]
			}
			if i != j {
				low[i*n+j] = v / low[j*n+j]
				continue
			}
			if v < leastApart {
				return nil, false
			}
			low[i*n+i] = math.Sqrt(v)
		}
		for j := range i {
			x[i] -= low[i*n+j] * x[j]
		}
		x[i] /= low[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		for j := i + 1; j < n; j++ {
			x[i] -= low[j*n+i] * x[j]
		}
		x[i] /= low[i*n+i]
	}
	for i := range x {
		x[i] /= scale[i]
	}
	return x, true
}
