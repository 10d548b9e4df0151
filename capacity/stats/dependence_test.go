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
			size, _ := EffectiveSize(above, counts)
			share += size / n / repeats
		}
		// The smaller of two readings is a little low.
		if share > 1.1*c.want || share < 0.6*c.want {
			t.Errorf("phi %g, p%g: %.4f of the values count, want about %.4f", c.phi, 100*c.p, share, c.want)
		}
	}
	if got, _ := EffectiveSize(make([]float64, 19), slices.Repeat([]float64{7}, 19)); got != 0 {
		t.Errorf("nineteen blocks give %g", got)
	}
	if got, _ := EffectiveSize(make([]float64, 50), slices.Repeat([]float64{7}, 50)); got != 350 {
		t.Errorf("equal values: %g, want all 350", got)
	}
	if got, _ := EffectiveSize(make([]float64, 50), make([]float64, 50)); got != 0 {
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
		if got, times := EffectiveSize(above, counts); !(got >= 0 && got <= total) || (times >= 1) != (len(n) >= 20 && total > 0) {
			t.Fatalf("%g of %g, %g times as long", got, total, times)
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
		{0, 3000, 30, []float64{.5, .99}},
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
				size, times := EffectiveSize(above, counts)
				low, high, ok := QuantileInterval(size, p)
				if !ok || times > 1 {
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

// medians draws runs of 50 values a block around a level that is a first-order
// autoregressive process and moves by between, and returns how many had an interval of the median, how
// many of these were wrong, and how many times as long the others must be.
func medians(blocks int, phi, between float64, repeats int) (printed, wrong int, longer []float64) {
	const perBlock = 50
	rng := rand.New(rand.NewPCG(3, uint64(blocks)))
	for range repeats {
		x := make([]float64, 0, blocks*perBlock)
		level := rng.NormFloat64()
		for range blocks {
			level = phi*level + math.Sqrt(1-phi*phi)*rng.NormFloat64()
			for range perBlock {
				x = append(x, between*level+rng.NormFloat64())
			}
		}
		sorted := slices.Sorted(slices.Values(x))
		at := func(p float64) float64 { return sorted[max(int(math.Ceil(p*float64(len(x)))), 1)-1] }
		above, n := make([]float64, blocks), slices.Repeat([]float64{perBlock}, blocks)
		for i, v := range x {
			if v > at(.5) {
				above[i/perBlock]++
			}
		}
		size, times := EffectiveSize(above, n)
		low, high, ok := QuantileInterval(size, .5)
		if !ok || times > 1 {
			longer = append(longer, times)
			continue
		}
		printed++
		if at(low) > 0 || at(high) < 0 {
			wrong++
		}
	}
	return printed, wrong, longer
}

// A run that is only a few correlation times long can't know how it hangs
// together, and mostly says so rather than something wrong: of the median of 50
// answers a second around a level that wanders. Of the intervals that runs of a
// minute and of two have, of all kinds of dependence that end within the run, nine in
// ten hold the truth. A level that doesn't move meanwhile is seen by nobody.
func TestShortRuns(t *testing.T) {
	const repeats = 200
	for _, c := range []struct {
		blocks        int
		phi           float64
		printed       [2]float64 // share of the runs that have an interval
		wrong, longer float64    // share whose interval is wrong, at most; median of times where there is none, at least
	}{
		{60, 0, [2]float64{.6, 1}, .03, 1},
		{120, .9, [2]float64{0, .05}, .04, 2}, // 6 correlation times
		{300, .9, [2]float64{.2, .6}, .07, 1}, // 16
		{60, .95, [2]float64{0, .03}, .03, 4}, // 1.5
		{600, .9, [2]float64{.75, 1}, .09, 1}, // 32
	} {
		printed, wrong, longer := medians(c.blocks, c.phi, .3, repeats)
		said, amiss := float64(printed)/repeats, float64(wrong)/repeats
		slices.Sort(longer)
		median := 1.0
		if len(longer) > 0 {
			median = longer[len(longer)/2]
		}
		t.Logf("%d blocks, phi %g: %.2f have an interval, %.3f a wrong one, the others need %.1f times as long", c.blocks, c.phi, said, amiss, median)
		if said < c.printed[0] || said > c.printed[1] || amiss > c.wrong || median < c.longer {
			t.Errorf("%d blocks, phi %g: %.2f have an interval, %.3f a wrong one, the others need %.1f times as long; want %+v", c.blocks, c.phi, said, amiss, median, c)
		}
	}
	for _, blocks := range []int{60, 120} {
		var printed, wrong int
		for _, phi := range []float64{0, .3, .5, .7, .8, .9, .95} {
			p, w, _ := medians(blocks, phi, .3, 2*repeats)
			printed, wrong = printed+p, wrong+w
		}
		share := float64(wrong) / float64(printed)
		t.Logf("%d blocks of all kinds: %.3f of %d intervals are wrong", blocks, share, printed)
		if share > .1 {
			t.Errorf("%d blocks: %.3f of %d intervals are wrong", blocks, share, printed)
		}
	}
	// A weak dependence can't be seen from one block to the next: most of these runs of
	// ten correlation times have an interval.
	printed, wrong, _ := medians(190, .9, .1, 4*repeats)
	share := float64(wrong) / float64(printed)
	t.Logf("190 blocks that hang together weakly: %.3f of %d intervals are wrong", share, printed)
	if share > .09 || printed < 3*repeats {
		t.Errorf("190 blocks that hang together weakly: %.3f of %d intervals are wrong", share, printed)
	}
}
