package main

import (
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/search"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
)

// Whatever shape a profile has, scaling it scales the plan at every instant.
func TestScaled(t *testing.T) {
	seen, curves := 0, 0
	for _, files := range []fs.FS{scenarios.Ready(), os.DirFS("../../testdata/scenarios/good")} {
		names, err := fs.Glob(files, "*.yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			s, faults := scenarios.ParseFile(files, name, func(string) (string, bool) { return "x", true })
			if faults != nil {
				continue // it wants a richer environment
			}
			seen++
			const factor = 1.75
			other := scaled(s, factor, nil)
			for i, l := range s.Loads {
				was, is := load.NewSchedule(l), load.NewSchedule(other.Loads[i])
				for part := range 21 {
					at := l.Start + time.Duration(part)*l.Duration()/20
					if want, got := factor*was.Expected(at), is.Expected(at); math.Abs(got-want) > 1e-6*max(want, 1) {
						t.Errorf("%s: load %s: %g arrivals until %s, want %g", path.Base(name), l.Name, got, at, want)
					}
				}
				// The schedule itself places as many arrivals there.
				half := l.Start + l.Duration()/2
				var before float64
				for a := range is.Arrivals(0, 1) {
					if a.Intended >= half {
						break
					}
					before++
				}
				if want := is.Expected(half); math.Abs(before-want) > 5*math.Sqrt(want)+1 {
					t.Errorf("%s: load %s: %g arrivals in the first half, want %g", name, l.Name, before, want)
				}
				near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(a, b) }
				if !near(l.PeakRate()*factor, other.Loads[i].PeakRate()) || &l.Profile[0] == &other.Loads[i].Profile[0] {
					t.Errorf("%s: load %s: peak %g of %g", name, l.Name, other.Loads[i].PeakRate(), l.PeakRate())
				}
				for j, st := range l.Profile {
					if st.Curve == nil {
						continue
					}
					curves++
					now := other.Loads[i].Profile[j].Curve
					for k, p := range st.Curve.Points() {
						q := now.Points()[k]
						if q.At != p.At || !near(q.Rate, factor*p.Rate) || !near(now.Rate(p.At), factor*st.Curve.Rate(p.At)) {
							t.Errorf("%s: stage %s: point %v of %v", name, st.Name, q, p)
						}
					}
				}
			}
		}
	}
	if curves < 5 {
		t.Errorf("%d curves were scaled", curves)
	}
	if seen < 3 {
		t.Errorf("%d scenarios were scaled", seen)
	}
}

