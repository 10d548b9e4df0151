package measure

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTallyIsTheHistogram: a tally that is drained in parts gives the same counts
// as a histogram that records each value.
func TestTallyIsTheHistogram(t *testing.T) {
	value := rapid.OneOf(rapid.Int64Range(-1, 5000), rapid.Int64Range(0, highest+2), rapid.Custom(func(t *rapid.T) int64 {
		return 1<<rapid.IntRange(0, 32).Draw(t, "power") + rapid.Int64Range(-1, 1).Draw(t, "beside")
	}))
	rapid.Check(t, func(t *rapid.T) {
		var direct, drained window
		var tally tally
		for _, part := range rapid.SliceOfN(rapid.SliceOf(value), 0, 4).Draw(t, "values") {
			for _, v := range part {
				direct.record(v)
				tally.record(v)
			}
			tally.drain(&drained)
		}
		if direct.histogram == nil {
			if drained.histogram != nil && drained.histogram.TotalCount() > 0 {
				t.Fatal("values came from nowhere")
			}
			return
		}
		if direct.max != drained.max || direct.clipped != drained.clipped {
			t.Fatalf("max %d and %d clipped, want %d and %d", drained.max, drained.clipped, direct.max, direct.clipped)
		}
		if got, want := drained.histogram.Export().Counts, direct.histogram.Export().Counts; !slices.Equal(got, want) || drained.histogram.TotalCount() != direct.histogram.TotalCount() {
			t.Fatal("the counts differ")
		}
	})
}

// TestIntervalOfManyIsOfAll: intervals that are merged hold what one of all values
// holds, and tell how many values lie above any.
func TestIntervalOfManyIsOfAll(t *testing.T) {
	value := rapid.OneOf(rapid.Int64Range(0, 5000), rapid.Int64Range(0, highest))
	rapid.Check(t, func(t *rapid.T) {
		var all Distribution
		var values []int64
		merged := all.Interval("l", "o", ResponseTimes, 0, 0)
		parts := rapid.SliceOfN(rapid.SliceOf(value), 1, 4).Draw(t, "values")
		for i, part := range parts {
			var d Distribution
			for _, v := range part {
				d.Record(v)
				all.Record(v)
				values = append(values, v)
			}
			merged.Merge(d.Interval("l", "o", ResponseTimes, time.Duration(i)*time.Second, time.Duration(i+1)*time.Second))
		}
		want := all.Interval("l", "o", ResponseTimes, 0, time.Duration(len(parts))*time.Second)
		if merged.Start != want.Start || merged.End != want.End || merged.Max != want.Max || merged.Histogram.TotalCount() != want.Histogram.TotalCount() ||
			!slices.Equal(buckets(merged.Histogram), buckets(want.Histogram)) {
			t.Fatalf("got %+v, want %+v", merged, want)
		}
		at := value.Draw(t, "at")
		var above, equal int64
		for _, v := range values {
			switch of := slotOf(v) - slotOf(at); {
			case of > 0:
				above++
			case of == 0:
				equal++
			}
		}
		if a, e := merged.Above(at); a != above || e != equal {
			t.Fatalf("%d above and %d at %d, want %d and %d", a, e, at, above, equal)
		}
	})
}
