package quotas

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
)

func TestCatalogue(t *testing.T) {
	l, faults := readCatalogue(catalogueFile)
	if faults != nil {
		t.Fatal(faults)
	}
	entries := l.Entries
	roles := []string{capacity.RoleUsage, capacity.RoleThrottles, capacity.RoleRequests, capacity.RoleDuration, capacity.RoleClaimed, capacity.RoleProvisioned, capacity.RoleSpilled}
	code := regexp.MustCompile(`^L-[0-9A-F]{8}$`)
	for i, e := range entries {
		if !slices.Contains([]string{graphqlPart, lambdaPart, dynamodbPart, momentoPart, kafkaPart}, e.Part) {
			t.Errorf("%s: unknown part %q", e.ID, e.Part)
		}
		if e.Code != "" && (e.Service == "" || !code.MatchString(e.Code)) {
			t.Errorf("%s: code %q of service %q", e.ID, e.Code, e.Service)
		}
		for k, g := range e.Defaults {
			if !(g.Limit.Amount > 0) || g.Limit.Thing == "" {
				t.Errorf("%s: default %d is %v", e.ID, k, g.Limit)
			}
			if g.Limit.kind() != e.Defaults[0].Limit.kind() {
				t.Errorf("%s: default %d is of another kind", e.ID, k)
			}
			if _, err := time.Parse(time.DateOnly, g.AsOf); err != nil {
				t.Errorf("%s: default %d: %v", e.ID, k, err)
			}
			// The present default is read from a page of the service's own.
			if u, err := url.Parse(g.Source); g.Era == "" && (err != nil || u.Scheme != "https") {
				t.Errorf("%s: default %d comes from %q", e.ID, k, g.Source)
			}
		}
		if g, ok := e.inForce("", ""); e.Part != kafkaPart && (!ok || g.Era != "" || len(g.Regions) > 0) {
			t.Errorf("%s: no default for a Region that isn't named", e.ID)
		}
		_, hole, _ := e.split()
		for _, m := range e.Metrics {
			if !slices.Contains(roles, m.Role) || !slices.Contains([]string{"Sum", "Maximum"}, m.Statistic) {
				t.Errorf("%s: metric %s is %q by %q", e.ID, m.Metric, m.Role, m.Statistic)
			}
			if m.Role == capacity.RoleUsage && m.Unit != e.Defaults[0].Limit.Thing {
				t.Errorf("%s: use is counted in %s and its limit in %s", e.ID, m.Unit, e.Defaults[0].Limit.Thing)
			}
			if (m.Statistic == "Maximum") != ((m.Role == capacity.RoleUsage || m.Role == capacity.RoleClaimed) && e.Defaults[0].Limit.kind() == capacity.LevelQuota) {
				t.Errorf("%s: %s can't be read by %s: a rate is a sum, a level a maximum", e.ID, m.Metric, m.Statistic)
			}
			for name, value := range m.Dimensions {
				if h := placeholder.FindString(value); hole != "" && h != hole {
					t.Errorf("%s: dimension %s of %s is %s, not %s", e.ID, name, m.Metric, value, hole)
				}
			}
		}
		for _, other := range entries[:i] {
			if a, b := e.id("x"), other.id("x"); a == b {
				t.Errorf("%s and %s stand for the same id", e.ID, other.ID)
			}
		}
		if got, resource, ok := lookup(e.id("a.b-c")); !ok || got.ID != e.ID || (hole == "") != (resource == "") || hole != "" && resource != "a.b-c" {
			t.Errorf("%s: its own id leads to %s %q", e.ID, got.ID, resource)
		}
	}
}

// What is read of a cluster says of which, by dimensions that are filled in, and once.
func TestCatalogueOfClusters(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range known().MSK {
		if !slices.Contains([]string{"", "provisioned", Serverless}, m.Of) || !slices.Contains([]string{"Sum", "Average", "Maximum"}, m.Statistic) || m.Dimensions["Cluster Name"] != "<cluster>" {
			t.Errorf("%+v", m)
		}
		for name, value := range m.Dimensions {
			if hole := placeholder.FindString(value); hole != "" && !slices.Contains([]string{"<cluster>", "<broker>", "<topic>", "<group>"}, value) {
				t.Errorf("%s: nothing fills in %s: %s", m.Metric, name, value)
			}
		}
		if key := m.Of + m.Metric; seen[key] {
			t.Errorf("%s is listed twice", m.Metric)
		} else {
			seen[key] = true
		}
	}
	if len(seen) < 12 {
		t.Errorf("%d metrics", len(seen))
	}
}

func TestCatalogueIsRead(t *testing.T) {
	const whole = `
version: 1
entries:
  - id: x.y
    name: y
    part: graphql
    defaults: [{limit: 5 ops/s, source: s, as_of: "2026-11-21"}]
`
	if _, faults := readCatalogue([]byte(whole)); faults != nil {
		t.Fatal(faults)
	}
	for name, change := range map[string][2]string{
		"no source":   {"source: s, ", ""},
		"no date":     {`, as_of: "2026-11-21"`, ""},
		"bare number": {"5 ops/s", "5"},
		"unknown key": {"part: graphql", "part: graphql\n    colour: red"},
	} {
		text := strings.Replace(whole, change[0], change[1], 1)
		if _, faults := readCatalogue([]byte(text)); len(faults) != 1 {
			t.Errorf("%s: faults %v", name, faults)
		}
	}
}

func TestLookup(t *testing.T) {
	for _, id := range []string{"", "appsync", "appsync.request-token", "dynamodb.read", "dynamodb..read", "dynamodb.T", "dynamodb.T.reads", "lambda.scaling"} {
		if e, _, ok := lookup(id); ok {
			t.Errorf("%q is taken for %s", id, e.ID)
		}
	}
}
