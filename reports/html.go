package reports

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/headroom-load/headroom/reports/plot"
)

//go:embed report.gohtml
var pageSource string

//go:embed report.css
var pageStyle string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"kind": func(b Block) string { return strings.TrimPrefix(fmt.Sprintf("%T", b), "*") },
	"inc":  func(i int) int { return i + 1 },
	"facts": func(t *Table) bool {
		for _, c := range t.Columns {
			if c.Name != "" {
				return false
			}
		}
		return true
	},
	"svg": func(f Figure) (template.HTML, error) {
		b, err := f.Inline()
		return template.HTML(b), err // drawn by package plot, which escapes its texts
	},
	"class": func(t Tone) string {
		return [...]string{"", "good", "warning", "bad", "faint"}[t]
	},
	"style": func() template.CSS { return template.CSS(plot.Stylesheet() + pageStyle) },
}).Parse(pageSource))

// HTML writes the report as one page that needs nothing else: no script, no
// font, no image and no network, which its content security policy forbids.
// It follows the reader's light or dark mode and prints light.
func (r *Report) HTML(w io.Writer) error {
	var b strings.Builder
	if err := page.Execute(&b, r); err != nil {
		return fmt.Errorf("write report.html: %w", err)
	}
	_, err := io.WriteString(w, printable(b.String()))
	return err
}
