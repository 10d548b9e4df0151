package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Series that decay, grow and stay, with the cuts that the rule's formula gives (science R31).
func TestWarmUp(t *testing.T) {
	make500 := func(f func(i int) float64) []float64 {
		x := make([]float64, 500)
		for i := range x {
			x[i] = f(i) + float64(7*i%11)
		}
		return x
	}
	for _, c := range []struct {
		name      string
		x         []float64
		cut       int
		settled   bool
		statistic float64 // of the batches after the cut; 0: not checked
	}{
		{"decaying", make500(func(i int) float64 { return 100 * math.Exp(-float64(i)/20) }), 95, true, 0.00793876},
		{"trend", make500(func(i int) float64 { return 50 + 0.2*float64(i) }), 250, false, 0},
		{"flat", make500(func(int) float64 { return 50 }), 0, true, 0.00633996},
		{"short", []float64{1, 2, 3}, 0, false, 0},
	} {
		z := Batches(c.x, 5)
		batches, settled := WarmUp(z)
		cut := 5 * batches
		if cut != c.cut || settled != c.settled {
			t.Errorf("%s: cut %d, settled %v, want %d, %v", c.name, cut, settled, c.cut, c.settled)
		}
		if got := mser(z[batches:]); c.statistic > 0 && math.Abs(got-c.statistic) > 5e-9 {
			t.Errorf("%s: statistic %.8f, want %.8f", c.name, got, c.statistic)
		}
		if mean := sum(c.x[cut:]) / float64(len(c.x)-cut); c.name == "decaying" && math.Abs(mean-5.041332) > 5e-7 {
			t.Errorf("mean %.6f after the cut, want 5.041332", mean)
		}
	}
}

func TestTrend(t *testing.T) {
	if share, ok := Trend([]float64{8, 9.1, 9.9, 11.1, 12}); math.Abs(share-0.4) > 0.01 || !ok {
		t.Errorf("8 to 12: %g, %v", share, ok)
	}
	if share, ok := Trend([]float64{5, 5, 5, 5}); share != 0 || ok {
		t.Errorf("nothing changes: %g, %v", share, ok)
	}
	if _, ok := Trend([]float64{1, 2, 3}); ok {
		t.Error("three values have a trend")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	found := 0
	for range 5000 {
		z := make([]float64, 6)
		for i := range z {
			z[i] = 10 + rng.NormFloat64()
		}
		if _, ok := Trend(z); ok {
			found++
		}
	}
	if found < 25 || found > 75 {
		t.Errorf("noise has a trend in %d of 5,000 series, want about 50", found)
	}
}
