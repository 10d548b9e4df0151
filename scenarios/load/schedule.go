package load

import (
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"github.com/headroom-load/headroom/scenarios"
)

// block is the length of a stretch of the schedule that is drawn at once, in
// units of Expected.
const block = 1024

// indexEvery is how many blocks lie between two entries of a schedule's index.
const indexEvery = 64

// Schedule is when each arrival of a load is due.
//
// Expected is the integral of the profile's rate. Arrival n lies where Expected
// reaches u(n): n + 1/2 for uniform arrivals; for Poisson arrivals, point n of a
// Poisson process of rate one. Replayed counts are uniform: each interval gets
// exactly its own. The Poisson process is drawn in blocks of 1,024 units,
// a Poisson-distributed number of points placed by sorted uniforms, each block
// from a generator of its own, keyed by seed, load and block. So any part of a
// schedule can be had without what comes before it, and Expected turns the one
// process into any profile.
//
// A Schedule doesn't change and may be used by several goroutines.
type Schedule struct {
	start   time.Duration
	pieces  []piece
	total   float64  // Expected at the end
	cuts    []uint64 // the operations' cumulative shares but for the last, of 2^64
	mix     Stream
	poisson bool
	draws   Stream
	len     int64
	index   []int64 // of Poisson arrivals, the number of the first one of every indexEvery-th block
}

// piece is one stage of a profile. Times are from the load's start.
type piece struct {
	begin, end time.Duration
	base, top  float64         // Expected at begin and end
	from       float64         // rate per second at begin
	slope      float64         // of the rate, per second and second, where that is a straight line
	curve      scenarios.Curve // of the rate, where it is no straight line
	measured   bool
}

// NewSchedule returns the schedule of l. It takes about 0.1 s for each thousand
// million arrivals.
func NewSchedule(l scenarios.Load) *Schedule {
	s := &Schedule{
		start:   l.Start,
		mix:     NewStream(l.Seed, l.Name, forMix),
		poisson: l.Arrivals != scenarios.Uniform && l.Arrivals != scenarios.Replay,
		draws:   NewStream(l.Seed, l.Name, forArrivals),
	}
	var at time.Duration
	for _, st := range l.Profile {
		p := piece{begin: at, end: at + st.For, base: s.total, top: s.total + st.Arrivals(), from: st.From, slope: (st.To - st.From) / st.For.Seconds(), curve: st.Curve, measured: st.Measure}
		s.pieces = append(s.pieces, p)
		at, s.total = p.end, p.top
	}
	var weights, sum float64
	for _, op := range l.Operations {
		weights += op.Weight
	}
	for _, op := range l.Operations[:max(len(l.Operations)-1, 0)] {
		sum += op.Weight
		s.cuts = append(s.cuts, uint64(min(math.Ldexp(sum/weights, 64), math.MaxUint64-1<<12)))
	}
	if s.poisson {
		s.count()
	} else {
		s.len = int64(math.Ceil(s.total - 0.5))
	}
	return s
}

// count draws the number of points of every block.
func (s *Schedule) count() {
	last := int64(s.total / block)
	var pcg rand.PCG
	for b := range last {
		if b%indexEvery == 0 {
			s.index = append(s.index, s.len)
		}
		s.draws.seed(&pcg, uint64(b))
		s.len += poisson(rand.New(&pcg), block)
	}
	if last%indexEvery == 0 {
		s.index = append(s.index, s.len)
	}
	s.len += int64(len(s.points(last, nil)))
}

// Len returns the number of arrivals.
func (s *Schedule) Len() int64 { return s.len }

// Expected returns the number of arrivals that the profile expects from the
// run's start until t.
func (s *Schedule) Expected(t time.Duration) float64 {
	t -= s.start
	i := sort.Search(len(s.pieces), func(i int) bool { return t < s.pieces[i].end })
	if i == len(s.pieces) {
		return s.total
	}
	return s.pieces[i].expected(t)
}

// Measured reports whether t lies in a stage that is measured.
func (s *Schedule) Measured(t time.Duration) bool {
	t -= s.start
	i := sort.Search(len(s.pieces), func(i int) bool { return t < s.pieces[i].end })
	return i < len(s.pieces) && s.pieces[i].measured
}

