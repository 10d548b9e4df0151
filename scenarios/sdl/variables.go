package sdl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Variables checks the variables object of a request (JSON; nil or empty for
// none) against what the operation declares and returns the values that a
// server would work with: defaults filled in, Int as int64, Float as float64,
// ID as string, a single value for a list wrapped. Values of custom scalars
// stay as they are decoded, numbers as json.Number. Variables that are not
// declared are ignored, as servers do.
//
// Without a schema, types other than the specification's and AppSync's scalars
// fit any value. The Path of each error is that of the value, which itself is
// never repeated: it may be a secret.
func Variables(schema *Schema, op *Operation, variables []byte) (map[string]any, Errors) {
	given := map[string]any{}
	if len(bytes.TrimSpace(variables)) > 0 {
		d := json.NewDecoder(bytes.NewReader(variables))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, Errors{{Message: "variables are not JSON: " + err.Error()}}
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return nil, Errors{{Message: "variables are not JSON: more follows after their end"}}
		}
		if v != nil {
			object, ok := v.(map[string]any)
			if !ok {
				return nil, Errors{{Message: "variables are " + kind(v) + ", not an object"}}
			}
			given = object
		}
	}
	c := coercer{schema: schema}
	values := map[string]any{}
	for _, def := range op.VariableDefinitions {
		if v, ok := c.field(def.Variable, def.Type, def.DefaultValue, given); ok {
			values[def.Variable] = v
		}
	}
	if c.errs != nil {
		return nil, c.errs
	}
	return values, nil
}

// A coercer applies the input coercion rules of the specification's section 3
// and collects what doesn't fit.
type coercer struct {
	schema *Schema
	errs   Errors
}

func (c *coercer) fault(path, format string, args ...any) {
	if len(c.errs) < maxErrors {
		c.errs = append(c.errs, &Error{Path: path, Message: fmt.Sprintf(format, args...)})
	}
}

// field coerces the entry of given that path ends in; false: it has no value.
func (c *coercer) field(path string, t *Type, byDefault *Value, given map[string]any) (any, bool) {
	name := path[strings.LastIndexByte(path, '.')+1:]
	v, ok := given[name]
	if !ok && byDefault != nil {
		v, err := byDefault.Value(nil)
		if err != nil {
			c.fault(path, "has a default that can't be read: %v", err)
		}
		return v, true
	}
	if !ok {
		if t.NonNull {
			c.fault(path, "is required (%s) and missing", t)
		}
		return nil, false
	}
	return c.coerce(path, t, v), true
}

func (c *coercer) coerce(path string, t *Type, v any) any {
	if v == nil {
		if t.NonNull {
			c.fault(path, "is null but its type is %s", t)
		}
		return nil
	}
	if t.Elem != nil {
		list, ok := v.([]any)
		if !ok {
			return []any{c.coerce(path, t.Elem, v)}
		}
		out := make([]any, len(list))
		for i, item := range list {
			out[i] = c.coerce(fmt.Sprintf("%s[%d]", path, i), t.Elem, item)
		}
		return out
	}
	if out, known, ok := scalar(t.NamedType, v); known {
		_, number := v.(json.Number)
		switch {
		case ok:
		case number && t.NamedType != "String" && t.NamedType != "Boolean":
			c.fault(path, "is a number that %s can't hold", t)
		default:
			c.fault(path, "is %s but its type is %s", kind(v), t)
		}
		return out
	}
	if c.schema == nil {
		return v
	}
	def := c.schema.Types[t.NamedType]
	if def == nil {
		c.fault(path, "has type %s, which the schema doesn't know", t)
		return nil
	}
	switch def.Kind {
	case Scalar:
		return v
	case Enum:
		return c.enum(path, def, v)
	case InputObject:
		return c.object(path, def, v)
	default:
		c.fault(path, "has type %s, which is no input type", t)
		return nil
	}
}

func (c *coercer) enum(path string, def *Definition, v any) any {
	name, ok := v.(string)
	if !ok {
		c.fault(path, "is %s but its type is the enum %s", kind(v), def.Name)
		return nil
	}
	if def.EnumValues.ForName(name) == nil {
		var values []string
		for _, value := range def.EnumValues {
			values = append(values, value.Name)
		}
		c.fault(path, "is no value of %s (%s)", def.Name, strings.Join(values, ", "))
	}
	return name
}

func (c *coercer) object(path string, def *Definition, v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		c.fault(path, "is %s but its type is the input object %s", kind(v), def.Name)
		return nil
	}
	out := make(map[string]any, len(object))
	for _, f := range def.Fields {
		if v, ok := c.field(path+"."+f.Name, f.Type, f.DefaultValue, object); ok {
			out[f.Name] = v
		}
	}
	var unknown []string
	for name := range object {
		if def.Fields.ForName(name) == nil {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		c.fault(path+"."+name, "is no field of %s", def.Name)
	}
	return out
}

// scalar coerces v to a scalar of the specification or of AppSync; known is
// false for other names, ok where v doesn't fit.
func scalar(name string, v any) (out any, known, ok bool) {
	switch name {
	case "Int":
		n, ok := whole(v)
		return n, true, ok && n >= math.MinInt32 && n <= math.MaxInt32
	case "AWSTimestamp":
		n, ok := whole(v)
		return n, true, ok
	case "Float":
		n, ok := v.(json.Number)
		if !ok {
			return nil, true, false
		}
		f, err := n.Float64()
		return f, true, err == nil
	case "Boolean":
		b, ok := v.(bool)
		return b, true, ok
	case "ID":
		if n, ok := v.(json.Number); ok {
			return n.String(), true, !strings.ContainsAny(n.String(), ".eE")
		}
		s, ok := v.(string)
		return s, true, ok
	case "String", "AWSDate", "AWSTime", "AWSDateTime", "AWSEmail", "AWSJSON", "AWSURL", "AWSPhone", "AWSIPAddress":
		s, ok := v.(string)
		return s, true, ok
	}
	return nil, false, false
}

// whole returns v as an integer; 5.0 and 5e2 are integers too.
func whole(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	if i, err := n.Int64(); err == nil {
		return i, true
	}
	f, err := n.Float64()
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}
