package capacity

import (
	"math"
	"testing"
)

func TestStagesWithPoints(t *testing.T) {
	l := Load{Name: "viewers", Start: 10, Stages: []Stage{
		{Name: "onset", For: 60, Measure: true, Points: []RatePoint{{0, 0}, {30, 5000}, {60, 0}}},
		{Name: "replay", From: 100, To: 300, For: 20, Points: []RatePoint{{0, 100}, {10, 100}, {10, 300}, {20, 300}}},
		{Name: "hold", From: 50, To: 50, For: 10, Measure: true},
	}}
	for _, c := range []struct{ from, to, want float64 }{
		{0, math.Inf(1), 150_000 + 4000 + 500},
		{10, 25, 18_750},
		{25, 55, 112_500},
		{75, 85, 2000},
		{0, 10, 0},
		{100, 200, 0},
	} {
		if got := l.expected(c.from, c.to); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%v are expected from %v to %v, want %v", got, c.from, c.to, c.want)
		}
	}
	rate := l.PlannedRate()
	for _, c := range []struct{ at, before, after float64 }{
		{9, 0, 0}, {10, 0, 0}, {25, 2500, 2500}, {40, 5000, 5000}, {70, 0, 100}, {80, 100, 300}, {90, 300, 50}, {100, 50, 0}, {101, 0, 0},
	} {
		if before, after := rate(c.at); before != c.before || after != c.after {
			t.Errorf("the rate at %v is %v, then %v; want %v, then %v", c.at, before, after, c.before, c.after)
		}
	}
	if peak := PeakRate([]Load{l, {Stages: []Stage{{From: 10, To: 10, For: 200}}}}); peak != 5010 {
		t.Errorf("the peak is %v", peak)
	}
}
