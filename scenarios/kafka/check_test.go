package kafka

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/scenarios"
)

// What could only ever fail is a fault of the file, where it stands.
func TestCheck(t *testing.T) {
	for _, c := range []struct{ operation, load, want string }{
		{"value: {bytes: 200B}", "", ""},
		{"value: {bytes: 1MB}", "", "8:22: loads[0].operations[0].kafka.batch: batches of up to 1000012 bytes don't hold a record of 1000000 (write batch: 1000076B or more, as far as the topic's max.message.bytes goes)"},
		{"value: {bytes: 1MB}, batch: 1000076B", "", ""},
		{"value: {bytes: 1MB}, batch: 1000075B", "", "loads[0].operations[0].kafka.batch: batches of up to 1000075 bytes"},
		{"value: {bytes: 1000B}, batch: 1KiB", "", "don't hold a record of 1000"},
		{"value: {bytes: 900B}, batch: 1KiB, headers: {trace: " + strings.Repeat("x", 100) + "}", "", "don't hold a record of 1005"},
		{"value: {bytes: 200B}, buffer: 199B", "", "buffer: 199 bytes don't hold a record of 200 (leave it out for 256MiB)"},
		{"value: {bytes: 200B}, buffer: 200B", "", ""},
		{"value: {bytes: 200B}, linger: 30s", "", "linger: is no shorter than the load's timeout, 30s, so that every record would time out in its batch"},
		{"value: {bytes: 200B}, linger: 29s", "", ""},
		{"value: {bytes: 200B}, linger: 29s", "timeout: 5s, ", "linger: is no shorter than the load's timeout, 5s"},
	} {
		text := "version: 1\nname: events\ntarget: {kafka: {brokers: [\"127.0.0.1:9092\"]}}\nloads:\n  - name: views\n    profile: [{stage: steady, rate: 10/s, for: 1s}]\n    operations:\n      - {name: view, kafka: {topic: views, " + c.operation + "}}\n"
		if c.load != "" {
			text = strings.Replace(text, "    profile:", "    "+strings.TrimSuffix(c.load, ", ")+"\n    profile:", 1)
		}
		s, faults := scenarios.ParseFile(fstest.MapFS{"events.yaml": {Data: []byte(text)}}, "events.yaml", func(string) (string, bool) { return "", false })
		if faults != nil {
			t.Fatal(faults)
		}
		if got := fmt.Sprint(Check(s)); c.want == "" && len(Check(s)) > 0 || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %q", c.operation, got, c.want)
		}
	}
}

// The size of a batch with one record is what the producer takes it for: with one byte
// less room it refuses it. A topic's limit is compared with that size, and with that
// of the batches. (Kafka takes a value of 9,928 bytes where its limit is 10,000.)
func TestLargestRecord(t *testing.T) {
	c := cluster(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if o, err := newOperation(scenarios.Load{}, scenarios.Operation{Kafka: &scenarios.KafkaOperation{Value: scenarios.Value{Bytes: 9928}}}); err != nil || o.alone != 10_000 {
		t.Errorf("a batch of 9,928 bytes has %d, %v", o.alone, err)
	}
	for _, bytes := range []int64{1000, 8000, 20_000} {
		for name, change := range map[string]func(*scenarios.KafkaOperation){
			"no key": func(k *scenarios.KafkaOperation) { k.Key = scenarios.Key{} },
			"keys":   func(k *scenarios.KafkaOperation) { k.Key = scenarios.Key{Constant: strings.Repeat("k", 100)} },
			"with more": func(k *scenarios.KafkaOperation) {
				k.Headers = []scenarios.Header{{Name: "trace", Value: strings.Repeat("x", 70)}, {Name: "empty"}}
			},
		} {
			l := views(20, 200*time.Millisecond)
			k := l.Operations[0].Kafka
			k.Key = scenarios.Key{}
			k.Value.Bytes = bytes
			change(k)
			o, err := newOperation(l, l.Operations[0])
			if err != nil {
				t.Fatal(err)
			}
			for _, less := range []int{0, 1} {
				k.Producer.BatchBytes = int64(o.alone + listOverhead - less)
				sum, _, _ := run(t, Config{Target: scenarios.Kafka{Brokers: c.ListenAddrs()}, Load: l})
				if sent := sum.Sent; sent == 0 || less == 0 && sum.OK != sent || less == 1 && sum.Rejected != sent {
					t.Errorf("%s, %d bytes in batches that are %d too small: %d ok, %d rejected", name, bytes, less, sum.OK, sum.Rejected)
				}
			}
			k.Producer.BatchBytes = int64(o.alone + listOverhead)
			for _, most := range []int{o.alone - 1, o.alone, 1 << 20} {
				value := fmt.Sprint(most)
				if _, err := kadm.NewClient(client).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &value}}, "views"); err != nil {
					t.Fatal(err)
				}
				d, err := New(t.Context(), Config{Target: scenarios.Kafka{Brokers: c.ListenAddrs()}, Load: l, InFlight: 10})
				if err == nil {
					d.Close()
				}
				want := map[int]string{o.alone - 1: "records of up to", o.alone: fmt.Sprintf("write batch: %dB, its max.message.bytes", most), 1 << 20: "<nil>"}[most]
				if !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("%s, %d bytes, of which the topic takes %d: %v, want %q", name, bytes, most-o.alone, err, want)
				}
			}
		}
	}
}
