package main

import (
	"errors"
	"fmt"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/strict"
)

// The exit codes. 99, 104 and 105 mean what they mean in k6.
const (
	exitDone         = 0   // done; the run is valid and met its thresholds
	exitFailure      = 1   // something unexpected failed
	exitUsage        = 2   // the command line is wrong
	exitThreshold    = 99  // a threshold was missed
	exitInput        = 104 // a scenario or another input file is wrong
	exitInterrupted  = 105 // interrupted; the record is complete and marked
	exitStopped      = 119 // stopped by a stop rule; the record is complete and marked
	exitInvalid      = 120 // the run is INVALID
	exitInconclusive = 121 // the run is INCONCLUSIVE, as one whose record isn't whole
	exitRefused      = 122 // refused by the plan check or by the target guard
)

// exitError ends the program with a code; its error, if any, is printed.
type exitError struct {
	code int
	err  error
	hint string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// failure ends the program with exit code 1, unless err has a better one.
func failure(err error) error {
	if e := (*exitError)(nil); errors.As(err, &e) {
		return e
	}
	return &exitError{code: exitFailure, err: err}
}

func usage(err error) error { return &exitError{code: exitUsage, err: err} }

// inputFaults ends the program because of faults in an input file.
func inputFaults(faults strict.Faults) error {
	return &exitError{code: exitInput, err: fmt.Errorf("nothing was sent: %d %s\n%w", len(faults), plural(len(faults), "fault", "faults"), faults)}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// outcome is the exit code that a run earns. Where several hold, the one that
// says most about the others' worth comes first. A record that isn't whole has
// that of its verdict, however the run ended.
func outcome(run *capacity.Run, a capacity.Assessment) error {
	whole := len(run.Damage) == 0
	switch {
	case whole && run.Manifest.State == capacity.Interrupted:
		return &exitError{code: exitInterrupted}
	case whole && run.Manifest.State == capacity.Stopped:
		return &exitError{code: exitStopped}
	case a.Verdict.Status == capacity.Invalid:
		return &exitError{code: exitInvalid}
	case a.Verdict.Status == capacity.Inconclusive:
		return &exitError{code: exitInconclusive}
	}
	for _, t := range a.Thresholds {
		if !t.Passed {
			return &exitError{code: exitThreshold}
		}
	}
	return nil
}