// expected returns Expected at t, which lies before p's end.
func (p *piece) expected(t time.Duration) float64 {
	if t <= p.begin {
		return p.base
	}
	if p.curve != nil {
		return min(p.base+p.curve.Expected(t-p.begin), p.top)
	}
	x := (t - p.begin).Seconds()
	return min(p.base+x*(p.from+p.slope*x/2), p.top)
}

// inverse returns the instant at which Expected reaches u, which lies within
// [p.base, p.top). For a linear rate that is the smaller root of a quadratic, in
// the form that loses no digits where the slope or the rate is near zero.
func (p *piece) inverse(u float64) time.Duration {
	v := u - p.base
	if v <= 0 {
		return p.begin
	}
	if p.curve != nil {
		return min(p.begin+p.curve.Inverse(v), p.end-1)
	}
	x := v / p.from
	if p.slope != 0 {
		x = 2 * v / (p.from + math.Sqrt(max(p.from*p.from+2*p.slope*v, 0)))
	}
	return min(p.begin+time.Duration(x*1e9+0.5), p.end-1)
}

// operation returns the operation of arrival n.
func (s *Schedule) operation(n int64) int {
	if len(s.cuts) == 0 {
		return 0
	}
	x := s.mix.At(uint64(n))
	for i, cut := range s.cuts {
		if x < cut {
			return i
		}
	}
	return len(s.cuts)
}

// operations sets counts to the number of arrivals of each operation among
// those from first to end-1.
func (s *Schedule) operations(first, end int64, counts []int64) {
	clear(counts)
	counts[len(s.cuts)] = end - first
	if len(s.cuts) == 0 {
		return
	}
	// Counts at first are of the operations up to each.
	for n := first; n < end; n++ {
		x := s.mix.At(uint64(n))
		for i, cut := range s.cuts {
			var below int64
			if x < cut {
				below = 1
			}
			counts[i] += below
		}
	}
	for i := len(s.cuts); i > 0; i-- {
		counts[i] -= counts[i-1]
	}
}

// Arrivals yields the arrivals first, first+step, first+2*step and so on, in
// turn: worker i of w has the arrivals of Arrivals(i, w), and Arrivals(n, 1)
// goes on from n. The instants don't decrease.
func (s *Schedule) Arrivals(first, step int64) iter.Seq[Arrival] {
	return func(yield func(Arrival) bool) {
		c := s.cursor(first, step)
		for c.Next() && yield(c.Arrival) {
		}
	}
}

// Cursor takes arrivals one by one.
type Cursor struct {
	Arrival    // that Next came to
	schedule   *Schedule
	next, step int64
	block      int64     // the one after that in hand
	n          int64     // number of the first arrival of the block in hand
	points     []float64 // its own
}

// Cursor returns what takes all arrivals in turn, as Arrivals yields them.
func (s *Schedule) Cursor() *Cursor { return s.cursor(0, 1) }

func (s *Schedule) cursor(first, step int64) *Cursor {
	c := &Cursor{schedule: s, next: first, step: step}
	c.block, c.n = s.find(first)
	return c
}

// Next goes to the next arrival, and reports false where there is none.
func (c *Cursor) Next() bool {
	s := c.schedule
	if c.next >= s.len {
		return false
	}
	for c.next-c.n >= int64(len(c.points)) {
		c.n += int64(len(c.points))
		c.points = s.points(c.block, c.points)
		c.block++
	}
	u := c.points[c.next-c.n]
	for u >= s.pieces[c.Stage].top {
		c.Stage++
	}
	p := &s.pieces[c.Stage]
	c.N, c.Intended, c.Operation, c.Measured = c.next, s.start+p.inverse(u), s.operation(c.next), p.measured
	c.next += c.step
	return true
}

// span is a run of arrivals that share a second and a stage.
type span struct {
	first, end int64         // arrivals first to end-1
	intended   time.Duration // of one of them
	measured   bool
}

