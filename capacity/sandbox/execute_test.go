package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/scenarios/sdl"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const testSchema = `
type Query {
  shows(first: Int = 2, after: String): [Show!]!
  show(id: ID!): Show
  feed(limit: Int): Feed!
  node: Node
  any: [Any!]
  grid: [[Int!]!]
  scalars: Scalars!
}
type Mutation { rename(id: ID!, title: String!): Show }
type Subscription { renamed: Show }
interface Node { id: ID! }
type Show implements Node { id: ID! title: String! genre: Genre! episodes(limit: Int): [Episode!]! }
type Episode implements Node { id: ID! number: Int! show: Show! }
union Any = Episode | Show
type Feed { items: [Episode!]! nextToken: String sections: [Feed!] }
enum Genre { DRAMA ANIME NEWS }
scalar Colour
type Scalars { int: Int float: Float boolean: Boolean string: String id: ID date: AWSDate time: AWSTime dateTime: AWSDateTime
  timestamp: AWSTimestamp email: AWSEmail json: AWSJSON url: AWSURL phone: AWSPhone address: AWSIPAddress colour: Colour }
`

// execute answers the only operation of a document.
func execute(t testing.TB, schema, document, variables string) ([]byte, int, error) {
	t.Helper()
	s, err := sdl.LoadSchema("schema", []byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	doc, errs := sdl.Load(s, "document", []byte(document))
	if errs != nil {
		t.Fatal(errs)
	}
	values, errs := sdl.Variables(s, doc.Operations[0], []byte(variables))
	if errs != nil {
		t.Fatal(errs)
	}
	e := &executor{s, 1}
	fields, err := e.plan(doc.Operations[0], values)
	if err != nil {
		return nil, 0, err
	}
	return e.answer(fields)
}

// shape reduces an answer to its keys and list lengths.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for k, x := range v {
			m[k] = shape(x)
		}
		return m
	case []any:
		if len(v) == 0 {
			return []any{0}
		}
		return []any{len(v), shape(v[0])}
	}
	return "-"
}

func TestExecute(t *testing.T) {
	type m = map[string]any
	for name, c := range map[string]struct {
		document, variables string
		want                any
		resolved            int
	}{
		"default argument":    {"{ shows { id } }", "", m{"shows": []any{2, m{"id": "-"}}}, 3},
		"argument":            {"{ shows(first: 3) { id } }", "", m{"shows": []any{3, m{"id": "-"}}}, 4},
		"variable":            {"query Q($n: Int) { shows(first: $n) { id } }", `{"n":4}`, m{"shows": []any{4, m{"id": "-"}}}, 5},
		"default of variable": {"query Q($n: Int = 1) { shows(first: $n) { id } }", "", m{"shows": []any{1, m{"id": "-"}}}, 2},
		"null argument":       {"{ shows(first: null) { id } }", "", m{"shows": []any{10, m{"id": "-"}}}, 11},
		"negative":            {"{ shows(first: -1) { id } }", "", m{"shows": []any{0}}, 1},
		"nested":              {"{ shows { episodes { id number } } }", "", m{"shows": []any{2, m{"episodes": []any{10, m{"id": "-", "number": "-"}}}}}, 43},
		"connection":          {"{ feed(limit: 3) { items { id } nextToken sections { items { id } } } }", "", m{"feed": m{"items": []any{3, m{"id": "-"}}, "nextToken": "-", "sections": []any{3, m{"items": []any{10, m{"id": "-"}}}}}}, 40},
		"grid":                {"{ grid }", "", m{"grid": []any{10, []any{10, "-"}}}, 1},
		"aliases":             {"{ a: show(id: 1) { t: title } b: show(id: 2) { title } }", "", m{"a": m{"t": "-"}, "b": m{"title": "-"}}, 4},
		"merged":              {"{ show(id: 1) { id } show(id: 1) { id title } }", "", m{"show": m{"id": "-", "title": "-"}}, 3},
		"fragments": {
			"{ show(id: 1) { ...A ...A ... on Show { genre } ... { title } } } fragment A on Node { id ... on Episode { number } ... on Show { title } }", "",
			m{"show": m{"id": "-", "title": "-", "genre": "-"}},
			4,
		},
		"interface": {"{ node { __typename id ... on Show { title } ... on Episode { number } } }", "", m{"node": m{"__typename": "-", "id": "-", "title": "-"}}, 4},
		"union":     {"{ any { __typename ... on Show { title } ... on Episode { number } } }", "", m{"any": []any{10, m{"__typename": "-", "number": "-"}}}, 21},
		"directives": {
			"query Q($yes: Boolean!, $no: Boolean = false) { show(id: 1) { id @include(if: $yes) title @skip(if: $yes) genre @include(if: $no) __typename @skip(if: $no) ...A @skip(if: $yes) } } fragment A on Show { title }",
			`{"yes":true}`,
			m{"show": m{"id": "-", "__typename": "-"}},
			3,
		},
		"mutation": {`mutation M { rename(id: 1, title: "x") { title } }`, "", m{"rename": m{"title": "-"}}, 2},
	} {
		body, resolved, err := execute(t, testSchema, c.document, c.variables)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("%s: %v: %s", name, err, body)
		}
		if d := cmp.Diff(c.want, shape(got)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if resolved != c.resolved {
			t.Errorf("%s: %d fields resolved, want %d", name, resolved, c.resolved)
		}
	}
}

func TestExecuteGolden(t *testing.T) {
	body, _, err := execute(t, testSchema, `query Q($first: Int) {
  shows(first: $first) { __typename id title genre latest: episodes(limit: 2) { id number show { title } } }
  none: shows(first: 0) { id }
  node { __typename id }
  scalars { int float boolean string id date time dateTime timestamp email json url phone address colour }
}`, `{"first":2}`)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, body, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	file := filepath.Join("testdata", "answer.json")
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Error(d)
	}
}

func TestScalarsAreWellFormed(t *testing.T) {
	body, _, err := execute(t, `type Query { all: [Scalars!] } scalar Colour
