package capacity

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headroom-load/headroom/scenarios/measure"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// metered is a run of n seconds with 10 requests in each, one every tenth of a
// second, that took the given number of tokens. Of its two loads only "viewers"
// charges the token quota.
func metered(start time.Time, n int, tokens int64) *Run {
	run := &Run{Manifest: Manifest{
		Start: start, End: start.Add(time.Duration(n) * time.Second),
		Quotas: []Quota{{ID: RequestTokens, Loads: []string{"viewers"}}},
	}}
	each := [measure.Slots]int64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
	for s := range n {
		run.Rows.Add(&measure.Row{Second: s, Load: "viewers", Operation: "list", Sent: 10, OK: 10, TokensSent: tokens, TokensN: 10, SentSlots: each})
		run.Rows.Add(&measure.Row{Second: s, Load: "others", Operation: "ping", Sent: 10, OK: 10, TokensSent: 1000, TokensN: 10, SentSlots: each})
	}
	return run
}

func minute(n int, v float64) measure.Point {
	return measure.Point{At: noon.Add(time.Duration(n) * time.Minute), Value: v}
}

func nearly(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }

func tokensSent(r *measure.Row) float64 { return float64(r.TokensSent) }

func TestMinuteSumsShareOutACutSecond(t *testing.T) {
	// 12:00:30.7 to 12:01:50.7: of the second that begins at 12:00:59.7 three
	// tenths lie before the minute's end.
	run := metered(noon.Add(30*time.Second+700*time.Millisecond), 80, 200)
	got := minuteSums(run, run.Manifest.Quotas[0], tokensSent)
	if len(got) != 2 || !nearly(got[0].Value, 29.3*200) || !nearly(got[1].Value, 50.7*200) {
		t.Errorf("got %v", got)
	}
}

func TestMinuteSumsKeepTheTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := noon.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Minute)).Draw(t, "start")))
		n := rapid.IntRange(1, 200).Draw(t, "seconds")
		var sum float64
		var last time.Time
		for _, p := range minuteSums(metered(start, n, 7), Quota{}, tokensSent) {
			if !p.At.After(last) || p.At.Second() != 0 {
				t.Fatalf("minute %s after %s", p.At, last)
			}
			last = p.At
			sum += p.Value
		}
		if want := float64(1007 * n); !nearly(sum, want) {
			t.Errorf("the sums add up to %v, the seconds to %v", sum, want)
		}
	})
}

func TestReconcile(t *testing.T) {
	run := metered(noon.Add(30*time.Second), 120, 200) // 6,000 + 12,000 + 6,000 tokens
	for _, tt := range []struct {
		name    string
		sandbox bool
		cloud   []measure.Point
		want    []Reconciliation
	}{
		{
			"a sandbox that agrees", true,
			[]measure.Point{minute(0, 6000), minute(1, 12000), minute(2, 6000)},
			[]Reconciliation{{RequestTokens, 24000, 24000, 3, 0, 0}},
		},
		{
			"a gap is left out on both sides", true,
			[]measure.Point{minute(0, 6000), minute(2, 6000)},
			[]Reconciliation{{RequestTokens, 12000, 12000, 2, 0, 0}},
		},
		{
			"a sandbox that counted too much", true,
			[]measure.Point{minute(0, 9000), minute(3, 1500)},
			[]Reconciliation{{RequestTokens, 6000, 10500, 2, 0.75, 0}},
		},
		{
			"in an account the first and last minute hold other traffic", false,
			[]measure.Point{minute(0, 90000), minute(1, 12600), minute(2, 90000)},
			[]Reconciliation{{RequestTokens, 12000, 12600, 1, 0.05, 0}},
		},
		{"no whole minute", false, []measure.Point{minute(0, 6000), minute(2, 6000)}, nil},
		{"no points", true, nil, nil},
		{"nothing in the ledger", true, []measure.Point{minute(7, 100)}, nil},
	} {
		run.Manifest.Sandbox = tt.sandbox
		run.Series = []measure.Series{
			{Quota: RequestTokens, Role: RoleUsage, Statistic: "Sum", Period: time.Minute, Points: measure.PointsOf(tt.cloud...)},
			{Quota: RequestTokens, Role: RoleRequests, Statistic: "Sum", Period: time.Minute, Points: measure.PointsOf(tt.cloud...)},
			{Quota: "dynamodb.T.read", Role: RoleUsage, Statistic: "Sum", Period: time.Minute, Points: measure.PointsOf(tt.cloud...)},
		}
		got := Reconcile(run)
		if len(got) != len(tt.want) {
			t.Errorf("%s: %+v", tt.name, got)
			continue
		}
		for i, w := range tt.want {
			if g := got[i]; g.Quota != w.Quota || !nearly(g.Ledger, w.Ledger) || g.Unmeasured != w.Unmeasured || g.Cloud != w.Cloud || g.Minutes != w.Minutes || math.Abs(g.Difference-w.Difference) > 1e-12 {
				t.Errorf("%s: %+v, want %+v", tt.name, g, w)
			}
		}
	}
}

