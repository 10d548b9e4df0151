package simulator_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/scenarios"
)

func ready(t testing.TB, name string) (*scenarios.Scenario, *model.System) {
	t.Helper()
	s, faults := scenarios.ParseFile(scenarios.Ready(), name+".yaml", func(string) (string, bool) { return "", false })
	if faults != nil {
		t.Fatal(faults)
	}
	sys, err := model.Open(s.Target.Sandbox, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, sys
}

func simulate(t testing.TB, s *scenarios.Scenario, sys *model.System) *capacity.Run {
	t.Helper()
	run, err := simulator.Run(s, sys, simulator.Options{ID: "x", Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// The ready-made premiere is stopped by its tokens at 2,000/200 = 10/s, and the
// redesigned one by its cache's throughput at 1.5 GB/s / 3 MB = 500/s.
func TestReady(t *testing.T) {
	for _, c := range []struct {
		name, first string
		rate        float64
	}{{"premiere", "appsync.request-tokens", 10}, {"premiere-cached", "momento.throughput", 500}} {
		s, sys := ready(t, c.name)
		a := capacity.Assess(simulate(t, s, sys))
		if a.Verdict.Status != capacity.Valid {
			t.Errorf("%s: %s, failed %+v", c.name, a.Verdict.Status, a.Verdict.Failed())
		}
		if a.FirstToBind == nil || *a.FirstToBind != c.first {
			t.Errorf("%s: first to bind %v: %s", c.name, a.FirstToBind, a.FirstToBindReason)
			continue
		}
		for _, q := range a.Quotas {
			if q.ID == c.first && (q.BindsAt == nil || math.Abs(*q.BindsAt.Rate-c.rate) > 1e-6*c.rate) {
				t.Errorf("%s: binds at %+v, want %v", c.name, q.BindsAt, c.rate)
			}
		}
		for _, op := range a.Operations {
			if op.Planned != op.Sent+op.Dropped+op.NotDue || op.Sent != op.Completed+op.TimedOut+op.GeneratorErrors+op.Unfinished {
				t.Errorf("%s: not conserved: %+v", c.name, op)
			}
		}
	}
}

func TestSameSeedSameRun(t *testing.T) {
	s, sys := ready(t, "premiere")
	one, two := simulate(t, s, sys), simulate(t, s, sys)
	if diff := cmp.Diff(one.Rows, two.Rows); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(one.Series, two.Series); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(capacity.Assess(one), capacity.Assess(two)); diff != "" {
		t.Error(diff)
	}
}
