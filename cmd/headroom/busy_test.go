package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A run that this machine stalled is INVALID, and rightly so, which says nothing of
// the program: stories try such a run again, so often and, beyond the least, for so long. Where this
// machine never let one pass, and a witness saw that it didn't, the story can't tell,
// and is skipped; where the witness saw nothing, it fails.
const (
	mostTries, leastTries = 10, 3
	patience              = 3 * time.Minute // of all stories together
	reserve               = 3 * time.Minute // of the test's time that tries leave to other stories
)

// again is the time, in nanoseconds, that tries after the first have taken so far.
var again atomic.Int64

// witness wakes up each millisecond beside a run, and looks how late that is.
type witness struct {
	stop  chan struct{}
	ended sync.WaitGroup

	took, late, longest time.Duration // late adds up those of more than 2 ms
}

func newWitness() *witness {
	w := &witness{stop: make(chan struct{})}
	w.ended.Go(w.watch)
	return w
}

func (w *witness) watch() {
	const beat = time.Millisecond
	began := time.Now()
	wake := time.NewTimer(beat)
	for {
		at := time.Now()
		wake.Reset(beat)
		select {
		case <-w.stop:
			w.took = time.Since(began)
			return
		case <-wake.C:
		}
		late := time.Since(at) - beat
		if w.longest = max(w.longest, late); late > 2*time.Millisecond {
			w.late += late
		}
	}
}

// end ends the watch and reports whether this machine was busy: whether it kept the
// witness waiting for 20 ms at once or for a five-hundredth of the time. Runs of a
// few hundred requests become INVALID where it is a thirtieth of the time or more,
// and may from a hundredth on; of a machine that does nothing else it is nothing.
func (w *witness) end() (busy bool) {
	close(w.stop)
	w.ended.Wait()
	return w.longest >= 20*time.Millisecond || w.late >= w.took/500
}

func (w *witness) String() string {
	return fmt.Sprintf("%.1f %% of %s, at most %s at once", 100*w.late.Seconds()/w.took.Seconds(), w.took.Round(time.Millisecond), w.longest.Round(time.Millisecond))
}
