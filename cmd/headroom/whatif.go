package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

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
	cmd.Flags().StringArrayVar(&w.limits, "limit", nil, "of a recorded run: another limit, 'appsync.request-tokens=20000 tokens/s', lambda.concurrency=2000 or momento.item-size=5MB; may be repeated")
	cmd.Flags().StringArrayVar(&w.amounts, "amount", nil, "of a recorded run: what a request charges, appsync.request-tokens=1; may be repeated")
	cmd.Flags().StringArrayVar(&w.shares, "share", nil, "of a recorded run: the part of the requests that charge a limiter, such as those that miss a cache, lambda.concurrency=2%; may be repeated")
}

// given reports whether any of the flags is.
func (w *whatIf) given() bool {
	return w.times != 0 || w.mix != "" || w.duration != "" || len(w.limits)+len(w.amounts)+len(w.shares) > 0
}

// change reads the flags, but for --limit, which is in the unit of the System's
// limiter.
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
	m := model.Change{Amounts: map[string]model.Amount{}, Shares: map[string]float64{}}
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

// limitsOf reads --limit for the limiters of a System, each in its own unit.
func (w *whatIf) limitsOf(sys *model.System) (map[string]float64, error) {
	limits := map[string]float64{}
	for _, x := range w.limits {
		id, value, _ := strings.Cut(x, "=")
		i := slices.IndexFunc(sys.Limiters, func(l model.Limiter) bool { return l.ID == id })
		if i < 0 {
			var ids []string
			for _, l := range sys.Limiters {
				ids = append(ids, l.ID)
			}
			return nil, fmt.Errorf("--limit %q: the System has no limiter %q; it has %s", x, id, cmp.Or(strings.Join(ids, ", "), "none"))
		}
		l := &sys.Limiters[i]
		limit, ok := limitOf(l, strings.TrimSpace(value))
		if !ok {
			return nil, fmt.Errorf("--limit %q can't be read: write --limit '%s=%s'", x, id, twice(l))
		}
		limits[id] = limit
	}
	return limits, nil
}

// limitOf reads a limit in the notation of its limiter: a size, a level, or else a
// rate.
func limitOf(l *model.Limiter, value string) (float64, bool) {
	switch l.Kind {
	case model.ItemSize:
		size, err := unit.ParseSize(value)
		return float64(size), err == nil
	case model.Concurrency:
		level, err := strconv.ParseUint(value, 10, 32)
		return float64(level), err == nil
	}
	r, err := unit.ParseRate(value)
	return r.PerSecond(), err == nil && (r.Thing == l.Unit || r.Thing == unit.Arrivals || l.Unit == "")
}

// twice writes twice the limit of a limiter, as an example.
func twice(l *model.Limiter) string {
	switch l.Kind {
	case model.ItemSize:
		return unit.Quantity{Amount: 2 * l.Limit, Thing: unit.Bytes}.String()
	case model.Concurrency:
		return strconv.FormatFloat(2*l.Limit, 'f', -1, 64)
	}
	return unit.Rate{Amount: 2 * l.Limit, Thing: l.Unit, Per: time.Second}.String()
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
		c.Pooled = f.Pooled
	}
	limits, err := w.limitsOf(sys)
	if err != nil {
		return nil, usage(err)
	}
	c.System[0].Limits = limits // with the amounts, which they must admit
	again, err := simulator.Again(run, sys, c, o)
	if err != nil {
		return nil, usage(err)
	}
	return again, nil
}
