package kafka

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/scenarios/measure"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// Science R23: 15 MB/s against 10 MB/s are held back for 5.0, 5.25 and 5.5 s where
// the window is 10, 10.5 and 11 s long.
func TestQuotaOfOneThrottle(t *testing.T) {
	for _, c := range []struct{ window, wait time.Duration }{
		{10 * time.Second, 5 * time.Second}, {10500 * time.Millisecond, 5250 * time.Millisecond}, {11 * time.Second, 5500 * time.Millisecond},
	} {
		a := NewAccounts()
		if got := a.quota(1, noon, c.wait); got != 0 {
			t.Errorf("a quota of %v without a request", got)
		}
		for at := time.Duration(0); at <= c.window; at += 250 * time.Millisecond {
			bytes := 15e6 / 4
			if at == 0 {
				bytes = 0 // the first instant of the window
			}
			a.count(1, noon.Add(at), int(bytes))
		}
		if got := a.quota(1, noon.Add(c.window), c.wait); math.Abs(got/10e6-1) > 1e-9 {
			t.Errorf("window of %v, wait of %v: a quota of %.0f B/s, want 10 MB/s", c.window, c.wait, got)
		}
		if got := a.quota(2, noon, c.wait); got != 0 {
			t.Errorf("another broker's quota is %v", got)
		}
		if got := a.quota(1, noon.Add(c.window+11*time.Second), c.wait); got != 0 {
			t.Errorf("a quota of %v although the window is empty", got)
		}
	}
}

// windows is the rule of brokers before version 4, kept apart from account: whole
// samples go when their beginning is eleven seconds old.
type windows struct {
	starts []time.Duration
	sums   []float64
}

func (w *windows) throttle(at time.Duration, bytes, quota float64) time.Duration {
	for len(w.starts) > 0 && at-w.starts[0] >= 11*time.Second {
		w.starts, w.sums = w.starts[1:], w.sums[1:]
	}
	if n := len(w.starts); n == 0 || at-w.starts[n-1] >= time.Second {
		w.starts, w.sums = append(w.starts, at), append(w.sums, 0)
	}
	w.sums[len(w.sums)-1] += bytes
	var sum float64
	for _, s := range w.sums {
		sum += s
	}
	length := at - w.starts[0]
	for length < 10*time.Second {
		length += time.Second
	}
	return time.Duration(math.Round(1e3*(sum/quota-length.Seconds()))) * time.Millisecond
}

// Whatever is offered against whichever quota, the throttles tell the quota within a
// tenth, of brokers old and new; below it there is no throttle.
func TestQuotaFromThrottles(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, quota := range []float64{20e3, 220e3, 5e6, 60e6} {
		for _, load := range []float64{0.8, 1.2, 2, 5} {
			for _, size := range []float64{0.01, 0.2, 3} { // seconds of the load in a request, on average
				var broker windows
				a := NewAccounts()
				var told []float64
				bytes := load * quota * size
				for at := time.Duration(0); at < 90*time.Second; {
					at += time.Duration(rng.ExpFloat64() * size * 1e9)
					b := math.Round(bytes * 0.5 * (1 + rng.Float64()))
					wait := broker.throttle(at, b, quota)
					a.count(7, noon.Add(at), int(b))
					if wait > 0 {
						told = append(told, a.quota(7, noon.Add(at), wait))
						at += wait
					}
				}
				if load*0.75 > 1 && told == nil && size < 1 {
					t.Errorf("%v times a quota of %v is not throttled", load, quota)
				}
				if told == nil {
					continue
				}
				slices.Sort(told)
				if mid := told[len(told)/2]; math.Abs(mid/quota-1) > 0.1 {
					t.Errorf("%v times the quota in requests of %v s: %.4g B/s told by %d throttles, want %.4g", load, size, mid, len(told), quota)
				}
			}
		}
	}
}

// A second with throttles has the quota that they tell of, as loads of one cluster
// use it together; one without has none.
func TestThrottledTo(t *testing.T) {
	accounts := NewAccounts()
	one, other := newMeter(accounts), newMeter(accounts)
	told := func() (values []float64) {
		series, _ := (&Driver{meter: one}).Watch(noon, time.Second)
		for _, s := range series {
			if s.Metric == measure.KafkaThrottledTo && s.Labels["broker"] == "1" {
				values = append(values, s.Points.Slice()[0].Value)
			}
		}
		return values
	}
	broker := kgo.BrokerMetadata{NodeID: 1}
	one.OnBrokerE2E(broker, produceKey, kgo.BrokerE2E{BytesWritten: 1_000_000})
	if v := told(); v != nil {
		t.Errorf("%v without a throttle", v)
	}
	other.OnBrokerE2E(broker, produceKey, kgo.BrokerE2E{BytesWritten: 2_000_000})
	one.OnBrokerE2E(broker, 3, kgo.BrokerE2E{BytesWritten: 5_000_000}) // no produce request
	one.OnBrokerThrottle(broker, 5*time.Second, true)
	if v := told(); len(v) != 1 || math.Abs(v[0]/200_000-1) > 0.1 { // 3 MB in 10 s and 5 s of waiting
		t.Errorf("throttled to %v, want about 200 kB/s", v)
	}
	if v := told(); v != nil {
		t.Errorf("%v in the second after", v)
	}
}
