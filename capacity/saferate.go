package capacity

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios"
)

// safeShare is the share of requests that may be throttled at the safe rate.
const safeShare = 1e-3

// trials is how many arrivals a search for the safe rate sends: enough for 100
// throttled ones at the bound.
const trials = 100_000

// arrivalTrial is one sequence of gaps and choices that every quota of a run is
// tried with. Gaps have mean 1.
type arrivalTrial struct {
	gaps    []float64
	choices []uint16
}

func newTrial(uniform bool) arrivalTrial {
	rng := rand.New(rand.NewPCG(seed, 0x73616665))
	t := arrivalTrial{make([]float64, trials), make([]uint16, trials)}
	var sum float64
	for i := range t.gaps {
		t.gaps[i] = 1
		if !uniform {
			t.gaps[i] = rng.ExpFloat64()
		}
		sum += t.gaps[i]
		t.choices[i] = uint16(rng.Uint32())
	}
	for i := range t.gaps {
		t.gaps[i] *= trials / sum
	}
	return t
}

// uniformArrivals reports whether the loads' arrivals are evenly spaced. Several
// such loads together are not.
func uniformArrivals(loads []Load) bool {
	return len(loads) == 1 && loads[0].Arrivals == string(scenarios.Uniform)
}

// admitter is a limiter of a rate.
type admitter interface {
	Admit(at time.Duration, cost float64) bool
}

// safeRate returns the highest rate of arrivals, per second, of which a rate
// quota throttles at most 0.1 % for good: it sends the same arrivals, with
// charges drawn from the observed ones, through a fresh limiter in virtual time
// and bisects. binds is the rate at which the mean charge uses up the limit; no
// rate above it is safe for good, whatever the bucket holds. holds is the largest
// charge that the limiter ever admits.
func (t arrivalTrial) safeRate(fresh func() admitter, binds float64, values []weighted, holds float64) float64 {
	charges := t.charges(values, holds)
	admits := func(rate float64) bool {
		bucket := fresh()
		left := int(safeShare * trials)
		var at float64
		for i, gap := range t.gaps {
			at += gap / rate
			if cost := charges[t.choices[i]]; cost > 0 && !bucket.Admit(time.Duration(at*1e9), cost) {
				if left--; left < 0 {
					return false
				}
			}
		}
		return true
	}
	if admits(binds) {
		return binds
	}
	low, high := 0.0, binds
	for high-low > 2e-3*min(binds, 10*high) && high > 1e-6*binds {
		mid := (low + high) / 2
		if admits(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// charges returns what each choice of the trial charges. The trial's own mean
// charge, which chance moves by more than safe rates lie below binding ones, is
// made the true one, which lifts none above what the limiter holds.
func (t arrivalTrial) charges(values []weighted, holds float64) []float64 {
	charges := quantiles(values)
	var want, got float64
	for _, v := range values {
		want += v.value * v.weight
	}
	for _, c := range t.choices {
		got += charges[c] / trials
	}
	if got > 0 {
		for i, charge := range charges {
			if charges[i] = charge * want / got; charge <= holds {
				charges[i] = min(charges[i], holds)
			}
		}
	}
	return charges
}

// quantiles returns the charges at 65,536 equally likely points of their
// distribution; what the weights lack to 1 charges nothing.
func quantiles(values []weighted) []float64 {
	sorted := slices.SortedFunc(slices.Values(values), func(a, b weighted) int {
		if a.value < b.value {
			return -1
		}
		if a.value > b.value {
			return 1
		}
		return 0
	})
	var total float64
	for _, v := range sorted {
		total += v.weight
	}
	const n = 1 << 16
	out := make([]float64, n)
	i, below := 0, max(0, 1-total)
	for k := range out {
		p := (float64(k) + 0.5) / n
		if p < 1-total {
			continue
		}
		for i < len(sorted)-1 && below+sorted[i].weight < p {
			below += sorted[i].weight
			i++
		}
		out[k] = sorted[i].value
	}
	return out
}

// safeLevelRate returns the highest rate of Poisson arrivals, per second, of
// which a level that each holds for the given mean time refuses at most 0.1 %.
func safeLevelRate(limit, held float64) float64 {
	return stats.OfferedLoad(int(math.Floor(limit+1e-9)), safeShare) / held
}
