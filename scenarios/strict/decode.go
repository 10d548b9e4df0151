package strict

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// The bounds of a file.
const (
	MaxSize   = 1 << 20 // bytes
	MaxDepth  = 50      // nested collections
	MaxFaults = 200     // that are reported; the rest are counted
)

// Kind is the kind of a value in a file.
type Kind string

// The kinds of value.
const (
	Scalar   Kind = "a single value"
	Sequence Kind = "a list"
	Mapping  Kind = "a mapping"
)

// Choice is a value that may be written in more than one way. Choose returns
// what a value of the given kind is decoded into, a pointer within the Choice,
// or nil if it may not be of that kind.
type Choice interface {
	Choose(Kind) any
}

// Map is a mapping with keys of the user's choice, in the order of the file.
type Map[V any] []Entry[V]

// Entry is one key of a Map with its value.
type Entry[V any] struct {
	Key   string
	Value V
}

func (m *Map[V]) add(key string) any {
	*m = append(*m, Entry[V]{Key: key})
	return &(*m)[len(*m)-1].Value
}

// Problem is an error that an UnmarshalText or an Expand returns to give its
// fault a hint. Problem and Hint follow the rules of Fault's fields; Hint must
// not depend on the text.
type Problem interface {
	error
	Fault() (problem, hint string)
}

// Options says how a file is decoded.
type Options struct {
	// Expand replaces the placeholders in the text of the scalar at path; nil:
	// nothing is replaced. What it returns is never quoted in a fault. An error
	// that wraps several becomes as many faults.
	Expand func(path, text string) (string, error)
}

// Decode decodes the YAML text src into the struct that into points to. The
// Document is never nil; the Faults are nil where the file is fine. Fields of
// keys that have faults, or that the file doesn't name, stay as they were.
func Decode(file string, src []byte, into any) (*Document, Faults) {
	return Options{}.Decode(file, src, into)
}

// Decode is Decode with options.
func (o Options) Decode(file string, src []byte, into any) (*Document, Faults) {
	d := &decoder{Options: o, Document: &Document{file: file, places: map[string]place{}}}
	v := reflect.ValueOf(into).Elem()
	if root := d.parse(src, keysOf(v)); root != nil {
		d.places[""] = place{line: root.Line, column: root.Column}
		d.value("", root, v)
	}
	return d.Document, d.faults.sorted()
}

type decoder struct {
	Options
	*Document
	faults Faults
}

func (d *decoder) fault(at *yaml.Node, path, problem, hint string) {
	d.faults = append(d.faults, Fault{File: d.file, Line: at.Line, Column: at.Column, Path: path, Problem: problem, Hint: hint})
}

// parse returns the root node of the only document of src, or nil after a
// fault; keys is the hint where there is nothing in it.
func (d *decoder) parse(src []byte, keys string) *yaml.Node {
	whole := &yaml.Node{Line: 1, Column: 1}
	if len(src) > MaxSize {
		d.fault(whole, "", "file is larger than 1 MiB", "large data belongs in a file of its own, such as rows")
		return nil
	}
	if at, problem := unreadable(src); problem != "" {
		d.fault(at, "", problem, "save the file as UTF-8 text")
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(src), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(MaxDepth))))
	if err != nil {
		d.fault(whole, "", err.Error(), "")
		return nil
	}
	var first, second yaml.Node
	if err := loader.Load(&first); errors.Is(err, io.EOF) {
		d.fault(whole, "", "file is empty", keys)
		return nil
	} else if err != nil {
		d.syntax(src, err)
		return nil
	}
	if err := loader.Load(&second); err == nil {
		d.fault(&second, "", "file has more than one document", `keep what stands before this "---"`)
		return nil
	} else if !errors.Is(err, io.EOF) {
		d.syntax(src, err)
		return nil
	}
	root := first.Content[0]
	if root.ShortTag() == "!!null" {
		d.fault(whole, "", "file is empty", keys)
		return nil
	}
	return root
}

// unreadable returns where src holds a byte that no text has, and which.
func unreadable(src []byte) (*yaml.Node, string) {
	at := &yaml.Node{Line: 1, Column: 1}
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRune(src[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return at, fmt.Sprintf("file is not UTF-8 text: it has the byte 0x%02x", src[i])
		case unicode.IsControl(r) && !strings.ContainsRune("\t\n\r\u0085", r):
			return at, fmt.Sprintf("file is not plain text: it has the control character 0x%02x", r)
		case r == '\n':
			at.Line, at.Column = at.Line+1, 0
		}
		at.Column++
		i += size
	}
	return nil, ""
}

