package capacity

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// records is a run of n seconds of 100 records/s, acknowledged in halves on two
// partitions whose ends were 1,000 and 0 before.
func records(n int) *Run {
	r := &Run{Manifest: Manifest{
		Kind: Measured, State: Complete, Start: noon, End: noon.Add(time.Duration(n) * time.Second),
		Loads: []Load{{Name: "views", Arrivals: "uniform", Planned: int64(100 * n), Operations: []Operation{
			{Name: "view", Kind: "kafka", Share: 1, Record: &Producer{Topic: "views", Acks: "all", Idempotence: true}},
		}, Stages: []Stage{{Name: "steady", From: 100, To: 100, For: float64(n), Measure: true}}}},
	}}
	for s := range n {
		r.Rows.Add(&measure.Row{Second: s, Load: "views", Operation: "view", Measured: true, Planned: 100, Sent: 100, OK: 100})
		at := noon.Add(time.Duration(s) * time.Second).Add(time.Duration(s%7) * time.Millisecond) // no tick is on time
		for p := range 2 {
			r.add(measure.KafkaClient, measure.KafkaAcknowledged, map[string]string{"topic": "views", "partition": strconv.Itoa(p), "load": "views"}, at, 50)
		}
	}
	for p, from := range []float64{1000, 0} {
		of := map[string]string{"topic": "views", "partition": strconv.Itoa(p)}
		r.add(measure.KafkaBroker, measure.KafkaEnd, of, noon.Add(-200*time.Millisecond), from)
		r.add(measure.KafkaBroker, measure.KafkaEnd, of, r.Manifest.End.Add(-500*time.Millisecond), from+50*float64(n)-20)
		r.add(measure.KafkaBroker, measure.KafkaEnd, of, r.Manifest.End.Add(1100*time.Millisecond), from+50*float64(n))
	}
	return r
}

func (r *Run) add(source, metric string, labels map[string]string, at time.Time, v float64) {
	r.Series = append(r.Series, measure.Series{Source: source, Metric: metric, Labels: labels, Period: time.Second, Points: measure.PointsOf(measure.Point{At: at, Value: v})})
}

// move adds to the last end offset of a partition.
func (r *Run) move(partition string, by float64) {
	for i := len(r.Series) - 1; i >= 0; i-- {
		if s := &r.Series[i]; s.Metric == measure.KafkaEnd && s.Labels["partition"] == partition {
			s.Points.Edit(func(points []measure.Point) []measure.Point { points[0].Value += by; return points })
			return
		}
	}
}

func TestBrokerOffsets(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Run)
		status CheckStatus
		blames Status
		value  string
	}{
		{"all there", func(*Run) {}, Passed, Invalid, "3,000 acknowledged, end offsets of 2 partitions grew by 3,000"},
		{"one is lost", func(r *Run) { r.move("1", -1) }, CheckFailed, Invalid, "1 acknowledged records are missing (partition 1 of views grew by 1,499 of 1,500)"},
		{"one is lost, and another there in its place", func(r *Run) { r.move("1", -1); r.move("0", 1) }, CheckFailed, Invalid, "1 acknowledged records are missing"},
		{"made anew", func(r *Run) {
			of := map[string]string{"topic": "views", "partition": "1"}
			r.add(measure.KafkaBroker, measure.KafkaEnd, of, r.Manifest.End.Add(2*time.Second), 7)
		}, CheckFailed, Inconclusive, "(partition 1 of views grew by 7 of 1,500), and the end of partition 1 of views went back"},
		{"one is lost after the leader's word", func(r *Run) {
			r.move("1", -1)
			r.Manifest.Loads[0].Operations[0].Record.Acks = "leader"
		}, CheckFailed, Inconclusive, "1 acknowledged"},
		{"answers were lost", func(r *Run) {
			r.move("0", 3)
			r.Rows.Add(&measure.Row{Load: "views", Operation: "view", Measured: true, OK: -4, TimedOut: 4})
		}, Passed, Invalid, "of 4 records nobody knows whether they were written, and 3 may be among them"},
		{"others produce", func(r *Run) { r.move("0", 5) }, NotApplicable, Invalid, "others produced to the topic; so a lost record would not show"},
		{"or doubles", func(r *Run) {
			r.move("0", 5)
			r.Manifest.Loads[0].Operations[0].Record.Idempotence = false
		}, NotApplicable, Invalid, "or records were written twice"},
		{"no word before", func(r *Run) {
			for i := range r.Series {
				if s := &r.Series[i]; s.Source == measure.KafkaBroker && s.Labels["partition"] == "1" && s.Points.Slice()[0].At.Before(noon) {
					s.Points = measure.Points{}
				}
			}
		}, NotApplicable, Invalid, "the end of partition 1 of views was not read before the load"},
		{"no word after", func(r *Run) { r.Manifest.End = r.Manifest.End.Add(time.Minute) }, NotApplicable, Invalid, "was not read after the load"},
		{"an older record", func(r *Run) { r.Series = nil }, NotApplicable, Invalid, "no end offsets were read from brokers"},
	} {
		run := records(30)
		tt.change(run)
		v := VerdictOf(run)
		c := v.Checks[len(v.Checks)-1]
		if c.Name != CheckBrokerOffsets || c.Status != tt.status || c.Blames != tt.blames || !strings.Contains(c.Value, tt.value) {
			t.Errorf("%s: %+v", tt.name, c)
		}
	}
}

