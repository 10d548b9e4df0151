package fluid_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/model/fluid"
)

func parse(t testing.TB, src string) *model.System {
	t.Helper()
	s, err := model.Parse("system.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// counts are what became of each operation's requests, and what refused them.
type counts struct {
	ok      []float64
	refused map[string]float64
	use     map[string]float64
}

// flow follows rates for a while.
func flow(t testing.TB, s *model.System, rates func(at time.Duration) []float64, for_ time.Duration) counts {
	t.Helper()
	const step = 50 * time.Millisecond
	f, err := fluid.Start(s, step)
	if err != nil {
		t.Fatal(err)
	}
	c := counts{make([]float64, len(s.Operations)), map[string]float64{}, map[string]float64{}}
	use := make([]fluid.Use, len(s.Limiters))
	arrivals := make([]float64, len(s.Operations))
	for at := time.Duration(0); at < for_; at += step {
		for i, r := range rates(at) {
			arrivals[i] = r * step.Seconds()
		}
		f.Step(arrivals, use)
		for i, o := range s.Operations {
			c.ok[i] += f.Served(i).OK
			for j, n := range f.Served(i).Refused {
				c.refused[o.Charges[j].Limiter] += n
			}
		}
	}
	for i, l := range s.Limiters {
		c.use[l.ID] = use[i].Amount
	}
	return c
}

// single serves Poisson arrivals of the same rates one by one.
func single(s *model.System, rates func(at time.Duration) []float64, for_ time.Duration) counts {
	b := s.Start(1)
	c := counts{make([]float64, len(s.Operations)), map[string]float64{}, map[string]float64{}}
	r := rand.New(rand.NewPCG(1, 2))
	for at := 0.0; ; {
		now := time.Duration(at * 1e9)
		var total float64
		for _, x := range rates(now) {
			total += x
		}
		at += r.ExpFloat64() / total
		if at >= for_.Seconds() {
			return c
		}
		u := r.Float64() * total
		op := 0
		for _, x := range rates(now) {
			if u < x {
				break
			}
			u -= x
			op++
		}
		out, _ := b.Serve(time.Duration(at*1e9), s.Operations[op].Name)
		if out.RefusedBy == "" {
			c.ok[op]++
		} else {
			c.refused[out.RefusedBy]++
		}
		for _, x := range out.Charges {
			if !x.Refused {
				c.use[x.Limiter] += x.Amount
			}
		}
	}
}

// Where a limit is exceeded, rates and single requests agree on what is served,
// who refuses the rest, and what is charged.
func TestFluidAgreesWithSingleRequests(t *testing.T) {
	steady := func(rates ...float64) func(time.Duration) []float64 {
		return func(time.Duration) []float64 { return rates }
	}
	for _, c := range []struct {
		name   string
		system string
		rates  func(time.Duration) []float64
		for_   time.Duration
	}{
		{"token bucket, cold to warm", `version: 1
name: x
limiters: [{id: appsync.request-tokens, kind: token_bucket, rate: 2000 tokens/s, burst: 6000 tokens}]
operations: [{name: a, charges: [{limiter: appsync.request-tokens, amount: {cold: 4, warm: 2, after: 20s}}]}]
`, steady(1500), time.Minute},
		{"two operations share a bucket in proportion", `version: 1
name: x
limiters: [{id: t, kind: token_bucket, rate: 3000 ops/s}]
operations:
  - {name: a, charges: [{limiter: t, amount: 2}]}
  - {name: b, charges: [{limiter: t, amount: 2}]}
`, steady(1000, 2000), time.Minute},
		{"one limiter behind another", `version: 1
name: x
limiters: [{id: t, kind: window, rate: 3000 ops/s}, {id: u, kind: token_bucket, rate: 1.2MB/s}]
operations: [{name: a, charges: [{limiter: t, amount: 2}, {limiter: u, amount: 1KB, share: 90%}]}]
`, steady(2000), time.Minute},
		{"hot partitions", `version: 1
name: x
limiters: [{id: t, kind: partitions, partitions: 4, rate: 300 RCU/s, burst: 10s}]
operations: [{name: a, charges: [{limiter: t, amount: 1, key: {zipf: 100}}]}]
`, steady(1500), time.Minute},
		{"a table that doubles", `version: 1
name: x
limiters: [{id: t, kind: on_demand, rate: 100 RCU/s, most: 350 RCU/s}]
operations: [{name: a, charges: [{limiter: t, amount: 1}]}]
`, steady(400), 65 * time.Minute},
		{"environments that scale", `version: 1
name: x
limiters: [{id: l, kind: concurrency, limit: 2000, scaling: {step: 500, per: 10s}, init: 300ms, provisioned: 100, keep_alive: 1h}]
operations: [{name: a, service_time: {exponential: {mean: 1s}}, charges: [{limiter: l, hold: service_time}]}]
`, steady(3000), time.Minute},
		{"ten requests a second for each environment", `version: 1
name: x
limiters: [{id: l, kind: concurrency, limit: 100, requests: 10/s}]
operations: [{name: a, service_time: 20ms, charges: [{limiter: l, hold: service_time}]}]
`, steady(2000), 20 * time.Second},
		{"sizes", `version: 1
name: x
limiters: [{id: l, kind: item_size, largest: 1MB}]
operations: [{name: a, charges: [{limiter: l, amount: {lognormal: {p50: 500KB, p99: 2MB}}}]}]
`, steady(2000), 20 * time.Second},
		{"a queue that is full", `version: 1
name: x
limiters: [{id: q, kind: queue, rate: 1000 ops/s, longest: 2s}]
operations: [{name: a, charges: [{limiter: q, amount: 1}]}]
`, steady(1500), 30 * time.Second},
		{"a ramp", `version: 1
name: x
limiters: [{id: t, kind: token_bucket, rate: 1000 ops/s, burst: 5000 ops}]
operations: [{name: a, charges: [{limiter: t, amount: 1}]}]
`, func(at time.Duration) []float64 { return []float64{50 * (at.Seconds() + 0.1)} }, time.Minute},
	} {
		s := parse(t, c.system)
		a, b := flow(t, s, c.rates, c.for_), single(s, c.rates, c.for_)
		near := func(what string, x, y float64) {
			t.Helper()
			// 1.5 %, and the noise of a thousand counts.
			if math.Abs(x-y) > 0.015*max(x, y)+3*math.Sqrt(max(x, y)) {
				t.Errorf("%s: %s %.0f, of single requests %.0f", c.name, what, x, y)
			}
		}
		for i := range a.ok {
			near("served "+s.Operations[i].Name, a.ok[i], b.ok[i])
		}
		for _, l := range s.Limiters {
			near("refused by "+l.ID, a.refused[l.ID], b.refused[l.ID])
			if b.use[l.ID] < 1e6 || l.Kind != model.ItemSize {
				near("charged to "+l.ID, a.use[l.ID], b.use[l.ID])
			}
		}
	}
}

// Nothing is lost: what came was served or refused.
func TestFluidConserves(t *testing.T) {
	s := parse(t, `version: 1
name: x
limiters: [{id: t, kind: token_bucket, rate: 100 ops/s}, {id: l, kind: concurrency, limit: 20}]
operations: [{name: a, service_time: 1s, charges: [{limiter: l, hold: service_time, share: 50%}, {limiter: t, amount: 1}]}]
`)
	c := flow(t, s, func(time.Duration) []float64 { return []float64{300} }, time.Minute)
	if got := c.ok[0] + c.refused["t"] + c.refused["l"]; math.Abs(got/18_000-1) > 1e-9 {
		t.Errorf("%v of 18,000 requests are accounted for", got)
	}
}

// BenchmarkHour follows 5,000/s through five limiters for an hour: 100 ms are
// allowed.
func BenchmarkHour(b *testing.B) {
	s := parse(b, `version: 1
name: x
limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: 100000 tokens/s}
  - {id: lambda.concurrency, kind: concurrency, limit: 2000, scaling: {step: 1000, per: 10s}, init: 1s}
  - {id: dynamodb.T.read, kind: partitions, partitions: 4, rate: 3000 RCU/s, burst: 300s}
  - {id: momento.operations, kind: token_bucket, rate: 15000 ops/s}
  - {id: momento.throughput, kind: window, rate: 1.5GB/s}
operations:
  - name: a
    service_time: {lognormal: {p50: 80ms, p99: 400ms}}
    charges:
      - {limiter: appsync.request-tokens, amount: 10}
      - {limiter: lambda.concurrency, hold: service_time}
      - {limiter: dynamodb.T.read, amount: 2, key: {zipf: 500}}
      - {limiter: momento.operations, amount: 2}
      - {limiter: momento.throughput, amount: 200KB}
`)
	for b.Loop() {
		flow(b, s, func(time.Duration) []float64 { return []float64{5000} }, time.Hour)
	}
}
