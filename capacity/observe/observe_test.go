package observe_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/observe"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// answers is a source whose n-th read gives its n-th answer, and the last one
// from then on.
type answers struct {
	script   []answer
	reads    []time.Time
	from, to time.Time
}

type answer struct {
	points [][]measure.Point
	err    error
}

func (a *answers) Read(ctx context.Context, want []measure.Series, from, to time.Time) ([]measure.Series, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a.reads = append(a.reads, time.Now())
	a.from, a.to = from, to
	x := a.script[min(len(a.reads), len(a.script))-1]
	if x.points == nil {
		return nil, x.err
	}
	got := make([]measure.Series, len(want))
	for i, w := range want {
		got[i] = w
		got[i].Points = measure.PointsOf(x.points[i]...)
	}
	return got, x.err
}

func pt(minute time.Time, v float64) measure.Point { return measure.Point{At: minute, Value: v} }

var tokens = measure.Series{Metric: "TokensConsumed", Quota: "appsync.request-tokens", Role: capacity.RoleUsage, Statistic: "Sum", Unit: "tokens", Period: time.Minute}

// bubble runs a test whose run began at 00:00:40 and ended at 00:02:10 of the
// bubble's first day.
func bubble(t *testing.T, f func(t *testing.T, start, end time.Time, minute []time.Time)) {
	synctest.Test(t, func(t *testing.T) {
		day := time.Now().UTC().Truncate(time.Minute)
		start, end := day.Add(40*time.Second), day.Add(130*time.Second)
		time.Sleep(time.Until(end))
		f(t, start, end, []time.Time{day, day.Add(time.Minute), day.Add(2 * time.Minute)})
	})
}

func TestCollectReadsWholeMinutesUntilTheyStandStill(t *testing.T) {
	bubble(t, func(t *testing.T, start, end time.Time, m []time.Time) {
		src := &answers{script: []answer{
			{points: [][]measure.Point{{pt(m[1], 50)}}},                                      // late and half full
			{points: [][]measure.Point{{pt(m[1], 60), pt(m[0], 20)}}},                        // out of order
			{points: [][]measure.Point{{pt(m[2], 10), pt(m[0], 20), pt(m[1], 60)}}},          // complete
			{points: [][]measure.Point{{pt(m[0], 20), pt(m[0], 20), pt(m[2], 10)}}},          // a duplicate, and a point gone again
			{points: [][]measure.Point{{pt(m[0], math.Pi), pt(m[1], 0), pt(m[2], math.Pi)}}}, // never read
		}}
		got, events := observe.Collector{Source: src, Settle: 3 * time.Minute}.Collect(t.Context(), []measure.Series{tokens}, start, end)
		if want := []measure.Point{pt(m[0], 20), pt(m[1], 60), pt(m[2], 10)}; !cmp.Equal(got[0].Points.Slice(), want) {
			t.Errorf("points: %s", cmp.Diff(want, got[0].Points.Slice()))
		}
		if len(events) > 0 {
			t.Errorf("events: %v", events)
		}
		if !src.from.Equal(m[0]) || !src.to.Equal(m[2].Add(time.Minute)) {
			t.Errorf("asked from %s to %s", src.from, src.to)
		}
		if len(src.reads) != 4 || src.reads[0].Sub(end) != 3*time.Minute {
			t.Errorf("%d reads, the first %s after the end", len(src.reads), src.reads[0].Sub(end))
		}
	})
}

func TestCollectLeavesGaps(t *testing.T) {
	bubble(t, func(t *testing.T, start, end time.Time, m []time.Time) {
		throttles := measure.Series{Metric: "Throttles", Quota: "lambda.concurrency", Role: capacity.RoleThrottles, Statistic: "Sum", Period: time.Minute}
		src := &answers{script: []answer{{points: [][]measure.Point{{pt(m[0], 1), pt(m[2], 3)}, nil}}}}
		got, events := observe.Collector{Source: src}.Collect(t.Context(), []measure.Series{tokens, throttles}, start, end)
		if want := []measure.Point{pt(m[0], 1), pt(m[2], 3)}; !cmp.Equal(got[0].Points.Slice(), want) {
			t.Errorf("the gap was filled: %v", got[0].Points.Slice())
		}
		if len(got) != 2 || got[1].Points.Len() != 0 {
			t.Errorf("a series that never came: %+v", got)
		}
		if len(events) != 1 || events[0].Kind != "settle" {
			t.Errorf("the gap is worth an event: %v", events)
		}
		if d := time.Since(end); len(src.reads) != 5 || d > time.Second {
			t.Errorf("%d reads in %s", len(src.reads), d)
		}
	})
}

func TestCollectTurnsErrorsIntoEvents(t *testing.T) {
	bubble(t, func(t *testing.T, start, end time.Time, m []time.Time) {
		whole := [][]measure.Point{{pt(m[0], 1), pt(m[1], 2), pt(m[2], 3)}}
		src := &answers{script: []answer{
			{err: errors.New("access denied")},
			{err: errors.New("access denied")},
			{points: whole, err: errors.New("throttled")},
			{points: whole},
		}}
		got, events := observe.Collector{Source: src, Settle: time.Minute}.Collect(t.Context(), []measure.Series{tokens}, start, end)
		if got[0].Points.Len() != 3 {
			t.Errorf("points: %v", got[0].Points.Slice())
		}
		var texts []string
		for _, e := range events {
			texts = append(texts, e.Kind+": "+e.Text)
		}
		if want := []string{"source-error: access denied", "source-error: throttled"}; !cmp.Equal(texts, want) {
			t.Errorf("events: %s", cmp.Diff(want, texts))
		}
		if at := events[0].At; at != 150 { // 90 s of run, then a minute of settling
			t.Errorf("the first error was at %v s", at)
		}
	})
}

