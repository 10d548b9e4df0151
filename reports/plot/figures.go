package plot

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// The figures of response times, which a run may withhold.
const (
	responseTimeName = "response-time"
	latencyName      = "latency"
)

// rate shows what was offered and what became of it.
func rate(t *timeline) Figure {
	sent := "requests"
	if t.run.Manifest.OnlyKafka() {
		sent = "records"
	}
	f := Figure{Name: "rate", Title: "Offered, served and throttled " + sent}
	planned := t.total(func(r *measure.Row) int64 { return r.Planned })
	if planned == 0 {
		f.Missing = "The record holds no " + sent + "."
		return f
	}
	marks := []mark{
		line{name: "planned rate", role: muted, dash: dotted, weight: 1.2, xs: t.plan().xs, ys: t.plan().ys},
		line{name: "offered", role: ink, weight: 1.3, xs: t.at, ys: t.planned},
		line{name: "served", role: blue, weight: 2, xs: t.at, ys: t.ok},
	}
	f.Caption = fmt.Sprintf("%s %s were offered, at most %s/s, and %s served.",
		count(planned), sent, unit.Human(slices.Max(t.planned)), count(t.total(func(r *measure.Row) int64 { return r.OK })))
	more := func(name string, r role, dash []vg.Length, ys []float64, of func(*measure.Row) int64) {
		if n := t.total(of); n > 0 {
			marks = append(marks, line{name: name, role: r, dash: dash, weight: 1.8, xs: t.at, ys: ys})
			f.Caption += fmt.Sprintf(" %s: %s.", strings.ToUpper(name[:1])+name[1:], count(n))
		}
	}
	more("throttled", red, dashed, t.throttled, func(r *measure.Row) int64 { return r.Throttled })
	more("other errors", purple, dotted, t.errors, func(r *measure.Row) int64 {
		return r.Failed + r.Rejected + r.Unclassified + r.TimedOut + r.GeneratorErrors + r.Unfinished
	})
	more("dropped by the generator", amber, dashed, t.dropped, func(r *measure.Row) int64 { return r.DroppedGenerator + r.DroppedSaturation })
	if t.step > 1 {
		f.Caption += fmt.Sprintf(" Means of %g s.", t.step)
	}
	top := slices.Max(t.plan().ys)
	for _, ys := range [][]float64{t.planned, t.ok, t.throttled, t.errors} {
		top = max(top, slices.Max(ys))
	}
	f.chart = t.chart(amounts(sent+" per second", top, short), marks...)
	return f
}

type xy struct{ xs, ys []float64 }

// plan returns the planned rate of all loads together.
func (t *timeline) plan() xy {
	var out xy
	var rates []func(float64) (before, after float64)
	instants := []float64{0}
	for _, l := range t.run.Manifest.Loads {
		rates = append(rates, l.PlannedRate())
		at := l.Start
		instants = append(instants, at)
		for _, s := range l.Stages {
			for _, p := range s.Points {
				instants = append(instants, at+p.At)
			}
			at += s.For
			instants = append(instants, at)
		}
	}
	slices.Sort(instants)
	instants = slices.Compact(instants)
	for i, at := range instants {
		var before, after float64
		for _, rate := range rates {
			b, a := rate(at)
			before, after = before+b, after+a
		}
		if i > 0 {
			out.xs, out.ys = append(out.xs, at), append(out.ys, before)
		}
		out.xs, out.ys = append(out.xs, at), append(out.ys, after)
	}
	return out
}

