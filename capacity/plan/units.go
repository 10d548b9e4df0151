package plan

import (
	"fmt"
	"math"

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
