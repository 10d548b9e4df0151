package plan

import (
	"fmt"
	"math"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// slips are the ratios that a wrong unit makes, and what it then was.
var slips = []struct {
	ratio float64
	text  string
	bytes bool // only where bytes are counted
}{
	{60, "per minute taken for per second", false},
	{3600, "per hour taken for per second", false},
	{1.0 / 60, "per second taken for per minute", false},
	{1.0 / 3600, "per second taken for per hour", false},
	{1000, "thousands taken for ones, or milliseconds for seconds", false},
	{1.0 / 1000, "ones taken for thousands, or seconds for milliseconds", false},
	{1024, "KiB taken for bytes", true},
	{1.0 / 1024, "bytes taken for KiB", true},
	{8, "bits taken for bytes", true},
	{1.0 / 8, "bytes taken for bits", true},
}

// slipWithin is how near a ratio lies to a slip's to be pointed at.
const slipWithin = 0.15

// Slip says which wrong unit would explain that a rate is so many times another,
// or "" where none does: a ratio within 15 % of 60, 3600, 1000, of 1024 or 8 where
// bytes are counted, or of the inverse of one (science 2.6, R11).
func Slip(ratio float64, bytes bool) string {
	best, off := "", slipWithin
	for _, s := range slips {
		if d := math.Abs(ratio/s.ratio - 1); d <= off && (bytes || !s.bytes) {
			best, off = s.text, d
		}
	}
	return best
}

// units compares the target with the rates that the run knows.
func units(target, tested, forecast float64) string {
	for _, c := range []struct {
		than float64
		what string
	}{{forecast, "the scenario's forecast"}, {tested, "the highest tested rate"}} {
		if c.than <= 0 {
			continue
		}
		if s := Slip(target/c.than, false); s != "" {
			return fmt.Sprintf("the target, %s = %s, is %sx %s, %s: %s?", rate(target), unit.HumanQuantity(target*60, unit.Arrivals)+"/min", unit.Human(target/c.than), c.what, rate(c.than), s)
		}
	}
	return ""
}

// overProvisioned is how little of a quota a plan may use before it is pointed
// at: 3 %, a 33rd.
const overProvisioned = 1.0 / 33

// Seen is what was observed before: the highest rate of a record or of a service's
// own metrics, or the highest use of a quota.
type Seen struct {
	Rate  float64 // per second
	Quota string  // whose use it is; "" of arrivals
	Where string  // "the record runs/before", "CloudWatch, 14 days"
}

// Doubts compares the rates of a scenario with each other, with its quotas and with
// what was seen before, and says which wrong unit would explain what doesn't fit. A
// team once prepared for 5,000 a second where 5,000 a minute came. limits are the
// quotas that the scenario's load can run into.
func Doubts(s *scenarios.Scenario, limits []capacity.Quota, seen []Seen) []string {
	var out []string
	var peak float64
	for _, l := range s.Loads {
		peak += l.PeakRate()
	}
	say := func(a float64, whatA string, b float64, whatB string) {
		if a <= 0 || b <= 0 {
			return
		}
		if slip := Slip(a/b, false); slip != "" {
			out = append(out, fmt.Sprintf("%s, %s = %s/min, is %sx %s, %s: %s?", whatA, rate(a), unit.Human(a*60), unit.Human(a/b), whatB, rate(b), slip))
		}
	}
	say(s.Forecast, "the forecast", peak, "the highest planned rate")
	for _, x := range seen {
		if x.Quota != "" {
			continue
		}
		say(max(s.Forecast, peak), "the target", x.Rate, "the highest rate of "+x.Where)
	}
	for _, q := range s.Quotas {
		if q.Per == 0 || q.Thing == unit.Bytes {
			continue
		}
		target := max(s.Forecast, peak)
		say(q.PerSecond(), "the quota "+q.ID, target, "the target")
		if used := target / q.PerSecond(); target > 0 && used < overProvisioned {
			out = append(out, fmt.Sprintf("the quota %s is %sx the target's arrivals: enough for %s of it each", q.ID, unit.Human(1/used), unit.HumanCount(math.Floor(1/used), q.Thing)))
		}
	}
	return append(out, limitDoubts(limits, seen)...)
}

// limitDoubts compares each limit that the scenario states with what it would be
// otherwise, and each limit of bytes with the highest use that was seen of it. Other
// use has no unit to confuse that arrivals don't have.
func limitDoubts(limits []capacity.Quota, seen []Seen) (out []string) {
	for _, q := range limits {
		bytes := q.Unit == unit.Bytes
		amount := func(v float64) string {
			if q.PerSecond() {
				return unit.HumanRate(v, q.Unit)
			}
			return unit.HumanQuantity(v, q.Unit)
		}
		say := func(than float64, what string) {
			if slip := Slip(q.Limit/than, bytes); slip != "" {
				out = append(out, fmt.Sprintf("the limit of %s, %s, is %sx %s, %s: %s?", q.ID, amount(q.Limit), unit.Human(q.Limit/than), what, amount(than), slip))
			}
		}
		if q.Origin == capacity.FromScenario && len(q.Overrides) > 0 {
			say(q.Overrides[0].Limit, "what it is by its "+string(q.Overrides[0].Origin))
		}
		for _, x := range seen {
			// A limit of eight times the use is one that an eighth of is used.
			if x.Quota == q.ID && bytes && (q.Limit < x.Rate || q.Limit > 100*x.Rate) {
				say(x.Rate, "the highest use of "+x.Where)
			}
		}
	}
	return out
}
