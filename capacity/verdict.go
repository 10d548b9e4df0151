package capacity

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// The names of the checks, in the order in which every verdict lists them.
// report.json carries them: they stay.
const (
	CheckComplete        = "complete"         // the plan was carried out and the record is whole
	CheckConservation    = "conservation"     // every arrival is accounted for exactly once
	CheckPlan            = "plan"             // every planned arrival had its turn, in its second
	CheckLag             = "lag"              // requests were sent when they should have been
	CheckArrivals        = "arrivals"         // counts per 200 ms and 1 s follow the plan, without clumps
	CheckGeneratorDrops  = "generator_drops"  // nothing was dropped because this machine was late
	CheckSaturationDrops = "saturation_drops" // nothing was dropped at the in-flight limit
	CheckGeneratorErrors = "generator_errors" // this machine could send: ports, files, DNS
	CheckGeneratorCPU    = "generator_cpu"    // this machine had processor time to spare
	CheckAnswers         = "answers"          // the target answered
	CheckCloudCoverage   = "cloud_coverage"   // the metrics that were asked for came
	CheckReconciliation  = "reconciliation"   // client and cloud counted the same tokens
	CheckGCPause         = "gc_pause"         // the generator's garbage collector didn't stop it for long
	CheckSchedLatency    = "sched_latency"    // the generator's goroutines ran when they could
	CheckClockStep       = "clock_step"       // the wall clock ran with the monotonic one
	CheckSteadyState     = "steady_state"     // response times settled where the rate stayed
	CheckSamples         = "samples"          // the run was long enough for its thresholds' percentiles
	CheckBrokerOffsets   = "broker_offsets"   // of Kafka records: brokers hold what they acknowledged
)

// The bounds of the checks.
const (
	maxLost       = 1e-4 // share of arrivals dropped, or of requests that could not be sent
	minLagBound   = 10 * time.Millisecond
	lagShare      = 0.1 // of the median service time
	maxCPU        = 0.8 // of the CPUs available, as the mean of cpuWindow
	cpuWindow     = 10 * time.Second
	minCPUPoints  = 0.5 // share of the run's seconds that need a reading
	minCoverage   = 0.9 // share of the run's minutes that need a point
	maxDifference = 0.02
	// maxAhead is how far, in seconds, the cloud's clock and this machine's may differ
	// where its minutes are set against the run's: a twentieth of one.
	maxAhead = 3
)

// CloudClock is the generator's series of by how many seconds the cloud's clock was
// ahead of this machine's.
const CloudClock = "cloud-clock"

// VerdictOf says whether a run can be believed. Every check is computed from
// what the run recorded, so measured, simulated and imported runs get theirs
// alike; one that finds nothing to check is not applicable. That the target
// throttles fails no check.
func VerdictOf(run *Run) Verdict { return analyse(run).verdict() }

// Failed returns the checks that failed.
func (v Verdict) Failed() []Check {
	return slices.DeleteFunc(slices.Clone(v.Checks), func(c Check) bool { return c.Status != CheckFailed })
}

func (a *analysis) verdict() Verdict {
	v := Verdict{Status: Valid, Checks: []Check{
		a.complete(),
		a.conservation(),
		a.plan(),
		a.lag(),
		a.arrivalAudit(),
		a.generatorDrops(),
		a.saturationDrops(),
		a.generatorErrors(),
		a.generatorCPU(),
		a.answers(),
		a.cloudCoverage(),
		a.reconciliation(),
		a.gcPause(),
		a.schedLatency(),
		a.clockStep(),
		a.steadyState(),
		a.samples(),
	}}
	if slices.ContainsFunc(a.run.Manifest.Loads, Load.Kafka) {
		v.Checks = append(v.Checks, a.brokerOffsets())
	}
	for i := range v.Checks {
		c := &v.Checks[i]
		switch {
		case c.Status != CheckFailed:
			c.Hint = ""
		case c.Blames == Invalid:
			v.Status = Invalid
		case v.Status == Valid:
			v.Status = Inconclusive
		}
	}
	return v
}

