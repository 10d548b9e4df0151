package reports

import (
	"fmt"
	"math"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// consumerBlocks tells how consumer groups kept up with what was produced.
func consumerBlocks(a capacity.Assessment) (blocks []Block) {
	for _, c := range a.Consumers {
		t := &Table{
			Caption: fmt.Sprintf("Group %s on %s", c.Group, c.Topic),
			Columns: []Column{{"stage", false}, {"from", true}, {"to", true}, {"produced", true}, {"consumed", true}, {"lag grows by", true}},
		}
		for _, s := range c.Stages {
			row := []Cell{{Text: s.Name}, {Text: lasting(s.From)}, {Text: lasting(s.To)}}
			for i, e := range []*capacity.Estimate{s.Produced, s.Consumed, s.Growth} {
				if e == nil && s.SetBack && i > 0 {
					row = append(row, t.missing("the group's offsets were set back in the stage"))
					continue
				}
				if e == nil {
					row = append(row, t.missing("fewer than ten readings of every partition"))
					continue
				}
				row = append(row, Cell{Text: perSecond(e.Value), Sub: interval(e.Low, e.High, perSecond)})
			}
			t.Rows = append(t.Rows, row)
		}
		switch {
		case c.Service != nil:
			blocks = append(blocks, Text(fmt.Sprintf("While records waited, group %s took %s of %s.", c.Group, between(*c.Service, perSecond), c.Topic)))
		case c.KeptUp():
			blocks = append(blocks, Text(fmt.Sprintf("Group %s kept up with %s in every stage of steady rate, so what it can take at most is not known.", c.Group, c.Topic)))
		case len(c.Stages) > 0:
			blocks = append(blocks, Text(fmt.Sprintf("Whether group %s kept up with %s is not known: not every stage of steady rate has ten readings of the lag that agree on how it changed.", c.Group, c.Topic)))
		}
		if d := c.Drain; d != nil {
			blocks = append(blocks, Text(drain(*d)))
		}
		if len(t.Rows) > 0 {
			blocks = append(blocks, t)
		}
	}
	return blocks
}

// drain says how long the lag of a spike lasts.
func drain(d capacity.Drain) string {
	behind := fmt.Sprintf("%s that were behind at %s are", unit.HumanQuantity(d.Lag, unit.Records), lasting(d.At))
	if d.Low == nil {
		return fmt.Sprintf("At %s, which is no less than the group takes, the %s never worked off.", perSecond(d.Rate), behind)
	}
	rate := fmt.Sprintf(" at %s, the lowest rate that the load held", perSecond(d.Rate))
	if d.Time == nil {
		of := "of the topic"
		if d.Partition != "" {
			of = "of partition " + d.Partition
		}
		return fmt.Sprintf("The %s worked off in no less than %s%s. How long it takes in all is n/a: %s the group was not seen to take more in the spike than arrives at that rate.",
			behind, toSeconds(*d.Low), rate, of)
	}
	text := fmt.Sprintf("The %s worked off in %s (%s to ", behind, toSeconds(*d.Time), toSeconds(*d.Low))
	if d.High != nil {
		text += toSeconds(*d.High)
	} else {
		text += "never"
	}
	text += ")" + rate
	if d.Partition != "" {
		text += ", partition " + d.Partition + " last"
	}
	return text + ": a prediction from what the group took of each partition while records waited."
}

// toSeconds prints a time to the second from ten seconds on.
func toSeconds(s float64) string {
	if s < 10 {
		return unit.HumanSeconds(s)
	}
	return lasting(math.Round(s))
}

func perSecond(v float64) string { return unit.HumanRate(v, unit.Records) }

// between prints an estimate with its interval.
func between(e capacity.Estimate, print func(float64) string) string {
	if i := interval(e.Low, e.High, print); i != "" {
		return print(e.Value) + " (" + i + ")"
	}
	return print(e.Value)
}
