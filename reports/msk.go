package reports

import (
	"fmt"
	"slices"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// clusterFigures are the columns of a cluster's table: what each is of CloudWatch's,
// which may not have been asked for, and how it is printed.
var clusterFigures = []struct {
	column, metric string
	of             func(capacity.ClusterPart) *float64
	print          func(float64) string
}{
	{"bytes in", "BytesInPerSec", func(p capacity.ClusterPart) *float64 { return p.BytesIn }, bytesPerSecond},
	{"bytes out", "BytesOutPerSec", func(p capacity.ClusterPart) *float64 { return p.BytesOut }, bytesPerSecond},
	{"records in", "MessagesInPerSec", func(p capacity.ClusterPart) *float64 { return p.Records }, perSecond},
	{"CPU", "CpuUser", func(p capacity.ClusterPart) *float64 { return p.CPU }, unit.HumanShare},
	{"connections", "ConnectionCount", func(p capacity.ClusterPart) *float64 { return p.Connections }, wholeOf},
	{"partitions", "PartitionCount", func(p capacity.ClusterPart) *float64 { return p.Partitions }, wholeOf},
	{"produce throttle", "ProduceThrottleTime", func(p capacity.ClusterPart) *float64 { return p.ProduceThrottle }, unit.HumanSeconds},
	{"request throttle", "RequestThrottleTime", func(p capacity.ClusterPart) *float64 { return p.RequestThrottle }, unit.HumanSeconds},
}

// mostCPU is the highest CPU time of a broker by Amazon MSK's best practices.
const mostCPU = 0.6

// clusterBlocks tells what CloudWatch says of the observed MSK cluster, beside what
// the drivers sent it, and whether others used it too.
func clusterBlocks(run *capacity.Run) (blocks []Block) {
	c := capacity.ClusterOf(run)
	if c == nil {
		return nil
	}
	asked := func(metric string) bool {
		return slices.ContainsFunc(run.Manifest.Expected, func(s measure.Series) bool { return s.Namespace == measure.MSK && s.Metric == metric })
	}
	t := &Table{
		Caption: fmt.Sprintf("MSK cluster %s by CloudWatch, the highest of the run's minutes; of ours are the bytes that this run sent, requests and all", c.Name),
		Columns: []Column{{"part", false}, {"of ours", true}},
	}
	for _, f := range clusterFigures {
		if asked(f.metric) {
			t.Columns = append(t.Columns, Column{f.column, true})
		}
	}
	for _, p := range c.Parts {
		row := []Cell{{Text: p.Name}, t.figure(p.Own, bytesPerSecond, "which of the run's bytes went there is not known")}
		for _, f := range clusterFigures {
			if !asked(f.metric) {
				continue
			}
			v := f.of(p)
			cell := t.figure(v, f.print, "CloudWatch published no point in the run's minutes; throttle times need the monitoring level PER_BROKER")
			if f.metric == "CpuUser" && v != nil && *v > mostCPU {
				cell.Tone = Warning
				cell.Notes = append(cell.Notes, t.note("Amazon MSK's best practices keep user and system time together below 60 %"))
			}
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) > 0 {
		blocks = append(blocks, t)
	}
	lags := &Table{
		Caption: "Consumer lag by CloudWatch, the highest of the run's minutes",
		Columns: []Column{{"group", false}, {"topic", false}, {"of one partition", true}, {"of all", true}, {"in time, estimated", true}},
	}
	for _, g := range c.Groups {
		const unpublished = "CloudWatch published no point in the run's minutes; it has groups that are stable or empty, and have committed"
		lags.Rows = append(lags.Rows, []Cell{
			{Text: g.Group},
			{Text: g.Topic},
			lags.figure(g.Max, wholeOf, unpublished), lags.figure(g.Sum, wholeOf, unpublished), lags.figure(g.Time, unit.HumanSeconds, unpublished),
		})
	}
	if len(lags.Rows) > 0 {
		blocks = append(blocks, lags)
	}
	return append(blocks, Text(taken(run, c)))
}

// figure is the cell of a value, or of why there is none.
func (t *Table) figure(v *float64, print func(float64) string, missing string) Cell {
	if v == nil {
		return t.missing(missing)
	}
	return Cell{Text: print(*v)}
}

func bytesPerSecond(v float64) string { return unit.HumanRate(v, unit.Bytes) }

func wholeOf(v float64) string { return whole(int64(v)) }

// taken says whether others used the cluster too.
func taken(run *capacity.Run, c *capacity.Cluster) string {
	k := c.Taken
	if k == nil {
		return "No whole minute of the run has bytes of every part of the cluster by CloudWatch, so whether others used it too is not known."
	}
	minutes := plural(k.Minutes, "whole minute", "whole minutes")
	if run.Manifest.Sandbox { // which is idle before and after
		minutes = plural(k.Minutes, "minute", "minutes")
	}
	text := fmt.Sprintf("In %s the cluster took %s from its clients by CloudWatch, while this run's producers sent %s, requests and all",
		minutes, unit.HumanBytes(k.Bytes), unit.HumanBytes(k.OwnBytes))
	if k.Records != nil {
		text += fmt.Sprintf("; it took %s, and acknowledged %s to this run", unit.HumanCount(*k.Records, unit.Records), unit.HumanCount(k.OwnRecords, unit.Records))
	}
	switch {
	case k.Fewer():
		return text + fmt.Sprintf(": the metrics are not whole, or %s is not the name of the cluster that the run produced to.", c.Name)
	case k.Others() && k.Part != "":
		return text + fmt.Sprintf(": others used it too, with up to %s of %s in a minute, which is no part of this run's use.", unit.HumanRate(k.Foreign, unit.Bytes), k.Part)
	case k.Others():
		return text + ": others used it too, which is no part of this run's use."
	}
	return text + ": others' use does not show."
}
