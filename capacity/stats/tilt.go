package stats

import "math"

// Tilt returns weights of values whose mean is the given one and whose sum is that of
// the given weights: each weight times an exponential of its value. Of all such
// weights these have the least relative entropy to the given ones (Csiszár,
// "I-divergence geometry of probability distributions and minimization problems",
// Annals of Probability 3(1), 1975). ok is false where the mean doesn't lie between
// the least and the largest value that have a weight.
func Tilt(values, weights []float64, mean float64) (tilted []float64, ok bool) {
	least, most, total := math.Inf(1), math.Inf(-1), 0.0
	for i, w := range weights {
		if w > 0 {
			least, most = min(least, values[i]), max(most, values[i])
			total += w
		}
	}
	if !(least < mean && mean < most) {
		return nil, false
	}
	tilted = make([]float64, len(values))
	// at weighs by exp(by·(value - mean)/(most - least)) and returns the mean that comes of it, against the given one.
	at := func(by float64) float64 {
		end := least
		if by > 0 {
			end = most
		}
		var sum, n float64
		for i, w := range weights {
			tilted[i] = w * math.Exp(by*(values[i]-end)/(most-least)) // at most w
			sum += tilted[i] * (values[i] - mean)
			n += tilted[i]
		}
		for i := range tilted {
			tilted[i] *= total / n
		}
		return sum / n
	}
	low, high := -1.0, 1.0
	for at(low) > 0 && low > -1e6 {
		low *= 2
	}
	for at(high) < 0 && high < 1e6 {
		high *= 2
	}
	for range 100 {
		if middle := (low + high) / 2; at(middle) < 0 {
			low = middle
		} else {
			high = middle
		}
	}
	at((low + high) / 2)
	return tilted, true
}
