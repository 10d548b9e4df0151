package price

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Line is one position of a bill.
type Line struct {
	What   string          `json:"what"`
	Amount float64         `json:"amount"`
	Unit   string          `json:"unit"`
	USD    float64         `json:"usd"`
	Price  scenarios.Price `json:"price"`         // by which
	Own    bool            `json:"own,omitempty"` // the price is the scenario's
	Note   string          `json:"note,omitempty"`
	// AtMost is what the amount may be at most, for the reason that the note gives; 0
	// where it is as told.
	AtMost float64 `json:"at_most,omitempty"`
	// hour is the amount of an hour of what is paid by time, whatever is sent; 0 of all
	// else.
	hour float64
	// of is which share of the requests that were sent the amount stands for, the
	// others having been refused before they used any: high is what it was taken for,
	// and low what it may have been. It is zero where the run doesn't tell.
	of   capacity.Range
	once bool // the amount doesn't grow with requests, as that of the reading of metrics
	// by names what a supposed use is of: the quota that counts it, or the price where
	// none does.
	by   string
	held bool // it is a part of Lambda's duration
}

// note adds a remark.
func (l *Line) note(text string) { l.Note = strings.TrimPrefix(l.Note+"; "+text, "; ") }

// Missing is a part of a bill that isn't in it, and why.
type Missing struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// all is of what every request uses, refused or not.
var all = capacity.Range{Low: 1, High: 1}

// Bill is what a run's use costs.
type Bill struct {
	Lines []Line  `json:"lines"`
	USD   float64 `json:"usd"` // of all lines
	// Missing is what the sum leaves out: it has no price here, or the run doesn't
	// tell how much of it was used.
	Missing []Missing `json:"missing"`
	Region  string    `json:"region"` // of the list prices
	AsOf    string    `json:"as_of"`  // of the oldest of them
	// Elsewhere is the target's Region, where it is another.
	Elsewhere string `json:"elsewhere,omitempty"`
	// Supposed says in which order requests are taken to have met the quotas, where the
	// run doesn't tell it and a figure depends on it; "" elsewhere.
	Supposed string `json:"supposed,omitempty"`
	prices   List
	ordered  bool    // the run tells the order
	arrivals float64 // that were sent
	held     Line    // Lambda's duration, wherever it ran
	// pools are what Lambda keeps provisioned, of lambda.concurrency first.
	pools []pool
}

// Of returns the bill of a run: of its requests, and of what its series say was
// used behind them. Lambda's durations are billed for each GB of memory, which no
// record knows.
func Of(run *capacity.Run) Bill {
	b := newBill(&run.Manifest)
	b.ordered = run.Manifest.SaysOrder()
	appsync := slices.IndexFunc(run.Manifest.Quotas, func(q capacity.Quota) bool { return q.ID == capacity.RequestTokens })
	var requests, bytes float64 // to AppSync, or all where it isn't the target
	answers := make(map[string]*answersOf)
	for r := range run.Rows.All() {
		n := float64(r.Sent - r.GeneratorErrors)
		b.arrivals += n
		if appsync < 0 || run.Manifest.Quotas[appsync].Charges(r.Load, r.Operation) {
			requests += n
			bytes += float64(r.BytesIn)
			op := answers[r.Operation]
			if op == nil {
				op = new(answersOf)
				answers[r.Operation] = op
			}
			op.sent, op.served, op.bytes = op.sent+n, op.served+n-float64(r.Throttled), op.bytes+float64(r.BytesIn)
		}
	}
	seconds := run.Length()
	admitted := capacity.Admitted(run)
	// use adds what the series of a quota's role say was used.
	use := func(id string, q capacity.Quota, role capacity.Role, l Line) {
		amount, told := total(run, q.ID, role)
		if !told {
			b.Missing = append(b.Missing, Missing{l.What, "the run doesn't tell how much was used"})
		}
		l.Amount, l.of = amount, admitted[q.ID]
		if l.AtMost > 0 {
			l.AtMost += amount
		}
		b.add(id, l)
	}
	for _, q := range run.Manifest.Quotas {
		service, _, _ := strings.Cut(q.ID, ".")
		switch {
		case q.ID == capacity.RequestTokens:
			b.add("appsync.requests", Line{What: "AppSync requests", Amount: requests, Unit: "requests", of: all, by: "appsync.requests"})
		case ofAccount(q):
			use("lambda.requests", q, capacity.RoleRequests, Line{What: "Lambda requests", Unit: "requests", by: "lambda.requests"})
			b.lambda(run, q, seconds)
		case service == "lambda" && q.Kind == capacity.LevelQuota && !slices.ContainsFunc(run.Manifest.Quotas, ofAccount):
			b.Missing = append(b.Missing, Missing{"Lambda of " + q.ID, "it is billed with lambda.concurrency, its account's, of which the run tells nothing"})
		case service == "dynamodb" && strings.HasSuffix(q.ID, ".read"):
			use("dynamodb.read", q, capacity.RoleUsage, Line{What: "DynamoDB reads of " + q.ID, Unit: "RCU", Note: "on demand", by: q.ID})
		case service == "dynamodb" && strings.HasSuffix(q.ID, ".write"):
			use("dynamodb.write", q, capacity.RoleUsage, Line{What: "DynamoDB writes of " + q.ID, Unit: "WCU", Note: "on demand", by: q.ID})
		case q.ID == momentoThroughput:
			use("momento.transfer", q, capacity.RoleUsage, b.transfer(run))
		case !slices.Contains(billed, service) && q.Kind != capacity.FixedQuota:
			b.Missing = append(b.Missing, Missing{q.ID, "no price of it is known here"})
		}
	}
	if slices.ContainsFunc(run.Manifest.Quotas, func(q capacity.Quota) bool { return q.ID == momentoOperations }) &&
		!slices.ContainsFunc(run.Manifest.Quotas, func(q capacity.Quota) bool { return q.ID == momentoThroughput }) {
		b.Missing = append(b.Missing, Missing{"Momento transfer", "it is charged by the bytes in and out, which the run doesn't tell"})
	}
	b.unlisted(seconds/time.Hour.Seconds(), run.Manifest.Quotas)
	if appsync >= 0 {
		b.add("data.out", Line{What: "data out", Amount: bytes, Unit: unit.Bytes, of: cameBack(answers), by: "data.out"})
	}
	if !run.Manifest.Sandbox {
		b.add("cloudwatch.metrics", Line{What: "CloudWatch reads", Amount: float64(reads * len(run.Manifest.Expected)), Unit: "metrics", once: true})
	}
	return b
}

