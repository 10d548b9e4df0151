// Package measure is the room of what was seen: one Sample for each request,
// additive Rows of counters for each second and operation, HDR histograms of
// times, and Series of values that came from elsewhere.
//
// A sample keeps three instants, all counted from the start of the run:
// intended, sent and done. Response time = done - intended, service time =
// done - sent, lag = sent - intended.
//
// What is kept of a long run hardly grows in memory with its length: Rows and Points
// are packed on a Shelf, which has the most of it in a file.
package measure

import "time"

// Outcome is what became of a request that was sent. Every sent request has
// exactly one.
type Outcome uint8

// The outcomes. The first five are completed requests, whose answer was read to
// its end or was cut or refused by the other side.
const (
	OK             Outcome = iota // a whole answer without errors
	Throttled                     // refused by a quota: 429, or a throttle type in errors[]
	Failed                        // any other errors[], 5xx, connection refused or reset, body cut
	Rejected                      // 401, 403, other 4xx, Unauthorized types
	Unclassified                  // a 2xx that is no GraphQL answer
	TimedOut                      // no whole answer within the load's timeout: Done - Sent is at least that
	GeneratorError                // this machine could not send: ports, files, DNS
	Unfinished                    // the run was interrupted before the answer came
)

// Outcomes names each Outcome as reports and records spell it.
var Outcomes = [...]string{"ok", "throttled", "failed", "rejected", "unclassified", "timed_out", "generator_error", "unfinished"}

func (o Outcome) String() string { return Outcomes[o] }

// NoTokens is the Tokens of a sample whose answer had no token header: not
// measured, which is not zero.
const NoTokens = -1

// Sample is one request that was sent.
type Sample struct {
	Op       int  // index into the recorder's operations
	Measured bool // false in stages with measure: false
	Intended time.Duration
	Sent     time.Duration
	Done     time.Duration
	Outcome  Outcome
	// Reason says why an outcome is not OK: an errorType, "HTTP 502",
	// "connection refused". A small closed set of strings: no ids, no messages.
	Reason   string
	Tokens   int64 // NoTokens where not measured
	BytesIn  int64 // body bytes read
	BytesOut int64 // body bytes written
}

// Attempt is one of several that a client makes at a request.
type Attempt struct {
	Sent, Done time.Duration
	Tokens     int64 // NoTokens where not measured
	First      bool  // that measured tokens
}

// Operation names one operation of one load; names are unique within a run.
type Operation struct {
	Load string `json:"load"`
	Name string `json:"name"`
}

// Slots is the number of parts into which arrival counts split a second.
const Slots = 10

// Row is what one operation did in one second. Rows are additive: a record may
// hold several rows for the same second and operation, and their sum counts.
// Each field says by which of a request's instants it is placed in a second.
type Row struct {
	Second    int    `json:"second"` // [Second, Second+1) s from the run's start
	Load      string `json:"load"`
	Operation string `json:"operation"`
	Measured  bool   `json:"measured"`

	// By the intended instant. Planned = Sent + DroppedGenerator +
	// DroppedSaturation + NotDue.
	Planned           int64 `json:"planned,omitempty"`
	Sent              int64 `json:"sent,omitempty"`
	DroppedGenerator  int64 `json:"dropped_generator,omitempty"`
	DroppedSaturation int64 `json:"dropped_saturation,omitempty"`
	NotDue            int64 `json:"not_due,omitempty"` // planned but not reached when the run was stopped

	// By the done instant (Unfinished: by the instant of giving up).
	OK              int64 `json:"ok,omitempty"`
	Throttled       int64 `json:"throttled,omitempty"`
	Failed          int64 `json:"failed,omitempty"`
	Rejected        int64 `json:"rejected,omitempty"`
	Unclassified    int64 `json:"unclassified,omitempty"`
	TimedOut        int64 `json:"timed_out,omitempty"`
	GeneratorErrors int64 `json:"generator_errors,omitempty"`
	Unfinished      int64 `json:"unfinished,omitempty"`

	// Tokens are summed by the sent and by the done instant, of each attempt where
	// clients make several; TokensN counts the requests whose answer carried the
	// header, by the done instant of the first answer that did.
	TokensSent int64 `json:"tokens_sent,omitempty"`
	TokensDone int64 `json:"tokens_done,omitempty"`
	TokensN    int64 `json:"tokens_n,omitempty"`
	// TokensNSent counts the same requests by the sent instant.
	TokensNSent int64 `json:"tokens_n_sent,omitempty"`

	BytesIn  int64 `json:"bytes_in,omitempty"`  // by the done instant
	BytesOut int64 `json:"bytes_out,omitempty"` // by the done instant

	// InFlight is the time, in seconds, that requests, or their attempts, spent
	// between sent and done within this second: the mean number in flight during it.
	InFlight float64 `json:"in_flight,omitempty"`

	// PlannedSlots counts intended instants (but of NotDue) and SentSlots sent
	// instants in each tenth of the second.
	PlannedSlots [Slots]int64 `json:"planned_slots"`
	SentSlots    [Slots]int64 `json:"sent_slots"`

	// Reasons counts "outcome reason" ("failed Lambda:Unhandled"), by the done
	// instant. A run tells 32 apart; the rest is "outcome other".
	Reasons map[string]int64 `json:"reasons,omitempty"`
}

// Point is one value of a series. At is the start of its period.
type Point struct {
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
}

// Series is one metric over time, with what is needed to judge it: where it
// came from, its statistic and its period. A missing point is missing, never
// zero.
type Series struct {
	Source    string            `json:"source"` // "cloudwatch", "generator"
	Namespace string            `json:"namespace,omitempty"`
	Metric    string            `json:"metric"`
	Labels    map[string]string `json:"labels,omitempty"` // CloudWatch dimensions
	// Quota is the id of the quota that the series is evidence for, and Role
	// what it says of it (see capacity.Role).
	Quota     string        `json:"quota,omitempty"`
	Role      string        `json:"role,omitempty"`
	Statistic string        `json:"statistic"` // Sum, Maximum, Average
	Unit      string        `json:"unit,omitempty"`
	Period    time.Duration `json:"period"` // in nanoseconds
	Points    Points        `json:"points"`
}
