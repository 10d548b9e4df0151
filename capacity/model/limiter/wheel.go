package limiter

import "time"

// wheel holds the environments in use and gives them back in the order in which
// they end, in constant time for each: a hashed timing wheel (Varghese and
// Lauck, SOSP 1987). Those that end within the tick in hand are sorted, being few:
// 50 at 100,000 a second. The others lie in the list of the spoke that their tick
// falls on, and are looked at once a turn.
type wheel struct {
	n      int // environments
	tick   int64
	next   []lease // that end within tick, or before, the first one last
	spokes []int32 // heads of the lists: index into held; -1: empty
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
		w.insert(l)
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

// turn brings into next all that ends by the instant.
func (w *wheel) turn(at time.Duration) {
	if tick := tickOf(at); tick > w.tick {
		w.turnTo(tick)
	}
}

// turnTo brings in the spokes up to a tick, the last one first, as it ends last.
func (w *wheel) turnTo(tick int64) {
	from := max(w.tick+1, tick-(1<<spokeBits)+1) // after a whole turn every spoke was seen
	w.tick = tick
	for t := tick; t >= from; t-- {
		if spoke := &w.spokes[t&(1<<spokeBits-1)]; *spoke >= 0 {
			w.take(spoke)
		}
	}
}

// take moves what is due from a spoke's list to next.
func (w *wheel) take(spoke *int32) {
	for p := spoke; *p >= 0; {
		i := *p
		x := &w.held[i]
		if tickOf(x.lease.until()) > w.tick {
			p = &x.next
			continue
		}
		*p, x.next, w.free = x.next, w.free, i
		w.insert(x.lease)
	}
}

// insert puts l in its place among those in hand.
func (w *wheel) insert(l lease) {
	w.next = append(w.next, l)
	i := len(w.next) - 1
	for ; i > 0 && w.next[i-1] < l; i-- {
		w.next[i] = w.next[i-1]
	}
	w.next[i] = l
}

// ended takes out the lease that ends first, if that is by the instant.
func (w *wheel) ended(at time.Duration) (l lease, ok bool) {
	last := len(w.next) - 1
	if last < 0 || w.next[last].until() > at {
		return 0, false
	}
	l = w.next[last]
	w.next = w.next[:last]
	w.n--
	return l, true
}

// lease is an environment in use: twice the instant until which it is, and one
// more if it is provisioned: one word for each is quick to sort.
type lease int64

func newLease(until time.Duration, provisioned bool) lease {
	if provisioned {
		return lease(until)<<1 | 1
	}
	return lease(until) << 1
}

func (l lease) until() time.Duration { return time.Duration(l >> 1) }
func (l lease) provisioned() bool    { return l&1 != 0 }
