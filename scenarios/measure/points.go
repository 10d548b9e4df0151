package measure

import (
	"encoding/json"
	"iter"
	"math"
	"slices"
	"time"
)

// Points are the values of a series. Of a long one they take few bytes each, as
// long as they are added in the order of their time. They keep instants to the
// nanosecond, in UTC, and values exactly. The zero value has none. A copy shares
// its points, so only one of the two may be added to.
type Points struct {
	shelf  *Shelf
	packed []pointBlock
	last   []Point // fewer than blockPoints, after those packed
}

// blockPoints is how many points are packed together: of each second, their
// distances take a byte.
const blockPoints = 240

// pointBlock is blockPoints points: columns of Unix seconds, nanoseconds and values.
type pointBlock struct {
	kept   int // how values are kept, of valueKinds
	packed shelved
}

// valueKinds are the whole numbers by which values are kept, and back; the first that
// gives all values of a block exactly.
var valueKinds = [...]struct {
	number func(v float64) int64
	value  func(n int64) float64
}{
	{func(v float64) int64 { return int64(v) }, func(n int64) float64 { return float64(n) }},
	{nanoseconds, func(n int64) float64 { return time.Duration(n).Seconds() }},
	{func(v float64) int64 { return int64(math.Float64bits(v)) }, func(n int64) float64 { return math.Float64frombits(uint64(n)) }},
}

// nanoseconds rounds seconds to whole nanoseconds.
func nanoseconds(v float64) int64 { return int64(math.Round(v * 1e9)) }

// PointsOn returns no points, on a shelf that they may share with others.
func PointsOn(shelf *Shelf) Points { return Points{shelf: shelf} }

// PointsOf returns the given points.
func PointsOf(points ...Point) (p Points) { return p.with(points) }

// with returns the given points, on the shelf of p.
func (p Points) with(points []Point) Points {
	p.packed = nil
	for len(points) >= blockPoints {
		p.pack(points[:blockPoints])
		points = points[blockPoints:]
	}
	p.last = slices.Clip(points)
	return p
}

// Add adds a point.
func (p *Points) Add(point Point) {
	p.last = append(p.last, point)
	if len(p.last) == blockPoints {
		p.pack(p.last)
		p.last = p.last[:0]
	}
}

// pack packs blockPoints points.
func (p *Points) pack(points []Point) {
	if p.shelf == nil {
		p.shelf = new(Shelf)
	}
	n, b := len(points), pointBlock{}
	for slices.ContainsFunc(points, func(p Point) bool {
		kind := &valueKinds[b.kept]
		return math.Float64bits(kind.value(kind.number(p.Value))) != math.Float64bits(p.Value)
	}) {
		b.kept++
	}
	columns := appendColumn(nil, n, func(i int) int64 { return points[i].At.Unix() })
	columns = appendColumn(columns, n, func(i int) int64 { return int64(points[i].At.Nanosecond()) })
	columns = appendColumn(columns, n, func(i int) int64 { return valueKinds[b.kept].number(points[i].Value) })
	b.packed = p.shelf.put(columns)
	p.packed = append(p.packed, b)
}

// Len returns the number of points.
func (p Points) Len() int { return len(p.packed)*blockPoints + len(p.last) }

// All yields the points in the order in which they were added.
func (p Points) All() iter.Seq[Point] {
	return func(yield func(Point) bool) {
		var packed []byte
		for _, b := range p.packed {
			packed = p.shelf.get(b.packed, packed)
			seconds, rest := readColumn(packed, blockPoints)
			nanoseconds, rest := readColumn(rest, blockPoints)
			values, _ := readColumn(rest, blockPoints)
			for i := range blockPoints {
				v := valueKinds[b.kept].value(values.at(i))
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
func (p *Points) Edit(change func([]Point) []Point) { *p = p.with(change(p.Slice())) }

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
