package scenarios

import (
	"fmt"
	"time"
)

// profile returns the stages with the rates that they go from, how many
// arrivals they plan, and whether any of those is measured.
func (p *parser) profile(at string, files []stageFile) (stages []Stage, arrivals float64, measured bool) {
	var rate float64
	for i := range files {
		f := &files[i]
		path := fmt.Sprintf("%s[%d]", at, i)
		stage := Stage{Name: string(f.Stage), From: rate, Measure: f.Measure == nil || *f.Measure}
		if f.For != nil {
			if stage.For = time.Duration(*f.For); stage.For == 0 {
				p.fault(path+".for", "must be greater than 0", "")
			}
			if stage.For > maxLength {
				p.fault(path+".for", "is too long", "the longest is 7 days")
			}
		}
		switch {
		case f.Rate != nil && f.Ramp != nil:
			p.fault(path, "has both a rate and a ramp", "a stage holds a rate, or ramps to one")
		case (f.Rate != nil || f.Ramp != nil) && (f.Spike != nil || f.Sine != nil) || f.Spike != nil && f.Sine != nil:
			p.fault(path, "says more than once how its rate goes", "keep one of rate, ramp, spike and sine")
		case f.Spike != nil:
			p.curve(path+".spike", &stage, p.spike(path+".spike", f.Spike, stage.For))
		case f.Sine != nil:
			p.curve(path+".sine", &stage, p.sine(path+".sine", f.Sine, stage.For))
		case f.Rate != nil:
			stage.To = f.Rate.perSecond()
			stage.From = stage.To
		case f.Ramp != nil:
			stage.Ramp = true
			stage.To = f.Ramp.perSecond()
		case p.fine(path + ".rate"):
			p.fault(path, "has no rate", "write rate: 50/s to hold one, or ramp: 50/s to go there")
		}
		rate = stage.To
		planned := stage.Arrivals()
		arrivals += planned
		measured = measured || stage.Measure && planned > 0
		stages = append(stages, stage)
	}
	switch {
	case len(files) == 0:
		p.fault(at, "has no stage", "write {stage: steady, rate: 50/s, for: 1m}")
	case arrivals == 0 && p.fine(at):
		p.fault(at, "plans no arrival", "give a stage a rate above 0/s")
	}
	return stages, arrivals, measured
}

// maxPeriods bounds how often a sine goes up and down in its stage.
const maxPeriods = 200

// spike returns the curve of a spike, or nil after a fault.
func (p *parser) spike(at string, f *spikeFile, length time.Duration) Curve {
	if f.Visitors < 1 || f.Visitors > maxArrivals {
		p.fault(at+".visitors", fmt.Sprintf("must be from 1 to %d", int64(maxArrivals)), "each of them arrives once")
	}
	triangle := f.Shape == "triangle"
	top := max(length/8, 1)
	if triangle {
		top = length / 2
	}
	if f.Peak != nil {
		if top = time.Duration(*f.Peak); top > length && length > 0 || top == 0 && !triangle {
			p.fault(at+".peak", "is not within the stage", "it counts from the stage's beginning")
		}
	}
	switch {
	case !p.fine(at) || length <= 0:
		return nil
	case triangle:
		return Triangle{Visitors: float64(f.Visitors), Top: top, Base: length}
	}
	return Gamma{Visitors: float64(f.Visitors), Top: top, Base: length}
}

// sine returns the curve of a sine, or nil after a fault.
func (p *parser) sine(at string, f *sineFile, length time.Duration) Curve {
	if f.Mean == nil || f.Amplitude == nil || f.Period == nil || !p.fine(at) {
		return nil
	}
	c := Sine{Mean: f.Mean.perSecond(), Amplitude: f.Amplitude.perSecond(), Period: time.Duration(*f.Period), Length: length}
	switch {
	case c.Amplitude > c.Mean:
		p.fault(at+".amplitude", "is larger than the mean", "no rate is below 0/s")
	case c.Period == 0:
		p.fault(at+".period", "must be greater than 0", "")
	case c.Period > maxLength:
		p.fault(at+".period", "is too long", "the longest is 7 days")
	case length/c.Period > maxPeriods:
		p.fault(at+".period", fmt.Sprintf("comes more than %d times in the stage", maxPeriods), "")
	}
	if !p.fine(at) || length <= 0 {
		return nil
	}
	return c
}

// replay returns the stage that repeats the counts in a file.
func (p *parser) replay(path, name string) (Stage, bool) {
	src := p.read(path, name)
	if src == nil {
		return Stage{}, false
	}
	counts, faults := parseCounts(p.resolved(path, name), src)
	for _, f := range faults {
		f.Path = path
		p.faults = append(p.faults, f)
	}
	if faults != nil {
		return Stage{}, false
	}
	stage := Stage{Name: "replay", For: counts.Ends[len(counts.Ends)-1], Measure: true}
	p.curve(path, &stage, counts)
	if stage.Curve != nil && stage.Arrivals() == 0 {
		p.fault(path, "plans no arrival", "all counts are 0")
	}
	return stage, stage.Curve != nil
}

// curve gives a stage its curve, if there is one.
func (p *parser) curve(path string, s *Stage, c Curve) {
	if c == nil {
		return
	}
	if c.Peak() > maxRate {
		p.fault(path, fmt.Sprintf("rises to %.3g/s, too large a rate", c.Peak()), "the highest rate is 10000000/s")
		return
	}
	s.Curve, s.From, s.To = c, c.Rate(0), c.Rate(s.For)
}
