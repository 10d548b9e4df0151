package scenarios

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/headroom-load/headroom/scenarios/strict"
)

var update = flag.Bool("update", false, "write what is expected instead of comparing with it")

const fixtures = "../testdata/scenarios"

// environment is what the fixtures may refer to.
func environment(name string) (string, bool) {
	v, ok := map[string]string{
		"HOME":            "/home/tester",
		"APPSYNC_URL":     "https://example.test/graphql",
		"APPSYNC_API_KEY": "da2-not-a-key",
		"TOKEN":           "abc",
		"EMPTY":           "",
	}[name]
	return v, ok
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.FromSlash(pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return names
}

// Each bad file has its faults beside it, in a .faults file.
func TestBadFiles(t *testing.T) {
	names := files(t, fixtures+"/bad/*.yaml")
	if len(names) < 45 {
		t.Errorf("only %d bad files", len(names))
	}
	for _, file := range names {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			s, faults := ParseFile(os.DirFS(fixtures+"/bad"), name, environment)
			if s != nil || len(faults) == 0 {
				t.Fatal("no fault was found")
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".faults", faults.Error()+"\n")
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", file, diff)
	}
}

// What these files get wrong is the business of the rooms that know GraphQL,
// quotas and Systems.
func TestFilesWithBadMeaningHaveTheRightShape(t *testing.T) {
	for _, file := range files(t, fixtures+"/bad/meaning/*.yaml") {
		if _, faults := ParseFile(OSFiles(), filepath.ToSlash(file), environment); faults != nil {
			t.Error(faults)
		}
	}
}

func TestAHugeFileIsRefusedAtOnce(t *testing.T) {
	fsys := fstest.MapFS{"huge.yaml": {Data: bytes.Repeat([]byte("- [{"), 5<<20/4)}}
	_, faults := ParseFile(fsys, "huge.yaml", environment)
	const want = "huge.yaml:1:1: file is larger than 1 MiB (large data belongs in a file of its own, such as rows)"
	if got := faults.Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAScenarioThatCantBeRead(t *testing.T) {
	fsys := fstest.MapFS{"folder/x": {}}
	for name, want := range map[string]string{
		"nowhere.yaml": "nowhere.yaml:1:1: doesn't exist",
		"folder":       "folder:1:1: is a folder, not a file",
	} {
		if _, faults := ParseFile(fsys, name, environment); faults.Error() != want {
			t.Errorf("%s: %s", name, faults)
		}
	}
}

func parse(t *testing.T, file string) *Scenario {
	t.Helper()
	s, faults := ParseFile(OSFiles(), file, environment)
	if faults != nil {
		t.Fatal(faults)
	}
	return s
}

var ignored = cmp.Options{cmpopts.IgnoreUnexported(Scenario{}), cmpopts.IgnoreFields(Scenario{}, "Files", "Source", "Digest")}

func TestTheExampleOfTheDocumentation(t *testing.T) {
	s := parse(t, fixtures+"/good/launch.yaml")
	want := &Scenario{
		Version: 1, Name: "launch", Description: "First minutes after the broadcast.",
		Target: Target{
			AWS:     AWS{Region: "ap-northeast-1", Account: "111122223333"},
			GraphQL: &GraphQL{Endpoint: "https://example.test/graphql", Auth: Auth{APIKey: "da2-not-a-key"}},
		},
		Forecast: 5000,
		Loads: []Load{{
			Name: "viewers", Arrivals: Poisson, Seed: 1, Late: Drop, Lateness: 100 * time.Millisecond, Pacing: DefaultPacing, Timeout: 30 * time.Second,
			Profile: []Stage{
				{Name: "warm-up", From: 50, To: 50, For: 20 * time.Second},
				{Name: "onset", Ramp: true, From: 50, To: 5000, For: 10 * time.Second, Measure: true},
				{Name: "premiere", From: 5000, To: 5000, For: 2 * time.Minute, Measure: true},
			},
			Operations: []Operation{
				{Name: "listPrograms", Weight: 9, GraphQL: &GraphQLOperation{
					Document: "query listPrograms($first: Int!) {\n  listPrograms(first: $first) {\n    id\n    title\n  }\n}\n", DocumentFile: "queries/list.graphql",
					Variables: []byte(`{"first":50}`),
				}},
				{Name: "getProgram", Weight: 1, GraphQL: &GraphQLOperation{
					Document: "query getProgram($id: ID!) {\n  getProgram(id: $id) {\n    id\n    title\n  }\n}\n", DocumentFile: "queries/get.graphql",
					Variables: []byte(`{"id":"${row.id}"}`),
					Rows:      &Rows{File: "ids.csv", Columns: []string{"id", "title"}, Values: [][]string{{`"1"`, `"One"`}, {`"2"`, `"Two, \"quoted\""`}}},
				}},
			},
		}},
		Observe: []Observe{{Lambda: "programs"}, {DynamoDB: "Episodes"}, {Momento: "programs-cache"}},
		Settle:  3 * time.Minute,
		Quotas: []QuotaOverride{
			{ID: "appsync.request-tokens", Amount: 20000, Thing: "tokens", Per: time.Second},
			{ID: "lambda.concurrency", Amount: 1000, Thing: "environments"},
		},
		Thresholds: []Threshold{
			{"p99(listPrograms) < 800ms", "p99", "listPrograms", "<", 0.8},
			{"errors < 0.1%", "errors", "", "<", 0.001},
			{"tokens(listPrograms) < 3", "tokens", "listPrograms", "<", 3},
			{"rate > 4000/s", "rate", "", ">", 4000},
			{"headroom(appsync.request-tokens) > 30%", "headroom", "appsync.request-tokens", ">", 0.3},
			{"binds_at(lambda.concurrency) >= 6000/s", "binds_at", "lambda.concurrency", ">=", 6000},
		},
		Stop: []Threshold{
			{"utilization(appsync.request-tokens) > 90%", "utilization", "appsync.request-tokens", ">", 0.9},
			{"errors >= 20%", "errors", "", ">=", 0.2},
		},
	}
	if diff := cmp.Diff(want, s, ignored); diff != "" {
		t.Error(diff)
	}
}

func TestEveryKey(t *testing.T) {
	s := parse(t, fixtures+"/good/everything.yaml")
	want := &Scenario{
		Version: 1, Name: "Everything: at once", Description: "Two loads on one clock, the second late.\n",
		Target: Target{
			AWS: AWS{Region: "eu-west-1"},
			GraphQL: &GraphQL{
				Endpoint: "https://example.test/graphql", Auth: Auth{IAM: true}, Schema: "../good/schema.graphql",
				Headers: []Header{{"X-Stage", "${literal}"}, {"x-trace-token", "abc"}},
			},
		},
		Forecast: 12000,
		Loads: []Load{
			{
				Name: "viewers", Arrivals: Uniform, Seed: 1<<64 - 1, InFlight: 500, Late: Send, Lateness: 250 * time.Millisecond, Pacing: Precise, Timeout: 5 * time.Second,
				Profile: []Stage{
					{Name: "onset", Ramp: true, From: 0, To: 10, For: 90 * time.Second, Measure: true},
					{Name: "pause", For: 500 * time.Millisecond, Measure: true},
					{Name: "fall", Ramp: true, From: 0, To: 1, For: time.Minute, Measure: true},
				},
				Operations: []Operation{{Name: "search", Weight: 0.5, GraphQL: &GraphQLOperation{
					Document: "query a($q: String!) { search(q: $q) { id } }\nquery b { latest { id } }\n", OperationName: "a",
					Variables: []byte(`{"q":"${row.q}","note":"$${row.q} costs 5$","page":{"size":20,"after":null,"flags":[true,1.50]},"day":"2026-11-21"}`),
					Rows:      &Rows{File: "rows.jsonl", Columns: []string{"n", "q"}, Values: [][]string{{`1`, `"news"`}, {`2.50`, `{"deep":["a",1]}`}}},
					Headers:   []Header{{"x-client", "web"}},
				}}},
			},
			{
				Name: "editors", Arrivals: Poisson, Seed: 1, Start: 45 * time.Second, Late: Drop, Lateness: 100 * time.Millisecond, Pacing: DefaultPacing, Timeout: 30 * time.Second,
				Profile:    []Stage{{Name: "steady", From: 0.5, To: 0.5, For: time.Hour, Measure: true}},
				Operations: []Operation{{Name: "save", Weight: 1, GraphQL: &GraphQLOperation{Document: "mutation { save }"}}},
			},
		},
		Prices: []Price{
			{"data.out", 0.08, 1e9, "B", "contract of 2026, § 3", "2026-04-01"}, {"kafka.cluster", 0, 1, "h", "paid by another team", "2026-04-02"},
		},
	}
	if diff := cmp.Diff(want, s, ignored); diff != "" {
		t.Error(diff)
	}
	if f := s.Fault("loads[1].operations[0].graphql.variables", "", ""); f.Line != 50 || f.File != fixtures+"/good/everything.yaml" {
		t.Errorf("a fault of a missing key is at %v", f)
	}
}

func TestSettleIsLeftToTheTargetWhereUnset(t *testing.T) {
	if s := parse(t, fixtures+"/good/smallest.yaml"); s.Settle >= 0 || s.Forecast != 0 || !s.Target.GraphQL.Literal {
		t.Errorf("%+v", s)
	}
}

func TestTheHostIsLiteralOnlyWhereTheFileNamesIt(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"https://example.test/${TOKEN}": true, "https://example.test": true, "https://${TOKEN}.example.test/": false,
		"${APPSYNC_URL}": false, "https://example.test${EMPTY}/": false, "https://$TOKEN.test?a=${TOKEN}": true,
		"https://${TOKEN:-example.test}/": false,
	} {
		s, faults := parseText(t, strings.Replace(small, `"http://127.0.0.1:4000/graphql"`, `"`+endpoint+`"`, 1))
		if faults != nil {
			t.Fatal(faults)
		}
		if got := s.Target.GraphQL.Literal; got != want {
			t.Errorf("%s: literal is %v", endpoint, got)
		}
	}
}

const small = `version: 1
name: small
target: {graphql: {endpoint: "http://127.0.0.1:4000/graphql"}}
loads:
  - name: viewers
    profile: [{stage: steady, rate: 10/s, for: 10s}]
    operations: [{name: hello, graphql: {query: "{ hello }"}}]
`

func parseText(t *testing.T, text string) (*Scenario, strict.Faults) {
	t.Helper()
	return ParseFile(fstest.MapFS{"s.yaml": {Data: []byte(text)}}, "s.yaml", environment)
}

func TestReadyMadeScenarios(t *testing.T) {
	names, err := fs.Glob(Ready(), "*.yaml")
	if err != nil || !slices.Equal(names, []string{"play.yaml", "premiere-cached.yaml", "premiere.yaml", "view-events.yaml"}) {
		t.Fatalf("%v %v", names, err)
	}
	for _, name := range names {
		s, faults := ParseFile(Ready(), name, func(string) (string, bool) { return "", false })
		if faults != nil {
			t.Fatal(faults)
		}
		sandbox, operation := s.Name, "listPrograms"
		switch s.Name {
		case "view-events":
			operation = "view"
		case "play":
			sandbox, operation = "view-events", "getProgram"
		}
		if s.Name+".yaml" != name || s.Target.Sandbox != sandbox || s.Loads[0].Operations[0].Name != operation {
			t.Errorf("%s is of %s and %s", name, s.Target.Sandbox, s.Loads[0].Operations[0].Name)
		}
		if d := s.Loads[0].Duration(); d > 37*time.Second {
			t.Errorf("%s takes %v", name, d)
		}
		src, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(src, s.Source) {
			t.Errorf("%s: source differs (%v)", name, err)
		}
		if _, err := fs.ReadFile(s.Files, "queries/list-programs.graphql"); err != nil {
			t.Error(err)
		}
	}
}

// A file may be named from anywhere: by an absolute path, and from outside of
// the scenario's folder.
func TestRelativeAndAbsoluteFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return filepath.ToSlash(file)
	}
	query := write("shared/q.graphql", "{ hello }")
	for _, ref := range []string{query, "../shared/q.graphql", "./../shared/./q.graphql"} {
		file := write("mine/s.yaml", strings.Replace(small, `query: "{ hello }"`, `document: "`+ref+`"`, 1))
		s := parse(t, file)
		if got := s.Loads[0].Operations[0].GraphQL; got.Document != "{ hello }" || got.DocumentFile != ref {
			t.Errorf("%s: %+v", ref, got)
		}
		if b, err := fs.ReadFile(s.Files, ref); err != nil || string(b) != "{ hello }" {
			t.Errorf("%s: %q, %v", ref, b, err)
		}
	}
	write("s.yaml", strings.Replace(small, `query: "{ hello }"`, `document: ../q.graphql`, 1))
	_, faults := ParseFile(os.DirFS(dir), "s.yaml", environment)
	if want := `s.yaml:7:52: loads[0].operations[0].graphql.document: file "../q.graphql" lies outside of the scenario's files (paths start from the scenario's folder)`; faults.Error() != want {
		t.Errorf("got %v", faults)
	}
}