// syntax reports what the YAML parser stopped at.
func (d *decoder) syntax(src []byte, err error) {
	at := &yaml.Node{Line: 1, Column: 1}
	problem, hint := err.Error(), ""
	var load *yaml.LoadError
	if errors.As(err, &load) {
		at.Line, at.Column = max(load.Mark.Line, 1), max(load.Mark.Column, 1)
		problem = load.Message
		if load.ContextMsg != "" {
			problem += " " + load.ContextMsg
			if load.ContextMark.Line > 0 && load.ContextMark.Line != load.Mark.Line {
				problem += fmt.Sprintf(" that begins on line %d", load.ContextMark.Line)
			}
		}
		line := lineOf(src, at.Line)
		switch indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]; {
		case strings.Contains(indent, "\t"):
			hint = "indent with spaces, not with tabs"
		case strings.Contains(problem, "exceeded max depth"):
			problem = fmt.Sprintf("values are nested more than %d deep", MaxDepth)
		case strings.Contains(problem, "cannot start any token"):
			hint = "quote text that begins with @, ` or %"
		case strings.Contains(problem, "mapping values are not allowed"):
			hint = `quote text that contains ": ", or check the indentation`
		}
	}
	d.fault(at, "", "not valid YAML: "+strings.ReplaceAll(problem, "\n", " "), hint)
}

func lineOf(src []byte, n int) string {
	for ; n > 1; n-- {
		_, rest, ok := bytes.Cut(src, []byte("\n"))
		if !ok {
			return ""
		}
		src = rest
	}
	line, _, _ := bytes.Cut(src, []byte("\n"))
	return string(line)
}

var rawJSON = reflect.TypeFor[json.RawMessage]()

// value decodes node, the value of the key at path, into v.
func (d *decoder) value(path string, node *yaml.Node, v reflect.Value) {
	if !d.plain(path, node) {
		return
	}
	if node.ShortTag() == "!!null" {
		d.fault(node, path, "has no value", "give it one, or leave the key out")
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(path, node, v.Elem())
		return
	}
	kind := kindOf(node)
	switch into := v.Addr().Interface().(type) {
	case Choice:
		chosen := into.Choose(kind)
		if chosen == nil {
			d.fault(node, path, "can't be "+string(kind), "")
			return
		}
		d.value(path, node, reflect.ValueOf(chosen).Elem())
		return
	case encoding.TextUnmarshaler:
		text, tag, ok := d.typed(path, node, "a single value")
		if ok && v.Kind() == reflect.String && !isText(tag) && !d.Expanded(path) {
			d.notText(path, node, tag)
			return
		}
		if ok {
			if err := into.UnmarshalText([]byte(text)); err != nil {
				d.refused(path, node, err)
			}
		}
		return
	case interface{ add(string) any }:
		d.pairs(path, node, func(key *yaml.Node, child string, value *yaml.Node) {
			d.value(child, value, reflect.ValueOf(into.add(key.Value)).Elem())
		})
		return
	}
	if v.Type() == rawJSON {
		var b bytes.Buffer
		if d.json(path, node, &b) {
			v.SetBytes(b.Bytes())
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(path, node, v)
	case reflect.Slice:
		if kind != Sequence {
			d.fault(node, path, fmt.Sprintf("must be a list, not %s", kind), `write each item after "- ", or all of them in [ ]`)
			return
		}
		s := reflect.MakeSlice(v.Type(), len(node.Content), len(node.Content))
		for i, item := range node.Content {
			d.item(path, i, item, func(child string) { d.value(child, item, s.Index(i)) })
		}
		v.Set(s)
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		d.pairs(path, node, func(key *yaml.Node, child string, value *yaml.Node) {
			e := reflect.New(v.Type().Elem()).Elem()
			d.value(child, value, e)
			m.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), e)
		})
		v.Set(m)
	default:
		d.basic(path, node, v)
	}
}

// plain reports whether node has none of the features of YAML that are
// refused here.
func (d *decoder) plain(path string, node *yaml.Node) bool {
	switch {
	case node.Kind == yaml.AliasNode:
		d.fault(node, path, "aliases are not supported", "write the value out")
	case node.Anchor != "":
		d.fault(node, path, "anchors are not supported", "write the value without "+quote("&"+node.Anchor))
	case node.Style&yaml.TaggedStyle != 0:
		d.fault(node, path, "tags are not supported", "write the value without "+quote(node.Tag))
	default:
		return true
	}
	return false
}

func kindOf(node *yaml.Node) Kind {
	switch node.Kind {
	case yaml.MappingNode:
		return Mapping
	case yaml.SequenceNode:
		return Sequence
	}
	return Scalar
}

// item calls decode with the path of the i-th item of a list.
func (d *decoder) item(path string, i int, item *yaml.Node, decode func(child string)) {
	child := path + "[" + strconv.Itoa(i) + "]"
	d.places[child] = place{line: item.Line, column: item.Column}
	decode(child)
}

