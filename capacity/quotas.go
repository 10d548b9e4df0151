package capacity

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/headroom-load/headroom/capacity/model/limiter"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// How far beyond the highest tested rate a prediction is supported, and how far
// it is given at all. No published constant exists: a fitted line's own
// interval stays narrow at five times the tested load, because it holds no
// error of the model.
const (
	supportedTo  = 1.5
	indicativeTo = 3
)

// GradeOf returns how far a rate lies from what was tested.
func GradeOf(rate, tested float64) Grade {
	const rounding = 1 + 1e-9
	switch {
	case rate <= tested*rounding:
		return Tested
	case rate <= supportedTo*tested*rounding:
		return Supported
	case rate <= indicativeTo*tested*rounding:
		return Indicative
	}
	return Refused
}

// predict grades a rate with its interval; a refused one has no figures. An end
// that is not finite is left out.
func predict(rate, low, high, tested float64) *Prediction {
	p := &Prediction{Grade: GradeOf(rate, tested)}
	if p.Grade != Refused {
		p.Rate, p.Low, p.High = finite(rate), finite(low), finite(high)
	}
	return p
}

func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// assessed is a quota's result with what orders it.
type assessed struct {
	QuotaResult
	binds  float64   // whether it is printed or not; NaN where unknown
	draws  []float64 // of the unit cost; nil where there are none
	loads  []Load
	hidden string  // what hides what a request charges, or ""
	free   float64 // what others leave of the limit
	dear   float64 // the rate at which it binds in the run's dearest stretch, where that is below its interval else; 0: nowhere
	early  string  // why it refused requests although the rate is none to refuse at, or ""
	// exceeded says of a fixed quota that the run was above it, which is so at any rate;
	// "" where it wasn't.
	exceeded string
}

// ratio orders quotas: how far the binding rate lies from the tested one, and below
// any rate where none keeps to the limit.
func (q *assessed) ratio() float64 {
	switch {
	case q.exceeded != "":
		return -1
	case math.IsNaN(q.binds):
		return math.Inf(1)
	case q.TestedRate == 0:
		return math.MaxFloat64
	}
	return q.binds / q.TestedRate
}

// quotas assesses every quota of the run, the one that binds first in front,
// and names that one.
func (a *analysis) quotas(v Verdict) (results []QuotaResult, first *string, reason string) {
	failed := v.Failed()
	saturationOnly := len(failed) == 1 && failed[0].Name == CheckSaturationDrops
	trials := make(map[bool]arrivalTrial)
	trial := func(uniform bool) arrivalTrial {
		if _, ok := trials[uniform]; !ok {
			trials[uniform] = newTrial(uniform)
		}
		return trials[uniform]
	}
	var all []assessed
	for _, q := range a.run.Manifest.Quotas {
		throttled := a.throttled(q)
		predictable := v.Status == Valid || saturationOnly && throttled != nil && *throttled > 0
		all = append(all, a.quota(q, throttled, predictable, trial))
	}
	slices.SortStableFunc(all, func(x, y assessed) int {
		return cmp.Or(cmp.Compare(x.ratio(), y.ratio()), cmp.Compare(x.ID, y.ID))
	})
	bindsFirst(all)
	results = make([]QuotaResult, len(all))
	for i := range all {
		results[i] = all[i].QuotaResult
	}
	first, reason = a.firstToBind(v, all)
	return results, first, reason
}

// bindsFirst sets the probability that each quota whose cost is known and that
// may be predicted binds first: the share of the bootstrap's draws in which its
// binding rate lies closest to the tested one. A quota whose interval comes from
// elsewhere draws from a normal distribution as wide.
func bindsFirst(all []assessed) {
	var known []*assessed
	if slices.ContainsFunc(all, func(q assessed) bool { return q.hidden != "" }) {
		return // it may be that one, as likely as nobody knows
	}
	for i := range all {
		if all[i].BindsAt != nil && all[i].TestedRate > 0 {
			known = append(known, &all[i])
		}
	}
	if len(known) == 0 {
		return
	}
	rng := rand.New(rand.NewPCG(seed, 0x6669727374))
	first := make([]int, len(known))
	costs := make([][]float64, len(known))
	for i, q := range known {
		costs[i] = q.draws
		if q.draws == nil {
			costs[i] = make([]float64, draws)
			for d := range costs[i] {
				costs[i][d] = q.UnitCost.Value + rng.NormFloat64()*(q.UnitCost.High-q.UnitCost.Low)/2/1.96
			}
		}
	}
	for d := range draws {
		best, tightest := 0, 0.0
		for i, q := range known {
			// The inverse of the binding rate against the tested one.
			if use := costs[i][d] / q.free * q.TestedRate; use > tightest {
				best, tightest = i, use
			}
		}
		first[best]++
	}
	for i, q := range known {
		q.BindsFirst = new(float64(first[i]) / draws)
	}
}

