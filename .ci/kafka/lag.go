package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// The story of a consumer group that takes half of what is produced. It ends with
// the load, so that the lag of the last readings stands still, and can be asked
// for elsewhere.
const (
	lagGroup = "slow-viewers"
	lagRate  = 1000
	lagTaken = 500
)

var lagStory = story{
	name: "lag", rate: lagRate, length: 20 * time.Second, settle: 5 * time.Second, group: lagGroup, beside: consumeSlowly, anyVerdict: true,
	check: func(o *told) error { return errors.Join(o.conserved(), o.offsetsChecked(), o.lagged()) },
}

func init() { all = append(all, lagStory) }

// consumeSlowly lets a member of the group take lagTaken records a second from
// the topic, which has no records yet, until the load is over.
func consumeSlowly(topic string, length time.Duration) error {
	if err := asked(func(ctx context.Context, admin *kadm.Client) error {
		var nothing kadm.Offsets
		for p := range int32(partitions) {
			nothing.Add(kadm.Offset{Topic: topic, Partition: p})
		}
		return admin.CommitAllOffsets(ctx, lagGroup, nothing)
	}); err != nil {
		return err
	}
	member, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumerGroup(lagGroup), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit())
	if err != nil {
		return err
	}
	defer member.Close()
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return member.CommitUncommittedOffsets(context.Background())
		case <-tick.C:
			member.PollRecords(ctx, lagTaken/10)
			if err := member.CommitUncommittedOffsets(context.Background()); err != nil {
				return err
			}
		}
	}
}

// lagged checks the lag of the report: against Kafka's own tool, by partition;
// its growth against the rates; and the seconds against the timestamp of the
// record next in turn.
func (o *told) lagged() error {
	last := map[int32]float64{} // by partition
	var at time.Time
	var seconds float64
	for _, s := range o.run.Series {
		if s.Source != measure.KafkaBroker || s.Points.Len() == 0 {
			continue
		}
		end := s.Points.Slice()[s.Points.Len()-1]
		switch s.Metric {
		case measure.KafkaLag:
			p, err := strconv.Atoi(s.Labels["partition"])
			if err != nil {
				return err
			}
			last[int32(p)] = end.Value
		case measure.KafkaLagTime:
			at, seconds = end.At, end.Value
		}
	}
	commits, lags, err := o.describedByKafka()
	if err != nil {
		return err
	}
	for p, lag := range lags {
		if v, there := last[p]; !there || int64(v) != lag {
			return fmt.Errorf("lag of partition %d is %v, %v; kafka-consumer-groups says %d", p, v, there, lag)
		}
	}
	reported := capacity.Lags(o.run)
	if len(reported) != 1 || reported[0].Max == nil || reported[0].EndTime == nil {
		return fmt.Errorf("reported are %+v", reported)
	}
	if growth, want := *reported[0].Max/o.length.Seconds(), float64(lagRate-lagTaken); growth < 0.9*want || growth > 1.4*want { // the group starts late
		return fmt.Errorf("lag grew by %.0f records/s, want about %.0f", growth, want)
	}
	oldest, err := o.nextInTurn(commits)
	if err != nil {
		return err
	}
	if want := at.Sub(oldest).Seconds(); math.Abs(seconds-want) > 1 { // a reading each second
		return fmt.Errorf("the group is %.2f s behind, by the record next in turn %.2f s", seconds, want)
	}
	fmt.Printf("      lag %.0f records and %.2f s at the end, %.0f and %.2f s at most; kafka-consumer-groups agrees on %d partitions\n",
		*reported[0].End, *reported[0].EndTime, *reported[0].Max, *reported[0].MaxTime, len(lags))
	return nil
}

// offsetsChecked checks that the run's own verdict has compared end offsets with
// acknowledged records, and found them equal.
func (o *told) offsetsChecked() error {
	want := fmt.Sprintf("%s acknowledged, end offsets of %d partitions grew by %[1]s", unit.Human(float64(o.sum.OK)), partitions)
	for _, c := range o.verdict.Checks {
		if c.Name == capacity.CheckBrokerOffsets && c.Status == capacity.Passed && c.Value == want {
			return nil
		}
	}
	return fmt.Errorf("the verdict doesn't say: %s; its checks are %+v", want, o.verdict.Checks)
}

// describedByKafka asks Kafka's own tool what the group has committed of the
// topic, and how far it lags.
func (o *told) describedByKafka() (commits, lags map[int32]int64, err error) {
	_, version := first.running()
	i, err := install(version)
	if err != nil {
		return nil, nil, err
	}
	out, err := exec.Command("java", i.java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
		"--bootstrap-server", address, "--describe", "--group", lagGroup)...).Output()
	if err != nil {
		return nil, nil, fmt.Errorf("kafka-consumer-groups: %w", err)
	}
	commits, lags = map[int32]int64{}, map[int32]int64{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 6 || f[1] != o.topic {
			continue
		}
		var n [4]int64 // partition, committed, end, lag
		for i := range n {
			if n[i], err = strconv.ParseInt(f[2+i], 10, 64); err != nil {
				return nil, nil, fmt.Errorf("kafka-consumer-groups says %q", lines.Text())
			}
		}
		commits[int32(n[0])], lags[int32(n[0])] = n[1], n[3]
	}
	if len(lags) != partitions {
		return nil, nil, fmt.Errorf("kafka-consumer-groups knows %d partitions of %d:\n%s", len(lags), partitions, out)
	}
	return commits, lags, nil
}

// nextInTurn returns the timestamp of the oldest record that the group has not
// committed.
func (o *told) nextInTurn(commits map[int32]int64) (oldest time.Time, err error) {
	from := map[int32]kgo.Offset{}
	for p, at := range commits {
		from[p] = kgo.NewOffset().At(at)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{o.topic: from}))
	if err != nil {
		return oldest, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for seen := map[int32]bool{}; len(seen) < len(commits); {
		fetched := client.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			return oldest, err
		}
		fetched.EachRecord(func(r *kgo.Record) {
			if seen[r.Partition] = true; oldest.IsZero() || r.Timestamp.Before(oldest) {
				oldest = r.Timestamp
			}
		})
	}
	return oldest, nil
}
