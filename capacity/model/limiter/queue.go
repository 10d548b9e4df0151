package limiter

import "time"

// Queue serves charges one after the other on equal servers, in the order in
// which they come, and lets them wait where others refuse: a Redis node, which
// runs its commands in one thread, is one with one server. With Poisson arrivals
// it is M/G/c of queueing theory. Its capacity is exceeded when the wait grows
// without end; a charge that would have to wait longer than the longest wait is
// refused, as by a client that gives up or a full connection pool.
type Queue struct {
	rate    float64         // of one server, per second
	longest time.Duration   // 0: no bound
	free    []time.Duration // when each server has done what it has; a heap
}

// NewQueue returns an idle queue of servers that together work off rate a second.
func NewQueue(servers int, rate float64, longest time.Duration) *Queue {
	return &Queue{rate: rate / float64(servers), longest: longest, free: make([]time.Duration, servers)}
}

// Admit queues a charge. It returns how long the charge waits for a server, and
// how long that is busy with it.
func (q *Queue) Admit(at time.Duration, cost float64) (wait, work time.Duration, ok bool) {
	start := max(at, q.free[0])
	wait = start - at
	if q.longest > 0 && wait > q.longest {
		return 0, 0, false
	}
	work = time.Duration(min(cost/q.rate*1e9, float64(longestWork)))
	end := start + work
	i, n := 0, len(q.free)
	for {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && q.free[child+1] < q.free[child] {
			child++
		}
		if end <= q.free[child] {
			break
		}
		q.free[i] = q.free[child]
		i = child
	}
	q.free[i] = end
	return wait, work, true
}

// longestWork keeps instants from overflowing.
const longestWork = 365 * 24 * time.Hour
