// Package scenarios is the room that says what load is: a Scenario names a
// target, the loads that are sent to it on one clock, what else is observed,
// the quotas that override the account's, and the thresholds and stop rules
// that judge the run.
//
// ParseFile turns a YAML file into values and reports every fault at once, each
// with file, line, column and the path of its key. Shape is checked here;
// meaning that needs another room (GraphQL documents, quota names) is checked
// by that room, which reports its faults through Scenario.Fault so that both
// are shown together.
//
// The ready-made scenarios are the *.yaml files of this folder, embedded in the
// program and run on the sandbox.
package scenarios

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/headroom-load/headroom/scenarios/strict"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Scenario is one parsed scenario file. Values are complete: defaults are
// filled in, environment variables are replaced and times are checked.
type Scenario struct {
	Version     int
	Name        string
	Description string
	Target      Target
	Loads       []Load
	Observe     []Observe
	// Quotas override Service Quotas and the catalogue, by quota id.
	Quotas []QuotaOverride
	// Prices stand in the place of list prices, by id.
	Prices []Price
	// Forecast is the arrival rate per second that the launch must survive. It
	// may lie far above what the run sends: what it requires of each quota is
	// arithmetic. Zero: the highest planned rate is taken.
	Forecast   float64
	Thresholds []Threshold
	Stop       []Threshold
	// Settle is how long cloud metrics may take to arrive after the run;
	// negative where the file leaves it to the target's default.
	Settle time.Duration

	// Files is the folder that the file's relative paths start from.
	Files fs.FS
	// Source is the file as it was read; environment variables appear in it by
	// name only, so it holds no secret.
	Source []byte
	// Digest is the SHA-256 of Source and of every file it names, in hex.
	Digest string

	document *strict.Document
}

// Fault returns a fault at the key with the given path ("loads[0].name"), or at
// its nearest ancestor in the file.
func (s *Scenario) Fault(path, problem, hint string) strict.Fault {
	return s.document.Fault(path, problem, hint)
}

// Target says where the load goes: to a sandbox, or to real endpoints.
type Target struct {
	// Sandbox is the name of a ready-made System or the path of a System file,
	// relative to the scenario. With it, nothing else of Target is set.
	Sandbox string
	AWS     AWS
	GraphQL *GraphQL
	Kafka   *Kafka
}

// AWS says which account's quotas and metrics belong to the target. Region ""
// means that no AWS API is asked.
type AWS struct {
	Region  string
	Account string
}

// GraphQL is a GraphQL endpoint over HTTP.
type GraphQL struct {
	Endpoint string
	// Literal says that the file itself names the endpoint's host: no part of
	// it came from an environment variable.
	Literal bool
	Auth    Auth
	HTTP2   bool // speak HTTP/2 rather than HTTP/1.1
	// Schema is the path of an SDL file that documents are checked against;
	// empty: documents are checked for syntax only.
	Schema string
	// Headers are sent with every request, in the file's order.
	Headers []Header
}

// Auth is how requests are authorised; at most one field is set.
type Auth struct {
	APIKey string // header x-api-key
	Bearer string // header Authorization: an OIDC, Cognito or Lambda authorizer token, sent as it is written
	IAM    bool   // AWS Signature Version 4, service appsync, credentials from the AWS chain
}

// Header is one HTTP header.
type Header struct{ Name, Value string }

// Arrivals is the process that places a load's arrivals.
type Arrivals string

// The arrival processes.
const (
	Poisson Arrivals = "poisson"
	Uniform Arrivals = "uniform"
	// Replay repeats counts of arrivals from a file, which is the load's profile
	// too: as many arrivals in each interval as the file says, evenly spread.
	Replay Arrivals = "replay"
)

// Late says what happens to an arrival that can't be sent within its lateness
// budget.
type Late string

// Late policies.
const (
	Drop Late = "drop" // count it as dropped, with its cause
	Send Late = "send" // send it late; its response time counts from its intended instant
)

// Pacing says how exactly arrivals are released.
type Pacing string

// Pacings.
const (
	// DefaultPacing releases five arrivals together, and at most those of a
	// millisecond, in stages that reach 3,000/s; each at its own instant in others.
	DefaultPacing Pacing = "default"
	// Precise releases each arrival at its own instant, which at 5,000/s takes
	// about twice the CPU.
	Precise Pacing = "precise"
)

// Load is one stream of arrivals with its own profile and operation mix.
type Load struct {
	Name     string
	Arrivals Arrivals
	Seed     uint64
	// Start is when the load begins, from the beginning of the run.
	Start      time.Duration
	Profile    []Stage
	Operations []Operation
	// InFlight bounds the requests that wait for an answer; 0: sized from the
	// plan (peak rate x 5 s within 64 and 20,000; of Kafka records x Timeout
	// within 64 and 200,000).
	InFlight int
	Late     Late
	Lateness time.Duration
	Pacing   Pacing
	Timeout  time.Duration
}

// Duration returns the length of the load's profile, without its Start.
func (l Load) Duration() time.Duration {
	var d time.Duration
	for _, s := range l.Profile {
		d += s.For
	}
	return d
}

// PeakRate returns the highest planned rate of the profile, per second.
func (l Load) PeakRate() float64 {
	var peak float64
	for _, s := range l.Profile {
		peak = max(peak, s.PeakRate())
	}
	return peak
}

// RateAt returns the planned rate at an instant of the run, per second.
func (l Load) RateAt(t time.Duration) float64 {
	t -= l.Start
	for _, s := range l.Profile {
		if t >= 0 && t < s.For {
			return s.RateAt(t)
		}
		t -= s.For
	}
	return 0
}

