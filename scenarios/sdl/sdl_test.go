package sdl_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/scenarios/sdl"
)

const shop = `
schema { query: Query mutation: Mutation subscription: Subscription }
type Query @aws_api_key @aws_iam {
  product(id: ID!): Product
  products(filter: Filter, first: Int = 10, tags: [String!]): [Product!]! @aws_auth(cognito_groups: ["admin"])
}
type Mutation { add(input: Add!): Product @aws_lambda @aws_oidc }
type Subscription { added: Product @aws_subscribe(mutations: ["add"]) }
type Product @aws_cognito_user_pools(cognito_groups: ["a"]) {
  id: ID!
  name: String
  price: Float
  at: AWSDateTime
  meta: AWSJSON
  related(first: Int): [Product]
  owner: Owner
}
union Owner = Person | Shop
type Person { name: String at: AWSTimestamp }
type Shop { name: String! }
enum Order { ASC DESC }
input Filter { order: Order, since: AWSDate, price: Range, limit: Int! = 5 }
input Range { min: Float!, max: Float }
input Add { name: String!, ids: [ID!] }
`

func schema(t testing.TB, src string) *sdl.Schema {
	t.Helper()
	s, err := sdl.LoadSchema("shop.graphql", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLoadSchema(t *testing.T) {
	s := schema(t, shop)
	if s.Types["Product"].Fields.ForName("at").Type.NamedType != "AWSDateTime" {
		t.Error("field at has lost its type")
	}
	// Tools write AppSync's declarations into the schemas they export.
	schema(t, "scalar AWSJSON\ndirective @aws_iam on OBJECT\n"+shop)

	for _, c := range []struct{ name, src, want string }{
		{"syntax", "type Query {\n  a: \n}", `s.graphql:3:1: Expected Name, found }`},
		{"unknown type", "type Query {\n  a: Prodct\n}", "s.graphql:2:6: Undefined type Prodct"},
		{"unknown directive", "type Query {\n  a: Int @aws_imm\n}", "s.graphql:2:11: Undefined directive aws_imm"},
		{"empty", "", "s.graphql: schema has no query type"},
		{"too large", strings.Repeat("#", sdl.MaxSchemaBytes+1), "s.graphql: schema has 1048577 bytes, more than 1048576"},
		{"nesting bomb", "type Query { a: " + strings.Repeat("[", 5000) + "Int" + strings.Repeat("]", 5000) + "}", "s.graphql:1:1018: exceeded maximum nesting depth of 1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := sdl.LoadSchema("s.graphql", []byte(c.src))
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestDocuments(t *testing.T) {
	s := schema(t, shop)
	for _, c := range []struct {
		name, src string
		syntax    string // fault without a schema, "" for none
		full      string // fault with it; "=" for the same
	}{
		{"good", `query Q($id: ID!) { product(id: $id) { ...P owner { __typename ... on Shop { name } } } } fragment P on Product { id n: name related { id } }`, "", ""},
		{"shorthand", `{ products { id } }`, "", ""},
		{"unclosed", "query Q {\n  products {\n", `q.graphql:3:1: Expected Name, found <EOF>`, "="},
		{"empty", "", "q.graphql:1:1: document has no operation", "="},
		{"fragments alone", "fragment F on Product { id }", "q.graphql:1:1: document has no operation", "="},
		{"not GraphQL", "SELECT 1", `q.graphql:1:1: Unexpected Name "SELECT"`, "="},
		{"schema", "type Query { a: Int }", `q.graphql:1:1: Unexpected Name "type"`, "="},
		{"unknown field", "{\n products { idd } }", "", `q.graphql:2:13: Cannot query field "idd" on type "Product". Did you mean "id"?`},
		{"unknown argument", "{ products(frist: 1) { id } }", "", `q.graphql:1:3: Unknown argument "frist" on field "Query.products". Did you mean "first"?`},
		{"no selection", "{ products }", "", `q.graphql:1:3: Field "products" of type "[Product!]!" must have a selection of subfields. Did you mean "products { ... }"?`},
		{"wrong literal", `{ products(first: "a") { id } }`, "", `q.graphql:1:20: Int cannot represent non-integer value: "a"`},
		{"undeclared variable", "query Q { product(id: $id) { id } }", `q.graphql:1:23: Variable "$id" is not defined by operation "Q"`, "="},
		{"unused variable", "query Q($id: ID) { products { id } }", `q.graphql:1:9: Variable "$id" is never used in operation "Q"`, "="},
		{"unknown fragment", "{ products { ...X } }", `q.graphql:1:17: Unknown fragment "X"`, "="},
		{"two operations of one name", "query Q { products { id } }\nquery Q { products { name } }", `q.graphql:2:1: There can be only one operation named "Q"`, "="},
		{"unnamed beside named", "query Q { products { id } }\n{ products { id } }", `q.graphql:2:1: This anonymous operation must be the only defined operation`, "="},
		{"self spread", "{ products { ...F } } fragment F on Product { related { ...F } }", `q.graphql:1:60: fragment "F" spreads itself, directly or through others`, "="},
		{"cycle", "{ products { ...A } }\nfragment A on Product { ...B }\nfragment B on Product { ...A }", `q.graphql:3:28: fragment "A" spreads itself, directly or through others`, "="},
		{"conflict", "{ a: products { id } a: product(id: 1) { id } }", "", `q.graphql:1:22: Fields "a" conflict because "products" and "product" are different fields. Use different aliases on the fields to fetch both if this was intentional`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.full == "=" {
				c.full = c.syntax
			}
			_, errs := sdl.Parse("q.graphql", []byte(c.src))
			if got := first(errs); got != c.syntax {
				t.Errorf("without a schema:\n got %s\nwant %s", got, c.syntax)
			}
			_, errs = sdl.Load(s, "q.graphql", []byte(c.src))
			if got := first(errs); got != c.full {
				t.Errorf("with a schema:\n got %s\nwant %s", got, c.full)
			}
		})
	}
}

func first(errs sdl.Errors) string {
	if len(errs) == 0 {
		return ""
	}
	return errs[0].Error()
}

// bombs are documents whose naive treatment takes for ever.
func bombs() map[string]string {
	doubling := func(body string) string {
		var b strings.Builder
		b.WriteString("{ products { ...F0 } }\n")
		for i := range 60 {
			next := fmt.Sprintf("...F%d", i+1)
			fmt.Fprintf(&b, "fragment F%d on Product { "+body+" }\n", i, next, next)
		}
		b.WriteString("fragment F60 on Product { id }")
		return b.String()
	}
	nested := func(n int, open string) string {
		return "{ products " + strings.Repeat("{ "+open+" ", n) + "{ id }" + strings.Repeat("}", n) + " }"
	}
	pairs := "{ id }"
	for range 11 { // 4,096 copies of the innermost set
		pairs = "{ related " + pairs + " related " + pairs + " }"
	}
	return map[string]string{
		"doubling fragments":                doubling("%s %s"),
		"doubling fields":                   doubling("a: related { %s } b: related { %s }"),
		"doubling merged fields":            doubling("related { %s } related { %s }"),
		"doubling without fields":           strings.ReplaceAll(doubling("%s %s"), "{ id }", "{ ...Nowhere }"),
		"deep":                              nested(900, "related"),
		"deep aliases":                      nested(900, "a: related"),
		"deeper than the parser":            nested(4000, "related"),
		"one field repeated":                "{ products { " + strings.Repeat("id ", 14000) + "} }",
		"one alias repeated":                "{ products { " + strings.Repeat("a:related{id} ", 2000) + "} }",
		"nested pairs":                      "{ products " + pairs + " }",
		"too many tokens":                   "{ products { " + strings.Repeat("a:id ", 6000) + "} }",
		"too many bytes":                    "{ products { " + strings.Repeat("id ", 2<<20) + "} }",
		"unknown fields":                    "{ products { " + unknown(6000) + "} }",
		"fragments spread by all":           crossed(120),
		"lists in lists":                    "{ products(tags: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + ") { id } }",
		"unclosed nesting":                  "{ products " + strings.Repeat("{ related ", 5000),
		"variables in lists":                "query Q($a: " + strings.Repeat("[", 5000) + "Int" + strings.Repeat("]", 5000) + ") { products(first: $a) { id } }",
		"comment of half a megabyte":        "{ products { id } } #" + strings.Repeat("#", 500_000),
		"one string of half a megabyte":     `{ products(tags: ["` + strings.Repeat("x", 500_000) + `"]) { id } }`,
		"introspection, lists within lists": "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }",
	}
}

func unknown(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "relatd%d ", i)
	}
	return b.String()
}

