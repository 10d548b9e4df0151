package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestEarned(t *testing.T) {
	for _, c := range []struct {
		n    int64
		p    float64
		want bool
	}{
		{19, 0.5, false},
		{20, 0.5, true},
		{99, 0.9, false},
		{100, 0.9, true},
		{199, 0.95, false},
		{200, 0.95, true},
		{999, 0.99, false},
		{1000, 0.99, true},
		{9999, 0.999, false},
		{10000, 0.999, true},
		{0, 0.5, false},
	} {
		if got := Earned(c.n, c.p); got != c.want {
			t.Errorf("Earned(%d, %g) = %v", c.n, c.p, got)
		}
	}
}

func TestDispersion(t *testing.T) {
	plan := []float64{10, 10, 10, 10}
	if got := Dispersion(plan, plan); got != 0 {
		t.Errorf("counts as planned: %g, want 0", got)
	}
	if got := Dispersion([]float64{8, 12, 10, 10}, plan); got != 8.0/40 {
		t.Errorf("got %g, want 0.2", got)
	}
	if got := Dispersion([]float64{0}, []float64{0}); !math.IsNaN(got) {
		t.Errorf("nothing expected: %g, want NaN", got)
	}
	// A Poisson process around its mean: 1 within three standard errors, sqrt(2/n).
	rng := rand.New(rand.NewPCG(1, 2))
	counts, means := make([]float64, 2000), make([]float64, 2000)
	for i := range counts {
		means[i] = 10
		for at := rng.ExpFloat64(); at < 10; at += rng.ExpFloat64() {
			counts[i]++
		}
	}
	if got := Dispersion(counts, means); math.Abs(got-1) > 3*math.Sqrt(2/2000.0) {
		t.Errorf("Poisson counts: %g, want 1", got)
	}
}

// The published and recomputed values of Erlang's loss formula (science R32).
func TestErlangB(t *testing.T) {
	for _, c := range []struct {
		load    float64
		servers int
		want    float64
	}{
		{1, 1, .5},
		{2, 2, .4},
		{5, 10, .018385},
		{10, 10, .214582},
		{10, 15, .036497},
		{10, 18, .007142},
		{10, 20, .001869},
		{20, 30, .008457},
		{50, 64, .008439},
		{100, 100, .075700},
		{100, 117, .009790},
		{100, 120, .005690},
		{500, 500, .034848},
		{1000, 1000, .024812},
		{1000, 1029, .009942},
		{2500, 2500, .015789},
		{20000, 20000, .005621},
		// What spills over provisioned environments.
		{500, 550, .001531},
		{500, 560, .000530},
		{2500, 2600, .001112},
		{2500, 2650, .000094},
		{3, 0, 1},
	} {
		if got := ErlangB(c.load, c.servers); math.Abs(got-c.want) > 6e-7 {
			t.Errorf("B(%g, %d) = %.6f, want %.6f", c.load, c.servers, got, c.want)
		}
	}
}

func TestOfferedLoad(t *testing.T) {
	// B(2500, 2603) is the first at or below 0.001, so 2,603 servers carry 2,500.
	if got := OfferedLoad(2603, 1e-3); got < 2500 || got > 2502 {
		t.Errorf("OfferedLoad(2603, 0.001) = %g, want about 2,500", got)
	}
	if got := OfferedLoad(0, 1e-3); got != 0 {
		t.Errorf("no servers carry %g", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		servers := rapid.IntRange(1, 3000).Draw(t, "servers")
		loss := rapid.Float64Range(1e-6, 0.5).Draw(t, "loss")
		a := OfferedLoad(servers, loss)
		if b := ErlangB(a, servers); b > loss*(1+1e-12) || b < loss*(1-1e-4) {
			t.Fatalf("OfferedLoad(%d, %g) = %g, which loses %g", servers, loss, a, b)
		}
	})
}

func TestBlockLength(t *testing.T) {
	for n, want := range map[int]int{0: 1, 1: 1, 19: 1, 35: 1, 60: 3, 100: 5, 300: 7, 3600: 15, 86400: 44} {
		if got := BlockLength(n); got != want {
			t.Errorf("BlockLength(%d) = %d, want %d", n, got, want)
		}
	}
}

// ratioOfSums is a figure with its interval from a bootstrap of its own.
func ratioOfSums(series []Ratio, weights []float64, draws int, seed uint64) (float64, Interval) {
	r := Resample{Blocks: len(series[0].Num), Draws: draws, Seed: seed}
	v, _, iv := r.Ratios(series, weights)
	return v, iv
}

