package reports

import (
	"cmp"
	"fmt"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/comparison"
	"github.com/headroom-load/headroom/reports/plot"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Comparison tells of two runs side by side: what one arrival costs of each
// quota, what became of the requests and how long they took.
func Comparison(c comparison.Comparison) *Report {
	r := &Report{
		Title: fmt.Sprintf("%s and %s", c.A.ID, c.B.ID),
		Facts: []string{
			fmt.Sprintf("a: %s, %s, %s", c.A.ID, c.A.Scenario, c.A.Status),
			fmt.Sprintf("b: %s, %s, %s", c.B.ID, c.B.Scenario, c.B.Status),
		},
		Banner: &Banner{Head: c.Label},
		Under:  []string{"a: " + sentence(c.A.Reason), "b: " + sentence(c.B.Reason)},
	}
	for _, w := range c.Warnings {
		r.Banner.Lines = append(r.Banner.Lines, "note: "+w)
	}
	if len(c.Quotas) > 0 {
		t := sideBySide("quota", c)
		for _, q := range c.Quotas {
			as := capacity.QuotaResult{Kind: q.Kind, Unit: q.Unit}
			amount := func(v float64) string { return plot.Amount(v, as) }
			rate := func(v float64) string { return unit.Human(v) + "/s" }
			t.pair(q.ID, "unit cost", q.UnitCost, func(v float64) string { return costOf(v, as) })
			t.pair(q.ID, "binds at", q.BindsAt, rate)
			t.pair(q.ID, "limit", q.Limit, amount)
			t.pair(q.ID, "peak", q.Peak, amount)
			t.pair(q.ID, "used", q.Utilization, unit.HumanShare)
			t.pair(q.ID, "throttled", q.Throttled, number)
		}
		r.Sections = append(r.Sections, Section{ID: "quotas", Title: "Cost per request and quota", Blocks: []Block{t.Table}})
	}
	if len(c.Operations) == 0 {
		return r
	}
	classes, times := sideBySide("operation", c), sideBySide("operation", c)
	for _, o := range c.Operations {
		name := operationName(c, o)
		classes.pair(name, "sent", o.Sent, number)
		for _, x := range []struct {
			name string
			f    comparison.Figure
		}{
			{"ok", o.OK},
			{"throttled", o.Throttled},
			{"failed", o.Failed},
			{"rejected", o.Rejected},
			{"unclassified", o.Unclassified},
			{"timed out", o.TimedOut},
			{"dropped", o.Dropped},
		} {
			if x.name == "ok" || !none(x.f) {
				classes.pair(name, x.name, x.f, unit.HumanShare)
			}
		}
		classes.pair(name, "tokens of an answer", o.Tokens, number)
		for _, k := range []struct {
			name string
			t    comparison.Times
		}{{"response", o.ResponseTime}, {"service", o.ServiceTime}} {
			for _, p := range []struct {
				name string
				f    comparison.Figure
			}{{"mean", k.t.Mean}, {"p50", k.t.P50}, {"p90", k.t.P90}, {"p95", k.t.P95}, {"p99", k.t.P99}, {"p99.9", k.t.P999}, {"max", k.t.Max}} {
				if p.f.A != nil || p.f.B != nil {
					times.pair(name, k.name+" "+p.name, p.f, unit.HumanSeconds)
				}
			}
		}
	}
	r.Sections = append(r.Sections,
		Section{ID: "outcomes", Title: "Outcome classes", Blocks: []Block{classes.Table, Text("Shares are of the requests sent, dropped of those planned. Classes that neither run has are left out.")}},
		Section{ID: "times", Title: "Response and service times", Blocks: []Block{times.Table, Text("Percentiles that neither run earned are left out.")}})
	return r
}

// pairs is a table with a row for each figure of both runs.
type pairs struct{ *Table }

func sideBySide(name string, c comparison.Comparison) pairs {
	return pairs{&Table{Columns: []Column{{name, false}, {"figure", false}, {heading("a", c.A), true}, {heading("b", c.B), true}, {"b / a", true}}}}
}

func (t pairs) pair(name, figure string, f comparison.Figure, print func(float64) string) {
	cell := func(v *float64, least bool) Cell {
		switch {
		case v == nil || !finite(*v):
			return Cell{Text: "n/a", Tone: Faint, Notes: []int{t.note(notGiven)}}
		case least:
			return Cell{Text: atLeast + print(*v), Notes: []int{t.note(timedOut)}}
		}
		return Cell{Text: print(*v)}
	}
	ratio := Cell{}
	if f.Ratio != nil && finite(*f.Ratio) {
		ratio.Text = unit.Human(*f.Ratio) + "x"
	}
	t.Rows = append(t.Rows, []Cell{{Text: name}, {Text: figure}, cell(f.A, f.AtLeastA), cell(f.B, f.AtLeastB), ratio})
}

// none reports whether neither run has any of a class.
func none(f comparison.Figure) bool { return (f.A == nil || *f.A == 0) && (f.B == nil || *f.B == 0) }

// operationName adds the load where the name alone does not tell the operation.
func operationName(c comparison.Comparison, o comparison.Operation) string {
	n := 0
	for _, x := range c.Operations {
		if x.Name == o.Name {
			n++
		}
	}
	if n < 2 {
		return o.Name
	}
	return o.Name + " of " + cmp.Or(o.LoadA, o.LoadB)
}

// heading names a side by its scenario, short enough for every figure of the
// comparison to stand in one table.
func heading(letter string, side comparison.Side) string {
	const most = 18
	name := []rune(side.Scenario)
	if len(name) > most {
		name = append(name[:most-1], '…')
	}
	return letter + ": " + string(name)
}
