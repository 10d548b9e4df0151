package limiter

import (
	"math"
	"time"
)

// TargetTracking follows a metric with a number of tasks, as Application Auto
// Scaling does for ECS: minute by minute, desired = ceil(current x metric /
// target). It scales out when the metric was above the target for three minutes
// in a row, and in when it was below nine tenths of it for fifteen, always
// rounding up, so that it never scales in where one task less would be too few
// (Application Auto Scaling User Guide, "Target tracking scaling policies"; the
// alarms' numbers are those that ECS creates).
//
// It acts again while an alarm stays on, but within the cooldown of a scale-out
// only to more than the metric asks for of the tasks there were before it. A
// metric that doesn't fall with more tasks drives it to the most.
type TargetTracking struct {
	Tracking
	current  int
	base     int // tasks before the scale-out whose cooldown is on
	minute   int
	high     int // minutes in a row above the target
	low      int // and below nine tenths of it
	outUntil int // minute at which the cooldown of a scale-out ends
	inUntil  int
}

// Tracking is the policy of a TargetTracking. Target and Max are needed; of the
// others zero is the value given.
type Tracking struct {
	Target      float64 // of the metric
	Min, Max    int     // tasks; Min at least 1
	OutAfter    int     // minutes above the target: 3
	InAfter     int     // minutes below Low: 15
	Low         float64 // share of the target below which it may scale in: 0.9
	OutCooldown time.Duration
	InCooldown  time.Duration // both 300 s
}

// NewTargetTracking returns a policy with so many tasks running.
func NewTargetTracking(p Tracking, tasks int) *TargetTracking {
	p.Min = max(p.Min, 1)
	for _, x := range []struct {
		p     *int
		value int
	}{{&p.OutAfter, 3}, {&p.InAfter, 15}} {
		if *x.p == 0 {
			*x.p = x.value
		}
	}
	if p.Low == 0 {
		p.Low = 0.9
	}
	for _, c := range []*time.Duration{&p.OutCooldown, &p.InCooldown} {
		if *c == 0 {
			*c = 300 * time.Second
		}
	}
	return &TargetTracking{Tracking: p, current: tasks}
}

// Minute takes the metric of one more minute and returns how many tasks are
// wanted. A metric that is not a number is a missing one, on which nothing is
// scaled.
func (t *TargetTracking) Minute(metric float64) (tasks int) {
	now := t.minute
	t.minute++
	switch {
	case math.IsNaN(metric):
		t.high, t.low = 0, 0
		return t.current
	case metric > t.Target:
		t.high, t.low = t.high+1, 0
	case metric < t.Low*t.Target:
		t.high, t.low = 0, t.low+1
	default:
		t.high, t.low = 0, 0
	}
	switch {
	case t.high >= t.OutAfter:
		base := t.current
		if now < t.outUntil {
			base = t.base
		}
		if want := t.wanted(base, metric); want > t.current {
			t.base, t.current = base, want
			t.outUntil = now + minutes(t.OutCooldown)
		}
	case t.low >= t.InAfter && now >= t.inUntil && now >= t.outUntil:
		if want := t.wanted(t.current, metric); want < t.current {
			t.current = want
			t.inUntil = now + minutes(t.InCooldown)
		}
	}
	return t.current
}

func (t *TargetTracking) wanted(of int, metric float64) int {
	want := math.Ceil(float64(of)*metric/t.Target - slack)
	return int(min(max(want, float64(t.Min)), float64(t.Max)))
}

func minutes(d time.Duration) int { return int(math.Ceil(d.Minutes())) }
