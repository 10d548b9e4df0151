package simulator

import (
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
	now      int64         // the period in hand, as so many since 1970
	ends     time.Duration // when it does, from the run's start
	limiters []charged     // in the System's order
	wanted   []*meter
}

// charged is what one limiter was charged in the period in hand.
type charged struct {
	size      bool // it is a limit of sizes
	amount    float64
	highest   float64 // level, or size that was asked for, refused or not
	requests  float64 // admitted
	ready     float64 // of these, those that ran in a provisioned environment
	spilled   float64 // and those that found every one of them busy
	throttled float64
	held      float64 // milliseconds
}

// meter is a series in the making.
type meter struct {
	series measure.Series
	of     *charged
	value  func(*charged) float64
}

// counted is what a series of each role has of a period.
var counted = map[capacity.Role]func(*charged) float64{
	capacity.RoleUsage:       func(c *charged) float64 { return c.amount },
	capacity.RoleThrottles:   func(c *charged) float64 { return c.throttled },
	capacity.RoleRequests:    func(c *charged) float64 { return c.requests },
	capacity.RoleDuration:    func(c *charged) float64 { return c.held },
	capacity.RoleProvisioned: func(c *charged) float64 { return c.ready },
	capacity.RoleSpilled:     func(c *charged) float64 { return c.spilled },
}

func newMeters(run *capacity.Run, sys *model.System, want []measure.Series, period time.Duration) *meters {
	m := &meters{start: run.Manifest.Start.UnixNano(), period: period, limiters: make([]charged, len(sys.Limiters))}
	for i, l := range sys.Limiters {
		m.limiters[i].size = l.Kind == model.ItemSize
	}
	for _, s := range want {
		i := slices.IndexFunc(sys.Limiters, func(l model.Limiter) bool { return l.ID == s.Quota })
		value, ok := counted[s.Role]
		if i < 0 || !ok {
			continue
		}
		if s.Statistic == "Maximum" {
			value = func(c *charged) float64 { return c.highest }
		}
		s.Source, s.Namespace, s.Period, s.Points = "simulator", "", period, measure.Points{}
		m.wanted = append(m.wanted, &meter{s, &m.limiters[i], value})
	}
	m.begin(0)
	return m
}

// unknown leaves out what rates don't tell: which item is the largest, and what
// chance spills over.
func (m *meters) unknown() {
	m.wanted = slices.DeleteFunc(m.wanted, func(x *meter) bool {
		return x.series.Role == capacity.RoleProvisioned || x.series.Role == capacity.RoleSpilled || x.series.Role == capacity.RoleUsage && x.of.size
	})
}

// begin makes the period of an instant the one in hand.
func (m *meters) begin(at time.Duration) {
	m.now = (m.start + int64(at)) / int64(m.period)
	m.ends = time.Duration((m.now+1)*int64(m.period) - m.start)
}

// until closes the period in hand where it is over at an instant.
func (m *meters) until(at time.Duration) {
	if at >= m.ends {
		m.turn(at)
	}
}

func (m *meters) turn(at time.Duration) {
	m.close()
	m.begin(at)
}

func (m *meters) close() {
	at := time.Unix(0, m.now*int64(m.period)).UTC()
	for _, x := range m.wanted {
		x.series.Points.Add(measure.Point{At: at, Value: x.value(x.of)})
	}
	for i := range m.limiters {
		m.limiters[i] = charged{size: m.limiters[i].size}
	}
}

// served adds up what an outcome charged at an instant of the run.
func (m *meters) served(at time.Duration, out *model.Outcome) {
	m.until(at)
	for i := range out.Charges {
		c := &out.Charges[i]
		l := &m.limiters[c.Number]
		if l.size {
			l.highest = max(l.highest, c.Amount)
		}
		if c.Refused {
			l.throttled++
			continue
		}
		l.requests++
		l.amount += c.Amount
		if c.Hold > 0 {
			l.held += float64(c.Hold) / float64(time.Millisecond)
		}
		switch {
		case c.InProvisioned:
			l.ready++
		case c.Spilled:
			l.spilled++
		}
		if c.Level > l.highest {
			l.highest = c.Level
		}
	}
}

// passed makes points of the second that ends at an instant, whatever was charged in
// it.
func (m *meters) passed(at time.Duration, backend *model.Backend) {
	m.until(at - 1)
	for i := range m.limiters {
		l := &m.limiters[i]
		l.highest = max(l.highest, backend.Level(i, at-1))
	}
}

// flowed adds up what a limiter was charged in the second that begins at an
// instant, by rates.
func (m *meters) flowed(at time.Duration, limiter int, u *fluid.Use, throttled float64) {
	m.until(at)
	l := &m.limiters[limiter]
	l.amount += u.Amount
	l.highest = max(l.highest, u.Level)
	l.requests += u.Requests
	l.throttled += throttled
	l.held += u.Held * 1000
}

// series returns what was counted, with the period in hand.
func (m *meters) series() []measure.Series {
	m.close()
	var out []measure.Series
	for _, x := range m.wanted {
		out = append(out, x.series)
	}
	return out
}
