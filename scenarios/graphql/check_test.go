package graphql_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/graphql"
)

const schema = `
type Query {
  listPrograms(first: Int): [Program!]!
  getProgram(id: ID!): Program
}
type Mutation { rate(input: Rating!): Program }
type Subscription { rated: Program }
type Program { id: ID! title: String at: AWSDateTime }
input Rating { id: ID!, stars: Int!, mood: Mood }
enum Mood { GOOD BAD }
`

func TestCheck(t *testing.T) {
	const real = "target: {graphql: {endpoint: 'http://127.0.0.1:1/graphql', schema: schema.graphql}}\n"
	const bare = "target: {graphql: {endpoint: 'http://127.0.0.1:1/graphql'}}\n"
	const sandbox = "target: {sandbox: premiere}\n"
	files := map[string]string{
		"schema.graphql":    schema,
		"broken.graphql":    "type Query {\n  a: Nope\n}",
		"list.graphql":      "query listPrograms($first: Int) {\n  listPrograms(first: $first) { id }\n}",
		"bad.graphql":       "query listPrograms {\n  listPrograms {\n    idd\n    titel\n  }\n}",
		"unclosed.graphql":  "query listPrograms {\n  listPrograms { id }\n",
		"many.graphql":      "query a { listPrograms { id } }\nquery b { listPrograms { title } }",
		"cycle.graphql":     "query q { listPrograms { ...F } }\nfragment F on Program { id ...F }",
		"ids.csv":           "id,stars\na,5\nb,4\n",
		"rows.jsonl":        "{\"id\":\"a\",\"stars\":5}\n{\"id\":\"b\",\"stars\":\"four\"}\n",
		"aliases.graphql":   "query q { " + strings.Repeat("a: listPrograms { ", 300) + "id" + strings.Repeat("}", 300) + "}",
		"subscribe.graphql": "subscription s { rated { id } }",
	}
	for _, c := range []struct {
		name, target, operation string
		system                  string // the sandbox's schema
		want                    []string
	}{
		{name: "fine", target: real, operation: "document: list.graphql, variables: {first: 50}"},
		{name: "fine without a schema", target: bare, operation: "document: bad.graphql"},
		{name: "fine in a sandbox", target: sandbox, operation: "document: list.graphql", system: schema},
		{name: "fine in a sandbox without a schema", target: sandbox, operation: "document: bad.graphql"},
		{name: "fine with rows", target: real, operation: `query: "mutation m($i: Rating!) { rate(input: $i) { id } }", variables: {i: {id: "${row.id}-x", stars: 5}}, rows: ids.csv`},
		{name: "document", target: real, operation: "document: bad.graphql", want: []string{
			`dir/bad.graphql:3:5: loads[0].operations[0].graphql.document: Cannot query field "idd" on type "Program". Did you mean "id"?`,
			`dir/bad.graphql:4:5: loads[0].operations[0].graphql.document: Cannot query field "titel" on type "Program". Did you mean "title"?`,
		}},
		{name: "document in a sandbox", target: sandbox, operation: "document: bad.graphql", system: schema, want: []string{
			`dir/bad.graphql:3:5: loads[0].operations[0].graphql.document: Cannot query field "idd" on type "Program". Did you mean "id"?`,
			`dir/bad.graphql:4:5: loads[0].operations[0].graphql.document: Cannot query field "titel" on type "Program". Did you mean "title"?`,
		}},
		{name: "syntax", target: bare, operation: "document: unclosed.graphql", want: []string{
			`dir/unclosed.graphql:3:1: loads[0].operations[0].graphql.document: Expected Name, found <EOF>`,
		}},
		{name: "inline", target: real, operation: `query: "{ listPrograms { idd } }"`, want: []string{
			`dir/launch.yaml:9:22: loads[0].operations[0].graphql.query: 1:18 of the query: Cannot query field "idd" on type "Program". Did you mean "id"?`,
		}},
		{name: "cycle", target: bare, operation: "document: cycle.graphql", want: []string{
			`dir/cycle.graphql:2:31: loads[0].operations[0].graphql.document: fragment "F" spreads itself, directly or through others`,
		}},
		{name: "recursion in aliases", target: bare, operation: "document: aliases.graphql", want: []string{
			`dir/aliases.graphql:1:3611: loads[0].operations[0].graphql.document: fields are nested more than 200 deep`,
		}},
		{name: "which operation", target: bare, operation: "document: many.graphql", want: []string{
			`dir/launch.yaml:9:5: loads[0].operations[0].graphql.operation: document has 2 operations (a, b): name the one to run`,
		}},
		{name: "no such operation", target: bare, operation: "document: many.graphql, operation: c", want: []string{
			`dir/launch.yaml:9:50: loads[0].operations[0].graphql.operation: document has no operation "c" (it has a, b)`,
		}},
		{name: "subscription", target: bare, operation: "document: subscribe.graphql", want: []string{
			`dir/launch.yaml:9:5: loads[0].operations[0].graphql: a subscription can't be sent as a request (send a query or a mutation)`,
		}},
		{name: "variable not declared", target: bare, operation: "document: list.graphql, variables: {frist: 5}", want: []string{
			`dir/launch.yaml:9:58: loads[0].operations[0].graphql.variables.frist: the document declares no variable $frist (did you mean first?)`,
		}},
		{name: "variable's type", target: bare, operation: "document: list.graphql, variables: {first: many}", want: []string{
			`dir/launch.yaml:9:58: loads[0].operations[0].graphql.variables.first: is a string but its type is Int`,
		}},
		{name: "variable missing", target: bare, operation: `query: "query q($id: ID!) { getProgram(id: $id) { id } }"`, want: []string{
			`dir/launch.yaml:9:5: loads[0].operations[0].graphql.variables.id: is required (ID!) and missing`,
		}},
		{name: "variable inside", target: real, operation: `query: "mutation m($i: Rating!) { rate(input: $i) { id } }", variables: {i: {id: a, stars: 1, mood: good}}`, want: []string{
			`dir/launch.yaml:9:115: loads[0].operations[0].graphql.variables.i.mood: is no value of Mood (GOOD, BAD)`,
		}},
		{name: "row", target: real, operation: `query: "mutation m($i: Rating!) { rate(input: $i) { id } }", variables: {i: {id: "${row.id}", stars: "${row.stars}"}}, rows: rows.jsonl`, want: []string{
			`dir/launch.yaml:9:116: loads[0].operations[0].graphql.variables.i.stars: with row 2 of rows.jsonl: is a string but its type is Int!`,
		}},
		{name: "row of text", target: real, operation: `query: "mutation m($i: Rating!) { rate(input: $i) { id } }", variables: {i: {id: "${row.id}", stars: "${row.stars}"}}, rows: ids.csv`, want: []string{
			`dir/launch.yaml:9:116: loads[0].operations[0].graphql.variables.i.stars: with row 1 of ids.csv: is a string but its type is Int! (values of a CSV file are text; a JSON Lines file has numbers too)`,
		}},
		{name: "schema", target: strings.Replace(real, "schema.graphql", "broken.graphql", 1), operation: "document: list.graphql", want: []string{
			`dir/broken.graphql:2:6: target.graphql.schema: Undefined type Nope`,
		}},
		{name: "System's schema", target: sandbox, operation: "document: list.graphql", system: "type Query {", want: []string{
			`dir/launch.yaml:3:19: target.sandbox: the System's schema:1:13: Expected Name, found <EOF>`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := fstest.MapFS{"dir/launch.yaml": {Data: []byte("version: 1\nname: launch\n" + c.target +
				"loads:\n- name: viewers\n  profile: [{stage: steady, rate: 1/s, for: 1s}]\n  operations:\n  - name: listPrograms\n" +
				"    graphql: {" + c.operation + "}\n")}}
			for name, text := range files {
				fsys["dir/"+name] = &fstest.MapFile{Data: []byte(text)}
			}
			s, faults := scenarios.ParseFile(fsys, "dir/launch.yaml", func(string) (string, bool) { return "", false })
			if faults != nil {
				t.Fatal(faults)
			}
			var system []byte
			if c.system != "" {
				system = []byte(c.system)
			}
			var got []string
			for _, f := range graphql.Check(s, system) {
				got = append(got, f.Error())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadyScenarios(t *testing.T) {
	for _, name := range []string{"premiere.yaml", "premiere-cached.yaml"} {
		s, faults := scenarios.ParseFile(scenarios.Ready(), name, func(string) (string, bool) { return "", false })
		if faults != nil {
			t.Fatal(faults)
		}
		if faults := graphql.Check(s, nil); faults != nil {
			t.Error(faults)
		}
	}
}
