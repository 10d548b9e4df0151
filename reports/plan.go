package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/plan"
	"github.com/headroom-load/headroom/reports/plot"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Plan tells what a target rate needs: the steps in the order in which the
// quotas bind, each requirement with its factors, and what suffices.
func Plan(p *plan.Plan) *Report {
	r := &Report{
		Title: fmt.Sprintf("%s at %s", p.Scenario, unit.HumanRate(p.Rate, unit.Arrivals)),
		Facts: []string{"planned from " + p.Run, Margin(p.Margin)},
		Lead:  chain(p),
		Under: []string{fmt.Sprintf("Requirements are arithmetic. What the present limits carry is %s; a prediction at %s would be %s: the run tested up to %s.",
			carried(p), unit.HumanRate(p.Rate, unit.Arrivals), p.Grade, unit.HumanRate(p.Tested, unit.Arrivals))},
	}
	for _, s := range p.Supposed {
		r.Under = append(r.Under, "Supposed: "+s+".")
	}
	if len(p.Warnings) > 0 {
		r.Banner = &Banner{Tone: Warning, Head: "NOTE", Text: p.Warnings[0], Lines: p.Warnings[1:]}
	}
	if len(p.Steps) > 0 {
		t := &Table{Columns: []Column{{"step", false}, {"now", true}, {"required", true}, {"how", false}, {"reaches", true}}}
		for i, s := range p.Steps {
			as := capacity.QuotaResult{Kind: s.Kind, Unit: s.Unit}
			how, tone := "ask for more", Plain
			switch {
			case s.Code != "" && s.Adjustable:
				how = "Service Quotas " + s.Code
			case s.Adjustable:
				how = "ask its service"
			case s.Origin == capacity.FromSystem:
				how = "raise it in the System"
			default:
				how, tone = "can't be raised", Warning
			}
			t.Rows = append(t.Rows, []Cell{
				{Text: fmt.Sprintf("%d. %s", i+1, s.Quota)},
				{Text: plot.Amount(s.Limit, as), Sub: carries(s.Need)},
				{Text: plot.Amount(s.Required, as), Sub: unit.Human(s.Required/s.Limit) + "x"},
				{Text: how, Tone: tone},
				{Text: unit.HumanRate(s.Reaches, unit.Arrivals)},
			})
			if s.Redesign != "" {
				t.Rows[i][0].Notes = []int{t.note("or " + s.Redesign)}
			}
			if s.LeadTime != "" {
				t.Rows[i][3].Notes = []int{t.note(s.LeadTime)}
			}
		}
		r.Sections = append(r.Sections, Section{ID: "steps", Title: "Steps", Blocks: []Block{t}})
	}
	var groups []Block
	for _, c := range p.Consumers {
		groups = append(groups, Text(fmt.Sprintf("%s More members help up to one for each of the topic's %d partitions, and faster processing of each record; a member that has a hot partition is the first to fall behind.",
			sentence(mustTake(c)), c.Partitions)))
	}
	if len(groups) > 0 {
		r.Sections = append(r.Sections, Section{ID: "consumers", Title: "Consumer groups", Blocks: groups})
	}
	if all := append(needs(p.Steps), p.Enough...); len(all) > 0 {
		t := &Table{Columns: []Column{{"quota", false}, {"factor", false}, {"value", true}, {"why", false}}}
		for _, n := range all {
			for i, f := range n.Factors {
				name, times := n.Quota, "x "
				if i > 0 {
					name = ""
				} else {
					times = ""
				}
				t.Rows = append(t.Rows, []Cell{{Text: name}, {Text: times + f.Name}, {Text: factor(f)}, {Text: f.Why}})
			}
			as := capacity.QuotaResult{Kind: n.Kind, Unit: n.Unit}
			verdict, tone := "enough: the limit is "+plot.Amount(n.Limit, as), Good
			if n.Required > n.Limit {
				verdict, tone = "more than the limit, "+plot.Amount(n.Limit, as), Bad
			}
			t.Rows = append(t.Rows, []Cell{{}, {Text: "= required"}, {Text: plot.Amount(n.Required, as)}, {Text: verdict, Tone: tone}})
		}
		r.Sections = append(r.Sections, Section{ID: "factors", Title: "How each requirement comes about", Blocks: []Block{t}})
	}
	if p.PerHour != nil {
		if s := Cost(*p.PerHour, "an hour at "+unit.HumanRate(p.Rate, unit.Arrivals)); s != nil {
			r.Sections = append(r.Sections, *s)
		}
	}
	if len(p.Unknown) > 0 {
		r.Sections = append(r.Sections, Section{ID: "unknown", Title: "Not planned", Blocks: []Block{
			Text("The run doesn't tell what a request costs of " + strings.Join(p.Unknown, ", ") + ": these may bind first, and nothing here says so."),
		}})
	}
	return r
}

