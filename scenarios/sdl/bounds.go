package sdl

import "fmt"

// maxComparisons bounds the pairs of fields that stand under one response name
// at one place, which the rule "overlapping fields can be merged" compares.
const maxComparisons = 500_000

// bounded refuses a document whose fragments spread themselves, or that is
// deeper or larger than a walk over it may be once its fragments are written
// out.
func bounded(file string, doc *Document) *Error {
	fragments := make(map[string]*FragmentDefinition, len(doc.Fragments))
	for _, f := range doc.Fragments {
		if fragments[f.Name] == nil {
			fragments[f.Name] = f
		}
	}
	if err := acyclic(file, doc, fragments); err != nil {
		return err
	}
	m := measurer{file: file, fragments: fragments}
	// Fragments stand beside the operations because the rules compare the
	// fields of unused ones too.
	for _, op := range doc.Operations {
		m.merge([]SelectionSet{op.SelectionSet}, 1)
	}
	for _, f := range doc.Fragments {
		m.merge([]SelectionSet{f.SelectionSet}, 1)
	}
	return m.err
}

// acyclic visits every fragment once, depth first.
func acyclic(file string, doc *Document, fragments map[string]*FragmentDefinition) *Error {
	const (
		open = iota + 1
		done
	)
	state := map[string]int{}
	var visit func(set SelectionSet) *Error
	visit = func(set SelectionSet) *Error {
		for _, s := range set {
			var err *Error
			switch s := s.(type) {
			case *Field:
				err = visit(s.SelectionSet)
			case *InlineFragment:
				err = visit(s.SelectionSet)
			case *FragmentSpread:
				f := fragments[s.Name]
				if f == nil || state[s.Name] == done {
					continue
				}
				if state[s.Name] == open {
					return &Error{
						File: file, Line: s.Position.Line, Column: s.Position.Column,
						Message: fmt.Sprintf("fragment %q spreads itself, directly or through others", s.Name),
					}
				}
				state[s.Name] = open
				err = visit(f.SelectionSet)
				state[s.Name] = done
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, f := range doc.Fragments {
		if state[f.Name] == done {
			continue
		}
		state[f.Name] = open
		if err := visit(f.SelectionSet); err != nil {
			return err
		}
		state[f.Name] = done
	}
	return nil
}

// A measurer writes a document out the way it is executed, fields of one
// response name merged and each fragment taken once at each place, until a
// bound is passed.
type measurer struct {
	file        string
	fragments   map[string]*FragmentDefinition
	selections  int
	comparisons int
	err         *Error
}

func (m *measurer) refuse(at Selection, format string, args ...any) {
	if m.err == nil {
		p := at.GetPosition()
		m.err = &Error{File: m.file, Line: p.Line, Column: p.Column, Message: fmt.Sprintf(format, args...)}
	}
}

// merge measures the fields that stand at one place of the answer.
func (m *measurer) merge(sets []SelectionSet, depth int) {
	byName := map[string][]*Field{}
	var order []string
	spread := map[string]bool{}
	var collect func(set SelectionSet)
	collect = func(set SelectionSet) {
		for _, s := range set {
			if m.err != nil {
				return
			}
			if m.selections++; m.selections > MaxFields {
				m.refuse(s, "document has more than %d fields with its fragments written out", MaxFields)
			}
			switch s := s.(type) {
			case *Field:
				name := s.Alias
				if name == "" {
					name = s.Name
				}
				if byName[name] == nil {
					order = append(order, name)
				}
				byName[name] = append(byName[name], s)
				m.comparisons += len(byName[name]) - 1
				if m.comparisons > maxComparisons {
					m.refuse(s, "field %q is repeated too often", name)
				} else if depth > MaxDepth {
					m.refuse(s, "fields are nested more than %d deep", MaxDepth)
				}
			case *InlineFragment:
				collect(s.SelectionSet)
			case *FragmentSpread:
				if f := m.fragments[s.Name]; f != nil && !spread[s.Name] {
					spread[s.Name] = true
					collect(f.SelectionSet)
				}
			}
		}
	}
	for _, set := range sets {
		collect(set)
	}
	for _, name := range order {
		if m.err != nil {
			return
		}
		var below []SelectionSet
		for _, f := range byName[name] {
			if len(f.SelectionSet) > 0 {
				below = append(below, f.SelectionSet)
			}
		}
		if below != nil {
			m.merge(below, depth+1)
		}
	}
}
