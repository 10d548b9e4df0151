package capacity

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// percentile is a quantile with the name that thresholds and reports give it.
type percentile struct {
	name string
	p    float64
}

// percentiles lists what Times prints, in rising order.
var percentiles = [...]percentile{{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}, {"p999", 0.999}}

// Percentile returns the quantile that a percentile's name stands for: 0.999 of
// "p999".
func Percentile(name string) (p float64, ok bool) {
	for _, k := range percentiles {
		if k.name == name {
			return k.p, true
		}
	}
	return 0, false
}

// Percentiles returns the names of all percentiles, in rising order.
func Percentiles() (names []string) {
	for _, k := range percentiles {
		names = append(names, k.name)
	}
	return names
}

// resolution is how far below the value that a histogram answers with the
// counted one may lie, as a share.
const resolution = 1.0 / 1024

// responseTime summarises the operation's response times, with what they say of
// the service beyond this run.
//
// The unit is the step of the record, a second or a few, and not the answer:
// slow answers come together. Each step's histogram gives how many answers lay
// above the run's percentile. Where response times grow, they say nothing of it, and
// where they are censored nothing of how far an interval would reach.
func (op *operation) responseTime(withheld, grows bool, censored float64) Times {
	d := op.distribution(measure.ResponseTimes)
	t := times(d, withheld, censored)
	if withheld || t.N == 0 {
		return t
	}
	if t.Grows = grows; grows {
		return t
	}
	n := make([]float64, len(op.steps))
	var seconds float64
	for i, s := range op.steps {
		n[i] = float64(s.Histogram.TotalCount())
		seconds += (s.End - s.Start).Seconds()
	}
	above, from := make([]float64, len(n)), make([]float64, len(n))
	worth, least := 0.0, 1.0 // shares of the answers that count as independent
	times := 0.0             // as long as this run must one be that says how answers hang together
	for _, k := range percentiles {
		if stats.Earned(t.N, k.p) {
			// Many answers may be equal to the percentile: both of its sides count.
			at := int64(d.Quantile(k.p))
			for i, s := range op.steps {
				beyond, equal := s.Above(at)
				above[i], from[i] = float64(beyond), float64(beyond+equal)
			}
			one, short := stats.EffectiveSize(above, n)
			other, too := stats.EffectiveSize(from, n)
			times = max(times, short, too)
			// What the rare answers tell of their own dependence is uncertain where it
			// matters most. That of the frequent ones is stronger: it decides.
			worth = min(one, other) / float64(t.N)
			least = min(least, worth)
		}
		if worth == 0 {
			break
		}
		if d.Quantile(k.p)/1e6 >= censored {
			continue
		}
		if more := seconds * (max(times, stats.Precise/(1-k.p)/(least*float64(t.N))) - 1); more > 0 {
			if t.NeedsSeconds == nil {
				t.NeedsSeconds = make(map[string]float64)
			}
			t.NeedsSeconds[k.name] = math.Ceil(more)
			continue
		}
		if low, high, ok := stats.QuantileInterval(worth*float64(t.N), k.p); ok && d.Quantile(high)/1e6 < censored {
			if t.Intervals == nil {
				t.Intervals = make(map[string]Range)
			}
			t.Intervals[k.name] = Range{d.Quantile(low) * (1 - resolution) / 1e6, d.Quantile(high) / 1e6}
		}
	}
	return t
}

// marginConfidence is that of margins.
const marginConfidence = 0.95

// margin holds the answers that lie above an upper bound of a percentile of one
// operation against the early-stopping count of LoadGen, for as many independent
// answers as they are worth. It is nil for other thresholds, and where nothing is
// known of how the answers hang together.
func (a *analysis) margin(t scenarios.Threshold) *Margin {
	k := slices.IndexFunc(percentiles[:], func(k percentile) bool { return k.name == t.Metric })
	if k < 0 || !strings.HasPrefix(t.Op, "<") {
		return nil
	}
	var of *operation
	for _, op := range a.ops {
		if t.Of == "" && len(a.ops) == 1 || t.Of == op.Name {
			of = op
		}
	}
	if of == nil || a.grows(of) || t.Value >= a.censored(of) {
		return nil
	}
	p := percentiles[k].p
	d := of.distribution(measure.ResponseTimes)
	if !stats.Earned(d.N(), p) {
		return nil
	}
	m := &Margin{Answers: d.N(), Needed: stats.BoundExists(p, marginConfidence)}
	above, n := make([]float64, len(of.steps)), make([]float64, len(of.steps))
	for i, s := range of.steps {
		over, _ := s.Above(int64(t.Value * 1e6))
		m.Over += over
		// How answers come slow together is told by the run's own percentile, as none
		// may lie above the bound.
		slow, _ := s.Above(int64(d.Quantile(p)))
		above[i], n[i] = float64(slow), float64(s.Histogram.TotalCount())
	}
	size, times := stats.EffectiveSize(above, n)
	if m.Worth = int64(size); m.Worth == 0 || times > 1 {
		return nil
	}
	if most := stats.OverLimit(m.Worth, p, marginConfidence); most >= 0 {
		m.Allowed = new(int64(float64(most) / size * float64(m.Answers)))
	}
	return m
}

// samples looks whether the run was long enough for the percentiles that its
// thresholds name: not for the answers that throttling took away, but for the
// requests that were sent.
func (a *analysis) samples() Check {
	c := Check{
		Name: CheckSamples, Status: NotApplicable, Blames: Inconclusive, Value: "nothing was answered",
		Bound: "10 requests beyond each percentile that a threshold names",
		Hint:  "the run is too short for this threshold: lengthen it, or name a lower percentile",
	}
	if a.total.OK == 0 {
		return c
	}
	c.Status = Passed
	var named, short []string
	for _, t := range a.run.Manifest.Scenario.Thresholds {
		i := slices.IndexFunc(percentiles[:], func(k percentile) bool { return k.name == t.Metric })
		if i < 0 {
			continue
		}
		var sent int64
		for _, op := range a.ops {
			if t.Of == "" || t.Of == op.Name {
				sent += op.measured.Sent
			}
		}
		about := fmt.Sprintf("%s of %s", t.Text, count(sent))
		if named = append(named, about); !stats.Earned(sent, percentiles[i].p) {
			short = append(short, about)
		}
	}
	switch {
	case len(short) > 0:
		c.Status, c.Value = CheckFailed, strings.Join(short, "; ")+" requests"
	case len(named) > 0:
		c.Value = strings.Join(named, "; ") + " requests"
	default:
		n := a.pooled("", measure.ResponseTimes).N()
		c.Value = "no percentile carried by " + count(n) + " response times"
		for _, k := range percentiles {
			if stats.Earned(n, k.p) {
				c.Value = "up to " + k.name + " of " + count(n) + " response times"
			}
		}
	}
	return c
}
