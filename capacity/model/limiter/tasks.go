package limiter

import (
	"math"
	"slices"
	"time"
)

// Tasks is a Queue of which each server is a task of an ECS service, and whose
// tasks follow the charges by target tracking: once a minute the metric is what a
// second of the last whole minute charged for each task. A task that is added
// works from its start on; one that is taken away is the first that is free, and
// what it had begun is finished. A charge goes to the task that will be free first
// and stays with it, as behind a load balancer.
type Tasks struct {
	Queue
	tracking *TargetTracking
	start    time.Duration // from the decision until a task works
	late     int           // minutes until the metric is seen
	metrics  []float64     // of the minutes that are not seen yet
	minute   int64
	charged  float64
	scaled   []Scaled
}

// Scaled is a change of the number of tasks.
type Scaled struct {
	At    time.Duration // of the decision
	Tasks int
}

// NewTasks returns a service with the policy's least tasks, of which each works off
// rate a second. The metric of a minute is seen so many minutes late.
func NewTasks(rate float64, p Tracking, start time.Duration, late int, longest time.Duration) *Tasks {
	least := max(p.Min, 1)
	return &Tasks{
		Queue:    *NewQueue(least, float64(least)*rate, longest),
		tracking: NewTargetTracking(p, least),
		start:    start, late: late,
	}
}

// Admit queues a charge as Queue does. A charge that is refused counts in the
// metric too: it is what was asked for.
func (t *Tasks) Admit(at time.Duration, cost float64) (wait, work time.Duration, ok bool) {
	t.pass(at)
	t.charged += cost
	return t.Queue.Admit(at, cost)
}

// pass ends the minutes that are over.
func (t *Tasks) pass(at time.Duration) {
	for now := int64(at / time.Minute); t.minute < now; t.minute++ {
		t.metrics = append(t.metrics, t.charged/60/float64(len(t.free)))
		t.charged = 0
		metric := math.NaN()
		if len(t.metrics) > t.late {
			metric, t.metrics = t.metrics[0], t.metrics[1:]
		}
		if n := t.tracking.Minute(metric); n != len(t.free) {
			end := time.Duration(t.minute+1) * time.Minute
			t.resize(n, end+t.start)
			t.scaled = append(t.scaled, Scaled{end, n})
		}
	}
}

// resize brings the servers to n; those that are added are free from an instant
// on. Sorted instants are a heap.
func (t *Tasks) resize(n int, from time.Duration) {
	slices.Sort(t.free)
	if n < len(t.free) {
		t.free = slices.Delete(t.free, 0, len(t.free)-n)
		return
	}
	for len(t.free) < n {
		t.free = append(t.free, from)
	}
	slices.Sort(t.free)
}

// Scaled returns every change of the number of tasks so far, in order.
func (t *Tasks) Scaled() []Scaled { return t.scaled }
