package simulator

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// However requests in flight are kept, when a place is free is what a plain list
// says, and at the end of each second exactly those have their answers that ended by
// then.
func TestFlying(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 30).Draw(t, "most")
		var list []time.Duration // ends of those that wait
		answers := 0
		f := newFlying(most, func(*measure.Sample) { answers++ })
		ended := 0
		drop := func(at time.Duration) {
			kept := list[:0]
			for _, done := range list {
				if done > at {
					kept = append(kept, done)
				} else {
					ended++
				}
			}
			list = kept
		}
		var last, over time.Duration
		for range 200 {
			at := last + time.Duration(rapid.Int64Range(0, 300).Draw(t, "gap"))*time.Millisecond
			drop(last)
			want := at
			if len(list) >= most {
				first := list[0]
				for _, done := range list {
					first = min(first, done)
				}
				want = max(at, first)
			}
			got := at
			if until, full := f.full(last); full {
				got = max(at, until)
			}
			if got != want {
				t.Fatalf("of %d in flight at %v, the next at %v is sent at %v, want %v", len(list), last, at, got, want)
			}
			for over+time.Second <= got {
				over += time.Second
				drop(over)
				f.over(over)
				if answers != ended {
					t.Fatalf("at %v %d answers, want %d", over, answers, ended)
				}
			}
			drop(got)
			f.over(got)
			done := got + 1 + time.Duration(rapid.Int64Range(0, 3000).Draw(t, "takes"))*time.Millisecond
			f.push(&measure.Sample{Done: done})
			list, last = append(list, done), got
		}
		if f.n != len(list)+ended-answers {
			t.Fatalf("%d kept", f.n)
		}
		end := f.last()
		for over+time.Second <= end {
			over += time.Second
			f.over(over)
		}
		if f.settle(end); answers != 200 || f.n != 0 {
			t.Fatalf("%d of 200 answers, %d left", answers, f.n)
		}
	})
}
