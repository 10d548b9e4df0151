package capacity_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// published adds to a run what CloudWatch has of a metric: minutes from the one in
// which the run begins on, of which a negative one never came.
func published(run *capacity.Run, metric string, labels map[string]string, values ...float64) {
	s := measure.Series{Source: "cloudwatch", Namespace: measure.MSK, Metric: metric, Labels: labels, Statistic: "Average", Period: time.Minute}
	if metric == "BytesInPerSec" {
		s.Role = capacity.RoleUsage
	}
	run.Manifest.Expected = append(run.Manifest.Expected, s)
	for i, v := range values {
		if v >= 0 {
			s.Points.Add(measure.Point{At: run.Manifest.Start.Truncate(time.Minute).Add(time.Duration(i) * time.Minute), Value: v})
		}
	}
	if s.Points.Len() > 0 {
		run.Series = append(run.Series, s)
	}
}

func ofBroker(id string) map[string]string {
	return map[string]string{measure.MSKCluster: "shop", measure.MSKBroker: id}
}

// observed is a run of four and a half minutes from 30 s into a minute on, 100
// records a second to each of two brokers, of which CloudWatch has the bytes of
// record batches, one tenth less than whole requests, and what others sent to broker
// 2 in the third minute.
func observed(others, otherRecords float64) *capacity.Run {
	const half = 100 * recordBytes
	run := cluster{rate: 200, seconds: 270, brokers: 2, shares: even}.run()
	into := time.Duration(30) * time.Second
	run.Manifest.Start, run.Manifest.End = run.Manifest.Start.Truncate(time.Minute).Add(into), run.Manifest.Start.Truncate(time.Minute).Add(into+270*time.Second)
	for i := range run.Series {
		changePoints(&run.Series[i], func(k int, p *measure.Point) { p.At = run.Manifest.Start.Add(time.Duration(k) * time.Second) })
	}
	for b := range 2 {
		more, records := 0.0, 0.0
		if b == 1 {
			more, records = others, otherRecords
		}
		published(run, "BytesInPerSec", ofBroker(strconv.Itoa(b)), 0.45*half, 0.9*half, 0.9*half+more, 0.9*half, 0.9*half)
		published(run, "MessagesInPerSec", ofBroker(strconv.Itoa(b)), 50, 100, 100+records, 100, 100)
	}
	return run
}

// What brokers took beyond what this run sent is foreign, over the whole minutes of
// the run, and never a part of its own use.
func TestClusterTellsOthersUse(t *testing.T) {
	const half = 100 * recordBytes
	alone := capacity.ClusterOf(observed(0, 0))
	k := alone.Taken
	if k.Minutes != 4 || math.Abs(k.OwnBytes/(4*60*2*half)-1) > 1e-9 || math.Abs(k.Bytes/(0.9*4*60*2*half)-1) > 1e-9 || *k.Records != 48_000 || math.Abs(k.OwnRecords-48_000) > 1e-6 {
		t.Errorf("%+v, records %v", k, *k.Records)
	}
	if k.Others() || k.Fewer() || k.Part != "" {
		t.Errorf("nobody else: %+v", k)
	}
	if p := alone.Parts[1]; p.Name != "broker 1" || *p.BytesIn != 0.9*half || math.Abs(*p.Own-half) > 1e-6 || p.CPU != nil || p.Connections != nil {
		t.Errorf("%+v", p)
	}

	run := observed(3*half, 400)
	quota := capacity.Quota{ID: "kafka.broker-ingress", Kind: capacity.RateQuota, Limit: 5 * half, Unit: "B", Period: "s", Each: capacity.EachBroker}
	run.Manifest.Quotas = []capacity.Quota{quota}
	k = capacity.ClusterOf(run).Taken
	if !k.Others() || k.Part != "broker 1" || math.Abs(k.Foreign/(2.9*half)-1) > 1e-9 {
		t.Errorf("others sent three times as much to broker 1: %+v", k)
	}
	q := quotaOf(t, capacity.Assess(run), quota.ID)
	if math.Abs(*q.Peak/half-1) > 1e-9 || math.Abs(q.UnitCost.Value/(recordBytes/2)-1) > 1e-9 {
		t.Errorf("others' use is taken for the run's: peak %v, unit cost %v", *q.Peak, q.UnitCost.Value)
	}
	if !strings.Contains(strings.Join(q.Notes, "\n"), "others sent up to 63.8 KB/s to broker 1 in a minute") {
		t.Errorf("the limit's notes don't tell of others: %q", q.Notes)
	}

	// Small records of others hide in what requests have beside their records, but
	// not in the count.
	if k := capacity.ClusterOf(observed(0.05*half, 100)).Taken; !k.Others() || k.Part != "" {
		t.Errorf("more records than ours: %+v", k)
	}
	other := observed(0, 0)
	for i := range other.Series {
		if other.Series[i].Metric == "MessagesInPerSec" {
			changePoints(&other.Series[i], func(_ int, p *measure.Point) { p.Value = 3 })
		}
	}
	if k := capacity.ClusterOf(other).Taken; !k.Fewer() || k.Others() {
		t.Errorf("metrics of another cluster: %+v", k)
	}
}

