package capacity

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Consumer is how a consumer group kept up with what was produced to a topic: its
// Lag in rates. Rates are records per second, times seconds.
type Consumer struct {
	Group  string          `json:"group"`
	Topic  string          `json:"topic"`
	Stages []ConsumerStage `json:"stages"`
	// Service is what the group takes while records wait for it; nil where none
	// waited in a stage of steady rate, so that it takes more than it was given.
	Service *Estimate `json:"service"`
	Drain   *Drain    `json:"drain"`
}

// ConsumerStage is a stage of steady rate. A rate is nil where it was read too
// rarely.
type ConsumerStage struct {
	Name     string    `json:"name"`
	From     float64   `json:"from"`
	To       float64   `json:"to"`
	Produced *Estimate `json:"produced"` // by all that produce to the topic
	Consumed *Estimate `json:"consumed"`
	Growth   *Estimate `json:"growth"` // of the lag
	// SetBack is whether the group's offsets went back in the stage, so that what it
	// has committed tells nothing of what it takes: Consumed and Growth are nil.
	SetBack bool `json:"set_back,omitempty"`
}

// waited reports whether records piled up in the stage, so that the group took as
// many as it could.
func (s ConsumerStage) waited() bool {
	return s.Growth != nil && s.Consumed != nil && s.Produced != nil && s.Growth.Low > 0 && s.Growth.Value >= waits*s.Produced.Value
}

// KeptUp reports whether the group was seen to keep up with every stage. Where it is
// false, and Service nil, nobody knows.
func (c Consumer) KeptUp() bool {
	return len(c.Stages) > 0 && !slices.ContainsFunc(c.Stages, func(s ConsumerStage) bool {
		return s.Growth == nil || s.Produced == nil || s.Growth.Value >= waits*s.Produced.Value
	})
}

// Behind returns the highest rate of a stage in which the group fell behind, in
// records per second; ok is false where it kept up with every stage.
func (c Consumer) Behind() (rate float64, ok bool) {
	for _, s := range c.Stages {
		if s.waited() {
			rate, ok = max(rate, s.Produced.Value), true
		}
	}
	return rate, ok
}

// behind says that the group can't keep up, which stops a launch though no quota
// does; "" of one that was not seen to fall behind.
func (c Consumer) behind() string {
	rate, ok := c.Behind()
	if !ok {
		return ""
	}
	perSecond := func(v float64) string { return unit.HumanRate(v, unit.Records) }
	return fmt.Sprintf("; group %s falls behind at %s of %s: it takes %s", c.Group, perSecond(rate), c.Topic, perSecond(c.Service.Value))
}

