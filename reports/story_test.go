package reports_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// premiere is the run that the golden files tell: one heavy query of 200 tokens
// at 2 to 20 requests/s over 35 s against a quota of 2,000 tokens/s, so that
// the wall stands at 10 requests/s. Arrivals are uniform, the bucket holds one
// second's tokens, and service times are drawn from a fixed seed.
func premiere() (*capacity.Run, capacity.Assessment) {
	const (
		load, op    = "viewers", "listPrograms"
		cost, quota = 200.0, 2000.0
		length      = 35.0
	)
	start := time.Date(2026, 11, 21, 9, 30, 10, 0, time.UTC)
	run := &capacity.Run{Manifest: capacity.Manifest{
		Schema: "headroom.record/1", ID: "before", Kind: capacity.Measured, State: capacity.Complete,
		Start: start, End: start.Add(35*time.Second + 80*time.Millisecond),
		Scenario: capacity.Scenario{
			Name: "premiere", Description: "One heavy query, always cold.", Digest: "5f2b7a90c4d1e8f3a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3",
			Source: "version: 1\nname: premiere\n", Forecast: 5000,
			Thresholds: []scenarios.Threshold{{Text: "errors < 0.1%", Metric: "errors", Op: "<", Value: 0.001}},
		},
		Target: "sandbox premiere", Sandbox: true,
		Loads: []capacity.Load{{
			Name: load, Arrivals: "uniform", Seed: 1, InFlight: 100, Late: "drop", Lateness: 0.1, Timeout: 30,
			Stages: []capacity.Stage{
				{Name: "doors open", From: 2, To: 2, For: 5, Measure: true},
				{Name: "onset", From: 2, To: 20, For: 30, Measure: true},
			},
			Operations: []capacity.Operation{{Name: op, Kind: "graphql", Share: 1}},
			Planned:    340,
		}},
		Quotas: []capacity.Quota{
			{
				ID: "appsync.request-tokens", Name: "Rate of request tokens", Kind: capacity.RateQuota, Limit: quota, Unit: "tokens", Period: "s", Burst: 2000,
				Origin: capacity.FromServiceQuotas, Source: "Service Quotas GetServiceQuota", AsOf: "2026-11-21", Service: "appsync", Code: "L-7CA8E5F2", Adjustable: true,
				Overrides: []capacity.Overridden{{Origin: capacity.FromCatalogue, Limit: 2000}},
			},
			{
				ID: "lambda.concurrency", Name: "Concurrent executions", Kind: capacity.LevelQuota, Limit: 1000, Unit: "environments",
				Origin: capacity.FromSystem, Source: "premiere.yaml", AsOf: "2026-11-21",
			},
		},
		Settle:  0.4,
		Tool:    capacity.Tool{Version: "0.1.0", Revision: "c3e4871", Go: "go1.26.8"},
		Machine: capacity.Machine{OS: "linux", Arch: "amd64", CPUs: 2, Files: 1024},
	}}

	// The arrivals and what becomes of them.
	random := rand.New(rand.NewPCG(1, 2))
	rows := make([]measure.Row, 36)
	for i := range rows {
		rows[i] = measure.Row{Second: i, Load: load, Operation: op, Measured: true, Reasons: map[string]int64{}}
	}
	const parts = 5 // s of one flush
	kinds := [...]string{measure.ResponseTimes, measure.ServiceTimes, measure.Lags, measure.TokenCounts}
	var parted [8][len(kinds)]measure.Distribution
	record := func(at float64, kind int, v float64) { parted[int(at)/parts][kind].Record(int64(v)) }
	bucket, filled := 2000.0, 0.0
	var ok, throttled int64
	for n := 0; ; n++ {
		at := inverse(float64(n) + 0.5)
		if at >= length {
			break
		}
		bucket, filled = min(2000, bucket+(at-filled)*quota), at
		took := 0.080 * math.Exp(0.35*random.NormFloat64())
		lag := 0.0002 + 0.0004*random.Float64()
		served := bucket >= cost
		if served {
			bucket -= cost
		} else {
			took = 0.004 + 0.002*random.Float64()
		}
		sent, done := at+lag, at+lag+took
		s, d := &rows[int(at)], &rows[int(done)]
		s.Planned++
		s.Sent++
		s.PlannedSlots[int(at*10)%10]++
		rows[int(sent)].SentSlots[int(sent*10)%10]++
		s.InFlight += took
		d.BytesOut += 310
		record(done, 1, took*1e6)
		record(done, 2, lag*1e6)
		if served {
			ok++
			d.OK++
			d.TokensDone += int64(cost)
			d.TokensN++
			d.BytesIn += 1024
			s.TokensSent += int64(cost)
			s.TokensNSent++
			record(done, 0, (took+lag)*1e6)
			record(done, 3, cost)
		} else {
			throttled++
			d.Throttled++
			d.Reasons["throttled ThrottlingException"]++
		}
	}
	run.Rows = measure.RowsOf(rows...)
	var whole [len(kinds)]measure.Distribution
	for i := range parted {
		from, to := time.Duration(i*parts)*time.Second, time.Duration((i+1)*parts)*time.Second
		for k, kind := range kinds {
			iv := parted[i][k].Interval(load, op, kind, from, to)
			run.Latency = append(run.Latency, iv)
			whole[k].Add(iv)
		}
	}
	minute := start.Truncate(time.Minute)
	run.Series = []measure.Series{
		{
			Source: "cloudwatch", Namespace: "AWS/AppSync", Metric: "TokensConsumed", Labels: map[string]string{"GraphQLAPIId": "sandbox"},
			Quota: "appsync.request-tokens", Role: capacity.RoleUsage, Statistic: "Sum", Unit: "tokens", Period: time.Minute,
			Points: measure.PointsOf(measure.Point{At: minute, Value: float64(ok)*cost - 1}),
		},
		{
			Source: "cloudwatch", Namespace: "AWS/Lambda", Metric: "ConcurrentExecutions",
			Quota: "lambda.concurrency", Role: capacity.RoleUsage, Statistic: "Maximum", Unit: "environments", Period: time.Minute,
			Points: measure.PointsOf(measure.Point{At: minute, Value: 4}),
		},
	}
	cpu := measure.Series{Source: "generator", Metric: "cpu", Statistic: "Average", Unit: "fraction", Period: time.Second}
	for i := range rows {
		cpu.Points.Add(measure.Point{At: start.Add(time.Duration(i) * time.Second), Value: 0.03})
	}
	run.Series = append(run.Series, cpu)
	run.Events = []capacity.Event{{At: 0, Kind: "stage", Text: "doors open"}, {At: 5, Kind: "stage", Text: "onset"}, {At: 35.5, Kind: "settle", Text: "two reads agree"}}

	times := func(d *measure.Distribution) capacity.Times {
		t := capacity.Times{N: d.N(), Mean: ptr(d.Mean() / 1e6), Max: ptr(d.Max() / 1e6)}
		for _, p := range []struct {
			p  float64
			to **float64
		}{{0.5, &t.P50}, {0.9, &t.P90}, {0.95, &t.P95}, {0.99, &t.P99}, {0.999, &t.P999}} {
			if float64(d.N())*(1-p.p) >= 10 {
				*p.to = ptr(d.Quantile(p.p) / 1e6)
			}
		}
		return t
	}
	perSecond := "s"
	var peak, peakAt float64
	for _, r := range rows {
		if float64(r.TokensDone) > peak {
			peak, peakAt = float64(r.TokensDone), float64(r.Second)
		}
	}
	reason := "appsync.request-tokens binds first, at 10.0 requests/s (tested); 5,000/s requires 1,000,000 tokens/s, 500x the quota (arithmetic)"
	first := "appsync.request-tokens"
	a := capacity.Assessment{
		Verdict: capacity.Verdict{Status: capacity.Valid, Checks: []capacity.Check{
			{Name: capacity.CheckPlan, Status: capacity.Passed, Value: "340 of 340 arrivals had their turn", Bound: "all, in their second", Blames: capacity.Invalid},
			{Name: capacity.CheckLag, Status: capacity.Passed, Value: "p99 592 µs", Bound: "p99 at most 10.0 ms", Blames: capacity.Invalid},
			{Name: capacity.CheckGeneratorCPU, Status: capacity.Passed, Value: "3 % in the busiest 10 s", Bound: "under 80 %", Blames: capacity.Invalid},
			{Name: capacity.CheckAnswers, Status: capacity.Passed, Value: "265 ok", Bound: "at least 1", Blames: capacity.Inconclusive},
			{Name: capacity.CheckCloudCoverage, Status: capacity.NotApplicable, Value: "no other source was named", Bound: "at least 90 %", Blames: capacity.Inconclusive},
		}},
		LimitedBy: capacity.LimitedBy{Who: capacity.ByThrottle, Evidence: []string{fmt.Sprintf("throttled: %d of %d, first in second 18", throttled, ok+throttled)}},
		Operations: []capacity.OperationResult{{
			Load: load, Name: op, Planned: ok + throttled, Sent: ok + throttled, Completed: ok + throttled, OK: ok, Throttled: throttled,
			ResponseTime: times(&whole[0]), ServiceTime: times(&whole[1]), Lag: times(&whole[2]),
			Tokens:  capacity.TokenUse{Total: ptr(ok * int64(cost)), N: ok, Mean: ptr(cost), P99: nil, Max: ptr(cost)},
			Reasons: map[string]int64{"throttled ThrottlingException": throttled},
		}},
		Quotas: []capacity.QuotaResult{
			{
				ID: first, Name: "Rate of request tokens", Kind: capacity.RateQuota, Limit: quota, Unit: "tokens", Period: &perSecond,
				Origin: capacity.FromServiceQuotas, Source: "Service Quotas GetServiceQuota", AsOf: "2026-11-21", Code: "L-7CA8E5F2",
				Peak: &peak, PeakAt: &peakAt, Utilization: ptr(peak / quota), Headroom: ptr(1 - peak/quota),
				UnitCost:    &capacity.Estimate{Value: 200, Low: 200, High: 200},
				ByOperation: []capacity.OperationCost{{Load: load, Name: op, UnitCost: 200}},
				BindsAt:     &capacity.Prediction{Rate: ptr(10.0), Low: ptr(10.0), High: ptr(10.0), Grade: capacity.Tested},
				SafeRate:    &capacity.Prediction{Rate: ptr(8.1), Low: ptr(7.6), High: ptr(8.5), Grade: capacity.Tested},
				Required:    &capacity.Requirement{Target: 5000, Quota: 1e6, Grade: capacity.Arithmetic},
				Resolution:  "1s ledger", Throttled: &throttled, TestedRate: 20,
				Notes: []string{"the peak includes tokens that the full bucket held at the start"},
			},
			{
				ID: "lambda.concurrency", Name: "Concurrent executions", Kind: capacity.LevelQuota, Limit: 1000, Unit: "environments",
				Origin: capacity.FromSystem, Source: "premiere.yaml", AsOf: "2026-11-21",
				Peak: ptr(4.0), PeakAt: ptr(0.0), Utilization: ptr(0.004), Headroom: ptr(0.996),
				UnitCost:   &capacity.Estimate{Value: 0.0852, Low: 0.0801, High: 0.0904},
				BindsAt:    &capacity.Prediction{Grade: capacity.Refused},
				SafeRate:   &capacity.Prediction{Grade: capacity.Refused},
				Required:   &capacity.Requirement{Target: 5000, Quota: 426, Grade: capacity.Arithmetic},
				Resolution: "60s maximum", Coverage: ptr(1.0), TestedRate: 20,
			},
		},
		FirstToBind: &first, FirstToBindReason: reason,
		Thresholds: []capacity.ThresholdResult{{Expression: "errors < 0.1%", Value: ptr(0.0), Passed: true}},
	}
	response := &a.Operations[0].ResponseTime
	response.Intervals = map[string]capacity.Range{"p50": {Low: *response.P50 * 0.97, High: *response.P50 * 1.04}}
	response.NeedsSeconds = map[string]float64{"p90": 25, "p95": 85, "p99": 540, "p999": 5700}
	return run, a
}

// inverse returns the instant at which the premiere expects its nth arrival: 2/s
// for 5 s, then rising by 0.6/s every second.
func inverse(n float64) float64 {
	if n <= 10 {
		return n / 2
	}
	return 5 + (-2+math.Sqrt(4+1.2*(n-10)))/0.6
}

func ptr[T any](v T) *T { return &v }
