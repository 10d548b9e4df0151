package rehearsal

import (
	"context"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// Live reads how the target stands while the run goes on.
type Live interface {
	// Read returns one point of each series as it stands now. What can't be read
	// has no point, and the error says why. It returns within ctx and is called by
	// one goroutine at a time.
	Read(ctx context.Context) ([]measure.Series, error)
}

const (
	liveEvery = time.Second
	// liveWait bounds one reading. The seconds that it takes have no other.
	liveWait = 5 * time.Second
	// liveRest is how long after the last answer the last reading begins at
	// least: followers learn of what a leader took within moments.
	liveRest = time.Second
)

// reading is what Live returned, and when it was asked.
type reading struct {
	began  time.Time
	series []measure.Series
	err    error
}

func read(ctx context.Context, live Live) reading {
	ctx, cancel := context.WithTimeout(ctx, liveWait)
	defer cancel()
	r := reading{began: time.Now()}
	r.series, r.err = live.Read(ctx)
	return r
}

// follow reads each second until ctx is done, and closes the channel then.
func follow(ctx context.Context, live Live) <-chan reading {
	readings := make(chan reading)
	go func() {
		defer close(readings)
		tick := time.NewTicker(liveEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			select {
			case readings <- read(ctx, live):
			case <-ctx.Done():
				return
			}
		}
	}()
	return readings
}

// keep writes a reading. A fault that lasts is noted once.
func (x *execution) keep(r reading) error {
	err := x.writer.Series(r.series...)
	if r.err == nil || err != nil {
		return err
	}
	for _, text := range strings.Split(r.err.Error(), "\n") {
		if !x.faults[text] {
			x.faults[text] = true
			err = x.writer.Event(capacity.Event{At: r.began.Sub(x.start).Seconds(), Kind: capacity.BrokerFault, Text: text})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
