package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/plan"
	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/capacity/rehearsal"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/reports"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/unit"
)

func (a app) check() *cobra.Command {
	var system string
	var aboveQuota bool
	cmd := &cobra.Command{
		Use:   "check SCENARIO",
		Short: "Parse a scenario and say what it would send and use; sends nothing",
		Long: `Check reads the scenario and every file it names, reports all faults at once, and
says what a run would send and which quotas it would be held against. Where the
target's System is known, its own sandbox or that of --system (headroom fit makes one
of recorded runs), the plan is simulated: the use of every quota, what would be
refused and when, the connections and the bandwidth that it takes, and what it would
cost.

Check asks no service, so limits come from the scenario, the System file or the
catalogue. Refused (exit code 122) are a plan above the ceiling that calibrate found
of this machine, and a plan against a real target that --system says would run into a
quota or that could not be sent in time, unless --above-quota is given.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.prepare(args[0])
			if err != nil {
				return err
			}
			sys := p.system
			if system != "" {
				if sys, err = openSystem(system); err != nil {
					return err
				}
				if _, err := a.prepareAgainst(args[0], sys); err != nil {
					return err
				}
			}
			resolved := quotas.Resolve(cmd.Context(), p.scenario, p.system, nil)
			c := rehearsal.Config{Scenario: p.scenario, Quotas: resolved.Quotas, Want: resolved.Want, Sandbox: p.system != nil, Files: rehearsal.OpenFiles()}
			if p.system != nil {
				c.Target = "sandbox " + p.scenario.Target.Sandbox
			} else {
				c.Target = targetName(p.scenario.Target)
			}
			fmt.Fprintln(a.stdout, rehearsal.Summary(c))
			for _, w := range plan.Doubts(p.scenario, resolved.Quotas, nil) {
				fmt.Fprintf(a.stdout, "note: %s\n", w)
			}
			known := a.kept()
			if w := unjudged(known, p.scenario); w != "" {
				fmt.Fprintf(a.stdout, "note: %s\n", w)
			}
			refused := ""
			if err := simulable(p.scenario); sys != nil && err != nil {
				fmt.Fprintln(a.stdout, "note: nothing is predicted: loads of Kafka records are not simulated")
			} else if sys != nil {
				if refused, err = a.predict(p.scenario, sys); err != nil {
					return err
				}
			}
			if err := aboveCeiling(known, c); err != nil {
				return err
			}
			if refused != "" && p.system == nil && !aboveQuota {
				return &exitError{code: exitRefused, err: errors.New(refused), hint: "pass --above-quota if that is what you want to rehearse"}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&system, "system", "", "System that stands for the target in the prediction: a file or the name of a ready-made one")
	cmd.Flags().BoolVar(&aboveQuota, "above-quota", false, "don't refuse a plan that would run into a quota")
	return cmd
}

// predict prints what the scenario would use of a System, and returns what it
// would run into, or "".
func (a app) predict(s *scenarios.Scenario, sys *model.System) (refused string, err error) {
	run, err := simulator.Run(s, sys, simulator.Options{Seed: 1, Files: rehearsal.OpenFiles(), Tool: tool()})
	if err != nil {
		return "", failure(err)
	}
	assessment := capacity.Assess(run)
	fmt.Fprintln(a.stdout)
	if err := reports.Prediction(run, assessment).Text(a.stdout, reports.Options{Color: a.color()}); err != nil {
		return "", failure(err)
	}
	throttled, dropped := reports.Unserved(run)
	switch {
	case throttled > 0:
		refused = fmt.Sprintf("%s of the plan would be refused by a quota", unit.HumanCount(throttled, unit.Requests))
	case dropped > 0:
		refused = fmt.Sprintf("%s of the plan could not be sent in time", unit.HumanCount(dropped, unit.Requests))
	}
	return refused, nil
}
