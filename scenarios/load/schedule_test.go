package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/headroom-load/headroom/scenarios"
)

func hold(rate float64, d time.Duration) scenarios.Stage {
	return scenarios.Stage{From: rate, To: rate, For: d, Measure: true}
}

func ramp(from, to float64, d time.Duration) scenarios.Stage {
	return scenarios.Stage{Ramp: true, From: from, To: to, For: d, Measure: true}
}

func uniform(stages ...scenarios.Stage) scenarios.Load {
	return scenarios.Load{
		Name: "viewers", Arrivals: scenarios.Uniform, Seed: 1, Profile: stages,
		Operations: []scenarios.Operation{{Name: "get", Weight: 1}}, Lateness: 100 * time.Millisecond,
	}
}

func random(seed uint64, stages ...scenarios.Stage) scenarios.Load {
	l := uniform(stages...)
	l.Arrivals, l.Seed = scenarios.Poisson, seed
	return l
}

func all(s *Schedule) []Arrival { return slices.Collect(s.Arrivals(0, 1)) }

func TestUniformArrivals(t *testing.T) {
	l := uniform(hold(2, time.Second), hold(0, time.Second), ramp(0, 4, 2*time.Second))
	l.Start = 10 * time.Second
	l.Profile[0].Measure = false
	var got []string
	for _, a := range all(NewSchedule(l)) {
		got = append(got, fmt.Sprintf("%d %v stage %d %v", a.N, a.Intended, a.Stage, a.Measured))
	}
	// A ramp from 0 by 2/s each second has sent x² after x seconds.
	want := []string{
		"0 10.25s stage 0 false",
		"1 10.75s stage 0 false",
		"2 12.707106781s stage 2 true", // sqrt(1/2)
		"3 13.224744871s stage 2 true", // sqrt(3/2)
		"4 13.58113883s stage 2 true",  // sqrt(5/2)
		"5 13.870828693s stage 2 true", // sqrt(7/2)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPoissonArrivalsStay pins the first arrivals of a seed: a record's seed
// must give the same run with every later version.
func TestPoissonArrivalsStay(t *testing.T) {
	s := NewSchedule(random(7, hold(100, 30*time.Second)))
	got := []any{s.Len(), all(s)[0].Intended, all(s)[1].Intended, all(s)[2500].Intended}
	want := []any{int64(3064), 2360779 * time.Nanosecond, 10689352 * time.Nanosecond, 24350333340 * time.Nanosecond}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// profiles draws a load of a few stages.
func profiles(t *rapid.T) scenarios.Load {
	l := random(rapid.Uint64().Draw(t, "seed"))
	if rapid.Bool().Draw(t, "uniform") {
		l.Arrivals = scenarios.Uniform
	}
	l.Start = rapid.SampledFrom([]time.Duration{0, time.Minute, 1234567891}).Draw(t, "start")
	l.Operations = append(l.Operations, scenarios.Operation{Name: "list", Weight: rapid.Float64Range(0.01, 9).Draw(t, "weight")})
	var rate float64
	for range rapid.IntRange(1, 4).Draw(t, "stages") {
		to := rapid.SampledFrom([]float64{0, 0.3, 10, 333, 2500}).Draw(t, "rate")
		st := scenarios.Stage{
			From: to, To: to, For: rapid.SampledFrom([]time.Duration{1, 37 * time.Millisecond, time.Second, 2500 * time.Millisecond, 4*time.Second + 13}).Draw(t, "for"),
			Measure: rapid.Bool().Draw(t, "measure"),
		}
		switch length := st.For; rapid.IntRange(0, 7).Draw(t, "shape") {
		case 0, 1, 2:
			st.Ramp, st.From = true, rate
		case 3:
			st.Curve = scenarios.Triangle{Visitors: 1 + to, Top: length / 3, Base: length}
		case 4:
			st.Curve = scenarios.Gamma{Visitors: 1 + to, Top: length/8 + 1, Base: length}
		case 5:
			st.Curve = scenarios.Sine{Mean: to, Amplitude: to, Period: length/3 + 1, Length: length}
		case 6:
			st.Curve = scenarios.Counts{Ends: []time.Duration{length, 2 * length, 3 * length}, Cumulative: []float64{3, 3, 3 + math.Ceil(to)}}
			st.For *= 3
		}
		if st.Curve != nil {
			st.From, st.To = st.Curve.Rate(0), st.Curve.Rate(st.For)
		}
		rate = min(st.To, 2500)
		l.Profile = append(l.Profile, st)
	}
	return l
}

func TestScheduleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := profiles(t)
		s := NewSchedule(l)
		arrivals := all(s)
		if int64(len(arrivals)) != s.Len() {
			t.Fatalf("%d arrivals, Len is %d", len(arrivals), s.Len())
		}
		if l.Arrivals == scenarios.Uniform && math.Abs(float64(s.Len())-s.total) > 0.5+1e-6 {
			t.Fatalf("%d uniform arrivals of %v expected", s.Len(), s.total)
		}

		// Each arrival lies in its stage, in order, where Expected says.
		var ends []time.Duration
		at := l.Start
		for _, st := range l.Profile {
			at += st.For
			ends = append(ends, at)
		}
		last := l.Start
		for n, a := range arrivals {
			begin := ends[a.Stage] - l.Profile[a.Stage].For
			switch {
			case a.N != int64(n):
				t.Fatalf("arrival %d has the number %d", n, a.N)
			case a.Intended < last:
				t.Fatalf("arrival %d at %v comes before its predecessor at %v", n, a.Intended, last)
			case a.Intended < begin || a.Intended >= ends[a.Stage]:
				t.Fatalf("arrival %d at %v is outside of its stage, %v to %v", n, a.Intended, begin, ends[a.Stage])
			case a.Measured != l.Profile[a.Stage].Measure:
				t.Fatalf("arrival %d has measured %v", n, a.Measured)
			}
			if l.Arrivals == scenarios.Uniform {
				// A nanosecond of a rate.
				if e := s.Expected(a.Intended); math.Abs(e-float64(n)-0.5) > 1e-5+1e-9*l.PeakRate() {
					t.Fatalf("Expected(%v) = %v at arrival %d", a.Intended, e, n)
				}
			}
			last = a.Intended
		}

		// Seeking and sharing give the same arrivals.
		if n := len(arrivals); n > 0 {
			from := rapid.IntRange(0, n-1).Draw(t, "from")
			rest := slices.Collect(s.Arrivals(int64(from), 1))
			if !slices.Equal(rest, arrivals[from:]) {
				t.Fatalf("arrivals from %d on differ", from)
			}
			workers := rapid.IntRange(1, 5).Draw(t, "workers")
			var shared []Arrival
			for i := range workers {
				shared = slices.AppendSeq(shared, s.Arrivals(int64(i), int64(workers)))
			}
			slices.SortFunc(shared, func(a, b Arrival) int { return int(a.N - b.N) })
			if !slices.Equal(shared, arrivals) {
				t.Fatalf("%d workers don't own every arrival once", workers)
			}

			type key struct {
				second    time.Duration
				operation int
				measured  bool
			}
			want, got := map[key]int64{}, map[key]int64{}
			for _, a := range rest {
				want[key{a.Intended / time.Second, a.Operation, a.Measured}]++
			}
			next, counts := int64(from), make([]int64, 2)
			for span := range s.spans(int64(from)) {
				if span.first != next || span.end <= span.first {
					t.Fatalf("span %+v after arrival %d", span, next)
				}
				next = span.end
				s.operations(span.first, span.end, counts)
				for op, n := range counts {
					if n > 0 {
						got[key{span.intended / time.Second, op, span.measured}] += n
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("spans from %d (-want +got):\n%s", from, diff)
			}
		}
	})
}

// TestSeekFar seeks past several entries of the index.
func TestSeekFar(t *testing.T) {
	for _, l := range []scenarios.Load{random(5, ramp(0, 60_000, 8*time.Second)), uniform(ramp(0, 60_000, 8*time.Second))} {
		s := NewSchedule(l)
		arrivals := all(s)
		for _, n := range []int64{0, 1, 1023, 1024, 65_535, 65_536, 65_537, 131_072, 200_000, s.Len() - 1} {
			for a := range s.Arrivals(n, 1) {
				if a != arrivals[n] {
					t.Fatalf("%s: seeking %d finds %+v, want %+v", l.Arrivals, n, a, arrivals[n])
				}
				if n++; n%3000 == 0 {
					break
				}
			}
		}
		for range s.Arrivals(s.Len(), 1) {
			t.Errorf("%s: an arrival after the last", l.Arrivals)
		}
	}
}

func TestInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(1e-3, 1e5))
		p := piece{
			begin: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "begin")),
			base:  rapid.Float64Range(0, 1e6).Draw(t, "base"),
			from:  rate.Draw(t, "from"),
		}
		to := rate.Draw(t, "to")
		p.end = p.begin + time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(24*time.Hour)).Draw(t, "for"))
		p.slope = (to - p.from) / (p.end - p.begin).Seconds()
		p.top = p.base + (p.from+to)/2*(p.end-p.begin).Seconds()
		u := p.base + (p.top-p.base)*rapid.Float64Range(0, 0.999999).Draw(t, "share")
		if u >= p.top {
			return
		}
		at := p.inverse(u)
		if at < p.begin || at >= p.end {
			t.Fatalf("inverse(%v) = %v, outside of the stage", u, at)
		}
		// A nanosecond of the highest rate, and the rounding of the sums.
		tolerance := max(p.from, to)*1e-9 + p.top*1e-14
		if e := p.expected(at); math.Abs(e-u) > tolerance {
			t.Fatalf("Expected(inverse(%v)) = %v, off by %v of %v", u, e, e-u, tolerance)
		}
	})
}