// What was not published is missing, and no zero.
func TestClusterIsMissing(t *testing.T) {
	if c := capacity.ClusterOf(cluster{rate: 10, seconds: 20, brokers: 1, shares: even}.run()); c != nil {
		t.Errorf("nothing was observed: %+v", c)
	}
	run := observed(0, 0)
	published(run, "CpuUser", ofBroker("0"), 30, 40)
	published(run, "CpuSystem", ofBroker("0"), -1, 10, 70)
	published(run, "BytesInPerSec", ofBroker("2"))
	published(run, "SumOffsetLag", map[string]string{measure.MSKCluster: "shop", measure.MSKGroup: "slow", measure.MSKTopic: "views"}, 5, 90, 7)
	published(run, "MaxOffsetLag", map[string]string{measure.MSKCluster: "shop", measure.MSKGroup: "slow", measure.MSKTopic: "views"})
	c := capacity.ClusterOf(run)
	if *c.Parts[0].CPU != 50 {
		t.Errorf("user and system time are %v in the only minute that has both", *c.Parts[0].CPU)
	}
	if p := c.Parts[2]; p.Name != "broker 2" || p.BytesIn != nil || p.Own != nil {
		t.Errorf("%+v", p)
	}
	if c.Taken != nil {
		t.Errorf("a broker's bytes are missing: %+v", c.Taken)
	}
	if g := c.Groups[0]; g.Group != "slow" || g.Topic != "views" || *g.Sum != 90 || g.Max != nil || g.Time != nil {
		t.Errorf("%+v", g)
	}
	a := capacity.Assess(run)
	i := 0
	for ; a.Verdict.Checks[i].Name != capacity.CheckCloudCoverage; i++ {
	}
	if check := a.Verdict.Checks[i]; check.Status != capacity.CheckFailed || !strings.Contains(check.Value, "0 % of MSK cluster shop, broker 2 (BytesInPerSec)") {
		t.Errorf("a broker that was asked for and never came: %+v", check)
	}
}

// Of a serverless cluster there are topics, to which the run's bytes went in all.
func TestClusterIsServerless(t *testing.T) {
	run := cluster{rate: 200, seconds: 180, brokers: 2, shares: even}.run()
	run.Manifest.Sandbox = true
	for i, rate := range []float64{30_000, 100_000} {
		published(run, "BytesInPerSec", map[string]string{measure.MSKCluster: "shop", measure.MSKTopic: "views" + strconv.Itoa(i)}, rate, rate, rate)
	}
	c := capacity.ClusterOf(run)
	k := c.Taken
	if c.Parts[0].Name != "topic views0" || c.Parts[0].Own != nil || k.Minutes != 3 || k.Records != nil {
		t.Errorf("%+v, %+v", c.Parts[0], k)
	}
	if math.Abs(k.OwnBytes/(180*200*recordBytes)-1) > 1e-9 || !k.Others() || k.Part != "the run's topics" || math.Abs(k.Foreign-(130_000-200*recordBytes)) > 1 {
		t.Errorf("%+v", k)
	}
}

