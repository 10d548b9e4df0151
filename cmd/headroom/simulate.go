package main

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/model/retry"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/capacity/rehearsal"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/scenarios"
)

func (a app) simulate() *cobra.Command {
	var system, out string
	var seed uint64
	var minutes, rates bool
	var attempts int
	cmd := &cobra.Command{
		Use:   "simulate SCENARIO",
		Short: "Rehearse a scenario against a System in virtual time; sends nothing",
		Long: `Simulate takes the scenario's arrivals through the limiters of a System, as a
sandbox would, in virtual time, and reports which quota binds first. The System is
the scenario's own sandbox, or that of --system: a file, or the name of a
ready-made one. The generator is ideal and the network takes no time. The record
and its reports are written to a new folder below runs, or to --out, and say
everywhere that they were simulated.

Of more than 50 million arrivals, and with --fluid, rates are followed instead of
requests: an hour takes a blink, and what chance does below a limit isn't in it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var against *model.System
			if system != "" {
				sys, err := openSystem(system)
				if err != nil {
					return err
				}
				against = sys
			}
			p, err := a.prepareAgainst(args[0], against)
			if err != nil {
				return err
			}
			if p.system == nil {
				return usage(errors.New("the scenario's target is no sandbox: name the System to simulate with --system"))
			}
			id := record.ID(p.scenario.Name, time.Now())
			if out == "" {
				out = filepath.Join("runs", id)
			}
			if err := record.Check(out); err != nil {
				return usage(err)
			}
			o := simulator.Options{ID: id, Seed: seed, Files: rehearsal.OpenFiles(), Tool: tool()}
			if minutes {
				o.Resolution = time.Minute
			}
			if attempts < 1 {
				return usage(errors.New("--attempts counts the first one: 1 or more"))
			}
			if attempts > 1 {
				o.Retry = retry.SDK()
				o.Retry.Attempts, o.Retry.Budget = attempts, nil // a load is many clients, each with a budget
			}
			simulate := simulator.Run
			if rates && attempts > 1 {
				return usage(errors.New("retries are simulated one by one: leave out --fluid or --attempts"))
			}
			if rates || attempts == 1 && planned(p.scenario) > simulator.Most {
				simulate = simulator.Fluid
			}
			run, err := simulate(p.scenario, p.system, o)
			if err != nil {
				return failure(err)
			}
			if err := record.Save(out, run); err != nil {
				return failure(err)
			}
			return a.conclude(out)
		},
	}
	cmd.Flags().StringVar(&system, "system", "", "System to simulate: a file or the name of a ready-made one (default: the scenario's sandbox)")
	cmd.Flags().StringVar(&out, "out", "", "folder of the record and its reports; replaces a record that is there")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of service times, keys and amounts")
	cmd.Flags().BoolVar(&minutes, "minutes", false, "show the limiters' use by the minute only, as a cloud does")
	cmd.Flags().IntVar(&attempts, "attempts", 1, "attempts that clients make at a request that is throttled or times out, with the waits of AWS's SDKs")
	cmd.Flags().BoolVar(&rates, "fluid", false, "follow the rates instead of single requests")
	return cmd
}

// planned returns how many arrivals the scenario expects.
func planned(s *scenarios.Scenario) (n float64) {
	for _, l := range s.Loads {
		for _, st := range l.Profile {
			n += st.Arrivals()
		}
	}
	return n
}
