package kafkabroker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/kafka"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// views is a scenario that produces to the topic views and observes groups.
func views(groups ...string) *scenarios.Scenario {
	s := &scenarios.Scenario{Loads: []scenarios.Load{{Name: "views", Operations: []scenarios.Operation{
		{Name: "view", Kafka: &scenarios.KafkaOperation{Topic: "views"}},
		{Name: "again", Kafka: &scenarios.KafkaOperation{Topic: "views"}},
	}}}}
	for _, g := range groups {
		s.Observe = append(s.Observe, scenarios.Observe{KafkaGroup: g})
	}
	return s
}

// brokers returns a cluster with the topic views of two partitions, a client of
// it, and what reads its side.
func brokers(t *testing.T, s *scenarios.Scenario) (*kfake.Cluster, *kgo.Client, *Brokers) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "views", "others"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	b, err := New(kafka.Config{Target: scenarios.Kafka{Brokers: c.ListenAddrs()}}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return c, client, b
}

func produce(t *testing.T, client *kgo.Client, topic string, partition int32, n int) {
	t.Helper()
	for range n {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func commit(t *testing.T, client *kgo.Client, group, topic string, partition int32, at int64) {
	t.Helper()
	var o kadm.Offsets
	o.Add(kadm.Offset{Topic: topic, Partition: partition, At: at})
	if err := kadm.NewClient(client).CommitAllOffsets(t.Context(), group, o); err != nil {
		t.Fatal(err)
	}
}

// values returns the points of series by metric and labels.
func values(t *testing.T, all []measure.Series) map[string]float64 {
	t.Helper()
	got := map[string]float64{}
	for _, s := range all {
		if s.Source != measure.KafkaBroker || s.Points.Len() != 1 || s.Points.Slice()[0].At.IsZero() {
			t.Errorf("series %+v", s)
		}
		got[strings.TrimSpace(fmt.Sprint(s.Metric, " ", s.Labels["group"], " ", s.Labels["topic"], " ", s.Labels["partition"], s.Labels["broker"]))] = s.Points.Slice()[0].Value
	}
	return got
}

// TestRead: lag is what is beyond the commit; a partition that holds nothing is
// caught up with; what isn't the scenario's is not read; and a record that was
// there before the first reading has no lag in seconds.
func TestRead(t *testing.T) {
	_, client, b := brokers(t, views("fast", "slow"))
	produce(t, client, "views", 0, 5)
	produce(t, client, "others", 0, 3)
	commit(t, client, "fast", "views", 0, 5)
	commit(t, client, "slow", "views", 0, 2)
	commit(t, client, "slow", "others", 0, 1)
	got, err := b.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"end-offset  views 0": 5, "end-offset  views 1": 0,
		"committed-offset fast views 0": 5, "consumer-lag fast views 0": 0, "consumer-lag-time fast views": 0,
		"committed-offset slow views 0": 2, "consumer-lag slow views 0": 3,
		"partitions": 4, "partitions   0": 4,
	}
	if diff := cmp.Diff(want, values(t, got)); diff != "" {
		t.Error(diff)
	}
	lags := kadmLag(t, client, "slow")
	if v := values(t, got)["consumer-lag slow views 0"]; int64(v) != lags["views"][0] {
		t.Errorf("lag %v, kadm says %d", v, lags["views"][0])
	}

	// From here on the end is known for each instant.
	produce(t, client, "views", 1, 4)
	commit(t, client, "slow", "views", 0, 5)
	commit(t, client, "slow", "views", 1, 1)
	commit(t, client, "fast", "views", 1, 4)
	got, err = b.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v := values(t, got)
	if _, again := v["partitions"]; again {
		t.Error("partitions are counted with every reading")
	}
	if v["consumer-lag slow views 1"] != 3 || v["end-offset  views 1"] != 4 {
		t.Errorf("%v", v)
	}
	if late, ok := v["consumer-lag-time slow views"]; !ok || late <= 0 || late > 60 {
		t.Errorf("lag in seconds is %v, %v", late, ok)
	}
}

// kadmLag is the library's own reckoning.
func kadmLag(t *testing.T, client *kgo.Client, group string) map[string]map[int32]int64 {
	t.Helper()
	lags, err := kadm.NewClient(client).Lag(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[int32]int64{}
	for _, l := range lags[group].Lag.Sorted() {
		if out[l.Topic] == nil {
			out[l.Topic] = map[int32]int64{}
		}
		out[l.Topic][l.Partition] = l.Lag
	}
	return out
}

// TestReadFailsSoft: what isn't there has no point, the rest has, and the error
// says what is missing.
func TestReadFailsSoft(t *testing.T) {
	c, client, b := brokers(t, views("nobody", "half"))
	produce(t, client, "views", 0, 5)
	produce(t, client, "views", 1, 5)
	commit(t, client, "half", "views", 0, 4)
	got, err := b.Read(t.Context())
	v := values(t, got)
	if err == nil || !strings.Contains(err.Error(), "group nobody") {
		t.Errorf("no word of the group that isn't there: %v", err)
	}
	if v["end-offset  views 0"] != 5 || v["consumer-lag half views 0"] != 1 {
		t.Errorf("%v", v)
	}
	for k := range v {
		if strings.Contains(k, "nobody") || strings.Contains(k, "half views 1") || strings.Contains(k, "consumer-lag-time half") {
			t.Errorf("%s has a value", k)
		}
	}
	c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if got, err := b.Read(ctx); len(got) > 0 || err == nil {
		t.Errorf("%d series of a broker that is gone, %v", len(got), err)
	}
}

// TestHistory: the instant at which an offset was passed, in a straight line
// between readings.
func TestHistory(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * 1e9)) }
	var h history
	for _, e := range []struct {
		at     float64
		offset int64
	}{{0, 100}, {1, 100}, {2, 100}, {3, 100}, {4, 200}, {5, 300}, {6, 300}} {
		h.ended(at(e.at), e.offset)
	}
	check := func(offset int64, want float64) {
		t.Helper()
		if got, ok := h.since(offset); !ok || got != at(want) {
			t.Errorf("offset %d was passed at %v, %v; want %v", offset, got.Sub(at(0)), ok, want)
		}
	}
	unknown := func(offset int64) {
		t.Helper()
		if got, ok := h.since(offset); ok {
			t.Errorf("offset %d was passed at %v, which nobody knows", offset, got)
		}
	}
	check(100, 3)
	check(150, 3.5)
	check(200, 4)
	check(299, 4.99)
	unknown(99)  // was there before
	unknown(300) // is not there yet
	h.forget(250)
	check(250, 4.5)
	unknown(150)
	for i := range 2 * mostEnds {
		h.ended(at(10+float64(i)), 301+int64(i))
	}
	if len(h.ends) != mostEnds {
		t.Errorf("%d ends are kept", len(h.ends))
	}
	check(301+2*mostEnds-2, 10+2*mostEnds-2)
}

