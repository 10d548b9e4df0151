package scenarios

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestShapes(t *testing.T) {
	s := parse(t, fixtures+"/good/shapes.yaml")
	viewers := s.Loads[0].Profile
	want := []Stage{
		{Name: "before", Curve: Sine{300, 200, time.Minute, 210 * time.Second}, From: 300, To: 300, For: 210 * time.Second, Measure: true},
		{Name: "onset", Curve: Triangle{150_000, 30 * time.Second, time.Minute}, For: time.Minute, Measure: true},
		{Name: "again", Curve: Triangle{30_000, 5 * time.Second, time.Minute}, For: time.Minute, Measure: true},
		{Name: "broadcast", Curve: Gamma{60_000, 15 * time.Second, 2 * time.Minute}, To: viewers[3].To, For: 2 * time.Minute, Measure: true},
		{Name: "late-broadcast", Curve: Gamma{60_000, 30 * time.Second, 2 * time.Minute}, To: viewers[4].To, For: 2 * time.Minute},
		{Name: "after", Ramp: true, From: viewers[4].To, To: 100, For: 10 * time.Second, Measure: true},
	}
	if diff := cmp.Diff(want, viewers, cmpopts.EquateApprox(1e-12, 0)); diff != "" {
		t.Error(diff)
	}
	last := s.Loads[1]
	counts := Counts{
		Ends:       []time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute},
		Cumulative: []float64{120, 6120, 6120, 7620},
	}
	if diff := cmp.Diff([]Stage{{Name: "replay", Curve: counts, From: 2, To: 25, For: 4 * time.Minute, Measure: true}}, last.Profile); diff != "" || last.Arrivals != Replay {
		t.Error(last.Arrivals, diff)
	}
	// The peak of a triangle is 2V/base: 150,000 in 60 s are 5,000/s at most.
	if got := s.Loads[0].PeakRate(); got != 5000 {
		t.Errorf("the peak is %v/s, want 5,000", got)
	}
	for at, want := range map[time.Duration]float64{
		-1: 0, 0: 300, 15 * time.Second: 500, 45 * time.Second: 100, 240 * time.Second: 5000, 325 * time.Second: 90.90909, 10*time.Minute - 1: 99.99999, 11 * time.Minute: 0,
	} {
		if at == 10*time.Minute-1 {
			at = s.Loads[0].Duration() - 1
		}
		if got := s.Loads[0].RateAt(at); math.Abs(got-want) > 1e-4 {
			t.Errorf("the rate at %v is %v, want %v", at, got, want)
		}
	}
}

// curves draws a curve and its length.
func curves(t *rapid.T) (Curve, time.Duration) {
	length := time.Duration(rapid.Int64Range(int64(time.Second), int64(24*time.Hour)).Draw(t, "length"))
	visitors := float64(rapid.Int64Range(1, 1e9).Draw(t, "visitors"))
	switch rapid.IntRange(0, 4).Draw(t, "curve") {
	case 4:
		c, length := curves(t)
		return Polyline{c.Points()}, length
	case 0:
		return Triangle{visitors, time.Duration(rapid.Int64Range(0, int64(length)).Draw(t, "peak")), length}, length
	case 1:
		return Gamma{visitors, time.Duration(rapid.Int64Range(int64(length)/100+1, int64(length)).Draw(t, "peak")), length}, length
	case 2:
		mean := rapid.Float64Range(0.01, 1e5).Draw(t, "mean")
		period := time.Duration(rapid.Int64Range(int64(length)/100+1, 3*int64(length)).Draw(t, "period"))
		return Sine{mean, mean * rapid.Float64Range(0, 1).Draw(t, "amplitude"), period, length}, length
	}
	n := rapid.IntRange(1, 9).Draw(t, "intervals")
	var c Counts
	var end time.Duration
	var total float64
	for range n {
		end += time.Duration(rapid.Int64Range(1000, int64(time.Hour)).Draw(t, "interval"))
		total += float64(rapid.SampledFrom([]int{0, 1, 7, 300_000}).Draw(t, "count"))
		c.Ends, c.Cumulative = append(c.Ends, end), append(c.Cumulative, total)
	}
	return c, end
}

func TestCurveProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, length := curves(t)
		total := c.Expected(length)
		if start := c.Expected(0); math.Abs(start) > 1e-12*total {
			t.Fatalf("Expected(0) = %v", start)
		}

		// Inverse undoes Expected to a nanosecond of the highest rate and the
		// rounding of the figures, and doesn't decrease beyond that.
		var last time.Duration
		n := total * rapid.Float64Range(0, 0.999999).Draw(t, "n")
		for _, n := range []float64{0, n, n + total*1e-12, n + total*1e-7} {
			at := c.Inverse(n)
			// Where next to nothing is expected in a nanosecond, rounding decides.
			if at < last && c.Rate(at)*1e-9 > 1e-14*total || at < 0 || at > length {
				t.Fatalf("Inverse(%v) = %v after %v of %v", n, at, last, length)
			}
			last = at
			if e := c.Expected(at); math.Abs(e-n) > 1.01e-9*c.Peak()+1e-13*total {
				t.Fatalf("Expected(Inverse(%v)) = %v, off by %v", n, e, e-n)
			}
		}

		// Rate is the derivative of Expected, and nowhere above the peak.
		at := time.Duration(rapid.Float64Range(0, 1).Draw(t, "at") * float64(length))
		if r := c.Rate(at); r < 0 || r > c.Peak()*(1+1e-12) {
			t.Fatalf("Rate(%v) = %v, the peak is %v", at, r, c.Peak())
		}
		points := c.Points()
		if points[0].At != 0 || points[len(points)-1].At != length {
			t.Fatalf("points from %v to %v of %v", points[0].At, points[len(points)-1].At, length)
		}
		var area, highest float64
		for i, p := range points {
			highest = max(highest, p.Rate)
			if i == 0 {
				continue
			}
			q := points[i-1]
			if p.At < q.At {
				t.Fatalf("point at %v after %v", p.At, q.At)
			}
			area += (p.At - q.At).Seconds() * (p.Rate + q.Rate) / 2
		}
		if math.Abs(area-total) > 2e-3*total {
			t.Fatalf("straight lines cover %v of %v", area, total)
		}
		if math.Abs(highest-c.Peak()) > 1e-3*c.Peak() {
			t.Fatalf("the highest point is %v, the peak %v", highest, c.Peak())
		}
	})
}

// The straight lines that a record keeps of a curve have as many arrivals as it.
func TestPolylineFollowsItsCurve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, length := curves(t)
		p := Polyline{c.Points()}
		total := c.Expected(length)
		for i := range time.Duration(20) {
			if at := length / 20 * i; math.Abs(p.Expected(at)-c.Expected(at)) > 2e-3*total {
				t.Fatalf("at %v %v are expected, of the curve %v", at, p.Expected(at), c.Expected(at))
			}
		}
	})
}

func TestTriangleIsItsClosedForm(t *testing.T) {
	c := Triangle{150_000, 30 * time.Second, time.Minute}
	for _, x := range []struct {
		at             time.Duration
		rate, expected float64
	}{
		{0, 0, 0},
		{15 * time.Second, 2500, 18_750},
		{30 * time.Second, 5000, 75_000},
		{45 * time.Second, 2500, 131_250},
		{time.Minute, 0, 150_000},
	} {
		if r, e := c.Rate(x.at), c.Expected(x.at); r != x.rate || e != x.expected {
			t.Errorf("at %v: rate %v and %v expected, want %v and %v", x.at, r, e, x.rate, x.expected)
		}
		if at := c.Inverse(x.expected); at != x.at {
			t.Errorf("%v are expected at %v, want %v", x.expected, at, x.at)
		}
		// A numeric inverse finds the same.
		if x.at == c.Base {
			continue // where the rate is 0, rounding hides the last instants
		}
		if at := invert(c.Base, x.expected, func(at time.Duration) (float64, float64) { return c.Expected(at), c.Rate(at) }); at != x.at {
			t.Errorf("by search, %v are expected at %v, want %v", x.expected, at, x.at)
		}
	}
}

