package awsapi

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// How long points are kept, and how many metrics there may be.
const (
	retention     = 24 * time.Hour
	fineRetention = 3 * time.Hour
	maxMetrics    = 10_000
)

// Dimension is one name and value of a metric's identity.
type Dimension struct {
	Name  string `json:"Name"`
	Value string `json:"Value"`
}

// Metrics is a store of metrics with statistics per UTC minute, for a day; of
// high-resolution metrics per second too, for three hours. Points are visible
// as soon as they are added. It is safe for concurrent use.
type Metrics struct {
	mu    sync.Mutex
	byKey map[string]*Metric
}

// Metric is one metric of a store.
type Metric struct {
	store      *Metrics
	namespace  string
	name       string
	unit       string
	dimensions []Dimension // by name
	minutes    map[int64]*statistics
	seconds    map[int64]*statistics // nil for a metric of standard resolution
	newest     int64                 // second of the newest point
}

// statistics summarises the values of one period.
type statistics struct {
	sum, min, max, n float64
}

func (s *statistics) add(o statistics) {
	if s.n == 0 {
		*s = o
		return
	}
	s.sum += o.sum
	s.n += o.n
	s.min, s.max = min(s.min, o.min), max(s.max, o.max)
}

// value returns a statistic by its CloudWatch name.
func (s *statistics) value(statistic string) float64 {
	switch statistic {
	case "Sum":
		return s.sum
	case "Minimum":
		return s.min
	case "Maximum":
		return s.max
	case "Average":
		return s.sum / s.n
	}
	return s.n // SampleCount
}

// NewMetrics returns an empty store.
func NewMetrics() *Metrics { return &Metrics{byKey: map[string]*Metric{}} }

// Metric returns the metric with this identity, new where there is none yet. A
// metric without points is not listed. The unit is that of the first call.
func (m *Metrics) Metric(namespace, name, unit string, dimensions ...Dimension) *Metric {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.metric(namespace, name, unit, dimensions)
}

func (m *Metrics) metric(namespace, name, unit string, dimensions []Dimension) *Metric {
	key, dimensions := metricKey(namespace, name, dimensions)
	x := m.byKey[key]
	if x == nil {
		x = &Metric{store: m, namespace: namespace, name: name, unit: unit, dimensions: dimensions, minutes: map[int64]*statistics{}}
		m.byKey[key] = x
	}
	return x
}

// metricKey returns what identifies a metric, and its dimensions by name.
func metricKey(namespace, name string, dimensions []Dimension) (string, []Dimension) {
	dimensions = append([]Dimension{}, dimensions...)
	slices.SortFunc(dimensions, func(a, b Dimension) int { return strings.Compare(a.Name, b.Name) })
	key := namespace + "\x00" + name
	for _, d := range dimensions {
		key += "\x00" + d.Name + "\x00" + d.Value
	}
	return key, dimensions
}

// Add adds one value at an instant.
func (x *Metric) Add(at time.Time, value float64) {
	x.store.mu.Lock()
	defer x.store.mu.Unlock()
	x.add(at.Unix(), statistics{value, value, value, 1}, false)
}

// Set makes a value that of the whole minute in which an instant lies, in the place
// of what was there: such as a mean that is known better and better.
func (x *Metric) Set(at time.Time, value float64) {
	x.store.mu.Lock()
	defer x.store.mu.Unlock()
	second := at.Unix()
	delete(x.minutes, second-mod(second, 60))
	x.add(second, statistics{value, value, value, 1}, false)
}

func (x *Metric) add(second int64, s statistics, highResolution bool) {
	x.newest = max(x.newest, second)
	put(x.minutes, second-mod(second, 60), s, x.newest-int64(retention.Seconds()))
	if highResolution {
		if x.seconds == nil {
			x.seconds = map[int64]*statistics{}
		}
		put(x.seconds, second, s, x.newest-int64(fineRetention.Seconds()))
	}
}

// put adds s to the period that starts at a second. A new period makes room by
// dropping what is older than oldest, now and then.
func put(periods map[int64]*statistics, start int64, s statistics, oldest int64) {
	if start < oldest-60 {
		return
	}
	p := periods[start]
	if p == nil {
		if len(periods)%512 == 511 {
			for t := range periods {
				if t < oldest {
					delete(periods, t)
				}
			}
		}
		p = &statistics{}
		periods[start] = p
	}
	p.add(s)
}

// point is the statistics of one period.
type point struct {
	start int64 // second
	statistics
}

// read returns the periods that have values and start within [from, to), in
// order; from is rounded down to a period. Periods are aligned to the epoch.
func (x *Metric) read(period, from, to int64) []point {
	source := x.minutes
	if period < 60 {
		source = x.seconds
	}
	from -= mod(from, period)
	byStart := map[int64]*statistics{}
	for t, s := range source {
		start := t - mod(t, period)
		if start < from || start >= to {
			continue
		}
		p := byStart[start]
		if p == nil {
			p = &statistics{}
			byStart[start] = p
		}
		p.add(*s)
	}
	points := make([]point, 0, len(byStart))
	for start, s := range byStart {
		points = append(points, point{start, *s})
	}
	slices.SortFunc(points, func(a, b point) int { return int(a.start - b.start) })
	return points
}

// mod is the non-negative remainder.
func mod(a, b int64) int64 { return (a%b + b) % b }
