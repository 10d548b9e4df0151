package reports

import (
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

func TestConnections(t *testing.T) {
	start := time.Unix(1000, 0)
	run := &capacity.Run{Manifest: capacity.Manifest{Start: start}}
	add := func(load, metric, statistic string, values ...float64) {
		s := measure.Series{Source: measure.HTTPClient, Metric: metric, Statistic: statistic, Labels: map[string]string{"load": load}}
		for i, v := range values { // the first is from before the load
			s.Points.Add(measure.Point{At: start.Add(time.Duration(i-1) * time.Second), Value: v})
		}
		run.Series = append(run.Series, s)
	}
	add("viewers", measure.HTTPOpened, "Sum", 20, 3, 4)
	add("viewers", measure.HTTPClosed, "Sum", 0, 2, 1)
	add("viewers", measure.HTTPDead, "Sum", 0, 0, 1)
	add("viewers", measure.HTTPOpen, "Last", 20, 21, 24)
	add("viewers", measure.HTTPReused, "Sum", 0, 1000, 2000)
	add("viewers", measure.HTTPResets, "Sum", 0, 5, 0)
	add("viewers", measure.HTTPConnectTime, "SampleCount", 20, 3, 4)
	add("viewers", measure.HTTPConnectTime, "Sum", .2, .03, .31)
	add("viewers", measure.HTTPConnectTime, "Maximum", .012, .011, .3)
	add("viewers", measure.HTTPHandshakeTime, "SampleCount", 20, 3, 4)
	add("viewers", measure.HTTPHandshakeTime, "Sum", .4, .06, .08)
	add("viewers", measure.HTTPHandshakeTime, "Maximum", .05, .02, .02)
	add("viewers", measure.HTTPResumed, "Sum", 19, 3, 4)
	add("viewers", measure.HTTPUnreadable, "Sum", 0, 0, 7)
	add("plain", measure.HTTPOpened, "Sum", 1)

	var said []string
	for _, b := range connectionBlocks(run) {
		switch b := b.(type) {
		case Text:
			said = append(said, string(b))
		case *Table:
			for _, row := range b.Rows {
				var cells []string
				for _, c := range row {
					cells = append(cells, strings.TrimSpace(c.Text+" "+c.Sub))
				}
				said = append(said, strings.Join(cells, " | "))
			}
		}
	}
	got := strings.Join(said, "\n")
	for _, want := range []string{
		"viewers | 20 | 7 | 3 1 idle, by the server | 24 | 3,000 | 5 | 20.0 ms max 300 ms | 20.0 ms max 50.0 ms, 26 resumed | n/a",
		"plain | 1 | 0 | 0 | 0 | 0 | 0 | n/a | none | n/a",
		"7 answers of viewers had a token header that holds no whole number",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
	if connectionBlocks(&capacity.Run{}) != nil {
		t.Error("a run without HTTP says something of its connections")
	}
}
