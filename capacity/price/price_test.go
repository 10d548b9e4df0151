package price_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/price"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

func TestListIsDated(t *testing.T) {
	for _, p := range price.Current().Prices {
		if _, err := time.Parse(time.DateOnly, p.AsOf); err != nil || p.Source == "" || p.USD <= 0 || p.Per <= 0 {
			t.Errorf("%+v", p)
		}
	}
}

// A million requests through AppSync and Lambda, 50 ms each, ten reads each, 2 KB
// back: every line by hand.
func TestOf(t *testing.T) {
	series := func(quota, role, unit string, sum float64) measure.Series {
		return measure.Series{Quota: quota, Role: role, Statistic: "Sum", Unit: unit, Points: measure.PointsOf(measure.Point{Value: sum / 2}, measure.Point{Value: sum / 2})}
	}
	run := &capacity.Run{
		Manifest: capacity.Manifest{
			Quotas:   []capacity.Quota{{ID: "appsync.request-tokens"}, {ID: "lambda.concurrency"}, {ID: "dynamodb.T.read"}},
			Expected: make([]measure.Series, 6),
		},
		Rows: measure.RowsOf(measure.Row{Sent: 1_000_010, GeneratorErrors: 10, BytesIn: 2e9}),
		Series: []measure.Series{
			series("lambda.concurrency", capacity.RoleRequests, "requests", 1e6), series("lambda.concurrency", capacity.RoleDuration, "ms", 5e7),
			series("dynamodb.T.read", capacity.RoleUsage, "RCU", 1e7),
		},
	}
	b := price.Of(run)
	want := map[string]float64{
		"AppSync requests": 4, "Lambda requests": 0.2, "Lambda duration": 0.833335, "DynamoDB reads of dynamodb.T.read": 1.25,
		"data out": 0.18, "CloudWatch reads": 0.00012,
	}
	var sum float64
	for _, l := range b.Lines {
		if math.Abs(l.USD-want[l.What]) > 1e-9 {
			t.Errorf("%s costs %v, want %v", l.What, l.USD, want[l.What])
		}
		sum += want[l.What]
	}
	if len(b.Lines) != len(want) || math.Abs(b.USD-sum) > 1e-9 {
		t.Errorf("%d lines, %v USD, want %d and %v", len(b.Lines), b.USD, len(want), sum)
	}
	if len(b.Missing) > 0 {
		t.Errorf("missing %v", b.Missing)
	}
	hour := b.PerHour(100, nil, 0)
	if hour.Supposed != "" { // nothing was refused
		t.Errorf("supposed: %s", hour.Supposed)
	}
	if math.Abs(hour.USD-0.36*(sum-0.00012)) > 1e-9 {
		t.Errorf("an hour at 100/s costs %v", hour.USD)
	}
	l := price.Ledger{Prices: price.With(nil)}
	l.Add(run.Rows.Slice(), run.Manifest.Quotas[0])
	if math.Abs(l.USD-4-0.18) > 1e-9 {
		t.Errorf("the ledger says %v", l.USD)
	}

	// Records of Kafka are no requests of AppSync's, and what was refused costs no
	// more than the request.
	run.Manifest.Quotas[0].Loads = []string{"viewers"}
	run.Manifest.Loads = []capacity.Load{
		{Name: "viewers", Operations: []capacity.Operation{{Kind: "graphql"}}}, {Name: "events", Operations: []capacity.Operation{{Kind: "kafka"}}},
	}
	viewers := measure.Row{Load: "viewers", Sent: 1_000_000, Throttled: 500_000, Reasons: map[string]int64{"throttled HTTP 429": 500_000}, BytesIn: 2e9}
	events := measure.Row{Load: "events", Sent: 3_000_000, BytesIn: 9e9}
	run.Rows = measure.RowsOf(viewers, events)
	b = price.Of(run)
	if math.Abs(b.USD-sum) > 1e-9 {
		t.Errorf("with Kafka records %v USD, want %v", b.USD, sum)
	}
	// Of 100 arrivals a second 25 are viewers, none of which is refused.
	if hour, want := b.PerHour(100, nil, 0), 0.09*(4+2*(sum-4-0.00012)); math.Abs(hour.USD-want) > 1e-9 {
		t.Errorf("an hour at 100/s costs %v, want %v", hour.USD, want)
	}
	// Where it can't be told whether a refused request had reached the function, the
	// least is taken, and what it may be is said.
	viewers.Throttled, viewers.Reasons = 250_000, nil
	run.Rows = measure.RowsOf(viewers, events)
	for _, l := range b.PerHour(100, nil, 0).Lines {
		if l.Note != "" && l.What != "Lambda duration" && l.Unit != "RCU" {
			t.Errorf("%s: %q", l.What, l.Note)
		}
	}
	if price.Of(run).PerHour(100, nil, 0).Supposed == "" {
		t.Error("who refused first isn't said to be supposed")
	}
	for _, l := range price.Of(run).PerHour(100, nil, 0).Lines {
		if l.What == "Lambda requests" && (math.Abs(l.Amount-90_000) > 1e-6 || math.Abs(l.AtMost-120_000) > 1e-6 || l.Note != "the run doesn't tell which of the refused requests used it") {
			t.Errorf("%v Lambda requests, at most %v, %q", l.Amount, l.AtMost, l.Note)
		}
	}
	run.Manifest.Quotas[1].Behind = []string{"appsync.request-tokens"}
	if hour := price.Of(run).PerHour(100, nil, 0); hour.Supposed != "" { // the run tells it
		t.Errorf("supposed: %s", hour.Supposed)
	}
	l = price.Ledger{Prices: price.With(nil)}
	l.Add(run.Rows.Slice(), run.Manifest.Quotas[0])
	if math.Abs(l.USD-4-0.18) > 1e-9 {
		t.Errorf("the ledger says %v with Kafka records", l.USD)
	}

	if b := price.AtLeast(&capacity.Manifest{}, 1e6, 6, 1); math.Abs(b.USD-4.00012) > 1e-9 {
		t.Errorf("before the load at least %v USD", b.USD)
	}
}

