package reports

import (
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

func TestProducedRecords(t *testing.T) {
	record := &capacity.Producer{Topic: "views", Key: "zipf over 1000", Value: "200 B", Acks: "all", Linger: 0.005, BatchBytes: 1_000_012, Compression: "none", Idempotence: true, BufferBytes: 256 << 20, MetadataAge: 0.25}
	run := &capacity.Run{Manifest: capacity.Manifest{End: time.Time{}.Add(10 * time.Second), Loads: []capacity.Load{{Operations: []capacity.Operation{{Name: "view", Kind: "kafka", Record: record}}}}}}
	add := func(metric string, labels map[string]string, values ...float64) {
		for _, v := range values {
			run.Series = append(run.Series, measure.Series{Source: measure.KafkaClient, Metric: metric, Labels: labels, Points: measure.PointsOf(measure.Point{Value: v})})
		}
	}
	add(measure.KafkaThrottles, map[string]string{"broker": "1"}, 0, 3, 4)
	add(measure.KafkaThrottleTime, map[string]string{"broker": "1"}, 0, 2.5, 1)
	add(measure.KafkaThrottles, map[string]string{"broker": "2"}, 0)
	add(measure.KafkaAcknowledged, map[string]string{"topic": "views", "partition": "0"}, 100, 50)
	add(measure.KafkaAcknowledged, map[string]string{"topic": "views", "partition": "1"}, 450)
	add(measure.KafkaWritten, map[string]string{"topic": "views", "partition": "1"}, 20_000, 10_000)

	var said []string
	for _, b := range producedBlocks(run) {
		switch b := b.(type) {
		case Text:
			said = append(said, string(b))
		case *Table:
			for _, row := range b.Rows {
				for _, c := range row {
					said = append(said, c.Text)
				}
			}
		}
	}
	got := strings.Join(said, "\n")
	for _, want := range []string{
		"linger 5.00 ms", "acks all", "compression none", "idempotent", "metadata again after 250 ms",
		"Broker 1 throttled 7 answers, for at most 2.50 s each", "1\n450\n75.0 %\n1.50x\n45.0 records/s\n3.00 KB/s", "0\n150\n25.0 %\n0.50x\n15.0 records/s\nn/a",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "Broker 2") {
		t.Errorf("a broker that throttled nothing is told of:\n%s", got)
	}
	if producedBlocks(&capacity.Run{}) != nil {
		t.Error("a run without Kafka says something of it")
	}
}

// Of a topic with more partitions than are listed, it is said what is left out.
func TestPartitionsLeftOut(t *testing.T) {
	counts := map[int]float64{}
	for p := range mostPartitions {
		counts[p] = 9
	}
	if got := skew("views", counts, nil, 10); len(got) != 1 {
		t.Errorf("nothing is left out, and it says %v", got[1:])
	}
	counts[mostPartitions], counts[mostPartitions+1] = 4, 6
	if got, want := skew("views", counts, nil, 10), Text("Not listed: 2 more partitions with 10.0 % of the records."); len(got) != 2 || got[1] != want {
		t.Errorf("it says %v, want %q behind the table", got[1:], want)
	}
}
