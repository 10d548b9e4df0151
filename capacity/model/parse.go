package model

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity/model/limiter"
	"github.com/headroom-load/headroom/scenarios/strict"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Bounds of what a System file may say. They are far above any service's
// limits and keep sums, instants and memory within what the program can hold.
const (
	largest       = 1e15           // of an amount or a rate per second
	maxLevel      = 10_000_000     // environments
	maxPartitions = 10_000         // of one limiter
	maxNodes      = 1_000          // of a queue, and servers of each
	maxKeys       = 1_000_000      // of one charge
	maxTime       = 24 * time.Hour // of a service time or an environment's start
)

// DefaultKeepAlive is how long an idle environment stays where the System file
// doesn't say. AWS doesn't publish it; 5 to 15 minutes are seen in practice.
const DefaultKeepAlive = 5 * time.Minute

// Parse reads a System file. Its error is strict.Faults with everything that is
// wrong. The file that schema: names isn't read; Open does that.
func Parse(file string, src []byte) (*System, error) {
	s, _, faults := parse(file, src)
	if faults != nil {
		return nil, faults
	}
	return s, nil
}

// parse reads a System file, and returns its Document for faults that are found
// later.
func parse(file string, src []byte) (*System, *strict.Document, strict.Faults) {
	var f systemFile
	doc, faults := strict.Decode(file, src, &f)
	p := &parser{Document: doc, faults: faults, marked: map[string]bool{}, limiters: map[string]Limiter{}, operations: map[string]bool{}}
	for _, f := range faults {
		p.mark(f.Path)
	}
	if !p.marked[""] {
		p.header(f)
		for i, l := range f.Limiters {
			p.limiter(fmt.Sprintf("limiters[%d]", i), l)
		}
		for i, o := range f.Operations {
			p.operation(fmt.Sprintf("operations[%d]", i), o)
		}
		if p.Has("kafka") {
			p.cluster(f.Kafka)
		}
	}
	return &p.system, doc, strict.Merge(p.faults)
}

// parser checks what a System file means and turns it into a System.
type parser struct {
	*strict.Document
	faults     strict.Faults
	marked     map[string]bool // paths of keys with faults, and of the keys above them
	system     System
	limiters   map[string]Limiter // by id
	operations map[string]bool    // by name
}

// fault adds a fault at the key, unless the key or a part of its value has one
// already: then the value in hand isn't what the file says.
func (p *parser) fault(path, problem, hint string) {
	if !p.marked[path] {
		p.faults = append(p.faults, p.Fault(path, problem, hint))
		p.mark(path)
	}
}

func (p *parser) mark(path string) {
	p.marked[path] = true
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			p.marked[path[:i]] = true
		}
	}
}

// need reports whether the key has a usable value; a missing key is a fault.
func (p *parser) need(path, hint string) bool {
	if !p.Has(path) {
		p.fault(path, "is missing", hint)
	}
	return !p.marked[path]
}

func (p *parser) header(f systemFile) {
	s := &p.system
	*s = System{Version: f.Version, Name: f.Name, Description: f.Description, AsOf: f.AsOf, Schema: f.Schema}
	if p.Has("version") && s.Version != 1 {
		p.fault("version", fmt.Sprintf("is %d; this program reads version 1", s.Version), "")
	}
	if p.Has("name") && s.Name == "" {
		p.fault("name", "is empty", "")
	}
	if p.Has("as_of") {
		if _, err := time.Parse(time.DateOnly, s.AsOf); err != nil {
			p.fault("as_of", p.Quote("as_of", s.AsOf)+" is not a date", "write it as 2026-11-21")
		}
	}
	if p.Has("schema") && (!fs.ValidPath(path.Clean(s.Schema)) || s.Schema == "" || path.Clean(s.Schema) == ".") {
		p.fault("schema", p.Quote("schema", s.Schema)+" is not a file beside the System file", "write a relative path that doesn't leave the folder, such as schema.graphql")
	}
	if !p.Has("kafka") {
		p.need("operations", "name at least one, or the topics of kafka")
	}
	if p.Has("operations") && !p.Has("operations[0]") {
		p.fault("operations", "is empty", "name at least one operation")
	}
}

