// Package fit is the room that turns runs into a System file: what each operation
// takes and charges, and the limits it was held against, so that a backend that
// was rehearsed once can be simulated and planned for nothing.
//
// Runs are pooled by ratios of sums. What they don't tell is not invented: a
// figure that stands on a rule of the service or on a supposition says so in a
// comment beside it, and what could not be fitted is a warning.
package fit

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Fitted is a System with the file that says where its figures come from.
type Fitted struct {
	System *model.System
	Text   []byte // the System file
	// Warnings say what could not be fitted, and where runs disagree by more than
	// their intervals.
	Warnings []string
	// Pooled are the limiters, by id, of which every operation charges the mean of all that
	// charge them, since the runs don't tell them apart: they hold for the runs' own mix.
	Pooled []string
}

// NotValidError is the refusal of a run that says itself that it can't be
// believed.
type NotValidError struct {
	Run    string
	Status capacity.Status
}

func (e *NotValidError) Error() string {
	return fmt.Sprintf("run %s is %s: a System fitted to it would be wrong", e.Run, e.Status)
}

// Runs fits a System of the given name to runs of the same operations.
func Runs(runs []*capacity.Run, name string) (*Fitted, error) {
	if len(runs) == 0 {
		return nil, errors.New("no run to fit")
	}
	f := &fitter{operations: map[string]*operation{}, quotas: map[string]*quota{}}
	for _, run := range runs {
		a := capacity.Assess(run)
		if a.Verdict.Status != capacity.Valid {
			return nil, &NotValidError{run.Manifest.ID, a.Verdict.Status}
		}
		f.add(run, a)
	}
	f.settle()
	text := f.file(name)
	s, err := model.Parse("fitted.yaml", text)
	if err != nil {
		return nil, fmt.Errorf("what was fitted is no System: %w", err)
	}
	return &Fitted{System: s, Text: text, Warnings: f.warnings, Pooled: f.pooled}, nil
}

// fitter pools runs.
type fitter struct {
	runs       []string // id, date, verdict
	last       string   // date of the newest run
	operations map[string]*operation
	order      []string // of the operations
	quotas     map[string]*quota
	quotaOrder []string
	levels     []level // of all runs
	warnings   []string
	pooled     []string // limiters whose operations the runs don't tell apart
}

// operation is one kind of request over all runs.
type operation struct {
	name     string
	answers  measure.Distribution // response times of ok answers, and of requests that timed out up to then, microseconds
	timedOut int64
	tokens   measure.Distribution
	bytes, n float64 // body bytes of all answers, and how many answers; of runs that tell bytes
	// seconds are tokens and answers with tokens by the second since the first
	// served request, of the run that lasted longest.
	seconds []sums
}

type sums struct{ tokens, n float64 }

// quota is one limit over all runs.
type quota struct {
	capacity.Quota
	costs   []capacity.QuotaResult // of the runs that tell the cost
	weights []float64              // requests that charge it, of each of these
	all     []float64              // arrivals of the loads that these are of
	loads   []loadCost
	charges map[string]bool // operations that charge it
	sizes   sizes           // of a limit of sizes, which no rate has a cost of
	refused bool            // that it refused requests, which told no charge
	hidden  bool            // that so many were that no cost is known
}

func (f *fitter) warn(format string, args ...any) {
	if w := fmt.Sprintf(format, args...); !slices.Contains(f.warnings, w) {
		f.warnings = append(f.warnings, w)
	}
}

