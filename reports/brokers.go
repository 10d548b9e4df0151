package reports

import (
	"fmt"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// brokerBlocks says what the brokers told of a run with Kafka records: how far
// consumer groups lagged, and which client quotas were in force.
func brokerBlocks(run *capacity.Run) (blocks []Block) {
	t := &Table{
		Caption: "Consumer lag, read from the brokers each second",
		Columns: []Column{{"group", false}, {"topic", false}, {"at most", true}, {"at", true}, {"at most, in time", true}, {"at the end", true}, {"at the end, in time", true}},
	}
	for _, l := range capacity.Lags(run) {
		row := []Cell{{Text: l.Group}, {Text: l.Topic}}
		const unread = "no reading had all partitions of the group"
		const since = "when the record next in turn was written is not known: it was there before the run, or the group has not committed every partition"
		row = append(row, t.figure(l.Max, wholeOf, unread), t.figure(l.MaxAt, unit.HumanSeconds, unread), t.figure(l.MaxTime, unit.HumanSeconds, since),
			t.figure(l.End, wholeOf, unread), t.figure(l.EndTime, unit.HumanSeconds, since))
		if l.Readings < l.Of {
			row[2].Notes = append(row[2].Notes, t.note(fmt.Sprintf("%d of %d readings had the lag of %s", l.Readings, l.Of, l.Group)))
		}
		if l.EndAt != nil {
			row[5].Notes = append(row[5].Notes, t.note(unit.HumanSeconds(*l.EndAt)+" from the start"))
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) > 0 {
		blocks = append(blocks, t)
	}
	for _, e := range run.Events {
		switch e.Kind {
		case capacity.ClientQuotas:
			blocks = append(blocks, Text(sentence(e.Text)))
		case capacity.BrokerFault:
			blocks = append(blocks, Text(sentence(fmt.Sprintf("%s into the run, of the brokers: %s", unit.HumanSeconds(max(0, e.At)), e.Text))))
		}
	}
	return blocks
}
