package load

import (
	"time"

	"github.com/headroom-load/headroom/scenarios"
)

// Arrivals of a stage that reaches groupRate per second are released in groups,
// unless the load's pacing is precise: at such rates a wake-up for each costs as
// much as the request. Below, the machine wakes up for each anyway. A group is
// groupSize arrivals at the stage's peak rate, in at most groupTime.
const (
	groupRate = 3000
	groupSize = 5
	groupTime = time.Millisecond
)

// grouping returns the length of time whose arrivals of a stage are released
// together at its end, or 1 ns where each is released at its own instant.
func grouping(l scenarios.Load, stage scenarios.Stage) time.Duration {
	peak := stage.PeakRate()
	if l.Pacing == scenarios.Precise || peak < groupRate {
		return 1
	}
	return min(groupTime, max(time.Duration(groupSize/peak*float64(time.Second)), 1))
}

// pace releases each shot when it is due, and returns the number of the first
// arrival whose turn did not come.
func (r *runner) pace(shots <-chan shot) (next int64) {
	defer r.timer.close()
	groups := make([]time.Duration, len(r.plan.Load.Profile))
	for i, stage := range r.plan.Load.Profile {
		groups[i] = grouping(r.plan.Load, stage)
	}
	for {
		var s shot
		var more bool
		select { // the first costs less than both at once
		case s, more = <-shots:
		default:
			select {
			case s, more = <-shots:
			case <-r.stopped:
			}
		}
		if !more {
			return next
		}
		group := groups[s.Stage]
		due := (s.Intended + group - 1).Truncate(group)
		if !r.timer.wait(due) || !r.room() {
			return next
		}
		next++
		r.release(s, due)
	}
}

// timer waits for the instants of a run. It is for one goroutine.
type timer interface {
	// wait waits until an instant, counted from the run's start. It returns
	// false once the run is stopped.
	wait(until time.Duration) bool
	close()
}

// sleeper is a timer of the runtime, which on Linux is up to a millisecond late
// while the process is idle.
type sleeper struct {
	start   time.Time
	stopped <-chan struct{}
	timer   *time.Timer
	reached time.Duration // what the clock showed at least; to read it takes longer than the rest
}

func newSleeper(start time.Time, stopped <-chan struct{}) *sleeper {
	return &sleeper{start: start, stopped: stopped, timer: time.NewTimer(time.Hour)}
}

// passed reports whether an instant is over. It reads the clock where it must.
func (s *sleeper) passed(until time.Duration) bool {
	if until > s.reached {
		s.reached = time.Since(s.start)
	}
	return until <= s.reached
}

func (s *sleeper) wait(until time.Duration) bool {
	if s.passed(until) {
		select {
		case <-s.stopped:
			return false
		default:
			return true
		}
	}
	s.timer.Reset(until - s.reached)
	select {
	case <-s.timer.C:
		return true
	case <-s.stopped:
		return false
	}
}

func (s *sleeper) close() { s.timer.Stop() }