// pairs calls decode for each key of a mapping and its value. A key that can't
// be one, or that stands twice, is a fault.
func (d *decoder) pairs(path string, node *yaml.Node, decode func(key *yaml.Node, child string, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		d.fault(node, path, fmt.Sprintf("must be a mapping of keys to values, not %s", kindOf(node)), "")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Value == "" {
			d.fault(key, path, "a key must be text", "")
			continue
		}
		child := Path(path, key.Value)
		if !d.plain(child, key) {
			continue
		}
		if key.ShortTag() == "!!merge" {
			d.fault(key, child, "merge keys are not supported", "write the keys out")
			continue
		}
		if line, twice := seen[key.Value]; twice {
			d.fault(key, child, "is set twice", fmt.Sprintf("the first is on line %d", line))
			continue
		}
		seen[key.Value] = key.Line
		at := key
		if value.Kind == yaml.ScalarNode && value.Value != "" {
			at = value
		}
		d.places[child] = place{line: at.Line, column: at.Column}
		decode(key, child, value)
	}
}

// A key of a path stands for itself where it is plain and not too long. (The
// length stands apart: within the pattern it makes 80 copies of the letters of
// all scripts, 3 MB.)
var plainKey = regexp.MustCompile(`^[\pL\pN_.:/-]+$`)

const longestKey = 80 // characters

func Path(path, key string) string {
	if utf8.RuneCountInString(key) > longestKey || !plainKey.MatchString(key) {
		return path + "[" + quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// keysOf is the hint that lists the keys of v, "" where it is no struct.
func keysOf(v reflect.Value) string {
	if v.Kind() != reflect.Struct {
		return ""
	}
	var names []string
	for _, f := range fieldsOf(v) {
		names = append(names, f.name)
	}
	return "its keys are " + strings.Join(names, ", ")
}

// structure decodes a mapping into the struct v.
func (d *decoder) structure(path string, node *yaml.Node, v reflect.Value) {
	fields := fieldsOf(v)
	if node.Kind != yaml.MappingNode {
		d.fault(node, path, fmt.Sprintf("must be a mapping of keys to values, not %s", kindOf(node)), keysOf(v))
		return
	}
	set := map[string]bool{}
	d.pairs(path, node, func(key *yaml.Node, child string, value *yaml.Node) {
		set[key.Value] = true
		var names []string
		for _, f := range fields {
			if f.name == key.Value {
				d.value(child, value, f.value)
				return
			}
			names = append(names, f.name)
		}
		hint := ""
		if len(d.faults) <= MaxFaults { // later ones are not shown
			hint = cmp.Or(didYouMean(key.Value, names), "known keys are "+strings.Join(names, ", "))
		}
		d.fault(key, child, "unknown key", hint)
	})
	for _, f := range fields {
		if f.required && !set[f.name] {
			d.faults = append(d.faults, d.Fault(Path(path, f.name), "is missing", ""))
		}
	}
}

type field struct {
	name     string
	required bool
	value    reflect.Value
}

// fieldsOf lists the keys that the struct v takes, with those of embedded
// structs.
func fieldsOf(v reflect.Value) []field {
	var fields []field
	for i := range v.NumField() {
		f := v.Type().Field(i)
		tag := f.Tag.Get("yaml")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			fields = append(fields, fieldsOf(v.Field(i))...)
		case f.IsExported() && tag != "-":
			if name == "" {
				name = strings.ToLower(f.Name)
			}
			fields = append(fields, field{name, options == "required", v.Field(i)})
		}
	}
	return fields
}

// scalar returns the text of a scalar with its placeholders replaced. A plain
// scalar whose text changed gets the type that its new text has.
func (d *decoder) scalar(path string, node *yaml.Node, want string) (string, bool) {
	if node.Kind != yaml.ScalarNode {
		d.fault(node, path, fmt.Sprintf("must be %s, not %s", want, kindOf(node)), "")
		return "", false
	}
	if d.Expand == nil {
		return node.Value, true
	}
	text, err := d.Expand(path, node.Value)
	if err != nil {
		errs := []error{err}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			errs = joined.Unwrap()
		}
		for _, err := range errs {
			problem, hint := split(err)
			d.fault(node, path, problem, hint)
		}
		return "", false
	}
	if text != node.Value {
		at := d.places[path]
		at.written = node.Value
		d.places[path] = at
	}
	return text, true
}

// typed is scalar with the tag of the text's type.
func (d *decoder) typed(path string, node *yaml.Node, want string) (text, tag string, ok bool) {
	text, ok = d.scalar(path, node, want)
	tag = node.ShortTag()
	if ok && text != node.Value && node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		switch {
		case decimal.MatchString(text):
			tag = "!!float"
		case text == "true" || text == "false":
			tag = "!!bool"
		default:
			tag = "!!str"
		}
	}
	return text, tag, ok
}

