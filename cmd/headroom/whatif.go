package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/fit"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// whatIf are the flags that change a recorded run before it is simulated.
type whatIf struct {
	times                   float64
	mix, duration           string
	limits, amounts, shares []string
}

func (w *whatIf) add(cmd *cobra.Command) {
	cmd.Flags().Float64Var(&w.times, "times", 0, "of a recorded run: every rate so many times as high")
	cmd.Flags().StringVar(&w.mix, "mix", "", "of a recorded run: weights of the operations, list=5,get=1")
	cmd.Flags().StringVar(&w.duration, "duration", "", "of a recorded run: a request takes so long, 120ms")
	cmd.Flags().StringArrayVar(&w.limits, "limit", nil, "of a recorded run: another limit, 'appsync.request-tokens=20000 tokens/s' or lambda.concurrency=2000; may be repeated")
	cmd.Flags().StringArrayVar(&w.amounts, "amount", nil, "of a recorded run: what a request charges, appsync.request-tokens=1; may be repeated")
	cmd.Flags().StringArrayVar(&w.shares, "share", nil, "of a recorded run: the part of the requests that charge a limiter, such as those that miss a cache, lambda.concurrency=2%; may be repeated")
}

// given reports whether any of the flags is.
func (w *whatIf) given() bool {
	return w.times != 0 || w.mix != "" || w.duration != "" || len(w.limits)+len(w.amounts)+len(w.shares) > 0
}

// change reads the flags.
func (w *whatIf) change() (c simulator.Change, err error) {
	if w.times < 0 || w.times > 1e6 {
		return c, fmt.Errorf("--times %g is not between 0 and a million", w.times)
	}
	c.Rate = w.times
	if w.mix != "" {
		if c.Mix, err = weights(w.mix); err != nil {
			return c, err
		}
	}
	m := model.Change{Limits: map[string]float64{}, Amounts: map[string]model.Amount{}, Shares: map[string]float64{}}
	if w.duration != "" {
		d, err := unit.ParseDuration(w.duration)
		if err != nil || d <= 0 {
			return c, fmt.Errorf("--duration %q is no duration: write 120ms", w.duration)
		}
		m.ServiceTime = &model.Distribution{Shape: model.Constant, Mean: d}
	}
	each := func(flag string, list []string, example string, read func(id, value string) error) error {
		for _, x := range list {
			id, value, ok := strings.Cut(x, "=")
			if !ok || read(id, strings.TrimSpace(value)) != nil {
				return fmt.Errorf("--%s %q can't be read: write --%[1]s '%[3]s'", flag, x, example)
			}
		}
		return nil
	}
	err = errors.Join(
		each("limit", w.limits, "appsync.request-tokens=20000 tokens/s", func(id, value string) error {
			if r, err := unit.ParseRate(value); err == nil {
				m.Limits[id] = r.PerSecond()
				return nil
			}
			level, err := strconv.ParseUint(value, 10, 32) // environments; a bare rate is no rate
			m.Limits[id] = float64(level)
			return err
		}),
		each("amount", w.amounts, "appsync.request-tokens=1", func(id, value string) error {
			v, err := strconv.ParseFloat(value, 64)
			m.Amounts[id] = model.Amount{Cold: v, Warm: v}
			if err == nil && !(v >= 0 && v < 1e15) {
				err = strconv.ErrRange
			}
			return err
		}),
		each("share", w.shares, "lambda.concurrency=2%", func(id, value string) error {
			v, err := unit.ParseShare(value)
			m.Shares[id] = v
			return err
		}),
	)
	c.System = []model.Change{m}
	return c, err
}

// isRecord reports whether a folder holds a record.
func isRecord(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "manifest.json"))
	return err == nil
}

// again simulates a recorded run with the change that the flags say, against a
// System or, where that is nil, the one that the record tells of.
func (w *whatIf) again(dir string, sys *model.System, o simulator.Options) (*capacity.Run, error) {
	c, err := w.change()
	if err != nil {
		return nil, usage(err)
	}
	run, err := record.Read(dir)
	if err != nil {
		return nil, &exitError{code: exitInput, err: err}
	}
	if sys == nil {
		f, err := fit.Runs([]*capacity.Run{run}, run.Manifest.Scenario.Name)
		if err != nil {
			return nil, &exitError{code: exitInconclusive, err: fmt.Errorf("the record doesn't tell its System, name one with --system: %w", err)}
		}
		if sys, err = model.Parse("System of "+dir, f.Text); err != nil {
			return nil, failure(err)
		}
	}
	again, err := simulator.Again(run, sys, c, o)
	if err != nil {
		return nil, usage(err)
	}
	return again, nil
}
