package plan_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/plan"
	"github.com/headroom-load/headroom/capacity/price"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/capacity/simulator/simulatortest"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// simulated is a run of 60 s of uniform arrivals at a rate on a System with the
// given limiters, whose operation "list" has the given charges.
func simulated(t *testing.T, rate float64, limiters, charges string) *capacity.Run {
	t.Helper()
	sys := simulatortest.System(t, "limiters:\n"+limiters+"operations:\n  - name: list\n    service_time: 200ms\n    charges:\n"+charges)
	s := simulatortest.Scenario(t, fmt.Sprintf(`loads:
  - name: users
    arrivals: uniform
    profile: [{stage: hold, rate: %g/s, for: 60s}]
    operations: [{name: list, graphql: {query: "query list { list }"}}]
`, rate))
	return simulatortest.Run(t, s, sys, simulator.Options{Seed: 1})
}

func planned(t *testing.T, run *capacity.Run, r plan.Request) *plan.Plan {
	t.Helper()
	p, err := plan.New(run, capacity.Assess(run), r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-4*math.Abs(want) }

// The video service's story: a query of 200 tokens against 2,000 tokens/s, which
// were asked up to 20,000, and a cache that made it one token (science R10).
func TestVideoService(t *testing.T) {
	const tokens = "      - {limiter: appsync.request-tokens, amount: 200}\n"
	one, half := 1.0, 100.0
	for _, c := range []struct {
		quota    int
		tokens   *float64
		carries  float64
		required float64 // for 5,000/s
	}{{2000, nil, 10, 1_000_000}, {20_000, nil, 100, 1_000_000}, {2000, &half, 20, 500_000}, {20_000, &half, 200, 500_000}, {20_000, &one, 20_000, 5000}} {
		run := simulated(t, 5, fmt.Sprintf("  - {id: appsync.request-tokens, kind: token_bucket, rate: %d tokens/s, burst: %[1]d tokens}\n", c.quota), tokens)
		p := planned(t, run, plan.Request{Rate: 5000, WhatIf: plan.WhatIf{Tokens: c.tokens}})
		if !near(*p.Carries, c.carries) || p.Limit != capacity.RequestTokens {
			t.Errorf("%d tokens/s carry %v/s by %s, want %v/s", c.quota, *p.Carries, p.Limit, c.carries)
		}
		need := p.Enough
		for _, s := range p.Steps {
			need = append(need, s.Need)
		}
		if c.tokens == &one && !near(*p.Carries/p.Rate, 4) {
			t.Errorf("headroom of %vx at 5,000/s, want 4x", *p.Carries/p.Rate)
		}
		if len(need) != 1 || need[0].Required != c.required || need[0].Grade != capacity.Arithmetic {
			t.Errorf("5,000/s requires %+v, want %v tokens/s", need, c.required)
		}
	}

	// 10 MB in pieces of 1 MB, uncompressed.
	run := simulated(t, 5, "  - {id: momento.operations, kind: token_bucket, rate: 100 ops/s, burst: 100 ops}\n  - {id: momento.throughput, kind: token_bucket, rate: 100MB/s, burst: 100MB}\n",
		"      - {limiter: momento.operations, amount: 10}\n      - {limiter: momento.throughput, amount: 10MB}\n")
	p := planned(t, run, plan.Request{Rate: 5000})
	required := map[string]float64{}
	for _, s := range p.Steps {
		required[s.Quota] = s.Required
		if s.Redesign == "" {
			t.Errorf("%s has no redesign", s.Quota)
		}
	}
	if required["momento.operations"] != 50_000 || required["momento.throughput"] != 50e9 {
		t.Errorf("required %v, want 50,000 ops/s and 50 GB/s", required)
	}

	// In one piece it fails at any rate, before anything else.
	run = simulated(t, 5, "  - {id: momento.operations, kind: token_bucket, rate: 100 ops/s, burst: 100 ops}\n  - {id: momento.item-size, kind: item_size, largest: 1MB}\n",
		"      - {limiter: momento.operations, amount: 1}\n      - {limiter: momento.item-size, amount: {mixture: [{amount: 10MB, share: 10%}, {amount: 1MB, share: 90%}]}}\n")
	p = planned(t, run, plan.Request{Rate: 5000})
	if s := p.Steps[0]; s.Quota != "momento.item-size" || s.Required != 10e6 || s.Carries != nil || s.Redesign != capacity.SmallerItems || len(p.Steps) != 2 {
		t.Errorf("first to do is %+v", s)
	}
	if *p.Carries != 0 || p.Limit != "momento.item-size" || p.Rest.Limit != "momento.operations" || !near(p.Rest.Carries, 100) || p.Rest.Carries != p.Steps[0].Reaches {
		t.Errorf("carries %v by %s, of the rest %+v", *p.Carries, p.Limit, p.Rest)
	}
	if p = planned(t, run, plan.Request{Rate: 50}); p.Steps[0].Reaches != 50 {
		t.Errorf("small items carry %v/s of 50", p.Steps[0].Reaches)
	}
	// Where no metric shows sizes, refusals do show that some are too large.
	run.Series = slices.DeleteFunc(run.Series, func(s measure.Series) bool {
		return s.Quota == "momento.item-size" && s.Role == capacity.RoleUsage
	})
	if p = planned(t, run, plan.Request{Rate: 50}); *p.Carries != 0 || len(p.Fails) != 1 || len(p.Steps) != 0 || len(p.Supposed) != 0 || !strings.Contains(strings.Join(p.Warnings, " "), "no metric shows how large they were: compress") {
		t.Errorf("without sizes %+v", p)
	}

	// 5,000 a second for 5,000 a minute.
	run = simulated(t, 5000.0/60, "  - {id: appsync.request-tokens, kind: token_bucket, rate: 20000 tokens/s, burst: 20000 tokens}\n", "      - {limiter: appsync.request-tokens, amount: 1}\n")
	p = planned(t, run, plan.Request{Rate: 5000})
	if !slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.Contains(w, "per minute taken for per second") }) {
		t.Errorf("nothing of the factor 60 in %q", p.Warnings)
	}
	if p := planned(t, run, plan.Request{Rate: 5000.0 / 60}); !near(*p.Carries/p.Rate, 240) { // R11
		t.Errorf("20,000 tokens/s are %vx of 5,000/min, want 240x", *p.Carries/p.Rate)
	}
}

