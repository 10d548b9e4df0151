package reports

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

func TestDeadAddresses(t *testing.T) {
	start := time.Unix(1000, 0)
	run := &capacity.Run{Manifest: capacity.Manifest{Start: start}}
	add := func(load, address, reason string, values ...float64) {
		s := measure.Series{Source: measure.HTTPClient, Metric: measure.HTTPAddressOpened, Statistic: "Sum", Labels: map[string]string{"load": load, "address": address}}
		if reason != "" {
			s.Metric, s.Labels["reason"] = measure.HTTPAddressFailed, reason
		}
		for i, v := range values {
			s.Points.Add(measure.Point{At: start.Add(time.Duration(i) * time.Second), Value: v})
		}
		run.Series = append(run.Series, s)
	}
	add("viewers", "192.0.2.1:443", "", 10, 20)
	add("viewers", "192.0.2.2:443", "", 10, 21)
	add("viewers", "192.0.2.3:443", "connection timed out", 0, 0, 1)
	add("viewers", "192.0.2.3:443", "connection refused", 2)
	add("viewers", "192.0.2.4:443", "", 5)
	add("viewers", "192.0.2.4:443", "connection timed out", 1)
	add("one", "192.0.2.9:443", "", 7) // nothing to tell
	add("spread", "192.0.2.1:443", "", 3)
	add("spread", "192.0.2.2:443", "", 4)

	texts := func(run *capacity.Run) string {
		var said []string
		for _, b := range addressBlocks(run) {
			if table, ok := b.(*Table); ok {
				for _, row := range table.Rows {
					var cells []string
					for _, c := range row {
						cells = append(cells, c.Text)
					}
					said = append(said, strings.Join(cells, "|"))
				}
			}
		}
		return strings.Join(said, "\n")
	}
	const want = `spread|192.0.2.2:443|4|0||
spread|192.0.2.1:443|3|0||
viewers|192.0.2.3:443|0|3|connection refused, connection timed out|2.00 s
viewers|192.0.2.4:443|5|1|connection timed out|0 s
viewers|192.0.2.2:443|31|0||
viewers|192.0.2.1:443|30|0||`
	if got := texts(run); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	const note = "note: 1 of 4 addresses of the target of viewers answered no connection: 192.0.2.3:443 (connection refused, connection timed out)"
	if lines := banner(run, capacity.Assessment{}).Lines; len(lines) == 0 || lines[len(lines)-1] != note {
		t.Errorf("got %q", lines)
	}

	whole := &capacity.Run{Manifest: run.Manifest, Series: run.Series[len(run.Series)-3:]}
	if got := texts(whole); got != "spread|192.0.2.2:443|4\nspread|192.0.2.1:443|3" || len(deadAddresses(whole)) > 0 {
		t.Errorf("got %s", got)
	}
	run.Series = nil
	for i := range 14 {
		add("many", fmt.Sprintf("192.0.2.%d:443", i+10), "", float64(i+1))
	}
	if got := texts(run); !strings.HasPrefix(got, "many|192.0.2.23:443|14") || !strings.HasSuffix(got, "many|4 others|10") {
		t.Errorf("got\n%s", got)
	}
}
