package rehearsal

import (
	"runtime"
	"time"

	"github.com/headroom-load/headroom/capacity"
)

func machine(files int) capacity.Machine {
	return capacity.Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0), Files: files}
}

// recorderShards is how many recorder shards keep the workers of this machine
// out of each other's way.
func recorderShards() int { return 2 * runtime.GOMAXPROCS(0) }

// cpuMeter measures the share of this machine's processors, as far as Go may
// use them, that the process used between two readings.
type cpuMeter struct {
	used time.Duration
	at   time.Time
}

// read returns the share since the last call; false at the first one, and on
// systems that don't tell.
func (c *cpuMeter) read() (float64, bool) {
	used, ok := processTime()
	if !ok {
		return 0, false
	}
	now := time.Now()
	last := *c
	c.used, c.at = used, now
	wall := now.Sub(last.at)
	if last.at.IsZero() || wall <= 0 {
		return 0, false
	}
	return float64(used-last.used) / float64(wall) / float64(runtime.GOMAXPROCS(0)), true
}
