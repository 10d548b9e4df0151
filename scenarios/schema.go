package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/scenarios/strict"
	"github.com/headroom-load/headroom/scenarios/unit"
)

//go:generate go test -run ^TestSchemaFile$ -update .

// Schema returns the JSON Schema (draft 2020-12) of scenario files, made from
// the types that ParseFile decodes into. It covers shape: keys, kinds of value
// and notations. A text with a ${placeholder} passes, as its value isn't known.
//
// scenario.schema.json is the same text, for editors.
func Schema() []byte {
	s := schemaOf(reflect.TypeFor[scenarioFile]())
	s.Dialect = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "headroom scenario"
	s.Description = "What load is sent where, what is observed meanwhile, and the bounds that the run must keep."
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		panic(err) // plain values always encode
	}
	return b.Bytes()
}

// schema is the part of JSON Schema that scenario files need.
type schema struct {
	Dialect              string          `json:"$schema,omitempty"`
	Title                string          `json:"title,omitempty"`
	Description          string          `json:"description,omitempty"`
	Type                 string          `json:"type,omitempty"`
	Const                any             `json:"const,omitempty"`
	Pattern              string          `json:"pattern,omitempty"`
	Minimum              *float64        `json:"minimum,omitempty"`
	ExclusiveMinimum     *float64        `json:"exclusiveMinimum,omitempty"`
	Maximum              *float64        `json:"maximum,omitempty"`
	MinItems             int             `json:"minItems,omitempty"`
	Items                *schema         `json:"items,omitempty"`
	Properties           properties      `json:"properties,omitempty"`
	PropertyNames        *schema         `json:"propertyNames,omitempty"`
	AdditionalProperties any             `json:"additionalProperties,omitempty"`
	MinProperties        int             `json:"minProperties,omitempty"`
	MaxProperties        int             `json:"maxProperties,omitempty"`
	Required             []string        `json:"required,omitempty"`
	AnyOf                []*schema       `json:"anyOf,omitempty"`
	OneOf                []*schema       `json:"oneOf,omitempty"`
	Not                  *schema         `json:"not,omitempty"`
	Examples             json.RawMessage `json:"examples,omitempty"`
}

// properties are the keys of an object in the order of their struct.
type properties []property

type property struct {
	key string
	*schema
}