func (f *fitter) add(run *capacity.Run, a capacity.Assessment) {
	m := &run.Manifest
	date := m.Start.UTC().Format("2006-01-02")
	f.runs = append(f.runs, fmt.Sprintf("%s, %s, %s, scenario %s", m.ID, m.Kind, date, short(m.Scenario.Digest)))
	f.last = max(f.last, date)
	f.levels = append(f.levels, levels(run)...)
	served := map[measure.Operation]string{}
	for _, l := range m.Loads {
		for _, op := range l.Operations {
			key := measure.Operation{Load: l.Name, Name: op.Name}
			served[key] = op.ServedAs()
			f.operation(served, key)
		}
	}
	seconds := map[string][]sums{}
	type body struct{ bytes, n float64 }
	bodies := map[string]body{}
	for r := range run.Rows.All() {
		op := f.operation(served, measure.Operation{Load: r.Load, Name: r.Operation})
		op.timedOut += r.TimedOut
		b := bodies[op.name]
		bodies[op.name] = body{b.bytes + float64(r.BytesIn), b.n + float64(r.OK)}
		s := seconds[op.name]
		for len(s) <= r.Second {
			s = append(s, sums{})
		}
		s[r.Second].tokens += float64(r.TokensDone)
		s[r.Second].n += float64(r.TokensN)
		seconds[op.name] = s
	}
	for name, b := range bodies {
		// A simulation knows of no bytes where its System doesn't say how many.
		if b.bytes > 0 {
			op := f.operations[name]
			op.bytes, op.n = op.bytes+b.bytes, op.n+b.n
		}
	}
	for name, s := range seconds {
		for len(s) > 0 && s[0].n == 0 {
			s = s[1:]
		}
		if op := f.operations[name]; len(s) > len(op.seconds) {
			op.seconds = s
		}
	}
	for _, iv := range run.Latency {
		op := f.operation(served, measure.Operation{Load: iv.Load, Name: iv.Operation})
		switch iv.Kind {
		case measure.ResponseTimes:
			op.answers.Add(iv)
		case measure.TokenCounts:
			op.tokens.Add(iv)
		}
	}
	for _, of := range m.Quotas { // in the order in which requests pass them
		res := a.Quotas[slices.IndexFunc(a.Quotas, func(r capacity.QuotaResult) bool { return r.ID == of.ID })]
		q := f.quotas[of.ID]
		if q == nil {
			q = &quota{Quota: of, charges: map[string]bool{}}
			f.quotas[of.ID] = q
			f.quotaOrder = append(f.quotaOrder, of.ID)
		} else if q.Limit != of.Limit {
			f.warn("%s was %s in one run and is %s in the last: the last holds", of.ID, unit.Human(q.Limit), unit.Human(of.Limit))
			q.Quota, q.sizes = of, sizes{}
		}
		var arrivals, all float64
		for _, l := range m.Loads {
			if len(of.Loads) == 0 || slices.Contains(of.Loads, l.Name) {
				all += float64(l.Planned)
			}
			for _, op := range l.Operations {
				if q.Quota.Charges(l.Name, op.Name) {
					q.charges[op.ServedAs()] = true
					arrivals += float64(l.Planned) * op.Share
				}
			}
		}
		if q.OfSize() {
			q.sizes.add(run, of, res)
		}
		q.refused = q.refused || res.Throttled != nil && *res.Throttled > 0
		q.hidden = q.hidden || res.BindsAtMost != nil
		if res.UnitCost != nil {
			res.ByOperation = slices.Clone(res.ByOperation)
			for i, o := range res.ByOperation {
				if name := served[measure.Operation{Load: o.Load, Name: o.Name}]; name != "" {
					res.ByOperation[i].Name = name
				}
			}
			for _, l := range m.Loads {
				k := slices.IndexFunc(res.ByLoad, func(c capacity.LoadCost) bool { return c.Load == l.Name })
				charging := slices.DeleteFunc(slices.Clone(l.Operations), func(op capacity.Operation) bool { return !of.Charges(l.Name, op.Name) })
				for _, op := range charging {
					if k >= 0 {
						q.loads = append(q.loads, loadCost{op.ServedAs(), res.ByLoad[k].UnitCost, float64(l.Planned) * op.Share, len(charging) == 1})
					}
				}
			}
			q.costs = append(q.costs, res)
			q.weights, q.all = append(q.weights, arrivals), append(q.all, all)
		}
	}
}

func (f *fitter) operation(served map[measure.Operation]string, key measure.Operation) *operation {
	name := served[key]
	if name == "" {
		name = key.Name
	}
	op := f.operations[name]
	if op == nil {
		op = &operation{name: name}
		f.operations[name] = op
		f.order = append(f.order, name)
	}
	return op
}