// use shows the use of a quota over time against its limit.
func use(t *timeline, q capacity.QuotaResult) Figure {
	f := Figure{Name: "use-" + q.ID, Title: "Use of " + q.ID + " over time"}
	u := usage(t, q)
	if len(u.fine)+len(u.coarse) == 0 {
		f.Missing = "No use of " + q.ID + " was recorded, so there is no figure of it over time."
		return f
	}
	var marks []mark
	var top float64
	if len(u.fine) > 0 {
		l := line{name: u.fineName, role: blue, weight: 1.8}
		for _, s := range u.fine {
			l.xs, l.ys = append(l.xs, (s.from+s.to)/2), append(l.ys, s.value)
			if s.value > top { // and no gap
				top = s.value
			}
		}
		marks = append(marks, l)
	}
	if q.Kind == capacity.LevelQuota && len(t.at) > 0 {
		marks = append(marks, line{name: "the client's requests in flight", role: ink, dash: dotted, weight: 1.3, xs: t.at, ys: t.inFlight})
		top = max(top, slices.Max(t.inFlight))
	}
	if len(u.coarse) > 0 {
		marks = append(marks, spans{name: u.coarseName, role: green, spans: u.coarse})
		for _, s := range u.coarse {
			top = max(top, s.value)
		}
	}
	if q.Peak != nil && q.PeakAt != nil {
		top = max(top, *q.Peak)
		marks = append(marks, dots{name: "peak " + Amount(*q.Peak, q), role: red, radius: 3.5, hollow: true, xs: []float64{u.peakAt(q, t.end)}, ys: []float64{*q.Peak}})
		f.Caption = "Peak " + Amount(*q.Peak, q)
		if q.Utilization != nil {
			f.Caption += fmt.Sprintf(", %s of the limit of %s", unit.HumanShare(*q.Utilization), Amount(q.Limit, q))
		}
		f.Caption += fmt.Sprintf(" (%s).", q.Resolution)
	} else {
		f.Caption = fmt.Sprintf("The limit is %s; how close the run came is not known at a resolution that carries a peak.", Amount(q.Limit, q))
	}
	if u.ledger && slices.ContainsFunc(u.coarse, func(s span) bool { return s.from < 0 || s.to > t.end }) {
		f.Caption += " A mean of a minute that reaches beyond the run counts the idle seconds before it or after it, so it lies below what the run used."
	}
	if t.step > 1 && len(u.fine) > 0 {
		f.Caption += fmt.Sprintf(" The line joins the highest second of each %g s.", t.step)
	}
	f.Caption += u.picked(t)
	l, top := quotaLine(q, top)
	f.chart = t.chart(amounts(axisTitle(q), top, axisLabel(q)), append(marks, l)...)
	return f
}

// quotaLine returns the line of a quota's limit and the top of an axis that
// shows values up to top. A limit of more than eight times those would press
// them flat: it is named above the axis instead.
func quotaLine(q capacity.QuotaResult, top float64) (limit, float64) {
	l := limit{role: ink, value: q.Limit, label: "limit\n" + Amount(q.Limit, q)}
	if q.Limit <= 8*top || top == 0 {
		return l, max(top, q.Limit)
	}
	l.label = "limit (off scale)\n" + Amount(q.Limit, q)
	return l, top
}