// MarshalJSON implements json.Marshaler.
func (p properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, property := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", property.key)
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(property.schema); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (s *schema) property(key string) *schema {
	i := slices.IndexFunc(s.Properties, func(p property) bool { return p.key == key })
	return s.Properties[i].schema
}

// constrained is a struct with rules that its fields alone don't express.
type constrained interface{ constrain(*schema) }

// patterned is a value whose notation a regular expression describes.
type patterned interface{ pattern() string }

func schemaOf(t reflect.Type) *schema {
	if t.Kind() == reflect.Pointer {
		return schemaOf(t.Elem())
	}
	switch v := reflect.New(t).Interface().(type) {
	case *unit.Duration:
		return notation(unit.DurationPattern)
	case *unit.Size:
		return notation(unit.SizePattern)
	case *tlsChoice:
		return &schema{AnyOf: []*schema{{Const: true}, schemaOf(reflect.TypeOf(v.files))}}
	case *keyChoice:
		return &schema{AnyOf: []*schema{schemaOf(reflect.TypeOf(v.word)), schemaOf(reflect.TypeOf(v.keys))}}
	case patterned:
		return notation(v.pattern())
	case *variables:
		return &schema{Type: "object"}
	case *arrivalsFile:
		return &schema{AnyOf: []*schema{schemaOf(reflect.TypeOf(v.process)), schemaOf(reflect.TypeOf(v.replay))}}
	}
	switch t.Kind() {
	case reflect.Struct:
		return object(t)
	case reflect.Slice:
		if t.PkgPath() == reflect.TypeFor[strict.Faults]().PkgPath() { // a strict.Map
			value, _ := t.Elem().FieldByName("Value")
			return &schema{Type: "object", AdditionalProperties: schemaOf(value.Type)}
		}
		return &schema{Type: "array", Items: schemaOf(t.Elem())}
	case reflect.String:
		return &schema{Type: "string"}
	case reflect.Bool:
		return orPlaceholder(&schema{Type: "boolean"})
	case reflect.Float64:
		return orPlaceholder(&schema{Type: "number"})
	case reflect.Int, reflect.Int64:
		return orPlaceholder(&schema{Type: "integer"})
	case reflect.Uint64:
		return orPlaceholder(&schema{Type: "integer", Minimum: new(float64)})
	}
	panic("scenarios: no schema for " + t.String())
}

const placeholder = `\$\{`

// notation is a text of a pattern, or one with a placeholder.
func notation(pattern string) *schema {
	return &schema{Type: "string", Pattern: pattern + `|` + placeholder}
}

func orPlaceholder(s *schema) *schema {
	return &schema{AnyOf: []*schema{s, {Type: "string", Pattern: placeholder}}}
}

func object(t reflect.Type) *schema {
	s := &schema{Type: "object", AdditionalProperties: false}
	for i := range t.NumField() {
		f := t.Field(i)
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		p := schemaOf(f.Type)
		p.Description = f.Tag.Get("doc")
		p.Examples = examples(f.Tag.Get("eg"))
		s.Properties = append(s.Properties, property{key, p})
		if option == "required" {
			s.Required = append(s.Required, key)
		}
	}
	if c, ok := reflect.New(t).Interface().(constrained); ok {
		c.constrain(s)
	}
	return s
}

// examples returns a list with the one example that is written in YAML.
func examples(eg string) json.RawMessage {
	if eg == "" {
		return nil
	}
	var list json.RawMessage
	if _, faults := strict.Decode("eg", []byte("- "+eg), &list); faults != nil {
		panic(faults) // the tag is wrong
	}
	return list
}

func has(key string) *schema { return &schema{Required: []string{key}} }

func at(n float64) *float64 { return &n }

func (*scenarioFile) constrain(s *schema) {
	s.property("version").AnyOf = []*schema{{Const: 1}, {Type: "string", Pattern: placeholder}}
	s.property("loads").MinItems = 1
	s.property("quotas").PropertyNames = &schema{Pattern: quotaID.String()}
}

func (Price) constrain(s *schema) {
	s.property("usd").AnyOf[0].Minimum = at(0)
	s.property("per").AnyOf[0].ExclusiveMinimum = at(0)
	s.property("source").Pattern = labelForm.pattern()
	s.property("as_of").Pattern = `^\d{4}-\d{2}-\d{2}$|` + placeholder
}

func (*targetFile) constrain(s *schema) {
	s.OneOf = []*schema{
		{Required: []string{"sandbox"}, Not: &schema{AnyOf: []*schema{has("aws"), has("graphql"), has("kafka")}}},
		{AnyOf: []*schema{has("graphql"), has("kafka")}, Not: has("sandbox")},
	}
}

func (*graphqlFile) constrain(s *schema) {
	s.property("endpoint").Pattern = `^[hH][tT][tT][pP][sS]?://[^/?#@]+(?:[/?#]|$)|` + placeholder
	s.property("headers").PropertyNames = &schema{Pattern: headerName.String()}
	version := s.property("http").AnyOf[0]
	version.Minimum, version.Maximum = at(1), at(2)
}

func (*authFile) constrain(s *schema) {
	s.MinProperties, s.MaxProperties = 1, 1
	for _, key := range []string{"api_key", "bearer"} {
		s.property(key).Pattern = `\$\{[A-Z_][A-Z0-9_]*(?::-)?\}` // nothing secret stands in the file
	}
	s.property("iam").AnyOf[0] = &schema{Const: true}
}

func (*loadFile) constrain(s *schema) {
	s.property("profile").MinItems = 1
	s.property("operations").MinItems = 1
	inFlight := s.property("in_flight").AnyOf[0]
	inFlight.Minimum, inFlight.Maximum = at(1), at(maxInFlight)
	replayed := &schema{Properties: properties{{"arrivals", &schema{Type: "object"}}}, Required: []string{"arrivals"}}
	s.OneOf = []*schema{has("profile"), replayed}
}

func (*stageFile) constrain(s *schema) {
	s.OneOf = []*schema{has("rate"), has("ramp"), has("spike"), has("sine")}
}

func (*spikeFile) constrain(s *schema) {
	visitors := s.property("visitors").AnyOf[0]
	visitors.Minimum, visitors.Maximum = at(1), at(maxArrivals)
}

func (*operationFile) constrain(s *schema) {
	s.property("weight").AnyOf[0].ExclusiveMinimum = at(0)
	s.OneOf = []*schema{has("graphql"), has("kafka")}
}

func (*graphqlOperationFile) constrain(s *schema) {
	s.OneOf = []*schema{has("query"), has("document")}
	s.property("headers").PropertyNames = &schema{Pattern: headerName.String()}
}

func (*observeFile) constrain(s *schema) { s.MinProperties, s.MaxProperties = 1, 1 }

func (text[F]) pattern() string {
	var f F
	return f.form().pattern()
}

func (arrivalRate) pattern() string { return unit.ArrivalRatePattern }

func (limit) pattern() string { return unit.QuantityPattern + `|` + unit.UsageRatePattern }

func (thresholdText) pattern() string { return thresholdPattern(metrics) }

func (stopText) pattern() string {
	return `^(?:(?:(?:errors|throttled)|utilization *\( *appsync\.request-tokens *\)) *>=? *` + inner(unit.SharePattern) + `|` + inner(costForm.String()) + `)$`
}
