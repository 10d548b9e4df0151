package reports

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/reports/plot"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// New tells what a run says, in the order in which a reader asks.
func New(run *capacity.Run, a capacity.Assessment) *Report {
	a = withhold(run, a)
	m := run.Manifest
	r := &Report{
		Title: m.Scenario.Name,
		Facts: []string{
			string(m.Kind) + " run " + m.ID,
			m.Start.UTC().Format("2006-01-02 15:04:05 UTC"),
			length(run),
			"target " + m.Target,
		},
		Banner: banner(run, a),
		Lead:   sentence(a.FirstToBindReason),
		Under:  slices.Concat(under(a), limitedBy(a)),
	}
	r.Sections = []Section{
		headroomSection(a),
		{ID: "figures", Title: "Figures", Detail: true, Blocks: figures(run, a)},
		operationsSection(run, a),
		tokensSection(run, a),
		thresholdsSection(run, a),
		checksSection(a),
		{ID: "connections", Title: "Connections", Detail: true, Blocks: connectionBlocks(run)},
		planSection(run),
		provenanceSection(run),
		{ID: "glossary", Title: "How this was measured", Detail: true, Blocks: glossary},
	}
	r.Sections = slices.DeleteFunc(r.Sections, func(s Section) bool { return len(s.Blocks) == 0 })
	return r
}

// length says how long the run lasted, as far as its record tells.
func length(run *capacity.Run) string {
	s := unit.HumanSeconds(run.Length())
	if run.Manifest.End.IsZero() {
		s += " to its last row"
	}
	return s
}

// under tells the prediction in the lead from the arithmetic.
func under(a capacity.Assessment) []string {
	if a.FirstToBind == nil {
		return nil
	}
	i := slices.IndexFunc(a.Quotas, func(q capacity.QuotaResult) bool { return q.ID == *a.FirstToBind })
	if i < 0 {
		return nil
	}
	q := a.Quotas[i]
	if q.BindsAt == nil || q.Required == nil {
		return nil
	}
	return []string{fmt.Sprintf("The binding rate is a prediction, graded %s; what %s/s requires is arithmetic, rate times unit cost.", q.BindsAt.Grade, unit.Human(q.Required.Target))}
}

// limitedBy is the line that says who kept the run from more or faster answers. A
// consumer group that fell behind keeps nobody from them, and yet is a limit.
func limitedBy(a capacity.Assessment) []string {
	l := a.LimitedBy
	who := map[capacity.Limiter]string{
		capacity.ByNothing:   "Nothing limited the run",
		capacity.ByGenerator: "The generator limited the run",
		capacity.ByNetwork:   "The network limited the run",
		capacity.ByThrottle:  "A quota limited the run",
		capacity.ByBackend:   "The backend limited the run",
		capacity.ByUnknown:   "What limited the run is not known",
	}[l.Who]
	if l.Who == capacity.ByNothing && slices.ContainsFunc(a.Consumers, func(c capacity.Consumer) bool { return c.Service != nil }) {
		who = "Nothing limited the answers"
	}
	if l.Who == capacity.ByNothing && len(l.Evidence) > 1 { // what was lost stands before the rest
		who += " by more than a thousandth of the requests"
	}
	switch {
	case who == "", l.Who == capacity.ByUnknown && len(l.Evidence) == 0:
		return nil
	case len(l.Evidence) > 0:
		who += ": " + l.Evidence[0]
	}
	return []string{sentence(who)}
}

func figures(run *capacity.Run, a capacity.Assessment) (blocks []Block) {
	for _, f := range plot.Figures(run, a) {
		blocks = append(blocks, Figure{f})
	}
	return blocks
}

