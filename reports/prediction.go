package reports

import (
	"fmt"
	"slices"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/price"
	"github.com/headroom-load/headroom/reports/plot"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Prediction tells what a simulated run of a plan would use and meet, for a
// person to look at before the first byte of the real one.
func Prediction(run *capacity.Run, a capacity.Assessment) *Report {
	r := &Report{
		Title: "Predicted, by " + run.Manifest.Target,
		Facts: []string{"simulated in virtual time; nothing was sent"},
	}
	t := &Table{Columns: []Column{{"quota", false}, {"limit", true}, {"peak", true}, {"used", true}, {"refused", true}, {"first in second", true}}}
	for _, q := range a.Quotas {
		row := []Cell{{Text: q.ID}, {Text: plot.Amount(q.Limit, q)}}
		if q.Peak == nil || q.Utilization == nil {
			c := t.missing("the System doesn't say what " + q.ID + " is charged")
			row = append(row, c, c)
		} else {
			row = append(row, Cell{Text: plot.Amount(*q.Peak, q)}, Cell{Text: unit.HumanShare(*q.Utilization), Tone: headroomTone(1 - *q.Utilization)})
		}
		refused, first := refusals(run, q)
		switch {
		case refused == 0:
			row = append(row, Cell{Text: "0"}, Cell{})
		default:
			c := Cell{Text: unit.Human(refused), Tone: Bad}
			if q.Kind == capacity.LevelQuota && q.Utilization != nil && *q.Utilization < 0.99 {
				c.Notes = []int{t.note("the level fits, but it is needed faster than units are created: provision some before the load, or ramp more slowly")}
			}
			row = append(row, c, Cell{Text: fmt.Sprint(first)})
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) > 0 {
		r.Sections = append(r.Sections, Section{ID: "use", Title: "Use", Blocks: []Block{t, Text(reasonOf(a))}})
	}
	if s := Cost(price.Of(run), "this rehearsal"); s != nil {
		r.Sections = append(r.Sections, *s)
	}
	return r
}

func reasonOf(a capacity.Assessment) string { return sentence(a.FirstToBindReason) }

// refusals returns how many requests the quota refused, and the first second in
// which it did.
func refusals(run *capacity.Run, q capacity.QuotaResult) (n float64, first int) {
	first = -1
	for _, s := range run.Series {
		if s.Quota != q.ID || s.Role != capacity.RoleThrottles {
			continue
		}
		for _, p := range s.Points {
			n += p.Value
			if p.Value > 0 && first < 0 {
				first = int(p.At.Sub(run.Manifest.Start).Seconds())
			}
		}
	}
	if q.ID == capacity.RequestTokens {
		for i := range run.Rows {
			if k := run.Rows[i].Reasons["throttled HTTP 429"]; k > 0 {
				n += float64(k)
				if first < 0 || run.Rows[i].Second < first {
					first = run.Rows[i].Second
				}
			}
		}
	}
	return n, first
}

// Cost is the section of what something costs by list prices, or nil where
// nothing of it has one.
func Cost(b price.Bill, what string) *Section {
	if len(b.Lines) == 0 {
		return nil
	}
	t := &Table{Columns: []Column{{"what", false}, {"amount", true}, {"USD", true}}}
	for _, l := range b.Lines {
		c := Cell{Text: l.What}
		if l.Note != "" {
			c.Notes = []int{t.note(l.Note)}
		}
		t.Rows = append(t.Rows, []Cell{c, {Text: unit.HumanQuantity(l.Amount, l.Unit)}, {Text: money(l.USD)}})
	}
	for _, m := range slices.Compact(slices.Sorted(slices.Values(b.Missing))) {
		t.Rows = append(t.Rows, []Cell{{Text: m}, {}, t.missing("no price of it is known here")})
	}
	t.Rows = append(t.Rows, []Cell{{Text: "together"}, {}, {Text: money(b.USD)}})
	return &Section{ID: "cost", Title: "Cost of " + what, Blocks: []Block{
		t,
		Text(fmt.Sprintf("By list prices of %s, first tier, the oldest read on %s: an order of magnitude, not a bill.", b.Region, b.AsOf)),
	}}
}

func money(usd float64) string {
	switch {
	case usd < 0.005:
		return fmt.Sprintf("%.4f", usd)
	case usd < 1000:
		return fmt.Sprintf("%.2f", usd)
	}
	return unit.Human(usd)
}
