package model_test

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/scenarios/strict"
)

// contract is the example of a System file in the design, every key of it.
const contract = `version: 1
name: premiere
as_of: 2026-11-21
limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: 2000 tokens/s, burst: 2000 tokens}
  - {id: lambda.concurrency, kind: concurrency, limit: 1000, scaling: {step: 1000, per: 10s}, provisioned: 0, init: 1.2s}
  - {id: dynamodb.Episodes.read, kind: partitions, partitions: 4, rate: 3000 RCU/s, burst: 300s}
  - {id: momento.operations, kind: token_bucket, rate: 100 ops/s, burst: 100 ops}
  - {id: momento.throughput, kind: token_bucket, rate: 1MB/s, burst: 1MB}
operations:
  - name: listPrograms
    service_time: {lognormal: {p50: 80ms, p99: 400ms}}
    response: {bytes: 1KB}
    charges:
      - {limiter: appsync.request-tokens, amount: {cold: 200, warm: 100, after: 60s}}
      - {limiter: lambda.concurrency, hold: service_time}
      - {limiter: dynamodb.Episodes.read, amount: 2, key: {zipf: 500}}
`

func TestParse(t *testing.T) {
	s, err := model.Parse("system.yaml", []byte(contract))
	if err != nil {
		t.Fatal(err)
	}
	if h := s.Operations[0].Charges[2].Hottest; h < 0.25 || h > 1 {
		t.Errorf("share of the hottest partition %v", h)
	}
	s.Operations[0].Charges[2].Hottest = 0
	want := &model.System{
		Version: 1, Name: "premiere", AsOf: "2026-11-21",
		Limiters: []model.Limiter{
			{ID: "appsync.request-tokens", Kind: model.TokenBucket, Limit: 2000, Unit: "tokens", Burst: 2000},
			{ID: "lambda.concurrency", Kind: model.Concurrency, Limit: 1000, Unit: "environments", Scaling: model.Scaling{Step: 1000, Per: 10 * time.Second}, Init: 1200 * time.Millisecond, KeepAlive: model.DefaultKeepAlive},
			{ID: "dynamodb.Episodes.read", Kind: model.Partitions, Limit: 12_000, Unit: "RCU", Burst: 900_000, Partitions: 4, Saved: 300 * time.Second},
			{ID: "momento.operations", Kind: model.TokenBucket, Limit: 100, Unit: "ops", Burst: 100},
			{ID: "momento.throughput", Kind: model.TokenBucket, Limit: 1e6, Unit: "B", Burst: 1e6},
		},
		Operations: []model.Operation{{
			Name:        "listPrograms",
			ServiceTime: model.Distribution{Shape: model.Lognormal, P50: 80 * time.Millisecond, P99: 400 * time.Millisecond},
			Response:    model.Response{Bytes: 1000},
			Charges: []model.ChargeSpec{
				{Limiter: "appsync.request-tokens", Amount: model.Amount{Cold: 200, Warm: 100, After: time.Minute}},
				{Limiter: "lambda.concurrency", Amount: model.Amount{Cold: 1, Warm: 1}, Hold: true},
				{Limiter: "dynamodb.Episodes.read", Amount: model.Amount{Cold: 2, Warm: 2}, Keys: model.Keys{Kind: model.ZipfKeys, N: 500}},
			},
		}},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Units and periods are converted, and what is left out has its default.
func TestParseForms(t *testing.T) {
	s, err := model.Parse("system.yaml", []byte(`version: 1
name: forms
limiters:
  - {id: a, kind: token_bucket, rate: 300000 tokens/min}
  - {id: b, kind: window, rate: 1.5GB/s}
  - {id: c, kind: concurrency, limit: 10}
  - {id: d, kind: partitions, partitions: 2, rate: 60 WCU/min}
operations:
  - name: free
  - name: _get2
    service_time: {exponential: {mean: 80ms}}
    charges:
      - {limiter: a, amount: 0}
      - {limiter: b, amount: 3MB}
      - {limiter: b, amount: {cold: 3MB, warm: 1e3, after: 0s}}
      - {limiter: d, amount: 0.5}
      - {limiter: d, amount: 0.5 WCU, key: {uniform: 7}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []model.Limiter{
		{ID: "a", Kind: model.TokenBucket, Limit: 5000, Unit: "tokens", Burst: 5000},
		{ID: "b", Kind: model.Window, Limit: 1.5e9, Unit: "B"},
		{ID: "c", Kind: model.Concurrency, Limit: 10, Unit: "environments", KeepAlive: 5 * time.Minute},
		{ID: "d", Kind: model.Partitions, Limit: 2, Unit: "WCU", Burst: 1, Partitions: 2},
	} {
		if diff := cmp.Diff(want, s.Limiters[i]); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	c := s.Operations[1].Charges
	if got, want := c[2].Amount, (model.Amount{Cold: 3e6, Warm: 1000}); c[1].Amount.Cold != 3e6 || !cmp.Equal(got, want) {
		t.Errorf("amounts %v and %v, want 3 MB and %v", c[1].Amount, got, want)
	}
	if c[3].Hottest != 0.5 || c[4].Keys != (model.Keys{Kind: model.UniformKeys, N: 7}) || c[4].Hottest < 4.0/7 || c[4].Hottest > 1 {
		t.Errorf("keys %+v and %+v", c[3], c[4])
	}
}

// Each fault stands at the key that has to change.
func TestParseFaults(t *testing.T) {
	const (
		head = "version: 1\nname: x\n"
		ops  = "operations: [{name: get}]\n"
	)
	limiter := func(l string) string { return head + "limiters:\n  - " + l + "\n" + ops }
	charge := func(l, c string) string {
		return head + "limiters:\n  - " + l + "\noperations:\n  - name: get\n    service_time: 1s\n    charges:\n      - " + c + "\n"
	}
	kafka := func(k string) string { return head + "kafka:\n  topics: [{name: views, partitions: 4}]\n  " + k + "\n" }
	operation := func(o string) string { return head + "operations:\n  - " + o + "\n" }
	const (
		tokens = "{id: t, kind: token_bucket, rate: 10 tokens/s, burst: 20 tokens}"
		table  = "{id: t, kind: partitions, partitions: 2, rate: 10 RCU/s, burst: 3s}"
		lambda = "{id: t, kind: concurrency, limit: 5}"
	)
	// » marks where the fault is.
	for _, c := range []struct{ name, src, want string }{
		{"empty", "", "1:1: file is empty"},
		{"no mapping", "- 1\n", "1:1: must be a mapping"},
		{"not YAML", "a: [", ": not valid YAML"},
		{"version", "version: »2\nname: x\n" + ops, "version: is 2; this program reads version 1"},
		{"no name", "version: 1\n" + ops, "name: is missing"},
		{"empty name", "version: 1\n»name: ''\n" + ops, "name: is empty"},
		{"no operations", head, "operations: is missing"},
		{"empty operations", head + "»operations: []\n", "operations: is empty"},
		{"as_of", head + "as_of: »21.11.2026\n" + ops, `as_of: "21.11.2026" is not a date`},
		{"schema outside", head + "schema: »../schema.graphql\n" + ops, "schema: "},
		{"schema absolute", head + "schema: »/etc/schema.graphql\n" + ops, "schema: "},
		{"unknown key", head + "»limiter: []\n" + ops, `limiter: unknown key (did you mean "limiters"?)`},

		{"kind", limiter("{id: t, kind: »bucket, rate: 1 tokens/s}"), `limiters[0].kind: "bucket" is not a kind of limiter`},
		{"no id", limiter("{kind: window, rate: 1 tokens/s}"), "limiters[0].id: is missing"},
		{"bad id", limiter("{id: »a b, kind: window, rate: 1 tokens/s}"), "limiters[0].id: "},
		{"duplicate id", head + "limiters:\n  - " + tokens + "\n  - {id: »t, kind: concurrency, limit: 1}\n" + ops, `limiters[1].id: "t" is used twice`},
		{"foreign key", limiter("{id: t, kind: window, rate: 1 tokens/s, burst: »3 tokens}"), "limiters[0].burst: is not a key of a window limiter (its keys are id, kind, rate)"},
		{"no rate", limiter("{id: t, kind: window}"), "limiters[0].rate: is missing"},
		{"bare rate", limiter("{id: t, kind: window, rate: »100}"), `limiters[0].rate: "100" is not a rate`},
		{"rate of nothing", limiter("{id: t, kind: window, rate: »100/s}"), "limiters[0].rate: "},
		{"negative rate", limiter("{id: t, kind: window, rate: »-100 ops/s}"), `limiters[0].rate: "-100 ops/s" is negative`},
		{"zero rate", limiter("{id: t, kind: window, rate: »0 ops/s}"), "limiters[0].rate: is zero"},
		{"huge rate", limiter("{id: t, kind: window, rate: »1e300 ops/s}"), `limiters[0].rate: "1e300 ops/s" is too large`},
		{"burst unit", limiter("{id: t, kind: token_bucket, rate: 10 tokens/s, burst: »3 ops}"), `limiters[0].burst: "3 ops" is not in the unit of the rate, tokens`},
		{"bare burst", limiter("{id: t, kind: token_bucket, rate: 10 tokens/s, burst: »3}"), `limiters[0].burst: "3" has no unit`},
		{"zero burst", limiter("{id: t, kind: token_bucket, rate: 10 tokens/s, burst: »0 tokens}"), "limiters[0].burst: is zero"},
		{"burst of partitions", limiter("{id: t, kind: partitions, partitions: 2, rate: 10 RCU/s, burst: »300 RCU}"), `limiters[0].burst: "300 RCU" is not a duration`},
		{"no partitions", limiter("{id: t, kind: partitions, rate: 10 RCU/s}"), "limiters[0].partitions: is missing"},
		{"zero partitions", limiter("{id: t, kind: partitions, partitions: »0, rate: 10 RCU/s}"), "limiters[0].partitions: is 0"},
		{"tokens in another unit", limiter("{id: appsync.request-tokens, kind: window, rate: »10 ops/s}"), "limiters[0].rate: appsync.request-tokens is counted in tokens"},
		{"no limit", limiter("{id: t, kind: concurrency}"), "limiters[0].limit: is missing"},
		{"zero limit", limiter("{id: t, kind: concurrency, limit: »0}"), "limiters[0].limit: is 0"},
		{"fractional limit", limiter("{id: t, kind: concurrency, limit: »1.5}"), "limiters[0].limit: must be a whole number"},
		{"provisioned", limiter("{id: t, kind: concurrency, limit: 5, provisioned: »6}"), "limiters[0].provisioned: is more than the limit of 5"},
		{"negative provisioned", limiter("{id: t, kind: concurrency, limit: 5, provisioned: »-1}"), "limiters[0].provisioned: is negative"},
		{"scaling step", limiter("{id: t, kind: concurrency, limit: 5, scaling: {step: »0, per: 10s}}"), "limiters[0].scaling.step: is 0"},
		{"scaling per", limiter("{id: t, kind: concurrency, limit: 5, scaling: {step: 1, per: »0s}}"), "limiters[0].scaling.per: is zero"},
		{"half of scaling", limiter("{id: t, kind: concurrency, limit: 5, scaling: {step: 1}}"), "limiters[0].scaling.per: is missing"},
		{"init", limiter("{id: t, kind: concurrency, limit: 5, init: »25h}"), "limiters[0].init: is longer than 24h"},

		{"rules of no year", limiter("{id: t, kind: concurrency, limit: 5, rules: »2022}"), "limiters[0].rules: of 2022 are not known"},
		{"rules and scaling", limiter("{id: t, kind: concurrency, limit: 5, scaling: {step: 1, per: 10s}, rules: »2023}"), "limiters[0].rules: says how environments are created, and so does scaling"},
		{"burst of today", limiter("{id: t, kind: concurrency, limit: 5, rules: 2024, burst: »3 environments}"), "limiters[0].burst: goes with rules: 2023 only"},
		{"burst of tokens", limiter("{id: t, kind: concurrency, limit: 5, rules: 2023, burst: »3 tokens}"), "limiters[0].burst: is not a number of environments"},
		{"requests of tokens", limiter("{id: t, kind: concurrency, limit: 5, requests: »10 tokens/s}"), "doesn't count requests"},
		{"no requests", limiter("{id: t, kind: concurrency, limit: 5, requests: »0/s}"), "limiters[0].requests: is zero"},
		{"no such account", limiter("{id: t, kind: concurrency, account: »lambda}"), `limiters[0].account: "lambda" is not a concurrency limiter further up`},
		{"reserved of nothing", limiter("{id: t, kind: concurrency, limit: 5, reserved: »3}"), "limiters[0].reserved: needs an account"},
		{"all reserved", head + "limiters:\n  - {id: a, kind: concurrency, limit: 1000}\n  - {id: b, kind: concurrency, account: a, reserved: 500}\n  - {id: c, kind: concurrency, account: a, reserved: »401}\n" + ops, "limiters[2].reserved: leaves less than 100 of the account's 1000"},
		{"limit of a function", head + "limiters:\n  - {id: a, kind: concurrency, limit: 1000}\n  - {id: b, kind: concurrency, account: a, limit: »500}\n" + ops, "limiters[1].limit: is its account's"},
		{"split at once", limiter("{id: t, kind: partitions, partitions: 2, rate: 10 RCU/s, split: »1s}"), "limiters[0].split: is not between 1m and 24h"},
		{"most", limiter("{id: t, kind: on_demand, rate: 100 RCU/s, most: »50 RCU/s}"), "limiters[0].most: is less than the rate"},
		{"most of another unit", limiter("{id: t, kind: on_demand, rate: 100 RCU/s, most: »500 WCU/s}"), `limiters[0].most: "500 WCU/s" is not in the unit of the rate, RCU`},
		{"no servers", limiter("{id: t, kind: queue, rate: 100 ops/s, servers: »0}"), "limiters[0].servers: is 0"},
		{"no nodes", limiter("{id: t, kind: queue, rate: 100 ops/s, nodes: »-1}"), "limiters[0].nodes: is -1"},
		{"no tasks", limiter("{id: t, kind: tasks, rate: 40 ops/s}"), "limiters[0].tasks: is missing"},
		{"least above most", limiter("{id: t, kind: tasks, rate: 40 ops/s, tasks: {least: »5, most: 4, target: 30 ops/s}}"), "limiters[0].tasks.least: is 5"},
		{"most of none", limiter("{id: t, kind: tasks, rate: 40 ops/s, tasks: {most: »0, target: 30 ops/s}}"), "limiters[0].tasks.most: is 0"},
		{"target above the rate", limiter("{id: t, kind: tasks, rate: 40 ops/s, tasks: {most: 4, target: »50 ops/s}}"), "limiters[0].tasks.target: is more than the rate of a task"},
		{"target of another unit", limiter("{id: t, kind: tasks, rate: 40 ops/s, tasks: {most: 4, target: »30 tokens/s}}"), `limiters[0].tasks.target: "30 tokens/s" is not in the unit of the rate, ops`},
		{"half a minute late", limiter("{id: t, kind: tasks, rate: 40 ops/s, tasks: {most: 4, target: 30 ops/s, late: »30s}}"), "limiters[0].tasks.late: is not a number of whole minutes"},
		{"no size", limiter("{id: t, kind: item_size}"), "limiters[0].largest: is missing"},
		{"zero size", limiter("{id: t, kind: item_size, largest: »0MB}"), "limiters[0].largest: is zero"},
		{"larger than an item", charge("{id: t, kind: item_size, largest: 1MB}", "{limiter: t, amount: »2MB}"), "operations[0].charges[0].amount: could never be served"},
		{"share of a charge", charge(tokens, "{limiter: t, amount: 1, share: »0%}"), "operations[0].charges[0].share: is not a part of the requests"},

		{"no operation name", operation("{service_time: 1s}"), "operations[0].name: is missing"},
		{"operation name", operation("{name: »list-programs}"), `operations[0].name: "list-programs" is not a name`},
		{"introspection name", operation("{name: »__schema}"), "operations[0].name: "},
		{"duplicate operation", operation("{name: get}\n  - {name: »get}"), `operations[1].name: "get" is used twice`},
		{"bare service time", operation("{name: get, service_time: »80}"), `operations[0].service_time: "80" has no unit of time`},
		{"empty distribution", operation("{name: get, »service_time: {}}"), "operations[0].service_time: is not a distribution"},
		{"two distributions", operation("{name: get, »service_time: {exponential: {mean: 1s}, lognormal: {p50: 1s, p99: 2s}}}"), "operations[0].service_time: is not a distribution"},
		{"zero p50", operation("{name: get, service_time: {lognormal: {p50: »0s, p99: 1s}}}"), "operations[0].service_time.lognormal.p50: is zero"},
		{"p99 under p50", operation("{name: get, service_time: {lognormal: {p50: 2s, p99: »1s}}}"), "operations[0].service_time.lognormal.p99: is shorter than p50"},
		{"long service time", operation("{name: get, service_time: »3d}"), "operations[0].service_time: is longer than 24h"},
		{"response", operation("{name: get, response: {bytes: »100}}"), `operations[0].response.bytes: "100"`},

		{"unknown limiter", charge(tokens, "{limiter: »T, amount: 1}"), `operations[0].charges[0].limiter: "T" is not the id of a limiter of this file (did you mean "t"?)`},
		{"no limiters", head + "operations: [{name: get, charges: [{limiter: »t, amount: 1}]}]\n", `operations[0].charges[0].limiter: "t" is not the id of a limiter of this file (the file has none)`},
		{"kind of a charged limiter", charge("{id: t, kind: »concurency, limit: 1}", "{limiter: t, hold: service_time}"), `limiters[0].kind: "concurency" is not a kind of limiter (did you mean "concurrency"?)`},
		{"two forms of amount", charge(tokens, "{limiter: t, »amount: {mixture: [{amount: 1, share: 100%}], cold: 1, warm: 1, after: 1s}}"), "operations[0].charges[0].amount: is not an amount"},
		{"half an amount that changes", charge(tokens, "{limiter: t, amount: {cold: 3, after: 1s}}"), "operations[0].charges[0].amount.warm: is missing"},
		{"empty mixture", charge(tokens, "{limiter: t, amount: {»mixture: []}}"), "operations[0].charges[0].amount.mixture: is empty"},
		{"shares", charge(tokens, "{limiter: t, amount: {»mixture: [{amount: 1, share: 70%}, {amount: 2, share: 20%}]}}"), "operations[0].charges[0].amount.mixture: has shares of 90.0 % together"},
		{"no share", charge(tokens, "{limiter: t, amount: {mixture: [{amount: 1, share: »0%}, {amount: 2, share: 100%}]}}"), "operations[0].charges[0].amount.mixture[0].share: is not a part"},
		{"part that never fits", charge(tokens, "{limiter: t, amount: {mixture: [{amount: »21, share: 100%}]}}"), "operations[0].charges[0].amount.mixture[0].amount: could never be served"},
		{"lognormal amount p99 under p50", charge(tokens, "{limiter: t, amount: {lognormal: {p50: 3, p99: »2}}}"), "operations[0].charges[0].amount.lognormal.p99: is smaller than p50"},
		{"no amount", charge(tokens, "{limiter: t}"), "operations[0].charges[0].amount: is missing"},
		{"negative amount", charge(tokens, "{limiter: t, amount: »-1}"), "operations[0].charges[0].amount: is negative"},
		{"amount not a number", charge(tokens, "{limiter: t, amount: »NaN}"), "operations[0].charges[0].amount: is not a number"},
		{"amount of another unit", charge(tokens, "{limiter: t, amount: »1MB}"), `operations[0].charges[0].amount: "1MB" is not in the unit of t, tokens`},
		{"more than the burst", charge(tokens, "{limiter: t, amount: »21}"), "operations[0].charges[0].amount: could never be served: t admits at most 20 tokens at once"},
		{"more cold than the burst", charge(tokens, "{limiter: t, amount: {cold: »21, warm: 1, after: 1s}}"), "operations[0].charges[0].amount.cold: could never be served"},
		{"more than the window", charge("{id: t, kind: window, rate: 10 ops/s}", "{limiter: t, amount: »11}"), "operations[0].charges[0].amount: could never be served: t admits at most 10 ops at once"},
		{"more than a partition", charge(table, "{limiter: t, amount: »31}"), "operations[0].charges[0].amount: could never be served: t admits at most 30 RCU at once"},
		{"half a token", charge("{id: appsync.request-tokens, kind: window, rate: 10 tokens/s}", "{limiter: appsync.request-tokens, amount: »1.5}"), "operations[0].charges[0].amount: 1.5 is not a whole number of tokens"},
		{"no warm", charge(tokens, "{limiter: t, amount: {cold: 2, after: 1s}}"), "operations[0].charges[0].amount.warm: is missing"},
		{"amounts in a list", charge(tokens, "{limiter: t, amount: [1, 2]}"), "operations[0].charges[0].amount: can't be a list"},
		{"hold of tokens", charge(tokens, "{limiter: t, amount: 1, hold: »service_time}"), "operations[0].charges[0].hold: a token_bucket limiter is not held"},
		{"key of tokens", charge(tokens, "{limiter: t, amount: 1, »key: {zipf: 5}}"), "operations[0].charges[0].key: a token_bucket limiter has no keys"},
		{"two keys", charge(table, "{limiter: t, amount: 1, »key: {zipf: 5, uniform: 5}}"), "operations[0].charges[0].key: is not a distribution of keys"},
		{"zero keys", charge(table, "{limiter: t, amount: 1, key: {zipf: »0}}"), "operations[0].charges[0].key.zipf: is 0"},
		{"many keys", charge(table, "{limiter: t, amount: 1, key: {uniform: »2000000}}"), "operations[0].charges[0].key.uniform: is 2000000"},
		{"no hold", charge(lambda, "{limiter: t}"), "operations[0].charges[0].hold: is missing"},
		{"another hold", charge(lambda, "{limiter: t, hold: »1s}"), `operations[0].charges[0].hold: "1s" is not known`},
		{"amount of environments", charge(lambda, "{limiter: t, hold: service_time, amount: »1}"), "operations[0].charges[0].amount: is not a key of a charge on a concurrency limiter"},

		{"no topics", head + "»kafka: {brokers: 1}\n", "kafka.topics: is missing"},
		{"empty topics", head + "kafka: {»topics: []}\n", "kafka.topics: has 0 topics"},
		{"a topic twice", head + "kafka: {topics: [{name: a, partitions: 1}, {name: »a, partitions: 1}]}\n", `kafka.topics[1].name: "a" is used twice`},
		{"no partitions", head + "kafka: {topics: [{name: a, partitions: »0}]}\n", "kafka.topics[0].partitions: is 0 (from 1 to 1000 are possible)"},
		{"brokers", kafka("brokers: »17"), "kafka.brokers: is 17 (from 1 to 16 are possible)"},
		{"topic of a group", kafka("groups: [{name: g, topic: »veiws, rate: 3 records/s}]"), `kafka.groups[0].topic: "veiws" is no topic of this file (did you mean "views"?)`},
		{"rate of a group", kafka("groups: [{name: g, topic: views, rate: »3 ops/s}]"), `kafka.groups[0].rate: "3 ops/s" doesn't count records`},
		{"a group twice", kafka("groups: [{name: g, topic: views, rate: 3 records/s}, {name: »g, topic: views, rate: 3 records/s}]"), `kafka.groups[1].name: "g" is used twice`},
		{"members", kafka("groups: [{name: g, topic: views, members: »0, rate: 3 records/s}]"), "kafka.groups[0].members: is 0"},
		{"stall of nothing", kafka("stalls: [{at: 1s, for: »0s}]"), "kafka.stalls[0].for: is zero"},
		{"stalls out of order", kafka("stalls: [{at: 1s, for: 2s}, {at: »2s, for: 1s}]"), "kafka.stalls[1].at: is before the end of the stall above"},
		{"a leader alone", kafka("leader_changes: [»{at: 1s, topic: views}]"), "kafka.leader_changes[0]: has no broker to go to"},
		{"partition to move", kafka("brokers: 2\n  leader_changes: [{at: 1s, topic: views, partition: »4}]"), "kafka.leader_changes[0].partition: views has no partition 4 (they are 0 to 3)"},
		{"another quota of brokers", head + "limiters: [{id: »mine, kind: kafka_quota, rate: 1KB/s}]\nkafka: {topics: [{name: a, partitions: 1}]}\n", `limiters[0].id: "mine" is no quota that this System's brokers keep (theirs is kafka.producer-byte-rate)`},
		{"a byte rate of records", head + "limiters: [{id: kafka.producer-byte-rate, kind: kafka_quota, rate: »1 records/s}]\nkafka: {topics: [{name: a, partitions: 1}]}\n", "limiters[0].rate: kafka.producer-byte-rate is counted in bytes, not in records"},
		{"hold of nothing", strings.Replace(charge(lambda, "{limiter: t, hold: »service_time}"), "    service_time: 1s\n", "", 1), "operations[0].charges[0].hold: the operation has no service_time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after, marked := strings.Cut(c.src, "»")
			s, err := model.Parse("system.yaml", []byte(before+after))
			faults, ok := errors.AsType[strict.Faults](err)
			if !ok || s != nil {
				t.Fatalf("got %v and error %v, want strict.Faults", s, err)
			}
			if len(faults) != 1 || !strings.Contains(faults[0].Error(), c.want) || faults[0].File != "system.yaml" {
				t.Errorf("got\n%v\nwant only %s", err, c.want)
			}
			line := strings.Count(before, "\n") + 1
			column := len(before) - strings.LastIndex(before, "\n")
			if marked && (faults[0].Line != line || faults[0].Column != column) {
				t.Errorf("fault at %d:%d, want %d:%d", faults[0].Line, faults[0].Column, line, column)
			}
		})
	}
}

// All faults come at once, in the order of the file.
func TestParseAllFaults(t *testing.T) {
	_, err := model.Parse("s.yaml", []byte(`version: 2
name: x
limiters:
  - {id: a, kind: partitions, partitions: 0, rate: -3 RCU/s}
operations:
  - name: get
    charges:
      - {limiter: a, amount: -1}
      - {limiter: b, amount: 1}
`))
	want := `s.yaml:1:10: version: is 2; this program reads version 1
s.yaml:4:43: limiters[0].partitions: is 0 (from 1 to 10000 are possible)
s.yaml:4:52: limiters[0].rate: "-3 RCU/s" is negative
s.yaml:8:30: operations[0].charges[0].amount: is negative
s.yaml:9:19: operations[0].charges[1].limiter: "b" is not the id of a limiter of this file (did you mean "a"?)`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOpen(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	files := fstest.MapFS{
		"mine.yaml":              file("version: 1\nname: mine\noperations: [{name: get}]\n"),
		"deep/with-schema.yaml":  file("version: 1\nname: deep\nschema: schema.graphql\noperations: [{name: get}]\n"),
		"deep/schema.graphql":    file("type Query { get: Int }"),
		"deep/no-schema.yaml":    file("version: 1\nname: deep\nschema: none.graphql\noperations: [{name: get}]\n"),
		"deep/wrong.yaml":        file("version: 1\nname: deep\n"),
		"premiere":               file("a file doesn't hide a ready-made System"),
		"systems/premiere2.yaml": file(contract),
	}
	for _, ref := range []string{"mine.yaml", "./mine.yaml", "premiere", "premiere-cached", "view-events", "systems/premiere2.yaml"} {
		if _, err := model.Open(ref, files); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if s, err := model.Open("deep/with-schema.yaml", files); err != nil || string(s.SDL) != "type Query { get: Int }" {
		t.Errorf("schema %q, error %v", s.SDL, err)
	}
	for ref, want := range map[string]string{
		"deep/no-schema.yaml": "deep/no-schema.yaml:3:9: schema: can't be read: ",
		"deep/wrong.yaml":     "deep/wrong.yaml:1:1: operations: is missing",
		"none.yaml":           `system "none.yaml" is neither ready-made (premiere, premiere-cached, view-events) nor a file that can be read: `,
		"../mine.yaml":        "nor a file that can be read",
		"":                    "nor a file that can be read",
	} {
		if _, err := model.Open(ref, files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", ref, err, want)
		}
	}
	if _, err := model.Open("mine.yaml", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without files: error %v", err)
	}
}

// everyKind is a System of the kinds that rich has not.
const everyKind = `version: 1
name: x
limiters:
  - {id: lambda.concurrency, kind: concurrency, limit: 1000, requests: 10/s, rules: 2023, burst: 500 environments}
  - {id: lambda.api, kind: concurrency, account: lambda.concurrency, provisioned: 10, rules: 2024}
  - {id: lambda.report, kind: concurrency, account: lambda.concurrency, reserved: 10}
  - {id: dynamodb.T.read, kind: on_demand, rate: 1000 RCU/s, most: 4000 RCU/s}
  - {id: redis, kind: queue, rate: 1000 ops/s, nodes: 3, servers: 2, longest: 1s}
  - {id: momento.item-size, kind: item_size, largest: 1MB}
  - {id: ecs.consumer, kind: tasks, rate: 40 ops/s, longest: 10m, tasks: {least: 2, most: 10, target: 30 ops/s, cooldown: 2m, start: 1m, late: 1m}}
operations:
  - name: get
    service_time: {exponential: {mean: 20ms}}
    charges:
      - {limiter: lambda.api, hold: service_time, share: 50%}
      - {limiter: lambda.report, hold: service_time, share: 2%}
      - {limiter: lambda.concurrency, hold: service_time}
      - {limiter: dynamodb.T.read, amount: {mixture: [{amount: 1, share: 70%}, {amount: 4, share: 30%}]}}
      - {limiter: redis, amount: {lognormal: {p50: 1, p99: 3}}, key: {zipf: 100}}
      - {limiter: momento.item-size, amount: {lognormal: {p50: 100KB, p99: 2MB}}}
      - {limiter: ecs.consumer, amount: 1}
`

func FuzzParse(f *testing.F) {
	f.Add([]byte(contract))
	for _, name := range model.Names() {
		src, err := os.ReadFile("systems/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte("version: 1\nname: x\nlimiters: [{id: a, kind: window, rate: 1 ops/s}]\noperations: [{name: get, service_time: {exponential: {mean: 1s}}, charges: [{limiter: a, amount: -1}]}]\n"))
	f.Add([]byte(everyKind))
	f.Add([]byte("limiters: {}\noperations: [[], 1, ~]\nversion: {a: b}\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := model.Parse("system.yaml", src)
		if err != nil {
			faults, ok := errors.AsType[strict.Faults](err)
			if !ok || len(faults) == 0 {
				t.Fatalf("error %#v, want faults", err)
			}
			for _, f := range faults {
				if f.Line < 1 || f.Column < 1 || f.Problem == "" {
					t.Fatalf("fault without a position or a problem: %#v", f)
				}
			}
			return
		}
		// A System that parses can be run.
		b := s.Start(1)
		for i := range 20 {
			for _, o := range s.Operations {
				out, ok := b.Serve(time.Duration(i)*time.Hour, o.Name)
				if !ok || out.ServiceTime < 0 || out.Tokens < 0 {
					t.Fatalf("%s: %+v", o.Name, out)
				}
				for _, c := range out.Charges {
					if math.IsNaN(c.Amount) || c.Amount < 0 || c.Hold < 0 || c.Level < 0 {
						t.Fatalf("%s: %+v", o.Name, c)
					}
				}
				if len(s.Operations) > 100 {
					break
				}
			}
		}
	})
}

// A System may be of Kafka alone.
func TestParseKafka(t *testing.T) {
	s, err := model.Parse("system.yaml", []byte(`version: 1
name: events
limiters: [{id: kafka.producer-byte-rate, kind: kafka_quota, rate: 20KB/s}]
kafka:
  brokers: 2
  topics: [{name: views, partitions: 10}, {name: likes, partitions: 1}]
  groups:
    - {name: view-consumer, topic: views, members: 3, rate: 1800 records/min}
    - {name: audit, topic: likes, rate: 5 records/s}
  stalls: [{at: 20s, for: 3s}]
  leader_changes: [{at: 10s, topic: views, partition: 9}]
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &model.Cluster{
		Brokers: 2,
		Topics:  []model.Topic{{"views", 10}, {"likes", 1}},
		Groups:  []model.Group{{"view-consumer", "views", 3, 30}, {"audit", "likes", 1, 5}},
		Stalls:  []model.Stall{{20 * time.Second, 3 * time.Second}},
		Moves:   []model.Move{{10 * time.Second, "views", 9}},
	}
	if diff := cmp.Diff(want, s.Kafka); diff != "" || s.ByteRate() != 20000 {
		t.Errorf("byte rate %v, -want +got:\n%s", s.ByteRate(), diff)
	}
	if b := s.Start(1); b == nil {
		t.Error("a System of Kafka alone doesn't start")
	}
}
