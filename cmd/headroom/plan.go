package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/plan"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/reports"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// planFlags are the flags that say what is planned for.
type planFlags struct {
	rate, margin, loseOneOf              string
	tokens, hitRatio, duration, mix, out string
	format                               string
}

func (a app) plan() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan RUN",
		Short: "Say which quotas must rise for a target rate, to what, and in which order",
		Long: `Plan takes what a recorded run says a request costs and multiplies it out for a
target rate. Each requirement is shown with its factors, so that any of them can be
struck. Steps come in the order in which the quotas bind, with the rate that each
one reaches.

The flags --tokens, --hit-ratio, --duration and --mix suppose that one thing differs
from the run; the plan says so.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, _, _, err := f.plan(args[0])
			if err != nil {
				return err
			}
			var write func(io.Writer) error
			switch f.format {
			case "text":
				write = func(w io.Writer) error {
					return reports.Plan(p).Text(w, reports.Options{Color: f.out == "" && a.color()})
				}
			case "markdown":
				write = reports.Plan(p).Markdown
			case "json":
				write = func(w io.Writer) error {
					e := json.NewEncoder(w)
					e.SetIndent("", "  ")
					return e.Encode(p)
				}
			default:
				return usage(fmt.Errorf("--format %q is none of text, markdown, json", f.format))
			}
			w := a.stdout
			if f.out != "" && f.out != "-" {
				file, err := os.Create(f.out)
				if err != nil {
					return failure(err)
				}
				defer file.Close()
				w = file
			}
			if err := write(w); err != nil {
				return failure(err)
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.tokens, "tokens", "", "suppose that a request costs so many request tokens")
	cmd.Flags().StringVar(&f.hitRatio, "hit-ratio", "", "suppose a cache before DynamoDB that answers this share of the requests: 0.98 or 98%")
	cmd.Flags().StringVar(&f.duration, "duration", "", "suppose that a request holds an environment for so long: 120ms")
	cmd.Flags().StringVar(&f.mix, "mix", "", "suppose these weights of the operations: list=5,get=1")
	cmd.Flags().StringVar(&f.format, "format", "text", "text, markdown or json")
	cmd.Flags().StringVar(&f.out, "out", "", "file to write the plan to (default: standard output)")
	return cmd
}

// add adds the flags that plan and request share.
func (f *planFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.rate, "rate", "", "target, in arrivals of all loads together: 5000/s (default: the scenario's forecast)")
	cmd.Flags().StringVar(&f.margin, "margin", "", "confidence that covers the busiest second of a minute and the tails of levels: p99 (default: means only)")
	cmd.Flags().StringVar(&f.loseOneOf, "lose-one-of", "", "one of so many units may fail and the others take its part: 3")
}

// plan reads the record of a run and plans from it.
func (f planFlags) plan(dir string) (*plan.Plan, *capacity.Run, capacity.Assessment, error) {
	fail := func(err error) (*plan.Plan, *capacity.Run, capacity.Assessment, error) {
		return nil, nil, capacity.Assessment{}, err
	}
	run, err := record.Read(dir)
	if err != nil {
		return fail(&exitError{code: exitInput, err: err})
	}
	r, err := f.request(run)
	if err != nil {
		return fail(usage(err))
	}
	assessment := capacity.Assess(run)
	p, err := plan.New(run, assessment, r)
	switch {
	case errors.Is(err, plan.ErrNoCosts), errors.Is(err, plan.ErrCostHidden):
		return fail(&exitError{code: exitInconclusive, err: err})
	case err != nil:
		return fail(usage(err))
	}
	return p, run, assessment, nil
}

// request reads the flags.
func (f planFlags) request(run *capacity.Run) (r plan.Request, err error) {
	r.Rate = run.Manifest.Scenario.Forecast
	if f.rate != "" {
		v, err := unit.ParseRate(f.rate)
		if err == nil && v.Thing != unit.Arrivals {
			err = fmt.Errorf("%q is not a rate of arrivals: write it as 5000/s", f.rate)
		}
		if err != nil {
			return r, fmt.Errorf("--rate: %w", err)
		}
		if r.Rate = v.PerSecond(); r.Rate == 0 {
			return r, fmt.Errorf("--rate %s plans for no arrivals: write one above zero, such as 5000/s", f.rate)
		}
	}
	if r.Rate <= 0 {
		return r, errors.New("the scenario has no forecast: name the target with --rate, such as --rate 5000/s")
	}
	if f.margin != "" {
		p, ok := capacity.Percentile(f.margin)
		if !ok {
			return r, fmt.Errorf("--margin %q is none: write %s, as in thresholds", f.margin, strings.Join(capacity.Percentiles(), ", "))
		}
		r.Margin = p
	}
	if f.loseOneOf != "" {
		n, err := strconv.Atoi(f.loseOneOf)
		if err != nil || n < 2 {
			return r, fmt.Errorf("--lose-one-of %q is no number of units from 2 up", f.loseOneOf)
		}
		r.LoseOneOf = n
	}
	if f.tokens != "" {
		v, err := strconv.ParseFloat(strings.TrimSuffix(f.tokens, " tokens"), 64)
		if err != nil || !(v > 0 && v < 1e9) {
			return r, fmt.Errorf("--tokens %q is no number of tokens", f.tokens)
		}
		r.WhatIf.Tokens = &v
	}
	if f.hitRatio != "" {
		v, err := strconv.ParseFloat(f.hitRatio, 64)
		if err != nil {
			v, err = unit.ParseShare(f.hitRatio)
		}
		if err != nil || !(v >= 0 && v <= 1) {
			return r, fmt.Errorf("--hit-ratio %q is no share from 0 to 1: write 0.98 or 98%%", f.hitRatio)
		}
		r.WhatIf.HitRatio = &v
	}
	if f.duration != "" {
		v, err := unit.ParseDuration(f.duration)
		if err != nil || v <= 0 {
			return r, fmt.Errorf("--duration %q is no duration: write 120ms", f.duration)
		}
		s := v.Seconds()
		r.WhatIf.Duration = &s
	}
	if f.mix != "" {
		mix, err := weights(f.mix)
		if err != nil {
			return r, err
		}
		r.WhatIf.Mix = mix
	}
	return r, nil
}

// weights reads the weights of operations that --mix gives.
func weights(list string) (map[string]float64, error) {
	mix := make(map[string]float64)
	for part := range strings.SplitSeq(list, ",") {
		name, weight, ok := strings.Cut(strings.TrimSpace(part), "=")
		v, err := strconv.ParseFloat(weight, 64)
		if !ok || err != nil || !(v >= 0 && v < 1e9) {
			return nil, fmt.Errorf("--mix %q is no list of weights: write list=5,get=1", list)
		}
		if _, twice := mix[name]; twice {
			return nil, fmt.Errorf("--mix %q gives %s two weights", list, name)
		}
		mix[name] = v
	}
	return mix, nil
}
