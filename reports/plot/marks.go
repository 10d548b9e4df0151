package plot

import (
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// mark is something drawn in the data area.
type mark interface {
	plot.Plotter
	// key is the mark's text in the line of keys, "" for none, and sample
	// draws what stands before it.
	key() string
	sample(c draw.Canvas)
}

var (
	solid  []vg.Length
	dashed = []vg.Length{5, 3}
	dotted = []vg.Length{1.5, 2.5}
)

// line joins points; a NaN leaves a gap.
type line struct {
	name   string
	role   role
	dash   []vg.Length
	weight vg.Length
	xs, ys []float64
}

func (l line) style() draw.LineStyle {
	return draw.LineStyle{Color: l.role.light, Width: l.weight, Dashes: l.dash}
}

// loneWidth is how wide a point without neighbours is drawn, as in a run of a second.
const loneWidth = 6

func (l line) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var run []vg.Point
	flush := func() {
		if len(run) == 1 { // a point between two gaps would not be seen
			at := run[0]
			run = []vg.Point{{X: at.X - loneWidth/2, Y: at.Y}, {X: at.X + loneWidth/2, Y: at.Y}}
		}
		if len(run) > 0 {
			c.StrokeLines(l.style(), c.ClipLinesXY(run)...)
		}
		run = nil
	}
	for i := range l.xs {
		if math.IsNaN(l.ys[i]) {
			flush()
			continue
		}
		run = append(run, vg.Point{X: x(l.xs[i]), Y: y(l.ys[i])})
	}
	flush()
}

func (l line) key() string { return l.name }

func (l line) sample(c draw.Canvas) {
	y := c.Center().Y
	c.StrokeLine2(l.style(), c.Min.X, y, c.Max.X, y)
}

// spans draws each value as a bar over the period that it holds for.
type spans struct {
	name  string
	role  role
	spans []span
}

type span struct{ from, to, value float64 }

func (s spans) style() draw.LineStyle { return draw.LineStyle{Color: s.role.light, Width: 2.4} }

func (s spans) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, v := range s.spans {
		ends := []vg.Point{{X: x(v.from), Y: y(v.value)}, {X: x(v.to), Y: y(v.value)}}
		c.StrokeLines(s.style(), c.ClipLinesXY(ends)...)
	}
}

func (s spans) key() string { return s.name }

func (s spans) sample(c draw.Canvas) {
	y := c.Center().Y
	c.StrokeLine2(s.style(), c.Min.X, y, c.Max.X, y)
}

// dots draws a circle at each point.
type dots struct {
	name   string
	role   role
	radius vg.Length
	hollow bool
	xs, ys []float64
}

func (d dots) at(c draw.Canvas, points []vg.Point) {
	var path vg.Path
	for _, pt := range points {
		path.Move(vg.Point{X: pt.X + d.radius, Y: pt.Y})
		path.Arc(pt, d.radius, 0, 2*math.Pi)
		path.Close()
	}
	if len(path) == 0 {
		return
	}
	if d.hollow {
		c.SetColor(surface.light)
		c.Fill(path)
		c.SetLineStyle(draw.LineStyle{Color: d.role.light, Width: 1.6})
		c.Stroke(path)
		return
	}
	c.SetColor(d.role.light)
	c.Fill(path)
}

func (d dots) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var points []vg.Point
	for i := range d.xs {
		if pt := (vg.Point{X: x(d.xs[i]), Y: y(d.ys[i])}); !math.IsNaN(d.ys[i]) && c.Contains(pt) {
			points = append(points, pt)
		}
	}
	d.at(c, points)
}

func (d dots) key() string { return d.name }

func (d dots) sample(c draw.Canvas) { d.at(c, []vg.Point{c.Center()}) }

// limit is a horizontal line across the data with its label in the right
// margin.
type limit struct {
	role  role
	value float64
	label string
}

func limitStyle(r role) text.Style {
	sty := style(r, 10.5, true)
	sty.YAlign = middle
	return sty
}

func (l limit) Plot(c draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&c)
	at := c.Max.Y - 8 // where the limit lies beyond the axis
	if l.value <= p.Y.Max {
		at = y(l.value)
		c.StrokeLine2(draw.LineStyle{Color: l.role.light, Width: 1.4, Dashes: dashed}, c.Min.X, at, c.Max.X, at)
	}
	lines := strings.Split(l.label, "\n")
	for i, text := range lines {
		c.FillText(limitStyle(l.role), vg.Point{X: c.Max.X + 6, Y: at - vg.Length(i)*13}, text)
	}
}

func (limit) key() string        { return "" }
func (limit) sample(draw.Canvas) {}

