package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Of two values the mean tells the weights.
func TestTiltOfTwo(t *testing.T) {
	got, ok := Tilt([]float64{3, 12}, []float64{90, 10}, 6.6)
	if !ok || math.Abs(got[0]-60) > 1e-9 || math.Abs(got[1]-40) > 1e-9 {
		t.Errorf("%v %v, want 60 and 40", got, ok)
	}
}

func TestTilt(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		values, weights := make([]float64, 2+rng.IntN(20)), []float64{}
		var sum, total float64
		for i := range values {
			values[i] = math.Exp(3 * rng.NormFloat64())
			weights = append(weights, rng.Float64())
			sum, total = sum+values[i]*weights[i], total+weights[i]
		}
		mean := sum / total
		if same, ok := Tilt(values, weights, mean); !ok || math.Abs(same[0]-weights[0]) > 1e-6*total {
			t.Fatalf("weights %v of their own mean became %v", weights, same)
		}
		least, most := math.Inf(1), math.Inf(-1)
		for _, v := range values {
			least, most = min(least, v), max(most, v)
		}
		want := least + (most-least)*(0.01+0.98*rng.Float64())
		got, ok := Tilt(values, weights, want)
		var n, s float64
		for i, w := range got {
			s, n = s+w*values[i], n+w
		}
		if !ok || math.Abs(n-total) > 1e-9*total || math.Abs(s/n-want) > 1e-6*(most-least) {
			t.Fatalf("mean %v of weight %v, want %v of %v", s/n, n, want, total)
		}
	}
	for _, mean := range []float64{1, 2, 0.5, 7, math.NaN()} {
		if got, ok := Tilt([]float64{1, 2, 9}, []float64{1, 1, 0}, mean); ok {
			t.Errorf("mean %v: %v", mean, got)
		}
	}
}
