package capacity

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// analysis is a run with what both the verdict and the assessment read from it,
// added up once.
type analysis struct {
	run     *Run
	seconds int // one more than the last second that has a row
	ops     []*operation
	by      map[measure.Operation]*operation
	total   measure.Row // of everything, measured or not

	flows  memo[string, map[int64]flow]
	tested memo[string, float64] // rates by their loads
}

// memo keeps what was reckoned once: flows by chargedBy.
type memo[K comparable, V any] map[K]V

// of returns the value of a key, which is made where there is none yet.
func (m *memo[K, V]) of(key K, made func() V) V {
	v, ok := (*m)[key]
	if !ok {
		if *m == nil {
			*m = make(memo[K, V])
		}
		v = made()
		(*m)[key] = v
	}
	return v
}

// operation is one operation's part of a run.
type operation struct {
	measure.Operation
	all      measure.Row // everything
	measured measure.Row // measured stages only
	rows     iter.Seq[*measure.Row]
	times    map[string]*measure.Distribution // by kind
	steps    []measure.Interval               // of response times, in order
	means    []float64                        // of the steps, in seconds, once asked for
}

// maxSeconds is the length of the longest run that is assessed: 35 days.
const maxSeconds = 35 * 24 * 3600

// analyse adds up a run. Operations come in the order of the manifest; those
// that only rows name come last. Rows of seconds that no run has are damage.
func analyse(run *Run) *analysis {
	run = withKafka(withoutOutside(run))
	a := &analysis{run: run, by: make(map[measure.Operation]*operation)}
	for _, l := range run.Manifest.Loads {
		for _, op := range l.Operations {
			a.operation(l.Name, op.Name)
		}
	}
	for r := range run.Rows.All() {
		op := a.operation(r.Load, r.Operation)
		op.all.Add(r)
		a.total.Add(r)
		if r.Measured {
			op.measured.Add(r)
		}
		a.seconds = max(a.seconds, r.Second+1)
	}
	for _, iv := range run.Latency {
		op := a.operation(iv.Load, iv.Operation)
		d := op.times[iv.Kind]
		if d == nil {
			d = new(measure.Distribution)
			op.times[iv.Kind] = d
		}
		d.Add(iv)
		if iv.Kind == measure.ResponseTimes {
			op.steps = append(op.steps, iv)
		}
	}
	for _, op := range a.ops {
		slices.SortStableFunc(op.steps, func(x, y measure.Interval) int { return cmp.Compare(x.Start, y.Start) })
	}
	return a
}

// withoutOutside returns the run without rows of seconds that no run has.
func withoutOutside(run *Run) *Run {
	outside := func(r measure.Row) bool { return r.Second < 0 || r.Second >= maxSeconds }
	damaged := false
	for r := range run.Rows.All() {
		damaged = damaged || outside(*r)
	}
	if !damaged {
		return run
	}
	whole := *run
	whole.Rows.Edit(func(rows []measure.Row) []measure.Row { return slices.DeleteFunc(rows, outside) })
	whole.Damage = append(slices.Clone(run.Damage), "rows of seconds outside of the run")
	return &whole
}

func (a *analysis) operation(load, name string) *operation {
	key := measure.Operation{Load: load, Name: name}
	op := a.by[key]
	if op == nil {
		op = &operation{Operation: key, rows: a.run.Rows.Of(key), times: make(map[string]*measure.Distribution)}
		a.by[key] = op
		a.ops = append(a.ops, op)
	}
	return op
}

// stepMeans returns the mean response time of each step in seconds, NaN of a
// step without any.
func (op *operation) stepMeans() []float64 {
	if op.means == nil {
		op.means = make([]float64, len(op.steps))
		for i, s := range op.steps {
			op.means[i] = math.NaN()
			if s.Histogram.TotalCount() > 0 {
				op.means[i] = s.Histogram.Mean() / 1e6
			}
		}
	}
	return op.means
}

// distribution returns the operation's values of a kind, empty where there are
// none.
func (op *operation) distribution(kind string) *measure.Distribution {
	if d := op.times[kind]; d != nil {
		return d
	}
	return new(measure.Distribution)
}

// load returns the plan of a load.
func (a *analysis) load(name string) (Load, bool) {
	i := slices.IndexFunc(a.run.Manifest.Loads, func(l Load) bool { return l.Name == name })
	if i < 0 {
		return Load{}, false
	}
	return a.run.Manifest.Loads[i], true
}

