// Package comparison is the room of runs against runs: what each quota cost and
// carried, what became of the requests and how long they took, side by side.
//
// With a single run per side there is no verdict. Runs differ from one another
// even where nothing was changed, and how much they do can't be told from one
// of each; tests over the requests of two runs alarm far too often, because
// the requests of a run resemble each other.
package comparison

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// SingleRun is the label of a comparison of one run with one other.
const SingleRun = "single run per side: no verdict"

// Comparison is two runs side by side.
type Comparison struct {
	Label string `json:"label"`
	A     Side   `json:"a"`
	B     Side   `json:"b"`
	// Warnings name what else differs between the two runs and may be the cause
	// of what is seen.
	Warnings   []string    `json:"warnings"`
	Quotas     []Quota     `json:"quotas"`
	Operations []Operation `json:"operations"`
}

// Side is one of the two runs.
type Side struct {
	ID          string          `json:"id"`
	Scenario    string          `json:"scenario"`
	Status      capacity.Status `json:"status"`
	FirstToBind *string         `json:"first_to_bind"`
	Reason      string          `json:"first_to_bind_reason"`
}

// Figure is one figure of both runs. A side is nil where its run doesn't say,
// and Ratio, B over A, where either is nil or only a lower bound, or A is 0.
type Figure struct {
	A        *float64 `json:"a"`
	B        *float64 `json:"b"`
	Ratio    *float64 `json:"ratio"`
	AtLeastA bool     `json:"at_least_a,omitempty"` // requests timed out: A is a lower bound
	AtLeastB bool     `json:"at_least_b,omitempty"`
}

// Quota is one quota that at least one of the runs knows.
type Quota struct {
	ID          string             `json:"id"`
	Unit        string             `json:"unit"`
	Kind        capacity.QuotaKind `json:"kind"`
	Limit       Figure             `json:"limit"`
	UnitCost    Figure             `json:"unit_cost"` // of one arrival; of a level, the seconds it is held
	Peak        Figure             `json:"peak"`
	Utilization Figure             `json:"utilization"`
	BindsAt     Figure             `json:"binds_at"` // arrivals per second
	Throttled   Figure             `json:"throttled"`
}

// Operation is one operation that at least one of the runs sent, in its
// measured stages. Load names it on each side, "" where that side lacks it.
type Operation struct {
	Name  string `json:"name"`
	LoadA string `json:"load_a"`
	LoadB string `json:"load_b"`
	Sent  Figure `json:"sent"`
	// Classes are shares of the sent requests, Dropped of the planned.
	OK           Figure `json:"ok"`
	Throttled    Figure `json:"throttled"`
	Failed       Figure `json:"failed"`
	Rejected     Figure `json:"rejected"`
	Unclassified Figure `json:"unclassified"`
	TimedOut     Figure `json:"timed_out"`
	Dropped      Figure `json:"dropped"`
	Tokens       Figure `json:"tokens"` // mean of an answer
	ResponseTime Times  `json:"response_time"`
	ServiceTime  Times  `json:"service_time"`
}

// Times is a distribution of times in seconds on both sides.
type Times struct {
	Mean Figure `json:"mean"`
	P50  Figure `json:"p50"`
	P90  Figure `json:"p90"`
	P95  Figure `json:"p95"`
	P99  Figure `json:"p99"`
	P999 Figure `json:"p999"`
	Max  Figure `json:"max"`
}

// Compare puts two runs side by side. Quotas are matched by their ids, those of
// a first. Operations are matched by their names, since the load that sends
// them may have been renamed with the architecture; an operation name that
// several loads of a run use is matched with its load's name too.
func Compare(a, b *capacity.Run) Comparison {
	x, y := capacity.Assess(a), capacity.Assess(b)
	return Comparison{
		Label:      SingleRun,
		A:          side(a, x),
		B:          side(b, y),
		Warnings:   warnings(a, b, x, y),
		Quotas:     quotas(x, y),
		Operations: operations(x, y),
	}
}

func side(run *capacity.Run, x capacity.Assessment) Side {
	return Side{
		ID: run.Manifest.ID, Scenario: run.Manifest.Scenario.Name, Status: x.Verdict.Status,
		FirstToBind: x.FirstToBind, Reason: x.FirstToBindReason,
	}
}

