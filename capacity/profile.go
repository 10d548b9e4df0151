package capacity

import (
	"math"
	"slices"
)

// segment is a stretch of a load's profile on the run's clock: the rate goes
// linearly from r0 to r1.
type segment struct{ t0, t1, r0, r1 float64 }

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
		segs = append(segs, segment{at, at + st.For, st.From, st.To})
		at += st.For
	}
	return segs
}

// expected returns the integral of the load's planned rate over [from, to), in
// seconds of the run.
func (l Load) expected(from, to float64) float64 {
	var n float64
	for _, s := range l.segments() {
		if a, b := max(from, s.t0), min(to, s.t1); b > a {
			n += (b - a) * (s.rate(a) + s.rate(b)) / 2
		}
	}
	return n
}

// peakRate returns the highest planned rate of the loads together, per second.
// Each load's rate is linear between the ends of its stages, so the sum is
// highest at the end of a stage, on one side of it or the other.
func peakRate(loads []Load) float64 {
	var peak float64
	for _, at := range loads {
		for _, end := range at.segments() {
			for _, t := range []float64{end.t0, end.t1} {
				var before, after float64
				for _, l := range loads {
					for _, s := range l.segments() {
						if s.t0 < t && t <= s.t1 {
							before += s.rate(t)
						}
						if s.t0 <= t && t < s.t1 {
							after += s.rate(t)
						}
					}
				}
				peak = max(peak, before, after)
			}
		}
	}
	return peak
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
	var end float64
	planned := true
	for i, l := range loads {
		names[i] = l.Name
		planned = planned && len(l.Stages) > 0
		for _, s := range l.segments() {
			end = max(end, s.t1)
		}
	}
	last := -1
	sent := make([]float64, a.seconds)
	kept := make([]bool, a.seconds)
	for s := range kept {
		kept[s] = true
	}
	for i := range a.run.Rows {
		r := &a.run.Rows[i]
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
			for _, l := range loads {
				n += l.expected(float64(from), float64(from+window))
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
