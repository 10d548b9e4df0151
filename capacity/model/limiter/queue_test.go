package limiter

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// meanWait is the mean wait in the queue of n Poisson arrivals.
func meanWait(n, servers int, rate float64, service func(*rand.Rand) float64) float64 {
	q := NewQueue(servers, float64(servers), 0)
	var sum float64
	poisson(n, rate, 3, func(at time.Duration, r *rand.Rand) {
		wait, _, _ := q.Admit(at, service(r))
		sum += wait.Seconds()
	})
	return sum / float64(n)
}

// Science R32: mean waits of M/M/1, M/D/1, M/G/1 (Pollaczek and Khinchine) and M/M/c
// (Erlang C) for a service of one second.
func TestQueueWait(t *testing.T) {
	exponential := func(r *rand.Rand) float64 { return r.ExpFloat64() }
	constant := func(*rand.Rand) float64 { return 1 }
	// Of a squared coefficient of variation.
	lognormal := func(cv2 float64) func(*rand.Rand) float64 {
		s2 := math.Log(1 + cv2)
		return func(r *rand.Rand) float64 { return math.Exp(math.Sqrt(s2)*r.NormFloat64() - s2/2) }
	}
	for _, c := range []struct {
		name    string
		n, c    int
		rate    float64
		service func(*rand.Rand) float64
		want    float64
		within  float64
	}{
		{"M/M/1", 2_000_000, 1, 0.8, exponential, 4, 0.02},
		{"M/D/1", 2_000_000, 1, 0.8, constant, 2, 0.02},
		{"M/G/1, CV² 4", 4_000_000, 1, 0.8, lognormal(4), 10, 0.05},
		{"M/G/1, CV² 16", 12_000_000, 1, 0.8, lognormal(16), 34, 0.05},
		{"M/M/10", 2_000_000, 10, 8, exponential, 0.204590, 0.03},
		{"M/M/100", 2_000_000, 100, 90, exponential, 0.021694, 0.03},
	} {
		if got := meanWait(c.n, c.c, c.rate, c.service); math.Abs(got/c.want-1) > c.within {
			t.Errorf("%s: mean wait %.4f s, want %.4f within %g", c.name, got, c.want, c.within)
		}
	}
}

// Science R05: at 80 % of a server of 0.1 ms an open load waits 0.5 ms in the mean and
// 2.303 ms in the 99th percentile; a closed one of 10 clients, which wait for their
// answers and then think for 0.9685 ms in the mean, 0.2815 ms, and one of 100 clients
// 0.4356 ms, at the same throughput.
func TestOpenAndClosed(t *testing.T) {
	const service, n = 100e-6, 2_000_000
	q := NewQueue(1, 1/service, 0)
	var sum float64
	var times []float64
	poisson(n, 8000, 3, func(at time.Duration, r *rand.Rand) {
		wait, work, _ := q.Admit(at, r.ExpFloat64())
		sum += (wait + work).Seconds()
		times = append(times, (wait + work).Seconds())
	})
	slices.Sort(times)
	if mean, p99 := sum/n, times[n*99/100]; math.Abs(mean/0.5e-3-1) > 0.02 || math.Abs(p99/2.303e-3-1) > 0.03 {
		t.Errorf("open: mean %.4g s, p99 %.4g s", mean, p99)
	}
	for _, c := range []struct {
		clients     int
		mean        float64
		perSecond   float64
		thinkFactor float64 // think time in service times, by mean value analysis
	}{{10, 0.2815e-3, 8000, 9.685}, {100, 0.4356e-3, 8000, 100/0.8 - 4.356}} {
		q := NewQueue(1, 1/service, 0)
		r := rand.New(rand.NewPCG(5, 5))
		think := func() time.Duration { return seconds(c.thinkFactor * service * r.ExpFloat64()) }
		next := make([]time.Duration, c.clients) // when each sends
		for i := range next {
			next[i] = think()
		}
		var sum float64
		var at time.Duration
		for range n {
			i := 0
			for j := range next {
				if next[j] < next[i] {
					i = j
				}
			}
			at = next[i]
			wait, work, _ := q.Admit(at, r.ExpFloat64())
			sum += (wait + work).Seconds()
			next[i] = at + wait + work + think()
		}
		if mean, perSecond := sum/n, n/at.Seconds(); math.Abs(mean/c.mean-1) > 0.02 || math.Abs(perSecond/c.perSecond-1) > 0.01 {
			t.Errorf("%d clients: mean %.4g s at %.0f/s, want %.4g at %.0f/s", c.clients, mean, perSecond, c.mean, c.perSecond)
		}
	}
}

// Under overload a queue serves its rate, no more and no less, and no wait is
// longer than the longest.
func TestQueueOverload(t *testing.T) {
	q := NewQueue(1, 1000, time.Second)
	admitted, longest := 0, time.Duration(0)
	for n := range 20_000 {
		wait, _, ok := q.Admit(every(n, 2000), 1)
		if ok {
			admitted++
			longest = max(longest, wait)
		}
	}
	if want := 10_000 + 1_000; admitted < want-2 || admitted > want+2 {
		t.Errorf("admitted %d in 10 s and the wait of 1 s, want %d", admitted, want)
	}
	if longest > time.Second || longest < 990*time.Millisecond {
		t.Errorf("the longest wait is %v, want 1s", longest)
	}
}
