package plot

import (
	"math"
	"slices"

	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// seconds converts a histogram's microseconds.
func seconds(us float64) float64 { return us / 1e6 }

// responses groups the response times of a load's operations ("": of all) in equal steps: the
// shortest ones of which half carry a p90, or else a median. With too few
// answers for that, step is 0.
func (t *timeline) responses(load string) (step float64, parts [][]measure.Interval) {
	var intervals []measure.Interval
	least := 0.0
	for _, iv := range t.run.Latency {
		if iv.Kind == measure.ResponseTimes && (load == "" || iv.Load == load) && iv.Histogram.TotalCount() > 0 {
			intervals = append(intervals, iv)
			least = max(least, (iv.End - iv.Start).Seconds())
		}
	}
	if len(intervals) == 0 || t.end <= 0 {
		return 0, nil
	}
	part := func(iv measure.Interval, step float64) int {
		return max(int((iv.Start+iv.End).Seconds()/2/step), 0)
	}
	// At most 120 steps, and 6 or more where a p90 is asked for.
	for _, want := range []struct{ p, fewest float64 }{{0.9, 6}, {0.5, 1}} {
		for step = stepFor(t.end/120, least); t.end/step >= want.fewest; step = stepFor(step*1.01, least) {
			counts := map[int]int64{}
			for _, iv := range intervals {
				counts[part(iv, step)] += iv.Histogram.TotalCount()
			}
			n := 0
			for _, c := range counts {
				if stats.Earned(c, want.p) {
					n++
				}
			}
			if 2*n >= len(counts) {
				parts = make([][]measure.Interval, 1+part(slices.MaxFunc(intervals, func(a, b measure.Interval) int { return part(a, step) - part(b, step) }), step))
				for _, iv := range intervals {
					i := part(iv, step)
					parts[i] = append(parts[i], iv)
				}
				return step, parts
			}
		}
	}
	return 0, nil
}

// steps draws quantile p of each step into l, and returns the lowest and the
// highest that its answers earn; it is not earned where none of them does, and low
// and high are +Inf and 0 then.
func (t *timeline) steps(l *line, p, step float64, parts [][]measure.Interval) (low, high float64, earned bool) {
	low = math.Inf(1)
	var d measure.Distribution // of one part: all of them at once would take much memory
	for i, part := range parts {
		d.Reset()
		for _, iv := range part {
			d.Add(iv)
		}
		v := math.NaN()
		if stats.Earned(d.N(), p) {
			v = seconds(d.Quantile(p))
			low, high, earned = min(low, v), max(high, v), true
		}
		l.xs = append(l.xs, float64(i)*step, min(float64(i+1)*step, t.end))
		l.ys = append(l.ys, v, v)
	}
	return low, high, earned
}