// cost shows the use of a quota against the offered rate, second by second,
// with the unit cost as the slope.
func cost(t *timeline, q capacity.QuotaResult) Figure {
	f := Figure{Name: "cost-" + q.ID, Title: "Use of " + q.ID + " against the offered rate"}
	u := usage(t, q)
	offered := t.offered(q)
	var top, far float64
	// Seconds with refusals show what the limit let through, out of a bucket that had
	// saved some perhaps, and not what a request costs.
	refusing := dots{role: muted, radius: 1.6, hollow: true, name: "with refusals"}
	seen := func(d *dots, s span, x, y float64) {
		if t.refused(s.from, s.to) {
			d = &refusing
		}
		if x > 0 && !math.IsNaN(y) {
			d.xs, d.ys = append(d.xs, x), append(d.ys, y)
			top, far = max(top, y), max(far, x)
		}
	}
	// Seconds that were counted say most. Seconds spread from minutes would
	// only repeat the rate that they were spread by.
	points := dots{role: blue, radius: 2, name: "one second"}
	minutes := dots{role: red, radius: 4, hollow: true, name: u.coarseName}
	switch {
	case u.ledger:
		for _, s := range u.fine {
			seen(&points, s, offered(s.from, s.to), s.value)
		}
	case q.Kind == capacity.LevelQuota:
		points.name = "the client's requests in flight, one second"
		if t.step > 1 {
			points.name = fmt.Sprintf("the client's requests in flight, mean of %g s", t.step)
		}
		for i, at := range t.at {
			second := span{at - t.step/2, at + t.step/2, t.inFlight[i]}
			seen(&points, second, offered(second.from, second.to), second.value)
		}
		for _, s := range u.coarse {
			x := 0.0
			for _, at := range t.at {
				if s.from <= at && at < s.to {
					x = max(x, offered(at-t.step/2, at+t.step/2))
				}
			}
			seen(&minutes, s, x, s.value)
		}
		if slices.ContainsFunc(u.coarse, func(s span) bool { return s.to-s.from > 1 }) {
			f.Caption = " A maximum of a minute stands at the minute's highest rate."
		}
	default:
		for _, s := range u.coarse {
			seen(&minutes, s, offered(s.from, s.to), s.value)
		}
	}
	switch {
	case len(u.fine)+len(u.coarse) == 0:
		f.Missing = "No use of " + q.ID + " was recorded, so there is no figure of it against the rate."
		return f
	case q.UnitCost == nil:
		f.Missing = "The run gives no unit cost of " + q.ID + ", so there is no figure of its use against the rate."
		return f
	}
	slope := q.UnitCost.Value
	far = max(far, q.TestedRate)
	binds := q.BindsAt != nil && q.BindsAt.Rate != nil
	if binds {
		far = max(far, *q.BindsAt.Rate*1.1)
	}
	l, top := quotaLine(q, max(top, slope*far))
	marks := []mark{line{name: "unit cost " + UnitCost(q), role: green, weight: 1.8, xs: []float64{0, q.TestedRate}, ys: []float64{0, slope * q.TestedRate}}}
	if far > q.TestedRate {
		marks = append(marks, line{role: green, dash: dashed, weight: 1.4, xs: []float64{q.TestedRate, far}, ys: []float64{slope * q.TestedRate, slope * far}})
	}
	for _, d := range []dots{refusing, points, minutes} {
		if len(d.xs) > 0 {
			marks = append(marks, d)
		}
	}
	f.Caption = fmt.Sprintf("The slope is the unit cost, %s for one arrival.", UnitCost(q)) + f.Caption
	if u.ledger && t.step > 1 {
		f.Caption += fmt.Sprintf(" Of each %g s the second of the highest use is shown.", t.step)
	}
	if len(minutes.xs) > 0 {
		f.Caption += u.picked(t)
	}
	if len(refusing.xs) > 0 {
		f.Caption += " Where requests were refused, points stand faint: they show what the limit let through, not what a request costs."
	}
	if binds {
		marks = append(marks, flag{role: red, value: *q.BindsAt.Rate, label: "binds at " + unit.Human(*q.BindsAt.Rate) + "/s"})
		f.Caption += fmt.Sprintf(" The slope meets the limit at %s/s (prediction, %s).", unit.Human(*q.BindsAt.Rate), q.BindsAt.Grade)
	}
	f.chart = chart{
		x:     amounts("offered arrivals per second", far, short),
		y:     amounts(axisTitle(q), top, axisLabel(q)),
		marks: append(marks, l),
	}
	return f
}

// headroom shows the peak use of every quota as a share of its limit.
func headroom(a capacity.Assessment) Figure {
	f := Figure{Name: "headroom", Title: "Peak use of each quota"}
	if len(a.Quotas) == 0 {
		f.Missing = "No quotas were read, so there is no figure of their headroom."
		return f
	}
	var b bars
	var names []plot.Tick
	far := 1.0
	var captions []string
	for i, q := range a.Quotas {
		names = append(names, plot.Tick{Value: float64(-i), Label: q.ID})
		if q.Utilization == nil {
			b.values, b.roles, b.notes = append(b.values, math.NaN()), append(b.roles, muted), append(b.notes, "not measured")
			captions = append(captions, q.ID+": not measured")
			continue
		}
		u := *q.Utilization
		r := blue
		switch {
		case u >= 0.995:
			r = red
		case u >= 0.8:
			r = amber
		}
		far = max(far, min(u, 3))
		note := unit.HumanShare(u) + " of " + Amount(q.Limit, q)
		b.values, b.roles, b.notes = append(b.values, u), append(b.roles, r), append(b.notes, note)
		captions = append(captions, q.ID+": "+note)
	}
	f.Caption = strings.Join(captions, "; ") + "."
	n := float64(len(a.Quotas))
	f.chart = chart{
		x:     axis{title: "peak use (% of the limit)", max: far * 1.75, ticks: labelled(every(0, far, 0.25*math.Ceil(far/1.5)), func(v float64) string { return fmt.Sprintf("%g", v*100) })},
		y:     axis{min: -n + 0.4, max: 0.6, ticks: names, names: true},
		marks: []mark{b, flag{role: ink, value: 1, label: "limit"}},
		tall:  vg.Points(28*n + 6),
	}
	return f
}

