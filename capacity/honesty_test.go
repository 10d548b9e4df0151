package capacity_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/scenarios"
)

var systems = flag.Int("systems", 20, "how many random Systems the honesty test assesses; make honesty has 2,000")

// truth is what is true of one quota of a random System.
type truth struct {
	cost     float64 // mean charge of an arrival at the planned mix
	binds    float64
	constant bool // every request charges the same
}

// drawn is a random System with a scenario for it, and the truth.
type drawn struct {
	scenario *scenarios.Scenario
	system   *model.System
	truth    map[string]truth
	// at is the scenario with all arrivals at one rate, in the mix at which a quota is
	// charged most, for so many seconds.
	at func(quota string, rate float64, seconds int) *scenarios.Scenario
}

// draw makes the n-th random System: two to four operations, each of which
// charges tokens, one or two cache limits and a table, and holds environments
// for a random time; limits that lie around and above the load. Of one System in three
// the first operation is a load of its own, whose rate steps as the other's spike begins.
func draw(n int) (drawn, error) {
	rng := rand.New(rand.NewPCG(uint64(n), 2))
	in := func(low, high float64) float64 { return low * math.Pow(high/low, rng.Float64()) }
	rate := in(60, 250)
	ops := 2 + rng.IntN(3)

	weights := make([]float64, ops)
	for i := range weights {
		weights[i] = float64(1 + rng.IntN(9))
	}
	hold := 60 + rand.New(rand.NewPCG(uint64(n), 3)).IntN(120)
	first := 0 // operation of the second load
	if n%3 == 1 {
		first = 1
	}
	loads := newDrawnLoads(n, rate, first, weights)
	each := map[string][]float64{} // what each operation charges
	charge := func(id string, amount float64) { each[id] = append(each[id], amount) }
	var system strings.Builder
	constant := first == 0 // in tokens, which alone can be
	var body strings.Builder
	for i := range ops {
		p50 := in(10, 120)
		p99 := p50 * in(1.5, 8)
		fmt.Fprintf(&body, "  - name: op%d\n    service_time: {lognormal: {p50: %.3fms, p99: %.3fms}}\n    charges:\n", i, p50, p99)
		sigma := math.Log(p99/p50) / 2.3263478740408408
		charge("lambda.concurrency", p50/1000*math.Exp(sigma*sigma/2))

		low := 1 + rng.IntN(5)
		if rng.IntN(3) == 0 {
			fmt.Fprintf(&body, "      - {limiter: appsync.request-tokens, amount: %d}\n", low)
			charge("appsync.request-tokens", float64(low))
		} else {
			high, of := low+1+rng.IntN(20), 1+rng.IntN(60)
			fmt.Fprintf(&body, "      - {limiter: appsync.request-tokens, amount: {mixture: [{amount: %d, share: %d%%}, {amount: %d, share: %d%%}]}}\n", low, 100-of, high, of)
			charge("appsync.request-tokens", (float64(low)*float64(100-of)+float64(high)*float64(of))/100)
			constant = false
		}
		fmt.Fprintf(&body, "      - {limiter: lambda.concurrency, hold: service_time}\n")
		units := 1 + rng.IntN(4)
		fmt.Fprintf(&body, "      - {limiter: dynamodb.T.read, amount: {mixture: [{amount: %d, share: 80%%}, {amount: %d, share: 20%%}]}, key: {zipf: 300}}\n", units, 5*units)
		charge("dynamodb.T.read", 0.8*float64(units)+0.2*5*float64(units))
		gets := 1 + rng.IntN(3)
		fmt.Fprintf(&body, "      - {limiter: momento.operations, amount: {mixture: [{amount: %d, share: 50%%}, {amount: %d, share: 50%%}]}}\n", gets, gets+1)
		charge("momento.operations", float64(gets)+0.5)
		kb := in(1, 20)
		tail := in(1.5, 4)
		fmt.Fprintf(&body, "      - {limiter: momento.throughput, amount: {lognormal: {p50: %.3fKB, p99: %.3fKB}}}\n", kb, kb*tail)
		sigma = math.Log(tail) / 2.3263478740408408
		charge("momento.throughput", kb*1000*math.Exp(sigma*sigma/2))
	}
	costs := map[string]float64{}
	for id := range each {
		costs[id], _ = loads.charged(each[id])
	}
	// Limits bind between 0.9 and 3 times the load, those of one System in four from
	// a third of it on; the one of the token bucket holds at least a second.
	least := 0.9
	if n%4 == 0 {
		least = 0.33
	}
	limit := func(id string) float64 { return costs[id] * rate * in(least, 3) }
	fmt.Fprintf(&system, "version: 1\nname: drawn\nlimiters:\n")
	tokens, operations, bytes, units := math.Ceil(limit("appsync.request-tokens")), math.Ceil(limit("momento.operations")), math.Ceil(limit("momento.throughput")), math.Ceil(limit("dynamodb.T.read"))
	environments := math.Ceil(limit("lambda.concurrency"))
	fmt.Fprintf(&system, "  - {id: appsync.request-tokens, kind: token_bucket, rate: %.0f tokens/s, burst: %.0f tokens}\n", tokens, tokens)
	fmt.Fprintf(&system, "  - {id: lambda.concurrency, kind: concurrency, limit: %.0f}\n", environments)
	fmt.Fprintf(&system, "  - {id: dynamodb.T.read, kind: partitions, partitions: 3, rate: %.0f RCU/s, burst: 10s}\n", units)
	fmt.Fprintf(&system, "  - {id: momento.operations, kind: window, rate: %.0f ops/s}\n", operations)
	fmt.Fprintf(&system, "  - {id: momento.throughput, kind: token_bucket, rate: %.0fB/s, burst: %.0fB}\n", bytes, 2*bytes)
	fmt.Fprintf(&system, "operations:\n%s", body.String())

	arrivals := []string{"poisson", "poisson", "uniform"}[rng.IntN(3)]
	scenario := func(profiles [2]string) (*scenarios.Scenario, error) {
		var b strings.Builder
		b.WriteString("version: 1\nname: drawn\ntarget: {sandbox: premiere}\nloads:\n")
		for k, profile := range profiles {
			if profile == "" {
				continue
			}
			fmt.Fprintf(&b, "  - name: users%d\n    arrivals: %s\n    seed: %d\n    %s\n    operations:\n", k, arrivals, 2*n+k, profile)
			for i, w := range weights {
				if (i < first) == (k == 0) {
					fmt.Fprintf(&b, "      - {name: op%d, weight: %g, graphql: {query: 'query op%d { op%d }'}}\n", i, w, i, i)
				}
			}
		}
		s, faults := scenarios.ParseFile(fstest.MapFS{"scenario.yaml": {Data: []byte(b.String())}}, "scenario.yaml", func(string) (string, bool) { return "", false })
		if faults != nil {
			return nil, faults
		}
		return s, nil
	}
	sys, err := model.Parse("system.yaml", []byte(system.String()))
	if err != nil {
		return drawn{}, fmt.Errorf("%w in\n%s", err, system.String())
	}
	s, err := scenario(loads.profiles(hold))
	if err != nil {
		return drawn{}, err
	}
	d := drawn{scenario: s, system: sys, truth: map[string]truth{}, at: func(quota string, rate float64, seconds int) *scenarios.Scenario {
		var profiles [2]string
		_, parts := loads.charged(each[quota])
		for k, part := range parts {
			if part > 0 {
				profiles[k] = fmt.Sprintf("profile: [{stage: hold, rate: %.6f/s, for: %ds}]", rate*part, seconds)
			}
		}
		s, err := scenario(profiles)
		if err != nil {
			panic(err) // the one before was right
		}
		return s
	}}
	for id, limit := range map[string]float64{"appsync.request-tokens": tokens, "lambda.concurrency": environments, "momento.operations": operations, "momento.throughput": bytes} {
		d.truth[id] = truth{costs[id], limit / costs[id], id == "appsync.request-tokens" && constant}
	}
	i := slices.IndexFunc(sys.Operations[0].Charges, func(c model.ChargeSpec) bool { return c.Limiter == "dynamodb.T.read" })
	d.truth["dynamodb.T.read"] = truth{costs["dynamodb.T.read"], units / sys.Operations[0].Charges[i].Hottest / costs["dynamodb.T.read"], false}
	return d, nil
}

