package capacity_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model/limiter"
	"github.com/headroom-load/headroom/scenarios/measure"
)

var midday = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// world makes runs whose truth is known: arrivals are drawn from the loads'
// profiles, each is answered by serve, and the cloud's sums are taken of what
// serve says was charged.
type world struct {
	start    time.Time
	loads    []capacity.Load
	quotas   []capacity.Quota
	forecast float64
	serve    func(at time.Duration, load, op string) answer
	drop     func(at time.Duration) (measure.Cause, bool)
	seed     uint64
	live     bool // not a sandbox
	// interrupt is when the run was interrupted; 0: never.
	interrupt time.Duration
	// steps keeps response times by the second, as a record does, and in longer
	// steps the longer the run; otherwise there is one histogram of each kind.
	steps bool
}

// answer is what becomes of one request.
type answer struct {
	outcome measure.Outcome
	reason  string
	tokens  int64 // measure.NoTokens where the answer has none
	service time.Duration
	// cloud is what the cloud counts, by quota id and role.
	cloud map[string]map[capacity.Role]float64
}

// ramp is a load of Poisson arrivals that goes from one rate to another.
func ramp(name string, from, to float64, length time.Duration, ops ...capacity.Operation) capacity.Load {
	for i := range ops {
		ops[i].Kind = "graphql"
	}
	return capacity.Load{
		Name: name, Arrivals: "poisson", Seed: 1, InFlight: 100, Late: "drop", Lateness: 0.1, Timeout: 30,
		Stages:     []capacity.Stage{{Name: "all", From: from, To: to, For: length.Seconds(), Measure: true}},
		Operations: ops,
	}
}