// Every factor stands in the product, and only there: R14 for the level's tail,
// R21 for the busiest second.
func TestFactors(t *testing.T) {
	run := simulated(t, 50, "  - {id: appsync.request-tokens, kind: token_bucket, rate: 2000 tokens/s, burst: 2000 tokens}\n  - {id: lambda.concurrency, kind: concurrency, limit: 1000}\n",
		"      - {limiter: appsync.request-tokens, amount: 1}\n      - {limiter: lambda.concurrency, hold: service_time}\n")
	run.Manifest.Loads[0].Arrivals = "poisson"
	half := 0.5
	p := planned(t, run, plan.Request{Rate: 5000, Margin: 0.99, LoseOneOf: 3, WhatIf: plan.WhatIf{Duration: &half}})
	want := map[string]float64{
		"lambda.concurrency":     math.Ceil(2617 * 1.5), // Poisson(2,500) at 99 %
		"appsync.request-tokens": math.Ceil(5254 * 1.5),
	}
	for _, s := range p.Steps {
		if s.Required != want[s.Quota] {
			t.Errorf("%s requires %v, want %v of %+v", s.Quota, s.Required, want[s.Quota], s.Factors)
		}
		product := 1.0
		for _, f := range s.Factors {
			product *= f.Value
			if f.Why == "" {
				t.Errorf("%s: %s has no reason", s.Quota, f.Name)
			}
		}
		if math.Ceil(product-1e-6) != s.Required {
			t.Errorf("%s: factors make %v, required is %v", s.Quota, product, s.Required)
		}
	}
	if len(p.Steps) != 2 || p.Steps[0].Reaches != *p.Steps[1].Carries || p.Steps[1].Reaches != 5000 {
		t.Errorf("steps %+v", p.Steps)
	}
	if len(p.Supposed) != 1 {
		t.Errorf("supposed %q", p.Supposed)
	}

	// What a limit carries needs no more than it, with the margins of that rate, which
	// are larger than those of the target: 1,000 of 3,926 environments carry no 1,273/s.
	for _, s := range p.Steps {
		required := func(rate float64) float64 {
			q := planned(t, run, plan.Request{Rate: rate, Margin: 0.99, LoseOneOf: 3, WhatIf: plan.WhatIf{Duration: &half}})
			for _, n := range q.Enough {
				if n.Quota == s.Quota {
					return n.Required
				}
			}
			for _, n := range q.Steps {
				if n.Quota == s.Quota {
					return n.Required
				}
			}
			return math.NaN()
		}
		if below, above := required(*s.Carries*(1-1e-6)), required(*s.Carries*1.01); !(below <= s.Limit) || !(above > s.Limit) {
			t.Errorf("%s: %v carries %v/s, but below it %v are required, and above %v", s.Quota, s.Limit, *s.Carries, below, above)
		}
	}
	// Poisson(608.6) and Binomial(72,510, 1/60): 666 x 1.5 and 1,333 x 1.5.
	for i, want := range []float64{1208.5, 1217.2} {
		if c := *p.Steps[i].Carries; math.Abs(c-want) > 2 {
			t.Errorf("%s carries %v/s, want about %v", p.Steps[i].Quota, c, want)
		}
	}
}

