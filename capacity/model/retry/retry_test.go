package retry

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Science R37.
func TestAmplification(t *testing.T) {
	for _, c := range []struct {
		f        float64
		attempts int
		want     float64
	}{{0, 3, 1}, {0.5, 3, 1.75}, {1, 3, 3}, {0.5, 1, 1}} {
		if got := Amplification(c.f, c.attempts); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("f %v, %d attempts: %v, want %v", c.f, c.attempts, got, c.want)
		}
	}
	if perSecond, f := Saturated(1100, 1000, 3); math.Abs(perSecond-1817) > 1 || math.Abs(f-0.45) > 0.001 {
		t.Errorf("1,100/s on 1,000/s: %.1f attempts/s of which %.4f fail, want 1,817 and 0.45", perSecond, f)
	}
	if perSecond, f := Saturated(900, 1000, 3); perSecond != 900 || f != 0 {
		t.Errorf("900/s on 1,000/s: %v attempts/s of which %v fail", perSecond, f)
	}
	if got := HiddenCapacity(300, 2); got != 150 {
		t.Errorf("hidden capacity %v, want 150", got)
	}
}

// Refusals that cost nothing leave the goodput at the capacity, with as many
// attempts as the fixed point says.
func TestFreeRefusals(t *testing.T) {
	o := Overload{
		Rate: 1100, Capacity: 1000, Queue: 50, For: 2 * time.Minute, Seed: 1,
		Retry: Policy{Attempts: 3, Base: time.Second, Cap: time.Second, Jitter: Full},
	}
	got := Total(Simulate(o)[20:])
	perSecond, failing := Saturated(o.Rate, o.Capacity, 3)
	for _, c := range []struct {
		what      string
		got, want float64
		within    float64
	}{
		{"goodput", float64(got.Good) / 100, 1000, 0.01},
		{"attempts", float64(got.Attempts) / 100, perSecond, 0.02},
		{"failing", float64(got.Refused) / float64(got.Attempts), failing, 0.04},
	} {
		if math.Abs(c.got/c.want-1) > c.within {
			t.Errorf("%s %.3f, want %.3f", c.what, c.got, c.want)
		}
	}
}

// Science R37: a backend of 300/s whose clients make two attempts and give up after a second
// stalls for ten seconds. At 280/s, above C/K = 150, it is down for good although
// nothing is wrong with it any more; at 149/s it recovers, and at 280/s too where
// the newest are served first or a budget bounds the retries.
func TestMetastable(t *testing.T) {
	o := Overload{
		Rate: 280, Capacity: 300, Queue: 900, Timeout: time.Second, Retry: Policy{Attempts: 2, Base: 100 * time.Millisecond, Jitter: Full},
		Stall: 30 * time.Second, StallFor: 10 * time.Second, For: 15 * time.Minute, Seed: 1,
	}
	for _, c := range []struct {
		name   string
		change func(*Overload)
		up     bool
	}{
		{"280/s without a stall", func(o *Overload) { o.StallFor = 0 }, true},
		{"280/s", func(*Overload) {}, false},
		{"149/s", func(o *Overload) { o.Rate = 149 }, true},
		{"280/s, newest first", func(o *Overload) { o.Newest = true }, true},
		{"280/s within the SDK's budget", func(o *Overload) { o.Retry.Budget = SDK().Budget }, true},
	} {
		x := o
		c.change(&x)
		seconds := Simulate(x)
		before, after := Total(seconds[10:30]), Total(seconds[len(seconds)-60:])
		if before.Good < before.Requests*95/100 {
			t.Errorf("%s: before the stall %d of %d are good", c.name, before.Good, before.Requests)
		}
		if share := float64(after.Good) / float64(after.Requests); c.up && share < 0.95 || !c.up && share > 0.05 {
			t.Errorf("%s: in the last minute %d of %d requests are good, %d answers wasted", c.name, after.Good, after.Requests, after.Wasted)
		}
	}
}

// Nothing is lost: attempts are answered, wasted, refused or under way.
func TestOverloadConserves(t *testing.T) {
	o := Overload{Rate: 200, Capacity: 100, Queue: 30, Timeout: 200 * time.Millisecond, Retry: SDK(), For: time.Minute, Seed: 3}
	seconds := Simulate(o)
	x := Total(seconds)
	if under := x.Attempts - x.Good - x.Wasted - x.Refused - x.InQueue; under < 0 || under > 1 {
		t.Errorf("%d attempts are unaccounted for of %+v", under, x)
	}
	if !slices.Equal(seconds, Simulate(o)) {
		t.Error("the same seed gives other seconds")
	}
}

// A client that only fails makes 500/5 retries, after timeouts 500/10; one that
// has five successes for each failure goes on.
func TestBudget(t *testing.T) {
	for _, timeout := range []bool{false, true} {
		b := NewBudget(*SDK().Budget)
		n := 0
		for {
			if _, ok := b.Retry(timeout); !ok {
				break
			}
			n++
		}
		if want := map[bool]int{false: 100, true: 50}[timeout]; n != want {
			t.Errorf("timeouts %v: %d retries, want %d", timeout, n, want)
		}
	}
	b := NewBudget(*SDK().Budget)
	for range 10_000 {
		cost, ok := b.Retry(false)
		if !ok || cost != 5 {
			t.Fatal("a retry for each five successes is refused")
		}
		for range 5 {
			b.Success(0)
		}
	}
	b.Retry(false)
	if b.Success(5); b.left != 500 {
		t.Errorf("after a retried success %d are left of 500", b.left)
	}
}

func TestWait(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	mean := func(p Policy, n int) float64 {
		var sum time.Duration
		before := time.Duration(0)
		for range 100_000 {
			w := p.Wait(n, before, r)
			if p.Cap > 0 && w > p.Cap || w < 0 {
				t.Fatalf("%s: retry %d waits %v", p.Jitter, n, w)
			}
			sum += w
			if p.Jitter == Decorrelated {
				before = w
			}
		}
		return (sum / 100_000).Seconds()
	}
	for _, c := range []struct {
		p      Policy
		n      int
		want   float64
		within float64
	}{
		{Policy{Base: time.Second, Cap: 20 * time.Second, Jitter: Full}, 0, 0.5, 0.01},
		{Policy{Base: time.Second, Cap: 20 * time.Second, Jitter: Full}, 3, 4, 0.01},
		{Policy{Base: time.Second, Cap: 20 * time.Second, Jitter: Full}, 9, 10, 0.01},
		{Policy{Base: time.Second, Jitter: None}, 3, 8, 0},
		{Policy{Base: time.Second, Cap: 5 * time.Second, Jitter: None}, 60, 5, 0},
	} {
		if got := mean(c.p, c.n); math.Abs(got/c.want-1) > c.within {
			t.Errorf("%s, retry %d: mean wait %.3f s, want %.3f", c.p.Jitter, c.n, got, c.want)
		}
	}
	// Decorrelated waits stay within base and cap.
	p := Policy{Base: time.Second, Cap: 20 * time.Second, Jitter: Decorrelated}
	if got := mean(p, 5); got < 1 || got > 20 {
		t.Errorf("decorrelated: mean wait %.3f s", got)
	}
}
