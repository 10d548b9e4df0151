package measure

import (
	"cmp"
	"iter"
	"maps"
	"math"
	"slices"
	"sort"
)

// Rows are those of a run, one for each second, load, operation and measured, in
// the order of these. Those of the last seconds that were added to are as they are,
// the others packed on a Shelf, in some fifty bytes each instead of four hundred. The
// zero value has none. A copy shares its rows, so only one of the two may be added to.
type Rows struct {
	shelf      *Shelf
	operations []Operation // by which packed rows name theirs
	reasons    []string    // likewise
	blocks     []*rowBlock // by their seconds
	open       []*rowBlock // of these, those that aren't packed, the last used first
}

// rowBlock is the rows of 1<<blockBits seconds, either as they are or packed.
type rowBlock struct {
	number int // of blocks, counted from second 0 on
	rows   []Row
	parts  []rowPart // in the order of their operations
}

// rowPart is the packed rows of one operation, in their order: those of one operation
// lie close together.
type rowPart struct {
	operation int
	n         int
	packed    shelved
}

const (
	blockBits = 6
	// mostOpen is how many blocks are open at a time: an answer counts in the second
	// of its request as well, which is one of the last as a rule.
	mostOpen = 2
)

// RowsOn returns no rows, on a shelf that they may share with others.
func RowsOn(shelf *Shelf) Rows { return Rows{shelf: shelf} }

// RowsOf returns the sum of the given rows.
func RowsOf(rows ...Row) (r Rows) {
	for i := range rows {
		r.Add(&rows[i])
	}
	return r
}

// Each yields the given rows.
func Each(rows []Row) iter.Seq[*Row] {
	return func(yield func(*Row) bool) {
		for i := range rows {
			if !yield(&rows[i]) {
				return
			}
		}
	}
}

// Add adds the counters of row to those of the same second, load, operation and
// measured. It doesn't keep row.
func (r *Rows) Add(row *Row) {
	b := r.block(row.Second >> blockBits)
	i, found := sort.Find(len(b.rows), func(i int) int { return row.Compare(&b.rows[i]) })
	if found {
		b.rows[i].Add(row)
		return
	}
	b.rows = slices.Insert(b.rows, i, *row)
	b.rows[i].Reasons = maps.Clone(row.Reasons)
}

// All yields the rows. Each holds until the next, and changing it changes nothing.
func (r Rows) All() iter.Seq[*Row] { return r.those(nil) }

// Of yields the rows of one operation, as All does.
func (r Rows) Of(op Operation) iter.Seq[*Row] { return r.those(&op) }

// Slice returns the rows unpacked.
func (r Rows) Slice() (rows []Row) {
	for row := range r.All() {
		rows = append(rows, *row)
		rows[len(rows)-1].Reasons = maps.Clone(row.Reasons)
	}
	return rows
}

// Edit replaces the rows by the sum of what change makes of them, unpacked. Copies
// of r stay as they are.
func (r *Rows) Edit(change func([]Row) []Row) {
	edited := RowsOn(r.shelf)
	for row := range Each(change(r.Slice())) {
		edited.Add(row)
	}
	*r = edited
}

// those yields the rows of an operation, of all where it is nil.
func (r Rows) those(op *Operation) iter.Seq[*Row] {
	return func(yield func(*Row) bool) {
		var row Row
		var parts []packedRows
		reasons := make(map[string]int64)
		for _, b := range r.blocks {
			for i := range b.rows {
				if own := &b.rows[i]; op == nil || own.Load == op.Load && own.Operation == op.Name {
					row = *own
					if len(own.Reasons) > 0 {
						clear(reasons)
						maps.Copy(reasons, own.Reasons)
						row.Reasons = reasons
					}
					if !yield(&row) {
						return
					}
				}
			}
			parts = parts[:0]
			for i := range b.parts {
				if of := &r.operations[b.parts[i].operation]; op == nil || *of == *op {
					parts = slices.Grow(parts, 1)[:len(parts)+1]
					parts[len(parts)-1].read(r.shelf, &b.parts[i], of)
				}
			}
			for p := first(parts); p != nil; p = first(parts) {
				for second := p.second; !p.ended() && p.second == second; {
					p.next(&row, r.reasons, reasons)
					if !yield(&row) {
						return
					}
				}
			}
		}
	}
}

