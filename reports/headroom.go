package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/reports/plot"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// headroomSection sets every quota's limit against its use, and what one
// arrival costs against the rate at which the quota binds.
func headroomSection(a capacity.Assessment) Section {
	s := Section{ID: "headroom", Title: "Headroom"}
	if len(a.Quotas) == 0 {
		s.Blocks = []Block{Text("No quotas were read, so the run says nothing of headroom.")}
		return s
	}
	target, same := 0.0, true
	for _, q := range a.Quotas {
		if q.Required != nil {
			same = same && (target == 0 || target == q.Required.Target)
			target = q.Required.Target
		}
	}
	required := "required"
	if same && target > 0 {
		required = "for " + unit.Human(target) + "/s"
	}
	t := &Table{Columns: []Column{
		{"quota", false},
		{"limit", true},
		{"peak", true},
		{"used", true},
		{"headroom", true},
		{"throttled", true},
		{"unit cost", true},
		{"binds at", true},
		{"safe rate", true},
		{required, true},
	}}
	for _, q := range a.Quotas {
		row := []Cell{{Text: q.ID}, {Text: plot.Amount(q.Limit, q), Sub: origin(q.Origin)}}
		for _, n := range q.Notes {
			row[0].Notes = append(row[0].Notes, t.note(n))
		}
		if a.Withheld != "" {
			for len(row) < len(t.Columns) {
				row = append(row, t.missing("withheld: "+a.Withheld))
			}
			t.Rows = append(t.Rows, row)
			continue
		}
		if q.Peak == nil {
			c := t.missing("no use of " + q.ID + " was recorded")
			row = append(row, c, c, c)
		} else {
			peak := Cell{Text: plot.Amount(*q.Peak, q)}
			short, long, _ := strings.Cut(q.Resolution, ", ")
			peak.Sub = short
			if long != "" {
				peak.Notes = append(peak.Notes, t.note(q.Resolution))
			}
			if q.Coverage != nil && *q.Coverage < 1 {
				peak.Notes = append(peak.Notes, t.note(fmt.Sprintf("%s of the run's minutes had a point", unit.HumanShare(*q.Coverage))))
			}
			row = append(row, peak)
			if q.Utilization != nil && q.Headroom != nil {
				row = append(row, Cell{Text: unit.HumanShare(*q.Utilization)}, Cell{Text: unit.HumanShare(*q.Headroom), Tone: headroomTone(*q.Headroom)})
			} else {
				c := t.missing("the limit of " + q.ID + " is not known")
				row = append(row, c, c)
			}
		}
		row = append(row, t.throttled(q), t.cost(q))
		binds := t.prediction(a, q, q.BindsAt)
		if q.BindsAtMost != nil {
			binds = Cell{Text: "at most " + unit.Human(*q.BindsAtMost) + "/s"}
		}
		row = append(row, binds, t.prediction(a, q, q.SafeRate), t.required(q, same))
		t.Rows = append(t.Rows, row)
	}
	s.Blocks = []Block{t, Text("Rates are arrivals per second of the loads that charge the quota. \"Binds at\" and \"safe rate\" are predictions with their grade and 95 % interval; what a rate requires is arithmetic: rate times unit cost.")}
	if t := costTable(a); t != nil {
		s.Blocks = append(s.Blocks, t)
	}
	if t := spillTable(a); t != nil {
		s.Blocks = append(s.Blocks, t, Text("Requests spill over where every provisioned unit is busy: they run in others, which may have to start first. Erlang's loss formula supposes Poisson arrivals at the planned rate, each of which holds a unit for the unit cost."))
	}
	return s
}

func (t *Table) throttled(q capacity.QuotaResult) Cell {
	switch {
	case q.Throttled == nil:
		return t.missing("no throttle count was recorded for " + q.ID)
	case *q.Throttled > 0:
		return Cell{Text: whole(*q.Throttled), Tone: Bad}
	}
	return Cell{Text: "0"}
}

func (t *Table) cost(q capacity.QuotaResult) Cell {
	if q.Kind == capacity.FixedQuota {
		return t.fixed(q)
	}
	if q.UnitCost == nil {
		return t.missing("the run gives no unit cost of " + q.ID)
	}
	if q.UnitCost.Low == 0 {
		return Cell{Text: plot.UnitCost(q), Sub: "at most " + costOf(q.UnitCost.High, q)}
	}
	return Cell{Text: plot.UnitCost(q), Sub: interval(q.UnitCost.Low, q.UnitCost.High, func(v float64) string { return costOf(v, q) })}
}

// fixed is a cell of a quota that has no such figure because it doesn't grow with the
// rate.
func (t *Table) fixed(q capacity.QuotaResult) Cell {
	return t.missing(q.ID + " doesn't grow with the rate")
}