// run plays the world.
func (w world) run() *capacity.Run {
	rng := rand.New(rand.NewPCG(w.seed, 42))
	if w.start.IsZero() {
		w.start = midday
	}
	m := capacity.Manifest{
		Schema: "headroom.record/1", ID: "handmade", Kind: capacity.Measured, State: capacity.Complete, Start: w.start, Sandbox: !w.live,
		Scenario: capacity.Scenario{Name: "handmade", Digest: "d1", Forecast: w.forecast}, Target: "handmade",
		Quotas: w.quotas, Tool: capacity.Tool{Version: "v0", Go: "go1.26"}, Machine: capacity.Machine{OS: "linux", Arch: "amd64", CPUs: 2},
	}
	var ops []measure.Operation
	for _, l := range w.loads {
		for _, op := range l.Operations {
			ops = append(ops, measure.Operation{Load: l.Name, Name: op.Name})
		}
	}
	rec := measure.NewRecorder(ops, 1)
	type arrival struct {
		at       time.Duration
		op       int
		measured bool
	}
	var arrivals []arrival
	first := 0
	for _, l := range w.loads {
		n := 0
		at := l.Start
		for _, st := range l.Stages {
			peak := max(st.From, st.To)
			for t := rng.ExpFloat64() / peak; t < st.For; t += rng.ExpFloat64() / peak {
				if rng.Float64()*peak > st.From+(st.To-st.From)*t/st.For {
					continue
				}
				u, op := rng.Float64(), 0
				for u > l.Operations[op].Share && op < len(l.Operations)-1 {
					u -= l.Operations[op].Share
					op++
				}
				arrivals = append(arrivals, arrival{time.Duration((at + t) * 1e9), first + op, st.Measure})
				n++
			}
			at += st.For
		}
		l.Planned = int64(n)
		m.Loads = append(m.Loads, l)
		first += len(l.Operations)
	}
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return int(a.at - b.at) })

	points := map[string]map[capacity.Role]map[time.Time]float64{}
	var end time.Duration
	step := max(time.Second, arrivals[len(arrivals)-1].at*time.Duration(len(ops))/720)
	if !w.steps {
		step = 1 << 62
	}
	var rows []measure.Row
	var steps []measure.Interval
	type key struct{ load, operation, kind string }
	merged := map[key]*measure.Distribution{}
	flush := func(until time.Duration) {
		win := rec.Flush(until)
		rows = append(rows, win.Rows...)
		for _, iv := range win.Intervals {
			k := key{iv.Load, iv.Operation, iv.Kind}
			d := merged[k]
			if d == nil || iv.Kind == measure.ResponseTimes {
				d = new(measure.Distribution)
				merged[k] = d
			}
			d.Add(iv) // the recorder goes on using iv's memory
			if iv.Kind == measure.ResponseTimes {
				steps = append(steps, d.Interval(iv.Load, iv.Operation, iv.Kind, iv.Start, iv.End))
			}
		}
	}
	next := step
	for _, a := range arrivals {
		for ; a.at >= next; next += step {
			flush(next)
		}
		if w.interrupt > 0 && a.at >= w.interrupt {
			m.State, m.Reason = capacity.Interrupted, "interrupted by the user"
			rec.NotDue(a.op, a.at, a.measured, 1)
			continue
		}
		rec.Plan(a.op, a.at, a.measured)
		if w.drop != nil {
			if cause, drop := w.drop(a.at); drop {
				rec.Drop(a.op, a.at, a.measured, cause)
				continue
			}
		}
		got := w.serve(a.at, ops[a.op].Load, ops[a.op].Name)
		sent := a.at + time.Duration(rng.ExpFloat64()*3e5) // a mean lag of 0.3 ms
		done := sent + got.service
		end = max(end, done)
		rec.Record(0, &measure.Sample{
			Op: a.op, Measured: a.measured, Intended: a.at, Sent: sent, Done: done,
			Outcome: got.outcome, Reason: got.reason, Tokens: got.tokens,
		})
		minute := w.start.Add(sent).Truncate(time.Minute)
		for quota, roles := range got.cloud {
			for role, v := range roles {
				if points[quota] == nil {
					points[quota] = map[capacity.Role]map[time.Time]float64{}
				}
				if points[quota][role] == nil {
					points[quota][role] = map[time.Time]float64{}
				}
				if quota == "lambda.concurrency" && role == capacity.RoleUsage {
					points[quota][role][minute] = max(points[quota][role][minute], v)
				} else {
					points[quota][role][minute] += v
				}
			}
		}
	}
	m.End = w.start.Add(end)
	flush(end)
	for _, op := range ops {
		for _, kind := range []string{measure.ServiceTimes, measure.Lags, measure.TokenCounts} {
			if d := merged[key{op.Load, op.Name, kind}]; d != nil {
				steps = append(steps, d.Interval(op.Load, op.Name, kind, 0, end))
			}
		}
	}
	run := &capacity.Run{Manifest: m, Rows: measure.RowsOf(rows...), Latency: steps}
	for _, quota := range slices.Sorted(maps.Keys(points)) {
		for _, role := range slices.Sorted(maps.Keys(points[quota])) {
			s := measure.Series{Source: "cloudwatch", Metric: quota + " " + role, Quota: quota, Role: role, Statistic: "Sum", Period: time.Minute}
			if quota == "lambda.concurrency" && role == capacity.RoleUsage {
				s.Statistic = "Maximum"
			}
			run.Manifest.Expected = append(run.Manifest.Expected, s)
			for _, at := range slices.SortedFunc(maps.Keys(points[quota][role]), time.Time.Compare) {
				s.Points.Add(measure.Point{At: at, Value: points[quota][role][at]})
			}
			run.Series = append(run.Series, s)
		}
	}
	for _, own := range []struct {
		metric, statistic string
		value             float64
	}{{"gc_pause", "Maximum", 2e-4}, {"sched_latency", "p99", 1e-4}, {"clock_offset", "Last", 1e-5}} {
		s := measure.Series{Source: "generator", Metric: own.metric, Statistic: own.statistic, Unit: "s", Period: time.Second}
		for at := time.Duration(0); at < end; at += time.Second {
			s.Points.Add(measure.Point{At: w.start.Add(at), Value: own.value})
		}
		run.Series = append(run.Series, s)
	}
	cpu := measure.Series{Source: "generator", Metric: "cpu", Statistic: "Average", Unit: "fraction", Period: time.Second}
	for s := time.Duration(0); s < end; s += time.Second {
		cpu.Points.Add(measure.Point{At: w.start.Add(s), Value: 0.2})
	}
	run.Series = append(run.Series, cpu)
	return run
}

