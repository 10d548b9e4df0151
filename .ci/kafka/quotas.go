package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity"
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
		name: "quota", rate: 2000, length: 30 * time.Second, quotaBytes: quotaLimit,
		check: func(o *told) error {
			throttled := 0.0
			for _, v := range o.series(measure.KafkaThrottles) {
				throttled += v
			}
			if throttled == 0 {
				return errors.New("no throttle time was seen")
			}
			if p50 := o.response.Quantile(0.5) / 1e6; p50 < 3 {
				return fmt.Errorf("response time is %.2f s at the median: no backlog", p50)
			}
			return errors.Join(o.quotaNamed(), o.conserved())
		},
	},
	{
		name: "quota-small-buffer", rate: 2000, length: 20 * time.Second, quotaBytes: quotaLimit, load: "in_flight: 2000", anyVerdict: true,
		check: func(o *told) error {
			if o.sum.DroppedSaturation == 0 || o.sum.DroppedGenerator > o.sum.DroppedSaturation/100 || o.verdict.Status == capacity.Valid {
				return fmt.Errorf("%d dropped by saturation, %d by the generator, %s", o.sum.DroppedSaturation, o.sum.DroppedGenerator, o.verdict.Status)
			}
			return errors.Join(o.quotaNamed(), o.conserved())
		},
	},
}

// quotaNamed checks that the table has the broker's quota with its limit and says
// that it made the run wait, and that the throttles by themselves tell of it within
// 10 %.
func (o *told) quotaNamed() error {
	assessment := capacity.Assess(o.run)
	if by := assessment.LimitedBy; by.Who != capacity.ByThrottle {
		return fmt.Errorf("limited by %s: %v", by.Who, by.Evidence)
	}
	i := slices.IndexFunc(assessment.Quotas, func(q capacity.QuotaResult) bool { return q.ID == measure.KafkaByteRate })
	if i < 0 {
		return fmt.Errorf("the table has no %s", measure.KafkaByteRate)
	}
	if q := assessment.Quotas[i]; q.Limit != quotaLimit || q.Throttled == nil || *q.Throttled == 0 {
		return fmt.Errorf("the table has %s with %.0f %s/s; the quota is %d", q.ID, q.Limit, q.Unit, quotaLimit)
	}
	if first := assessment.FirstToBind; o.verdict.Status == capacity.Valid && (first == nil || *first != measure.KafkaByteRate) {
		return fmt.Errorf("the byte rate doesn't bind first: %s", assessment.FirstToBindReason)
	}
	told := o.series(measure.KafkaThrottledTo)
	if len(told) == 0 {
		return errors.New("no throttle tells of a quota")
	}
	slices.Sort(told)
	if middle := told[len(told)/2]; math.Abs(middle/quotaLimit-1) > 0.1 {
		return fmt.Errorf("the throttles tell of %.0f bytes/s, the quota is %d", middle, quotaLimit)
	}
	return nil
}
