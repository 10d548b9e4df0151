package reports

import (
	"fmt"
	"slices"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// connections is what the connections of a load did.
type connections struct {
	load                  string
	most                  float64
	ahead, opened, closed float64 // ahead: before the load began
	dead, reused, resets  float64
	unreadable, resumed   float64
	connect, tls, first   timing
}

// timing sums up times in seconds.
type timing struct{ n, sum, max float64 }

// connectionBlocks says how many connections each load opened and kept, and how
// long they took: many that end, or more than the load needs, are themselves load.
func connectionBlocks(run *capacity.Run) (blocks []Block) {
	var all []*connections
	for _, s := range run.Series {
		if s.Source != measure.HTTPClient {
			continue
		}
		name := s.Labels["load"]
		i := slices.IndexFunc(all, func(c *connections) bool { return c.load == name })
		if i < 0 {
			i = len(all)
			all = append(all, &connections{load: name})
		}
		for p := range s.Points.All() {
			all[i].add(s, p.Value, p.At.Before(run.Manifest.Start))
		}
	}
	if all == nil {
		return nil
	}
	t := &Table{
		Columns: []Column{{"load", false}, {"opened ahead", true}, {"opened under load", true}, {"closed", true}, {"most open", true}, {"requests over a kept one", true}, {"resets", true}, {"connect", true}, {"TLS", true}, {"first byte", true}},
	}
	for _, c := range all {
		closed := Cell{Text: whole(int64(c.closed))}
		if c.dead > 0 {
			closed.Sub = whole(int64(c.dead)) + " idle, by the server"
		}
		secure := Cell{Text: "none"}
		if c.tls.n > 0 {
			secure = c.tls.cell()
			secure.Sub += ", " + whole(int64(c.resumed)) + " resumed"
		}
		t.Rows = append(t.Rows, []Cell{
			{Text: c.load},
			{Text: whole(int64(c.ahead))},
			{Text: whole(int64(c.opened))},
			closed,
			{Text: whole(int64(c.most))},
			{Text: whole(int64(c.reused))},
			{Text: whole(int64(c.resets))},
			c.connect.cell(), secure, c.first.cell(),
		})
		if c.unreadable > 0 {
			blocks = append(blocks, Text(fmt.Sprintf("%s answers of %s had a token header that holds no whole number up to 1,000,000,000, or several different ones: their tokens are not measured, and not in any sum.", whole(int64(c.unreadable)), c.load)))
		}
	}
	blocks = slices.Concat(addressBlocks(run), blocks)
	return append([]Block{t, Text("Times are means over the whole run, with the longest below: of every connection, and from sending to the first byte of the answer for a sample of requests. Nothing is opened because this machine is late, only when every open connection waits for the target.")}, blocks...)
}

// add takes a value of a series into account; ahead is one from before the load.
func (c *connections) add(s measure.Series, v float64, ahead bool) {
	switch s.Metric {
	case measure.HTTPOpen:
		c.most = max(c.most, v)
	case measure.HTTPOpened:
		if ahead {
			c.ahead += v
		} else {
			c.opened += v
		}
	case measure.HTTPClosed:
		c.closed += v
	case measure.HTTPDead:
		c.dead += v
	case measure.HTTPReused:
		c.reused += v
	case measure.HTTPResets:
		c.resets += v
	case measure.HTTPUnreadable:
		c.unreadable += v
	case measure.HTTPResumed:
		c.resumed += v
	case measure.HTTPConnectTime:
		c.connect.add(s.Statistic, v)
	case measure.HTTPHandshakeTime:
		c.tls.add(s.Statistic, v)
	case measure.HTTPFirstByteTime:
		c.first.add(s.Statistic, v)
	}
}

func (t *timing) add(statistic string, v float64) {
	switch statistic {
	case "SampleCount":
		t.n += v
	case "Sum":
		t.sum += v
	case "Maximum":
		t.max = max(t.max, v)
	}
}

func (t timing) cell() Cell {
	if t.n == 0 {
		return Cell{Text: "n/a"}
	}
	return Cell{Text: unit.HumanSeconds(t.sum / t.n), Sub: "max " + unit.HumanSeconds(t.max)}
}
