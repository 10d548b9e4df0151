package scenarios

import (
	"math"
	"slices"
	"sort"
	"time"
)

// Curve is the rate of a stage that is no straight line. Instants count from the
// stage's beginning and lie within it; rates are arrivals per second.
type Curve interface {
	Rate(at time.Duration) float64
	// Expected returns the integral of the rate from the beginning to an
	// instant.
	Expected(at time.Duration) float64
	// Inverse returns the instant at which Expected reaches n, to the
	// nanosecond and the rounding of the figures.
	Inverse(n float64) time.Duration
	// Peak returns the highest rate.
	Peak() float64
	// Points returns points between which straight lines follow the curve: its
	// beginning, its end, its extremes and enough between them. Two are at the
	// same instant where the rate jumps.
	Points() []RatePoint
}

// RatePoint is a rate at an instant.
type RatePoint struct {
	At   time.Duration
	Rate float64
}

// lines is how many straight lines draw a smooth stretch of a curve.
const lines = 32

// Triangle is a rush of visitors who each arrive once: the rate rises from 0 in
// a straight line until the peak and falls back to 0 at the end. The highest
// rate is twice the mean.
type Triangle struct {
	Visitors  float64
	Top, Base time.Duration // until the peak, and in all
}

// Peak implements Curve: 2V/base.
func (c Triangle) Peak() float64 { return 2 * c.Visitors / c.Base.Seconds() }

// Rate implements Curve.
func (c Triangle) Rate(at time.Duration) float64 {
	if at < c.Top || at == c.Top && c.Top == c.Base {
		return c.Peak() * float64(at) / float64(c.Top)
	}
	return c.Peak() * float64(c.Base-at) / float64(c.Base-c.Top)
}

// Expected implements Curve.
func (c Triangle) Expected(at time.Duration) float64 {
	if at < c.Top || at == c.Top && c.Top == c.Base {
		return c.Peak() / 2 * at.Seconds() * (float64(at) / float64(c.Top))
	}
	return c.Visitors - c.Peak()/2*(c.Base-at).Seconds()*(float64(c.Base-at)/float64(c.Base-c.Top))
}

// Inverse implements Curve.
func (c Triangle) Inverse(n float64) time.Duration {
	h := c.Peak()
	if rise := h / 2 * c.Top.Seconds(); n < rise {
		return min(nanoseconds(math.Sqrt(2*max(n, 0)*c.Top.Seconds()/h)), c.Top)
	}
	return max(c.Base-nanoseconds(math.Sqrt(2*max(c.Visitors-n, 0)*(c.Base-c.Top).Seconds()/h)), c.Top)
}

// Points implements Curve.
func (c Triangle) Points() []RatePoint { return points(c, []time.Duration{0, c.Top, c.Base}) }

// Gamma is a rush of visitors who each arrive once, after a broadcast: the rate
// rises until the peak and dies away, as t·e^(-t/peak), a gamma density of shape
// 2. What of it would come after the end comes within the stage instead.
type Gamma struct {
	Visitors  float64
	Top, Base time.Duration // until the peak, and in all
}

// share returns how much of the whole curve lies before an instant.
func (c Gamma) share(at time.Duration) float64 {
	y := float64(at) / float64(c.Top)
	return -math.Expm1(-y) - y*math.Exp(-y)
}

// Peak implements Curve.
func (c Gamma) Peak() float64 { return c.Rate(min(c.Top, c.Base)) }

// Rate implements Curve.
func (c Gamma) Rate(at time.Duration) float64 {
	y := float64(at) / float64(c.Top)
	return c.Visitors / c.share(c.Base) / c.Top.Seconds() * y * math.Exp(-y)
}

// Expected implements Curve.
func (c Gamma) Expected(at time.Duration) float64 {
	return c.Visitors * (c.share(at) / c.share(c.Base))
}

// Inverse implements Curve.
func (c Gamma) Inverse(n float64) time.Duration {
	return invert(c.Base, n*c.share(c.Base)/c.Visitors, func(at time.Duration) (expected, rate float64) {
		y := float64(at) / float64(c.Top)
		return c.share(at), y * math.Exp(-y) / c.Top.Seconds()
	})
}

