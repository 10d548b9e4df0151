// Package loads is the room between a scenario's loads and those of a record:
// what a run, measured or simulated, plans to send, and what its manifest keeps
// of it.
package loads

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/strict"
	"github.com/headroom-load/headroom/scenarios/unit"
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
			k := capacity.Operation{Name: op.Name, Kind: "graphql", Share: op.Weight / weights}
			if op.Kafka != nil {
				k.Kind, k.Record = "kafka", producer(op.Kafka)
			}
			if served, ok := quotas.ServedAs(op); ok && served != op.Name {
				k.Served = served
			}
			info.Operations = append(info.Operations, k)
		}
		plans = append(plans, plan)
		kept = append(kept, info)
	}
	return kept, plans, operations
}

// few bounds the arrivals of a load of which it is drawn whether there are any: of
// more there always are.
const few = 100

// Check returns the loads that send nothing, although their rates are above zero.
func Check(s *scenarios.Scenario) (faults strict.Faults) {
	for i, l := range s.Loads {
		var expected float64
		for _, st := range l.Profile {
			expected += st.Arrivals()
		}
		if l.Arrivals == scenarios.Replay || expected > few || load.NewSchedule(l).Len() > 0 {
			continue
		}
		faults = append(faults, s.Fault(fmt.Sprintf("loads[%d].profile", i),
			fmt.Sprintf("plans no request: its rates make %s in %s on average", unit.HumanCount(expected, unit.Requests), unit.FormatDuration(l.Duration())), "raise the rates or lengthen the stages"))
	}
	return faults
}

// producer returns how records are produced, as records of runs keep it.
func producer(o *scenarios.KafkaOperation) *capacity.Producer {
	p := o.Producer
	return &capacity.Producer{
		Topic: o.Topic, Acks: p.Acks, Linger: p.Linger.Seconds(), BatchBytes: p.BatchBytes, Compression: p.Compression,
		Idempotence: p.Idempotence, BufferBytes: p.BufferBytes, MetadataAge: scenarios.MetadataAge.Seconds(), Key: o.Key.String(), Value: o.Value.String(),
	}
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
		Forecast: s.Forecast, Thresholds: s.Thresholds, Stop: s.Stop, Prices: s.Prices,
	}
}

// Stages returns the beginning of each stage as an event, in the order of time.
func Stages(s *scenarios.Scenario) []capacity.Event {
	var events []capacity.Event
	for _, l := range s.Loads {
		at := l.Start
		for _, st := range l.Profile {
			events = append(events, capacity.Event{At: at.Seconds(), Kind: "stage", Text: l.Name + ": " + st.Name})
			at += st.For
		}
	}
	slices.SortStableFunc(events, func(a, b capacity.Event) int { return cmp.Compare(a.At, b.At) })
	return events
}

// Back returns the scenario that a record's manifest keeps: the same loads, whose
// arrivals are those of the record again, and the limits that it set. Documents
// are not in a record, so an operation asks for that of its own name. A smooth
// curve of a rate is the straight lines that the record draws it by.
func Back(m *capacity.Manifest) *scenarios.Scenario {
	s := &scenarios.Scenario{
		Version: 1, Name: m.Scenario.Name, Description: m.Scenario.Description, Digest: m.Scenario.Digest,
		Source: []byte(m.Scenario.Source), Forecast: m.Scenario.Forecast,
		Thresholds: m.Scenario.Thresholds, Stop: m.Scenario.Stop, Prices: m.Scenario.Prices,
	}
	for _, l := range m.Loads {
		out := scenarios.Load{
			Name: l.Name, Arrivals: scenarios.Arrivals(l.Arrivals), Seed: l.Seed, Start: seconds(l.Start),
			InFlight: l.InFlight, Late: scenarios.Late(l.Late), Lateness: seconds(l.Lateness), Timeout: seconds(l.Timeout),
		}
		for _, st := range l.Stages {
			stage := scenarios.Stage{Name: st.Name, Ramp: st.From != st.To, From: st.From, To: st.To, For: seconds(st.For), Measure: st.Measure}
			if len(st.Points) > 1 {
				var corners []scenarios.RatePoint
				for _, p := range st.Points {
					corners = append(corners, scenarios.RatePoint{At: seconds(p.At), Rate: p.Rate})
				}
				stage.Curve = scenarios.Polyline{Corners: corners}
			}
			out.Profile = append(out.Profile, stage)
		}
		for _, op := range l.Operations {
			back := scenarios.Operation{Name: op.Name, Weight: op.Share}
			if op.Record != nil {
				back.Kafka = &scenarios.KafkaOperation{Topic: op.Record.Topic}
			} else {
				back.GraphQL = &scenarios.GraphQLOperation{Document: "query " + op.ServedAs() + " { __typename }"}
			}
			out.Operations = append(out.Operations, back)
		}
		s.Loads = append(s.Loads, out)
	}
	for _, q := range m.Quotas {
		if q.Origin == capacity.FromScenario {
			o := scenarios.QuotaOverride{ID: q.ID, Amount: q.Limit, Thing: q.Unit}
			if q.PerSecond() {
				o.Per = time.Second
			}
			s.Quotas = append(s.Quotas, o)
		}
	}
	return s
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

// Scale makes every rate of the loads so many times as high, and leaves requests
// in flight as much more room.
func Scale(loads []scenarios.Load, factor float64) {
	for i := range loads {
		l := &loads[i]
		l.InFlight = int(math.Ceil(float64(l.InFlight) * max(factor, 1)))
		l.Profile = slices.Clone(l.Profile)
		for j := range l.Profile {
			st := &l.Profile[j]
			st.From, st.To = st.From*factor, st.To*factor
			if st.Curve != nil {
				corners := st.Curve.Points()
				for k := range corners {
					corners[k].Rate *= factor
				}
				st.Curve = scenarios.Polyline{Corners: corners}
			}
		}
	}
}
