package capacity

import (
	"math"
	"slices"

	"github.com/headroom-load/headroom/scenarios"
)

// A request that timed out tells no response time, only that it would have been
// longer: it is censored. It stands among the response times with the time at which it
// was given up, so that a percentile below the timeout is right, and one that isn't
// is the least it can have been. So is the mean.

// never is the response time from which on those of an operation are censored that
// had an answer to every request.
var never = math.Inf(1)

// censored returns from how many seconds on the operation's measured response times are
// censored.
func (a *analysis) censored(op *operation) float64 {
	if op.measured.TimedOut == 0 {
		return never
	}
	l, _ := a.load(op.Load)
	return l.Timeout
}

// ofResponses reports whether a threshold bounds response times.
func ofResponses(t scenarios.Threshold) bool {
	return slices.Contains([]string{"p50", "p90", "p95", "p99", "p999", "mean", "max"}, t.Metric)
}

// censoredFrom returns from which value on what a threshold bounds is only known to be
// at least so much.
func (a *analysis) censoredFrom(t scenarios.Threshold) float64 {
	from := never
	for _, op := range a.ops {
		if ofResponses(t) && (t.Of == "" || t.Of == op.Name) {
			from = min(from, a.censored(op))
		}
	}
	if t.Metric == "mean" && from < never {
		return 0
	}
	return from
}
