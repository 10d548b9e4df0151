package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

// series draws values of a stationary first-order autoregressive process with
// standard normal values.
func series(rng *rand.Rand, phi float64, x []float64) {
	v := rng.NormFloat64()
	for i := range x {
		x[i] = v
		v = phi*v + math.Sqrt(1-phi*phi)*rng.NormFloat64()
	}
}

// The autocorrelation of an AR(1) process is known, and with it how much of a
// sample's size is left: (1-phi)/(1+phi) for the mean, and for quantiles what
// long simulations gave.
func TestEffectiveSize(t *testing.T) {
	for _, c := range []struct{ phi, p, want float64 }{{0, .5, 1}, {0, .99, 1}, {.9, .5, .075}, {.9, .99, .174}, {.99, .5, .0073}} {
		const n, block = 100_000, 100
		q := distuv.UnitNormal.Quantile(c.p)
		rng := rand.New(rand.NewPCG(5, 1))
		x := make([]float64, n)
		var share float64
		const repeats = 30
		for range repeats {
			series(rng, c.phi, x)
			above, counts := make([]float64, n/block), make([]float64, n/block)
			for i, v := range x {
				counts[i/block]++
				if v > q {
					above[i/block]++
				}
			}
			share += EffectiveSize(above, counts) / n / repeats
		}
		// The smaller of two readings is a little low.
		if share > 1.1*c.want || share < 0.6*c.want {
			t.Errorf("phi %g, p%g: %.4f of the values count, want about %.4f", c.phi, 100*c.p, share, c.want)
		}
	}
	if got := EffectiveSize(make([]float64, 19), slices.Repeat([]float64{7}, 19)); got != 0 {
		t.Errorf("nineteen blocks give %g", got)
	}
	if got := EffectiveSize(make([]float64, 50), slices.Repeat([]float64{7}, 50)); got != 350 {
		t.Errorf("equal values: %g, want all 350", got)
	}
	if got := EffectiveSize(make([]float64, 50), make([]float64, 50)); got != 0 {
		t.Errorf("no values: %g", got)
	}
}

// Whatever the counts, the size lies between none and all.
func TestEffectiveSizeBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SliceOfN(rapid.IntRange(0, 50), 0, 3000).Draw(t, "n")
		above, counts := make([]float64, len(n)), make([]float64, len(n))
		var total float64
		for i, k := range n {
			counts[i], above[i] = float64(k), float64(k*(i%7)/7)
			total += float64(k)
		}
		if got := EffectiveSize(above, counts); !(got >= 0 && got <= total) {
			t.Fatalf("%g of %g", got, total)
		}
	})
}

// histogram is a coarse one, for the test to take quantiles of thousands of
// series within its time.
type histogram [4096]int

func bin(x float64) int { return min(max(int((x+5)/10*4096), 0), 4095) }

func (h *histogram) quantile(p float64, n int) int {
	rank := max(int(math.Ceil(p*float64(n)-1e-9)), 1)
	for b, k := range h {
		if rank -= k; rank <= 0 {
			return b
		}
	}
	return len(h) - 1
}

// The truth lies in a printed interval about as often as it says, when values
// hang together as those of a loaded system do. Intervals that a series is too
// short for are not printed, which must not favour the wrong ones.
func TestQuantileCoverage(t *testing.T) {
	const repeats = 2000
	for _, c := range []struct {
		phi      float64
		n, block int
		p        []float64
	}{
		{.9, 6000, 50, []float64{.5, .9, .95}},
		{.9, 15_000, 250, []float64{.99}},
		{0, 3000, 100, []float64{.5, .99}},
	} {
		rng := rand.New(rand.NewPCG(2026, 11))
		printed, inside := make([]int, len(c.p)), make([]int, len(c.p))
		x := make([]float64, c.n)
		above, counts := make([]float64, c.n/c.block), make([]float64, c.n/c.block)
		for i := range counts {
			counts[i] = float64(c.block)
		}
		for range repeats {
			series(rng, c.phi, x)
			var h histogram
			for _, v := range x {
				h[bin(v)]++
			}
			for k, p := range c.p {
				clear(above)
				at := h.quantile(p, c.n)
				for i, v := range x {
					if bin(v) > at {
						above[i/c.block]++
					}
				}
				low, high, ok := QuantileInterval(EffectiveSize(above, counts), p)
				if !ok {
					continue
				}
				printed[k]++
				if truth := bin(distuv.UnitNormal.Quantile(p)); h.quantile(low, c.n) <= truth && truth <= h.quantile(high, c.n) {
					inside[k]++
				}
			}
		}
		for k, p := range c.p {
			share := float64(inside[k]) / float64(printed[k])
			t.Logf("phi %g, p%g: %.3f of %d intervals hold the truth", c.phi, 100*p, share, printed[k])
			if share < .93 || share > .98 || printed[k] < repeats/3 {
				t.Errorf("phi %g, p%g of %d values: the truth lies inside in %.1f %% of %d intervals, want 93 to 98 %%", c.phi, 100*p, c.n, 100*share, printed[k])
			}
		}
	}
}