// settle says where runs disagree.
func (f *fitter) settle() {
	for _, id := range f.quotaOrder {
		q := f.quotas[id]
		for i, x := range q.costs {
			for _, y := range q.costs[:i] {
				if x.UnitCost.Low > y.UnitCost.High || y.UnitCost.Low > x.UnitCost.High {
					f.warn("the runs disagree on what a request costs of %s: %s and %s, with intervals that don't meet; their mix or the service differs",
						id, unit.Human(y.UnitCost.Value), unit.Human(x.UnitCost.Value))
				}
			}
		}
	}
}

// loadCost is what a request of a load charges, in a run that tells loads apart, for one
// of the load's operations.
type loadCost struct {
	operation        string
	unitCost, weight float64
	alone            bool // no other operation of the load charges the quota
}

// apart reports whether loads tell what an operation charges of the quota from what
// others do.
func (q *quota) apart(operation string) bool {
	of := func(l loadCost) bool { return l.operation == operation }
	return slices.ContainsFunc(q.loads, of) && !slices.ContainsFunc(q.loads, func(l loadCost) bool { return of(l) && !l.alone })
}

// pooled returns the mean cost of a request that charges the quota over all runs: of an
// operation's loads where these are told apart, else of all.
func (q *quota) pooled(operation string) (v float64, ok bool) {
	var n float64
	for _, l := range q.loads {
		if l.operation == operation {
			v += l.unitCost * l.weight
			n += l.weight
		}
	}
	if n == 0 {
		for i, c := range q.costs {
			v += c.UnitCost.Value * q.all[i]
			n += q.weights[i]
		}
	}
	if n == 0 {
		return 0, false
	}
	return v / n, true
}

// own returns what one operation alone costs of the quota; ok is false where the
// runs don't tell operations apart.
func (q *quota) own(name string) (v float64, ok bool) {
	var n float64
	for i, c := range q.costs {
		for _, o := range c.ByOperation {
			if o.Name == name {
				v += o.UnitCost * q.weights[i]
				n += q.weights[i]
			}
		}
	}
	if n == 0 {
		return 0, false
	}
	return v / n, true
}

func short(digest string) string { return digest[:min(12, len(digest))] }

// quantile ratios of the normal distribution: z at 90 %, 99 %.
const (
	z90 = 1.2815515655446004
	z99 = 2.3263478740408408
)

// serviceTime prints the distribution that fits the operation's answers best: a
// constant where nine in ten lie within 2 % of the median, exponential where the
// upper quantiles lie within a tenth of its, lognormal otherwise.
func (op *operation) serviceTime() (text, comment string, ok bool) {
	n := float64(op.answers.N())
	if n < 20 {
		return "", "", false
	}
	p50, p90 := op.answers.Quantile(0.5), op.answers.Quantile(0.9)
	if p50 < 1 {
		p50 = 1
	}
	ms := func(us float64) string { return fmt.Sprintf("%.3gms", us/1000) }
	upper, from := op.answers.Quantile(0.99), "p50 and p99"
	if n < 1000 { // fewer than ten answers above p99
		upper, from = p50*math.Pow(p90/p50, z99/z90), "p50 and p90; p99 follows from these"
	}
	comment = fmt.Sprintf("%s of %.0f ok answers, the network's time included", from, n)
	near := func(got, want float64) bool { return math.Abs(got/want-1) < 0.1 }
	switch {
	case upper/p50 < 1.02:
		return ms(p50), comment, true
	case near(p90/p50, math.Log(10)/math.Ln2) && near(upper/p50, math.Log(100)/math.Ln2):
		return fmt.Sprintf("{exponential: {mean: %s}}", ms(op.answers.Mean())), comment, true
	}
	return fmt.Sprintf("{lognormal: {p50: %s, p99: %s}}", ms(p50), ms(upper)), comment, true
}