// A step to a rate whose level fits may still fail on the slope: 30,000/s of
// 100 ms are 3,000 environments, of which 2,000 lack in the first second.
func TestSlope(t *testing.T) {
	run := simulated(t, 100, "  - {id: lambda.concurrency, kind: concurrency, limit: 20000}\n", "      - {limiter: lambda.concurrency, hold: service_time}\n")
	tenth := 0.1
	p := planned(t, run, plan.Request{Rate: 30_000, WhatIf: plan.WhatIf{Duration: &tenth}})
	if len(p.Steps) != 0 {
		t.Errorf("the level of 3,000 of 20,000 doesn't fit: %+v", p.Steps)
	}
	if !slices.ContainsFunc(p.Warnings, func(w string) bool {
		return strings.Contains(w, "faster than Lambda creates") && strings.Contains(w, "2,000 environments are missing")
	}) {
		t.Errorf("warnings %q", p.Warnings)
	}
	if lines := p.PerHour.Lines; lines[len(lines)-1].What != "2,000 environments provisioned" || !near(lines[len(lines)-1].USD, 2000*3600*0.0000041667) {
		t.Errorf("an hour costs %+v", lines)
	}
	if p := planned(t, run, plan.Request{Rate: 9000, WhatIf: plan.WhatIf{Duration: &tenth}}); slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.Contains(w, "faster than Lambda") }) {
		t.Errorf("900 environments at once: %q", p.Warnings)
	}
	// Of 500 that are provisioned, 1,500 lack, and all are paid for.
	run.Manifest.Quotas[0].Provisioned = 500
	p = planned(t, run, plan.Request{Rate: 30_000, WhatIf: plan.WhatIf{Duration: &tenth}})
	if text := strings.Join(p.Warnings, " "); !strings.Contains(text, "1,500 environments are missing. Provision at least so many more before the launch, beside the 500 that are") {
		t.Errorf("warnings %q", p.Warnings)
	}
	if lines := p.PerHour.Lines; lines[len(lines)-1].What != "2,000 environments provisioned" {
		t.Errorf("an hour costs %+v", lines)
	}
}