// passed turns the outcome of a comparison into a status.
func passed(ok bool) CheckStatus {
	if ok {
		return Passed
	}
	return CheckFailed
}

// count prints a whole number.
func count(n int64) string { return unit.HumanCount(float64(n), "") }

// readable reports whether the record holds all that it was given.
func (a *analysis) readable() bool {
	return len(a.run.Damage) == 0 && a.run.Manifest.State != Running
}

// torn says why nothing is reckoned from the record, or "" where it is whole.
func (a *analysis) torn() string {
	switch {
	case a.readable():
		return ""
	case len(a.run.Damage) > 0:
		return "the record is not whole: " + strings.Join(a.run.Damage, "; ")
	}
	return "the record is not whole: it has no end"
}

func (a *analysis) complete() Check {
	m := &a.run.Manifest
	c := Check{
		Name: CheckComplete, Status: passed(m.State == Complete && len(a.run.Damage) == 0), Blames: Inconclusive,
		Value: string(m.State), Bound: "the whole plan was carried out and the record is whole",
		Hint: "repeat the run and let it end by itself",
	}
	if m.State == Stopped && len(a.run.Damage) == 0 {
		c.Hint = "repeat the run with less load, or with a stop rule that lets it end by itself"
	}
	switch {
	case len(a.run.Damage) > 0:
		c.Value = "damaged: " + strings.Join(a.run.Damage, "; ")
	case m.State == Running:
		c.Value = "cut off: the record has no end"
	case m.State != Complete && strings.HasPrefix(m.Reason, string(m.State)):
		c.Value = m.Reason
	case m.State != Complete && m.Reason != "":
		c.Value += ": " + m.Reason
	}
	return c
}

func (a *analysis) conservation() Check {
	c := Check{
		Name: CheckConservation, Status: NotApplicable, Blames: Invalid,
		Bound: "planned = sent + dropped + not due; sent = answered + timed out + generator errors + unfinished",
		Hint:  "the record contradicts itself: keep it and report it as a fault of headroom",
	}
	if !a.readable() {
		c.Value = "the record is not whole"
		return c
	}
	var wrong []string
	for _, op := range a.ops {
		for _, r := range []*measure.Row{&op.measured, &op.all} {
			if fault := unbalanced(r, a.run.Manifest.State == Complete); fault != "" {
				wrong = append(wrong, fmt.Sprintf("%s/%s: %s", op.Load, op.Name, fault))
				break
			}
		}
	}
	c.Status, c.Value = passed(len(wrong) == 0), count(a.total.Planned)+" arrivals, all accounted for"
	if len(wrong) > 0 {
		c.Value = strings.Join(wrong, "; ")
	}
	return c
}

// unbalanced says which of the sums of an operation's counters does not hold,
// or "".
func unbalanced(r *measure.Row, complete bool) string {
	sent := r.Completed() + r.TimedOut + r.GeneratorErrors + r.Unfinished
	var planned, slots int64
	for k := range r.PlannedSlots {
		planned += r.PlannedSlots[k]
		slots += r.SentSlots[k]
	}
	switch {
	case r.Planned != r.Sent+r.Dropped()+r.NotDue:
		return fmt.Sprintf("%d planned, but %d sent, dropped or not due", r.Planned, r.Sent+r.Dropped()+r.NotDue)
	case r.Sent != sent:
		return fmt.Sprintf("%d sent, but %d outcomes", r.Sent, sent)
	case complete && r.Unfinished > 0:
		return fmt.Sprintf("%d unfinished in a run that ended by itself", r.Unfinished)
	case planned+slots > 0 && (planned != r.Planned-r.NotDue || slots != r.Sent):
		return fmt.Sprintf("%d planned and %d sent, but %d and %d by tenths of seconds", r.Planned-r.NotDue, r.Sent, planned, slots)
	case r.TokensSent != r.TokensDone || r.TokensN != r.TokensNSent:
		return fmt.Sprintf("%d tokens by sent time, but %d by done time", r.TokensSent, r.TokensDone)
	}
	return ""
}

