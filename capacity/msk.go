package capacity

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Cluster is what CloudWatch says of the cluster of Amazon MSK that a run observed,
// in the UTC minutes that it touched. A figure that was not published is nil. Rates
// are taken for means of their minutes.
type Cluster struct {
	Name   string        `json:"name"`
	Parts  []ClusterPart `json:"parts"`
	Groups []ClusterLag  `json:"groups,omitempty"`
	// Taken is nil where there is no whole minute of the run to compare.
	Taken *Taken `json:"taken"`
}

// ClusterPart is a broker, or of a Serverless cluster a topic, with the highest of
// its minutes. Own is what this run's producers sent to the broker, whole requests
// included, in the highest of the same minutes.
type ClusterPart struct {
	Name            string   `json:"name"`             // "broker 1", "topic views"
	BytesIn         *float64 `json:"bytes_in"`         // per second
	Own             *float64 `json:"own_bytes_in"`     // per second
	BytesOut        *float64 `json:"bytes_out"`        // per second
	Records         *float64 `json:"records_in"`       // per second
	CPU             *float64 `json:"cpu"`              // user and system together, a fraction
	Connections     *float64 `json:"connections"`      // those between brokers included
	Partitions      *float64 `json:"partitions"`       // replicas included
	ProduceThrottle *float64 `json:"produce_throttle"` // in seconds
	RequestThrottle *float64 `json:"request_throttle"` // in seconds
}

// ClusterLag is how far a consumer group was behind on a topic, at most.
type ClusterLag struct {
	Group string   `json:"group"`
	Topic string   `json:"topic"`
	Max   *float64 `json:"max_records"` // of one partition
	Sum   *float64 `json:"sum_records"` // of all partitions
	Time  *float64 `json:"max_s"`       // estimated, in seconds
}

// Taken sets what the cluster took from its clients against what this run's
// producers sent, over whole minutes. Who sent the rest is foreign, and no part of
// the run's use.
type Taken struct {
	Minutes int `json:"minutes"`
	// Bytes are of record batches, as brokers count them, and OwnBytes of whole
	// requests, so that Bytes are the fewer where nobody else produces.
	Bytes      float64  `json:"bytes"`
	OwnBytes   float64  `json:"own_bytes"`
	Records    *float64 `json:"records"`
	OwnRecords float64  `json:"own_records"` // acknowledged
	// Foreign is what others sent to one part in a minute at most, in bytes per
	// second, and Part which that was: "" where the bytes show nobody else.
	Foreign float64 `json:"foreign"`
	Part    string  `json:"foreign_part,omitempty"`
}

// Others reports whether the brokers took more than this run's producers sent.
func (t *Taken) Others() bool {
	return t.Bytes > t.OwnBytes*(1+maxDifference) || t.Records != nil && *t.Records > t.OwnRecords*(1+maxDifference)
}

// Fewer reports whether they counted fewer records than they acknowledged to this
// run, so that the metrics are of another cluster, or not whole.
func (t *Taken) Fewer() bool {
	return t.Records != nil && *t.Records < t.OwnRecords*(1-maxDifference)
}

// clusterPart says which part of a cluster a series is of.
func clusterPart(s measure.Series) string {
	if id, ok := s.Labels[measure.MSKBroker]; ok {
		return "broker " + id
	}
	return "topic " + s.Labels[measure.MSKTopic]
}

// read returns the series that was read where w was wanted, without points where
// none came.
func (a *analysis) read(w measure.Series) measure.Series {
	i := slices.IndexFunc(a.run.Series, func(s measure.Series) bool {
		return s.Namespace == w.Namespace && s.Metric == w.Metric && s.Statistic == w.Statistic && maps.Equal(s.Labels, w.Labels)
	})
	if i < 0 {
		w.Points = measure.Points{}
		return w
	}
	return a.run.Series[i]
}

// clusterMinutes holds what was published of one part of a cluster, or of a consumer
// group's lag on a topic: the values of each metric by the beginning of their
// minutes.
type clusterMinutes struct {
	name, group, topic string
	of                 map[string]map[int64]float64
}

// clusterSeries returns what was asked for of the run's cluster, in that order, and
// the cluster's name: "" where the run observed none.
func (a *analysis) clusterSeries() (name string, parts, groups []clusterMinutes) {
	for _, w := range a.run.Manifest.Expected {
		if w.Namespace != measure.MSK {
			continue
		}
		name = w.Labels[measure.MSKCluster]
		to, m := &parts, clusterMinutes{name: clusterPart(w)}
		if group, ok := w.Labels[measure.MSKGroup]; ok {
			to, m = &groups, clusterMinutes{group: group, topic: w.Labels[measure.MSKTopic]}
		}
		i := slices.IndexFunc(*to, func(x clusterMinutes) bool { return x.name == m.name && x.group == m.group && x.topic == m.topic })
		if i < 0 {
			i, m.of = len(*to), map[string]map[int64]float64{}
			*to = append(*to, m)
		}
		values := map[int64]float64{}
		for p := range a.read(w).Points.All() {
			values[floorTo(p.At.UnixNano(), int64(time.Minute))] = p.Value
		}
		(*to)[i].of[w.Metric] = values
	}
	return name, parts, groups
}

