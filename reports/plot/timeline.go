package plot

import (
	"fmt"
	"math"
	"slices"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// timeline is a run in equal steps of time. A run of up to 720 s has steps of
// one second; a longer one has wider steps that hold means per second, so that
// a picture never has more points than pixels.
type timeline struct {
	run  *capacity.Run
	end  float64 // s
	step float64 // s
	at   []float64
	// Requests per second: planned and dropped by the intended instant, the
	// others by the done instant. inFlight is the mean number in flight.
	planned, dropped, ok, throttled, errors, inFlight []float64
}

const mostSteps = 720

func newTimeline(run *capacity.Run) *timeline {
	t := &timeline{run: run, step: 1}
	for _, l := range run.Manifest.Loads {
		end := l.Start
		for _, s := range l.Stages {
			end += s.For
		}
		if run.Manifest.State == capacity.Complete {
			t.end = max(t.end, end)
		}
	}
	for r := range run.Rows.All() {
		t.end = max(t.end, float64(r.Second+1))
	}
	t.step = stepFor(t.end/mostSteps, 1)
	n := int(math.Ceil(t.end / t.step))
	for i := range n {
		t.at = append(t.at, (float64(i)+0.5)*t.step)
	}
	t.planned = t.perSecond(func(r *measure.Row) float64 { return float64(r.Planned) })
	t.dropped = t.perSecond(func(r *measure.Row) float64 { return float64(r.DroppedGenerator + r.DroppedSaturation) })
	t.ok = t.perSecond(func(r *measure.Row) float64 { return float64(r.OK) })
	t.throttled = t.perSecond(func(r *measure.Row) float64 { return float64(r.Throttled) })
	t.errors = t.perSecond(func(r *measure.Row) float64 {
		return float64(r.Failed + r.Rejected + r.Unclassified + r.TimedOut + r.GeneratorErrors + r.Unfinished)
	})
	t.inFlight = t.perSecond(func(r *measure.Row) float64 { return r.InFlight })
	return t
}

// stepFor returns the shortest round time of at least lowest and least seconds.
func stepFor(lowest, least float64) float64 {
	for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800} {
		if s >= lowest && s >= least {
			return s
		}
	}
	return 3600 * math.Ceil(max(lowest, least)/3600)
}

// perSecond adds up a figure of the rows and returns its mean per second in
// each step.
func (t *timeline) perSecond(of func(*measure.Row) float64) []float64 {
	v := make([]float64, len(t.at))
	for r := range t.run.Rows.All() {
		if i := int(float64(r.Second) / t.step); r.Second >= 0 && i < len(v) {
			v[i] += of(r) / t.step
		}
	}
	return v
}

// offered returns the mean rate, in arrivals per second of the loads that charge
// q, between two instants.
func (t *timeline) offered(q capacity.QuotaResult) func(from, to float64) float64 {
	loads := t.quota(q.ID).Loads
	var arrivals []float64 // in each second
	for r := range t.run.Rows.All() {
		if r.Second < 0 || len(loads) > 0 && !slices.Contains(loads, r.Load) {
			continue
		}
		for r.Second >= len(arrivals) {
			arrivals = append(arrivals, 0)
		}
		arrivals[r.Second] += float64(r.Planned)
	}
	return func(from, to float64) float64 {
		var n float64
		for s := max(0, int(from)); s < len(arrivals) && float64(s) < to; s++ {
			n += arrivals[s] * (min(float64(s+1), to) - max(float64(s), from))
		}
		return n / (to - from)
	}
}

// refused reports whether requests were refused in a step that reaches between two
// instants.
func (t *timeline) refused(from, to float64) bool {
	for i, n := range t.throttled {
		if n > 0 && t.at[i]+t.step/2 > from && t.at[i]-t.step/2 < to {
			return true
		}
	}
	return false
}

// quota returns the run's quota with the given id; the zero Quota, which all
// loads charge, where the manifest has none.
func (t *timeline) quota(id string) capacity.Quota {
	i := slices.IndexFunc(t.run.Manifest.Quotas, func(q capacity.Quota) bool { return q.ID == id })
	if i < 0 {
		return capacity.Quota{}
	}
	return t.run.Manifest.Quotas[i]
}

// total adds up a figure of all rows.
func (t *timeline) total(of func(*measure.Row) int64) (n int64) {
	for r := range t.run.Rows.All() {
		n += of(r)
	}
	return n
}

// time returns the axis of seconds since the start.
func (t *timeline) time() axis {
	unit, name, distance := 1.0, "s", stepFor(t.end/8, 1)
	if t.end > 180 {
		unit, name, distance = 60, "min", stepFor(t.end/8, 60)
	}
	if t.end > 3*3600 {
		unit, name, distance = 3600, "h", 3600*math.Ceil(t.end/8/3600)
	}
	return axis{
		title: "time since the start (" + name + ")", max: max(t.end, 1),
		ticks: labelled(every(0, t.end, distance), func(v float64) string { return fmt.Sprintf("%g", v/unit) }),
	}
}

// chart returns a chart over time with the run's stages and what cut it short.
func (t *timeline) chart(y axis, marks ...mark) chart {
	c := chart{x: t.time(), y: y, marks: marks, stages: t.stages()}
	for _, e := range t.run.Events {
		switch e.Kind {
		case "stop":
			c.marks = append(c.marks, flag{role: red, value: e.At, label: "stopped by a rule"})
		case "interrupt":
			c.marks = append(c.marks, flag{role: red, value: e.At, label: "interrupted"})
		}
	}
	return c
}

// stages returns the strips of the loads' stages.
func (t *timeline) stages() (rows []stageRow) {
	loads := t.run.Manifest.Loads
	for _, l := range loads[:min(len(loads), 4)] {
		var row stageRow
		if len(loads) > 1 {
			row.load = l.Name
		}
		at := l.Start
		for _, s := range l.Stages {
			b := block{from: at, to: at + s.For, name: s.Name}
			if !s.Measure {
				b.more = " (not measured)"
			}
			row.blocks = append(row.blocks, b)
			at += s.For
		}
		rows = append(rows, row)
	}
	return rows
}