func (a *analysis) plan() Check {
	c := Check{
		Name: CheckPlan, Status: NotApplicable, Blames: Invalid,
		Bound: "every second's arrivals were sent, or dropped with a cause, and are as many as the profile says",
		Hint:  "the schedule was not carried out: keep the record and report it as a fault of headroom",
	}
	if !a.readable() {
		c.Value = "the record is not whole"
		return c
	}
	if a.total.Planned == 0 && len(a.run.Manifest.Loads) == 0 {
		c.Value = "no plan is known"
		return c
	}
	complete := a.run.Manifest.State == Complete
	balance := make(map[string][]int64) // of each load, by seconds
	planned := make(map[string]int64)
	for r := range a.run.Rows.All() {
		planned[r.Load] += r.Planned
		missing := r.Planned - r.Sent - r.Dropped()
		if !complete {
			missing -= r.NotDue
		}
		if balance[r.Load] == nil {
			balance[r.Load] = make([]int64, a.seconds)
		}
		balance[r.Load][r.Second] += missing
	}
	seconds := 0
	for _, load := range balance {
		for _, missing := range load {
			if missing != 0 {
				seconds++
			}
		}
	}
	var wrong []string
	if seconds > 0 {
		wrong = append(wrong, fmt.Sprintf("%d seconds not as planned", seconds))
	}
	for _, l := range a.run.Manifest.Loads {
		got := planned[l.Name]
		want := l.expected(0, math.Inf(1))
		switch {
		case complete && l.Planned > 0 && got != l.Planned:
			wrong = append(wrong, fmt.Sprintf("%s: %d of %d arrivals", l.Name, got, l.Planned))
		case complete && len(l.Stages) > 0 && math.Abs(float64(got)-want) > 1+float64(len(l.Stages))+5*math.Sqrt(want):
			// Five standard deviations of a Poisson count.
			wrong = append(wrong, fmt.Sprintf("%s: %d arrivals where the profile's integral is %s", l.Name, got, unit.Human(want)))
		}
	}
	c.Status = passed(len(wrong) == 0)
	c.Value = fmt.Sprintf("%s of %s arrivals sent, %s dropped", count(a.total.Sent), count(a.total.Planned), count(a.total.Dropped()))
	if len(wrong) > 0 {
		c.Value = strings.Join(wrong, "; ")
	}
	return c
}

// saturated reports whether a load met its in-flight limit so long that more
// arrivals were dropped than may be. Its requests wait for one another then, which
// can't be told from the generator being late.
func (a *analysis) saturated(load string) bool {
	if float64(a.total.DroppedSaturation) <= maxLost*float64(a.total.Planned) {
		return false
	}
	for _, op := range a.ops {
		if op.Load == load && op.all.DroppedSaturation > 0 {
			return true
		}
	}
	return false
}

// filled reports whether a load had, in some second, about as many requests in flight
// as it may have.
func (a *analysis) filled(load string) bool {
	l, _ := a.load(load)
	if l.InFlight == 0 {
		return false
	}
	flying := make([]float64, a.seconds)
	for _, op := range a.ops {
		if op.Load == load {
			for r := range op.rows {
				flying[r.Second] += r.InFlight
			}
		}
	}
	return slices.ContainsFunc(flying, func(n float64) bool { return n >= 0.9*float64(l.InFlight) })
}

// pooled returns the values of a kind over all operations of a load, "" for all
// loads.
func (a *analysis) pooled(load, kind string) *measure.Distribution {
	d := new(measure.Distribution)
	for _, op := range a.ops {
		if load == "" || op.Load == load {
			if times := op.times[kind]; times != nil {
				d.Merge(times)
			}
		}
	}
	return d
}

