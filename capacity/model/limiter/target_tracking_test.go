package limiter

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A target of 30 messages/s for each task; 65 to 70/s on one task, doubled after
// half an hour, 50/s after an hour: 3, 5 and 2 tasks, out after three minutes and
// in after fifteen (the published ECS autoscaling example). A metric that is a
// minute late moves each of them by one.
func TestTargetTrackingTrace(t *testing.T) {
	for late, want := range map[int]map[int]int{
		0: {2: 3, 32: 5, 74: 2},
		1: {3: 3, 33: 5, 75: 2},
	} {
		tracking := NewTargetTracking(Tracking{Target: 30, Max: 10}, 1)
		tasks := 1
		metrics := []float64{}
		got := map[int]int{}
		for minute := range 120 {
			rate := 65 + float64(minute%6)
			switch {
			case minute >= 60:
				rate = 50
			case minute >= 30:
				rate *= 2
			}
			metrics = append(metrics, rate/float64(tasks))
			metric := math.NaN()
			if minute >= late {
				metric = metrics[minute-late]
			}
			if n := tracking.Minute(metric); n != tasks {
				tasks = n
				got[minute] = n
			}
		}
		if len(got) != len(want) {
			t.Errorf("metric %d min late: tasks %v, want %v", late, got, want)
		}
		for minute, n := range want {
			if got[minute] != n {
				t.Errorf("metric %d min late: tasks %v, want %v", late, got, want)
				break
			}
		}
	}
}

// A metric that doesn't fall with more tasks runs away to the most.
func TestTargetTrackingUndividedMetric(t *testing.T) {
	tracking := NewTargetTracking(Tracking{Target: 30, Max: 10, OutCooldown: time.Minute}, 1)
	tasks := 1
	for range 30 {
		tasks = tracking.Minute(67)
	}
	if tasks != 10 {
		t.Errorf("%d tasks, want the most, 10", tasks)
	}
}

// A steady load ends at ceil(load/target) tasks, and stays there.
func TestTargetTrackingSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		load := rapid.Float64Range(1, 290).Draw(t, "load")
		tasks := rapid.IntRange(1, 10).Draw(t, "tasks")
		tracking := NewTargetTracking(Tracking{Target: 30, Max: 10}, tasks)
		want := int(math.Ceil(load / 30))
		for range 120 {
			tasks = tracking.Minute(load / float64(tasks))
		}
		// Between nine tenths of the target and the target nothing is scaled in.
		if tasks < want || tasks > want && load/float64(tasks) < 0.9*30 {
			t.Fatalf("%d tasks for %v, want %d", tasks, load, want)
		}
	})
}
