package limiter

import "time"

// Concurrency runs every request in an environment of its own, as AWS Lambda
// does. A request takes an idle environment, provisioned ones first and then
// the one used last. If none is idle a new one is created, which needs two
// things: fewer environments in use than the limit, and a unit of creation
// credit. Without either the request is refused.
//
// Creation credit is a token bucket: step environments per period, refilled
// continuously, at most step saved up (Lambda Developer Guide, "Lambda scaling
// behavior": 1,000 environments per 10 s and function, unused ones don't
// accrue). Provisioned environments are there from the start, need no credit
// and never go away; a created one does when it has been idle for the
// keep-alive time. Until November 2023 an account could create a burst of 500 to
// 3,000 by Region and 500 a minute then: the same bucket with other figures.
type Concurrency struct {
	limit           int
	init, keepAlive time.Duration
	credit          *TokenBucket // nil: creation is unlimited
	requests        *TokenBucket // nil: as many as the environments take
	provisioned     bool         // some environments are
	inProvisioned   bool         // the last request admitted runs in one of these

	busy  wheel
	ready int // idle provisioned environments
	// idle holds the instants since when created environments have been idle,
	// oldest first, from index oldest on.
	idle   []time.Duration
	oldest int
}

// Environments are the parameters of a Concurrency.
type Environments struct {
	Limit       int           // environments in use at once
	Provisioned int           // of Limit, those there from the start
	Step        int           // environments that may be created per Per; 0: as many as Limit allows
	Per         time.Duration // > 0 where Step is
	Init        time.Duration // added to the first request of a created environment
	KeepAlive   time.Duration // idle time after which a created environment goes away
	// Requests bounds the requests a second for each environment of Limit (Lambda:
	// 10, which binds before concurrency where requests take less than 100 ms); 0:
	// no bound.
	Requests float64
}

// NewConcurrency returns a limiter whose provisioned environments are idle.
func NewConcurrency(e Environments) *Concurrency {
	c := &Concurrency{limit: e.Limit, init: e.Init, keepAlive: e.KeepAlive, ready: e.Provisioned, busy: newWheel()}
	c.provisioned = e.Provisioned > 0
	if e.Requests > 0 {
		rate := e.Requests * float64(e.Limit)
		c.requests = NewTokenBucket(rate, rate)
	}
	if e.Step > 0 {
		c.credit = NewTokenBucket(float64(e.Step)/e.Per.Seconds(), float64(e.Step))
	}
	return c
}

// Admit lets a request run for the service time from the instant at on, if
// there is an environment for it. It returns how long the environment is held:
// the service time, and the init time where it had to be created.
func (c *Concurrency) Admit(at, service time.Duration) (hold time.Duration, ok bool) {
	c.advance(at)
	hold = service
	c.inProvisioned = false
	if c.requests != nil && !c.requests.Admit(at, 1) {
		return 0, false
	}
	switch {
	case c.ready > 0:
		c.ready--
		c.inProvisioned = true
	case len(c.idle) > c.oldest:
		c.idle = c.idle[:len(c.idle)-1]
	case c.busy.n < c.limit && (c.credit == nil || c.credit.Admit(at, 1)):
		hold += c.init
	default:
		return 0, false
	}
	c.busy.add(newLease(at+hold, c.inProvisioned))
	return hold, true
}

// InUse returns the environments in use at the instant of the last Admit.
func (c *Concurrency) InUse() int { return c.busy.n }

// InUseAt returns the environments in use at an instant, not before that of the
// last call.
func (c *Concurrency) InUseAt(at time.Duration) int {
	c.advance(at)
	return c.busy.n
}

// Spilled reports whether the last request admitted runs in a created environment
// because every provisioned one was busy; false where none is provisioned.
func (c *Concurrency) Spilled() bool { return c.provisioned && !c.inProvisioned }

// InProvisioned reports whether the last request admitted runs in a provisioned
// environment.
func (c *Concurrency) InProvisioned() bool { return c.inProvisioned }

// advance frees the environments whose requests have ended and drops those
// that have been idle too long.
func (c *Concurrency) advance(at time.Duration) {
	c.busy.turn(at)
	for l, ok := c.busy.ended(at); ok; l, ok = c.busy.ended(at) {
		if l.provisioned() {
			c.ready++
		} else {
			c.idle = append(c.idle, l.until())
		}
	}
	for c.oldest < len(c.idle) && at-c.idle[c.oldest] >= c.keepAlive {
		c.oldest++
	}
	if c.oldest > len(c.idle)/2 {
		c.idle = c.idle[:copy(c.idle, c.idle[c.oldest:])]
		c.oldest = 0
	}
}
