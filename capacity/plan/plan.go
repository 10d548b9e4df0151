// Package plan is the room of what a launch needs: from an assessed run and a
// target rate to the quotas that must rise, to what, and in which order.
//
// A requirement is arithmetic, not a prediction: a product of factors, each with
// its reason, so that a reader can strike one. Factors are never doubled up: a
// cost that is taken at its dear end gets no blanket allowance on top. What the
// present limits carry is a prediction and keeps the grade of the assessment.
//
// Nothing here reads a clock, a network or a file.
package plan

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/price"
	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Request is what is planned for.
type Request struct {
	// Rate is the target in arrivals per second of the run's loads together.
	Rate float64
	// Margin is the confidence, such as 0.99, with which the busiest second of a
	// minute and the tail of a level are covered; 0: means only.
	Margin float64
	// LoseOneOf is of how many units (zones, brokers) one may fail, the others
	// taking its part; 0: none fails.
	LoseOneOf int
	// WhatIf changes the run's costs before anything is planned.
	WhatIf WhatIf
}

// WhatIf is what is supposed to differ from the run.
type WhatIf struct {
	// Tokens is the mean charge of one arrival on appsync.request-tokens; nil: as
	// in the run.
	Tokens *float64
	// HitRatio is the share of arrivals that a cache answers without DynamoDB.
	HitRatio *float64
	// Duration is how long an arrival holds an environment, in seconds.
	Duration *float64
	// Mix is the weight of each operation by name; nil: as in the run.
	Mix map[string]float64
}

// Plan is what a target rate needs.
type Plan struct {
	Run      string  `json:"run"`
	Scenario string  `json:"scenario"`
	Rate     float64 `json:"rate"` // arrivals per second
	Margin   float64 `json:"margin"`
	// Supposed lists in words what the plan takes for given beyond the run.
	Supposed []string `json:"supposed"`
	// Carries is the rate that the present limits carry by the plan's factors, in
	// arrivals per second, and Limit the quota that stops it. It is 0 where a fixed
	// quota refuses requests at any rate: Fails says so in words, one for each, and
	// Rest is what is carried of those that aren't refused, nil elsewhere.
	Carries *float64 `json:"carries"`
	Limit   string   `json:"limit"`
	Fails   []string `json:"fails"`
	Rest    *Carried `json:"rest"`
	// Tested is the highest rate that the run tested, and Grade how far Rate lies
	// from it.
	Tested float64        `json:"tested"`
	Grade  capacity.Grade `json:"grade"`
	// Steps are the quotas that fall short, the one that binds first in front.
	Steps []Step `json:"steps"`
	// Enough are the quotas that suffice, and Unknown those whose cost per
	// arrival the run does not tell.
	Enough  []Need   `json:"enough"`
	Unknown []string `json:"unknown"`
	// Consumers are the groups that must take more than they did.
	Consumers []ConsumerNeed `json:"consumers"`
	Warnings  []string       `json:"warnings"`
	// PerHour is what an hour at the target costs by list prices, in US dollars, no
	// request being refused any more: each part in proportion to the run's, at the
	// mean costs that are supposed; nil where nothing of it has a price.
	PerHour *price.Bill `json:"per_hour"`
}

// Carried is a rate in arrivals per second, and the quota that allows no more.
type Carried struct {
	Carries float64 `json:"carries"`
	Limit   string  `json:"limit"`
}

// Need is what the target needs of one quota.
type Need struct {
	Quota    string             `json:"quota"`
	Name     string             `json:"name"`
	Kind     capacity.QuotaKind `json:"kind"`
	Unit     string             `json:"unit"`
	Limit    float64            `json:"limit"`
	Origin   capacity.Origin    `json:"origin"`
	Required float64            `json:"required"` // the product of Factors, rounded up to whole units
	Grade    capacity.Grade     `json:"grade"`    // always arithmetic
	Factors  []Factor           `json:"factors"`
	// Carries is the highest rate, in arrivals per second of all loads, that needs no
	// more than the limit, with the margins of that rate; nil of a fixed quota, which
	// no rate uses up.
	Carries    *float64 `json:"carries"`
	Adjustable bool     `json:"adjustable"`
	Service    string   `json:"service,omitempty"` // codes of Service Quotas
	Code       string   `json:"code,omitempty"`
}

