package simulator

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// However requests in flight are kept, when a place is free is what a plain list
// says, and at the end of each second no more of them are kept than wait.
func TestFlying(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 30).Draw(t, "most")
		var list []time.Duration // ends of those that wait
		f := newFlying(most)
		drop := func(at time.Duration) {
			list = slices.DeleteFunc(list, func(done time.Duration) bool { return done <= at })
		}
		second := func(at time.Duration) {
			drop(at)
			if f.over(at); !f.heaped && f.n != len(list) {
				t.Fatalf("at %v %d are kept, want %d", at, f.n, len(list))
			}
		}
		var last, over time.Duration
		for range 200 {
			at := last + time.Duration(rapid.Int64Range(0, 300).Draw(t, "gap"))*time.Millisecond
			drop(last)
			want := at
			if len(list) >= most {
				want = max(at, slices.Min(list))
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
				second(over)
			}
			done := got + time.Duration(rapid.Int64Range(0, 3000).Draw(t, "takes"))*time.Millisecond
			f.push(done)
			list, last = append(list, done), got
		}
		end := slices.Max(append(list, over))
		for over+time.Second <= end {
			over += time.Second
			second(over)
		}
		if f.settle(end); f.n != 0 {
			t.Fatalf("%d of 200 are left", f.n)
		}
	})
}
