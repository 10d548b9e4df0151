package scenarios

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/headroom-load/headroom/scenarios/strict"
)

// TestSchemaFile holds the committed schema to the one that the program prints.
func TestSchemaFile(t *testing.T) {
	golden(t, "scenario.schema.json", string(Schema()))
}

func compiledSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("scenario.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("scenario.schema.json") // also checks it against the draft's own schema
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON returns what a YAML file looks like to JSON Schema.
func asJSON(t *testing.T, file string) (any, error) {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var raw json.RawMessage
	if _, faults := strict.Decode(file, src, &raw); faults != nil {
		return nil, faults
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(raw))
}

func TestSchemaAcceptsWhatIsRight(t *testing.T) {
	schema := compiledSchema(t)
	for _, pattern := range []string{"*.yaml", fixtures + "/good/*.yaml", fixtures + "/bad/meaning/*.yaml"} {
		for _, file := range files(t, pattern) {
			v, err := asJSON(t, file)
			if err == nil {
				err = schema.Validate(v)
			}
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

// beyondShape says of bad files which the schema accepts why it can't know
// better.
var beyondShape = map[string]string{
	"duplicate-load":              "compares keys of different items",
	"duplicate-operation":         "compares keys of different items",
	"missing-file":                "reads a file",
	"missing-system":              "reads a file",
	"file-is-a-folder":            "reads a file",
	"unset-variable":              "reads the environment",
	"unknown-placeholder":         "placeholders hide a value's form",
	"unclosed-placeholder":        "placeholders hide a value's form",
	"row-outside-of-variables":    "placeholders hide a value's form",
	"row-without-rows":            "looks into strings",
	"row-unknown-column":          "reads a file",
	"rows-not-used":               "looks into strings",
	"rows-ragged":                 "reads a file",
	"rows-bad-csv":                "reads a file",
	"rows-empty":                  "reads a file",
	"rows-header-only":            "reads a file",
	"rows-bad-header":             "reads a file",
	"rows-unknown-kind":           "reads a file",
	"rows-bad-json-lines":         "reads a file",
	"replay-missing-file":         "reads a file",
	"replay-columns":              "reads a file",
	"replay-one-row":              "reads a file",
	"replay-out-of-order":         "reads a file",
	"replay-bad-counts":           "reads a file",
	"replay-bad-instant":          "reads a file",
	"replay-all-zero":             "reads a file",
	"replay-ragged":               "reads a file",
	"spike-peak-outside":          "relates values in texts",
	"spike-too-steep":             "relates values of two keys",
	"sine-below-zero":             "relates values in texts",
	"sine-too-fast":               "relates values in texts",
	"zero-duration":               "is a bound on a value in a text",
	"no-arrivals":                 "is a bound on a value in a text",
	"too-many-arrivals":           "is a bound on values in texts",
	"too-long":                    "is a bound on a value in a text",
	"quota-zero":                  "is a bound on a value in a text",
	"forecast-zero":               "is a bound on a value in a text",
	"settle-too-long":             "is a bound on a value in a text",
	"threshold-unknown-operation": "compares a text with other keys",
	"threshold-never-measured":    "compares a text with other keys",
	"threshold-rate-of-no-second": "compares a text with other keys",
	"threshold-never-holds":       "is a bound on a value in a text",
	"price-twice":                 "relates several items",
	"iam-without-region":          "relates keys of different mappings",
	"kafka-group-without-kafka":   "relates keys of different mappings",
	"kafka-group-without-topic":   "relates keys of different mappings",
	"msk-without-kafka":           "relates keys of different mappings",
	"msk-without-records":         "relates keys of different mappings",
	"msk-two-clusters":            "relates several items",
	"secret-header-in-the-file":   "depends on a key's name in any case",
	"kafka-bad-port":              "is a bound on a value in a text",
	"kafka-large-value":           "is a bound on a value in a text",
	"kafka-linger":                "is a bound on a value in a text",
	"kafka-column-without-rows":   "relates keys of different mappings",
	"kafka-iam-with-password":     "relates keys of one mapping",
	"kafka-sasl-without-user":     "relates keys of one mapping",
	"kafka-idempotence":           "relates keys of one mapping",
	"kafka-in-a-graphql-load":     "relates keys of different mappings",
	"kafka-no-target":             "relates keys of different mappings",
	"kafka-rows-empty":            "reads a file",
	"kafka-rows-unknown-column":   "reads a file",
	"kafka-rows-unused":           "relates keys of one mapping",
	"kafka-tls-files":             "reads a file",
	// Faults of the YAML itself, which a reader of the schema never sees.
	"not-yaml": "isn't YAML", "tabs": "isn't YAML", "bad-indentation": "isn't YAML", "unclosed-quote": "isn't YAML", "deep-nesting": "is refused as YAML",
	"binary": "isn't text", "nul-byte": "isn't text", "latin-1": "isn't text",
	"empty": "has no value", "comments-only": "has no value", "two-documents": "has two values",
	"duplicate-key": "is lost in reading", "alias": "is lost in reading", "alias-bomb": "is lost in reading", "merge-key": "is lost in reading", "tag": "is lost in reading",
	"variables-ambiguous-number": "is lost in reading",
}

func TestSchemaRefusesWhatParseFileRefuses(t *testing.T) {
	schema := compiledSchema(t)
	for _, file := range files(t, fixtures+"/bad/*.yaml") {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		v, err := asJSON(t, file)
		if err == nil {
			err = schema.Validate(v)
		} else {
			err = nil
		}
		switch reason := beyondShape[name]; {
		case err == nil && reason == "":
			t.Errorf("%s: the schema accepts it", name)
		case err != nil && reason != "":
			t.Errorf("%s: is said to be beyond the schema as it %s, but: %v", name, reason, err)
		}
	}
	for name := range beyondShape {
		if _, err := os.Stat(filepath.Join(fixtures, "bad", name+".yaml")); err != nil {
			t.Error(err)
		}
	}
}

// Each example in the schema is a value of its own key.
func TestExamplesOfTheSchemaAreRight(t *testing.T) {
	var root any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	seen := 0
	var visit func(v any)
	visit = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				visit(item)
			}
		case map[string]any:
			for _, item := range v {
				visit(item)
			}
			examples, ok := v["examples"].([]any)
			if !ok {
				return
			}
			c := jsonschema.NewCompiler()
			c.DefaultDraft(jsonschema.Draft2020)
			if err := c.AddResource("part.json", v); err != nil {
				t.Fatal(err)
			}
			part, err := c.Compile("part.json")
			if err != nil {
				t.Fatal(err)
			}
			for _, example := range examples {
				seen++
				if err := part.Validate(example); err != nil {
					t.Errorf("%v: %v", example, err)
				}
			}
		}
	}
	visit(root)
	if seen < 20 {
		t.Errorf("only %d examples", seen)
	}
}

func TestNamesAreAsLongAsTheSchemaSays(t *testing.T) {
	pattern := regexp.MustCompile(nameForm.pattern())
	for text, want := range map[string]bool{
		"": false, "é": true, "-a": false, "a b": false,
		strings.Repeat("é", 100): true, strings.Repeat("é", 101): false,
	} {
		if nameForm.matches(text) != want || pattern.MatchString(text) != want {
			t.Errorf("%.20q with %d characters: %v, by the schema %v; want %v", text, utf8.RuneCountInString(text), nameForm.matches(text), pattern.MatchString(text), want)
		}
	}
}