// What an hour costs once nothing is refused any more doesn't depend on how much
// the run's limits refused, and follows what is supposed.
func TestPerHour(t *testing.T) {
	const charges = "      - {limiter: appsync.request-tokens, amount: 200}\n      - {limiter: dynamodb.T.read, amount: 50}\n"
	hour := func(tokens int, r plan.Request) map[string]float64 {
		run := simulated(t, 20, fmt.Sprintf("  - {id: appsync.request-tokens, kind: token_bucket, rate: %d tokens/s, burst: %[1]d tokens}\n  - {id: dynamodb.T.read, kind: token_bucket, rate: 9000 RCU/s, burst: 9000 RCU}\n", tokens), charges)
		usd := make(map[string]float64)
		for _, l := range planned(t, run, r).PerHour.Lines {
			usd[l.What] = l.USD
		}
		return usd
	}
	hit := 0.9
	for _, c := range []struct {
		tokens int
		r      plan.Request
		reads  float64
	}{
		{20_000, plan.Request{Rate: 1000}, 3_600_000 * 50 * 0.125e-6},
		{2000, plan.Request{Rate: 1000}, 3_600_000 * 50 * 0.125e-6}, // half of it is refused
		{2000, plan.Request{Rate: 1000, WhatIf: plan.WhatIf{HitRatio: &hit}}, 3_600_000 * 5 * 0.125e-6},
	} {
		usd := hour(c.tokens, c.r)
		if !near(usd["AppSync requests"], 3.6*4) || !near(usd["DynamoDB reads of dynamodb.T.read"], c.reads) {
			t.Errorf("with %d tokens/s an hour at 1,000/s costs %v, want 14.4 and %v", c.tokens, usd, c.reads)
		}
	}
}

// A request that is refused behind the function has invoked it.
func TestPerHourRefusedBehind(t *testing.T) {
	run := simulated(t, 20, "  - {id: appsync.request-tokens, kind: token_bucket, rate: 3000 tokens/s, burst: 3000 tokens}\n  - {id: lambda.concurrency, kind: concurrency, limit: 1000}\n  - {id: momento.item-size, kind: item_size, largest: 1MB}\n",
		"      - {limiter: appsync.request-tokens, amount: 200}\n      - {limiter: lambda.concurrency, hold: service_time}\n      - {limiter: momento.item-size, amount: {mixture: [{amount: 10MB, share: 30%}, {amount: 1MB, share: 70%}]}}\n")
	refused := false
	for _, q := range capacity.Assess(run).Quotas {
		refused = refused || q.ID == "momento.item-size" && *q.Throttled > 0
	}
	for _, l := range planned(t, run, plan.Request{Rate: 1000}).PerHour.Lines {
		if strings.HasSuffix(l.What, "requests") && (!refused || !near(l.Amount, 3_600_000) || l.Note != "") {
			t.Errorf("%s in an hour at 1,000/s: %v, %q", l.What, l.Amount, l.Note)
		}
	}
}

// Science R39: while a hot key is fetched anew for 0.2 s, 5,000/s make 1,001 misses
// of it; with a TTL of a minute 99.666 % hit.
func TestHerd(t *testing.T) {
	if misses, hits := plan.Herd(5000, 0.2, 60); misses != 1001 || math.Abs(hits-0.99666) > 5e-6 {
		t.Errorf("%v misses, %v hit; want 1,001 and 0.99666", misses, hits)
	}
	run := simulated(t, 50, "  - {id: lambda.concurrency, kind: concurrency, limit: 1000}\n  - {id: dynamodb.T.read, kind: token_bucket, rate: 9000 RCU/s, burst: 9000 RCU}\n",
		"      - {limiter: lambda.concurrency, hold: service_time}\n      - {limiter: dynamodb.T.read, amount: 1}\n")
	hit := 0.98
	p := planned(t, run, plan.Request{Rate: 5000, WhatIf: plan.WhatIf{HitRatio: &hit}})
	if !slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.Contains(w, "1,001 requests miss it at once") }) {
		t.Errorf("warnings %q", p.Warnings)
	}
}