func TestJudge(t *testing.T) {
	bounds, err := scenarios.ParseThresholds("p99(item) < 500ms and throttled < 0.1%")
	if err != nil {
		t.Fatal(err)
	}
	threshold := func(v *float64, i int) capacity.ThresholdResult {
		return capacity.ThresholdResult{Expression: bounds[i].Text, Value: v, Passed: v != nil && bounds[i].Holds(*v)}
	}
	failing := func(names ...string) capacity.Verdict {
		v := capacity.Verdict{Status: capacity.Inconclusive, Checks: []capacity.Check{{Name: capacity.CheckLag, Status: capacity.Passed}}}
		for _, n := range names {
			v.Checks = append(v.Checks, capacity.Check{Name: n, Status: capacity.CheckFailed, Value: "9"})
		}
		return v
	}
	valid := capacity.Verdict{Status: capacity.Valid}
	invalid := failing(capacity.CheckLag)
	invalid.Status = capacity.Invalid
	for name, c := range map[string]struct {
		state          capacity.State
		verdict        capacity.Verdict
		p99, throttled *float64
		want           search.Result
		why            string
	}{
		"all hold":                   {capacity.Complete, valid, new(0.4), new(0.0), search.Pass, ""},
		"one is missed":              {capacity.Complete, valid, new(0.612), new(0.0), search.Fail, "p99(item) 612 ms"},
		"both are missed":            {capacity.Complete, valid, new(0.612), new(0.5), search.Fail, "p99(item) 612 ms, throttled 50.0 %"},
		"one is missed, one unknown": {capacity.Complete, valid, nil, new(0.5), search.Fail, "throttled 50.0 %"},
		"one is unknown":             {capacity.Complete, valid, nil, new(0.0), search.Undecided, "p99(item) < 500ms"},
		"INVALID and missed":         {capacity.Complete, invalid, nil, new(0.5), search.Generator, "lag 9"},
		"INVALID and met":            {capacity.Complete, invalid, new(0.1), new(0.0), search.Generator, "lag 9"},
		"too slow":                   {capacity.Complete, failing(capacity.CheckSaturationDrops), nil, new(0.0), search.Fail, "saturation_drops 9"},
		"not settled":                {capacity.Complete, failing(capacity.CheckSteadyState), new(0.4), new(0.0), search.Fail, "steady_state 9"},
		"too short":                  {capacity.Complete, failing(capacity.CheckSamples), nil, new(0.0), search.Undecided, "too few answers for p99"},
		"too short, but missed":      {capacity.Complete, failing(capacity.CheckSamples), nil, new(0.5), search.Fail, "throttled 50.0 %"},
		"too short, by the figure":   {capacity.Complete, failing(capacity.CheckSamples), new(0.4), new(0.0), search.Undecided, "samples 9"},
		"no data":                    {capacity.Complete, failing(capacity.CheckAnswers), nil, new(0.0), search.Undecided, "answers 9"},
		"too slow and no data":       {capacity.Complete, failing(capacity.CheckAnswers, capacity.CheckSaturationDrops), nil, new(0.5), search.Undecided, "answers 9"},
		"interrupted":                {capacity.Interrupted, valid, new(0.1), new(0.0), search.Ended, "by someone"},
		"stopped":                    {capacity.Stopped, valid, new(0.1), new(0.0), search.Ended, "by someone"},
	} {
		m := capacity.Manifest{State: c.state, Reason: "by someone", Scenario: capacity.Scenario{Thresholds: bounds}}
		got, why := judge(m, capacity.Assessment{Verdict: c.verdict, Thresholds: []capacity.ThresholdResult{threshold(c.p99, 0), threshold(c.throttled, 1)}})
		if got != c.want || !strings.Contains(why, c.why) || (why == "") != (got == search.Pass) {
			t.Errorf("%s: %s, %s; want %s, %s", name, got, why, c.want, c.why)
		}
	}
}

// A search that ends says why, and earns the exit code of what ended it.
func TestConclude(t *testing.T) {
	failed := trial{Rate: 431, Result: search.Fail, Why: "p99 612 ms", State: capacity.Complete}
	for name, c := range map[string]struct {
		answer search.Answer
		trials []trial
		says   []string
		code   int
	}{
		"found": {
			search.Answer{Status: search.Found, Rate: 412, Confirmed: 3, Failing: 431},
			[]trial{failed, {Rate: 412, Result: search.Pass}},
			[]string{"highest passing rate 412/s; confirmed 3 of 3; lowest failing 431/s: p99 612 ms"},
			exitDone,
		},
		"none": {
			search.Answer{Status: search.None, Failing: 431},
			[]trial{failed},
			[]string{"no rate passed", "p99 612 ms", "longer stages"},
			exitThreshold,
		},
		"generator": {
			search.Answer{Status: search.AtLeast, Rate: 412, Last: search.Generator},
			[]trial{{Rate: 412, Result: search.Pass}, {Rate: 600, Result: search.Generator, Why: "lag 1 s"}},
			[]string{"at least 412/s, not confirmed", "the generator was the limit: lag 1 s"},
			exitInvalid,
		},
		"ceiling": {
			search.Answer{Status: search.AtLeast, Rate: 412, Last: search.Generator},
			[]trial{{Rate: 412, Result: search.Pass}},
			[]string{"at least 412/s", "ceiling of 500/s"},
			exitInvalid,
		},
		"ceiling at once": {
			search.Answer{Status: search.Unfinished, Last: search.Generator},
			nil,
			[]string{"no answer", "ceiling of 500/s"},
			exitRefused,
		},
		"undecided": {
			search.Answer{Status: search.Unfinished, Last: search.Undecided},
			[]trial{{Rate: 412, Result: search.Undecided, Why: "too few"}},
			[]string{"no answer", "too few"},
			exitInconclusive,
		},
		"interrupted": {
			search.Answer{Status: search.Unfinished, Rate: 412, Last: search.Ended},
			[]trial{{Rate: 412, Result: search.Pass}, {Rate: 600, Result: search.Ended, Why: "by the user", State: capacity.Interrupted}},
			[]string{"at least 412/s", "by the user"},
			exitInterrupted,
		},
		"stopped": {
			search.Answer{Status: search.Unfinished, Last: search.Ended},
			[]trial{{Rate: 600, Result: search.Ended, Why: "stop rule", State: capacity.Stopped}},
			[]string{"no answer", "stop rule"},
			exitStopped,
		},
		"no end": {
			search.Answer{Status: search.Unfinished, Rate: 412, Failing: 431, Last: search.Fail},
			[]trial{{Rate: 412, Result: search.Pass}, failed},
			[]string{"at least 412/s, not confirmed", "no end after"},
			exitInconclusive,
		},
	} {
		m := maximum{Trials: c.trials}
		m.conclude(c.answer, 500)
		for _, text := range c.says {
			if !strings.Contains(m.Answer, text) {
				t.Errorf("%s: %s, want %q", name, m.Answer, text)
			}
		}
		code := exitDone
		if e, ok := m.outcome(c.answer).(*exitError); ok {
			code = e.code
		}
		if code != c.code {
			t.Errorf("%s: exit code %d, want %d", name, code, c.code)
		}
	}
}