func TestTheDigestCoversEveryFile(t *testing.T) {
	fsys := func(query, rows string) fstest.MapFS {
		text := strings.Replace(small, `query: "{ hello }"`, `document: q.graphql, variables: {id: "${row.id}"}, rows: r.csv`, 1)
		return fstest.MapFS{"s.yaml": {Data: []byte(text)}, "q.graphql": {Data: []byte(query)}, "r.csv": {Data: []byte(rows)}}
	}
	seen := map[string]string{}
	for _, c := range [][2]string{{"{ a }", "id\n1\n"}, {"{ b }", "id\n1\n"}, {"{ a }", "id\n2\n"}, {"{ a }\n", "id\n2\n"}} {
		s, faults := ParseFile(fsys(c[0], c[1]), "s.yaml", environment)
		if faults != nil {
			t.Fatal(faults)
		}
		if other, ok := seen[s.Digest]; ok || len(s.Digest) != 64 {
			t.Errorf("%q and %q have the digest %q", c, other, s.Digest)
		}
		seen[s.Digest] = c[0] + c[1]
		if again, _ := ParseFile(fsys(c[0], c[1]), "s.yaml", environment); again.Digest != s.Digest {
			t.Error("the digest changes from one reading to the next")
		}
	}
}

// Wherever a value of the environment stands, no fault shows it and Source
// doesn't hold it.
func TestValuesOfTheEnvironmentAreNeverShown(t *testing.T) {
	src, err := os.ReadFile(fixtures + "/good/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var raw json.RawMessage
	if _, faults := strict.Decode("everything.yaml", src, &raw); faults != nil {
		t.Fatal(faults)
	}
	var values any
	if err := json.Unmarshal(raw, &values); err != nil {
		t.Fatal(err)
	}
	secrets := []string{"hunter2\x1b[31m\nhunter2", "p99(hunter2) < 1s", "hunter2/hunter2", "5 hunter2/s", "http://hunter2:hunter2@x y/", "hunter2.yaml", "9hunter2"}
	places := 0
	var visit func(v any, put func(any))
	visit = func(v any, put func(any)) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				visit(value, func(n any) { v[key] = n })
			}
		case []any:
			for i, value := range v {
				visit(value, func(n any) { v[i] = n })
			}
		default:
			places++
			put("${SECRET}")
			text, err := json.Marshal(values) // JSON is YAML
			if err != nil {
				t.Fatal(err)
			}
			put(v)
			fsys := fstest.MapFS{"s.yaml": {Data: text}, "rows.jsonl": {Data: []byte(`{"q": 1, "n": 2}`)}}
			for _, secret := range secrets {
				s, faults := ParseFile(fsys, "s.yaml", func(name string) (string, bool) {
					if name == "SECRET" {
						return secret, true
					}
					return environment(name)
				})
				if faults != nil && strings.Contains(faults.Error(), "hunter2") || s != nil && bytes.Contains(s.Source, []byte("hunter2")) {
					t.Errorf("%s\nshows the secret: %v", text, faults)
				}
			}
		}
	}
	visit(values, func(any) {})
	if places < 50 {
		t.Errorf("only %d places were tried", places)
	}
}

