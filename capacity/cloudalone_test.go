package capacity_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/plan"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// inTheCloud is a run of ten minutes against a real account, whose rate climbs
// from 10/s to 100/s, a step a minute. Each request charges 2 RCU and holds an
// environment for 100 ms; others use what is given each minute.
func inTheCloud(others, heldByOthers, claimed float64) *capacity.Run {
	return inTheCloudAt([]int64{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}, others, heldByOthers, claimed)
}

// inTheCloudAt is such a run at the given rates, a minute each.
func inTheCloudAt(rates []int64, others, heldByOthers, claimed float64) *capacity.Run {
	start := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	sum := func(quota, role, unit string) measure.Series {
		return measure.Series{Source: "cloudwatch", Metric: quota + role, Quota: quota, Role: role, Statistic: "Sum", Unit: unit, Period: time.Minute}
	}
	use, held := sum("dynamodb.T.read", capacity.RoleUsage, "RCU"), sum("lambda.concurrency", capacity.RoleDuration, "ms")
	executing := measure.Series{Source: "cloudwatch", Metric: "ConcurrentExecutions", Quota: "lambda.concurrency", Role: capacity.RoleUsage, Statistic: "Maximum", Unit: "environments", Period: time.Minute}
	all := executing
	all.Metric, all.Role = "ClaimedAccountConcurrency", capacity.RoleClaimed
	run := &capacity.Run{Manifest: capacity.Manifest{
		ID: "cloud", Kind: capacity.Measured, State: capacity.Complete, Start: start, End: start.Add(10 * time.Minute),
		Loads: []capacity.Load{{Name: "users", Arrivals: "uniform", Operations: []capacity.Operation{{Name: "get", Kind: "graphql", Share: 1}}}},
		Quotas: []capacity.Quota{
			{ID: "dynamodb.T.read", Kind: capacity.RateQuota, Limit: 40_000, Unit: "RCU", Period: "s"},
			{ID: "lambda.concurrency", Kind: capacity.LevelQuota, Limit: 1000, Unit: "environments"},
		},
	}}
	for m, rate := range rates {
		run.Manifest.Loads[0].Stages = append(run.Manifest.Loads[0].Stages, capacity.Stage{From: float64(rate), To: float64(rate), For: 60, Measure: true})
		for s := range 60 {
			row := measure.Row{Second: 60*m + s, Load: "users", Operation: "get", Measured: true, Planned: rate, Sent: rate, OK: rate, InFlight: 0.1 * float64(rate)}
			for k := range row.SentSlots {
				row.SentSlots[k], row.PlannedSlots[k] = rate/10, rate/10
			}
			run.Rows.Add(&row)
			run.Manifest.Loads[0].Planned += rate
		}
		at := start.Add(time.Duration(m) * time.Minute)
		wave := float64(m%3-1) * 20 // others' use is not quite steady
		use.Points.Add(measure.Point{At: at, Value: 2*60*float64(rate) + others + wave})
		held.Points.Add(measure.Point{At: at, Value: 100*60*float64(rate) + heldByOthers})
		executing.Points.Add(measure.Point{At: at, Value: 0.1 * float64(rate)})
		all.Points.Add(measure.Point{At: at, Value: claimed})
	}
	run.Series = []measure.Series{use, held, executing, all}
	return run
}

func said(q capacity.QuotaResult, what string) bool {
	return slices.ContainsFunc(q.Notes, func(n string) bool { return strings.Contains(n, what) })
}

// What others use steadily is told apart from the run's own cost, and is said;
// without others the cost is the plain ratio, and says what it supposes.
func TestOthersUseIsToldApart(t *testing.T) {
	q := quota(t, capacity.Assess(inTheCloud(60_000, 0, 0)), "dynamodb.T.read")
	if math.Abs(q.UnitCost.Value-2) > 0.02 || q.UnitCost.Low > 2 || q.UnitCost.High < 2 || !said(q, "others use about 1,000 a second") {
		t.Errorf("unit cost %+v, notes %q", q.UnitCost, q.Notes)
	}
	q = quota(t, capacity.Assess(inTheCloud(0, 0, 0)), "dynamodb.T.read")
	if math.Abs(q.UnitCost.Value-2) > 0.02 || said(q, "others use about") || !said(q, "nothing else charged") {
		t.Errorf("unit cost %+v, notes %q", q.UnitCost, q.Notes)
	}
}

