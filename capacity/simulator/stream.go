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
	flying inFlight
}

func newStream(p *load.Plan, served []int) *stream {
	l := &stream{plan: p, served: served, drops: p.Load.Late != scenarios.Send}
	l.pull, l.stop = iter.Pull(p.Schedule.Arrivals(0, 1))
	return l
}

// advance takes the next arrival and reports false where there is none. All
// before it have been sent, so it is known when a place will be free.
func (l *stream) advance() bool {
	var more bool
	if l.next, more = l.pull(); !more {
		return false
	}
	l.sends = max(l.next.Intended, l.sends)
	if len(l.flying) >= l.plan.InFlight {
		l.sends = max(l.sends, l.flying[0].Done)
	}
	return true
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
