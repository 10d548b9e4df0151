package quotas

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/strict"
)

// Check returns the faults in what the scenario says of quotas: names that
// nothing bears, units that don't fit, observe: entries that lead nowhere, and
// thresholds and stop rules that could never be evaluated. sys is the System of
// a sandbox target, else nil. It asks nobody.
func Check(s *scenarios.Scenario, sys *model.System) strict.Faults {
	c := &checker{Scenario: s, sys: sys}
	if sys != nil {
		c.candidates = ofSystem(s, sys)
		c.operations()
	} else if s.Target.Sandbox != "" {
		return nil // the System could not be read, which is a fault of its own
	} else {
		c.candidates = ofCatalogue(s)
	}
	c.msk()
	c.observe()
	c.overrides()
	c.thresholds()
	return c.faults
}

type checker struct {
	*scenarios.Scenario
	sys        *model.System
	candidates []candidate
	faults     strict.Faults
}

func (c *checker) fault(path, hint, problem string, args ...any) {
	c.faults = append(c.faults, c.Fault(path, fmt.Sprintf(problem, args...), hint))
}

// find returns the quota with the id, or reports that there is none.
func (c *checker) find(path, id string) *candidate {
	for i := range c.candidates {
		if c.candidates[i].quota.ID == id {
			return &c.candidates[i]
		}
	}
	var ids []string
	for _, k := range c.candidates {
		ids = append(ids, k.quota.ID)
	}
	if c.sys != nil {
		if slices.ContainsFunc(c.sys.Limiters, func(l model.Limiter) bool { return l.ID == id }) {
			c.fault(path, "", "no operation of the scenario charges %s of the System %s", id, c.sys.Name)
			return nil
		}
		c.fault(path, suggest(id, ids), "the System %s has no quota %q", c.sys.Name, id)
		return nil
	}
	if e, resource, ok := lookup(id); ok {
		hint := "it belongs to a GraphQL target"
		switch e.Part {
		case graphqlPart:
		case kafkaPart:
			hint = "say with target.kafka.msk which cluster has it, or state it under quotas"
			if e.IAM && c.Target.Kafka != nil && c.Target.Kafka.SASL.Mechanism != scenarios.MSKIAM {
				hint = "it holds for clients that sign by sasl: {mechanism: msk_iam}"
			}
		default:
			if resource == "" {
				resource = "NAME"
			}
			hint = fmt.Sprintf("add \"- %s: %s\" to observe", e.Part, resource)
		}
		c.fault(path, hint, "quota %s is not part of what the scenario reaches", id)
		return nil
	}
	for _, e := range catalogue() {
		if !slices.Contains(ids, e.ID) {
			ids = append(ids, e.ID)
		}
	}
	c.fault(path, suggest(id, ids), "unknown quota %q", id)
	return nil
}

func suggest(word string, among []string) string {
	if near := strict.Nearest(word, among); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	if len(among) == 0 {
		return ""
	}
	return "known are " + strings.Join(among, ", ")
}

// operations checks that the sandbox's System answers every operation.
func (c *checker) operations() {
	var known, topics []string
	for _, o := range c.sys.Operations {
		known = append(known, o.Name)
	}
	if c.sys.Kafka != nil {
		for _, t := range c.sys.Kafka.Topics {
			topics = append(topics, t.Name)
		}
	}
	for i, l := range c.Loads {
		for j, op := range l.Operations {
			name, ok := ServedAs(op)
			path := fmt.Sprintf("loads[%d].operations[%d].graphql", i, j)
			if op.Kafka != nil {
				path = fmt.Sprintf("loads[%d].operations[%d].kafka", i, j)
			}
			switch {
			case op.Kafka != nil && topics == nil:
				c.fault(path, fmt.Sprintf("write kafka: {topics: [{name: %s, partitions: 10}]} in the System file", op.Kafka.Topic), "the System %s has no Kafka", c.sys.Name)
			case op.Kafka != nil && !slices.Contains(topics, op.Kafka.Topic):
				c.fault(path+".topic", suggest(op.Kafka.Topic, topics), "the System %s has no topic %q", c.sys.Name, op.Kafka.Topic)
			case !ok || slices.Contains(known, name):
			case name == "":
				c.fault(path, "write \"query NAME {\"; known are "+strings.Join(known, ", "), "the System %s knows operations by their names, and the document's has none", c.sys.Name)
			default:
				c.fault(path, suggest(name, known), "the System %s has no operation %q", c.sys.Name, name)
			}
		}
	}
}

func (c *checker) msk() {
	if k := c.Target.Kafka; k != nil && k.MSK != "" && !slices.Contains(clusters(), k.MSK) {
		c.fault("target.kafka.msk", suggest(k.MSK, clusters()), "no limits are known of an MSK cluster %q", k.MSK)
	}
}

