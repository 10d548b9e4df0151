package kafka

import (
	"context"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// views returns a load of records at a rate, of which nothing is dropped however late
// this machine is.
func views(rate float64, length time.Duration) scenarios.Load {
	return scenarios.Load{
		Name: "views", Arrivals: scenarios.Poisson, Seed: 1, Late: scenarios.Send, Lateness: 100 * time.Millisecond, Timeout: 30 * time.Second,
		Profile: []scenarios.Stage{{Name: "steady", From: rate, To: rate, For: length, Measure: true}},
		Operations: []scenarios.Operation{{Name: "view", Weight: 1, Kafka: &scenarios.KafkaOperation{
			Topic: "views", Key: scenarios.Key{Zipf: 1000}, Value: scenarios.Value{Bytes: 200},
			Producer: scenarios.Producer{Acks: "all", Linger: 5 * time.Millisecond, BatchBytes: 1_000_012, Compression: "none", Idempotence: true, BufferBytes: 1 << 20},
		}}},
	}
}

func cluster(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(4, "views")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// run drives a load and returns all of its rows in one, and its driver's series.
func run(t *testing.T, cfg Config) (measure.Row, map[string]measure.Distribution, []measure.Series) {
	t.Helper()
	if cfg.InFlight == 0 {
		cfg.InFlight = load.InFlightLimits([]scenarios.Load{cfg.Load}, 0)[0]
	}
	d, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	start := time.Now()
	var operations []measure.Operation
	var all []int
	for i, op := range cfg.Load.Operations {
		operations, all = append(operations, measure.Operation{Load: "views", Name: op.Name}), append(all, i)
	}
	rec := measure.NewRecorder(operations, 1)
	load.Run(t.Context(), nil, start, []load.Plan{{Load: cfg.Load, Schedule: load.NewSchedule(cfg.Load), Driver: d, Ops: all, InFlight: cfg.InFlight}}, rec)
	var sum measure.Row
	w := rec.Flush(time.Since(start))
	for i := range w.Rows {
		sum.Add(&w.Rows[i])
	}
	times := map[string]measure.Distribution{}
	for _, i := range w.Intervals {
		one := times[i.Kind]
		one.Add(i)
		times[i.Kind] = one
	}
	if sum.Planned != sum.Sent+sum.Dropped() || sum.Sent != sum.Completed()+sum.TimedOut+sum.GeneratorErrors+sum.Unfinished {
		t.Errorf("not every arrival is accounted for: %+v", sum)
	}
	series, _ := d.Watch(start, time.Second)
	return sum, times, series
}

// written is how many records a topic holds.
func written(c *kfake.Cluster) (n int64) {
	for _, p := range c.PartitionInfos("views") {
		n += p.HighWatermark
	}
	return n
}

// TestConservation: the end offsets grow by what was acknowledged, partition by
// partition, as the driver counts them.
func TestConservation(t *testing.T) {
	c := cluster(t)
	sum, _, series := run(t, Config{Target: scenarios.Kafka{Brokers: c.ListenAddrs()}, Load: views(2000, time.Second)})
	if sum.OK == 0 || sum.OK != sum.Sent || written(c) != sum.OK {
		t.Errorf("sent %d, ok %d, written %d", sum.Sent, sum.OK, written(c))
	}
	for _, s := range series {
		if s.Metric != measure.KafkaAcknowledged {
			continue
		}
		var p int32
		fmt.Sscan(s.Labels["partition"], &p)
		if got := c.PartitionInfo("views", p).HighWatermark; float64(got) != s.Points.Slice()[0].Value {
			t.Errorf("partition %d holds %d, counted were %v", p, got, s.Points.Slice()[0].Value)
		}
	}
}

// What was written to a partition is what its broker holds of it, to the byte, where
// topics have records of other sizes that compress otherwise, and partitions have none.
func TestWrittenBytes(t *testing.T) {
	for _, compression := range []string{"none", "gzip", "zstd"} {
		c := cluster(t, kfake.SeedTopics(3, "plays"))
		l := views(1000, time.Second)
		l.Operations[0].Kafka.Value = scenarios.Value{Content: []byte("the same again")}
		l.Operations[0].Kafka.Producer.Compression = compression
		rare := *l.Operations[0].Kafka
		rare.Topic, rare.Key, rare.Value = "plays", scenarios.Key{Constant: "one"}, scenarios.Value{Bytes: 20_000}
		l.Operations = append(l.Operations, scenarios.Operation{Name: "play", Weight: 0.05, Kafka: &rare})
		sum, _, series := run(t, Config{Target: scenarios.Kafka{Brokers: c.ListenAddrs()}, Load: l})
		told := map[string]int{}
		for _, s := range series {
			if s.Metric != measure.KafkaWritten {
				continue
			}
			p, err := strconv.Atoi(s.Labels["partition"])
			if err != nil {
				t.Fatal(err)
			}
			told[s.Labels["topic"]]++
			if got, want := s.Points.Slice()[0].Value, c.PartitionInfo(s.Labels["topic"], int32(p)).NumBytes; got != float64(want) {
				t.Errorf("%s: partition %d of %s holds %d bytes, told are %v", compression, p, s.Labels["topic"], want, got)
			}
		}
		if sum.OK == 0 || told["views"] != 4 || told["plays"] != 3 {
			t.Errorf("%s: of %d records the bytes of so many partitions are told: %v", compression, sum.OK, told)
		}
	}
}

func TestWhatIsKnownBefore(t *testing.T) {
	c := cluster(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	most := "100000"
	if _, err := kadm.NewClient(client).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &most}}, "views"); err != nil {
		t.Fatal(err)
	}
	secured := cluster(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "me", "right"))
	stranger := httptest.NewUnstartedServer(nil)
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS()
	defer stranger.Close()
	encrypted := alerting(t)
	for _, k := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no TLS", func(c *Config) { c.Target.Brokers = []string{encrypted} }, "the broker speaks TLS: set target.kafka.tls"},
		{"a stranger's certificate", func(c *Config) {
			c.Target.Brokers, c.Target.TLS = []string{stranger.Listener.Addr().String()}, &scenarios.TLS{}
		}, "the broker's certificate is not trusted: x509: certificate signed by unknown authority"},
		{"topic", func(c *Config) { c.Load.Operations[0].Kafka.Topic = "other" }, "there is no topic other"},
		{"unreachable", func(c *Config) { c.Target.Brokers = []string{"127.0.0.1:1"} }, "connection refused"},
		{"large", func(c *Config) { c.Load.Operations[0].Kafka.Value.Bytes = 200_000 }, "are larger than topic views takes"},
		{"credentials", func(c *Config) {
			c.Target.Brokers = secured.ListenAddrs()
			c.Target.SASL = scenarios.SASL{Mechanism: scenarios.Plain, User: "me", Password: "wrong"}
		}, "are the credentials"},
		{"no credentials", func(c *Config) { c.Target.Brokers = secured.ListenAddrs() }, "does it want TLS, or SASL?"},
		{"no AWS credentials", func(c *Config) { c.Target.SASL = scenarios.SASL{Mechanism: scenarios.MSKIAM} }, "needs AWS credentials"},
	} {
		cfg := Config{Target: scenarios.Kafka{Brokers: c.ListenAddrs()}, Load: views(10, time.Second), InFlight: 10}
		k.change(&cfg)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := New(ctx, cfg)
		cancel()
		if err == nil || !strings.Contains(err.Error(), k.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", k.name, err, k.want)
		}
	}
}

