package main

import (
	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity/comparison"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/reports"
)

func (a app) compare() *cobra.Command {
	return &cobra.Command{
		Use:   "compare BEFORE AFTER",
		Short: "Put two recorded runs side by side",
		Long: `Compare prints what each request cost of each quota, what became of the requests
and how long they took, for the records in two folders. With a single run on
each side it gives no verdict: runs differ from one another by chance.`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			before, err := record.Read(args[0])
			if err != nil {
				return &exitError{code: exitInput, err: err}
			}
			after, err := record.Read(args[1])
			if err != nil {
				return &exitError{code: exitInput, err: err}
			}
			c := comparison.Compare(before, after)
			if err := reports.Comparison(c).Text(a.stdout, reports.Options{Color: a.color()}); err != nil {
				return failure(err)
			}
			return nil
		},
	}
}