// ClusterOf returns what CloudWatch says of the run's MSK cluster, or nil where the
// run observed none.
func ClusterOf(run *Run) *Cluster {
	a := &analysis{run: run}
	name, parts, groups := a.clusterSeries()
	if name == "" {
		return nil
	}
	c := &Cluster{Name: name, Parts: []ClusterPart{}}
	own, records := a.ownMinutes()
	if !a.readable() {
		own = nil // it would be of the part that is left
	}
	for _, m := range parts {
		p := ClusterPart{
			Name: m.name, BytesIn: most(m.of["BytesInPerSec"]), BytesOut: most(m.of["BytesOutPerSec"]), Records: most(m.of["MessagesInPerSec"]),
			CPU: most(both(m.of["CpuUser"], m.of["CpuSystem"])), Connections: most(m.of["ConnectionCount"]), Partitions: most(m.of["PartitionCount"]),
			ProduceThrottle: most(m.of["ProduceThrottleTime"]), RequestThrottle: most(m.of["RequestThrottleTime"]),
		}
		for at := range m.of["BytesInPerSec"] {
			if sent, ok := own[m.name][at]; ok && (p.Own == nil || sent/60 > *p.Own) {
				p.Own = new(sent / 60)
			}
		}
		c.Parts = append(c.Parts, p)
	}
	for _, m := range groups {
		c.Groups = append(c.Groups, ClusterLag{m.group, m.topic, most(m.of["MaxOffsetLag"]), most(m.of["SumOffsetLag"]), most(m.of["EstimatedMaxTimeLag"])})
	}
	if a.readable() {
		c.Taken = a.taken(parts, own, records)
	}
	return c
}

// taken compares the minutes of which every part has a point. A sandbox is idle
// before and after the run, so all its minutes count; elsewhere only those that lie
// wholly inside the run do.
func (a *analysis) taken(parts []clusterMinutes, own map[string]map[int64]float64, acknowledged map[int64]float64) *Taken {
	t := &Taken{}
	foreign := func(name string, rate float64) {
		if rate > t.Foreign {
			t.Foreign, t.Part = rate, name
		}
	}
	records, counted := 0.0, true
	start, end := a.run.Manifest.Start, a.run.Until()
	for from := start.Truncate(time.Minute); from.Before(end) && len(parts) > 0; from = from.Add(time.Minute) {
		at := from.UnixNano()
		if !a.run.Manifest.Sandbox && (from.Before(start) || from.Add(time.Minute).After(end)) ||
			slices.ContainsFunc(parts, func(m clusterMinutes) bool { _, ok := m.of["BytesInPerSec"][at]; return !ok }) {
			continue
		}
		var all, sent float64 // per second
		for _, m := range parts {
			in, ours := m.of["BytesInPerSec"][at], own[m.name][at]/60
			all, sent = all+in, sent+ours
			if m.isBroker() {
				foreign(m.name, in-ours)
			}
			n, ok := m.of["MessagesInPerSec"][at]
			records, counted = records+n*60, counted && ok
		}
		if !parts[0].isBroker() { // which bytes went to a topic isn't known, but they all went to these
			for _, bytes := range own {
				sent += bytes[at] / 60
			}
			foreign("the run's topics", all-sent)
		}
		t.Minutes++
		t.Bytes, t.OwnBytes, t.OwnRecords = t.Bytes+all*60, t.OwnBytes+sent*60, t.OwnRecords+acknowledged[at]
	}
	if t.Minutes == 0 {
		return nil
	}
	if counted {
		t.Records = &records
	}
	if t.Bytes <= t.OwnBytes*(1+maxDifference) {
		t.Foreign, t.Part = 0, ""
	}
	return t
}

func (m clusterMinutes) isBroker() bool { return strings.HasPrefix(m.name, "broker ") }

// ownMinutes returns by UTC minutes how many bytes the run's producers sent to each
// broker, and how many records were acknowledged. A second that a minute's end cuts
// in two is shared out evenly.
func (a *analysis) ownMinutes() (bytes map[string]map[int64]float64, records map[int64]float64) {
	bytes, records = map[string]map[int64]float64{}, map[int64]float64{}
	for _, s := range a.run.Series {
		if s.Source != measure.KafkaClient {
			continue
		}
		to := records
		switch s.Metric {
		case measure.KafkaProducedBytes:
			name := "broker " + s.Labels["broker"]
			if bytes[name] == nil {
				bytes[name] = map[int64]float64{}
			}
			to = bytes[name]
		case measure.KafkaAcknowledged:
		default:
			continue
		}
		for p := range s.Points.All() {
			from := p.At.UnixNano()
			minute := floorTo(from, int64(time.Minute))
			within := min(1, float64(minute+int64(time.Minute)-from)/float64(s.Period))
			to[minute] += p.Value * within
			if within < 1 {
				to[minute+int64(time.Minute)] += p.Value * (1 - within)
			}
		}
	}
	return bytes, records
}

// most returns the highest value, nil of none.
func most(values map[int64]float64) (highest *float64) {
	for _, v := range values {
		if highest == nil || v > *highest {
			highest = new(v)
		}
	}
	return highest
}

// both adds up two metrics in the minutes that both have.
func both(x, y map[int64]float64) map[int64]float64 {
	sums := map[int64]float64{}
	for at, v := range x {
		if w, ok := y[at]; ok {
			sums[at] = v + w
		}
	}
	return sums
}

// foreignNote says what others sent of what the limit q counts, beside the run, or
// "".
func (a *analysis) foreignNote(q Quota) string {
	if q.Unit != unit.Bytes || q.ID == measure.KafkaByteRate || q.Each == EachPartition {
		return ""
	}
	c := ClusterOf(a.run)
	if c == nil || c.Taken == nil || c.Taken.Part == "" {
		return ""
	}
	return fmt.Sprintf("others sent up to %s to %s in a minute, by CloudWatch: they use the limit too, and the figures are of this run alone",
		unit.HumanRate(c.Taken.Foreign, unit.Bytes), c.Taken.Part)
}