// alerting listens as a broker does that speaks TLS: it answers what is none with
// an alert. It returns the address.
func alerting(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 1024))
			c.Write([]byte{21, 3, 3, 0, 2, 2, 80}) // an alert of TLS 1.2: fatal, internal error
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestSASL(t *testing.T) {
	for mechanism, named := range map[string]string{scenarios.Plain: "PLAIN", scenarios.ScramSHA256: "SCRAM-SHA-256", scenarios.ScramSHA512: "SCRAM-SHA-512"} {
		c := cluster(t, kfake.EnableSASL(), kfake.Superuser(named, "me", "right"))
		target := scenarios.Kafka{Brokers: c.ListenAddrs(), SASL: scenarios.SASL{Mechanism: mechanism, User: "me", Password: "right"}}
		if sum, _, _ := run(t, Config{Target: target, Load: views(100, 100*time.Millisecond)}); sum.OK == 0 || sum.OK != sum.Sent {
			t.Errorf("%s: ok %d of %d", mechanism, sum.OK, sum.Sent)
		}
	}
}

// TestRefusedRecords: what a broker says of a record is a class of its own.
func TestRefusedRecords(t *testing.T) {
	c := cluster(t)
	c.ControlKey(0, func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		produce := req.(*kmsg.ProduceRequest)
		resp := produce.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range produce.Topics {
			t := kmsg.NewProduceResponseTopic()
			t.Topic, t.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				one := kmsg.NewProduceResponseTopicPartition()
				one.Partition, one.ErrorCode = p.Partition, 44 // POLICY_VIOLATION
				t.Partitions = append(t.Partitions, one)
			}
			resp.Topics = append(resp.Topics, t)
		}
		return resp, nil, true
	})
	sum, _, _ := run(t, Config{Target: scenarios.Kafka{Brokers: c.ListenAddrs()}, Load: views(200, 200*time.Millisecond)})
	if sum.Rejected == 0 || sum.Rejected != sum.Sent || sum.Reasons["rejected POLICY_VIOLATION"] != sum.Sent {
		t.Errorf("rejected %d of %d: %v", sum.Rejected, sum.Sent, sum.Reasons)
	}
}

