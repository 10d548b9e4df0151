package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/headroom-load/headroom/capacity/stats"
)

// Charges of 2 and 30 are found again from sums in which they are mixed; one whose
// requests go with another's is not, and where a kind charges nothing it is 0, not less.
func TestApart(t *testing.T) {
	r := stats.Resample{Blocks: 6, Draws: 200, Seed: 1}
	counts := [][]float64{{100, 100, 100, 100, 100, 100}, {0, 0, 40, 80, 10, 0}}
	sums := make([]float64, 6)
	for b := range sums {
		sums[b] = 2*counts[0][b] + 30*counts[1][b]
	}
	a, ok := r.Apart(sums, counts)
	if !ok || math.Abs(a.Costs[0]-2) > 1e-9 || math.Abs(a.Costs[1]-30) > 1e-9 || a.Deviation > 1e-9 {
		t.Fatalf("%+v, %v", a, ok)
	}
	value, draws, iv := a.Sum([]float64{0.5, 0.25})
	if math.Abs(value-8.5) > 1e-9 || len(draws) != 200 || iv.Low > value || iv.High < value || iv.High-iv.Low > 1e-6 {
		t.Errorf("%v in %+v", value, iv)
	}
	if _, ok := r.Apart(sums, [][]float64{counts[0], {50, 50, 50, 50, 50, 50}}); ok {
		t.Error("told apart what goes together")
	}
	if _, ok := (stats.Resample{Blocks: 2, Draws: 10, Seed: 1}).Apart(sums[:2], [][]float64{counts[0][:2], counts[1][2:4]}); ok {
		t.Error("two costs stand on two sums")
	}
	for b := range sums {
		sums[b] = 2*counts[0][b] - counts[1][b]
	}
	if a, ok := r.Apart(sums, counts); !ok || a.Costs[1] != 0 {
		t.Errorf("%+v, %v", a, ok)
	}
}

// The interval holds the truth as often as it says, where one of two kinds comes in a
// fifth of the blocks only.
func TestApartCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	held, tries := 0, 400
	for range tries {
		const blocks = 25
		sums, counts := make([]float64, blocks), [][]float64{make([]float64, blocks), make([]float64, blocks)}
		for b := range blocks {
			counts[0][b] = 200
			if b%5 == 0 {
				counts[1][b] = 300
			}
			for range 200 {
				sums[b] += rng.ExpFloat64()
			}
			for range int(counts[1][b]) {
				sums[b] += 10 * rng.ExpFloat64()
			}
		}
		a, ok := stats.Resample{Blocks: blocks, Draws: 500, Seed: 1}.Apart(sums, counts)
		if !ok {
			t.Fatal("not told")
		}
		weights := []float64{0.4, 0.6}
		_, _, iv := a.Sum(weights)
		half, n := a.Spread(weights, nil)
		if n < 2 || n > 6 {
			t.Fatalf("stands on %v blocks", n)
		}
		if low, high := min(iv.Low, 6.4-half), max(iv.High, 6.4+half); low <= 6.4 && 6.4 <= high {
			held++
		}
	}
	if share := float64(held) / float64(tries); share < 0.92 {
		t.Errorf("%v of the intervals hold the truth", share)
	}
}
