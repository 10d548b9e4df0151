package quotas

import (
	"maps"
	"slices"
	"strconv"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// NewConnections is the id of the quota of connections that a client opens to each
// broker in a second.
const NewConnections = "kafka.new-connections"

// Serverless is what target.kafka.msk says of a cluster without brokers to name.
const Serverless = "serverless"

// clusterMetric is what CloudWatch has of a cluster of Amazon MSK.
type clusterMetric struct {
	Of         string            `yaml:"of"` // provisioned or serverless; "": both
	Metric     string            `yaml:"metric,required"`
	Statistic  string            `yaml:"statistic,required"`
	Dimensions map[string]string `yaml:"dimensions,required"`
	Unit       string            `yaml:"unit,required"` // as published; ms is read as seconds, % as a fraction
	IAM        bool              `yaml:"iam"`           // of clients that sign by msk_iam
	Cloud      bool              `yaml:"cloud"`         // not published by the sandbox
	Expected   bool              `yaml:"expected"`      // of every minute
}

// Cluster takes in what CloudWatch knows of the MSK cluster that the scenario
// observes, if it does, with these brokers: of each broker, or of each topic that
// the scenario produces to where the cluster is serverless, and of each consumer
// group that it observes. These series are no quota's.
func (r *Resolution) Cluster(s *scenarios.Scenario, brokers []int32) {
	i := slices.IndexFunc(s.Observe, func(o scenarios.Observe) bool { return o.MSK != "" })
	if i < 0 {
		return
	}
	of, iam := "provisioned", false
	if k := s.Target.Kafka; k != nil {
		iam = k.SASL.Mechanism == scenarios.MSKIAM
		if k.MSK == Serverless {
			of = Serverless
		}
	}
	values := map[string][]string{"<cluster>": {s.Observe[i].MSK}}
	add := func(hole, value string) {
		if !slices.Contains(values[hole], value) {
			values[hole] = append(values[hole], value)
		}
	}
	for _, id := range brokers {
		add("<broker>", strconv.Itoa(int(id)))
	}
	for _, l := range s.Loads {
		for _, op := range l.Operations {
			if op.Kafka != nil {
				add("<topic>", op.Kafka.Topic)
			}
		}
	}
	for _, o := range s.Observe {
		if o.KafkaGroup != "" {
			add("<group>", o.KafkaGroup)
		}
	}
	for _, m := range known().MSK {
		if m.Of != "" && m.Of != of || m.IAM && !iam || m.Cloud && s.Target.Sandbox != "" {
			continue
		}
		want := measure.Series{Source: "cloudwatch", Namespace: measure.MSK, Metric: m.Metric, Statistic: m.Statistic, Unit: m.Unit, Period: period}
		if m.Expected {
			want.Role = capacity.RoleUsage
		}
		all := []map[string]string{{}}
		for _, name := range slices.Sorted(maps.Keys(m.Dimensions)) {
			value := m.Dimensions[name]
			if placeholder.MatchString(value) {
				all = combine(all, name, values[value])
			} else {
				all = combine(all, name, []string{value})
			}
		}
		for _, labels := range all {
			want.Labels = labels
			r.Want = append(r.Want, want)
		}
	}
}

// combine returns every one of the labels with every one of the values under a name.
func combine(all []map[string]string, name string, values []string) (more []map[string]string) {
	for _, labels := range all {
		for _, v := range values {
			with := maps.Clone(labels)
			with[name] = v
			more = append(more, with)
		}
	}
	return more
}
