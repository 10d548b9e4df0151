// Package price is the room of money: what a run's use costs by a dated list of
// list prices. A bill is what is known, and says what it leaves out; a price that
// nobody could be quoted for is missing, not zero.
package price

import (
	_ "embed"
	"sync"

	"github.com/headroom-load/headroom/scenarios/strict"
)

//go:embed prices.yaml
var file []byte

// Price is what so much of something costs.
type Price struct {
	ID     string  `yaml:"id,required"`
	USD    float64 `yaml:"usd,required"`
	Per    float64 `yaml:"per,required"`
	Unit   string  `yaml:"unit,required"`
	Source string  `yaml:"source,required"`
	AsOf   string  `yaml:"as_of,required"` // YYYY-MM-DD
}

// List is the embedded list of prices.
type List struct {
	Version int     `yaml:"version,required"`
	Region  string  `yaml:"region,required"` // where they hold
	Prices  []Price `yaml:"prices,required"`
}

// Current returns the list. The file is part of the program, so a fault in it is
// a fault of the program; a test reads it.
var Current = sync.OnceValue(func() List {
	var l List
	if _, faults := strict.Decode("prices.yaml", file, &l); faults != nil {
		panic(faults)
	}
	return l
})

// oldest returns the date of the price that was read first.
func oldest() (date string) {
	for _, p := range Current().Prices {
		if date == "" || p.AsOf < date {
			date = p.AsOf
		}
	}
	return date
}

// of returns what an amount costs in US dollars.
func of(id string, amount float64) float64 {
	for _, p := range Current().Prices {
		if p.ID == id {
			return amount * p.USD / p.Per
		}
	}
	panic("no price " + id) // a test asks for each
}