func TestRatioOfSums(t *testing.T) {
	constant := Ratio{Num: []float64{200, 400, 0, 600}, Den: []float64{1, 2, 0, 3}}
	v, iv := ratioOfSums([]Ratio{constant}, []float64{1}, 500, 1)
	if v != 200 || iv.Low != 200 || iv.High != 200 {
		t.Errorf("constant cost: %g %v, want exactly 200", v, iv)
	}
	// Two series in equal parts, of which the second is in one block only and
	// is missing from many draws.
	rare := Ratio{Num: []float64{0, 0, 0, 90}, Den: []float64{0, 0, 0, 3}}
	v, iv = ratioOfSums([]Ratio{constant, rare}, []float64{0.5, 0.5}, 500, 1)
	if v != 115 || iv.Low != 115 || iv.High != 115 {
		t.Errorf("mix: %g %v, want exactly 115", v, iv)
	}
	// What moves together stays together: the second is 300 minus the first, so
	// their sum never moves.
	first := Ratio{Num: []float64{10, 20, 30, 40, 50}, Den: []float64{1, 1, 1, 1, 1}}
	second := Ratio{Num: []float64{290, 280, 270, 260, 250}, Den: []float64{1, 1, 1, 1, 1}}
	v, iv = ratioOfSums([]Ratio{first, second}, []float64{1, 1}, 500, 1)
	if math.Abs(v-300) > 1e-9 || math.Abs(iv.Low-300) > 1e-9 || math.Abs(iv.High-300) > 1e-9 {
		t.Errorf("joint: %g %v, want 300", v, iv)
	}
	// One block unlike all others, to the last digit but one: many draws miss it and
	// don't vary, which gives no interval without an end.
	cold := Ratio{}
	for b := range 24 {
		cold.Num, cold.Den = append(cold.Num, 500*0.2+float64(b%3)*1e-14), append(cold.Den, 500)
	}
	cold.Num[0] = 500 * 0.5
	v, iv = ratioOfSums([]Ratio{cold}, []float64{1}, 500, 1)
	if math.Abs(v-0.2125) > 1e-9 || math.Abs(iv.Low-0.2) > 1e-9 || iv.High < 0.225 || iv.High > 0.275 {
		t.Errorf("one block in 24 is dearer: %g %v, want 0.2125 and an interval from 0.2 to some draws of it", v, iv)
	}
	a, ia := ratioOfSums([]Ratio{first}, []float64{1}, 500, 7)
	b, ib := ratioOfSums([]Ratio{first}, []float64{1}, 500, 7)
	if a != b || ia != ib {
		t.Error("the same seed gave two intervals")
	}
}

// The interval must contain the truth about as often as it says, from few
// blocks as well as from many.
// One block of six differs, and the others hardly vary. What the mean may be has ends
// near what it is: draws that miss the block have next to no standard error of their own,
// in which the whole would lie a thousand of them off.
func TestRatioWithOneOddBlock(t *testing.T) {
	s := Ratio{Num: []float64{120, 120.3, 119.9, 2120, 120.1, 119.8}, Den: []float64{6000, 6010, 5990, 16000, 6000, 6005}}
	value, _, iv := Resample{Blocks: 6, Draws: 2000, Seed: 1}.Ratios([]Ratio{s}, []float64{1})
	if iv.Low < -value || iv.Low > value || iv.High < value || iv.High > 5*value {
		t.Errorf("%v in %+v", value, iv)
	}
}

func TestRatioOfSumsCoverage(t *testing.T) {
	for _, blocks := range []int{6, 20, 60} {
		rng := rand.New(rand.NewPCG(3, uint64(blocks)))
		const repeats = 1000
		inside := 0
		for i := range repeats {
			s := Ratio{Num: make([]float64, blocks), Den: make([]float64, blocks)}
			for b := range blocks {
				for at := rng.ExpFloat64(); at < 20; at += rng.ExpFloat64() {
					s.Den[b]++
					s.Num[b] += 100 + 50*rng.NormFloat64()
				}
			}
			_, iv := ratioOfSums([]Ratio{s}, []float64{1}, 500, uint64(i))
			if iv.Low <= 100 && 100 <= iv.High {
				inside++
			}
		}
		if share := float64(inside) / repeats; share < 0.91 || share > 0.975 {
			t.Errorf("%d blocks: the truth lies inside in %.1f %% of %d runs, want about 95 %%", blocks, 100*share, repeats)
		}
	}
}

func BenchmarkRatioOfSums(b *testing.B) {
	series := make([]Ratio, 10)
	weights := make([]float64, 10)
	for i := range series {
		series[i] = Ratio{Num: make([]float64, 240), Den: make([]float64, 240)}
		weights[i] = 0.1
		for k := range series[i].Num {
			series[i].Num[k], series[i].Den[k] = float64(100+k%7), 1
		}
	}
	for b.Loop() {
		ratioOfSums(series, weights, 2000, 1)
	}
}