func banner(run *capacity.Run, a capacity.Assessment) *Banner {
	b := &Banner{Head: string(a.Verdict.Status)}
	var passed, idle int
	for _, c := range a.Verdict.Checks {
		switch c.Status {
		case capacity.Passed:
			passed++
		case capacity.NotApplicable:
			idle++
		case capacity.CheckFailed:
			line := fmt.Sprintf("%s: %s, where the bound is %s", c.Name, c.Value, c.Bound)
			if c.Hint != "" {
				line += "; " + c.Hint
			}
			b.Lines = append(b.Lines, line)
		}
	}
	switch a.Verdict.Status {
	case capacity.Valid:
		b.Tone = Good
		b.Text = plural(passed, "check holds", "checks hold")
		if idle > 0 {
			b.Text += fmt.Sprintf(", %d not applicable", idle)
		}
	case capacity.Invalid:
		b.Tone, b.Text = Bad, "the load generator fell short of the plan"
	default:
		b.Tone, b.Text = Warning, "the data does not carry a conclusion"
	}
	if a.Verdict.Status != capacity.Valid {
		if slices.ContainsFunc(a.Quotas, func(q capacity.QuotaResult) bool { return q.BindsAt != nil }) {
			b.Text += "; only quotas that were seen to throttle have predictions"
		} else {
			b.Text += "; no prediction is shown"
		}
	}
	if n := len(a.Thresholds); n > 0 {
		met := 0
		for _, t := range a.Thresholds {
			if t.Passed {
				met++
				continue
			}
			was := "which the run doesn't tell"
			if t.Value != nil {
				was = "it was " + thresholdValue(run, t)
			}
			b.Lines = append(b.Lines, fmt.Sprintf("threshold missed: %s, %s", t.Expression, was))
		}
		b.Text += fmt.Sprintf("; %d of %s met", met, plural(n, "threshold", "thresholds"))
		if met < n && b.Tone == Good {
			b.Tone = Warning
		}
	}
	m := run.Manifest
	switch m.State {
	case capacity.Interrupted, capacity.Stopped, capacity.Running:
		line := map[capacity.State]string{
			capacity.Interrupted: "the run was interrupted",
			capacity.Stopped:     "the run was stopped by a rule",
			capacity.Running:     "the record ends before the run did",
		}[m.State]
		if m.Reason != "" {
			line += ": " + m.Reason
		}
		b.Lines = append(b.Lines, line)
	}
	for _, d := range run.Damage {
		b.Lines = append(b.Lines, "damaged record: "+d)
	}
	for _, n := range slices.Concat(m.Notes, deadAddresses(run)) {
		b.Lines = append(b.Lines, "note: "+n)
	}
	return b
}

// atLeast stands before a figure that is a lower bound, which timedOut explains.
const (
	atLeast  = "≥ "
	timedOut = "at least: requests timed out, whose answers would have come later"
)

