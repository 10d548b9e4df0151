package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// report is what a user reads in a run's report.json.
type report struct {
	Verdict           capacity.Verdict           `json:"verdict"`
	LimitedBy         capacity.LimitedBy         `json:"limited_by"`
	Operations        []capacity.OperationResult `json:"operations"`
	FirstToBind       *string                    `json:"first_to_bind"`
	FirstToBindReason string                     `json:"first_to_bind_reason"`
	Quotas            []capacity.QuotaResult     `json:"quotas"`
}

func readReport(run string) (r report, err error) {
	text, err := os.ReadFile(filepath.Join(run, "report.json"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// byteRate returns what the report says of the byte rate quota, if it names it as
// the one that binds first.
func (r *report) byteRate() (q capacity.QuotaResult, err error) {
	i := slices.IndexFunc(r.Quotas, func(q capacity.QuotaResult) bool { return q.ID == measure.KafkaByteRate })
	switch {
	case i < 0:
		return q, fmt.Errorf("the table has no %s", measure.KafkaByteRate)
	case r.FirstToBind == nil || *r.FirstToBind != measure.KafkaByteRate || r.Quotas[i].BindsAt == nil || r.Quotas[i].BindsAt.Rate == nil:
		return q, fmt.Errorf("%s isn't named as the first to bind: %s", measure.KafkaByteRate, r.FirstToBindReason)
	}
	return r.Quotas[i], nil
}

// alikeOnSandbox runs the scenario of a story with a quota once more, against a
// sandbox that keeps it, and checks that what holds of the broker holds of it too,
// and that both reports say the same.
func (o *told) alikeOnSandbox(dir string) error {
	system := filepath.Join(dir, o.name+"-system.yaml")
	text := fmt.Sprintf(`version: 1
name: %s
limiters: [{id: %s, kind: kafka_quota, rate: %.0fB/s}]
kafka: {topics: [{name: %s, partitions: %d}]}
`, o.name, measure.KafkaByteRate, o.quotaBytes, o.topic, partitions)
	if err := os.WriteFile(system, []byte(text), 0o644); err != nil {
		return err
	}
	s, err := o.rehearse(filepath.Join(dir, o.topic+"-sandbox"), o.topic, fmt.Sprintf("{sandbox: %s}", filepath.Base(system)))
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	s.written = s.endsRead()
	if err := s.check(s); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	real, err1 := o.report.byteRate()
	embedded, err2 := s.report.byteRate()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	status, rate, other := o.report.Verdict.Status, *real.BindsAt.Rate, *embedded.BindsAt.Rate
	if s.report.Verdict.Status != status || math.Abs(other/rate-1) > 0.1 {
		return fmt.Errorf("the broker's run is %s and binds at %.0f records/s, the sandbox's is %s and binds at %.0f", status, rate, s.report.Verdict.Status, other)
	}
	fmt.Printf("      %s on both; %s binds first, at %.1f records/s on the broker and %.1f on the sandbox\n", status, measure.KafkaByteRate, rate, other)
	return nil
}

// endsRead adds up the end offsets that the run read last.
func (o *told) endsRead() (sum int64) {
	for _, s := range o.run.Series {
		if s.Source == measure.KafkaBroker && s.Metric == measure.KafkaEnd && s.Points.Len() > 0 {
			sum += int64(s.Points.Slice()[s.Points.Len()-1].Value)
		}
	}
	return sum
}
