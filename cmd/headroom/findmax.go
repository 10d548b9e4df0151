package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/calibration"
	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/capacity/rehearsal"
	"github.com/headroom-load/headroom/capacity/search"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/unit"
)

const (
	findMaxFile   = "find-max.json"
	findMaxSchema = "headroom.find-max/1"
	// fewest is how many arrivals a trial must plan at least.
	fewest = 10
)

// maximum is what a search for the highest passing rate leaves beside the
// records of its trials. Rates are the peak of all loads together, in arrivals
// per second.
type maximum struct {
	Schema   string   `json:"schema"`
	Scenario string   `json:"scenario"`
	Digest   string   `json:"digest"`
	Bounds   []string `json:"bounds"`
	// Status is one of package search, or "running".
	Status search.Status `json:"status"`
	// Rate is the highest passing rate, or null. It passed Confirmed of
	// Confirmations further trials in a row.
	Rate          *float64 `json:"rate"`
	Confirmed     int      `json:"confirmed"`
	Confirmations int      `json:"confirmations"`
	// Failing is the lowest rate that failed, or null.
	Failing *float64 `json:"failing"`
	Answer  string   `json:"answer"`
	Trials  []trial  `json:"trials"`

	bounds []scenarios.Threshold
}

// trial is one run of a search.
type trial struct {
	Record     string                     `json:"record"` // folder beside this file
	Rate       float64                    `json:"rate"`
	Phase      search.Phase               `json:"phase"`
	Result     search.Result              `json:"result"`
	Why        string                     `json:"why,omitempty"`
	State      capacity.State             `json:"state"`
	Verdict    capacity.Status            `json:"verdict"`
	Thresholds []capacity.ThresholdResult `json:"thresholds"`
}

// findMax looks for the highest rate at which bounds hold. x is the execution
// of the scenario as it stands in its file.
func (a app) findMax(ctx context.Context, x execution, o runOptions) error {
	bounds, err := parseBounds(o.findMax, x.prepared)
	if err != nil {
		return usage(fmt.Errorf("--find-max: %w", err))
	}
	_, plans, _ := rehearsal.Plan(rehearsal.Config{Scenario: x.scenario})
	base := calibration.Peak(plans)
	if base <= 0 {
		return &exitError{code: exitInput, err: errors.New("the scenario sends nothing that could be scaled")}
	}
	from := base
	if o.findFrom != "" {
		r, err := unit.ParseRate(o.findFrom)
		if err == nil && (r.Thing != unit.Arrivals && r.Thing != unit.Requests || r.PerSecond() <= 0) {
			err = fmt.Errorf("%q is no rate of arrivals, such as 100/s", o.findFrom)
		}
		if err != nil {
			return usage(fmt.Errorf("--find-from: %w", err))
		}
		from = r.PerSecond()
	}
	var planned int64
	for _, plan := range plans {
		planned += plan.Schedule.Len()
	}
	lowest := max(base*fewest/float64(max(planned, 1)), base*answerable(x.scenario, bounds))
	c := search.Config{From: from, Floor: min(from, lowest)}
	judged := calibration.Peak(requests(plans)) / base // share of the rate that a ceiling holds for
	if ceiling := x.calibration.CeilingOver(overHTTP2(x.scenario)); ceiling > 0 && judged > 0 && !o.aboveCeiling {
		c.Limit = ceiling / judged
	}
	if err := clearSearch(x.dir); err != nil {
		return usage(err)
	}

	ctx, abort, done := interruptible(ctx)
	defer done()
	m := &maximum{
		Schema: findMaxSchema, Scenario: x.scenario.Name, Digest: x.scenario.Digest,
		Status: "running", Confirmations: search.Confirmations, Trials: []trial{}, bounds: bounds,
	}
	for _, b := range bounds {
		m.Bounds = append(m.Bounds, b.Text)
	}
	if err := m.write(x.dir); err != nil {
		return failure(err)
	}
	answer, err := search.Run(c, func(rate float64, phase search.Phase) (search.Result, error) {
		number := len(m.Trials) + 1
		t := trial{Record: fmt.Sprintf("trial-%02d", number), Rate: rate, Phase: phase}
		fmt.Fprintf(a.stderr, "%s  %s/s  %s\n", t.Record, unit.Human(rate), phase)
		one := x
		one.id, one.dir, one.brief = x.id+"-"+t.Record, filepath.Join(x.dir, t.Record), true
		one.prepared = x.anew(scaled(x.scenario, rate/base, bounds), number)
		note := fmt.Sprintf("a trial of a search for the highest rate with %s: all rates are those of the file times %.4g, and all seeds plus %d", o.findMax, rate/base, number)
		if x.system != nil {
			note += fmt.Sprintf("; the sandbox draws by seed %d", one.sandboxSeed)
		}
		one.notes = append(slices.Clone(x.notes), note)
		if err := calibration.Above(x.calibration, overHTTP2(x.scenario), rate*judged); err != nil {
			one.notes = append(one.notes, "run with --above-ceiling: "+err.Error())
		}
		if _, err := a.execute(ctx, abort, one); err != nil {
			return "", err
		}
		run, err := record.Read(one.dir)
		if err != nil {
			return "", &exitError{code: exitInput, err: err}
		}
		assessment := capacity.Assess(run)
		t.State, t.Verdict, t.Thresholds = run.Manifest.State, assessment.Verdict.Status, assessment.Thresholds
		t.Result, t.Why = judge(run.Manifest, assessment)
		m.Trials = append(m.Trials, t)
		return t.Result, m.write(x.dir)
	})
	if err != nil {
		var e *exitError
		if errors.As(err, &e) {
			return err
		}
		return failure(err)
	}
	m.conclude(answer, c.Limit)
	if err := m.write(x.dir); err != nil {
		return failure(err)
	}
	m.print(a, x.dir)
	return m.outcome(answer)
}