func quotas(x, y capacity.Assessment) []Quota {
	find := func(a capacity.Assessment, id string) *capacity.QuotaResult {
		i := slices.IndexFunc(a.Quotas, func(q capacity.QuotaResult) bool { return q.ID == id })
		if i < 0 {
			return nil
		}
		return &a.Quotas[i]
	}
	out := []Quota{}
	add := func(q *capacity.QuotaResult, a, b *capacity.QuotaResult) {
		each := func(of func(*capacity.QuotaResult) *float64) Figure { return figure(pick(a, of), pick(b, of)) }
		out = append(out, Quota{
			ID: q.ID, Unit: q.Unit, Kind: q.Kind,
			Limit: each(func(q *capacity.QuotaResult) *float64 { return &q.Limit }),
			UnitCost: each(func(q *capacity.QuotaResult) *float64 {
				if q.UnitCost == nil {
					return nil
				}
				return &q.UnitCost.Value
			}),
			Peak:        each(func(q *capacity.QuotaResult) *float64 { return q.Peak }),
			Utilization: each(func(q *capacity.QuotaResult) *float64 { return q.Utilization }),
			BindsAt: each(func(q *capacity.QuotaResult) *float64 {
				if q.BindsAt == nil {
					return nil
				}
				return q.BindsAt.Rate
			}),
			Throttled: each(func(q *capacity.QuotaResult) *float64 {
				if q.Throttled == nil {
					return nil
				}
				return new(float64(*q.Throttled))
			}),
		})
	}
	for i := range x.Quotas {
		q := &x.Quotas[i]
		add(q, q, find(y, q.ID))
	}
	for i := range y.Quotas {
		if q := &y.Quotas[i]; find(x, q.ID) == nil {
			add(q, nil, q)
		}
	}
	return out
}

func operations(x, y capacity.Assessment) []Operation {
	shared := make(map[string]int) // most loads of one run that use the name
	for _, ops := range [][]capacity.OperationResult{x.Operations, y.Operations} {
		n := make(map[string]int)
		for _, op := range ops {
			n[op.Name]++
			shared[op.Name] = max(shared[op.Name], n[op.Name])
		}
	}
	same := func(a, b capacity.OperationResult) bool {
		return a.Name == b.Name && (shared[a.Name] == 1 || a.Load == b.Load)
	}
	out := []Operation{}
	matched := make([]bool, len(y.Operations))
	for i := range x.Operations {
		a := &x.Operations[i]
		var b *capacity.OperationResult
		if k := slices.IndexFunc(y.Operations, func(o capacity.OperationResult) bool { return same(*a, o) }); k >= 0 {
			b, matched[k] = &y.Operations[k], true
		}
		out = append(out, pair(a, b))
	}
	for k := range y.Operations {
		if !matched[k] {
			out = append(out, pair(nil, &y.Operations[k]))
		}
	}
	return out
}

func pair(a, b *capacity.OperationResult) Operation {
	type result = capacity.OperationResult
	each := func(of func(*result) *float64) Figure { return figure(pick(a, of), pick(b, of)) }
	share := func(of func(*result) int64) Figure {
		return each(func(o *result) *float64 { return ratio(float64(of(o)), float64(o.Sent)) })
	}
	distribution := func(of func(*result) *capacity.Times) Times {
		p := func(name string, value func(*capacity.Times) *float64) Figure {
			f := each(func(o *result) *float64 { return value(of(o)) })
			f.AtLeastA = a != nil && slices.Contains(of(a).AtLeast, name)
			f.AtLeastB = b != nil && slices.Contains(of(b).AtLeast, name)
			if f.AtLeastA || f.AtLeastB {
				f.Ratio = nil
			}
			return f
		}
		return Times{
			Mean: p("mean", func(t *capacity.Times) *float64 { return t.Mean }),
			P50:  p("p50", func(t *capacity.Times) *float64 { return t.P50 }),
			P90:  p("p90", func(t *capacity.Times) *float64 { return t.P90 }),
			P95:  p("p95", func(t *capacity.Times) *float64 { return t.P95 }),
			P99:  p("p99", func(t *capacity.Times) *float64 { return t.P99 }),
			P999: p("p999", func(t *capacity.Times) *float64 { return t.P999 }),
			Max:  p("max", func(t *capacity.Times) *float64 { return t.Max }),
		}
	}
	op := Operation{
		Sent:         each(func(o *result) *float64 { return new(float64(o.Sent)) }),
		OK:           share(func(o *result) int64 { return o.OK }),
		Throttled:    share(func(o *result) int64 { return o.Throttled }),
		Failed:       share(func(o *result) int64 { return o.Failed }),
		Rejected:     share(func(o *result) int64 { return o.Rejected }),
		Unclassified: share(func(o *result) int64 { return o.Unclassified }),
		TimedOut:     share(func(o *result) int64 { return o.TimedOut }),
		Dropped:      each(func(o *result) *float64 { return ratio(float64(o.Dropped), float64(o.Planned)) }),
		Tokens:       each(func(o *result) *float64 { return o.Tokens.Mean }),
		ResponseTime: distribution(func(o *result) *capacity.Times { return &o.ResponseTime }),
		ServiceTime:  distribution(func(o *result) *capacity.Times { return &o.ServiceTime }),
	}
	if a != nil {
		op.Name, op.LoadA = a.Name, a.Load
	}
	if b != nil {
		op.Name, op.LoadB = b.Name, b.Load
	}
	return op
}

