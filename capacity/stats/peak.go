package stats

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/mathext"
)

// PoissonQuantile returns the smallest count that a Poisson distribution of the
// given mean does not exceed with probability p: the environments that serve
// Poisson arrivals of mean load, however long each takes, need no more of the
// time (M/G/infinity; science R14). The mean may be up to 1e9.
func PoissonQuantile(mean, p float64) int64 {
	if mean <= 0 {
		return 0
	}
	// P(N <= k) is the upper regularised gamma function at (k+1, mean).
	return int64(sort.Search(int(mean+20*math.Sqrt(mean)+50), func(k int) bool {
		return mathext.GammaIncRegComp(float64(k)+1, mean) >= p
	}))
}

// BusiestSecond returns the count that the busiest second of a minute stays
// below, with the given confidence, where so many arrivals fall in the minute
// independently of each other: the smallest m with
//
//	60 P(Binomial(arrivals, 1/60) >= m) <= 1 - confidence
//
// (science R21). The true maximum lies between arrivals/60 and arrivals; arrivals
// that come in waves exceed the bound.
func BusiestSecond(arrivals int64, confidence float64) int64 {
	return int64(sort.Search(int(arrivals)+1, func(m int) bool {
		if m == 0 {
			return arrivals == 0
		}
		over := mathext.RegIncBeta(float64(m), float64(arrivals)-float64(m)+1, 1.0/60)
		return 60*over <= 1-confidence
	}))
}
