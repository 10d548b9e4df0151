package simulator

import "time"

// instants is a binary min-heap: its first element is the least. container/heap
// calls its methods through an interface, which takes longer than the rest of what a
// simulated request costs.
type instants []time.Duration

// push adds v.
func (h *instants) push(v time.Duration) {
	*h = append(*h, v)
	h.rise(len(*h)-1, v)
}

// pop takes the least element out of a heap that has one. The hole that it leaves
// sinks to the bottom before the last element fills it: that one is late and would
// sink as deep anyway, so comparing it on the way down only costs.
func (h *instants) pop() time.Duration {
	q := *h
	n := len(q) - 1
	first, last := q[0], q[n]
	*h = q[:n]
	q = q[:n]
	hole := 0
	for child := 1; child+1 < n; child = 2*hole + 1 {
		// Written so that no branch depends on which child is less: it would be
		// mispredicted every other time.
		pair := q[child : child+2 : child+2]
		right := 0
		if pair[1] < pair[0] {
			right = 1
		}
		q[hole] = min(pair[0], pair[1])
		hole = child + right
	}
	if child := 2*hole + 1; child < n {
		q[hole] = q[child]
		hole = child
	}
	if hole < n {
		h.rise(hole, last)
	}
	return first
}

// rise puts v in at i, or above, where it is less than what stands there.
func (h instants) rise(i int, v time.Duration) {
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent] <= v {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = v
}
