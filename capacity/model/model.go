// Package model is the one truth about how a backend refuses load: a System is
// operations, what each of them charges, and the limiters that are charged.
//
// Everything happens in explicit time: Serve takes the instant of an arrival
// and returns what becomes of it. The sandbox calls it with wall-clock offsets
// behind real protocols and the simulator with virtual time, so both refuse
// the same requests. Nothing here reads a clock, starts a goroutine or opens a
// file.
package model

import "time"

// Outcome is what becomes of one arrival.
type Outcome struct {
	// RefusedBy is the id of the limiter that refused the request, "" if it was
	// served.
	RefusedBy string
	// ServiceTime is how long the backend takes to answer; of a refused request
	// too.
	ServiceTime time.Duration
	// Charges lists what was charged, in the order of the System file, up to
	// and with the refusal. What was charged stays charged.
	Charges []Charge
	// Tokens is the sum of the charges of appsync.request-tokens.
	Tokens int64
	// ResponseBytes is the size of the answer's body where the System names
	// one, else 0.
	ResponseBytes int64
}

// Charge is one limiter's part in an outcome.
type Charge struct {
	Limiter string
	Amount  float64       // in the limiter's unit: tokens, bytes, environments
	Hold    time.Duration // how long a concurrency limiter's environment is held
	Level   float64       // of a concurrency limiter: environments in use, with this one
	Refused bool
}
