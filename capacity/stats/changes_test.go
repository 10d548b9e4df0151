package stats

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Science R36: the changes that Otava's own tests expect of its series.
func TestChangePoints(t *testing.T) {
	text, err := os.ReadFile("testdata/tigerbeetle.txt")
	if err != nil {
		t.Fatal(err)
	}
	var tigerbeetle []float64
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			v, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
			if err != nil {
				t.Fatal(err)
			}
			tigerbeetle = append(tigerbeetle, v)
		}
	}
	halved := []float64{1.02, .95, .99, 1.00, 1.12, 1.00, 1.01, .98, 1.01, .96, .50, .51, .48, .48, .55, .50, .49, .51, .50, .49}
	for _, c := range []struct {
		series       []float64
		window       int
		p, magnitude float64
		want         []int
	}{
		{halved, 10, 1e-4, 0, []int{10}},
		{tigerbeetle, 30, .01, .05, []int{15, 71}},
		{tigerbeetle, 30, .05, .05, []int{15, 71}},
		{tigerbeetle, 30, .1, .05, []int{10, 11, 15, 71, 363}},
		{tigerbeetle, 30, .2, .05, []int{10, 11, 15, 71}},
		{tigerbeetle, 30, .1, .01, []int{10, 11, 15, 28, 29, 35, 37, 48, 49, 61, 71, 95, 117, 131, 142, 148, 165, 169, 192, 206, 212, 260, 265, 268, 278, 282, 363}},
		{tigerbeetle, 30, .01, 0, []int{15, 26, 61, 71, 95, 117, 131, 142, 148, 165, 169, 192, 212, 260}},
		{tigerbeetle, 30, .001, 0, []int{15, 61, 71, 95, 117, 131, 142, 148, 192, 212, 260}},
		{tigerbeetle, 30, 1e-4, 0, []int{71, 95, 117, 131, 142, 148, 192, 212}},
		{tigerbeetle, 30, 1e-5, 0, []int{71, 95, 131, 192, 212}},
	} {
		if got := ChangePoints(c.series, c.window, c.p, c.magnitude); !slices.Equal(got, c.want) {
			t.Errorf("%d values, p %g, magnitude %g: %v, want %v", len(c.series), c.p, c.magnitude, got, c.want)
		}
	}
	for _, flat := range [][]float64{nil, {1}, {1, 2}, {5, 5, 5, 5, 5, 5, 5, 5}} {
		if got := ChangePoints(flat, 4, .01, 0); len(got) > 0 {
			t.Errorf("%v changes at %v", flat, got)
		}
	}
	if got := ChangePoints([]float64{5, 5, 5, 5, 7, 7, 7, 7}, 4, .01, 0); !slices.Equal(got, []int{4}) {
		t.Errorf("a step without noise is at %v, want 4", got)
	}
}
