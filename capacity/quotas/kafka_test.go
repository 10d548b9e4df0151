package quotas_test

import (
	"testing"
	"testing/fstest"
	"time"

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
	bytes, onThreads := r.Quotas[0], r.Quotas[1]
	bytes.Notes, onThreads.Notes = nil, nil
	want := capacity.Quota{
		ID: measure.KafkaByteRate, Name: "producer_byte_rate", Kind: capacity.RateQuota, Limit: 220_000, Unit: "B", Period: "s", Burst: 2_200_000,
		Each: capacity.EachBroker, Origin: capacity.FromBroker, Source: "producer_byte_rate of client-id headroom", AsOf: "2026-11-30", Adjustable: true, Loads: []string{"views"},
	}
	if diff := cmp.Diff(want, bytes); diff != "" {
		t.Error(diff)
	}
	if onThreads.ID != "kafka.request-percentage" || onThreads.Kind != capacity.LevelQuota || onThreads.Limit != 50 {
		t.Errorf("%+v", onThreads)
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
	run := &capacity.Run{Manifest: capacity.Manifest{Quotas: []capacity.Quota{onThreads}, Loads: []capacity.Load{{Name: "views", Operations: []capacity.Operation{{Name: "view", Kind: "kafka"}}}}}}
	run.Rows = measure.RowsOf(measure.Row{Load: "views", Operation: "view", Planned: 1, Sent: 1, OK: 1, Measured: true})
	if q := capacity.Assess(run).Quotas[0]; q.Peak != nil || q.Throttled != nil {
		t.Errorf("use %v, throttled %v", q.Peak, q.Throttled)
	}
}

// TestCluster: of an observed cluster CloudWatch is asked for each broker, or each
// topic where it is serverless, and for each group's lag, by the dimensions that
// have spaces in their names; of a cluster that nobody observes for nothing.
func TestCluster(t *testing.T) {
	scenario := func(msk, observe string) *scenarios.Scenario {
		return kafkaScenario(t, `version: 1
name: views
target: {aws: {region: ap-northeast-1}, kafka: {brokers: ["127.0.0.1:9092"]`+msk+`}}
loads:
  - {name: views, profile: [{stage: a, rate: 1/s, for: 1s}], operations: [{name: view, kafka: {topic: views, value: {bytes: 200B}}}, {name: play, kafka: {topic: plays, value: {bytes: 200B}}}, {name: more, kafka: {topic: views, value: {bytes: 2B}}}]}
observe: [{kafka_group: readers}`+observe+`]
`)
	}
	wanted := func(s *scenarios.Scenario) map[string][]map[string]string {
		if faults := quotas.Check(s, nil); faults != nil {
			t.Fatal(faults)
		}
		r := quotas.Resolve(t.Context(), s, nil, nil)
		r.Cluster(s, []int32{1, 3})
		all := map[string][]map[string]string{}
		for _, w := range r.Want {
			if w.Namespace != "AWS/Kafka" || w.Source != "cloudwatch" || w.Period != time.Minute || w.Quota != "" || (w.Role != "") != (w.Metric == "BytesInPerSec") {
				t.Errorf("%+v", w)
			}
			all[w.Metric] = append(all[w.Metric], w.Labels)
		}
		return all
	}
	of := func(pairs ...string) map[string]string {
		labels := map[string]string{"Cluster Name": "shop"}
		for i := 0; i < len(pairs); i += 2 {
			labels[pairs[i]] = pairs[i+1]
		}
		return labels
	}
	brokers := []map[string]string{of("Broker ID", "1"), of("Broker ID", "3")}
	topics := []map[string]string{of("Topic", "views"), of("Topic", "plays")}
	lag := []map[string]string{of("Consumer Group", "readers", "Topic", "views"), of("Consumer Group", "readers", "Topic", "plays")}
	if got := wanted(scenario("", "")); len(got) > 0 {
		t.Errorf("nobody observes a cluster: %v", got)
	}
	got := wanted(scenario("", ", {msk: shop}"))
	for _, metric := range []string{"BytesInPerSec", "BytesOutPerSec", "MessagesInPerSec", "CpuUser", "CpuSystem", "ConnectionCount", "PartitionCount", "ProduceThrottleTime", "RequestThrottleTime"} {
		if diff := cmp.Diff(brokers, got[metric]); diff != "" {
			t.Errorf("%s: %s", metric, diff)
		}
	}
	if got["ClientConnectionCount"] != nil {
		t.Errorf("connections of clients that sign are asked for where none does: %v", got["ClientConnectionCount"])
	}
	signed := []map[string]string{of("Broker ID", "1", "Client Authentication", "IAM"), of("Broker ID", "3", "Client Authentication", "IAM")}
	if diff := cmp.Diff(signed, wanted(scenario(", tls: true, sasl: {mechanism: msk_iam}", ", {msk: shop}"))["ClientConnectionCount"]); diff != "" {
		t.Error(diff)
	}
	serverless := wanted(scenario(", msk: serverless", ", {msk: shop}"))
	if diff := cmp.Diff(topics, serverless["BytesInPerSec"]); diff != "" || serverless["CpuUser"] != nil {
		t.Errorf("serverless: %s; CPU %v", diff, serverless["CpuUser"])
	}
	for _, metric := range []string{"MaxOffsetLag", "SumOffsetLag", "EstimatedMaxTimeLag"} {
		if diff := cmp.Diff(lag, got[metric]) + cmp.Diff(lag, serverless[metric]); diff != "" {
			t.Errorf("%s: %s", metric, diff)
		}
	}
}
