// Package loads is the room between a scenario's loads and those of a record:
// what a run, measured or simulated, plans to send, and what its manifest keeps
// of it.
package loads

import (
	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// Plan returns what each load of the scenario will do, without drivers, as a
// record keeps it and as it is driven, and the operations of all loads in the
// order that the plans' Ops name them by. files is the limit of open files; 0:
// none.
func Plan(s *scenarios.Scenario, files int) (kept []capacity.Load, plans []load.Plan, operations []measure.Operation) {
	limits := load.InFlightLimits(s.Loads, files)
	for i, l := range s.Loads {
		schedule := load.NewSchedule(l)
		plan := load.Plan{Load: l, Schedule: schedule, InFlight: limits[i]}
		info := capacity.Load{
			Name: l.Name, Arrivals: string(l.Arrivals), Seed: l.Seed, Start: l.Start.Seconds(), InFlight: plan.InFlight,
			Late: string(l.Late), Lateness: l.Lateness.Seconds(), Timeout: l.Timeout.Seconds(), Planned: schedule.Len(),
		}
		for _, st := range l.Profile {
			info.Stages = append(info.Stages, stage(st))
		}
		var weights float64
		for _, op := range l.Operations {
			weights += op.Weight
		}
		for _, op := range l.Operations {
			plan.Ops = append(plan.Ops, len(operations))
			operations = append(operations, measure.Operation{Load: l.Name, Name: op.Name})
			info.Operations = append(info.Operations, capacity.Operation{Name: op.Name, Kind: "graphql", Share: op.Weight / weights})
		}
		plans = append(plans, plan)
		kept = append(kept, info)
	}
	return kept, plans, operations
}

// stage returns a stage as records keep it.
func stage(s scenarios.Stage) capacity.Stage {
	out := capacity.Stage{Name: s.Name, From: s.From, To: s.To, For: s.For.Seconds(), Measure: s.Measure}
	if s.Curve != nil {
		for _, p := range s.Curve.Points() {
			out.Points = append(out.Points, capacity.RatePoint{At: p.At.Seconds(), Rate: p.Rate})
		}
	}
	return out
}

// Scenario returns what a record keeps of its scenario file.
func Scenario(s *scenarios.Scenario) capacity.Scenario {
	return capacity.Scenario{
		Name: s.Name, Description: s.Description, Digest: s.Digest, Source: string(s.Source),
		Forecast: s.Forecast, Thresholds: s.Thresholds, Stop: s.Stop,
	}
}

// Stages returns the beginning of each stage as an event.
func Stages(s *scenarios.Scenario) []capacity.Event {
	var events []capacity.Event
	for _, l := range s.Loads {
		at := l.Start
		for _, st := range l.Profile {
			events = append(events, capacity.Event{At: at.Seconds(), Kind: "stage", Text: l.Name + ": " + st.Name})
			at += st.For
		}
	}
	return events
}