// answerable returns the least part of the scenario's rates at which its measured
// stages plan, but for chance, the ten requests beyond each percentile that bounds name.
func answerable(s *scenarios.Scenario, bounds []scenarios.Threshold) (part float64) {
	for _, b := range bounds {
		p, ok := capacity.Percentile(b.Metric)
		if !ok {
			continue
		}
		var planned float64
		for _, l := range s.Loads {
			var sum, of float64 // weights
			for _, op := range l.Operations {
				sum += op.Weight
				if b.Of == "" || b.Of == op.Name {
					of += op.Weight
				}
			}
			for _, st := range l.Profile {
				if st.Measure {
					planned += st.Arrivals() * of / sum
				}
			}
		}
		need := 10 / (1 - p)
		part = max(part, (need+3*math.Sqrt(need))/planned)
	}
	return part
}

// parseBounds parses the thresholds that a passing rate must meet, and checks
// that a run of the scenario says whether it does.
func parseBounds(text string, p *prepared) ([]scenarios.Threshold, error) {
	bounds, err := scenarios.ParseThresholds(text)
	if err != nil {
		return nil, err
	}
	for _, b := range bounds {
		upper := strings.HasPrefix(b.Op, "<")
		switch b.Metric {
		case "rate":
			return nil, fmt.Errorf("%q bounds the rate, which is what is looked for", b.Text)
		case "headroom", "binds_at":
			upper = !upper
		}
		if !upper {
			return nil, fmt.Errorf("%q is no bound that a higher rate breaks", b.Text)
		}
		if b.Of == "" || slices.Contains([]string{"headroom", "utilization", "binds_at"}, b.Metric) {
			continue
		}
		var names []string
		for _, l := range p.scenario.Loads {
			for _, op := range l.Operations {
				names = append(names, op.Name)
			}
		}
		if !slices.Contains(names, b.Of) {
			return nil, fmt.Errorf("%q is of an operation that no load sends: operations are %s", b.Text, strings.Join(names, ", "))
		}
	}
	// The scenario itself has no fault, so that each is one of the bounds.
	for _, f := range quotas.Check(scaled(p.scenario, 1, bounds), p.system) {
		return nil, errors.New(f.Problem)
	}
	return bounds, nil
}

// scaled returns the scenario with every rate times factor, to be held against
// bounds instead of its own thresholds.
func scaled(s *scenarios.Scenario, factor float64, bounds []scenarios.Threshold) *scenarios.Scenario {
	other := *s
	other.Thresholds = bounds
	other.Loads = slices.Clone(s.Loads)
	for i := range other.Loads {
		l := &other.Loads[i]
		l.Profile = slices.Clone(l.Profile)
		for j := range l.Profile {
			st := &l.Profile[j]
			st.From *= factor
			st.To *= factor
			if st.Curve != nil {
				st.Curve = scaledCurve{st.Curve, factor}
			}
		}
	}
	return &other
}

// anew returns what a trial of a search runs: the scenario, whose loads it may
// change, with seeds of the trial's own for the loads and for the sandbox. Equal
// seeds would send equal schedules to equal draws, and passes that repeat each
// other are one pass. Streams of neighbouring seeds have nothing in common.
func (p *prepared) anew(s *scenarios.Scenario, number int) *prepared {
	other := *p
	other.scenario = s
	other.sandboxSeed += uint64(number)
	for i := range s.Loads {
		s.Loads[i].Seed += uint64(number)
	}
	return &other
}

