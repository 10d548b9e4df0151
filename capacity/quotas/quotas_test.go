package quotas_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/scenarios"
)

// applied is an account.
type applied struct {
	limits map[quotas.Code]quotas.Limit
	err    error
	asked  []quotas.Code
}

func (a *applied) Limits(_ context.Context, codes []quotas.Code) (map[quotas.Code]quotas.Limit, error) {
	a.asked = append(a.asked, codes...)
	got := map[quotas.Code]quotas.Limit{}
	for _, c := range codes {
		if l, ok := a.limits[c]; ok {
			got[c] = l
		}
	}
	return got, a.err
}

var (
	tokens      = quotas.Code{Service: "appsync", Quota: "L-FC5E46D0"}
	concurrency = quotas.Code{Service: "lambda", Quota: "L-B99A9384"}
	reads       = quotas.Code{Service: "dynamodb", Quota: "L-CF0CBE56"}
)

func load(name string, queries ...string) scenarios.Load {
	l := scenarios.Load{Name: name}
	for _, q := range queries {
		l.Operations = append(l.Operations, scenarios.Operation{Name: "op-" + q, Weight: 1, GraphQL: &scenarios.GraphQLOperation{Document: "query " + q + " { f }"}})
	}
	return l
}

// onAWS is a scenario against a real AppSync endpoint with a Lambda function,
// two tables and a cache behind it.
func onAWS() *scenarios.Scenario {
	return &scenarios.Scenario{
		Target: scenarios.Target{
			AWS:     scenarios.AWS{Region: "ap-northeast-1"},
			GraphQL: &scenarios.GraphQL{Endpoint: "https://abc.appsync-api.ap-northeast-1.amazonaws.com/graphql"},
		},
		Loads: []scenarios.Load{load("viewers", "list")},
		Observe: []scenarios.Observe{
			{Lambda: "programs"}, {DynamoDB: "Episodes"}, {DynamoDB: "Ids.v2"}, {Momento: "programs-cache"},
		},
	}
}

func find(t *testing.T, r quotas.Resolution, id string) capacity.Quota {
	t.Helper()
	for _, q := range r.Quotas {
		if q.ID == id {
			return q
		}
	}
	t.Fatalf("no quota %s in %v", id, ids(r))
	return capacity.Quota{}
}

func ids(r quotas.Resolution) []string {
	var ids []string
	for _, q := range r.Quotas {
		ids = append(ids, q.ID)
	}
	return ids
}

// wanted returns the series of a quota as "role namespace metric statistic{labels}".
func wanted(r quotas.Resolution, id string) []string {
	var out []string
	for _, w := range r.Want {
		if w.Quota == id {
			var labels []string
			for _, name := range []string{"CacheName", "FunctionName", "GraphQLAPIId", "Limit", "Limiter", "Resource", "TableName"} {
				if v, ok := w.Labels[name]; ok {
					labels = append(labels, name+"="+v)
				}
			}
			if w.Period != time.Minute || w.Source != "cloudwatch" || w.Points.Len() > 0 || w.Unit == "" {
				out = append(out, "incomplete")
			}
			out = append(out, w.Role+" "+w.Namespace+" "+w.Metric+" "+w.Statistic+"{"+strings.Join(labels, " ")+"}")
		}
	}
	return out
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got)\n%s", what, d)
	}
}

