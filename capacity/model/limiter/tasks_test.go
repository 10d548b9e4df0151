package limiter

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The published ECS example through the service that serves it (science R24): 65 to
// 70 messages/s on one task, doubled after half an hour, 50/s after an hour, against
// a target of 30 for each task. Three minutes above it make 3 tasks and then 5,
// fifteen below nine tenths of it 2, each a minute later where the metric is.
func TestTasksTrace(t *testing.T) {
	for late, want := range map[int][]Scaled{
		0: {{3 * time.Minute, 3}, {33 * time.Minute, 5}, {75 * time.Minute, 2}},
		1: {{4 * time.Minute, 3}, {34 * time.Minute, 5}, {76 * time.Minute, 2}},
	} {
		service := NewTasks(100, Tracking{Target: 30, Max: 10, OutCooldown: 2 * time.Minute, InCooldown: 2 * time.Minute}, 0, late, 0)
		for second := range 120 * 60 {
			rate := 65 + second/60%6
			switch {
			case second >= 60*60:
				rate = 50
			case second >= 30*60:
				rate *= 2
			}
			for i := range rate {
				service.Admit(time.Duration(second)*time.Second+every(i, float64(rate)), 1)
			}
		}
		if diff := cmp.Diff(want, service.Scaled()); diff != "" {
			t.Errorf("metric %d min late: -want +got\n%s", late, diff)
		}
	}
}

// One task of 40/s under 60/s falls behind by 20/s for three minutes until the alarm,
// when a request waits 20 x 180 / 40 = 90 s. Those that come then are the second
// task's, which works a minute later; what lacks at that time, 20 x 240, the two work
// off at 20/s.
func TestTasksStart(t *testing.T) {
	service := NewTasks(40, Tracking{Target: 30, Max: 2}, time.Minute, 0, 0)
	longest, caughtUp := time.Duration(0), time.Duration(0)
	for i := range 60 * 60 * 10 {
		at := every(i, 60)
		wait, _, _ := service.Admit(at, 1)
		longest = max(longest, wait)
		if wait == 0 && caughtUp == 0 && at > time.Minute {
			caughtUp = at
		}
	}
	if longest < 89*time.Second || longest > 91*time.Second {
		t.Errorf("the longest wait is %v, want 90s", longest)
	}
	if caughtUp < 475*time.Second || caughtUp > 485*time.Second {
		t.Errorf("caught up at %v, want 8m", caughtUp)
	}
}
