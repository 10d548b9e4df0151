package simulator

import (
	"maps"
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/model/fluid"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// meters adds up what a System charges to the series that a sandbox would
// publish. Every period has a point: where nothing was charged, that is known, and
// so is how much was in use.
type meters struct {
	start    int64 // of the run, in nanoseconds as Unix counts them
	period   time.Duration
	wanted   []*meter
	limiters []limiterMeters // in the System's order
}

// limiterMeters are the meters of one limiter; those that its service doesn't
// publish are nil.
type limiterMeters struct {
	usage, throttles, requests, duration *meter
	provisioned, spilled                 *meter
	size                                 bool // usage is the largest asked for, refused or not
}

type meter struct {
	series  measure.Series
	highest bool // keep the highest value of a period, not the sum
	points  map[int64]float64
	// The period in which the last value lies, and what it has so far.
	at    int64
	value float64
	open  bool
}

func newMeters(run *capacity.Run, sys *model.System, want []measure.Series, period time.Duration) *meters {
	m := &meters{start: run.Manifest.Start.UnixNano(), period: period, limiters: make([]limiterMeters, len(sys.Limiters))}
	for _, s := range want {
		s.Source, s.Namespace, s.Period, s.Points = "simulator", "", period, nil
		x := &meter{series: s, highest: s.Statistic == "Maximum", points: make(map[int64]float64)}
		i := slices.IndexFunc(sys.Limiters, func(l model.Limiter) bool { return l.ID == s.Quota })
		if i < 0 {
			continue
		}
		l := &m.limiters[i]
		l.size = sys.Limiters[i].Kind == model.ItemSize
		switch s.Role {
		case capacity.RoleUsage:
			l.usage = x
		case capacity.RoleThrottles:
			l.throttles = x
		case capacity.RoleRequests:
			l.requests = x
		case capacity.RoleDuration:
			l.duration = x
		case capacity.RoleProvisioned:
			l.provisioned = x
		case capacity.RoleSpilled:
			l.spilled = x
		default:
			continue
		}
		m.wanted = append(m.wanted, x)
	}
	return m
}

// served adds up what an outcome charged at an instant of the run.
func (m *meters) served(at time.Duration, out model.Outcome) {
	period := (m.start + int64(at)) / int64(m.period)
	for i := range out.Charges {
		c := &out.Charges[i]
		l := &m.limiters[c.Number]
		if c.Refused {
			l.throttles.add(period, 1)
			if l.size {
				l.usage.add(period, c.Amount)
			}
			continue
		}
		l.requests.add(period, 1)
		l.duration.add(period, float64(c.Hold)/float64(time.Millisecond))
		if c.Spilled {
			l.spilled.add(period, 1)
		} else {
			l.provisioned.add(period, 1)
		}
		if c.Hold > 0 || c.Level > 0 {
			l.usage.add(period, c.Level)
		} else {
			l.usage.add(period, c.Amount)
		}
	}
}

// passed makes points of the second that ends at an instant, whatever was charged in
// it.
func (m *meters) passed(at time.Duration, backend *model.Backend) {
	period := (m.start + int64(at-1)) / int64(m.period)
	for i := range m.limiters {
		l := &m.limiters[i]
		l.throttles.add(period, 0)
		l.requests.add(period, 0)
		l.duration.add(period, 0)
		l.provisioned.add(period, 0)
		l.spilled.add(period, 0)
		if l.usage != nil {
			l.usage.add(period, backend.Level(i, at-1))
		}
	}
}

// flowed adds up what a limiter was charged in the second that begins at an
// instant, by rates.
func (m *meters) flowed(at time.Duration, limiter int, u *fluid.Use, throttled float64) {
	period := (m.start + int64(at)) / int64(m.period)
	l := &m.limiters[limiter]
	l.throttles.add(period, throttled)
	l.requests.add(period, u.Requests)
	l.duration.add(period, u.Held*1000)
	switch {
	case l.size: // rates have no largest item
	case u.Held > 0:
		l.usage.add(period, u.Level)
	default:
		l.usage.add(period, u.Amount)
	}
}

// add counts a value; a nil meter counts nothing.
func (m *meter) add(period int64, v float64) {
	if m == nil {
		return
	}
	if !m.open || m.at != period {
		m.close()
		m.at, m.value, m.open = period, m.points[period], true
	}
	if m.highest {
		m.value = max(m.value, v)
	} else {
		m.value += v
	}
}

func (m *meter) close() {
	if m.open {
		m.points[m.at] = m.value
	}
	m.open = false
}

// series returns what was counted.
func (m *meters) series() []measure.Series {
	var out []measure.Series
	for _, x := range m.wanted {
		x.close()
		s := x.series
		for _, at := range slices.Sorted(maps.Keys(x.points)) {
			s.Points = append(s.Points, measure.Point{At: time.Unix(0, at*int64(m.period)).UTC(), Value: x.points[at]})
		}
		if len(s.Points) > 0 {
			out = append(out, s)
		}
	}
	return out
}