func TestExpand(t *testing.T) {
	for _, c := range []struct {
		text string
		data bool
		want string
	}{
		{"plain $ {text} $5", false, "plain $ {text} $5"},
		{"${TOKEN}", false, "abc"},
		{"a${TOKEN}b${TOKEN}", false, "aabcbabc"},
		{"${NONE:-x y:-z}", false, "x y:-z"},
		{"${EMPTY:-default}", false, "default"},
		{"${EMPTY}", false, ""},
		{"${NONE:-}", false, ""},
		{"$${TOKEN}", false, "${TOKEN}"},
		{"$$${TOKEN}", false, "$${TOKEN}"},
		{"$${TOKEN}", true, "$${TOKEN}"},
		{"${row.x}-${TOKEN}", true, "${row.x}-abc"},
		{"${FORGED}", true, "$${row.x}"},
	} {
		env := func(name string) (string, bool) {
			if name == "FORGED" {
				return "${row.x}", true
			}
			return environment(name)
		}
		if got, err := expand(c.text, env, c.data); got.text != c.want || err != nil {
			t.Errorf("expand(%q, data %v) = %q, %v; want %q", c.text, c.data, got.text, err, c.want)
		}
	}
	for text, want := range map[string]string{
		"${NONE} ${ALSO}": "the environment variable NONE is not set (set it, or write ${NONE:-default})\nthe environment variable ALSO is not set (set it, or write ${ALSO:-default})",
		"${none}":         `has the unknown placeholder "${none}" (write ${NAME}, ${NAME:-default} or ${row.column}; $${ is a literal ${)`,
		"${}":             `has the unknown placeholder "${}" (write ${NAME}, ${NAME:-default} or ${row.column}; $${ is a literal ${)`,
		"${TOKEN":         `has a placeholder without its closing } (write $${ for a literal ${)`,
		"${row.x}":        `"${row.x}" is data, which stands in variables only (an environment variable has capital letters)`,
	} {
		if _, err := expand(text, environment, false); err == nil || err.Error() != want {
			t.Errorf("expand(%q): %v", text, err)
		}
	}
}