// change looks for the instant at which the operation's tokens fell for good: the
// cut that leaves the least squares on its two sides, where the mean behind it is
// lower by a tenth or more and both sides have answers enough. Where requests were
// refused, dear ones first, tokens fall by that alone: both sides must be constant.
func (op *operation) change(refused bool) (cold, warm, after float64, ok bool) {
	type window struct{ tokens, n float64 }
	const width = 5 // seconds
	var w []window
	for i, s := range op.seconds {
		if i%width == 0 {
			w = append(w, window{})
		}
		w[len(w)-1].tokens += s.tokens
		w[len(w)-1].n += s.n
	}
	mean := func(part []window) (m, n float64) {
		var t float64
		for _, x := range part {
			t += x.tokens
			n += x.n
		}
		return t / max(n, 1), n
	}
	squares := func(part []window, m float64) (sum float64) {
		for _, x := range part {
			if x.n > 0 {
				d := x.tokens/x.n - m
				sum += x.n * d * d
			}
		}
		return sum
	}
	best := math.Inf(1)
	for cut := 1; cut < len(w); cut++ {
		before, n0 := mean(w[:cut])
		behind, n1 := mean(w[cut:])
		if n0 < 20 || n1 < 20 || behind > 0.9*before {
			continue
		}
		if s := squares(w[:cut], before) + squares(w[cut:], behind); s < best {
			best, cold, warm, after, ok = s, before, behind, float64(cut*width), true
		}
	}
	whole, _ := mean(w)
	left := 0.5
	if refused {
		left = 1e-6
	}
	return cold, warm, after, ok && best < left*squares(w, whole)
}

// tokenAmount prints what the operation charges of whole tokens: one amount, or a
// mixture of at most eight. Where requests were refused and hid their charges, mean is
// that of all, if it is known (above 0): the shares are those that give it and differ
// least from the ones seen.
func (op *operation) tokenAmount(refused bool, mean float64) (text, comment string, ok bool) {
	n := float64(op.tokens.N())
	if n == 0 {
		return "", "", false
	}
	if cold, warm, after, changed := op.change(refused); changed {
		return fmt.Sprintf("{cold: %.0f, warm: %.0f, after: %.0fs}", cold, warm, after), "tokens fell for good so long after the first answer", true
	}
	type bar struct{ value, count float64 }
	var bars []bar
	var values, counts []float64
	for value, count := range op.tokens.Values() {
		values, counts = append(values, math.Round(value)), append(counts, float64(count))
	}
	if tilted, ok := stats.Tilt(values, counts, mean); ok {
		counts = tilted
	}
	for i, value := range values {
		bars = append(bars, bar{value, counts[i]})
	}
	comment = fmt.Sprintf("of %.0f answers", n)
	const most = 8
	if len(bars) > most {
		// Equal parts of the answers, each at its mean.
		var parts []bar
		var part bar
		for _, b := range bars {
			part.value += b.value * b.count
			part.count += b.count
			if part.count >= n/most {
				parts = append(parts, bar{part.value / part.count, part.count})
				part = bar{}
			}
		}
		if part.count > 0 {
			parts = append(parts, bar{part.value / part.count, part.count})
		}
		bars = bars[:0]
		for _, p := range parts { // whole tokens of the same mean
			low := math.Floor(p.value)
			upper := p.count * (p.value - low)
			for _, b := range []bar{{low, p.count - upper}, {low + 1, upper}} {
				if at := slices.IndexFunc(bars, func(x bar) bool { return x.value == b.value }); at >= 0 {
					bars[at].count += b.count
				} else if b.count > 0 {
					bars = append(bars, b)
				}
			}
		}
		comment += ", in eight parts of the same mean"
	}
	if len(bars) == 1 {
		return fmt.Sprintf("%.0f", bars[0].value), comment, true
	}
	var w strings.Builder
	w.WriteString("{mixture: [")
	left := 100.0
	for i, b := range bars {
		share := math.Round(b.count/n*1e8) / 1e6
		if i == len(bars)-1 {
			share = math.Round(left*1e6) / 1e6
		}
		left -= share
		if i > 0 {
			w.WriteString(", ")
		}
		fmt.Fprintf(&w, "{amount: %.0f, share: %g%%}", b.value, share)
	}
	w.WriteString("]}")
	return w.String(), comment, true
}
