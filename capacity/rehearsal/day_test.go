package rehearsal

import (
	"runtime"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
)

// A day's run holds what a minute's holds: nothing of it gathers in memory
// between the first second and the last answer.
func TestDayInConstantMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("a day takes minutes under the race detector")
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const day = 24 * time.Hour
	var minute, last int64
	c := config(1, day, backend{20 * time.Millisecond})
	c.Progress = func(p Progress) {
		switch p.Elapsed.Round(time.Second) {
		case time.Minute:
			minute = heap()
		case day - time.Minute:
			last = heap()
		}
	}
	run := rehearse(t, c, nil)
	if s := sums(t, run); run.Manifest.State != capacity.Complete || s.OK != s.Planned {
		t.Fatalf("state %s, %+v", run.Manifest.State, s)
	}
	if minute == 0 || last > minute+256<<10 {
		t.Errorf("%d bytes after a minute, %d after a day", minute, last)
	}
}
