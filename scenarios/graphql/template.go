package graphql

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/scenarios/strict"
)

// A template is JSON with holes for a row's values.
type template struct {
	parts []part
	tail  []byte // follows the last part
}

// part is text and the hole behind it.
type part struct {
	before []byte
	column int
	whole  bool // the hole is a value of its own; otherwise it is inside a string
}

// faulty is something wrong with a template, at the path of a key or an item.
type faulty struct{ path, problem string }

// compile turns JSON whose strings may hold ${row.column} into a template. "$${"
// in a string stands for "${". Keys come out sorted. Paths of faults start with
// root.
func compile(root string, variables []byte, columns []string) (template, []faulty) {
	d := json.NewDecoder(bytes.NewReader(variables))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return template{}, []faulty{{root, "variables are not JSON: " + err.Error()}}
	}
	c := compiler{columns: columns}
	c.value(root, v)
	return template{c.parts, c.text}, c.faults
}

type compiler struct {
	columns []string
	parts   []part
	text    []byte // since the last part
	faults  []faulty
}

func (c *compiler) value(path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		c.text = append(c.text, '{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				c.text = append(c.text, ',')
			}
			if strings.Contains(key, "${") {
				c.faults = append(c.faults, faulty{strict.Path(path, key), "a key can't hold a placeholder"})
			}
			c.text = append(appendQuoted(c.text, key), ':')
			c.value(strict.Path(path, key), v[key])
		}
		c.text = append(c.text, '}')
	case []any:
		c.text = append(c.text, '[')
		for i, item := range v {
			if i > 0 {
				c.text = append(c.text, ',')
			}
			c.value(fmt.Sprintf("%s[%d]", path, i), item)
		}
		c.text = append(c.text, ']')
	case string:
		c.string(path, v)
	case json.Number:
		c.text = append(c.text, v...)
	case bool:
		c.text = fmt.Append(c.text, v)
	case nil:
		c.text = append(c.text, "null"...)
	}
}

func (c *compiler) string(path, s string) {
	if name, ok := strings.CutPrefix(s, "${row."); ok && strings.IndexByte(name, '}') == len(name)-1 && name != "" {
		c.hole(path, name[:len(name)-1], true)
		return
	}
	c.text = append(c.text, '"')
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			break
		}
		if i > 0 && s[i-1] == '$' {
			c.text = append(appendEscaped(c.text, s[:i-1]), "${"...)
			s = s[i+2:]
			continue
		}
		c.text = appendEscaped(c.text, s[:i])
		name, rest, closed := strings.Cut(s[i+2:], "}")
		column, isRow := strings.CutPrefix(name, "row.")
		if !closed || !isRow {
			c.faults = append(c.faults, faulty{path, "holds a ${ that begins no placeholder: write ${row.column}, or $${ for the text itself"})
			return
		}
		c.hole(path, column, false)
		s = rest
	}
	c.text = append(appendEscaped(c.text, s), '"')
}

func (c *compiler) hole(path, name string, whole bool) {
	column := slices.Index(c.columns, name)
	if column < 0 {
		problem := "${row." + name + "} needs rows"
		if c.columns != nil {
			problem = fmt.Sprintf("rows have no column %q (they have %s)", name, strings.Join(c.columns, ", "))
		}
		c.faults = append(c.faults, faulty{path, problem})
		return
	}
	c.parts = append(c.parts, part{c.text, column, whole})
	c.text = nil
}

// render appends the template with the values of a row, each of them JSON.
// Inside of a string a value's text is written, of a list or an object its JSON.
func (t *template) render(b []byte, row []string) []byte {
	for _, p := range t.parts {
		b = append(b, p.before...)
		v := strings.TrimSpace(row[p.column])
		switch {
		case p.whole:
			b = append(b, v...)
		case v[0] == '"':
			b = append(b, v[1:len(v)-1]...) // escaped already
		default:
			b = appendEscaped(b, v)
		}
	}
	return append(b, t.tail...)
}

func appendQuoted(b []byte, s string) []byte {
	return append(appendEscaped(append(b, '"'), s), '"')
}

// appendEscaped appends s as it stands inside of a JSON string.
func appendEscaped(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