// TestReplayIsExact: every interval gets the arrivals that were counted in it.
func TestReplayIsExact(t *testing.T) {
	counts := scenarios.Counts{}
	var end time.Duration
	var total float64
	for i := range 3600 {
		end += time.Duration(1+i%3) * 500 * time.Millisecond
		total += float64(i * 7919 % 1013)
		counts.Ends, counts.Cumulative = append(counts.Ends, end), append(counts.Cumulative, total)
	}
	l := uniform(scenarios.Stage{Name: "replay", For: end, Measure: true, Curve: counts})
	l.Arrivals, l.Start = scenarios.Replay, time.Second
	s := NewSchedule(l)
	if s.Len() != int64(total) {
		t.Fatalf("%d arrivals of %v", s.Len(), total)
	}
	got := make([]int, len(counts.Ends))
	i := 0
	for a := range s.Arrivals(0, 1) {
		for a.Intended-l.Start >= counts.Ends[i] {
			i++
		}
		got[i]++
	}
	for i, n := range got {
		if n != i*7919%1013 {
			t.Errorf("%d arrivals in interval %d, counted %d", n, i, i*7919%1013)
		}
	}
}

// TestSpikeArrives: of 150,000 visitors in a triangle of 60 s, 5,000/s come at
// the peak.
func TestSpikeArrives(t *testing.T) {
	l := random(1, scenarios.Stage{For: time.Minute, Measure: true, Curve: scenarios.Triangle{Visitors: 150_000, Top: 30 * time.Second, Base: time.Minute}})
	var counts [60]float64
	for a := range NewSchedule(l).Arrivals(0, 1) {
		counts[a.Intended/time.Second]++
	}
	for i, n := range counts {
		want := 5000 * (1 - math.Abs(float64(i)+0.5-30)/30)
		if math.Abs(n-want) > 4.5*math.Sqrt(want) {
			t.Errorf("second %d: %v arrivals, want %v", i, n, want)
		}
	}
}

