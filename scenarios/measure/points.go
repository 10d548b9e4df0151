package measure

import (
	"encoding/json"
	"iter"
	"math"
	"slices"
	"time"
	"unique"
)

// Points are the values of a series. Of a long one they take few bytes each, as
// long as they are added in the order of their time. They keep instants to the
// nanosecond, in UTC, and values exactly. The zero value has none. A copy shares
// its points, so only one of the two may be added to.
type Points struct {
	packed []pointBlock
	last   []Point // fewer than blockPoints, after those packed
}

// blockPoints is how many points are packed together: of each second, their
// distances take a byte.
const blockPoints = 240

// pointBlock is blockPoints points. Series that are written together have the
// same instants, which are kept once.
type pointBlock struct {
	at     unique.Handle[string] // a column of Unix seconds and one of nanoseconds
	whole  bool                  // values are whole numbers, and not the bits of others
	values []byte
}

// PointsOf returns the given points.
func PointsOf(points ...Point) (p Points) {
	for len(points) >= blockPoints {
		p.packed = append(p.packed, packPoints(points[:blockPoints]))
		points = points[blockPoints:]
	}
	p.last = slices.Clip(points)
	return p
}

// Add adds a point.
func (p *Points) Add(point Point) {
	p.last = append(p.last, point)
	if len(p.last) == blockPoints {
		p.packed = append(p.packed, packPoints(p.last))
		p.last = p.last[:0]
	}
}

func packPoints(points []Point) pointBlock {
	n := len(points)
	at := appendColumn(nil, n, func(i int) int64 { return points[i].At.Unix() })
	at = appendColumn(at, n, func(i int) int64 { return int64(points[i].At.Nanosecond()) })
	b := pointBlock{at: unique.Make(string(endColumns(at))), whole: true}
	value := func(i int) int64 { return int64(points[i].Value) }
	for _, p := range points {
		const exact = 1 << 53
		v := p.Value
		b.whole = b.whole && v == math.Trunc(v) && math.Abs(v) < exact && (v != 0 || !math.Signbit(v))
	}
	if !b.whole {
		value = func(i int) int64 { return int64(math.Float64bits(points[i].Value)) }
	}
	b.values = endColumns(appendColumn(nil, n, value))
	return b
}

// Len returns the number of points.
func (p Points) Len() int { return len(p.packed)*blockPoints + len(p.last) }

// All yields the points in the order in which they were added.
func (p Points) All() iter.Seq[Point] {
	return func(yield func(Point) bool) {
		for _, b := range p.packed {
			seconds, rest := readColumn([]byte(b.at.Value()), blockPoints)
			nanoseconds, _ := readColumn(rest, blockPoints)
			values, _ := readColumn(b.values, blockPoints)
			for i := range blockPoints {
				v := float64(values.at(i))
				if !b.whole {
					v = math.Float64frombits(uint64(values.at(i)))
				}
				if !yield(Point{At: time.Unix(seconds.at(i), nanoseconds.at(i)).UTC(), Value: v}) {
					return
				}
			}
		}
		for _, point := range p.last {
			if !yield(point) {
				return
			}
		}
	}
}

// Slice returns the points unpacked.
func (p Points) Slice() []Point {
	if p.packed == nil {
		return slices.Clone(p.last)
	}
	return slices.AppendSeq(make([]Point, 0, p.Len()), p.All())
}

// Edit replaces the points by what change makes of them, unpacked.
func (p *Points) Edit(change func([]Point) []Point) { *p = PointsOf(change(p.Slice())...) }

// SortByTime orders the points by their time; those of equal times stay as they are.
func (p *Points) SortByTime() {
	var last Point
	sorted := true
	for point := range p.All() {
		sorted = sorted && !point.At.Before(last.At)
		last = point
	}
	if !sorted {
		p.Edit(func(points []Point) []Point {
			slices.SortStableFunc(points, func(a, b Point) int { return a.At.Compare(b.At) })
			return points
		})
	}
}

// Equal reports whether p and o have equal points.
func (p Points) Equal(o Points) bool {
	return slices.EqualFunc(p.Slice(), o.Slice(), func(a, b Point) bool { return a.At.Equal(b.At) && a.Value == b.Value })
}

// MarshalJSON writes an array of points.
func (p Points) MarshalJSON() ([]byte, error) { return json.Marshal(p.Slice()) }

// UnmarshalJSON reads an array of points.
func (p *Points) UnmarshalJSON(b []byte) error {
	var points []Point
	if err := json.Unmarshal(b, &points); err != nil {
		return err
	}
	*p = PointsOf(points...)
	return nil
}
