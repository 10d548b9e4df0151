package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/observe"
	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/capacity/rehearsal"
	"github.com/headroom-load/headroom/reports"
)

func (a app) run() *cobra.Command {
	var o struct {
		out   string
		allow []string
		quiet bool
	}
	cmd := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "Rehearse a scenario and report its quota headroom",
		Long: `Run sends the scenario's load, records what came back and what it used up, and
reports which quota binds first. SCENARIO is a file or the name of a ready-made
scenario. The record and its reports are written to a new folder below runs, or
to --out.

Ctrl-C ends the sending and lets what is in flight finish; a second one gives it
up. Either way the record is complete and marked.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.rehearse(cmd.Context(), args[0], o.out, o.allow, o.quiet)
		},
	}
	cmd.Flags().StringVar(&o.out, "out", "", "folder of the record and its reports; replaces a record that is there")
	cmd.Flags().StringArrayVar(&o.allow, "allow-host", nil, "send load to this host although the scenario file doesn't name it (may be repeated)")
	cmd.Flags().BoolVar(&o.quiet, "quiet", false, "show no progress")
	return cmd
}

func (a app) rehearse(ctx context.Context, ref, out string, allow []string, quiet bool) error {
	p, err := a.prepare(ref)
	if err != nil {
		return err
	}
	if err := rehearsal.Guard(p.scenario, allow); err != nil {
		return &exitError{code: exitRefused, err: err}
	}
	id := record.ID(p.scenario.Name, time.Now())
	if out == "" {
		out = filepath.Join("runs", id)
	}
	if err := record.Check(out); err != nil {
		return usage(err)
	}

	ctx, abort, done := interruptible(ctx)
	defer done()
	t, err := a.connect(ctx, p)
	if err != nil {
		return err
	}
	defer t.close()
	resolved := quotas.Resolve(ctx, p.scenario, p.system, t.applied())
	c := rehearsal.Config{
		ID: id, Scenario: p.scenario, Target: t.name, Sandbox: t.sandbox,
		Driver: t.driver,
		Quotas: resolved.Quotas, Want: resolved.Want, Events: resolved.Events,
		Source: t.source(), Settle: observe.Settle(p.scenario),
		Tool: tool(), Files: rehearsal.OpenFiles(),
	}
	if !quiet {
		shown := a.newProgress()
		defer shown.end()
		c.Progress = shown.show
		fmt.Fprintln(a.stderr, rehearsal.Summary(c))
	}
	if _, err := rehearsal.Run(ctx, abort, c, out); err != nil {
		return failure(err)
	}
	return a.conclude(out)
}

// conclude reads the record back, writes its reports and prints the result.
func (a app) conclude(dir string) error {
	run, err := record.Read(dir)
	if err != nil {
		return &exitError{code: exitInput, err: err}
	}
	assessment := capacity.Assess(run)
	if err := reports.Write(dir, run, assessment); err != nil {
		return failure(err)
	}
	if err := reports.Terminal(a.stdout, run, assessment, reports.Options{Color: a.color(), Dir: dir}); err != nil {
		return failure(err)
	}
	return outcome(run.Manifest, assessment)
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
