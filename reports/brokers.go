package reports

import (
	"cmp"
	"fmt"
	"slices"

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
		const unread = "fewer than half of the readings had the lag of every partition that holds records: of what a group has never committed, it is not known"
		const since = "when the record next in turn was written is not known of every reading: it was there before the run, or the group has not committed every partition"
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
	if t := happened(run); t != nil {
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

// mostEvents is how many events of brokers a report lists.
const mostEvents = 10

// happened lists what happened to brokers while the load saw it: those that fell
// silent, lost connections, changed leaders; nil where nothing did.
func happened(run *capacity.Run) *Table {
	events := slices.DeleteFunc(slices.Clone(run.Events), func(e capacity.Event) bool { return e.Kind != "broker" && e.Kind != "leader" })
	if len(events) == 0 {
		return nil
	}
	slices.SortStableFunc(events, func(x, y capacity.Event) int { return cmp.Compare(x.At, y.At) })
	t := &Table{Caption: "What happened to the brokers", Columns: []Column{{"from", true}, {"to", true}, {"what", false}}}
	for _, e := range events[:min(len(events), mostEvents)] {
		row := []Cell{{Text: unit.HumanSeconds(max(0, e.At))}, {}, {Text: e.Text}}
		if e.For > 0 {
			row[1].Text = unit.HumanSeconds(e.At + e.For)
		}
		t.Rows = append(t.Rows, row)
	}
	if more := len(events) - mostEvents; more > 0 {
		t.Caption += fmt.Sprintf(", the first %d of %d events", mostEvents, len(events))
	}
	return t
}