// Science R13, AppSync's own formula, and what a count of tokens stands for.
func TestTokens(t *testing.T) {
	for kbs, want := range map[float64]float64{0: 1, 1: 1, 1500: 1, 1500.1: 2, 3350: 3, 298_501: 200, 300_000: 200} {
		if got := plan.Tokens(kbs); got != want {
			t.Errorf("%v KB-seconds are %v tokens, want %v", kbs, got, want)
		}
	}
	run := simulated(t, 5, "  - {id: appsync.request-tokens, kind: token_bucket, rate: 2000 tokens/s, burst: 2000 tokens}\n", "      - {limiter: appsync.request-tokens, amount: 200}\n")
	if p := planned(t, run, plan.Request{Rate: 5000}); !strings.Contains(p.Steps[0].Redesign, "at most 300,000 KB-seconds") {
		t.Errorf("redesign %q", p.Steps[0].Redesign)
	}
}

func TestWhatIf(t *testing.T) {
	run := simulated(t, 50, "  - {id: dynamodb.T.read, kind: partitions, partitions: 4, rate: 3000 RCU/s, burst: 300s}\n", "      - {limiter: dynamodb.T.read, amount: 50}\n")
	hit := 0.98
	p := planned(t, run, plan.Request{Rate: 5000, WhatIf: plan.WhatIf{HitRatio: &hit}})
	if len(p.Enough) != 1 || p.Enough[0].Required != 5000 {
		t.Errorf("required %+v, want 5,000 x 50 x 2 %%", p.Enough)
	}
	one := 1.0
	if _, err := plan.New(run, capacity.Assess(run), plan.Request{Rate: 1, WhatIf: plan.WhatIf{Tokens: &one}}); err == nil {
		t.Error("tokens of a run without tokens are accepted")
	}
	if _, err := plan.New(run, capacity.Assess(run), plan.Request{Rate: 1, WhatIf: plan.WhatIf{Mix: map[string]float64{"put": 1}}}); err == nil {
		t.Error("an operation that isn't there is accepted")
	}
}

func TestSlip(t *testing.T) {
	for _, c := range []struct {
		ratio float64
		bytes bool
		want  string
	}{
		{60.2, false, "per minute taken for per second"},
		{1 / 60.2, false, "per second taken for per minute"},
		{3500, false, "per hour taken for per second"},
		{1000, false, "thousands"},
		{8, true, "bits"},
		{8, false, ""},
		{1024, true, "KiB"},
		{1, false, ""},
		{80, false, ""},
		{40, false, ""},
	} {
		if got := plan.Slip(c.ratio, c.bytes); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v: %q, want %q", c.ratio, got, c.want)
		}
	}
}

// A limit in bytes is held against what it would be without the scenario's word, and
// against the use that was seen: bits for bytes, KiB for bytes. That an eighth of a limit
// is used is no slip.
func TestDoubtsOfBytes(t *testing.T) {
	const throughput = "momento.throughput"
	over := []capacity.Overridden{{Origin: capacity.FromCatalogue, Limit: 1e8}}
	used := func(v float64) []plan.Seen {
		return []plan.Seen{{Rate: v, Quota: throughput, Where: "the last 14 days"}}
	}
	for _, c := range []struct {
		limit     float64
		thing     string
		overrides []capacity.Overridden
		seen      []plan.Seen
		want      string
	}{
		{8e8, unit.Bytes, over, nil, "is 8.00x what it is by its catalogue, 100 MB/s: bits taken for bytes?"},
		{1.25e7, unit.Bytes, over, nil, "bytes taken for bits"},
		{1024e8, unit.Bytes, over, nil, "KiB taken for bytes"},
		{1000e8, unit.Bytes, over, nil, "thousands taken for ones"},
		{1e8 / 1024, unit.Bytes, over, nil, "bytes taken for KiB"},
		{2e8, unit.Bytes, over, nil, ""},
		{8e8, unit.Operations, over, nil, ""},
		{60e8, unit.Operations, over, nil, "per minute"},
		{1e8, unit.Bytes, nil, used(8e8), "is 0.125x the highest use of the last 14 days, 800 MB/s: bytes taken for bits?"},
		{1e8, unit.Bytes, nil, used(1e8 / 1024), "KiB taken for bytes"},
		{1e8, unit.Bytes, nil, used(1.25e7), ""},
		{1e8, unit.Bytes, nil, used(9e7), ""},
	} {
		q := capacity.Quota{ID: throughput, Kind: capacity.RateQuota, Period: "s", Limit: c.limit, Unit: c.thing, Origin: capacity.FromScenario, Overrides: c.overrides}
		got := strings.Join(plan.Doubts(&scenarios.Scenario{}, []capacity.Quota{q}, c.seen), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%g %s over %v, seen %v: %q, want %q", c.limit, c.thing, c.overrides, c.seen, got, c.want)
		}
	}
}

