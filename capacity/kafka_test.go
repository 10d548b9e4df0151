package capacity_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

const recordBytes = 220

// cluster makes a run of records whose brokers let each client have a quota of
// bytes a second. A broker takes what is offered, or the quota where that is
// less, and tells of it in each wait that it asks for.
type cluster struct {
	rate    float64   // records a second
	seconds int       // of the run
	quota   float64   // bytes a second and broker; 0: none
	told    []float64 // what a wait tells of the quota, relative to it, one after the other
	shares  []float64 // of each partition; the brokers lead them in turn
	brokers int
	drop    bool // as where the client's buffer is full
	quotas  []capacity.Quota
}

func (c cluster) run() *capacity.Run {
	l := ramp("views", c.rate, c.rate, time.Duration(c.seconds)*time.Second, capacity.Operation{Name: "view", Share: 1})
	l.Operations[0].Kind = "kafka"
	w := world{
		loads: []capacity.Load{l}, quotas: c.quotas, seed: 3, live: true,
		serve: func(time.Duration, string, string) answer {
			return answer{outcome: measure.OK, tokens: measure.NoTokens, service: 5 * time.Millisecond}
		},
	}
	if c.drop {
		w.drop = func(at time.Duration) (measure.Cause, bool) {
			return measure.Saturation, at > 15*time.Second && at%2 == 0
		}
	}
	run := w.run()
	offered := make([]float64, c.brokers)
	for p, share := range c.shares {
		offered[p%c.brokers] += share * c.rate * recordBytes
	}
	series := func(metric string, labels map[string]string, values func(second int) (float64, bool)) {
		s := measure.Series{Source: measure.KafkaClient, Metric: metric, Labels: labels, Statistic: "Sum", Period: time.Second}
		s.Labels["load"] = "views"
		for i := range c.seconds {
			if v, ok := values(i); ok {
				s.Points.Add(measure.Point{At: run.Manifest.Start.Add(time.Duration(i) * time.Second), Value: v})
			}
		}
		run.Series = append(run.Series, s)
	}
	taken := func(broker int) float64 {
		if c.quota > 0 {
			return min(c.quota, offered[broker])
		}
		return offered[broker]
	}
	for b := range c.brokers {
		over := offered[b] > taken(b)
		label := func() map[string]string { return map[string]string{"broker": strconv.Itoa(b)} }
		series(measure.KafkaProducedBytes, label(), func(int) (float64, bool) { return taken(b), true })
		series(measure.KafkaRequests, label(), func(int) (float64, bool) { return 100, true })
		series(measure.KafkaThrottles, label(), func(i int) (float64, bool) { return map[bool]float64{true: 2}[over && i > 4], true })
		series(measure.KafkaThrottleTime, label(), func(i int) (float64, bool) { return map[bool]float64{true: 2.5}[over && i > 4], true })
		series(measure.KafkaThrottledTo, label(), func(i int) (float64, bool) {
			if !over || i <= 4 {
				return 0, false
			}
			return c.quota * c.told[i%len(c.told)], true
		})
	}
	for p, share := range c.shares {
		records := share * c.rate * taken(p%c.brokers) / offered[p%c.brokers]
		of := map[string]string{"topic": "views", "partition": strconv.Itoa(p)}
		series(measure.KafkaAcknowledged, of, func(int) (float64, bool) { return records, true })
		series(measure.KafkaWritten, of, func(int) (float64, bool) { return records * recordBytes, true })
	}
	return run
}

var even = []float64{0.25, 0.25, 0.25, 0.25}

func quotaOf(t *testing.T, a capacity.Assessment, id string) *capacity.QuotaResult {
	t.Helper()
	for i := range a.Quotas {
		if a.Quotas[i].ID == id {
			return &a.Quotas[i]
		}
	}
	return nil
}

