package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Line is y = Intercept + Slope x with the 95 % interval of its slope.
type Line struct {
	Slope, Intercept float64
	Interval
}

// TheilSen fits a line that up to 29 % of wild points don't move: the slope is the
// median of the slopes between all pairs of points, the intercept the median of
// what is left. The slope's interval comes from the ranks of Kendall's tau (Sen
// 1968). It takes at least six points with three different x; 2,000 at the most
// are sensible.
func TheilSen(x, y []float64) (l Line, ok bool) {
	n := len(x)
	if n < 6 || n != len(y) {
		return l, false
	}
	different := slices.Compact(slices.Sorted(slices.Values(x)))
	if len(different) < 3 {
		return l, false
	}
	slopes := make([]float64, 0, n*(n-1)/2)
	for i := range x {
		for j := range i {
			if x[i] != x[j] {
				slopes = append(slopes, (y[i]-y[j])/(x[i]-x[j]))
			}
		}
	}
	slices.Sort(slopes)
	l.Slope = quantile(slopes, 0.5)
	rest := make([]float64, n)
	for i := range x {
		rest[i] = y[i] - l.Slope*x[i]
	}
	slices.Sort(rest)
	l.Intercept = quantile(rest, 0.5)
	f := float64(n)
	reach := distuv.UnitNormal.Quantile(0.975) * math.Sqrt(f*(f-1)*(2*f+5)/18)
	m := float64(len(slopes))
	at := func(rank float64) float64 { return slopes[min(max(int(math.Round(rank)), 0), len(slopes)-1)] }
	l.Low, l.High = at((m-reach)/2-1), at((m+reach)/2)
	return l, true
}
