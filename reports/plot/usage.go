package plot

import (
	"fmt"
	"math"
	"strings"

	"github.com/headroom-load/headroom/capacity"
)

// used is what a run knows of a quota's use over time.
type used struct {
	// fine holds values of single seconds (of a long run the highest of each
	// step), coarse those of periods as they were published; both per second for a
	// rate.
	fine, coarse         []span
	fineName, coarseName string
	// thinned is true where coarse has the highest of each step alone.
	thinned bool
	// ledger is true where fine was counted second by second, and false where
	// it was spread from coarse.
	ledger bool
}

func usage(t *timeline, q capacity.QuotaResult) used {
	var u used
	if q.ID == capacity.RequestTokens {
		u.fine, u.fineName, u.ledger = t.ledger(q), "each second (ledger)", true
	}
	if use, seconds, name := capacity.KafkaUse(t.run, q.ID); use != nil {
		u.fine, u.fineName = t.highest(use), strings.TrimRight(fmt.Sprintf("mean of the next %d s, %s", seconds, name), ", ")
		return u
	}
	if len(u.fine) == 0 {
		u.fine, u.fineName, u.ledger = t.spread(q), "each second (spread by requests)", false
	}
	// Sums of several metrics add up; of levels the highest counts.
	at := map[float64]int{}
	for _, s := range t.run.Series {
		if s.Quota != q.ID || s.Role != capacity.RoleUsage || s.Period <= 0 {
			continue
		}
		period := s.Period.Seconds()
		u.coarseName = fmt.Sprintf("%g s %s (%s)", period, statistics[s.Statistic], s.Source)
		for p := range s.Points.All() {
			from, v := p.At.Sub(t.run.Manifest.Start).Seconds(), p.Value
			if from+period <= 0 || from >= t.end || math.IsNaN(v) {
				continue
			}
			if s.Statistic == "Sum" {
				v /= period
			}
			i, there := at[from]
			switch {
			case !there:
				at[from] = len(u.coarse)
				u.coarse = append(u.coarse, span{from, from + period, v})
			case s.Statistic == "Sum":
				u.coarse[i].value += v
			default:
				u.coarse[i].value = max(u.coarse[i].value, v)
			}
		}
	}
	if t.step > 1 {
		all := len(u.coarse)
		u.coarse = t.highestSpans(u.coarse)
		u.thinned = len(u.coarse) < all
	}
	return u
}

// highestSpans returns, of the spans that begin in one step, the highest.
func (t *timeline) highestSpans(spans []span) (highest []span) {
	at := map[int]int{}
	for _, s := range spans {
		step := int(math.Floor(s.from / t.step))
		i, there := at[step]
		switch {
		case !there:
			at[step] = len(highest)
			highest = append(highest, s)
		case s.value > highest[i].value:
			highest[i] = s
		}
	}
	return highest
}

// picked says that not all published values are drawn, where that is so.
func (u used) picked(t *timeline) string {
	if !u.thinned {
		return ""
	}
	return fmt.Sprintf(" Of each %g s the highest %s is shown.", t.step, u.coarseName)
}

// statistics says what a published value is once sums are divided by their
// period.
var statistics = map[string]string{"Sum": "mean", "Maximum": "maximum", "Average": "average"}

// peakAt returns where the peak of q stands: in the middle of its second, or of
// what the run shows of the period whose maximum it is.
func (u used) peakAt(q capacity.QuotaResult, end float64) float64 {
	from, to := math.Floor(*q.PeakAt), math.Floor(*q.PeakAt)+1
	if q.Kind == capacity.LevelQuota {
		for _, s := range u.coarse {
			if s.value == *q.Peak && s.from <= *q.PeakAt+1e-6 {
				from, to = s.from, s.to
			}
		}
	}
	return (max(from, 0) + min(to, end)) / 2
}

// spread returns the use of each second as it was spread from longer periods, of
// a long run that of the highest second in each step.
func (t *timeline) spread(q capacity.QuotaResult) (spans []span) {
	use := capacity.UsePerSecond(t.run, q.ID)
	if use == nil {
		return nil
	}
	return t.highest(use)
}

// highest returns what each second used, of a long run the highest of each step, as
// far as it is known.
func (t *timeline) highest(use []float64) (spans []span) {
	for i := 0; i < len(t.at) && float64(i)*t.step < float64(len(use)); i++ {
		spans = append(spans, span{float64(i) * t.step, float64(i+1) * t.step, 0})
	}
	for s, v := range use {
		if i := int(float64(s) / t.step); i < len(spans) {
			spans[i].value = max(spans[i].value, v)
		}
	}
	return spans
}

// ledger returns the tokens of each second, of a long run those of the highest
// second in each step. A second whose answers carried no token count is a gap.
func (t *timeline) ledger(q capacity.QuotaResult) (spans []span) {
	for i, ok := range t.ok {
		v := 0.0
		if ok > 0 {
			v = math.NaN()
		}
		spans = append(spans, span{float64(i) * t.step, float64(i+1) * t.step, v})
	}
	any := false
	for u := range capacity.LedgerUse(t.quota(q.ID), t.run.Rows.All()) {
		any = true
		if i := int(float64(u.Second) / t.step); u.Second >= 0 && i < len(spans) {
			if v := float64(u.PerSecond()); !(spans[i].value >= v) {
				spans[i] = span{float64(u.Second), float64(u.Second) + 1, v}
			}
		}
	}
	if !any {
		return nil
	}
	return spans
}
