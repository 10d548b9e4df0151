package capacity

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Kinds of events that tell of Kafka brokers.
const (
	ClientQuotas = "client-quotas" // which of them brokers have in force, or why that isn't known
	BrokerFault  = "broker-fault"  // what could not be read, and why
)

// offsets is what happened to one partition: how many records were acknowledged,
// and by how many its end moved.
type offsets struct {
	topic        string
	partition    int
	acknowledged int64
	grown        int64
	back         bool // whether its end was once seen further on than later
}

// offsets sets what the drivers had acknowledged against where the brokers say
// that partitions ended before the load and after it. why says what is missing
// for that, or "".
func (a *analysis) offsets() (all []offsets, why string) {
	type key struct {
		topic, partition string
	}
	m, end := &a.run.Manifest, a.run.Until()
	acknowledged := map[key]float64{}
	before, after, furthest := map[key]float64{}, map[key]float64{}, map[key]float64{}
	back := map[key]bool{}
	seen := false
	for _, s := range a.run.Series {
		k := key{s.Labels["topic"], s.Labels["partition"]}
		for p := range s.Points.All() {
			if s.Source == measure.KafkaBroker && s.Metric == measure.KafkaEnd {
				back[k] = back[k] || p.Value < furthest[k]
				furthest[k] = max(furthest[k], p.Value)
			}
			switch {
			case s.Source == measure.KafkaClient && s.Metric == measure.KafkaAcknowledged:
				acknowledged[k] += p.Value
			case s.Source != measure.KafkaBroker || s.Metric != measure.KafkaEnd:
			case !p.At.After(m.Start): // the last one counts
				before[k], seen = p.Value, true
			case !p.At.Before(end):
				after[k], seen = p.Value, true
			default:
				seen = true
			}
		}
	}
	if !seen {
		return nil, "no end offsets were read from brokers"
	}
	for k, n := range acknowledged {
		if _, there := before[k]; !there && n > 0 {
			return nil, fmt.Sprintf("the end of partition %s of %s was not read before the load", k.partition, k.topic)
		}
	}
	for k, from := range before {
		to, there := after[k]
		if !there {
			return nil, fmt.Sprintf("the end of partition %s of %s was not read after the load", k.partition, k.topic)
		}
		id, err := strconv.Atoi(k.partition)
		if err != nil {
			continue
		}
		all = append(all, offsets{k.topic, id, int64(acknowledged[k]), int64(to - from), back[k]})
	}
	slices.SortFunc(all, func(x, y offsets) int {
		return cmp.Or(cmp.Compare(x.topic, y.topic), cmp.Compare(x.partition, y.partition))
	})
	return all, ""
}

// ofBrokers reports whether q limits what a Kafka cluster has, and not what it is
// sent: partitions or connections, of which load takes no more with its rate.
func (q Quota) ofBrokers() bool { return q.service() == "kafka" && q.Kind == FixedQuota }

// left says how much of such a limit is left beside what was seen at most.
func (q Quota) left(most *float64) string {
	amount := func(v float64) string {
		text := count(int64(math.Round(v))) + " " + q.Unit
		if q.Period != "" {
			text += "/" + q.Period
		}
		return text
	}
	switch {
	case most == nil:
		return "how much of it is left is not known"
	case *most > q.Limit:
		return amount(*most-q.Limit) + " too many are there"
	}
	return amount(q.Limit-*most) + " are left"
}

// brokersPeak returns the most that a broker has, or the cluster as a whole where the
// limit is its own, of what q limits: by what brokers and this run's clients tell, and
// by CloudWatch, of which the higher counts. What the one leaves out, such as topics
// that this client may not see or connections of others, the other has.
func (a *analysis) brokersPeak(q Quota) (p peak, ok bool) {
	for _, s := range a.run.Series {
		id, isBroker := s.Labels["broker"]
		var source, note string
		switch {
		case q.Unit == unit.Partitions && s.Source == measure.KafkaBroker && s.Metric == measure.KafkaPartitions:
			source, note = "by metadata", "partitions are counted of the topics that this client may see"
		case q.Unit == unit.Connections && s.Source == measure.KafkaClient && s.Metric == measure.KafkaConnections && q.Period == "":
			source = "of this run's clients"
		case q.Unit == unit.Connections && s.Source == measure.KafkaClient && s.Metric == measure.KafkaNewConnections && q.Period != "":
			source = "in a second, of this run's clients"
		case s.Namespace == measure.MSK && (q.Unit == unit.Partitions && s.Metric == "PartitionCount" || q.Unit == unit.Connections && q.Period == "" && s.Metric == "ClientConnectionCount"):
			source = "by CloudWatch"
			id, isBroker = s.Labels[measure.MSKBroker]
		}
		if source == "" || isBroker != (q.Each == EachBroker) {
			continue
		}
		if isBroker {
			source += ", of broker " + id
		}
		for point := range s.Points.All() {
			if !ok || point.Value > p.value {
				p, ok = peak{value: point.Value, at: max(0, point.At.Sub(a.run.Manifest.Start).Seconds()), resolution: source}, true
				if note != "" {
					p.notes = []string{note}
				}
			}
		}
	}
	return p, ok
}

