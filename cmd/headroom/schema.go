package main

import (
	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/scenarios"
)

func (a app) schema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of scenario files",
		Long: `Schema prints the JSON Schema (draft 2020-12) of scenario files. Editors with a
YAML language server check and complete a scenario that begins with

  # yaml-language-server: $schema=scenario.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if _, err := a.stdout.Write(scenarios.Schema()); err != nil {
				return failure(err)
			}
			return nil
		},
	}
}
