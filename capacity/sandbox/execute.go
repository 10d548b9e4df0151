package sandbox

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/headroom-load/headroom/scenarios/sdl"
)

// Bounds of one answer. AppSync bounds the resolvers of a request to 10,000 and
// a resolver's response to 5 MB; the sandbox counts every field.
const (
	maxResolved = 100_000
	maxAnswer   = 5_000_000
	listLength  = 10 // of a list whose field has neither first nor limit
)

var errTooLarge = fmt.Errorf("the answer has more than %d fields or %d bytes", maxResolved, maxAnswer)

// executor answers operations of a schema with synthetic values. Equal seeds,
// documents and variables give equal answers.
type executor struct {
	schema *sdl.Schema
	seed   uint64
}

// planned is one field of an answer, with everything decided that doesn't
// depend on its place in a list.
type planned struct {
	label  []byte // the response name as JSON, with its colon
	name   string // of the field
	salt   uint64
	at     *sdl.Field
	typ    *sdl.Type
	length int // of its lists
	// Exactly one of the following says what stands at the leaves.
	typename string // of __typename
	leaf     *sdl.Definition
	object   []planned
}

// plan lays out the answer to an operation with its variables: selections are
// merged, fragments spread, directives applied and abstract types replaced by
// their first possible type.
func (e *executor) plan(op *sdl.Operation, variables map[string]any) ([]planned, error) {
	root := e.schema.Query
	switch op.Operation {
	case sdl.Mutation:
		root = e.schema.Mutation
	case sdl.Subscription:
		return nil, errors.New("subscriptions are not served over POST")
	}
	p := planner{e, variables}
	return p.object(root, []sdl.SelectionSet{op.SelectionSet}, listLength)
}

type planner struct {
	*executor
	variables map[string]any
}