func TestCollectRefusesWhatIsNoPointOfTheRun(t *testing.T) {
	bubble(t, func(t *testing.T, start, end time.Time, m []time.Time) {
		src := &answers{script: []answer{{points: [][]measure.Point{{
			pt(m[0].Add(-time.Minute), 9), pt(m[0], 1), pt(m[1], math.NaN()), pt(m[2], 3), pt(m[2].Add(time.Minute), 9),
		}}}}}
		got, events := observe.Collector{Source: src}.Collect(t.Context(), []measure.Series{tokens}, start, end)
		if want := []measure.Point{pt(m[0], 1), pt(m[2], 3)}; !cmp.Equal(got[0].Points.Slice(), want) {
			t.Errorf("points: %s", cmp.Diff(want, got[0].Points.Slice()))
		}
		if len(events) != 2 || !strings.Contains(events[0].Text, "no number") {
			t.Errorf("events: %v", events)
		}
	})
}

func TestCollectReadsDurationsInSeconds(t *testing.T) {
	bubble(t, func(t *testing.T, start, end time.Time, m []time.Time) {
		want := measure.Series{Metric: "Duration", Quota: "lambda.concurrency", Role: capacity.RoleDuration, Statistic: "Sum", Unit: "ms", Period: time.Minute}
		src := &answers{script: []answer{{points: [][]measure.Point{{pt(m[0], 1500)}}}}}
		got, _ := observe.Collector{Source: src}.Collect(t.Context(), []measure.Series{want}, start, end)
		if got[0].Unit != "s" || got[0].Points.Slice()[0].Value != 1.5 {
			t.Errorf("got %+v", got[0])
		}
		if want.Unit != "ms" || len(src.reads) != 2 {
			t.Errorf("only usage has to be complete, yet there were %d reads", len(src.reads))
		}
	})
}

func TestCollectStopsWhenToldTo(t *testing.T) {
	bubble(t, func(t *testing.T, start, end time.Time, m []time.Time) {
		ctx, cancel := context.WithTimeout(t.Context(), 65*time.Second)
		defer cancel()
		src := &answers{script: []answer{{points: [][]measure.Point{{pt(m[0], 1)}}}}}
		got, events := observe.Collector{Source: src, Settle: time.Minute}.Collect(ctx, []measure.Series{tokens}, start, end)
		if len(got) != 1 || got[0].Points.Len() != 1 {
			t.Errorf("what was read is lost: %+v", got)
		}
		if len(events) != 1 || !strings.Contains(events[0].Text, "broken off") {
			t.Errorf("events: %v", events)
		}
		if d := time.Since(end); d != 65*time.Second {
			t.Errorf("it took %s", d)
		}
	})
}

func TestCollectNamesWhatWasReadInstead(t *testing.T) {
	bubble(t, func(t *testing.T, start, end time.Time, m []time.Time) {
		want := tokens
		want.Labels = map[string]string{"GraphQLAPIId": capacity.AnyValue}
		src := renamed{&answers{script: []answer{{points: [][]measure.Point{{pt(m[0], 1), pt(m[1], 1), pt(m[2], 1)}}}}}}
		got, events := observe.Collector{Source: src}.Collect(t.Context(), []measure.Series{want}, start, end)
		if got[0].Labels["GraphQLAPIId"] != capacity.AnyValue {
			t.Errorf("the series is no longer the one that was asked for: %v", got[0].Labels)
		}
		if len(events) != 1 || events[0].Kind != "source" || !strings.Contains(events[0].Text, "GraphQLAPIId:a, b") {
			t.Errorf("events: %v", events)
		}
	})
}

// renamed answers under other labels than those asked for.
type renamed struct{ observe.Source }

func (r renamed) Read(ctx context.Context, want []measure.Series, from, to time.Time) ([]measure.Series, error) {
	got, err := r.Source.Read(ctx, want, from, to)
	got[0].Labels = map[string]string{"GraphQLAPIId": "a, b"}
	return got, err
}

func TestSettle(t *testing.T) {
	loads := []scenarios.Load{{Timeout: 5 * time.Second}, {Timeout: 30 * time.Second}}
	for _, tt := range []struct {
		name string
		s    scenarios.Scenario
		want time.Duration
	}{
		{"sandbox", scenarios.Scenario{Settle: -1, Loads: loads, Target: scenarios.Target{Sandbox: "premiere"}}, 0},
		{"AWS", scenarios.Scenario{Settle: -1, Loads: loads, Target: scenarios.Target{AWS: scenarios.AWS{Region: "eu-west-1"}}}, 3*time.Minute + 30*time.Second},
		{"nobody to ask", scenarios.Scenario{Settle: -1, Loads: loads}, 0},
		{"as the file says", scenarios.Scenario{Settle: 10 * time.Second, Loads: loads}, 10 * time.Second},
		{"the file says 0", scenarios.Scenario{Loads: loads}, 0},
	} {
		if got := observe.Settle(&tt.s); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
