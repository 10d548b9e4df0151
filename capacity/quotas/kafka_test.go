package quotas_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

func kafkaScenario(t *testing.T, text string) *scenarios.Scenario {
	t.Helper()
	s, faults := scenarios.ParseFile(fstest.MapFS{"s.yaml": {Data: []byte(text)}}, "s.yaml", func(string) (string, bool) { return "", false })
	if faults != nil {
		t.Fatal(faults)
	}
	return s
}

// TestInForce: what brokers have in force is a quota of the Kafka loads alone,
// what the scenario says is stronger, and without either there is none.
func TestInForce(t *testing.T) {
	const text = `version: 1
name: views
target: {graphql: {endpoint: "http://127.0.0.1:9/graphql"}, kafka: {brokers: ["127.0.0.1:9092"]}}
loads:
  - {name: viewers, profile: [{stage: a, rate: 1/s, for: 1s}], operations: [{name: list, graphql: {query: "{ list }"}}]}
  - {name: views, profile: [{stage: a, rate: 1/s, for: 1s}], operations: [{name: view, kafka: {topic: views, value: {bytes: 200B}}}]}
thresholds: [headroom(kafka.producer-byte-rate) > 20%]
`
	inForce := []quotas.ClientQuota{{Key: "producer_byte_rate", Value: 220_000, Of: "client-id headroom"}, {Key: "request_percentage", Value: 50, Of: "user default"}, {Key: "consumer_byte_rate", Value: 1}}
	s := kafkaScenario(t, text)
	if faults := quotas.Check(s, nil); faults != nil {
		t.Fatal(faults)
	}
	r := quotas.Resolve(t.Context(), s, nil, nil)
	if len(r.Quotas) != 0 {
		t.Fatalf("without a word of the brokers there are %+v", r.Quotas)
	}
	r.InForce(s, inForce, "2026-11-30")
	if len(r.Quotas) != 2 {
		t.Fatalf("%+v", r.Quotas)
	}
	bytes, time := r.Quotas[0], r.Quotas[1]
	bytes.Notes, time.Notes = nil, nil
	want := capacity.Quota{
		ID: measure.KafkaByteRate, Name: "producer_byte_rate", Kind: capacity.RateQuota, Limit: 220_000, Unit: "B", Period: "s", Burst: 2_200_000,
		Each: capacity.EachBroker, Origin: capacity.FromBroker, Source: "producer_byte_rate of client-id headroom", AsOf: "2026-11-30", Adjustable: true, Loads: []string{"views"},
	}
	if diff := cmp.Diff(want, bytes); diff != "" {
		t.Error(diff)
	}
	if time.ID != "kafka.request-percentage" || time.Kind != capacity.LevelQuota || time.Limit != 50 {
		t.Errorf("%+v", time)
	}

	s = kafkaScenario(t, text+"quotas: {kafka.producer-byte-rate: 100KB/s}\n")
	if faults := quotas.Check(s, nil); faults != nil {
		t.Fatal(faults)
	}
	r = quotas.Resolve(t.Context(), s, nil, nil)
	r.InForce(s, inForce[:1], "2026-11-30")
	if len(r.Quotas) != 1 || r.Quotas[0].Limit != 100_000 || r.Quotas[0].Origin != capacity.FromScenario ||
		!cmp.Equal(r.Quotas[0].Overrides, []capacity.Overridden{{Origin: capacity.FromBroker, Limit: 220_000}}) {
		t.Errorf("%+v", r.Quotas)
	}

	// A run whose use nobody sees has no use, and no refusals: not 0 of either.
	run := &capacity.Run{Manifest: capacity.Manifest{Quotas: []capacity.Quota{time}, Loads: []capacity.Load{{Name: "views", Operations: []capacity.Operation{{Name: "view", Kind: "kafka"}}}}}}
	run.Rows = []measure.Row{{Load: "views", Operation: "view", Planned: 1, Sent: 1, OK: 1, Measured: true}}
	if q := capacity.Assess(run).Quotas[0]; q.Peak != nil || q.Throttled != nil {
		t.Errorf("use %v, throttled %v", q.Peak, q.Throttled)
	}
}
