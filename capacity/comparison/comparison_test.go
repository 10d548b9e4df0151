package comparison_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/comparison"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// steady is a run of 30 seconds with the given requests a second, each of which
// took the given tokens and time; one in ten was throttled where throttled is
// set.
func steady(id, load string, rate, tokens int64, took time.Duration, throttled bool, quotas ...capacity.Quota) *capacity.Run {
	const seconds = 30
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	run := &capacity.Run{Manifest: capacity.Manifest{
		ID: id, Kind: capacity.Simulated, State: capacity.Complete, Start: start, End: start.Add(seconds * time.Second), Sandbox: true,
		Scenario: capacity.Scenario{Name: id, Digest: "digest of " + id},
		Loads: []capacity.Load{{
			Name: load, Arrivals: "uniform", Seed: 1, Planned: rate * seconds,
			Stages:     []capacity.Stage{{Name: "steady", From: float64(rate), To: float64(rate), For: seconds, Measure: true}},
			Operations: []capacity.Operation{{Name: "listPrograms", Kind: "graphql", Share: 1}},
		}},
		Quotas:  quotas,
		Machine: capacity.Machine{OS: "linux", Arch: "amd64", CPUs: 2},
	}}
	var response measure.Distribution
	for s := range seconds {
		r := measure.Row{Second: s, Load: load, Operation: "listPrograms", Measured: true, Planned: rate, Sent: rate, OK: rate}
		if throttled {
			r.Throttled = rate / 10
			r.OK -= r.Throttled
			r.Reasons = map[string]int64{"throttled HTTP 429": r.Throttled}
		}
		r.TokensN, r.TokensNSent = r.OK, r.OK
		r.TokensDone, r.TokensSent = r.OK*tokens, r.OK*tokens
		for range r.OK {
			response.Record(took.Microseconds())
		}
		run.Rows.Add(&r)
	}
	run.Latency = []measure.Interval{response.Interval(load, "listPrograms", measure.ResponseTimes, 0, seconds*time.Second)}
	return run
}

func tokens(limit float64) capacity.Quota {
	return capacity.Quota{ID: capacity.RequestTokens, Kind: capacity.RateQuota, Limit: limit, Unit: "tokens", Period: "s"}
}

// Before and after a redesign: other System, other load name, other quotas.
func TestCompareArchitectures(t *testing.T) {
	a := steady("before", "viewers", 10, 200, 80*time.Millisecond, true, tokens(2000))
	b := steady("after", "spectators", 400, 1, 20*time.Millisecond, false, tokens(20000),
		capacity.Quota{ID: "momento.operations", Kind: capacity.RateQuota, Limit: 15000, Unit: "ops", Period: "s"})
	c := comparison.Compare(a, b)
	if c.Label != comparison.SingleRun || c.A.ID != "before" || c.B.Status != capacity.Valid {
		t.Errorf("%+v", c)
	}
	if len(c.Operations) != 1 {
		t.Fatalf("operations %+v", c.Operations)
	}
	op := c.Operations[0]
	is := func(what string, f comparison.Figure, a, b, ratio float64) {
		t.Helper()
		if f.A == nil || f.B == nil || *f.A != a || *f.B != b || (f.Ratio == nil) != (a == 0) || f.Ratio != nil && *f.Ratio != ratio {
			got, _ := json.Marshal(f)
			t.Errorf("%s: %s, want %g, %g, %g", what, got, a, b, ratio)
		}
	}
	if op.Name != "listPrograms" || op.LoadA != "viewers" || op.LoadB != "spectators" {
		t.Errorf("operation %+v", op)
	}
	is("ok", op.OK, 0.9, 1, 1/0.9)
	is("throttled", op.Throttled, 0.1, 0, 0)
	is("failed", op.Failed, 0, 0, 0)
	is("tokens", op.Tokens, 200, 1, 0.005)
	if p := op.ResponseTime.P50.Ratio; p == nil || *p < 0.249 || *p > 0.251 {
		t.Errorf("p50 %+v", op.ResponseTime.P50)
	}
	if op.ResponseTime.P99.A != nil || op.ResponseTime.P99.B == nil || op.ResponseTime.P99.Ratio != nil {
		t.Error("p99 of 270 answers is not earned, of 12,000 it is")
	}
	if len(c.Quotas) != 2 || c.Quotas[0].ID != capacity.RequestTokens || c.Quotas[1].ID != "momento.operations" {
		t.Fatalf("quotas %+v", c.Quotas)
	}
	q := c.Quotas[0]
	is("unit cost", q.UnitCost, 200, 1, 0.005)
	is("peak", q.Peak, 1800, 400, 400.0/1800)
	is("limit", q.Limit, 2000, 20000, 10)
	if q.BindsAt.A == nil || *q.BindsAt.A != 10 || q.BindsAt.B != nil || q.BindsAt.Ratio != nil {
		t.Errorf("20,000/s from 400/s is refused: %+v", q.BindsAt)
	}
	if m := c.Quotas[1]; m.Limit.A != nil || *m.Limit.B != 15000 || m.UnitCost != (comparison.Figure{}) {
		t.Errorf("one side has no cache: %+v", m)
	}
	if w := strings.Join(c.Warnings, "\n"); !strings.Contains(w, "scenarios differ") || !strings.Contains(w, "limits of appsync.request-tokens differ: 2,000 tokens/s and 20,000 tokens/s") || strings.Contains(w, "machines") || strings.Contains(w, "seeds") {
		t.Errorf("warnings %q", c.Warnings)
	}
}