// flag is a vertical line across the data with its label above it; of what lasted
// until a later value, one at each end and a bar between them.
type flag struct {
	role  role
	value float64
	label string
	until float64
}

func (f flag) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	at := x(f.value)
	if !c.ContainsX(at) {
		return
	}
	end := func(at vg.Length) {
		c.StrokeLine2(draw.LineStyle{Color: f.role.light, Width: 1.4, Dashes: dashed}, at, c.Min.Y, at, c.Max.Y)
	}
	end(at)
	if f.until > f.value {
		to := min(x(f.until), c.Max.X)
		end(to)
		c.StrokeLine2(draw.LineStyle{Color: f.role.light, Width: 3}, at, c.Max.Y-1.5, to, c.Max.Y-1.5)
		at = (at + to) / 2
	}
	sty := style(f.role, 10.5, true)
	half := sty.Width(f.label) / 2
	sty.XAlign = draw.XCenter
	at = max(min(at, c.Max.X-half), c.Min.X+half)
	c.FillText(sty, vg.Point{X: at, Y: c.Max.Y + 4}, f.label)
}

func (flag) key() string        { return "" }
func (flag) sample(draw.Canvas) {}

// bars draws horizontal bars from 0, one for each whole y from the top down,
// with a note behind each.
type bars struct {
	values []float64
	roles  []role
	notes  []string
}

func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	sty := style(ink, 10.5, false)
	sty.YAlign = middle
	box := func(from, to, at, half vg.Length, r role) {
		c.FillPolygon(r.light, []vg.Point{{X: from, Y: at - half}, {X: to, Y: at - half}, {X: to, Y: at + half}, {X: from, Y: at + half}})
	}
	for i, v := range b.values {
		at := y(float64(-i))
		box(x(0), x(1), at, 9, band)
		end := x(0)
		if !math.IsNaN(v) {
			end = min(x(v), c.Max.X)
			box(x(0), end, at, 9, b.roles[i])
		}
		c.FillText(sty, vg.Point{X: max(end, x(1)) + 8, Y: at}, fit(sty, b.notes[i], c.Max.X-max(end, x(1))-8))
	}
}

func (bars) key() string        { return "" }
func (bars) sample(draw.Canvas) {}

// gridLines draws a line at each tick.
type gridLines struct{ x, y axis }

func (g gridLines) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	sty := draw.LineStyle{Color: grid.light, Width: 0.8}
	if !g.x.names {
		for _, t := range g.x.ticks {
			if at := x(t.Value); c.ContainsX(at) {
				c.StrokeLine2(sty, at, c.Min.Y, at, c.Max.Y)
			}
		}
	}
	if !g.y.names {
		for _, t := range g.y.ticks {
			if at := y(t.Value); c.ContainsY(at) {
				c.StrokeLine2(sty, c.Min.X, at, c.Max.X, at)
			}
		}
	}
}

// strips draws each load's stages above the data, and the boundaries of the
// first load's through it.
type strips struct {
	rows []stageRow
	lift vg.Length // above the data, for the flags
}

func (s strips) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	sty := style(muted, 9.5, false)
	sty.XAlign, sty.YAlign = draw.XCenter, middle
	for i, row := range s.rows {
		bottom := c.Max.Y + s.lift + vg.Length(len(s.rows)-1-i)*stripRow + 2
		for j, b := range row.blocks {
			from, to := max(x(b.from), c.Min.X), min(x(b.to), c.Max.X)
			if to-from < 1 {
				continue
			}
			c.FillPolygon(band.light, []vg.Point{{X: from + 0.75, Y: bottom}, {X: to - 0.75, Y: bottom}, {X: to - 0.75, Y: bottom + stripRow - 2}, {X: from + 0.75, Y: bottom + stripRow - 2}})
			name := b.name
			if row.load != "" && j == 0 {
				name = row.load + ": " + name
			}
			if sty.Width(name+b.more) <= to-from-6 {
				name += b.more
			}
			if shown := fit(sty, name, to-from-6); shown == name || len([]rune(shown)) > 2 { // of a longer one, a letter says nothing
				c.FillText(sty, vg.Point{X: (from + to) / 2, Y: bottom + stripRow/2 - 1}, shown)
			}
			if i == 0 && j > 0 {
				c.StrokeLine2(draw.LineStyle{Color: edge.light, Width: 0.8, Dashes: dotted}, from, c.Min.Y, from, c.Max.Y)
			}
		}
	}
}

// rule is a vertical line across the data, whose label stands above another area.
type rule struct {
	role  role
	value float64
	until float64
}

func (r rule) Plot(c draw.Canvas, p *plot.Plot) {
	flag{role: r.role, value: r.value, until: r.until}.Plot(c, p)
}
func (rule) key() string        { return "" }
func (rule) sample(draw.Canvas) {}
