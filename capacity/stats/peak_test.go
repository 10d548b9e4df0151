package stats

import "testing"

// Science R14 and the table of its section 2.1.
func TestPoissonQuantile(t *testing.T) {
	for _, c := range []struct {
		mean, p float64
		want    int64
	}{
		{10, .99, 18},
		{10, .999, 21},
		{10, .9999, 24},
		{100, .99, 124},
		{100, .999, 132},
		{500, .999, 571},
		{1000, .99, 1074},
		{1000, .999, 1099},
		{1000, .9999, 1120},
		{2500, .999, 2656},
		{5000, .99, 5165},
		{20000, .999, 20438},
		{0, .99, 0},
	} {
		if got := PoissonQuantile(c.mean, c.p); got != c.want {
			t.Errorf("%v of mean %v: %d, want %d", c.p, c.mean, got, c.want)
		}
	}
}

// The largest load of which so many environments are exceeded by 0.1 % of the time.
func TestPoissonQuantileInverse(t *testing.T) {
	for environments, load := range map[int64]float64{100: 72.77, 1000: 906.07, 5000: 4785.31, 10_000: 9694.81, 20_000: 19_566.81} {
		if PoissonQuantile(load-0.01, 0.999) > environments || PoissonQuantile(load+0.01, 0.999) <= environments {
			t.Errorf("%d environments don't carry a load of %g and no more", environments, load)
		}
	}
}

// Science R21.
func TestBusiestSecond(t *testing.T) {
	for _, c := range []struct{ arrivals, want int64 }{{300_000, 5254}, {5000, 119}, {60_000, 1115}, {600, 24}, {0, 0}} {
		if got := BusiestSecond(c.arrivals, 0.99); got != c.want {
			t.Errorf("%d in a minute: %d, want %d", c.arrivals, got, c.want)
		}
	}
}
