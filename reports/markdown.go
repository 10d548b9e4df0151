package reports

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Markdown writes the report as GitHub-flavoured Markdown. Its figures are the
// files that Write puts under plots.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n", escape(r.Title), escape(strings.Join(r.Facts, " · ")))
	if v := r.Banner; v != nil {
		fmt.Fprintf(&b, "\n> **%s** %s\n", escape(v.Head), escape(v.Text))
		for i, l := range v.Lines {
			if i == 0 {
				b.WriteString(">\n")
			}
			fmt.Fprintf(&b, "> - %s\n", escape(l))
		}
	}
	if r.Lead != "" {
		fmt.Fprintf(&b, "\n**%s**\n", escape(r.Lead))
	}
	for _, l := range r.Under {
		fmt.Fprintf(&b, "\n%s\n", escape(l))
	}
	for _, s := range r.Sections {
		fmt.Fprintf(&b, "\n## %s\n", escape(s.Title))
		for _, block := range s.Blocks {
			b.WriteByte('\n')
			switch x := block.(type) {
			case Text:
				b.WriteString(markdownLine.ReplaceAllString(strings.TrimLeft(escape(string(x)), " "), `$1\$2$3`) + "\n")
			case *Table:
				markdownTable(&b, x)
			case Figure:
				if x.Missing != "" {
					b.WriteString(escape(x.Missing) + "\n")
					continue
				}
				fmt.Fprintf(&b, "![%s](plots/%s.png)\n\n%s\n", escape(x.Title), x.Name, escape(x.Caption))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownTable(b *strings.Builder, t *Table) {
	if t.Caption != "" {
		fmt.Fprintf(b, "%s:\n\n", escape(t.Caption))
	}
	rule := ""
	for _, c := range t.Columns {
		fmt.Fprintf(b, "| %s ", escape(c.Name))
		if c.Number {
			rule += "|---:"
		} else {
			rule += "|---"
		}
	}
	fmt.Fprintf(b, "|\n%s|\n", rule)
	for _, row := range t.Rows {
		for _, c := range row {
			b.WriteString("| " + escape(c.Text) + marks(c))
			for sub := range strings.SplitSeq(c.Sub, "\n") {
				if sub != "" {
					b.WriteString("<br>" + escape(sub))
				}
			}
			b.WriteByte(' ')
		}
		b.WriteString("|\n")
	}
	for i, n := range t.Notes {
		if i == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(b, "%s %s  \n", superscript(i+1), escape(n))
	}
}

var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "~", `\~`, "$", `\$`,
	"<", "&lt;", ">", "&gt;", "&", "&amp;",
)

// markdownLine is how a paragraph begins that would be a heading or a list.
var markdownLine = regexp.MustCompile(`^(\d*)([-+#.)]+)( |$)`)

// escape makes s read as it is written.
func escape(s string) string { return markdownEscapes.Replace(clean(s)) }