// kindKeys lists the keys that each kind of limiter takes besides id and kind.
var kindKeys = map[Kind][]string{
	TokenBucket: {"rate", "burst"},
	Window:      {"rate"},
	Concurrency: {"limit", "scaling", "rules", "burst", "provisioned", "init", "keep_alive", "requests", "account", "reserved"},
	Partitions:  {"partitions", "rate", "burst", "split"},
	OnDemand:    {"rate", "most"},
	Queue:       {"rate", "nodes", "servers", "longest"},
	ItemSize:    {"largest"},
	KafkaQuota:  {"rate"},
	Tasks:       {"rate", "tasks", "longest"},
}

// allKeys lists the keys of all kinds.
var allKeys = slices.Sorted(maps.Keys(func() map[string]bool {
	all := map[string]bool{}
	for _, keys := range kindKeys {
		for _, key := range keys {
			all[key] = true
		}
	}
	return all
}()))

// kinds is in the order in which hints list them.
var kinds = []string{string(TokenBucket), string(Window), string(Concurrency), string(Partitions), string(OnDemand), string(Queue), string(ItemSize), string(KafkaQuota), string(Tasks)}

var (
	limiterID     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	operationName = regexp.MustCompile(`^_?[A-Za-z0-9][A-Za-z0-9_]*$`)
)

func (p *parser) limiter(at string, f limiterFile) {
	l := Limiter{ID: f.ID, Kind: f.Kind}
	_, twice := p.limiters[f.ID]
	p.newName(at+".id", f.ID, twice, limiterID, "letters, digits, dots, - and _, such as momento.operations")
	taken, known := kindKeys[f.Kind]
	switch {
	case p.Has(at+".kind") && !known:
		p.fault(at+".kind", p.Quote(at+".kind", string(f.Kind))+" is not a kind of limiter", oneOf(string(f.Kind), kinds))
	case known:
		for _, key := range allKeys {
			if p.Has(at+"."+key) && !slices.Contains(taken, key) {
				p.fault(at+"."+key, fmt.Sprintf("is not a key of a %s limiter", f.Kind), "its keys are id, kind, "+strings.Join(taken, ", "))
			}
		}
		switch f.Kind {
		case Concurrency:
			p.environments(at, f, &l)
		case ItemSize:
			p.largest(at, f, &l)
		default:
			p.rate(at, f, &l)
		}
	}
	if l.ID == RequestTokens && l.Unit != "" && l.Unit != unit.Tokens {
		p.fault(at+".rate", fmt.Sprintf("%s is counted in tokens, not in %s", l.ID, l.Unit), "")
	}
	if !twice {
		p.limiters[f.ID] = l
	}
	p.system.Limiters = append(p.system.Limiters, l)
}

