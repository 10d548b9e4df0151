package capacity

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// peak is the highest use of a quota, where it was seen and how well.
type peak struct {
	value      float64 // per second for a rate
	at         float64 // seconds from the run's start
	resolution string
	coverage   *float64 // nil for the ledger
	notes      []string
}

// ledgerPeak returns the highest second of the client's ledger.
func (a *analysis) ledgerPeak(q Quota) (p peak, ok bool) {
	p.resolution = "1s ledger"
	for u := range LedgerUse(q, a.run.Rows.All()) {
		if v := float64(u.PerSecond()); !ok || v > p.value {
			p.value, p.at, ok = v, float64(u.Second), true
		}
	}
	return p, ok
}

// cloudPeak returns the highest use by the cloud's series. A maximum is a
// level. A sum over a second or less is a rate. A sum over a minute is not: a
// minute's mean hides the second that throttles, all the more where the run
// filled part of the minute only. It is spread over the client's seconds within
// that minute in proportion to the requests that were sent and not throttled,
// which supposes that each of them charged the same; what others use of a rate a second
// counts evenly.
func (a *analysis) cloudPeak(q Quota, others float64) (p peak, ok bool) {
	c, ok := a.series(q.ID, RoleUsage)
	if !ok {
		return p, false
	}
	if covered, sent := a.coverage(q.ID, RoleUsage); sent {
		p.coverage = &covered
	}
	start := a.run.Manifest.Start
	if c.statistic != "Sum" || c.period <= time.Second {
		p.resolution, ok = fmt.Sprintf("%s %s", short(c.period), map[string]string{"Sum": "sum", "Maximum": "maximum", "Average": "average"}[c.statistic]), false
		if (c.statistic == "Sum") != (q.Kind == RateQuota) {
			return p, false
		}
		for _, at := range c.at {
			v := c.values[at]
			if q.Kind == RateQuota {
				v /= c.period.Seconds()
			}
			if !ok || v > p.value {
				p.value, p.at, ok = v, max(0, time.Unix(0, at).Sub(start).Seconds()), true
			}
		}
		if claimed, there := a.series(q.ID, RoleClaimed); there && ok {
			executing, idle := p.value, never
			for _, at := range claimed.at {
				v := claimed.values[at]
				if v > p.value {
					p.value, p.at = v, max(0, time.Unix(0, at).Sub(start).Seconds())
				}
				if executed, known := c.values[at]; known {
					idle = min(idle, v-executed)
				}
			}
			if p.value > executing {
				p.notes = append(p.notes, fmt.Sprintf("the limit counts what is claimed, reserved and provisioned parts included: %s were executing at most", unit.HumanCount(executing, q.Unit)))
			}
			if idle >= 1 && idle < never {
				p.notes = append(p.notes, fmt.Sprintf("%s or more were set aside and idle all the time: unless these requests can use them, a rate requires so many more, and the quota binds so much earlier", unit.HumanCount(idle, q.Unit)))
			}
		}
		return p, ok
	}
	if q.Kind != RateQuota {
		return p, false
	}
	p.resolution = short(c.period) + " sum, spread over the client's seconds"
	perSecond, foreign := a.spreadUse(q, c, others)
	for s, v := range perSecond {
		if v > p.value {
			p.value, p.at = v, float64(s)
		}
	}
	ok = perSecond != nil
	p.notes = append(p.notes, fmt.Sprintf("the peak spreads each %s sum over its seconds as the requests were sent, all charging alike", short(c.period)))
	if foreign > 0 && !a.run.Manifest.Sandbox {
		p.notes = append(p.notes, "the quota was also used in minutes in which this run sent nothing")
	}
	return p, ok
}

// UsePerSecond returns the use of a quota in each second of the run as Assess
// reckons its peak where the cloud published sums of longer periods: each sum is
// spread over the client's seconds in it, which supposes that requests charged
// alike. Nil where the run has no such sums of the quota with the given id.
func UsePerSecond(run *Run, quota string) []float64 {
	i := slices.IndexFunc(run.Manifest.Quotas, func(q Quota) bool { return q.ID == quota })
	if i < 0 || run.Manifest.Quotas[i].Kind != RateQuota {
		return nil
	}
	a := analyse(run)
	c, ok := a.series(quota, RoleUsage)
	if !ok || c.statistic != "Sum" || c.period <= time.Second {
		return nil
	}
	q := run.Manifest.Quotas[i]
	perSecond, _ := a.spreadUse(q, c, a.othersOf(q))
	return perSecond
}

// spreadUse spreads the sums of c over the run's seconds, in proportion to the requests
// that were sent and not throttled, or where a whole period has none, to what was sent;
// what others use of them evenly over the whole period. It returns nil where the run sent
// nothing that charges q; foreign is what was used in periods in which it didn't.
func (a *analysis) spreadUse(q Quota, c cloud, others float64) (perSecond []float64, foreign float64) {
	start := a.run.Manifest.Start.UnixNano()
	periodOf := func(second, slot int) int64 {
		return floorTo(start+int64(second)*int64(time.Second)+slotMiddle(slot), int64(c.period))
	}
	sent, kept := make(map[int64]float64), make(map[int64]float64) // by period
	for second, of := range a.sentBySecond(q) {
		for k, n := range of.slots {
			at := periodOf(second, k)
			sent[at] += n
			kept[at] += n * of.kept
		}
	}
	for _, at := range c.at {
		if sent[at] == 0 {
			foreign += c.values[at]
		}
	}
	if len(sent) == 0 {
		return nil, foreign
	}
	perSecond = make([]float64, a.seconds)
	for second, of := range a.sentBySecond(q) {
		weight := 0.0 // of the slots in one period
		for k, n := range of.slots {
			at := periodOf(second, k)
			total := sent[at]
			if kept[at] > 0 {
				n, total = n*of.kept, kept[at]
			}
			if weight += n; k+1 < len(of.slots) && periodOf(second, k+1) == at {
				continue
			}
			if v, there := c.values[at]; there && weight > 0 {
				perSecond[second] += max(0, v-others*c.period.Seconds()) * weight / total
			}
			weight = 0
		}
	}
	for s := range perSecond {
		perSecond[s] += others
	}
	return perSecond, foreign
}

// sentSecond is what was sent in the slots of one second, and the share of it that
// wasn't throttled.
type sentSecond struct {
	slots [measure.Slots]float64
	kept  float64
}

// sentBySecond yields what was sent that charges a quota, second by second, without
// those in which nothing was.
func (a *analysis) sentBySecond(q Quota) iter.Seq2[int, sentSecond] {
	return func(yield func(int, sentSecond) bool) {
		var of sentSecond
		var throttled float64
		second := 0
		end := func() (more bool) {
			sent := sum(of.slots[:])
			of.kept = max(0, 1-throttled/sent)
			more = sent == 0 || yield(second, of)
			of, throttled = sentSecond{}, 0
			return more
		}
		for r := range a.run.Rows.All() { // in the order of their seconds
			if !q.Charges(r.Load, r.Operation) {
				continue
			}
			if r.Second != second {
				if !end() {
					return
				}
				second = r.Second
			}
			for k, n := range sentSlots(r) {
				of.slots[k] += n
			}
			throttled += float64(r.Throttled)
		}
		end()
	}
}