// A quota that nobody named beforehand is named with its limit where it made the
// run wait, and nowhere else, whether drops withhold what the run predicts or not.
func TestKafkaQuotaIsNamed(t *testing.T) {
	for _, quota := range []float64{20e3, 220e3, 5e6} {
		for _, load := range []float64{0.5, 0.95, 1.3, 2, 4} {
			for _, brokers := range []int{1, 2} {
				for _, drop := range []bool{false, true} {
					c := cluster{
						rate: 200, seconds: 40, brokers: brokers, shares: even, drop: drop,
						quota: 200 * recordBytes / load / float64(brokers), told: []float64{0.98, 1.04, 1, 0.97, 1.01},
					}
					scale := quota / c.quota // the same with larger records
					run := c.run()
					for i := range run.Series {
						if m := run.Series[i].Metric; m == measure.KafkaProducedBytes || m == measure.KafkaThrottledTo {
							changePoints(&run.Series[i], func(_ int, p *measure.Point) { p.Value *= scale })
						}
					}
					a := capacity.Assess(run)
					q := quotaOf(t, a, measure.KafkaByteRate)
					if load < 1 {
						if q != nil || a.FirstToBind != nil {
							t.Errorf("%v of a quota of %v: %+v is named", load, quota, q)
						}
						continue
					}
					if q == nil || a.FirstToBind == nil || *a.FirstToBind != measure.KafkaByteRate || !strings.Contains(a.FirstToBindReason, measure.KafkaByteRate+" bound") {
						t.Fatalf("%v times a quota of %v isn't named: %s", load, quota, a.FirstToBindReason)
					}
					if math.Abs(q.Limit/quota-1) > 0.1 || !q.Bound || *q.Throttled != int64(70*brokers) || q.Origin != capacity.FromThrottles {
						t.Errorf("%v times a quota of %v: limit %v (%s), throttled %d", load, quota, q.Limit, q.Origin, *q.Throttled)
					}
					if want := quota * float64(brokers) / (recordBytes * scale); q.BindsAt == nil || math.Abs(*q.BindsAt.Rate/want-1) > 0.1 {
						t.Errorf("%v times a quota of %v binds at %+v, want %v", load, quota, q.BindsAt, want)
					}
					if a.LimitedBy.Who != capacity.ByThrottle {
						t.Errorf("%v times a quota of %v: limited by %+v", load, quota, a.LimitedBy)
					}
					if drop != (a.Verdict.Status != capacity.Valid) || drop != (a.Operations[0].ResponseTime.P50 == nil) {
						t.Errorf("with drops %v the run is %s, p50 %v", drop, a.Verdict.Status, a.Operations[0].ResponseTime.P50)
					}
				}
			}
		}
	}
}

// Waits that agree on no byte rate, or on another than the one in force, name
// nothing: something else asked for them.
func TestKafkaWaitsOfSomethingElse(t *testing.T) {
	c := cluster{rate: 200, seconds: 40, brokers: 1, shares: even, quota: 22e3, told: []float64{0.4, 1, 1.8, 2.5, 0.7}}
	if a := capacity.Assess(c.run()); a.FirstToBind != nil || len(a.Quotas) > 0 || a.LimitedBy.Who != capacity.ByThrottle {
		t.Errorf("%v is named, of %+v; %+v", a.FirstToBind, a.Quotas, a.LimitedBy)
	}
	c.told = []float64{1, 1.01}
	for limit, want := range map[float64]bool{22e3: true, 23e3: true, 100e3: false} {
		c.quotas = []capacity.Quota{{ID: measure.KafkaByteRate, Name: "producer_byte_rate", Kind: capacity.RateQuota, Limit: limit, Unit: "B", Period: "s"}}
		a := capacity.Assess(c.run())
		q := quotaOf(t, a, measure.KafkaByteRate)
		if len(a.Quotas) != 1 || q.Limit != limit || q.Bound != want {
			t.Errorf("waits of 22 kB/s against a limit of %v: %+v", limit, q)
		}
	}
}

