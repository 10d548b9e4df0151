package observe

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// The bounds of a collection. The reads after the first take at most 80 s, so
// whoever bounds the whole gives it Settle and two minutes.
const (
	maxReads = 5
	// between is the time from one read to the next where values take time to
	// arrive, and betweenLive where the source publishes at once.
	between     = 20 * time.Second
	betweenLive = 200 * time.Millisecond
	// grazed is how much of a minute the run must touch for a usage series to be
	// expected to have a point there.
	grazed = 5 * time.Second
)

// Collector reads the series of one run.
type Collector struct {
	Source Source
	// Settle is how long after the run's end the first read is made.
	Settle time.Duration
}

// Collect reads want for the UTC minutes that the run touches: first when
// Settle has passed since end, then again until two reads in a row agree and
// every usage series has its points, at most five times in all. A later value
// of a minute replaces an earlier one. It returns one series for each of want,
// in the same order, with sorted points in base units (a duration in seconds),
// and events for what went wrong; a series that never came has no points. When
// ctx ends first, what was read by then is returned.
func (c Collector) Collect(ctx context.Context, want []measure.Series, start, end time.Time) ([]measure.Series, []capacity.Event) {
	if len(want) == 0 {
		return nil, nil
	}
	from, to := start.UTC().Truncate(time.Minute), end.UTC().Truncate(time.Minute)
	if to.Before(end) || !to.After(from) {
		to = to.Add(time.Minute)
	}
	col := &collection{want: want, start: start, end: end, from: from, to: to, values: make([]map[time.Time]float64, len(want))}
	for i := range col.values {
		col.values[i] = make(map[time.Time]float64)
	}
	pause := between
	if c.Settle == 0 {
		pause = betweenLive
	}
	wait := time.Until(end.Add(c.Settle))
	settled := false
	for read := 1; read <= maxReads && !settled; read++ {
		if !sleep(ctx, wait) {
			col.event("settle", "reading metrics was broken off: "+context.Cause(ctx).Error())
			return col.series(), col.events
		}
		got, err := c.Source.Read(ctx, want, from, to)
		if err != nil {
			col.event(capacity.SourceFault, err.Error())
		}
		changed := col.merge(got)
		settled = read > 1 && err == nil && !changed && col.complete()
		wait = pause
	}
	if !settled {
		col.event("settle", fmt.Sprintf("metrics did not stand still, or stayed incomplete, over %d reads", maxReads))
	}
	return col.series(), col.events
}

// sleep waits for d and reports whether ctx is still alive after it.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// collection is what the reads of one run brought together.
type collection struct {
	want       []measure.Series
	start, end time.Time // of the run
	from, to   time.Time // whole minutes around it
	values     []map[time.Time]float64
	events     []capacity.Event
}

// event notes something once.
func (c *collection) event(kind, text string) {
	for _, e := range c.events {
		if e.Kind == kind && e.Text == text {
			return
		}
	}
	c.events = append(c.events, capacity.Event{At: time.Since(c.start).Seconds(), Kind: kind, Text: text})
}

// merge takes over what a read brought and reports whether anything changed.
func (c *collection) merge(got []measure.Series) bool {
	if got == nil {
		return true
	}
	if len(got) != len(c.want) {
		c.event(capacity.SourceFault, fmt.Sprintf("the source answered %d series where %d were asked for", len(got), len(c.want)))
		return true
	}
	changed := false
	for i, s := range got {
		if w := c.want[i]; s.Points.Len() > 0 && (s.Metric != w.Metric || !maps.Equal(s.Labels, w.Labels)) {
			c.event("source", fmt.Sprintf("%s of %s was read from %s %s %v", w.Role, w.Quota, s.Namespace, s.Metric, s.Labels))
		}
		scale, _ := base(c.want[i].Unit)
		for p := range s.Points.All() {
			at := p.At.UTC().Round(0)
			if at.Before(c.from) || !at.Before(c.to) {
				continue
			}
			if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
				c.event(capacity.SourceFault, fmt.Sprintf("%s has a value that is no number at %s: left out", s.Metric, at.Format(time.RFC3339)))
				continue
			}
			v := p.Value * scale
			if old, ok := c.values[i][at]; !ok || old != v {
				c.values[i][at] = v
				changed = true
			}
		}
	}
	return changed
}

// complete reports whether every usage series has a point in each minute that
// the run touches for more than a moment.
func (c *collection) complete() bool {
	for i, w := range c.want {
		if w.Role != capacity.RoleUsage {
			continue
		}
		for at := c.from; at.Before(c.to); at = at.Add(time.Minute) {
			touched := min(c.end.Sub(at), at.Add(time.Minute).Sub(c.start), time.Minute)
			if _, ok := c.values[i][at]; !ok && touched >= grazed {
				return false
			}
		}
	}
	return true
}

// series returns what was read, in the order of what was wanted.
func (c *collection) series() []measure.Series {
	out := slices.Clone(c.want)
	for i := range out {
		_, out[i].Unit = base(out[i].Unit)
		out[i].Points = measure.Points{}
		for _, at := range slices.SortedFunc(maps.Keys(c.values[i]), time.Time.Compare) {
			out[i].Points.Add(measure.Point{At: at, Value: c.values[i][at]})
		}
	}
	return out
}

// base returns the factor from a metric's published unit to its base unit, and
// that unit.
func base(unit string) (float64, string) {
	switch unit {
	case "ms":
		return 1e-3, "s"
	case "µs":
		return 1e-6, "s"
	case "%":
		return 1e-2, "fraction"
	}
	return 1, unit
}
