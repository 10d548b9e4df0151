package limiter

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The wheel gives back what a sorted list would, whether environments end in the
// tick in hand, in this turn, turns later or turns ago.
func TestWheelIsASortedList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWheel()
		var list []lease
		var at time.Duration
		span := rapid.SampledFrom([]time.Duration{time.Microsecond, time.Millisecond, time.Second, time.Hour})
		for range 200 {
			at += time.Duration(rapid.Int64Range(0, int64(span.Draw(t, "scale"))).Draw(t, "gap"))
			w.turn(at)
			for l, ok := w.ended(at); ok; l, ok = w.ended(at) {
				if len(list) == 0 || l != list[0] {
					t.Fatalf("at %v the wheel gives %v back, want %v", at, l, list)
				}
				list = list[1:]
			}
			if len(list) > 0 && list[0].until() <= at {
				t.Fatalf("at %v the wheel keeps %v, which ended at %v", at, list[0], list[0].until())
			}
			l := newLease(at+time.Duration(rapid.Int64Range(0, int64(span.Draw(t, "length"))).Draw(t, "hold")), rapid.Bool().Draw(t, "provisioned"))
			w.add(l)
			list = append(list, l)
			slices.Sort(list)
			if w.n != len(list) {
				t.Fatalf("%d in the wheel, want %d", w.n, len(list))
			}
		}
	})
}