// TestResolve sets a quota for each kind of entity and takes them away from the
// most specific on: the next one must be in force.
func TestResolve(t *testing.T) {
	name := func(kind, v string) kadm.ClientQuotaEntityComponent {
		return kadm.ClientQuotaEntityComponent{Type: kind, Name: &v}
	}
	standard := func(kind string) kadm.ClientQuotaEntityComponent {
		return kadm.ClientQuotaEntityComponent{Type: kind}
	}
	user, client := name("user", "ANONYMOUS"), name("client-id", kafka.ClientID)
	order := []struct {
		entity kadm.ClientQuotaEntity
		of     string
	}{
		{kadm.ClientQuotaEntity{client, user}, "user ANONYMOUS, client-id headroom"},
		{kadm.ClientQuotaEntity{user, standard("client-id")}, "user ANONYMOUS, client-id default"},
		{kadm.ClientQuotaEntity{user}, "user ANONYMOUS"},
		{kadm.ClientQuotaEntity{standard("user"), client}, "user default, client-id headroom"},
		{kadm.ClientQuotaEntity{standard("user"), standard("client-id")}, "user default, client-id default"},
		{kadm.ClientQuotaEntity{standard("user")}, "user default"},
		{kadm.ClientQuotaEntity{client}, "client-id headroom"},
		{kadm.ClientQuotaEntity{standard("client-id")}, "client-id default"},
	}
	described := kadm.DescribedClientQuotas{
		{Entity: kadm.ClientQuotaEntity{name("client-id", "other")}, Values: kadm.ClientQuotaValues{{Key: "producer_byte_rate", Value: 77}}},
		{Entity: kadm.ClientQuotaEntity{user, name("client-id", "other")}, Values: kadm.ClientQuotaValues{{Key: "producer_byte_rate", Value: 78}}},
		{Entity: kadm.ClientQuotaEntity{standard("ip")}, Values: kadm.ClientQuotaValues{{Key: "producer_byte_rate", Value: 79}}},
		// Another key of a more specific entity hides nothing.
		{Entity: kadm.ClientQuotaEntity{client, user}, Values: kadm.ClientQuotaValues{{Key: "consumer_byte_rate", Value: 80}}},
	}
	for i := len(order) - 1; i >= 0; i-- {
		described = append(described, kadm.DescribedClientQuota{Entity: order[i].entity, Values: kadm.ClientQuotaValues{{Key: "producer_byte_rate", Value: float64(i)}}})
	}
	for i, o := range order {
		got, err := resolve(described, "producer_byte_rate", "ANONYMOUS", true)
		if err != nil || got == nil || got.Value != float64(i) || got.Of != o.of {
			t.Fatalf("%+v, %v; want that of %s", got, err, o.of)
		}
		described = described[:len(described)-1]
	}
	if got, err := resolve(described, "producer_byte_rate", "ANONYMOUS", true); got != nil || err != nil {
		t.Errorf("%+v, %v where none is ours", got, err)
	}
	if got, err := resolve(described, "producer_byte_rate", "", false); err == nil {
		t.Errorf("%+v of a user that nobody knows", got)
	}
}