// Factor is one factor of a requirement.
type Factor struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
	Why   string  `json:"why"`
}

// Step is one quota that must rise, or be taken out of the way.
type Step struct {
	Need
	// Reaches is the rate that is carried once this step and those before it are
	// taken: what the next quota allows, or the target.
	Reaches float64 `json:"reaches"`
	// Redesign says what removes a limit that can't be raised, or is dear to.
	Redesign string `json:"redesign,omitempty"`
	// LeadTime says how long a change takes, where that is known.
	LeadTime string `json:"lead_time,omitempty"`
}

// ErrNoCosts is returned for a run that tells no quota's cost.
var ErrNoCosts = errors.New("the run tells no quota's cost per request, so nothing can be planned from it")

// ErrCostHidden is returned for a run in which a quota refused so much that what a
// request charges of it isn't known. That quota binds first, and is in no plan without it.
var ErrCostHidden = errors.New("the run doesn't tell what a request charges of a quota that it ran into, so nothing can be planned from it")

// New plans for the target from a run and its assessment. The run may have any
// verdict, since a requirement is arithmetic; that it isn't VALID is a warning.
// Its errors say what of the request can't be answered from this run.
func New(run *capacity.Run, a capacity.Assessment, r Request) (*Plan, error) {
	if a.Withheld != "" {
		return nil, fmt.Errorf("%w: %s", ErrNoCosts, a.Withheld)
	}
	p := &Plan{
		Run: run.Manifest.ID, Scenario: run.Manifest.Scenario.Name, Rate: r.Rate, Margin: r.Margin,
		Steps: []Step{}, Enough: []Need{}, Unknown: []string{}, Supposed: []string{}, Warnings: []string{}, Fails: []string{},
	}
	if a.Verdict.Status != capacity.Valid {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the run is %s: what follows is arithmetic with costs that may be wrong", a.Verdict.Status))
	}
	costs, err := r.WhatIf.costs(run, a, p)
	if err != nil {
		return nil, err
	}
	limits := make(map[string]capacity.Quota)
	for _, q := range run.Manifest.Quotas {
		limits[q.ID] = q
	}
	var needs []Need
	for _, q := range a.Quotas {
		p.Tested = max(p.Tested, q.TestedRate/shareOf(run, limits[q.ID]))
		if q.Kind == capacity.FixedQuota {
			p.fixed(limits[q.ID], q)
			continue
		}
		c, ok := costs[q.ID]
		if !ok && q.BindsAtMost != nil {
			instead := ""
			if q.ID == capacity.RequestTokens {
				instead = ", or suppose what one charges (--tokens)"
			}
			return nil, fmt.Errorf("%w: %s refused so many requests, dear ones first, that those it admitted don't speak for all; rehearse with a stage below it%s", ErrCostHidden, q.ID, instead)
		}
		if !ok {
			p.Unknown = append(p.Unknown, q.ID)
			continue
		}
		if c.value <= 0 {
			continue
		}
		needs = append(needs, r.need(limits[q.ID], q, c, run))
	}
	if len(needs) == 0 {
		return nil, ErrNoCosts
	}
	slices.SortStableFunc(needs, func(x, y Need) int {
		return cmp.Or(cmp.Compare(*x.Carries, *y.Carries), cmp.Compare(x.Quota, y.Quota))
	})
	for i := range p.Steps {
		p.Steps[i].Reaches = min(r.Rate, *needs[0].Carries)
	}
	if len(p.Fails) > 0 {
		p.Carries, p.Rest = new(0.0), &Carried{*needs[0].Carries, needs[0].Quota}
	} else {
		p.Carries, p.Limit = needs[0].Carries, needs[0].Quota
	}
	p.Grade = capacity.GradeOf(r.Rate, p.Tested)
	for i, n := range needs {
		if n.Required <= n.Limit {
			p.Enough = append(p.Enough, n)
			continue
		}
		reaches := r.Rate
		if i+1 < len(needs) {
			reaches = min(reaches, *needs[i+1].Carries)
		}
		p.Steps = append(p.Steps, Step{Need: n, Reaches: reaches, Redesign: redesign(limits[n.Quota], costs[n.Quota].value), LeadTime: leadTime(n)})
	}
	p.Consumers = r.consumers(run, a)
	lacking := slope(run, a, r, costs)
	if lacking.environments > 0 {
		p.Warnings = append(p.Warnings, lacking.String())
	}
	if b := price.Of(run).PerHour(r.Rate, r.WhatIf.use(run, a, costs), lacking.environments); len(b.Lines) > 0 {
		if r.WhatIf.HitRatio != nil {
			b.SupposeCache()
		}
		p.PerHour = &b
	}
	if w := herd(r, costs); w != "" {
		p.Warnings = append(p.Warnings, w)
	}
	if w := units(r.Rate, p.Tested, run.Manifest.Scenario.Forecast); w != "" {
		p.Warnings = append(p.Warnings, w)
	}
	if p.Grade == capacity.Refused {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s is more than %g times the highest tested rate, %s: what it requires is arithmetic, and whether the system behaves there as it was tested nobody knows",
			rate(r.Rate), 3.0, rate(p.Tested)))
	}
	return p, nil
}