// Two loads, of which one calls a function in one of its two operations. A mix is of all
// arrivals, whatever the loads had been: by hand, of the cost too. And what doesn't call
// the function needs no environments.
func TestLoadsApart(t *testing.T) {
	sys := simulatortest.System(t, `limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: 2000 tokens/s}
  - {id: lambda.concurrency, kind: concurrency, limit: 5000}
operations:
  - name: list
    service_time: 100ms
    response: {bytes: 3KB}
    charges: [{limiter: appsync.request-tokens, amount: 7}, {limiter: lambda.concurrency, hold: service_time}]
  - name: get
    service_time: 20ms
    response: {bytes: 1KB}
    charges: [{limiter: appsync.request-tokens, amount: 1}]
`)
	s := simulatortest.Scenario(t, `loads:
  - name: viewers
    arrivals: uniform
    profile: [{stage: hold, rate: 100/s, for: 60s}]
    operations: [{name: list, weight: 4, graphql: {query: "query list { list }"}}, {name: get, graphql: {query: "query get { get }"}}]
  - name: others
    arrivals: uniform
    profile: [{stage: hold, rate: 100/s, for: 60s}]
    operations: [{name: look, graphql: {query: "query get { get }"}}]
`)
	run := simulatortest.Run(t, s, sys, simulator.Options{Seed: 1})
	p := planned(t, run, plan.Request{Rate: 6000, WhatIf: plan.WhatIf{Mix: map[string]float64{"list": 5, "get": 1}}})
	if n := p.Enough; len(n) != 1 || n[0].Quota != "lambda.concurrency" || n[0].Required != 500 {
		t.Errorf("%+v, want 6,000/s x 5/6 x 100 ms", n)
	}
	want := map[string]float64{"AppSync requests": 21.6e6, "Lambda requests": 18e6, "Lambda duration": 1.8e6, "data out": 21.6e6 * 16000 / 6}
	for _, l := range p.PerHour.Lines {
		if !near(l.Amount, want[l.What]) {
			t.Errorf("%v of %s an hour, want %v", l.Amount, l.What, want[l.What])
		}
	}
	if len(p.PerHour.Lines) != len(want) || len(p.PerHour.Missing) > 0 {
		t.Errorf("%+v", p.PerHour)
	}

	// Of 40,000/s half are viewers, of whom four in five hold an environment for 100 ms:
	// 1,600 at once, of which 1,000 are there.
	p = planned(t, run, plan.Request{Rate: 40_000})
	if text := strings.Join(p.Warnings, " "); !strings.Contains(text, "600 environments are missing") {
		t.Errorf("warnings %q", p.Warnings)
	}
}

