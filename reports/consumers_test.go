package reports

import (
	"strings"
	"testing"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/plan"
)

func TestConsumerBlocks(t *testing.T) {
	stage := capacity.ConsumerStage{Name: "calm", To: 60, Produced: &capacity.Estimate{Value: 68, Low: 67, High: 69}}
	of := func(growth *capacity.Estimate, back bool) capacity.Consumer {
		s := stage
		s.Growth, s.SetBack = growth, back
		return capacity.Consumer{Group: "readers", Topic: "views", Stages: []capacity.ConsumerStage{s}}
	}
	kept := of(&capacity.Estimate{Value: 0.5, Low: -1, High: 2}, false)
	late := kept
	late.Service = &capacity.Estimate{Value: 90, Low: 88, High: 92}
	late.Drain = &capacity.Drain{At: 190, Lag: 5400, Rate: 68, Time: new(245.0), Low: new(225.0), High: new(270.0)}
	never, hot, hotter := late, late, late
	never.Drain = &capacity.Drain{At: 190, Lag: 5400, Rate: 90}
	hot.Drain = &capacity.Drain{At: 190, Lag: 5400, Rate: 68, Time: new(500.0), Low: new(225.0), Partition: "8"}
	hotter.Drain = &capacity.Drain{At: 190, Lag: 5400, Rate: 68, Low: new(225.0), Partition: "8"}
	for _, c := range []struct {
		consumer capacity.Consumer
		want     []string
	}{
		{kept, []string{"kept up with views in every stage of steady rate, so what it can take at most is not known", "68.0 records/s", "n/a"}},
		{of(nil, false), []string{"Whether group readers kept up with views is not known"}},
		{of(nil, true), []string{"Whether group readers kept up with views is not known"}},
		{of(&capacity.Estimate{Value: 30, Low: -2, High: 60}, false), []string{"Whether group readers kept up with views is not known", "30.0 records/s"}},
		{late, []string{"While records waited, group readers took 90.0 records/s (88.0 records/s to 92.0 records/s)", "The 5,400 records that were behind at 3m10s are worked off in 4m5s (3m45s to 4m30s) at 68.0 records/s"}},
		{hot, []string{"are worked off in 8m20s (3m45s to never) at 68.0 records/s, the lowest rate that the load held, partition 8 last: a prediction"}},
		{hotter, []string{"are worked off in no less than 3m45s at 68.0 records/s", "How long it takes in all is n/a: of partition 8 the group was not seen to take more in the spike than arrives at that rate."}},
		{never, []string{"At 90.0 records/s, which is no less than the group takes, the 5,400 records that were behind at 3m10s are never worked off."}},
	} {
		var said []string
		for _, b := range consumerBlocks(capacity.Assessment{Consumers: []capacity.Consumer{c.consumer}}) {
			switch b := b.(type) {
			case Text:
				said = append(said, string(b))
			case *Table:
				for _, row := range b.Rows {
					for _, c := range row {
						said = append(said, c.Text)
					}
				}
			}
		}
		got := strings.Join(said, "\n")
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%q is missing in:\n%s", want, got)
			}
		}
	}
	invalid := capacity.Assessment{Verdict: capacity.Verdict{Status: capacity.Invalid}, Consumers: []capacity.Consumer{late}}
	if a := withhold(&capacity.Run{}, invalid); a.Consumers[0].Drain != nil || late.Drain == nil {
		t.Error("an INVALID run predicts how long a lag lasts")
	}
}

// A group that fell behind is no part of who limited the answers, and "nothing" would
// deny it; a plan says in front what it must take.
func TestGroupThatFallsBehind(t *testing.T) {
	nothing := capacity.Assessment{LimitedBy: capacity.LimitedBy{Who: capacity.ByNothing}}
	if got := limitedBy(nothing); got[0] != "Nothing limited the run." {
		t.Errorf("said %q", got)
	}
	nothing.LimitedBy.Evidence = []string{"all answered ok"}
	if got := limitedBy(nothing); got[0] != "Nothing limited the run: all answered ok." {
		t.Errorf("said %q", got)
	}
	// A few refusals are not denied.
	nothing.LimitedBy.Evidence = []string{"throttled: 5 of 11,620", "all but 5 answered ok"}
	if got := limitedBy(nothing); got[0] != "Nothing limited the run by more than a thousandth of the requests: throttled: 5 of 11,620." {
		t.Errorf("said %q", got)
	}
	nothing.LimitedBy.Evidence = nil
	nothing.Consumers = []capacity.Consumer{{Service: &capacity.Estimate{Value: 90}}}
	if got := limitedBy(nothing); got[0] != "Nothing limited the answers." {
		t.Errorf("said %q", got)
	}
	p := &plan.Plan{Rate: 1000, Carries: new(405.0), Limit: "kafka.producer-byte-rate", Consumers: []plan.ConsumerNeed{
		{Group: "readers", Topic: "views", Required: 900, Takes: &capacity.Estimate{Value: 90}, Partitions: 12},
		{Group: "writers", Topic: "views", Required: 900, Seen: 135, Partitions: 12},
	}}
	for tested, want := range map[float64]string{400: "a prediction, graded supported; a prediction at 1,000/s would be", 10: "arithmetic too, limit by unit cost, so far beyond the run;"} {
		p.Tested = tested
		if got := Plan(p).Under[0]; !strings.Contains(got, "What the present limits carry is "+want) {
			t.Errorf("405/s, tested to %v/s: %s", tested, got)
		}
	}
	got := Plan(p).Lead
	for _, want := range []string{
		"Group readers must take 900 records/s of views, 10.0x the 90.0 records/s that it takes.",
		"Group writers must take 900 records/s of views, and whether it can isn't known: the run saw it take 135 records/s.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
}
