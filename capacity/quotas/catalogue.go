package quotas

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/strict"
	"github.com/headroom-load/headroom/scenarios/unit"
)

//go:embed catalogue.yaml
var catalogueFile []byte

// The parts of a scenario that bring quotas in.
const (
	graphqlPart  = "graphql"
	lambdaPart   = "lambda"
	dynamodbPart = "dynamodb"
	momentoPart  = "momento"
	kafkaPart    = "kafka"
)

// period is that of the metrics that AWS services and Momento publish.
const period = time.Minute

// entry is one quota of the catalogue, or one for each resource where its ID
// holds a placeholder such as <table>.
type entry struct {
	ID         string `yaml:"id,required"`
	Name       string `yaml:"name,required"` // as the service's documentation calls it
	Part       string `yaml:"part,required"`
	Service    string `yaml:"service"` // of Service Quotas
	Code       string `yaml:"code"`    // of Service Quotas; "": it doesn't know the quota
	Adjustable bool   `yaml:"adjustable"`
	Each       string `yaml:"each"`  // broker or partition that has the limit; "": all together
	Fixed      bool   `yaml:"fixed"` // an amount that doesn't grow with the rate
	IAM        bool   `yaml:"iam"`   // holds for Kafka clients that sign by msk_iam alone
	// Requests is what each unit of a level allows, however short requests are.
	Requests unit.Rate    `yaml:"requests"`
	Defaults []generation `yaml:"defaults,required"` // newest first
	Metrics  []metric     `yaml:"metrics"`
	Notes    []string     `yaml:"notes"`
}

// generation is a default as a page named it.
type generation struct {
	Limit   amount        `yaml:"limit,required"`
	Burst   unit.Quantity `yaml:"burst"`
	Regions []string      `yaml:"regions"` // empty: all
	Era     string        `yaml:"era"`     // when it held, "" for the present one
	MSK     []string      `yaml:"msk"`     // clusters, as target.kafka.msk names them; empty: all
	Note    string        `yaml:"note"`    // what a reader must know of this default
	Source  string        `yaml:"source,required"`
	AsOf    string        `yaml:"as_of,required"` // when the page was read, YYYY-MM-DD
}

// metric is a CloudWatch metric that says something of a quota.
type metric struct {
	Role       string            `yaml:"role,required"`
	Namespace  string            `yaml:"namespace,required"`
	Metric     string            `yaml:"metric,required"`
	Statistic  string            `yaml:"statistic,required"`
	Dimensions map[string]string `yaml:"dimensions"`
	Unit       string            `yaml:"unit,required"` // as published; ms is read as seconds
	Sandbox    bool              `yaml:"sandbox"`       // published by the sandbox alone
	Cloud      bool              `yaml:"cloud"`         // not published by the sandbox
}

// amount is a limit as the catalogue writes it: a rate, or a level where Per is
// 0.
type amount unit.Rate

// UnmarshalText reads a rate where the text has a period, else a quantity.
func (a *amount) UnmarshalText(b []byte) error {
	if strings.Contains(string(b), "/") {
		r, err := unit.ParseRate(string(b))
		*a = amount(r)
		return err
	}
	q, err := unit.ParseQuantity(string(b))
	*a = amount{Amount: q.Amount, Thing: q.Thing}
	return err
}

func (a amount) kind() capacity.QuotaKind {
	if a.Per > 0 {
		return capacity.RateQuota
	}
	return capacity.LevelQuota
}

// kind returns what the entry's limits bound.
func (e entry) kind() capacity.QuotaKind {
	if e.Fixed {
		return capacity.FixedQuota
	}
	return e.Defaults[0].Limit.kind()
}

// String prints the amount as UnmarshalText reads it.
func (a amount) String() string {
	if a.Per == 0 {
		return unit.Quantity{Amount: a.Amount, Thing: a.Thing}.String()
	}
	return unit.Rate(a).String()
}

// perSecond returns v, an amount in the period of a, per second; or v itself
// where a is a level.
func (a amount) perSecond(v float64) float64 {
	if a.Per == 0 {
		return v
	}
	return v / a.Per.Seconds()
}