// quota assesses one quota.
func (a *analysis) quota(q Quota, throttled *int64, predictable bool, trial func(uniform bool) arrivalTrial) assessed {
	r := assessed{binds: math.NaN(), loads: a.charging(q)}
	r.QuotaResult = QuotaResult{
		ID: q.ID, Name: q.Name, Kind: q.Kind, Limit: q.Limit, Unit: q.Unit, Origin: q.Origin,
		Source: q.Source, AsOf: q.AsOf, Code: q.Code, ByOperation: []OperationCost{},
		Throttled: throttled, TestedRate: a.testedRate(r.loads), Notes: slices.Clone(q.Notes),
	}
	if q.PerSecond() {
		r.Period = new("s")
	}
	if !a.readable() {
		r.Resolution, r.Throttled = "withheld", nil
		return r
	}
	note := func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) }

	parts, groups := a.mix(q), shapes(r.loads)
	var use peak
	var c cost
	var used, known bool
	var again func(calm []bool) (cost, bool) // the cost, of some seconds alone
	kafka := (*kafkaUse)(nil)
	if q.inKafka() {
		kafka = a.kafka(q.Loads)
	}
	if q.ofBrokers() {
		use, used = a.brokersPeak(q)
	} else if kafka != nil {
		use, used = a.kafkaPeak(kafka, q)
		c, known = a.kafkaCost(kafka, q, parts)
		if len(groups) > 1 {
			c, known = a.shapedKafkaCost(kafka, q, parts, groups)
			again = func([]bool) (cost, bool) { return cost{}, false }
		}
		bound, notes := kafka.bound(q)
		r.Bound, r.Notes = bound, append(r.Notes, notes...)
		if foreign := a.foreignNote(q); foreign != "" {
			note("%s", foreign)
		}
	} else if q.ID == RequestTokens && a.ledgerHas(q) {
		use, used = a.ledgerPeak(q)
		again = func(calm []bool) (cost, bool) {
			if len(groups) > 1 {
				return a.shapedLedgerCost(parts, r.loads, calm)
			}
			return a.ledgerCost(parts, calm)
		}
		c, known = again(nil)
		if others := a.foreignTokens(); known && others > 0 {
			c.others = others
			c.notes = append(c.notes, fmt.Sprintf("others use about %s a second of it, by the cloud's count", unit.Human(others)))
		}
		if missing := a.withoutTokens(q); missing > 0 {
			note("%s ok answers carried no token count: the ledger is that much too low", count(missing))
		}
	} else {
		if q.Kind != FixedQuota {
			again = func(calm []bool) (cost, bool) {
				if len(groups) > 1 {
					return a.shapedCloudCost(q, parts, groups, usageRole(q), calm)
				}
				return a.cloudCost(q, parts, usageRole(q), calm)
			}
			c, known = again(nil)
		}
		use, used = a.cloudPeak(q, c.others)
	}
	if known && again != nil {
		all, hidden, atLeast := a.whole(q, c, throttled, again)
		if hidden != "" {
			note("%s", hidden)
			if atLeast {
				r.binds = q.Limit / c.Value
			}
			if atLeast && predictable {
				r.BindsAtMost = new(r.binds)
			}
			known, r.hidden, all.notes = false, "refusals hide what a request charges", nil
			if all.why != "" && !atLeast {
				r.hidden = "sums don't tell loads of different shapes apart"
			}
		}
		c = all
	}
	r.Resolution, r.Coverage = use.resolution, use.coverage
	if !used {
		r.Resolution = "not measured"
	}
	r.Notes = append(append(r.Notes, use.notes...), c.notes...)
	if used {
		r.Peak, r.PeakAt = &use.value, &use.at
		if q.Limit > 0 {
			r.Utilization = new(use.value / q.Limit)
			r.Headroom = new(1 - use.value/q.Limit)
		}
	}
	if q.Kind == FixedQuota {
		fails := fmt.Sprintf("what is above %s fails at any rate", unit.HumanQuantity(q.Limit, q.Unit))
		switch {
		case q.OfSize():
			fails += "; " + SmallerItems
		case q.ofBrokers():
			fails = q.left(r.Peak)
		}
		note("it doesn't grow with the rate, so it binds at none: %s", fails)
		r.exceeded = a.exceeded(q, r.QuotaResult)
		return r
	}
	if q.Kind == LevelQuota {
		held := math.NaN()
		if known {
			held = c.Value
		}
		spilled, text := a.spillOver(q, r.loads, held)
		if r.SpillOver = spilled; text != "" {
			note("%s", text)
		}
	}
	if !known {
		return r
	}
	r.UnitCost, r.ColdCost = &c.Estimate, &c.cold
	if c.byOperation != nil {
		r.ByOperation = c.byOperation
	}
	r.ByLoad, r.BusiestAt = c.byLoad, c.crest
	if q.Kind == RateQuota {
		r.Variation = c.variation()
	}
	// What of the limit an arrival takes up: the units of a level serve so many
	// requests a second, however short these are.
	least := 0.0
	if q.Requests > 0 && c.Value > 0 {
		least = 1 / q.Requests
		if c.Value < least {
			note("each unit allows %s a second, so an arrival counts as if it were held for %s", unit.HumanQuantity(q.Requests, unit.Requests), unit.HumanSeconds(least))
		}
	}
	counts := Estimate{max(c.Value, least), max(c.Low, least), max(c.High, least)}
	if q.Kind == LevelQuota {
		if held, second := a.coldHeld(q, r.QuotaResult, max(c.cold, counts.Value)); held > c.cold {
			c.cold, r.MostHeldAt = held, &second
		}
	}
	if target := a.target(r.loads, r.TestedRate); target > 0 {
		r.Required = &Requirement{Target: target, Quota: WholeUnits(target*max(c.cold, counts.Value) + c.others), Grade: Arithmetic}
	}
	r.free = q.Limit
	if c.others > 0 {
		r.Others, r.free = &c.others, max(0, q.Limit-c.others)
	}
	if c.Value <= 0 {
		note("the run used none of it")
		return r
	}
	r.binds, r.draws = r.free/counts.Value, c.draws
	for i := range r.draws {
		r.draws[i] = max(r.draws[i], least)
	}
	if !predictable {
		return r
	}
	low, high := r.free/counts.High, r.free/counts.Low
	if GradeOf(r.binds, r.TestedRate) == Indicative {
		if len(groups) > 1 {
			note("the run's rates don't tell linear use from any other, since its mix changes with them: the interval of binds_at supposes that it is linear")
		} else if least, most, ok := a.models(q, r.loads); ok {
			low, high = min(low, least), max(high, most)
			note("far beyond what was tested, the interval of binds_at covers linear, quadratic and power-law use")
		} else {
			note("the run's rates vary too little to tell linear use from any other: the interval of binds_at supposes that it is linear")
		}
	}
	if dear := r.free / c.cold; dear < low/(1+maxDifference) && GradeOf(dear, r.TestedRate) != Refused {
		low, r.dear = dear, dear
		covered := ", which the interval of binds_at covers"
		if GradeOf(r.binds, r.TestedRate) == Refused {
			covered = ""
		}
		note("what it costs changed in the run: in the dearest stretch, as a launch may begin, it binds at %s%s", a.rate(dear), covered)
	}
	r.BindsAt = predict(r.binds, low, high, r.TestedRate)
	if kafka != nil {
		if even := r.binds * c.skew; c.skew > 1+maxDifference && GradeOf(even, r.TestedRate) != Refused {
			note("were all charged like the mean, %s in all would fit", unit.HumanRate(even, unit.Records))
		}
		r.Notes = append(r.Notes, NoRefusals)
		return r
	}

	if r.free == 0 {
		note("others use all of it")
		return r
	}
	var safe float64
	supposing := "safe_rate is by Erlang's loss formula: Poisson arrivals, and no time to start environments"
	if q.Kind == LevelQuota {
		if r.dear > 0 {
			supposing = "safe_rate is by Erlang's loss formula: Poisson arrivals, each of which holds one for as long as in the run's dearest stretch"
		}
		safe = safeLevelRate(r.free, c.Value)
		if q.Requests > 0 {
			perSecond := q.Requests * q.Limit
			safe = min(safe, trial(uniformArrivals(r.loads)).safeRate(bucketOf(perSecond, perSecond), r.binds, []weighted{{1, 1}}, perSecond))
		}
	} else {
		burst := q.Burst
		supposing = "safe_rate supposes a token bucket"
		if burst == 0 {
			burst = q.Limit
			for _, v := range c.values {
				burst = max(burst, v.value)
			}
			supposing += " that holds one second of the limit"
		}
		fresh := bucketOf(r.free, burst)
		if q.Windowed {
			supposing = "safe_rate counts in whole seconds, as the limit does"
			fresh, burst = func() admitter { return limiter.NewWindow(r.free) }, q.Limit
		}
		safe = trial(uniformArrivals(r.loads)).safeRate(fresh, r.binds, c.values, burst)
		if safe == 0 && slices.ContainsFunc(c.values, func(v weighted) bool { return v.value > burst }) {
			note("single requests charge more than a bucket of %s holds", unit.HumanCount(burst, q.Unit))
		}
	}
	// The bucket fills and empties with the charges, so the safe rate moves with
	// the binding rate. A rate that is safe only if the cost isn't underestimated
	// would not be: it is taken at the interval's lower end.
	if r.binds > 0 {
		low, high = safe*low/r.binds, safe*high/r.binds
	}
	r.SafeRate = predict(low, low, high, r.TestedRate)
	if r.SafeRate.Rate != nil {
		r.Notes = append(r.Notes, supposing)
	}

	switch {
	case throttled != nil && *throttled == 0 && r.TestedRate > 1.2*r.binds:
		note("the run sent %s without a refusal, more than the binding rate: the true limit is higher than the stated one, or its bucket larger", unit.HumanRate(r.TestedRate, unit.Arrivals))
	case throttled != nil && *throttled > 0 && r.TestedRate < 0.8*safe:
		r.early = "others use it, its true limit is lower, or keys are skewed"
		if q.Kind == LevelQuota {
			r.early = "the level fits, so units were needed faster than they are created, or a function's own limit is lower"
		}
		note("it refused requests below its safe rate: %s", r.early)
	}
	return r
}