// Points implements Curve.
func (c Gamma) Points() []RatePoint {
	end := min(c.Base, 20*c.Top) // next to nothing is left after it
	instants := divide(nil, 0, min(c.Top, end), lines)
	for from := c.Top; from < end; from += 2 * c.Top {
		instants = divide(instants, from, min(from+2*c.Top, end), lines)
	}
	return points(c, append(instants, c.Base))
}

// Sine is a rate that goes up and down around a mean, upwards at first.
type Sine struct {
	Mean, Amplitude float64 // per second; the amplitude is at most the mean
	Period, Length  time.Duration
}

func (c Sine) angle(at time.Duration) float64 {
	return 2 * math.Pi * float64(at%c.Period) / float64(c.Period)
}

// Peak implements Curve.
func (c Sine) Peak() float64 { return c.Rate(min(c.Period/4, c.Length)) }

// Rate implements Curve.
func (c Sine) Rate(at time.Duration) float64 {
	return max(c.Mean+c.Amplitude*math.Sin(c.angle(at)), 0)
}

// Expected implements Curve.
func (c Sine) Expected(at time.Duration) float64 {
	half := math.Sin(c.angle(at) / 2) // 1 - cos a is 2 sin²(a/2)
	return c.Mean*at.Seconds() + c.Amplitude*c.Period.Seconds()/math.Pi*half*half
}

// Inverse implements Curve.
func (c Sine) Inverse(n float64) time.Duration {
	return invert(c.Length, n, func(at time.Duration) (expected, rate float64) { return c.Expected(at), c.Rate(at) })
}

// Points implements Curve.
func (c Sine) Points() []RatePoint {
	quarter := c.Period / 4
	var instants []time.Duration
	for from := time.Duration(0); from < c.Length; from += c.Period {
		for i := range time.Duration(4) {
			if a, b := from+i*quarter, min(from+(i+1)*quarter, c.Length); a < b {
				instants = divide(instants, a, b, lines/2)
			}
		}
	}
	return points(c, append(instants, c.Length))
}

// Counts is arrivals that were counted before, spread evenly over the time in
// which they came: interval i goes from Ends[i-1], or 0, to Ends[i].
type Counts struct {
	Ends       []time.Duration
	Cumulative []float64 // arrivals until the end of each interval
}

// interval returns the interval's beginning and end, and what was counted before
// and at its end.
func (c Counts) interval(i int) (from, to time.Duration, before, after float64) {
	if i > 0 {
		from, before = c.Ends[i-1], c.Cumulative[i-1]
	}
	return from, c.Ends[i], before, c.Cumulative[i]
}

func (c Counts) rate(i int) float64 {
	from, to, before, after := c.interval(i)
	return (after - before) / (to - from).Seconds()
}

// find returns the interval that holds an instant.
func (c Counts) find(at time.Duration) int {
	return min(sort.Search(len(c.Ends), func(i int) bool { return at < c.Ends[i] }), len(c.Ends)-1)
}

// Peak implements Curve.
func (c Counts) Peak() float64 {
	var peak float64
	for i := range c.Ends {
		peak = max(peak, c.rate(i))
	}
	return peak
}

// Rate implements Curve.
func (c Counts) Rate(at time.Duration) float64 { return c.rate(c.find(at)) }

// Expected implements Curve.
func (c Counts) Expected(at time.Duration) float64 {
	from, to, before, after := c.interval(c.find(at))
	return before + (after-before)*(float64(at-from)/float64(to-from))
}

// Inverse implements Curve.
func (c Counts) Inverse(n float64) time.Duration {
	i := min(sort.Search(len(c.Ends), func(i int) bool { return n < c.Cumulative[i] }), len(c.Ends)-1)
	from, to, before, after := c.interval(i)
	if after <= before {
		return to
	}
	return min(from+time.Duration(max(n-before, 0)/(after-before)*float64(to-from)+0.5), to-1)
}

