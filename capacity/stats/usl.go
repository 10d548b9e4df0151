package stats

import (
	"math"

	"gonum.org/v1/gonum/optimize"
)

// USL is Gunther's Universal Scalability Law: the throughput of a resource with
// N requests in it,
//
//	X(N) = Gamma N / (1 + Alpha (N-1) + Beta N (N-1))
//
// Gamma is the throughput of one request alone, Alpha the part that waits its turn
// (contention), Beta the cost of keeping the others in step (coherency), which
// makes throughput fall again. It describes resources that slow down under load,
// such as an own server, broker or database, and never a quota, which clips.
type USL struct {
	Alpha, Beta, Gamma float64
	// Peak is the N of the highest throughput, and Limit the throughput there;
	// where Beta is 0 throughput only levels off, Peak is +Inf and Limit what it
	// comes near (+Inf where Alpha is 0 too).
	Peak, Limit float64
}

// At returns the throughput at n.
func (u USL) At(n float64) float64 { return u.Gamma * shapeUSL(n, u.Alpha, u.Beta) }

func shapeUSL(n, alpha, beta float64) float64 { return n / (1 + alpha*(n-1) + beta*n*(n-1)) }

// FitUSL fits the law by least squares with Alpha and Beta not below 0: without
// that bound the best fit of a curve that only levels off has a negative Beta,
// which means nothing (science 3.2, R27). ok is false for fewer than six points
// or none above N = 1.
func FitUSL(n, x []float64) (u USL, ok bool) {
	if len(n) < 6 || len(n) != len(x) {
		return u, false
	}
	var most float64
	for i := range n {
		if !(n[i] > 0) || !(x[i] > 0) {
			return u, false
		}
		most = max(most, n[i])
	}
	if most <= 1 {
		return u, false
	}
	// Squares keep Alpha and Beta from below 0; Gamma follows in closed form.
	gamma := func(alpha, beta float64) float64 {
		var xf, ff float64
		for i := range n {
			f := shapeUSL(n[i], alpha, beta)
			xf, ff = xf+x[i]*f, ff+f*f
		}
		return xf / ff
	}
	squares := func(p []float64) (sum float64) {
		alpha, beta := p[0]*p[0], p[1]*p[1]
		g := gamma(alpha, beta)
		for i := range n {
			d := x[i] - g*shapeUSL(n[i], alpha, beta)
			sum += d * d
		}
		return sum
	}
	best := math.Inf(1)
	for _, start := range [][]float64{{0.1, 0.01}, {0.5, 0.001}, {0.01, 0.1}, {0.3, 1 / most}, {0.001, 0.0001}} {
		r, err := optimize.Minimize(optimize.Problem{Func: squares}, start, &optimize.Settings{
			Converger: &optimize.FunctionConverge{Absolute: 1e-14, Relative: 1e-14, Iterations: 400}, MajorIterations: 20_000,
		}, &optimize.NelderMead{})
		if r != nil && (err == nil || r.F < best) && r.F < best {
			best = r.F
			u.Alpha, u.Beta = r.X[0]*r.X[0], r.X[1]*r.X[1]
		}
	}
	if u.Beta < 1e-9 { // no sign of throughput falling again
		u.Beta = 0
	}
	u.Gamma = gamma(u.Alpha, u.Beta)
	u.Peak, u.Limit = math.Inf(1), math.Inf(1)
	switch {
	case u.Beta > 0:
		u.Peak = math.Sqrt((1 - min(u.Alpha, 1)) / u.Beta)
		u.Limit = u.At(max(u.Peak, 1))
	case u.Alpha > 0:
		u.Limit = u.Gamma / u.Alpha
	}
	return u, !math.IsInf(best, 1)
}