// rate reads a limiter that bounds an amount per second.
func (p *parser) rate(at string, f limiterFile, l *Limiter) {
	perSecond := p.perSecond(at+".rate", f.Rate)
	l.Limit, l.Unit = perSecond, f.Rate.Thing
	burst := at + ".burst"
	switch f.Kind {
	case TokenBucket:
		l.Burst = perSecond
		if p.Has(burst) {
			l.Burst = p.bucketBurst(burst, f.Burst, l.Unit)
		}
	case Partitions:
		l.Saved = time.Duration(f.Burst.duration)
		if f.Burst.durationErr != nil {
			p.textFault(burst, f.Burst.durationErr)
		} else if l.Saved > maxTime {
			p.fault(burst, "is longer than 24h", "")
		}
		l.Burst = limiter.PartitionBurst(perSecond, l.Saved)
		if p.need(at+".partitions", "write how many, such as 4") {
			if l.Partitions = f.Partitions; l.Partitions < 1 || l.Partitions > maxPartitions {
				p.fault(at+".partitions", fmt.Sprintf("is %d", l.Partitions), fmt.Sprintf("from 1 to %d are possible", maxPartitions))
				l.Partitions = 0
			}
		}
		l.Limit *= float64(l.Partitions)
		if l.Split = time.Duration(f.Split); p.Has(at+".split") && (l.Split < time.Minute || l.Split > maxTime) {
			p.fault(at+".split", "is not between 1m and 24h", "leave it out where partitions aren't split")
		}
	case OnDemand:
		l.Burst = perSecond
		if p.Has(at + ".most") {
			if l.Most = p.perSecond(at+".most", f.Most); f.Most.Thing != l.Unit && l.Unit != "" {
				p.fault(at+".most", fmt.Sprintf("%q is not in the unit of the rate, %s", f.Most, l.Unit), "")
			} else if l.Most < perSecond {
				p.fault(at+".most", "is less than the rate", "the rate is what the table serves at once, most what it can grow to")
			}
		}
	case Queue:
		l.Partitions, l.Servers = 1, 1
		for _, x := range []struct {
			key   string
			value int
			into  *int
		}{{".nodes", f.Nodes, &l.Partitions}, {".servers", f.Servers, &l.Servers}} {
			if p.Has(at + x.key) {
				if *x.into = x.value; x.value < 1 || x.value > maxNodes {
					p.fault(at+x.key, fmt.Sprintf("is %d", x.value), fmt.Sprintf("from 1 to %d are possible", maxNodes))
					*x.into = 1
				}
			}
		}
		p.longest(at, f, l)
		l.Limit *= float64(l.Partitions)
	case Tasks:
		p.longest(at, f, l)
		p.tasks(at+".tasks", f.Tasks, l)
	}
}

func (p *parser) longest(at string, f limiterFile, l *Limiter) {
	if l.Longest = time.Duration(f.Longest); l.Longest > maxTime {
		p.fault(at+".longest", "is longer than 24h", "")
	}
}

// tasks reads how the tasks of a service follow their charges.
func (p *parser) tasks(at string, f tasksFile, l *Limiter) {
	if !p.need(at, "write how many there may be and what they follow, such as {least: 1, most: 10, target: 30 ops/s}") {
		return
	}
	least := 1
	if p.Has(at + ".least") {
		least = f.Least
	}
	switch {
	case f.Most < 1 || f.Most > maxNodes:
		p.fault(at+".most", fmt.Sprintf("is %d", f.Most), fmt.Sprintf("from 1 to %d are possible", maxNodes))
	case least < 1 || least > f.Most:
		p.fault(at+".least", fmt.Sprintf("is %d", least), fmt.Sprintf("from 1 to the most, %d, are possible", f.Most))
	}
	target := p.perSecond(at+".target", f.Target)
	switch {
	case f.Target.Thing != l.Unit && l.Unit != "":
		p.fault(at+".target", fmt.Sprintf("%q is not in the unit of the rate, %s", f.Target, l.Unit), "")
	case target > l.Limit && l.Limit > 0:
		p.fault(at+".target", "is more than the rate of a task", "tasks would fall behind without ever being added")
	}
	for key, d := range map[string]unit.Duration{".cooldown": f.Cooldown, ".start": f.Start, ".late": f.Late} {
		if time.Duration(d) > maxTime {
			p.fault(at+key, "is longer than 24h", "")
		}
	}
	if time.Duration(f.Late)%time.Minute != 0 {
		p.fault(at+".late", "is not a number of whole minutes", "metrics are those of minutes: write 1m")
	}
	cooldown := time.Duration(f.Cooldown)
	l.Tracked = Tracked{
		Tracking: limiter.Tracking{Target: target, Min: least, Max: f.Most, OutCooldown: cooldown, InCooldown: cooldown},
		Start:    time.Duration(f.Start), Late: time.Duration(f.Late),
	}
	l.Limit *= float64(f.Most)
}

