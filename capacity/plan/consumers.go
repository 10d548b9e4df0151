package plan

import (
	"math"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// ConsumerNeed is what the target asks of a consumer group that is not known to
// keep up with it. Rates are in records per second.
type ConsumerNeed struct {
	Group string `json:"group"`
	Topic string `json:"topic"`
	// Required is the target's records on the topic: arithmetic.
	Required float64 `json:"required"`
	// Takes is what the group took while records waited for it; nil where none did,
	// so that it takes more than Seen, the most that it was seen to take.
	Takes *capacity.Estimate `json:"takes"`
	Seen  float64            `json:"seen"`
	// Partitions of the topic: no more members than that have any work.
	Partitions int `json:"partitions"`
}

// consumers returns the groups that took less in the run than the target brings;
// those whose topic the run's loads don't produce to are none of them.
func (r Request) consumers(run *capacity.Run, a capacity.Assessment) []ConsumerNeed {
	all := []ConsumerNeed{}
	for _, c := range a.Consumers {
		n := ConsumerNeed{Group: c.Group, Topic: c.Topic, Required: r.Rate * r.share(run, c.Topic), Takes: c.Service}
		for _, s := range c.Stages {
			if s.Consumed != nil {
				n.Seen = max(n.Seen, s.Consumed.Value)
			}
		}
		takes := n.Seen
		if n.Takes != nil {
			takes = n.Takes.High
		}
		if len(c.Stages) == 0 || takes == 0 || n.Required <= takes {
			continue
		}
		partitions := map[string]bool{}
		for _, s := range run.Series {
			if s.Source == measure.KafkaBroker && s.Metric == measure.KafkaEnd && s.Labels["topic"] == c.Topic {
				partitions[s.Labels["partition"]] = true
			}
		}
		n.Partitions = len(partitions)
		all = append(all, n)
	}
	return all
}

// share returns the highest rate of a topic's records as a part of that of all arrivals.
func (r Request) share(run *capacity.Run, topic string) float64 {
	onTopic := func(l capacity.Load, weight func(o capacity.Operation) float64) (share float64) {
		for _, o := range l.Operations {
			if o.Record != nil && o.Record.Topic == topic {
				share += weight(o)
			}
		}
		return share
	}
	loads := run.Manifest.Loads
	if mix := r.WhatIf.Mix; mix != nil {
		var share, all float64
		for _, l := range loads {
			for _, o := range l.Operations {
				all += mix[o.Name]
			}
			share += onTopic(l, func(o capacity.Operation) float64 { return mix[o.Name] })
		}
		return share / max(all, math.SmallestNonzeroFloat64)
	}
	each := func(l capacity.Load) float64 {
		return onTopic(l, func(o capacity.Operation) float64 { return o.Share })
	}
	return capacity.PeakUse(loads, each) / max(capacity.PeakRate(loads), math.SmallestNonzeroFloat64)
}