// A run that begins while brokers still count what came before it is held back too
// early, so that its first waits tell too low a quota. Those alone name none, and
// beside later ones they don't count.
func TestKafkaWaitsForWhatCameBefore(t *testing.T) {
	stated := []capacity.Quota{{ID: measure.KafkaByteRate, Kind: capacity.RateQuota, Limit: 22e3, Unit: "B", Period: "s"}}
	for _, c := range []struct {
		seconds int
		early   float64 // what the first waits tell, relative to the quota
		stated  []capacity.Quota
		named   bool // with its limit
		bound   bool
		says    string
	}{
		{20, 0.15, nil, true, true, "tells of a quota of 22.0 KB/s"},
		{20, 0.15, stated, true, true, "tells of a quota of 22.0 KB/s"},
		{13, 0.15, nil, false, false, "tells of a quota of at least 3.30 KB/s"},
		{13, 0.15, stated, true, false, "still count what was sent before the run"},
		{13, 1, nil, false, false, "tells of a quota of at least 22.0 KB/s"},
		{13, 1, stated, true, true, "tells of a quota of at least 22.0 KB/s"},
	} {
		run := cluster{rate: 200, seconds: c.seconds, brokers: 1, shares: even, quota: 22e3, told: []float64{1}, quotas: c.stated}.run()
		for i := range run.Series {
			if s := &run.Series[i]; s.Metric == measure.KafkaThrottledTo {
				changePoints(s, func(_ int, p *measure.Point) {
					if p.At.Sub(run.Manifest.Start) < 13*time.Second { // 12 s and the rest of the second of the first request
						p.Value *= c.early
					}
				})
			}
		}
		a := capacity.Assess(run)
		said := strings.Join(a.LimitedBy.Evidence, "; ")
		q := quotaOf(t, a, measure.KafkaByteRate)
		if q != nil {
			said += strings.Join(q.Notes, "; ")
		}
		if (q != nil) != c.named || q != nil && (math.Abs(q.Limit/22e3-1) > 1e-9 || q.Bound != c.bound) || !strings.Contains(said, c.says) || a.LimitedBy.Who != capacity.ByThrottle {
			t.Errorf("%+v: %+v\n%s", c, q, said)
		}
	}
}

// A GraphQL load beside it charges no Kafka quota.
func TestKafkaQuotaIsOfKafkaLoads(t *testing.T) {
	c := cluster{rate: 200, seconds: 40, brokers: 1, shares: even, quota: 22e3, told: []float64{1}}
	run := c.run()
	beside := ramp("viewers", 50, 50, 40*time.Second, capacity.Operation{Name: "list", Share: 1})
	run.Manifest.Loads = append(run.Manifest.Loads, beside)
	q := quotaOf(t, capacity.Assess(run), measure.KafkaByteRate)
	if q == nil || math.Abs(q.UnitCost.Value/recordBytes-1) > 1e-9 || q.TestedRate != 200 || len(q.ByOperation) != 1 || q.ByOperation[0].Name != "view" {
		t.Errorf("%+v", q)
	}
}

// Of a limit that each partition has, the one that gets most records binds first:
// at the limit over its share, in all.
func TestKafkaHottestPartition(t *testing.T) {
	quotas := []capacity.Quota{
		{ID: "kafka.partition-ingress", Kind: capacity.RateQuota, Limit: 30e3, Unit: "B", Period: "s", Each: capacity.EachPartition},
		{ID: "kafka.cluster-ingress", Kind: capacity.RateQuota, Limit: 60e3, Unit: "B", Period: "s"},
		{ID: "kafka.broker-ingress", Kind: capacity.RateQuota, Limit: 50e3, Unit: "B", Period: "s", Each: capacity.EachBroker},
		{ID: "kafka.requests", Kind: capacity.RateQuota, Limit: 400, Unit: "requests", Period: "s"},
	}
	c := cluster{rate: 200, seconds: 60, brokers: 2, shares: []float64{0.5, 0.2, 0.2, 0.1}, quotas: quotas}
	a := capacity.Assess(c.run())
	for id, want := range map[string]float64{
		"kafka.partition-ingress": 30e3 / (0.5 * recordBytes),
		"kafka.cluster-ingress":   60e3 / recordBytes,
		"kafka.broker-ingress":    50e3 / (0.7 * recordBytes),
		"kafka.requests":          400, // a request for each record
	} {
		q := quotaOf(t, a, id)
		if q == nil || q.BindsAt == nil || math.Abs(*q.BindsAt.Rate/want-1) > 1e-3 || *q.BindsAt.Low > want*1.001 || *q.BindsAt.High < want*0.999 {
			t.Errorf("%s binds at %+v, want %v", id, q.BindsAt, want)
			continue
		}
		if used := 200 / want; math.Abs(*q.Utilization/used-1) > 1e-3 || q.Throttled != nil {
			t.Errorf("%s is used to %v, want %v; throttled %v", id, *q.Utilization, used, q.Throttled)
		}
		if id == "kafka.partition-ingress" && !strings.Contains(strings.Join(q.Notes, "; "), "partition 0 of views takes the most, 2.00 times the mean") {
			t.Errorf("%q", q.Notes)
		}
	}
	// What would fit if all were charged alike is a prediction, as the binding rate is.
	cut := c.run()
	cut.Manifest.State = capacity.Interrupted
	for _, of := range []struct {
		run  *capacity.Run
		says bool
	}{{c.run(), true}, {cut, false}} {
		for _, id := range []string{"kafka.partition-ingress", "kafka.broker-ingress"} {
			if notes := strings.Join(quotaOf(t, capacity.Assess(of.run), id).Notes, "; "); strings.Contains(notes, "records/s in all would fit") != of.says {
				t.Errorf("%s, predicted %v: %q", id, of.says, notes)
			}
		}
	}
	if a.FirstToBind == nil || *a.FirstToBind != "kafka.cluster-ingress" && *a.FirstToBind != "kafka.partition-ingress" {
		t.Errorf("%v binds first", a.FirstToBind)
	}
}