// scaledCurve is a curve with every rate times factor.
type scaledCurve struct {
	curve  scenarios.Curve
	factor float64
}

func (c scaledCurve) Rate(at time.Duration) float64     { return c.factor * c.curve.Rate(at) }
func (c scaledCurve) Expected(at time.Duration) float64 { return c.factor * c.curve.Expected(at) }
func (c scaledCurve) Inverse(n float64) time.Duration   { return c.curve.Inverse(n / c.factor) }
func (c scaledCurve) Peak() float64                     { return c.factor * c.curve.Peak() }

func (c scaledCurve) Points() []scenarios.RatePoint {
	points := slices.Clone(c.curve.Points())
	for i := range points {
		points[i].Rate *= c.factor
	}
	return points
}

// judge says what a trial's run means for its rate, and why where it isn't a
// pass.
//
// An INVALID run says nothing of the target. An INCONCLUSIVE one is never a
// pass, but a failure where that is what its checks come to: the target was too
// slow for the in-flight limit, or its response times did not settle.
func judge(m capacity.Manifest, a capacity.Assessment) (search.Result, string) {
	var why, missed, unknown []string
	overload, readable := false, true
	for _, c := range a.Verdict.Failed() {
		why = append(why, c.Name+" "+c.Value)
		switch c.Name {
		case capacity.CheckSaturationDrops, capacity.CheckSteadyState:
			overload = true
		case capacity.CheckSamples: // of one bound; another may be missed all the same
		default:
			readable = false
		}
	}
	for i, t := range a.Thresholds {
		bound := m.Scenario.Thresholds[i]
		switch {
		case t.Value == nil:
			unknown = append(unknown, t.Expression)
		case !t.Passed:
			missed = append(missed, bounded(bound)+" "+figure(bound, t))
		}
	}
	checks := strings.Join(why, "; ")
	switch {
	case m.State != capacity.Complete:
		return search.Ended, m.Reason
	case a.Verdict.Status == capacity.Invalid:
		return search.Generator, checks
	case !readable:
		return search.Undecided, checks
	case len(missed) > 0:
		return search.Fail, strings.Join(missed, ", ")
	case overload:
		return search.Fail, checks
	case len(unknown) > 0:
		return search.Undecided, "too few answers for " + strings.Join(unknown, ", ") + " (make the measured stages longer)"
	case a.Verdict.Status != capacity.Valid:
		return search.Undecided, checks
	}
	return search.Pass, ""
}

// bounded names what a threshold bounds.
func bounded(t scenarios.Threshold) string {
	if t.Of == "" {
		return t.Metric
	}
	return t.Metric + "(" + t.Of + ")"
}

// figure prints what became of what a threshold bounds.
func figure(t scenarios.Threshold, r capacity.ThresholdResult) string {
	v := r.Value
	switch {
	case v == nil:
		return "n/a"
	case r.AtLeast:
		return "at least " + unit.HumanSeconds(*v)
	case t.Metric == "tokens":
		return unit.Human(*v)
	case t.Metric == "binds_at":
		return unit.Human(*v) + "/s"
	case slices.Contains([]string{"errors", "throttled", "dropped", "headroom", "utilization"}, t.Metric):
		return unit.HumanShare(*v)
	}
	return unit.HumanSeconds(*v)
}

// conclude puts the answer into words. limit is the highest rate that was let
// be tried, or 0.
func (m *maximum) conclude(a search.Answer, limit float64) {
	m.Status, m.Confirmed = a.Status, a.Confirmed
	perSecond := func(v float64) string { return unit.Human(v) + "/s" }
	rate, failing := "", ""
	if a.Rate > 0 {
		m.Rate, rate = &a.Rate, perSecond(a.Rate)
	}
	if a.Failing > 0 {
		m.Failing = &a.Failing
		at := slices.IndexFunc(m.Trials, func(t trial) bool { return t.Rate == a.Failing && t.Result == search.Fail })
		failing = fmt.Sprintf("; lowest failing %s: %s", perSecond(a.Failing), m.Trials[at].Why)
	}
	last := ""
	if n := len(m.Trials); n > 0 {
		last = m.Trials[n-1].Why
	}
	switch a.Status {
	case search.Found:
		m.Answer = fmt.Sprintf("highest passing rate %s; confirmed %d of %d%s", rate, a.Confirmed, search.Confirmations, failing)
		return
	case search.None:
		m.Answer = "no rate passed" + failing + "; nothing lower was tried, where a run of this length soon has too few answers to judge by: give it longer stages"
		return
	}
	reason := ""
	switch a.Last {
	case search.Generator:
		reason = "the generator was the limit"
		if n := len(m.Trials); n == 0 || m.Trials[n-1].Result != search.Generator {
			last = fmt.Sprintf("the next rate is above this machine's ceiling of %s", perSecond(limit))
		}
		reason += ": " + last
	case search.Undecided:
		reason = "a trial could not be judged: " + last
	case search.Ended:
		reason = last
	default:
		reason = fmt.Sprintf("no end after %d trials", search.MaxTrials)
	}
	if rate == "" {
		m.Answer = "no answer: " + reason + failing
		return
	}
	m.Answer = fmt.Sprintf("highest passing rate at least %s, not confirmed; %s%s", rate, reason, failing)
}

