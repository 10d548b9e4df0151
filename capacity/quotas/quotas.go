// Package quotas is the room of limits: which quotas the load of a scenario can
// run into, how high each one is, who says so, and which series show its use.
//
// A limit has up to four origins, the strongest first: the scenario's quotas:,
// the account's applied value, the System file of a sandbox, and the dated
// default of the embedded catalogue. Resolve takes the strongest and keeps the
// others beside it. In a sandbox the catalogue gives no limit: a System says
// itself what it has. Check finds the faults in what a scenario says of quotas.
package quotas

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/sdl"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Code names a quota of Service Quotas by the codes of the service and of the
// quota.
type Code struct{ Service, Quota string }

// Limit is what an account's limit is.
type Limit struct {
	Amount     float64
	Per        time.Duration // 0: the answer named no period, or it is a level
	Adjustable bool
	Source     string // the API that answered
}

// Applied answers what the limits of an account are now.
type Applied interface {
	// Limits returns those of the limits asked for that the account's APIs know.
	// On an error, what could be read is returned beside it; an error that wraps
	// several is reported as so many events.
	Limits(ctx context.Context, codes []Code) (map[Code]Limit, error)
}

// Resolution is what Resolve found.
type Resolution struct {
	Quotas []capacity.Quota
	// Want lists the series that show the quotas' use, without points, to be
	// observed: by quota, in the order of Quotas.
	Want []measure.Series
	// Events tells what the account's APIs did not answer.
	Events []capacity.Event
}

// Resolve returns the quotas that the scenario's load can run into, with their
// limits. sys is the System of a sandbox target, else nil. applied may be nil:
// then no account is asked; it is not asked either where the scenario names no
// AWS Region.
//
// In a sandbox the quotas are the limiters that the scenario's operations
// charge. Elsewhere appsync.request-tokens is one where the endpoint is
// AppSync's or the scenario names the quota, and the observe: entries bring in
// the others. What Kafka brokers have in force comes by InForce.
func Resolve(ctx context.Context, s *scenarios.Scenario, sys *model.System, applied Applied) Resolution {
	var candidates []candidate
	if sys != nil {
		candidates = ofSystem(s, sys)
	} else {
		candidates = ofCatalogue(s)
	}
	var r Resolution
	limits := make(map[Code]Limit)
	var asked []Code
	if applied != nil && (sys != nil || s.Target.AWS.Region != "") {
		for _, c := range candidates {
			if c.code != (Code{}) && !slices.Contains(asked, c.code) {
				asked = append(asked, c.code)
			}
		}
	}
	if len(asked) > 0 {
		var err error
		limits, err = applied.Limits(ctx, asked)
		for _, e := range split(err) {
			r.Events = append(r.Events, capacity.Event{Kind: capacity.SourceFault, Text: e.Error()})
		}
	}
	today := time.Now().UTC().Format(time.DateOnly)
	for _, c := range candidates {
		q := c.quota
		if l, ok := limits[c.code]; ok {
			per := l.Per
			if per == 0 || q.Kind != capacity.RateQuota {
				per = c.per
			}
			v := amount{Per: per}.perSecond(l.Amount)
			if v > 0 && !math.IsInf(v, 0) {
				override(&q, capacity.FromServiceQuotas, v, l.Source, today)
				q.Adjustable = l.Adjustable
			} else {
				r.Events = append(r.Events, capacity.Event{Kind: capacity.SourceFault, Text: fmt.Sprintf("%s answers %g for %s, which is no limit", l.Source, l.Amount, q.ID)})
			}
		}
		if q.Origin == capacity.FromCatalogue {
			if slices.Contains(asked, c.code) {
				q.Notes = append(q.Notes, "the account's own value could not be read: this is the catalogue's default")
			}
			q.Notes = append(q.Notes, c.history...)
		}
		for _, o := range s.Quotas {
			if o.ID == q.ID {
				override(&q, capacity.FromScenario, o.PerSecond(), "quotas: of the scenario", "")
			}
		}
		if q.Limit == 0 { // only the target knows it
			continue
		}
		r.Quotas = append(r.Quotas, q)
		r.Want = append(r.Want, c.want...)
	}
	return r
}

// candidate is a quota with the limit of its weakest origin.
type candidate struct {
	quota capacity.Quota
	// code is what Service Quotas calls the limit; zero where it can't be asked.
	code    Code
	per     time.Duration // period of an applied value that names none
	history []string
	want    []measure.Series
}

