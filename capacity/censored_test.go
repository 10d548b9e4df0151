package capacity_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// gaveUp is a run of 60 s with 40 answers a second, of which one in so many isn't there
// when the timeout of 500 ms is over. The answers take 10 ms.
func gaveUp(oneIn int) *capacity.Run {
	n := 0
	timedOut := func() bool { n++; return n%oneIn == 0 }
	run := answered(60, 40, time.Second, func(int) time.Duration {
		if timedOut() {
			return 500*time.Millisecond + 80*time.Microsecond
		}
		return 10 * time.Millisecond
	})
	n = 0
	run.Rows.Edit(func(rows []measure.Row) []measure.Row {
		for i := range rows {
			for range 40 {
				if timedOut() {
					rows[i].OK--
					rows[i].TimedOut++
				}
			}
		}
		return rows
	})
	run.Manifest.Loads = []capacity.Load{{Name: "l", Timeout: 0.5, Operations: []capacity.Operation{{Name: "o"}}}}
	return run
}

// A request that timed out would have taken nobody knows how long. Figures that it
// decides are lower bounds: they have no interval and keep below no threshold. Those
// below are as they are.
func TestTimedOutIsAtLeast(t *testing.T) {
	run := gaveUp(11) // 9.1 %
	run.Manifest.Scenario.Thresholds = []scenarios.Threshold{
		{Text: "p99 < 2s", Metric: "p99", Op: "<", Value: 2},
		{Text: "p95(o) <= 600ms", Metric: "p95", Of: "o", Op: "<=", Value: 0.6},
		{Text: "max < 1h", Metric: "max", Op: "<", Value: 3600},
		{Text: "mean < 1s", Metric: "mean", Op: "<", Value: 1},
		{Text: "p99 < 400ms", Metric: "p99", Op: "<", Value: 0.4},
		{Text: "p50 < 20ms", Metric: "p50", Op: "<", Value: 0.02},
		{Text: "p90 < 2s", Metric: "p90", Op: "<", Value: 2},
		{Text: "p99 > 400ms", Metric: "p99", Op: ">", Value: 0.4},
		{Text: "errors < 10%", Metric: "errors", Op: "<", Value: 0.1},
	}
	a := capacity.Assess(run)
	times := a.Operations[0].ResponseTime
	if want := []string{"mean", "p95", "p99", "max"}; !slices.Equal(times.AtLeast, want) {
		t.Errorf("lower bounds are %v, want %v", times.AtLeast, want)
	}
	if at := slices.Sorted(maps.Keys(times.Intervals)); !slices.Equal(at, []string{"p50"}) {
		t.Errorf("%v have an interval, that of p90 would end among requests that timed out", at)
	}
	for i, want := range []struct{ atLeast, passed bool }{
		{true, false},
		{true, false},
		{true, false},
		{true, false},
		{true, false},
		{false, true},
		{false, true},
		{true, true},
		{false, true},
	} {
		got := a.Thresholds[i]
		if got.AtLeast != want.atLeast || got.Passed != want.passed {
			t.Errorf("%s: at least %v and passed %v, want %+v", got.Expression, got.AtLeast, got.Passed, want)
		}
		if i < 2 && got.Margin != nil {
			t.Errorf("%s: has a margin, %+v", got.Expression, *got.Margin)
		}
	}
	if service := a.Operations[0].ServiceTime; service.AtLeast != nil {
		t.Errorf("service times don't count requests that timed out, and %v are lower bounds", service.AtLeast)
	}

	few := capacity.Assess(gaveUp(600)).Operations[0].ResponseTime
	if want := []string{"mean", "max"}; !slices.Equal(few.AtLeast, want) {
		t.Errorf("of one timeout in 600, lower bounds are %v, want %v", few.AtLeast, want)
	}
	none := answered(60, 40, time.Second, func(int) time.Duration { return 501 * time.Millisecond })
	none.Manifest.Loads = []capacity.Load{{Name: "l", Timeout: 0.5, Operations: []capacity.Operation{{Name: "o"}}}}
	if got := capacity.Assess(none).Operations[0].ResponseTime; got.AtLeast != nil {
		t.Errorf("without a timeout, %v are lower bounds", got.AtLeast)
	}
}

// Who withholds a run's percentiles says why, and who doesn't gives them: of one arrival
// of very many that was dropped too.
func TestTimesWithheld(t *testing.T) {
	for want, change := range map[string]func(*capacity.Run){
		"": func(*capacity.Run) {},
		"the run is INVALID": func(r *capacity.Run) {
			r.Rows.Add(&measure.Row{Second: 59, Load: "l", Operation: "o", Measured: true, Planned: 9, DroppedGenerator: 9})
		},
		"arrivals were dropped at the in-flight limit": func(r *capacity.Run) {
			r.Rows.Add(&measure.Row{Second: 59, Load: "l", Operation: "o", Measured: true, Planned: 1, DroppedSaturation: 1})
		},
		"requests were given up with the run": func(r *capacity.Run) {
			r.Manifest.State = capacity.Interrupted
			r.Rows.Add(&measure.Row{Second: 59, Load: "l", Operation: "o", Measured: true, Planned: 9, Sent: 9, Unfinished: 9})
		},
		"the record is not whole: a line is cut": func(r *capacity.Run) { r.Damage = []string{"a line is cut"} },
	} {
		run := answered(60, 400, time.Second, func(int) time.Duration { return 10 * time.Millisecond })
		change(run)
		a := capacity.Assess(run)
		if a.TimesWithheld != want {
			t.Errorf("withheld for %q, want %q; %s", a.TimesWithheld, want, a.Verdict.Status)
		}
		if got := a.Operations[0].ResponseTime; (got.P50 != nil) != (want == "") || (got.Mean != nil) != (want == "") || got.Max == nil {
			t.Errorf("%q: %+v", want, got)
		}
	}
}

// Requests that were given up with the run have no time at all: percentiles without them
// would be of those that were quick.
func TestGivenUpWithholdsPercentiles(t *testing.T) {
	run := answered(60, 40, time.Second, func(int) time.Duration { return 10 * time.Millisecond })
	run.Manifest.State = capacity.Interrupted
	run.Manifest.Scenario.Thresholds = []scenarios.Threshold{{Text: "p50 < 1s", Metric: "p50", Op: "<", Value: 1}}
	a := capacity.Assess(run)
	if p := a.Operations[0].ResponseTime.P50; p == nil || !a.Thresholds[0].Passed {
		t.Fatalf("an interrupted run that was waited for: p50 %v, %+v", p, a.Thresholds[0])
	}
	run.Rows.Add(&measure.Row{Second: 59, Load: "l", Operation: "o", Measured: true, Planned: 109, Sent: 109, Unfinished: 109})
	a = capacity.Assess(run)
	if got := a.Operations[0].ResponseTime; got.Mean != nil || got.P50 != nil || got.Intervals != nil || a.Thresholds[0].Value != nil || a.Thresholds[0].Passed {
		t.Errorf("109 requests were given up: %+v, %+v", got, a.Thresholds[0])
	}
}
