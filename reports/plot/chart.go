package plot

import (
	"math"
	"slices"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// chart is a figure before it is drawn. From top to bottom it has a title, a
// line of keys, the stages of each load, the data area and the x axis; labels
// of limits stand in a margin to its right, so nothing written covers data.
type chart struct {
	title  string
	x, y   axis
	stages []stageRow
	marks  []mark
	tall   vg.Length // height of the data area; 0: the usual one
	// under are data areas below it, each with its own keys, y axis and marks, on
	// the same x axis, which stands below the last.
	under []chart
}

// axis is one axis: its title with the unit, its range and its labelled ticks.
type axis struct {
	title    string
	min, max float64
	log      bool
	ticks    []plot.Tick
	names    bool // the ticks are names: no grid lines
	hidden   bool // another area's axis below has its ticks
}

// stageRow is the stages of one load, drawn as a strip above the data.
type stageRow struct {
	load   string // empty where the run has only one
	blocks []block
}

type block struct {
	from, to float64
	name     string
	more     string // said after the name where there is room
}

const (
	margin    = 10 * vg.Inch / 72
	titleRow  = 22 * vg.Inch / 72
	keyRow    = 18 * vg.Inch / 72
	stripRow  = 15 * vg.Inch / 72
	flagRow   = 13 * vg.Inch / 72
	dataRow   = 190 * vg.Inch / 72
	axisRow   = 46 * vg.Inch / 72
	underGap  = 10 * vg.Inch / 72
	keyGap    = 14 * vg.Inch / 72
	keyLength = 20 * vg.Inch / 72
)

// middle is the alignment that puts the middle of a digit on a line.
const middle = draw.YAlignment(-0.45)

func style(r role, size float64, bold bool) text.Style {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(size)}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return text.Style{Color: r.light, Font: f, Handler: plot.DefaultTextHandler}
}

func (c *chart) keys() (keys []mark) {
	for _, m := range c.marks {
		if m.key() != "" {
			keys = append(keys, m)
		}
	}
	return keys
}

// flags returns the height of the labels of flags.
func (c *chart) flags() vg.Length {
	if slices.ContainsFunc(c.marks, func(m mark) bool { _, ok := m.(flag); return ok }) {
		return flagRow
	}
	return 0
}

// above returns the height of what stands between the title and the data.
func (c *chart) above() vg.Length {
	return vg.Length(c.keyLines())*keyRow + vg.Length(len(c.stages))*stripRow + c.flags() + 4
}

func (c *chart) height() vg.Length {
	h := margin + titleRow + c.above() + c.data() + axisRow + margin
	for i := range c.under {
		h += underGap + c.under[i].above() + c.under[i].data()
	}
	return h
}

// data returns the height of the data area.
func (c *chart) data() vg.Length {
	if c.tall == 0 {
		return dataRow
	}
	return c.tall
}

// layKeys calls place with the line and the offset of every key, and returns
// the number of lines.
func (c *chart) layKeys(place func(m mark, line int, x vg.Length)) int {
	sty := style(ink, 10.5, false)
	var x vg.Length
	lines := 0
	for _, m := range c.keys() {
		w := keyLength + 5 + sty.Width(m.key())
		if lines == 0 || x+w > width-2*margin {
			lines, x = lines+1, 0
		}
		place(m, lines-1, x)
		x += w + keyGap
	}
	return lines
}

func (c *chart) keyLines() int { return c.layKeys(func(mark, int, vg.Length) {}) }

func (c *chart) draw(dc draw.Canvas) {
	dc.SetColor(surface.light)
	dc.Fill(dc.Path())
	dc = draw.Crop(dc, margin, -margin, margin, -margin)

	title := style(ink, 13, true)
	title.YAlign = draw.YTop
	dc.FillText(title, vg.Point{X: dc.Min.X, Y: dc.Max.Y}, fit(title, c.title, width-2*margin))

	areas := []*chart{c}
	for i := range c.under {
		areas = append(areas, &c.under[i])
	}
	var right, left vg.Length
	end := dc.Max.X
	for _, a := range areas {
		right = max(right, a.right())
	}
	plots, places := make([]*plot.Plot, len(areas)), make([]draw.Canvas, len(areas))
	top := dc.Max.Y - titleRow
	for i, a := range areas {
		if i > 0 {
			top -= underGap
		}
		a.drawKeys(dc, top)
		x := c.x
		bottom := dc.Min.Y
		if i < len(areas)-1 {
			x.title, x.hidden = "", true
			bottom = top - a.above() - a.data()
		}
		plots[i] = a.plot(x)
		places[i] = draw.Crop(dc, 0, -right, bottom-dc.Min.Y, top-a.above()-dc.Max.Y)
		// A logarithmic axis asks for room above the data, which there is.
		places[i].Max.Y += places[i].Max.Y - plots[i].DataCanvas(places[i]).Max.Y
		area := plots[i].DataCanvas(places[i])
		left, end = max(left, area.Min.X), min(end, area.Max.X)
		top = bottom
	}
	for i, p := range plots {
		area := p.DataCanvas(places[i])
		p.Draw(draw.Crop(places[i], left-area.Min.X, end-area.Max.X, 0, 0))
	}
}