func TestGammaIsItsClosedForm(t *testing.T) {
	c := Gamma{1000, 10 * time.Second, time.Hour} // with nothing left at the end
	if r := c.Rate(10 * time.Second); math.Abs(r-100/math.E) > 1e-9 || r != c.Peak() {
		t.Errorf("the peak is %v/s, want 100/e", r)
	}
	// Until the peak 1 - 2/e of all come; the median of t·e^-t is at 1.6783469900.
	if e := c.Expected(10 * time.Second); math.Abs(e-1000*(1-2/math.E)) > 1e-9 {
		t.Errorf("%v until the peak", e)
	}
	if at := c.Inverse(500); math.Abs(at.Seconds()-16.783469900) > 2e-9 {
		t.Errorf("half is there at %v", at)
	}
}

func TestSineIsItsClosedForm(t *testing.T) {
	c := Sine{100, 60, 20 * time.Second, time.Hour}
	for at, want := range map[time.Duration]float64{
		5 * time.Second:  500 + 600/math.Pi,
		10 * time.Second: 1000 + 1200/math.Pi,
		20 * time.Second: 2000,
		time.Hour:        360_000,
	} {
		if e := c.Expected(at); math.Abs(e-want) > 1e-9 {
			t.Errorf("%v expected at %v, want %v", e, at, want)
		}
		if got := c.Inverse(want); (got - at).Abs() > 1 {
			t.Errorf("%v are expected at %v, want %v", want, got, at)
		}
	}
}

func FuzzCounts(f *testing.F) {
	for _, src := range []string{
		"seconds,count\n0,10\n60,20\n", "time,count\n2026-11-21T21:00:00Z,1\n2026-11-21T21:00:00.5Z,2.5\n",
		"seconds,count\n-1e11,1\n0,1\n", "seconds,count\n0,1\n0.0000001,1\n", "\ufeffseconds,count\r\n\"0\",1\r\n1,0\r\n", "seconds,count\n", "", "a\n",
	} {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, faults := parseCounts("counts.csv", src)
		if faults != nil {
			for _, fault := range faults {
				if fault.Line < 1 || fault.Column < 1 || fault.Problem == "" {
					t.Errorf("fault %+v", fault)
				}
			}
			return
		}
		if len(c.Ends) < 2 || len(c.Ends) != len(c.Cumulative) {
			t.Fatalf("%+v", c)
		}
		var end time.Duration
		var total float64
		for i := range c.Ends {
			if c.Ends[i] <= end || c.Cumulative[i] < total {
				t.Fatalf("interval %d of %+v", i, c)
			}
			end, total = c.Ends[i], c.Cumulative[i]
		}
	})
}

// A line that falls to nothing ends at nothing, and not below it.
func TestPolylineEndsAtItsCorners(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rates := rapid.Float64Range(0, 1e6)
		p := Polyline{[]RatePoint{{0, rates.Draw(t, "from")}, {time.Second, rates.Draw(t, "to")}}}
		at := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "at"))
		low, high := min(p.Corners[0].Rate, p.Corners[1].Rate), max(p.Corners[0].Rate, p.Corners[1].Rate)
		if r := p.Rate(at); r < low*(1-1e-15) || r > high*(1+1e-15) {
			t.Fatalf("Rate(%v) = %v, from %v to %v", at, r, low, high)
		}
		if r := p.Rate(time.Second); r != p.Corners[1].Rate {
			t.Fatalf("ends at %v instead of %v", r, p.Corners[1].Rate)
		}
	})
}