// Points implements Curve.
func (c Counts) Points() []RatePoint {
	var p []RatePoint
	for i := range c.Ends {
		from, to, _, _ := c.interval(i)
		p = append(p, RatePoint{from, c.rate(i)}, RatePoint{to, c.rate(i)})
	}
	return p
}

// Polyline is a rate that goes in straight lines from point to point: what a
// record keeps of a curve. The first point is at 0; two at the same instant are a
// jump.
type Polyline struct{ Corners []RatePoint }

// line returns the straight line that holds an instant, and what is expected
// before it.
func (c Polyline) line(holds func(to RatePoint, expected float64) bool) (from, to RatePoint, before float64) {
	for i := 1; i < len(c.Corners); i++ {
		from, to = c.Corners[i-1], c.Corners[i]
		area := (from.Rate + to.Rate) / 2 * (to.At - from.At).Seconds()
		if holds(to, before+area) || i == len(c.Corners)-1 {
			break
		}
		before += area
	}
	return from, to, before
}

// Peak implements Curve.
func (c Polyline) Peak() float64 {
	var peak float64
	for _, p := range c.Corners {
		peak = max(peak, p.Rate)
	}
	return peak
}

// Rate implements Curve.
func (c Polyline) Rate(at time.Duration) float64 {
	from, to, _ := c.line(func(to RatePoint, _ float64) bool { return at < to.At })
	if to.At <= from.At {
		return to.Rate
	}
	x := float64(at-from.At) / float64(to.At-from.At)
	return from.Rate*(1-x) + to.Rate*x // between the two, whatever the rounding
}

// Expected implements Curve.
func (c Polyline) Expected(at time.Duration) float64 {
	from, _, before := c.line(func(to RatePoint, _ float64) bool { return at < to.At })
	return before + (from.Rate+c.Rate(at))/2*(at-from.At).Seconds()
}

// Inverse implements Curve.
func (c Polyline) Inverse(n float64) time.Duration {
	from, to, before := c.line(func(_ RatePoint, expected float64) bool { return n < expected })
	if to.At <= from.At || n <= before {
		return from.At
	}
	v := n - before
	slope := (to.Rate - from.Rate) / (to.At - from.At).Seconds()
	x := 2 * v / (from.Rate + math.Sqrt(max(from.Rate*from.Rate+2*slope*v, 0)))
	return min(from.At+nanoseconds(x), to.At)
}

// Points implements Curve.
func (c Polyline) Points() []RatePoint { return slices.Clone(c.Corners) }

// invert returns the instant of [0, length] at which a curve's integral reaches
// n, by Newton's steps within a bracket that each of them narrows. curve returns
// the integral and the rate at an instant.
func invert(length time.Duration, n float64, curve func(time.Duration) (expected, rate float64)) time.Duration {
	from, to := time.Duration(0), length // reached after from, and at to
	if n <= 0 {
		return from
	}
	at := length / 2
	for to-from > 1 {
		if at <= from || at >= to {
			at = from + (to-from)/2
		}
		expected, rate := curve(at)
		missing := n - expected
		step := missing / rate * 1e9
		// A little further than to the root, so that the next step comes from its
		// other side.
		if missing > 0 {
			from, step = at, step+1
		} else {
			to, step = at, step-1
		}
		if !(math.Abs(step) < float64(length)) {
			step = 0
		}
		at += time.Duration(math.Round(step))
	}
	return to
}

func nanoseconds(seconds float64) time.Duration { return time.Duration(seconds*1e9 + 0.5) }

// points returns the points of a curve without jumps at some instants.
func points(c Curve, instants []time.Duration) []RatePoint {
	var p []RatePoint
	for _, at := range slices.Compact(instants) {
		p = append(p, RatePoint{at, c.Rate(at)})
	}
	return p
}

// divide appends the beginning of n equal parts of a stretch, and its end.
func divide(instants []time.Duration, from, to time.Duration, n int) []time.Duration {
	for i := range n {
		instants = append(instants, from+time.Duration(float64(to-from)*float64(i)/float64(n)))
	}
	return append(instants, to)
}
