package measure

import (
	"time"

	hdrhistogram "github.com/HdrHistogram/hdrhistogram-go"
)

// What an Interval's histogram holds.
const (
	ResponseTimes = "response" // done - intended of ok answers, and of timeouts at least their timeout; microseconds
	ServiceTimes  = "service"  // done - sent of completed requests; microseconds
	Lags          = "lag"      // sent - intended of sent requests; microseconds
	TokenCounts   = "tokens"   // tokens of one answer
)

// Interval is one operation's histogram over one flush interval. Only requests
// of measured stages are in it.
type Interval struct {
	Load, Operation string
	Kind            string
	Start, End      time.Duration // from the run's start
	Histogram       *hdrhistogram.Histogram
}
