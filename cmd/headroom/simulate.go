package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/model/retry"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/capacity/rehearsal"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/strict"
)

func (a app) simulate() *cobra.Command {
	var system, out string
	var seed uint64
	var minutes, rates bool
	var attempts int
	var changes whatIf
	cmd := &cobra.Command{
		Use:   "simulate SCENARIO|RUN",
		Short: "Rehearse a scenario against a System in virtual time; sends nothing",
		Long: `Simulate takes the scenario's arrivals through the limiters of a System, as a
sandbox would, in virtual time, and reports which quota binds first. The System is
the scenario's own sandbox, or that of --system: a file, or the name of a
ready-made one. The generator is ideal and the network takes no time. The record
and its reports are written to a new folder below runs, or to --out, and say
everywhere that they were simulated.

Of more than 50 million arrivals, and with --fluid, rates are followed instead of
requests: an hour takes a blink, and what chance does below a limit isn't in it.

Of a recorded RUN, its loads are simulated again with what --times, --mix, --limit,
--amount, --share and --duration change, against --system or the System that fit
makes of the record.`,
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
			o := simulator.Options{Seed: seed, Files: rehearsal.OpenFiles(), Tool: tool()}
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
			if rates && attempts > 1 {
				return usage(errors.New("retries are simulated one by one: leave out --fluid or --attempts"))
			}
			o.Fluid = rates
			recorded := isRecord(args[0])
			name := filepath.Base(args[0])
			var p *prepared
			if !recorded {
				if changes.given() {
					return usage(fmt.Errorf("%s is no recorded run: a scenario and its System are changed in their files", args[0]))
				}
				var err error
				if p, err = a.prepareAgainst(args[0], against); err != nil {
					return err
				}
				if p.system == nil {
					return usage(errors.New("the scenario's target is no sandbox: name the System to simulate with --system"))
				}
				if err := simulable(p.scenario); err != nil {
					return err
				}
				name = p.scenario.Name
			}
			o.ID = record.ID(name, time.Now())
			if out == "" {
				out = filepath.Join("runs", o.ID)
			}
			if err := record.Check(out); err != nil {
				return usage(err)
			}
			var run *capacity.Run
			var err error
			if recorded {
				run, err = changes.again(args[0], against, o)
			} else if run, err = simulator.Simulate(p.scenario, p.system, o); err != nil && rates {
				err = usage(err) // it can be simulated without --fluid
			} else if err != nil {
				err = failure(err)
			}
			if err != nil {
				return err
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
	changes.add(cmd)
	return cmd
}

// simulable refuses a scenario with loads that no simulation knows.
func simulable(s *scenarios.Scenario) error {
	for i, l := range s.Loads {
		if l.Kafka() {
			return inputFaults(strict.Faults{s.Fault(fmt.Sprintf("loads[%d]", i), "is of Kafka records, which are not simulated", "headroom run sends them, to a sandbox too")})
		}
	}
	return nil
}
