package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// ChangePoints returns at which indexes a series changes its level, such as the
// figure of one run after the other over months: a change comes as the first index of
// the new level. A change counts where Student's t-test between the level before and
// the one after gives a probability below p, and the larger of the two means is more
// than magnitude (0.05: 5 %) above the smaller. Windows are 2 long at least; 30 to 50
// are usual, with p 0.001 to 0.01. Every value is finite.
//
// Windows that overlap by half are split where the energy distance of the parts
// is largest (Matteson and James, arXiv 1306.4933), while a laxer p holds; then the
// weakest change of all is given up and the levels beside it joined until each
// that is left holds (Fleming et al., "Hunter", arXiv 2301.03034). Apache Otava's results
// are the reference, and two of its ways with them: variances are those of the
// samples themselves, by n and not n-1, which makes p too small beside short levels; and
// after a join only the change that ends the joined level is judged anew, the one that
// begins it stays as it was judged against what came right after it.
func ChangePoints(series []float64, window int, p, magnitude float64) []int {
	window = max(window, 2)
	lax := p
	switch {
	case p < 0.05:
		lax = 10 * p
	case p < 0.5:
		lax = 2 * p
	}
	var found []int
	for start := 0; start < len(series); {
		splits := divide(series[start:min(start+window, len(series))], lax)
		next := start + window/2
		for _, s := range splits {
			found = append(found, start+s)
			next = max(next, start+s)
		}
		start = next
	}
	slices.Sort(found)
	found = slices.Compact(found)
	ps, magnitudes := make([]float64, len(found)), make([]float64, len(found))
	judge := func(i int) {
		before, after := around(series, found, i)
		ps[i], magnitudes[i] = unlike(before, after), change(before, after)
	}
	for i := range found {
		judge(i)
	}
	for len(found) > 0 {
		weakest := slices.Index(ps, slices.Max(ps))
		if ps[weakest] < p {
			weakest = slices.Index(magnitudes, slices.Min(magnitudes))
			if magnitudes[weakest] > magnitude {
				break
			}
		}
		found = slices.Delete(found, weakest, weakest+1)
		ps = slices.Delete(ps, weakest, weakest+1)
		magnitudes = slices.Delete(magnitudes, weakest, weakest+1)
		if weakest < len(found) {
			judge(weakest)
		}
	}
	return found
}

// around returns the levels before and after the i-th of the changes.
func around(series []float64, changes []int, i int) (before, after []float64) {
	from, to := 0, len(series)
	if i > 0 {
		from = changes[i-1]
	}
	if i+1 < len(changes) {
		to = changes[i+1]
	}
	return series[from:changes[i]], series[changes[i]:to]
}

// divide splits a series again and again where its parts differ most, and stops at
// the first split that the t-test gives more than p. It returns the splits in order.
func divide(series []float64, p float64) []int {
	// sums[i][j] is of the distances between the first i and the first j values.
	n := len(series)
	sums := make([][]float64, n+1)
	sums[0] = make([]float64, n+1)
	for i := range n {
		sums[i+1] = make([]float64, n+1)
		for j := range n {
			sums[i+1][j+1] = sums[i][j+1] + sums[i+1][j] - sums[i][j] + math.Abs(series[i]-series[j])
		}
	}
	between := func(a, b, c, d int) float64 { return sums[b][d] - sums[a][d] - sums[b][c] + sums[a][c] }
	var splits []int
	for {
		best, at := math.Inf(-1), -1
		for i := range len(splits) + 1 {
			from, to := 0, n
			if i > 0 {
				from = splits[i-1]
			}
			if i < len(splits) {
				to = splits[i]
			}
			for split := from + 1; split < to; split++ {
				for end := split + 1; end <= to; end++ {
					x, y := float64(split-from), float64(end-split)
					q := 2 * between(from, split, split, end)
					if x > 1 {
						q -= y / (x - 1) * between(from, split, from, split)
					}
					if y > 1 {
						q -= x / (y - 1) * between(split, end, split, end)
					}
					if q /= x + y; q > best {
						best, at = q, split
					}
				}
			}
		}
		if at < 0 {
			return splits
		}
		i, _ := slices.BinarySearch(splits, at)
		splits = slices.Insert(splits, i, at)
		if unlike(around(series, splits, i)) > p {
			return slices.Delete(splits, i, i+1)
		}
	}
}

// unlike returns the probability of means at least as far apart where both
// samples come from one normal distribution: Student's t-test, two-sided, 1 where
// neither has two values.
func unlike(a, b []float64) float64 {
	m, n := float64(len(a)), float64(len(b))
	if m+n <= 2 {
		return 1
	}
	meanA, varianceA := spread(a)
	meanB, varianceB := spread(b)
	if meanA == meanB {
		return 1
	}
	t := (meanB - meanA) / math.Sqrt(((m-1)*varianceA+(n-1)*varianceB)/(m+n-2)*(1/m+1/n))
	return 2 * distuv.StudentsT{Sigma: 1, Nu: m + n - 2}.CDF(-math.Abs(t))
}

// spread returns the mean and the mean squared difference from it.
func spread(v []float64) (mean, variance float64) {
	mean = sum(v) / float64(len(v))
	for _, x := range v {
		variance += (x - mean) * (x - mean) / float64(len(v))
	}
	return mean, variance
}

// change returns by which share the larger mean exceeds the smaller.
func change(a, b []float64) float64 {
	x, y := sum(a)/float64(len(a)), sum(b)/float64(len(b))
	if x == y {
		return 0
	}
	return max(math.Abs(y/x-1), math.Abs(x/y-1))
}
