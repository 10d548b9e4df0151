// Package load is the room that decides when each request is sent and sends it
// then: a Schedule knows the intended instant of every arrival of a load before
// the run begins, a Driver makes its request ahead of time, and Run sends them
// open loop: at their instants, whatever the target does.
//
// An arrival that can't be sent within its load's lateness budget is dropped
// and counted with its cause, never sent in a burst to catch up. What a slow
// target holds up is charged to the target: response times count from the
// intended instant.
//
// Arrival, Request and measure.Sample stand where vegeta has Pacer, Targeter and
// Result. A Pacer is asked how long to wait and never told which instant it was
// for, and a Result has one time where a request here has three: of what a late
// generator does to the figures neither can tell. What is sent is still a
// vegeta.Target (package graphql).
package load

import (
	"context"
	"math"
	"time"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// Arrival is one planned request of a load. All of it is a pure function of the
// load and N.
type Arrival struct {
	N         int64         // from 0, in the order of the intended instants
	Intended  time.Duration // from the run's start
	Stage     int           // index into the load's profile
	Operation int           // index into the load's operations
	Measured  bool          // whether its stage is measured
}

// Driver makes the requests of one load.
type Driver interface {
	// Prepare makes the request of an arrival: everything that needs no answer
	// (variables, body, signature). Run calls it from one goroutine per load,
	// at most a minute ahead of the intended instant and outside of every
	// measured time. An arrival whose Prepare failed counts as sent with the
	// outcome GeneratorError, at once, and the error is its reason.
	Prepare(a Arrival) (Request, error)
	// Close releases what the driver holds. Whoever made the driver calls it,
	// after Run has returned.
	Close() error
}

// Warmer is a Driver that can open connections ahead of the load.
type Warmer interface {
	// Warm opens connections until n are open, perSecond of them a second. It
	// returns when all are open, one has failed or ctx is done.
	Warm(ctx context.Context, n int, perSecond float64) error
}

// Request is one request that is ready to be sent.
type Request interface {
	// Send sends the request, waits for its whole answer and fills Outcome,
	// Reason, Tokens, BytesIn and BytesOut of s. Tokens is NoTokens before;
	// Run stamps Sent and Done around the call. Send keeps the load's timeout
	// itself, and returns soon after ctx is cancelled, with Unfinished.
	Send(ctx context.Context, s *measure.Sample)
}

// Plan is one load of a run, ready to go.
type Plan struct {
	Load     scenarios.Load
	Schedule *Schedule
	Driver   Driver
	Ops      []int // the recorder's index of each of the load's operations
	InFlight int   // how many requests may wait for their answer at once; see InFlightLimits
}

// InFlightLimits returns how many requests of each of a run's loads may be in
// flight at once: what the scenario says or else five seconds of the load's peak
// rate, within 64 and 20,000. Together the latter stay within half of files, the
// process's limit of open files (0: not known), less what the scenario says of
// other loads; where that is too little, they share what goes beyond 64 in
// proportion. Each gets at least one.
//
// Kafka records wait in memory rather than on connections: what the scenario
// doesn't bound is the peak rate times the timeout, within 64 and 200,000.
func InFlightLimits(loads []scenarios.Load, files int) []int {
	const least, most, mostRecords = 64, 20_000, 200_000
	limits := make([]int, len(loads))
	left, wanted, n := files/2, 0, 0
	for i, l := range loads {
		if limits[i] = l.InFlight; l.Kafka() {
			if l.InFlight == 0 {
				limits[i] = int(min(max(math.Ceil(l.PeakRate()*l.Timeout.Seconds()), least), mostRecords))
			}
			continue
		}
		if l.InFlight > 0 {
			left -= l.InFlight
			continue
		}
		limits[i] = int(min(max(math.Ceil(5*l.PeakRate()), least), most))
		wanted += limits[i]
		n++
	}
	if files > 0 && n > 0 && wanted > left {
		base := min(least, max(left, 0)/n)
		for i, l := range loads {
			if l.InFlight > 0 || l.Kafka() {
				continue
			}
			if limits[i] -= base; limits[i] > 0 {
				limits[i] = limits[i] * max(left-n*base, 0) / (wanted - n*base)
			}
			limits[i] = max(base+limits[i], 1)
		}
	}
	return limits
}
