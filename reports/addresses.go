package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// mostAddresses is how many addresses of a load a report lists.
const mostAddresses = 10

// address is what became of a load's attempts to connect to one of its target's.
type address struct {
	load, text     string
	opened, failed float64
	reasons        map[string]float64
	last           float64 // failed attempt, in seconds from the start
}

func (a *address) dead() bool { return a.opened == 0 && a.failed > 0 }

// why lists the reasons, the most frequent one first.
func (a *address) why() string {
	names := slices.SortedFunc(maps.Keys(a.reasons), func(x, y string) int {
		return cmp.Or(cmp.Compare(a.reasons[y], a.reasons[x]), cmp.Compare(x, y))
	})
	return strings.Join(names, ", ")
}

// addressesOf returns the addresses of the targets that have names, load by load:
// those with failures first, then by their connections.
func addressesOf(run *capacity.Run) (all []*address) {
	for _, s := range run.Series {
		if s.Source != measure.HTTPClient || s.Metric != measure.HTTPAddressOpened && s.Metric != measure.HTTPAddressFailed {
			continue
		}
		load, text := s.Labels["load"], s.Labels["address"]
		i := slices.IndexFunc(all, func(a *address) bool { return a.load == load && a.text == text })
		if i < 0 {
			i = len(all)
			all = append(all, &address{load: load, text: text, reasons: map[string]float64{}})
		}
		a := all[i]
		for p := range s.Points.All() {
			if s.Metric == measure.HTTPAddressOpened {
				a.opened += p.Value
				continue
			}
			a.failed += p.Value
			a.reasons[s.Labels["reason"]] += p.Value
			a.last = max(a.last, p.At.Sub(run.Manifest.Start).Seconds())
		}
	}
	slices.SortFunc(all, func(a, b *address) int {
		return cmp.Or(cmp.Compare(a.load, b.load), cmp.Compare(b.failed, a.failed), cmp.Compare(b.opened, a.opened), cmp.Compare(a.text, b.text))
	})
	return all
}

// addressBlocks says over which addresses of a target the connections were spread,
// where there are several, and which of them failed.
func addressBlocks(run *capacity.Run) []Block {
	t := &Table{
		Caption: "Addresses that connections were tried to",
		Columns: []Column{{"load", false}, {"address", false}, {"connections", true}, {"failed attempts", true}, {"why", false}, {"last failed at", true}},
	}
	failed := false
	for _, group := range byLoad(addressesOf(run)) {
		if len(group) == 1 && group[0].failed == 0 {
			continue
		}
		for _, a := range group[:min(len(group), mostAddresses)] {
			row := []Cell{{Text: a.load}, {Text: a.text}, {Text: whole(int64(a.opened))}, {Text: whole(int64(a.failed))}, {}, {}}
			if a.failed > 0 {
				failed = true
				row[3].Tone, row[4].Text, row[5].Text = Bad, a.why(), unit.HumanSeconds(max(0, a.last))
			}
			t.Rows = append(t.Rows, row)
		}
		if rest := group[min(len(group), mostAddresses):]; len(rest) > 0 {
			var opened, failures float64
			for _, a := range rest {
				opened, failures = opened+a.opened, failures+a.failed
			}
			t.Rows = append(t.Rows, []Cell{{Text: group[0].load}, {Text: plural(len(rest), "other", "others")}, {Text: whole(int64(opened))}, {Text: whole(int64(failures))}, {}, {}})
		}
	}
	switch {
	case t.Rows == nil:
		return nil
	case !failed:
		t.dropEmpty("0")
		t.dropEmpty("")
		return []Block{t}
	}
	return []Block{t, Text("A connection whose address fails is made to the next one at once, and tried there too when the address is silent for 250 ms, or twice as long as a connection takes where that is longer: so much later was such a request sent, and its answer. From then on the address is tried last, until it answers an attempt beside the load.")}
}

// byLoad groups addresses that are in the order of their loads.
func byLoad(all []*address) (groups [][]*address) {
	for i, a := range all {
		if i == 0 || a.load != all[i-1].load {
			groups = append(groups, nil)
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], a)
	}
	return groups
}

// deadAddresses says of each load which addresses of its target answered no
// connection at all.
func deadAddresses(run *capacity.Run) (lines []string) {
	for _, group := range byLoad(addressesOf(run)) {
		var dead []string
		for _, a := range group {
			if a.dead() {
				dead = append(dead, fmt.Sprintf("%s (%s)", a.text, a.why()))
			}
		}
		if len(dead) > 0 {
			lines = append(lines, fmt.Sprintf("%d of %s of the target of %s answered no connection: %s",
				len(dead), plural(len(group), "address", "addresses"), group[0].load, strings.Join(dead[:min(len(dead), mostAddresses)], ", ")))
		}
	}
	return lines
}