type Scalars { date: AWSDate time: AWSTime dateTime: AWSDateTime timestamp: AWSTimestamp email: AWSEmail json: AWSJSON url: AWSURL phone: AWSPhone address: AWSIPAddress int: Int float: Float }`,
		"{ all { date time dateTime timestamp email json url phone address int float } }", "")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		All []struct {
			Date, Time, DateTime, Email, JSON, URL, Phone, Address string
			Timestamp                                              int64
			Int                                                    int32
			Float                                                  float64
		}
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	phone := regexp.MustCompile(`^\+\d{11}$`)
	for _, s := range got.All {
		_, date := time.Parse("2006-01-02", s.Date)
		_, clock := time.Parse("15:04:05Z07:00", s.Time)
		_, both := time.Parse(time.RFC3339, s.DateTime)
		_, email := mail.ParseAddress(s.Email)
		_, link := url.ParseRequestURI(s.URL)
		_, address := netip.ParseAddr(s.Address)
		if err := errors.Join(date, clock, both, email, link, address); err != nil {
			t.Error(err)
		}
		if !json.Valid([]byte(s.JSON)) || !phone.MatchString(s.Phone) || s.Timestamp < 1.7e9 {
			t.Errorf("%+v", s)
		}
	}
	if len(got.All) != 10 || got.All[0] == got.All[1] {
		t.Errorf("items: %+v", got.All)
	}
}

// The story of the ready-made scenario: one request resolves over 3,000 fields.
func TestPremiereResolvesThousands(t *testing.T) {
	s, err := model.Open("premiere", nil)
	if err != nil {
		t.Fatal(err)
	}
	body, resolved, err := execute(t, string(s.SDL), premiereQuery, `{"first":50}`)
	if err != nil {
		t.Fatal(err)
	}
	if resolved < 3000 {
		t.Errorf("%d fields are resolved", resolved)
	}
	t.Logf("%d fields, %d bytes", resolved, len(body))
}

const premiereQuery = `query listPrograms($first: Int!) {
  listPrograms(first: $first) {
    id title synopsis
    channel { id name }
    episodes(first: 10) { id title duration publishedAt tags credits(first: 1) { role person { id name } } }
  }
}`

func TestExecuteRefuses(t *testing.T) {
	for name, document := range map[string]string{
		"fields":        "{ shows(first: 1000) { episodes(limit: 1000) { id } } }",
		"bytes":         "{ shows(first: 60000) { " + strings.Repeat("a", 500) + ": id } }",
		"huge list":     "{ shows(first: 2147483647) { id } }",
		"introspection": "{ __schema { types { name } } }",
		"subscription":  "subscription { renamed { id } }",
		"overflow":      "{ shows(first: 99999999999999999999) { id } }",
	} {
		s, err := sdl.LoadSchema("schema", []byte(testSchema))
		if err != nil {
			t.Fatal(err)
		}
		doc, errs := sdl.Load(s, "document", []byte(document))
		if errs != nil {
			continue // refused before it is executed
		}
		e := &executor{s, 1}
		fields, err := e.plan(doc.Operations[0], nil)
		if err == nil {
			_, _, err = e.answer(fields)
		}
		if err == nil {
			t.Errorf("%s: is answered", name)
		}
	}
}
