package reports

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// TestClusterBlocks: what CloudWatch published stands beside the run's own bytes,
// what it didn't is n/a, what wasn't asked for has no column, and others' use is
// told apart.
func TestClusterBlocks(t *testing.T) {
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	run := &capacity.Run{Manifest: capacity.Manifest{Start: start, End: start.Add(2 * time.Minute)}}
	published := func(metric string, labels map[string]string, values ...float64) {
		labels[measure.MSKCluster] = "shop"
		s := measure.Series{Source: "cloudwatch", Namespace: measure.MSK, Metric: metric, Labels: labels, Statistic: "Average", Period: time.Minute}
		run.Manifest.Expected = append(run.Manifest.Expected, s)
		for i, v := range values {
			s.Points.Add(measure.Point{At: start.Add(time.Duration(i) * time.Minute), Value: v})
		}
		run.Series = append(run.Series, s)
	}
	broker := func() map[string]string { return map[string]string{measure.MSKBroker: "1"} }
	for metric, value := range map[string]float64{measure.KafkaProducedBytes: 1000, measure.KafkaAcknowledged: 10} {
		s := measure.Series{Source: measure.KafkaClient, Metric: metric, Labels: map[string]string{"broker": "1", "topic": "views", "partition": "0"}, Period: time.Second}
		for i := range 120 {
			s.Points.Add(measure.Point{At: start.Add(time.Duration(i) * time.Second), Value: value})
		}
		run.Series = append(run.Series, s)
	}
	text := func() string {
		var b bytes.Buffer
		r := Report{Sections: []Section{{Title: "MSK", Blocks: clusterBlocks(run)}}}
		if err := r.Markdown(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if clusterBlocks(run) != nil {
		t.Error("a run without a cluster has something to say of one")
	}

	published("BytesInPerSec", broker(), 900, 2900)
	published("CpuUser", broker(), 40, 60)
	published("CpuSystem", broker(), 5, 10)
	published("ConnectionCount", broker())
	published("MaxOffsetLag", map[string]string{measure.MSKGroup: "slow", measure.MSKTopic: "views"}, 12, 1234)
	for i := range run.Series {
		if strings.HasPrefix(run.Series[i].Metric, "Cpu") { // as the collector keeps it
			run.Series[i].Points.Edit(func(points []measure.Point) []measure.Point {
				for k := range points {
					points[k].Value /= 100
				}
				return points
			})
		}
	}
	got := text()
	for _, want := range []string{
		"| part | of ours | bytes in | CPU | connections |", "| broker 1 | 1.00 KB/s | 2.90 KB/s | 70.0 %", "| n/a", "below 60 %",
		"| slow | views | 1,234 |",
		"In 2 whole minutes the cluster took 228 KB from its clients by CloudWatch, while this run's producers sent 120 KB, requests and all: others used it too, with up to 1.90 KB/s of broker 1 in a minute, which is no part of this run's use.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the report lacks %q:\n%s", want, got)
		}
	}

	published("MessagesInPerSec", broker(), 1, 2)
	if got := text(); !strings.Contains(got, "or shop is not the name of the cluster that the run produced to.") {
		t.Errorf("fewer records than were acknowledged:\n%s", got)
	}
	run.Manifest.End = start.Add(59 * time.Second)
	if got := text(); !strings.Contains(got, "No whole minute of the run") {
		t.Errorf("no whole minute:\n%s", got)
	}
}