// A thousand requests, each of three operations of 1 MB on a cache: by hand.
func TestCache(t *testing.T) {
	series := func(quota, unit string, sum float64) measure.Series {
		return measure.Series{Quota: quota, Role: capacity.RoleUsage, Statistic: "Sum", Unit: unit, Points: measure.PointsOf(measure.Point{Value: sum})}
	}
	run := &capacity.Run{
		Manifest: capacity.Manifest{
			Sandbox: true,
			Quotas:  []capacity.Quota{{ID: "momento.operations"}, {ID: "momento.throughput"}, {ID: "momento.item-size", Kind: capacity.FixedQuota}},
			Loads:   []capacity.Load{{Operations: []capacity.Operation{{Kind: "graphql"}}}},
		},
		Rows:   measure.RowsOf(measure.Row{Sent: 1000}),
		Series: []measure.Series{series("momento.operations", "ops", 3000), series("momento.throughput", "B", 3e9)},
	}
	is := func(b price.Bill, bytes, most, usd float64) {
		t.Helper()
		if len(b.Lines) != 1 || b.Lines[0].What != "Momento transfer" {
			t.Fatalf("%+v", b.Lines)
		}
		l := b.Lines[0]
		if math.Abs(l.Amount/bytes-1) > 1e-9 || math.Abs(l.AtMost/most-1) > 1e-9 || math.Abs(l.USD/usd-1) > 1e-9 || b.USD != l.USD {
			t.Errorf("%+v, together %v, want %v B, at most %v, %v USD", l, b.USD, bytes, most, usd)
		}
		if !slices.ContainsFunc(b.Missing, func(m price.Missing) bool { return m.What == "Momento capacity" }) {
			t.Errorf("missing %v", b.Missing)
		}
	}
	is(price.Of(run), 3e9, 3e9+3000*1000, 3*0.15)
	// 36,000 requests an hour: 108 GB.
	is(price.Of(run).PerHour(10, nil, 0), 108e9, 108e9+108_000*1000, 108*0.15)
	// Half as many bytes in as many operations.
	is(price.Of(run).PerHour(10, map[string]float64{"momento.throughput": 1.5e6, "momento.operations": 3}, 0), 54e9, 54e9+108_000*1000, 54*0.15)
	// Operations of 100 B each are metered as 1 kB.
	run.Series[1] = series("momento.throughput", "B", 300_000)
	is(price.Of(run), 300_000, 3_300_000, 0.000045)

	lacks := func(why string) {
		t.Helper()
		b := price.Of(run)
		if len(b.Lines) != 0 || b.USD != 0 || !slices.Contains(b.Missing, price.Missing{What: "Momento transfer", Why: why}) {
			t.Errorf("%+v", b)
		}
	}
	run.Series = run.Series[:1]
	lacks("the run doesn't tell how much was used")
	run.Manifest.Quotas = run.Manifest.Quotas[:1]
	lacks("it is charged by the bytes in and out, which the run doesn't tell")
}

