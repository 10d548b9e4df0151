package capacity

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/headroom-load/headroom/scenarios/unit"
)

const (
	grown       = 2.0 // times as slow at high load as at low
	groupValues = 20  // answers that make one reading of the response time
	minGroups   = 8
	steeper     = 1.5 // times the load for which answers may be slower
	sureGrowth  = 3.0 // standard errors that a difference must have
	apart       = 5.0 // times the variance that chance gives the means of readings, and it isn't chance

	// quarters is how many standard deviations the mean of the upper quarter of normal
	// values lies above that of the lower one.
	quarters = 2.542
)

// reading is a stretch of a run with answers enough for a mean response time.
type reading struct {
	n, seconds, time, inFlight, squares float64
	from                                float64 // when the first one began
}

func (r *reading) add(o reading) {
	r.n += o.n
	r.seconds += o.seconds
	r.time += o.time
	r.inFlight += o.inFlight
	r.squares += o.squares
}

func (r *reading) mean() float64   { return r.time / r.n }
func (r *reading) flying() float64 { return r.inFlight / r.seconds }
func (r *reading) rate() float64   { return r.n / r.seconds }

// readings divides the operation's answers. inFlight is of when they were asked for:
// what is worked off after the load comes latest, with few in flight by then. squares is
// of the differences from the mean of their step, which a load that changes doesn't add
// to.
func (op *operation) readings(seconds int) (all []reading) {
	flying := make([]float64, seconds)
	for r := range op.rows {
		flying[r.Second] += r.InFlight
	}
	means := op.stepMeans()
	var r reading
	for i, s := range op.steps {
		earlier := 0.0
		if r.seconds == 0 {
			r.from = s.Start.Seconds()
		}
		if n := float64(s.Histogram.TotalCount()); n > 0 {
			r.n += n
			r.time += n * means[i]
			apart := s.Histogram.StdDev() / 1e6
			r.squares += n * apart * apart
			earlier = means[i]
		}
		for at := int(s.Start.Seconds() + 0.5); at < int(s.End.Seconds()+0.5); at++ {
			if sent := max(0, int(math.Round(float64(at)-earlier))); sent < seconds {
				r.inFlight += flying[sent]
			}
			r.seconds++
		}
		if r.n >= groupValues && r.seconds > 0 {
			all = append(all, r)
			r = reading{}
		}
	}
	return all
}

// ends returns the quarter of the readings that is lowest by something, the one that is
// highest, and when the highest began.
func ends(all []reading, by func(*reading) float64) (low, high reading, at float64) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(x, y reading) int { return cmp.Compare(by(&x), by(&y)) })
	for i := range len(all) / 4 {
		low.add(all[i])
		high.add(all[len(all)-1-i])
	}
	return low, high, all[len(all)-1].from
}

// growth reports whether an operation's answers came at least twice as late with
// many requests in flight, or at a high rate, as with few: it compares the quarter of
// the run with the most to that with the least. Growth while a rate was held counts as
// well.
//
// Slow answers are in flight for long: where they are slow by chance, a quarter that is
// chosen by the requests in flight is one of slow answers, by as much as the quarters of
// readings that nothing but chance sets apart. The difference must be larger than that,
// unless the readings lie too far apart for chance, as after a moment without answers:
// single slow answers, however slow, put no more into the variance of the means than
// into that of the answers.
func (a *analysis) growth() (grew bool, evidence string) {
	worst := 0.0
	for _, op := range a.ops {
		all := op.readings(a.seconds)
		if len(all) < minGroups {
			continue
		}
		var total reading
		var between, inverse float64 // of the means
		for _, r := range all {
			total.add(r)
			inverse += 1 / r.n
		}
		for _, r := range all {
			between += r.n * math.Pow(r.mean()-total.mean(), 2)
		}
		k := float64(len(all))
		variance := total.squares / max(total.n-k, 1) // of one answer, by chance
		chance := 0.0
		if between/(k-1) < apart*variance {
			chance = (quarters + sureGrowth*math.Sqrt(2/math.Floor(k/4))) * math.Sqrt(variance*inverse/k)
		}
		judge := func(low, high reading, load func(*reading) float64, chance float64, text string) {
			few, many := low.mean(), high.mean()
			// The order of equal loads would be that of time.
			if load(&high) <= steeper*load(&low) || many < grown*few || many-few < chance || many/few <= worst {
				return
			}
			worst = many / few
			evidence = fmt.Sprintf("%s answered in %s on average %s", op.Name, unit.HumanSeconds(few), text)
		}
		low, high, at := ends(all, (*reading).flying)
		judge(low, high, (*reading).flying, chance,
			fmt.Sprintf("with %s in flight, in %s with %s (about second %s)", unit.Human(low.flying()), unit.HumanSeconds(high.mean()), unit.Human(high.flying()), count(int64(at))))
		low, high, at = ends(all, (*reading).rate)
		judge(low, high, (*reading).rate, sureGrowth*math.Sqrt(variance*(1/low.n+1/high.n)),
			fmt.Sprintf("at %s, in %s at %s (about second %s)", unit.HumanRate(low.rate(), unit.Requests), unit.HumanSeconds(high.mean()), unit.HumanRate(high.rate(), unit.Requests), count(int64(at))))
	}
	for _, op := range a.ops {
		if worst == 0 && a.grows(op) {
			return true, op.Name + "'s response times grew while a rate was held"
		}
	}
	return worst > 0, evidence
}