// print prints the trials and the answer.
func (m *maximum) print(a app, dir string) {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "trial\trate\tphase\tresult\tverdict\t"+strings.Join(m.Bounds, "\t"))
	for _, t := range m.Trials {
		cells := []string{t.Record, unit.Human(t.Rate) + "/s", string(t.Phase), string(t.Result), string(t.Verdict)}
		for i, r := range t.Thresholds {
			cells = append(cells, figure(m.bounds[i], r))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	// The writer is as good as standard output, whose errors nobody hears.
	_ = w.Flush()
	fmt.Fprintf(a.stdout, "\n%s\n", m.Answer)
	if m.Status == search.Found {
		// The chance of n passes in a row is p^n: 5 % for the smallest p that they
		// don't rule out.
		fmt.Fprintf(a.stdout, "%d passes of %d alone show, with 95 %% confidence, that a trial at this rate passes at least %.0f %% of the time\n",
			m.Confirmed, m.Confirmations, math.Floor(100*math.Pow(0.05, 1/float64(m.Confirmed))))
		for _, line := range m.sure() {
			fmt.Fprintln(a.stdout, line)
		}
	}
	fmt.Fprintf(a.stdout, "\nsearch   %s\ntrials   headroom report %s\n", filepath.Join(dir, findMaxFile), filepath.Join(dir, "trial-NN"))
}

// sure says of each bound of a percentile how many of the confirmations show, by
// themselves and with 95 % confidence, that the service keeps it.
func (m *maximum) sure() (lines []string) {
	for i, bound := range m.bounds {
		shown, told := 0, 0
		for _, t := range m.Trials {
			if t.Phase != search.Confirm || t.Result != search.Pass || t.Rate != *m.Rate {
				continue
			}
			if margin := t.Thresholds[i].Margin; margin != nil {
				told++
				if margin.Shown() {
					shown++
				}
			}
		}
		if told > 0 {
			lines = append(lines, fmt.Sprintf("%s: shown of the service, with 95 %% confidence, by %d of %d confirmations", bound.Text, shown, m.Confirmed))
		}
	}
	return lines
}

// outcome is the exit code that a search earns.
func (m *maximum) outcome(a search.Answer) error {
	if a.Status == search.Found {
		return nil
	}
	if a.Status == search.None {
		return &exitError{code: exitThreshold}
	}
	switch a.Last {
	case search.Generator:
		if len(m.Trials) == 0 {
			return &exitError{code: exitRefused, hint: "begin lower with --find-from, or run with --above-ceiling"}
		}
		return &exitError{code: exitInvalid}
	case search.Ended:
		if m.Trials[len(m.Trials)-1].State == capacity.Stopped {
			return &exitError{code: exitStopped}
		}
		return &exitError{code: exitInterrupted}
	}
	return &exitError{code: exitInconclusive}
}

// write replaces the search's file.
func (m *maximum) write(dir string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(dir, findMaxFile)
	if err := os.WriteFile(name+".new", b.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// clearSearch empties a folder of the search that it holds. One that holds
// something else is refused.
func clearSearch(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	var there struct{ Schema string }
	b, err := os.ReadFile(filepath.Join(dir, findMaxFile))
	if err != nil || json.Unmarshal(b, &there) != nil || there.Schema != findMaxSchema {
		return fmt.Errorf("%s: folder is not empty and holds no search of headroom", dir)
	}
	old, err := filepath.Glob(filepath.Join(dir, "trial-[0-9][0-9]"))
	if err != nil {
		return err
	}
	for _, trial := range old {
		if err := record.Check(trial); err != nil {
			return err
		}
		if err := os.RemoveAll(trial); err != nil {
			return err
		}
	}
	return os.Remove(filepath.Join(dir, findMaxFile))
}