// largest reads a limiter that bounds the size of an item.
func (p *parser) largest(at string, f limiterFile, l *Limiter) {
	if !p.need(at+".largest", "write a size, such as 1MB") {
		return
	}
	switch q := f.Largest; {
	case q.Amount <= 0:
		p.fault(at+".largest", "is zero: nothing would ever be served", "")
	case q.Amount > largest:
		p.fault(at+".largest", "is too large", fmt.Sprintf("the most is %g", largest))
	default:
		l.Limit, l.Unit = q.Amount, q.Thing
	}
}

// perSecond reads the rate of a limiter; it is 0 where the file is at fault.
func (p *parser) perSecond(path string, r unit.Rate) float64 {
	if !p.need(path, "write an amount, what is counted and a period, such as 2000 tokens/s") {
		return 0
	}
	v := r.PerSecond()
	switch {
	case r.Thing == unit.Arrivals:
		p.fault(path, fmt.Sprintf("%q doesn't say what is counted", r), "write it as 2000 tokens/s, 100 ops/s, 3000 RCU/s or 1MB/s")
	case v <= 0:
		p.fault(path, "is zero: nothing would ever be served", "")
	case v > largest:
		p.fault(path, "is too large", fmt.Sprintf("the most is %g per second", largest))
	default:
		return v
	}
	return 0
}

func (p *parser) bucketBurst(path string, b burst, thing string) float64 {
	q := b.quantity
	switch {
	case b.quantityErr != nil:
		p.textFault(path, b.quantityErr)
	case q.Thing != thing && thing != unit.Arrivals:
		p.fault(path, fmt.Sprintf("%q is not in the unit of the rate, %s", q, thing), "")
	case q.Amount <= 0:
		p.fault(path, "is zero: nothing would ever be served", "")
	case q.Amount > largest:
		p.fault(path, "is too large", fmt.Sprintf("the most is %g", largest))
	}
	return q.Amount
}

func (p *parser) operation(at string, f operationFile) {
	o := Operation{Name: f.Name, Response: Response{int64(f.Response.Bytes)}}
	p.newName(at+".name", f.Name, p.operations[f.Name], operationName, "the name of a GraphQL operation: letters, digits and _, such as listPrograms")
	p.operations[f.Name] = true
	o.ServiceTime = p.serviceTime(at+".service_time", f.ServiceTime)
	for i, c := range f.Charges {
		path := fmt.Sprintf("%s.charges[%d]", at, i)
		charge := p.charge(path, c)
		if charge.Hold && !p.Has(at+".service_time") {
			p.fault(path+".hold", "the operation has no service_time", "say how long it takes, such as service_time: 80ms")
		}
		o.Charges = append(o.Charges, charge)
	}
	p.system.Operations = append(p.system.Operations, o)
}

func (p *parser) serviceTime(path string, f serviceTime) Distribution {
	d := Distribution{Shape: Constant}
	switch m := f.mapping; {
	case f.constant != nil:
		d.Mean = time.Duration(*f.constant)
	case m == nil:
		return d
	case m.Exponential != nil && m.Lognormal == nil:
		d = Distribution{Shape: Exponential, Mean: time.Duration(m.Exponential.Mean)}
	case m.Lognormal != nil && m.Exponential == nil:
		d = Distribution{Shape: Lognormal, P50: time.Duration(m.Lognormal.P50), P99: time.Duration(m.Lognormal.P99)}
		if d.P50 <= 0 {
			p.fault(path+".lognormal.p50", "is zero", "")
		} else if d.P99 < d.P50 {
			p.fault(path+".lognormal.p99", "is shorter than p50", "")
		}
	default:
		p.fault(path, "is not a distribution", "write a duration, {exponential: {mean: 80ms}} or {lognormal: {p50: 80ms, p99: 400ms}}")
	}
	if max(d.Mean, d.P99) > maxTime {
		p.fault(path, "is longer than 24h", "")
	}
	return d
}

