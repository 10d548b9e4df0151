package reports

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

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
		Lead:  foreseen(run, a),
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
		refused, first := capacity.Refusals(run, q.ID)
		switch {
		case refused == 0:
			row = append(row, Cell{Text: "0"}, Cell{})
		default:
			c := Cell{Text: unit.HumanCount(refused, ""), Tone: Bad}
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
	if s := wire(run); s != nil {
		r.Sections = append(r.Sections, *s)
	}
	if s := Cost(price.Of(run), "this rehearsal"); s != nil {
		r.Sections = append(r.Sections, *s)
	}
	return r
}

// Unserved returns how many requests of a run were throttled, and how many arrivals
// were not sent for want of a place.
func Unserved(run *capacity.Run) (throttled, dropped float64) {
	for r := range run.Rows.All() {
		throttled += float64(r.Throttled)
		dropped += float64(r.Dropped())
	}
	return throttled, dropped
}

// foreseen says in a sentence what of the plan would not be served.
func foreseen(run *capacity.Run, a capacity.Assessment) string {
	var planned float64
	for r := range run.Rows.All() {
		planned += float64(r.Planned)
	}
	var parts []string
	throttled, dropped := Unserved(run)
	if throttled > 0 {
		first, by := math.MaxInt, ""
		for _, q := range a.Quotas {
			if n, second := capacity.Refusals(run, q.ID); n > 0 && second < first {
				first, by = second, q.ID
			}
		}
		part := fmt.Sprintf("%s of %s requests (%s) would be refused", unit.HumanCount(throttled, ""), unit.HumanCount(planned, ""), unit.HumanShare(throttled/planned))
		if by != "" {
			part += fmt.Sprintf(", first by %s in second %d", by, first)
		}
		parts = append(parts, part)
	}
	if dropped > 0 {
		parts = append(parts, fmt.Sprintf("%s would not be sent in time, since in_flight allows no more requests at once", unit.HumanCount(dropped, "")))
	}
	if len(parts) == 0 {
		return fmt.Sprintf("No request of %s would be refused.", unit.HumanCount(planned, ""))
	}
	return sentence(strings.Join(parts, "; "))
}

// wire is the section of what the load takes of the generator's network, or nil
// where the System says nothing of it.
func wire(run *capacity.Run) *Section {
	waiting, back := make(map[int]float64), make(map[int]float64)
	for r := range run.Rows.All() {
		waiting[r.Second] += r.InFlight
		back[r.Second] += float64(r.BytesIn)
	}
	busiest := func(seconds map[int]float64) (second int, most float64) {
		for _, s := range slices.Sorted(maps.Keys(seconds)) {
			if seconds[s] > most {
				second, most = s, seconds[s]
			}
		}
		return second, most
	}
	limit := 0
	for _, l := range run.Manifest.Loads {
		limit += l.InFlight
	}
	t := &Table{Columns: []Column{{"what", false}, {"at most", true}, {"in second", true}, {"limit", true}}}
	if second, most := busiest(waiting); most > 0 {
		c := Cell{Text: "connections", Notes: []int{t.note("one for each request that waits for its answer, as the mean of a second; the limit is in_flight of all loads together")}}
		t.Rows = append(t.Rows, []Cell{c, {Text: unit.HumanCount(math.Ceil(most), "")}, {Text: fmt.Sprint(second)}, {Text: unit.HumanCount(float64(limit), "")}})
	}
	if second, most := busiest(back); most > 0 {
		c := Cell{Text: "bandwidth", Notes: []int{t.note("of the answers' bodies, as the System says")}}
		t.Rows = append(t.Rows, []Cell{c, {Text: unit.HumanRate(most, unit.Bytes), Sub: unit.Human(most*8/1e6) + " Mbit/s"}, {Text: fmt.Sprint(second)}, {}})
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return &Section{ID: "wire", Title: "On the wire", Blocks: []Block{t}}
}

func reasonOf(a capacity.Assessment) string { return sentence(a.FirstToBindReason) }

// Cost is the section of what something costs by list prices, or nil where
// nothing of it has one.
func Cost(b price.Bill, what string) *Section {
	if len(b.Lines) == 0 {
		return nil
	}
	t := &Table{Columns: []Column{{"what", false}, {"amount", true}, {"USD", true}}}
	for _, l := range b.Lines {
		amount := func(v float64) string {
			if l.Unit == unit.Requests {
				return unit.HumanCount(v, l.Unit)
			}
			return unit.HumanQuantity(v, l.Unit)
		}
		c := Cell{Text: l.What}
		note := l.Note
		if l.Own {
			note = strings.TrimSuffix(fmt.Sprintf("%s by %s, as of %s; %s", l.Price, l.Price.Source, l.Price.AsOf, note), "; ")
		}
		if l.AtMost > 1.005*l.Amount {
			note += ": it may be up to " + amount(l.AtMost)
		}
		if note != "" {
			c.Notes = []int{t.note(note)}
		}
		t.Rows = append(t.Rows, []Cell{c, {Text: amount(l.Amount)}, {Text: money(l.USD)}})
	}
	for _, m := range b.Missing {
		t.Rows = append(t.Rows, []Cell{{Text: m.What}, {}, t.missing(m.Why)})
	}
	t.Rows = append(t.Rows, []Cell{{Text: "together"}, {}, {Text: money(b.USD)}})
	s := &Section{ID: "cost", Title: "Cost of " + what, Blocks: []Block{
		t,
		Text(fmt.Sprintf("By %s, first tier, the oldest read on %s: an order of magnitude, not a bill.", b.Prices(), b.AsOf)),
	}}
	if b.Supposed != "" {
		s.Blocks = append(s.Blocks, Text("Supposed: "+b.Supposed+"."))
	}
	return s
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
