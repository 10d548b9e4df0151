package price

import (
	"math"

	"github.com/headroom-load/headroom/capacity"
)

// Mix returns what an arrival uses at other weights of the run's operations, on
// average, of what is paid for and no quota counts: of "appsync.requests", of
// "data.out" and of "lambda.requests". It is NaN where the run doesn't tell it of an
// operation alone, as how often each of several calls Lambda.
func Mix(run *capacity.Run, weights map[string]float64) map[string]float64 {
	type operation struct {
		sent, served, bytes float64
		appsync, lambda     bool
	}
	operations := make(map[string]*operation)
	var calling float64 // requests of all that call Lambda
	for r := range run.Rows.All() {
		op := operations[r.Operation]
		if op == nil {
			op = new(operation)
			operations[r.Operation] = op
		}
		n := float64(r.Sent - r.GeneratorErrors)
		op.sent += n
		op.served += n - float64(r.Throttled)
		op.bytes += float64(r.BytesIn)
		for _, q := range run.Manifest.Quotas {
			charges := q.Charges(r.Load, r.Operation)
			op.appsync = op.appsync || charges && q.ID == capacity.RequestTokens
			if charges && q.ID == lambdaConcurrency {
				op.lambda = true
				calling += n
			}
		}
	}
	calls, told := total(run, lambdaConcurrency, capacity.RoleRequests)
	admitted := capacity.Admitted(run)[lambdaConcurrency]
	if callers := 0; told {
		for _, op := range operations {
			if op.lambda {
				callers++
			}
		}
		told = callers == 1 && admitted.High > 0 && admitted.Low == admitted.High
	}
	var all, requests, bytes, called float64
	for name, weight := range weights {
		all += weight
		op := operations[name]
		if op == nil {
			op = new(operation)
		}
		if op.appsync {
			requests += weight
			bytes += weight * op.bytes / op.served // of none: NaN
		}
		switch {
		case !op.lambda && op.sent > 0:
		case told:
			called += weight * calls / (calling * admitted.High)
		default:
			called = math.NaN()
		}
	}
	return map[string]float64{"appsync.requests": requests / all, "data.out": bytes / all, "lambda.requests": called / all}
}