// exceeded says how a run was above a fixed quota, or "" where it wasn't.
func (a *analysis) exceeded(q Quota, r QuotaResult) string {
	above := r.Peak != nil && *r.Peak > q.Limit
	refused := r.Throttled != nil && *r.Throttled > 0
	switch {
	case !above && !refused:
		return ""
	case q.ofBrokers():
		return fmt.Sprintf("%s is exceeded at any rate: %s", q.ID, q.left(r.Peak))
	}
	text := fmt.Sprintf("%s refuses what is above %s at any rate", q.ID, unit.HumanQuantity(q.Limit, q.Unit))
	if refused {
		text += fmt.Sprintf(" (%s of %s requests, %s)", count(*r.Throttled), count(a.sentTo(q)), unit.HumanShare(a.refusedShare(q, r.Throttled)))
	}
	if q.OfSize() {
		text += "; " + SmallerItems
	}
	return text
}

// refusedBy returns which part of the requests that charge an assessed quota it refused.
func (a *analysis) refusedBy(q *assessed) float64 {
	return a.refusedShare(quotaOf(a.run, q.ID), q.Throttled)
}

// refusedShare returns which part of the requests that charge q it refused.
func (a *analysis) refusedShare(q Quota, throttled *int64) float64 {
	if throttled == nil || *throttled == 0 {
		return 0
	}
	return min(1, float64(*throttled)/float64(max(a.sentTo(q), 1)))
}