// list is what the catalogue's file holds.
type list struct {
	Version int             `yaml:"version,required"`
	Entries []entry         `yaml:"entries,required"`
	MSK     []clusterMetric `yaml:"msk"`
}

// known is the embedded catalogue. The file is part of the program, so a fault in
// it is a fault of the program; a test reads it.
var known = sync.OnceValue(func() list {
	l, faults := readCatalogue(catalogueFile)
	if faults != nil {
		panic(faults)
	}
	return l
})

func catalogue() []entry { return known().Entries }

func readCatalogue(src []byte) (l list, faults strict.Faults) {
	_, faults = strict.Decode("catalogue.yaml", src, &l)
	return l, faults
}

// lookup returns the entry that has the quota id, and the resource that the id
// names where the entry's has a placeholder.
func lookup(id string) (e entry, resource string, ok bool) {
	for _, e := range catalogue() {
		before, placeholder, after := e.split()
		if placeholder == "" {
			if id == e.ID {
				return e, "", true
			}
			continue
		}
		if len(id) > len(before)+len(after) && strings.HasPrefix(id, before) && strings.HasSuffix(id, after) {
			return e, id[len(before) : len(id)-len(after)], true
		}
	}
	return entry{}, "", false
}

var placeholder = regexp.MustCompile(`<[a-z]+>`)

// split returns what of the ID stands before its placeholder, the placeholder
// ("" if there is none) and what stands after it.
func (e entry) split() (before, hole, after string) {
	at := placeholder.FindStringIndex(e.ID)
	if at == nil {
		return e.ID, "", ""
	}
	return e.ID[:at[0]], e.ID[at[0]:at[1]], e.ID[at[1]:]
}

// id returns the quota's id for a resource.
func (e entry) id(resource string) string {
	return placeholder.ReplaceAllLiteralString(e.ID, resource)
}

// inForce returns the default of a Region and MSK cluster; "" is none of those
// named. ok is false where the entry has none for it.
func (e entry) inForce(region, msk string) (g generation, ok bool) {
	i := slices.IndexFunc(e.Defaults, func(g generation) bool {
		return g.Era == "" && (len(g.Regions) == 0 || slices.Contains(g.Regions, region)) && (len(g.MSK) == 0 || slices.Contains(g.MSK, msk))
	})
	if i < 0 {
		return generation{}, false
	}
	return e.Defaults[i], true
}

// clusters returns the MSK clusters that the catalogue knows limits of.
func clusters() (names []string) {
	for _, e := range catalogue() {
		for _, g := range e.Defaults {
			for _, n := range g.MSK {
				if !slices.Contains(names, n) {
					names = append(names, n)
				}
			}
		}
	}
	return names
}

// history says what the default was in earlier generations.
func (e entry) history() []string {
	var notes []string
	for _, g := range e.Defaults {
		if g.Era != "" {
			notes = append(notes, fmt.Sprintf("default before: %s (%s)", g.Limit, g.Era))
		}
	}
	return notes
}

// measured reports whether a metric shows the quota's use.
func (e entry) measured() bool {
	return slices.ContainsFunc(e.Metrics, func(m metric) bool { return m.Role == capacity.RoleUsage })
}

// series returns what is to be read for the quota id of a resource. In the
// sandbox the resource of an account-wide count has that name too.
func (e entry) series(id, resource string, sandbox bool) []measure.Series {
	var want []measure.Series
	for _, m := range e.Metrics {
		if m.Sandbox && !sandbox || m.Cloud && sandbox {
			continue
		}
		s := measure.Series{
			Source: "cloudwatch", Namespace: m.Namespace, Metric: m.Metric, Quota: id, Role: m.Role,
			Statistic: m.Statistic, Unit: m.Unit, Period: period,
		}
		for name, value := range m.Dimensions {
			if s.Labels == nil {
				s.Labels = make(map[string]string)
			}
			if value == capacity.AnyValue && sandbox {
				value = sandboxResource
			}
			s.Labels[name] = placeholder.ReplaceAllLiteralString(value, resource)
		}
		want = append(want, s)
	}
	return want
}

// sandboxResource is the name of the sandbox's API and of its cache.
const sandboxResource = "sandbox"