func TestParseRowsRefuses(t *testing.T) {
	for _, c := range []struct{ file, src, want string }{
		{"r.csv", "a\n\xff\n", "r.csv:1:1: file is not UTF-8 text (save it as UTF-8)"},
		{"r.csv", "a,b\n1,2\n\n3\n", "r.csv:4:1: row has 1 values for 2 columns"},
		{"r.csv", strings.Repeat("a,", maxColumns), "r.csv:1:1: file has more than 1000 columns"},
		{"r.ndjson", "{}\n", ""},
		{"r.ndjson", "null\n", "r.ndjson:1:1: line is not a JSON object (write one object on each line)"},
		{"r.ndjson", "\n", "r.ndjson:1:1: file has no rows"},
		{"r.jsonl", `{"a":1}` + "\n" + `{"a":1,"b":2}`, "r.jsonl:2:1: row has 2 values for 1 columns"},
		{"r.csv", "a\x1b\n1\n", `r.csv:1:1: column "a\x1b" has a control character in its name`},
		{"r.CSV", strings.Repeat("a,b\n1\n", 30), ""},
	} {
		_, faults := parseRows(c.file, []byte(c.src))
		if c.want != "" && faults.Error() != c.want {
			t.Errorf("%s %.20q: %v", c.file, c.src, faults)
		}
		if len(faults) > maxRowFaults {
			t.Errorf("%d faults", len(faults))
		}
	}
}

