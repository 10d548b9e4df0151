// Package price is the room of money: what a run's use costs by a dated list of
// list prices. A bill is what is known, and says what it leaves out; a price that
// nobody could be quoted for is missing, not zero.
package price

import (
	_ "embed"
	"strings"
	"sync"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
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

// of returns what an amount costs in US dollars.
func of(id string, amount float64) float64 {
	for _, p := range Current().Prices {
		if p.ID == id {
			return amount * p.USD / p.Per
		}
	}
	panic("no price " + id) // a test asks for each
}

// Line is one position of a bill.
type Line struct {
	What   string  `json:"what"`
	Amount float64 `json:"amount"`
	Unit   string  `json:"unit"`
	USD    float64 `json:"usd"`
	Note   string  `json:"note,omitempty"`
}

// Bill is what a run's use costs.
type Bill struct {
	Lines []Line  `json:"lines"`
	USD   float64 `json:"usd"` // of all lines
	// Missing names what was used and has no price here.
	Missing []string `json:"missing"`
	Region  string   `json:"region"` // of the prices
	AsOf    string   `json:"as_of"`  // of the oldest of them
}

// Of returns the bill of a run: of its requests, and of what its series say was
// used behind them. Lambda's durations are billed for each GB of memory, which no
// record knows.
func Of(run *capacity.Run) Bill {
	b := Bill{Region: Current().Region}
	for _, p := range Current().Prices {
		if b.AsOf == "" || p.AsOf < b.AsOf {
			b.AsOf = p.AsOf
		}
	}
	add := func(id, what string, amount float64, unit, note string) {
		if amount > 0 {
			usd := of(id, amount)
			b.Lines = append(b.Lines, Line{what, amount, unit, usd, note})
			b.USD += usd
		}
	}
	var sent, bytes float64
	for i := range run.Rows {
		sent += float64(run.Rows[i].Sent - run.Rows[i].GeneratorErrors)
		bytes += float64(run.Rows[i].BytesIn)
	}
	appsync := false
	for _, q := range run.Manifest.Quotas {
		service, _, _ := strings.Cut(q.ID, ".")
		switch {
		case q.ID == capacity.RequestTokens:
			appsync = true
			add("appsync.requests", "AppSync requests", sent, "requests", "")
		case q.ID == "lambda.concurrency":
			add("lambda.requests", "Lambda requests", total(run, q.ID, capacity.RoleRequests), "requests", "")
			add("lambda.duration", "Lambda duration", total(run, q.ID, capacity.RoleDuration), "GB-s", "for each GB of memory")
		case service == "dynamodb" && strings.HasSuffix(q.ID, ".read"):
			add("dynamodb.read", "DynamoDB reads of "+q.ID, total(run, q.ID, capacity.RoleUsage), "RCU", "on demand")
		case service == "dynamodb" && strings.HasSuffix(q.ID, ".write"):
			add("dynamodb.write", "DynamoDB writes of "+q.ID, total(run, q.ID, capacity.RoleUsage), "WCU", "on demand")
		case service != "lambda" && service != "dynamodb":
			b.Missing = append(b.Missing, q.ID)
		}
	}
	if appsync {
		add("data.out", "data out", bytes, "B", "")
	}
	if !run.Manifest.Sandbox {
		add("cloudwatch.metrics", "CloudWatch reads", float64(reads*len(run.Manifest.Expected)), "metrics", "")
	}
	return b
}

// reads is how often each series is read: until two reads agree.
const reads = 2

// total returns the sum of a quota's series of a role; durations in seconds.
func total(run *capacity.Run, quota string, role capacity.Role) (sum float64) {
	for _, s := range run.Series {
		if s.Quota != quota || s.Role != role || s.Statistic != "Sum" {
			continue
		}
		scale := 1.0
		if s.Unit == "ms" {
			scale = 1e-3
		}
		for _, p := range s.Points {
			sum += p.Value * scale
		}
	}
	return sum
}

// PerHour returns the bill of an hour at a rate, where the run had so many
// arrivals: every line in proportion, and without what reading metrics costs.
func (b Bill) PerHour(rate float64, arrivals int64) Bill {
	if arrivals == 0 {
		return Bill{}
	}
	scale := rate * time.Hour.Seconds() / float64(arrivals)
	out := b
	out.Lines, out.USD = nil, 0
	for _, l := range b.Lines {
		if l.What == "CloudWatch reads" {
			continue
		}
		l.Amount, l.USD = l.Amount*scale, l.USD*scale
		out.Lines = append(out.Lines, l)
		out.USD += l.USD
	}
	return out
}

// Ledger adds up what the client itself knows of a run's cost while it goes on:
// AppSync's requests and the data that came back. The bill is at least that.
type Ledger struct{ USD float64 }

// Add adds rows, which are additive.
func (l *Ledger) Add(rows []measure.Row) {
	for i := range rows {
		l.USD += of("appsync.requests", float64(rows[i].Sent)) + of("data.out", float64(rows[i].BytesIn))
	}
}
