package capacity_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/scenarios"
)

// How much a cost stands on is said in words that fit the number.
func TestFewSums(t *testing.T) {
	sys, err := model.Parse("system.yaml", []byte(`version: 1
name: x
limiters: [{id: lambda.concurrency, kind: concurrency, limit: 5000}]
operations: [{name: list, service_time: 200ms, charges: [{limiter: lambda.concurrency, hold: service_time}]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		by    time.Duration
		lasts string
		want  string
	}{
		{time.Minute, "120s", "unit cost from 2 60s sums, too few"},
		{time.Minute, "30s", "unit cost from a single 60s sum, too few"},
		{time.Second, "3s", "unit cost from few seconds, too few"},
	} {
		s, faults := scenarios.ParseFile(fstest.MapFS{"s.yaml": {Data: fmt.Appendf(nil, `version: 1
name: s
target: {sandbox: premiere}
loads:
  - name: users
    arrivals: uniform
    profile: [{stage: hold, rate: 500/s, for: %s}]
    operations: [{name: list, graphql: {query: "query list { list }"}}]
`, c.lasts)}}, "s.yaml", func(string) (string, bool) { return "", false })
		if faults != nil {
			t.Fatal(faults)
		}
		run, err := simulator.Run(s, sys, simulator.Options{ID: "run", Seed: 1, Resolution: c.by})
		if err != nil {
			t.Fatal(err)
		}
		if notes := strings.Join(quota(t, capacity.Assess(run), "lambda.concurrency").Notes, "; "); !strings.Contains(notes, c.want) {
			t.Errorf("%s by %v: %s, want %q", c.lasts, c.by, notes, c.want)
		}
	}
}

// While environments start, 500 requests a second hold one for 1.4 s each: nearly 700
// in the second second, as 200 ms of a warm one would never. A launch at twice the rate
// needs twice that, whether the levels are known by the second or by the minute. Without
// cold starts it needs what the mean says, whatever chance made the peak.
func TestColdLevel(t *testing.T) {
	s, faults := scenarios.ParseFile(fstest.MapFS{"s.yaml": {Data: []byte(`version: 1
name: s
target: {sandbox: premiere}
forecast: 1000/s
loads:
  - name: users
    profile: [{stage: hold, rate: 500/s, for: 120s}]
    operations: [{name: list, graphql: {query: "query list { list }"}}]
`)}}, "s.yaml", func(string) (string, bool) { return "", false })
	if faults != nil {
		t.Fatal(faults)
	}
	for _, c := range []struct {
		init      string
		low, high float64
	}{{", init: 1.2s", 1150, 1400}, {"", 200, 205}} {
		var required []float64
		for _, by := range []time.Duration{time.Second, time.Minute} {
			sys, err := model.Parse("system.yaml", fmt.Appendf(nil, `version: 1
name: x
limiters: [{id: lambda.concurrency, kind: concurrency, limit: 5000%s}]
operations: [{name: list, service_time: 200ms, charges: [{limiter: lambda.concurrency, hold: service_time}]}]
`, c.init))
			if err != nil {
				t.Fatal(err)
			}
			run, err := simulator.Run(s, sys, simulator.Options{ID: "run", Seed: 1, Resolution: by})
			if err != nil {
				t.Fatal(err)
			}
			q := quota(t, capacity.Assess(run), "lambda.concurrency")
			required = append(required, q.Required.Quota)
			// That one stretch differs from all others leaves no interval without an end.
			if u := q.UnitCost; u.Low < 0.19 || u.High > 0.3 || u.Low > u.Value || u.High < u.Value {
				t.Errorf("by %v an environment is held for %+v", by, *u)
			}
		}
		if math.Abs(required[0]/required[1]-1) > 0.02 || required[0] < c.low || required[0] > c.high {
			t.Errorf("with%s 1,000/s requires %v environments by the second and %v by the minute, want %v to %v", c.init, required[0], required[1], c.low, c.high)
		}
	}
}

// One charge in a hundred is twenty times as dear, and where more of them come at once it
// is chance: what a rate requires is by the mean of all, 1.19, and not by that stretch.
func TestDearByChance(t *testing.T) {
	sys, err := model.Parse("system.yaml", []byte(`version: 1
name: x
limiters: [{id: momento.operations, kind: token_bucket, rate: 500 ops/s, burst: 500 ops}]
operations: [{name: list, service_time: 20ms, charges: [{limiter: momento.operations, amount: {mixture: [{amount: 1, share: 99%}, {amount: 20, share: 1%}]}}]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	const tries = 40
	dearer := 0
	for n := range tries {
		s, faults := scenarios.ParseFile(fstest.MapFS{"s.yaml": {Data: fmt.Appendf(nil, `version: 1
name: s
target: {sandbox: premiere}
loads:
  - name: users
    seed: %d
    profile: [{stage: hold, rate: 100/s, for: 60s}]
    operations: [{name: list, graphql: {query: "query list { list }"}}]
`, n)}}, "s.yaml", func(string) (string, bool) { return "", false })
		if faults != nil {
			t.Fatal(faults)
		}
		run, err := simulator.Run(s, sys, simulator.Options{ID: "run", Seed: uint64(n)})
		if err != nil {
			t.Fatal(err)
		}
		if q := quota(t, capacity.Assess(run), "momento.operations"); *q.ColdCost > 1.05*q.UnitCost.Value {
			dearer++
		}
	}
	if dearer > tries/10 {
		t.Errorf("%d of %d runs take chance for a dear stretch", dearer, tries)
	}
}