func (p *parser) charge(at string, f chargeFile) ChargeSpec {
	c := ChargeSpec{Limiter: f.Limiter}
	if p.Has(at + ".share") {
		if c.Share = float64(f.Share); c.Share <= 0 || c.Share > 1 {
			p.fault(at+".share", "is not a part of the requests", "write it as 2%, or leave it out where all requests make the charge")
		}
	}
	l, known := p.limiters[f.Limiter]
	if !known {
		if p.Has(at + ".limiter") {
			ids := make([]string, len(p.system.Limiters))
			for i, l := range p.system.Limiters {
				ids[i] = l.ID
			}
			p.fault(at+".limiter", p.Quote(at+".limiter", f.Limiter)+" is not the id of a limiter of this file", oneOf(f.Limiter, ids))
		}
		return c
	}
	if kindKeys[l.Kind] == nil {
		return c // what a charge needs isn't known
	}
	if l.Kind == Concurrency {
		for _, key := range []string{"amount", "key"} {
			if p.Has(at + "." + key) {
				p.fault(at+"."+key, "is not a key of a charge on a concurrency limiter", "a request takes one environment: write hold: service_time")
			}
		}
		if p.need(at+".hold", "write hold: service_time") && f.Hold != "service_time" {
			p.fault(at+".hold", p.Quote(at+".hold", f.Hold)+" is not known", "write hold: service_time")
		}
		c.Amount, c.Hold, c.Account = Amount{Cold: 1, Warm: 1}, true, l.Account
		return c
	}
	if p.Has(at + ".hold") {
		p.fault(at+".hold", fmt.Sprintf("a %s limiter is not held", l.Kind), "write an amount")
	}
	if p.need(at+".amount", "write how much a request charges, in the limiter's unit") {
		c.Amount = p.amount(at+".amount", f.Amount, l)
	}
	if l.Kind != Partitions && l.Kind != Queue {
		if p.Has(at + ".key") {
			p.fault(at+".key", fmt.Sprintf("a %s limiter has no keys", l.Kind), "")
		}
		return c
	}
	c.Keys = p.keys(at+".key", f.Key)
	if l.Partitions > 0 && !p.marked[at+".key"] {
		c.Hottest = slices.Max(l.Spread(c.Keys))
	}
	return c
}

func (p *parser) amount(path string, f amount, l Limiter) Amount {
	m := f.mapping
	if m == nil {
		v := p.quantity(path, *f.plain, l)
		return Amount{Cold: v, Warm: v}
	}
	forms := 0
	for _, key := range []string{".cold", ".mixture", ".lognormal"} {
		if p.Has(path + key) {
			forms++
		}
	}
	if p.Has(path+".mixture") || p.Has(path+".lognormal") {
		if p.Has(path+".warm") || p.Has(path+".after") {
			forms++
		}
	} else if p.Has(path+".warm") || p.Has(path+".after") {
		forms = 1
	}
	if forms != 1 {
		p.fault(path, "is not an amount", "write an amount, {cold: 200, warm: 100, after: 60s}, {mixture: [{amount: 1, share: 70%}, {amount: 4, share: 30%}]} or {lognormal: {p50: 1MB, p99: 3MB}}")
		return Amount{}
	}
	if l.Kind == ItemSize && !p.Has(path+".cold") {
		l.Limit = 0 // a part of the items may well be too large
	}
	switch {
	case p.Has(path + ".mixture"):
		return p.mixture(path+".mixture", m.Mixture, l)
	case p.Has(path + ".lognormal"):
		a := Amount{P50: float64(m.Lognormal.P50.Amount), P99: float64(m.Lognormal.P99.Amount)}
		p.quantity(path+".lognormal.p50", m.Lognormal.P50, l)
		p.quantity(path+".lognormal.p99", m.Lognormal.P99, l)
		if l.ID == RequestTokens {
			p.fault(path+".lognormal", "tokens are whole: a lognormal amount is not", "write a mixture")
		} else if a.P50 <= 0 {
			p.fault(path+".lognormal.p50", "is zero", "")
		} else if a.P99 < a.P50 {
			p.fault(path+".lognormal.p99", "is smaller than p50", "")
		}
		return a
	}
	for _, key := range []string{".cold", ".warm", ".after"} {
		p.need(path+key, "write all three of cold, warm and after")
	}
	return Amount{
		Cold:  p.quantity(path+".cold", m.Cold, l),
		Warm:  p.quantity(path+".warm", m.Warm, l),
		After: time.Duration(m.After),
	}
}