// object plans the fields that the sets select of an object type. Lists among
// them have the given length unless they say otherwise.
func (p planner) object(of *sdl.Definition, sets []sdl.SelectionSet, length int) ([]planned, error) {
	var order []string
	merged := map[string][]*sdl.Field{}
	spread := map[string]bool{}
	var collect func(set sdl.SelectionSet) error
	collect = func(set sdl.SelectionSet) error {
		for _, selection := range set {
			var err error
			switch s := selection.(type) {
			case *sdl.Field:
				if ok, bad := p.included(s.Directives); bad != nil || !ok {
					err = bad
					break
				}
				if merged[s.Alias] == nil {
					order = append(order, s.Alias)
				}
				merged[s.Alias] = append(merged[s.Alias], s)
			case *sdl.InlineFragment:
				if ok, bad := p.included(s.Directives); bad != nil || !ok || !p.applies(s.TypeCondition, of) {
					err = bad
					break
				}
				err = collect(s.SelectionSet)
			case *sdl.FragmentSpread:
				if ok, bad := p.included(s.Directives); bad != nil || !ok || spread[s.Name] || !p.applies(s.Definition.TypeCondition, of) {
					err = bad
					break
				}
				spread[s.Name] = true
				err = collect(s.Definition.SelectionSet)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, set := range sets {
		if err := collect(set); err != nil {
			return nil, err
		}
	}
	fields := make([]planned, 0, len(order))
	for _, alias := range order {
		f, err := p.field(of, alias, merged[alias], length)
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// field plans one response name, which the fields select together.
func (p planner) field(of *sdl.Definition, alias string, fields []*sdl.Field, length int) (planned, error) {
	first := fields[0]
	h := fnv.New64a()
	h.Write([]byte(alias))
	f := planned{label: append(strconv.AppendQuote(nil, alias), ':'), name: first.Name, salt: h.Sum64(), at: first, length: length}
	switch first.Name {
	case "__typename":
		f.typename, f.typ = of.Name, &sdl.Type{NamedType: "String", NonNull: true}
		return f, nil
	case "__schema", "__type":
		return f, errors.New("introspection is not served")
	}
	f.typ = first.Definition.Type
	asked, err := p.lengthArgument(first)
	if err != nil {
		return f, err
	}
	if asked >= 0 {
		f.length = asked
	}
	def := p.schema.Types[f.typ.Name()]
	if def.IsLeafType() {
		f.leaf = def
		return f, nil
	}
	if def.IsAbstractType() {
		possible := p.schema.GetPossibleTypes(def)
		i := slices.IndexFunc(possible, func(d *sdl.Definition) bool { return d.Kind == sdl.Object })
		if i < 0 {
			return f, fmt.Errorf("type %s has no possible object type", def.Name)
		}
		def = possible[i]
	}
	// first and limit of a connection mean the lists in it.
	below := listLength
	if f.typ.Elem == nil && asked >= 0 {
		below = asked
	}
	var sets []sdl.SelectionSet
	for _, field := range fields {
		sets = append(sets, field.SelectionSet)
	}
	f.object, err = p.object(def, sets, below)
	return f, err
}

// lengthArgument returns the field's argument first or limit, -1 if it has
// neither. A negative one counts as 0.
func (p planner) lengthArgument(f *sdl.Field) (int, error) {
	for _, name := range []string{"first", "limit"} {
		def := f.Definition.Arguments.ForName(name)
		if def == nil {
			continue
		}
		value := def.DefaultValue
		if given := f.Arguments.ForName(name); given != nil {
			value = given.Value
		}
		v, err := value.Value(p.variables)
		if err != nil {
			return 0, fmt.Errorf("argument %s of %s: %w", name, f.Name, err)
		}
		if n, ok := v.(int64); ok {
			return int(min(max(n, 0), maxResolved+1)), nil
		}
	}
	return -1, nil
}

// included applies @skip and @include.
func (p planner) included(directives sdl.DirectiveList) (bool, error) {
	for _, d := range directives {
		if d.Name != "skip" && d.Name != "include" {
			continue
		}
		var v any
		if given := d.Arguments.ForName("if"); given != nil {
			var err error
			if v, err = given.Value.Value(p.variables); err != nil {
				return false, err
			}
		}
		on, ok := v.(bool)
		if !ok {
			return false, fmt.Errorf("argument if of @%s is not a boolean", d.Name)
		}
		if on == (d.Name == "skip") {
			return false, nil
		}
	}
	return true, nil
}

// applies reports whether a fragment on the named type holds for an object.
func (p planner) applies(condition string, of *sdl.Definition) bool {
	return condition == "" || condition == of.Name ||
		slices.ContainsFunc(p.schema.PossibleTypes[condition], func(d *sdl.Definition) bool { return d.Name == of.Name })
}

// answer writes the object that the fields make up, and returns how many fields
// it resolved, list items' ones each counted.
func (e *executor) answer(fields []planned) (body []byte, resolved int, err error) {
	w := writer{}
	w.object(fields, e.seed)
	return w.body, w.resolved, w.err
}

type writer struct {
	body     []byte
	resolved int
	err      error
}

func (w *writer) object(fields []planned, state uint64) {
	w.body = append(w.body, '{')
	for i := range fields {
		f := &fields[i]
		if w.resolved++; w.resolved > maxResolved || len(w.body) > maxAnswer {
			w.err = errTooLarge
			return
		}
		if i > 0 {
			w.body = append(w.body, ',')
		}
		w.body = append(w.body, f.label...)
		if w.value(f, f.typ, mix(state^f.salt)); w.err != nil {
			return
		}
	}
	w.body = append(w.body, '}')
}

func (w *writer) value(f *planned, t *sdl.Type, state uint64) {
	switch {
	case t.Elem != nil:
		w.body = append(w.body, '[')
		for i := range f.length {
			if i > 0 {
				w.body = append(w.body, ',')
			}
			if len(w.body) > maxAnswer {
				w.err = errTooLarge
			}
			if w.value(f, t.Elem, mix(state+uint64(i))); w.err != nil {
				return
			}
		}
		w.body = append(w.body, ']')
	case f.object != nil:
		w.object(f.object, state)
	case f.typename != "":
		w.body = append(append(append(w.body, '"'), f.typename...), '"')
	default:
		w.body = appendLeaf(w.body, f.leaf, f.name, state)
	}
}

// newYear is where synthetic dates begin.
var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// appendLeaf appends a well-formed value of a scalar or enum. Names of types
// and fields need no escaping.
func appendLeaf(b []byte, def *sdl.Definition, field string, state uint64) []byte {
	n := int64(state % 10_000)
	at := newYear.Add(time.Duration(state%(365*24*3600)) * time.Second)
	quoted := func(format string, args ...any) []byte { return strconv.AppendQuote(b, fmt.Sprintf(format, args...)) }
	if def.Kind == sdl.Enum {
		return append(append(append(b, '"'), def.EnumValues[state%uint64(len(def.EnumValues))].Name...), '"')
	}
	switch def.Name {
	case "Int":
		return strconv.AppendInt(b, n, 10)
	case "Float":
		return strconv.AppendFloat(b, float64(n)/8, 'f', -1, 64)
	case "Boolean":
		return strconv.AppendBool(b, state&1 == 0)
	case "ID":
		b = append(b, '"')
		b = strconv.AppendUint(b, state, 36)
		return append(b, '"')
	case "AWSDate":
		return append(at.AppendFormat(append(b, '"'), time.DateOnly), '"')
	case "AWSTime":
		return append(at.AppendFormat(append(b, '"'), "15:04:05Z"), '"')
	case "AWSDateTime":
		return append(at.AppendFormat(append(b, '"'), time.RFC3339), '"')
	case "AWSTimestamp":
		return strconv.AppendInt(b, at.Unix(), 10)
	case "AWSEmail":
		return quoted("viewer%d@example.com", n)
	case "AWSJSON":
		return quoted(`{"n":%d}`, n)
	case "AWSURL":
		return quoted("https://example.com/%s/%d", field, n)
	case "AWSPhone":
		return quoted("+120655501%02d", n%100)
	case "AWSIPAddress":
		return quoted("192.0.2.%d", n%256)
	}
	b = append(append(append(b, '"'), field...), ' ')
	return append(strconv.AppendInt(b, n, 10), '"')
}

// mix spreads a state over all bits (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
