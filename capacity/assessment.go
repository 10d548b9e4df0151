package capacity

import "math"

// Status is a run's own verdict, before the system under test gets one.
type Status string

// The statuses of a run.
const (
	Valid        Status = "VALID"
	Invalid      Status = "INVALID"      // the generator is at fault; no prediction is printed
	Inconclusive Status = "INCONCLUSIVE" // the data does not carry a conclusion
)

// CheckStatus is the result of one check.
type CheckStatus string

// The results of a check.
const (
	Passed        CheckStatus = "passed"
	CheckFailed   CheckStatus = "failed"
	NotApplicable CheckStatus = "not_applicable"
)

// Check is one named condition that a run must meet to be believed.
type Check struct {
	Name   string      `json:"name"`
	Status CheckStatus `json:"status"`
	Value  string      `json:"value"` // the figure, with its unit
	Bound  string      `json:"bound"`
	Hint   string      `json:"hint"` // what to do where it failed
	// Blames is the status that the check's failure gives the run.
	Blames Status `json:"-"`
}

// Verdict says whether a run can be believed, and by which checks.
type Verdict struct {
	Status Status  `json:"status"`
	Checks []Check `json:"checks"`
}

// Grade says how far a predicted rate lies from what was tested.
type Grade string

// The grades of a prediction. Arithmetic is no prediction.
const (
	Tested     Grade = "tested"     // up to the highest tested rate
	Supported  Grade = "supported"  // to 1.5 times it
	Indicative Grade = "indicative" // to 3 times it
	Refused    Grade = "refused"    // beyond: no rate is printed
	Arithmetic Grade = "arithmetic"
)

