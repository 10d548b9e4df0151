package simulator

import (
	"time"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
)

// stream is one load's arrivals in turn and its requests in flight.
type stream struct {
	plan   *load.Plan
	served []int // the backend's numbers of the load's operations
	drops  bool

	next   *load.Cursor
	sends  time.Duration // when next is sent: at its instant, or when a place is free
	flying flying
}

func newStream(p *load.Plan, served []int) *stream {
	return &stream{plan: p, served: served, drops: p.Load.Late != scenarios.Send, next: p.Schedule.Cursor(), flying: newFlying(p.InFlight)}
}

// advance takes the next arrival and reports false where there is none. All before
// it have been sent, so it is known when a place will be free.
func (l *stream) advance() bool {
	if !l.next.Next() {
		return false
	}
	last := l.sends
	l.sends = max(l.next.Intended, last)
	if until, full := l.flying.full(last); full {
		l.sends = max(l.sends, until)
	}
	return true
}