// required is the cell of what the target rate needs; same says that the
// column's heading names that rate.
func (t *Table) required(q capacity.QuotaResult, same bool) Cell {
	n := q.Required
	if q.Kind == capacity.FixedQuota {
		return t.fixed(q)
	}
	if n == nil {
		return t.missing("what a rate requires of " + q.ID + " needs its unit cost")
	}
	c := Cell{Text: plot.Amount(n.Quota, q)}
	if q.Limit > 0 {
		c.Sub = unit.Human(n.Quota/q.Limit) + "x the limit"
	}
	if !same {
		c.Notes = append(c.Notes, t.note("for "+unit.Human(n.Target)+"/s"))
	}
	others := 0.0
	if q.Others != nil {
		others = *q.Others
	}
	if cold := q.ColdCost; cold != nil && q.UnitCost != nil && n.Quota == capacity.WholeUnits(n.Target**cold+others) && c.Text != plot.Amount(capacity.WholeUnits(n.Target*q.UnitCost.Value+others), q) {
		why := "the unit cost in the run's dearest stretch, since a launch begins cold"
		if q.MostHeldAt != nil {
			why = fmt.Sprintf("by which the tested rate holds as many at once as in second %s, while they started or the backend stood still", whole(int64(*q.MostHeldAt)))
		}
		c.Notes = append(c.Notes, t.note(fmt.Sprintf("the rate times %s, %s", costOf(*cold, q), why)))
	} else if q.Kind == capacity.LevelQuota && strings.HasPrefix(q.Resolution, "60s") {
		c.Notes = append(c.Notes, t.note("how long a unit is held is known by the minute: where requests begin cold for seconds, and those in flight don't stand out in any, they are averaged with the others"))
	}
	if n.Quota > q.Limit {
		c.Tone = Bad
	}
	return c
}

// prediction is the cell of a predicted rate.
func (t *Table) prediction(a capacity.Assessment, q capacity.QuotaResult, p *capacity.Prediction) Cell {
	switch {
	case q.Kind == capacity.FixedQuota:
		return t.fixed(q)
	case p == nil && a.Verdict.Status != capacity.Valid:
		return t.missing(fmt.Sprintf("withheld: the run is %s", a.Verdict.Status))
	case p == nil && slices.Contains(q.Notes, capacity.NoRefusals):
		return t.missing(capacity.NoRefusals)
	case p == nil:
		return t.missing("the run does not carry this prediction for " + q.ID)
	case p.Grade == capacity.Refused || p.Rate == nil:
		return Cell{Text: "refused", Tone: Faint, Notes: []int{t.note(fmt.Sprintf("more than 3 times the highest tested rate, %s/s, which is too far to predict", unit.Human(q.TestedRate)))}}
	}
	c := Cell{Text: unit.Human(*p.Rate) + "/s", Sub: string(p.Grade)}
	switch {
	case p.Low != nil && p.High == nil:
		c.Sub = "at least " + unit.Human(*p.Low) + "/s\n" + c.Sub
	case p.Low != nil:
		if i := interval(*p.Low, *p.High, unit.Human); i != "" {
			c.Sub = i + "\n" + c.Sub
		}
	}
	return c
}

// costTable shows what each operation charges, where a quota has more than one.
func costTable(a capacity.Assessment) *Table {
	t := &Table{Caption: "Unit cost of each operation", Columns: []Column{{"quota", false}, {"operation", false}, {"load", false}, {"unit cost", true}}}
	for _, q := range a.Quotas {
		if len(q.ByOperation) < 2 {
			continue
		}
		for _, c := range q.ByOperation {
			t.Rows = append(t.Rows, []Cell{{Text: q.ID}, {Text: c.Name}, {Text: c.Load}, {Text: costOf(c.UnitCost, q)}})
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

// spillTable shows how many requests found no unit that was provisioned for them.
func spillTable(a capacity.Assessment) *Table {
	t := &Table{Caption: "Provisioned units", Columns: []Column{{"quota", false}, {"provisioned", true}, {"requests", true}, {"spilled over", true}, {"share", true}, {"by Erlang", true}}}
	for _, q := range a.Quotas {
		x := q.SpillOver
		if x == nil {
			continue
		}
		share := func(v *float64, why string) Cell {
			switch {
			case v == nil:
				return t.missing(why)
			case *v > 0 && *v < 1e-6:
				return Cell{Text: "< 0.0001 %"}
			}
			return Cell{Text: unit.HumanShare(*v)}
		}
		var units Cell
		if x.Provisioned != nil {
			units = Cell{Text: plot.Amount(*x.Provisioned, q)}
		} else {
			units = t.missing("nothing says how many are")
		}
		t.Rows = append(t.Rows, []Cell{
			{Text: q.ID},
			units,
			{Text: whole(x.Requests)},
			{Text: whole(x.Spilled)},
			share(x.Share, "no request ran in any"), share(x.Predicted, "it takes Poisson arrivals, the number that is provisioned and the unit cost of the requests that may run there"),
		})
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

func headroomTone(h float64) Tone {
	switch {
	case h <= 0.005:
		return Bad
	case h <= 0.2:
		return Warning
	}
	return Good
}

func costOf(v float64, q capacity.QuotaResult) string {
	q.UnitCost = &capacity.Estimate{Value: v}
	return plot.UnitCost(q)
}
