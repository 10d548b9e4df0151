package capacity

import (
	"fmt"
	"math"
	"slices"
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
func (a *analysis) generator(metric string) (points []measure.Point) {
	for _, s := range a.run.Series {
		if s.Source == "generator" && s.Metric == metric {
			points = append(points, s.Points...)
		}
	}
	slices.SortStableFunc(points, func(x, y measure.Point) int { return x.At.Compare(y.At) })
	return points
}

// busiestMean returns the highest mean of the points within cpuWindow; of a
// shorter run, that of all.
func busiestMean(points []measure.Point) float64 {
	var highest, sum float64
	from := 0
	for i, p := range points {
		sum += p.Value
		for p.At.Sub(points[from].At) >= cpuWindow {
			sum -= points[from].Value
			from++
		}
		if p.At.Sub(points[0].At) >= cpuWindow-time.Second || i == len(points)-1 && from == 0 {
			highest = max(highest, sum/float64(i-from+1))
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
	if len(points) == 0 {
		return c
	}
	longest := points[0]
	for _, p := range points {
		if p.Value > longest.Value {
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
	if len(points) == 0 {
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
	if len(points) == 0 {
		return c
	}
	last := measure.Point{} // the run begins without an offset
	var step, at measure.Point
	for _, p := range points {
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
