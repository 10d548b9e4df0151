// Package capacity is the room that says what load costs: which quotas it
// charged, how much of each it used, at which rate each one binds, and whether
// the run that says so can be believed.
//
// A Run is a whole rehearsal as its record holds it. VerdictOf and Assess turn
// a Run into figures; both are pure: no clock, no network, no files. Measured,
// simulated and imported runs go through the same two functions.
package capacity

import (
	"fmt"
	"slices"
	"time"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Kind says how a run came about.
type Kind string

// The kinds of run.
const (
	Measured  Kind = "measured"
	Simulated Kind = "simulated"
	Imported  Kind = "imported"
)

// State says how far a run came.
type State string

// The states of a run. A record that still says Running was cut off.
const (
	Running     State = "running"
	Complete    State = "complete"
	Interrupted State = "interrupted" // by the user
	Stopped     State = "stopped"     // by a stop rule
)

// Origin says where a quota's limit came from. A later origin in this list is
// overridden by an earlier one.
type Origin string

// The origins of a limit.
const (
	FromScenario      Origin = "scenario"       // the scenario's quotas:
	FromServiceQuotas Origin = "service-quotas" // the applied value that AWS answered
	FromBroker        Origin = "broker"         // the client quota that Kafka brokers say is in force
	FromSystem        Origin = "system"         // the sandbox's System file
	FromCatalogue     Origin = "catalogue"      // the dated default of the embedded catalogue
	FromThrottles     Origin = "throttles"      // what the run's own throttles tell of a limit that nobody named
)

// QuotaKind says what a limit bounds.
type QuotaKind string

// The kinds of quota.
const (
	RateQuota  QuotaKind = "rate"  // an amount per period
	LevelQuota QuotaKind = "level" // an amount at one instant, such as concurrency
	// FixedQuota is an amount that doesn't grow with the rate, such as the size of an
	// item: its use is the largest that was seen, and it binds at no rate.
	FixedQuota QuotaKind = "fixed"
)

// SmallerItems is what takes a limit of sizes out of the way.
const SmallerItems = "compress the value and cut it into chunks below the limit"

// NoRefusals is why a client quota of Kafka has no safe rate. It is among the notes
// of a quota whose binding rate is predicted all the same.
const NoRefusals = "a broker refuses nothing: above the binding rate records come late, so no rate is safe from refusals"

// Quota is one limit that load can run into.
type Quota struct {
	ID     string    `json:"id"`   // "appsync.request-tokens"
	Name   string    `json:"name"` // as the service's documentation calls it
	Kind   QuotaKind `json:"kind"`
	Limit  float64   `json:"limit"`            // per second for a rate, the amount itself otherwise
	Unit   string    `json:"unit"`             // of package unit: "tokens", "ops", "B", "environments", "RCU"
	Period string    `json:"period,omitempty"` // "s" for a rate, and for a fixed amount that is of each second
	Burst  float64   `json:"burst,omitempty"`  // bucket size where known, in Unit; 0: unknown
	// Windowed says that the limit counts in whole seconds, each from zero, and not
	// in a bucket that refills all the time; false also where nobody says.
	Windowed bool `json:"windowed,omitempty"`
	// Partitions is how many partitions of a table share what it may use; the limit is
	// that at which the one charged most is full. 0: none, or nobody says. Saved is how
	// many seconds of unused capacity each one saves up.
	Partitions int     `json:"partitions,omitempty"`
	Saved      float64 `json:"saved_s,omitempty"`
	// Each says that the limit is one for each "broker" or "partition" and not for
	// all of them: the one that is charged most runs into it.
	Each string `json:"each,omitempty"`
	// Requests is how many requests a second each unit of a level allows, however
	// short they are (Lambda: 10); 0: no such bound.
	Requests float64 `json:"requests_per_unit,omitempty"`
	// Provisioned is how many units of a level are allocated in advance; 0: none, or
	// nobody says.
	Provisioned float64 `json:"provisioned,omitempty"`
	Origin      Origin  `json:"origin"`
	// Source is the page, API or file that the limit was read from, and AsOf
	// the date of that reading (YYYY-MM-DD).
	Source     string `json:"source,omitempty"`
	AsOf       string `json:"as_of,omitempty"`
	Service    string `json:"service,omitempty"` // Service Quotas service code
	Code       string `json:"code,omitempty"`    // Service Quotas quota code
	Adjustable bool   `json:"adjustable"`
	// Overrides lists what the limit would have been by the origins it
	// overrides, nearest first.
	Overrides []Overridden `json:"overrides,omitempty"`
	// Loads names the loads that charge the quota; empty: all of them.
	Loads []string `json:"loads,omitempty"`
	// Operations names the operations that charge it; empty: all of the loads'.
	Operations []string `json:"operations,omitempty"`
	// Behind names the quotas that a request is held against before this one, as a
	// sandbox's System says: a request that one of them refuses doesn't charge it.
	Behind []string `json:"behind,omitempty"`
	// Notes are remarks on the limit that a reader must see beside it.
	Notes []string `json:"notes,omitempty"`
}

// Overridden is a limit that lost to one of a stronger origin.
type Overridden struct {
	Origin Origin  `json:"origin"`
	Limit  float64 `json:"limit"`
}

// OfSize reports whether q limits the size of single items.
func (q Quota) OfSize() bool { return q.Kind == FixedQuota && q.Unit == unit.Bytes }

// PerSecond reports whether the limit is an amount per second.
func (q Quota) PerSecond() bool { return q.Kind == RateQuota || q.Period != "" }

// Role says what a series tells about its quota.
type Role = string

// Roles of a series.
const (
	RoleUsage       Role = "usage"       // amount charged, in the quota's unit
	RoleThrottles   Role = "throttles"   // requests refused
	RoleRequests    Role = "requests"    // requests that reached the service
	RoleDuration    Role = "duration"    // how long a unit of a level is held, in seconds (Sum over requests)
	RoleClaimed     Role = "claimed"     // a level in use together with what is set aside of it, which is what its limit is held against
	RoleProvisioned Role = "provisioned" // requests that ran in units of a level that were allocated in advance
	RoleSpilled     Role = "spilled"     // requests that found all of these busy and ran in others
)

// Run is one rehearsal, as its record holds it.
type Run struct {
	Manifest Manifest
	Rows     measure.Rows
	// Latency holds the histograms of each flush interval.
	Latency []measure.Interval
	Series  []measure.Series
	Events  []Event
	// Damage says what of the record could not be read; empty for a whole one.
	Damage []string
}

// Until returns the instant up to which the run is known: its end, or of a
// record that was cut off before it, the end of the last second with a row.
func (r *Run) Until() time.Time {
	if !r.Manifest.End.IsZero() {
		return r.Manifest.End
	}
	seconds := 0
	for row := range r.Rows.All() {
		seconds = max(seconds, row.Second+1)
	}
	return r.Manifest.Start.Add(time.Duration(seconds) * time.Second)
}

// Length is how many seconds of the run are known.
func (r *Run) Length() float64 { return r.Until().Sub(r.Manifest.Start).Seconds() }

// Manifest describes a run: everything that was settled before its first byte,
// and how it ended.
type Manifest struct {
	Schema   string    `json:"schema"` // "headroom.record/1"
	ID       string    `json:"id"`
	Kind     Kind      `json:"kind"`
	State    State     `json:"state"`
	Start    time.Time `json:"start"`            // the instant that all durations of the run count from
	End      time.Time `json:"end,omitzero"`     // the last answer, or the instant of giving up; not known while Running
	Reason   string    `json:"reason,omitempty"` // why State is Interrupted or Stopped
	Scenario Scenario  `json:"scenario"`
	Target   string    `json:"target"` // for readers; no secrets
	// Region and Account are those of AWS whose quotas the run is held against.
	Region  string `json:"region,omitempty"`
	Account string `json:"account,omitempty"`
	Sandbox bool   `json:"sandbox"`
	// Fluid says of a simulated run that rates were followed, not single requests: what
	// didn't happen in it says nothing of how rarely it does.
	Fluid  bool    `json:"fluid,omitempty"`
	Loads  []Load  `json:"loads"`
	Quotas []Quota `json:"quotas"`
	// Expected lists the cloud series that were asked for, so that one that
	// never came is seen as missing.
	Expected []measure.Series `json:"expected,omitempty"`
	Settle   float64          `json:"settle_s"` // seconds waited for cloud data after the run
	Tool     Tool             `json:"tool"`
	Machine  Machine          `json:"machine"`
	// Notes are remarks that every report of the run must show, such as an
	// override of a refusal.
	Notes []string `json:"notes,omitempty"`
}

// Scenario is what a record keeps of its scenario file.
type Scenario struct {
	Name        string                `json:"name"`
	Description string                `json:"description,omitempty"`
	Digest      string                `json:"digest"`
	Source      string                `json:"source"`
	Forecast    float64               `json:"forecast,omitempty"` // arrivals per second
	Thresholds  []scenarios.Threshold `json:"thresholds,omitempty"`
	Stop        []scenarios.Threshold `json:"stop,omitempty"`
	Prices      []scenarios.Price     `json:"prices,omitempty"` // in the place of list prices
}

// Load is what a record keeps of a load: its plan, with defaults filled in.
type Load struct {
	Name       string      `json:"name"`
	Arrivals   string      `json:"arrivals"`
	Seed       uint64      `json:"seed"`
	Start      float64     `json:"start_s"`
	Stages     []Stage     `json:"stages"`
	Operations []Operation `json:"operations"`
	InFlight   int         `json:"in_flight"`
	Late       string      `json:"late"`
	Lateness   float64     `json:"lateness_s"`
	Timeout    float64     `json:"timeout_s"`
	Planned    int64       `json:"planned"` // arrivals of the realised schedule
}

// Kafka reports whether the load's operations produce records. All of a load's
// operations are of one kind.
func (l Load) Kafka() bool { return len(l.Operations) > 0 && l.Operations[0].Kind == "kafka" }

// OnlyKafka reports whether all arrivals of the run are records, and none is a request.
func (m *Manifest) OnlyKafka() bool {
	return len(m.Loads) > 0 && !slices.ContainsFunc(m.Loads, func(l Load) bool { return !l.Kafka() })
}

// Stage is one stretch of a load's profile; rates are arrivals per second.
type Stage struct {
	Name    string  `json:"name"`
	From    float64 `json:"from"`
	To      float64 `json:"to"`
	For     float64 `json:"for_s"`
	Measure bool    `json:"measure"`
	// Points draw the rate of a stage in which it goes in no straight line, by
	// straight lines from one to the next: the first is at its beginning, the last
	// at its end, and two at the same instant are a jump.
	Points []RatePoint `json:"points,omitempty"`
}

// PeakRate returns the stage's highest planned rate.
func (s Stage) PeakRate() float64 {
	peak := max(s.From, s.To)
	for _, p := range s.Points {
		peak = max(peak, p.Rate)
	}
	return peak
}

// RatePoint is a planned rate at an instant of its stage.
type RatePoint struct {
	At   float64 `json:"at_s"` // from the stage's beginning
	Rate float64 `json:"rate"`
}

// Operation is one operation of a load's mix.
type Operation struct {
	Name  string  `json:"name"`
	Kind  string  `json:"kind"`  // "graphql", "kafka"
	Share float64 `json:"share"` // of the load's arrivals
	// Served is the name by which the target knows the operation, where that is
	// another: the operation's name in a GraphQL document.
	Served string `json:"served,omitempty"`
	// Record is how the operation's records are produced, of Kafka operations.
	Record *Producer `json:"record,omitempty"`
}

// ServedAs returns the name by which the target knows the operation.
func (o Operation) ServedAs() string {
	if o.Served != "" {
		return o.Served
	}
	return o.Name
}

// Tool is the program that made the record.
type Tool struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Dirty    bool   `json:"dirty,omitempty"`
	Go       string `json:"go"`
}

// Machine is where the generator ran.
type Machine struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	CPUs  int    `json:"cpus"`
	Files int    `json:"files,omitempty"` // limit of open files
	// Calibration is what headroom calibrate found of this machine with this
	// program; nil where it was not run.
	Calibration *Calibration `json:"calibration,omitempty"`
}

// String says what the machine is, as linux/amd64, 2 CPUs; empty where a run had none,
// as a simulated one. What it was found able to do is no part of it.
func (m Machine) String() string {
	switch m.CPUs {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%s/%s, 1 CPU", m.OS, m.Arch)
	}
	return fmt.Sprintf("%s/%s, %d CPUs", m.OS, m.Arch, m.CPUs)
}

// Event is something that happened in the run.
type Event struct {
	At   float64 `json:"at_s"`            // from the run's start
	For  float64 `json:"for_s,omitempty"` // 0 of an instant
	Kind string  `json:"kind"`            // "stage", "stop", "interrupt", "settle", SourceFault, "broker", "leader", ClientQuotas, BrokerFault
	Text string  `json:"text"`
}
