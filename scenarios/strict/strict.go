// Package strict is the one door for YAML: it decodes a file into values and
// returns every fault at once, each with file, line, column, the path of its
// key and, where one is near, a suggestion.
//
// It reads a deliberately small YAML: one document in UTF-8, of at most 1 MiB
// and 50 levels, without anchors, aliases, merge keys and tags, in which every
// key stands once and has a value. A value is never bent to fit: text that
// looks like a number must be quoted, a number is written in decimal, and a
// number that lacks its unit is refused by the unit's own type.
//
// Decode fills structs by their yaml tags. A tag may add "required". Values
// that implement encoding.TextUnmarshaler read their own notation; a Choice
// accepts more than one kind of value; a Map keeps the order of the file; a
// json.RawMessage takes any value at all.
package strict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
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

// sorted orders faults by file and position, drops repetitions and keeps at
// most MaxFaults of them.
func (fs Faults) sorted() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	fs = slices.Compact(fs)
	if more := len(fs) - MaxFaults; more > 0 {
		fs = fs[:MaxFaults]
		last := fs[MaxFaults-1]
		fs = append(fs, Fault{File: last.File, Line: last.Line, Column: last.Column, Problem: fmt.Sprintf("%d more faults are not shown", more)})
	}
	return fs
}

// Merge returns the faults of all lists as one, ordered by file and position,
// or nil where there is none.
func Merge(lists ...Faults) Faults { return Faults(slices.Concat(lists...)).sorted() }

// Document remembers where each key of a decoded file stood, for faults that
// are found later.
type Document struct {
	file   string
	places map[string]place
}

// place is where the value of a key stands: a scalar's own position, a
// collection's key.
type place struct {
	line, column int
	// written is the text of a scalar that was expanded, as it stood in the
	// file.
	written string
}

// Fault returns a fault at the key with the given path, or at its nearest
// ancestor that stands in the file.
func (d *Document) Fault(path, problem, hint string) Fault {
	f := Fault{File: d.file, Path: path, Problem: problem, Hint: hint}
	for p := path; ; p = p[:max(strings.LastIndexAny(p, ".["), 0)] {
		if at, ok := d.places[p]; ok {
			f.Line, f.Column = at.line, at.column
			return f
		}
		if p == "" {
			return f
		}
	}
}

// Has reports whether the key with the given path stands in the file.
func (d *Document) Has(path string) bool {
	_, ok := d.places[path]
	return ok
}

// Quote returns value, the scalar at path, quoted and clipped for a fault's
// text. Of a scalar that was expanded it quotes what stands in the file, so
// that no value from outside the file is ever printed.
func (d *Document) Quote(path, value string) string {
	if at := d.places[path]; at.written != "" {
		value = at.written
	}
	return quote(value)
}

// Written returns the text of the expanded scalar at path as it stands in the
// file, or "" where nothing in it was replaced.
func (d *Document) Written(path string) string { return d.places[path].written }

// Expanded reports whether the scalar at path had anything replaced.
func (d *Document) Expanded(path string) bool { return d.places[path].written != "" }

func quote(s string) string { return fmt.Sprintf("%.60q", s) }

// Nearest returns the word of among that the given word was most likely meant
// to be, or "" where none is near. Case, "_" and "-" count for nothing.
func Nearest(word string, among []string) string {
	best, least := "", 0
	a := fold(word)
	for _, candidate := range among {
		b := fold(candidate)
		limit := max(1, min(len(a), len(b))/3)
		if d := distance(a, b, limit); d <= limit && (best == "" || d < least) {
			best, least = candidate, d
		}
	}
	return best
}

// didYouMean is the hint for a word that is not among the known ones.
func didYouMean(word string, among []string) string {
	if near := Nearest(word, among); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

func fold(s string) []rune {
	folded := make([]rune, 0, len(s))
	for _, r := range s {
		if r != '_' && r != '-' {
			folded = append(folded, unicode.ToLower(r))
		}
	}
	return folded
}

// distance is the number of insertions, deletions, replacements and swaps of
// neighbours that turn a into b (optimal string alignment), or more than limit
// where it is more than limit.
func distance(a, b []rune, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range b {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
