//go:build synctests

package kafkabroker

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/capacity/rehearsal"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/kafka"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// TestVirtualLag: 100 records/s are written from the first second on, and a group
// has committed half of them: after t seconds it is 50t records and t/2 seconds
// behind.
func TestVirtualLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network kfake.VirtualNetwork
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092), kfake.SeedTopics(1, "views"), kfake.ListenFn(network.Listen))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		client, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:9092"), kgo.Dialer(network.DialContext), kgo.ProducerLinger(0))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		b, err := New(kafka.Config{Target: scenarios.Kafka{Brokers: []string{"127.0.0.1:9092"}}, Dial: network.DialContext}, views("half"))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if _, err := b.Read(t.Context()); err == nil {
			t.Error("a group that isn't there was read")
		}
		admin := kadm.NewClient(client)
		for second := 1; second <= 60; second++ {
			for range 100 {
				time.Sleep(10 * time.Millisecond)
				if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "views", Value: []byte("v")}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			var o kadm.Offsets
			o.Add(kadm.Offset{Topic: "views", At: int64(50 * second)})
			if err := admin.CommitAllOffsets(t.Context(), "half", o); err != nil {
				t.Fatal(err)
			}
			got, err := b.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			v := values(t, got)
			records, seconds := v["consumer-lag half views 0"], v["consumer-lag-time half views"]
			if records != float64(50*second) || math.Abs(seconds-float64(second)/2) > 0.02 {
				t.Errorf("after %d s the group is %v records and %v s behind", second, records, seconds)
			}
		}
	})
}

// TestVirtualConservation is a whole run against a cluster, judged from its
// record: end offsets grew by the acknowledged records, or by more where somebody
// else produces.
func TestVirtualConservation(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		dir := t.TempDir() + "/run"
		synctest.Test(t, func(t *testing.T) {
			var network kfake.VirtualNetwork
			c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092), kfake.SeedTopics(4, "views"), kfake.ListenFn(network.Listen))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			cfg := kafka.Config{Target: scenarios.Kafka{Brokers: []string{"127.0.0.1:9092"}}, Dial: network.DialContext}
			s := &scenarios.Scenario{Name: "views", Loads: []scenarios.Load{{
				Name: "views", Arrivals: scenarios.Poisson, Seed: 1, Late: scenarios.Drop, Lateness: 100 * time.Millisecond, Timeout: 30 * time.Second,
				Profile: []scenarios.Stage{{Name: "steady", From: 100, To: 100, For: time.Minute, Measure: true}},
				Operations: []scenarios.Operation{{Name: "view", Weight: 1, Kafka: &scenarios.KafkaOperation{
					Topic: "views", Key: scenarios.Key{Zipf: 1000}, Value: scenarios.Value{Bytes: 200},
					Producer: scenarios.Producer{Acks: "all", Linger: 5 * time.Millisecond, BatchBytes: 1_000_012, Compression: "none", Idempotence: true, BufferBytes: 1 << 20},
				}}},
			}}}
			b, err := New(cfg, s)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			client, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:9092"), kgo.Dialer(network.DialContext), kgo.DefaultProduceTopic("views"))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			write := func() {
				if err := client.ProduceSync(t.Context(), kgo.StringRecord("from elsewhere")).FirstErr(); err != nil {
					t.Error(err)
				}
			}
			write() // what was there before is none of the run's
			if foreign {
				go func() {
					time.Sleep(30 * time.Second)
					write()
				}()
			}
			if _, err := rehearsal.Run(t.Context(), nil, rehearsal.Config{
				ID: "test", Scenario: s, Target: "a fake", Live: b,
				Driver: func(l scenarios.Load, inFlight int) (load.Driver, error) {
					cfg.Load, cfg.InFlight = l, inFlight
					return kafka.New(t.Context(), cfg)
				},
			}, dir); err != nil {
				t.Fatal(err)
			}
		})
		run, err := record.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		v := capacity.VerdictOf(run)
		check := v.Checks[slices.IndexFunc(v.Checks, func(c capacity.Check) bool { return c.Name == capacity.CheckBrokerOffsets })]
		planned := run.Manifest.Loads[0].Planned
		want, status := fmt.Sprintf("%s acknowledged, end offsets of 4 partitions grew by %s", unit.Human(float64(planned)), unit.Human(float64(planned))), capacity.Passed
		if foreign {
			want, status = fmt.Sprintf("%s acknowledged, end offsets of 4 partitions grew by %s: others produced to the topic; so a lost record would not show",
				unit.Human(float64(planned)), unit.Human(float64(planned+1))), capacity.NotApplicable
		}
		if check.Status != status || check.Value != want {
			t.Errorf("%+v, want %s", check, want)
		}
	}
}