func TestResolveOnAWS(t *testing.T) {
	account := &applied{limits: map[quotas.Code]quotas.Limit{
		tokens:      {Amount: 1_200_000, Per: time.Minute, Adjustable: true, Source: "Service Quotas"},
		concurrency: {Amount: 3000, Per: time.Minute, Source: "Service Quotas"}, // a level has no period
		reads:       {Amount: 80_000, Source: "Service Quotas"},                 // no period: the catalogue's
	}}
	s := onAWS()
	s.Quotas = []scenarios.QuotaOverride{{ID: "momento.operations", Amount: 600_000, Thing: "ops", Per: time.Minute}}
	r := quotas.Resolve(t.Context(), s, nil, account)
	equal(t, "quotas", ids(r), []string{
		"appsync.request-tokens", "lambda.concurrency", "lambda.programs.scaling",
		"dynamodb.Episodes.read", "dynamodb.Ids.v2.read", "dynamodb.Episodes.write", "dynamodb.Ids.v2.write",
		"dynamodb.Episodes.partition-read", "dynamodb.Ids.v2.partition-read", "dynamodb.Episodes.partition-write", "dynamodb.Ids.v2.partition-write",
		"momento.operations", "momento.throughput", "momento.item-size",
	})
	for _, tt := range []struct {
		id     string
		limit  float64
		origin capacity.Origin
		over   []capacity.Overridden
	}{
		{"appsync.request-tokens", 20_000, capacity.FromServiceQuotas, []capacity.Overridden{{Origin: capacity.FromCatalogue, Limit: 10_000}}},
		{"lambda.concurrency", 3000, capacity.FromServiceQuotas, []capacity.Overridden{{Origin: capacity.FromCatalogue, Limit: 1000}}},
		{"dynamodb.Ids.v2.read", 80_000, capacity.FromServiceQuotas, []capacity.Overridden{{Origin: capacity.FromCatalogue, Limit: 40_000}}},
		{"dynamodb.Episodes.write", 40_000, capacity.FromCatalogue, nil},
		{"dynamodb.Episodes.partition-write", 1000, capacity.FromCatalogue, nil},
		{"lambda.programs.scaling", 100, capacity.FromCatalogue, nil},
		{"momento.operations", 10_000, capacity.FromScenario, []capacity.Overridden{{Origin: capacity.FromCatalogue, Limit: 100}}},
		{"momento.throughput", 1e6, capacity.FromCatalogue, nil},
	} {
		q := find(t, r, tt.id)
		if q.Limit != tt.limit || q.Origin != tt.origin || !cmp.Equal(q.Overrides, tt.over) {
			t.Errorf("%s: %v from %s over %v", tt.id, q.Limit, q.Origin, q.Overrides)
		}
		if q.Source == "" || q.Origin != capacity.FromScenario && q.AsOf == "" {
			t.Errorf("%s: source %q as of %q", tt.id, q.Source, q.AsOf)
		}
		if (q.Kind == capacity.RateQuota) != (q.Period == "s") {
			t.Errorf("%s: a %s per %q", tt.id, q.Kind, q.Period)
		}
	}
	equal(t, "tokens", wanted(r, "appsync.request-tokens"), []string{"usage AWS/AppSync TokensConsumed Sum{GraphQLAPIId=*}", "requests AWS/AppSync Requests Sum{GraphQLAPIId=*}"})
	equal(t, "lambda", wanted(r, "lambda.concurrency"), []string{
		"usage AWS/Lambda ConcurrentExecutions Maximum{}", "claimed AWS/Lambda ClaimedAccountConcurrency Maximum{}", "throttles AWS/Lambda Throttles Sum{}",
		"requests AWS/Lambda Invocations Sum{}", "duration AWS/Lambda Duration Sum{}",
		"provisioned AWS/Lambda ProvisionedConcurrencyInvocations Sum{FunctionName=* Resource=*}",
		"spilled AWS/Lambda ProvisionedConcurrencySpilloverInvocations Sum{FunctionName=* Resource=*}",
	})
	equal(t, "reads", wanted(r, "dynamodb.Ids.v2.read"), []string{"usage AWS/DynamoDB ConsumedReadCapacityUnits Sum{TableName=Ids.v2}", "throttles AWS/DynamoDB ReadThrottleEvents Sum{TableName=Ids.v2}"})
	equal(t, "partition", wanted(r, "dynamodb.Episodes.partition-read"), []string{"throttles AWS/DynamoDB ReadKeyRangeThroughputThrottleEvents Sum{TableName=Episodes}"})
	equal(t, "cache", wanted(r, "momento.operations"), []string{"usage Momento/Metrics Operations Sum{CacheName=programs-cache}"})
	equal(t, "scaling", wanted(r, "lambda.programs.scaling"), []string(nil))
	if notes := find(t, r, "dynamodb.Episodes.write").Notes; !strings.Contains(strings.Join(notes, "\n"), "could not be read") {
		t.Errorf("a default that stands in for an applied value must say so: %q", notes)
	}
	if len(r.Events) > 0 {
		t.Errorf("events: %v", r.Events)
	}
}

