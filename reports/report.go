// Package reports is the room where an assessed run becomes something to read:
// one Report, a tree of sections, tables and figures, and several renderers
// that walk it (terminal text, Markdown, HTML), beside two formats for
// machines (report.json and junit.xml).
//
// Everything comes from a run and its assessment; nothing here reads a clock,
// a network or another file. A renderer chooses how a thing looks and never
// what is said: a figure that the run doesn't give is "n/a" with its reason in
// every one of them, and a run that is not VALID shows no prediction in any.
package reports

import "github.com/headroom-load/headroom/reports/plot"

// Report is what there is to read about one run, or about two side by side.
type Report struct {
	Title string
	Facts []string // one line under the title
	// Banner is the verdict; a comparison has none.
	Banner *Banner
	// Lead is what a reader came for, in a sentence, and Under what belongs to it.
	Lead     string
	Under    []string
	Sections []Section
}

// Banner is a verdict with what it rests on.
type Banner struct {
	Tone  Tone
	Head  string
	Text  string
	Lines []string
}

// Tone is what a figure or a verdict means for the reader.
type Tone int

// The tones. A renderer with colours shows them; the words say it anyway.
const (
	Plain Tone = iota
	Good
	Warning
	Bad
	Faint
)

// Section is a heading with blocks under it.
type Section struct {
	ID    string // unique in the report
	Title string
	// Detail marks what the terminal leaves to the files: the figures, the plan
	// and how the run was made.
	Detail bool
	Blocks []Block
}

// Block is a Text, a Table or a Figure.
type Block interface{ block() }

// Text is a paragraph.
type Text string

// Table is a table whose first column names its rows.
type Table struct {
	Caption string
	Columns []Column
	Rows    [][]Cell
	// Notes are the footnotes, numbered from 1.
	Notes []string
}

// Column is a column's heading. Numbers are aligned to the right.
type Column struct {
	Name   string
	Number bool
}

// Cell is one cell: its text, smaller lines under it (none, or some with \n
// between them), and the numbers of its footnotes.
type Cell struct {
	Text  string
	Sub   string
	Tone  Tone
	Notes []int
}

// Figure is a picture, or the sentence that says why there is none.
type Figure struct{ plot.Figure }

func (Text) block()   {}
func (*Table) block() {}
func (Figure) block() {}

// note adds a footnote to the table, once, and returns its number.
func (t *Table) note(text string) int {
	for i, n := range t.Notes {
		if n == text {
			return i + 1
		}
	}
	t.Notes = append(t.Notes, text)
	return len(t.Notes)
}

// missing is the cell of a figure that the run doesn't give.
func (t *Table) missing(reason string) Cell {
	return Cell{Text: "n/a", Tone: Faint, Notes: []int{t.note(reason)}}
}

// dropEmpty removes the columns from the third on in which every cell is s, and
// returns their names.
func (t *Table) dropEmpty(s string) (names []string) {
	for c := len(t.Columns) - 1; c >= 2; c-- {
		empty := len(t.Rows) > 0
		for _, row := range t.Rows {
			empty = empty && row[c].Text == s
		}
		if !empty {
			continue
		}
		names = append([]string{t.Columns[c].Name}, names...)
		t.Columns = append(t.Columns[:c:c], t.Columns[c+1:]...)
		for i, row := range t.Rows {
			t.Rows[i] = append(row[:c:c], row[c+1:]...)
		}
	}
	return names
}
