package capacity

import (
	"fmt"
	"time"

	"github.com/headroom-load/headroom/scenarios/unit"
)

// Calibration is what a machine could do with one version of the program
// against a server in another process that does nothing but answer, over
// loopback: what the generator itself is able to, so that a run's figures are
// known to be the target's. Times are in seconds.
type Calibration struct {
	At         time.Time `json:"at"`
	Tool       string    `json:"tool"` // the program's version
	OS         string    `json:"os"`
	Arch       string    `json:"arch"`
	CPUs       int       `json:"cpus"`
	GOMAXPROCS int       `json:"gomaxprocs"`

	// Timer is how late timers fired in the idle process.
	Timer Spread `json:"timer"`
	// Ceiling is the highest rate of requests, per second, that the program
	// reached over HTTP/1.1 with Connections of them under way at any time (closed
	// loop).
	Ceiling     float64 `json:"ceiling"`
	Connections int     `json:"connections"`
	// CeilingHTTP2 is the same over HTTP/2, with as many requests under way as fill a
	// connection for each processor; 0 where it was not measured.
	CeilingHTTP2 float64 `json:"ceiling_http2,omitempty"`
	// Open is a run at a fraction of the ceiling, with every arrival due at an
	// instant of its own plan.
	Open OpenLoop `json:"open_loop"`
	// Stall is the self-test of response times.
	Stall StallTest `json:"stall"`
}

// Spread is a distribution of times in seconds.
type Spread struct {
	N   int64   `json:"n"`
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// OpenLoop is what a run at a fixed rate cost.
type OpenLoop struct {
	Rate   float64 `json:"rate"`  // arrivals per second
	For    float64 `json:"for_s"` // of the measured stage
	Status Status  `json:"status"`
	// Reason says which checks failed, where Status is not Valid.
	Reason string `json:"reason,omitempty"`
	Lag    Spread `json:"lag"`
	// CPU is the program's processor time for one request, 0 where the system
	// doesn't tell.
	CPU float64 `json:"cpu_per_request_s"`
}

// StallTest is a run through one stall of the server. At a constant rate, a run
// of length For with a stall of length Stall has the p-quantile
// Stall - (1-p)*For of the response time, where that is positive.
type StallTest struct {
	Rate      float64         `json:"rate"`
	For       float64         `json:"for_s"`
	Stall     float64         `json:"stall_s"`
	Quantiles []StallQuantile `json:"quantiles"`
	// Error is the largest difference of a printed quantile from its closed
	// form, as a fraction; nil where none was printed.
	Error  *float64 `json:"error"`
	Passed bool     `json:"passed"`
	// Reason says why it did not pass.
	Reason string `json:"reason,omitempty"`
}

// StallQuantile is one quantile of a StallTest. Printed is nil where the run
// withheld it.
type StallQuantile struct {
	P       float64  `json:"p"`
	Want    float64  `json:"want"`
	Printed *float64 `json:"printed"`
}

// CeilingOver returns the ceiling over HTTP/2 or HTTP/1.1; 0 where it isn't known.
func (c *Calibration) CeilingOver(http2 bool) float64 {
	switch {
	case c == nil:
		return 0
	case http2:
		return c.CeilingHTTP2
	}
	return c.Ceiling
}

// String says in one line what a reader of a run wants to know of it.
func (c *Calibration) String() string {
	stall := "FAILED"
	if c.Stall.Passed && c.Stall.Error != nil {
		stall = unit.HumanShare(*c.Stall.Error)
	}
	two := ""
	if c.CeilingHTTP2 > 0 {
		two = ", " + unit.Human(c.CeilingHTTP2) + " over HTTP/2"
	}
	s := fmt.Sprintf("ceiling %s requests/s over HTTP/1.1%s, lag p99 %s at %s/s, stall self-test %s (%s)",
		unit.Human(c.Ceiling), two, unit.HumanSeconds(c.Open.Lag.P99), unit.Human(c.Open.Rate), stall, c.At.Format(time.DateOnly))
	if c.Open.Status != Valid {
		s += ", the open loop was " + string(c.Open.Status)
	}
	return s
}