// fixed plans a quota that doesn't grow with the rate: what was seen of it is what the
// target needs, and a limit below that comes before all others.
func (p *Plan) fixed(limit capacity.Quota, q capacity.QuotaResult) {
	refused := q.Throttled != nil && *q.Throttled > 0
	if refused || limit.OfSize() && q.Peak != nil && *q.Peak > q.Limit {
		p.Fails = append(p.Fails, fmt.Sprintf("%s refuses what is above %s", q.ID, unit.HumanQuantity(q.Limit, q.Unit)))
		if p.Limit == "" {
			p.Limit = q.ID
		}
	}
	if q.Peak == nil && refused {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s refused %s at any rate, and no metric shows how large they were: %s",
			q.ID, unit.HumanCount(float64(*q.Throttled), unit.Requests), redesign(limit, 0)))
		return
	}
	if q.Peak == nil {
		p.Supposed = append(p.Supposed, fmt.Sprintf("nothing is above %s of %s, which no metric shows", unit.HumanQuantity(q.Limit, q.Unit), q.ID))
		return
	}
	n := newNeed(limit, q)
	n.Required = *q.Peak
	n.Factors = []Factor{{"largest", *q.Peak, q.Unit, "seen in the run, whatever the rate"}}
	if n.Required <= n.Limit {
		p.Enough = append(p.Enough, n)
		return
	}
	p.Steps = append(p.Steps, Step{Need: n, Redesign: redesign(limit, 0), LeadTime: leadTime(n)})
}

func newNeed(limit capacity.Quota, q capacity.QuotaResult) Need {
	return Need{
		Quota: q.ID, Name: q.Name, Kind: q.Kind, Unit: q.Unit, Limit: q.Limit, Origin: q.Origin, Grade: capacity.Arithmetic,
		Adjustable: limit.Adjustable, Service: limit.Service, Code: limit.Code,
	}
}

// need multiplies out what the target needs of a quota.
func (r Request) need(limit capacity.Quota, q capacity.QuotaResult, c cost, run *capacity.Run) Need {
	n := newNeed(limit, q)
	factors := func(rate float64) []Factor { return r.factors(rate, q, c, uniform(run)) }
	n.Factors = factors(r.Rate)
	n.Required = capacity.WholeUnits(product(n.Factors))
	n.Carries = new(carried(r.Rate, n.Limit, factors))
	return n
}