// loads returns the names of the run's loads, in the manifest's order.
func (a *analysis) loads() []string {
	var names []string
	for _, op := range a.ops {
		if !slices.Contains(names, op.Load) {
			names = append(names, op.Load)
		}
	}
	return names
}

// upperLag returns the 99th percentile of a distribution in seconds; of fewer
// than 200 values the third highest, which one hiccup of the machine does not
// decide.
func upperLag(d *measure.Distribution) float64 {
	return d.Quantile(min(0.99, max(0, 1-2/float64(d.N())))) / 1e6
}

// fastest returns the least of the median service times of a load's operations, in
// seconds: what would not matter to the slow ones may be all that is measured of it.
func (a *analysis) fastest(load string) float64 {
	least := never
	for _, op := range a.ops {
		if d := op.distribution(measure.ServiceTimes); op.Load == load && d.N() > 0 {
			least = min(least, d.Quantile(0.5)/1e6)
		}
	}
	if least == never {
		return 0
	}
	return least
}

func (a *analysis) lag() Check {
	c := Check{
		Name: CheckLag, Status: NotApplicable, Blames: Invalid,
		Bound: "p99 at most " + unit.HumanSeconds(minLagBound.Seconds()) + " or 10 % of the median service time, of the fastest operation",
		Value: "no measured request was sent",
	}
	worst := 0.0
	for _, load := range a.loads() {
		var sent int64
		for _, op := range a.ops {
			if op.Load != load {
				continue
			}
			sent += op.measured.Sent
		}
		lags := a.pooled(load, measure.Lags)
		switch {
		case sent == 0:
			continue
		case lags.N() == 0 && a.run.Manifest.Kind == Measured:
			return Check{
				Name: CheckLag, Status: CheckFailed, Blames: Inconclusive, Value: "not recorded", Bound: c.Bound,
				Hint: "the record has no lag of " + load + ": repeat the run",
			}
		case lags.N() == 0:
			if c.Status == NotApplicable {
				c.Value = "not recorded"
			}
			continue
		}
		bound := max(minLagBound.Seconds(), lagShare*a.fastest(load))
		p99 := upperLag(lags)
		if p99 > bound && a.saturated(load) {
			if c.Status == NotApplicable {
				c.Value = fmt.Sprintf("p99 %s of %s, which waited at its in-flight limit", unit.HumanSeconds(p99), load)
			}
			continue
		}
		if c.Status == NotApplicable || p99/bound > worst {
			worst = p99 / bound
			c.Status = passed(p99 <= bound)
			c.Value = fmt.Sprintf("p99 %s of %s", unit.HumanSeconds(p99), load)
			c.Bound = "p99 at most " + unit.HumanSeconds(bound)
			c.Hint = "this machine sent too late: close other programs, take a larger one, or lower the rate"
			if a.filled(load) {
				c.Hint = "requests waited for each other at the in-flight limit: raise in_flight of " + load
			}
		}
	}
	return c
}

// share builds a check that bounds a count's share of a total.
func share(name string, n, of int64, what string, blames Status, hint string) Check {
	c := Check{Name: name, Status: NotApplicable, Blames: blames, Bound: "at most " + unit.HumanShare(maxLost), Value: "nothing was " + what, Hint: hint}
	if of > 0 {
		c.Status = passed(float64(n) <= maxLost*float64(of))
		c.Value = fmt.Sprintf("%s of %s (%s)", count(n), count(of), unit.HumanShare(float64(n)/float64(of)))
	}
	return c
}

func (a *analysis) generatorDrops() Check {
	return share(CheckGeneratorDrops, a.total.DroppedGenerator, a.total.Planned, "planned", Invalid,
		"this machine was too late to send them: close other programs, take a larger one, or lower the rate")
}

func (a *analysis) saturationDrops() Check {
	return share(CheckSaturationDrops, a.total.DroppedSaturation, a.total.Planned, "planned", Inconclusive,
		"the target was too slow for the in-flight limit: raise in_flight, or read the run as an outage; percentiles and predictions are withheld")
}

