package capacity_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// steady is a run of n seconds with the same number of requests and tokens in
// each, by two loads of which only "viewers" charges the token quota.
func steady(start time.Time, n int, sent, tokens int64) *capacity.Run {
	run := &capacity.Run{Manifest: capacity.Manifest{
		Sandbox: true, Start: start, End: start.Add(time.Duration(n) * time.Second),
		Quotas: []capacity.Quota{{ID: capacity.RequestTokens, Loads: []string{"viewers"}}},
	}}
	for s := range n {
		run.Rows = append(run.Rows,
			measure.Row{Second: s, Load: "viewers", Operation: "list", Sent: sent, OK: sent, TokensSent: tokens, TokensDone: tokens, TokensN: sent},
			measure.Row{Second: s, Load: "others", Operation: "ping", Sent: 1, OK: 1, TokensSent: 1000, TokensN: 1})
	}
	return run
}

func usage(points ...measure.Point) measure.Series {
	return measure.Series{Quota: capacity.RequestTokens, Role: capacity.RoleUsage, Statistic: "Sum", Period: time.Minute, Points: points}
}

func at(minute int, v float64) measure.Point {
	return measure.Point{At: noon.Add(time.Duration(minute) * time.Minute), Value: v}
}

func TestMinuteSumsSharesOutACutSecond(t *testing.T) {
	// 12:00:30.75 to 12:01:50.75: the second that begins at 12:00:59.75 lies a
	// quarter before the minute's end.
	run := steady(noon.Add(30*time.Second+750*time.Millisecond), 80, 4, 200)
	got := capacity.MinuteSums(run, capacity.RequestTokens, func(r measure.Row) float64 { return float64(r.TokensSent) })
	if len(got) != 2 || got[0] != at(0, 29.25*200) || got[1] != at(1, 50.75*200) {
		t.Errorf("got %v", got)
	}
}

func TestMinuteSumsKeepTheTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := noon.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Minute)).Draw(t, "start")))
		n := rapid.IntRange(1, 200).Draw(t, "seconds")
		run := steady(start, n, 3, 7)
		var sum float64
		last := time.Time{}
		for _, p := range capacity.MinuteSums(run, "", func(r measure.Row) float64 { return float64(r.Sent) }) {
			if !p.At.After(last) || p.At.Second() != 0 {
				t.Fatalf("minute %s after %s", p.At, last)
			}
			last = p.At
			sum += p.Value
		}
		if want := float64(4 * n); math.Abs(sum-want) > 1e-9*want {
			t.Errorf("sums add up to %v, sent were %v", sum, want)
		}
	})
}

func TestCoverage(t *testing.T) {
	run := steady(noon.Add(30*time.Second), 120, 5, 10) // touches 12:00, 12:01 and 12:02
	for _, tt := range []struct {
		name   string
		series measure.Series
		want   float64
	}{
		{"all", usage(at(0, 1), at(1, 0), at(2, 1)), 1},
		{"a gap", usage(at(0, 1), at(2, 1)), 2. / 3},
		{"none", usage(), 0},
		{"minutes outside don't count", usage(at(-1, 1), at(1, 1), at(7, 1)), 1. / 3},
		{"a minute twice counts once", usage(at(1, 1), at(1, 1)), 1. / 3},
	} {
		if got := capacity.Coverage(run, tt.series); got != tt.want {
			t.Errorf("%s: coverage %v, want %v", tt.name, got, tt.want)
		}
	}
	// A pause in which only the other load sends needs no point.
	for i := range run.Rows {
		if r := &run.Rows[i]; r.Load == "viewers" && r.Second >= 30 && r.Second < 90 {
			r.Sent = 0
		}
	}
	if got := capacity.Coverage(run, usage(at(0, 1), at(2, 1))); got != 1 {
		t.Errorf("with a pause: coverage %v, want 1", got)
	}
	if got := capacity.Coverage(&capacity.Run{}, usage()); !math.IsNaN(got) {
		t.Errorf("of an empty run: %v, want NaN", got)
	}
}

func TestReconcile(t *testing.T) {
	run := steady(noon.Add(30*time.Second), 120, 5, 200) // 6,000 + 12,000 + 6,000 tokens
	reconcile := func(sandbox bool, points ...measure.Point) []capacity.Reconciliation {
		run.Manifest.Sandbox = sandbox
		run.Series = []measure.Series{usage(points...)}
		return capacity.Reconcile(run)
	}
	got := reconcile(true, at(0, 6000), at(1, 12000), at(2, 6000))
	if len(got) != 1 || got[0].Ledger != 24000 || got[0].Difference != 0 || got[0].Minutes != 3 || got[0].Unmeasured != 0 {
		t.Errorf("a sandbox that agrees: %+v", got)
	}
	// A gap is left out on both sides.
	if got = reconcile(true, at(0, 6000), at(2, 6000)); got[0].Ledger != 12000 || got[0].Difference != 0 {
		t.Errorf("with a gap: %+v", got)
	}
	// The first and the last minute hold what went on before and after.
	if got = reconcile(false, at(0, 90000), at(1, 12600), at(2, 90000)); got[0].Minutes != 1 || math.Abs(got[0].Difference-0.05) > 1e-12 {
		t.Errorf("an account with other traffic: %+v", got)
	}
	if got = reconcile(false, at(0, 6000), at(2, 6000)); len(got) != 0 {
		t.Errorf("without a whole minute there is nothing to compare: %+v", got)
	}
	if got = reconcile(true); len(got) != 0 {
		t.Errorf("without points there is nothing to compare: %+v", got)
	}
	// An answer without a token header is not an answer of zero tokens.
	run.Rows[0].TokensN = 0
	if got = reconcile(true, at(0, 6000)); got[0].Unmeasured != 5 {
		t.Errorf("unmeasured: %+v", got)
	}
}