func operationsSection(run *capacity.Run, a capacity.Assessment) Section {
	s := Section{ID: "operations", Title: "Operations"}
	if len(a.Operations) == 0 {
		return s
	}
	counts := &Table{Columns: []Column{
		{"operation", false},
		{"planned", true},
		{"sent", true},
		{"ok", true},
		{"throttled", true},
		{"failed", true},
		{"rejected", true},
		{"unclassified", true},
		{"timed out", true},
		{"generator errors", true},
		{"unfinished", true},
		{"dropped", true},
		{"not due", true},
	}}
	latency := &Table{Columns: []Column{
		{"operation", false}, {"time", false}, {"n", true}, {"mean", true}, {"p50", true}, {"p90", true}, {"p95", true}, {"p99", true}, {"p99.9", true}, {"max", true},
	}}
	precise := false // whether there is an interval to explain
	reasons := &Table{Caption: "Why answers were not ok", Columns: []Column{{"operation", false}, {"outcome and reason", false}, {"answers", true}}}
	for _, o := range a.Operations {
		row := []Cell{nameOf(a, o)}
		for i, n := range []int64{o.Planned, o.Sent, o.OK, o.Throttled, o.Failed, o.Rejected, o.Unclassified, o.TimedOut, o.GeneratorErrors, o.Unfinished, o.Dropped, o.NotDue} {
			c := Cell{Text: whole(n)}
			if i > 2 && n > 0 {
				c.Tone = Bad
			}
			row = append(row, c)
		}
		counts.Rows = append(counts.Rows, row)
		for _, k := range []struct {
			name string
			t    capacity.Times
		}{{"response", o.ResponseTime}, {"service", o.ServiceTime}, {"lag", o.Lag}} {
			row := []Cell{{Text: o.Name}, {Text: k.name}, {Text: whole(k.t.N)}}
			for _, x := range []struct {
				name string
				p    float64 // 0 for the mean and the maximum
				v    *float64
			}{{"mean", 0, k.t.Mean}, {"p50", 0.5, k.t.P50}, {"p90", 0.9, k.t.P90}, {"p95", 0.95, k.t.P95}, {"p99", 0.99, k.t.P99}, {"p999", 0.999, k.t.P999}, {"max", 0, k.t.Max}} {
				switch {
				case x.v != nil:
					c := Cell{Text: unit.HumanSeconds(*x.v), Sub: precision(k.t, x.name, *x.v)}
					precise = precise || c.Sub != ""
					if slices.Contains(k.t.AtLeast, x.name) {
						c.Text, c.Notes = atLeast+c.Text, []int{latency.note(timedOut)}
					}
					if k.t.Grows && x.p > 0 {
						c.Sub, c.Notes = "n/a", append(c.Notes, latency.note("response times still grew while the rate was held, so the percentile is of this run only, and no longer run tells the service's own"))
					}
					row = append(row, c)
				case k.t.N == 0:
					row = append(row, Cell{Text: "n/a", Tone: Faint, Notes: []int{latency.note("there were no such answers")}})
				case x.p > 0 && !stats.Earned(k.t.N, x.p):
					row = append(row, Cell{Text: notEarned, Tone: Faint, Sub: precision(k.t, x.name, 0)})
				case a.TimesWithheld == "":
					row = append(row, latency.missing(notGiven))
				default:
					row = append(row, latency.missing("withheld: "+a.TimesWithheld))
				}
			}
			latency.Rows = append(latency.Rows, row)
		}
		for _, k := range slices.SortedFunc(maps.Keys(o.Reasons), func(x, y string) int {
			return cmp.Or(cmp.Compare(o.Reasons[y], o.Reasons[x]), cmp.Compare(x, y))
		}) {
			reasons.Rows = append(reasons.Rows, []Cell{{Text: o.Name}, {Text: k}, {Text: whole(o.Reasons[k])}})
		}
	}
	s.Blocks = append(s.Blocks, counts)
	if none := counts.dropEmpty("0"); len(none) > 0 {
		s.Blocks = append(s.Blocks, Text("None: "+strings.Join(none, ", ")+"."))
	}
	s.Blocks = append(s.Blocks, latency)
	if precise {
		s.Blocks = append(s.Blocks, Text("Under a percentile stands the 95 % interval of the service's own, in the same unit, or after a + how much longer the same load must run to tell it."))
	}
	covered := "ok answers"
	if slices.ContainsFunc(a.Operations, func(o capacity.OperationResult) bool { return o.TimedOut > 0 }) {
		covered += " and, up to when they were given up, requests that timed out"
	}
	text := "Response time counts from the instant a request should have been sent and covers " + covered + "; service time counts from its actual sending and covers every completed request; lag is the time between the two. Stages with measure: false are left out."
	if none := latency.dropEmpty(notEarned); len(none) > 0 {
		for i, name := range none {
			var more float64 // until the last operation's is known
			for _, o := range a.Operations {
				more = max(more, o.ResponseTime.NeedsSeconds[strings.ReplaceAll(name, ".", "")])
			}
			if more > 0 {
				none[i] += " (+" + unit.FormatDuration(time.Duration(more)*time.Second) + ")"
			}
		}
		text += " Not earned, with fewer than 10 answers above them: " + strings.Join(none, ", ") + "."
	}
	s.Blocks = append(s.Blocks, Text(text))
	if len(reasons.Rows) > 0 {
		s.Blocks = append(s.Blocks, reasons)
	}
	s.Blocks = append(s.Blocks, producedBlocks(run)...)
	s.Blocks = append(s.Blocks, brokerBlocks(run)...)
	s.Blocks = append(s.Blocks, clusterBlocks(run)...)
	s.Blocks = append(s.Blocks, consumerBlocks(a)...)
	return s
}

