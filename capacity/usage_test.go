package capacity_test

import (
	"slices"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// TestUsePerSecond: sums of minutes are spread over the seconds as requests were sent
// and not throttled, also where a run begins half a second before a minute's end, sends
// nothing in it, and the cloud tells of that minute.
func TestUsePerSecond(t *testing.T) {
	start := time.Date(2026, 11, 21, 9, 0, 59, 5e8, time.UTC)
	row := func(second int, sent, throttled int64, slots ...int) measure.Row {
		r := measure.Row{Second: second, Load: "l", Operation: "o", Measured: true, Planned: sent, Sent: sent, OK: sent - throttled, Throttled: throttled}
		for _, k := range slots {
			r.PlannedSlots[k], r.SentSlots[k] = sent/int64(len(slots)), sent/int64(len(slots))
		}
		return r
	}
	run := &capacity.Run{
		Manifest: capacity.Manifest{
			Kind: capacity.Measured, State: capacity.Complete, Start: start, Sandbox: true,
			Quotas: []capacity.Quota{{ID: "q", Kind: capacity.RateQuota, Limit: 100, Unit: "units", Period: "s"}},
		},
		Rows: measure.RowsOf(
			row(0, 40, 0, 6, 9),    // all of it in the second minute
			row(1, 80, 60, 0, 5),   // of which a quarter counts
			row(60, 30, 30, 1, 8),  // half in the second minute, half in the third, where all was refused
			row(100, 10, 10, 3, 4), // likewise
		),
		Series: []measure.Series{{
			Source: "cloudwatch", Metric: "Units", Quota: "q", Role: capacity.RoleUsage, Statistic: "Sum", Unit: "units", Period: time.Minute,
			Points: measure.PointsOf(
				measure.Point{At: start.Truncate(time.Minute), Value: 7},
				measure.Point{At: start.Truncate(time.Minute).Add(time.Minute), Value: 180},
				measure.Point{At: start.Truncate(time.Minute).Add(2 * time.Minute), Value: 50}),
		}},
	}
	want := make([]float64, 101)
	want[0], want[1], want[60], want[100] = 120, 60, 30, 20
	if got := capacity.UsePerSecond(run, "q"); !slices.Equal(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}
