package reports

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// TestBrokerBlocks: lag is told where it is known, and what isn't is no zero.
func TestBrokerBlocks(t *testing.T) {
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	run := &capacity.Run{Manifest: capacity.Manifest{Start: start}, Events: []capacity.Event{
		{Kind: capacity.ClientQuotas, Text: "The brokers have in force for client id headroom: no producer_byte_rate"},
		{At: 3, Kind: capacity.BrokerFault, Text: "group slow has committed nothing of topic plays"},
	}}
	for s, lag := range []float64{40, 1234, 17} {
		for _, metric := range []string{measure.KafkaEnd, measure.KafkaLag} {
			labels := map[string]string{"topic": "views", "partition": "0"}
			if metric == measure.KafkaLag {
				labels["group"] = "slow"
			}
			run.Series = append(run.Series, measure.Series{
				Source: measure.KafkaBroker, Metric: metric, Labels: labels,
				Points: measure.PointsOf(measure.Point{At: start.Add(time.Duration(s) * time.Second), Value: lag}),
			})
		}
	}
	var b bytes.Buffer
	r := Report{Sections: []Section{{Title: "Brokers", Blocks: brokerBlocks(run)}}}
	if err := r.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| slow | views | 1,234 | 1.00 s | n/a", "| 17", "headroom: no producer", "3.00 s into the run, of the brokers: group slow has committed nothing of topic plays.",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %s:\n%s", strconv.Quote(want), b.String())
		}
	}
	if brokerBlocks(&capacity.Run{}) != nil {
		t.Error("a run without brokers has something to say of them")
	}
}

// A broker that fell silent is told in words, with how long, in the order of time;
// of many events it is said how many there are.
func TestBrokerEvents(t *testing.T) {
	run := &capacity.Run{Events: []capacity.Event{
		{At: 9, Kind: "leader", Text: "views: partition 2 of views: leader 2 after 1"},
		{At: 7, For: 2, Kind: "broker", Text: "views: broker 1: no answer for 2.00 s"},
		{At: 8, Kind: "stage", Text: "calm"},
	}}
	var b bytes.Buffer
	r := Report{Sections: []Section{{Title: "Brokers", Blocks: brokerBlocks(run)}}}
	if err := r.Text(&b, Options{}); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(strings.Fields(b.String()), " ")
	if want := "7.00 s 9.00 s views: broker 1: no answer for 2.00 s 9.00 s views: partition 2 of views: leader 2 after 1"; !strings.Contains(said, want) {
		t.Errorf("the report lacks %q:\n%s", want, b.String())
	}
	if strings.Contains(said, "calm") {
		t.Errorf("a stage is an event of the brokers:\n%s", b.String())
	}
	for range mostEvents {
		run.Events = append(run.Events, run.Events[0])
	}
	if got := happened(run); len(got.Rows) != mostEvents || !strings.Contains(got.Caption, "the first 10 of 12 events") {
		t.Errorf("%d rows below %q", len(got.Rows), got.Caption)
	}
}
