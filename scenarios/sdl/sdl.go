// Package sdl is the one door for GraphQL: it reads schemas and documents,
// validates a document against a schema or for its syntax alone, and checks
// variables. AppSync's scalars and directives are known to every schema.
//
// Whatever it accepts is safe to execute: a Document has no fragment cycles and,
// with each fragment written out once at each place of the answer as the
// specification's CollectFields does, is at most MaxDepth deep and MaxFields
// fields large. Faults carry the line and column inside the document.
//
// The types are those of gqlparser, under names of this package, so that other
// rooms can execute a document without importing the parser themselves.
package sdl

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// The parts of schemas and documents.
type (
	Schema              = ast.Schema
	Definition          = ast.Definition
	FieldDefinition     = ast.FieldDefinition
	ArgumentDefinition  = ast.ArgumentDefinition
	Type                = ast.Type
	Document            = ast.QueryDocument
	Operation           = ast.OperationDefinition
	VariableDefinition  = ast.VariableDefinition
	SelectionSet        = ast.SelectionSet
	Selection           = ast.Selection
	Field               = ast.Field
	InlineFragment      = ast.InlineFragment
	FragmentSpread      = ast.FragmentSpread
	FragmentDefinition  = ast.FragmentDefinition
	Argument            = ast.Argument
	Value               = ast.Value
	Directive           = ast.Directive
	DirectiveList       = ast.DirectiveList
	EnumValueDefinition = ast.EnumValueDefinition
)

// The kinds of types.
const (
	Scalar      = ast.Scalar
	Object      = ast.Object
	Interface   = ast.Interface
	Union       = ast.Union
	Enum        = ast.Enum
	InputObject = ast.InputObject
)

// The kinds of operations.
const (
	Query        = ast.Query
	Mutation     = ast.Mutation
	Subscription = ast.Subscription
)

// Bounds on what is read. The token bound is AppSync's own (quota "maximum
// query length", 15,000 parser tokens); the schema bound is its schema size
// quota; the other two keep a hostile document from costing more than a walk
// over it should.
const (
	MaxTokens      = 15000
	MaxSchemaBytes = 1 << 20
	MaxBytes       = 1 << 20 // of a document
	MaxDepth       = 200     // nested fields, fragments written out
	MaxFields      = 100_000 // fields and fragments with every fragment written out
	maxErrors      = 50
)

// An Error is one fault of a schema, a document or its variables.
type Error struct {
	File         string // as it was given
	Line, Column int    // from 1; 0 where no place is meant
	Path         string // of a value inside the variables: "filter.tags[1]"
	Message      string // lower case at its start where it is ours, the parser's own words otherwise
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", e.Line, e.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if e.Path != "" {
		b.WriteString("$" + e.Path + ": ")
	}
	b.WriteString(e.Message)
	return b.String()
}

// Errors is every fault found, in the order of their positions where the parser
// reports them so. It is an error when it is not empty.
type Errors []*Error

func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// LoadSchema reads a schema in the schema definition language. AppSync's
// scalars and directives need no declaration; where the schema declares one
// itself, its own declaration holds. The error is an *Error.
func LoadSchema(file string, src []byte) (*Schema, error) {
	if len(src) > MaxSchemaBytes {
		return nil, &Error{File: file, Message: fmt.Sprintf("schema has %d bytes, more than %d", len(src), MaxSchemaBytes)}
	}
	own, err := parser.ParseSchema(&ast.Source{Name: file, Input: string(src)})
	if err != nil {
		return nil, fault(file, err)
	}
	known, err := parser.ParseSchemas(validator.Prelude, &ast.Source{Name: "appsync.graphql", Input: prelude, BuiltIn: true})
	if err != nil {
		return nil, fault(file, err)
	}
	for _, d := range known.Definitions {
		if !d.BuiltIn || !appsync(d.Position) || own.Definitions.ForName(d.Name) == nil {
			own.Definitions = append(own.Definitions, d)
		}
	}
	for _, d := range known.Directives {
		if !appsync(d.Position) || own.Directives.ForName(d.Name) == nil {
			own.Directives = append(own.Directives, d)
		}
	}
	schema, err := validator.ValidateSchemaDocument(own)
	if err != nil {
		return nil, fault(file, err)
	}
	if schema.Query == nil {
		return nil, &Error{File: file, Message: "schema has no query type"}
	}
	return schema, nil
}

func appsync(p *ast.Position) bool {
	return p != nil && p.Src != nil && p.Src.Name == "appsync.graphql"
}

// Parse reads a document of operations and fragments and checks all of it that
// needs no schema. Faults is nil when the document is fine.
func Parse(file string, src []byte) (*Document, Errors) {
	doc, errs := parse(file, src)
	if errs != nil {
		return nil, errs
	}
	if errs := faults(file, validator.ValidateWithRules(&ast.Schema{}, doc, withoutSchema)); errs != nil {
		return nil, errs
	}
	return doc, nil
}