// drawnLoads are the loads of a random System: of the first operations, at one rate and
// from the spike on at another, and of the rest, which spike. Where there are no first
// ones, the rest are at the rate after a ramp.
type drawnLoads struct {
	rate    float64
	stepped bool
	rates   [3][2]float64 // of both loads before, in and after the spike
	weights [2][]float64
}

func newDrawnLoads(n int, rate float64, first int, weights []float64) drawnLoads {
	l := drawnLoads{rate: rate, stepped: first > 0, weights: [2][]float64{weights[:first], weights[first:]}}
	rng := rand.New(rand.NewPCG(uint64(n), 4))
	before, after, spike := rate*(0.2+0.6*rng.Float64()), rate*(0.1+0.3*rng.Float64()), rate*(0.2+0.6*rng.Float64())
	l.rates = [3][2]float64{{before, 0}, {after, spike}, {after, 0}}
	if !l.stepped {
		l.rates = [3][2]float64{{0, rate}, {0, rate}, {0, rate}}
	}
	return l
}

// charged returns what an arrival charges of which the operations charge so much, and
// which part each load is of the highest rate when most is charged.
func (l drawnLoads) charged(each []float64) (cost float64, parts [2]float64) {
	var own [2]float64 // what one of each load charges
	at := 0
	for k, weights := range l.weights {
		var total float64
		for _, w := range weights {
			own[k] += w * each[at]
			total += w
			at++
		}
		if total > 0 {
			own[k] /= total
		}
	}
	var peak float64
	for _, r := range l.rates {
		peak = max(peak, r[0]+r[1])
	}
	for _, r := range l.rates {
		if use := (r[0]*own[0] + r[1]*own[1]) / peak; use > cost {
			cost, parts = use, [2]float64{r[0] / peak, r[1] / peak}
		}
	}
	return cost, parts
}

