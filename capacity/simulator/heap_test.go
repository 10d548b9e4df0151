package simulator

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever is pushed and popped in whatever order, what comes out is the least of
// what is in.
func TestInstants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h instants
		var in []time.Duration
		for _, v := range rapid.SliceOf(rapid.IntRange(-3, 20)).Draw(t, "values; below 0: take one out") {
			if v >= 0 {
				h.push(time.Duration(v))
				in = append(in, time.Duration(v))
				continue
			}
			if len(in) == 0 {
				continue
			}
			slices.Sort(in)
			if got := h.pop(); got != in[0] {
				t.Fatalf("%d came out of %d", got, in)
			}
			in = in[1:]
		}
		if len(h) != len(in) {
			t.Fatalf("%d are left of %d", len(h), len(in))
		}
	})
}
