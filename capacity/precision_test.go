package capacity_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// answered is a run of one operation whose response times, each drawn by of, are
// kept in steps of the given length; of is told the step.
func answered(steps, perStep int, length time.Duration, of func(step int) time.Duration) *capacity.Run {
	run := &capacity.Run{Manifest: capacity.Manifest{Kind: capacity.Simulated, State: capacity.Complete}}
	for s := range steps {
		var d measure.Distribution
		for range perStep {
			d.Record(of(s).Microseconds())
		}
		at := time.Duration(s) * length
		run.Latency = append(run.Latency, d.Interval("l", "o", measure.ResponseTimes, at, at+length))
		second, n := int(at/time.Second), int64(perStep)
		run.Rows.Add(&measure.Row{Second: second, Load: "l", Operation: "o", Measured: true, Planned: n, Sent: n, OK: n})
	}
	return run
}

// The service's own percentiles lie in the printed intervals about as often as
// those say, where the seconds of a run differ and resemble their neighbours:
// response times are lognormal around a level that wanders. (How often exactly is
// the statistics' own test.)
func TestIntervalsOfPercentiles(t *testing.T) {
	const (
		seconds, perSecond, repeats = 120, 40, 40
		phi, between, within        = 0.3, 0.2, 0.4
	)
	rng := rand.New(rand.NewPCG(1, 8))
	printed, inside := map[string]int{}, map[string]int{}
	truth := map[string]float64{}
	for name, p := range map[string]float64{"p50": .5, "p90": .9, "p95": .95, "p99": .99} {
		truth[name] = .08 * math.Exp(distuv.UnitNormal.Quantile(p)*math.Hypot(between, within))
	}
	for range repeats {
		level, last := rng.NormFloat64(), 0
		run := answered(seconds, perSecond, time.Second, func(step int) time.Duration {
			for ; last < step; last++ {
				level = phi*level + math.Sqrt(1-phi*phi)*rng.NormFloat64()
			}
			return time.Duration(.08 * math.Exp(between*level+within*rng.NormFloat64()) * 1e9)
		})
		times := capacity.Assess(run).Operations[0].ResponseTime
		for name, iv := range times.Intervals {
			printed[name]++
			if iv.Low <= truth[name] && truth[name] <= iv.High {
				inside[name]++
			}
			if needs, both := times.NeedsSeconds[name]; both {
				t.Fatalf("%s has an interval and needs %g s", name, needs)
			}
		}
		if times.NeedsSeconds["p999"] < 20/.001/perSecond-seconds {
			t.Fatalf("p999 needs %g s: fewer than if the answers were independent", times.NeedsSeconds["p999"])
		}
	}
	for _, name := range []string{"p50", "p90"} {
		share := float64(inside[name]) / float64(printed[name])
		t.Logf("%s: %.3f of %d", name, share, printed[name])
		if printed[name] < repeats/3 || share < .85 {
			t.Errorf("%s: %.1f %% of %d intervals hold the truth, want about 95 %%", name, 100*share, printed[name])
		}
	}
	if printed["p99"] > repeats/20 {
		t.Errorf("p99 of 4,800 answers that hang together has an interval in %d of %d runs", printed["p99"], repeats)
	}
}

// A run of the length that was asked for earns its interval, in steps of any
// length; one whose slow answers all come together needs longer.
func TestNeedsSeconds(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	independent := func(int) time.Duration { return time.Duration(80e6 * math.Exp(.4*rng.NormFloat64())) }
	for _, length := range []time.Duration{time.Second, 3 * time.Second} {
		perStep := 50 * int(length/time.Second)
		first := capacity.Assess(answered(300/int(length/time.Second), perStep, length, independent)).Operations[0].ResponseTime
		needs := first.NeedsSeconds["p999"]
		if needs < 100 || needs > 2000 || first.Intervals["p95"] == (capacity.Range{}) {
			t.Errorf("300 s at 50/s in steps of %s: p999 needs %g s more, want 100 and more", length, needs)
		}
		long := int((300 + 2*needs) / length.Seconds())
		if then := capacity.Assess(answered(long, perStep, length, independent)).Operations[0].ResponseTime; then.Intervals["p999"].High == 0 {
			t.Errorf("%d steps of %s don't earn what 300 s asked for: needs %g s more", long, length, then.NeedsSeconds["p999"])
		}
	}
	bursts := func(step int) time.Duration {
		if step%20 == 0 {
			return time.Second
		}
		return independent(step)
	}
	clumped := capacity.Assess(answered(100, 50, time.Second, bursts)).Operations[0].ResponseTime
	if clumped.NeedsSeconds["p99"] < 1000 {
		t.Errorf("five slow seconds of 100: p99 needs %g s more", clumped.NeedsSeconds["p99"])
	}
	if short := capacity.Assess(answered(19, 5000, time.Second, independent)).Operations[0].ResponseTime; short.Intervals != nil || short.NeedsSeconds != nil || short.P99 == nil {
		t.Errorf("nineteen steps give %v, %v", short.Intervals, short.NeedsSeconds)
	}
}