// crossed is n fragments that each spread all later ones.
func crossed(n int) string {
	var b strings.Builder
	b.WriteString("{ products { ...F0 } }\n")
	for i := range n {
		fmt.Fprintf(&b, "fragment F%d on Product { id ", i)
		for j := i + 1; j < n; j++ {
			fmt.Fprintf(&b, "...F%d ", j)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func TestBombs(t *testing.T) {
	s := schema(t, shop)
	// Execution takes a fragment once at each place, so doubling alone is harmless.
	harmless := map[string]bool{
		"comment of half a megabyte":    true,
		"one string of half a megabyte": true,
		"doubling fragments":            true,
		"doubling merged fields":        true,
	}
	for name, src := range bombs() {
		t.Run(name, func(t *testing.T) {
			done := make(chan sdl.Errors, 2)
			go func() {
				_, errs := sdl.Load(s, "bomb.graphql", []byte(src))
				done <- errs
				sdl.Parse("bomb.graphql", []byte(src))
				done <- nil
			}()
			// A guard against hanging, far above what any of them takes.
			guard := time.After(60 * time.Second)
			select {
			case errs := <-done:
				if (len(errs) == 0) != harmless[name] {
					t.Errorf("got faults %v", errs)
				}
			case <-guard:
				t.Fatal("still validating")
			}
			select {
			case <-done:
			case <-guard:
				t.Fatal("still parsing")
			}
		})
	}
}

func TestNamed(t *testing.T) {
	one, _ := sdl.Parse("", []byte("query A { a }"))
	two, _ := sdl.Parse("", []byte("query A { a } mutation B { b }"))
	for _, c := range []struct {
		doc        *sdl.Document
		name, want string
	}{
		{one, "", "A"},
		{one, "A", "A"},
		{one, "B", `document has no operation "B" (it has A)`},
		{two, "B", "B"},
		{two, "", "document has 2 operations (A, B): name the one to run"},
	} {
		op, err := sdl.Named(c.doc, c.name)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = op.Name
		}
		if got != c.want {
			t.Errorf("Named(%q) = %s, want %s", c.name, got, c.want)
		}
	}
}

func TestVariables(t *testing.T) {
	s := schema(t, shop)
	for _, c := range []struct {
		name, declared, given string
		want                  string // the values as JSON
		fault                 string
		syntaxOnly            string // the fault without a schema, where another
	}{
		{"none", `$first: Int`, ``, `{}`, "", ""},
		{"null", `$first: Int`, `null`, `{}`, "", ""},
		{"default", `$first: Int = 7`, `{}`, `{"first":7}`, "", ""},
		{"default and null", `$first: Int = 7`, `{"first":null}`, `{"first":null}`, "", ""},
		{"required", `$id: ID!`, `{}`, "", "$id: is required (ID!) and missing", ""},
		{"required null", `$id: ID!`, `{"id":null}`, "", "$id: is null but its type is ID!", ""},
		{"undeclared", `$id: ID!`, `{"id":"a","x":1}`, `{"id":"a"}`, "", ""},
		{"id number", `$id: ID!`, `{"id":12345678901234567890}`, `{"id":"12345678901234567890"}`, "", ""},
		{"id fraction", `$id: ID!`, `{"id":1.5}`, "", "$id: is a number that ID! can't hold", ""},
		{"int", `$n: Int`, `{"n":5.0}`, `{"n":5}`, "", ""},
		{"int too large", `$n: Int`, `{"n":2147483648}`, "", "$n: is a number that Int can't hold", ""},
		{"int as string", `$n: Int`, `{"n":"5"}`, "", "$n: is a string but its type is Int", ""},
		{"timestamp", `$n: AWSTimestamp`, `{"n":4102444800}`, `{"n":4102444800}`, "", ""},
		{"string as number", `$s: String`, `{"s":5}`, "", "$s: is a number but its type is String", ""},
		{"AWSJSON as object", `$s: AWSJSON`, `{"s":{}}`, "", "$s: is an object but its type is AWSJSON", ""},
		{"float", `$f: Float`, `{"f":1}`, `{"f":1}`, "", ""},
		{"boolean", `$b: Boolean!`, `{"b":"true"}`, "", "$b: is a string but its type is Boolean!", ""},
		{"list", `$l: [Int!]`, `{"l":[1,2]}`, `{"l":[1,2]}`, "", ""},
		{"list of one", `$l: [Int!]`, `{"l":1}`, `{"l":[1]}`, "", ""},
		{"list with null", `$l: [Int!]`, `{"l":[1,null]}`, "", "$l[1]: is null but its type is Int!", ""},
		{"enum", `$o: Order`, `{"o":"ASC"}`, `{"o":"ASC"}`, "", ""},
		{"enum value", `$o: Order`, `{"o":"asc"}`, "", `$o: is no value of Order (ASC, DESC)`, "-"},
		{"enum number", `$o: Order`, `{"o":1}`, "", `$o: is a number but its type is the enum Order`, "-"},
		{"input", `$f: Filter`, `{"f":{"order":"DESC","price":{"min":1}}}`, `{"f":{"limit":5,"order":"DESC","price":{"min":1}}}`, "", ""},
		{"input required", `$f: Filter`, `{"f":{"price":{}}}`, "", "$f.price.min: is required (Float!) and missing", "-"},
		{"input unknown", `$f: Filter`, `{"f":{"ordr":"DESC"}}`, "", "$f.ordr: is no field of Filter", "-"},
		{"input list", `$f: Add`, `{"f":{"name":"n","ids":[1,[2]]}}`, "", "$f.ids[1]: is a list but its type is ID!", "-"},
		{"object type", `$f: Product`, `{"f":{}}`, "", "$f: has type Product, which is no input type", "-"},
		{"unknown type", `$f: Nope`, `{"f":{}}`, "", "$f: has type Nope, which the schema doesn't know", "-"},
		{"not JSON", `$n: Int`, `{"n":`, "", "variables are not JSON: unexpected EOF", ""},
		{"two values", `$n: Int`, `{} {}`, "", "variables are not JSON: more follows after their end", ""},
		{"not an object", `$n: Int`, `[1]`, "", "variables are a list, not an object", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := c.declared[:strings.IndexByte(c.declared, ':')]
			doc, errs := sdl.Parse("", []byte(fmt.Sprintf("query Q(%s) { f(x: %s) }", c.declared, name)))
			if errs != nil {
				t.Fatal(errs)
			}
			got, errs := sdl.Variables(s, doc.Operations[0], []byte(c.given))
			if first(errs) != c.fault {
				t.Fatalf("fault %q, want %q", first(errs), c.fault)
			}
			if errs == nil {
				text, err := json.Marshal(got)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, string(text)); diff != "" {
					t.Error(diff)
				}
			}
			want := c.fault
			if c.syntaxOnly == "-" {
				want = ""
			}
			if _, errs := sdl.Variables(nil, doc.Operations[0], []byte(c.given)); first(errs) != want {
				t.Errorf("without a schema: fault %q, want %q", first(errs), want)
			}
		})
	}
}