// pick returns a figure of a side, or nil where there is no such side.
func pick[T any](of *T, get func(*T) *float64) *float64 {
	if of == nil {
		return nil
	}
	return get(of)
}

func figure(a, b *float64) Figure {
	f := Figure{A: a, B: b}
	if a != nil && b != nil {
		f.Ratio = ratio(*b, *a)
	}
	return f
}

// ratio returns n/of, or nil where of is 0.
func ratio(n, of float64) *float64 {
	if of == 0 {
		return nil
	}
	return new(n / of)
}

// warnings names what differs between two runs beside their figures.
func warnings(a, b *capacity.Run, x, y capacity.Assessment) []string {
	out := []string{}
	warn := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	m, n := &a.Manifest, &b.Manifest
	for _, s := range []struct {
		name string
		v    capacity.Verdict
	}{{"a", x.Verdict}, {"b", y.Verdict}} {
		if s.v.Status != capacity.Valid {
			var failed []string
			for _, c := range s.v.Failed() {
				failed = append(failed, c.Name)
			}
			warn("%s is %s (%s): its figures do not carry a comparison", s.name, s.v.Status, strings.Join(failed, ", "))
		}
	}
	if m.Kind != n.Kind {
		warn("a is %s and b %s", m.Kind, n.Kind)
	}
	if m.Scenario.Digest != n.Scenario.Digest {
		warn("the scenarios differ: %s and %s", label(m.Scenario), label(n.Scenario))
	}
	if m.Target != n.Target {
		warn("the targets differ: %s and %s", m.Target, n.Target)
	}
	if x, y := m.Machine.String(), n.Machine.String(); x != y && x != "" && y != "" {
		warn("the generators' machines differ: %s and %s", x, y)
	}
	if m.Tool.Version != n.Tool.Version || m.Tool.Revision != n.Tool.Revision {
		warn("the versions of headroom differ: %s and %s", version(m.Tool), version(n.Tool))
	}
	if s, t := seeds(m.Loads), seeds(n.Loads); s != t {
		warn("the seeds differ: %s and %s", s, t)
	}
	for _, q := range m.Quotas {
		i := slices.IndexFunc(n.Quotas, func(o capacity.Quota) bool { return o.ID == q.ID })
		if i >= 0 && n.Quotas[i].Limit != q.Limit {
			show := unit.HumanQuantity
			if q.PerSecond() {
				show = unit.HumanRate
			}
			warn("the limits of %s differ: %s and %s", q.ID, show(q.Limit, q.Unit), show(n.Quotas[i].Limit, q.Unit))
		}
	}
	return out
}

func label(s capacity.Scenario) string {
	digest := s.Digest
	if len(digest) > 8 {
		digest = digest[:8]
	}
	return strings.TrimSpace(s.Name + " " + digest)
}

func version(t capacity.Tool) string { return strings.TrimSpace(t.Version + " " + t.Revision) }

// seeds lists the seed of each load in order; names may differ.
func seeds(loads []capacity.Load) string {
	s := make([]string, len(loads))
	for i, l := range loads {
		s[i] = fmt.Sprint(l.Seed)
	}
	return strings.Join(s, ", ")
}
