//go:build synctests

package kafkabroker

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/kafka"
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