// At a rate that is held, sums of minutes don't tell what others use: what a request
// charges is at most its share of all, and the quota binds at that rate or a higher one.
// Where the rate was another for a while, as in the minutes in which a run begins and
// ends, they tell how much is the run's own at least. Others use half of it here.
func TestOthersUseThatIsNotToldApart(t *testing.T) {
	for name, c := range map[string]struct {
		rates     []int64
		low, high float64 // between which the lower end of the cost lies
	}{
		"held":            {[]int64{100, 100, 100, 100, 100, 100, 100, 100, 100, 100}, 0, 0},
		"few minutes":     {[]int64{50, 100, 100, 50}, 0, 0},
		"begins and ends": {[]int64{70, 100, 100, 100, 100, 100, 100, 100, 100, 70}, 1.5, 2},
		"a pause":         {[]int64{100, 100, 100, 100, 0, 100, 100, 100, 100, 100}, 1.5, 2},
		"a step":          {[]int64{100, 100, 100, 100, 100, 90, 90, 90, 90, 90}, 1, 2},
	} {
		run := inTheCloudAt(c.rates, 12_000, 0, 0)
		run.Manifest.Kind = capacity.Simulated // of which nobody asks how busy the machine was
		run.Manifest.Quotas[0].Limit = 500
		a := capacity.Assess(run)
		q := quota(t, a, "dynamodb.T.read")
		if said := strings.Contains(a.FirstToBindReason, "requests/s at least"); said != (c.high == 0) {
			t.Errorf("%s: %s", name, a.FirstToBindReason)
		}
		if low := q.UnitCost.Low; low < c.low || low > c.high || q.UnitCost.High < 4 || !said(q, capacity.Shared) {
			t.Errorf("%s: a request that charges 2 charges %+v: %q", name, q.UnitCost, q.Notes)
		}
		// 200 of 500 RCU/s are others', and 300 are left for 150/s.
		if p := q.BindsAt; p == nil || *p.Low > 150 || (p.High == nil) != (c.high == 0) || p.High != nil && *p.High < 150 {
			t.Errorf("%s: binds at %+v", name, q.BindsAt)
		}
	}
	if q := quota(t, capacity.Assess(inTheCloud(0, 0, 0)), "dynamodb.T.read"); q.UnitCost.Low < 1.9 {
		t.Errorf("without others %+v", q.UnitCost)
	}
}

// What others use is left out of what binds and is required beside the run's own,
// whatever the rate: 100 requests a second of 2 RCU and others' 1,000 are 1,200, and
// 1,000 are 3,000; of 40,000, 39,000 are left for 19,500/s.
func TestOthersUseIsAdded(t *testing.T) {
	run := inTheCloud(60_000, 0, 0)
	a := capacity.Assess(run)
	q := quota(t, a, "dynamodb.T.read")
	if q.Others == nil || math.Abs(*q.Others-1000) > 2 || math.Abs(q.Required.Quota-1200) > 3 || math.Abs(*q.Peak-1200) > 3 {
		t.Errorf("others %v, required %+v, peak %v", q.Others, q.Required, *q.Peak)
	}
	run.Manifest.Kind = capacity.Simulated // of which nobody asks how busy the machine was
	for i := range run.Manifest.Quotas {
		if run.Manifest.Quotas[i].ID == q.ID {
			run.Manifest.Quotas[i].Limit = 1300
		}
	}
	if q := quota(t, capacity.Assess(run), q.ID); math.Abs(*q.BindsAt.Rate-150) > 2 || *q.SafeRate.Rate > *q.BindsAt.Rate || *q.SafeRate.Rate < 100 {
		t.Errorf("300 RCU/s are left for %v/s, safely %v/s", *q.BindsAt.Rate, *q.SafeRate.Rate)
	}
	p, err := plan.New(run, a, plan.Request{Rate: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range p.Enough {
		if n.Quota == q.ID && math.Abs(n.Required-3000) > 10 {
			t.Errorf("the plan requires %v: %+v", n.Required, n.Factors)
		}
	}
}

// A cost that falls as a cache warms up, while the rate climbs, looks like others' use on
// a line through the minutes; the minutes lie far off that line.
func TestWarmingUpIsNotOthers(t *testing.T) {
	run := inTheCloud(0, 0, 0)
	minute := 0
	var warming measure.Points
	for p := range run.Series[0].Points.All() {
		if minute < 6 {
			p.Value *= []float64{4, 1.5, 1, 1, 1, 1}[minute]
			warming.Add(p)
		}
		minute++
	}
	run.Series[0].Points = warming
	if q := quota(t, capacity.Assess(run), "dynamodb.T.read"); said(q, "others use about") || q.Others != nil || *q.ColdCost < 2.9 {
		t.Errorf("others %v, the dearest minute costs %v: %q", q.Others, *q.ColdCost, q.Notes)
	}
}

// The limit of concurrency is held against what is claimed, and environments that
// are held for longer than the client's requests waited are somebody else's.
func TestClaimedConcurrency(t *testing.T) {
	q := quota(t, capacity.Assess(inTheCloud(0, 60_000_000, 700)), "lambda.concurrency")
	if q.Peak == nil || *q.Peak != 700 || !said(q, "10.0 environments were executing at most") && !said(q, "10 environments were executing at most") {
		t.Errorf("peak %v, notes %q", q.Peak, q.Notes)
	}
	if !said(q, "others use it too") || !said(q, "690 environments or more were set aside and idle") {
		t.Errorf("notes %q", q.Notes)
	}
	if q := quota(t, capacity.Assess(inTheCloud(0, 0, 0)), "lambda.concurrency"); said(q, "others use it too") || said(q, "claimed") || said(q, "set aside") {
		t.Errorf("notes %q", q.Notes)
	}
}
