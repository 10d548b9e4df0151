package graphql

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/sdl"
	"github.com/headroom-load/headroom/scenarios/strict"
)

// Check returns every fault of the scenario's GraphQL parts that shape alone
// doesn't show: documents that don't parse, operations that they don't have or
// that can't be sent, variables that don't fit what is declared. Faults of a
// document that stands in a file of its own are placed in that file.
//
// schema is the SDL of the backend that the scenario's sandbox serves, nil where
// there is none; a target of its own names its schema itself. With a schema,
// documents and variables are checked against it.
func Check(s *scenarios.Scenario, schema []byte) strict.Faults {
	c := checker{scenario: s, folder: path.Dir(s.Fault("", "", "").File)}
	c.target(schema)
	for i, l := range s.Loads {
		for j, op := range l.Operations {
			if op.GraphQL != nil {
				c.operation(fmt.Sprintf("loads[%d].operations[%d].graphql", i, j), op.GraphQL)
			}
		}
	}
	return strict.Merge(c.faults)
}

type checker struct {
	scenario *scenarios.Scenario
	folder   string
	schema   *sdl.Schema // nil: documents are checked for themselves
	faults   strict.Faults
}

// fault adds a fault at a key of the scenario.
func (c *checker) fault(path, problem, hint string) {
	c.faults = append(c.faults, c.scenario.Fault(path, problem, hint))
}

// inFile adds a fault inside a file that the key names.
func (c *checker) inFile(key, file string, e *sdl.Error) {
	if !path.IsAbs(file) {
		file = path.Join(c.folder, file)
	}
	c.faults = append(c.faults, strict.Fault{File: file, Line: e.Line, Column: e.Column, Path: key, Problem: e.Message})
}

func (c *checker) target(schema []byte) {
	g := c.scenario.Target.GraphQL
	if g == nil {
		if schema == nil {
			return
		}
		var err error
		if c.schema, err = sdl.LoadSchema("schema", schema); err != nil {
			c.fault("target.sandbox", "the System's "+err.Error(), "")
		}
		return
	}
	if u, err := parseEndpoint(g.Endpoint); err == nil {
		if _, err := newClient(Config{Target: *g, InFlight: 1}, u); err != nil {
			c.fault("target.graphql.endpoint", err.Error(), "the proxy is that of HTTPS_PROXY or HTTP_PROXY: set it to an http:// URL, or name the host in NO_PROXY")
		}
	}
	if g.Schema == "" {
		return
	}
	src, err := c.read(g.Schema)
	if err != nil {
		c.fault("target.graphql.schema", err.Error(), "paths start from the scenario's folder")
		return
	}
	if c.schema, err = sdl.LoadSchema("", src); err != nil {
		var e *sdl.Error
		errors.As(err, &e)
		c.inFile("target.graphql.schema", g.Schema, e)
	}
}

// read returns a file of the scenario's, or a little more of it than a schema
// may be.
func (c *checker) read(name string) ([]byte, error) {
	f, err := c.scenario.Files.Open(name)
	if err == nil {
		defer f.Close()
		var src []byte
		if src, err = io.ReadAll(io.LimitReader(f, sdl.MaxSchemaBytes+1)); err == nil {
			return src, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("file doesn't exist")
	}
	return nil, errors.New("file can't be read")
}

func (c *checker) operation(key string, g *scenarios.GraphQLOperation) {
	var doc *sdl.Document
	var errs sdl.Errors
	if c.schema != nil {
		doc, errs = sdl.Load(c.schema, "", []byte(g.Document))
	} else {
		doc, errs = sdl.Parse("", []byte(g.Document))
	}
	for _, e := range errs {
		switch {
		case g.DocumentFile != "":
			c.inFile(key+".document", g.DocumentFile, e)
		case e.Line > 0:
			c.fault(key+".query", fmt.Sprintf("%d:%d of the query: %s", e.Line, e.Column, e.Message), "")
		default:
			c.fault(key+".query", e.Message, "")
		}
	}
	if errs != nil {
		return
	}
	op, err := sdl.Named(doc, g.OperationName)
	if err != nil {
		c.fault(key+".operation", err.Error(), "")
		return
	}
	if op.Operation == sdl.Subscription {
		c.fault(key, "a subscription can't be sent as a request", "send a query or a mutation")
		return
	}
	c.variables(key+".variables", op, g)
}

func (c *checker) variables(key string, op *sdl.Operation, g *scenarios.GraphQLOperation) {
	variables := g.Variables
	if len(variables) == 0 {
		variables = []byte("{}")
	}
	var names map[string]json.RawMessage
	if err := json.Unmarshal(variables, &names); err != nil || names == nil {
		c.fault(key, "variables are no object", "")
		return
	}
	var declared []string
	for _, v := range op.VariableDefinitions {
		declared = append(declared, v.Variable)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if slices.Contains(declared, name) {
			continue
		}
		hint := "it declares none"
		if near := strict.Nearest(name, declared); near != "" {
			hint = "did you mean " + near + "?"
		} else if declared != nil {
			hint = "it declares " + strings.Join(declared, ", ")
		}
		c.fault(strict.Path(key, name), fmt.Sprintf("the document declares no variable $%s", name), hint)
	}

	var columns []string
	rows := [][]string{nil}
	if g.Rows != nil {
		columns, rows = g.Rows.Columns, g.Rows.Values
	}
	made, faults := compile(key, variables, columns)
	for _, f := range faults {
		c.fault(f.path, f.problem, "")
	}
	if faults != nil {
		return
	}
	if len(made.parts) == 0 {
		rows = [][]string{nil} // all alike
	}
	for n, row := range rows {
		_, errs := sdl.Variables(c.schema, op, made.render(nil, row))
		for _, e := range errs {
			problem, hint := e.Message, ""
			if row != nil {
				problem = fmt.Sprintf("with row %d of %s: %s", n+1, g.Rows.File, problem)
				if path.Ext(g.Rows.File) == ".csv" && strings.HasPrefix(e.Message, "is a string") {
					hint = "values of a CSV file are text; a JSON Lines file has numbers too"
				}
			}
			at := key
			if e.Path != "" {
				at += "." + e.Path // of names that GraphQL allows
			}
			c.fault(at, problem, hint)
		}
		if errs != nil {
			return
		}
	}
}