func TestExpected(t *testing.T) {
	l := uniform(hold(10, 2*time.Second), ramp(10, 30, 2*time.Second), hold(0, time.Second))
	l.Start = time.Second
	s := NewSchedule(l)
	for _, c := range []struct {
		at   time.Duration
		want float64
	}{
		{-time.Second, 0},
		{0, 0},
		{time.Second, 0},
		{2 * time.Second, 10},
		{3 * time.Second, 20},
		{4 * time.Second, 35},
		{5 * time.Second, 60},
		{5500 * time.Millisecond, 60},
		{time.Hour, 60},
	} {
		if got := s.Expected(c.at); got != c.want {
			t.Errorf("Expected(%v) = %v, want %v", c.at, got, c.want)
		}
	}
}

// TestPoissonGaps tests the gaps on the scale of Expected against the
// exponential distribution (Kolmogorov-Smirnov, 1 %), on a hold and on a ramp.
func TestPoissonGaps(t *testing.T) {
	for name, stages := range map[string][]scenarios.Stage{
		"hold": {hold(200, 100*time.Second)},
		"ramp": {ramp(0, 400, 50*time.Second), ramp(400, 0, 50*time.Second)},
		"sine": {{For: 100 * time.Second, Curve: scenarios.Sine{Mean: 200, Amplitude: 150, Period: 13 * time.Second, Length: 100 * time.Second}}},
	} {
		for seed := range uint64(5) {
			s := NewSchedule(random(seed, stages...))
			var gaps []float64
			last := 0.0
			for a := range s.Arrivals(0, 1) {
				u := s.Expected(a.Intended)
				gaps = append(gaps, u-last)
				last = u
			}
			slices.Sort(gaps)
			n := float64(len(gaps))
			var d float64
			for i, g := range gaps {
				f := 1 - math.Exp(-g)
				d = max(d, f-float64(i)/n, float64(i+1)/n-f)
			}
			if critical := 1.628 / math.Sqrt(n); d > critical {
				t.Errorf("%s, seed %d: distance %.4f of %d gaps, critical %.4f", name, seed, d, len(gaps), critical)
			}
		}
	}
}