// sends reports whether the load sends an operation; "" is any.
func (l Load) sends(operation string) bool {
	return operation == "" || slices.ContainsFunc(l.Operations, func(o Operation) bool { return o.Name == operation })
}

// measuresSecond reports whether a whole second of the run lies in measured stages.
func (l Load) measuresSecond() bool {
	at := l.Start
	second := at // the first whole one since stages are measured
	for _, s := range l.Profile {
		if at += s.For; !s.Measure {
			second = at
			continue
		}
		if second = (second + time.Second - 1).Truncate(time.Second); second+time.Second <= at {
			return true
		}
	}
	return false
}

// Stage is one stretch of a profile. A hold keeps To throughout; a ramp goes
// linearly from From, the rate at which the previous stage ended (0 for the
// first), to To; From of a hold equals To. Rates are arrivals per second.
type Stage struct {
	Name     string
	Ramp     bool
	From, To float64
	For      time.Duration
	// Curve, if not nil, says how the rate goes from From to To in no straight
	// line.
	Curve Curve
	// Measure is false for stages, such as a warm-up, whose requests are sent
	// and counted against quotas but left out of the operations' statistics.
	Measure bool
}

// RateAt returns the rate at an instant that counts from the stage's beginning.
func (s *Stage) RateAt(t time.Duration) float64 {
	if s.Curve != nil {
		return s.Curve.Rate(t)
	}
	return s.From + (s.To-s.From)*(float64(t)/float64(s.For))
}

// PeakRate returns the stage's highest rate.
func (s *Stage) PeakRate() float64 {
	if s.Curve != nil {
		return s.Curve.Peak()
	}
	return max(s.From, s.To)
}

// Arrivals returns how many arrivals the stage plans.
func (s *Stage) Arrivals() float64 {
	if s.Curve != nil {
		return s.Curve.Expected(s.For)
	}
	return (s.From + s.To) / 2 * s.For.Seconds()
}

// Operation is one kind of request in a load's mix: either a GraphQL request or
// a Kafka record.
type Operation struct {
	Name    string
	Weight  float64 // share within the load is Weight over the load's sum
	GraphQL *GraphQLOperation
	Kafka   *KafkaOperation
}

// GraphQLOperation is a GraphQL request.
type GraphQLOperation struct {
	Document      string // the text, whether it stood inline (query) or in a file (document)
	DocumentFile  string // the file it came from, or ""
	OperationName string // which operation of the document; "" where it has only one
	// Variables is the variables object as JSON with ${row.x} placeholders kept
	// inside strings, and $${ for a literal ${. A string that is one placeholder
	// and nothing else takes the row value's own type. Nil: no variables.
	Variables []byte
	Rows      *Rows
	Headers   []Header
}

// Rows is data for placeholders, one row for each arrival in turn of the
// arrival's number.
type Rows struct {
	File    string
	Columns []string
	// Values holds each row's values in the order of Columns, each a JSON value.
	// Those of a CSV file are strings.
	Values [][]string
}

// Observe names something whose usage is read while the run goes on. Exactly
// one field is set.
type Observe struct {
	Lambda   string // function name
	DynamoDB string // table name
	Momento  string // cache name
	// KafkaGroup is a consumer group of Target.Kafka.
	KafkaGroup string
	MSK        string // name of the Amazon MSK cluster that Target.Kafka is
}

// QuotaOverride is a quota set by the scenario: an amount for a level, an
// amount and a period for a rate.
type QuotaOverride struct {
	ID     string
	Amount float64 // per Per where Per > 0
	Thing  string
	Per    time.Duration
}

// PerSecond returns the override's limit per second, or the level itself.
func (q QuotaOverride) PerSecond() float64 {
	if q.Per == 0 {
		return q.Amount
	}
	return unit.Rate{Amount: q.Amount, Thing: q.Thing, Per: q.Per}.PerSecond()
}

// Price is what so much of something costs, in US dollars.
type Price struct {
	ID     string  `yaml:"id,required" json:"id" doc:"Which price it is." eg:"lambda.duration"`
	USD    float64 `yaml:"usd,required" json:"usd" doc:"US dollars." eg:"0.0000166667"`
	Per    float64 `yaml:"per,required" json:"per" doc:"For how many units." eg:"1"`
	Unit   string  `yaml:"unit,required" json:"unit" doc:"What is paid for." eg:"GB-s"`
	Source string  `yaml:"source,required" json:"source" doc:"Where the price is from, for readers of the report." eg:"contract of 2026"`
	AsOf   string  `yaml:"as_of,required" json:"as_of" doc:"Day on which it held." eg:"\"2026-04-01\""`
}

// String tells the price for a reader: "0.2 USD for 1,000,000 requests".
func (p Price) String() string {
	per := unit.Digits(p.Per) + " " + p.Unit
	if p.Unit == unit.Bytes {
		per = unit.HumanBytes(p.Per)
	}
	return fmt.Sprintf("%s USD for %s", strconv.FormatFloat(p.USD, 'f', -1, 64), per)
}

// Threshold is a bound on one figure of a run: metric, what it is of, a
// comparison and a value, such as "p99(listPrograms) < 800ms".
type Threshold struct {
	Text   string
	Metric string // p50 p90 p95 p99 p999 mean max, errors throttled dropped, tokens, rate, headroom utilization binds_at; of stop rules also cost, in US dollars
	Of     string // an operation or a quota id; "" where the metric is of the whole run
	Op     string // < <= > >=
	// Value is in base units: seconds, a fraction, a number per second, tokens.
	Value float64
}

// Holds reports whether the figure v satisfies the threshold.
func (t Threshold) Holds(v float64) bool {
	switch t.Op {
	case "<":
		return v < t.Value
	case "<=":
		return v <= t.Value
	case ">":
		return v > t.Value
	default:
		return v >= t.Value
	}
}