func TestClearSearch(t *testing.T) {
	dir := t.TempDir()
	m := &maximum{Schema: findMaxSchema, Status: "running"}
	if err := clearSearch(dir); err != nil {
		t.Fatal(err)
	}
	if err := m.write(dir); err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{"notes.txt", "trial-x"} {
		if err := os.WriteFile(path.Join(dir, own), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := clearSearch(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range left {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"notes.txt", "trial-x"}) {
		t.Errorf("left %q", names)
	}
	// A trial's folder with something else in it is nobody's to delete.
	if err := m.write(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path.Join(dir, "trial-01"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path.Join(dir, "trial-01", "thesis"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := clearSearch(dir); err == nil {
		t.Error("a thesis was deleted")
	}
}

// A confirmation counts where it shows by itself that the service keeps the bound.
func TestSure(t *testing.T) {
	bounds, err := scenarios.ParseThresholds("p99(item) < 500ms and throttled < 0.1%")
	if err != nil {
		t.Fatal(err)
	}
	confirmed := func(rate float64, phase search.Phase, over int64) trial {
		return trial{Rate: rate, Phase: phase, Result: search.Pass, Thresholds: []capacity.ThresholdResult{
			{Margin: &capacity.Margin{Answers: 1000, Over: over, Allowed: new(int64(5))}}, {},
		}}
	}
	m := maximum{Rate: new(400.0), Confirmed: 3, bounds: bounds, Trials: []trial{
		confirmed(400, search.Bisection, 0), confirmed(420, search.Confirm, 0),
		confirmed(400, search.Confirm, 5), confirmed(400, search.Confirm, 6), confirmed(400, search.Confirm, 0),
	}}
	if got := m.sure(); len(got) != 1 || got[0] != "p99(item) < 500ms: shown of the service, with 95 % confidence, by 2 of 3 confirmations" {
		t.Errorf("got %q", got)
	}
}

// A search goes down no further than to where its trials can be judged: the median
// takes twenty answers, and as many more as chance may keep away.
func TestLowestRateThatIsJudged(t *testing.T) {
	s := &scenarios.Scenario{Loads: []scenarios.Load{{
		Profile: []scenarios.Stage{
			{From: 20, To: 20, For: time.Minute},
			{From: 0, To: 40, For: 3 * time.Second, Measure: true},
		},
		Operations: []scenarios.Operation{{Name: "list", Weight: 3}, {Name: "get", Weight: 1}},
	}}}
	for text, want := range map[string]float64{
		"errors < 1%":                      0,
		"p50 < 1s":                         (20 + 3*math.Sqrt(20)) / 60,
		"p50(get) < 1s and errors < 1%":    (20 + 3*math.Sqrt(20)) / 15,
		"p50(get) < 1s and p90(list) < 1s": (100 + 3*math.Sqrt(100)) / 45,
		"max < 1s and mean(list) < 500ms":  0,
	} {
		bounds, err := scenarios.ParseThresholds(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := answerable(s, bounds); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: down to %.4g of the rates, want %.4g", text, got, want)
		}
	}
	s.Loads[0].Profile[1].Measure = false
	bounds, _ := scenarios.ParseThresholds("p50 < 1s")
	if got := answerable(s, bounds); !math.IsInf(got, 1) {
		t.Errorf("nothing is measured, and %g of the rates is enough", got)
	}
}