func (l drawnLoads) profiles(hold int) (profiles [2]string) {
	if !l.stepped {
		profiles[1] = fmt.Sprintf("profile: [{stage: onset, ramp: %.3f/s, for: 20s}, {stage: hold, rate: %.3f/s, for: %ds}]", l.rate, l.rate, hold)
		return profiles
	}
	profiles[0] = fmt.Sprintf("profile: [{stage: before, rate: %.6f/s, for: %ds}, {stage: after, rate: %.6f/s, for: %ds}]", l.rates[0][0], hold/2, l.rates[2][0], hold-hold/2)
	profiles[1] = fmt.Sprintf("start: %ds\n    profile: [{stage: up, ramp: %.6f/s, for: 5s}, {stage: top, rate: %.6f/s, for: %ds}, {stage: down, ramp: 0/s, for: 5s}]", hold/2, l.rates[1][1], l.rates[1][1], hold/3)
	return profiles
}

// safely sends, for one System in five, the safe rate of the quota that binds
// first, and returns how many requests that quota refused, of how many.
func safely(t *testing.T, d drawn, a capacity.Assessment, n int) (refused, tried float64) {
	if n%5 != 0 || a.FirstToBind == nil || strings.HasPrefix(*a.FirstToBind, "dynamodb") {
		return 0, 0 // a hot partition is no bucket, as its notes say
	}
	i := slices.IndexFunc(a.Quotas, func(q capacity.QuotaResult) bool { return q.ID == *a.FirstToBind })
	safe := a.Quotas[i].SafeRate
	if safe == nil || safe.Rate == nil || *safe.Rate <= 0 {
		return 0, 0
	}
	if *safe.Rate < 1 {
		return 0, 0 // one environment, which is free when the next request comes
	}
	run, err := simulator.Run(d.at(*a.FirstToBind, *safe.Rate, int(20_000 / *safe.Rate)), d.system, simulator.Options{ID: "x", Seed: uint64(n)})
	if err != nil {
		t.Error(err)
		return 0, 0
	}
	for _, s := range run.Series {
		if s.Quota == *a.FirstToBind && s.Role == capacity.RoleThrottles {
			for p := range s.Points.All() {
				refused += p.Value
			}
		}
	}
	if *a.FirstToBind == capacity.RequestTokens { // AWS publishes no such series
		for r := range run.Rows.All() {
			refused += float64(r.Reasons["throttled HTTP 429"])
		}
	}
	for r := range run.Rows.All() {
		tried += float64(r.Sent)
	}
	if refused/tried > 0.002 {
		t.Logf("System %d: %s refuses %.3f %% at its safe rate, %.4g/s, of %.4g/s", n, *a.FirstToBind, 100*refused/tried, *safe.Rate, d.truth[*a.FirstToBind].binds)
	}
	return refused, tried
}

