package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/kafka"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// quotaLimit is half of what is offered: a record of 200 B takes about 220 B on
// the wire.
const quotaLimit = 220_000

var quotas = []story{
	{
		// The client's buffer holds what the quota keeps back. The broker lets ten
		// of its windows of a second pass for free, and again what comes after a
		// pause: bytes over time stray by a fifth in 30 s, the throttles don't.
		name: "quota", rate: 2000, length: 30 * time.Second, quotaBytes: quotaLimit, alike: true,
		check: func(o *told) error {
			op := &o.report.Operations[0]
			if op.OK != op.Planned || op.ResponseTime.P50 == nil || *op.ResponseTime.P50 < 3 {
				return fmt.Errorf("%d ok of %d, response time %+v: not all acknowledged, or no backlog", op.OK, op.Planned, op.ResponseTime)
			}
			if early, late := o.median(0, o.length/3), o.median(o.length*2/3, time.Hour); late < early+3 {
				return fmt.Errorf("the response time doesn't grow: %.2f s at the median of the first third, %.2f s of the last", early, late)
			}
			if o.report.Verdict.Status != capacity.Valid {
				return fmt.Errorf("the verdict is %s: %s", o.report.Verdict.Status, o.failed())
			}
			return errors.Join(o.quotaNamed(), o.conserved())
		},
	},
	{
		name: "quota-small-buffer", rate: 2000, length: 40 * time.Second, quotaBytes: quotaLimit, load: "in_flight: 2000", anyVerdict: true, alike: true,
		check: func(o *told) error {
			op := &o.report.Operations[0]
			if o.sum.DroppedSaturation == 0 || o.sum.DroppedGenerator > o.sum.DroppedSaturation/100 || op.Dropped != o.sum.Dropped() || o.report.Verdict.Status == capacity.Valid {
				return fmt.Errorf("%d dropped by saturation, %d by the generator, %d reported; %s", o.sum.DroppedSaturation, o.sum.DroppedGenerator, op.Dropped, o.report.Verdict.Status)
			}
			if op.ResponseTime.P50 != nil || op.ResponseTime.P99 != nil {
				return fmt.Errorf("percentiles are printed: %+v", op.ResponseTime)
			}
			return errors.Join(o.quotaNamed(), o.conserved())
		},
	},
	{
		// What the client id sent before the run makes its first records wait, and so
		// tells nothing of the quota.
		name: "quota-spent", rate: 2000, length: 20 * time.Second, quotaBytes: quotaLimit, before: spend,
		check: func(o *told) error {
			if waits := o.series(measure.KafkaThrottleTime); waits[0] < 1 && waits[1] < 1 {
				return fmt.Errorf("the first records don't wait: %v", waits)
			}
			return errors.Join(o.quotaNamed(), o.conserved())
		},
	},
}

// spend uses up the quota of headroom's client id by itself: the broker still counts
// it, and makes the run that follows wait from its first record on.
func spend() error {
	const name = "spent"
	if err := topic(name, 1); err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ClientID(kafka.ClientID), kgo.DefaultProduceTopic(name), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for range 3 {
		if err := client.ProduceSync(ctx, kgo.SliceRecord(make([]byte, 4*quotaLimit))).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

// quotaNamed checks that the report names the broker's quota as the first to bind,
// with its limit and that it was what made the run wait, also where nobody knows
// the quota beforehand: then its limit is told by the throttles, within 10 %.
func (o *told) quotaNamed() error {
	if by := o.report.LimitedBy; by.Who != capacity.ByThrottle {
		return fmt.Errorf("limited by %s: %v", by.Who, by.Evidence)
	}
	q, err := o.report.byteRate()
	if err != nil {
		return err
	}
	if q.Limit != quotaLimit || q.Throttled == nil || *q.Throttled == 0 || !q.Bound || q.SafeRate != nil {
		return fmt.Errorf("the table has %s with %.0f %s/s, bound %t: %v; the quota is %d", q.ID, q.Limit, q.Unit, q.Bound, q.Notes, quotaLimit)
	}
	unknown := *o.run
	unknown.Manifest.Quotas = slices.DeleteFunc(slices.Clone(unknown.Manifest.Quotas), func(q capacity.Quota) bool { return q.ID == measure.KafkaByteRate })
	a := capacity.Assess(&unknown)
	i := slices.IndexFunc(a.Quotas, func(q capacity.QuotaResult) bool { return q.ID == measure.KafkaByteRate })
	if i < 0 || a.FirstToBind == nil || *a.FirstToBind != measure.KafkaByteRate {
		return fmt.Errorf("where nobody knows the quota, it isn't named: %v, %v", a.LimitedBy.Evidence, a.FirstToBindReason)
	}
	if limit := a.Quotas[i].Limit; math.Abs(limit/quotaLimit-1) > 0.1 {
		return fmt.Errorf("the throttles tell of %.0f bytes/s, the quota is %d", limit, quotaLimit)
	}
	fmt.Printf("      throttled %d times, at most %s: the throttles tell of %.0f bytes/s, the quota is %d\n", *q.Throttled, longest(o.series(measure.KafkaThrottleTime)), a.Quotas[i].Limit, quotaLimit)
	return nil
}

// longest is the largest of some seconds.
func longest(seconds []float64) time.Duration {
	return time.Duration(slices.Max(seconds) * float64(time.Second)).Round(time.Millisecond)
}

// median returns the median of the response times in seconds of what was
// acknowledged between two times of the run.
func (o *told) median(from, to time.Duration) float64 {
	var d measure.Distribution
	for _, i := range o.run.Latency {
		if i.Kind == measure.ResponseTimes && i.Start >= from && i.End <= to {
			d.Add(i)
		}
	}
	return d.Quantile(0.5) / 1e6
}
