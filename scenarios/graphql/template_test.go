package graphql

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// substituted puts a row into decoded variables: the structural meaning of what
// a template does with bytes.
func substituted(v any, columns, row []string) any {
	value := func(name string) (decoded any, text string) {
		for i, c := range columns {
			if c == name {
				decoded = decode([]byte(row[i]))
				if s, ok := decoded.(string); ok {
					return decoded, s
				}
				return decoded, row[i]
			}
		}
		panic("no column " + name)
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, item := range v {
			out[k] = substituted(item, columns, row)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = substituted(item, columns, row)
		}
		return out
	case string:
		for _, c := range columns {
			if v == "${row."+c+"}" {
				decoded, _ := value(c)
				return decoded
			}
		}
		var b strings.Builder
		for i := 0; i < len(v); {
			switch {
			case strings.HasPrefix(v[i:], "$${"):
				b.WriteString("${")
				i += 3
			case strings.HasPrefix(v[i:], "${row."):
				end := strings.IndexByte(v[i:], '}')
				_, text := value(v[i+len("${row.") : i+end])
				b.WriteString(text)
				i += end + 1
			default:
				b.WriteByte(v[i])
				i++
			}
		}
		return b.String()
	}
	return v
}

func decode(b []byte) any {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(fmt.Sprintf("%q: %v", b, err))
	}
	return v
}

// TestTemplateIsSubstitution: what is rendered is valid JSON and equal to
// substituting in the decoded value, for all variables and rows.
func TestTemplateIsSubstitution(t *testing.T) {
	columns := []string{"id", "a b", "n"}
	leaf := rapid.OneOf(
		rapid.Just(any(nil)), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.SampledFrom([]string{"0", "-1.50", "12345678901234567890", "1e3"}), func(s string) any { return json.Number(s) }),
		rapid.Map(rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{"${row.id}", "${row.a b}", "${row.n}", "$${", "$", "{", "}", "\"", "\\", "\n", "\x00", "é"}),
			rapid.StringN(0, 3, -1),
		), 0, 4), func(parts []string) any { return strings.Join(parts, "") }),
	)
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return leaf
		}
		return rapid.OneOf(leaf,
			rapid.Map(rapid.SliceOfN(value(depth-1), 0, 3), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b\"", "é", ""}), value(depth-1), 0, 3), func(m map[string]any) any { return m }),
		)
	}
	rapid.Check(t, func(t *rapid.T) {
		variables := value(3).Draw(t, "variables")
		src, err := json.Marshal(variables)
		if err != nil {
			t.Fatal(err)
		}
		variables = decode(src) // invalid UTF-8 is replaced on the way
		var row []string
		for range columns {
			v, err := json.Marshal(substituted(value(2).Draw(t, "row"), columns, []string{"1", "2", "3"}))
			if err != nil {
				t.Fatal(err)
			}
			row = append(row, string(v))
		}
		made, faults := compile("v", src, columns)
		if faults != nil {
			if ambiguous(variables) {
				t.Skip("a lone ${")
			}
			t.Fatalf("%s: %v", src, faults)
		}
		got := made.render(nil, row)
		if !json.Valid(got) {
			t.Fatalf("%s with %q gave %s", src, row, got)
		}
		if diff := cmp.Diff(substituted(variables, columns, row), decode(got)); diff != "" {
			t.Fatalf("%s with %q: %s", src, row, diff)
		}
	})
}

// ambiguous reports whether a string holds a "${" that is no placeholder.
func ambiguous(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, item := range v {
			if ambiguous(item) {
				return true
			}
		}
	case []any:
		for _, item := range v {
			if ambiguous(item) {
				return true
			}
		}
	case string:
		v = strings.NewReplacer("$${", "", "${row.id}", "", "${row.a b}", "", "${row.n}", "").Replace(v)
		return strings.Contains(v, "${")
	}
	return false
}

func TestTemplateFaults(t *testing.T) {
	const notPlaceholder = "holds a ${ that begins no placeholder: write ${row.column}, or $${ for the text itself"
	for _, c := range []struct {
		variables string
		columns   []string
		want      faulty
	}{
		{`{"a":{"b":["x","${row.ids}"]}}`, []string{"id"}, faulty{"v.a.b[1]", `rows have no column "ids" (they have id)`}},
		{`{"a":"${row.id}"}`, nil, faulty{"v.a", "${row.id} needs rows"}},
		{`{"a":"${HOME}"}`, []string{"id"}, faulty{"v.a", notPlaceholder}},
		{`{"a":"x${row.id"}`, []string{"id"}, faulty{"v.a", notPlaceholder}},
		{`{"${row.id}":1}`, []string{"id"}, faulty{`v["${row.id}"]`, "a key can't hold a placeholder"}},
		{`{`, nil, faulty{"v", "variables are not JSON: unexpected EOF"}},
	} {
		_, faults := compile("v", []byte(c.variables), c.columns)
		if len(faults) != 1 || faults[0] != c.want {
			t.Errorf("%s: got %v, want %v", c.variables, faults, c.want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add(`{"id":"${row.id}","s":"a ${row.id} $${b}"}`, `"x\"\u00e9"`)
	f.Add(`["${row.id}${row.id}",{"k":"\u0024{row.id}"}]`, `{"a":[1,"\\"]}`)
	f.Add(`"${row.id}"`, `-1e9`)
	f.Fuzz(func(t *testing.T, variables, value string) {
		if !json.Valid([]byte(value)) {
			return
		}
		made, faults := compile("v", []byte(variables), []string{"id"})
		if faults == nil {
			if got := made.render(nil, []string{value}); !json.Valid(got) {
				t.Fatalf("%q with %q gave %q", variables, value, got)
			}
		}
	})
}
