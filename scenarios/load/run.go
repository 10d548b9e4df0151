package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// How far requests are prepared ahead of their intended instants: signatures
// age, and memory is bounded.
const (
	aheadTime  = 60 * time.Second
	aheadCount = 1000
)

// moment is the longest time after its instant at which an arrival is still
// released on time, and how long every worker must have been away before one
// that is late gets a new worker. It is longer than a timer is late on a machine
// that isn't overloaded.
const moment = 2 * time.Millisecond

// While late arrivals wait for workers that come back all the time, one in
// catchUp arrivals still brings a new worker, as those that are there may be just
// enough for the rate and would never work the late ones off.
const catchUp = 4

// Run sends the arrivals of all plans, whose intended instants count from
// start, and returns when the last answer is in and every goroutine has ended.
//
// When ctx is done no further arrival is sent: those whose turn hasn't come are
// recorded as not due, and the requests in flight are waited for. When abort is
// closed these are given up too, and count as Unfinished.
//
// Everything is recorded in rec. Every arrival of the schedules is planned once
// and then either sent (Record), dropped or not due. The cause of a drop is
// Saturation where all the requests that the in-flight limit allows were waiting
// for the target, and Generator where this machine had the arrival ready too
// late. With the policy scenarios.Send nothing is dropped while the run goes on.
func Run(ctx context.Context, abort <-chan struct{}, start time.Time, plans []Plan, rec *measure.Recorder) {
	arriving, stop := context.WithCancel(ctx)
	defer stop()
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()

	var watch, loads sync.WaitGroup
	ended := make(chan struct{})
	watch.Go(func() {
		select {
		case <-abort:
			stop()
			giveUp()
		case <-ended:
		}
	})
	for _, p := range plans {
		r := newRunner(p, start, arriving.Done(), sending, rec)
		loads.Go(r.run)
	}
	loads.Wait()
	close(ended)
	watch.Wait()
}

// runner runs one load. Three kinds of goroutine hand its arrivals on: a feeder
// prepares the requests ahead, a pacer releases each when it is due, and
// workers, as many as are needed at once, send them.
type runner struct {
	plan    Plan
	rec     *measure.Recorder
	start   time.Time
	stopped <-chan struct{}
	sending context.Context
	drops   bool
	budget  time.Duration
	timer   timer // the pacer's

	// A worker is idle from the moment it offers itself until it is given a
	// shot, however long it then takes to wake up. A new one, and with it a new
	// connection, comes when an arrival is on time and all others have a request
	// in flight. Arrivals that this machine released late wait for workers that
	// come back: all that fell due in a stall would otherwise start one each.
	mu       sync.Mutex
	idle     []chan shot // the last to fall idle is the first to be used
	started  int
	waiting  queue
	free     time.Duration // when a worker was last free
	relief   *time.Timer   // calls relieve; nil before the first time
	relieved bool          // relief is not under way
	sought   time.Duration // when relief was last sought
	handed   atomic.Int64  // shots that were handed to workers who didn't begin to send them yet
	closed   bool
	taken    chan struct{} // signalled when a shot leaves waiting
	flights  flights       // of a driver whose requests are Starters
	workers  sync.WaitGroup
}

// shot is an arrival on its way.
type shot struct {
	Arrival
	request Request       // nil where there was no time to prepare one
	err     error         // of Prepare
	cause   measure.Cause // of dropping it, should it become too late
}

func newRunner(p Plan, start time.Time, stopped <-chan struct{}, sending context.Context, rec *measure.Recorder) *runner {
	r := &runner{
		plan: p, rec: rec, start: start, stopped: stopped, sending: sending,
		drops: p.Load.Late != scenarios.Send, budget: p.Load.Lateness,
		taken: make(chan struct{}, 1), relieved: true,
	}
	r.timer = newExact(start, stopped)
	return r
}

func (r *runner) now() time.Duration { return time.Since(r.start) }

// expired reports whether it is too late to send a at now.
func (r *runner) expired(a Arrival, now time.Duration) bool {
	return r.drops && now-a.Intended > r.budget
}