// override gives q the limit of a stronger origin.
func override(q *capacity.Quota, origin capacity.Origin, limit float64, source, asOf string) {
	if q.Limit > 0 { // nobody says what it is otherwise
		q.Overrides = slices.Insert(q.Overrides, 0, capacity.Overridden{Origin: q.Origin, Limit: q.Limit})
	}
	q.Origin, q.Limit, q.Source, q.AsOf = origin, limit, source, asOf
}

func split(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// ofCatalogue returns the quotas of a real target.
func ofCatalogue(s *scenarios.Scenario) []candidate {
	region, msk := regionOf(s), ""
	if s.Target.Kafka != nil {
		msk = s.Target.Kafka.MSK
	}
	var out []candidate
	for _, e := range catalogue() {
		for _, resource := range resources(s, e) {
			g, ok := e.inForce(region, msk)
			if !ok { // the scenario says what it is
				g = generation{Limit: amount{Thing: e.Defaults[0].Limit.Thing, Per: e.Defaults[0].Limit.Per}}
			}
			c := candidate{
				quota: capacity.Quota{
					ID: e.id(resource), Name: e.Name, Kind: e.kind(),
					Limit: g.Limit.perSecond(g.Limit.Amount), Unit: g.Limit.Thing, Burst: g.Burst.Amount,
					Origin: capacity.FromCatalogue, Source: g.Source, AsOf: g.AsOf,
					Service: e.Service, Code: e.Code, Adjustable: e.Adjustable, Each: e.Each, Notes: slices.Clone(e.Notes),
				},
				per: g.Limit.Per, history: e.history(),
			}
			if g.Note != "" {
				c.quota.Notes = append(c.quota.Notes, g.Note)
			}
			if g.Limit.Per > 0 {
				c.quota.Period = "s"
			}
			if c.quota.Kind == capacity.LevelQuota {
				c.quota.Requests = e.Requests.PerSecond()
			}
			if e.Code != "" {
				c.code = Code{e.Service, e.Code}
			}
			if s.Target.AWS.Region != "" {
				c.want = e.series(c.quota.ID, resource, false)
			}
			out = append(out, c)
		}
	}
	return append(out, ofKafka(s)...)
}

// resources returns what of the scenario brings the entry in: one resource for
// each quota. An entry of the whole account has at most one.
func resources(s *scenarios.Scenario, e entry) []string {
	var rs []string
	switch e.Part {
	case graphqlPart:
		if s.Target.GraphQL != nil && (isAppSync(s.Target.GraphQL) || names(s, e.ID)) {
			rs = append(rs, "")
		}
	case kafkaPart:
		if k := s.Target.Kafka; k != nil && slices.ContainsFunc(s.Loads, scenarios.Load.Kafka) && (!e.IAM || k.SASL.Mechanism == scenarios.MSKIAM) {
			if _, ok := e.inForce("", k.MSK); ok || slices.ContainsFunc(s.Quotas, func(o scenarios.QuotaOverride) bool { return o.ID == e.ID }) {
				rs = append(rs, "")
			}
		}
	default:
		for _, o := range s.Observe {
			r := map[string]string{lambdaPart: o.Lambda, dynamodbPart: o.DynamoDB, momentoPart: o.Momento}[e.Part]
			if r != "" && !slices.Contains(rs, r) {
				rs = append(rs, r)
			}
		}
		if _, hole, _ := e.split(); hole == "" && len(rs) > 1 {
			rs = rs[:1]
		}
	}
	return rs
}

// names reports whether the scenario says something of the quota.
func names(s *scenarios.Scenario, id string) bool {
	of := func(t scenarios.Threshold) bool { return ofQuota(t) && t.Of == id }
	return slices.ContainsFunc(s.Quotas, func(o scenarios.QuotaOverride) bool { return o.ID == id }) ||
		slices.ContainsFunc(s.Thresholds, of) || slices.ContainsFunc(s.Stop, of)
}

// ofQuota reports whether a threshold is about a quota.
func ofQuota(t scenarios.Threshold) bool {
	return slices.Contains([]string{"headroom", "utilization", "binds_at"}, t.Metric)
}

// appsyncHost matches an AppSync endpoint without a domain of its own.
var appsyncHost = regexp.MustCompile(`\.appsync-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$`)

// isAppSync reports whether the endpoint is AppSync's: by its host, or because
// requests are signed for the service. A domain of one's own doesn't show.
func isAppSync(g *scenarios.GraphQL) bool {
	return g.Auth.IAM || appsyncHost.MatchString(host(g))
}

func host(g *scenarios.GraphQL) string {
	u, err := url.Parse(g.Endpoint)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// regionOf returns the Region that the scenario names, or that its endpoint
// shows, or "".
func regionOf(s *scenarios.Scenario) string {
	if s.Target.AWS.Region != "" {
		return s.Target.AWS.Region
	}
	if s.Target.GraphQL != nil {
		if m := appsyncHost.FindStringSubmatch(host(s.Target.GraphQL)); m != nil {
			return m[1]
		}
	}
	return ""
}

// ofSystem returns the quotas of a sandbox: the limiters that the scenario's
// operations charge, in the order of the System file.
func ofSystem(s *scenarios.Scenario, sys *model.System) []candidate {
	var out []candidate
	for _, l := range sys.Limiters {
		if sys.Kafka != nil && l.ID == model.ProducerByteRate {
			if slices.ContainsFunc(s.Loads, scenarios.Load.Kafka) {
				out = append(out, ofBrokers(s, sys))
			}
			continue
		}
		loads, operations, specs, all := chargers(s, sys, l.ID)
		if len(specs) == 0 {
			continue
		}
		c := candidate{quota: capacity.Quota{
			ID: l.ID, Name: l.ID, Kind: capacity.RateQuota, Limit: l.Limit, Unit: l.Unit, Period: "s", Burst: l.Burst,
			Origin: capacity.FromSystem, Source: "System file " + sys.Name, AsOf: sys.AsOf,
		}, per: time.Second}
		if !all {
			c.quota.Loads, c.quota.Operations = loads, operations
		}
		switch l.Kind {
		case model.Concurrency:
			c.quota.Kind, c.quota.Period, c.per = capacity.LevelQuota, "", 0
			c.quota.Requests, c.quota.Provisioned = l.Requests, float64(l.Provisioned)
		case model.ItemSize:
			c.quota.Kind, c.quota.Period, c.per = capacity.FixedQuota, "", 0
		case model.Window:
			c.quota.Windowed = true
		case model.Partitions:
			partitions(&c.quota, l, specs)
		case model.Queue:
			if l.Partitions > 1 {
				nodes(&c.quota, l, specs)
			}
		case model.Tasks:
			x := l.Tracked
			c.quota.Notes = append(c.quota.Notes, fmt.Sprintf("what %d tasks work off; it begins with %d, and more come no sooner than three minutes above the target of %s each", x.Max, x.Min, unit.HumanRate(x.Target, l.Unit)))
		case model.OnDemand:
			c.quota.Notes = append(c.quota.Notes, "what the table serves at once; it grows to twice its highest use within 30 minutes of it")
		}
		e, resource, known := lookup(l.ID)
		if !known || !e.measured() || e.kind() != c.quota.Kind {
			c.want = sandboxSeries(l)
			out = append(out, c)
			continue
		}
		if l.Kind != model.Partitions { // theirs is no quota that anyone can raise
			c.quota.Name, c.quota.Service, c.quota.Code, c.quota.Adjustable = e.Name, e.Service, e.Code, e.Adjustable
		}
		if resource == "" {
			resource = sandboxResource
			// What Service Quotas says of every table is not what the System
			// says of this one, so a quota of one resource isn't asked for.
			if e.Code != "" && l.Kind != model.Partitions {
				c.code = Code{e.Service, e.Code}
			}
		}
		c.want = e.series(l.ID, resource, true)
		if l.Provisioned == 0 {
			c.want = slices.DeleteFunc(c.want, func(w measure.Series) bool {
				return w.Role == capacity.RoleProvisioned || w.Role == capacity.RoleSpilled
			})
		}
		out = append(out, c)
	}
	for i := range out {
		for _, o := range out {
			if o.quota.ID != out[i].quota.ID && before(sys, o.quota.ID, out[i].quota.ID) {
				out[i].quota.Behind = append(out[i].quota.Behind, o.quota.ID)
			}
		}
	}
	return out
}

// before reports whether every operation of the System that charges both limiters
// charges the first before the second, and there is one. What a function or its account
// refuses charges neither, so each stands before the other.
func before(sys *model.System, first, second string) bool {
	found := false
	for _, op := range sys.Operations {
		at := func(id string) int {
			return slices.IndexFunc(op.Charges, func(c model.ChargeSpec) bool { return c.Limiter == id || c.Account == id })
		}
		i, j := at(first), at(second)
		if i < 0 || j < 0 {
			continue
		}
		if i > j {
			return false
		}
		found = true
	}
	return found
}

// partitions gives q the rate at which the partition that is charged most is
// full. Only evenly spread keys can use what all partitions have together.
func partitions(q *capacity.Quota, l model.Limiter, specs []model.ChargeSpec) {
	one, hottest := hottest(l, specs)
	q.Limit, q.Burst = one/hottest, 0
	q.Partitions, q.Saved = l.Partitions, l.Saved.Seconds()
	if l.Partitions == 1 {
		q.Notes = append(q.Notes, "what one partition allows, which no quota raises")
	} else {
		q.Notes = append(q.Notes, fmt.Sprintf(
			"%d partitions of %s each, of which the one charged most gets %s: it is full when the table is used at this limit, while evenly spread keys could use %s",
			l.Partitions, unit.HumanRate(one, l.Unit), unit.HumanShare(hottest), unit.HumanRate(l.Limit, l.Unit)))
	}
	if l.Saved > time.Second {
		q.Notes = append(q.Notes, fmt.Sprintf("each partition saves up %s of unused capacity, so use may stand above the limit for a while", unit.FormatDuration(l.Saved)))
	}
	if l.Split > 0 {
		q.Notes = append(q.Notes, fmt.Sprintf("a partition that is full for %s is split in two, each with its rate, unless a single key makes it hot", unit.FormatDuration(l.Split)))
	}
}

// nodes gives q the rate at which the node of a cluster that is charged most is
// busy all the time.
func nodes(q *capacity.Quota, l model.Limiter, specs []model.ChargeSpec) {
	one, hottest := hottest(l, specs)
	q.Limit, q.Burst = one/hottest, 0
	q.Notes = append(q.Notes, fmt.Sprintf("%d nodes of %s each, of which the one charged most gets %s: more nodes don't help a key that one of them holds",
		l.Partitions, unit.HumanRate(one, l.Unit), unit.HumanShare(hottest)))
}

// hottest returns the rate of one partition or node, and the share of the charges
// that the one charged most gets.
func hottest(l model.Limiter, specs []model.ChargeSpec) (one, share float64) {
	for _, c := range specs {
		share = max(share, c.Hottest)
	}
	if share <= 0 {
		share = 1 / float64(l.Partitions)
	}
	return l.Limit / float64(l.Partitions), share
}

// sandboxSeries returns what the sandbox publishes of a limiter whose use no
// service's metrics show.
func sandboxSeries(l model.Limiter) []measure.Series {
	metric := func(role, name, statistic, thing string) measure.Series {
		return measure.Series{
			Source: "cloudwatch", Namespace: "Headroom/Sandbox", Metric: name, Labels: map[string]string{"Limiter": l.ID},
			Quota: l.ID, Role: role, Statistic: statistic, Unit: thing, Period: period,
		}
	}
	used := "Sum"
	if l.Kind == model.Concurrency || l.Kind == model.ItemSize {
		used = "Maximum"
	}
	want := []measure.Series{
		metric(capacity.RoleUsage, "Consumed", used, l.Unit),
		metric(capacity.RoleThrottles, "Throttles", "Sum", unit.Requests),
		metric(capacity.RoleRequests, "Requests", "Sum", unit.Requests),
	}
	if l.Kind == model.Concurrency {
		want = append(want, metric(capacity.RoleDuration, "Duration", "Sum", "ms"))
	}
	if l.Provisioned > 0 {
		want = append(want, metric(capacity.RoleProvisioned, "ProvisionedRequests", "Sum", unit.Requests), metric(capacity.RoleSpilled, "SpilledRequests", "Sum", unit.Requests))
	}
	return want
}

// chargers returns the loads and operations of the scenario that charge a
// limiter, how they do, and whether that is all of them.
func chargers(s *scenarios.Scenario, sys *model.System, limiter string) (loads, operations []string, specs []model.ChargeSpec, all bool) {
	all = true
	for _, l := range s.Loads {
		for _, op := range l.Operations {
			name, _ := ServedAs(op)
			i := slices.IndexFunc(sys.Operations, func(o model.Operation) bool { return o.Name == name })
			charges := false
			if i >= 0 {
				for _, c := range sys.Operations[i].Charges {
					if c.Limiter == limiter || c.Account == limiter {
						specs = append(specs, c)
						charges = true
					}
				}
			}
			if !charges {
				all = false
				continue
			}
			if !slices.Contains(loads, l.Name) {
				loads = append(loads, l.Name)
			}
			operations = append(operations, op.Name)
		}
	}
	return loads, operations, specs, all
}

// ServedAs returns the name by which a System knows an operation: that of the
// GraphQL operation which is sent, "" where it has none. It reports false where
// the document can't be read, which is a fault of its own.
func ServedAs(op scenarios.Operation) (string, bool) {
	if op.GraphQL == nil {
		return "", false
	}
	doc, errs := sdl.Parse(op.GraphQL.DocumentFile, []byte(op.GraphQL.Document))
	if len(errs) > 0 {
		return "", false
	}
	sent, err := sdl.Named(doc, op.GraphQL.OperationName)
	if err != nil {
		return "", false
	}
	return sent.Name, true
}
