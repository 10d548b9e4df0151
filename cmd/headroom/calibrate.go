package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/calibration"
	"github.com/headroom-load/headroom/capacity/rehearsal"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/graphql"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/unit"
)

func (a app) calibrate() *cobra.Command {
	var out string
	var quick, child bool
	cmd := &cobra.Command{
		Use:   "calibrate",
		Short: "Measure what this machine can send, and test its own figures",
		Long: `Calibrate sends requests to a server on this machine that does nothing but answer:
as many as it can (the ceiling, over HTTP/1.1 and over HTTP/2), then a part of that at
the instants of a plan, and then through a stall whose response times are known by a
formula. It takes about 20 seconds and all of this machine for some of them; nothing
leaves it.

The result is kept. Every later run of this version carries it, and a plan above
the ceiling is refused. Of Kafka records it says nothing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if child {
				if err := calibration.ServeNull(a.stdin, a.stdout); err != nil {
					return failure(err)
				}
				return nil
			}
			return a.calibrateMachine(cmd.Context(), out, quick)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "keep the result in this file instead of the user's cache, where runs don't find it")
	cmd.Flags().BoolVar(&quick, "quick", false, "take less than half the time, for coarser figures")
	cmd.Flags().BoolVar(&child, "child", false, "be the server: print its URL as JSON and end when standard input closes")
	_ = cmd.Flags().MarkHidden("child")
	return cmd
}

func (a app) calibrateMachine(ctx context.Context, out string, quick bool) error {
	if out == "" {
		var err error
		if out, err = calibration.Path(); err != nil {
			return &exitError{code: exitFailure, err: err, hint: "name a file with --out"}
		}
	}
	ctx, _, done := interruptible(ctx)
	defer done()
	scratch, err := os.MkdirTemp("", "headroom-calibrate-")
	if err != nil {
		return failure(err)
	}
	defer os.RemoveAll(scratch)
	server, err := a.startNull()
	if err != nil {
		return err
	}
	defer server.close()
	over := func(http2 bool) func(l scenarios.Load, inFlight int) (load.Driver, error) {
		return func(l scenarios.Load, inFlight int) (load.Driver, error) {
			return graphql.New(graphql.Config{
				Target: scenarios.GraphQL{Endpoint: server.url, HTTP2: http2}, Load: l, InFlight: inFlight, UserAgent: userAgent(),
			})
		}
	}
	c := calibration.Config{
		Driver: over(false), DriverHTTP2: over(true), Stall: server.stall, Scratch: scratch, Tool: tool(), Files: rehearsal.OpenFiles(), Steps: calibration.Whole,
		Progress: func(step string) { fmt.Fprintln(a.stderr, step) },
	}
	if quick {
		c.Steps = calibration.Quick
	}
	res, err := calibration.Measure(ctx, c)
	switch {
	case errors.Is(err, context.Canceled):
		return &exitError{code: exitInterrupted, err: errors.New("interrupted: nothing was kept")}
	case err != nil:
		return failure(err)
	}
	if err := calibration.Save(out, res); err != nil {
		return failure(err)
	}
	printCalibration(a.stdout, res)
	fmt.Fprintf(a.stdout, "%-14s %s\n", "kept in", out)
	if !res.Stall.Passed {
		return &exitError{code: exitInvalid, err: errors.New("the stall self-test FAILED: " + res.Stall.Reason), hint: "close other programs and calibrate again; runs on this machine can't be believed before it passes"}
	}
	return nil
}

func printCalibration(w io.Writer, c *capacity.Calibration) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	human := unit.HumanSeconds
	line("machine", "%s/%s, %d %s, GOMAXPROCS %d, headroom %s", c.OS, c.Arch, c.CPUs, plural(c.CPUs, "CPU", "CPUs"), c.GOMAXPROCS, c.Tool)
	line("timers", "late by %s in the median, p99 %s, max %s", human(c.Timer.P50), human(c.Timer.P99), human(c.Timer.Max))
	line("ceiling", "%s requests/s over HTTP/1.1, closed loop, %d connections", unit.Human(c.Ceiling), c.Connections)
	line("", "%s requests/s over HTTP/2", unit.Human(c.CeilingHTTP2))
	o := c.Open
	line("open loop", "%s/s: %s, lag p50 %s, p99 %s, max %s", unit.Human(o.Rate), o.Status, human(o.Lag.P50), human(o.Lag.P99), human(o.Lag.Max))
	if o.CPU > 0 {
		line("", "%s of processor time for a request", human(o.CPU))
	}
	if o.Reason != "" {
		line("", "%s", o.Reason)
	}
	s := c.Stall
	line("stall", "%s/s for %s s, answers held for %s s", unit.Human(s.Rate), unit.Human(s.For), unit.Human(s.Stall))
	for _, q := range s.Quantiles {
		printed := "withheld"
		if q.Printed != nil {
			printed = human(*q.Printed)
		}
		line("", "p%.0f %s, by the formula %s", q.P*100, printed, human(q.Want))
	}
	switch {
	case !s.Passed:
		line("", "FAILED: %s", s.Reason)
	case s.Error != nil:
		line("", "passed: at most %s off", unit.HumanShare(*s.Error))
	}
}

// nullServer is the server of a calibration, in a process of its own.
type nullServer struct {
	url   string
	stall func(time.Duration) error
	close func() error
}

func (a app) startNull() (*nullServer, error) {
	var said struct{ URL string }
	child, err := a.startChild("null server", &said, "calibrate", "--child")
	if err != nil {
		return nil, err
	}
	return &nullServer{
		url: said.URL,
		stall: func(d time.Duration) error {
			_, err := fmt.Fprintf(child.in, "stall %s\n", d)
			return err
		},
		close: child.close,
	}, nil
}

// kept returns the calibration of this machine and program, or nil. One that
// can't be read is as good as none, but is said.
func (a app) kept() *capacity.Calibration {
	path, err := calibration.Path()
	if err != nil {
		return nil // no cache, so nothing was kept
	}
	c, err := calibration.Kept(path, tool())
	if err != nil {
		fmt.Fprintf(a.stderr, "headroom: %v\n", err)
	}
	return c
}

// overHTTP2 reports whether a scenario's requests go over HTTP/2.
func overHTTP2(s *scenarios.Scenario) bool { return s.Target.GraphQL != nil && s.Target.GraphQL.HTTP2 }

// requests returns the plans that a calibration's ceilings may hold for: what goes to
// Kafka costs something else.
func requests(plans []load.Plan) []load.Plan {
	return slices.DeleteFunc(slices.Clone(plans), func(p load.Plan) bool { return p.Load.Kafka() })
}

// unjudged says which loads of a scenario the known ceilings say nothing of, or
// "" where they hold for all or none is known.
func unjudged(known *capacity.Calibration, s *scenarios.Scenario) string {
	if known == nil {
		return ""
	}
	var what []string
	if overHTTP2(s) && known.CeilingHTTP2 == 0 {
		what = append(what, "requests over HTTP/2")
	}
	if slices.ContainsFunc(s.Loads, scenarios.Load.Kafka) {
		what = append(what, "Kafka records")
	}
	if what == nil {
		return ""
	}
	return fmt.Sprintf("this machine's ceiling for %s is n/a: that of %s requests/s was measured over HTTP/1.1", strings.Join(what, " and "), unit.Human(known.Ceiling))
}

// aboveCeiling refuses the plan of a rehearsal that this machine is known not
// to be able to carry out.
func aboveCeiling(known *capacity.Calibration, c rehearsal.Config) error {
	_, plans, _ := rehearsal.Plan(c)
	err := calibration.Above(known, overHTTP2(c.Scenario), calibration.Peak(requests(plans)))
	if err == nil {
		return nil
	}
	return &exitError{code: exitRefused, err: err, hint: "take a larger machine, lower the rates, or run with --above-ceiling and see what comes of it"}
}