// first returns the part with the next row, nil where all have ended: of equal seconds
// the first one.
func first(parts []packedRows) (next *packedRows) {
	for i := range parts {
		if p := &parts[i]; !p.ended() && (next == nil || p.second < next.second) {
			next = p
		}
	}
	return next
}

// block returns the block of a number, open.
func (r *Rows) block(number int) *rowBlock {
	if k := slices.IndexFunc(r.open, func(b *rowBlock) bool { return b.number == number }); k >= 0 {
		b := r.open[k]
		copy(r.open[1:], r.open[:k])
		r.open[0] = b
		return b
	}
	i, found := sort.Find(len(r.blocks), func(i int) int { return number - r.blocks[i].number })
	if !found {
		r.blocks = slices.Insert(r.blocks, i, &rowBlock{number: number})
	}
	b := r.blocks[i]
	if b.parts != nil {
		one := Rows{shelf: r.shelf, operations: r.operations, reasons: r.reasons, blocks: []*rowBlock{b}}
		b.rows, b.parts = one.Slice(), nil
	}
	if len(r.open) == mostOpen {
		last := r.open[mostOpen-1]
		r.open = r.open[:mostOpen-1]
		memory := r.pack(last)
		if b.rows == nil {
			b.rows = memory[:0]
		}
	}
	r.open = slices.Insert(r.open, 0, b)
	return b
}

// What a packed part begins with: a column of each of these, of rows.
const (
	secondColumn = iota
	measuredColumn
	reasonColumn // how many reasons a row has
	inFlightColumn
	plannedColumn
	sentColumn    = plannedColumn + Slots
	counterColumn = sentColumn + Slots
	rowColumns    = counterColumn + len(counters)
)

// counters are the counters of a row, but for those by slots and reasons.
var counters = [...]func(*Row) *int64{
	func(r *Row) *int64 { return &r.Planned },
	func(r *Row) *int64 { return &r.Sent },
	func(r *Row) *int64 { return &r.DroppedGenerator },
	func(r *Row) *int64 { return &r.DroppedSaturation },
	func(r *Row) *int64 { return &r.NotDue },
	func(r *Row) *int64 { return &r.OK },
	func(r *Row) *int64 { return &r.Throttled },
	func(r *Row) *int64 { return &r.Failed },
	func(r *Row) *int64 { return &r.Rejected },
	func(r *Row) *int64 { return &r.Unclassified },
	func(r *Row) *int64 { return &r.TimedOut },
	func(r *Row) *int64 { return &r.GeneratorErrors },
	func(r *Row) *int64 { return &r.Unfinished },
	func(r *Row) *int64 { return &r.TokensSent },
	func(r *Row) *int64 { return &r.TokensDone },
	func(r *Row) *int64 { return &r.TokensN },
	func(r *Row) *int64 { return &r.TokensNSent },
	func(r *Row) *int64 { return &r.BytesIn },
	func(r *Row) *int64 { return &r.BytesOut },
}

// pack packs a block, and returns the memory of its rows.
func (r *Rows) pack(b *rowBlock) []Row {
	if r.shelf == nil {
		r.shelf = new(Shelf)
	}
	rows := b.rows
	of := make([]*Row, len(rows))
	for i := range rows {
		of[i] = &rows[i]
	}
	slices.SortStableFunc(of, func(x, y *Row) int {
		return cmp.Or(cmp.Compare(x.Load, y.Load), cmp.Compare(x.Operation, y.Operation))
	})
	for len(of) > 0 {
		op := Operation{of[0].Load, of[0].Operation}
		n := slices.IndexFunc(of, func(row *Row) bool { return row.Load != op.Load || row.Operation != op.Name })
		if n < 0 {
			n = len(of)
		}
		b.parts = append(b.parts, rowPart{number(&r.operations, op), n, r.shelf.put(r.columns(of[:n]))})
		of = of[n:]
	}
	b.rows = nil
	clear(rows)
	return rows
}

