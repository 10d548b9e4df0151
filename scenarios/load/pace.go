package load

import (
	"time"

	"github.com/headroom-load/headroom/scenarios"
)

// Arrivals of a stage that reaches groupRate per second are released together
// at the end of each groupTime, unless the load's pacing is precise: at such
// rates a wake-up for each costs as much as the request. Below, the machine
// wakes up for each anyway.
const (
	groupRate = 3000
	groupTime = time.Millisecond
)

// pace releases each shot when it is due, and returns the number of the first
// arrival whose turn did not come.
func (r *runner) pace(shots <-chan shot) (next int64) {
	defer r.timer.close()
	grouped := make([]bool, len(r.plan.Load.Profile))
	for i := range grouped {
		grouped[i] = r.plan.Load.Pacing != scenarios.Precise && r.plan.Load.Profile[i].PeakRate() >= groupRate
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
		due := s.Intended
		if grouped[s.Stage] {
			due = (due + groupTime - 1).Truncate(groupTime)
		}
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