// Load reads a document as Parse does and validates it against the schema.
// The document's fields then carry their definitions. A schema may serve any
// number of calls at the same time.
func Load(schema *Schema, file string, src []byte) (*Document, Errors) {
	doc, errs := parse(file, src)
	if errs != nil {
		return nil, errs
	}
	if errs := validate(file, schema, doc); errs != nil {
		return nil, errs
	}
	return doc, nil
}

func parse(file string, src []byte) (*Document, Errors) {
	if len(src) > MaxBytes {
		return nil, Errors{{File: file, Message: fmt.Sprintf("document has %d bytes, more than %d", len(src), MaxBytes)}}
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Name: file, Input: string(src)}, MaxTokens)
	if err != nil {
		return nil, Errors{fault(file, err)}
	}
	if len(doc.Operations) == 0 {
		return nil, Errors{{File: file, Line: 1, Column: 1, Message: "document has no operation"}}
	}
	// Before any rule runs: the rules' own cost depends on these bounds.
	if err := bounded(file, doc); err != nil {
		return nil, Errors{err}
	}
	return doc, nil
}

// withoutSchema are the rules that need nothing of a schema. With one, all
// hold: bare and hinted are the same rules, without and with a suggestion for
// each fault.
var (
	withoutSchema = rules.NewRules(schemaless...)
	bare          = rules.NewRules(slices.Concat(schemaless, schemaful, []validator.Rule{
		rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.ScalarLeafsRuleWithoutSuggestions,
		rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
	})...)
	hinted = rules.NewRules(slices.Concat(schemaless, schemaful, []validator.Rule{
		rules.FieldsOnCorrectTypeRule,
		rules.KnownArgumentNamesRule,
		rules.KnownTypeNamesRule,
		rules.ScalarLeafsRule,
		rules.ValuesOfCorrectTypeRule,
	})...)

	schemaless = []validator.Rule{
		rules.KnownFragmentNamesRule,
		rules.LoneAnonymousOperationRule,
		rules.NoUndefinedVariablesRule,
		rules.NoUnusedFragmentsRule,
		rules.NoUnusedVariablesRule,
		rules.UniqueArgumentNamesRule,
		rules.UniqueFragmentNamesRule,
		rules.UniqueInputFieldNamesRule,
		rules.UniqueOperationNamesRule,
		rules.UniqueVariableNamesRule,
	}
	schemaful = []validator.Rule{
		rules.FragmentsOnCompositeTypesRule,
		rules.KnownDirectivesRule,
		rules.KnownRootTypeRule,
		rules.MaxIntrospectionDepth,
		rules.OverlappingFieldsCanBeMergedRule,
		rules.PossibleFragmentSpreadsRule,
		rules.ProvidedRequiredArgumentsRule,
		rules.SingleFieldSubscriptionsRule,
		rules.UniqueDirectivesPerLocationRule,
		rules.VariablesAreInputTypesRule,
		rules.VariablesInAllowedPositionRule,
	}
)

// validate runs the rules without suggestions first: looking for a near name
// costs so much that thousands of unknown fields would take minutes.
func validate(file string, schema *Schema, doc *Document) Errors {
	errs := validator.ValidateWithRules(schema, doc, bare)
	if n := len(errs); n > 0 && n <= maxErrors {
		errs = validator.ValidateWithRules(schema, doc, hinted)
	}
	return faults(file, errs)
}

func faults(file string, list gqlerror.List) Errors {
	var errs Errors
	for _, err := range list[:min(len(list), maxErrors)] {
		errs = append(errs, fault(file, err))
	}
	return errs
}

// fault turns an error of the parser or the validator into one of ours.
func fault(file string, err error) *Error {
	e := &Error{File: file, Message: strings.TrimSuffix(err.Error(), ".")}
	var g *gqlerror.Error
	if errors.As(err, &g) {
		e.Message = strings.TrimSuffix(g.Message, ".")
		if len(g.Locations) > 0 && g.Locations[0].Line > 0 {
			e.Line, e.Column = g.Locations[0].Line, g.Locations[0].Column
		}
	}
	return e
}

// Named returns the operation of the document that has the name; with the name
// "" the only one there is.
func Named(doc *Document, name string) (*Operation, error) {
	if name == "" {
		if len(doc.Operations) == 1 {
			return doc.Operations[0], nil
		}
		return nil, fmt.Errorf("document has %d operations (%s): name the one to run", len(doc.Operations), names(doc))
	}
	if op := doc.Operations.ForName(name); op != nil {
		return op, nil
	}
	return nil, fmt.Errorf("document has no operation %q (it has %s)", name, names(doc))
}

func names(doc *Document) string {
	var names []string
	for _, op := range doc.Operations {
		if op.Name == "" {
			names = append(names, "an unnamed one")
		} else {
			names = append(names, op.Name)
		}
	}
	return strings.Join(names, ", ")
}