// mixture reads amounts with their shares, which are one together.
func (p *parser) mixture(path string, parts []partFile, l Limiter) (a Amount) {
	var total float64
	for i, f := range parts {
		at := fmt.Sprintf("%s[%d]", path, i)
		a.Mixture = append(a.Mixture, Part{p.quantity(at+".amount", f.Amount, l), float64(f.Share)})
		if f.Share <= 0 {
			p.fault(at+".share", "is not a part of the requests", "write it as 30%")
		}
		total += float64(f.Share)
	}
	switch {
	case len(parts) == 0:
		p.fault(path, "is empty", "name at least one amount with its share")
	case math.Abs(total-1) > 1e-9:
		p.fault(path, fmt.Sprintf("has shares of %s together", unit.HumanShare(total)), "they must be 100 % together")
	}
	return a
}

// quantity reads an amount that is charged to l.
func (p *parser) quantity(path string, q quantity, l Limiter) float64 {
	v := q.Amount
	capacity := l.atOnce()
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		p.fault(path, "is not a number", "")
	case v < 0:
		p.fault(path, "is negative", "")
	case q.Thing != unit.Arrivals && l.Unit != "" && q.Thing != l.Unit:
		p.fault(path, fmt.Sprintf("%q is not in the unit of %s, %s", unit.Quantity(q), l.ID, l.Unit), "")
	case l.ID == RequestTokens && v != math.Trunc(v):
		p.fault(path, fmt.Sprintf("%g is not a whole number of tokens", v), "")
	case capacity > 0 && v > capacity:
		p.fault(path, fmt.Sprintf("could never be served: %s admits at most %s at once", l.ID, unit.Quantity{Amount: capacity, Thing: l.Unit}), "charge less, or raise the limiter's burst or rate")
	}
	return v
}

func (p *parser) keys(path string, f keys) Keys {
	k := Keys{}
	switch uniform, zipf := p.Has(path+".uniform"), p.Has(path+".zipf"); {
	case uniform && !zipf:
		k, path = Keys{UniformKeys, f.Uniform}, path+".uniform"
	case zipf && !uniform:
		k, path = Keys{ZipfKeys, f.Zipf}, path+".zipf"
	default:
		if p.Has(path) {
			p.fault(path, "is not a distribution of keys", "write {uniform: 500} or {zipf: 500}, or leave it out")
		}
		return k
	}
	if k.N < 1 || k.N > maxKeys {
		p.fault(path, fmt.Sprintf("is %d", k.N), fmt.Sprintf("from 1 to %d keys are possible", maxKeys))
	}
	return k
}

// newName checks a name that must be of a form and stand once.
func (p *parser) newName(path, name string, taken bool, form *regexp.Regexp, hint string) {
	switch {
	case !p.Has(path):
	case !form.MatchString(name):
		p.fault(path, p.Quote(path, name)+" is not a name that can be used here", "use "+hint)
	case taken:
		p.fault(path, p.Quote(path, name)+" is used twice", "")
	}
}

// textFault reports what a value's own notation says is wrong with it.
func (p *parser) textFault(path string, err error) {
	problem, hint := err.Error(), ""
	if s, ok := errors.AsType[strict.Problem](err); ok {
		problem, hint = s.Fault()
	}
	p.fault(path, problem, hint)
}

// oneOf is the hint for a word that is not among the known ones.
func oneOf(word string, known []string) string {
	if near := strict.Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return "the file has none"
	}
	return "one of " + strings.Join(known, ", ")
}
