package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/headroom-load/headroom/capacity/rehearsal"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// color reports whether standard output may carry colours.
func (a app) color() bool { return a.interactive(a.stdout) && !a.set("NO_COLOR") }

// interactive reports whether w is a terminal that a person looks at.
func (a app) interactive(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || a.set("CI") {
		return false
	}
	if term, _ := a.env("TERM"); term == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// set reports whether an environment variable is there and not empty.
func (a app) set(name string) bool {
	v, ok := a.env(name)
	return ok && v != ""
}

// progress shows how far a run has come: one line that is painted again on a
// terminal, a plain line every few seconds elsewhere.
type progress struct {
	out     io.Writer
	repaint bool
	last    time.Duration
	painted bool
}

// plainEvery is the least time between two plain lines.
const plainEvery = 5 * time.Second

func (a app) newProgress() *progress {
	return &progress{out: a.stderr, repaint: a.interactive(a.stderr), last: -plainEvery}
}

func (p *progress) show(now rehearsal.Progress) {
	line := fmt.Sprintf("%4.0fs/%.0fs  %-12s", now.Elapsed.Seconds(), now.Total.Seconds(), now.Stage)
	if now.Sent+now.OK+now.Dropped > 0 {
		line += fmt.Sprintf("  sent %s/s  ok %s/s", unit.HumanCount(float64(now.Sent), ""), unit.HumanCount(float64(now.OK), ""))
	}
	for _, part := range []struct {
		name  string
		count int64
	}{{"throttled", now.Throttled}, {"errors", now.Errors}, {"dropped", now.Dropped}} {
		if part.count > 0 {
			line += fmt.Sprintf("  %s %s/s", part.name, unit.HumanCount(float64(part.count), ""))
		}
	}
	if now.Tokens > 0 {
		line += fmt.Sprintf("  %s/s", unit.HumanCount(float64(now.Tokens), unit.Tokens))
	}
	switch {
	case p.repaint:
		fmt.Fprintf(p.out, "\r\x1b[K%s", line)
		p.painted = true
	case now.Elapsed-p.last >= plainEvery:
		fmt.Fprintln(p.out, line)
		p.last = now.Elapsed
	}
}

// end leaves the terminal as it was found.
func (p *progress) end() {
	if p.painted {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
