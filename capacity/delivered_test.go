package capacity_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// Answers count in the seconds in which they come: a server of 50/s that gets 100/s
// delivers 50/s, whatever it works off later, or still has to of a warm-up; one that
// keeps up delivers what it gets.
func TestRateIsDelivered(t *testing.T) {
	measured := capacity.Stage{Name: "load", From: 100, To: 100, For: 20, Measure: true}
	unmeasured := capacity.Stage{Name: "before", From: 100, To: 100, For: 10}
	for _, c := range []struct {
		stages []capacity.Stage
		each   time.Duration // that the server takes for a request, one after the other
		want   float64
	}{
		{[]capacity.Stage{measured}, 20 * time.Millisecond, 50},
		{[]capacity.Stage{unmeasured, measured}, 20 * time.Millisecond, 50},
		{[]capacity.Stage{measured, unmeasured}, 20 * time.Millisecond, 50},
		{[]capacity.Stage{measured}, 0, 100},
		{[]capacity.Stage{unmeasured, measured, unmeasured}, 0, 100},
	} {
		var idle time.Duration // from when on
		w := world{seed: 1, loads: []capacity.Load{ramp("l", 0, 0, 0, capacity.Operation{Name: "o", Share: 1})}}
		w.loads[0].Stages = c.stages
		w.serve = func(at time.Duration, _, _ string) answer {
			idle = max(idle, at) + c.each
			return answer{tokens: measure.NoTokens, service: idle - at + time.Millisecond}
		}
		run := w.run()
		run.Manifest.Scenario.Thresholds = []scenarios.Threshold{{Text: "rate > 60/s", Metric: "rate", Op: ">", Value: 60}, {Text: "rate(o) > 60/s", Metric: "rate", Of: "o", Op: ">", Value: 60}}
		for _, r := range capacity.Assess(run).Thresholds {
			near(t, fmt.Sprintf("%s with %v a request", r.Expression, c.each), r.Value, c.want, 0.05) // Poisson arrivals of 20 s: 2.2 %
			if r.Passed != (c.want > 60) {
				t.Errorf("%s passed: %v, where %g/s are delivered", r.Expression, r.Passed, c.want)
			}
		}
	}
}

// A record tells whole seconds, so those that the measured stages have in part alone
// don't count: here of a load from 0.5 s on, measured from 0.75 to 3.25 and from 4 to
// 5.5 s, and of another from 2 to 3 s.
func TestRateOfWholeSeconds(t *testing.T) {
	stages := []capacity.Stage{
		{Name: "warm", From: 100, To: 100, For: 0.25},
		{Name: "a", From: 100, To: 100, For: 0.5, Measure: true},
		{Name: "b", From: 100, To: 100, For: 2, Measure: true},
		{Name: "gap", From: 100, To: 100, For: 0.75},
		{Name: "c", From: 100, To: 100, For: 1.5, Measure: true},
	}
	l := capacity.Load{Name: "l", Start: 0.5, Operations: []capacity.Operation{{Name: "o"}}, Stages: stages}
	short := l
	short.Start, short.Stages = 0.75, stages[2:3] // 0.75 to 2.75: second 1
	part := l
	part.Start, part.Stages = 0.25, stages[4:] // 0.25 to 1.75
	other := capacity.Load{Name: "m", Start: 2, Operations: []capacity.Operation{{Name: "p"}}, Stages: []capacity.Stage{{Name: "d", For: 1, Measure: true}}}
	seconds := []int64{1, 10, 100, 1000, 10_000, 100_000} // ok answers of o in each, and twice as many of p
	for _, c := range []struct {
		loads []capacity.Load
		of    string
		end   float64 // of a run that was interrupted; 0: complete
		want  float64 // 0: none
	}{
		{[]capacity.Load{l}, "", 0, (10 + 100 + 10_000) / 3.0},
		{[]capacity.Load{short}, "", 0, 10},
		{[]capacity.Load{part}, "", 0, 0},
		{[]capacity.Load{l, other}, "o", 0, (10 + 100 + 10_000) / 3.0},
		{[]capacity.Load{l, other}, "p", 0, 200},
		{[]capacity.Load{l, other}, "", 0, (10 + 100 + 10_000 + 200) / 3.0},
		{[]capacity.Load{l}, "", 2.9, 10},
		{[]capacity.Load{l}, "", 1.9, 0},
		{nil, "", 0, 111_111 / 6.0}, // no profile: the seconds in which something was planned
	} {
		run := &capacity.Run{Manifest: capacity.Manifest{Kind: capacity.Measured, State: capacity.Complete, Start: midday, End: midday.Add(6 * time.Second), Loads: c.loads}}
		if c.end > 0 {
			run.Manifest.State, run.Manifest.End = capacity.Interrupted, midday.Add(time.Duration(c.end*1e9))
		}
		for second, n := range seconds {
			run.Rows.Add(&measure.Row{Second: second, Load: "l", Operation: "o", Measured: true, Planned: n, Sent: n, OK: n})
			if len(c.loads) > 1 {
				run.Rows.Add(&measure.Row{Second: second, Load: "m", Operation: "p", Measured: true, Planned: 2 * n, Sent: 2 * n, OK: 2 * n})
			}
		}
		run.Manifest.Scenario.Thresholds = []scenarios.Threshold{{Text: "rate > 0/s", Metric: "rate", Of: c.of, Op: ">"}}
		got := capacity.Assess(run).Thresholds[0]
		if c.want == 0 {
			if got.Value != nil || got.Passed {
				t.Errorf("%v: a rate of no whole second is %g", c.loads, *got.Value)
			}
			continue
		}
		near(t, "rate of "+c.of, got.Value, c.want, 1e-9)
	}
}