// precision says how well a run's percentile, whose value is given where it has
// one, tells the service's own: "98.1–112", "+5m40s" or nothing.
func precision(t capacity.Times, name string, value float64) string {
	if iv, ok := t.Intervals[name]; ok {
		_, of, _ := strings.Cut(unit.HumanSeconds(value), " ")
		low, same := strings.CutSuffix(unit.HumanSeconds(iv.Low), " "+of)
		high, too := strings.CutSuffix(unit.HumanSeconds(iv.High), " "+of)
		if !same || !too {
			low, high = unit.HumanSeconds(iv.Low), unit.HumanSeconds(iv.High)
		}
		return low + "–" + high
	}
	if more, ok := t.NeedsSeconds[name]; ok {
		return "+" + unit.FormatDuration(time.Duration(more)*time.Second)
	}
	return ""
}

// nameOf is the cell that names an operation, with its load where there are
// several.
func nameOf(a capacity.Assessment, o capacity.OperationResult) Cell {
	c := Cell{Text: o.Name}
	if slices.ContainsFunc(a.Operations, func(x capacity.OperationResult) bool { return x.Load != o.Load }) {
		c.Sub = o.Load
	}
	return c
}

// tokensSection is the ledger of the answers' token counts.
func tokensSection(run *capacity.Run, a capacity.Assessment) Section {
	s := Section{ID: "tokens", Title: "Token ledger"}
	t := &Table{Columns: []Column{{"operation", false}, {"tokens", true}, {"answers with a count", true}, {"mean", true}, {"p99", true}, {"max", true}}}
	any := false
	for _, o := range a.Operations {
		if slices.ContainsFunc(run.Manifest.Loads, func(l capacity.Load) bool { return l.Name == o.Load && l.Kafka() }) {
			continue // a record costs no tokens
		}
		row := []Cell{nameOf(a, o)}
		k := o.Tokens
		if k.Total == nil {
			c := t.missing("no answer carried the header x-amzn-appsync-TokensConsumed")
			t.Rows = append(t.Rows, append(row, c, Cell{Text: whole(k.N)}, c, c, c))
			continue
		}
		any = true
		row = append(row, Cell{Text: whole(*k.Total)}, Cell{Text: whole(k.N)})
		for i, v := range []*float64{k.Mean, k.P99, k.Max} {
			switch {
			case v != nil:
				row = append(row, Cell{Text: number(*v)})
			case i == 1:
				row = append(row, Cell{Text: notEarned, Tone: Faint})
			default:
				row = append(row, t.missing(notGiven))
			}
		}
		t.Rows = append(t.Rows, row)
	}
	if !any {
		return s
	}
	s.Blocks = []Block{t}
	if a.Withheld != "" {
		return s
	}
	for _, x := range capacity.Reconcile(run) {
		who := "The cloud published"
		if run.Manifest.Kind == capacity.Simulated {
			who = "The System charged"
		}
		text := fmt.Sprintf(who+" %s for %s in %s, the ledger counted %s in them: a difference of %.1f %%.",
			unit.HumanCount(x.Cloud, unit.Tokens), x.Quota, plural(x.Minutes, "minute", "minutes"), unit.HumanCount(x.Ledger, unit.Tokens), math.Round(1000*x.Difference)/10+0) // never -0.0
		if x.Unmeasured > 0 {
			text += fmt.Sprintf(" %s, refused ones among them, got no count.", plural(int(x.Unmeasured), "request", "requests"))
		}
		s.Blocks = append(s.Blocks, Text(text))
	}
	return s
}

