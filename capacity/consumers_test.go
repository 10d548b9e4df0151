package capacity_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// spike makes a run that is calm, doubles and is calm again, with a group that
// takes so many records a second and commits every five seconds.
func spike(calm, high, service float64) *capacity.Run {
	stages := []capacity.Stage{
		{Name: "calm", From: calm, To: calm, For: 60, Measure: true},
		{Name: "up", From: calm, To: high, For: 10, Measure: true},
		{Name: "high", From: high, To: high, For: 120, Measure: true},
	}
	run := &capacity.Run{Manifest: capacity.Manifest{Start: midday, State: capacity.Complete, Loads: []capacity.Load{{
		Name: "views", Stages: stages,
		Operations: []capacity.Operation{{Name: "view", Kind: "kafka", Share: 1, Record: &capacity.Producer{Topic: "views"}}},
	}}}}
	const partitions = 3
	add := func(metric string, group bool, partition int, second int, v float64) {
		labels := map[string]string{"topic": "views", "partition": strconv.Itoa(partition)}
		if group {
			labels["group"] = "readers"
		}
		run.Series = append(run.Series, measure.Series{
			Source: measure.KafkaBroker, Metric: metric, Labels: labels, Statistic: "Last", Period: time.Second,
			Points: measure.PointsOf(measure.Point{At: midday.Add(time.Duration(second) * time.Second), Value: v}),
		})
	}
	var end, taken, committed float64
	rate := run.Manifest.Loads[0].PlannedRate()
	for s := range 190 {
		if s%5 == 0 {
			committed = taken
		}
		for p := range partitions {
			if s == 100 && p == 1 {
				continue // was not read
			}
			const n = partitions
			add(measure.KafkaEnd, false, p, s, end/n)
			add(measure.KafkaCommitted, true, p, s, committed/n)
			add(measure.KafkaLag, true, p, s, (end-committed)/n)
		}
		_, now := rate(float64(s))
		end += now
		taken = min(end, taken+service)
	}
	return run
}

// Growth, service rate and drain time of a spike are those of the arithmetic; a
// group that keeps up has none, and one that takes no more than the calm rate
// never drains.
func TestConsumers(t *testing.T) {
	for _, c := range []struct{ calm, high, service float64 }{{68, 135, 90}, {68, 135, 100}, {1000, 2000, 1500}, {68, 135, 68}, {68, 135, 200}} {
		a := capacity.Assess(spike(c.calm, c.high, c.service))
		all := a.Consumers
		if len(all) != 1 || all[0].Group != "readers" || all[0].Topic != "views" || len(all[0].Stages) != 2 {
			t.Fatalf("%+v", all)
		}
		got := all[0]
		high := got.Stages[1]
		near := func(what string, e *capacity.Estimate, want float64) {
			t.Helper()
			if e == nil || math.Abs(e.Value-want) > 0.03*c.high || e.Low > want+0.03*c.high || e.High < want-0.03*c.high {
				t.Errorf("%+v: %s is %+v, want %v", c, what, e, want)
			}
		}
		near("produced", high.Produced, c.high)
		near("consumed", high.Consumed, min(c.service, c.high))
		near("growth", high.Growth, max(0, c.high-c.service))
		if told := strings.Contains(a.FirstToBindReason, "; group readers falls behind at "); told != (c.service < c.high) {
			t.Errorf("%+v: the headline is %q", c, a.FirstToBindReason)
		}
		if c.service > c.high {
			if got.Service != nil || got.Drain != nil {
				t.Errorf("%+v: a group that keeps up takes %+v and drains in %+v", c, got.Service, got.Drain)
			}
			continue
		}
		near("service", got.Service, c.service)
		left := (c.high - c.service) * 120
		if got.Drain == nil || got.Drain.Lag < left || got.Drain.Lag > left+15*c.high || math.Abs(got.Drain.Rate/c.calm-1) > 0.03 {
			t.Fatalf("%+v: drain is %+v", c, got.Drain)
		}
		if c.service == c.calm {
			if got.Drain.Time != nil && *got.Drain.Time < 1000 {
				t.Errorf("%+v: drains in %v", c, *got.Drain.Time)
			}
			continue
		}
		want := got.Drain.Lag / (c.service - c.calm)
		if got.Drain.Time == nil || math.Abs(*got.Drain.Time/want-1) > 0.1 || *got.Drain.Low > want*1.1 || got.Drain.High != nil && *got.Drain.High < want*0.9 {
			t.Errorf("%+v: drain is %+v, want %v", c, got.Drain, want)
		}
	}
}

