package measure_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// values lists the values of an interval, each with how many there are.
func values(i measure.Interval) (v [][2]int64) {
	for of, n := range i.Histogram.ForEachBucket {
		v = append(v, [2]int64{of, n})
	}
	return v
}

// What is recorded in virtual time, when it is sent, is what a Recorder records whose
// every step is flushed when it is over: the same rows, and the same histograms.
func TestVirtualIsARecorder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		step := time.Duration(rapid.IntRange(1, 3).Draw(t, "step")) * time.Second
		instant := func(name string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(most/time.Millisecond)).Draw(t, name)) * time.Millisecond
		}
		var samples []measure.Sample
		v, r := measure.NewVirtual(twoOps, step), measure.NewRecorder(twoOps, 1)
		for range rapid.IntRange(0, 30).Draw(t, "requests") {
			s := measure.Sample{Op: rapid.IntRange(0, 1).Draw(t, "op"), Measured: rapid.Bool().Draw(t, "measured"), Intended: instant("intended", 10*time.Second), Tokens: measure.NoTokens, BytesIn: 7}
			s.Sent = s.Intended + instant("lag", time.Second)
			s.Done = s.Sent + time.Millisecond + instant("takes", 5*time.Second)
			if s.Outcome = rapid.SampledFrom([]measure.Outcome{measure.OK, measure.Throttled, measure.TimedOut}).Draw(t, "outcome"); s.Outcome == measure.Throttled {
				s.Reason = rapid.SampledFrom([]string{"HTTP 429", "LimitExceededException"}).Draw(t, "reason")
			} else {
				s.Tokens = rapid.Int64Range(0, 300).Draw(t, "tokens")
			}
			r.Plan(s.Op, s.Intended, s.Measured)
			if rapid.IntRange(0, 9).Draw(t, "drop") == 0 {
				v.Drop(s.Op, s.Intended, s.Measured, measure.Saturation)
				r.Drop(s.Op, s.Intended, s.Measured, measure.Saturation)
				continue
			}
			samples = append(samples, s)
		}
		slices.SortStableFunc(samples, func(a, b measure.Sample) int { return int(a.Sent - b.Sent) })
		for i := range samples {
			v.Pass(samples[i].Sent.Truncate(time.Second))
			s := &samples[i]
			v.Record(s, measure.Attempt{Sent: s.Sent, Done: s.Done, Tokens: s.Tokens, First: true})
		}
		slices.SortStableFunc(samples, func(a, b measure.Sample) int { return int(a.Done - b.Done) })
		type kind struct {
			operation, kind string
			start           time.Duration
		}
		want := map[kind]*measure.Distribution{}
		var rows []measure.Row
		const end = 20 * time.Second
		for at := step; len(samples) > 0 || at <= end; at += step {
			for len(samples) > 0 && samples[0].Done <= at {
				r.Record(0, &samples[0])
				samples = samples[1:]
			}
			w := r.Flush(at)
			rows = append(rows, w.Rows...)
			for _, i := range w.Intervals {
				k := kind{i.Operation, i.Kind, 0}
				if i.Kind == measure.ResponseTimes {
					k.start = i.Start
				}
				if want[k] == nil {
					want[k] = new(measure.Distribution)
				}
				want[k].Add(i)
			}
		}
		summed, got := v.End(end)
		if d := cmp.Diff(measure.Sum(rows), summed.Slice(), cmp.Comparer(func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 })); d != "" {
			t.Fatal(d)
		}
		if len(got) != len(want) {
			t.Fatalf("%d histograms, want %d", len(got), len(want))
		}
		for _, i := range got {
			last := end
			if i.Kind == measure.ResponseTimes {
				last = min(i.Start+step, end)
			}
			d := want[kind{i.Operation, i.Kind, i.Start}]
			if d == nil || i.End != last {
				t.Fatalf("%s of %s from %v to %v: want none, or one to %v", i.Kind, i.Operation, i.Start, i.End, last)
			}
			w := d.Interval("", "", "", 0, 0)
			if i.Max != w.Max || !slices.Equal(values(i), values(w)) {
				t.Fatalf("%s of %s from %v differ", i.Kind, i.Operation, i.Start)
			}
		}
	})
}
