// Package model is the one truth about how a backend refuses load: a System is
// operations, what each of them charges, and the limiters that are charged.
//
// Everything happens in explicit time: Serve takes the instant of an arrival
// and returns what becomes of it. The sandbox calls it with wall-clock offsets
// behind real protocols and the simulator with virtual time, so both refuse
// the same requests. Nothing here reads a clock, starts a goroutine or opens a
// file of its own accord: Open reads through the fs.FS it is given.
//
// Parse and Open turn a System file into a System, which never changes. Start
// gives it state: a Backend, whose limiters are those of package limiter and
// whose random draws follow from a seed. A new kind of limiter is a file in
// package limiter, a Kind with its keys in parse.go and a case in newGate.
package model

import (
	"math"
	"time"

	"github.com/headroom-load/headroom/capacity/model/limiter"
)

// System is a backend as a System file describes it. It is immutable.
type System struct {
	Version     int
	Name        string
	Description string
	AsOf        string // the date that the limits were true, YYYY-MM-DD; may be empty
	// Schema names the GraphQL SDL file beside the System file, "" if there is
	// none. SDL is its text, read by Open; Parse leaves it nil.
	Schema     string
	SDL        []byte
	Limiters   []Limiter
	Operations []Operation
	Kafka      *Cluster // nil: there is none
}

// Kind is the rule that a limiter follows.
type Kind string

// The kinds of limiter; package limiter says what each does.
const (
	TokenBucket Kind = "token_bucket"
	Window      Kind = "window"
	Concurrency Kind = "concurrency"
	Partitions  Kind = "partitions"
	OnDemand    Kind = "on_demand"
	Queue       Kind = "queue"
	ItemSize    Kind = "item_size"
	KafkaQuota  Kind = "kafka_quota"
	Tasks       Kind = "tasks"
)

// Limiter is one limit of a System with its parameters. Which of them are set
// depends on Kind.
type Limiter struct {
	ID   string
	Kind Kind
	// Limit is an amount per second, or the level itself of a concurrency
	// limiter. Of partitions it is all of them together, which only evenly
	// spread keys can use: see ChargeSpec.Hottest.
	Limit float64
	Unit  string // of package unit
	// Burst is the most that can be charged at one instant: the capacity of a
	// token bucket or of one partition, else 0.
	Burst float64

	Partitions int           // of partitions and of a queue's nodes: how many share Limit equally
	Split      time.Duration // of partitions: after how long without a pause a hot one is split; 0: never
	Most       float64       // of on_demand: what it never exceeds; 0: no bound
	Servers    int           // of a queue: of each node
	Longest    time.Duration // of a queue and of tasks: the longest wait; 0: no bound
	Tracked    Tracked       // of tasks, of which Limit is what the most of them work off
	Saved      time.Duration // of partitions: how much time's unused capacity each one saves up

	// The following are a concurrency limiter's.
	Scaling     Scaling
	Provisioned int           // environments that are there from the start
	Init        time.Duration // start of a created environment, added to its first request
	KeepAlive   time.Duration // idle time after which a created environment goes away
	Requests    float64       // that each environment of Limit allows a second; 0: no bound
	Account     string        // limiter of the account that the function belongs to; "": none
	Reserved    bool          // whether Limit is reserved for the function in its account
}

// Scaling bounds how fast environments are created: Step at once, and as many
// again every Per, continuously. The zero Scaling is no bound.
type Scaling struct {
	Step int
	Per  time.Duration
}

// Tracked says how an ECS service's tasks follow what they are asked for.
type Tracked struct {
	limiter.Tracking
	Start time.Duration // until an added task works
	Late  time.Duration // until the metric of a minute is seen; whole minutes
}

// Operation is one kind of request that a System answers.
type Operation struct {
	Name        string
	ServiceTime Distribution
	Response    Response
	// Charges are tried in this order.
	Charges []ChargeSpec
}

// Response describes the answer of an operation.
type Response struct {
	Bytes int64 // size of the body; 0: not stated
}

