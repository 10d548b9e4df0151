package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Science R29: one wild point moves least squares by a third and this by nothing.
func TestTheilSen(t *testing.T) {
	x := []float64{500, 1000, 1500, 2000, 2500, 3000, 4000}
	y := []float64{520, 1030, 1545, 2040, 9000, 3080, 4100}
	l, ok := TheilSen(x, y)
	if !ok || math.Abs(l.Slope-1.023333) > 1e-6 || math.Abs(l.Intercept-8.3333) > 1e-4 || math.Abs(l.Intercept+5000*l.Slope-5125) > 1e-6 {
		t.Errorf("%+v", l)
	}
	if _, ok := TheilSen([]float64{1, 1, 1, 2, 2, 2}, []float64{1, 2, 3, 4, 5, 6}); ok {
		t.Error("two different x are a line")
	}
}

func TestTheilSenCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	inside := 0
	const runs = 1000
	for range runs {
		x, y := make([]float64, 20), make([]float64, 20)
		for i := range x {
			x[i] = float64(100 + 10*i)
			y[i] = 50 + 3*x[i] + 20*rng.NormFloat64()
		}
		if l, _ := TheilSen(x, y); l.Low <= 3 && 3 <= l.High {
			inside++
		}
	}
	if inside < 930 || inside > 980 {
		t.Errorf("the true slope lies in %d of %d intervals", inside, runs)
	}
}

// Science R27: published fits, to the digits printed there.
func TestFitUSL(t *testing.T) {
	for _, c := range []struct {
		name                            string
		n, x                            []float64
		alpha, beta, gamma, peak, limit float64
	}{
		{"specsdm91", []float64{1, 18, 36, 72, 108, 144, 216}, []float64{64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2}, 0.0277285, 1.04366e-4, 89.9952, 96.52, 1883.9},
		{"synthetic", []float64{1, 2, 4, 6, 8, 10}, []float64{1, 1.8868, 3.0769, 3.5294, 3.5398, 3.3557}, 0.02, 0.02, 1, 7, 0},
		{"ray tracer", []float64{1, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64}, []float64{20, 78, 130, 170, 190, 200, 210, 230, 260, 280, 310}, 0.05777, 0, 21.849, math.Inf(1), 378.2},
	} {
		u, ok := FitUSL(c.n, c.x)
		near := func(got, want float64) bool {
			return want == 0 && got < 1e-6 || got == want || math.Abs(got-want) <= 5e-4*math.Abs(want)
		}
		if !ok || !near(u.Alpha, c.alpha) || !near(u.Beta, c.beta) || !near(u.Gamma, c.gamma) || !near(u.Peak, c.peak) || c.limit > 0 && !near(u.Limit, c.limit) {
			t.Errorf("%s: %+v, want alpha %v, beta %v, gamma %v, peak %v, limit %v", c.name, u, c.alpha, c.beta, c.gamma, c.peak, c.limit)
		}
	}
	if _, ok := FitUSL([]float64{1, 2, 3}, []float64{1, 2, 3}); ok {
		t.Error("three points are fitted")
	}
}