// factors are what a rate of arrivals is multiplied by to what it needs of a quota.
func (r Request) factors(rate float64, q capacity.QuotaResult, c cost, even bool) (factors []Factor) {
	add := func(name string, value float64, unit, why string) {
		factors = append(factors, Factor{name, value, unit, why})
	}
	arrivals := rate * c.share
	add("forecast", rate, "/s", "arrivals per second that the launch must survive")
	if c.share < 1 {
		add("share", c.share, "", "highest rate of the loads which charge this quota, as a part of that of all")
	}
	if q.Kind == capacity.LevelQuota {
		held, why := c.value, c.why
		if held < c.least {
			held, why = c.least, fmt.Sprintf("as if so long, since a unit allows no more than %s a second; it is held for %s", unit.HumanCount(1/c.least, unit.Requests), unit.HumanSeconds(c.value))
		}
		add("held", held, "s", why)
		if load := arrivals * held; r.Margin > 0 && load > 0 {
			add("tail", float64(stats.PoissonQuantile(load, r.Margin))/load, "", fmt.Sprintf("Poisson: %s of the instants need no more than this, where the mean is %s", unit.HumanShare(r.Margin), unit.Human(load)))
		}
	} else {
		// Charges that vary come to sums that vary as those of fewer that are alike do.
		alike, what := c.varies, "of a minute of independent arrivals"
		if even {
			alike, what = c.varies-1, "of a minute of evenly spaced arrivals"
		}
		if c.varies > 1+known {
			what += fmt.Sprintf(", whose single charges vary: it is as if %s times as few came independently and charged alike", unit.Human(alike))
		}
		if r.Margin > 0 && alike > known && arrivals > 0 {
			perMinute := arrivals * 60 / alike
			if perMinute >= 1 {
				perMinute = math.Round(perMinute)
			}
			add("busiest second", float64(stats.BusiestSecond(int64(math.Ceil(perMinute)), r.Margin))/(perMinute/60), "", fmt.Sprintf("%s, with %s confidence", what, unit.HumanShare(r.Margin)))
		}
		add("cost", c.value, q.Unit, c.why)
	}
	if r.LoseOneOf > 1 {
		add("one unit lost", float64(r.LoseOneOf)/float64(r.LoseOneOf-1), "", fmt.Sprintf("the other %d of %d take its part", r.LoseOneOf-1, r.LoseOneOf))
	}
	if c.others > 0 {
		add("foreign use", 1+c.others/product(factors), "", fmt.Sprintf("others use %s of it, whatever the rate, as in the run", amountOf(c.others, q)))
	}
	return factors
}

// amountOf prints how much of a quota is used: a second of a rate, at once of a level.
func amountOf(v float64, q capacity.QuotaResult) string {
	if q.Kind == capacity.LevelQuota {
		return unit.HumanCount(v, q.Unit)
	}
	return unit.HumanRate(v, q.Unit)
}

func product(factors []Factor) float64 {
	product := 1.0
	for _, f := range factors {
		product *= f.Value
	}
	return product
}

// carried returns the highest rate whose factors need no more than the limit. Margins
// are smaller, relatively, the higher the rate, so it isn't in proportion to what
// another rate needs; where there is no margin it is.
func carried(rate, limit float64, factors func(rate float64) []Factor) float64 {
	needs := func(rate float64) float64 { return product(factors(rate)) }
	inProportion := limit / needs(rate) * rate
	if math.Abs(needs(inProportion)-limit) <= 1e-9*limit {
		return inProportion
	}
	low, high := 0.0, inProportion
	for needs(high) <= limit {
		low, high = high, 2*high
	}
	for range 100 {
		if middle := (low + high) / 2; needs(middle) <= limit {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// uniform reports whether all arrivals of the run are evenly spaced.
func uniform(run *capacity.Run) bool {
	return len(run.Manifest.Loads) == 1 && run.Manifest.Loads[0].Arrivals == "uniform"
}

// shareOf returns the highest rate of the loads which charge q as a part of that of all
// loads; 1 where the record doesn't say.
func shareOf(run *capacity.Run, q capacity.Quota) float64 {
	share := capacity.PeakUse(run.Manifest.Loads, func(l capacity.Load) float64 {
		if len(q.Loads) > 0 && !slices.Contains(q.Loads, l.Name) {
			return 0
		}
		return 1
	}) / capacity.PeakRate(run.Manifest.Loads)
	if !(share > 0) {
		return 1
	}
	return min(share, 1)
}

func rate(v float64) string { return unit.HumanRate(v, unit.Arrivals) }