// spans yields the arrivals from first on, gathered by second and stage. It
// draws only blocks that lie in more than one, so that a day's plan is counted
// at once.
func (s *Schedule) spans(first int64) iter.Seq[span] {
	return func(yield func(span) bool) {
		b, n := s.find(first)
		var now span
		var stageNow int
		var points []float64
		place := func(u float64) (stage int, at time.Duration) {
			stage = sort.Search(len(s.pieces), func(i int) bool { return u < s.pieces[i].top })
			return stage, s.start + s.pieces[stage].inverse(u)
		}
		// add takes the arrivals up to end into the span of stage and at.
		add := func(end int64, stage int, at time.Duration) bool {
			if end <= first {
				return true
			}
			if now.end > now.first && stage == stageNow && at/time.Second == now.intended/time.Second {
				now.end = end
				return true
			}
			if now.end > now.first && !yield(now) {
				return false
			}
			now, stageNow = span{max(now.end, first), end, at, s.pieces[stage].measured}, stage
			return true
		}
		for ; n < s.len; b++ {
			low, high := float64(b)*block, float64(b+1)*block
			if high < s.total {
				i, from := place(low)
				j, to := place(high)
				if i == j && from/time.Second == to/time.Second {
					n += s.size(b)
					if !add(n, i, from) {
						return
					}
					continue
				}
			}
			points = s.points(b, points)
			for done := 0; done < len(points); {
				i, at := place(points[done])
				same := sort.Search(len(points)-done, func(k int) bool {
					j, to := place(points[done+k])
					return j != i || to/time.Second != at/time.Second
				})
				done, n = done+same, n+int64(same)
				if !add(n, i, at) {
					return
				}
			}
		}
		if now.end > now.first {
			yield(now)
		}
	}
}

// find returns the block that holds arrival n and the number of the first
// arrival in it.
func (s *Schedule) find(n int64) (b, first int64) {
	if !s.poisson {
		return n / block, n / block * block
	}
	i := max(sort.Search(len(s.index), func(i int) bool { return s.index[i] > n })-1, 0)
	b, first = int64(i)*indexEvery, s.index[i]
	for last := int64(s.total / block); b < last; b++ {
		size := s.size(b)
		if n < first+size {
			break
		}
		first += size
	}
	return b, first
}

// size returns the number of arrivals in block b, which ends before the
// schedule does.
func (s *Schedule) size(b int64) int64 {
	if !s.poisson {
		return block
	}
	var pcg rand.PCG
	s.draws.seed(&pcg, uint64(b))
	return poisson(rand.New(&pcg), block)
}

// points returns u of the arrivals in block b, in order. It uses the memory of
// buf.
func (s *Schedule) points(b int64, buf []float64) []float64 {
	base := float64(b) * block
	points := buf[:0]
	if s.poisson {
		var pcg rand.PCG
		s.draws.seed(&pcg, uint64(b))
		r := rand.New(&pcg)
		// The sums of n+1 exponential gaps over their total are n sorted
		// uniforms (Devroye, Non-Uniform Random Variate Generation, V.2.2).
		n := poisson(r, block)
		points = slices.Grow(points, int(n))
		var sum float64
		for range n {
			sum += r.ExpFloat64()
			points = append(points, sum)
		}
		sum += r.ExpFloat64()
		for i, x := range points {
			points[i] = base + x/sum*block
		}
	} else {
		for i := range block {
			points = append(points, base+float64(i)+0.5)
		}
	}
	if base+block > s.total {
		points = points[:sort.SearchFloat64s(points, s.total)]
	}
	return points
}

// poisson draws from the Poisson distribution of the given mean, at least 10, by
// transformed rejection: algorithm PTRS of W. Hörmann, The transformed rejection
// method for generating Poisson random variables, Insurance: Mathematics and
// Economics 12 (1993).
func poisson(r *rand.Rand, mean float64) int64 {
	root := math.Sqrt(mean)
	b := 0.931 + 2.53*root
	a := -0.059 + 0.02483*b
	invAlpha := 1.1239 + 1.1328/(b-3.4)
	vr := 0.9277 - 3.6224/(b-2)
	for {
		u := r.Float64() - 0.5
		v := r.Float64()
		us := 0.5 - math.Abs(u)
		k := math.Floor((2*a/us+b)*u + mean + 0.43)
		if us >= 0.07 && v <= vr {
			return int64(k)
		}
		if k < 0 || us < 0.013 && v > us {
			continue
		}
		lgamma, _ := math.Lgamma(k + 1)
		if math.Log(v)+math.Log(invAlpha)-math.Log(a/(us*us)+b) <= k*math.Log(mean)-mean-lgamma {
			return int64(k)
		}
	}
}
