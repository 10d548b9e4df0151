package reports

import (
	"slices"
	"testing"

	"github.com/headroom-load/headroom/capacity"
)

// A client quota of Kafka binds and has no safe rate, for one reason, which is said
// once and stands beside both.
func TestNoSafeRate(t *testing.T) {
	rate := 500.0
	s := headroomSection(capacity.Assessment{Verdict: capacity.Verdict{Status: capacity.Valid}, Quotas: []capacity.QuotaResult{{
		ID: "kafka.producer-byte-rate", Kind: capacity.RateQuota, Limit: 1e6, Unit: "bytes", Notes: []string{capacity.NoRefusals},
		BindsAt: &capacity.Prediction{Rate: &rate, Grade: capacity.Tested}, TestedRate: 600,
	}}})
	table := s.Blocks[0].(*Table)
	row, why := table.Rows[0], slices.Index(table.Notes, capacity.NoRefusals)+1
	if safe := row[8]; safe.Text != "n/a" || !slices.Equal(safe.Notes, []int{why}) || !slices.Equal(row[0].Notes, []int{why}) || row[7].Text != "500/s" {
		t.Errorf("%+v, notes %q", row, table.Notes)
	}
}

// A cost that has no lower end is at most so much, and a rate without an upper one at
// least so much.
func TestBoundsOfOneSide(t *testing.T) {
	rate, low := 125.0, 124.9
	s := headroomSection(capacity.Assessment{Verdict: capacity.Verdict{Status: capacity.Valid}, Quotas: []capacity.QuotaResult{{
		ID: "dynamodb.T.read", Kind: capacity.RateQuota, Limit: 500, Unit: "RCU", UnitCost: &capacity.Estimate{Value: 4, High: 4.01},
		BindsAt: &capacity.Prediction{Rate: &rate, Low: &low, Grade: capacity.Supported}, TestedRate: 100,
	}}})
	row := s.Blocks[0].(*Table).Rows[0]
	if row[6].Sub != "at most 4.01 RCU" || row[7].Sub != "at least 125/s\nsupported" {
		t.Errorf("%+v, %+v", row[6], row[7])
	}
}

// What a level requires by the second in which most was held names that second and both
// reasons, since a backend that stands still leaves as many waiting as a cold one.
func TestMostHeldIsSaid(t *testing.T) {
	held, second := 1.0, 31.0
	s := headroomSection(capacity.Assessment{Verdict: capacity.Verdict{Status: capacity.Valid}, Quotas: []capacity.QuotaResult{{
		ID: "lambda.concurrency", Kind: capacity.LevelQuota, Limit: 1000, Unit: "environments", UnitCost: &capacity.Estimate{Value: 0.05, Low: 0.05, High: 0.05},
		ColdCost: &held, MostHeldAt: &second, Required: &capacity.Requirement{Target: 200, Quota: 200},
	}}})
	const want = "the rate times 1.00 s, by which the tested rate holds as many at once as in second 31, while they started or the backend stood still"
	if table := s.Blocks[0].(*Table); !slices.Contains(table.Notes, want) {
		t.Errorf("%q", table.Notes)
	}
}