// billed are the services whose use is charged, or is paid by the hour.
var billed = []string{"lambda", "dynamodb", "momento", "kafka"}

// What a Momento cache is charged by: Serverless Cache by the bytes in and out, each
// operation rounded up to whole steps, and nothing else; Flex and Cluster, which came
// after it, by their capacity, and less for the bytes.
const (
	momentoThroughput = "momento.throughput"
	momentoOperations = "momento.operations"
	meteredStep       = 1e3 // bytes
)

// transfer is the line of what goes through a Momento cache. Operations are rounded up
// to whole steps each, so no more is metered than the bytes and a step for each.
func (b *Bill) transfer(run *capacity.Run) Line {
	l := Line{What: "Momento transfer", Unit: unit.Bytes, by: momentoThroughput}
	if _, own, _ := b.prices.find("momento.transfer"); !own {
		l.note("the last published price of Momento's Serverless Cache")
	}
	l.note("Serverless Cache meters an operation in steps of " + unit.HumanBytes(meteredStep))
	operations, told := total(run, momentoOperations, capacity.RoleUsage)
	if !told {
		l.note("the run tells no number of them")
	}
	l.AtMost = operations * meteredStep
	return l
}

// unlisted adds what is paid by the hour at a price that no list has: the time of the
// run where the scenario states it, and what is missing else.
func (b *Bill) unlisted(hours float64, quotas []capacity.Quota) {
	for _, u := range b.prices.Unlisted {
		service, _, _ := strings.Cut(u.ID, ".")
		if !slices.ContainsFunc(quotas, func(q capacity.Quota) bool { return strings.HasPrefix(q.ID, service+".") }) {
			continue
		}
		if _, _, ok := b.prices.find(u.ID); ok {
			b.add(u.ID, Line{What: u.What, Amount: hours, Unit: u.Unit, hour: 1})
			continue
		}
		b.Missing = append(b.Missing, Missing{u.What, fmt.Sprintf("%s; a price of %s in the scenario's prices counts it by the hour", u.Why, u.ID)})
	}
}

// SupposeCache notes that the bill leaves out a cache that is supposed and was not in
// the run.
func (b *Bill) SupposeCache() {
	b.Missing = append(b.Missing, Missing{"the supposed cache", "it was not in the run, which so doesn't tell how much goes through it"})
}

// answersOf counts what came back of an operation.
type answersOf struct{ sent, served, bytes float64 }

// cameBack returns which share of the data came back that had, had no request been
// refused: each operation's answers are of a size of their own, and one of which all
// were refused tells none.
func cameBack(operations map[string]*answersOf) capacity.Range {
	var came, all float64
	for _, op := range operations {
		if op.served <= 0 && op.sent > 0 {
			return capacity.Range{}
		}
		came += op.bytes
		if op.bytes > 0 {
			all += op.bytes * op.sent / op.served
		}
	}
	if all == 0 {
		return capacity.Range{}
	}
	return capacity.Range{Low: came / all, High: came / all}
}

// newBill returns an empty bill by the list prices, and the scenario's own in their place.
func newBill(m *capacity.Manifest) Bill {
	l := With(m.Scenario.Prices)
	b := Bill{Region: l.Region, AsOf: l.oldest(), Missing: []Missing{}, Lines: []Line{}, prices: l}
	if m.Region != l.Region {
		b.Elsewhere = m.Region
	}
	return b
}

// Prices names the prices of the bill in a few words.
func (b *Bill) Prices() string {
	if b.Elsewhere != "" {
		return fmt.Sprintf("%s, not of the target's Region %s", b.prices, b.Elsewhere)
	}
	return b.prices.String()
}

