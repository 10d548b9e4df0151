package capacity

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/unit"
)

const (
	minHold    = 60.0 // seconds of an unchanged rate that can settle
	shortHold  = 20.0 // seconds of one that can show growth
	minBatches = 10
	batch      = 5.0 // seconds, or less where a hold has no minBatches of these
	minAnswers = 10  // of a batch, on average
	maxChange  = 0.1 // of the mean, over the second half
)

// hold is a stretch of the run in which no load changes its rate and at least
// one is measured, in seconds.
type hold struct{ from, to float64 }

// holds returns the stretches of at least so many seconds.
func (a *analysis) holds(least float64) (long []hold) {
	var ends []float64
	plans := make([][]segment, len(a.run.Manifest.Loads)) // what is left of them
	for k, l := range a.run.Manifest.Loads {
		plans[k] = l.segments()
		for _, s := range plans[k] {
			ends = append(ends, s.t0, s.t1)
		}
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	var rates []float64 // of the loads in the stretch before
	for i := 0; i+1 < len(ends); i++ {
		now, even, measured := make([]float64, len(plans)), true, false
		middle := (ends[i] + ends[i+1]) / 2
		for k := range plans {
			for len(plans[k]) > 0 && plans[k][0].t1 <= middle {
				plans[k] = plans[k][1:]
			}
			if len(plans[k]) == 0 || plans[k][0].t0 > middle {
				continue
			}
			s := plans[k][0]
			now[k] = s.r1
			even = even && s.r0 == s.r1
			measured = measured || s.measured && s.r1 > 0
		}
		switch {
		case !even || !measured:
			rates = nil
			continue
		case rates != nil && slices.Equal(rates, now):
			long[len(long)-1].to = ends[i+1]
		default:
			long = append(long, hold{ends[i], ends[i+1]})
		}
		rates = now
	}
	return slices.DeleteFunc(long, func(h hold) bool { return h.to-h.from < least })
}

// steadyState looks whether response times settle where the rate stays, by the
// warm-up rule on the means of each five seconds. A stretch that the rule doesn't
// find settled fails only if its second half has a trend beyond chance and a
// tenth. Ramps and spikes are not meant to settle.
func (a *analysis) steadyState() Check {
	c := Check{
		Name: CheckSteadyState, Status: NotApplicable, Blames: Inconclusive,
		Value: "no rate was held for " + unit.FormatDuration(time.Duration(minHold*1e9)),
		Bound: "response times settle in the first half of a held rate, or change by at most 10 % in the second",
		Hint:  "response times still changed: hold the rate longer, and leave the beginning out by a stage with measure: false",
	}
	var longest float64 // warm-up
	var most float64    // change
	for _, h := range a.holds(minHold) {
		for _, op := range a.ops {
			z, length := op.batches(h)
			if len(z) < minBatches {
				if c.Status == NotApplicable {
					c.Value = "too few answers while a rate was held"
				}
				continue
			}
			cut, change := drift(z)
			if math.Abs(change) > math.Abs(most) {
				most = change
				c.Status = CheckFailed
				c.Value = fmt.Sprintf("%s still changed by %s in the second half of %s to %s s", op.Name, signedShare(change), count(int64(h.from)), count(int64(h.to)))
			}
			if c.Status == CheckFailed {
				continue
			}
			if warm := float64(cut) * length; c.Status == NotApplicable || warm > longest {
				c.Status, longest = Passed, warm
				c.Value = fmt.Sprintf("%s had settled %s after %s s", op.Name, unit.FormatDuration(time.Duration(math.Round(warm))*time.Second), count(int64(h.from)))
			}
		}
	}
	return c
}

// drift returns how many batch means are warm-up, and by which share of their
// mean those of the second half change: 0 where they had settled, or change by no
// more than chance or maxChange.
func drift(z []float64) (cut int, change float64) {
	cut, settled := stats.WarmUp(z)
	change, significant := stats.Trend(z[len(z)/2:])
	if settled || !significant || math.Abs(change) <= maxChange {
		change = 0
	}
	return cut, change
}

// grows reports whether response times of the operation still grew while a rate
// was held, by the rule of the steady state, but on shorter stretches too: behind a
// backlog that grows, the service has no percentiles for a longer run to tell.
func (a *analysis) grows(op *operation) bool {
	return slices.ContainsFunc(a.holds(shortHold), func(h hold) bool {
		z, _ := op.batches(h)
		if len(z) < minBatches {
			return false
		}
		_, change := drift(z)
		return change > 0
	})
}

// batches returns the operation's mean response times in batches of a hold, and how
// long a batch is in seconds.
func (op *operation) batches(h hold) (z []float64, length float64) {
	each := min(batch, (h.to-h.from)/minBatches)
	all := op.stepMeans()
	var means []float64
	var seconds float64
	var answers int64
	for i, s := range op.steps {
		if middle := (s.Start + s.End).Seconds() / 2; h.from < middle && middle < h.to && s.Histogram.TotalCount() > 0 {
			means = append(means, all[i])
			answers += s.Histogram.TotalCount()
			seconds += (s.End - s.Start).Seconds()
		}
	}
	if seconds == 0 || float64(answers) < minAnswers*seconds/each {
		return nil, 0
	}
	step := seconds / float64(len(means))
	m := max(1, int(math.Round(each/step)))
	return stats.Batches(means, m), float64(m) * step
}