func (r *runner) run() {
	shots := make(chan shot, aheadCount)
	var feeder sync.WaitGroup
	feeder.Go(func() { r.feed(shots) })

	landed := make(chan struct{})
	var abandoning sync.WaitGroup
	abandoning.Go(func() { r.abandon(landed) })

	next := r.pace(shots)
	r.settle()
	r.skip(next)

	r.mu.Lock()
	r.closed = true
	if !r.relieved && r.relief.Stop() {
		r.workers.Done()
	}
	for _, w := range r.idle {
		close(w)
	}
	r.mu.Unlock()
	r.workers.Wait()
	close(landed)
	abandoning.Wait()
	feeder.Wait()
}

// feed prepares the requests in turn. Once it is so far behind that one is too
// late, it leaves out all that are due already: to try each would make all of
// them just too late.
func (r *runner) feed(shots chan<- shot) {
	defer close(shots)
	timer := newSleeper(r.start, r.stopped)
	defer timer.close()
	behind := false
	for a := range r.plan.Schedule.Arrivals(0, 1) {
		if !timer.wait(a.Intended - aheadTime) {
			return
		}
		s := shot{Arrival: a}
		if r.drops {
			now := r.now()
			behind = r.expired(a, now) || behind && a.Intended < now
		}
		if !behind {
			s.request, s.err = r.plan.Driver.Prepare(a)
		}
		select { // the first costs less than both at once
		case shots <- s:
		default:
			select {
			case shots <- s:
			case <-r.stopped:
				return
			}
		}
	}
}

// room waits until another shot may wait for a worker. Where late arrivals are
// dropped there always is room, as none waits for longer than its budget.
func (r *runner) room() bool {
	if r.drops {
		return true
	}
	for {
		r.mu.Lock()
		n := r.waiting.len()
		r.mu.Unlock()
		if n < aheadCount {
			return true
		}
		select {
		case <-r.taken:
		case <-r.stopped:
			return false
		}
	}
}

// release hands a shot that was due at due to a worker, or lets it wait for one.
func (r *runner) release(s shot, due time.Duration) {
	op, now := r.plan.Ops[s.Operation], r.now()
	r.rec.Plan(op, s.Intended, s.Measured)
	switch {
	case r.expired(s.Arrival, now) || s.request == nil && s.err == nil:
		r.rec.Drop(op, s.Intended, s.Measured, measure.Generator)
		return
	case s.err != nil:
		r.rec.Record(0, &measure.Sample{
			Op: op, Measured: s.Measured, Intended: s.Intended, Sent: now, Done: now,
			Outcome: measure.GeneratorError, Reason: s.err.Error(), Tokens: measure.NoTokens,
		})
		return
	}
	if _, ok := s.request.(Starter); ok {
		r.begin(s, now)
		return
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.idle); n > 0 {
		worker := r.idle[n-1]
		r.idle = r.idle[:n-1]
		r.free = now
		r.handed.Add(1)
		worker <- s // has room: an idle worker was given nothing
		return
	}
	r.expire(now)
	behind := r.waiting.len() > 0
	switch {
	case r.full():
		s.cause = measure.Saturation
		r.waiting.push(s)
	case now-due <= moment && (!behind || r.away(now) || s.N%catchUp == 0):
		r.waiting.push(s)
		r.employ()
	default:
		r.waiting.push(s)
		r.seekRelief()
	}
}

// full reports whether there are all the workers that may be. r.mu is held.
func (r *runner) full() bool { return r.started >= max(r.plan.InFlight, 1) }

// away reports whether no worker was free for a moment. r.mu is held.
func (r *runner) away(now time.Duration) bool { return now-r.free >= moment }

// employ starts a worker on the shot that has waited longest. r.mu is held.
func (r *runner) employ() {
	id, s := r.started, r.take()
	r.started++
	r.handed.Add(1)
	r.workers.Go(func() { r.work(id, s) })
}

// pause is how long shots wait before they are looked after.
const pause = moment + groupTime/2

// seekRelief has the waiting shots looked after in a moment, between the releases
// of two groups. r.mu is held.
func (r *runner) seekRelief() {
	if !r.relieved {
		return
	}
	r.relieved, r.sought = false, r.now()
	r.workers.Add(1)
	if r.relief == nil {
		r.relief = time.AfterFunc(pause, r.relieve)
	} else {
		r.relief.Reset(pause)
	}
}