func (c *checker) observe() {
	momento := 0
	for i, o := range c.Observe {
		path := fmt.Sprintf("observe[%d]", i)
		if o.Momento != "" {
			momento++
		}
		switch {
		case o.KafkaGroup != "": // the parser has seen that there is a cluster
			if c.sys != nil && c.sys.Kafka != nil {
				c.observeGroup(path+".kafka_group", o.KafkaGroup)
			}
		case o.MSK != "" && c.sys != nil:
			if c.sys.Kafka != nil && o.MSK != sandboxResource {
				c.fault(path+".msk", "write msk: "+sandboxResource, "the sandbox has no cluster %q", o.MSK)
			}
		case c.sys != nil:
			c.observeSandbox(path, o)
		case c.Target.AWS.Region == "":
			c.fault(path, "set target.aws.region", "there is no AWS Region to observe it in")
		case momento > 1:
			c.fault(path, "observe one cache in each run", "the quotas momento.* are of one cache")
		}
	}
}

// observeGroup checks that the System has a consumer group.
func (c *checker) observeGroup(path, group string) {
	var groups []string
	for _, g := range c.sys.Kafka.Groups {
		groups = append(groups, g.Name)
	}
	if !slices.Contains(groups, group) {
		c.fault(path, suggest(group, groups), "the System %s has no consumer group %q", c.sys.Name, group)
	}
}

// observeSandbox checks that the System has what is to be observed. That it
// would be observed anyway is no fault.
func (c *checker) observeSandbox(path string, o scenarios.Observe) {
	var tables []string
	has := func(prefix string) bool {
		return slices.ContainsFunc(c.candidates, func(k candidate) bool { return strings.HasPrefix(k.quota.ID, prefix) })
	}
	for _, k := range c.candidates {
		if e, table, ok := lookup(k.quota.ID); ok && e.Part == dynamodbPart && !slices.Contains(tables, table) {
			tables = append(tables, table)
		}
	}
	const hint = "all that its operations charge is observed without observe"
	switch {
	case o.Lambda != "" && !has("lambda."):
		c.fault(path+".lambda", hint, "no operation charges a limiter lambda.* of the System %s", c.sys.Name)
	case o.DynamoDB != "" && !slices.Contains(tables, o.DynamoDB):
		h := hint
		if near := strict.Nearest(o.DynamoDB, tables); near != "" {
			h = suggest(o.DynamoDB, tables)
		}
		c.fault(path+".dynamodb", h, "no operation charges a table %q of the System %s", o.DynamoDB, c.sys.Name)
	case o.Momento != "" && !has("momento."):
		c.fault(path+".momento", hint, "no operation charges a limiter momento.* of the System %s", c.sys.Name)
	}
}

func (c *checker) overrides() {
	for _, o := range c.Quotas {
		path := strict.Path("quotas", o.ID)
		k := c.find(path, o.ID)
		if k == nil {
			continue
		}
		like := amount{Amount: k.quota.Limit, Thing: k.quota.Unit}
		if k.quota.Period != "" {
			like.Per = time.Second
		}
		if o.Thing != like.Thing || (o.Per > 0) != (like.Per > 0) {
			c.fault(path, "write it like "+like.String(), "%s is no limit for %s", amount{o.Amount, o.Thing, o.Per}, o.ID)
		}
	}
}

// thresholds checks the quotas that thresholds and stop rules are about. The
// form of a stop rule sees to it that the client's ledger knows its quota.
func (c *checker) thresholds() {
	for i, t := range c.Thresholds {
		if !ofQuota(t) {
			continue
		}
		path := fmt.Sprintf("thresholds[%d]", i)
		if k := c.find(path, t.Of); k != nil && !k.measured() {
			c.fault(path, "", "the use of %s is not measured, so the threshold could never be evaluated", t.Of)
		}
	}
	for i, t := range c.Stop {
		path := fmt.Sprintf("stop[%d]", i)
		if ofQuota(t) {
			c.find(path, t.Of)
		}
		if t.Metric == "cost" && !slices.ContainsFunc(c.candidates, func(k candidate) bool { return k.quota.ID == capacity.RequestTokens }) {
			c.fault(path, "", "what a request costs is known of AppSync only, and nothing says that the target is")
		}
	}
}

// measured reports whether the client or a series shows the quota's use.
func (c *candidate) measured() bool {
	if c.quota.ID == capacity.RequestTokens || strings.HasPrefix(c.quota.ID, "kafka.") {
		return true
	}
	for _, w := range c.want {
		if w.Role == capacity.RoleUsage {
			return true
		}
	}
	return false
}
