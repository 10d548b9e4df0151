package limiter

import (
	"time"

	"github.com/headroom-load/headroom/capacity/model/heap"
)

// wheel holds the environments in use and gives them back in the order in which
// they end, in constant time for each: a hashed timing wheel (Varghese and
// Lauck, SOSP 1987). Those that end within the tick in hand are in a heap; the
// others lie in the list of the spoke that their tick falls on, and are looked
// at once a turn.
type wheel struct {
	n      int // environments
	tick   int64
	next   heap.Min[lease] // that end within tick, or before
	spokes []int32         // heads of the lists: index into held; -1: empty
	held   []link
	free   int32 // list of the links not in use
}

type link struct {
	lease lease
	next  int32
}

const (
	tickBits  = 19 // of nanoseconds: 0.5 ms
	spokeBits = 12 // a turn takes 2.1 s
)

func newWheel() wheel {
	w := wheel{spokes: make([]int32, 1<<spokeBits), free: -1}
	for i := range w.spokes {
		w.spokes[i] = -1
	}
	return w
}

func tickOf(at time.Duration) int64 { return int64(at) >> tickBits }

func (w *wheel) add(l lease) {
	w.n++
	tick := tickOf(l.until())
	if tick <= w.tick {
		w.next.Push(l)
		return
	}
	i := w.free
	if i < 0 {
		i = int32(len(w.held))
		w.held = append(w.held, link{})
	} else {
		w.free = w.held[i].next
	}
	spoke := &w.spokes[tick&(1<<spokeBits-1)]
	w.held[i] = link{l, *spoke}
	*spoke = i
}

// turn brings into the heap all that ends by the instant.
func (w *wheel) turn(at time.Duration) {
	to := tickOf(at)
	if to <= w.tick {
		return
	}
	from := max(w.tick+1, to-(1<<spokeBits)+1) // after a whole turn every spoke was seen
	w.tick = to
	for t := from; t <= to; t++ {
		if w.spokes[t&(1<<spokeBits-1)] >= 0 {
			w.take(&w.spokes[t&(1<<spokeBits-1)])
		}
	}
}

// take moves what is due from a spoke's list into the heap.
func (w *wheel) take(spoke *int32) {
	for p := spoke; *p >= 0; {
		i := *p
		x := &w.held[i]
		if tickOf(x.lease.until()) > w.tick {
			p = &x.next
			continue
		}
		*p, x.next, w.free = x.next, w.free, i
		w.next.Push(x.lease)
	}
}

// pop takes the lease out that ends first.
func (w *wheel) pop() lease {
	w.n--
	return w.next.Pop()
}

// lease is an environment in use: twice the instant until which it is, and one
// more if it is provisioned. One word for each keeps the heap, which is most of
// the cost of a request, small and quick to compare.
type lease int64

func newLease(until time.Duration, provisioned bool) lease {
	if provisioned {
		return lease(until)<<1 | 1
	}
	return lease(until) << 1
}

func (l lease) until() time.Duration { return time.Duration(l >> 1) }
func (l lease) provisioned() bool    { return l&1 != 0 }
