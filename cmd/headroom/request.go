package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/plan"
	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/capacity/quotas/servicequotas"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/reports"
	"github.com/headroom-load/headroom/reports/pack"
	"github.com/headroom-load/headroom/scenarios/unit"
)

func (a app) request() *cobra.Command {
	var f planFlags
	var asked pack.Asked
	var out string
	var submit bool
	cmd := &cobra.Command{
		Use:   "request RUN",
		Short: "Make the evidence pack of a quota increase from a recorded run",
		Long: `Request writes a folder with what a quota increase needs: request.md (who, what, why
and by when, with the measured evidence), request.json (the exact parameters of the
Service Quotas calls), the figures, and the record's rows behind them. A run that is
not VALID is refused. The pack holds the whole record, with its target's address.

Nothing is sent, unless --submit is given: then each call is shown and made once you
have answered yes, unless the run was simulated or went to a sandbox, which is no
evidence. Service Quotas takes no text; request.md is for the support case.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := record.Read(args[0])
			if err != nil {
				return &exitError{code: exitInput, err: err}
			}
			r, err := f.request(run)
			if err != nil {
				return usage(err)
			}
			asked.Rate, asked.Margin, asked.LoseOneOf = r.Rate, r.Margin, r.LoseOneOf
			if asked.Region == "" {
				asked.Region, asked.Account = run.Manifest.Region, run.Manifest.Account
			}
			if asked.Region == "" {
				return usage(errors.New("the record names no AWS Region: say which one the quotas are in with --region"))
			}
			if _, err := time.Parse(time.DateOnly, asked.By); asked.By != "" && err != nil {
				return usage(fmt.Errorf("--by %q is no date: write it as 2027-01-15", asked.By))
			}
			if out == "" {
				out = "request-" + run.Manifest.ID
			}
			request, sum, err := pack.Write(out, args[0], asked)
			var refused *pack.RefusedError
			switch {
			case errors.As(err, &refused):
				code := exitInconclusive
				if refused.Status == "INVALID" {
					code = exitInvalid
				}
				return &exitError{code: code, err: err}
			case errors.Is(err, pack.ErrNotAPack):
				return usage(err)
			case errors.Is(err, plan.ErrNoCosts), errors.Is(err, plan.ErrCostHidden):
				return &exitError{code: exitInconclusive, err: err}
			case errors.Is(err, pack.ErrEnough):
				return usage(err)
			case err != nil:
				return failure(err)
			}
			fmt.Fprintf(a.stdout, "%s holds the request: read request.md first\n", out)
			for _, x := range request.Raises {
				fmt.Fprintf(a.stdout, "  %s\n", x.CLI)
			}
			if len(request.Raises) > 0 {
				fmt.Fprintf(a.stdout, "  (%s)\n", reports.Margin(request.Plan.Margin))
			}
			if len(request.Elsewhere) > 0 {
				fmt.Fprintf(a.stdout, "not in Service Quotas: %s\n", strings.Join(request.Elsewhere, ", "))
			}
			fmt.Fprintf(a.stdout, "digest %s (headroom verify prints the same)\n", sum)
			if !submit {
				return nil
			}
			return a.submit(cmd.Context(), request, run.Manifest.Sandbox)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&out, "out", "", "folder of the pack; replaces a pack that is there (default: request-RUN)")
	cmd.Flags().StringVar(&asked.Region, "region", "", "AWS Region of the quotas (default: the record's)")
	cmd.Flags().StringVar(&asked.Account, "account", "", "AWS account that asks (default: the record's)")
	cmd.Flags().StringVar(&asked.Contact, "contact", "", "who asks and can be reached")
	cmd.Flags().StringVar(&asked.Why, "why", "", "what the quota is needed for")
	cmd.Flags().StringVar(&asked.By, "by", "", "date by which it is needed: 2027-01-15")
	cmd.Flags().BoolVar(&submit, "submit", false, "make the Service Quotas calls, after asking")
	return cmd
}

// submit makes each call that is confirmed, unless the run was simulated or went to
// a sandbox.
func (a app) submit(ctx context.Context, r *pack.Request, sandbox bool) error {
	what := string(r.Kind) + " run"
	if sandbox && r.Kind == capacity.Measured {
		what = "run against a sandbox"
	}
	if r.Kind != capacity.Measured || sandbox {
		return &exitError{code: exitRefused, err: fmt.Errorf("a %s is no evidence: nothing is submitted", what), hint: "rehearse against the real service, and request from that run"}
	}
	c, err := config.LoadDefaultConfig(ctx, config.WithRegion(r.Asked.Region))
	if err != nil {
		return failure(fmt.Errorf("AWS configuration: %w", err))
	}
	source := servicequotas.New(c)
	answers := bufio.NewScanner(a.stdin)
	for _, x := range r.Raises {
		fmt.Fprintf(a.stderr, "ask AWS for %s %s = %s in %s, which is %s now? Type yes: ", x.ServiceCode, x.QuotaCode, unit.Human(x.DesiredValue), r.Asked.Region, unit.Human(x.Current))
		answered := answers.Scan()
		fmt.Fprintln(a.stderr)
		if !answered || strings.TrimSpace(answers.Text()) != "yes" {
			fmt.Fprintf(a.stdout, "%s: not submitted\n", x.Quota)
			continue
		}
		id, status, err := source.Raise(ctx, quotas.Code{Service: x.ServiceCode, Quota: x.QuotaCode}, x.DesiredValue)
		if err != nil {
			return failure(err)
		}
		fmt.Fprintf(a.stdout, "%s: request %s is %s\n", x.Quota, id, status)
	}
	return nil
}

func (a app) verify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify PACK",
		Short: "Derive every figure of a request pack from its record again",
		Long: `Verify makes the pack again from the record inside it and compares every byte of
every file. It ends with exit code 1 where anything differs. The digest it prints is
the one that request printed: send it by another way, and a pack that was made anew
as a whole is found too.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			sum, differences, err := pack.Verify(args[0])
			if err != nil {
				return &exitError{code: exitInput, err: fmt.Errorf("%s: %w", args[0], err)}
			}
			if len(differences) > 0 {
				return failure(fmt.Errorf("the pack was changed:\n  %s", strings.Join(differences, "\n  ")))
			}
			fmt.Fprintf(a.stdout, "every figure follows from the record\ndigest %s\n", sum)
			return nil
		},
	}
}
