// Command kafka starts and stops a real Apache Kafka broker on loopback, and
// tells stories of headroom against it. Run it in the project's folder.
//
//	go run ./.ci/kafka up 4.x        # or 3.9; jars by mvn, data under bin/
//	go run ./.ci/kafka topic NAME PARTITIONS
//	go run ./.ci/kafka quota BYTES   # a second, for headroom's client id; 0: none
//	go run ./.ci/kafka stories [NAME...]
//	go run ./.ci/kafka bench         # headroom beside kafka-producer-perf-test
//	go run ./.ci/kafka down
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/headroom-load/headroom/scenarios/kafka"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kafka:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "up":
		return up(args[1], true)
	case len(args) == 1 && args[0] == "down":
		return down()
	case len(args) == 3 && args[0] == "topic":
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return topic(args[1], n)
	case len(args) == 2 && args[0] == "quota":
		n, err := strconv.ParseFloat(args[1], 64)
		if err != nil {
			return err
		}
		return quota(n)
	case len(args) > 0 && args[0] == "stories":
		return stories(args[1:])
	case len(args) == 1 && args[0] == "bench":
		return bench()
	}
	return errors.New("up VERSION, down, topic NAME PARTITIONS, quota BYTES, stories or bench")
}

// command runs a program whose output is shown where it fails.
func command(dir, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// asked calls f with a client of the broker that asks for at most ten seconds.
func asked(f func(context.Context, *kadm.Client) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return err
	}
	return f(ctx, kadm.NewClient(client))
}

func topic(name string, partitions int) error { return replicated(name, partitions, 1) }

// replicated creates a topic of which as many nodes have each partition.
func replicated(name string, partitions, replicas int) error {
	return asked(func(ctx context.Context, admin *kadm.Client) error {
		_, err := admin.CreateTopic(ctx, int32(partitions), int16(replicas), nil, name)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return err
		}
		return led(ctx, admin, name)
	})
}

// led waits until the topic's partitions have leaders, as brokers know of.
func led(ctx context.Context, admin *kadm.Client, name string) error {
	for {
		listed, err := admin.ListTopics(ctx, name)
		err = errors.Join(err, listed.Error())
		for _, p := range listed[name].Partitions {
			err = errors.Join(err, p.Err)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// quota sets or removes how many bytes a second clients with headroom's id may
// produce.
func quota(bytes float64) error {
	return asked(func(ctx context.Context, admin *kadm.Client) error {
		id := kafka.ClientID
		done, err := admin.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{
			Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &id}},
			Ops:    []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: bytes, Remove: bytes == 0}},
		}})
		if err != nil {
			return err
		}
		if done[0].Err != nil {
			return done[0].Err
		}
		// The broker takes it over a moment later.
		for {
			inForce, err := admin.DescribeClientQuotas(ctx, true, []kadm.DescribeClientQuotaComponent{{Type: "client-id", MatchName: &id, MatchType: kmsg.QuotasMatchTypeExact}})
			if err != nil {
				return err
			}
			has := 0.0
			if len(inForce) > 0 && len(inForce[0].Values) > 0 {
				has = inForce[0].Values[0].Value
			}
			if has == bytes {
				return nil
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
}
