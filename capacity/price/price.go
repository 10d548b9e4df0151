// Package price is the room of money: what a run's use costs by a dated list of
// list prices. A bill is what is known, and says what it leaves out; a price that
// nobody could be quoted for is missing, not zero.
package price

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/strict"
	"github.com/headroom-load/headroom/scenarios/unit"
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

// Line is one position of a bill.
type Line struct {
	What   string  `json:"what"`
	Amount float64 `json:"amount"`
	Unit   string  `json:"unit"`
	USD    float64 `json:"usd"`
	Note   string  `json:"note,omitempty"`
	// of is which share of the requests that were sent the amount stands for, the
	// others having been refused before they used any: high is what it was taken for,
	// and low what it may have been. It is zero where the amount doesn't grow with
	// requests, such as the reading of metrics.
	of    capacity.Range
	quota string // of a use: the quota whose unit cost it grows with, or ""
}

// all is of what every request uses, refused or not.
var all = capacity.Range{Low: 1, High: 1}

// Bill is what a run's use costs.
type Bill struct {
	Lines []Line  `json:"lines"`
	USD   float64 `json:"usd"` // of all lines
	// Missing names what was used and has no price here.
	Missing  []string `json:"missing"`
	Region   string   `json:"region"` // of the prices
	AsOf     string   `json:"as_of"`  // of the oldest of them
	arrivals float64  // that were sent
}

// Of returns the bill of a run: of its requests, and of what its series say was
// used behind them. Lambda's durations are billed for each GB of memory, which no
// record knows.
func Of(run *capacity.Run) Bill {
	b := Bill{Region: Current().Region, AsOf: oldest()}
	appsync := slices.IndexFunc(run.Manifest.Quotas, func(q capacity.Quota) bool { return q.ID == capacity.RequestTokens })
	var requests, refused, bytes float64 // to AppSync, or all where it isn't the target
	for i := range run.Rows {
		r := &run.Rows[i]
		n := float64(r.Sent - r.GeneratorErrors)
		b.arrivals += n
		if appsync < 0 || run.Manifest.Quotas[appsync].Charges(r.Load, r.Operation) {
			requests += n
			refused += float64(r.Throttled)
			bytes += float64(r.BytesIn)
		}
	}
	served := 1 - refused/max(requests, 1)
	admitted := capacity.Admitted(run)
	add := func(id string, l Line) {
		if l.Amount > 0 {
			l.USD = of(id, l.Amount)
			b.add(l)
		}
	}
	for _, q := range run.Manifest.Quotas {
		service, _, _ := strings.Cut(q.ID, ".")
		switch {
		case q.ID == capacity.RequestTokens:
			add("appsync.requests", Line{What: "AppSync requests", Amount: requests, Unit: "requests", of: all})
		case q.ID == "lambda.concurrency":
			add("lambda.requests", Line{What: "Lambda requests", Amount: total(run, q.ID, capacity.RoleRequests), Unit: "requests", of: admitted[q.ID]})
			add("lambda.duration", Line{What: "Lambda duration", Amount: total(run, q.ID, capacity.RoleDuration), Unit: "GB-s", Note: forEachGB, of: admitted[q.ID], quota: q.ID})
		case service == "dynamodb" && strings.HasSuffix(q.ID, ".read"):
			add("dynamodb.read", Line{What: "DynamoDB reads of " + q.ID, Amount: total(run, q.ID, capacity.RoleUsage), Unit: "RCU", Note: "on demand", of: admitted[q.ID], quota: q.ID})
		case service == "dynamodb" && strings.HasSuffix(q.ID, ".write"):
			add("dynamodb.write", Line{What: "DynamoDB writes of " + q.ID, Amount: total(run, q.ID, capacity.RoleUsage), Unit: "WCU", Note: "on demand", of: admitted[q.ID], quota: q.ID})
		case service != "lambda" && service != "dynamodb" && q.Kind != capacity.FixedQuota:
			b.Missing = append(b.Missing, q.ID)
		}
	}
	if appsync >= 0 {
		add("data.out", Line{What: "data out", Amount: bytes, Unit: "B", of: capacity.Range{Low: served, High: served}})
	}
	if !run.Manifest.Sandbox {
		add("cloudwatch.metrics", Line{What: "CloudWatch reads", Amount: float64(reads * len(run.Manifest.Expected)), Unit: "metrics"})
	}
	return b
}

const forEachGB = "for each GB of memory"

func (b *Bill) add(l Line) {
	b.Lines = append(b.Lines, l)
	b.USD += l.USD
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

// PerHour returns the bill of an hour at a rate, of which no quota refuses any
// more: what is used of a quota grows with the requests that it and those before it
// let through in the run, requests to AppSync with all that were sent, data with
// those that no quota refused, and the reading of metrics is left out. Where the run
// doesn't tell which requests a quota let through, the line's note says how much it
// may be. costs is how many times the run's cost of a quota is supposed, where it is
// another.
func (b Bill) PerHour(rate float64, costs map[string]float64) Bill {
	out := b
	out.Lines, out.USD = nil, 0
	for _, l := range b.Lines {
		if l.of.High <= 0 || b.arrivals <= 0 {
			continue
		}
		scale := rate * time.Hour.Seconds() / b.arrivals / l.of.High
		if times, ok := costs[l.quota]; ok {
			scale *= times
		}
		l.Amount, l.USD = l.Amount*scale, l.USD*scale
		if l.of.Low < l.of.High {
			l.unsure()
		}
		if l.Amount > 0 {
			out.add(l)
		}
	}
	return out
}

// unsure notes how much more a line may be.
func (l *Line) unsure() {
	note := "the run doesn't tell which of the refused requests used it: it may be much more"
	if l.of.Low > 0 {
		note = fmt.Sprintf("the run doesn't tell which of the refused requests used it: it may be %s", unit.HumanQuantity(l.Amount*l.of.High/l.of.Low, l.Unit))
	}
	l.Note = strings.TrimPrefix(l.Note+"; "+note, "; ")
}

// Provision adds an hour of provisioned environments. What then runs in them is
// billed at a lower price, which is left out.
func (b *Bill) Provision(environments float64) {
	gbs := environments * time.Hour.Seconds()
	b.add(Line{What: fmt.Sprintf("%s provisioned", unit.HumanQuantity(environments, unit.Environments)), Amount: gbs, Unit: "GB-s", USD: of("lambda.provisioned", gbs), Note: forEachGB})
}

// AtLeast returns what is known of the bill before the load is sent: of so many
// requests to AppSync and so many series of metrics.
func AtLeast(requests float64, series int) Bill {
	b := Bill{Region: Current().Region, AsOf: oldest()}
	if requests > 0 {
		b.add(Line{What: "AppSync requests", Amount: requests, Unit: "requests", USD: of("appsync.requests", requests)})
	}
	if n := float64(reads * series); n > 0 {
		b.add(Line{What: "CloudWatch reads", Amount: n, Unit: "metrics", USD: of("cloudwatch.metrics", n)})
	}
	return b
}

// Ledger adds up what the client itself knows of a run's cost while it goes on:
// AppSync's requests and the data that came back. The bill is at least that.
type Ledger struct{ USD float64 }

// Add adds rows, which are additive, of those that charge AppSync's quota.
func (l *Ledger) Add(rows []measure.Row, appsync capacity.Quota) {
	for i := range rows {
		if r := &rows[i]; appsync.Charges(r.Load, r.Operation) {
			l.USD += of("appsync.requests", float64(r.Sent-r.GeneratorErrors)) + of("data.out", float64(r.BytesIn))
		}
	}
}
