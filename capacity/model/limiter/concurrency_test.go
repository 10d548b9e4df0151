package limiter

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const none = 0 * time.Second

// Science R16: 1,000 environments at once and 100/s more under a demand for 5,000: in use
// are 1000 + 100t, all of them after 40 s. The fluid formula takes that for the
// requests admitted per service time and finds 80,000 of 200,000 throttled for
// requests of 1 s. One by one, those in use at the end of a second are those
// admitted in it: 1000 + 100(k+1), so 78,000 are throttled. For short requests
// the difference vanishes.
func TestConcurrencyScaling(t *testing.T) {
	for _, run := range []struct {
		perSecond float64
		service   time.Duration
		throttled float64
	}{
		{5_000, time.Second, 78_000},
		{50_000, 100 * time.Millisecond, 800_000},
	} {
		c := NewConcurrency(Environments{Limit: 100_000, Step: 1000, Per: 10 * time.Second, KeepAlive: time.Hour})
		throttled := 0
		var last time.Duration
		for n := range int(45 * run.perSecond) {
			at := every(n, run.perSecond)
			if _, ok := c.Admit(at, run.service); !ok {
				throttled++
				last = at
			}
			if second := at.Seconds(); at%time.Second == 0 && second >= 1 && second <= 39 {
				if want := 1000 + 100*second; math.Abs(float64(c.InUse())-want) > 0.01*want {
					t.Errorf("%v: at %v %d environments in use, want %v", run.service, at, c.InUse(), want)
				}
			}
		}
		if math.Abs(last.Seconds()-40) > 0.4 {
			t.Errorf("%v: last throttle at %v, want 40s", run.service, last)
		}
		if math.Abs(float64(throttled)/run.throttled-1) > 0.01 {
			t.Errorf("%v: %d throttled, want %v", run.service, throttled, run.throttled)
		}
	}
}

// Were the environments created 1,000 at once every 10 s, then half of 5,000/s of
// 1 s would be throttled in 40 s (science R16).
func TestConcurrencyScalingByThousands(t *testing.T) {
	var pools []*Concurrency
	throttled := 0
	for n := range 40 * 5000 {
		at := every(n, 5000)
		if at >= time.Duration(len(pools))*10*time.Second {
			pools = append(pools, NewConcurrency(Environments{Limit: 1000, KeepAlive: time.Hour}))
		}
		ok := false
		for _, c := range pools {
			if _, ok = c.Admit(at, time.Second); ok {
				break
			}
		}
		if !ok {
			throttled++
		}
	}
	if throttled != 100_000 {
		t.Errorf("%d of 200,000 throttled, want 100,000", throttled)
	}
}

// From 1,000 environments to 20,000 takes 190 s at 100/s (science R16).
func TestConcurrencyScalingToTwentyThousand(t *testing.T) {
	c := NewConcurrency(Environments{Limit: 20_000, Step: 1000, Per: 10 * time.Second, KeepAlive: time.Hour})
	for at := none; ; at += 10 * time.Millisecond {
		for {
			if _, ok := c.Admit(at, time.Hour); !ok {
				break
			}
		}
		if c.InUse() == 20_000 {
			if math.Abs(at.Seconds()-190) > 0.1 {
				t.Errorf("20,000 environments after %v, want 190s", at)
			}
			return
		}
	}
}

// By the rule of 2023, a burst of 1,000 and 500 a minute, that took 38 minutes.
func TestConcurrencyScalingOf2023(t *testing.T) {
	c := NewConcurrency(Environments{Limit: 20_000, Step: 1000, Per: 2 * time.Minute, KeepAlive: time.Hour})
	for n := 0; ; n++ {
		at := every(n, 100)
		for range 10 {
			c.Admit(at, 10*time.Hour)
		}
		if c.InUse() == 20_000 {
			if math.Abs(at.Minutes()/38-1) > 0.01 {
				t.Errorf("20,000 environments after %v, want 38m", at)
			}
			return
		}
	}
}

// Requests of 20 ms use 100 environments at 5,000/s but may come at 1,000/s only.
func TestConcurrencyRequestsPerEnvironment(t *testing.T) {
	c := NewConcurrency(Environments{Limit: 100, Requests: 10, KeepAlive: time.Minute})
	admitted := 0
	for n := range 50_000 {
		if _, ok := c.Admit(every(n, 5000), 20*time.Millisecond); ok {
			admitted++
		}
	}
	if want := 10*1000 + 1000; admitted < want-5 || admitted > want+5 {
		t.Errorf("admitted %d of 5,000/s in 10 s, want 10 x 1,000 and one second's burst", admitted)
	}
}

