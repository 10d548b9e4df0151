// Package strict is the one door for YAML: it decodes a file into values and
// returns every fault at once, each with file, line, column, the path of its
// key and, where one is near, a suggestion.
package strict

import (
	"fmt"
	"strings"
)

// Fault is one thing wrong with a file.
type Fault struct {
	File         string
	Line, Column int    // from 1; 0 where the file as a whole is meant
	Path         string // of the key: "loads[0].profile[2].rate"; "" for the file
	Problem      string // lower case, no full stop
	Hint         string // may be empty
}

func (f Fault) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", f.File, max(f.Line, 1), max(f.Column, 1))
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Problem)
	if f.Hint != "" {
		b.WriteString(" (" + f.Hint + ")")
	}
	return b.String()
}

// Faults is every fault of a file, in the order of their positions. It is an
// error when it is not empty.
type Faults []Fault

func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Document remembers where each key of a decoded file stood, for faults that
// are found later.
type Document struct {
	file      string
	positions map[string]position
}

type position struct{ line, column int }

// Fault returns a fault at the key with the given path, or at its nearest
// ancestor that stands in the file.
func (d *Document) Fault(path, problem, hint string) Fault {
	f := Fault{File: d.file, Path: path, Problem: problem, Hint: hint}
	for p := path; p != ""; p = p[:max(strings.LastIndexAny(p, ".["), 0)] {
		if at, ok := d.positions[p]; ok {
			f.Line, f.Column = at.line, at.column
			break
		}
	}
	return f
}
