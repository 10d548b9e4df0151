package stats

import (
	"math"
	"testing"
)

// Ranks and counts that were published or computed exactly (science R08).
func TestQuantileRanks(t *testing.T) {
	for _, c := range []struct {
		n         int64
		p         float64
		low, high int64
	}{
		{10_000, .99, 9880, 9920},
		{1000, .99, 983, 997},
		{100, .5, 40, 61},
		{100_000, .99, 98_938, 99_062},
		{100_000, .999, 99_880, 99_920},
		{300_000, .999, 299_666, 299_734},
	} {
		if low, high, ok := QuantileRanks(c.n, c.p); low != c.low || high != c.high || !ok {
			t.Errorf("QuantileRanks(%d, %g) = %d, %d, %v, want %d, %d", c.n, c.p, low, high, ok, c.low, c.high)
		}
	}
	for n, want := range map[int64]bool{0: false, 1: false, 299: false, 367: false, 368: true} {
		if _, _, ok := QuantileRanks(n, .99); ok != want {
			t.Errorf("%d values enclose p99: %v, want %v", n, ok, want)
		}
	}
}

// Science R09.
func TestBoundExists(t *testing.T) {
	for _, c := range []struct {
		p, confidence float64
		want          int64
	}{
		{.9, .95, 29},
		{.95, .95, 59},
		{.99, .95, 299},
		{.999, .95, 2995},
		{.9999, .95, 29_956},
		{.9, .99, 44},
		{.95, .99, 90},
		{.99, .99, 459},
		{.999, .99, 4603},
		{.9999, .99, 46_050},
	} {
		if got := BoundExists(c.p, c.confidence); got != c.want {
			t.Errorf("BoundExists(%g, %g) = %d, want %d", c.p, c.confidence, got, c.want)
		}
	}
}

// Science R06: LoadGen's least sizes for none and for one value over the limit, and the
// counts of its published logs, which print one less.
func TestOverLimit(t *testing.T) {
	for _, c := range []struct {
		p         float64
		none, one int64
	}{{.9, 44, 64}, {.95, 90, 130}, {.97, 152, 219}, {.99, 459, 662}, {.999, 4603, 6636}} {
		for n, want := range map[int64]int64{c.none - 1: -1, c.none: 0, c.one - 1: 0, c.one: 1} {
			if got := OverLimit(n, c.p, .99); got != want {
				t.Errorf("of %d values %d may be above p%g, want %d", n, got, 100*c.p, want)
			}
		}
	}
	for n, discarded := range map[int64]int64{2048: 172, 2116: 178, 2145: 181, 4_776_846: 476_158} {
		if got := OverLimit(n, .9, .99) - 1; got != discarded {
			t.Errorf("of %d values %d are discarded, want %d", n, got, discarded)
		}
	}
}

// Science R06: MLPerf's counts for a margin of a twentieth of what lies beyond, and
// those for a tenth with 95 %.
func TestMarginSize(t *testing.T) {
	for _, c := range []struct {
		p, share, confidence float64
		want                 int64
	}{
		{.9, 1. / 20, .99, 23_886},
		{.95, 1. / 20, .99, 50_426},
		{.97, 1. / 20, .99, 85_812},
		{.99, 1. / 20, .99, 262_742},
		{.99, 1. / 10, .95, 38_031},
		{.999, 1. / 10, .95, 383_762},
	} {
		if got := MarginSize(c.p, c.share*(1-c.p), c.confidence); got != c.want {
			t.Errorf("p%g to %g of the rest with %g: %d values, want %d", 100*c.p, c.share, c.confidence, got, c.want)
		}
	}
}

// Science R38 and section 1.4: what clean seconds show.
func TestAtMostNone(t *testing.T) {
	for n, want := range map[int]float64{60: 0.0487, 300: 0.00994, 600: 0.00498, 3600: 0.000832, 299: 0.01, 2995: 0.001} {
		if got := AtMostNone(n, 0.95); math.Abs(got/want-1) > 0.005 {
			t.Errorf("none of %d: at most %.5f, want %.5f", n, got, want)
		}
	}
	if AtMostNone(0, 0.95) != 1 {
		t.Error("nothing was tried, and yet something is known")
	}
}