// responseTime shows percentiles of the response time over time.
func responseTime(t *timeline) Figure {
	f := Figure{Name: responseTimeName, Title: "Response time of ok answers over time"}
	step, parts := t.responses("")
	if step == 0 {
		f.Missing = "Too few ok answers for a figure of response times over time: a median needs 20 in one stretch of time."
		return f
	}
	var marks []mark
	var unearned []string
	lowest, highest := math.Inf(1), 0.0
	for _, p := range []struct {
		name string
		p    float64
		role role
		dash []vg.Length
	}{{"p99", 0.99, red, dashed}, {"p90", 0.9, amber, solid}, {"p50", 0.5, blue, solid}} {
		l := line{name: p.name, role: p.role, dash: p.dash, weight: 1.9}
		low, high, earned := t.steps(&l, p.p, step, parts)
		lowest, highest = min(lowest, low), max(highest, high)
		if earned {
			marks = append(marks, l)
		} else {
			unearned = append(unearned, p.name)
		}
	}
	f.Caption = fmt.Sprintf("Percentiles of the ok answers of all operations in stretches of %g s, counted from the intended instant.", step) + t.timedOut()
	if len(unearned) > 0 {
		f.Caption += fmt.Sprintf(" The stretches hold too few answers for %s.", strings.Join(unearned, " and "))
	}
	f.chart = t.chart(times(lowest, highest), marks...)
	return f
}

// timedOut says where requests that timed out stand among response times, "" where none
// did.
func (t *timeline) timedOut() string {
	if t.total(func(r *measure.Row) int64 { return r.TimedOut }) == 0 {
		return ""
	}
	return " Requests that timed out stand where they were given up: their answers would have come later."
}

// latency shows the distribution of response and service times of each
// operation up to the last percentile that the run earns.
func latency(t *timeline) Figure {
	f := Figure{Name: latencyName, Title: "Distribution of response and service time"}
	var ops []*distributions
	for _, iv := range t.run.Latency {
		if iv.Kind != measure.ResponseTimes && iv.Kind != measure.ServiceTimes {
			continue
		}
		i := slices.IndexFunc(ops, func(d *distributions) bool { return d.load == iv.Load && d.operation == iv.Operation })
		if i < 0 {
			i, ops = len(ops), append(ops, &distributions{load: iv.Load, operation: iv.Operation})
		}
		if iv.Kind == measure.ResponseTimes {
			ops[i].response.Add(iv)
		} else {
			ops[i].service.Add(iv)
		}
	}
	slices.SortStableFunc(ops, func(a, b *distributions) int { return cmp.Compare(b.response.N(), a.response.N()) })
	hues := []role{blue, red, green, purple}
	shown := ops[:min(len(ops), len(hues))]
	var marks []mark
	lowest, highest, far := math.Inf(1), 0.0, 1.0
	curve := func(d *measure.Distribution, l line) {
		if !stats.Earned(d.N(), 0.5) {
			return
		}
		last := math.Log10(float64(d.N()) / 10)
		for k := 0.0; ; k = min(k+0.04, last) {
			v := seconds(d.Quantile(1 - math.Pow(10, -k)))
			lowest, highest = min(lowest, v), max(highest, v)
			l.xs, l.ys = append(l.xs, k), append(l.ys, v)
			if k == last {
				break
			}
		}
		far = max(far, last)
		marks = append(marks, l)
	}
	for i, d := range shown {
		prefix := ""
		if len(ops) > 1 {
			prefix = d.operation + ", "
		}
		curve(&d.response, line{name: prefix + "response time", role: hues[i], weight: 2})
		curve(&d.service, line{name: prefix + "service time", role: hues[i], dash: dashed, weight: 1.5})
	}
	if len(marks) == 0 {
		f.Missing = "Fewer than 20 ok answers: too few for a distribution of response times."
		return f
	}
	f.Caption = "Response time counts from the intended instant and covers ok answers; service time counts from the actual sending and covers every completed request. The curves end at the last percentile with 10 answers above it." + t.timedOut()
	if len(ops) > len(shown) {
		f.Caption += fmt.Sprintf(" The %d busiest of %d operations are shown.", len(shown), len(ops))
	}
	x := axis{title: "percentile (log scale of the tail)", max: far * 1.02}
	for _, p := range []float64{0, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 99.999} {
		if k := -math.Log10(1 - p/100); k <= x.max {
			x.ticks = append(x.ticks, plot.Tick{Value: k, Label: fmt.Sprintf("%g", p)})
		}
	}
	f.chart = chart{x: x, y: times(lowest, highest), marks: marks}
	return f
}