func (a *analysis) generatorErrors() Check {
	return share(CheckGeneratorErrors, a.total.GeneratorErrors, a.total.Sent, "sent", Invalid,
		"this machine could not send: look at the reasons, raise the limit of open files, check DNS")
}

func (a *analysis) generatorCPU() Check {
	c := Check{
		Name: CheckGeneratorCPU, Status: NotApplicable, Blames: Invalid, Value: "not recorded",
		Bound: "under 80 % of this machine's CPUs, as a 10 s mean",
		Hint:  "the generator ran out of processor time: take a larger machine, or lower the rate",
	}
	points := a.generator("cpu")
	busy := 0 // seconds until the last answer
	for r := range a.run.Rows.All() {
		if r.Sent+r.Completed()+r.TimedOut > 0 {
			busy = max(busy, r.Second+1)
		}
	}
	if float64(points.Len()) < minCPUPoints*float64(busy) || points.Len() == 0 {
		if a.run.Manifest.Kind == Measured && a.total.Sent > 0 {
			c.Status, c.Blames = CheckFailed, Inconclusive
			c.Hint = "without its own CPU use the generator can't be cleared: repeat the run on a supported system"
		}
		if points.Len() > 0 {
			c.Value = fmt.Sprintf("%d readings in %d s", points.Len(), busy)
		}
		return c
	}
	highest := busiestMean(points)
	c.Status, c.Value = passed(highest < maxCPU), unit.HumanShare(highest)+" in the busiest 10 s"
	return c
}

func (a *analysis) answers() Check {
	c := Check{
		Name: CheckAnswers, Status: passed(a.total.OK > 0), Blames: Inconclusive,
		Value: count(a.total.OK) + " ok of " + count(a.total.Sent) + " sent", Bound: "at least one ok",
		Hint: "the target answered nothing with success: check the endpoint, its key and the operation",
	}
	reason := a.commonReason()
	if reason == "" || a.total.OK > 0 {
		return c
	}
	for _, outcome := range []measure.Outcome{measure.TimedOut, measure.GeneratorError} {
		name := outcome.String() // "timed_out"
		if why, is := strings.CutPrefix(reason, name+" "); is {
			reason = strings.ReplaceAll(name, "_", " ") + ", " + why
		}
	}
	c.Value += ", mostly " + reason
	switch {
	case 2*a.total.TimedOut > a.total.Sent:
		c.Hint = "no answer came in time: raise the load's timeout, or look what keeps the target from answering"
	case strings.HasPrefix(reason, "failed TLS "):
		c.Hint = "the target isn't trusted, or wants other TLS: check its certificate's name and dates, SSL_CERT_FILE for an authority of your own, and whether it asks for a client's certificate, which headroom has none of"
	}
	return c
}

// commonReason returns the most frequent reason of an outcome that is not ok.
func (a *analysis) commonReason() string {
	best, most := "", int64(0)
	for reason, n := range a.total.Reasons {
		if n > most || n == most && reason < best {
			best, most = reason, n
		}
	}
	return best
}