// A byte rate quota that is changed while the load goes on is the one that was in force
// at last; what a scenario states stands.
func TestKafkaQuotaIsChanged(t *testing.T) {
	for origin, want := range map[capacity.Origin]float64{capacity.FromBroker: 60e3, capacity.FromScenario: 40e3} {
		run := cluster{rate: 200, seconds: 40, brokers: 1, shares: even, quotas: []capacity.Quota{
			{ID: measure.KafkaByteRate, Kind: capacity.RateQuota, Limit: 40e3, Burst: 400e3, Unit: "B", Period: "s", Origin: origin},
		}}.run()
		for i := range 40 {
			limit := 40e3
			if i >= 20 {
				limit = 60e3
			}
			run.Series = append(run.Series, measure.Series{
				Source: measure.KafkaBroker, Metric: measure.KafkaInForce, Statistic: "Maximum", Period: time.Second,
				Points: measure.PointsOf(measure.Point{At: run.Manifest.Start.Add(time.Duration(i) * time.Second), Value: limit}),
			})
		}
		q := quotaOf(t, capacity.Assess(run), measure.KafkaByteRate)
		changed := strings.Contains(strings.Join(q.Notes, "; "), "another limit in force before the load, 40.0 KB/s, and this one from 20.0 s on")
		if q.Limit != want || math.Abs(*q.BindsAt.Rate/(want/recordBytes)-1) > 1e-6 || changed != (origin == capacity.FromBroker) {
			t.Errorf("%s: limit %v, binds at %v, want %v; %q", origin, q.Limit, *q.BindsAt.Rate, want, q.Notes)
		}
		if run.Manifest.Quotas[0].Limit != 40e3 || run.Manifest.Quotas[0].Notes != nil {
			t.Errorf("the record is changed: %+v", run.Manifest.Quotas[0])
		}
	}
}

// A few large records fill a partition before many small ones do, of the same topic or
// of another.
func TestKafkaPartitionOfLargeRecords(t *testing.T) {
	const large = 100_000
	c := cluster{rate: 200, seconds: 60, brokers: 1, shares: []float64{0.6, 0.4}, quotas: []capacity.Quota{
		{ID: "kafka.partition-ingress", Kind: capacity.RateQuota, Limit: 5e6, Unit: "B", Period: "s", Each: capacity.EachPartition},
	}}
	run := c.run()
	for _, metric := range []string{measure.KafkaAcknowledged, measure.KafkaWritten} {
		s := measure.Series{Source: measure.KafkaClient, Metric: metric, Labels: map[string]string{"topic": "plays", "partition": "2", "load": "views"}, Statistic: "Sum", Period: time.Second}
		for i := range 60 {
			v := 10.0 // records
			if metric == measure.KafkaWritten {
				v *= large
			}
			s.Points.Add(measure.Point{At: run.Manifest.Start.Add(time.Duration(i) * time.Second), Value: v})
		}
		run.Series = append(run.Series, s)
	}
	q := quotaOf(t, capacity.Assess(run), "kafka.partition-ingress")
	if q == nil || q.Peak == nil || math.Abs(*q.Peak/(10*large)-1) > 1e-9 || q.Resolution != "mean of 10s, of partition 2 of plays" || math.Abs(q.UnitCost.Value/(10*large/210.0)-1) > 1e-9 {
		t.Errorf("%+v", q)
	}
	rates, seconds := capacity.KafkaRates(run)
	for name, want := range map[string]float64{"partition 2 of plays": 10 * large, "partition 0 of views": 0.6 * 200 * recordBytes} {
		if r := rates[name]; r.Bytes == nil || math.Abs(*r.Bytes/want-1) > 1e-9 || seconds != 10 {
			t.Errorf("%s took %v bytes/s over %d s, want %v", name, r.Bytes, seconds, want)
		}
	}
}