// TestDispersion compares variance and mean of the counts per second: 1 for
// Poisson arrivals within 3 standard errors, near 0 for uniform ones.
func TestDispersion(t *testing.T) {
	const seconds = 2000
	dispersion := func(l scenarios.Load) float64 {
		var counts [seconds]float64
		for a := range NewSchedule(l).Arrivals(0, 1) {
			counts[a.Intended/time.Second]++
		}
		var sum, squares float64
		for _, c := range counts {
			sum += c
			squares += c * c
		}
		mean := sum / seconds
		return (squares - sum*mean) / (seconds - 1) / mean
	}
	for seed := range uint64(5) {
		if d, tolerance := dispersion(random(seed, hold(100, seconds*time.Second))), 3*math.Sqrt(2./(seconds-1)); math.Abs(d-1) > tolerance {
			t.Errorf("seed %d: dispersion %.3f, want 1 within %.3f", seed, d, tolerance)
		}
	}
	if d := dispersion(uniform(hold(99.5, seconds*time.Second))); d > 0.01 {
		t.Errorf("uniform: dispersion %.3f, want 0", d)
	}
}

// TestPoissonCounts compares the counts of blocks with the distribution's mass
// function (chi-squared, 1 % by the Wilson-Hilferty approximation).
func TestPoissonCounts(t *testing.T) {
	const draws, width, bins = 50_000, 8, 30
	bin := func(k int64) int { return int(min(max((k-block)/width+bins/2, 0), bins-1)) }
	var expected [bins]float64
	for k := int64(1); k < 3*block; k++ {
		lgamma, _ := math.Lgamma(float64(k) + 1)
		expected[bin(k)] += draws * math.Exp(float64(k)*math.Log(block)-block-lgamma)
	}
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 2))
		var got [bins]float64
		for range draws {
			got[bin(poisson(r, block))]++
		}
		var chi2 float64
		for i := range got {
			chi2 += (got[i] - expected[i]) * (got[i] - expected[i]) / expected[i]
		}
		const free = bins - 1.0
		if critical := free * math.Pow(1-2/(9*free)+2.326*math.Sqrt(2/(9*free)), 3); chi2 > critical {
			t.Errorf("seed %d: chi-squared %.1f, critical %.1f", seed, chi2, critical)
		}
	}
}

func TestMixFollowsWeights(t *testing.T) {
	l := random(3, hold(1000, 50*time.Second))
	l.Operations = []scenarios.Operation{{Weight: 1}, {Weight: 7}, {Weight: 2}}
	var counts [3]float64
	var n float64
	for a := range NewSchedule(l).Arrivals(0, 1) {
		counts[a.Operation]++
		n++
	}
	for i, share := range []float64{0.1, 0.7, 0.2} {
		if got := counts[i] / n; math.Abs(got-share) > 4*math.Sqrt(share*(1-share)/n) {
			t.Errorf("operation %d: share %.4f, want %v", i, got, share)
		}
	}
}

func TestStreamsDiffer(t *testing.T) {
	seen := map[uint64]string{}
	for seed := range uint64(3) {
		for _, name := range []string{"", "a", "b", "aarrivals", "viewers"} {
			for _, purpose := range []string{"arrivals", "mix", "data", "aarrivals"} {
				id := fmt.Sprintf("%d/%s/%s", seed, name, purpose)
				s := NewStream(seed, name, purpose)
				for i := range uint64(200) {
					if other, ok := seen[s.At(i)]; ok {
						t.Fatalf("%s and %s share a number", id, other)
					}
					seen[s.At(i)] = id
				}
			}
		}
	}
}

func TestLoadsDiffer(t *testing.T) {
	a := random(1, hold(1000, 10*time.Second))
	b := a
	b.Name = "others"
	taken := map[time.Duration]bool{}
	for x := range NewSchedule(a).Arrivals(0, 1) {
		taken[x.Intended] = true
	}
	var shared int
	for x := range NewSchedule(b).Arrivals(0, 1) {
		if taken[x.Intended] {
			shared++
		}
	}
	if shared > 2 {
		t.Errorf("two loads share %d instants", shared)
	}
}