// An answer without a token header is not an answer of zero tokens.
func TestReconcileCountsTheUnmeasured(t *testing.T) {
	run := metered(noon, 60, 200)
	run.Series = []measure.Series{{Quota: RequestTokens, Role: RoleUsage, Statistic: "Sum", Points: measure.PointsOf(minute(0, 12000))}}
	run.Rows.Add(&measure.Row{Load: "viewers", Operation: "list", TokensN: -6})
	if got := Reconcile(run); len(got) != 1 || got[0].Unmeasured != 6 {
		t.Errorf("got %+v", got)
	}
}

// What AppSync counts is of GraphQL loads alone: records beside them lack no token
// counts, and are no arrivals that tokens are shared out over.
func TestKafkaLoadsChargeNoTokens(t *testing.T) {
	run := metered(noon, 60, 200)
	run.Series = []measure.Series{{Quota: RequestTokens, Role: RoleUsage, Statistic: "Sum", Points: measure.PointsOf(minute(0, 12000))}}
	run.Manifest.Quotas[0].Loads = nil // all that there are
	run.Manifest.Loads = []Load{
		{Name: "viewers", Operations: []Operation{{Name: "list", Kind: "graphql"}}},
		{Name: "others", Operations: []Operation{{Name: "ping", Kind: "graphql"}}},
		{Name: "events", Operations: []Operation{{Name: "view", Kind: "kafka"}}},
	}
	run.Rows.Add(&measure.Row{Load: "events", Operation: "view", Sent: 7, OK: 7})
	if got := quotaOf(analyse(run).run, RequestTokens).Loads; !slices.Equal(got, []string{"viewers", "others"}) {
		t.Errorf("charged by the loads %q", got)
	}
	if got := Reconcile(run); len(got) != 1 || got[0].Unmeasured != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestCoverage(t *testing.T) {
	run := metered(noon.Add(30*time.Second), 120, 10) // sends in 12:00, 12:01 and 12:02
	of := func(points ...measure.Point) float64 {
		return Coverage(run, measure.Series{Quota: RequestTokens, Role: RoleUsage, Points: measure.PointsOf(points...)})
	}
	for name, c := range map[string]struct{ got, want float64 }{
		"all":                  {of(minute(0, 1), minute(1, 0), minute(2, 1)), 1},
		"a gap":                {of(minute(0, 1), minute(2, 1)), 2. / 3},
		"none":                 {of(), 0},
		"minutes outside":      {of(minute(-1, 1), minute(1, 1), minute(7, 1)), 1. / 3},
		"a minute given twice": {of(minute(1, 1), minute(1, 1)), 1. / 3},
	} {
		if c.got != c.want {
			t.Errorf("%s: coverage %v, want %v", name, c.got, c.want)
		}
	}
	// A minute in which only the other load sends needs no point.
	run.Rows.Edit(func(rows []measure.Row) []measure.Row {
		return slices.DeleteFunc(rows, func(r measure.Row) bool { return r.Load == "viewers" && r.Second >= 30 && r.Second < 90 })
	})
	if got := of(minute(0, 1), minute(2, 1)); got != 1 {
		t.Errorf("with a pause: coverage %v, want 1", got)
	}
	if got := Coverage(&Run{}, measure.Series{}); !math.IsNaN(got) {
		t.Errorf("of an empty run: %v, want NaN", got)
	}
}
