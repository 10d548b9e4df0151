package reports

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"
)

// Options says how terminal text looks.
type Options struct {
	Color bool
	// Width is the number of columns; 0 means 100, and less than 60 counts as 60.
	Width int
	// Dir is the folder that Write was given; empty where no files were written.
	Dir string
}

// Text writes the report for a terminal: the verdict, the first quota to bind and the
// headroom table first. What only the files hold is named at the end. Control
// characters in names that came from elsewhere are replaced.
func (r *Report) Text(w io.Writer, o Options) error {
	p := &printer{color: o.Color, width: 100}
	if o.Width > 0 {
		p.width = max(o.Width, 60)
	}
	p.line(p.paint(Plain, true, clean(r.Title)))
	p.wrapped("", strings.Join(r.Facts, " · "), Faint)
	if b := r.Banner; b != nil {
		p.line("")
		head := clean(b.Head)
		lines := wrap(clean(b.Text), p.width-columns(head)-2)
		p.line(p.paint(b.Tone, true, head) + "  " + lines[0])
		for _, l := range lines[1:] {
			p.line(strings.Repeat(" ", columns(head)+2) + l)
		}
		for _, l := range b.Lines {
			p.wrapped("- ", l, Plain)
		}
	}
	p.line("")
	if r.Lead != "" {
		for _, l := range wrap(clean(r.Lead), p.width) {
			p.line(p.paint(Plain, true, l))
		}
	}
	for _, l := range r.Under {
		p.wrapped("", l, Faint)
	}
	for _, s := range r.Sections {
		if s.Detail {
			continue
		}
		p.line("")
		p.line(p.paint(Plain, true, strings.ToUpper(clean(s.Title))))
		for i, b := range s.Blocks {
			switch b := b.(type) {
			case Text:
				p.wrapped("", string(b), Faint)
			case *Table:
				if i > 0 {
					p.line("")
				}
				p.table(b)
			case Figure:
				p.wrapped("", b.Title+": "+b.Caption, Plain)
			}
		}
	}
	if o.Dir != "" {
		p.line("")
		p.wrapped("", "Full report: "+filepath.Join(o.Dir, "report.html")+" (beside it report.md, report.json, junit.xml and plots/)", Plain)
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// printer collects lines of a bounded width.
type printer struct {
	b     strings.Builder
	color bool
	width int
}

func (p *printer) line(s string) {
	p.b.WriteString(strings.TrimRight(s, " "))
	p.b.WriteByte('\n')
}

// wrapped writes a paragraph behind a bullet, with its further lines indented.
func (p *printer) wrapped(bullet, s string, t Tone) {
	for i, l := range wrap(clean(s), p.width-columns(bullet)) {
		lead := bullet
		if i > 0 {
			lead = strings.Repeat(" ", columns(bullet))
		}
		p.line(lead + p.paint(t, false, l))
	}
}

var codes = map[Tone]string{Good: "32", Warning: "33", Bad: "31", Faint: "2"}

func (p *printer) paint(t Tone, bold bool, s string) string {
	code := codes[t]
	if bold {
		code = strings.TrimPrefix(code+";1", ";")
	}
	if !p.color || code == "" || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

const (
	gap        = 2  // columns between two of a table
	widestKey  = 36 // columns of a table's first column
	narrowText = 24 // columns below which text is not wrapped further
)

// table writes a table. Where it is wider than the page, texts are wrapped
// first and then the columns are folded into several tables that repeat the
// first column.
func (p *printer) table(t *Table) {
	if t.Caption != "" {
		p.line(p.paint(Faint, false, clean(t.Caption)+":"))
	}
	widths := make([]int, len(t.Columns))
	total := -gap
	for c, col := range t.Columns {
		widths[c] = columns(col.Name)
		for _, row := range t.Rows {
			widths[c] = max(widths[c], columns(clean(row[c].Text)+marks(row[c])))
			for sub := range strings.SplitSeq(row[c].Sub, "\n") {
				widths[c] = max(widths[c], columns(clean(sub)))
			}
		}
		most := widestKey
		if c > 0 {
			most = p.width - widths[0] - gap
		}
		widths[c] = min(widths[c], most)
		total += widths[c] + gap
	}
	for total > p.width {
		widest := -1
		for c, col := range t.Columns {
			if c > 0 && !col.Number && widths[c] > narrowText && (widest < 0 || widths[c] > widths[widest]) {
				widest = c
			}
		}
		if widest < 0 {
			break
		}
		less := min(total-p.width, widths[widest]-narrowText)
		widths[widest] -= less
		total -= less
	}
	for from := 1; from < len(t.Columns) || from == 1; {
		used, to := widths[0], from
		for to < len(t.Columns) && (to == from || used+gap+widths[to] <= p.width) {
			used += gap + widths[to]
			to++
		}
		if from > 1 {
			p.line("")
		}
		p.fold(t, widths, from, to)
		from = max(to, 2)
	}
	for i, n := range t.Notes {
		p.wrapped(superscript(i+1)+" ", n, Faint)
	}
}

// fold writes the first column and those from one to before another.
func (p *printer) fold(t *Table, widths []int, from, to int) {
	which := []int{0}
	for c := from; c < to; c++ {
		which = append(which, c)
	}
	row := func(cell func(c int) Cell) {
		var cells [][]string
		height := 0
		for _, c := range which {
			x := cell(c)
			tone, lines := x.Tone, wrap(clean(x.Text)+marks(x), widths[c])
			under := len(lines)
			for sub := range strings.SplitSeq(x.Sub, "\n") {
				if sub != "" {
					lines = append(lines, wrap(clean(sub), widths[c])...)
				}
			}
			for i, l := range lines {
				pad := strings.Repeat(" ", max(widths[c]-columns(l), 0))
				if i == under {
					tone = Faint
				}
				if t.Columns[c].Number {
					lines[i] = pad + p.paint(tone, false, l)
				} else {
					lines[i] = p.paint(tone, false, l) + pad
				}
			}
			cells = append(cells, lines)
			height = max(height, len(lines))
		}
		for h := range height {
			var b strings.Builder
			for i, c := range which {
				if i > 0 {
					b.WriteString(strings.Repeat(" ", gap))
				}
				if h < len(cells[i]) {
					b.WriteString(cells[i][h])
				} else {
					b.WriteString(strings.Repeat(" ", widths[c]))
				}
			}
			p.line(b.String())
		}
	}
	named := false
	for _, c := range which {
		named = named || t.Columns[c].Name != ""
	}
	if named {
		row(func(c int) Cell { return Cell{Text: t.Columns[c].Name, Tone: Faint} })
		rule := -gap
		for _, c := range which {
			rule += widths[c] + gap
		}
		p.line(p.paint(Faint, false, strings.Repeat("─", min(rule, p.width))))
	}
	for i, r := range t.Rows {
		// A name is printed once for the rows that share it.
		again := i > 0 && r[0].Text == t.Rows[i-1][0].Text && r[0].Sub == t.Rows[i-1][0].Sub
		row(func(c int) Cell {
			if c == 0 && again {
				return Cell{}
			}
			return r[c]
		})
	}
}

// marks prints the numbers of a cell's footnotes.
func marks(c Cell) string {
	var s []string
	for _, n := range c.Notes {
		s = append(s, superscript(n))
	}
	return strings.Join(s, " ")
}

func superscript(n int) string {
	return strings.NewReplacer("0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹").Replace(fmt.Sprint(n))
}

// wrap breaks s at spaces into lines of at most n columns; a longer word is
// cut. It returns at least one line.
func wrap(s string, n int) []string {
	n = max(n, 8)
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && columns(line)+1+columns(word) > n {
			lines, line = append(lines, line), ""
		}
		for columns(word) > n {
			cut, used := 0, 0
			for i, r := range word {
				if used+runeColumns(r) > n {
					break
				}
				used += runeColumns(r)
				cut = i + len(string(r))
			}
			lines = append(lines, word[:cut])
			word = word[cut:]
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// printable replaces what would move a cursor, change a terminal or turn the
// direction of text: names come from scenario files and answers.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// clean makes s printable on one line.
func clean(s string) string { return strings.NewReplacer("\n", " ", "\t", " ").Replace(printable(s)) }

// columns returns the number of terminal columns that s takes.
func columns(s string) (n int) {
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// runeColumns is 2 for East Asian wide characters and emoji, 0 for combining
// marks, else 1.
func runeColumns(r rune) int {
	switch {
	case unicode.Is(unicode.Mn, r):
		return 0
	case r >= 0x1100 && r <= 0x115F, r >= 0x2E80 && r <= 0xA4CF, r >= 0xAC00 && r <= 0xD7A3, r >= 0xF900 && r <= 0xFAFF,
		r >= 0xFE30 && r <= 0xFE6F, r >= 0xFF00 && r <= 0xFF60, r >= 0xFFE0 && r <= 0xFFE6, r >= 0x1F300 && r <= 0x1FAFF:
		return 2
	}
	return 1
}