// Behind a backlog that grows no length of a run earns an interval, and none is
// named; where response times stay, fall, or follow a rate that rises, one is.
func TestGrowingResponseTimes(t *testing.T) {
	var rng *rand.Rand
	noise := func() time.Duration { return time.Duration(80e6 * math.Exp(.4*rng.NormFloat64())) }
	bound, err := scenarios.ParseThresholds("p50 < 1h")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		seconds int
		rising  bool // the rate
		of      func(step int) time.Duration
		grows   bool
	}{
		"half is held back":           {120, false, func(step int) time.Duration { return noise() + time.Duration(step)*time.Second/2 }, true},
		"half is held back for 30 s":  {30, false, func(step int) time.Duration { return noise() + time.Duration(step)*time.Second/2 }, true},
		"the service is as ever":      {120, false, func(int) time.Duration { return noise() }, false},
		"the service warms up":        {120, false, func(step int) time.Duration { return noise() + time.Duration(120-step)*time.Second/2 }, false},
		"the rate rises, and so they": {120, true, func(step int) time.Duration { return noise() + time.Duration(step)*time.Millisecond }, false},
	} {
		rng = rand.New(rand.NewPCG(5, 5))
		run := answered(c.seconds, 50, time.Second, c.of)
		hold := capacity.Stage{Name: "hold", From: 50, To: 50, For: float64(c.seconds), Measure: true}
		if c.rising {
			hold.From, hold.To = 49, 51
		}
		run.Manifest.Loads = []capacity.Load{{Name: "l", Stages: []capacity.Stage{hold}}}
		run.Manifest.Scenario.Thresholds = bound
		a := capacity.Assess(run)
		times := a.Operations[0].ResponseTime
		if times.Grows != c.grows || times.P50 == nil || (len(times.Intervals)+len(times.NeedsSeconds) == 0) != c.grows {
			t.Errorf("%s: grows %t, intervals %v, needs %v", name, times.Grows, times.Intervals, times.NeedsSeconds)
		}
		if c.grows && a.Thresholds[0].Margin != nil {
			t.Errorf("%s: %+v is shown of the service", name, a.Thresholds[0].Margin)
		}
	}
}

// A bound is shown of the service where few enough answers lie above it: by the
// early-stopping count for independent answers, of 100,000 about 948 above p99.
func TestMargin(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	p99 := .08 * math.Exp(.4*distuv.UnitNormal.Quantile(.99))
	run := answered(500, 200, time.Second, func(int) time.Duration { return time.Duration(80e6 * math.Exp(.4*rng.NormFloat64())) })
	for _, c := range []struct {
		metric, op string
		value      float64
		shown      bool
	}{{"p99", "<", 1.1 * p99, true}, {"p99", "<", p99, false}, {"p99", "<", .9 * p99, false}, {"p50", "<=", .09, true}, {"p99", "<", 10, true}} {
		run.Manifest.Scenario.Thresholds = []scenarios.Threshold{{Text: "t", Metric: c.metric, Op: c.op, Value: c.value}}
		m := capacity.Assess(run).Thresholds[0].Margin
		if m == nil || m.Answers != 100_000 || m.Allowed == nil || m.Shown() != c.shown {
			t.Errorf("%+v: got %+v", c, m)
			continue
		}
		if c.metric == "p99" && (*m.Allowed < 850 || *m.Allowed > 948 || m.Needed != 299 || m.Worth > m.Answers) {
			t.Errorf("%+v: at most %d of %d may lie above", c, *m.Allowed, m.Answers)
		}
	}
	for _, other := range []scenarios.Threshold{{Metric: "p99", Op: ">", Value: 1}, {Metric: "mean", Op: "<", Value: 1}, {Metric: "p99", Of: "other", Op: "<", Value: 1}} {
		run.Manifest.Scenario.Thresholds = []scenarios.Threshold{other}
		if m := capacity.Assess(run).Thresholds[0].Margin; m != nil {
			t.Errorf("%+v has a margin: %+v", other, m)
		}
	}
}
