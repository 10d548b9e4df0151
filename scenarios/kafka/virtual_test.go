//go:build synctests

package kafka

import (
	"context"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// virtual runs f with a cluster in virtual time.
func virtual(t *testing.T, f func(t *testing.T, c *kfake.Cluster, cfg Config)) {
	synctest.Test(t, func(t *testing.T) {
		var network kfake.VirtualNetwork
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092), kfake.SeedTopics(4, "views"), kfake.ListenFn(network.Listen))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		f(t, c, Config{Target: scenarios.Kafka{Brokers: []string{"127.0.0.1:9092"}}, Dial: network.DialContext})
	})
}

// TestVirtualTenMinutes is a launch of ten minutes: calm, doubled within ten seconds,
// held. A broker that answers at once leaves nothing but the linger.
func TestVirtualTenMinutes(t *testing.T) {
	virtual(t, func(t *testing.T, c *kfake.Cluster, cfg Config) {
		l := views(68, 0)
		l.Profile = []scenarios.Stage{
			{Name: "calm", From: 68, To: 68, For: 3 * time.Minute, Measure: true},
			{Name: "double", Ramp: true, From: 68, To: 135, For: 10 * time.Second, Measure: true},
			{Name: "hold", From: 135, To: 135, For: 410 * time.Second, Measure: true},
		}
		cfg.Load = l
		sum, times, _ := run(t, cfg)
		if sum.OK != sum.Planned || written(c) != sum.OK || math.Abs(float64(sum.Planned)-(68*180+101.5*10+135*410)) > 1500 {
			t.Errorf("ok %d of %d, written %d", sum.OK, sum.Planned, written(c))
		}
		response, lag := times[measure.ResponseTimes], times[measure.Lags]
		if lag.Max() != 0 || response.Max() > 5000+1 || response.Quantile(0.5) < 2500 {
			t.Errorf("lag up to %v us, response time %v to %v us", lag.Max(), response.Quantile(0.5), response.Max())
		}
	})
}

// TestVirtualConnections: several loads, each with two ways to produce, and whoever
// asks the brokers beside them, together open no more connections in a second than a
// small MSK broker takes.
func TestVirtualConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wires kfake.VirtualNetwork
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092), kfake.SeedTopics(4, "views"), kfake.ListenFn(wires.Listen))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var mu sync.Mutex
		var at []time.Time
		cfg := Config{Target: scenarios.Kafka{Brokers: []string{"127.0.0.1:9092"}}, Accounts: NewAccounts(), InFlight: 10}
		cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			mu.Lock()
			at = append(at, time.Now())
			mu.Unlock()
			return wires.DialContext(ctx, network, address)
		}
		cfg.Accounts.Allow(newIAMConnections)
		observer, err := Connect(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer observer.Close()
		if err := observer.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		var last *Driver
		for range 3 {
			cfg.Load = views(10, time.Second)
			other := cfg.Load.Operations[0]
			k := *other.Kafka
			k.Producer.Linger = time.Millisecond
			other.Name, other.Kafka = "other", &k
			cfg.Load.Operations = append(slices.Clone(cfg.Load.Operations), other)
			d, err := New(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			last = d
		}
		if len(at) < 7 || mostInASecond(at) != newIAMConnections {
			t.Errorf("%d of %d connections were opened within a second", mostInASecond(at), len(at))
		}
		seen := map[string]float64{}
		series, _ := last.Watch(time.Now(), time.Second)
		for _, s := range series {
			seen[s.Metric] += s.Points.Slice()[0].Value
		}
		if seen[measure.KafkaConnections] != float64(len(at)) || seen[measure.KafkaNewConnections] != newIAMConnections {
			t.Errorf("of %d connections the driver tells %v, %v in a second", len(at), seen[measure.KafkaConnections], seen[measure.KafkaNewConnections])
		}
	})
}

