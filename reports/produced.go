package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// producedBlocks says of Kafka operations how their records were produced, which
// shapes their response times, how brokers throttled them, and how they fell on
// partitions.
func producedBlocks(run *capacity.Run) (blocks []Block) {
	for _, l := range run.Manifest.Loads {
		for _, op := range l.Operations {
			if op.Record != nil {
				blocks = append(blocks, Text(op.Name+" was produced to "+op.Record.String()+". Its response time ends with the acknowledgement, and includes the linger."))
			}
		}
	}
	if blocks == nil {
		return nil
	}
	throttles, longest := map[string]float64{}, map[string]float64{}
	partitions := map[string]map[int]float64{}
	for _, s := range run.Series {
		if s.Source != measure.KafkaClient {
			continue
		}
		for p := range s.Points.All() {
			switch s.Metric {
			case measure.KafkaThrottles:
				throttles[s.Labels["broker"]] += p.Value
			case measure.KafkaThrottleTime:
				longest[s.Labels["broker"]] = max(longest[s.Labels["broker"]], p.Value)
			case measure.KafkaAcknowledged:
				topic := s.Labels["topic"]
				if partitions[topic] == nil {
					partitions[topic] = map[int]float64{}
				}
				if n, err := strconv.Atoi(s.Labels["partition"]); err == nil {
					partitions[topic][n] += p.Value
				}
			}
		}
	}
	for _, broker := range slices.Sorted(maps.Keys(throttles)) {
		if throttles[broker] > 0 {
			blocks = append(blocks, Text(fmt.Sprintf("Broker %s throttled %.0f answers, for at most %s each: the time belongs to its quota, and the records are ok.",
				broker, throttles[broker], unit.HumanSeconds(longest[broker]))))
		}
	}
	rates, seconds := capacity.KafkaRates(run)
	for _, broker := range slices.Sorted(maps.Keys(throttles)) {
		if r := rates["broker "+broker]; r.Bytes != nil && r.Requests != nil {
			blocks = append(blocks, Text(fmt.Sprintf("Broker %s took at most %s in %s, as means of %d s.", broker,
				unit.HumanRate(*r.Bytes, unit.Bytes), unit.HumanRate(*r.Requests, unit.Requests), seconds)))
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(partitions)) {
		blocks = append(blocks, skew(topic, partitions[topic], rates, seconds)...)
	}
	return blocks
}

// mostPartitions is how many partitions of a topic a report lists.
const mostPartitions = 10

// skew tells how acknowledged records fell on the partitions of a topic, of which it
// lists the fullest, with rates that are means of so many seconds.
func skew(topic string, counts map[int]float64, rates map[string]capacity.KafkaRate, seconds int) []Block {
	var sum float64
	for _, n := range counts {
		sum += n
	}
	if sum == 0 {
		return []Block{Text("No record of " + topic + " was acknowledged.")}
	}
	mean := sum / float64(len(counts))
	order := slices.SortedFunc(maps.Keys(counts), func(x, y int) int { return cmp.Or(cmp.Compare(counts[y], counts[x]), cmp.Compare(x, y)) })
	t := &Table{
		Caption: fmt.Sprintf("Acknowledged records of %s by partition; at most are means of %d s", topic, seconds),
		Columns: []Column{{"partition", false}, {"records", true}, {"share", true}, {"of the mean", true}, {"records at most", true}, {"bytes at most", true}},
	}
	for _, p := range order[:min(len(order), mostPartitions)] {
		row := []Cell{{Text: strconv.Itoa(p)}, {Text: whole(int64(counts[p]))}, {Text: unit.HumanShare(counts[p] / sum)}, {Text: fmt.Sprintf("%.2fx", counts[p]/mean)}}
		r := rates[fmt.Sprintf("partition %d of %s", p, topic)]
		for _, v := range []struct {
			rate  *float64
			thing string
		}{{r.Records, unit.Records}, {r.Bytes, unit.Bytes}} {
			if v.rate == nil {
				row = append(row, t.missing("the record doesn't hold it"))
				continue
			}
			row = append(row, Cell{Text: unit.HumanRate(*v.rate, v.thing)})
		}
		t.Rows = append(t.Rows, row)
	}
	if len(order) <= mostPartitions {
		return []Block{t}
	}
	var rest float64
	for _, p := range order[mostPartitions:] {
		rest += counts[p]
	}
	return []Block{t, Text(fmt.Sprintf("Not listed: %s with %s of the records.", plural(len(order)-mostPartitions, "more partition", "more partitions"), unit.HumanShare(rest/sum)))}
}
