package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

var faults = []story{
	{
		// Quantile p of the response time is D - (1-p)T for a pause of D in T, which some
		// milliseconds of this machine's don't change by a twentieth.
		name: "pause", rate: 1000, length: 30 * time.Second, meanwhile: pause, anyVerdict: true,
		check: func(o *told) error {
			if p99, want := o.response.Quantile(0.99)/1e6, 3-0.01*30; math.Abs(p99/want-1) > 0.05 {
				return fmt.Errorf("p99 is %.3f s, want %.3f", p99, want)
			}
			return errors.Join(o.marked("broker"), o.conserved())
		},
	},
	{
		name: "pause-small-buffer", rate: 1000, length: 15 * time.Second, load: "in_flight: 200", meanwhile: pause, anyVerdict: true,
		check: func(o *told) error {
			if o.sum.DroppedSaturation < 2000 || o.verdict.Status == capacity.Valid {
				return fmt.Errorf("%d dropped by saturation, %s", o.sum.DroppedSaturation, o.verdict.Status)
			}
			return errors.Join(o.marked("broker"), o.conserved())
		},
	},
	{
		name: "restart", rate: 1000, length: 20 * time.Second, anyVerdict: true, meanwhile: func(string) error {
			_, version := first.running()
			return errors.Join(first.stop(), up(version, false))
		},
		check: func(o *told) error { return errors.Join(o.marked("broker"), o.conserved()) },
	},
	{
		// Both nodes have every partition, and each partition changes its leader.
		name: "leader", rate: 1000, length: 15 * time.Second, replicas: 2, anyVerdict: true,
		before: join, meanwhile: moveLeaders, after: second.stop,
		check: func(o *told) error { return errors.Join(o.marked("leader"), o.conserved()) },
	},
	{
		// What can't be known before the load is counted by its class.
		name: "too-large-meanwhile", rate: 500, length: 6 * time.Second, anyVerdict: true,
		meanwhile: func(topic string) error { return largest(topic, 100) },
		check: func(o *told) error {
			refused := o.sum.Reasons[measure.Rejected.String()+" MESSAGE_TOO_LARGE"]
			if s := &o.sum; s.OK == 0 || refused == 0 || s.OK+refused != s.Sent || o.written != s.OK {
				return fmt.Errorf("sent %d, acknowledged %d, end offsets grew by %d, %v", s.Sent, s.OK, o.written, s.Reasons)
			}
			return nil
		},
	},
}

// pause holds the broker for three seconds.
func pause(string) error {
	pid, _ := first.running()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	time.Sleep(3 * time.Second)
	return syscall.Kill(pid, syscall.SIGCONT)
}

// moveLeaders makes the other node the leader of each of the topic's partitions.
func moveLeaders(topic string) error {
	return asked(func(ctx context.Context, admin *kadm.Client) error {
		listed, err := admin.ListTopics(ctx, topic)
		if err != nil {
			return err
		}
		var other kadm.AlterPartitionAssignmentsReq
		var all kadm.TopicsSet
		for _, p := range listed[topic].Partitions {
			other.Assign(topic, p.Partition, []int32{3 - p.Leader, p.Leader})
			all.Add(topic, p.Partition)
		}
		assigned, err := admin.AlterPartitionAssignments(ctx, other)
		if err := errors.Join(err, assigned.Error()); err != nil {
			return err
		}
		elected, err := admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, all)
		for _, p := range elected[topic] {
			err = errors.Join(err, p.Err)
		}
		return err
	})
}

// largest sets how many bytes a batch of the topic may have.
func largest(topic string, bytes int) error {
	return asked(func(ctx context.Context, admin *kadm.Client) error {
		value := fmt.Sprint(bytes)
		done, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "max.message.bytes", Value: &value}}, topic)
		if err != nil {
			return err
		}
		return done[0].Err
	})
}
