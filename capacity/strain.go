package capacity

import (
	"fmt"
	"math"
	"time"

	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// The bounds of what may have kept the generator from sending in time. A healthy
// process on two shared processors pauses for some milliseconds and schedules
// within one; what its requests were late by is the lag's own check.
const (
	maxPause     = 100 * time.Millisecond // the default budget of a late arrival
	maxScheduled = 10 * time.Millisecond  // p99 of a second, as the mean of cpuWindow
	maxClockStep = 100 * time.Millisecond // from one second to the next; slewing makes 0.5 ms
)

// generator returns the points of a series that the generator kept of itself,
// in order.
func (a *analysis) generator(metric string) (points measure.Points) {
	for _, s := range a.run.Series {
		if s.Source != "generator" || s.Metric != metric {
			continue
		}
		if points.Len() == 0 {
			points = s.Points
			continue
		}
		points.Edit(func(all []measure.Point) []measure.Point { return append(all, s.Points.Slice()...) })
	}
	points.SortByTime()
	return points
}

// busiestMean returns the highest mean of the points within cpuWindow; of a
// shorter run, that of all.
func busiestMean(points measure.Points) float64 {
	var highest, sum float64
	var first time.Time
	var within []measure.Point
	n := 0
	for p := range points.All() {
		if n++; n == 1 {
			first = p.At
		}
		within = append(within, p)
		sum += p.Value
		for p.At.Sub(within[0].At) >= cpuWindow {
			sum -= within[0].Value
			within = append(within[:0], within[1:]...) // a few, in the same memory
		}
		if p.At.Sub(first) >= cpuWindow-time.Second || n == points.Len() && n == len(within) {
			highest = max(highest, sum/float64(len(within)))
		}
	}
	return highest
}

// gcPause and schedLatency are not applicable to runs without such series:
// those of other tools and of older records.
func (a *analysis) gcPause() Check {
	c := Check{
		Name: CheckGCPause, Status: NotApplicable, Blames: Invalid, Value: "not recorded",
		Bound: "at most " + unit.HumanSeconds(maxPause.Seconds()),
		Hint:  "the generator's garbage collector stopped it: lower the rate, or give it a larger machine",
	}
	points := a.generator("gc_pause")
	if points.Len() == 0 {
		return c
	}
	var longest measure.Point
	for p := range points.All() {
		if longest.At.IsZero() || p.Value > longest.Value {
			longest = p
		}
	}
	c.Status = passed(longest.Value <= maxPause.Seconds())
	c.Value = "none"
	if longest.Value > 0 {
		c.Value = fmt.Sprintf("longest %s, in second %s", unit.HumanSeconds(longest.Value), a.second(longest))
	}
	return c
}

func (a *analysis) schedLatency() Check {
	c := Check{
		Name: CheckSchedLatency, Status: NotApplicable, Blames: Invalid, Value: "not recorded",
		Bound: "p99 at most " + unit.HumanSeconds(maxScheduled.Seconds()) + ", as a 10 s mean",
		Hint:  "the generator's goroutines waited for a processor: close other programs, or take a larger machine",
	}
	points := a.generator("sched_latency")
	if points.Len() == 0 {
		return c
	}
	worst := busiestMean(points)
	c.Status, c.Value = passed(worst <= maxScheduled.Seconds()), "p99 "+unit.HumanSeconds(worst)+" in the worst 10 s"
	return c
}

func (a *analysis) clockStep() Check {
	c := Check{
		Name: CheckClockStep, Status: NotApplicable, Blames: Inconclusive, Value: "not recorded",
		Bound: "at most " + unit.HumanSeconds(maxClockStep.Seconds()) + " from one second to the next",
		Hint:  "the machine's clock was set during the run, so the cloud's minutes are not the run's: let NTP settle, and repeat",
	}
	points := a.generator("clock_offset")
	if points.Len() == 0 {
		return c
	}
	last := measure.Point{} // the run begins without an offset
	var step, at measure.Point
	for p := range points.All() {
		if d := math.Abs(p.Value - last.Value); d >= step.Value {
			step.Value, at = d, p
		}
		last = p
	}
	c.Status, c.Value = passed(step.Value <= maxClockStep.Seconds()), "no step"
	if step.Value > 1e-3 {
		c.Value = fmt.Sprintf("%s in second %s", unit.HumanSeconds(step.Value), a.second(at))
	}
	return c
}

// second returns the second of the run in which a point lies.
func (a *analysis) second(p measure.Point) string {
	return count(int64(math.Round(p.At.Sub(a.run.Manifest.Start).Seconds())))
}
