package stats

import "math"

// ErlangB returns the share of Poisson arrivals that find all servers busy and
// are lost, for an offered load in Erlangs (arrival rate x mean holding time).
// It does not depend on the distribution of the holding times. The recursion
// B(0) = 1, B(k) = aB(k-1) / (k + aB(k-1)) is stable for all sizes.
func ErlangB(load float64, servers int) float64 {
	b := 1.0
	for k := 1; k <= servers; k++ {
		b = load * b / (float64(k) + load*b)
	}
	return b
}

// OfferedLoad returns the largest load, in Erlangs, of which the given number
// of servers lose at most the given share of arrivals, which is below 1.
func OfferedLoad(servers int, loss float64) float64 {
	if servers < 1 || loss <= 0 {
		return 0
	}
	// A load of servers/(1-loss) loses more than the share: even busy without a
	// pause, the servers can't carry the rest.
	low, high := 0.0, float64(servers)/(1-loss)
	for range 60 {
		mid := (low + high) / 2
		if ErlangB(mid, servers) <= loss {
			low = mid
		} else {
			high = mid
		}
		if high-low <= 1e-9*math.Max(high, 1e-300) {
			break
		}
	}
	return low
}