// add adds a line at the price with the id, if there is any amount.
func (b *Bill) add(id string, l Line) {
	if l.Amount <= 0 {
		return
	}
	l.Price, l.Own, _ = b.prices.find(id)
	l.USD = b.prices.of(id, l.Amount)
	b.Lines = append(b.Lines, l)
	b.USD += l.USD
}

// reads is how often each series is read: until two reads agree.
const reads = 2

// total returns the sum of a quota's series of a role, durations in seconds, and
// whether they have any point.
func total(run *capacity.Run, quota string, role capacity.Role) (sum float64, told bool) {
	for _, s := range run.Series {
		if s.Quota != quota || s.Role != role || s.Statistic != "Sum" {
			continue
		}
		scale := 1.0
		if s.Unit == "ms" {
			scale = 1e-3
		}
		for p := range s.Points.All() {
			sum += p.Value * scale
			told = true
		}
	}
	return sum, told
}

// PerHour returns the bill of an hour at a rate, of which no quota refuses any
// more: what is used of a quota grows with the requests that it and those before it
// let through in the run, requests to AppSync with all that were sent, data with
// those that no quota refused, and the reading of metrics is left out. Where the run
// doesn't tell which requests a quota let through, the line's note says how much it
// may be. use is what an arrival is supposed to use, where that isn't what it did in
// the run: of a quota, or of what Mix tells; NaN where nobody can say. environments
// are provisioned beside the run's.
func (b Bill) PerHour(rate float64, use map[string]float64, environments float64) Bill {
	out := b
	out.Lines, out.USD = nil, 0
	if out.pools = slices.Clone(b.pools); len(out.pools) == 0 {
		out.pools = []pool{{share: 1}}
	}
	out.pools[0].environments += environments
	arrivals := rate * time.Hour.Seconds()
	held := false
	for _, l := range b.Lines {
		switch {
		case l.hour > 0:
			l.Amount = l.hour
			out.add(l.Price.ID, l)
			continue
		case l.once || l.held && held:
			continue
		case l.held:
			l, held = b.held, true
		}
		each, supposed := use[l.by]
		switch {
		case math.IsNaN(each):
			out.Missing = append(out.Missing, Missing{l.What, "the run doesn't tell how much of it each operation, or a request of the mix, uses"})
			continue
		case !supposed && (l.of.High <= 0 || b.arrivals <= 0):
			out.Missing = append(out.Missing, Missing{l.What, "the run doesn't tell how many requests used it"})
			continue
		case !supposed:
			each = l.Amount / b.arrivals / l.of.High
		}
		if l.AtMost > 0 {
			steps, ok := use[momentoOperations]
			if steps *= meteredStep; !ok {
				steps = (l.AtMost - l.Amount) / b.arrivals / l.of.High
			}
			if l.AtMost = arrivals * (each + steps); math.IsNaN(l.AtMost) {
				l.AtMost = 0
				l.note("the run tells no number of them")
			}
		}
		l.Amount = arrivals * each
		if !supposed && l.of.Low < l.of.High {
			l.unsure()
		}
		if !supposed && l.by != "appsync.requests" && l.by != "data.out" && l.of != all && !b.ordered {
			out.Supposed = supposedOrder
		}
		if l.held {
			out.heldAnHour(l)
			continue
		}
		out.add(l.Price.ID, l)
	}
	out.provision(time.Hour.Seconds())
	return out
}

const supposedOrder = "a request passes AppSync, then Lambda, then what lies behind, so what one of them refused didn't reach the next: the run doesn't tell the order"

// unsure notes how much more a line may be.
func (l *Line) unsure() {
	if l.of.Low > 0 {
		l.AtMost = max(l.AtMost, l.Amount) * l.of.High / l.of.Low
		l.note("the run doesn't tell which of the refused requests used it")
		return
	}
	l.AtMost = 0
	l.note("the run doesn't tell which of the refused requests used it: it may be much more")
}

// AtLeast returns what is known of the bill of a run before its load is sent: of so
// many requests to AppSync, so many series of metrics, and what is paid by the hour.
func AtLeast(m *capacity.Manifest, requests float64, series int, hours float64) Bill {
	b := newBill(m)
	b.add("appsync.requests", Line{What: "AppSync requests", Amount: requests, Unit: "requests"})
	b.add("cloudwatch.metrics", Line{What: "CloudWatch reads", Amount: float64(reads * series), Unit: "metrics"})
	b.unlisted(hours, m.Quotas)
	return b
}

// Ledger adds up what the client itself knows of a run's cost while it goes on:
// AppSync's requests and the data that came back. The bill is at least that.
type Ledger struct {
	USD    float64
	Prices List
}

// Add adds rows, which are additive, of those that charge AppSync's quota.
func (l *Ledger) Add(rows []measure.Row, appsync capacity.Quota) {
	for i := range rows {
		if r := &rows[i]; appsync.Charges(r.Load, r.Operation) {
			l.USD += l.Prices.of("appsync.requests", float64(r.Sent-r.GeneratorErrors)) + l.Prices.of("data.out", float64(r.BytesIn))
		}
	}
}