// Estimate is a figure with its 95 % interval.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Prediction is a rate in arrivals per second of the loads that charge a quota.
// Rate, Low and High are nil where the grade is Refused.
type Prediction struct {
	Rate  *float64 `json:"rate"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
	Grade Grade    `json:"grade"`
}

// Times is a distribution of times in seconds. A percentile p is nil where
// n(1-p) < 10. Percentiles and mean are nil where the assessment withholds them
// (TimesWithheld).
type Times struct {
	N    int64    `json:"n"`
	Mean *float64 `json:"mean"`
	P50  *float64 `json:"p50"`
	P90  *float64 `json:"p90"`
	P95  *float64 `json:"p95"`
	P99  *float64 `json:"p99"`
	P999 *float64 `json:"p999"`
	Max  *float64 `json:"max"`
	// AtLeast names those of the figures above ("mean", "p50" to "p999", "max") that
	// are no more than lower bounds, because requests timed out whose answers would
	// have come later. They have no interval.
	AtLeast []string `json:"at_least,omitempty"`
	// The percentiles above are of this run. Intervals holds, by name ("p50" to
	// "p999"), the 95 % interval of the service's own, for a run of this load that
	// never ended, where n_eff(1-p) >= 20: n_eff is how many independent answers
	// the run's are worth. NeedsSeconds says of the others how many more seconds
	// of the same load they take. Both are of response times only, and empty where
	// the run is too short (twenty steps of its record) to tell.
	Intervals    map[string]Range   `json:"intervals,omitempty"`
	NeedsSeconds map[string]float64 `json:"needs_seconds,omitempty"`
	// Grows says that response times still grew while a rate was held. Then neither
	// is given: a run that never ended would have no percentiles.
	Grows bool `json:"grows,omitempty"`
}

// Range is where a figure lies with 95 % confidence.
type Range struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// TokenUse is the token ledger of one operation. Total and N count every
// answer, those of stages with measure: false too, as the quota does; the other
// fields are of measured stages. Its pointers are nil where no answer carried
// the header.
type TokenUse struct {
	Total *int64   `json:"total"`
	N     int64    `json:"n"`    // answers that carried the header
	Mean  *float64 `json:"mean"` // exact
	P99   *float64 `json:"p99"`  // where n(1-p) >= 10
	Max   *float64 `json:"max"`
}

// OperationResult is what one operation did in the measured stages.
type OperationResult struct {
	Load            string           `json:"load"`
	Name            string           `json:"name"`
	Planned         int64            `json:"planned"`
	Sent            int64            `json:"sent"`
	Dropped         int64            `json:"dropped"`
	NotDue          int64            `json:"not_due"`
	Completed       int64            `json:"completed"`
	TimedOut        int64            `json:"timed_out"`
	GeneratorErrors int64            `json:"generator_errors"`
	Unfinished      int64            `json:"unfinished"`
	OK              int64            `json:"ok"`
	Throttled       int64            `json:"throttled"`
	Failed          int64            `json:"failed"`
	Rejected        int64            `json:"rejected"`
	Unclassified    int64            `json:"unclassified"`
	ResponseTime    Times            `json:"response_time"`
	ServiceTime     Times            `json:"service_time"`
	Lag             Times            `json:"lag"`
	Tokens          TokenUse         `json:"tokens"`
	Reasons         map[string]int64 `json:"reasons,omitempty"`
}

// OperationCost is an operation's own unit cost of a quota.
type OperationCost struct {
	Load     string  `json:"load"`
	Name     string  `json:"name"`
	UnitCost float64 `json:"unit_cost"`
}

// LoadCost is what one request of a load that charges a quota charges of it. Loads of
// one shape, which sums don't tell apart, have the mean of them together.
type LoadCost struct {
	Load     string  `json:"load"`
	UnitCost float64 `json:"unit_cost"`
}

// Requirement is what a target rate needs of a quota: target times unit cost,
// arithmetic and not a prediction.
type Requirement struct {
	Target float64 `json:"target"` // arrivals per second
	Quota  float64 `json:"quota"`  // in whole ones of the quota's unit, per second for a rate
	Grade  Grade   `json:"grade"`  // always Arithmetic
}

// WholeUnits rounds what is required of a quota up to whole units, since a part of
// one can't be had and less would not do. The rounding of floating point, up to a
// billionth, asks for no more.
func WholeUnits(required float64) float64 {
	if whole := math.Round(required); math.Abs(required-whole) <= 1e-9*whole {
		return whole
	}
	return math.Ceil(required)
}

// QuotaResult is what a run says of one quota. Pointers are nil where the run
// doesn't say.
type QuotaResult struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Kind        QuotaKind `json:"kind"`
	Limit       float64   `json:"limit"`
	Unit        string    `json:"unit"`
	Period      *string   `json:"period"` // "s", or null for anything but a rate
	Origin      Origin    `json:"origin"`
	Source      string    `json:"source,omitempty"`
	AsOf        string    `json:"as_of,omitempty"`
	Code        string    `json:"code,omitempty"`
	Peak        *float64  `json:"peak"`        // highest use, per second for a rate; of a fixed quota the largest seen
	PeakAt      *float64  `json:"peak_at"`     // seconds from the run's start
	Utilization *float64  `json:"utilization"` // Peak / Limit
	Headroom    *float64  `json:"headroom"`    // 1 - Utilization
	// UnitCost is the mean charge of one arrival of the loads that charge the
	// quota; for a level, the mean time it is held, in seconds. Of loads that rise and
	// fall at different times it is what they charge together in the plan's busiest
	// instant for each arrival of their highest rate, which every rate here then is.
	UnitCost *Estimate `json:"unit_cost"`
	// ColdCost is the unit cost in the run's dearest ten seconds (minute, where
	// it is known by the minute only), at least that of the whole run; of a level
	// that of the second in which most was held, where chance doesn't explain it. What
	// a spike requires is reckoned with it.
	ColdCost *float64 `json:"cold_unit_cost"`
	// Others is what others use of the quota beside the run, per second of a rate and at
	// once of a level, where it is told apart: it is taken out of what binds, and in what is
	// required.
	Others *float64 `json:"others,omitempty"`
	// MostHeldAt is that second, where ColdCost is told by it: while units start, or a
	// backend stands still.
	MostHeldAt  *float64        `json:"most_held_at,omitempty"`
	ByOperation []OperationCost `json:"by_operation"`
	// Variation is how unevenly single charges come, those of nothing too: their mean
	// square over the square of their mean, 1 where all are alike; nil of a level, and
	// where the run doesn't tell.
	Variation *float64 `json:"charge_variation,omitempty"`
	// BusiestAt is that instant, in seconds of the run; nil of loads that keep their
	// proportion.
	BusiestAt *float64 `json:"busiest_at,omitempty"`
	// ByLoad is of loads that rise and fall at different times, where sums tell what each
	// of them charges.
	ByLoad  []LoadCost  `json:"by_load,omitempty"`
	BindsAt *Prediction `json:"binds_at"`
	// BindsAtMost is the rate above which the quota binds for certain, where what it
	// refused hides what a request charges: BindsAt and UnitCost are nil then.
	BindsAtMost *float64 `json:"binds_at_most,omitempty"`
	// BindsFirst is the probability that the quota binds before all others whose
	// cost is known, by the same draws as the intervals; nil where no binding rate
	// may be predicted.
	BindsFirst *float64     `json:"binds_first"`
	SafeRate   *Prediction  `json:"safe_rate"`
	Required   *Requirement `json:"required"`
	// Resolution says in which steps the use is known and how: "1s ledger",
	// "60s sum, spread over the client's seconds", "60s maximum".
	Resolution string   `json:"resolution"`
	Coverage   *float64 `json:"coverage"` // share of the run's minutes that had a point; nil for the ledger
	Throttled  *int64   `json:"throttled"`
	// SpillOver is nil where nothing is known of units that are allocated in advance.
	SpillOver *SpillOver `json:"spill_over,omitempty"`
	// Bound says that brokers made the run wait for what the quota has, which is
	// seen and not predicted: it holds whatever the verdict.
	Bound bool `json:"bound,omitempty"`
	// TestedRate is the highest rate, in arrivals per second of the loads that
	// charge the quota, that the run sent as planned for five seconds in a row.
	TestedRate float64 `json:"tested_rate"`
	// Notes are remarks a reader must see beside the figures.
	Notes []string `json:"notes,omitempty"`
}

// SpillOver is what became of the requests of a level of which units are allocated in
// advance (Lambda: provisioned concurrency).
type SpillOver struct {
	Provisioned *float64 `json:"provisioned"` // units; nil where nobody says
	Requests    int64    `json:"requests"`
	Spilled     int64    `json:"spilled"` // those that found all of these units busy and ran in others
	Share       *float64 `json:"share"`   // Spilled / Requests; nil without requests
	// Predicted is the share by Erlang's loss formula for Poisson arrivals at the
	// planned rate, each of which holds a unit for the unit cost; nil where one of
	// these isn't known or arrivals aren't Poisson.
	Predicted *float64 `json:"predicted"`
}

// ThresholdResult is one threshold of the scenario and whether the run met it.
// Value is nil where the run does not say; such a threshold is not passed.
// AtLeast says that requests timed out, so that Value is a lower bound of what it
// would have been, which can't keep below anything.
type ThresholdResult struct {
	Expression string   `json:"expression"`
	Value      *float64 `json:"value"`
	AtLeast    bool     `json:"at_least,omitempty"`
	Passed     bool     `json:"passed"`
	// Margin is of an upper bound of one operation's percentile: how surely the
	// service itself keeps it.
	Margin *Margin `json:"margin,omitempty"`
}

// Margin holds answers above a bound of a percentile against how many there may
// be while the run still shows, with 95 % confidence, that the service keeps it.
type Margin struct {
	Answers int64 `json:"answers"`
	Worth   int64 `json:"worth"` // independent answers, as they come slow together
	Over    int64 `json:"over"`
	// Allowed is null where Worth is below Needed, which could not show it at all.
	Allowed *int64 `json:"allowed"`
	Needed  int64  `json:"needed"` // independent answers of which none is above
}

// Shown reports whether the run shows that the service keeps the bound.
func (m *Margin) Shown() bool { return m.Allowed != nil && m.Over <= *m.Allowed }

// Assessment is everything that a run says.
type Assessment struct {
	Verdict Verdict `json:"verdict"`
	// Withheld says why neither use nor cost of any quota is given, nor what limited
	// the run; "" of a whole record.
	Withheld string `json:"withheld,omitempty"`
	// TimesWithheld says why no operation has a mean or percentiles of its response and
	// service times, whose maximum stays; "" where they are given, as far as earned.
	TimesWithheld string            `json:"times_withheld,omitempty"`
	LimitedBy     LimitedBy         `json:"limited_by"`
	Operations    []OperationResult `json:"operations"`
	Quotas        []QuotaResult     `json:"quotas"`
	FirstToBind   *string           `json:"first_to_bind"`
	// FirstToBindReason is one sentence: the quota, its binding rate and what
	// the target rate requires, or why there is no answer; and behind it what else
	// stops a launch: a threshold that was missed, a group that fell behind.
	FirstToBindReason string            `json:"first_to_bind_reason"`
	Thresholds        []ThresholdResult `json:"thresholds"`
	// Consumers is empty where no consumer group was observed.
	Consumers []Consumer `json:"consumers,omitempty"`
}
