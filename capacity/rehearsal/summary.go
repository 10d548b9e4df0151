package rehearsal

import (
	"fmt"
	"math"
	"strings"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/price"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Summary says what a run of the configuration would send and which quotas it
// would be held against, for a person to check before the first byte: each rate
// per second and per minute, and the total.
func Summary(c Config) string {
	m, plans, _ := Plan(c)
	var b strings.Builder
	fmt.Fprintf(&b, "%s -> %s, %s\n", m.Scenario.Name, m.Target, unit.FormatDuration(total(c.Scenario)))
	for i, l := range m.Loads {
		peak := plans[i].Load.PeakRate()
		fmt.Fprintf(&b, "  %s: up to %s/s = %s/min, %s in all, %s arrivals, at most %s in flight\n",
			l.Name, unit.Human(peak), unit.Human(peak*60), unit.HumanCount(float64(l.Planned), unit.Requests), l.Arrivals, unit.HumanCount(float64(l.InFlight), ""))
		if peak > 0 { // by Little's law
			b.WriteString("    which is room for answers of " + unit.HumanSeconds(float64(l.InFlight)/peak) + " on average at the peak")
			if !plans[i].Load.Kafka() {
				fmt.Fprintf(&b, ", and as many connections; opened ahead, at %d/s: %d", warmPerSecond, ahead(plans[i]))
			}
			b.WriteString("\n")
		}
		for _, st := range plans[i].Load.Profile {
			fmt.Fprintf(&b, "    %-12s %8s  %s\n", st.Name, unit.FormatDuration(st.For), stageRate(st))
		}
		for _, op := range l.Operations {
			fmt.Fprintf(&b, "    %-12s %8s  %s\n", op.Name, unit.HumanShare(op.Share), op.Kind)
		}
	}
	for _, q := range m.Quotas {
		limit := unit.HumanCount(q.Limit, q.Unit)
		if q.PerSecond() {
			limit += "/s"
		}
		fmt.Fprintf(&b, "  held against %s: %s (%s)\n", q.ID, limit, q.Origin)
	}
	if len(m.Quotas) == 0 {
		b.WriteString("  held against no quota: observe: and quotas: name none\n")
	}
	if line := leastCost(c, m); line != "" {
		b.WriteString("  " + line + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

func stageRate(stage scenarios.Stage) string {
	s := unit.Human(stage.To) + "/s"
	switch {
	case stage.Curve != nil:
		s = "up to " + unit.Human(stage.PeakRate()) + "/s, " + unit.HumanCount(math.Round(stage.Arrivals()), "") + " in all"
	case stage.Ramp:
		s = unit.Human(stage.From) + "/s to " + s
	}
	if !stage.Measure {
		s += ", not measured"
	}
	return s
}

// leastCost says what is known of a real run's cost before it starts, or "" where
// nothing is.
func leastCost(c Config, m capacity.Manifest) string {
	if c.Sandbox {
		return ""
	}
	var requests float64
	for _, q := range m.Quotas {
		if q.ID != capacity.RequestTokens {
			continue
		}
		for _, l := range m.Loads {
			for _, op := range l.Operations {
				if q.Charges(l.Name, op.Name) {
					requests += float64(l.Planned) * op.Share
				}
			}
		}
	}
	bill := price.AtLeast(&m, requests, len(c.Want), total(c.Scenario).Hours())
	var parts []string
	for _, l := range bill.Lines {
		part := fmt.Sprintf("%s %.4f", l.What, l.USD)
		if l.Own {
			part += fmt.Sprintf(" at %s by %s", l.Price, l.Price.Source)
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("costs at least %.4f USD by %s (%s); data out and what the requests use come on top", bill.USD, bill.Prices(), strings.Join(parts, ", "))
}