// distributions holds the times of one operation over the whole run.
type distributions struct {
	load, operation   string
	response, service measure.Distribution
}

// times is the axis of times between two values in seconds: logarithmic where
// they are far apart.
func times(lowest, highest float64) axis {
	if lowest > 0 && highest/lowest > 20 {
		return decades("time (log scale)", lowest, highest, func(v float64) string {
			switch {
			case v < 0.99e-3:
				return fmt.Sprintf("%g µs", round(v*1e6))
			case v < 0.99:
				return fmt.Sprintf("%g ms", round(v*1e3))
			}
			return fmt.Sprintf("%g s", round(v))
		})
	}
	if highest < 2 {
		return amounts("time (ms)", highest, func(v float64) string { return fmt.Sprintf("%g", round(v*1e3)) })
	}
	return amounts("time (s)", highest, func(v float64) string { return fmt.Sprintf("%g", round(v)) })
}

// round drops the dust of floating point from a tick.
func round(v float64) float64 {
	if v == 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-3)
	return math.Round(v/unit) * unit
}

// short prints a tick: 500, 1k, 2.5M.
func short(v float64) string {
	for _, p := range []struct {
		suffix string
		size   float64
	}{{"G", 1e9}, {"M", 1e6}, {"k", 1e3}} {
		if math.Abs(v) >= p.size {
			return fmt.Sprintf("%.4g%s", v/p.size, p.suffix)
		}
	}
	return fmt.Sprintf("%.4g", v)
}

// count prints a whole number: "1,234".
func count(n int64) string { return unit.HumanCount(float64(n), "") }

// Amount prints an amount of a quota's unit, per second for a rate.
func Amount(v float64, q capacity.QuotaResult) string {
	rate := q.Kind == capacity.RateQuota || q.Period != nil
	text := unit.HumanCount(v, q.Unit)
	if rate {
		text += "/s"
	}
	return text
}

// UnitCost prints the unit cost of a quota that has one: an amount, or for a
// level the time it is held.
func UnitCost(q capacity.QuotaResult) string {
	if q.Kind == capacity.LevelQuota {
		return unit.HumanSeconds(q.UnitCost.Value)
	}
	return unit.HumanQuantity(q.UnitCost.Value, q.Unit)
}

func axisTitle(q capacity.QuotaResult) string {
	name := q.Unit
	if name == unit.Bytes {
		name = "bytes"
	}
	if q.Kind == capacity.LevelQuota {
		return name
	}
	return name + " per second"
}

func axisLabel(q capacity.QuotaResult) func(float64) string {
	if q.Unit != unit.Bytes {
		return short
	}
	return func(v float64) string {
		if v == 0 {
			return "0"
		}
		return strings.Replace(short(v), "k", "K", 1) + "B"
	}
}