func TestResolveFallsBackAloud(t *testing.T) {
	account := &applied{err: errors.Join(errors.New("appsync: access denied"), errors.New("lambda: access denied"))}
	r := quotas.Resolve(t.Context(), onAWS(), nil, account)
	q := find(t, r, "appsync.request-tokens")
	if q.Limit != 10_000 || q.Origin != capacity.FromCatalogue || !strings.Contains(strings.Join(q.Notes, "\n"), "could not be read") {
		t.Errorf("%+v", q)
	}
	equal(t, "events", r.Events, []capacity.Event{{Kind: "source-error", Text: "appsync: access denied"}, {Kind: "source-error", Text: "lambda: access denied"}})

	account = &applied{limits: map[quotas.Code]quotas.Limit{tokens: {Amount: 0, Source: "Service Quotas"}}}
	r = quotas.Resolve(t.Context(), onAWS(), nil, account)
	if q := find(t, r, "appsync.request-tokens"); q.Limit != 10_000 || len(r.Events) != 1 {
		t.Errorf("a limit of nothing was taken: %+v, %v", q, r.Events)
	}
}

func TestResolveByRegion(t *testing.T) {
	for _, tt := range []struct {
		name, endpoint, region string
		iam                    bool
		want                   float64 // 0: no quota
	}{
		{"listed Region", "https://abc.appsync-api.eu-west-1.amazonaws.com/graphql", "eu-west-1", false, 10_000},
		{"other Region", "https://abc.appsync-api.eu-south-1.amazonaws.com/graphql", "eu-south-1", false, 5000},
		{"Region of the endpoint", "https://abc.appsync-api.us-west-2.amazonaws.com/graphql", "", false, 10_000},
		{"signed for AppSync, on a domain of its own", "https://api.example.com/graphql", "us-east-1", true, 10_000},
		{"another GraphQL server", "https://api.example.com/graphql", "us-east-1", false, 0},
		{"a name that only looks like it", "https://abc.appsync-api.us-west-2.amazonaws.com.example.com/graphql", "", false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &scenarios.Scenario{Loads: []scenarios.Load{load("viewers", "list")}, Target: scenarios.Target{
				AWS: scenarios.AWS{Region: tt.region}, GraphQL: &scenarios.GraphQL{Endpoint: tt.endpoint, Auth: scenarios.Auth{IAM: tt.iam}},
			}}
			account := &applied{}
			r := quotas.Resolve(t.Context(), s, nil, account)
			if tt.want == 0 {
				if len(r.Quotas)+len(r.Want) > 0 {
					t.Errorf("got %v", ids(r))
				}
				return
			}
			if q := find(t, r, "appsync.request-tokens"); q.Limit != tt.want || len(q.Loads)+len(q.Operations) > 0 {
				t.Errorf("got %+v", q)
			}
			if tt.region == "" && (len(account.asked) > 0 || len(r.Want) > 0) {
				t.Errorf("without a Region AWS is asked for %v and %v", account.asked, r.Want)
			}
		})
	}
}

func TestResolveTakesTheScenariosWord(t *testing.T) {
	server := scenarios.Target{GraphQL: &scenarios.GraphQL{Endpoint: "http://127.0.0.1:4000/graphql"}}
	r := quotas.Resolve(t.Context(), &scenarios.Scenario{Target: server, Quotas: []scenarios.QuotaOverride{
		{ID: "appsync.request-tokens", Amount: 120_000, Thing: "tokens", Per: time.Minute},
	}}, nil, nil)
	q := find(t, r, "appsync.request-tokens")
	if q.Limit != 2000 || q.Origin != capacity.FromScenario {
		t.Errorf("%+v", q)
	}
	equal(t, "overrides", q.Overrides, []capacity.Overridden{{Origin: capacity.FromCatalogue, Limit: 5000}})
	r = quotas.Resolve(t.Context(), &scenarios.Scenario{Target: server, Thresholds: []scenarios.Threshold{
		{Metric: "headroom", Of: "appsync.request-tokens", Op: ">", Value: 0.3},
	}}, nil, nil)
	if q := find(t, r, "appsync.request-tokens"); q.Origin != capacity.FromCatalogue {
		t.Errorf("%+v", q)
	}
}