// ChargeSpec is what one request of an operation charges to a limiter.
type ChargeSpec struct {
	Limiter string
	Amount  Amount
	// Share is the part of the requests that make the charge at all: behind a
	// cache, those that miss it. 0: all of them.
	Share float64
	// Hold says that an environment is held for the service time, which is how
	// a concurrency limiter is charged. Amount is 1 then.
	Hold bool
	// Keys says how requests spread over the limiter's partitions, and Hottest
	// which share of them meets in the one that is charged most: the limiter
	// binds at Limit/Partitions/Hottest. Both are of partitions only.
	Keys    Keys
	Hottest float64
	// Account is the limiter that is charged with this one, as Limiter.Account
	// says.
	Account string
}

// Mean returns what requests charge on average, those without the charge too; of
// an amount that changes, with the warm one.
func (c ChargeSpec) Mean() float64 { return c.share() * c.Amount.Mean() }

func (c ChargeSpec) share() float64 {
	if c.Share == 0 {
		return 1
	}
	return c.Share
}

// Amount is how much is charged, in the limiter's unit. It is one of three
// things: Cold until After has passed since the operation's first served
// request and Warm from then on; drawn from Mixture, where that is not empty; or
// lognormal with the quantiles P50 and P99, where these are not zero. A drawn
// amount is never more than the limiter could admit at once.
type Amount struct {
	Cold, Warm float64
	After      time.Duration
	Mixture    []Part
	P50, P99   float64
}

// AtMost returns the share of amounts that are at most so much.
func (a Amount) AtMost(v float64) (share float64) {
	switch {
	case len(a.Mixture) > 0:
		for _, p := range a.Mixture {
			if p.Amount <= v {
				share += p.Share
			}
		}
		return share
	case a.P99 > a.P50:
		sigma := math.Log(a.P99/a.P50) / z99
		return math.Erfc(-math.Log(v/a.P50)/sigma/math.Sqrt2) / 2
	}
	if max(a.Cold, a.P50) <= v {
		return 1
	}
	return 0
}

// Part is one amount of a mixture with the share of the requests that charge
// it. Shares are 1 together.
type Part struct{ Amount, Share float64 }

// Mean returns the mean of the amount; of one that changes, the warm one.
func (a Amount) Mean() float64 {
	switch {
	case len(a.Mixture) > 0:
		var mean float64
		for _, p := range a.Mixture {
			mean += p.Share * p.Amount
		}
		return mean
	case a.P50 > 0:
		sigma := math.Log(a.P99/a.P50) / z99
		return a.P50 * math.Exp(sigma*sigma/2)
	}
	return a.Warm
}

// Outcome is what becomes of one arrival.
type Outcome struct {
	// RefusedBy is the id of the limiter that refused the request, "" if it was
	// served.
	RefusedBy string
	// ServiceTime is how long the backend takes to answer, with the start of
	// the environments that were created. A refused request is answered at once
	// (0), or when the environment lets go that it already holds.
	ServiceTime time.Duration
	// Charges lists what was charged, in the order of the System file, up to
	// and with the refusal. What was charged stays charged. The slice is the
	// Backend's: it is valid until the next call of Serve.
	Charges []Charge
	// Tokens is the sum of what was charged to appsync.request-tokens.
	Tokens int64
	// ResponseBytes is the size of the answer's body where the System names
	// one, else 0.
	ResponseBytes int64
}

// Charge is one limiter's part in an outcome.
type Charge struct {
	Limiter string
	Number  int           // of the limiter in the System's order
	Amount  float64       // in the limiter's unit: tokens, bytes, environments; of a refused charge what it asked for
	Hold    time.Duration // how long a concurrency limiter's environment is held, with its start
	Level   float64       // of a concurrency limiter: environments in use, with this one
	Wait    time.Duration // how long the charge delays the request, where its limiter delays instead of refusing
	Refused bool
	// InProvisioned and Spilled say whether the request runs in a provisioned
	// environment of the limiter, or found every one of them busy; neither where it has
	// none, or the request is a function's that the account is charged with.
	InProvisioned, Spilled bool
}