// Drain is how long a group takes to work off the lag that a spike left, at the
// rate that follows it. It ends with its slowest partition: a member whose
// partitions are worked off takes nothing of another's.
type Drain struct {
	At   float64 `json:"at"`  // when the spike ended
	Lag  float64 `json:"lag"` // that it left, in records
	Rate float64 `json:"rate"`
	// Time is how long Partition takes, the slowest, if its part of Rate arrives and
	// what is taken of it is what was in the spike; nil where that is no more than
	// arrives, or wasn't read. Partition is empty where none is slower than all
	// together.
	Time      *float64 `json:"time"`
	Partition string   `json:"partition"`
	// Low is as if no member ever waited for another, below which no drain is; nil
	// where the group takes no more than Rate. High is nil where it may never end.
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`
}

const (
	minLagPoints = 10  // readings that tell a rate
	maxLagPoints = 500 // of a stage that enter it
	// waits is how much of what is produced must stay behind, each second, for
	// the group to have no time to spare.
	waits = 0.02
)

// trace is a figure by when, in seconds of the run, it was read of every partition.
type trace struct{ at, value []float64 }

// kafkaTraces returns a broker's series of each of a topic's partitions.
func (a *analysis) kafkaTraces(metric, group, topic string) map[string]trace {
	of := map[string]trace{}
	for _, s := range a.run.Series {
		if s.Source != measure.KafkaBroker || s.Metric != metric || s.Labels["topic"] != topic || s.Labels["group"] != group {
			continue
		}
		t := of[s.Labels["partition"]]
		for p := range s.Points.All() {
			t.at, t.value = append(t.at, p.At.Sub(a.run.Manifest.Start).Seconds()), append(t.value, p.Value)
		}
		of[s.Labels["partition"]] = t
	}
	return of
}

// kafkaTrace adds up a broker's series over a topic's partitions. Readings that
// lack one are left out: of a group's, one that holds records of which the group
// has committed nothing.
func (a *analysis) kafkaTrace(metric, group, topic string) trace {
	sums, seen := map[float64]float64{}, map[float64]int{}
	partitions := a.kafkaTraces(metric, group, topic)
	all := len(partitions)
	for _, p := range partitions {
		for i, at := range p.at {
			sums[at] += p.value[i]
			seen[at]++
		}
	}
	if group != "" {
		for name, end := range a.kafkaTraces(measure.KafkaEnd, "", topic) {
			read, there := partitions[name]
			if !there {
				all++
			}
			for i, at := range end.at {
				if _, found := slices.BinarySearch(read.at, at); !found && end.value[i] == 0 {
					seen[at]++ // nothing was ever there to commit
				}
			}
		}
	}
	var t trace
	for _, at := range slices.Sorted(maps.Keys(sums)) {
		if seen[at] == all {
			t.at, t.value = append(t.at, at), append(t.value, sums[at])
		}
	}
	return t
}

// LagTrace returns the lag of an observed consumer group on a topic, in records,
// and when it was read, in seconds of the run. Readings that lack a partition are
// left out.
func LagTrace(run *Run, group, topic string) (at, lag []float64) {
	t := (&analysis{run: run}).kafkaTrace(measure.KafkaLag, group, topic)
	return t.at, t.value
}

// within returns the part of t that lies in [from, to).
func (t trace) within(from, to float64) trace {
	i, _ := slices.BinarySearch(t.at, from)
	j, _ := slices.BinarySearch(t.at, to)
	return trace{t.at[i:j], t.value[i:j]}
}

// falls reports whether t ever goes down.
func (t trace) falls() bool {
	for i := range t.value {
		if i > 0 && t.value[i] < t.value[i-1] {
			return true
		}
	}
	return false
}

// slope returns how fast t grows, by a robust line; nil where it was read too
// rarely.
func (t trace) slope() *Estimate {
	step := (len(t.at) + maxLagPoints - 1) / maxLagPoints
	var x, y []float64
	for i := 0; i < len(t.at); i += max(step, 1) {
		x, y = append(x, t.at[i]), append(y, t.value[i])
	}
	line, ok := stats.TheilSen(x, y)
	if !ok || len(x) < minLagPoints {
		return nil
	}
	return &Estimate{line.Slope, line.Low, line.High}
}

// groupTopic is a consumer group on a topic.
type groupTopic struct{ group, topic string }

// observedGroups returns the groups whose lag was read, with its topics, sorted.
func (a *analysis) observedGroups() []groupTopic {
	keys := map[groupTopic]bool{}
	for _, s := range a.run.Series {
		if s.Source == measure.KafkaBroker && s.Metric == measure.KafkaLag {
			keys[groupTopic{s.Labels["group"], s.Labels["topic"]}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(keys), func(x, y groupTopic) int {
		return cmp.Or(cmp.Compare(x.group, y.group), cmp.Compare(x.topic, y.topic))
	})
}

// consumers returns how the groups that were observed kept up, by group and topic.
func (a *analysis) consumers() (all []Consumer) {
	for _, k := range a.observedGroups() {
		lag := a.kafkaTrace(measure.KafkaLag, k.group, k.topic)
		if len(lag.at) == 0 {
			continue
		}
		c := Consumer{Group: k.group, Topic: k.topic, Stages: []ConsumerStage{}}
		a.keptUp(&c, lag)
		all = append(all, c)
	}
	return all
}

// keptUp sets how the group kept up in each stage of steady rate of the load that
// produces to the topic, what it takes, and how it drains.
func (a *analysis) keptUp(c *Consumer, lag trace) {
	i := slices.IndexFunc(a.run.Manifest.Loads, func(l Load) bool {
		return slices.ContainsFunc(l.Operations, func(o Operation) bool { return o.Record != nil && o.Record.Topic == c.Topic })
	})
	if i < 0 {
		return
	}
	produced, consumed := a.kafkaTrace(measure.KafkaEnd, "", c.Topic), a.kafkaTrace(measure.KafkaCommitted, c.Group, c.Topic)
	commits := a.kafkaTraces(measure.KafkaCommitted, c.Group, c.Topic)
	load := a.run.Manifest.Loads[i]
	calm := math.Inf(1) // the lowest rate that the load held
	var longest float64
	var spike *ConsumerStage
	at := load.Start
	for _, s := range load.Stages {
		from := at
		at += s.For
		if s.From != s.To || len(s.Points) > 0 {
			continue
		}
		stage := ConsumerStage{
			Name: s.Name, From: from, To: at,
			Produced: produced.within(from, at).slope(), Consumed: consumed.within(from, at).slope(), Growth: lag.within(from, at).slope(),
		}
		if stage.SetBack = slices.ContainsFunc(slices.Collect(maps.Values(commits)), func(t trace) bool { return t.within(from, at).falls() }); stage.SetBack {
			stage.Consumed, stage.Growth = nil, nil
		}
		c.Stages = append(c.Stages, stage)
		if stage.Produced != nil && s.To > 0 {
			calm = min(calm, stage.Produced.Value)
		}
		if !stage.waited() {
			continue
		}
		spike = &c.Stages[len(c.Stages)-1]
		if s.For > longest { // the surest reading of what it takes
			longest, c.Service = s.For, stage.Consumed
		}
	}
	if spike == nil {
		return
	}
	left := lag.within(math.Inf(-1), spike.To)
	c.Drain = &Drain{At: spike.To, Lag: left.value[len(left.value)-1], Rate: calm}
	c.Drain.Low = drains(c.Drain.Lag, c.Service.High, calm)
	a.slowest(c, spike)
}

// drains returns how long a lag lasts of which so many records a second are taken
// while others arrive; nil where it never ends.
func drains(lag, taken, arriving float64) *float64 {
	if taken <= arriving {
		return nil
	}
	return new(lag / (taken - arriving))
}

// slowest sets how long the drain lasts by the partition that takes longest to be
// worked off, with what is known least of any.
func (a *analysis) slowest(c *Consumer, spike *ConsumerStage) {
	d := c.Drain
	if d.Low == nil {
		return
	}
	ends, committed := a.kafkaTraces(measure.KafkaEnd, "", c.Topic), a.kafkaTraces(measure.KafkaCommitted, c.Group, c.Topic)
	grown := func(t trace) float64 { return t.value[len(t.value)-1] - t.value[0] }
	var produced float64
	for _, end := range ends {
		produced += grown(end)
	}
	d.Time, d.High = drains(d.Lag, c.Service.Value, d.Rate), drains(d.Lag, c.Service.Low, d.Rate)
	later := func(x, y *float64) bool { return y != nil && (x == nil || *x > *y) }
	lags := a.kafkaTraces(measure.KafkaLag, c.Group, c.Topic)
	for _, p := range slices.Sorted(maps.Keys(lags)) {
		left := lags[p].within(math.Inf(-1), spike.To)
		if len(left.value) == 0 || left.value[len(left.value)-1] == 0 {
			continue
		}
		var time, high *float64
		if taken := committed[p].within(spike.From, spike.To).slope(); taken != nil && len(ends[p].value) > 0 && produced > 0 {
			lag, arriving := left.value[len(left.value)-1], d.Rate*grown(ends[p])/produced
			time, high = drains(lag, taken.Value, arriving), drains(lag, taken.Low, arriving)
		}
		if later(time, d.Time) {
			d.Time, d.Partition = time, p
		}
		if later(high, d.High) {
			d.High = high
		}
	}
}
