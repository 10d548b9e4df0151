package simulator

import (
	"iter"
	"time"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// stream is one load's arrivals in turn and its requests in flight.
type stream struct {
	plan   *load.Plan
	served []int // the backend's numbers of the load's operations
	drops  bool

	pull   func() (load.Arrival, bool)
	stop   func()
	next   load.Arrival
	sends  time.Duration // when next is sent: at its instant, or when a place is free
	flying flying
}

func newStream(p *load.Plan, served []int, answered func(*measure.Sample)) *stream {
	return &stream{plan: p, served: served, drops: p.Load.Late != scenarios.Send, flying: newFlying(p.InFlight, answered)}
}

// begin makes ready to advance; stop must follow.
func (l *stream) begin() { l.pull, l.stop = iter.Pull(l.plan.Schedule.Arrivals(0, 1)) }

// advance takes the next arrival and reports false where there is none.
func (l *stream) advance() bool {
	a, more := l.pull()
	if more {
		l.take(a)
	}
	return more
}

// take makes an arrival the next one. All before it have been sent, so it is known
// when a place will be free.
func (l *stream) take(a load.Arrival) {
	last := l.sends
	l.next, l.sends = a, max(a.Intended, l.sends)
	if until, full := l.flying.full(last); full {
		l.sends = max(l.sends, until)
	}
}

// inFlight is the requests that wait for their answers: a heap by Done.
type inFlight []measure.Sample

func (h *inFlight) push(s measure.Sample) {
	*h = append(*h, s)
	q := *h
	i := len(q) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if q[parent].Done <= s.Done {
			break
		}
		q[i] = q[parent]
		i = parent
	}
	q[i] = s
}

func (h *inFlight) pop() measure.Sample {
	q := *h
	first, last := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	*h = q
	if len(q) == 0 {
		return first
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(q) {
			break
		}
		if child+1 < len(q) && q[child+1].Done < q[child].Done {
			child++
		}
		if last.Done <= q[child].Done {
			break
		}
		q[i] = q[child]
		i = child
	}
	q[i] = last
	return first
}
