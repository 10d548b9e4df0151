package measure

import (
	"slices"
	"testing"

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
