package main

import (
	"slices"
	"sync"
	"time"
)

// speed tells how much of the time the machine runs at a fraction of its speed. The
// host of a virtual machine can do that to all its processors at once, for tens of
// milliseconds every other second, while it reports no time as stolen: it walks the
// guest's memory, say, whose pages are then slow to reach. A load of a fifth of a
// processor doesn't fit into a tenth of one, whoever sends it.
type speed struct {
	mu    sync.Mutex
	times []time.Duration // of one piece of work each, since slow was last called
}

// A piece of work takes some 30 us, one every sampling: 1.5 % of a processor.
const (
	sampling = 2 * time.Millisecond
	touches  = 5000
	slowest  = 3 // times the median, from which on a piece of work was slow
)

// watch does a piece of work every now and then.
func (s *speed) watch() {
	memory := make([]byte, 8<<20)
	for at := uint32(1); ; time.Sleep(sampling) {
		began := time.Now()
		for range touches {
			at = at*1664525 + 1013904223 // Numerical Recipes' ranqd1
			memory[at%uint32(len(memory))]++
		}
		took := time.Since(began)
		s.mu.Lock()
		s.times = append(s.times, took)
		s.mu.Unlock()
	}
}

// slow returns the share of the time, since it was last called, in which the machine
// was slow.
func (s *speed) slow() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.times) == 0 {
		return 0
	}
	slices.Sort(s.times)
	bound := slowest * s.times[len(s.times)/2]
	fast, _ := slices.BinarySearch(s.times, bound)
	share := float64(len(s.times)-fast) / float64(len(s.times))
	s.times = s.times[:0]
	return share
}