const system = `
version: 1
name: shop
as_of: 2026-11-21
limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: 2000 tokens/s, burst: 4000 tokens}
  - {id: lambda.concurrency, kind: concurrency, limit: 70}
  - {id: dynamodb.Items.read, kind: partitions, partitions: 4, rate: 300 RCU/s, burst: 300s}
  - {id: momento.throughput, kind: token_bucket, rate: 1MB/s, burst: 1MB}
  - {id: search.queries, kind: window, rate: 50 requests/s}
  - {id: pool, kind: concurrency, limit: 5}
  - {id: momento.operations, kind: token_bucket, rate: 100 ops/s, burst: 100 ops}
operations:
  - name: list
    service_time: 10ms
    charges:
      - {limiter: appsync.request-tokens, amount: 2}
      - {limiter: lambda.concurrency, hold: service_time}
      - {limiter: dynamodb.Items.read, amount: 2, key: {uniform: 1}}
  - name: get
    service_time: 10ms
    charges:
      - {limiter: appsync.request-tokens, amount: 1}
      - {limiter: momento.throughput, amount: 1000}
      - {limiter: search.queries, amount: 1}
      - {limiter: pool, hold: service_time}
  - name: other
    service_time: 10ms
    charges: [{limiter: momento.operations, amount: 1}]
`