func thresholdsSection(run *capacity.Run, a capacity.Assessment) Section {
	s := Section{ID: "thresholds", Title: "Thresholds"}
	if len(a.Thresholds) == 0 {
		return s
	}
	t := &Table{Columns: []Column{{"threshold", false}, {"value", true}, {"met", false}}}
	for _, r := range a.Thresholds {
		value, met := Cell{Text: thresholdValue(run, r)}, Cell{Text: "no", Tone: Bad}
		if r.Value == nil {
			value = t.missing("the run does not say")
		}
		if r.Passed {
			met = Cell{Text: "yes", Tone: Good}
		}
		met.Sub = sureness(r.Margin)
		t.Rows = append(t.Rows, []Cell{{Text: r.Expression}, value, met})
	}
	s.Blocks = []Block{t}
	return s
}

// sureness says how surely the service keeps an upper bound of a percentile.
func sureness(m *capacity.Margin) string {
	switch {
	case m == nil:
		return ""
	case m.Allowed == nil:
		return fmt.Sprintf("not sure of the service: worth %s independent answers of at least %s", whole(m.Worth), whole(m.Needed))
	}
	sure := "95 % sure of the service"
	if !m.Shown() {
		sure = "not sure of the service"
	}
	return fmt.Sprintf("%s: %s of %s answers above, at most %s may be", sure, whole(m.Over), whole(m.Answers), whole(*m.Allowed))
}

// thresholdValue prints a threshold's value in the unit of its metric.
func thresholdValue(run *capacity.Run, r capacity.ThresholdResult) string {
	if r.Value == nil {
		return "n/a"
	}
	m, _ := threshold(run, r.Expression)
	switch m.Metric {
	case "p50", "p90", "p95", "p99", "p999", "mean", "max":
		if r.AtLeast {
			return atLeast + unit.HumanSeconds(*r.Value)
		}
		return unit.HumanSeconds(*r.Value)
	case "errors", "throttled", "dropped", "headroom", "utilization":
		return unit.HumanShare(*r.Value)
	case "rate", "binds_at":
		return unit.Human(*r.Value) + "/s"
	case "tokens":
		return unit.HumanQuantity(*r.Value, unit.Tokens)
	}
	return unit.Human(*r.Value)
}

func checksSection(a capacity.Assessment) Section {
	s := Section{ID: "checks", Title: "Checks", Detail: true}
	if len(a.Verdict.Checks) == 0 {
		return s
	}
	t := &Table{Columns: []Column{{"check", false}, {"result", false}, {"value", false}, {"bound", false}, {"hint", false}}}
	for _, c := range a.Verdict.Checks {
		result := Cell{Text: "passed", Tone: Good}
		switch c.Status {
		case capacity.CheckFailed:
			result = Cell{Text: "failed", Tone: Bad}
		case capacity.NotApplicable:
			result = Cell{Text: "not applicable", Tone: Faint}
		}
		t.Rows = append(t.Rows, []Cell{{Text: c.Name}, result, {Text: c.Value}, {Text: c.Bound}, {Text: c.Hint}})
	}
	s.Blocks = []Block{t}
	return s
}

