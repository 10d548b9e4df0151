// Package plot is the room where a run becomes pictures: Figures lists what
// there is to see of it, and each Figure renders itself as SVG or PNG.
//
// Figures are built as plain charts (axes, marks, stages) from a run and its
// assessment; one place draws all of them with gonum/plot. Every colour has a
// role, and every role a light and a dark value: files are drawn light on
// white, and the SVG for a HTML page refers to the roles as CSS variables, so
// that one drawing serves both modes. No figure is drawn empty: where the run
// says nothing, Missing says why.
package plot

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"unicode"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/headroom-load/headroom/capacity"
)

// Figure is one picture of a run.
type Figure struct {
	// Name is unique within the run and fit for a file name without extension:
	// "rate", "use-lambda.concurrency".
	Name  string
	Title string
	// Caption says in a sentence or two what is to be seen, with the main
	// figures; it also serves those who do not see the picture.
	Caption string
	// Missing says why there is no picture; empty where there is one.
	Missing string

	chart chart
}

// Figures returns the figures of a run in reading order. A prediction is drawn
// only where the assessment holds one, and response times only where the run
// doesn't withhold them.
func Figures(run *capacity.Run, a capacity.Assessment) []Figure {
	t := newTimeline(run)
	figures := []Figure{rate(t)}
	why := ""
	if a.TimesWithheld != "" {
		why = "Response times are withheld: " + a.TimesWithheld + "."
	}
	if f, ok := clock(t, why); ok {
		figures = append(figures, f)
	}
	for _, q := range a.Quotas {
		if q.Kind != capacity.FixedQuota { // which neither time nor the rate changes
			figures = append(figures, use(t, q))
		}
	}
	for _, q := range a.Quotas {
		if q.Kind == capacity.FixedQuota {
			continue
		}
		if use, _, _ := capacity.KafkaUse(run, q.ID); use == nil { // what waits is used at another rate than its own
			figures = append(figures, cost(t, q))
		}
	}
	figures = append(figures, responseTime(t), headroom(a), latency(t))
	if why != "" {
		for i := range figures {
			if f := &figures[i]; f.Name == responseTimeName || f.Name == latencyName {
				f.Missing = why
			}
		}
	}
	names := map[string]int{}
	for i := range figures {
		f := &figures[i]
		f.Name = fileName(f.Name)
		if names[f.Name]++; names[f.Name] > 1 {
			f.Name = fmt.Sprintf("%s-%d", f.Name, names[f.Name])
		}
		f.chart.title = f.Title
	}
	return figures
}

// fileName keeps letters, digits, '.', '_' and '-' of s.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '-'
	}, s)
}

// The width of a figure in points and the resolution of a PNG: two pixels for
// a point.
const (
	width = 560 * vg.Inch / 72
	dpi   = 144
)

// SVG renders the figure as a file of its own: light on white, text in the
// reader's sans-serif font.
func (f Figure) SVG() ([]byte, error) {
	body, err := f.svg()
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %[1]g %[2]g" role="img">`+
		"\n<title>%s</title>\n<desc>%s</desc>\n", width.Points(), f.chart.height().Points(), label(f.Title), label(f.Caption))
	return append([]byte(head), body...), nil
}

// Inline renders the figure as an svg element for a HTML page that has
// Stylesheet in its style: its colours follow the page's mode.
func (f Figure) Inline() ([]byte, error) {
	body, err := f.svg()
	if err != nil {
		return nil, err
	}
	// The page has margins of its own.
	head := fmt.Sprintf(`<svg viewBox="%[1]g %[1]g %g %g" role="img" aria-label="%s">`+"\n",
		margin.Points(), (width - 2*margin).Points(), (f.chart.height() - 2*margin).Points(), label(f.Title+". "+f.Caption))
	return append([]byte(head), variables.Replace(string(body))...), nil
}

// svg returns the figure's drawing up to </svg>, without the opening tag.
func (f Figure) svg() ([]byte, error) {
	c := vgsvg.New(width, f.chart.height())
	f.chart.draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("draw %s: %w", f.Name, err)
	}
	_, body, ok := bytes.Cut(b.Bytes(), []byte(`xlink">`))
	if !ok {
		return nil, fmt.Errorf("draw %s: unexpected SVG header", f.Name)
	}
	// The drawing was measured with Liberation Sans; Arial and Helvetica have
	// the same widths.
	body = bytes.ReplaceAll(body, []byte("font-family:Liberation Sans"), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif"))
	return bytes.Map(printable, bytes.TrimLeft(body, "\n")), nil
}

// printable replaces what XML doesn't allow and what changes the direction of
// text: names come from scenario files.
func printable(r rune) rune {
	if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
		return unicode.ReplacementChar
	}
	return r
}

// label escapes a text for an attribute or an element.
func label(s string) string { return html.EscapeString(strings.Map(printable, s)) }
