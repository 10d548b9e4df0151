package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/capacity/rehearsal"
)

func (a app) check() *cobra.Command {
	return &cobra.Command{
		Use:   "check SCENARIO",
		Short: "Parse a scenario and say what it would send; sends nothing",
		Long: `Check reads the scenario and every file it names, reports all faults at once, and
says what a run would send and which quotas it would be held against. It asks no
service, so limits come from the scenario, the System file or the catalogue. A plan
above the ceiling that calibrate found of this machine is refused.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.prepare(args[0])
			if err != nil {
				return err
			}
			resolved := quotas.Resolve(cmd.Context(), p.scenario, p.system, nil)
			c := rehearsal.Config{Scenario: p.scenario, Quotas: resolved.Quotas, Files: rehearsal.OpenFiles()}
			if p.system != nil {
				c.Target = "sandbox " + p.scenario.Target.Sandbox
			} else {
				c.Target = redactURL(p.scenario.Target.GraphQL.Endpoint)
			}
			fmt.Fprintln(a.stdout, rehearsal.Summary(c))
			return aboveCeiling(a.kept(), c)
		},
	}
}
