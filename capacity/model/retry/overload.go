package retry

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// Overload is a backend of one server with a queue, and clients that give up on
// it and try again. The server doesn't see who has given up: it does the work all
// the same.
type Overload struct {
	Rate     float64       // requests a second, Poisson
	Capacity float64       // requests a second that the server can do; times are exponential
	Queue    int           // that wait at most; more are refused at no cost. 0: no bound
	Newest   bool          // serve the newest first, not the oldest
	Timeout  time.Duration // of an attempt; 0: none
	Retry    Policy
	// Stall stops the server for a while: what starts the trouble.
	Stall, StallFor time.Duration
	For             time.Duration
	Seed            uint64
}

// Second is what happened in one second of an overload.
type Second struct {
	Requests int // that came
	Attempts int
	Good     int // answers in time
	Wasted   int // answers that nobody waited for
	Refused  int // attempts
	GivenUp  int // requests that failed for good
	InQueue  int // attempts, at the end
}

// Total adds up seconds.
func Total(seconds []Second) (t Second) {
	for _, s := range seconds {
		t.Requests, t.Attempts, t.Good = t.Requests+s.Requests, t.Attempts+s.Attempts, t.Good+s.Good
		t.Wasted, t.Refused, t.GivenUp = t.Wasted+s.Wasted, t.Refused+s.Refused, t.GivenUp+s.GivenUp
		t.InQueue = s.InQueue
	}
	return t
}

// Simulate returns the seconds of an overload. Equal seeds give equal ones.
func Simulate(o Overload) []Second {
	x := &overload{Overload: o, random: rand.New(rand.NewPCG(o.Seed, 1)), seconds: make([]Second, int(o.For/time.Second)+1)}
	if o.Retry.Budget != nil {
		x.budget = NewBudget(*o.Retry.Budget)
	}
	x.at(x.next(o.Rate), event{kind: arrives})
	for len(x.events) > 0 {
		e := heap.Pop(&x.events).(event)
		if e.at >= o.For {
			break
		}
		x.now = e.at
		x.happen(e)
		x.second().InQueue = len(x.waiting)
	}
	return x.seconds[:int(o.For/time.Second)]
}

type overload struct {
	Overload
	now     time.Duration
	random  *rand.Rand
	budget  *Budget
	events  events
	count   uint64 // of events, which orders those of one instant
	waiting []*attempt
	busy    bool
	seconds []Second
}

// attempt is one attempt of a request.
type attempt struct {
	number int // from 0
	waited time.Duration
	cost   int  // that the budget was charged
	over   bool // answered, or given up
}

type kind uint8

const (
	arrives kind = iota // a request
	tries               // an attempt that is a retry
	done                // the server, with an attempt
	expires             // an attempt's timeout
)

type event struct {
	at    time.Duration
	order uint64
	kind  kind
	*attempt
}

func (x *overload) at(at time.Duration, e event) {
	e.at, e.order = at, x.count
	x.count++
	heap.Push(&x.events, e)
}

// next returns an instant after an exponential gap of the given rate.
func (x *overload) next(rate float64) time.Duration {
	return x.now + time.Duration(x.random.ExpFloat64()/rate*1e9)
}

func (x *overload) second() *Second { return &x.seconds[x.now/time.Second] }

func (x *overload) happen(e event) {
	switch e.kind {
	case arrives:
		x.second().Requests++
		x.at(x.next(x.Rate), event{kind: arrives})
		x.try(&attempt{})
	case tries:
		x.try(e.attempt)
	case expires:
		if !e.over {
			e.over = true
			x.fail(e.attempt, true)
		}
	case done:
		x.busy = false
		if e.over {
			x.second().Wasted++
		} else {
			e.over = true
			x.second().Good++
			if x.budget != nil {
				x.budget.Success(e.cost)
			}
		}
		x.serve()
	}
}

// try sends an attempt.
func (x *overload) try(a *attempt) {
	x.second().Attempts++
	if x.Queue > 0 && len(x.waiting) >= x.Queue {
		x.second().Refused++
		x.fail(a, false)
		return
	}
	x.waiting = append(x.waiting, a)
	if x.Timeout > 0 {
		x.at(x.now+x.Timeout, event{kind: expires, attempt: a})
	}
	x.serve()
}

// serve takes the next attempt out of the queue, if the server is idle.
func (x *overload) serve() {
	if x.busy || len(x.waiting) == 0 {
		return
	}
	last := len(x.waiting) - 1
	a := x.waiting[0]
	if x.Newest {
		a = x.waiting[last]
		x.waiting = x.waiting[:last]
	} else {
		x.waiting = x.waiting[1:]
	}
	x.busy = true
	end := x.next(x.Capacity)
	if x.now < x.Stall+x.StallFor && end > x.Stall {
		end += x.Stall + x.StallFor - max(x.now, x.Stall)
	}
	x.at(end, event{kind: done, attempt: a})
}

// fail lets the client of a failed attempt try again, if its policy does.
func (x *overload) fail(a *attempt, timeout bool) {
	if a.number+1 >= x.Retry.Attempts {
		x.second().GivenUp++
		return
	}
	next := &attempt{number: a.number + 1}
	if x.budget != nil {
		var ok bool
		if next.cost, ok = x.budget.Retry(timeout); !ok {
			x.second().GivenUp++
			return
		}
	}
	next.waited = x.Retry.Wait(a.number, a.waited, x.random)
	x.at(x.now+next.waited, event{kind: tries, attempt: next})
}

// events is a heap by instant, and of one instant in turn.
type events []event

func (h events) Len() int { return len(h) }
func (h events) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}
func (h events) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *events) Push(e any)   { *h = append(*h, e.(event)) }
func (h *events) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}
