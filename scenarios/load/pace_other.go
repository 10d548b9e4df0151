//go:build !linux

package load

import "time"

// newExact returns the most exact timer there is. Outside of Linux the runtime's
// own timers don't wait for whole milliseconds.
func newExact(start time.Time, stopped <-chan struct{}) timer { return newSleeper(start, stopped) }