// TestLongerPlanBeginsTheSame: what is added to a plan doesn't move what it has.
func TestLongerPlanBeginsTheSame(t *testing.T) {
	short := all(NewSchedule(random(1, hold(500, 7*time.Second))))
	long := all(NewSchedule(random(1, hold(500, 7*time.Second), hold(3, 7*time.Second))))
	if len(long) < len(short) || !slices.Equal(short, long[:len(short)]) {
		t.Error("the first stage differs")
	}
}

func TestEmptySchedule(t *testing.T) {
	for _, l := range []scenarios.Load{uniform(hold(0, time.Second)), random(1, hold(0, time.Second)), random(1)} {
		s := NewSchedule(l)
		if s.Len() != 0 || len(all(s)) != 0 || s.Expected(time.Hour) != 0 {
			t.Errorf("%v: %d arrivals", l.Profile, s.Len())
		}
		for span := range s.spans(0) {
			t.Errorf("span %+v", span)
		}
	}
}

func TestInFlightLimits(t *testing.T) {
	type load struct {
		rate     float64
		inFlight int
	}
	for _, c := range []struct {
		loads []load
		files int
		want  []int
	}{
		{[]load{{1, 0}}, 0, []int{64}},
		{[]load{{200, 0}}, 0, []int{1000}},
		{[]load{{200.1, 0}}, 0, []int{1001}},
		{[]load{{50_000, 0}}, 0, []int{20_000}},
		{[]load{{200, 0}}, 1024, []int{512}},
		{[]load{{1, 0}}, 100, []int{50}},
		{[]load{{1, 0}}, 1, []int{1}},
		{[]load{{200, 10}}, 1024, []int{10}},
		{[]load{{200, 3000}}, 1024, []int{3000}},
		{[]load{{200, 0}, {200, 0}}, 1024, []int{256, 256}},
		{[]load{{200, 0}, {600, 0}}, 2000, []int{274, 725}},
		{[]load{{200, 0}, {600, 0}}, 1 << 20, []int{1000, 3000}},
		{[]load{{1, 0}, {5000, 0}}, 1024, []int{64, 448}},
		{[]load{{1, 0}, {1, 0}, {5000, 0}}, 100, []int{16, 16, 17}},
		{[]load{{200, 0}, {200, 412}, {200, 0}}, 1024, []int{50, 412, 50}},
		{[]load{{200, 0}, {200, 3000}}, 1024, []int{1, 3000}},
	} {
		var loads []scenarios.Load
		for _, x := range c.loads {
			l := uniform(hold(x.rate, time.Second))
			l.InFlight = x.inFlight
			loads = append(loads, l)
		}
		if got := InFlightLimits(loads, c.files); !slices.Equal(got, c.want) {
			t.Errorf("%v (rate, in_flight) with %d files: %d, want %d", c.loads, c.files, got, c.want)
		}
	}
}

func BenchmarkArrivals(b *testing.B) {
	gamma := scenarios.Stage{For: time.Hour, Curve: scenarios.Gamma{Visitors: 1e8, Top: 10 * time.Minute, Base: time.Hour}}
	for _, l := range []scenarios.Load{uniform(hold(5000, 240*time.Hour)), random(1, hold(5000, 24*time.Hour)), random(1, ramp(0, 10_000, 24*time.Hour)), random(1, gamma)} {
		b.Run(fmt.Sprintf("%s/ramp=%v/curve=%T", l.Arrivals, l.Profile[0].Ramp, l.Profile[0].Curve), func(b *testing.B) {
			s := NewSchedule(l)
			b.ReportAllocs()
			n := 0
			for range s.Arrivals(0, 1) {
				if n++; n >= b.N {
					break
				}
			}
		})
	}
}

// BenchmarkDay measures what a plan of 24 h at 5,000/s takes to count and, when
// it is stopped at once, to record as not due.
func BenchmarkDay(b *testing.B) {
	l := random(1, hold(5000, 24*time.Hour))
	l.Operations = append(l.Operations, scenarios.Operation{Name: "list", Weight: 1})
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			NewSchedule(l)
		}
	})
	b.Run("not due", func(b *testing.B) {
		counts := make([]int64, 2)
		s := NewSchedule(l)
		for b.Loop() {
			for span := range s.spans(0) {
				s.operations(span.first, span.end, counts)
			}
		}
	})
}