// A scenario's own prices replace those of the list, in bills, hours and the ledger,
// and state what no list has.
func TestOwnPrices(t *testing.T) {
	own := []scenarios.Price{
		{ID: "appsync.requests", USD: 3, Per: 1e6, Unit: "requests", Source: "contract of 2026", AsOf: "2026-04-01"},
		{ID: "kafka.cluster", USD: 6, Per: 1, Unit: "h", Source: "contract of 2026", AsOf: "2026-04-01"},
	}
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	run := &capacity.Run{
		Manifest: capacity.Manifest{
			Sandbox: true, Start: start, End: start.Add(10 * time.Minute), Scenario: capacity.Scenario{Prices: own},
			Quotas: []capacity.Quota{{ID: "appsync.request-tokens"}, {ID: "kafka.partition-ingress"}},
			Loads:  []capacity.Load{{Operations: []capacity.Operation{{Kind: "graphql"}}}},
		},
		Rows: measure.RowsOf(measure.Row{Sent: 1_000_000, BytesIn: 1e9}),
	}
	is := func(b price.Bill, want ...float64) {
		t.Helper()
		var got []float64
		for _, l := range b.Lines {
			got = append(got, math.Round(l.USD*1e6)/1e6)
			if l.Own != (l.What != "data out") || l.Own && l.Price.Source != "contract of 2026" {
				t.Errorf("%+v", l)
			}
		}
		if !slices.Equal(got, want) || len(b.Missing) > 0 || b.Prices() != "the scenario's prices and list prices of us-east-1" {
			t.Errorf("%v by %s, missing %v, want %v", got, b.Prices(), b.Missing, want)
		}
	}
	is(price.Of(run), 3, 1, 0.09) // a sixth of an hour of the cluster
	is(price.Of(run).PerHour(1000, nil, 0), 3*3.6, 6, 0.09*3.6)
	is(price.AtLeast(&run.Manifest, 1e6, 0, 0.5), 3, 3)
	l := price.Ledger{Prices: price.With(own)}
	l.Add(run.Rows.Slice(), run.Manifest.Quotas[0])
	if math.Abs(l.USD-3.09) > 1e-9 {
		t.Errorf("the ledger says %v", l.USD)
	}

	run.Manifest.Region = "ap-northeast-1"
	if b := price.Of(run); b.Prices() != "the scenario's prices and list prices of us-east-1, not of the target's Region ap-northeast-1" {
		t.Errorf("prices of %s", b.Prices())
	}
	run.Manifest.Scenario.Prices = own[:1]
	if b := price.Of(run); len(b.Missing) != 1 || b.Missing[0].What != "Kafka cluster" {
		t.Errorf("missing %v", b.Missing)
	}
}

// How often each of two operations calls a function is told by nothing.
func TestMixOfCallers(t *testing.T) {
	run := &capacity.Run{
		Manifest: capacity.Manifest{
			Sandbox: true, Quotas: []capacity.Quota{{ID: "appsync.request-tokens"}, {ID: "lambda.concurrency"}},
			Loads: []capacity.Load{{Operations: []capacity.Operation{{Name: "a", Kind: "graphql"}, {Name: "b", Kind: "graphql"}}}},
		},
		Rows:   measure.RowsOf(measure.Row{Operation: "a", Sent: 900, BytesIn: 9000}, measure.Row{Operation: "b", Sent: 100, BytesIn: 100_000}),
		Series: []measure.Series{{Quota: "lambda.concurrency", Role: capacity.RoleRequests, Statistic: "Sum", Points: measure.PointsOf(measure.Point{Value: 1100})}},
	}
	mix := map[string]float64{"a": 1, "b": 1}
	hour := price.Of(run).PerHour(1, price.Mix(run, mix), 0)
	for _, l := range hour.Lines {
		if want := map[string]float64{"AppSync requests": 3600, "data out": 3600 * (10 + 1000) / 2}[l.What]; l.Amount != want {
			t.Errorf("%v of %s, want %v", l.Amount, l.What, want)
		}
	}
	if !slices.Contains(hour.Missing, price.Missing{What: "Lambda requests", Why: "the run doesn't tell how much of it each operation, or a request of the mix, uses"}) {
		t.Errorf("missing %v", hour.Missing)
	}
	// Where only a calls it, it does so eleven times in nine.
	run.Manifest.Quotas[1].Operations = []string{"a"}
	if got := price.Mix(run, mix)["lambda.requests"]; math.Abs(got-1100.0/900/2) > 1e-12 {
		t.Errorf("%v calls for each arrival", got)
	}
}