// Reserved concurrency is a function's own: the rest of the account can't take
// it, and it can't take more.
func TestAccount(t *testing.T) {
	account := NewAccount(100, 30)
	mine := NewConcurrency(Environments{Limit: 30, KeepAlive: time.Minute})
	a := NewConcurrency(Environments{Limit: 100, KeepAlive: time.Minute, Provisioned: 20})
	b := NewConcurrency(Environments{Limit: 100, KeepAlive: time.Minute})
	account.Join(a)
	account.Join(b)
	take := func(at time.Duration, c *Concurrency, shared bool) (n int) {
		for range 200 {
			if shared && !account.Room(at, c) {
				break
			}
			if _, ok := c.Admit(at, time.Second); !ok {
				break
			}
			n++
		}
		return n
	}
	for _, c := range []struct {
		what string
		got  int
		want int
	}{
		{"b beside 30 reserved and 20 provisioned", take(0, b, true), 50},
		{"a has its provisioned ones", take(0, a, true), 20},
		{"the reserved ones", take(0, mine, false), 30},
		{"claimed", account.Claimed(0), 100},
		{"a second later a has all that isn't reserved", take(time.Second, a, true), 70},
		{"and b nothing", take(time.Second, b, true), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
}

func TestConcurrencyCreditDoesntAccrue(t *testing.T) {
	c := NewConcurrency(Environments{Limit: 1000, Step: 10, Per: 10 * time.Second, KeepAlive: time.Hour})
	admitted := 0
	for range 50 {
		if _, ok := c.Admit(time.Hour, time.Hour); ok {
			admitted++
		}
	}
	if admitted != 10 {
		t.Errorf("after an idle hour %d environments were created at once, want 10", admitted)
	}
}

// Provisioned environments need neither credit nor a start; those beyond them
// do, and go away after the keep-alive time.
func TestConcurrencyProvisionedAndCreated(t *testing.T) {
	c := NewConcurrency(Environments{Limit: 4, Provisioned: 2, Step: 1, Per: time.Hour, Init: time.Second, KeepAlive: time.Minute})
	const service = 10 * time.Second
	for i, step := range []struct {
		at   time.Duration
		hold time.Duration
		ok   bool
		used int
	}{
		{0, service, true, 1},
		{0, service, true, 2},
		{0, service + time.Second, true, 3}, // created, with the only credit
		{0, 0, false, 3},                    // no credit
		{10 * time.Second, service, true, 2},
		{10 * time.Second, service, true, 3},
		{11 * time.Second, service, true, 3}, // the created one, warm
		{80 * time.Second, service, true, 1},
		{80 * time.Second, service, true, 2},
		{80 * time.Second, service, true, 3},                          // idle since 21 s: 59 s
		{2*time.Hour + 0*time.Second, service, true, 1},               // provisioned ones stay
		{2*time.Hour + 1*time.Second, service, true, 2},               //
		{2*time.Hour + 2*time.Second, service + time.Second, true, 3}, // the created one went away; credit is back
	} {
		hold, ok := c.Admit(step.at, service)
		if hold != step.hold || ok != step.ok || c.InUse() != step.used {
			t.Errorf("step %d at %v: hold %v, admitted %v, %d in use; want %v, %v, %d", i, step.at, hold, ok, c.InUse(), step.hold, step.ok, step.used)
		}
	}
}

// reference is Concurrency by enumeration: a list of environments, searched
// from end to end.
type reference struct {
	Environments
	credit *TokenBucket
	all    []env
}

type env struct {
	until       time.Duration
	provisioned bool
}

func (r *reference) admit(at, service time.Duration) (time.Duration, bool) {
	busy, best := 0, -1
	var kept []env
	for _, e := range r.all {
		if e.provisioned || e.until > at || at-e.until < r.KeepAlive {
			kept = append(kept, e)
		}
	}
	r.all = kept
	for i, e := range r.all {
		switch {
		case e.until > at:
			busy++
		case best < 0 || e.provisioned && !r.all[best].provisioned ||
			e.provisioned == r.all[best].provisioned && e.until > r.all[best].until:
			best = i
		}
	}
	if best >= 0 {
		r.all[best].until = at + service
		return service, true
	}
	if busy >= r.Limit || r.credit != nil && !r.credit.Admit(at, 1) {
		return 0, false
	}
	r.all = append(r.all, env{at + service + r.Init, false})
	return service + r.Init, true
}

func (r *reference) inUse(at time.Duration) (n int) {
	for _, e := range r.all {
		if e.until > at {
			n++
		}
	}
	return n
}

func TestConcurrencyAgreesWithEnumeration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := Environments{
			Limit:     rapid.IntRange(1, 12).Draw(t, "limit"),
			Step:      rapid.IntRange(0, 5).Draw(t, "step"),
			Per:       10 * time.Second,
			Init:      time.Duration(rapid.IntRange(0, 3).Draw(t, "init")) * time.Second,
			KeepAlive: time.Duration(rapid.IntRange(0, 20).Draw(t, "keep-alive")) * time.Second,
		}
		e.Provisioned = rapid.IntRange(0, e.Limit).Draw(t, "provisioned")
		c, r := NewConcurrency(e), &reference{Environments: e}
		if e.Step > 0 {
			r.credit = NewTokenBucket(float64(e.Step)/10, float64(e.Step))
		}
		for range e.Provisioned {
			r.all = append(r.all, env{provisioned: true})
		}
		var at time.Duration
		for i := range 150 {
			at += time.Duration(rapid.IntRange(0, 3).Draw(t, "gap")) * time.Second / 2
			service := time.Duration(rapid.IntRange(1, 12).Draw(t, "service")) * time.Second / 2
			hold, ok := c.Admit(at, service)
			wantHold, wantOK := r.admit(at, service)
			if hold != wantHold || ok != wantOK || c.InUse() != r.inUse(at) {
				t.Fatalf("request %d at %v: %v %v %d, want %v %v %d", i, at, hold, ok, c.InUse(), wantHold, wantOK, r.inUse(at))
			}
		}
	})
}

