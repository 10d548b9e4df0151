package capacity

import (
	"math"
	"slices"
	"sort"
	"strings"
)

// segment is a stretch of a load's profile on the run's clock: the rate goes
// linearly from r0 to r1.
type segment struct {
	t0, t1, r0, r1 float64
	measured       bool
}

func (s segment) rate(t float64) float64 {
	if s.t1 == s.t0 {
		return s.r1
	}
	return s.r0 + (s.r1-s.r0)*(t-s.t0)/(s.t1-s.t0)
}

func (l Load) segments() []segment {
	at := l.Start
	segs := make([]segment, 0, len(l.Stages))
	for _, st := range l.Stages {
		from := RatePoint{0, st.From}
		for _, to := range st.Points {
			if to.At > from.At {
				segs = append(segs, segment{at + from.At, at + to.At, from.Rate, to.Rate, st.Measure})
			}
			from = to
		}
		if len(st.Points) == 0 {
			segs = append(segs, segment{at, at + st.For, st.From, st.To, st.Measure})
		}
		at += st.For
	}
	return segs
}

// expected returns the integral of the load's planned rate over [from, to), in
// seconds of the run.
func (l Load) expected(from, to float64) float64 { return expected(l.segments(), from, to) }

func expected(segs []segment, from, to float64) float64 {
	var n float64
	first := sort.Search(len(segs), func(i int) bool { return segs[i].t1 > from })
	for _, s := range segs[first:] {
		if s.t0 >= to {
			break
		}
		a, b := max(from, s.t0), min(to, s.t1)
		n += (b - a) * (s.rate(a) + s.rate(b)) / 2
	}
	return n
}

// End returns when the load's plan ends, in seconds of the run.
func (l Load) End() float64 {
	at := l.Start
	for _, s := range l.Stages {
		at += s.For
	}
	return at
}

// PlannedRate returns the function that tells the load's planned rate at an
// instant of the run, in seconds: just before it and from it on.
func (l Load) PlannedRate() func(t float64) (before, after float64) {
	segs := l.segments()
	return func(t float64) (before, after float64) { return rateAt(segs, t) }
}

func rateAt(segs []segment, t float64) (before, after float64) {
	i := sort.Search(len(segs), func(i int) bool { return segs[i].t1 >= t })
	for _, s := range segs[i:] {
		if s.t0 > t {
			break
		}
		if s.t0 < t && t <= s.t1 {
			before = s.rate(t)
		}
		if s.t0 <= t && t < s.t1 {
			after = s.rate(t)
		}
	}
	return before, after
}

// testedWindow is how many seconds make up the tested rate.
const testedWindow = 5

// testedRate returns the highest rate, in arrivals per second of the loads
// together, that the run sent as planned: the highest mean of the planned rate
// over five whole seconds in a row in each of which everything planned was
// sent. Five seconds, and the plan's rate and not the count of arrivals, keep
// the chance of Poisson arrivals out of it. A shorter run takes its whole
// length; where the record has no profile, the counts take its place.
func (a *analysis) testedRate(loads []Load) float64 {
	names := make([]string, len(loads))
	for i, l := range loads {
		names[i] = l.Name
	}
	return a.tested.of(strings.Join(names, "\x00"), func() float64 { return a.testRate(names, loads) })
}

func (a *analysis) testRate(names []string, loads []Load) float64 {
	plans := make([][]segment, len(loads))
	var end float64
	planned := true
	for i, l := range loads {
		plans[i] = l.segments()
		planned = planned && len(l.Stages) > 0
		for _, s := range plans[i] {
			end = max(end, s.t1)
		}
	}
	last := -1
	sent := make([]float64, a.seconds)
	kept := make([]bool, a.seconds)
	for s := range kept {
		kept[s] = true
	}
	for r := range a.run.Rows.All() {
		if !slices.Contains(names, r.Load) {
			continue
		}
		sent[r.Second] += float64(r.Sent)
		if r.Sent != r.Planned {
			kept[r.Second] = false
		}
		if r.Sent > 0 {
			last = max(last, r.Second)
		}
	}
	seconds := last + 1
	if planned {
		seconds = min(seconds, int(math.Ceil(end)))
	}
	window := min(testedWindow, seconds)
	var best float64
	for from := 0; window > 0 && from+window <= seconds; from++ {
		if slices.Contains(kept[from:from+window], false) {
			continue
		}
		var n float64
		if planned {
			for _, segs := range plans {
				n += expected(segs, float64(from), float64(from+window))
			}
		} else {
			for _, v := range sent[from : from+window] {
				n += v
			}
		}
		best = max(best, n/float64(window))
	}
	return best
}
