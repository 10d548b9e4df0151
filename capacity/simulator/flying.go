package simulator

import (
	"time"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// flying is a load's requests that wait for their answers. What a second's answers
// do to a run doesn't depend on their order within it, so they lie unsorted by the
// second in which they come, and are taken out when it is over. Where as many
// requests may be in flight as the load is allowed, it counts when each one ends:
// then they are kept in a heap.
type flying struct {
	most     int // that the load is allowed
	n        int // kept, whether answered by now or not
	seconds  map[int64][]measure.Sample
	free     [][]measure.Sample
	heap     inFlight
	heaped   bool
	answered func(*measure.Sample)
}

func newFlying(most int, answered func(*measure.Sample)) flying {
	return flying{most: most, seconds: make(map[int64][]measure.Sample), answered: answered}
}

// secondOf returns the second at whose end, at the latest, an answer is there.
func secondOf(done time.Duration) int64 { return int64((done - 1) / time.Second) }

func (f *flying) push(s *measure.Sample) {
	f.n++
	if f.heaped {
		f.heap.push(*s)
		return
	}
	at := secondOf(s.Done)
	list, ok := f.seconds[at]
	if n := len(f.free); !ok && n > 0 {
		list, f.free = f.free[n-1], f.free[:n-1]
	}
	f.seconds[at] = append(list, *s)
}

// over hands on every answer of the second that ends at an instant, or those of
// the heap up to any instant.
func (f *flying) over(at time.Duration) {
	if f.heaped {
		for len(f.heap) > 0 && f.heap[0].Done <= at {
			s := f.heap.pop()
			f.n--
			f.answered(&s)
		}
		return
	}
	if at <= 0 || at%time.Second != 0 { // no second ends at 0
		return
	}
	second := secondOf(at)
	list := f.seconds[second]
	for i := range list {
		f.answered(&list[i])
	}
	f.n -= len(list)
	if list != nil {
		f.free = append(f.free, list[:0])
		delete(f.seconds, second)
	}
}

// full reports whether all that the load is allowed wait at an instant, that of its
// last request, and when the first of them ends.
func (f *flying) full(at time.Duration) (until time.Duration, full bool) {
	if f.n < f.most {
		return 0, false
	}
	if !f.heaped {
		// Some of those kept may have their answers already. To look for them costs as
		// much as there are, so where few have, a heap is cheaper from now on.
		before := f.n
		f.settle(at)
		if f.heaped = f.n >= f.most || before-f.n < before/4; f.heaped {
			for _, list := range f.seconds {
				for i := range list {
					f.heap.push(list[i])
				}
			}
			f.seconds, f.free = nil, nil
		}
		if f.n < f.most {
			return 0, false
		}
	}
	return f.heap[0].Done, true
}

// settle hands on every answer up to an instant.
func (f *flying) settle(at time.Duration) {
	if f.heaped {
		f.over(at)
		return
	}
	for second, list := range f.seconds {
		if time.Duration(second)*time.Second >= at {
			continue
		}
		kept := list[:0]
		for i := range list {
			if list[i].Done <= at {
				f.n--
				f.answered(&list[i])
			} else {
				kept = append(kept, list[i])
			}
		}
		f.seconds[second] = kept
	}
}

// last returns when the last of them ends, or 0.
func (f *flying) last() (end time.Duration) {
	for _, list := range f.seconds {
		for i := range list {
			end = max(end, list[i].Done)
		}
	}
	for i := range f.heap {
		end = max(end, f.heap[i].Done)
	}
	return end
}
