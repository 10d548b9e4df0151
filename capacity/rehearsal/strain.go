package rehearsal

import (
	"math"
	"runtime/metrics"
	"time"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// strainMeter reads what may have kept this program from sending in time: its
// garbage collector, its scheduler, and steps of the machine's clock.
type strainMeter struct {
	samples []metrics.Sample
	seen    [][]uint64                    // the counts of the last reading
	wall    func(now time.Time) time.Time // what the wall clock showed at a reading of the monotonic one; nil: the same reading
}

// strained are the runtime's histograms that a strainMeter reads, each with the
// series it becomes.
var strained = [...]struct {
	name   string
	metric string
	stat   string
	of     func(h *metrics.Float64Histogram, since []uint64) float64
}{
	{"/sched/pauses/total/gc:seconds", "gc_pause", "Maximum", highestSince},
	{"/sched/latencies:seconds", "sched_latency", "p99", p99Since},
}

// read returns a point for each series of the second that began at the instant
// from, after start of the run; none at the first call.
func (m *strainMeter) read(start, from time.Time) (series []measure.Series) {
	first := m.samples == nil
	if first {
		m.samples, m.seen = make([]metrics.Sample, len(strained)), make([][]uint64, len(strained))
		for i, s := range strained {
			m.samples[i].Name = s.name
		}
	}
	metrics.Read(m.samples)
	one := func(metric, statistic string, value float64) {
		series = append(series, measure.Series{
			Source: "generator", Metric: metric, Statistic: statistic, Unit: "s", Period: time.Second,
			Points: measure.PointsOf(measure.Point{At: from, Value: value}),
		})
	}
	for i, s := range strained {
		if m.samples[i].Value.Kind() != metrics.KindFloat64Histogram {
			continue // a Go release without it
		}
		h := m.samples[i].Value.Float64Histogram()
		if !first {
			one(s.metric, s.stat, s.of(h, m.seen[i]))
		}
		m.seen[i] = append(m.seen[i][:0], h.Counts...)
	}
	if !first {
		// The wall clock's reading against the monotonic one: a step of the former,
		// which the cloud's minutes follow, shows as a step of the difference.
		now := time.Now()
		wall := now.Round(0)
		if m.wall != nil {
			wall = m.wall(now)
		}
		one("clock_offset", "Last", (wall.Sub(start.Round(0)) - now.Sub(start)).Seconds())
	}
	return series
}

// highestSince returns the upper end of the highest bucket that got a value
// since the given counts, 0 where none did.
func highestSince(h *metrics.Float64Histogram, since []uint64) float64 {
	return upperSince(h, since, 1)
}

func p99Since(h *metrics.Float64Histogram, since []uint64) float64 {
	return upperSince(h, since, 0.99)
}

// upperSince returns the upper end of the bucket in which the quantile p of the
// values since the given counts lies, 0 where there are none.
func upperSince(h *metrics.Float64Histogram, since []uint64, p float64) float64 {
	var n uint64
	for i, c := range h.Counts {
		n += c - since[i]
	}
	rank := uint64(math.Ceil(p * float64(n)))
	var below uint64
	for i, c := range h.Counts {
		below += c - since[i]
		if n > 0 && below >= rank {
			if end := h.Buckets[i+1]; !math.IsInf(end, 1) {
				return end
			}
			return h.Buckets[i]
		}
	}
	return 0
}