// tokenQuota is AppSync's quota of the given height.
func tokenQuota(limit float64) capacity.Quota {
	return capacity.Quota{ID: capacity.RequestTokens, Name: "Rate of request tokens", Kind: capacity.RateQuota, Limit: limit, Unit: "tokens", Period: "s", Burst: limit, Origin: capacity.FromSystem}
}

// appsync serves behind a token bucket: 429 without a header when it is empty,
// otherwise an answer with the tokens that cost says.
func appsync(limit float64, cost func(at time.Duration, op string) int64) func(time.Duration, string, string) answer {
	bucket := limiter.NewTokenBucket(limit, limit)
	return func(at time.Duration, _, op string) answer {
		tokens := cost(at, op)
		if !bucket.Admit(at, float64(tokens)) {
			return answer{outcome: measure.Throttled, reason: "HTTP 429", tokens: measure.NoTokens, service: 2 * time.Millisecond}
		}
		return answer{tokens: tokens, service: 80 * time.Millisecond, cloud: map[string]map[capacity.Role]float64{
			capacity.RequestTokens: {capacity.RoleUsage: float64(tokens)},
		}}
	}
}

// premiere is the story of the product: 200 tokens a request against 2,000 a
// second, from 2 to 20 requests a second.
func premiere(seed uint64) world {
	return world{
		start: midday.Add(40 * time.Second), forecast: 5000, seed: seed,
		loads:  []capacity.Load{ramp("viewers", 2, 20, 35*time.Second, capacity.Operation{Name: "listPrograms", Share: 1})},
		quotas: []capacity.Quota{tokenQuota(2000)},
		serve:  appsync(2000, func(time.Duration, string) int64 { return 200 }),
	}
}

func limiterOf(rate, burst float64) *limiter.TokenBucket { return limiter.NewTokenBucket(rate, burst) }

func near(t *testing.T, what string, got *float64, want, tolerance float64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s is nil, want %g", what, want)
	} else if d := *got - want; d > tolerance*want || d < -tolerance*want {
		t.Errorf("%s = %g, want %g within %g %%", what, *got, want, 100*tolerance)
	}
}

// quota returns the result for a quota of an assessment.
func quota(t *testing.T, a capacity.Assessment, id string) capacity.QuotaResult {
	t.Helper()
	for _, q := range a.Quotas {
		if q.ID == id {
			return q
		}
	}
	t.Fatalf("no quota %s", id)
	return capacity.QuotaResult{}
}

// failing returns the names of the checks that failed.
func failing(v capacity.Verdict) []string {
	var names []string
	for _, c := range v.Failed() {
		names = append(names, c.Name)
	}
	return names
}

// changeRows changes each row of a run.
func changeRows(run *capacity.Run, change func(*measure.Row)) {
	run.Rows.Edit(func(rows []measure.Row) []measure.Row {
		for i := range rows {
			change(&rows[i])
		}
		return rows
	})
}

// second20 changes the rows of a run's second 20.
func second20(change func(*measure.Row)) func(*capacity.Run) {
	return func(run *capacity.Run) {
		changeRows(run, func(r *measure.Row) {
			if r.Second == 20 {
				change(r)
			}
		})
	}
}

// changePoints changes each point of a series, of which it is told the number.
func changePoints(s *measure.Series, change func(i int, p *measure.Point)) {
	s.Points.Edit(func(points []measure.Point) []measure.Point {
		for i := range points {
			change(i, &points[i])
		}
		return points
	})
}
