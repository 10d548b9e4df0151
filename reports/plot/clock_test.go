package plot

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// bothLoads is a minute of GraphQL and Kafka with a throttle, a lag and events.
func bothLoads() *capacity.Run {
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	stages := []capacity.Stage{{Name: "calm", From: 50, To: 50, For: 20, Measure: true}, {Name: "hold", From: 100, To: 100, For: 40, Measure: true}}
	run := &capacity.Run{Manifest: capacity.Manifest{Start: start, State: capacity.Complete, Loads: []capacity.Load{
		{Name: "viewers", Stages: stages, Operations: []capacity.Operation{{Name: "list", Kind: "graphql", Share: 1}}},
		{Name: "view-events", Stages: stages, Operations: []capacity.Operation{{Name: "view", Kind: "kafka", Share: 1}}},
	}}}
	rec := measure.NewRecorder([]measure.Operation{{Load: "viewers", Name: "list"}, {Load: "view-events", Name: "view"}}, 1)
	for s := range 60 {
		for i := range 50 + 50*min(s/20, 1) {
			for op := range 2 {
				at := time.Duration(s)*time.Second + time.Duration(i)*5*time.Millisecond
				took := time.Duration(10+90*op) * time.Millisecond
				rec.Plan(op, at, true)
				sample := measure.Sample{Op: op, Intended: at, Sent: at, Done: at + took, Outcome: measure.OK, Measured: true, Tokens: measure.NoTokens}
				rec.Record(0, &sample)
			}
		}
		win := rec.Flush(time.Duration(s+1) * time.Second)
		for _, iv := range win.Intervals {
			var d measure.Distribution
			d.Add(iv)
			run.Latency = append(run.Latency, d.Interval(iv.Load, iv.Operation, iv.Kind, iv.Start, iv.End))
		}
		for i := range win.Rows {
			run.Rows.Add(&win.Rows[i])
		}
	}
	add := func(source, metric string, labels map[string]string, value func(s int) float64) {
		one := measure.Series{Source: source, Metric: metric, Labels: labels, Period: time.Second}
		for s := range 60 {
			one.Points.Add(measure.Point{At: start.Add(time.Duration(s) * time.Second), Value: value(s)})
		}
		run.Series = append(run.Series, one)
	}
	add(measure.KafkaClient, measure.KafkaThrottleTime, map[string]string{"broker": "1"}, func(s int) float64 { return float64(max(0, s-30)) / 5 })
	add(measure.KafkaBroker, measure.KafkaLag, map[string]string{"group": "readers", "topic": "views", "partition": "0"}, func(s int) float64 { return float64(max(0, s-20)) * 30 })
	run.Events = []capacity.Event{
		{At: 0, Kind: "stage", Text: "calm"},
		{At: 33, Kind: "leader", Text: "view-events: partition 2 of views: leader 2 after 1"},
		{At: 34, Kind: "leader", Text: "view-events: partition 0 of views: leader 2 after 1"},
		{At: 45, Kind: "leader", Text: "view-events: partition 2 of views: leader 1 after 2"},
		{At: 46, For: 2.5, Kind: "broker", Text: "view-events: broker 1: no answer for 2.50 s"},
		{At: 47, Kind: "broker", Text: "view-events: broker 1: a connection was closed"},
	}
	return run
}

// TestClock: rates, response times, throttle time, lag and events of both loads are
// in one figure of one axis.
func TestClock(t *testing.T) {
	run := bothLoads()
	find := func(a capacity.Assessment) *Figure {
		figures := Figures(run, a)
		if i := slices.IndexFunc(figures, func(f Figure) bool { return f.Name == "clock" }); i >= 0 {
			return &figures[i]
		}
		return nil
	}
	f := find(capacity.Assessment{})
	if f == nil {
		t.Fatal("there is no figure of the clock")
	}
	for _, want := range []string{"rates of each load; median of their response times", "asked to wait", "groups were behind", "Marked: at 33.0 s view-events: partition 2 of views: leader 2 after 1, and 1 more within moments; at 46.0 s view-events: broker 1: no answer for 2.50 s, and 2 more within moments."} {
		if !strings.Contains(f.Caption, want) {
			t.Errorf("the caption lacks %q: %s", want, f.Caption)
		}
	}
	if !slices.Contains(f.chart.marks, mark(flag{red, 46, "no answer for 2.50 s", 48.5})) || !slices.Contains(f.chart.under[0].marks, mark(rule{red, 46, 48.5})) {
		t.Errorf("what lasted is not marked for as long: %+v", f.chart.marks)
	}
	svg, err := f.SVG()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"viewers offered", "view-events offered", "viewers p50", "view-events p50", "throttle time", "lag of readers on views", "leader change", "no answer for 2.50 s", "viewers: calm", "view-events: calm"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("the figure lacks %q", want)
		}
	}
	if n := bytes.Count(svg, []byte("time since the start")); n != 1 {
		t.Errorf("%d axes of time", n)
	}
	if f := find(capacity.Assessment{TimesWithheld: "requests were given up"}); strings.Contains(f.Caption, "p99") || !strings.Contains(f.Caption, "Response times are withheld: requests were given up.") {
		t.Errorf("of a run without times: %s", f.Caption)
	}
	// What it says of response times is what is drawn: so few answers earn no p99.
	few := run.Latency
	for p99, want := range map[bool]string{false: "; median of their response times;", true: "; median and p99 of their response times;"} {
		if run.Latency = few; p99 {
			run.Latency = slices.Repeat(few, 20)
		}
		f := find(capacity.Assessment{})
		svg, err := f.SVG()
		if err != nil || !strings.Contains(f.Caption, want) || bytes.Contains(svg, []byte("viewers p99")) != p99 {
			t.Errorf("the caption lacks %q, or isn't of what is drawn: %s, %v", want, f.Caption, err)
		}
	}
	run.Latency = few
	// A load that would be flat beside the other has an area of its own.
	areas := len(find(capacity.Assessment{}).chart.under)
	run.Rows.Edit(func(rows []measure.Row) []measure.Row {
		for i := range rows {
			if rows[i].Load == "view-events" {
				rows[i].Planned *= 20
			}
		}
		return rows
	})
	if f := find(capacity.Assessment{}); len(f.chart.under) != areas+1 || f.chart.y.max > 200 {
		t.Errorf("%d areas below an axis to %v, want %d below one of 100/s", len(f.chart.under), f.chart.y.max, areas+1)
	}
	run.Manifest.Loads = run.Manifest.Loads[:1]
	if f := find(capacity.Assessment{}); f != nil {
		t.Error("a run without Kafka has a figure of the clock")
	}
}