func TestCompareWarnings(t *testing.T) {
	same := func() *capacity.Run { return steady("x", "viewers", 10, 200, time.Millisecond, false, tokens(2000)) }
	if c := comparison.Compare(same(), same()); len(c.Warnings) != 0 || c.Warnings == nil {
		t.Errorf("the same run twice: %q", c.Warnings)
	}
	// Each run has a calibration of its own, whichever machine both had; a simulated one has neither.
	calibrated := func(at int) *capacity.Run {
		r := same()
		r.Manifest.Machine.Calibration = &capacity.Calibration{Ceiling: float64(40000 + at)}
		return r
	}
	if c := comparison.Compare(calibrated(1), calibrated(2)); len(c.Warnings) != 0 {
		t.Errorf("on the same machine: %q", c.Warnings)
	}
	none := same()
	none.Manifest.Machine = capacity.Machine{}
	if c := comparison.Compare(same(), none); len(c.Warnings) != 0 {
		t.Errorf("one without a machine: %q", c.Warnings)
	}
	for want, change := range map[string]func(*capacity.Run){
		"scenarios differ":   func(r *capacity.Run) { r.Manifest.Scenario.Digest = "other" },
		"machines differ":    func(r *capacity.Run) { r.Manifest.Machine.CPUs = 64 },
		"seeds differ":       func(r *capacity.Run) { r.Manifest.Loads[0].Seed = 2 },
		"limits of":          func(r *capacity.Run) { r.Manifest.Quotas[0].Limit = 1 },
		"b is INCONCLUSIVE":  func(r *capacity.Run) { r.Manifest.State = capacity.Interrupted },
		"a is simulated and": func(r *capacity.Run) { r.Manifest.Kind = capacity.Imported },
		"versions":           func(r *capacity.Run) { r.Manifest.Tool.Version = "v2" },
		"targets differ":     func(r *capacity.Run) { r.Manifest.Target = "elsewhere" },
	} {
		b := same()
		change(b)
		c := comparison.Compare(same(), b)
		if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], want) {
			t.Errorf("want a warning of %q, have %q", want, c.Warnings)
		}
	}
}

// An operation name that two loads share is told apart by its load.
func TestCompareSharedNames(t *testing.T) {
	two := func() *capacity.Run {
		a := steady("x", "viewers", 10, 200, time.Millisecond, false, tokens(2000))
		b := steady("x", "editors", 5, 100, time.Millisecond, false)
		a.Manifest.Loads = append(a.Manifest.Loads, b.Manifest.Loads...)
		for r := range b.Rows.All() {
			a.Rows.Add(r)
		}
		a.Latency = append(a.Latency, b.Latency...)
		return a
	}
	one := steady("y", "editors", 5, 100, time.Millisecond, false)
	c := comparison.Compare(two(), one)
	var got []string
	for _, op := range c.Operations {
		got = append(got, op.LoadA+" "+op.LoadB)
	}
	if want := []string{"viewers ", "editors editors"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if c = comparison.Compare(one, two()); len(c.Operations) != 2 || c.Operations[1].LoadA != "" {
		t.Errorf("%+v", c.Operations)
	}
}

// What timed-out requests decide is a lower bound on its side, and has no ratio.
func TestCompareTimedOut(t *testing.T) {
	a := steady("before", "viewers", 10, 1, 2*time.Second, false)
	b := steady("after", "viewers", 10, 1, 20*time.Millisecond, false)
	a.Manifest.Loads[0].Timeout, b.Manifest.Loads[0].Timeout = 2, 2
	a.Rows.Edit(func(rows []measure.Row) []measure.Row {
		for i := range rows {
			rows[i].TimedOut, rows[i].OK = rows[i].OK, 0
		}
		return rows
	})
	times := comparison.Compare(a, b).Operations[0].ResponseTime
	for name, f := range map[string]comparison.Figure{"mean": times.Mean, "p50": times.P50, "max": times.Max} {
		if f.A == nil || *f.A < 1.99 || f.B == nil || !f.AtLeastA || f.AtLeastB || f.Ratio != nil {
			t.Errorf("%s: got %+v, want a lower bound against a figure", name, f)
		}
	}
}