func planSection(run *capacity.Run) Section {
	s := Section{ID: "plan", Title: "Plan", Detail: true}
	m := run.Manifest
	if m.Scenario.Description != "" {
		s.Blocks = append(s.Blocks, Text(m.Scenario.Description))
	}
	if len(m.Loads) == 0 {
		return s
	}
	loads := &Table{Caption: "Loads", Columns: []Column{{"load", false}, {"arrivals", false}, {"planned", true}, {"seed", true}, {"starts at", true}, {"in flight at most", true}, {"late arrivals", false}, {"timeout", true}}}
	stages := &Table{Caption: "Stages", Columns: []Column{{"load", false}, {"stage", false}, {"from", true}, {"to", true}, {"for", true}, {"measured", false}}}
	ops := &Table{Caption: "Operations", Columns: []Column{{"load", false}, {"operation", false}, {"kind", false}, {"share", true}}}
	for _, l := range m.Loads {
		late := fmt.Sprintf("%s after %s", l.Late, lasting(l.Lateness))
		loads.Rows = append(loads.Rows, []Cell{{Text: l.Name}, {Text: l.Arrivals}, {Text: whole(l.Planned)}, {Text: strconv.FormatUint(l.Seed, 10)}, {Text: lasting(l.Start)}, {Text: whole(int64(l.InFlight))}, {Text: late}, {Text: lasting(l.Timeout)}})
		for _, g := range l.Stages {
			measured := "yes"
			if !g.Measure {
				measured = "no"
			}
			to := number(g.To) + "/s"
			if len(g.Points) > 0 {
				to += ", up to " + number(g.PeakRate()) + "/s"
			}
			stages.Rows = append(stages.Rows, []Cell{{Text: l.Name}, {Text: g.Name}, {Text: number(g.From) + "/s"}, {Text: to}, {Text: lasting(g.For)}, {Text: measured}})
		}
		for _, o := range l.Operations {
			ops.Rows = append(ops.Rows, []Cell{{Text: l.Name}, {Text: o.Name}, {Text: o.Kind}, {Text: unit.HumanShare(o.Share)}})
		}
	}
	s.Blocks = append(s.Blocks, loads, stages, ops)
	return s
}

// glossary says how the figures came about, for a reader who meets them first.
var glossary = []Block{
	Text("Load is sent open-loop: each request has an instant at which it should be sent, whatever became of those before it. Response time = done - intended, service time = done - sent, lag = sent - intended."),
	Text("A run is VALID when the generator kept to its plan and the data carries the conclusions; INVALID when the generator fell short; INCONCLUSIVE when the data did. Throttling by the target never makes a run invalid."),
	Text("Outcome, first match: throttled (refused by a quota), rejected (other 4xx, unauthorised), failed (any other error, in the status or in the body), unclassified (a 2xx that is no GraphQL answer), ok."),
	Text("A percentile p of the run is printed when at least 10 answers lie above it: n(1-p) >= 10. Otherwise it is not earned. Its 95 % interval is for the service, and counts answers that come slow together as less than their number: it is printed when the run is worth at least 20 independent answers above p, and 30 independent steps of its record."),
	Text("Peak is the highest use at the resolution named with it. Unit cost is the mean charge of one arrival. A quota binds at limit / unit cost; the safe rate is the highest at which at most 0.1 % would be throttled. Predictions are graded by how far they lie from what was tested: tested, supported (to 1.5 times), indicative (to 3 times), refused beyond."),
}

// notGiven says that a figure is missing, and not why.
const notGiven = "the run does not give it"

// notEarned stands for a percentile that a run has too few answers for.
const notEarned = "not earned"

// origin names where a limit came from, for a reader.
func origin(o capacity.Origin) string {
	switch o {
	case capacity.FromServiceQuotas:
		return "Service Quotas"
	case capacity.FromSystem:
		return "System file"
	}
	return string(o)
}

// interval prints a 95 % interval, or "" where its ends read the same.
func interval(low, high float64, print func(float64) string) string {
	l, h := print(low), print(high)
	if l == h {
		return ""
	}
	return l + " to " + h
}

// whole prints a count: "1,234".
func whole(n int64) string { return number(float64(n)) }

// number prints a value that is often a whole number as one: "2", "2.50".
func number(v float64) string { return unit.HumanCount(v, "") }

// lasting prints a planned time in seconds as a scenario file would: "2m30s".
func lasting(s float64) string { return unit.FormatDuration(time.Duration(math.Round(s * 1e9))) }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return whole(int64(n)) + " " + many
}

// sentence ends a phrase with a full stop.
func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}
