// Package observe is the room where the use of quotas is read from outside: a
// Source answers what a metrics store holds, and a Collector asks it for the
// run's whole UTC minutes, waits until the values stand still, and leaves gaps
// as gaps. What is missing is never zero.
package observe

import (
	"context"
	"time"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// Source reads series from where they are kept.
type Source interface {
	// Read returns one series for each of want, in the same order, with the
	// points whose period begins in [from, to). A series that is not there, or
	// not yet, has no points, and that is no error. A label with the value
	// capacity.AnyValue asks for the sum over all its values as one series. The
	// returned names and labels are those that were really read. On an error,
	// what could be read is returned beside it, or nil for nothing.
	Read(ctx context.Context, want []measure.Series, from, to time.Time) ([]measure.Series, error)
}

// Clock is a Source that has a clock of its own, by which its periods begin.
type Clock interface {
	// Ahead returns by how much that clock is ahead of this machine's, to within a
	// second or so; ok is false as long as no answer told it.
	Ahead() (d time.Duration, ok bool)
}

// Settle returns how long the target's metrics may take to be complete after
// the last answer: the scenario's settle, else 0 for a sandbox, which publishes
// at once, and where no AWS API is asked, else 3 minutes plus the longest timeout
// of a load. No AWS page states a delay; third parties see 1-minute metrics after
// about 2 minutes, and a request is counted in the minute in which it came in.
func Settle(s *scenarios.Scenario) time.Duration {
	if s.Settle >= 0 {
		return s.Settle
	}
	if s.Target.Sandbox != "" || s.Target.AWS.Region == "" {
		return 0
	}
	var longest time.Duration
	for _, l := range s.Loads {
		longest = max(longest, l.Timeout)
	}
	return 3*time.Minute + longest
}
