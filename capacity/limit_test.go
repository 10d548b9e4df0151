package capacity_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// queue answers like one server that needs the given time for each request,
// one after the other: above its rate the answers come ever later.
func queue(each time.Duration) func(time.Duration, string, string) answer {
	var free time.Duration
	return func(at time.Duration, _, _ string) answer {
		free = max(free, at) + each
		return answer{tokens: measure.NoTokens, service: free - at}
	}
}

// Runs whose limiter was made: it is named, with the seconds that say so.
func TestLimitedBy(t *testing.T) {
	// One load of 20 to 200 requests/s in 40 s.
	spike := func(serve func(time.Duration, string, string) answer) world {
		return world{steps: true, seed: 3, loads: []capacity.Load{ramp("viewers", 20, 200, 40*time.Second, capacity.Operation{Name: "list", Share: 1})}, serve: serve}
	}
	fine := func(time.Duration, string, string) answer {
		return answer{tokens: measure.NoTokens, service: 60 * time.Millisecond}
	}
	from := func(when time.Duration, bad answer) func(time.Duration, string, string) answer {
		n := 0
		return func(at time.Duration, load, op string) answer {
			if n++; at > when && n%10 == 0 {
				return bad
			}
			return fine(at, load, op)
		}
	}
	starved := func(run *capacity.Run) *capacity.Run {
		changePoints(&run.Series[len(run.Series)-1], func(i int, p *measure.Point) {
			if i >= 20 {
				p.Value = 0.97
			}
		})
		return run
	}
	unread := func(run *capacity.Run) *capacity.Run {
		run.Series = run.Series[:len(run.Series)-1]
		return run
	}
	refused := answer{outcome: measure.Failed, reason: "connection refused", tokens: measure.NoTokens}
	bad := answer{outcome: measure.Failed, reason: "HTTP 502", tokens: measure.NoTokens, service: time.Second}
	full := func(at time.Duration) (measure.Cause, bool) {
		return measure.Saturation, at > 30*time.Second && at%time.Second < 100*time.Millisecond
	}
	for _, c := range []struct {
		name string
		run  func() *capacity.Run
		who  capacity.Limiter
		says string
	}{
		{"nothing", spike(fine).run, capacity.ByNothing, "without growing response times"},
		{"quota", spike(from(20*time.Second, answer{outcome: measure.Throttled, reason: "HTTP 429", tokens: measure.NoTokens})).run, capacity.ByThrottle, "first in second 20"},
		{"the quota of the story", premiere(4).run, capacity.ByThrottle, "throttled"},
		{"refused connections", spike(from(10*time.Second, refused)).run, capacity.ByNetwork, "lost connections"},
		{"a server that queues", spike(queue(8 * time.Millisecond)).run, capacity.ByBackend, "in flight"},
		{"a server that queues for a moment", world{steps: true, seed: 3, loads: []capacity.Load{ramp("viewers", 100, 100, 15*time.Second, capacity.Operation{Name: "list", Share: 1})}, serve: queue(20 * time.Millisecond)}.run, capacity.ByBackend, "in flight"},
		{"a server that fails", spike(from(25*time.Second, bad)).run, capacity.ByBackend, "failed in the server"},
		{"resolvers that fail, with status 200", spike(from(25*time.Second, answer{outcome: measure.Failed, reason: "Lambda:Unhandled", tokens: 1, service: 60 * time.Millisecond})).run, capacity.ByBackend, "failed in the server"},
		{"callers that are refused in part", spike(from(25*time.Second, answer{outcome: measure.Rejected, reason: "HTTP 403", tokens: measure.NoTokens})).run, capacity.ByUnknown, "rejected: "},
		{"answers that are no GraphQL in part", spike(from(25*time.Second, answer{outcome: measure.Unclassified, reason: "not JSON", tokens: measure.NoTokens})).run, capacity.ByUnknown, "no GraphQL answer: "},
		{"a server that doesn't answer", spike(from(25*time.Second, answer{outcome: measure.TimedOut, tokens: measure.NoTokens, service: 30 * time.Second})).run, capacity.ByBackend, "timed out"},
		{"a queue at the in-flight limit", func() *capacity.Run {
			w := spike(queue(8 * time.Millisecond))
			w.drop = full
			return w.run()
		}, capacity.ByBackend, "in-flight limit"},
		{"an in-flight limit that is too low", func() *capacity.Run {
			w := spike(fine)
			w.drop = full
			return w.run()
		}, capacity.ByUnknown, "did not grow"},
		{"nobody lets us in", spike(func(time.Duration, string, string) answer {
			return answer{outcome: measure.Rejected, reason: "HTTP 401", tokens: measure.NoTokens, service: time.Millisecond}
		}).run, capacity.ByUnknown, "HTTP 401"},
		{"errors in the body", spike(from(10*time.Second, answer{outcome: measure.Failed, reason: "NoSuchProgram", tokens: measure.NoTokens})).run, capacity.ByBackend, "failed in the server: 401 of 4,475 (8.96 %), first in second 10, most in second 36, mostly NoSuchProgram"},
		{"requests that nobody takes", spike(from(10*time.Second, answer{outcome: measure.Rejected, reason: "MESSAGE_TOO_LARGE", tokens: measure.NoTokens})).run, capacity.ByUnknown, "rejected: 401 of 4,475 (8.96 %), first in second 10, most in second 36, mostly MESSAGE_TOO_LARGE"},
		{"answers that nobody understands", spike(from(10*time.Second, answer{outcome: measure.Unclassified, tokens: measure.NoTokens})).run, capacity.ByUnknown, "no GraphQL answer: 401 of 4,475"},
		{"no processor", func() *capacity.Run { return starved(spike(fine).run()) }, capacity.ByGenerator, "generator_cpu"},
		{"late sends", func() *capacity.Run {
			w := spike(fine)
			w.drop = func(at time.Duration) (measure.Cause, bool) {
				return measure.Generator, at%time.Second < 50*time.Millisecond
			}
			return w.run()
		}, capacity.ByGenerator, "generator_drops"},
		{"no ports", spike(from(0, answer{outcome: measure.GeneratorError, reason: "no free port", tokens: measure.NoTokens})).run, capacity.ByGenerator, "generator_errors"},
		// A generator without processor time makes any target look slow.
		{"no processor, and a slow server", func() *capacity.Run { return starved(spike(queue(8 * time.Millisecond)).run()) }, capacity.ByGenerator, "generator_cpu"},
		{"processor time not read, and a slow server", func() *capacity.Run { return unread(spike(queue(8 * time.Millisecond)).run()) }, capacity.ByUnknown, "generator_cpu"},
		{"processor time not read, and a quota", func() *capacity.Run { return unread(premiere(4).run()) }, capacity.ByThrottle, "throttled"},
		{"nothing was sent", func() *capacity.Run { return &capacity.Run{} }, capacity.ByUnknown, "nothing was sent"},
	} {
		got := capacity.Assess(c.run()).LimitedBy
		if got.Who != c.who || !strings.Contains(strings.Join(got.Evidence, "\n"), c.says) {
			t.Errorf("%s: limited by %s, want %s with %q:\n  %s", c.name, got.Who, c.who, c.says, strings.Join(got.Evidence, "\n  "))
		} else {
			t.Logf("%s: %s: %s", c.name, got.Who, strings.Join(got.Evidence, "; "))
		}
	}
}