// TestLags: the sum over a group's partitions at an instant at which all are
// known.
func TestLags(t *testing.T) {
	run := &Run{Manifest: Manifest{Start: noon}}
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	for s, lags := range [][]float64{{0, 1}, {10, 5}, {100}, {7, 3}} {
		for p, v := range lags {
			run.add(measure.KafkaBroker, measure.KafkaLag, map[string]string{"group": "g", "topic": "views", "partition": strconv.Itoa(p)}, at(s), v)
		}
		run.add(measure.KafkaBroker, measure.KafkaEnd, map[string]string{"topic": "views", "partition": "0"}, at(s), 1)
		if s < 3 {
			run.add(measure.KafkaBroker, measure.KafkaLagTime, map[string]string{"group": "g", "topic": "views"}, at(s), float64(s))
		}
	}
	want := []Lag{{Group: "g", Topic: "views", Max: new(15.0), MaxAt: new(1.0), End: new(10.0), EndAt: new(3.0), Readings: 3, Of: 4}}
	if diff := cmp.Diff(want, Lags(run)); diff != "" {
		t.Error(diff)
	}
	// How long it was at most is known where it is of every reading of the lag.
	run.add(measure.KafkaBroker, measure.KafkaLagTime, map[string]string{"group": "g", "topic": "views"}, at(3), 1)
	want[0].MaxTime, want[0].EndTime = new(2.0), new(1.0)
	if diff := cmp.Diff(want, Lags(run)); diff != "" {
		t.Error(diff)
	}
}

// What a group has never committed is no part of its lag that could be left out: the
// lag is not known, but of a partition that holds nothing.
func TestLagOfWhatIsNotCommitted(t *testing.T) {
	for _, held := range []float64{0, 800} {
		run := &Run{Manifest: Manifest{Start: noon}}
		for s := range 10 {
			at := noon.Add(time.Duration(s) * time.Second)
			part := float64(s) / 9
			for p, end := range []float64{900, held} {
				run.add(measure.KafkaBroker, measure.KafkaEnd, map[string]string{"topic": "views", "partition": strconv.Itoa(p)}, at, end*part)
			}
			run.add(measure.KafkaBroker, measure.KafkaLag, map[string]string{"group": "g", "topic": "views", "partition": "0"}, at, 900*part)
			if s == 0 || held == 0 {
				run.add(measure.KafkaBroker, measure.KafkaLagTime, map[string]string{"group": "g", "topic": "views"}, at, float64(s))
			}
		}
		want := []Lag{{Group: "g", Topic: "views", Readings: 1, Of: 10}}
		if held == 0 {
			want = []Lag{{Group: "g", Topic: "views", Readings: 10, Of: 10, Max: new(900.0), MaxAt: new(9.0), MaxTime: new(9.0), End: new(900.0), EndAt: new(9.0), EndTime: new(9.0)}}
		}
		if diff := cmp.Diff(want, Lags(run)); diff != "" {
			t.Errorf("a partition that holds %v: %s", held, diff)
		}
	}
}
