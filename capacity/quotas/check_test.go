package quotas_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/scenarios"
)

func TestCheck(t *testing.T) {
	const (
		head = "version: 1\nname: x\n"
		load = `
loads:
  - name: viewers
    profile: [{stage: hold, rate: 10/s, for: 10s}]
    operations:
      - {name: l, graphql: {query: "query list { f }"}}
`
		sandbox = head + "target: {sandbox: shop.yaml}" + load
		aws     = head + `target: {aws: {region: eu-west-1}, graphql: {endpoint: "https://a.appsync-api.eu-west-1.amazonaws.com/graphql"}}` + load
		plain   = head + `target: {graphql: {endpoint: "http://127.0.0.1:4000/graphql"}}` + load
	)
	msk := func(cluster string) string {
		if cluster != "" {
			cluster = ", msk: " + cluster
		}
		return head + `target: {kafka: {brokers: ["127.0.0.1:9092"]` + cluster + `}}
loads:
  - name: views
    profile: [{stage: hold, rate: 10/s, for: 10s}]
    operations:
      - {name: v, kafka: {topic: views, value: {bytes: 200B}}}
`
	}
	for _, tt := range []struct {
		name, text string
		want       string // of the only fault; "" for none
	}{
		{"nothing said of quotas", sandbox, ""},
		{"nothing said of quotas, plain", plain, ""},
		{"all that a sandbox has", sandbox + `
quotas: {appsync.request-tokens: 60000 tokens/min, lambda.concurrency: 50 environments, dynamodb.Items.read: 5 RCU/s}
observe: [{lambda: f}, {dynamodb: Items}]
thresholds: ["headroom(lambda.concurrency) > 30%", "p99(l) < 1s"]
stop: ["utilization(appsync.request-tokens) > 90%"]
`, ""},
		{"all that AWS has", aws + `
quotas: {momento.throughput: 1.5GB/s, dynamodb.Items.write: 100 WCU/s}
observe: [{lambda: f}, {dynamodb: Items}, {momento: c}]
thresholds: ["headroom(lambda.concurrency) > 30%", "binds_at(dynamodb.Items.read) > 10/s", "headroom(appsync.request-tokens) > 1%"]
`, ""},
		{"a token quota of a plain server", plain + "quotas: {appsync.request-tokens: 2000 tokens/s}\nstop: [\"utilization(appsync.request-tokens) > 90%\"]\n", ""},

		{"a cluster of MSK", msk("serverless") + "thresholds: [\"headroom(kafka.partition-ingress) > 10%\"]\n", ""},
		{"limits of a cluster that nobody knows", msk("") + "quotas: {kafka.partition-ingress: 3MB/s, kafka.requests: 500 requests/s}\nthresholds: [\"headroom(kafka.requests) > 10%\"]\n", ""},
		{"limits of what a broker has", msk("standard.m7g.large") + "quotas: {kafka.partitions: 1500 partitions}\nthresholds: [\"headroom(kafka.partitions) > 10%\"]\n", ""},
		{
			"a rate of connections that is none", strings.Replace(msk("standard.t3.small"), "{kafka: {", "{aws: {region: eu-west-1}, kafka: {sasl: {mechanism: msk_iam}, ", 1) + "quotas: {kafka.new-connections: 4 connections}\n",
			`quotas.kafka.new-connections: 4 connections is no limit for kafka.new-connections (write it like 4 connections/s)`,
		},
		{
			"connections of clients that don't sign", msk("standard.m7g.large") + "quotas: {kafka.connections: 1000 connections}\n",
			`quotas.kafka.connections: quota kafka.connections is not part of what the scenario reaches (it holds for clients that sign by sasl: {mechanism: msk_iam})`,
		},
		{
			"an unknown cluster of MSK", msk("express.m7g.big"),
			`target.kafka.msk: no limits are known of an MSK cluster "express.m7g.big" (did you mean express.m7g.large?)`,
		},
		{
			"a limit that another cluster has", msk("express.m7g.large") + "thresholds: [\"headroom(kafka.requests) > 10%\"]\n",
			`thresholds[0]: quota kafka.requests is not part of what the scenario reaches (say with target.kafka.msk which cluster has it, or state it under quotas)`,
		},
		{
			"near a System's quota", sandbox + "quotas: {appsync.request-token: 5 tokens/s}\n",
			`s.yaml:9:33: quotas.appsync.request-token: the System shop has no quota "appsync.request-token" (did you mean appsync.request-tokens?)`,
		},
		{
			"a System's quota that nothing charges", sandbox + "quotas: {momento.operations: 5 ops/s}\n",
			`quotas.momento.operations: no operation of the scenario charges momento.operations of the System shop`,
		},
		{
			"near a catalogue's quota", plain + "quotas: {appsync.request-tokns: 5 tokens/s}\n",
			`quotas.appsync.request-tokns: unknown quota "appsync.request-tokns" (did you mean appsync.request-tokens?)`,
		},
		{
			"far from everything", plain + "quotas: {xyz: 5 tokens/s}\n",
			`quotas.xyz: unknown quota "xyz" (known are appsync.request-tokens, lambda.concurrency, `,
		},
		{
			"not observed", aws + "quotas: {lambda.concurrency: 50 environments}\n",
			`quotas.lambda.concurrency: quota lambda.concurrency is not part of what the scenario reaches (add "- lambda: NAME" to observe)`,
		},
		{
			"another table", aws + "observe: [{dynamodb: Items}]\nthresholds: [\"headroom(dynamodb.Item.read) > 1%\"]\n",
			`thresholds[0]: quota dynamodb.Item.read is not part of what the scenario reaches (add "- dynamodb: Item" to observe)`,
		},
		{
			"a level as a rate", sandbox + "quotas: {lambda.concurrency: 50 environments/s}\n",
			`quotas.lambda.concurrency: 50 environments/s is no limit for lambda.concurrency (write it like 70 environments)`,
		},
		{
			"a rate as a level", sandbox + "quotas: {appsync.request-tokens: 50 tokens}\n",
			`50 tokens is no limit for appsync.request-tokens (write it like 2000 tokens/s)`,
		},
		{
			"operations for tokens", plain + "quotas: {appsync.request-tokens: 50 ops/s}\n",
			`50 ops/s is no limit for appsync.request-tokens (write it like 5000 tokens/s)`,
		},
		{
			"a threshold that is never known", aws + "observe: [{dynamodb: Items}]\nthresholds: [\"headroom(dynamodb.Items.partition-read) > 1%\"]\n",
			`thresholds[0]: the use of dynamodb.Items.partition-read is not measured, so the threshold could never be evaluated`,
		},
		{
			"a threshold on an unknown quota", sandbox + "thresholds: [\"headroom(lambda.concurency) > 1%\"]\n",
			`thresholds[0]: the System shop has no quota "lambda.concurency" (did you mean lambda.concurrency?)`,
		},
		{
			"observed without a Region", plain + "observe: [{lambda: f}]\n",
			`observe[0]: there is no AWS Region to observe it in (set target.aws.region)`,
		},
		{
			"two caches", aws + "observe: [{momento: a}, {momento: b}]\n",
			`observe[1]: the quotas momento.* are of one cache (observe one cache in each run)`,
		},
		{
			"a table that the System has not", sandbox + "observe: [{dynamodb: Item}]\n",
			`observe[0].dynamodb: no operation charges a table "Item" of the System shop (did you mean Items?)`,
		},
		{
			"a cache that nothing charges", sandbox + "observe: [{momento: c}]\n",
			`observe[0].momento: no operation charges a limiter momento.* of the System shop`,
		},
		{
			"a cluster without a Region", msk("") + "observe: [{msk: shop}]\n",
			`observe[0]: there is no AWS Region to observe it in (set target.aws.region)`,
		},
		{
			"a cluster that the sandbox is not", head + `target: {sandbox: shop.yaml}
loads:
  - {name: views, profile: [{stage: hold, rate: 10/s, for: 10s}], operations: [{name: v, kafka: {topic: views, value: {bytes: 200B}}}]}
observe: [{msk: shop}]
`,
			`observe[0].msk: the sandbox has no cluster "shop" (write msk: sandbox)`,
		},
		{
			"an operation that the System has not", strings.Replace(sandbox, "query list", "query lists", 1),
			`loads[0].operations[0].graphql: the System shop has no operation "lists" (did you mean list?)`,
		},
		{
			"an operation without a name", strings.Replace(sandbox, "query list {", "{", 1),
			`loads[0].operations[0].graphql: the System shop knows operations by their names, and the document's has none (write "query NAME {"; known are list, get, other)`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := fstest.MapFS{"s.yaml": {Data: []byte(tt.text)}, "shop.yaml": {Data: []byte(system)}}
			s, faults := scenarios.ParseFile(files, "s.yaml", func(string) (string, bool) { return "", false })
			if faults != nil {
				t.Fatal(faults)
			}
			sys := parse(t, system+"kafka: {topics: [{name: views, partitions: 4}]}\n")
			if s.Target.Sandbox == "" {
				sys = nil
			}
			faults = quotas.Check(s, sys)
			switch {
			case tt.want == "" && len(faults) == 0:
			case len(faults) != 1 || tt.want == "" || !strings.Contains(faults[0].Error(), tt.want):
				t.Errorf("faults:\n%v\nwant\n%s", faults, tt.want)
			}
		})
	}
}