func (a *analysis) cloudCoverage() Check {
	c := Check{
		Name: CheckCloudCoverage, Status: NotApplicable, Blames: Inconclusive, Value: "no cloud source was named",
		Bound: "a point in at least 90 % of the run's minutes",
		Hint:  "metrics came too late or not at all: raise settle, check the names, the Region and the permission cloudwatch:GetMetricData",
	}
	worst := math.Inf(1)
	for _, s := range a.run.Manifest.Expected {
		if s.Role != RoleUsage && s.Role != RoleDuration {
			continue // a service may leave out counters that stayed at nothing
		}
		covered, ok := a.coverage(s.Quota, s.Role)
		of := s.Quota
		if s.Namespace == measure.MSK {
			covered, of = Coverage(a.run, a.read(s)), "MSK cluster "+s.Labels[measure.MSKCluster]+", "+clusterPart(s)
			ok = !math.IsNaN(covered)
		}
		if ok && covered < worst {
			worst = covered
			c.Status = passed(covered >= minCoverage)
			c.Value = fmt.Sprintf("%s of %s (%s)", unit.HumanShare(covered), of, s.Metric)
		}
	}
	if len(a.run.Manifest.Expected) > 0 && math.IsInf(worst, 1) {
		c.Value = "nothing was sent that charges an observed quota"
		return c
	}
	if i := slices.IndexFunc(a.run.Events, func(e Event) bool { return e.Kind == SourceFault && e.At > 0 }); i >= 0 { // after the load
		first, _, _ := strings.Cut(a.run.Events[i].Text, "\n")
		c.Hint = "the metrics could not be read, or not all: " + first
	}
	for p := range a.generator(CloudClock).All() {
		if math.Abs(p.Value) > maxAhead {
			c.Status = CheckFailed
			c.Value = fmt.Sprintf("this machine's clock is %s %s the cloud's, whose minutes are others", unit.HumanSeconds(math.Abs(p.Value)), map[bool]string{true: "behind", false: "ahead of"}[p.Value > 0])
			c.Bound = fmt.Sprintf("at most %d s apart, and a point in at least 90 %% of the run's minutes", maxAhead)
			c.Hint = "let this machine's clock follow a time server, and repeat the run"
		}
	}
	return c
}

// coverage returns the share of the periods of a quota's series (minutes, where
// none came) in which the client sent something that charges the quota and that
// have a point. ok is false where nothing was sent.
func (a *analysis) coverage(quota string, role Role) (share float64, ok bool) {
	series, _ := a.series(quota, role)
	period := series.period
	if period == 0 {
		period = time.Minute
	}
	there, all := 0, 0
	for at, f := range a.arrivalsOf(quotaOf(a.run, quota), period) {
		if f.sent == 0 {
			continue
		}
		all++
		if _, found := series.values[at]; found {
			there++
		}
	}
	return float64(there) / float64(max(all, 1)), all > 0
}

func (a *analysis) reconciliation() Check {
	c := Check{
		Name: CheckReconciliation, Status: NotApplicable, Blames: Inconclusive,
		Value: "the tokens were not counted on both sides", Bound: "the cloud's tokens within 2 % of the client's",
		Hint: "the cloud counted other tokens than the answers carried: raise settle, or look for answers without the header",
	}
	if !a.readable() {
		c.Value = "the record is not whole"
		return c
	}
	for _, r := range Reconcile(a.run) {
		if covered, ok := a.coverage(r.Quota, RoleUsage); !ok || covered < 1 {
			c.Value = "the cloud's minutes are not complete"
			continue
		}
		ok := math.Abs(r.Difference) <= maxDifference
		c.Value = fmt.Sprintf("cloud %s, client %s (%s)", unit.HumanCount(r.Cloud, unit.Tokens), unit.HumanCount(r.Ledger, unit.Tokens), signedShare(r.Difference))
		if r.Difference > maxDifference {
			if r.Difference <= maxDifference+a.uncounted() {
				ok = true
				c.Value += ": answers that never came carried tokens too"
			} else if !a.run.Manifest.Sandbox {
				ok = true
				c.Value += ": others used the quota too"
			}
		}
		c.Status = passed(ok)
	}
	return c
}

// uncounted returns how many requests may have charged tokens that no answer
// told, as a share of those whose answer did.
func (a *analysis) uncounted() float64 {
	t := &a.total
	if t.TokensN == 0 {
		return 0
	}
	return max(0, float64(t.OK+t.Failed+t.Unclassified+t.TimedOut+t.Unfinished-t.TokensN)/float64(t.TokensN))
}

func signedShare(v float64) string {
	if math.Abs(v) < 1e-9 { // the rounding of a sum
		return "no difference"
	}
	if v > 0 {
		return "+" + unit.HumanShare(v)
	}
	return unit.HumanShare(v)
}