// sentTo returns how many requests were sent that charge q.
func (a *analysis) sentTo(q Quota) (sent int64) {
	for _, op := range a.ops {
		if q.Charges(op.Load, op.Name) {
			sent += op.all.Sent
		}
	}
	return sent
}

// bucketOf returns what makes full token buckets.
func bucketOf(rate, burst float64) func() admitter {
	return func() admitter { return limiter.NewTokenBucket(rate, burst) }
}

// charging returns the loads that charge a quota.
func (a *analysis) charging(q Quota) []Load {
	var loads []Load
	for _, name := range a.loads() {
		if len(q.Loads) > 0 && !slices.Contains(q.Loads, name) {
			continue
		}
		l, ok := a.load(name)
		if !ok {
			l.Name = name
		}
		loads = append(loads, l)
	}
	return loads
}

// target returns the rate that the launch must survive, in arrivals per second
// of the given loads: their highest planned rate, as that of all loads is made the
// scenario's forecast, or as it is.
func (a *analysis) target(loads []Load, tested float64) float64 {
	peak := PeakRate(loads)
	if forecast := a.run.Manifest.Scenario.Forecast; forecast > 0 {
		if all := PeakRate(a.run.Manifest.Loads); all > 0 {
			return forecast * peak / all
		}
		return forecast
	}
	if peak > 0 {
		return peak
	}
	return tested
}

// ledgerHas reports whether any answer told its tokens.
func (a *analysis) ledgerHas(q Quota) bool {
	return slices.ContainsFunc(a.ops, func(op *operation) bool { return op.all.TokensN > 0 && q.Charges(op.Load, op.Name) })
}

// withoutTokens counts the ok answers that carried no token count, at least.
func (a *analysis) withoutTokens(q Quota) int64 {
	var n int64
	for _, op := range a.ops {
		if q.Charges(op.Load, op.Name) {
			n += max(0, op.all.OK-op.all.TokensN)
		}
	}
	return n
}

// rate prints arrivals per second with what they are.
func (a *analysis) rate(v float64) string {
	thing := unit.Requests
	for _, l := range a.run.Manifest.Loads {
		for _, op := range l.Operations {
			if op.Kind != "graphql" {
				thing = unit.Arrivals
			}
		}
	}
	return unit.HumanRate(v, thing)
}