// Reading must not take longer than linear time, however many faults there are.
func TestManyFaultsOfManyKinds(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: 1\nname: many\ntarget: {sandbox: premiere}\nloads:\n")
	for i := range 4000 {
		fmt.Fprintf(&b, "  - {name: l%d, profile: [{stage: s, for: 1s}], operations: [{name: same, weight: 0, graphql: {}}]}\n", i)
	}
	_, faults := parseText(t, b.String())
	if len(faults) != strict.MaxFaults+1 {
		t.Errorf("%d faults", len(faults))
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add([]byte(small), []byte("id\n1\n"))
	f.Add([]byte(strings.Replace(small, "http", "hTTp", 1)), []byte("id\n1\n"))
	f.Add([]byte("version: 1\nname: \"\\e[2J\"\nquotas: {\"\\e\": 1 op}\ntarget: {sandbox: \"\\e.yaml\", graphql: {endpoint: \"${row.\\e}\"}}\nloads: []\n"), []byte("\x1b\n1,2\n"))
	for _, pattern := range []string{fixtures + "/good/*.yaml", fixtures + "/bad/*.yaml", "*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			src, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src, []byte("{\"id\": 1}\n"))
		}
	}
	schema := compiledSchema(f)
	f.Fuzz(func(t *testing.T, src, other []byte) {
		fsys := fstest.MapFS{"s.yaml": {Data: src}, "ids.csv": {Data: other}, "files/ids.csv": {Data: other}, "rows.jsonl": {Data: other}, "q.graphql": {Data: other}}
		s, faults := ParseFile(fsys, "s.yaml", environment)
		if (s == nil) != (len(faults) > 0) {
			t.Fatalf("%v and %v", s, faults)
		}
		if strings.ContainsFunc(strings.ReplaceAll(faults.Error(), "\n", ""), unicode.IsControl) {
			t.Errorf("control characters in %q", faults.Error())
		}
		if s == nil {
			return
		}
		var raw json.RawMessage
		if _, faults := strict.Decode("s.yaml", src, &raw); faults != nil {
			t.Fatalf("only without a shape: %v", faults)
		}
		if v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw)); err != nil || schema.Validate(v) != nil {
			t.Errorf("the schema refuses %s: %v, %v", raw, err, schema.Validate(v))
		}
		for _, l := range s.Loads {
			if !(l.PeakRate() > 0) || l.Duration() <= 0 || l.Timeout <= 0 || len(l.Operations) == 0 {
				t.Errorf("an impossible load: %+v", l)
			}
			for _, o := range l.Operations {
				if g := o.GraphQL; (g == nil) == (o.Kafka == nil) || g != nil && g.Variables != nil && !json.Valid(g.Variables) {
					t.Errorf("an impossible operation: %+v", o)
				}
			}
		}
	})
}
