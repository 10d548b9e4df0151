package plan_test

import (
	"testing"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/plan"
)

// A group must take the target's records of its topic, whatever else arrives; one that
// takes as many is no part of the plan.
func TestConsumers(t *testing.T) {
	run := simulated(t, 100, "  - {id: appsync.request-tokens, kind: token_bucket, rate: 20000 tokens/s, burst: 20000 tokens}\n", "      - {limiter: appsync.request-tokens, amount: 1}\n")
	record := capacity.Operation{Name: "view", Kind: "kafka", Share: 0.5, Record: &capacity.Producer{Topic: "views"}}
	l := &run.Manifest.Loads[0]
	l.Operations[0].Share = 0.5
	l.Operations = append(l.Operations, record)
	a := capacity.Assess(run)
	rate := func(v float64) *capacity.Estimate { return &capacity.Estimate{Value: v, Low: v - 1, High: v + 1} }
	a.Consumers = []capacity.Consumer{
		{Group: "late", Topic: "views", Service: rate(40), Stages: []capacity.ConsumerStage{{Consumed: rate(40)}}},
		{Group: "kept", Topic: "views", Stages: []capacity.ConsumerStage{{Consumed: rate(50)}, {}}},
		{Group: "fast", Topic: "views", Service: rate(600), Stages: []capacity.ConsumerStage{{Consumed: rate(600)}}},
		{Group: "unread", Topic: "views"},
		{Group: "other", Topic: "plays", Service: rate(1), Stages: []capacity.ConsumerStage{{Consumed: rate(1)}}},
	}
	p, err := plan.New(run, a, plan.Request{Rate: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Consumers) != 2 {
		t.Fatalf("%+v", p.Consumers)
	}
	late, kept := p.Consumers[0], p.Consumers[1]
	if late.Group != "late" || !near(late.Required, 500) || late.Takes.Value != 40 {
		t.Errorf("%+v", late)
	}
	if kept.Group != "kept" || !near(kept.Required, 500) || kept.Takes != nil || kept.Seen != 50 {
		t.Errorf("%+v", kept)
	}
}