// mustTake says what a consumer group lacks.
func mustTake(c plan.ConsumerNeed) string {
	must := fmt.Sprintf("Group %s must take %s of %s", c.Group, perSecond(c.Required), c.Topic)
	if c.Takes != nil {
		return fmt.Sprintf("%s, %sx the %s that it takes", must, unit.Human(c.Required/c.Takes.Value), perSecond(c.Takes.Value))
	}
	return fmt.Sprintf("%s, and whether it can isn't known: the run saw it take %s", must, perSecond(c.Seen))
}

// chain is the plan in a few words: what its quotas, and its consumers, need.
func chain(p *plan.Plan) string {
	text := quotaChain(p)
	for _, c := range p.Consumers {
		text += " " + sentence(mustTake(c))
	}
	return text
}

// quotaChain is what the quotas need.
func quotaChain(p *plan.Plan) string {
	target := unit.HumanRate(p.Rate, unit.Arrivals)
	now := fmt.Sprintf("The present limits carry %s, where %s binds.", unit.HumanRate(*p.Carries, unit.Arrivals), p.Limit)
	if p.Rest != nil {
		now = fmt.Sprintf("No rate carries all requests: %s. The rest is carried up to %s, where %s binds.",
			strings.Join(p.Fails, ", "), unit.HumanRate(p.Rest.Carries, unit.Arrivals), p.Rest.Limit)
	}
	switch {
	case len(p.Steps) == 0 && p.Rest != nil:
		return now
	case len(p.Steps) == 0:
		return fmt.Sprintf("Every quota whose cost is known suffices for %s; the first to bind is %s, at %s.", target, p.Limit, unit.HumanRate(*p.Carries, unit.Arrivals))
	}
	var steps []string
	for _, s := range p.Steps {
		as := capacity.QuotaResult{Kind: s.Kind, Unit: s.Unit}
		text := fmt.Sprintf("%s %s -> %s", s.Quota, plot.Amount(s.Limit, as), plot.Amount(s.Required, as))
		if s.Code != "" {
			text += " (" + s.Code + ")"
		}
		steps = append(steps, text)
	}
	return fmt.Sprintf("%s For %s: %s.", now, target, strings.Join(steps, "; then "))
}

// carried says what stands behind the rate that the present limits carry.
func carried(p *plan.Plan) string {
	rate := p.Carries
	if p.Rest != nil {
		rate = &p.Rest.Carries
	}
	if rate == nil {
		return "a prediction"
	}
	if g := capacity.GradeOf(*rate, p.Tested); g != capacity.Refused {
		return fmt.Sprintf("a prediction, graded %s", g)
	}
	return "arithmetic too, limit by unit cost, so far beyond the run"
}

// carries says what rate the present limit of a quota carries.
func carries(n plan.Need) string {
	if n.Carries == nil {
		return "at any rate"
	}
	return "carries " + unit.HumanRate(*n.Carries, unit.Arrivals)
}

// Margin says which margin requirements have, given its confidence; 0: none.
func Margin(m float64) string {
	if m == 0 {
		return "means only: no margin for the busiest second or for tails"
	}
	return "margin " + unit.HumanShare(m)
}

func needs(steps []plan.Step) []plan.Need {
	var out []plan.Need
	for _, s := range steps {
		out = append(out, s.Need)
	}
	return slices.Clip(out)
}

// factor prints a factor so that a reader who multiplies comes to the requirement.
func factor(f plan.Factor) string {
	switch f.Unit {
	case "":
		return unit.Digits(f.Value)
	case "/s":
		return unit.Digits(f.Value) + "/s"
	case "s":
		if f.Value < 1 {
			return unit.Digits(f.Value*1e3) + " ms"
		}
	}
	return unit.Digits(f.Value) + " " + f.Unit
}
