package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// Science R33.
func TestShiftBetween(t *testing.T) {
	for _, c := range []struct {
		before, after []float64
		p, shift      float64
	}{
		{[]float64{10.1, 10.3, 9.9, 10.0, 10.2}, []float64{10.6, 10.8, 10.5, 10.4, 10.9}, 0.0079365, 0.5},
		{[]float64{101, 103, 99, 100, 102, 98}, []float64{104, 106, 102.5, 103.5, 105, 101.5}, 0.0151515, 3.25},
		{[]float64{1, 2, 3}, []float64{4, 5, 6}, 0.1, 3},
		{[]float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 0.0285714, 4},
		{[]float64{1, 3}, []float64{2}, 1, 0},
		{[]float64{1}, []float64{2}, 1, 1},
		// Of the 10 ways to draw 3 of the ranks 1.5, 1.5, 3.5, 3.5 and 5, two sum to 6.5
		// and one to 12, the only sums as far from 9 as 6.5.
		{[]float64{1, 1, 2}, []float64{2, 3}, 0.3, 1},
		{[]float64{7, 7, 7, 7}, []float64{7, 7, 7, 7}, 1, 0},
	} {
		got := ShiftBetween(c.before, c.after)
		if math.Abs(got.P-c.p) > 5e-8 || math.Abs(got.Value-c.shift) > 1e-12 {
			t.Errorf("%v, %v: p %.7f, shift %g, want %.7f, %g", c.before, c.after, got.P, got.Value, c.p, c.shift)
		}
	}
	if s := ShiftBetween([]float64{1, 2, 3}, []float64{4, 5, 6}); !math.IsInf(s.Low, -1) || !math.IsInf(s.High, 1) {
		t.Errorf("three and three bound the shift to %v", s.Interval)
	}
}

// The interval holds the shifts that the test doesn't reject, and only those.
func TestShiftInverts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		draw := func(n int) []float64 {
			v := make([]float64, n)
			for i := range v {
				v[i] = rng.NormFloat64()
			}
			return v
		}
		a, b := draw(rapid.IntRange(4, 12).Draw(t, "before")), draw(rapid.IntRange(4, 12).Draw(t, "after"))
		s := ShiftBetween(a, b)
		p := func(shift float64) float64 {
			moved := make([]float64, len(b))
			for i := range b {
				moved[i] = b[i] - shift
			}
			return ShiftBetween(a, moved).P
		}
		const little = 1e-9
		for shift, inside := range map[float64]bool{s.Low - little: false, s.Low + little: true, s.Value + little: true, s.High - little: true, s.High + little: false} {
			if q := p(shift); inside != (q > 0.05) {
				t.Fatalf("%v: a shift of %g has p %g", s, shift, q)
			}
		}
	})
}

// The interval contains the truth at least as often as it says, and not much
// more often.
func TestShiftCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const repeats = 2000
	inside := 0
	for range repeats {
		a, b := make([]float64, 8), make([]float64, 8)
		for i := range a {
			a[i], b[i] = rng.ExpFloat64(), 0.3+rng.ExpFloat64()
		}
		if s := ShiftBetween(a, b); s.Low <= 0.3 && 0.3 <= s.High {
			inside++
		}
	}
	if share := float64(inside) / repeats; share < 0.94 || share > 0.98 {
		t.Errorf("the true shift lies in %.1f %% of the intervals, want 95 %% or a little more", 100*share)
	}
}
