package plot

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	imagedraw "image/draw"
	"image/png"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Canvas is what PNGs are painted on, one after the other. It keeps its memory,
// some megabytes, from one to the next. The zero value is ready for use.
type Canvas struct {
	on   *vgimg.Canvas // as wide as every figure
	zips compressor
}

// compressor keeps what the PNG encoder works with.
type compressor struct{ kept *png.EncoderBuffer }

func (c *compressor) Get() *png.EncoderBuffer  { return c.kept }
func (c *compressor) Put(b *png.EncoderBuffer) { c.kept = b }

// PNG renders the figure, light on white.
func (c *Canvas) PNG(f Figure) ([]byte, error) {
	pixels := func(l vg.Length) int { return int(l/vg.Inch*dpi + 0.5) }
	height := pixels(f.chart.height())
	if c.on == nil || c.on.Image().Bounds().Dy() < height {
		// It is copied: a grey one takes a quarter of the memory.
		c.on = vgimg.NewWith(vgimg.UseImage(image.NewGray(image.Rect(0, 0, pixels(width), height))), vgimg.UseDPI(dpi))
	}
	all := c.on.Image().(*image.RGBA)
	imagedraw.Draw(all, all.Rect, image.NewUniform(color.White), image.Point{}, imagedraw.Src)
	vg.Initialize(c.on)
	// The origin is the lower left corner.
	f.chart.draw(draw.NewCanvas(c.on, width, f.chart.height()))
	used := all.SubImage(image.Rect(0, all.Rect.Dy()-height, all.Rect.Dx(), all.Rect.Dy()))
	// Most of the time goes into compression, which at its best saves little.
	e := png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: &c.zips}
	var b bytes.Buffer
	if err := e.Encode(&b, used); err != nil {
		return nil, fmt.Errorf("draw %s: %w", f.Name, err)
	}
	return b.Bytes(), nil
}
