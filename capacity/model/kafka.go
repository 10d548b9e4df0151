package model

import (
	"fmt"
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity/model/limiter"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// ProducerByteRate is the limiter that the brokers of a System keep: what each of
// them takes of one client.
const ProducerByteRate = measure.KafkaByteRate

// Cluster is the Kafka part of a System: what its brokers have, who consumes it,
// and what goes wrong. Times of Stalls and Moves count from the first record that
// anyone produces.
type Cluster struct {
	Brokers int
	Topics  []Topic
	Groups  []Group
	Stalls  []Stall
	Moves   []Move
}

// Topic is a topic of a Cluster. Its partitions are led by the brokers in turn.
type Topic struct {
	Name       string
	Partitions int
}

// Group is a consumer group: Members that share the partitions of Topic and each
// work off Rate records a second at most.
type Group struct {
	Name, Topic string
	Members     int
	Rate        float64
}

// Stall is a time in which no broker reads or answers anything.
type Stall struct{ At, For time.Duration }

// Move is a change of leader: that of a partition becomes the next broker.
type Move struct {
	At        time.Duration
	Topic     string
	Partition int
}

// Topic returns the number of partitions of a topic, 0 where the cluster has none
// of the name.
func (c *Cluster) Topic(name string) (partitions int) {
	for _, t := range c.Topics {
		if t.Name == name {
			return t.Partitions
		}
	}
	return 0
}

// ByteRate returns what each of the System's brokers takes of a client, in bytes a
// second; 0: no bound.
func (s *System) ByteRate() float64 {
	for _, l := range s.Limiters {
		if l.ID == ProducerByteRate && l.Kind == KafkaQuota {
			return l.Limit
		}
	}
	return 0
}

// StartByteRate returns what a broker that keeps the System's byte rate knows of a
// client which has sent nothing, or nil where there is no bound.
func (s *System) StartByteRate() *limiter.KafkaQuota {
	if rate := s.ByteRate(); rate > 0 {
		return limiter.NewKafkaQuota(rate)
	}
	return nil
}

type (
	clusterFile struct {
		Brokers int         `yaml:"brokers"`
		Topics  []topicFile `yaml:"topics,required"`
		Groups  []groupFile `yaml:"groups"`
		Stalls  []stallFile `yaml:"stalls"`
		Moves   []moveFile  `yaml:"leader_changes"`
	}
	topicFile struct {
		Name       string `yaml:"name,required"`
		Partitions int    `yaml:"partitions,required"`
	}
	groupFile struct {
		Name    string    `yaml:"name,required"`
		Topic   string    `yaml:"topic,required"`
		Members int       `yaml:"members"`
		Rate    unit.Rate `yaml:"rate,required"`
	}
	stallFile struct {
		At  unit.Duration `yaml:"at,required"`
		For unit.Duration `yaml:"for,required"`
	}
	moveFile struct {
		At        unit.Duration `yaml:"at,required"`
		Topic     string        `yaml:"topic,required"`
		Partition int           `yaml:"partition"`
	}
)

// Bounds of a Cluster: it is one process.
const (
	maxBrokers = 16
	maxTopics  = 100
	maxMembers = 64
)

// cluster reads the Kafka part of a System.
func (p *parser) cluster(f clusterFile) {
	const at = "kafka"
	c := &Cluster{Brokers: 1}
	if p.Has(at + ".brokers") {
		c.Brokers = p.whole(at+".brokers", f.Brokers, 1, maxBrokers)
	}
	if p.Has(at+".topics") && (len(f.Topics) == 0 || len(f.Topics) > maxTopics) {
		p.fault(at+".topics", fmt.Sprintf("has %d topics", len(f.Topics)), fmt.Sprintf("from 1 to %d are possible", maxTopics))
	}
	for i, t := range f.Topics {
		path := fmt.Sprintf("%s.topics[%d]", at, i)
		p.newName(path+".name", t.Name, c.Topic(t.Name) > 0, limiterID, "letters, digits, dots, - and _, such as views")
		c.Topics = append(c.Topics, Topic{t.Name, p.whole(path+".partitions", t.Partitions, 1, maxNodes)})
	}
	for i, g := range f.Groups {
		path := fmt.Sprintf("%s.groups[%d]", at, i)
		twice := slices.ContainsFunc(c.Groups, func(o Group) bool { return o.Name == g.Name })
		p.newName(path+".name", g.Name, twice, limiterID, "letters, digits, dots, - and _, such as view-consumer")
		members := 1
		if p.Has(path + ".members") {
			members = p.whole(path+".members", g.Members, 1, maxMembers)
		}
		rate := p.perSecond(path+".rate", g.Rate)
		if g.Rate.Thing != unit.Records && rate > 0 {
			p.fault(path+".rate", fmt.Sprintf("%q doesn't count records", g.Rate), "write what each member works off, such as 30 records/s")
		}
		p.topicOf(path+".topic", g.Topic, c)
		c.Groups = append(c.Groups, Group{Name: g.Name, Topic: g.Topic, Members: members, Rate: rate})
	}
	for i, s := range f.Stalls {
		path := fmt.Sprintf("%s.stalls[%d]", at, i)
		stall := Stall{p.instant(path+".at", s.At), p.instant(path+".for", s.For)}
		if stall.For <= 0 && p.Has(path+".for") {
			p.fault(path+".for", "is zero", "")
		}
		if i > 0 && stall.At < c.Stalls[i-1].At+c.Stalls[i-1].For {
			p.fault(path+".at", "is before the end of the stall above", "write them in order")
		}
		c.Stalls = append(c.Stalls, stall)
	}
	for i, m := range f.Moves {
		path := fmt.Sprintf("%s.leader_changes[%d]", at, i)
		partitions := p.topicOf(path+".topic", m.Topic, c)
		if partitions > 0 && (m.Partition < 0 || m.Partition >= partitions) {
			p.fault(path+".partition", fmt.Sprintf("%s has no partition %d", m.Topic, m.Partition), fmt.Sprintf("they are 0 to %d", partitions-1))
		}
		if c.Brokers < 2 {
			p.fault(path, "has no broker to go to", "a change of leader needs brokers: 2 or more")
		}
		c.Moves = append(c.Moves, Move{p.instant(path+".at", m.At), m.Topic, m.Partition})
	}
	for i, l := range p.system.Limiters {
		path := fmt.Sprintf("limiters[%d]", i)
		switch {
		case l.Kind != KafkaQuota:
		case l.ID != ProducerByteRate:
			p.fault(path+".id", p.Quote(path+".id", l.ID)+" is no quota that this System's brokers keep", "theirs is "+ProducerByteRate)
		case l.Unit != unit.Bytes && l.Unit != "":
			p.fault(path+".rate", fmt.Sprintf("%s is counted in bytes, not in %s", l.ID, l.Unit), "write it as 20KB/s")
		}
	}
	p.system.Kafka = c
}

// whole reads a number between bounds.
func (p *parser) whole(path string, n, least, most int) int {
	if p.Has(path) && (n < least || n > most) {
		p.fault(path, fmt.Sprintf("is %d", n), fmt.Sprintf("from %d to %d are possible", least, most))
	}
	return n
}

// instant reads a time of the cluster's clock.
func (p *parser) instant(path string, d unit.Duration) time.Duration {
	if time.Duration(d) > maxTime {
		p.fault(path, "is longer than 24h", "")
	}
	return time.Duration(d)
}

// topicOf checks that the cluster has a topic, and returns its partitions.
func (p *parser) topicOf(path, name string, c *Cluster) int {
	n := c.Topic(name)
	if n == 0 && p.Has(path) {
		var names []string
		for _, t := range c.Topics {
			names = append(names, t.Name)
		}
		hint := ""
		if len(names) > 0 {
			hint = oneOf(name, names)
		}
		p.fault(path, p.Quote(path, name)+" is no topic of this file", hint)
	}
	return n
}