// refused reports the error of a value's own UnmarshalText.
func (d *decoder) refused(path string, node *yaml.Node, err error) {
	problem, hint := split(err)
	if d.Expanded(path) {
		problem = "the value of " + d.Quote(path, "") + " is of the wrong form"
	}
	d.fault(node, path, problem, hint)
}

func split(err error) (problem, hint string) {
	var p Problem
	if errors.As(err, &p) {
		return p.Fault()
	}
	return err.Error(), ""
}

// decimal is a number as JSON writes it. Other notations of YAML (0x10, 0o17,
// 012, 1_000, .5, .inf) mean different things to different readers.
var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// basic decodes a scalar into a string, a bool or a number.
func (d *decoder) basic(path string, node *yaml.Node, v reflect.Value) {
	want := "text"
	switch v.Kind() {
	case reflect.Bool:
		want = "true or false"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64:
		want = "a whole number"
	case reflect.Float64:
		want = "a number"
	}
	text, tag, ok := d.typed(path, node, want)
	if !ok {
		return
	}
	problem := fmt.Sprintf("must be %s, not %s", want, d.Quote(path, text))
	switch v.Kind() {
	case reflect.String:
		if !isText(tag) && !d.Expanded(path) {
			d.notText(path, node, tag)
			return
		}
		v.SetString(text)
	case reflect.Bool:
		if tag != "!!bool" || text != "true" && text != "false" {
			d.fault(node, path, problem, "")
			return
		}
		v.SetBool(text == "true")
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if !isNumber(tag, text) || err != nil {
			d.fault(node, path, problem, numberHint(tag, text))
			return
		}
		v.SetFloat(f)
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64:
		if !isNumber(tag, text) || !setWhole(v, text) {
			d.fault(node, path, problem, numberHint(tag, text))
		}
	default:
		panic("strict: a field of kind " + v.Kind().String() + " can't be decoded")
	}
}

// notText reports a scalar that stands without quotes where text is wanted. It
// doesn't quote the scalar, which may be half a secret.
func (d *decoder) notText(path string, node *yaml.Node, tag string) {
	found := "a number"
	if tag == "!!bool" {
		found = "true or false"
	}
	d.fault(node, path, "must be text, not "+found, "put it in quotes")
}

func isText(tag string) bool { return tag == "!!str" || tag == "!!timestamp" }

func isNumber(tag, text string) bool {
	return (tag == "!!int" || tag == "!!float") && decimal.MatchString(text)
}

// numberHint says how a number that was refused is written.
func numberHint(tag, text string) string {
	switch {
	case tag == "!!str" && decimal.MatchString(text):
		return "write it without quotes"
	case (tag == "!!int" || tag == "!!float") && !decimal.MatchString(text):
		return "write a decimal number without leading zeros or separators"
	}
	return ""
}

// setWhole sets v, an integer, to a decimal number that is whole and in range.
func setWhole(v reflect.Value, text string) bool {
	if f, err := strconv.ParseFloat(text, 64); strings.ContainsAny(text, ".eE") {
		if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return false
		}
		text = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if v.CanUint() {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || v.OverflowUint(n) {
			return false
		}
		v.SetUint(n)
		return true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v.OverflowInt(n) {
		return false
	}
	v.SetInt(n)
	return true
}

// json writes a value of any kind as JSON, keys in the order of the file and
// numbers digit by digit.
func (d *decoder) json(path string, node *yaml.Node, b *bytes.Buffer) bool {
	if !d.plain(path, node) {
		return false
	}
	ok := true
	switch node.Kind {
	case yaml.MappingNode:
		open := byte('{')
		d.pairs(path, node, func(key *yaml.Node, child string, value *yaml.Node) {
			b.WriteByte(open)
			open = ','
			writeString(b, key.Value)
			b.WriteByte(':')
			ok = d.json(child, value, b) && ok
		})
		if open == '{' {
			b.WriteByte(open)
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range node.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			d.item(path, i, item, func(child string) { ok = d.json(child, item, b) && ok })
		}
		b.WriteByte(']')
	default:
		text, tag, fine := d.typed(path, node, "")
		switch {
		case !fine:
			return false
		case tag == "!!null":
			b.WriteString("null")
		case tag == "!!bool" && (text == "true" || text == "false"):
			b.WriteString(text)
		case isNumber(tag, text):
			b.WriteString(text)
		case tag == "!!int" || tag == "!!float" || tag == "!!bool":
			d.fault(node, path, d.Quote(path, text)+" can be read in more than one way", "write a decimal number, or put text in quotes")
			return false
		default:
			writeString(b, text)
		}
	}
	return ok
}

func writeString(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	b.Truncate(b.Len() - 1)
}