// brokerOffsets compares the records that brokers acknowledged with those that
// they hold: by partition, the end offset after the load less that before it.
func (a *analysis) brokerOffsets() Check {
	c := Check{
		Name: CheckBrokerOffsets, Status: NotApplicable, Blames: Invalid,
		Bound: "end offsets grow by the acknowledged records, partition by partition",
		Hint:  "acknowledged records are not there: keep the record and report it as a fault of headroom, unless the topic was deleted or a leader lost data",
	}
	var unknown int64 // records that may be there or not
	leader, doubles := false, false
	for _, l := range a.run.Manifest.Loads {
		for _, op := range l.Operations {
			if op.Record == nil {
				continue
			}
			leader = leader || op.Record.Acks != "all"
			doubles = doubles || !op.Record.Idempotence
			if o := a.by[measure.Operation{Load: l.Name, Name: op.Name}]; o != nil {
				unknown += o.all.TimedOut + o.all.Failed + o.all.Unclassified + o.all.Unfinished
			}
		}
	}
	if !a.readable() {
		c.Value = "the record is not whole"
		return c
	}
	all, why := a.offsets()
	if why != "" {
		c.Value = why
		return c
	}
	var acknowledged, grown, lost, excess int64
	worst, back := "", ""
	for _, o := range all {
		if o.back && back == "" {
			back = fmt.Sprintf("partition %d of %s", o.partition, o.topic)
		}
		acknowledged += o.acknowledged
		grown += o.grown
		if missing := o.acknowledged - o.grown; missing > 0 {
			lost += missing
			worst = fmt.Sprintf("partition %d of %s grew by %s of %s", o.partition, o.topic, count(o.grown), count(o.acknowledged))
		} else {
			excess -= missing
		}
	}
	ends := "the end offset of 1 partition"
	if len(all) != 1 {
		ends = fmt.Sprintf("end offsets of %d partitions", len(all))
	}
	both := fmt.Sprintf("%s acknowledged, %s grew by %s", count(acknowledged), ends, count(grown))
	switch {
	case lost > 0:
		c.Status, c.Value = CheckFailed, fmt.Sprintf("%s: %s acknowledged records are missing (%s)", both, count(lost), worst)
		switch {
		case back != "":
			c.Blames = Inconclusive
			c.Value += ", and the end of " + back + " went back"
			c.Hint = "the topic was deleted and made anew while the load went on, or its leader lost records: repeat the run, and leave its topics alone"
		case leader:
			c.Blames = Inconclusive
			c.Hint = "with acks: leader a record is lost where its leader fails before the followers have it: use acks: all"
		}
	case excess == 0:
		c.Status, c.Value = Passed, both
	case excess <= unknown:
		c.Status, c.Value = Passed, fmt.Sprintf("%s: of %s records nobody knows whether they were written, and %s may be among them", both, count(unknown), count(excess))
	default:
		c.Value = fmt.Sprintf("%s: others produced to the topic", both)
		if doubles {
			c.Value += ", or records were written twice, which idempotence: false allows"
		}
		if unknown > 0 {
			c.Value += fmt.Sprintf("; of %s records of the run nobody knows whether they were written", count(unknown))
		}
		c.Value += "; so a lost record would not show"
	}
	return c
}

// Lag is how far a consumer group was behind on a topic in a run.
type Lag struct {
	Group string `json:"group"`
	Topic string `json:"topic"`
	// Max and End are records behind, over all partitions: at most, at which
	// second of the run, and at the last reading, which may lie after the load.
	// They are nil where fewer than half of the readings had all partitions that hold
	// records: of what a group has never committed, its lag is not known.
	Max   *float64 `json:"max_records"`
	MaxAt *float64 `json:"max_at"`
	End   *float64 `json:"end_records"`
	// MaxTime and EndTime are seconds behind. Nil: not known, of MaxTime at any
	// reading of the lag.
	MaxTime *float64 `json:"max_s"`
	EndTime *float64 `json:"end_s"`
	EndAt   *float64 `json:"end_at"`
	// Readings is how many of the readings of the topic's end had the group's lag.
	Readings int `json:"readings"`
	Of       int `json:"of"`
}

// Lags returns how far consumer groups were behind, sorted by group and topic.
func Lags(run *Run) (all []Lag) {
	a := &analysis{run: run}
	for _, k := range a.observedGroups() {
		lag := a.kafkaTrace(measure.KafkaLag, k.group, k.topic)
		times := a.kafkaTraces(measure.KafkaLagTime, k.group, k.topic)[""] // of the whole topic
		l := Lag{Group: k.group, Topic: k.topic, Readings: len(lag.at), Of: len(a.kafkaTrace(measure.KafkaEnd, "", k.topic).at)}
		if 2*l.Readings < l.Of {
			all = append(all, l)
			continue
		}
		for i, v := range lag.value {
			if l.Max == nil || v > *l.Max {
				l.Max, l.MaxAt = new(v), new(lag.at[i])
			}
			l.End, l.EndAt = new(v), new(lag.at[i])
		}
		timed := 0
		for i, v := range times.value {
			if _, of := slices.BinarySearch(lag.at, times.at[i]); of {
				timed++
			}
			if l.MaxTime == nil || v > *l.MaxTime {
				l.MaxTime = new(v)
			}
			if l.EndAt != nil && times.at[i] == *l.EndAt {
				l.EndTime = new(v)
			}
		}
		if timed < l.Readings {
			l.MaxTime = nil
		}
		all = append(all, l)
	}
	return all
}