// TestVirtualStall is the closed form of a broker that is silent for D = 3 s in T = ten
// minutes: quantile p of the response time is D - (1-p)T, give or take the linger and
// the time between two arrivals.
func TestVirtualStall(t *testing.T) {
	stall := func(c *kfake.Cluster) {
		from := time.Now().Add(20 * time.Second)
		c.ControlKey(0, func(kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			if now := time.Now(); now.After(from) && now.Before(from.Add(3*time.Second)) {
				c.SleepControl(func() { time.Sleep(from.Add(3 * time.Second).Sub(now)) })
			}
			return nil, nil, false
		})
	}
	virtual(t, func(t *testing.T, c *kfake.Cluster, cfg Config) {
		stall(c)
		cfg.Load = views(100, 10*time.Minute)
		cfg.Load.Arrivals = scenarios.Uniform
		sum, times, _ := run(t, cfg)
		response := times[measure.ResponseTimes]
		if sum.Planned != 60_000 || sum.OK != sum.Planned || written(c) != sum.OK {
			t.Errorf("ok %d of %d, written %d", sum.OK, sum.Planned, written(c))
		}
		for p, want := range map[float64]float64{0.996: 0.6, 0.998: 1.8, 0.999: 2.4, 0.9995: 2.7} {
			if got := response.Quantile(p) / 1e6; math.Abs(got-want) > 0.015 {
				t.Errorf("p%v is %.3f s, want %.3f", 100*p, got, want)
			}
		}
	})
	// With room for 100 records the rest of the stall is dropped, and counted.
	virtual(t, func(t *testing.T, c *kfake.Cluster, cfg Config) {
		stall(c)
		cfg.Load, cfg.InFlight = views(1000, time.Minute), 100
		cfg.Load.Late = scenarios.Drop
		sum, _, _ := run(t, cfg)
		if written(c) != sum.OK || sum.DroppedGenerator != 0 || sum.DroppedSaturation < 2500 || sum.DroppedSaturation > 3000 {
			t.Errorf("ok %d of %d, written %d, dropped %d", sum.OK, sum.Planned, written(c), sum.DroppedSaturation)
		}
	})
	// And so it is where the bytes that may wait are what is full.
	virtual(t, func(t *testing.T, c *kfake.Cluster, cfg Config) {
		stall(c)
		cfg.Load = views(1000, time.Minute)
		cfg.Load.Late = scenarios.Drop
		cfg.Load.Operations[0].Kafka.Producer.BufferBytes = 20_000
		sum, _, _ := run(t, cfg)
		if written(c) != sum.OK || sum.DroppedGenerator != 0 || sum.DroppedSaturation < 2500 || sum.DroppedSaturation > 3000 {
			t.Errorf("ok %d of %d, written %d, dropped %d", sum.OK, sum.Planned, written(c), sum.DroppedSaturation)
		}
	})
}

// TestVirtualClosings: that a broker closes a connection is an event. That the client
// does is none: of one that wasn't used for long, of one whose broker it gave up, which
// is told by the silence, and of all where the run is given up.
func TestVirtualClosings(t *testing.T) {
	// notices drives a load and returns what became known of the cluster.
	notices := func(t *testing.T, cfg Config, during func(abort func())) []string {
		cfg.InFlight = 100_000
		d, err := New(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		abort := make(chan struct{})
		go during(sync.OnceFunc(func() { close(abort) }))
		rec := measure.NewRecorder([]measure.Operation{{Load: "views", Name: "view"}}, 1)
		load.Run(t.Context(), abort, time.Now(), []load.Plan{{Load: cfg.Load, Schedule: load.NewSchedule(cfg.Load), Driver: d, Ops: []int{0}, InFlight: cfg.InFlight}}, rec)
		synctest.Wait()
		_, seen := d.Watch(time.Now(), time.Second)
		var texts []string
		for _, n := range seen {
			texts = append(texts, n.Text)
		}
		time.Sleep(time.Minute) // until a silent broker has answered
		return texts
	}
	quiet := func(func()) {}
	silent := func(c *kfake.Cluster, from, length time.Duration) {
		begin := time.Now().Add(from)
		c.ControlKey(produceKey, func(kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			if now := time.Now(); now.After(begin) && now.Before(begin.Add(length)) {
				c.SleepControl(func() { time.Sleep(begin.Add(length).Sub(now)) })
			}
			return nil, nil, false
		})
	}
	virtual(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		cfg.Load = views(10, 0)
		cfg.Load.Profile = []scenarios.Stage{
			{Name: "before", From: 10, To: 10, For: 10 * time.Second, Measure: true},
			{Name: "pause", For: 5 * time.Minute},
			{Name: "after", From: 10, To: 10, For: 10 * time.Second, Measure: true},
		}
		if got := notices(t, cfg, quiet); got != nil {
			t.Errorf("after a pause: %q", got)
		}
	})
	virtual(t, func(t *testing.T, c *kfake.Cluster, cfg Config) {
		cfg.Load = views(100, time.Minute)
		silent(c, 10*time.Second, 30*time.Second)
		if got := notices(t, cfg, func(abort func()) { time.Sleep(10*time.Second + 500*time.Millisecond); abort() }); got != nil {
			t.Errorf("given up: %q", got)
		}
	})
	virtual(t, func(t *testing.T, c *kfake.Cluster, cfg Config) {
		cfg.Load = views(100, time.Minute)
		silent(c, 10*time.Second, 25*time.Second)
		got := notices(t, cfg, quiet)
		if !slices.Contains(got, "broker 0: no answer for 10.0 s") || slices.ContainsFunc(got, func(text string) bool { return !strings.HasPrefix(text, "broker 0: no answer for ") }) {
			t.Errorf("of a broker that is silent for longer than requests wait: %q", got)
		}
	})
	virtual(t, func(t *testing.T, c *kfake.Cluster, cfg Config) {
		var mu sync.Mutex
		var ends []net.Conn
		within := cfg.Dial
		cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := within(ctx, network, address)
			mu.Lock()
			defer mu.Unlock()
			ends = append(ends, conn)
			return conn, err
		}
		cfg.Load = views(100, time.Minute)
		got := notices(t, cfg, func(func()) {
			time.Sleep(10 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			for _, conn := range ends {
				conn.Close()
			}
		})
		if !slices.Contains(got, "broker 0: a connection was closed") || !slices.Contains(got, "broker 0 is connected again") {
			t.Errorf("of connections that were closed under the client: %q", got)
		}
	})
}
