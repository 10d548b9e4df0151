package load

import (
	"time"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// Watcher is a Driver that sees more of its target than what becomes of each
// request.
type Watcher interface {
	// Watch returns what was seen since the call before, in series with one
	// point each that is stamped at and stands for period, and what happened. It
	// is called about once a second, by one goroutine.
	Watch(at time.Time, period time.Duration) ([]measure.Series, []Notice)
}

// Notice is something that happened to the target.
type Notice struct {
	At   time.Time
	For  time.Duration // 0 of an instant
	Kind string        // "broker", "leader"
	Text string
}