// What a cluster has is held against its limits, of the broker that has most; it
// doesn't grow with the rate, so no rate is predicted of it.
func TestWhatBrokersHave(t *testing.T) {
	limit := func(id, thing, period, each string, limit float64) capacity.Quota {
		return capacity.Quota{ID: id, Kind: capacity.FixedQuota, Limit: limit, Unit: thing, Period: period, Each: each}
	}
	run := cluster{rate: 200, seconds: 180, brokers: 2, shares: even, quotas: []capacity.Quota{
		limit("kafka.partitions", "partitions", "", capacity.EachBroker, 1000),
		limit("kafka.cluster-partitions", "partitions", "", "", 2400),
		limit("kafka.connections", "connections", "", capacity.EachBroker, 50),
		limit("kafka.new-connections", "connections", "s", capacity.EachBroker, 4),
	}}.run()
	assess := func() map[string]capacity.QuotaResult {
		a := capacity.Assess(run)
		got := map[string]capacity.QuotaResult{}
		for _, q := range a.Quotas {
			got[q.ID] = q
			if q.BindsAt != nil || q.SafeRate != nil || q.UnitCost != nil || q.Required != nil {
				t.Errorf("a rate is predicted of %s: %+v", q.ID, q)
			}
		}
		reason := "no quota is known that grows with the rate"
		if a.Quotas[0].Utilization != nil && *a.Quotas[0].Utilization > 1 {
			reason = "kafka.partitions is exceeded at any rate: 100 partitions too many are there; for the rest, " + reason
		}
		if a.FirstToBind != nil || a.FirstToBindReason != reason {
			t.Errorf("%v binds first: %s", a.FirstToBind, a.FirstToBindReason)
		}
		return got
	}
	for id, q := range assess() {
		if q.Peak != nil || q.Utilization != nil || q.Resolution != "not measured" || !strings.Contains(strings.Join(q.Notes, " "), "is not known") {
			t.Errorf("nothing tells of %s: %+v", id, q)
		}
	}

	told := func(source, metric string, labels map[string]string, values ...float64) {
		s := measure.Series{Source: source, Metric: metric, Labels: labels, Statistic: "Maximum", Period: time.Second}
		for i, v := range values {
			s.Points.Add(measure.Point{At: run.Manifest.Start.Add(time.Duration(i) * time.Second), Value: v})
		}
		run.Series = append(run.Series, s)
	}
	told(measure.KafkaBroker, measure.KafkaPartitions, map[string]string{"broker": "0"}, 300)
	told(measure.KafkaBroker, measure.KafkaPartitions, map[string]string{"broker": "1"}, 700)
	told(measure.KafkaBroker, measure.KafkaPartitions, nil, 500)
	for _, load := range []string{"views", "plays"} { // each tells of all
		told(measure.KafkaClient, measure.KafkaConnections, map[string]string{"broker": "0", "load": load}, 5, 9, 3)
		told(measure.KafkaClient, measure.KafkaNewConnections, map[string]string{"broker": "0", "load": load}, 4, 4, 4)
	}
	for id, want := range map[string]struct {
		peak        float64
		where, left string
	}{
		"kafka.partitions":         {700, "by metadata, of broker 1", "300 partitions are left"},
		"kafka.cluster-partitions": {500, "by metadata", "1,900 partitions are left"},
		"kafka.connections":        {9, "of this run's clients, of broker 0", "41 connections are left"},
		"kafka.new-connections":    {4, "in a second, of this run's clients, of broker 0", "0 connections/s are left"},
	} {
		q := assess()[id]
		if q.Peak == nil || *q.Peak != want.peak || *q.Utilization != want.peak/q.Limit || q.Resolution != want.where || !strings.Contains(strings.Join(q.Notes, " "), want.left) {
			t.Errorf("%s: peak %v, %q, %q", id, q.Peak, q.Resolution, q.Notes)
		}
	}

	// CloudWatch knows of topics and connections that this client doesn't.
	published(run, "PartitionCount", ofBroker("0"), 1100, 1040)
	published(run, "ClientConnectionCount", ofBroker("1"), 20)
	published(run, "ConnectionCount", ofBroker("1"), 60) // those of brokers among them
	got := assess()
	if first := capacity.Assess(run).Quotas[0].ID; first != "kafka.partitions" {
		t.Errorf("%s is before what is exceeded", first)
	}
	if q := got["kafka.partitions"]; *q.Peak != 1100 || q.Resolution != "by CloudWatch, of broker 0" || !strings.Contains(strings.Join(q.Notes, " "), "100 partitions too many are there") {
		t.Errorf("%v, %q, %q", *q.Peak, q.Resolution, q.Notes)
	}
	if q := got["kafka.connections"]; *q.Peak != 20 || q.Resolution != "by CloudWatch, of broker 1" {
		t.Errorf("%v, %q", *q.Peak, q.Resolution)
	}
}
