package simulator

import "time"

// flying is when a load's requests that wait for their answers have them. A load is
// seldom at the limit of what it may have in flight, so the instants lie unsorted by
// the second in which they come, and are forgotten when it is over. At the limit it
// counts when each one comes: then they are kept in a heap.
type flying struct {
	most    int // that the load is allowed
	n       int // kept, whether answered by now or not
	first   int64
	seconds [][]time.Duration // from the first on
	free    [][]time.Duration
	heap    instants
	heaped  bool
}

func newFlying(most int) flying { return flying{most: most} }

// secondOf returns the second at whose end, at the latest, an answer is there.
func secondOf(done time.Duration) int64 { return int64(max(0, done-1) / time.Second) }

// push keeps the end of a request, which is not before the last one that was over.
func (f *flying) push(done time.Duration) {
	f.n++
	if f.heaped {
		f.heap.push(done)
		return
	}
	i := max(0, secondOf(done)-f.first)
	for int64(len(f.seconds)) <= i {
		var list []time.Duration
		if n := len(f.free); n > 0 {
			list, f.free = f.free[n-1], f.free[:n-1]
		}
		f.seconds = append(f.seconds, list)
	}
	f.seconds[i] = append(f.seconds[i], done)
}

// over forgets every answer of the second that ends at an instant.
func (f *flying) over(at time.Duration) {
	for f.first <= secondOf(at) {
		if f.first++; len(f.seconds) > 0 {
			f.n -= len(f.seconds[0])
			f.free = append(f.free, f.seconds[0][:0])
			f.seconds = f.seconds[1:]
		}
	}
}

// full reports whether all that the load is allowed wait at an instant, that of its
// last request, and when the first of them ends.
func (f *flying) full(at time.Duration) (until time.Duration, full bool) {
	if f.n < f.most {
		return 0, false
	}
	before := f.n
	f.settle(at)
	if !f.heaped {
		// To look for those that have their answers costs as much as there are, so
		// where few have, a heap is cheaper from now on.
		if f.heaped = f.n >= f.most || before-f.n < before/4; f.heaped {
			for _, list := range f.seconds {
				for _, done := range list {
					f.heap.push(done)
				}
			}
			f.seconds, f.free = nil, nil
		}
	}
	if f.n < f.most {
		return 0, false
	}
	return f.heap[0], true
}

// settle forgets every answer up to an instant.
func (f *flying) settle(at time.Duration) {
	if f.heaped {
		for len(f.heap) > 0 && f.heap[0] <= at {
			f.heap.pop()
			f.n--
		}
		return
	}
	for i, list := range f.seconds {
		if time.Duration(f.first+int64(i))*time.Second > at {
			return
		}
		kept := list[:0]
		for _, done := range list {
			if done > at {
				kept = append(kept, done)
			}
		}
		f.n -= len(list) - len(kept)
		f.seconds[i] = kept
	}
}
