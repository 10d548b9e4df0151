package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/plan"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// past is a source that remembers one busy minute of each series; of the second a
// thousand times as much as of the first.
type past struct {
	from, to time.Time
	err      error
}

func (p *past) Read(_ context.Context, want []measure.Series, from, to time.Time) ([]measure.Series, error) {
	p.from, p.to = from, to
	out := slices.Clone(want)
	for k := range out {
		out[k].Period = time.Minute
		for i, n := range []float64{600, 4980, 1200} {
			out[k].Points.Add(measure.Point{At: from.Add(time.Duration(i) * time.Minute), Value: n * float64(1+k*999)})
		}
	}
	return out, p.err
}

// Fourteen days of requests, and of the bytes of quotas, are asked for, and the busiest minute, 83 a second, is
// what a target of 5,000/s is held against: 60 times that.
func TestHistory(t *testing.T) {
	want := []measure.Series{
		{Quota: capacity.RequestTokens, Role: capacity.RoleRequests, Statistic: "Sum"},
		{Quota: "lambda.concurrency", Role: capacity.RoleRequests, Statistic: "Sum"},
		{Quota: "momento.operations", Role: capacity.RoleUsage, Statistic: "Sum", Unit: unit.Operations},
		{Quota: "momento.throughput", Role: capacity.RoleUsage, Statistic: "Sum", Unit: unit.Bytes},
	}
	source := &past{}
	seen, events := history(t.Context(), "target", filepath.Join(t.TempDir(), "run"), source, want)
	if len(events) != 0 || len(seen) != 2 || seen[0].Rate != 83 || seen[0].Quota != "" || seen[1].Rate != 83_000 || seen[1].Quota != "momento.throughput" || source.to.Sub(source.from) != 14*24*time.Hour {
		t.Fatalf("seen %+v, events %v, asked for %v", seen, events, source.to.Sub(source.from))
	}
	s := &scenarios.Scenario{Forecast: 5000, Loads: []scenarios.Load{{Profile: []scenarios.Stage{{From: 50, To: 50, For: time.Minute}}}}}
	throughput := capacity.Quota{ID: "momento.throughput", Unit: unit.Bytes, Period: "s", Limit: 83_000 * 1024}
	doubts := strings.Join(plan.Doubts(s, []capacity.Quota{throughput}, seen), "\n")
	if !strings.Contains(doubts, "60.2x the highest rate of the last 14 days") || !strings.Contains(doubts, "per minute taken for per second?") {
		t.Errorf("doubts %q", doubts)
	}

	if !strings.Contains(doubts, "KiB taken for bytes?") {
		t.Errorf("doubts %q", doubts)
	}

	// What can't be read is an event, and no reason not to run.
	source.err = errors.New("access denied")
	if _, events := history(t.Context(), "target", filepath.Join(t.TempDir(), "run"), source, want); len(events) != 1 || !strings.Contains(events[0].Text, "access denied") {
		t.Errorf("events %v", events)
	}
	if seen, events := history(t.Context(), "target", filepath.Join(t.TempDir(), "run"), nil, want); len(seen)+len(events) != 0 {
		t.Errorf("without a source: %v, %v", seen, events)
	}
}

// Earlier records count where they are measured, of the same target, and not the
// run's own.
func TestHistoryOfRecords(t *testing.T) {
	runs := t.TempDir()
	save := func(name, target string, kind capacity.Kind, rate float64) {
		t.Helper()
		m := capacity.Manifest{
			ID: name, Kind: kind, State: capacity.Complete, Target: target, Start: time.Unix(0, 0), End: time.Unix(60, 0),
			Loads: []capacity.Load{{Name: "a", Stages: []capacity.Stage{{From: rate, To: rate, For: 60}}}},
		}
		if err := record.Save(filepath.Join(runs, name), &capacity.Run{Manifest: m}); err != nil {
			t.Fatal(err)
		}
	}
	save("one", "here", capacity.Measured, 10)
	save("two", "here", capacity.Measured, 40)
	save("elsewhere", "there", capacity.Measured, 500)
	save("simulated", "here", capacity.Simulated, 900)
	save("own", "here", capacity.Measured, 5000)
	seen, _ := history(t.Context(), "here", filepath.Join(runs, "own"), nil, nil)
	if len(seen) != 1 || seen[0].Rate != 40 || !strings.Contains(seen[0].Where, "two") {
		t.Errorf("seen %+v", seen)
	}
}
