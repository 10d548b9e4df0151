package plot

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

func TestPalette(t *testing.T) {
	seen := map[rgb]string{}
	for _, r := range palette {
		if other, ok := seen[r.light]; ok {
			t.Errorf("%s and %s are the same in light", r.name, other)
		}
		seen[r.light] = r.name
	}
	// Text needs a contrast of 4.5 to the page and to the stages' band, a
	// graphical mark 3 to the page (WCAG 2.2, 1.4.3 and 1.4.11).
	for _, mode := range []struct {
		name string
		of   func(role) rgb
	}{{"light", func(r role) rgb { return r.light }}, {"dark", func(r role) rgb { return r.dark }}} {
		check := func(r, on role, want float64) {
			if c := contrast(mode.of(r), mode.of(on)); c < want {
				t.Errorf("%s on %s in %s: contrast %.2f, want %.1f", r.name, on.name, mode.name, c, want)
			}
		}
		for _, r := range []role{ink, muted} {
			check(r, surface, 4.5)
			check(r, band, 4.5)
		}
		for _, r := range []role{red, green} { // of verdicts and labels
			check(r, surface, 4)
		}
		for _, r := range []role{blue, red, green, purple, amber} {
			check(r, surface, 3)
		}
	}
}

func contrast(a, b rgb) float64 {
	luminance := func(c rgb) float64 {
		linear := func(v rgb) float64 {
			s := float64(v&0xFF) / 255
			if s <= 0.04045 {
				return s / 12.92
			}
			return math.Pow((s+0.055)/1.055, 2.4)
		}
		return 0.2126*linear(c>>16) + 0.7152*linear(c>>8) + 0.0722*linear(c)
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestSteps(t *testing.T) {
	for _, tt := range []struct {
		top  float64
		want string
	}{
		{20, "[0 5 10 15 20]"},
		{2756, "[0 500 1000 1500 2000 2500]"},
		{1.06, "[0 0.2 0.4 0.6 0.8 1]"},
		{1.5e9, "[0 5e+08 1e+09 1.5e+09]"},
	} {
		if got := fmt.Sprintf("%.4g", steps(0, tt.top, 6)); got != tt.want {
			t.Errorf("steps to %v: %s, want %s", tt.top, got, tt.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		top := rapid.Float64Range(1e-9, 1e15).Draw(t, "top")
		got := steps(0, top, 6)
		if len(got) < 3 || len(got) > 8 || got[0] != 0 || math.Signbit(got[0]) || got[len(got)-1] > top*(1+1e-6) {
			t.Fatalf("%v: %v", top, got)
		}
	})
}

func TestTicks(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 500: "500", 1000: "1k", 2500: "2.5k", 2.5e6: "2.5M", 0.25: "0.25"} {
		if got := short(v); got != want {
			t.Errorf("short(%v) = %q, want %q", v, got, want)
		}
	}
	bytes := axisLabel(capacity.QuotaResult{Unit: "B"})
	if got := bytes(1.5e9) + bytes(5e5) + bytes(0); got != "1.5GB500KB0" {
		t.Errorf("sizes: %q", got)
	}
	a := times(0.004, 0.2)
	var labels []string
	for _, tick := range a.ticks {
		labels = append(labels, tick.Label)
	}
	if got := strings.Join(labels, ","); !a.log || got != "5 ms,10 ms,20 ms,50 ms,100 ms,200 ms" {
		t.Errorf("ticks from 4 ms to 200 ms: %s", got)
	}
}

// A stage's name stands in its strip however short it is, and one that has no room is
// cut or left out.
func TestStageNames(t *testing.T) {
	run := &capacity.Run{Manifest: capacity.Manifest{State: capacity.Complete, Start: time.Unix(0, 0), Loads: []capacity.Load{{
		Name: "l", Stages: []capacity.Stage{{Name: "up", To: 3, For: 20, Measure: true}, {Name: "x", From: 3, To: 3, For: 20, Measure: true}, {Name: "noroom", From: 3, To: 3, For: 1, Measure: true}, {Name: "down", From: 3, For: 19, Measure: true}},
		Operations: []capacity.Operation{{Name: "o", Share: 1}},
	}}}}
	for s := range 60 {
		run.Rows.Add(&measure.Row{Second: s, Load: "l", Operation: "o", Planned: 3, Sent: 3, OK: 3})
	}
	b, err := Figures(run, capacity.Assessment{})[0].SVG()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"up": true, "x": true, "down": true, "noroom": false, "n…": false} {
		if got := strings.Contains(string(b), ">"+name+"</text>"); got != want {
			t.Errorf("the strip shows %q: %v", name, got)
		}
	}
}

// A run of a day is drawn with no more points than a picture has pixels, and
// its highest second is still in the picture.
func TestLongRun(t *testing.T) {
	const seconds = 24 * 3600
	run := &capacity.Run{Manifest: capacity.Manifest{State: capacity.Complete, Start: time.Unix(0, 0), Loads: []capacity.Load{{
		Name: "l", Stages: []capacity.Stage{{Name: "day", From: 3, To: 3, For: seconds}}, Operations: []capacity.Operation{{Name: "o", Share: 1}},
	}}}}
	for s := range seconds {
		r := measure.Row{Second: s, Load: "l", Operation: "o", Planned: 3, Sent: 3, OK: 3, TokensN: 3, TokensNSent: 3, TokensDone: 3, TokensSent: 3}
		if s == 41234 {
			r.TokensDone = 77
		}
		run.Rows.Add(&r)
	}
	q := capacity.QuotaResult{ID: capacity.RequestTokens, Kind: capacity.RateQuota, Unit: "tokens", Limit: 100, Resolution: "1s ledger"}
	u := usage(newTimeline(run), q)
	if len(u.fine) > mostSteps {
		t.Errorf("%d points", len(u.fine))
	}
	if highest := slices.MaxFunc(u.fine, func(a, b span) int { return int(a.value - b.value) }); highest.value != 77 || highest.from > 41234 || highest.to <= 41234 {
		t.Errorf("highest second: %+v", highest)
	}
	for _, f := range Figures(run, capacity.Assessment{Quotas: []capacity.QuotaResult{q}}) {
		if f.Missing != "" {
			continue
		}
		b, err := f.SVG()
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 150e3 {
			t.Errorf("%s takes %d bytes", f.Name, len(b))
		}
	}
}

// Of published values that are closer than the steps of a long run, the highest of each
// step is drawn, as of its own period.
func TestLongRunOfPublishedSeconds(t *testing.T) {
	const seconds = 24 * 3600
	s := measure.Series{Quota: "q", Role: capacity.RoleUsage, Statistic: "Sum", Period: time.Second, Source: "cloudwatch"}
	for i := range seconds {
		v := 3.0
		if i == 41234 {
			v = 77
		}
		s.Points.Add(measure.Point{At: time.Unix(int64(i), 0), Value: v})
	}
	run := &capacity.Run{Manifest: capacity.Manifest{State: capacity.Complete, Start: time.Unix(0, 0), Loads: []capacity.Load{{
		Name: "l", Stages: []capacity.Stage{{Name: "day", From: 3, To: 3, For: seconds}}, Operations: []capacity.Operation{{Name: "o", Share: 1}},
	}}}, Series: []measure.Series{s}}
	q := capacity.QuotaResult{ID: "q", Kind: capacity.RateQuota, Unit: "tokens", Limit: 100}
	u := usage(newTimeline(run), q)
	if n := len(u.coarse); n > mostSteps || !slices.Contains(u.coarse, span{41234, 41235, 77}) {
		t.Errorf("%d values, the highest %+v", n, slices.MaxFunc(u.coarse, func(a, b span) int { return int(a.value - b.value) }))
	}
	if f := use(newTimeline(run), q); !strings.Contains(f.Caption, "Of each 120 s the highest 1 s mean (cloudwatch) is shown.") {
		t.Errorf("caption %q", f.Caption)
	}
}

// A second whose answers carried no token count is a gap, not a zero.
func TestLedgerGap(t *testing.T) {
	run := &capacity.Run{Rows: measure.RowsOf(
		measure.Row{Second: 0, OK: 2, TokensN: 2, TokensNSent: 2, TokensDone: 400, TokensSent: 400},
		measure.Row{Second: 1, OK: 2},
		measure.Row{Second: 2, Throttled: 2},
	)}
	got := usage(newTimeline(run), capacity.QuotaResult{ID: capacity.RequestTokens}).fine
	if len(got) != 3 || got[0].value != 400 || !math.IsNaN(got[1].value) || got[2].value != 0 {
		t.Errorf("%+v", got)
	}
}

// Of a long run, whose steps hold many seconds, the second of the highest use stands at its
// own rate, and so on the slope of what a request costs.
func TestLongRunAgainstItsRate(t *testing.T) {
	run := &capacity.Run{Manifest: capacity.Manifest{State: capacity.Complete, Start: time.Unix(0, 0), Loads: []capacity.Load{{Name: "l", Stages: []capacity.Stage{{To: 40, For: 3600}}}}}}
	for s := range 3600 {
		n := int64(s%7 + 1)
		refused := int64(0)
		if s == 1001 {
			refused = 1
		}
		run.Rows.Add(&measure.Row{Second: s, Load: "l", Operation: "o", Planned: n, Sent: n, OK: n - refused, Throttled: refused, TokensN: n, TokensNSent: n, TokensDone: 5 * n, TokensSent: 5 * n})
	}
	q := capacity.QuotaResult{ID: capacity.RequestTokens, Kind: capacity.RateQuota, Unit: "tokens", Limit: 100, TestedRate: 40, UnitCost: &capacity.Estimate{Value: 5}, Resolution: "1s ledger"}
	f := cost(newTimeline(run), q)
	seen := map[string]int{}
	for _, m := range f.chart.marks {
		if d, ok := m.(dots); ok {
			seen[d.name] = len(d.xs)
			for i, x := range d.xs {
				if d.ys[i] != 5*x {
					t.Fatalf("%s: %v tokens at %v/s", d.name, d.ys[i], x)
				}
			}
		}
	}
	if seen["one second"] < 300 || seen["with refusals"] != 1 || !strings.Contains(f.Caption, "Of each 5 s the second of the highest use is shown.") {
		t.Errorf("%v: %s", seen, f.Caption)
	}
}

// Loads of Kafka offer records, and no requests; what a maximum of a minute stands for is
// said where there is one.
func TestCaptionsSayWhatIsThere(t *testing.T) {
	for _, c := range []struct {
		kind, sent string
		period     time.Duration
	}{{"graphql", "requests", time.Minute}, {"kafka", "records", time.Second}} {
		run := &capacity.Run{Manifest: capacity.Manifest{State: capacity.Complete, Start: time.Unix(0, 0), Loads: []capacity.Load{{
			Name: "l", Stages: []capacity.Stage{{To: 1, For: 60}}, Operations: []capacity.Operation{{Name: "o", Kind: c.kind}},
		}}}}
		for s := range 60 {
			run.Rows.Add(&measure.Row{Second: s, Load: "l", Operation: "o", Planned: 1, Sent: 1, OK: 1})
		}
		run.Series = []measure.Series{{Source: "x", Quota: "lambda.concurrency", Role: capacity.RoleUsage, Statistic: "Maximum", Period: c.period, Points: measure.PointsOf(measure.Point{At: time.Unix(0, 0), Value: 2})}}
		f := rate(newTimeline(run))
		if f.Title != "Offered, served and throttled "+c.sent || !strings.HasPrefix(f.Caption, "60 "+c.sent+" were offered") || f.chart.y.title != c.sent+" per second" {
			t.Errorf("%s: %q, %q, %q", c.kind, f.Title, f.Caption, f.chart.y.title)
		}
		level := cost(newTimeline(run), capacity.QuotaResult{ID: "lambda.concurrency", Kind: capacity.LevelQuota, Unit: "environments", Limit: 10, TestedRate: 1, UnitCost: &capacity.Estimate{Value: 1}})
		if got := strings.Contains(level.Caption, "A maximum of a minute"); got != (c.period == time.Minute) {
			t.Errorf("%v: %s", c.period, level.Caption)
		}
	}
}

// Seconds with refusals show what a limit let through: they stand apart from those that
// the slope goes through.
func TestSecondsWithRefusals(t *testing.T) {
	run := &capacity.Run{Manifest: capacity.Manifest{State: capacity.Complete, Start: time.Unix(0, 0), Loads: []capacity.Load{{Name: "l", Stages: []capacity.Stage{{To: 40, For: 40}}}}}}
	for s := range 40 {
		n := int64(s + 1)
		ok := min(n, 20)
		run.Rows.Add(&measure.Row{Second: s, Load: "l", Operation: "o", Planned: n, Sent: n, OK: ok, Throttled: n - ok, TokensN: ok, TokensNSent: ok, TokensDone: 5 * ok, TokensSent: 5 * ok})
	}
	q := capacity.QuotaResult{ID: capacity.RequestTokens, Kind: capacity.RateQuota, Unit: "tokens", Limit: 100, TestedRate: 40, UnitCost: &capacity.Estimate{Value: 5}, Resolution: "1s ledger"}
	f := cost(newTimeline(run), q)
	seen := map[string]int{}
	for _, m := range f.chart.marks {
		d, ok := m.(dots)
		if !ok {
			continue
		}
		seen[d.name] = len(d.xs)
		for _, x := range d.xs {
			if (x > 20) != (d.name == "with refusals") {
				t.Errorf("the second of %g/s stands under %q", x, d.name)
			}
		}
	}
	if seen["one second"] != 20 || seen["with refusals"] != 20 || !strings.Contains(f.Caption, "Where requests were refused, points stand faint") {
		t.Errorf("%v: %s", seen, f.Caption)
	}
}

// The mean of a minute of which the run was a part lies below what the run used, and
// the caption says why.
func TestIdlePartOfAMinute(t *testing.T) {
	for _, start := range []int64{0, 30} {
		run := &capacity.Run{Manifest: capacity.Manifest{State: capacity.Complete, Start: time.Unix(start, 0), Loads: []capacity.Load{{Name: "l", Stages: []capacity.Stage{{To: 1, For: 60}}}}}}
		sums := measure.Series{Source: "cloudwatch", Quota: capacity.RequestTokens, Role: capacity.RoleUsage, Statistic: "Sum", Unit: "tokens", Period: time.Minute}
		for s := range 60 {
			run.Rows.Add(&measure.Row{Second: s, Load: "l", Operation: "o", Planned: 1, OK: 1, TokensN: 1, TokensNSent: 1, TokensDone: 5, TokensSent: 5})
		}
		sums.Points.Add(measure.Point{At: time.Unix(0, 0), Value: 150})
		run.Series = []measure.Series{sums}
		f := use(newTimeline(run), capacity.QuotaResult{ID: capacity.RequestTokens, Kind: capacity.RateQuota, Unit: "tokens", Limit: 100, Resolution: "1s ledger"})
		if got := strings.Contains(f.Caption, "idle seconds"); got != (start == 30) {
			t.Errorf("a run from second %d of a minute: %s", start, f.Caption)
		}
	}
}

func TestNames(t *testing.T) {
	quotas := []capacity.QuotaResult{{ID: "a/b"}, {ID: "a b"}, {ID: "../../x"}}
	seen := map[string]bool{}
	for _, f := range Figures(&capacity.Run{}, capacity.Assessment{Quotas: quotas}) {
		if seen[f.Name] || strings.ContainsAny(f.Name, "/\\ ") || f.Missing == "" && f.Name != "headroom" {
			t.Errorf("figure %q, missing %q", f.Name, f.Missing)
		}
		seen[f.Name] = true
	}
}

// Figures of response times say where requests stand that timed out.
func TestTimedOutInCaptions(t *testing.T) {
	for _, n := range []int64{0, 7} {
		run := &capacity.Run{Manifest: capacity.Manifest{State: capacity.Complete, Start: time.Unix(0, 0)}}
		var d measure.Distribution
		for i := range 100 {
			d.Record(int64(1000 + 10*i))
		}
		for s := range 10 {
			at := time.Duration(s) * time.Second
			run.Latency = append(run.Latency, d.Interval("l", "o", measure.ResponseTimes, at, at+time.Second))
			run.Rows.Add(&measure.Row{Second: s, Load: "l", Operation: "o", Planned: 100, Sent: 100, OK: 100 - n, TimedOut: n})
		}
		for name, f := range map[string]Figure{"over time": responseTime(newTimeline(run)), "distribution": latency(newTimeline(run))} {
			if got := strings.Contains(f.Caption, "Requests that timed out stand where they were given up"); got != (n > 0) {
				t.Errorf("%s, with %d of each second timed out: %q", name, n, f.Caption)
			}
		}
	}
}