// A backlog that is worked off after the load comes latest with few in flight, and
// its response times grew all the same; also where nobody knows how many were in flight.
func TestLimitedByABacklog(t *testing.T) {
	const held = 40 // seconds of 20/s, of which 10/s are served
	for flying, says := range map[float64]string{10: "o answered in 5.25 s on average with 44.5 in flight", 0: "o's response times grew while a rate was held"} {
		run := answered(2*held, 10, time.Second, func(step int) time.Duration { return time.Duration(step+1) * time.Second / 2 })
		run.Manifest.Loads = []capacity.Load{{Name: "l", Planned: 20 * held, Stages: []capacity.Stage{{Name: "hold", From: 20, To: 20, For: held, Measure: true}}}}
		changeRows(run, func(r *measure.Row) {
			r.Planned, r.InFlight = 20, flying*float64(r.Second)
			if r.Second >= held {
				r.Planned, r.InFlight = 0, flying*float64(2*held-r.Second)
			}
			r.Sent = r.Planned
		})
		if got := capacity.Assess(run).LimitedBy; got.Who != capacity.ByBackend || !strings.Contains(strings.Join(got.Evidence, "\n"), says) {
			t.Errorf("limited by %s: %s", got.Who, strings.Join(got.Evidence, "; "))
		}
	}
}

// Answers whose times have a long tail are slow together by chance, and while they are,
// many are in flight: that is no growth. Where they do take longer at a higher rate, they
// grow, in runs of a few hundred answers too.
func TestChanceIsNoGrowth(t *testing.T) {
	run := func(from, to float64, seed uint64, took func(rng *rand.Rand, at time.Duration) float64) capacity.Limiter {
		rng := rand.New(rand.NewPCG(seed, 5))
		l := ramp("l", from, to, 2*time.Minute, capacity.Operation{Name: "o", Share: 1})
		l.Seed = seed
		w := world{steps: true, seed: seed, loads: []capacity.Load{l}, serve: func(at time.Duration, _, _ string) answer {
			return answer{tokens: measure.NoTokens, service: time.Duration(1e9 * took(rng, at))}
		}}
		return capacity.Assess(w.run()).LimitedBy.Who
	}
	const repeats = 20
	for _, c := range []struct{ rate, p99 float64 }{{5, 1}, {5, 3}, {20, 3}} {
		blamed := 0
		for seed := range uint64(repeats) {
			if run(c.rate, c.rate, seed, func(rng *rand.Rand, _ time.Duration) float64 {
				return 0.05 * math.Exp(rng.NormFloat64()*math.Log(c.p99/0.05)/2.326)
			}) != capacity.ByNothing {
				blamed++
			}
		}
		if blamed > 0 {
			t.Errorf("%g/s, 50 ms in the median and %g s at p99: %d of %d runs are limited", c.rate, c.p99, blamed, repeats)
		}
	}
	stalled := 0
	for seed := range uint64(repeats) {
		if run(20, 20, seed, func(_ *rand.Rand, at time.Duration) float64 {
			return 0.005 + max(0, 61-max(at.Seconds(), 60))*math.Floor(min(at.Seconds(), 60)/60)
		}) == capacity.ByBackend {
			stalled++
		}
	}
	if stalled < repeats/2 {
		t.Errorf("a second without answers is found in %d of %d runs", stalled, repeats)
	}
	found := 0
	for seed := range uint64(repeats) {
		if run(2, 8, seed, func(rng *rand.Rand, at time.Duration) float64 { // a server of 10/s, by its load
			return rng.ExpFloat64() / (8 - 6*at.Seconds()/120)
		}) == capacity.ByBackend {
			found++
		}
	}
	if found < repeats*3/4 {
		t.Errorf("times that grow to the fourfold are found in %d of %d runs", found, repeats)
	}
}