// TestInForce asks a cluster.
func TestInForce(t *testing.T) {
	c, client, b := brokers(t, views())
	if got, event := b.InForce(t.Context()); got != nil || event.Kind != capacity.ClientQuotas ||
		event.Text != "The brokers have in force for client id headroom, user ANONYMOUS: no producer_byte_rate, no request_percentage" {
		t.Errorf("%v, %+v", got, event)
	}
	id := kafka.ClientID
	if _, err := kadm.NewClient(client).AlterClientQuotas(t.Context(), []kadm.AlterClientQuotaEntry{
		{Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &id}}, Ops: []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: 220000}}},
		{Entity: kadm.ClientQuotaEntity{{Type: "user"}}, Ops: []kadm.AlterClientQuotaOp{{Key: "request_percentage", Value: 50}}},
	}); err != nil {
		t.Fatal(err)
	}
	want := []quotas.ClientQuota{{Key: "producer_byte_rate", Value: 220000, Of: "client-id headroom"}, {Key: "request_percentage", Value: 50, Of: "user default"}}
	got, event := b.InForce(t.Context())
	if !slices.Equal(got, want) || !strings.Contains(event.Text, ": producer_byte_rate 220000 (client-id headroom), request_percentage 50 (user default)") {
		t.Errorf("%+v, %+v", got, event)
	}
	c.Close()
	if got, event := b.InForce(t.Context()); got != nil || !strings.Contains(event.Text, "is not known: ") {
		t.Errorf("%+v, %+v of a broker that is gone", got, event)
	}
}

// What is in force is read again each time, from when it could be read once.
func TestInForceAgain(t *testing.T) {
	_, client, b := brokers(t, views())
	name := kafka.ClientID
	set := func(rate float64) {
		t.Helper()
		_, err := kadm.NewClient(client).AlterClientQuotas(t.Context(), []kadm.AlterClientQuotaEntry{{
			Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &name}}, Ops: []kadm.AlterClientQuotaOp{{Key: quotas.ByteRate, Value: rate, Remove: rate == 0}},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	told := func() (rates []float64) {
		t.Helper()
		series, err := b.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range series {
			if s.Metric == measure.KafkaInForce {
				rates = append(rates, s.Points.Slice()[0].Value)
			}
		}
		return rates
	}
	set(40_000)
	if got := told(); got != nil {
		t.Errorf("%v, though nobody asked what is in force", got)
	}
	b.InForce(t.Context())
	for _, rate := range []float64{40_000, 70_000, 0} {
		set(rate)
		want := []float64{rate}
		if rate == 0 {
			want = nil
		}
		if got := told(); !slices.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
	}
}

// TestHold: a broker has what it leads and what it follows.
func TestHold(t *testing.T) {
	partition := func(id int32, replicas ...int32) kadm.PartitionDetail {
		return kadm.PartitionDetail{Partition: id, Leader: replicas[0], Replicas: replicas}
	}
	held, all := hold(kadm.Metadata{
		Brokers: kadm.BrokerDetails{{NodeID: 1}, {NodeID: 2}, {NodeID: 3}, {NodeID: 4}},
		Topics: kadm.TopicDetails{
			"views":              {Topic: "views", Partitions: kadm.PartitionDetails{0: partition(0, 1, 2), 1: partition(1, 2, 3)}},
			"__consumer_offsets": {Topic: "__consumer_offsets", Partitions: kadm.PartitionDetails{0: partition(0, 3, 1, 2)}},
		},
	})
	if diff := cmp.Diff(map[int32]int{1: 2, 2: 3, 3: 2, 4: 0}, held); diff != "" || all != 3 {
		t.Errorf("%d in all, %s", all, diff)
	}
}

// TestDenied: a client that may produce and read the topic, and nothing else,
// learns of no quota and of no commit, which is said and no zero.
func TestDenied(t *testing.T) {
	may := func(what kmsg.ACLOperation) kfake.ACL {
		return kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: "views", Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: what, Allow: true}
	}
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "views"), kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.Superuser("PLAIN", "admin", "right"), kfake.User("PLAIN", "viewer", "right", may(kmsg.ACLOperationDescribe), may(kmsg.ACLOperationWrite)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := New(kafka.Config{Target: scenarios.Kafka{Brokers: c.ListenAddrs(), SASL: scenarios.SASL{Mechanism: scenarios.Plain, User: "viewer", Password: "right"}}}, views("slow"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got, event := b.InForce(t.Context()); got != nil ||
		event.Text != "Which quotas the brokers have in force for client id headroom, user viewer is not known: CLUSTER_AUTHORIZATION_FAILED" {
		t.Errorf("%v, %+v", got, event)
	}
	got, err := b.Read(t.Context())
	if err == nil || err.Error() != "what group slow has committed could not be read: GROUP_AUTHORIZATION_FAILED" {
		t.Errorf("the fault is %v", err)
	}
	if diff := cmp.Diff(map[string]float64{"end-offset  views 0": 0, "partitions": 1, "partitions   0": 1}, values(t, got)); diff != "" {
		t.Error(diff)
	}
}