// series returns the values of all the run's series for a quota and role,
// sorted by time, with their statistic and period: sums of different metrics
// add up, of levels the highest counts. Later points of the same metric replace
// earlier ones. ok is false where there is no point.
func (a *analysis) series(quota string, role Role) (c cloud, ok bool) {
	metrics := make(map[string]map[int64]float64)
	for _, s := range a.run.Series {
		if s.Quota != quota || s.Role != role || s.Period <= 0 || s.Points.Len() == 0 {
			continue
		}
		if c.statistic != "" && (s.Statistic != c.statistic || s.Period != c.period) {
			continue
		}
		c.statistic, c.period = s.Statistic, s.Period
		scale := 1.0
		if s.Unit == "ms" {
			scale = 1e-3
		}
		id := seriesID(s)
		if metrics[id] == nil {
			metrics[id] = make(map[int64]float64)
		}
		for p := range s.Points.All() {
			metrics[id][floorTo(p.At.UnixNano(), int64(s.Period))] = p.Value * scale
		}
	}
	c.values = make(map[int64]float64)
	for _, points := range metrics {
		for at, v := range points {
			if old, there := c.values[at]; there && c.statistic != "Sum" {
				v = max(v, old)
			} else {
				v += old
			}
			c.values[at] = v
		}
	}
	for at := range c.values {
		c.at = append(c.at, at)
	}
	slices.Sort(c.at)
	return c, len(c.at) > 0
}

// cloud is what was read from outside for one quota and role.
type cloud struct {
	statistic string
	period    time.Duration
	at        []int64 // starts of periods, Unix nanoseconds, sorted
	values    map[int64]float64
}

func (c cloud) sum() float64 {
	var total float64
	for _, at := range c.at {
		total += c.values[at]
	}
	return total
}

// seriesID tells one metric from another.
func seriesID(s measure.Series) string {
	labels := make([]string, 0, len(s.Labels))
	for k, v := range s.Labels {
		labels = append(labels, k+"="+v)
	}
	slices.Sort(labels)
	return strings.Join(append(labels, s.Source, s.Namespace, s.Metric, s.Statistic), "\x00")
}

// floorTo returns the largest multiple of step that is not above v.
func floorTo(v, step int64) int64 {
	r := v % step
	if r < 0 {
		r += step
	}
	return v - r
}

// arrivalsOf returns the arrivals of what charges a quota. Quotas that the same
// operations charge share them.
func (a *analysis) arrivalsOf(q Quota, period time.Duration) map[int64]flow {
	return a.flows.of(chargedBy(q, period), func() map[int64]flow { return a.arrivals(period, q.Charges) })
}

// chargedBy names what charges a quota, and a period.
func chargedBy(q Quota, period time.Duration) string {
	return period.String() + "\x00" + strings.Join(q.Loads, "\x01") + "\x00" + strings.Join(q.Operations, "\x01")
}

// arrivals counts, for each period of the given length and by the sent instant
// to a tenth of a second, the requests of the operations that pass the filter.
func (a *analysis) arrivals(period time.Duration, of func(load, operation string) bool) map[int64]flow {
	start := a.run.Manifest.Start.UnixNano()
	flows := make(map[int64]flow)
	for r := range a.run.Rows.All() {
		if !of(r.Load, r.Operation) {
			continue
		}
		at := start + int64(r.Second)*int64(time.Second)
		slots := sentSlots(r)
		for k, n := range slots {
			if n > 0 {
				key := floorTo(at+slotMiddle(k), int64(period))
				f := flows[key]
				f.sent += n
				flows[key] = f
			}
		}
		refused := float64(r.Throttled)
		lost := float64(r.Rejected + r.GeneratorErrors)
		if refused+lost > 0 {
			// These have no slots: a refusal comes at once, so they lie where the
			// second's requests were sent.
			key := floorTo(at+slotMiddle(busiest(slots)), int64(period))
			f := flows[key]
			f.throttled += refused
			f.lost += lost
			flows[key] = f
		}
	}
	return flows
}

// flow is what the client did in one period.
type flow struct {
	sent      float64
	throttled float64 // refused by any quota
	lost      float64 // rejected, or never sent by this machine: they charged nothing
}

// sentSlots returns when in its second a row's requests were sent; a row
// without slots spreads them evenly.
func sentSlots(r *measure.Row) [measure.Slots]float64 {
	var slots [measure.Slots]float64
	var n int64
	for k, s := range r.SentSlots {
		slots[k] = float64(s)
		n += s
	}
	if n == 0 && r.Sent > 0 {
		for k := range slots {
			slots[k] = float64(r.Sent) / measure.Slots
		}
	}
	return slots
}

// slotMiddle returns the middle of the k-th tenth of a second in nanoseconds.
func slotMiddle(k int) int64 { return int64(time.Second) / measure.Slots * int64(2*k+1) / 2 }

func busiest(slots [measure.Slots]float64) int {
	best := 0
	for k, n := range slots {
		if n > slots[best] {
			best = k
		}
	}
	return best
}
