package main

import "github.com/spf13/cobra"

func (a app) report() *cobra.Command {
	return &cobra.Command{
		Use:   "report FOLDER",
		Short: "Rebuild the reports of a recorded run",
		Long: `Report reads the record in FOLDER, writes its reports anew and prints the result,
offline. It exits as the run did; where the record isn't whole, because it was
damaged or the run was killed, with the code of its verdict (121, or 120).`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.conclude(args[0])
		},
	}
}