func TestZipf(t *testing.T) {
	for _, n := range []int64{1, 2, 1000, 1024, 1025, 5_000_000} {
		z := newZipf(n)
		if low, high := z.at(0), z.at(math.Nextafter(1, 0)); low != 1 || high != n {
			t.Errorf("%d keys: ranks go from %d to %d", n, low, high)
		}
		// The share of rank r is 1/(r H(n)): the number u that ends it is H(r)/H(n).
		for _, r := range []int64{1, 2, 10, 999, 1023, 1024, 1025, 2000, 4_999_999} {
			if r >= n {
				continue
			}
			middle := (z.harmonic(r) - 0.5/float64(r)) / z.total
			if got := z.at(middle); got != r {
				t.Errorf("%d keys: the middle of rank %d is of rank %d", n, r, got)
			}
		}
		sum := 0.0
		for r := min(n, 100_000); r > 0; r-- {
			sum += 1 / float64(r)
		}
		if n <= 100_000 && math.Abs(z.total-sum) > 1e-12 {
			t.Errorf("H(%d) is %v, want %v", n, z.total, sum)
		}
	}
	if got := newZipf(100_000).harmonic(100_000); math.Abs(got-12.090146129863428) > 1e-12 {
		t.Errorf("H(100000) is %v", got)
	}
}

func TestTemplates(t *testing.T) {
	rows := &scenarios.Rows{Columns: []string{"id", "n"}, Values: [][]string{{`"a\"b"`, `1.50`}, {`"c"`, `{"x":1}`}}}
	got, err := render(`{"id": "${row.id}", "n": ${row.n}, "at": "$${now}"}`, rows)
	if err != nil || string(got[0]) != `{"id": "a"b", "n": 1.50, "at": "${now}"}` || string(got[1]) != `{"id": "c", "n": {"x":1}, "at": "${now}"}` {
		t.Errorf("%q %v", got, err)
	}
	if got, err := render("all the same $${x}", nil); err != nil || string(got[0]) != "all the same ${x}" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := render("${row.other}", rows); err == nil {
		t.Error("a column that isn't there is no error")
	}
}

// TestRecordsAreAFunctionOfTheirNumber, whatever was made before.
func TestRecordsAreAFunctionOfTheirNumber(t *testing.T) {
	l := views(1, time.Second)
	make := func(ns ...int64) (all []string) {
		o, err := newOperation(l, l.Operations[0])
		if err != nil {
			t.Fatal(err)
		}
		var r request
		for _, n := range ns {
			o.fill(&r, n)
			all = append(all, string(r.record.Key)+" "+string(r.record.Value))
		}
		return all
	}
	one, two := make(0, 7, 1_000_000_007), make(1_000_000_007, 7, 0)
	if one[0] != two[2] || one[1] != two[1] || one[2] != two[0] || one[0] == one[1] {
		t.Error("records depend on the order in which they are made")
	}
}

func BenchmarkPrepare(b *testing.B) {
	l := views(1, time.Second)
	o, err := newOperation(l, l.Operations[0])
	if err != nil {
		b.Fatal(err)
	}
	d := &Driver{operations: []operation{o}}
	b.ReportAllocs()
	for n := int64(0); b.Loop(); n++ {
		r, _ := d.Prepare(load.Arrival{N: n})
		d.release(r.(*request))
	}
}