// drawKeys draws the lines of keys from top down.
func (c *chart) drawKeys(dc draw.Canvas, top vg.Length) {
	sty := style(ink, 10.5, false)
	sty.YAlign = middle
	c.layKeys(func(m mark, line int, x vg.Length) {
		y := top - keyRow*(vg.Length(line)+0.5)
		sample := dc
		sample.Rectangle = vg.Rectangle{
			Min: vg.Point{X: dc.Min.X + x, Y: y - 4},
			Max: vg.Point{X: dc.Min.X + x + keyLength, Y: y + 4},
		}
		m.sample(sample)
		dc.FillText(sty, vg.Point{X: dc.Min.X + x + keyLength + 5, Y: y}, m.key())
	})
}

// plot returns the data area with its axes.
func (c *chart) plot(x axis) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	x.apply(&p.X, false)
	if x.hidden {
		p.HideX()
	}
	c.y.apply(&p.Y, true)
	p.Add(gridLines{x, c.y})
	if len(c.stages) > 0 {
		p.Add(strips{c.stages, c.flags()})
	}
	for _, m := range c.marks {
		p.Add(m)
	}
	return p
}

// right returns the width of the margin for labels beside the data.
func (c *chart) right() vg.Length {
	var w vg.Length
	for _, m := range c.marks {
		if l, ok := m.(limit); ok {
			for line := range strings.SplitSeq(l.label, "\n") {
				w = max(w, limitStyle(l.role).Width(line)+8)
			}
		}
	}
	return max(w, 6)
}

func (a axis) apply(to *plot.Axis, vertical bool) {
	to.Min, to.Max = a.min, a.max
	if a.log {
		to.Scale = plot.LogScale{}
	}
	to.Padding = 0
	to.LineStyle = draw.LineStyle{Color: edge.light, Width: 0.8}
	to.Tick.LineStyle = draw.LineStyle{Color: edge.light, Width: 0.8}
	to.Tick.Length = 4
	to.Tick.Marker = plot.ConstantTicks(a.ticks)
	label := style(muted, 10.5, false)
	label.XAlign, label.YAlign = to.Tick.Label.XAlign, to.Tick.Label.YAlign
	to.Tick.Label = label
	to.Label.Text = a.title
	name := style(muted, 10.5, false)
	name.XAlign, name.YAlign = to.Label.TextStyle.XAlign, to.Label.TextStyle.YAlign
	to.Label.TextStyle = name
	to.Label.Padding = 4
	if vertical {
		to.Width, to.Tick.Length = 0, 0
		to.Label.Padding = 6
		// The axis puts the label's middle a descent too high.
		to.Tick.Label.YAlign = middle - 0.17
	}
}

// fit shortens s to the given width.
func fit(sty text.Style, s string, w vg.Length) string {
	if sty.Width(s) <= w {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && sty.Width(string(r)+"…") > w {
		r = r[:len(r)-1]
	}
	if len(r) == 0 {
		return ""
	}
	return string(r) + "…"
}

// steps returns round values from 0 or the lowest of them in [lo, hi], about n
// of them, at distances of 1, 2 or 5 times a power of ten.
func steps(lo, hi float64, n int) []float64 {
	if !(hi > lo) {
		return []float64{lo}
	}
	raw := (hi - lo) / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * unit
	for _, f := range []float64{1, 2, 5} {
		if f*unit >= raw*0.999 {
			step = f * unit
			break
		}
	}
	return every(lo, hi, step)
}

func every(lo, hi, step float64) (values []float64) {
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi*(1+1e-9); i++ {
		values = append(values, i*step+0) // not -0
	}
	return values
}

func labelled(values []float64, label func(float64) string) []plot.Tick {
	ticks := make([]plot.Tick, len(values))
	for i, v := range values {
		ticks[i] = plot.Tick{Value: v, Label: label(v)}
	}
	return ticks
}

// amounts is a linear axis from 0 that has room for top.
func amounts(title string, top float64, label func(float64) string) axis {
	if !(top > 0) {
		top = 1
	}
	top *= 1.06
	return axis{title: title, max: top, ticks: labelled(steps(0, top, 6), label)}
}

// decades is a logarithmic axis over positive values, with ticks at 1, 2 and 5
// of each decade or, over more than three decades, at 1.
func decades(title string, lo, hi float64, label func(float64) string) axis {
	lo, hi = lo*0.8, hi*1.25
	multiples := []float64{1, 2, 5}
	if hi/lo > 1e3 {
		multiples = multiples[:1]
	}
	var values []float64
	for d := math.Floor(math.Log10(lo)); d <= math.Ceil(math.Log10(hi)); d++ {
		for _, m := range multiples {
			if v := m * math.Pow(10, d); v >= lo && v <= hi {
				values = append(values, v)
			}
		}
	}
	return axis{title: title, min: lo, max: hi, log: true, ticks: labelled(values, label)}
}