// A run that is shorter than the window of a broker's byte rate is one of it only for
// that quota.
func TestKafkaRatesOfAShortRun(t *testing.T) {
	limits := []capacity.Quota{
		{ID: "kafka.cluster-ingress", Kind: capacity.RateQuota, Limit: 60e3, Unit: "B", Period: "s"},
		{ID: measure.KafkaByteRate, Kind: capacity.RateQuota, Limit: 60e3, Unit: "B", Period: "s"},
	}
	run := cluster{rate: 200, seconds: 4, brokers: 1, shares: even, quotas: limits}.run()
	a := capacity.Assess(run)
	for id, want := range map[string]float64{"kafka.cluster-ingress": 200 * recordBytes, measure.KafkaByteRate: 200 * recordBytes * 4 / 10} {
		use, seconds, _ := capacity.KafkaUse(run, id)
		if q := quotaOf(t, a, id); q == nil || math.Abs(*q.Peak/want-1) > 1e-9 || math.Abs(use[0]/want-1) > 1e-9 || !strings.HasPrefix(q.Resolution, fmt.Sprintf("mean of %ds", seconds)) {
			t.Errorf("%s: %+v, and %v over %d s, want %v", id, q, use, seconds, want)
		}
	}
	long := cluster{rate: 200, seconds: 30, brokers: 1, shares: even, quotas: limits}.run()
	for _, quota := range limits { // a window that reaches beyond the run would show less than was used
		use, seconds, _ := capacity.KafkaUse(long, quota.ID)
		for _, v := range use {
			if seconds != 10 || len(use) != 30-10+1 || math.Abs(v/(200*recordBytes)-1) > 1e-9 {
				t.Errorf("%s: %v over %d s", quota.ID, use, seconds)
				break
			}
		}
	}
	if rates, seconds := capacity.KafkaRates(run); seconds != 4 || math.Abs(*rates["broker 0"].Bytes/(200*recordBytes)-1) > 1e-9 {
		t.Errorf("%v over %d s", rates, seconds)
	}
}

// What Kafka brokers asked to wait is no refusal of the requests beside them.
func TestKafkaWaitsAreNoRefusals(t *testing.T) {
	const id = "momento.operations"
	w := world{
		loads: []capacity.Load{ramp("viewers", 50, 50, 40*time.Second, capacity.Operation{Name: "list", Share: 1})}, seed: 3,
		quotas: []capacity.Quota{{ID: id, Kind: capacity.RateQuota, Limit: 100, Unit: "ops", Period: "s"}},
		serve: func(at time.Duration, _, _ string) answer {
			a := answer{outcome: measure.OK, tokens: measure.NoTokens, service: 5 * time.Millisecond}
			a.cloud = map[string]map[capacity.Role]float64{id: {capacity.RoleUsage: 2}}
			if at%3 == 0 {
				a.outcome, a.reason, a.cloud = measure.Throttled, "ThrottlingException", nil
			}
			return a
		},
	}
	run := w.run()
	alone := quotaOf(t, capacity.Assess(run), id)
	beside := cluster{rate: 200, seconds: 40, brokers: 1, shares: even, quota: 22e3, told: []float64{1}}.run()
	run.Manifest.Loads = append(run.Manifest.Loads, beside.Manifest.Loads...)
	run.Manifest.Quotas[0].Loads = []string{"viewers"}
	for r := range beside.Rows.All() {
		run.Rows.Add(r)
	}
	run.Series = append(run.Series, beside.Series...)
	a := capacity.Assess(run)
	both := quotaOf(t, a, id)
	if q := quotaOf(t, a, measure.KafkaByteRate); q == nil || *q.Throttled == 0 || alone.UnitCost == nil || *alone.UnitCost != *both.UnitCost {
		t.Errorf("a request costs %+v alone and %+v beside a throttled Kafka load", alone.UnitCost, both.UnitCost)
	}
}