// A thousand requests of 100 ms, of which four in five ran in one of 5 provisioned
// environments, in 10 s: by hand. At 100/s and with 10 of them Erlang's formula
// B(10, 10) = 0.21458 says what spills over.
func TestProvisioned(t *testing.T) {
	series := func(role, unit string, sum float64) measure.Series {
		return measure.Series{Quota: "lambda.concurrency", Role: role, Statistic: "Sum", Unit: unit, Points: measure.PointsOf(measure.Point{Value: sum})}
	}
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	run := &capacity.Run{
		Manifest: capacity.Manifest{
			Sandbox: true, Start: start, End: start.Add(10 * time.Second), Quotas: []capacity.Quota{{ID: "lambda.concurrency", Provisioned: 5}},
			Loads: []capacity.Load{{Operations: []capacity.Operation{{Kind: "graphql"}}}},
		},
		Rows: measure.RowsOf(measure.Row{Sent: 1000}),
		Series: []measure.Series{
			series(capacity.RoleDuration, "ms", 100_000), series(capacity.RoleRequests, "requests", 1000),
			series(capacity.RoleProvisioned, "requests", 800), series(capacity.RoleSpilled, "requests", 200),
		},
	}
	is := func(b price.Bill, want map[string]float64) {
		t.Helper()
		for _, l := range b.Lines {
			if w, ok := want[l.What]; !ok || math.Abs(l.USD/w-1) > 1e-5 {
				t.Errorf("%s costs %v, want %v", l.What, l.USD, w)
			}
		}
		if len(b.Lines) != len(want) || len(b.Missing) > 0 {
			t.Errorf("%+v", b)
		}
	}
	const spilled = 0.2145823
	is(price.Of(run), map[string]float64{
		"Lambda requests": 0.0002, "Lambda duration": 20 * 0.0000166667, "Lambda duration in provisioned environments": 80 * 0.0000097222,
		"5 environments provisioned": 50 * 0.0000041667,
	})
	is(price.Of(run).PerHour(100, nil, 5), map[string]float64{
		"Lambda requests": 0.072, "Lambda duration": 36_000 * spilled * 0.0000166667,
		"Lambda duration in provisioned environments": 36_000 * (1 - spilled) * 0.0000097222, "10 environments provisioned": 36_000 * 0.0000041667,
	})
}

// Two functions of an account, one with 5 environments of its own: half of the duration
// is its own, and four in five of its requests ran in them. Where nobody counted, as of
// rates, Erlang's formula says how many: 5 held of 5, of which B(5, 5) = 0.28487 spill over.
func TestProvisionedOfAFunction(t *testing.T) {
	series := func(quota string, role capacity.Role, unit string, sum float64) measure.Series {
		return measure.Series{Quota: quota, Role: role, Statistic: "Sum", Unit: unit, Points: measure.PointsOf(measure.Point{Value: sum})}
	}
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	run := &capacity.Run{
		Manifest: capacity.Manifest{
			Sandbox: true, Start: start, End: start.Add(10 * time.Second),
			Quotas: []capacity.Quota{{ID: "lambda.concurrency", Kind: capacity.LevelQuota}, {ID: "lambda.items", Kind: capacity.LevelQuota, Provisioned: 5}},
		},
		Series: []measure.Series{
			series("lambda.concurrency", capacity.RoleDuration, "ms", 100_000), series("lambda.concurrency", capacity.RoleRequests, "requests", 1000),
			series("lambda.items", capacity.RoleDuration, "ms", 50_000),
			series("lambda.items", capacity.RoleProvisioned, "requests", 400), series("lambda.items", capacity.RoleSpilled, "requests", 100),
		},
	}
	for _, ran := range []float64{0.8, 1 - 0.2848683} {
		amounts := map[string]float64{}
		for _, l := range price.Of(run).Lines {
			amounts[l.What] = l.Amount
		}
		if amounts["5 environments provisioned"] != 50 || math.Abs(amounts["Lambda duration in provisioned environments"]-50*ran) > 1e-4 || math.Abs(amounts["Lambda duration"]-(100-50*ran)) > 1e-4 {
			t.Errorf("%v of the function's requests ran in its environments: %v", ran, amounts)
		}
		run.Series = run.Series[:3]
	}
	run.Manifest.Quotas = run.Manifest.Quotas[1:]
	if b := price.Of(run); len(b.Missing) != 1 || b.Missing[0].What != "Lambda of lambda.items" {
		t.Errorf("nothing is known of the account: %+v", b)
	}
}

// Half of the large answers are missing, and come back where nothing is refused.
func TestDataOfOperations(t *testing.T) {
	run := &capacity.Run{
		Manifest: capacity.Manifest{Sandbox: true, Quotas: []capacity.Quota{{ID: "appsync.request-tokens"}}},
		Rows: measure.RowsOf(
			measure.Row{Operation: "small", Sent: 1000, BytesIn: 1e6}, measure.Row{Operation: "large", Sent: 1000, Throttled: 500, BytesIn: 2e6},
		),
	}
	for _, l := range price.Of(run).PerHour(1, nil, 0).Lines {
		if l.What == "data out" && math.Abs(l.Amount-3600*2500) > 1e-3 {
			t.Errorf("%v B an hour, want 2,500 for each", l.Amount)
		}
	}
}