func parse(t *testing.T, text string) *model.System {
	t.Helper()
	sys, err := model.Parse("shop.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return sys
}

func TestResolveInASandbox(t *testing.T) {
	s := &scenarios.Scenario{
		Target: scenarios.Target{Sandbox: "shop.yaml"},
		Loads:  []scenarios.Load{load("viewers", "list", "get"), load("shoppers", "get")},
		Quotas: []scenarios.QuotaOverride{{ID: "appsync.request-tokens", Amount: 1000, Thing: "tokens", Per: time.Second}},
	}
	account := &applied{limits: map[quotas.Code]quotas.Limit{
		tokens: {Amount: 2000, Per: time.Second, Source: "Service Quotas"}, concurrency: {Amount: 70, Source: "Service Quotas"},
		reads: {Amount: 40_000, Source: "Service Quotas"}, // of every table, and so not of the System's
	}}
	r := quotas.Resolve(t.Context(), s, parse(t, system), account)
	equal(t, "quotas", ids(r), []string{"appsync.request-tokens", "lambda.concurrency", "dynamodb.Items.read", "momento.throughput", "search.queries", "pool"})
	equal(t, "asked", account.asked, []quotas.Code{tokens, concurrency})

	q := find(t, r, "appsync.request-tokens")
	equal(t, "overrides", q.Overrides, []capacity.Overridden{{Origin: capacity.FromServiceQuotas, Limit: 2000}, {Origin: capacity.FromSystem, Limit: 2000}})
	if q.Limit != 1000 || q.Burst != 4000 || q.Name != "GraphQL APIs - Rate of request tokens" || q.Code != "L-FC5E46D0" || len(q.Loads)+len(q.Operations) > 0 {
		t.Errorf("%+v", q)
	}
	q = find(t, r, "lambda.concurrency")
	if q.Kind != capacity.LevelQuota || q.Period != "" || q.Limit != 70 || q.Origin != capacity.FromServiceQuotas || q.Unit != "environments" {
		t.Errorf("%+v", q)
	}
	equal(t, "operations of lambda.concurrency", q.Operations, []string{"op-list"})
	equal(t, "loads of lambda.concurrency", q.Loads, []string{"viewers"})
	q = find(t, r, "momento.throughput")
	if q.Origin != capacity.FromSystem || q.Limit != 1e6 || q.AsOf != "2026-11-21" || !strings.Contains(q.Source, "shop") {
		t.Errorf("%+v", q)
	}
	equal(t, "loads of momento.throughput", q.Loads, []string{"viewers", "shoppers"})

	equal(t, "tokens", wanted(r, "appsync.request-tokens"), []string{"usage AWS/AppSync TokensConsumed Sum{GraphQLAPIId=sandbox}", "requests AWS/AppSync Requests Sum{GraphQLAPIId=sandbox}"})
	equal(t, "reads", wanted(r, "dynamodb.Items.read"), []string{"usage AWS/DynamoDB ConsumedReadCapacityUnits Sum{TableName=Items}", "throttles AWS/DynamoDB ReadThrottleEvents Sum{TableName=Items}"})
	equal(t, "cache", wanted(r, "momento.throughput"), []string{"usage Momento/Metrics Bytes Sum{CacheName=sandbox}", "throttles Momento/Metrics Throttles Sum{CacheName=sandbox Limit=throughput}"})
	equal(t, "own rate", wanted(r, "search.queries"), []string{"usage Headroom/Sandbox Consumed Sum{Limiter=search.queries}", "throttles Headroom/Sandbox Throttles Sum{Limiter=search.queries}", "requests Headroom/Sandbox Requests Sum{Limiter=search.queries}"})
	equal(t, "own level", wanted(r, "pool"), []string{"usage Headroom/Sandbox Consumed Maximum{Limiter=pool}", "throttles Headroom/Sandbox Throttles Sum{Limiter=pool}", "requests Headroom/Sandbox Requests Sum{Limiter=pool}", "duration Headroom/Sandbox Duration Sum{Limiter=pool}"})
}

// A System says in which order a request meets its limiters, whatever the services; of
// two that are charged in one order here and in the other there it says none. What a
// function or its account refuses charges neither.
func TestResolveOrder(t *testing.T) {
	s := &scenarios.Scenario{Target: scenarios.Target{Sandbox: "shop.yaml"}, Loads: []scenarios.Load{load("viewers", "list", "get")}}
	r := quotas.Resolve(t.Context(), s, parse(t, `
version: 1
name: shop
limiters:
  - {id: lambda.concurrency, kind: concurrency, limit: 70}
  - {id: lambda.list, kind: concurrency, account: lambda.concurrency}
  - {id: dynamodb.Items.read, kind: token_bucket, rate: 300 RCU/s}
  - {id: momento.operations, kind: window, rate: 50 ops/s}
operations:
  - name: list
    service_time: 10ms
    charges: [{limiter: dynamodb.Items.read, amount: 1}, {limiter: momento.operations, amount: 1}, {limiter: lambda.list, hold: service_time}]
  - name: get
    service_time: 10ms
    charges: [{limiter: momento.operations, amount: 1}, {limiter: dynamodb.Items.read, amount: 1}]
`), nil)
	for id, want := range map[string][]string{
		"lambda.concurrency":  {"lambda.list", "dynamodb.Items.read", "momento.operations"},
		"lambda.list":         {"lambda.concurrency", "dynamodb.Items.read", "momento.operations"},
		"dynamodb.Items.read": nil,
		"momento.operations":  nil,
	} {
		equal(t, "behind of "+id, find(t, r, id).Behind, want)
	}
}

// The limit of a table is what fills its hottest partition: with one key that
// is one partition's rate, with very many keys nearly that of all.
func TestResolvePartitions(t *testing.T) {
	s := &scenarios.Scenario{Target: scenarios.Target{Sandbox: "shop.yaml"}, Loads: []scenarios.Load{load("viewers", "list")}}
	for _, tt := range []struct {
		keys      string
		low, high float64
	}{
		{"uniform: 1", 300, 300},
		{"uniform: 1000000", 1190, 1200},
		{"zipf: 50", 400, 1000},
	} {
		sys := parse(t, strings.Replace(system, "uniform: 1}", tt.keys+"}", 1))
		q := find(t, quotas.Resolve(t.Context(), s, sys, nil), "dynamodb.Items.read")
		if q.Limit < tt.low || q.Limit > tt.high || q.Burst != 0 || q.Code != "" || q.Adjustable || len(q.Notes) != 2 || !strings.Contains(q.Notes[0], "4 partitions of 300 RCU/s") {
			t.Errorf("%s: %+v", tt.keys, q)
		}
	}
}

// The limits of an MSK cluster come with its kind; one that the scenario states is
// stronger, and comes without any.
func TestMSK(t *testing.T) {
	signed := func(mechanism, cluster string, own ...scenarios.QuotaOverride) map[string]float64 {
		s := &scenarios.Scenario{
			Target: scenarios.Target{Kafka: &scenarios.Kafka{Brokers: []string{"127.0.0.1:9092"}, MSK: cluster, SASL: scenarios.SASL{Mechanism: mechanism}}},
			Loads:  []scenarios.Load{{Name: "views", Operations: []scenarios.Operation{{Name: "view", Kafka: &scenarios.KafkaOperation{Topic: "views"}}}}},
			Quotas: own,
		}
		got := map[string]float64{}
		for _, q := range quotas.Resolve(t.Context(), s, nil, nil).Quotas {
			got[q.ID] = q.Limit
			fixed := strings.HasSuffix(q.ID, "partitions") || strings.HasSuffix(q.ID, "connections")
			if (q.Kind == capacity.FixedQuota) != fixed || (q.Period == "s") != (!fixed || q.ID == quotas.NewConnections) || strings.HasSuffix(q.ID, "partition-ingress") != (q.Each == capacity.EachPartition) {
				t.Errorf("%+v", q)
			}
			for _, o := range q.Overrides {
				if o.Limit == 0 {
					t.Errorf("%s overrides a limit of nothing: %+v", q.ID, q.Overrides)
				}
			}
		}
		return got
	}
	limits := func(cluster string, own ...scenarios.QuotaOverride) map[string]float64 {
		return signed("", cluster, own...)
	}
	for _, c := range []struct {
		got, want map[string]float64
	}{
		// Standard brokers have limits of partitions alone, and of connections where
		// clients sign.
		{limits("standard.t3.small"), map[string]float64{"kafka.partitions": 300}},
		{limits("standard.m5.24xlarge"), map[string]float64{"kafka.partitions": 4000}},
		{signed(scenarios.MSKIAM, "standard.t3.small"), map[string]float64{"kafka.partitions": 300, "kafka.connections": 3000, "kafka.new-connections": 4}},
		{signed(scenarios.MSKIAM, "standard.m7g.2xlarge"), map[string]float64{"kafka.partitions": 2000, "kafka.connections": 3000, "kafka.new-connections": 100}},
		{signed(scenarios.MSKIAM, "", scenarios.QuotaOverride{ID: "kafka.new-connections", Amount: 120, Thing: "connections", Per: time.Minute}), map[string]float64{"kafka.new-connections": 2}},
		{limits(""), map[string]float64{}},
		{limits("serverless"), map[string]float64{"kafka.cluster-ingress": 200e6, "kafka.cluster-partitions": 2400, "kafka.partition-ingress": 5e6, "kafka.requests": 15000}},
		{limits("express.m7g.2xlarge"), map[string]float64{"kafka.broker-ingress": 62.5e6, "kafka.partitions": 2500, "kafka.partition-ingress": 15e6}},
		{limits("", scenarios.QuotaOverride{ID: "kafka.partition-ingress", Amount: 3e6, Thing: "B", Per: time.Second}), map[string]float64{"kafka.partition-ingress": 3e6}},
		{limits("serverless", scenarios.QuotaOverride{ID: "kafka.requests", Amount: 600, Thing: "requests", Per: time.Minute}), map[string]float64{"kafka.cluster-ingress": 200e6, "kafka.cluster-partitions": 2400, "kafka.partition-ingress": 5e6, "kafka.requests": 10}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Error(diff)
		}
	}
}
