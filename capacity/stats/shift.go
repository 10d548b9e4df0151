package stats

import (
	"math"
	"slices"
)

// Shift is how far the values of one group lie from those of another.
type Shift struct {
	Value    float64 // the Hodges-Lehmann estimate: the median of all differences
	Interval         // 95 %; without end where the groups are too small to have one
	// P is the probability of ranks at least as far apart where the groups don't
	// differ: Mann and Whitney's test, two-sided and exact.
	P float64
}

// ShiftBetween compares a figure of several runs before a change with that of
// several after it, one value for each run: requests of one run resemble each other
// too much to be compared one by one. Of logarithms the shift is the logarithm of
// a ratio. Equal values share their ranks, and P is exact given which are equal.
//
// Four runs on each side are the fewest that can alarm at 5 %: the smallest P is
// 2 / binomial(m+n, m), 0.0286 for four and four. The interval holds the shifts that
// the test doesn't reject at 5 %, as if no values were equal. Both groups need a value;
// a hundred in all take some milliseconds.
func ShiftBetween(before, after []float64) Shift {
	m, n := len(before), len(after)
	differences := make([]float64, 0, m*n)
	for _, b := range before {
		for _, a := range after {
			differences = append(differences, a-b)
		}
	}
	slices.Sort(differences)
	ranks, sum := doubleRanks(before, after)
	s := Shift{Interval: Interval{math.Inf(-1), math.Inf(1)}}
	middle := len(differences) / 2
	s.Value = (differences[middle] + differences[len(differences)-1-middle]) / 2

	centre := m * (m + n + 1) // of the double rank sum of m values
	for w, share := range rankSums(ranks, m) {
		if abs(w-centre) >= abs(sum-centre) {
			s.P += share
		}
	}
	s.P = min(s.P, 1)

	// Of ranks without ties: the most differences that may lie on the wrong side of a
	// shift that is rejected.
	for i := range ranks {
		ranks[i] = 2 * (i + 1)
	}
	untied := rankSums(ranks, m)
	tail, k := 0.0, 0
	for ; k <= m*n; k++ {
		if tail += untied[m*(m+1)+2*k]; 2*tail > 1-confidence {
			break
		}
	}
	if k > 0 {
		s.Interval = Interval{differences[k-1], differences[m*n-k]}
	}
	return s
}

// doubleRanks returns twice the rank, from 1, of each value of both groups in
// order, where equal ones share the mean of theirs, and their sum over the first.
func doubleRanks(first, second []float64) (ranks []int, sum int) {
	all := slices.Sorted(slices.Values(slices.Concat(first, second)))
	double := make(map[float64]int, len(all))
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j] == all[i] {
			j++
		}
		for range j - i {
			ranks = append(ranks, i+1+j)
		}
		double[all[i]] = i + 1 + j
		i = j
	}
	for _, v := range first {
		sum += double[v]
	}
	return ranks, sum
}

// rankSums returns the probability of each sum of m of the ranks, drawn without
// replacement.
func rankSums(ranks []int, m int) []float64 {
	most := 0
	for _, r := range ranks {
		most += r
	}
	// ways[k] holds in how many ways k of the ranks so far make each sum.
	ways := make([][]float64, m+1)
	for k := range ways {
		ways[k] = make([]float64, most+1)
	}
	ways[0][0] = 1
	for i, r := range ranks {
		for k := min(i+1, m); k >= 1; k-- {
			for s := most; s >= r; s-- {
				ways[k][s] += ways[k-1][s-r]
			}
		}
	}
	all := sum(ways[m])
	for s := range ways[m] {
		ways[m][s] /= all
	}
	return ways[m]
}

func abs(n int) int { return max(n, -n) }
