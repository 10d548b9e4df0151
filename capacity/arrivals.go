package capacity

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// The bounds of the audit of arrivals.
const (
	// A request that is sent late may fall into the next 200 ms: with
	// a lag of l that happens to l/200ms of them, which the bounds allow for
	// twice over at the run's median lag.
	maxDisplaced       = 0.03 // share of arrivals in another 200 ms than planned
	maxDisplacedSecond = 0.01 // share of arrivals in another second
	maxDispersion      = 0.25 // of counts per 200 ms around the plan, median of 5 s blocks
	maxRelative        = 0.04 // or this much of a window's arrivals (RMS), where windows are full
	fewArrivals        = 3    // displaced arrivals that prove nothing
	auditWindow        = 2    // slots
	dispersionBlock    = 5 * measure.Slots / auditWindow
)

const slotLength = time.Second / measure.Slots

// arrivalAudit compares when requests were sent with when they should have
// been, by counts, independently of the lag that each request recorded.
func (a *analysis) arrivalAudit() Check {
	c := Check{
		Name: CheckArrivals, Status: NotApplicable, Blames: Invalid, Value: "no send times were recorded",
		Hint: "the arrivals were clumped, early or caught up in bursts: close other programs, or take a larger machine",
	}
	behind := 1 // slots by which a request may be late
	lags := new(measure.Distribution)
	audited := make(map[string]bool) // loads
	for _, load := range a.loads() {
		l, known := a.load(load)
		if a.saturated(load) || l.Late == "send" && a.filled(load) {
			c.Value = "requests waited at the in-flight limit of " + load
			continue
		}
		audited[load] = true
		lags.Merge(a.pooled(load, measure.Lags))
		if known && l.Late != "send" {
			behind = max(behind, int(math.Ceil(l.Lateness/slotLength.Seconds()-1e-9)))
		}
	}
	disturbed := make([]bool, a.seconds) // dropped arrivals are planned and not sent
	any := false
	for r := range a.run.Rows.All() {
		if !audited[r.Load] {
			continue
		}
		any = any || slices.Max(r.SentSlots[:]) > 0
		if r.DroppedGenerator > 0 {
			for s := max(0, r.Second-1); s <= min(a.seconds-1, r.Second+1); s++ {
				disturbed[s] = true
			}
		}
	}
	if !any {
		return c
	}
	crossing := 0.0
	if lags.N() > 0 {
		crossing = 2 * lags.Quantile(0.5) / 1e6 / (auditWindow * slotLength.Seconds())
	}

	var early, burst, ahead float64
	before := make([]float64, behind) // what was planned for the slots before, as a ring
	windows := [...]*window{newWindow(auditWindow, 0), newWindow(auditWindow, auditWindow/2), newWindow(measure.Slots, 0), newWindow(measure.Slots, measure.Slots/2)}
	for k, slot := range a.slots(audited) {
		ahead += slot.sent - slot.planned
		early = max(early, ahead-max(1, 0.02*slot.planned))
		allowed := slot.planned + sum(before)
		burst = max(burst, slot.sent-allowed-max(2, 0.05*allowed))
		before[k%behind] = slot.planned
		for _, w := range windows {
			w.add(k, slot, disturbed[k/measure.Slots])
		}
	}
	fine, coarse := better(windows[0], windows[1]), better(windows[2], windows[3])
	if fine.planned == 0 || coarse.planned == 0 {
		c.Value = "every second had drops"
		return c
	}
	relative := maxRelative + crossing
	bound, boundSecond := maxDisplaced+crossing, maxDisplacedSecond+crossing*auditWindow/measure.Slots
	dispersion, dispersionBound := fine.dispersion(), max(maxDispersion, relative*relative*fine.planned/float64(fine.windows))
	c.Status = passed(fine.moved <= max(fewArrivals, bound*fine.planned) && coarse.moved <= max(fewArrivals, boundSecond*coarse.planned) &&
		dispersion <= dispersionBound && early <= 0 && burst <= 0)
	c.Value = fmt.Sprintf("%s of arrivals in another 200 ms, %s in another second, dispersion %s",
		unit.HumanShare(fine.moved/fine.planned), unit.HumanShare(coarse.moved/coarse.planned), unit.Human(dispersion))
	if burst > 0 {
		c.Value += ", sent in a burst"
	}
	if early > 0 {
		c.Value += ", sent too early"
	}
	c.Bound = fmt.Sprintf("at most %s, %s and %s; none early, no burst beyond the lateness budget", unit.HumanShare(bound), unit.HumanShare(boundSecond), unit.Human(dispersionBound))
	return c
}

// slotCounts are the arrivals that were planned for a tenth of a second and the
// requests that were sent in it.
type slotCounts struct{ planned, sent float64 }

// slots yields those of the given loads together, one after the other.
func (a *analysis) slots(loads map[string]bool) iter.Seq2[int, slotCounts] {
	return func(yield func(int, slotCounts) bool) {
		var now [measure.Slots]slotCounts
		second := 0
		end := func() (more bool) {
			for k, slot := range now {
				if !yield(second*measure.Slots+k, slot) {
					return false
				}
			}
			now = [measure.Slots]slotCounts{}
			second++
			return true
		}
		for r := range a.run.Rows.All() { // in the order of their seconds
			if !loads[r.Load] {
				continue
			}
			for second < r.Second {
				if !end() {
					return
				}
			}
			for k := range now {
				now[k].planned += float64(r.PlannedSlots[k])
				now[k].sent += float64(r.SentSlots[k])
			}
		}
		for second < a.seconds && end() {
		}
	}
}

// window compares counts by windows of an even number of slots, the first of which
// begins with the slot number phase, leaving out those that touch disturbed seconds.
type window struct {
	width, phase int
	now          slotCounts // of the window in hand
	disturbed    bool

	planned, moved float64 // arrivals, and those in another window than planned
	windows        int
	sent, due      []float64 // of the windows of the block in hand
	dispersions    []float64 // of the blocks of five seconds before
}

func newWindow(width, phase int) *window { return &window{width: width, phase: phase} }

func (w *window) add(k int, slot slotCounts, disturbed bool) {
	if k < w.phase {
		return
	}
	w.now.planned += slot.planned
	w.now.sent += slot.sent
	w.disturbed = w.disturbed || disturbed
	if (k-w.phase)%w.width < w.width-1 {
		return
	}
	if !w.disturbed {
		w.windows++
		w.planned += w.now.planned
		w.moved += math.Abs(w.now.sent-w.now.planned) / 2
		w.sent, w.due = append(w.sent, w.now.sent), append(w.due, w.now.planned)
		if len(w.sent) == dispersionBlock {
			w.endBlock()
		}
	}
	w.now, w.disturbed = slotCounts{}, false
}

func (w *window) endBlock() {
	if v := stats.Dispersion(w.sent, w.due); !math.IsNaN(v) {
		w.dispersions = append(w.dispersions, v)
	}
	w.sent, w.due = w.sent[:0], w.due[:0]
}

// dispersion returns the median over blocks of five seconds, 0 where there is none.
func (w *window) dispersion() float64 {
	if len(w.dispersions) == 0 {
		w.endBlock()
	}
	if len(w.dispersions) == 0 {
		return 0
	}
	slices.Sort(w.dispersions)
	return w.dispersions[(len(w.dispersions)-1)/2]
}

// better returns the better reading of two, with windows half a length apart: uniform
// arrivals may all lie on the ends of windows, where any lag puts them into the next
// one.
func better(a, b *window) *window {
	if b.planned > 0 && b.moved*a.planned < a.moved*b.planned {
		return b
	}
	return a
}
