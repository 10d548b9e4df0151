package fit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/fit"
	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// own is a run against an own server whose throughput follows the law, with the
// requests in flight rising from 1 to 56 in steps.
func own(u stats.USL, quotas ...capacity.Quota) *capacity.Run {
	run := &capacity.Run{Manifest: capacity.Manifest{
		ID: "own", Kind: capacity.Imported, State: capacity.Complete, Start: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), Quotas: quotas,
		Loads: []capacity.Load{{Name: "users", Arrivals: "uniform", Operations: []capacity.Operation{{Name: "get", Kind: "graphql", Share: 1}}}},
	}}
	response := new(measure.Distribution)
	for s := range 60 {
		flying := float64(1 + s/5*5) // steps of five seconds
		n := int64(u.At(flying))
		row := measure.Row{Second: s, Load: "users", Operation: "get", Measured: true, Planned: n, Sent: n, OK: n, InFlight: flying}
		for k := range row.SentSlots {
			row.SentSlots[k] = n / 10
		}
		row.SentSlots[0] += n % 10
		row.PlannedSlots = row.SentSlots
		run.Rows.Add(&row)
		run.Manifest.Loads[0].Planned += n
		run.Manifest.Loads[0].Stages = append(run.Manifest.Loads[0].Stages, capacity.Stage{From: float64(n), To: float64(n), For: 1, Measure: true})
		for range n {
			response.Record(int64(1e6 * flying / float64(n)))
		}
	}
	run.Manifest.End = run.Manifest.Start.Add(time.Minute)
	for _, kind := range []string{measure.ResponseTimes, measure.ServiceTimes} {
		run.Latency = append(run.Latency, response.Interval("users", "get", kind, 0, time.Minute))
	}
	lag := new(measure.Distribution)
	lag.Record(1)
	run.Latency = append(run.Latency, lag.Interval("users", "get", measure.Lags, 0, time.Minute))
	return run
}

// The curve of an own server is told with its peak; where there are quotas, which
// clip, nothing is said of a curve.
func TestCurve(t *testing.T) {
	f, err := fit.Runs([]*capacity.Run{own(stats.USL{Alpha: 0.02, Beta: 0.001, Gamma: 1000})}, "own")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Universal Scalability Law", "contention 0.02", "coherency 0.001", "most at 31.", "and less beyond"} {
		if !strings.Contains(string(f.Text), want) {
			t.Errorf("nothing of %q in\n%s", want, f.Text)
		}
	}
	f, err = fit.Runs([]*capacity.Run{own(stats.USL{Alpha: 0.05, Gamma: 1000})}, "own")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(f.Text), "no sign of falling again") {
		t.Errorf("\n%s", f.Text)
	}
	f, err = fit.Runs([]*capacity.Run{own(stats.USL{Alpha: 0.02, Beta: 0.001, Gamma: 1000}, capacity.Quota{ID: "x.y", Kind: capacity.RateQuota, Limit: 1e9, Unit: "ops"})}, "own")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(f.Text), "Scalability") {
		t.Errorf("a curve beside a quota:\n%s", f.Text)
	}
}
