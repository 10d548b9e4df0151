package load

import (
	"context"
	"time"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// Starter is a Request that needs no goroutine of its own to wait for its
// answer. Either all requests of a driver are Starters or none is.
type Starter interface {
	Request
	// Start sends the request and returns at once. When the answer is there it
	// fills s as Send does and calls done, exactly once, from any goroutine or
	// from Start itself. done(false) says that the request was refused by a full
	// buffer of this machine and never sent: the arrival counts as dropped, by
	// Saturation. After ctx is cancelled nobody waits for done any more; s must
	// not be touched after it was called.
	Start(ctx context.Context, s *measure.Sample, done func(sent bool))
}

// flight is a request that was started and has no answer yet. It is used again
// and again.
type flight struct {
	shot   shot
	sample measure.Sample
	done   func(sent bool)
	flying bool // r.mu guards it: false once the answer is there or was given up
}

// flights are the started requests of a load. The runner's mu guards them.
type flights struct {
	all       []*flight
	free      []*flight
	abandoned bool
}

func (f *flights) flying() int { return len(f.all) - len(f.free) }

// lock locks r.mu and returns what the clock shows, where now was just read:
// it is read again only after a wait.
func (r *runner) lock(now time.Duration) time.Duration {
	if r.mu.TryLock() {
		return now
	}
	r.mu.Lock()
	return r.now()
}

// begin starts s, whose turn it is at now, or lets it wait until an answer makes
// room.
func (r *runner) begin(s shot, now time.Duration) {
	now = r.lock(now)
	r.expire(now)
	if r.waiting.len() > 0 || r.flights.flying() >= max(r.plan.InFlight, 1) {
		s.cause = measure.Saturation
		r.waiting.push(s)
		r.mu.Unlock()
		return
	}
	f := r.board(s, now)
	r.mu.Unlock()
	r.launch(f)
}

// board makes a flight of s that is sent at now. r.mu is held.
func (r *runner) board(s shot, now time.Duration) *flight {
	var f *flight
	if n := len(r.flights.free); n > 0 {
		f, r.flights.free = r.flights.free[n-1], r.flights.free[:n-1]
	} else {
		f = new(flight)
		f.done = func(sent bool) { r.land(f, sent) }
		r.flights.all = append(r.flights.all, f)
	}
	f.shot, f.flying = s, true
	f.sample = measure.Sample{Op: r.plan.Ops[s.Operation], Measured: s.Measured, Intended: s.Intended, Sent: now, Tokens: measure.NoTokens}
	r.workers.Add(1)
	if r.flights.abandoned {
		r.giveUp(f)
		return nil
	}
	return f
}

func (r *runner) launch(f *flight) {
	if f != nil {
		f.shot.request.(Starter).Start(r.sending, &f.sample, f.done)
	}
}

// land records the answer of f and starts what waits for its place.
func (r *runner) land(f *flight, sent bool) {
	r.mu.Lock()
	if !f.flying {
		r.mu.Unlock()
		return
	}
	f.flying = false
	r.mu.Unlock()

	now := r.now()
	if sent {
		f.sample.Done = now
		r.rec.Record(0, &f.sample)
	} else {
		f.shot.cause = measure.Saturation
		r.drop(f.shot)
	}

	now = r.lock(now)
	f.shot = shot{}
	r.flights.free = append(r.flights.free, f)
	var next *flight
	if r.expire(now); r.waiting.len() > 0 {
		next = r.board(r.take(), now)
	}
	r.mu.Unlock()
	r.launch(next)
	r.workers.Done()
}

// abandon gives up what was started and not answered. It returns when the run's
// requests are given up, or landed is closed.
func (r *runner) abandon(landed <-chan struct{}) {
	select {
	case <-landed:
		return
	case <-r.sending.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flights.abandoned = true
	for _, f := range r.flights.all {
		if f.flying {
			r.giveUp(f)
		}
	}
}

// giveUp records f as unfinished. Its driver may still write to the sample, so
// neither is used again. r.mu is held.
func (r *runner) giveUp(f *flight) {
	s := measure.Sample{Op: f.sample.Op, Measured: f.sample.Measured, Intended: f.sample.Intended, Sent: f.sample.Sent, Done: r.now(), Outcome: measure.Unfinished, Tokens: measure.NoTokens}
	f.flying = false
	r.rec.Record(0, &s)
	r.workers.Done()
}
