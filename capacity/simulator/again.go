package simulator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/loads"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Change is what a what-if changes of a run before it is simulated again. What
// it leaves out stays.
type Change struct {
	Rate float64 // every rate becomes so many times as high; 0: stays
	// Mix gives operations, by name, another weight in their load; an operation
	// whose load has one here and that has none itself isn't sent.
	Mix map[string]float64
	// Pooled are the limiters of the System of which nobody knows what each operation
	// charges, but only what the run's mix does: with another one they are left out.
	Pooled []string
	// System lists what changes of the System, each after the one before. Its
	// limits replace those that the scenario had set.
	System []model.Change
}

// Again simulates the loads of a run against a System that has their operations,
// with a change. The seeds are those of the run, so without one, and with the
// System that the run had, it has the same arrivals. The Run's notes say what was
// changed and of which record.
func Again(run *capacity.Run, sys *model.System, c Change, o Options) (*capacity.Run, error) {
	s := loads.Back(&run.Manifest)
	var notes, left []string
	if c.Rate > 0 && c.Rate != 1 {
		loads.Scale(s.Loads, c.Rate)
		notes = append(notes, fmt.Sprintf("rates x %.4g", c.Rate))
	}
	used := map[string]bool{}
	for i := range s.Loads {
		l := &s.Loads[i]
		var mixed float64
		for _, op := range l.Operations {
			w, ok := c.Mix[op.Name]
			if ok && !(w >= 0 && w <= 1e9) {
				return nil, fmt.Errorf("%g is not a weight of %s", w, op.Name)
			}
			mixed += w
			used[op.Name] = used[op.Name] || ok
		}
		if mixed == 0 {
			continue
		}
		for j := range l.Operations {
			l.Operations[j].Weight = c.Mix[l.Operations[j].Name]
		}
	}
	for name, w := range c.Mix {
		if !used[name] {
			return nil, fmt.Errorf("the run has no operation %q", name)
		}
		notes = append(notes, fmt.Sprintf("%s x %.4g in the mix", name, w))
	}
	if c.Mix != nil && len(c.Pooled) > 0 {
		sys = sys.Without(c.Pooled)
		s.Quotas = slices.DeleteFunc(s.Quotas, func(q scenarios.QuotaOverride) bool { return slices.Contains(c.Pooled, q.ID) })
		left = append(left, fmt.Sprintf("left out: %s, of which the record tells only what its own mix of operations charges; name a System with --system that tells what each of them does", strings.Join(c.Pooled, ", ")))
	}
	for _, change := range c.System {
		var err error
		if sys, err = sys.Change(change); err != nil {
			return nil, err
		}
		for id, limit := range change.Limits {
			s.Quotas = slices.DeleteFunc(s.Quotas, func(q scenarios.QuotaOverride) bool { return q.ID == id })
			i := slices.IndexFunc(sys.Limiters, func(l model.Limiter) bool { return l.ID == id })
			notes = append(notes, fmt.Sprintf("limit of %s %s", id, limitText(sys.Limiters[i], limit)))
		}
		for id, a := range change.Amounts {
			notes = append(notes, fmt.Sprintf("%s on %s", unit.Human(a.Mean()), id))
		}
		for id, share := range change.Shares {
			notes = append(notes, fmt.Sprintf("%s of requests charge %s", unit.HumanShare(share), id))
		}
		if change.ServiceTime != nil {
			notes = append(notes, "service time "+change.ServiceTime.String())
		}
	}
	slices.Sort(notes)
	again, err := Simulate(s, sys, o)
	if err != nil {
		return nil, err
	}
	said := "simulated from the record " + run.Manifest.ID + " as it was"
	if len(notes) > 0 {
		said = "simulated from the record " + run.Manifest.ID + " with " + strings.Join(notes, ", ")
	}
	again.Manifest.Notes = append(append(again.Manifest.Notes, said), left...)
	return again, nil
}

// limitText writes a limit of a limiter's kind: 2,000 tokens/s, 100 environments, 5.00 MB.
func limitText(l model.Limiter, limit float64) string {
	switch l.Kind {
	case model.Concurrency:
		return unit.HumanCount(limit, l.Unit)
	case model.ItemSize:
		return unit.HumanQuantity(limit, l.Unit)
	}
	return unit.HumanRate(limit, l.Unit)
}
