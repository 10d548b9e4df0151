package plot

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Heights of the areas of the clock.
const (
	clockFirst = 120 * vg.Inch / 72
	clockNext  = 84 * vg.Inch / 72
)

// hues are those of the loads, or groups, one after the other.
var hues = []role{blue, green, purple, amber}

// clock shows what the loads of a run with Kafka records did on one axis of time:
// their rates, response times, what brokers made them wait, how far consumers were
// behind, and what happened. withheld says why there are no response times.
func clock(t *timeline, withheld string) (f Figure, ok bool) {
	loads := t.run.Manifest.Loads
	if !slices.ContainsFunc(loads, capacity.Load.Kafka) || len(t.at) == 0 {
		return f, false
	}
	loads = loads[:min(len(loads), len(hues))]
	f = Figure{Name: "clock", Title: "All loads on one clock"}
	together := t.apart(loads)
	f.chart = t.loadRates(together[0], 0)
	f.chart.stages, f.chart.tall = t.stages(), clockFirst
	for i, one := range together[1:] {
		c := t.loadRates(one, i+1)
		c.tall = clockNext
		f.chart.under = append(f.chart.under, c)
	}
	shown := []string{"offered and answered rates of each load"}
	show := func(what string, c chart, ok bool) {
		if ok {
			c.tall = clockNext
			f.chart.under = append(f.chart.under, c)
			shown = append(shown, what)
		}
	}
	if withheld == "" {
		c, drawn := t.loadTimes(loads)
		show(strings.Join(drawn, " and ")+" of their response times", c, len(drawn) > 0)
	}
	waits, asked := t.waits()
	show("the longest time a broker asked to wait in each second", waits, asked)
	lags, behind := t.lags()
	show("how many records consumer groups were behind", lags, behind)
	f.Caption = "From the top: " + strings.Join(shown, "; ") + "."
	if withheld != "" {
		f.Caption += " " + withheld
	}
	events := t.happened()
	for i, e := range events {
		f.chart.marks = append(f.chart.marks, flag{red, e.at, e.name(len(events)), e.until})
		for k := range f.chart.under {
			u := &f.chart.under[k]
			u.marks = append(u.marks, rule{red, e.at, e.until})
		}
		if i == 0 {
			f.Caption += " Marked:"
		}
		f.Caption += fmt.Sprintf(" at %s %s", unit.HumanSeconds(max(e.at, 0)), e.text)
		if e.more > 0 {
			f.Caption += fmt.Sprintf(", and %d more within moments", e.more)
		}
		if i < len(events)-1 {
			f.Caption += ";"
		} else {
			f.Caption += "."
		}
	}
	return f, true
}

// apart returns the loads whose rates are drawn together: all, or each on its own
// where one would be flat beside another.
func (t *timeline) apart(loads []capacity.Load) (groups [][]capacity.Load) {
	const flat = 5
	lowest, highest := math.Inf(1), 0.0
	for _, l := range loads {
		top := slices.Max(t.of(l, func(r *measure.Row) int64 { return r.Planned }))
		lowest, highest = min(lowest, top), max(highest, top)
	}
	if highest <= flat*lowest {
		return [][]capacity.Load{loads}
	}
	for i := range loads {
		groups = append(groups, loads[i:i+1])
	}
	return groups
}

// of returns a figure of a load's rows, per second.
func (t *timeline) of(l capacity.Load, n func(*measure.Row) int64) []float64 {
	return t.perSecond(func(r *measure.Row) float64 {
		if r.Load != l.Name {
			return 0
		}
		return float64(n(r))
	})
}

// loadRates draws what each load offered, and what of it was answered, in the hues
// from the given one on.
func (t *timeline) loadRates(loads []capacity.Load, hue int) chart {
	var marks []mark
	top := 0.0
	for i, l := range loads {
		offered, answered := t.of(l, func(r *measure.Row) int64 { return r.Planned }), t.of(l, func(r *measure.Row) int64 { return r.OK })
		top = max(top, slices.Max(offered), slices.Max(answered))
		marks = append(marks,
			line{name: l.Name + " offered", role: hues[hue+i], dash: dotted, weight: 1.3, xs: t.at, ys: offered},
			line{name: "ok", role: hues[hue+i], weight: 1.8, xs: t.at, ys: answered})
	}
	return chart{x: t.time(), y: amounts("per second", top, short), marks: marks}
}