// FuzzLoad: whatever the document and the variables are, an answer comes and no
// panic, and what is accepted with a schema is accepted without one.
func FuzzLoad(f *testing.F) {
	for _, src := range bombs() {
		if len(src) < 4000 {
			f.Add(src, `{"id":1}`)
		}
	}
	f.Add(`query Q($f: Filter, $id: ID = "x") { products(filter: $f) { id } product(id: $id) { name @include(if: true) } }`, `{"f":{"order":"ASC","price":{"min":1.5}}}`)
	f.Add(`mutation M($i: Add!) { add(input: $i) { owner { ... on Person { at } } } }`, `{"i":{"name":"x","ids":["a",2]}}`)
	f.Add("subscription { added { id } }", "[]")
	f.Add("\"\"\"x\"\"\" query A { a }", "")
	s := schema(f, shop)
	f.Fuzz(func(t *testing.T, src, variables string) {
		doc, errs := sdl.Load(s, "", []byte(src))
		if errs != nil {
			return
		}
		if _, errs := sdl.Parse("", []byte(src)); errs != nil {
			t.Fatalf("accepted with a schema, refused without: %v", errs)
		}
		for _, op := range doc.Operations {
			if values, errs := sdl.Variables(s, op, []byte(variables)); errs == nil {
				if _, err := json.Marshal(values); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func FuzzLoadSchema(f *testing.F) {
	f.Add(shop)
	f.Add("extend type Query { a: Int }")
	f.Add("type Query { a: Query } interface I implements I { a: Int } union U = U")
	f.Add("input A { a: A! } type Query { a(b: A): Int }")
	f.Add("schema { query: Nope }")
	if b, err := os.ReadFile("sdl.go"); err == nil {
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, src string) {
		if s, err := sdl.LoadSchema("", []byte(src)); err == nil {
			if _, errs := sdl.Load(s, "", []byte("{ __typename }")); errs != nil {
				t.Fatal(errs)
			}
		}
	})
}
