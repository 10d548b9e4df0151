// Package price is the room of money: what a run's use costs by a dated list of
// list prices, in the place of which a scenario may put its own. A bill is what is
// known, and says what it leaves out; a price that nobody could be quoted for is
// missing, not zero.
package price

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/strict"
)

//go:embed prices.yaml
var file []byte

// List is a list of prices.
type List struct {
	Version int               `yaml:"version,required"`
	Region  string            `yaml:"region,required"` // where the list prices hold
	Prices  []scenarios.Price `yaml:"prices,required"`
	// Unlisted are what has a price in contracts only, such as a cluster of its size.
	Unlisted []Unlisted `yaml:"unlisted,required"`
	own      []scenarios.Price
}

// Unlisted is a price that no list has.
type Unlisted struct {
	ID   string `yaml:"id,required"`
	What string `yaml:"what,required"`
	Unit string `yaml:"unit,required"`
	Why  string `yaml:"why,required"`
}

// Current returns the embedded list. The file is part of the program, so a fault in
// it is a fault of the program; a test reads it.
var Current = sync.OnceValue(func() List {
	var l List
	if _, faults := strict.Decode("prices.yaml", file, &l); faults != nil {
		panic(faults)
	}
	return l
})

// With returns the embedded list with a scenario's own prices in place of those of
// the same id.
func With(own []scenarios.Price) List {
	l := Current()
	l.own = own
	return l
}

// find returns the price with the id, and whether it is the scenario's own; ok is
// false where there is none.
func (l List) find(id string) (p scenarios.Price, own, ok bool) {
	has := func(p scenarios.Price) bool { return p.ID == id }
	if i := slices.IndexFunc(l.own, has); i >= 0 {
		return l.own[i], true, true
	}
	if i := slices.IndexFunc(l.Prices, has); i >= 0 {
		return l.Prices[i], false, true
	}
	return scenarios.Price{}, false, false
}

// of returns what an amount costs in US dollars by a price that is listed.
func (l List) of(id string, amount float64) float64 {
	p, _, ok := l.find(id)
	if !ok {
		panic("no price " + id) // a test asks for each
	}
	return amount * p.USD / p.Per
}

// String names the list in a few words.
func (l List) String() string {
	if len(l.own) > 0 {
		return "the scenario's prices and list prices of " + l.Region
	}
	return "list prices of " + l.Region
}

// oldest returns the date of the list price that was read first, of those that no own
// one replaces.
func (l List) oldest() (date string) {
	for _, p := range l.Prices {
		if _, own, _ := l.find(p.ID); !own && (date == "" || p.AsOf < date) {
			date = p.AsOf
		}
	}
	return date
}

// Check returns the faults in the scenario's own prices: names that nothing is
// charged by, and units that don't fit.
func Check(s *scenarios.Scenario) (faults strict.Faults) {
	units := map[string]string{}
	var ids []string
	add := func(id, unit string) {
		units[id] = unit
		ids = append(ids, id)
	}
	for _, p := range Current().Prices {
		add(p.ID, p.Unit)
	}
	for _, u := range Current().Unlisted {
		add(u.ID, u.Unit)
	}
	for i, p := range s.Prices {
		unit, known := units[p.ID]
		switch {
		case !known:
			hint := "known are " + strings.Join(ids, ", ")
			if near := strict.Nearest(p.ID, ids); near != "" {
				hint = "did you mean " + near + "?"
			}
			faults = append(faults, s.Fault(fmt.Sprintf("prices[%d].id", i), fmt.Sprintf("unknown price %q", p.ID), hint))
		case p.Unit != unit:
			faults = append(faults, s.Fault(fmt.Sprintf("prices[%d].unit", i), fmt.Sprintf("%s is paid for in %s, not in %q", p.ID, unit, p.Unit), "write unit: "+unit))
		}
	}
	return faults
}