// Of a quota whose cost the run doesn't tell, an hour's use isn't told either.
func TestHourOfUnknownCosts(t *testing.T) {
	run := simulated(t, 50, "  - {id: appsync.request-tokens, kind: token_bucket, rate: 2000 tokens/s}\n  - {id: lambda.concurrency, kind: concurrency, limit: 1000}\n",
		"      - {limiter: appsync.request-tokens, amount: 1}\n      - {limiter: lambda.concurrency, hold: service_time}\n")
	a := capacity.Assess(run)
	for i := range a.Quotas {
		if a.Quotas[i].ID == "lambda.concurrency" {
			a.Quotas[i].UnitCost = nil
		}
	}
	p, err := plan.New(run, a, plan.Request{Rate: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range p.PerHour.Lines {
		if l.What == "Lambda duration" {
			t.Errorf("%+v", l)
		}
	}
	if !slices.ContainsFunc(p.PerHour.Missing, func(m price.Missing) bool { return m.What == "Lambda duration" }) {
		t.Errorf("missing %v", p.PerHour.Missing)
	}
}

// The busiest second of a minute is that of what is charged: at 1,000/s, of which one in a
// hundred charges 100 tokens and the others one, ten dear ones a second come as 23 or more
// in one of a hundred minutes. As many requests that charge 1.99 each never do.
func TestMarginOfVaryingCharges(t *testing.T) {
	for _, c := range []struct{ arrivals, amount string }{
		{"poisson", "{mixture: [{amount: 1, share: 99%}, {amount: 100, share: 1%}]}"},
		{"uniform", "{mixture: [{amount: 1, share: 99%}, {amount: 100, share: 1%}]}"},
		{"uniform", "2"},
	} {
		sys := simulatortest.System(t, "limiters: [{id: appsync.request-tokens, kind: token_bucket, rate: 9000 tokens/s, burst: 9000 tokens}]\noperations: [{name: list, service_time: 20ms, charges: [{limiter: appsync.request-tokens, amount: "+c.amount+"}]}]\n")
		s := simulatortest.Scenario(t, "loads:\n  - name: users\n    arrivals: "+c.arrivals+"\n    profile: [{stage: hold, rate: 1000/s, for: 300s}]\n    operations: [{name: list, graphql: {query: 'query list { list }'}}]\n")
		run := simulatortest.Run(t, s, sys, simulator.Options{Seed: 1})
		n := planned(t, run, plan.Request{Rate: 1000, Margin: 0.99}).Enough[0]
		if c.amount == "2" {
			if n.Required != 2000 {
				t.Errorf("%v are required of what never varies: %+v", n.Required, n.Factors)
			}
			continue
		}
		rng := rand.New(rand.NewPCG(1, 1))
		const minutes = 2000
		var busiest []float64
		for range minutes {
			most := 0.0
			for range 60 {
				charged := 0.0
				dear := int(distuv.Poisson{Lambda: 10, Src: rng}.Rand())
				if charged = float64(1000 + 99*dear); c.arrivals == "poisson" {
					charged += math.Sqrt(990) * rng.NormFloat64()
				}
				most = max(most, charged)
			}
			busiest = append(busiest, most)
		}
		slices.Sort(busiest)
		if want := busiest[minutes*99/100]; n.Required < want || n.Required > 1.15*want || *n.Carries < 1000 {
			t.Errorf("%s: %v are required, carrying %v/s, of %v in 99 of 100 minutes: %+v", c.arrivals, n.Required, *n.Carries, want, n.Factors)
		}
	}
}

// An environment that allows two requests a second counts as held for half a second by
// each, which it is for 200 ms: 2,000/s take 1,000, and 1,000 carry no more.
func TestRequestsOfAnEnvironment(t *testing.T) {
	run := simulated(t, 300, "  - {id: lambda.concurrency, kind: concurrency, limit: 1000, requests: 2/s}\n", "      - {limiter: lambda.concurrency, hold: service_time}\n")
	p := planned(t, run, plan.Request{Rate: 2000})
	if n := p.Enough[0]; n.Required != 1000 || !near(*n.Carries, 2000) {
		t.Errorf("%v environments are required, and the limit carries %v/s: %+v", n.Required, *n.Carries, n.Factors)
	}
}