// loadTimes draws percentiles of each load's response times, and says which any load
// has.
func (t *timeline) loadTimes(loads []capacity.Load) (c chart, drawn []string) {
	lowest, highest := math.Inf(1), 0.0
	for i, l := range loads {
		step, parts := t.responses(l.Name)
		if step == 0 {
			continue
		}
		for _, p := range []struct {
			name, called string
			p            float64
			dash         []vg.Length
		}{{"p50", "median", 0.5, solid}, {"p99", "p99", 0.99, dashed}} {
			line := line{name: l.Name + " " + p.name, role: hues[i], dash: p.dash, weight: 1.8}
			low, high, earned := t.steps(&line, p.p, step, parts)
			lowest, highest = min(lowest, low), max(highest, high)
			if !earned {
				continue
			}
			c.marks = append(c.marks, line)
			if !slices.Contains(drawn, p.called) {
				drawn = append(drawn, p.called)
			}
		}
	}
	c.y = times(lowest, highest)
	if c.y.log {
		c.y.title = "time (log)"
	}
	return c, drawn
}

// waits draws what brokers asked to wait; nothing where none did.
func (t *timeline) waits() (c chart, ok bool) {
	longest := make([]float64, len(t.at))
	top := 0.0
	for _, s := range t.run.Series {
		if s.Source != measure.KafkaClient || s.Metric != measure.KafkaThrottleTime {
			continue
		}
		for p := range s.Points.All() {
			at := max(0, p.At.Sub(t.run.Manifest.Start)).Seconds()
			if i := int(at / t.step); i < len(longest) {
				longest[i] = max(longest[i], p.Value)
				top = max(top, p.Value)
			}
		}
	}
	if top == 0 {
		return c, false
	}
	l := spans{name: "throttle time", role: red}
	for i, v := range longest {
		if v > 0 {
			l.spans = append(l.spans, span{float64(i) * t.step, float64(i+1) * t.step, v})
		}
	}
	return chart{y: times(top, top), marks: []mark{l}}, true
}

// lags draws how far consumer groups were behind.
func (t *timeline) lags() (c chart, ok bool) {
	top := 0.0
	all := capacity.Lags(t.run)
	for i, l := range all[:min(len(all), len(hues))] {
		at, lag := capacity.LagTrace(t.run, l.Group, l.Topic)
		if len(at) == 0 {
			continue
		}
		top = max(top, slices.Max(lag))
		c.marks = append(c.marks, line{name: "lag of " + l.Group + " on " + l.Topic, role: hues[len(hues)-1-i], weight: 1.8, xs: at, ys: lag})
	}
	c.y = amounts("records", top, short)
	return c, len(c.marks) > 0
}

// happening is what happened from an instant on, with how much more did within
// moments.
type happening struct {
	at, until float64
	kind      string
	text      string
	more      int
}

// name is its label above the data where there are so many.
func (h happening) name(of int) string {
	if of > 6 {
		return ""
	}
	if h.until > h.at {
		return "no answer for " + unit.HumanSeconds(h.until-h.at)
	}
	return map[string]string{"leader": "leader change", "broker": "broker", "stop": "stopped", "interrupt": "interrupted"}[h.kind]
}

// happened returns the events to mark, those of moments after another together by
// the first, or the first that lasted.
func (t *timeline) happened() (all []happening) {
	moment := max(t.end/12, 1)
	events := slices.Clone(t.run.Events)
	slices.SortStableFunc(events, func(x, y capacity.Event) int {
		switch {
		case x.At < y.At:
			return -1
		case x.At > y.At:
			return 1
		}
		return 0
	})
	for _, e := range events {
		if !slices.Contains([]string{"leader", "broker", "stop", "interrupt"}, e.Kind) || e.At > t.end {
			continue
		}
		if n := len(all); n > 0 && e.At-all[n-1].at < moment && e.Kind != "stop" && e.Kind != "interrupt" {
			if last := &all[n-1]; e.For > 0 && last.until == last.at {
				*last = happening{e.At, e.At + e.For, e.Kind, e.Text, last.more + 1}
			} else {
				last.more++
			}
			continue
		}
		all = append(all, happening{at: e.At, until: e.At + e.For, kind: e.Kind, text: e.Text})
	}
	return all
}