// relieve starts workers, a quarter more at a time, on shots that wait while no
// worker comes back. Where workers that were handed a shot didn't begin to send
// it, or relieve comes late itself, they wait for this machine, and more of them
// would make that worse.
func (r *runner) relieve() {
	defer r.workers.Done()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.relieved = true
	if now := r.now(); r.away(now) && r.handed.Load() == 0 && now-r.sought <= 2*pause {
		for range 1 + r.started/4 {
			if r.closed || r.full() || r.waiting.len() == 0 {
				return
			}
			r.employ()
		}
	}
	if !r.closed && !r.full() && r.waiting.len() > 0 {
		r.seekRelief()
	}
}

// expire drops the waiting shots that have become too late. r.mu is held.
func (r *runner) expire(now time.Duration) {
	for r.waiting.len() > 0 && r.expired(r.waiting.first().Arrival, now) {
		r.drop(r.waiting.pop())
	}
}

// take returns the shot that has waited longest. r.mu is held.
func (r *runner) take() shot {
	select {
	case r.taken <- struct{}{}:
	default:
	}
	return r.waiting.pop()
}

func (r *runner) drop(s shot) {
	r.rec.Drop(r.plan.Ops[s.Operation], s.Intended, s.Measured, s.cause)
}

// settle waits until no shot waits for a worker: each was sent, or dropped when
// its time was over. Shots that wait when the run is stopped are dropped.
func (r *runner) settle() {
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		r.mu.Lock()
		r.expire(r.now())
		if r.waiting.len() == 0 {
			r.mu.Unlock()
			return
		}
		if r.drops {
			wake.Reset(r.waiting.first().Intended + r.budget + 1 - r.now())
		} else {
			wake.Stop()
		}
		r.mu.Unlock()
		select {
		case <-r.taken:
		case <-wake.C:
		case <-r.stopped:
			r.mu.Lock()
			for r.waiting.len() > 0 {
				r.drop(r.waiting.pop())
			}
			r.mu.Unlock()
			return
		}
	}
}

// skip records the arrivals from next on as not due.
func (r *runner) skip(next int64) {
	counts := make([]int64, len(r.plan.Ops))
	for span := range r.plan.Schedule.spans(next) {
		r.plan.Schedule.operations(span.first, span.end, counts)
		for i, n := range counts {
			if n > 0 {
				r.rec.NotDue(r.plan.Ops[i], span.intended, span.measured, n)
			}
		}
	}
}

// work sends s and then whatever it is given, until the load has ended.
func (r *runner) work(id int, s shot) {
	offers := make(chan shot, 1)
	var sample measure.Sample
	for more, handed := true, true; more; {
		if handed {
			r.handed.Add(-1)
		}
		now := r.now()
		if r.expired(s.Arrival, now) {
			r.drop(s)
		} else {
			sample = measure.Sample{Op: r.plan.Ops[s.Operation], Measured: s.Measured, Intended: s.Intended, Sent: now, Tokens: measure.NoTokens}
			s.request.Send(r.sending, &sample)
			now = r.now()
			sample.Done = now
			r.rec.Record(id, &sample)
		}
		s, handed, more = r.next(offers, now)
	}
}

// next returns the shot that has waited longest, or one that is handed over
// through offers. There is no more of them when the load has ended.
func (r *runner) next(offers chan shot, now time.Duration) (s shot, handed, more bool) {
	r.mu.Lock()
	r.free = now
	if r.waiting.len() > 0 {
		s := r.take()
		r.mu.Unlock()
		return s, false, true
	}
	if r.closed {
		r.mu.Unlock()
		return shot{}, false, false
	}
	r.idle = append(r.idle, offers)
	r.mu.Unlock()
	s, more = <-offers
	return s, true, more
}

// queue is shots in the order in which they came.
type queue struct {
	shots []shot
	head  int
}

func (q *queue) len() int     { return len(q.shots) - q.head }
func (q *queue) first() *shot { return &q.shots[q.head] }

func (q *queue) push(s shot) {
	if len(q.shots) == cap(q.shots) && q.head >= len(q.shots)/2 {
		n := copy(q.shots, q.shots[q.head:])
		clear(q.shots[n:])
		q.shots, q.head = q.shots[:n], 0
	}
	q.shots = append(q.shots, s)
}

func (q *queue) pop() shot {
	s := q.shots[q.head]
	q.shots[q.head] = shot{}
	q.head++
	return s
}