// A group that has committed only some of what it lags behind on, or whose offsets were
// set back, is said neither to keep up nor to fall behind.
func TestConsumersNotKnown(t *testing.T) {
	partly, back := spike(68, 135, 90), spike(68, 135, 90)
	partly.Series = slices.DeleteFunc(partly.Series, func(s measure.Series) bool { return s.Labels["group"] != "" && s.Labels["partition"] == "2" })
	for i := range back.Series {
		s := &back.Series[i]
		if at := s.Points.Slice()[0].At.Sub(midday); s.Metric == measure.KafkaCommitted && at > 100*time.Second && at < 103*time.Second {
			changePoints(s, func(_ int, p *measure.Point) { p.Value = 0 })
		}
	}
	for name, run := range map[string]*capacity.Run{"committed in part": partly, "set back": back} {
		a := capacity.Assess(run)
		high := func(c capacity.Consumer) capacity.ConsumerStage { return c.Stages[1] }
		for _, c := range a.Consumers {
			if h := high(c); c.Service != nil || c.Drain != nil || c.KeptUp() || h.Growth != nil || h.Consumed != nil || h.Produced == nil || h.SetBack != (name == "set back") || strings.Contains(a.FirstToBindReason, "falls behind") {
				t.Errorf("%s: %+v; %s", name, c, a.FirstToBindReason)
			}
		}
		if name == "set back" && len(a.Consumers) == 0 {
			t.Errorf("%s: the group is not told of", name)
		}
	}
	if c := capacity.Assess(spike(68, 135, 200)).Consumers[0]; !c.KeptUp() {
		t.Errorf("a group that keeps up: %+v", c)
	}
}

// A group drains as slowly as its hottest partition, not as fast as if its members
// helped each other; where that one's member takes less than arrives at the calm
// rate, no time is told, only the least that it can be.
func TestHotPartitionDrainsLast(t *testing.T) {
	const calm, high, at, whole = 80.0, 160.0, 60, 120
	for _, taken := range []float64{70, 45, 39.5} { // of the hot partition, while it waits
		run := &capacity.Run{Manifest: capacity.Manifest{Start: midday, State: capacity.Complete, Loads: []capacity.Load{{
			Name: "views", Stages: []capacity.Stage{
				{Name: "calm", From: calm, To: calm, For: at, Measure: true},
				{Name: "high", From: high, To: high, For: whole - at, Measure: true},
			},
			Operations: []capacity.Operation{{Name: "view", Kind: "kafka", Share: 1, Record: &capacity.Producer{Topic: "views"}}},
		}}}}
		var end, committed [3]float64
		var left float64
		for s := range whole {
			hot := committed[0]
			left = end[0] - hot
			for p, share := range []float64{0.5, 0.25, 0.25} {
				add := func(metric string, v float64) {
					labels := map[string]string{"topic": "views", "partition": strconv.Itoa(p)}
					if metric != measure.KafkaEnd {
						labels["group"] = "readers"
					}
					run.Series = append(run.Series, measure.Series{
						Source: measure.KafkaBroker, Metric: metric, Labels: labels, Statistic: "Last", Period: time.Second,
						Points: measure.PointsOf(measure.Point{At: midday.Add(time.Duration(s) * time.Second), Value: v}),
					})
				}
				add(measure.KafkaEnd, end[p])
				add(measure.KafkaCommitted, committed[p])
				add(measure.KafkaLag, end[p]-committed[p])
				rate := calm
				if s >= at {
					rate = high
				}
				end[p] += rate * share
				committed[p] = end[p]
			}
			committed[0] = min(end[0], hot+taken)
		}
		d := capacity.Assess(run).Consumers[0].Drain
		if d == nil || d.Partition != "0" || d.Low == nil || math.Abs(*d.Low/(d.Lag/(taken+high/2-calm))-1) > 0.02 {
			t.Fatalf("%v/s: %+v", taken, d)
		}
		if taken < calm/2 {
			if d.Time != nil || d.High != nil {
				t.Errorf("%v/s: a partition of which more arrives than is taken drains: %+v", taken, d)
			}
			continue
		}
		if want := left / (taken - calm/2); d.Time == nil || math.Abs(*d.Time/want-1) > 0.02 || *d.High < *d.Time || *d.Low > *d.Time {
			t.Errorf("%v/s: drain is %+v, want %v", taken, d, want)
		}
	}
}