// Printed 95 % intervals hold what is true as often as they say, and are narrow
// enough to be of use.
func TestHonesty(t *testing.T) {
	type result struct {
		asked, costHeld, bindsHeld       int
		firstAsked, firstRight, notValid int
		safeTried, safeRefused           float64
		widths                           []float64
		byQuota                          map[string][2]int // held, asked
	}
	var mu sync.Mutex
	all := result{byQuota: map[string][2]int{}}
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for n := range next {
				d, err := draw(n)
				if err != nil {
					t.Errorf("System %d: %v", n, err)
					continue
				}
				run, err := simulator.Run(d.scenario, d.system, simulator.Options{ID: "x", Seed: uint64(n)})
				if err != nil {
					t.Error(err)
					continue
				}
				a := capacity.Assess(run)
				refused, tried := safely(t, d, a, n)
				mu.Lock()
				all.safeTried += tried
				all.safeRefused += refused
				if a.Verdict.Status != capacity.Valid {
					all.notValid++
					t.Logf("System %d is %s: %+v", n, a.Verdict.Status, a.Verdict.Failed())
				}
				var true_ []float64
				nearest := ""
				for _, q := range a.Quotas {
					truth := d.truth[q.ID]
					true_ = append(true_, truth.binds)
					if nearest == "" || truth.binds < d.truth[nearest].binds {
						nearest = q.ID
					}
					if truth.constant || q.UnitCost == nil {
						continue
					}
					all.asked++
					by := all.byQuota[q.ID]
					by[1]++
					if q.UnitCost.Low <= truth.cost && truth.cost <= q.UnitCost.High {
						all.costHeld++
						by[0]++
					}
					all.byQuota[q.ID] = by
					// A refused prediction prints no interval; its ends are what they would be.
					if low, high := q.Limit/q.UnitCost.High, q.Limit/q.UnitCost.Low; low <= truth.binds && truth.binds <= high {
						all.bindsHeld++
					}
					if p := q.BindsAt; p != nil && (p.Grade == capacity.Tested || p.Grade == capacity.Supported) {
						if p.High == nil {
							all.widths = append(all.widths, math.Inf(1))
							continue
						}
						all.widths = append(all.widths, (*p.High-*p.Low) / *p.Rate)
					}
				}
				slices.Sort(true_)
				if len(true_) > 1 && true_[1] > 1.1*true_[0] && a.Verdict.Status == capacity.Valid {
					all.firstAsked++
					if a.FirstToBind != nil && *a.FirstToBind == nearest {
						all.firstRight++
					} else {
						t.Logf("System %d: %s binds first, and not what is said: %s", n, nearest, a.FirstToBindReason)
					}
				}
				mu.Unlock()
			}
		})
	}
	began := time.Now()
	for n := range *systems {
		next <- n
	}
	close(next)
	workers.Wait()

	share := func(k, n int) float64 { return float64(k) / float64(max(n, 1)) }
	slices.Sort(all.widths)
	median := all.widths[len(all.widths)/2]
	t.Logf("%d Systems in %s: unit cost held by %.1f %%, binding rate by %.1f %% of %d intervals; tested and supported ones %.1f %% wide in the median of %d; first to bind right in %.1f %% of %d; %d runs not VALID; by quota %v",
		*systems, time.Since(began).Round(time.Second), 100*share(all.costHeld, all.asked), 100*share(all.bindsHeld, all.asked), all.asked,
		100*median, len(all.widths), 100*share(all.firstRight, all.firstAsked), all.firstAsked, all.notValid, all.byQuota)
	safe := all.safeRefused / max(all.safeTried, 1)
	t.Logf("at the safe rate %.3f %% of %.0f requests were refused", 100*safe, all.safeTried)
	if all.safeTried == 0 || safe > 0.0015 {
		t.Errorf("at the safe rate %.3f %% are refused", 100*safe)
	}
	// Of few intervals the share itself is uncertain.
	slack := 3 * math.Sqrt(0.95*0.05/float64(all.asked)*4)
	if *systems >= 2000 {
		slack = 0
	}
	if s := share(all.costHeld, all.asked); s < 0.93-slack || s > 0.98+slack {
		t.Errorf("true unit costs lie in %.1f %% of the 95 %% intervals", 100*s)
	}
	if s := share(all.bindsHeld, all.asked); s < 0.93-slack || s > 0.98+slack {
		t.Errorf("true binding rates lie in %.1f %% of the 95 %% intervals", 100*s)
	}
	if median > 0.1 {
		t.Errorf("intervals are %.1f %% wide in the median", 100*median)
	}
	if s := share(all.firstRight, all.firstAsked); s < 0.95-slack {
		t.Errorf("the first to bind is right in %.1f %%", 100*s)
	}
	if all.notValid > *systems/100 {
		t.Errorf("%d simulated runs are not VALID", all.notValid)
	}
}
