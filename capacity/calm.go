package capacity

import (
	"fmt"
	"slices"
	"time"

	"github.com/headroom-load/headroom/scenarios/unit"
)

// A limit refuses dear requests before it refuses cheap ones, and a refused request
// tells no charge: the mean of what was admitted is below the unit cost by an unknown
// part. What was charged before a stage's first refusal tells the whole.

// maxCensored is by how much of itself a unit cost may be off for this reason and
// still be given, with an interval that covers it.
const maxCensored = 0.1

// maxRefused is the share of requests that a quota may refuse without being taken for
// the one that bound.
const maxRefused = 0.01

// calm returns by second whether it lies in a stage of a load that charges q before
// the stage's first refusal, by whatever quota. Such a stretch ends by what
// happened in it and is not chosen for what its requests cost, so that their
// mean is right (Wald); seconds between refusals would be those of cheap requests.
func (a *analysis) calm(q Quota) (seconds []bool, n int) {
	refused := make([]bool, a.seconds)
	for _, op := range a.ops {
		if !q.Charges(op.Load, op.Name) {
			continue
		}
		for r := range op.rows {
			refused[r.Second] = refused[r.Second] || r.Throttled > 0
		}
	}
	begins := map[int]bool{}
	for _, l := range a.charging(q) {
		at := l.Start
		for _, s := range l.Stages {
			begins[int(at)] = true
			at += s.For
		}
	}
	seconds = make([]bool, a.seconds)
	calm := true
	for s := range seconds {
		calm = (calm || begins[s]) && !refused[s]
		if seconds[s] = calm; calm {
			n++
		}
	}
	return seconds, n
}

// within reports whether all of the run's seconds in a period are calm.
func (a *analysis) within(calm []bool, at int64, period time.Duration) bool {
	from := time.Duration(at - a.run.Manifest.Start.UnixNano())
	first, end := int(max(from, 0)/time.Second), int((from+period+time.Second-1)/time.Second)
	return first < end && first < len(calm) && !slices.Contains(calm[first:min(end, len(calm))], false)
}

// whole returns the unit cost of a quota some of whose requests it, or a quota before
// it, refused. again reckons it from some seconds of the run alone. Where the run
// doesn't tell it, hidden says why, and the cost is that of what was admitted; atLeast
// says that it is no more than the unit cost.
func (a *analysis) whole(q Quota, c cost, throttled *int64, again func(calm []bool) (cost, bool)) (_ cost, hidden string, atLeast bool) {
	above := 0.0 // as a part of the cost
	if throttled != nil && *throttled > 0 && c.Value > 0 {
		var all int64
		for _, op := range a.ops {
			if q.Charges(op.Load, op.Name) {
				all += op.all.Throttled
			}
		}
		above = c.above / c.Value * min(1, float64(*throttled)/float64(max(all, 1)))
	}
	if above <= maxDifference && c.unlike <= maxDifference {
		return c.raised(above), "", false
	}
	if calm, n := a.calm(q); n >= minBlocks {
		from, told := again(calm)
		if told && from.unlike <= maxDifference && (from.High-from.Low <= 2*maxCensored*from.Value || from.High-from.Low < c.raised(above).High-c.Low) {
			from.notes = append(from.notes, fmt.Sprintf("unit cost of the %d s before refusals began: a limit refuses dear requests first, and these tell no charge", n))
			return from, "", false
		}
	}
	switch {
	case above > maxCensored:
		return c, fmt.Sprintf("what a request charges isn't known: %s of them were refused, dear ones first, and told no charge; a stage below the limit would tell it", unit.HumanShare(a.refusedShare(q, throttled))), c.unlike <= maxDifference
	case c.unlike > maxCensored && c.why != "":
		return c, "what a request charges at the plan's busiest isn't known: " + c.why, false
	case c.unlike > maxCensored:
		return c, "what a request of the planned mix charges isn't known: some operations were refused more often than others before they charged it; a stage without refusals would tell it", false
	}
	return c.raised(above), "", false
}

// raised returns the cost with an interval that covers that its mean is too low by a
// part of itself.
func (c cost) raised(by float64) cost {
	if by > floor {
		c.High *= 1 + by
		c.notes = append(slices.Clone(c.notes), fmt.Sprintf("a limit refuses dear requests first, and these told no charge: the interval covers that they cost %s more in the mean of all", unit.HumanShare(by)))
	}
	return c
}
