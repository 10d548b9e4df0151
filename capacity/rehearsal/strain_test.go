package rehearsal

import (
	"math"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/headroom-load/headroom/scenarios/measure"
)

func TestUpperSince(t *testing.T) {
	h := &metrics.Float64Histogram{Counts: []uint64{5, 200, 3, 1}, Buckets: []float64{0, 1, 2, 4, math.Inf(1)}}
	for _, c := range []struct {
		since []uint64
		p     float64
		want  float64
	}{
		{[]uint64{5, 200, 3, 1}, 1, 0}, // nothing since
		{[]uint64{5, 200, 2, 1}, 1, 4},
		{[]uint64{5, 200, 3, 0}, 1, 4}, // the last bucket has no end
		{[]uint64{5, 0, 3, 0}, .99, 2},
		{[]uint64{0, 100, 0, 1}, .99, 4},
		{[]uint64{0, 0, 3, 1}, .01, 1},
	} {
		if got := upperSince(h, c.since, c.p); got != c.want {
			t.Errorf("p%g since %v: %g, want %g", 100*c.p, c.since, got, c.want)
		}
	}
}

// A collection shows as a pause in its second, and a wall clock that doesn't
// step as no offset.
func TestStrainMeter(t *testing.T) {
	var m strainMeter
	start := time.Now()
	if first := m.read(start, start); first != nil {
		t.Fatalf("the first reading says %v", first)
	}
	runtime.GC()
	got := map[string]measure.Series{}
	for _, s := range m.read(start, start) {
		got[s.Metric] = s
	}
	if len(got) != 3 {
		t.Fatalf("%v", got)
	}
	if p := got["gc_pause"].Points.Slice()[0].Value; p <= 0 || p > 60 {
		t.Errorf("a pause of %g s", p)
	}
	if l := got["sched_latency"].Points.Slice()[0].Value; l <= 0 || l > 60 {
		t.Errorf("a scheduling latency of %g s", l)
	}
	if o := got["clock_offset"].Points.Slice()[0].Value; math.Abs(o) > 10 {
		t.Errorf("an offset of %g s", o)
	}
}

// A record has a point of each for every second.
func TestStrainIsRecorded(t *testing.T) {
	run := rehearse(t, config(50, 5*time.Second, backend{20 * time.Millisecond}), nil)
	points := map[string][]measure.Point{}
	for _, s := range run.Series {
		if s.Source == "generator" {
			points[s.Metric] = s.Points.Slice()
		}
	}
	for _, metric := range []string{"gc_pause", "sched_latency", "clock_offset"} {
		if n := len(points[metric]); n < 5 || n > 6 {
			t.Errorf("%d points of %s in 5 s", n, metric)
		}
		for i, p := range points[metric] {
			if i > 1 && p.At.Sub(points[metric][i-1].At) != time.Second {
				t.Errorf("%s: point %d comes at %s after %s", metric, i, p.At, points[metric][i-1].At)
			}
			if metric == "clock_offset" && p.Value != 0 {
				t.Errorf("the bubble's clock is off by %g s in second %d", p.Value, i)
			}
		}
	}
}
