package plot

import (
	"fmt"
	"image/color"
	"strings"
)

// role is what a colour is for, with its value on a light and on a dark page.
type role struct {
	name        string
	light, dark rgb
}

type rgb uint32

func (c rgb) RGBA() (r, g, b, a uint32) {
	return color.RGBA{R: uint8(c >> 16), G: uint8(c >> 8), B: uint8(c), A: 0xFF}.RGBA()
}

func (c rgb) hex() string { return fmt.Sprintf("#%06X", uint32(c)) }

// The roles. The hues are those of Okabe and Ito's palette for colour-blind
// readers, darkened or lightened until each has a contrast of at least 3 to
// its page; series also differ in dash or shape. No two light values are
// equal: Inline finds a role by it.
var (
	surface = role{"surface", 0xFFFFFF, 0x14181E}
	ink     = role{"ink", 0x1B212B, 0xE6EAF0}
	muted   = role{"muted", 0x596473, 0xA0ABB9}
	edge    = role{"edge", 0xB3BCC7, 0x4B5664}
	grid    = role{"grid", 0xE5E9EE, 0x29313B}
	band    = role{"band", 0xEEF2F6, 0x1E252E}
	blue    = role{"blue", 0x0072B2, 0x56B4E9}
	red     = role{"red", 0xCC5500, 0xFF8C4D}
	green   = role{"green", 0x00805C, 0x2EC79C}
	purple  = role{"purple", 0xA8528A, 0xE39CC6}
	amber   = role{"amber", 0xA87000, 0xEBB23D}
	sky     = role{"sky", 0xCFE5F3, 0x1D3F57}

	palette = []role{surface, ink, muted, edge, grid, band, blue, red, green, purple, amber, sky}
)

// variables turns the light value of each role into its CSS variable.
var variables = func() *strings.Replacer {
	var pairs []string
	for _, r := range palette {
		pairs = append(pairs, r.light.hex(), "var(--"+r.name+")")
	}
	return strings.NewReplacer(pairs...)
}()

// Stylesheet returns the CSS that gives every role its value: dark where the
// reader prefers dark, light otherwise and always in print.
func Stylesheet() string {
	values := func(of func(role) rgb) string {
		var b strings.Builder
		for _, r := range palette {
			fmt.Fprintf(&b, "--%s:%s;", r.name, strings.ToLower(of(r).hex()))
		}
		return b.String()
	}
	return ":root{" + values(func(r role) rgb { return r.light }) + "}\n" +
		"@media screen and (prefers-color-scheme:dark){:root{" + values(func(r role) rgb { return r.dark }) + "}}\n"
}
