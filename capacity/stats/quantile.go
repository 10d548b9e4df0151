package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// confidence is that of the intervals of quantiles.
const confidence = 0.95

// binomialCDF returns the probability of at most k successes in n trials of
// probability p, which is between 0 and 1.
func binomialCDF(k, n int64, p float64) float64 {
	switch {
	case k < 0:
		return 0
	case k >= n:
		return 1
	}
	return mathext.RegIncBeta(float64(n-k), float64(k+1), 1-p)
}

// least returns the smallest k from 0 to n for which ok holds, which it does
// for all larger ones; n+1 where it holds for none.
func least(n int64, ok func(k int64) bool) int64 {
	low, high := int64(0), n+1
	for low < high {
		if mid := low + (high-low)/2; ok(mid) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// QuantileRanks returns the ranks, counted from 1, of the two order statistics
// of n independent values that enclose the quantile p with a probability of 95 %
// whatever the distribution: low is the largest with P(X < low) <= 2.5 % and
// high the smallest with P(X < high) >= 97.5 % for X binomial of n and p. ok is
// false where n values are too few to have both.
func QuantileRanks(n int64, p float64) (low, high int64, ok bool) {
	const tail = (1 - confidence) / 2
	low = least(n, func(k int64) bool { return binomialCDF(k, n, p) > tail })
	high = least(n, func(k int64) bool { return binomialCDF(k, n, p) >= 1-tail }) + 1
	return low, high, low >= 1 && high <= n
}

// BoundExists returns how many independent values it takes for their largest to
// lie above the quantile p with the given confidence: 299 for the 99th
// percentile with 95 %.
func BoundExists(p, confidence float64) int64 {
	return int64(math.Ceil(math.Log1p(-confidence)/math.Log(p) - 1e-9))
}

// OverLimit returns how many of n independent values may lie above a limit while
// it is still shown, with the given confidence, that the quantile p does not:
// the largest t with P(X <= t) <= 1-confidence for X binomial of n and 1-p, or
// -1 where n is too few for any. It is the early stopping rule of MLPerf's
// LoadGen.
func OverLimit(n int64, p, confidence float64) int64 {
	return least(n, func(t int64) bool { return binomialCDF(t, n, 1-p) > 1-confidence }) - 1
}

// MarginSize returns how many independent values it takes for the rank of the
// quantile p to be known within a margin, a share of all values, with the given
// confidence: n = z² p (1-p) / margin². MLPerf takes a twentieth of 1-p.
func MarginSize(p, margin, confidence float64) int64 {
	z := distuv.UnitNormal.Quantile((1 + confidence) / 2)
	return int64(math.Ceil(z * z * p * (1 - p) / (margin * margin)))
}

// AtMostNone returns the share that is not exceeded, with the given confidence,
// where none of n independent trials was bad: 1 - (1-c)^(1/n).
func AtMostNone(n int, confidence float64) float64 {
	if n <= 0 {
		return 1
	}
	return -math.Expm1(math.Log1p(-confidence) / float64(n))
}
