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
	steeper     = 1.5 // times the rate at which answers may be slower for it
	sureGrowth  = 3.0 // standard errors that a difference must have

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

// readings divides the operation's answers. squares is of the differences from the
// mean of their step, which a load that changes doesn't add to.
func (op *operation) readings(seconds int) (all []reading) {
	flying := make([]float64, seconds)
	for r := range op.rows {
		flying[r.Second] += r.InFlight
	}
	means := op.stepMeans()
	var r reading
	for i, s := range op.steps {
		if r.seconds == 0 {
			r.from = s.Start.Seconds()
		}
		if n := float64(s.Histogram.TotalCount()); n > 0 {
			r.n += n
			r.time += n * means[i]
			apart := s.Histogram.StdDev() / 1e6
			r.squares += n * apart * apart
		}
		for at := int(s.Start.Seconds() + 0.5); at < int(s.End.Seconds()+0.5); at++ {
			if at < seconds {
				r.inFlight += flying[at]
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
// the run with the most to that with the least. What is still worked off after the load
// comes latest with few in flight, so growth while a rate was held counts as well.
//
// Slow answers are in flight for long: where they are slow by chance, a quarter that is
// chosen by the requests in flight is one of slow answers, by as much as the quarters of
// readings that nothing but chance sets apart. The difference must be larger than that.
func (a *analysis) growth() (grew bool, evidence string) {
	worst := 0.0
	for _, op := range a.ops {
		all := op.readings(a.seconds)
		if len(all) < minGroups {
			continue
		}
		var n, squares, inverse float64
		for _, r := range all {
			n += r.n
			squares += r.squares
			inverse += 1 / r.n
		}
		variance := squares / max(n-float64(len(all)), 1) // of one answer, by chance
		quarter := float64(len(all) / 4)
		judge := func(low, high reading, chance float64, load string) {
			few, many := low.mean(), high.mean()
			if many < grown*few || many-few < chance || many/few <= worst {
				return
			}
			worst = many / few
			evidence = fmt.Sprintf("%s answered in %s on average %s", op.Name, unit.HumanSeconds(few), load)
		}
		low, high, at := ends(all, (*reading).flying)
		judge(low, high, (quarters+sureGrowth*math.Sqrt(2/quarter))*math.Sqrt(variance*inverse/float64(len(all))),
			fmt.Sprintf("with %s in flight, in %s with %s (about second %s)", unit.Human(low.flying()), unit.HumanSeconds(high.mean()), unit.Human(high.flying()), count(int64(at))))
		low, high, at = ends(all, (*reading).rate)
		if high.rate() < steeper*low.rate() {
			continue // the order of equal rates is that of time
		}
		judge(low, high, sureGrowth*math.Sqrt(variance*(1/low.n+1/high.n)),
			fmt.Sprintf("at %s, in %s at %s (about second %s)", unit.HumanRate(low.rate(), unit.Requests), unit.HumanSeconds(high.mean()), unit.HumanRate(high.rate(), unit.Requests), count(int64(at))))
	}
	for _, op := range a.ops {
		if worst == 0 && a.grows(op) {
			return true, op.Name + "'s response times grew while a rate was held"
		}
	}
	return worst > 0, evidence
}