// services are distributions of mean 1 s: the loss doesn't depend on which.
var services = map[string]func(*rand.Rand) float64{
	"exponential": (*rand.Rand).ExpFloat64,
	"constant":    func(*rand.Rand) float64 { return 1 },
	"lognormal, CV 2": func(r *rand.Rand) float64 {
		s2 := math.Log(1 + 2*2)
		return math.Exp(math.Sqrt(s2)*r.NormFloat64() - s2/2)
	},
}

// poisson calls arrive for n Poisson arrivals of the given rate per second.
func poisson(n int, rate float64, seed uint64, arrive func(at time.Duration, r *rand.Rand)) {
	r := rand.New(rand.NewPCG(seed, 1))
	at := 0.0
	for range n {
		at += r.ExpFloat64() / rate
		arrive(time.Duration(at*float64(time.Second)), r)
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// erlangB is the share of Poisson arrivals that find all of c servers busy
// under an offered load of a: B_0 = 1, B_k = aB_(k-1) / (k + aB_(k-1)).
func erlangB(a float64, c int) float64 {
	b := 1.0
	for k := 1; k <= c; k++ {
		b = a * b / (float64(k) + a*b)
	}
	return b
}

func TestErlangB(t *testing.T) {
	for _, c := range []struct {
		a    float64
		c    int
		want float64
	}{{1, 1, .5}, {2, 2, .4}, {5, 10, .018385}, {10, 15, .036497}, {100, 117, .009790}, {500, 500, .034848}, {1000, 1029, .009942}, {20_000, 20_000, .005621}} {
		if got := erlangB(c.a, c.c); math.Abs(got-c.want) > 5e-7 {
			t.Errorf("B(%v,%d) = %.6f, want %.6f", c.a, c.c, got, c.want)
		}
	}
}

// Without a scaling limit the loss is Erlang's, whatever the distribution of
// the service time.
func TestConcurrencyLoss(t *testing.T) {
	for _, c := range []struct {
		a float64
		c int
		n int // arrivals
	}{{5, 10, 200_000}, {100, 117, 1_000_000}} {
		for name, service := range services {
			l := NewConcurrency(Environments{Limit: c.c, KeepAlive: time.Minute})
			lost := 0
			poisson(c.n, c.a, 1, func(at time.Duration, r *rand.Rand) {
				if _, ok := l.Admit(at, seconds(service(r))); !ok {
					lost++
				}
			})
			want := erlangB(c.a, c.c)
			if got := float64(lost) / float64(c.n); math.Abs(got/want-1) > 0.06 {
				t.Errorf("%d environments, load %v, %s service time: lost %.6f, want %.6f", c.c, c.a, name, got, want)
			}
		}
	}
}

// The share of requests that provisioned environments don't take is B(a,P).
func TestConcurrencyOverflow(t *testing.T) {
	l := NewConcurrency(Environments{Limit: 100_000, Provisioned: 500, Init: time.Second})
	const n = 500_000
	over := 0
	poisson(n, 500, 1, func(at time.Duration, r *rand.Rand) {
		service := seconds(r.ExpFloat64())
		hold, _ := l.Admit(at, service)
		if hold > service {
			over++
		}
		if l.Spilled() != (hold > service) {
			t.Fatalf("at %v a request holds for %v of %v; spilled: %v", at, hold, service, l.Spilled())
		}
	})
	if got, want := float64(over)/n, erlangB(500, 500); math.Abs(got/want-1) > 0.06 {
		t.Errorf("overflow %.5f, want %.5f", got, want)
	}
}

// With room for all, the environments in use are Poisson: 1,099 is exceeded by
// 0.1 % of a load of 1,000.
func TestConcurrencyPoissonTail(t *testing.T) {
	l := NewConcurrency(Environments{Limit: 100_000, KeepAlive: time.Minute})
	const n, ramp = 2_000_000, 20 * time.Second
	over, counted := 0, 0
	poisson(n, 1000, 1, func(at time.Duration, r *rand.Rand) {
		l.Admit(at, seconds(r.ExpFloat64()))
		if at > ramp {
			counted++
			if l.InUse()-1 > 1099 {
				over++
			}
		}
	})
	if got := float64(over) / float64(counted); got < 0.0005 || got > 0.002 {
		t.Errorf("P(N > 1099) = %.5f, want 0.001 within a factor of 2", got)
	}
}
