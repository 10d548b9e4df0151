package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/fit"
	"github.com/headroom-load/headroom/capacity/record"
)

func (a app) fit() *cobra.Command {
	var out, name string
	cmd := &cobra.Command{
		Use:   "fit RUN...",
		Short: "Make a System file from recorded runs",
		Long: `Fit pools recorded runs into a System file: what each operation takes and charges, and
the limits it was held against, each with a comment that says where it comes from.
The file can be simulated, served as a sandbox, and edited. Runs that are not VALID
are refused; what the runs don't tell is left out, with a warning.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var runs []*capacity.Run
			for _, dir := range args {
				run, err := record.Read(dir)
				if err != nil {
					return &exitError{code: exitInput, err: err}
				}
				runs = append(runs, run)
			}
			if name == "" {
				name = runs[len(runs)-1].Manifest.Scenario.Name
				if out != "" && out != "-" {
					name = strings.TrimSuffix(filepath.Base(out), filepath.Ext(out))
				}
			}
			f, err := fit.Runs(runs, name)
			var invalid *fit.NotValidError
			switch {
			case errors.As(err, &invalid):
				code := exitInconclusive
				if invalid.Status == capacity.Invalid {
					code = exitInvalid
				}
				return &exitError{code: code, err: err}
			case err != nil:
				return failure(err)
			}
			for _, w := range f.Warnings {
				fmt.Fprintf(a.stderr, "note: %s\n", w)
			}
			if out == "" || out == "-" {
				_, err = a.stdout.Write(f.Text)
			} else if err = os.WriteFile(out, f.Text, 0o644); err == nil {
				fmt.Fprintf(a.stdout, "%s: %d %s, %d %s; try headroom simulate SCENARIO --system %s\n", out,
					len(f.System.Operations), plural(len(f.System.Operations), "operation", "operations"),
					len(f.System.Limiters), plural(len(f.System.Limiters), "limiter", "limiters"), out)
			}
			if err != nil {
				return failure(err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write the System to (default: standard output)")
	cmd.Flags().StringVar(&name, "name", "", "name of the System (default: that of the file, or of the scenario)")
	return cmd
}
