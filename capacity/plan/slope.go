package plan

import (
	"fmt"
	"math"
	"slices"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// How fast Lambda creates environments of one function: 1,000 at once and 1,000
// more every 10 s, refilled continuously, unused ones not saved up (Lambda
// Developer Guide, "Lambda scaling behavior").
const (
	createdAtOnce    = 1000.0
	createdPerSecond = 100.0
)

// lack is how many environments are missing at most, because they are needed
// faster than Lambda creates them.
type lack struct {
	environments, second float64
	rate                 float64 // of the target
	provisioned          float64 // environments that there are already
}

func (l lack) String() string {
	advice := "Provision at least so many before the launch"
	if l.provisioned > 0 {
		advice = fmt.Sprintf("Provision at least so many more before the launch, beside the %s that are", unit.HumanCount(l.provisioned, ""))
	}
	return fmt.Sprintf("with the run's profile, scaled to %s, environments are needed faster than Lambda creates them (1,000 at once, then 100 a second, per function), whatever lambda.concurrency allows: in second %.0f, %s are missing. %s, or ramp more slowly",
		rate(l.rate), l.second, unit.HumanCount(l.environments, unit.Environments), advice)
}

// slope returns what the run's profile, scaled to the target, lacks of the
// environments that it needs, although their number may be allowed.
func slope(run *capacity.Run, a capacity.Assessment, r Request, costs map[string]cost) lack {
	none := lack{}
	i := slices.IndexFunc(a.Quotas, func(q capacity.QuotaResult) bool { return q.ID == "lambda.concurrency" })
	if i < 0 {
		return none
	}
	c := costs["lambda.concurrency"]
	held := c.value
	var end, peak float64
	type planned func(t float64) (before, after float64)
	var all, charging []planned
	quota := quotaOf(run, "lambda.concurrency")
	for _, l := range run.Manifest.Loads {
		all = append(all, l.PlannedRate())
		if len(quota.Loads) == 0 || slices.Contains(quota.Loads, l.Name) {
			charging = append(charging, l.PlannedRate())
		}
		end = max(end, l.End())
	}
	if c.share == 1 {
		charging = all
	}
	at := func(t float64, plans []planned) (sum float64) {
		for _, p := range plans {
			before, after := p(t)
			sum += max(before, after)
		}
		return sum
	}
	const step = 0.1
	for t := 0.0; t <= end; t += step {
		peak = max(peak, at(t, all))
	}
	if peak == 0 || held == 0 {
		return none
	}
	// The level that each instant's rate would settle at is needed at that instant,
	// which is early by no more than a service time.
	scale := r.Rate / peak
	created, short, when := quota.Provisioned, 0.0, 0.0
	credit := createdAtOnce
	for t := 0.0; t <= end; t += step {
		credit = min(createdAtOnce, credit+createdPerSecond*step)
		need := at(t, charging) * scale * held
		if r.Margin > 0 {
			need = float64(stats.PoissonQuantile(need, r.Margin))
		}
		if more := need - created; more > 0 {
			take := min(more, credit)
			created += take
			credit -= take
			if lack := more - take; lack > short {
				short, when = lack, t
			}
		}
	}
	if short < 1 {
		return none
	}
	return lack{math.Ceil(short), when, r.Rate, quota.Provisioned}
}