// columns packs rows of one operation.
func (r *Rows) columns(rows []*Row) []byte {
	var packed []byte
	add := func(of func(row *Row) int64) {
		packed = appendColumn(packed, len(rows), func(i int) int64 { return of(rows[i]) })
	}
	add(func(row *Row) int64 { return int64(row.Second) })
	add(func(row *Row) int64 {
		if row.Measured {
			return 1
		}
		return 0
	})
	add(func(row *Row) int64 { return int64(len(row.Reasons)) })
	add(func(row *Row) int64 { return int64(math.Float64bits(row.InFlight)) })
	for k := range Slots {
		add(func(row *Row) int64 { return row.PlannedSlots[k] })
	}
	for k := range Slots {
		add(func(row *Row) int64 { return row.SentSlots[k] })
	}
	for _, counter := range counters {
		add(func(row *Row) int64 { return *counter(row) })
	}
	// Of the reasons of one row after the other, their numbers and their counts.
	var names, counts []int64
	for i := range rows {
		for _, reason := range slices.Sorted(maps.Keys(rows[i].Reasons)) {
			names = append(names, int64(number(&r.reasons, reason)))
			counts = append(counts, rows[i].Reasons[reason])
		}
	}
	if len(names) > 0 {
		packed = appendColumn(packed, len(names), func(i int) int64 { return names[i] })
		packed = appendColumn(packed, len(names), func(i int) int64 { return counts[i] })
	}
	return packed
}

// number returns the index of one in all, to which it is appended where it is new.
func number[T comparable](all *[]T, one T) int {
	i := slices.Index(*all, one)
	if i < 0 {
		i = len(*all)
		*all = append(*all, one)
	}
	return i
}

// packedRows reads a packed part row by row.
type packedRows struct {
	*Operation
	packed  []byte
	at, n   int // the next row, and how many there are
	second  int // of the next row
	columns [rowColumns]column
	filled  []int // the counters that any row has
	names   column
	counts  column
	counted int // reasons of the rows before
}

// read begins with the rows of a part.
func (p *packedRows) read(shelf *Shelf, of *rowPart, op *Operation) {
	p.packed = shelf.get(of.packed, p.packed)
	p.Operation, p.at, p.n, p.counted, p.filled = op, 0, of.n, 0, p.filled[:0]
	rest, all := p.packed, 0
	for k := range p.columns {
		c := &p.columns[k]
		*c, rest = readColumn(rest, of.n)
		if k >= counterColumn && (c.width > 0 || c.least != 0) {
			p.filled = append(p.filled, k-counterColumn)
		}
	}
	for i := range of.n {
		all += int(p.columns[reasonColumn].at(i))
	}
	if all > 0 {
		p.names, rest = readColumn(rest, all)
		p.counts, _ = readColumn(rest, all)
	}
	p.second = int(p.columns[secondColumn].at(0))
}

func (p *packedRows) ended() bool { return p.at == p.n }

// next sets row to the next row, whose reasons it sets too, by their names.
func (p *packedRows) next(row *Row, names []string, reasons map[string]int64) {
	i := p.at
	*row = Row{Second: p.second, Load: p.Load, Operation: p.Name}
	if p.at++; !p.ended() {
		p.second = int(p.columns[secondColumn].at(p.at))
	}
	row.Measured = p.columns[measuredColumn].at(i) != 0
	row.InFlight = math.Float64frombits(uint64(p.columns[inFlightColumn].at(i)))
	for k := range Slots {
		row.PlannedSlots[k] = p.columns[plannedColumn+k].at(i)
		row.SentSlots[k] = p.columns[sentColumn+k].at(i)
	}
	for _, k := range p.filled {
		*counters[k](row) = p.columns[counterColumn+k].at(i)
	}
	if n := int(p.columns[reasonColumn].at(i)); n > 0 {
		clear(reasons)
		for k := p.counted; k < p.counted+n; k++ {
			reasons[names[p.names.at(k)]] = p.counts.at(k)
		}
		p.counted += n
		row.Reasons = reasons
	}
}
