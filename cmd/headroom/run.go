package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/observe"
	"github.com/headroom-load/headroom/capacity/plan"
	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/capacity/rehearsal"
	"github.com/headroom-load/headroom/reports"
	"github.com/headroom-load/headroom/scenarios"
)

// runOptions are the flags of run.
type runOptions struct {
	out          string
	allow        []string
	quiet        bool
	aboveCeiling bool
	findMax      string
	findFrom     string
}

func (a app) run() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "Rehearse a scenario and report its quota headroom",
		Long: `Run sends the scenario's load, records what came back and what it used up, and
reports which quota binds first. SCENARIO is a file or the name of a ready-made
scenario. The record and its reports are written to a new folder below runs, or
to --out.

With --find-max it looks for the highest rate that passes instead: it runs the
scenario again and again, all of its rates scaled together, up in steps, then
between the last rate that passed and the first that failed, and then three times
at the rate that was found. Each trial is a record of its own, with seeds of its
own: those of the scenario plus the trial's number.

Ctrl-C ends the sending and lets what is in flight finish; a second one gives it
up. Either way the record is complete and marked.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range []string{"find-max", "find-from"} {
				if f := cmd.Flags().Lookup(name); f.Changed && strings.TrimSpace(f.Value.String()) == "" {
					return usage(fmt.Errorf("--%s is empty: write %s", name, map[string]string{"find-max": "thresholds, such as 'p99 < 500ms and throttled < 0.1%'", "find-from": "a rate, such as 100/s"}[name]))
				}
			}
			if o.findMax == "" && o.findFrom != "" {
				return usage(errors.New("--find-from is the first rate of --find-max"))
			}
			return a.rehearse(cmd.Context(), args[0], o)
		},
	}
	cmd.Flags().StringVar(&o.out, "out", "", "folder of the record and its reports; replaces a record that is there")
	cmd.Flags().StringArrayVar(&o.allow, "allow-host", nil, "send load to this host although the scenario file doesn't name it (may be repeated)")
	cmd.Flags().BoolVar(&o.quiet, "quiet", false, "show no progress")
	cmd.Flags().BoolVar(&o.aboveCeiling, "above-ceiling", false, "run although the plan is above this machine's calibrated ceiling; the record says so")
	cmd.Flags().StringVar(&o.findMax, "find-max", "", "find the highest rate at which these thresholds hold: 'p99 < 500ms and throttled < 0.1%'")
	cmd.Flags().StringVar(&o.findFrom, "find-from", "", "first rate of --find-max, such as 100/s (default: the scenario's own peak)")
	return cmd
}

func (a app) rehearse(ctx context.Context, ref string, o runOptions) error {
	p, err := a.prepare(ref)
	if err != nil {
		return err
	}
	if err := rehearsal.Guard(p.scenario, o.allow); err != nil {
		return &exitError{code: exitRefused, err: err}
	}
	id := record.ID(p.scenario.Name, time.Now())
	if o.out == "" {
		o.out = filepath.Join("runs", id)
	}
	x := execution{prepared: p, id: id, dir: o.out, quiet: o.quiet, calibration: a.kept()}
	if o.findMax != "" {
		return a.findMax(ctx, x, o)
	}
	if err := record.Check(o.out); err != nil {
		return usage(err)
	}
	if err := aboveCeiling(x.calibration, rehearsal.Config{Scenario: p.scenario}); err != nil {
		if !o.aboveCeiling {
			return err
		}
		x.notes = append(x.notes, "run with --above-ceiling: "+err.Error())
	}
	if w := unjudged(x.calibration, p.scenario); w != "" {
		x.notes = append(x.notes, w)
	}
	ctx, abort, done := interruptible(ctx)
	defer done()
	if _, err := a.execute(ctx, abort, x); err != nil {
		return err
	}
	return a.conclude(o.out)
}

// execution is one run of a scenario.
type execution struct {
	*prepared
	id, dir     string
	notes       []string
	calibration *capacity.Calibration
	quiet       bool // show no progress
	brief       bool // nor what the plan is
}

// execute reaches the target, which is a fresh one where it is a sandbox, and
// leaves the record of the run.
func (a app) execute(ctx context.Context, abort <-chan struct{}, x execution) (capacity.Manifest, error) {
	kafka := slices.ContainsFunc(x.scenario.Loads, scenarios.Load.Kafka)
	if !kafka {
		defer growth(sparing)()
	}
	t, err := a.connect(ctx, x.prepared)
	if err != nil {
		return capacity.Manifest{}, err
	}
	defer t.close()
	resolved := quotas.Resolve(ctx, x.scenario, x.system, t.applied())
	for _, q := range resolved.Quotas {
		if q.ID == quotas.NewConnections {
			t.accounts.Allow(q.Limit)
		}
	}
	brokers, err := t.brokers(x.scenario)
	if err != nil {
		return capacity.Manifest{}, &exitError{code: exitInput, err: err}
	}
	if brokers != nil {
		defer brokers.Close()
		inForce, event := brokers.InForce(ctx)
		resolved.InForce(x.scenario, inForce, time.Now().UTC().Format(time.DateOnly))
		resolved.Events = append(resolved.Events, event)
		nodes, err := brokers.Nodes(ctx)
		if err != nil {
			resolved.Events = append(resolved.Events, capacity.Event{Kind: capacity.BrokerFault, Text: err.Error()})
		}
		resolved.Cluster(x.scenario, nodes)
	}
	c := rehearsal.Config{
		ID: x.id, Scenario: x.scenario, Target: t.name, Sandbox: t.sandbox,
		Driver: t.driver,
		Quotas: resolved.Quotas, Want: resolved.Want, Events: resolved.Events,
		Source: t.source(), Settle: observe.Settle(x.scenario),
		Notes: x.notes, Tool: tool(), Files: rehearsal.OpenFiles(), Calibration: x.calibration,
	}
	if brokers != nil {
		c.Live = brokers
	}
	if t.sandbox && kafka {
		c.Notes = append(c.Notes, standIn)
	}
	if !x.brief {
		seen, events := history(ctx, c.Target, x.dir, t.remembers(), c.Want)
		c.Events = append(c.Events, events...)
		for _, doubt := range plan.Doubts(x.scenario, resolved.Quotas, seen) {
			fmt.Fprintf(a.stderr, "note: %s\n", doubt)
			c.Notes = append(c.Notes, "pointed at before the first byte: "+doubt)
		}
	}
	if !x.quiet {
		shown := a.newProgress()
		defer shown.end()
		c.Progress = shown.show
		if !x.brief {
			fmt.Fprintln(a.stderr, rehearsal.Summary(c))
		}
	}
	m, err := rehearsal.Run(ctx, abort, c, x.dir)
	if err != nil {
		return m, failure(err)
	}
	return m, nil
}

// standIn is what a reader must know of a sandbox's brokers.
const standIn = "the Kafka broker is an embedded stand-in (kfake), not Kafka: it keeps byte rates as Kafka does, but has no replicas, no disk and no JVM, so response times are no more than what the client and the protocol take; take them from a real broker"

// How many percent the heap may grow between two collections, where GOGC doesn't say.
// A run that the collector left alone for minutes would grow for as long. Sent over
// our own HTTP/1.1, requests leave next to nothing behind: a collection of 2 ms comes
// every half a minute. Kafka's client does leave something, so it has Go's 100.
const (
	sparing = 50 // while requests are sent
	lean    = 20 // while reports are made: pictures come and go by megabytes
)

// growth sets how many percent the heap may grow, until it is restored.
func growth(percent int) (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(percent)
	return func() { debug.SetGCPercent(before) }
}

// conclude reads the record back, writes its reports and prints the result.
func (a app) conclude(dir string) error {
	defer growth(lean)()
	run, err := record.Read(dir)
	if err != nil {
		return &exitError{code: exitInput, err: err}
	}
	assessment := capacity.Assess(run)
	earned := outcome(run, assessment) // before Write lets go of the run
	report, err := reports.Write(dir, run, assessment)
	if err != nil {
		return failure(err)
	}
	if err := report.Text(a.stdout, reports.Options{Color: a.color(), Dir: dir}); err != nil {
		return failure(err)
	}
	return earned
}

// interruptible returns a context that the first interrupt ends and a channel
// that the second one closes.
func interruptible(parent context.Context) (ctx context.Context, abort <-chan struct{}, done func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	given, quit := make(chan struct{}), make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-quit:
				return
			case <-signals:
				cancel()
				if n == 1 {
					close(given)
				}
			}
		}
	}()
	return ctx, given, func() { signal.Stop(signals); close(quit); cancel() }
}
