package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
)

// operation is an operation made ready: how the record of an arrival is made.
type operation struct {
	producer *kgo.Client
	topic    string
	counts   *topic // of the topic, over all operations
	headers  []kgo.RecordHeader
	largest  int // bytes of key, value and headers at most
	alone    int // bytes of a batch that holds the largest record alone

	batch      int64 // bytes of a batch at most
	compressed bool

	constant []byte // the key of every record
	uniform  uint64 // how many keys
	zipf     *zipf
	keys     [][]byte // of each row
	numbers  load.Stream

	fixed  []byte   // the value of every record, or what values are cut from
	bytes  int      // how much is cut
	values [][]byte // of each row
	offset load.Stream
}

// filler is how many more random bytes there are than a value has, so that
// values differ. 64 KiB is more than a compressor looks back.
const filler = 64 << 10

func newOperation(l scenarios.Load, op scenarios.Operation) (operation, error) {
	k := op.Kafka
	o := operation{
		topic: k.Topic, batch: k.Producer.BatchBytes, compressed: k.Producer.Compression != "none",
		numbers: load.NewStream(l.Seed, l.Name, "key of "+op.Name),
		offset:  load.NewStream(l.Seed, l.Name, "value of "+op.Name),
	}
	for _, h := range k.Headers {
		o.headers = append(o.headers, kgo.RecordHeader{Key: h.Name, Value: []byte(h.Value)})
	}
	key, value := 0, 0 // bytes at most
	switch {
	case k.Key.Constant != "":
		o.constant = []byte(k.Key.Constant)
		key = len(o.constant)
	case k.Key.Uniform > 0:
		o.uniform = uint64(k.Key.Uniform)
		key = digits(k.Key.Uniform - 1)
	case k.Key.Zipf > 0:
		o.zipf = newZipf(k.Key.Zipf)
		key = digits(k.Key.Zipf - 1)
	case k.Key.Column != "":
		var err error
		if o.keys, err = column(k.Rows, k.Key.Column); err != nil {
			return o, err
		}
		key = longest(o.keys)
	}
	switch v := k.Value; {
	case v.Bytes > 0:
		o.bytes = int(v.Bytes)
		o.fixed = random(load.NewStream(l.Seed, l.Name, "filler"), o.bytes+filler)
		value = o.bytes
	case v.Content != nil:
		o.fixed = v.Content
		value = len(v.Content)
	case v.Column != "":
		var err error
		if o.values, err = column(k.Rows, v.Column); err != nil {
			return o, err
		}
		value = longest(o.values)
	case v.Template != "":
		var err error
		if o.values, err = render(v.Template, k.Rows); err != nil {
			return o, err
		}
		if value = longest(o.values); k.Rows == nil {
			o.fixed, o.values = o.values[0], nil
		}
	default:
		return o, errors.New("has no value")
	}
	o.measure(key, value)
	for i := 0; o.keys != nil && i < len(o.values); i++ { // a row has both
		if i == 0 {
			o.largest, o.alone = 0, 0
		}
		o.measure(len(o.keys[i]), len(o.values[i]))
	}
	return o, nil
}

// measure counts a record with so many bytes of key and value in.
func (o *operation) measure(key, value int) {
	// What a record has: attributes, two deltas, and lengths before what they count
	// (Kafka protocol, record).
	user, record := key+value, 3+lengthOf(key)+key+lengthOf(value)+value+lengthOf(len(o.headers))
	for _, h := range o.headers {
		user += len(h.Key) + len(h.Value)
		record += lengthOf(len(h.Key)) + len(h.Key) + lengthOf(len(h.Value)) + len(h.Value)
	}
	o.largest, o.alone = max(o.largest, user), max(o.alone, batchOverhead+lengthOf(record)+record)
}

// lengthOf is how many bytes a length takes, as a zigzag varint.
func lengthOf(n int) int { return max(1, (bits.Len(uint(n)<<1)+6)/7) }

func digits(n int64) int { return len(strconv.FormatInt(n, 10)) }

// fill makes the record of arrival n.
func (o *operation) fill(r *request, n int64) {
	r.record.Topic, r.record.Headers = o.topic, o.headers
	switch {
	case o.constant != nil:
		r.record.Key = o.constant
	case o.uniform > 0:
		i, _ := bits.Mul64(o.numbers.At(uint64(n)), o.uniform)
		r.key = strconv.AppendUint(r.key[:0], i, 10)
		r.record.Key = r.key
	case o.zipf != nil:
		r.key = strconv.AppendInt(r.key[:0], o.zipf.at(o.numbers.Uniform(uint64(n)))-1, 10)
		r.record.Key = r.key
	case o.keys != nil:
		r.record.Key = o.keys[n%int64(len(o.keys))]
	}
	switch {
	case o.values != nil:
		r.record.Value = o.values[n%int64(len(o.values))]
	case o.bytes > 0:
		from := o.offset.At(uint64(n)) % filler
		r.record.Value = o.fixed[from : from+uint64(o.bytes)]
	default:
		r.record.Value = o.fixed
	}
}

// random returns n bytes of a stream.
func random(s load.Stream, n int) []byte {
	b := make([]byte, 0, n+8)
	for i := uint64(0); len(b) < n; i++ {
		v := s.At(i)
		for range 8 {
			b = append(b, byte(v))
			v >>= 8
		}
	}
	return b[:n]
}

func longest(all [][]byte) int {
	n := 0
	for _, b := range all {
		n = max(n, len(b))
	}
	return n
}

// column returns the texts of a column of rows.
func column(rows *scenarios.Rows, name string) ([][]byte, error) {
	return each(rows, func(row []string) ([]byte, error) {
		i := slices.Index(rows.Columns, name)
		if i < 0 {
			return nil, fmt.Errorf("rows have no column %q", name)
		}
		return text(row[i]), nil
	})
}

func each(rows *scenarios.Rows, of func(row []string) ([]byte, error)) ([][]byte, error) {
	if rows == nil || len(rows.Values) == 0 {
		return nil, errors.New("there are no rows")
	}
	all := make([][]byte, len(rows.Values))
	for i, row := range rows.Values {
		var err error
		if all[i], err = of(row); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// text returns the text of a JSON value: that of a string without its quotes,
// that of any other as it is.
func text(value string) []byte {
	var s string
	if json.Unmarshal([]byte(value), &s) == nil && strings.HasPrefix(strings.TrimSpace(value), `"`) {
		return []byte(s)
	}
	return []byte(value)
}

// render returns the template with the values of each row in the place of its
// ${row.column}, or the only text that it stands for without rows. What a row
// holds is written as it is, without quoting.
func render(template string, rows *scenarios.Rows) ([][]byte, error) {
	if rows == nil {
		b, err := fillIn(template, nil, nil)
		return [][]byte{b}, err
	}
	return each(rows, func(row []string) ([]byte, error) { return fillIn(template, rows.Columns, row) })
}

func fillIn(template string, columns, row []string) ([]byte, error) {
	var b []byte
	for {
		before, rest, found := strings.Cut(template, "${")
		if !found {
			return append(b, template...), nil
		}
		if strings.HasSuffix(before, "$") {
			b = append(append(b, before[:len(before)-1]...), "${"...)
			template = rest
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		i := slices.Index(columns, strings.TrimPrefix(name, "row."))
		if !closed || i < 0 {
			return nil, fmt.Errorf("rows have no column for %q", "${"+name+"}")
		}
		b = append(append(b, before...), text(row[i])...)
		template = after
	}
}

// zipf draws ranks from 1 to n, rank r with a probability in proportion to 1/r
// (Zipf's law with exponent 1), by inverting the harmonic numbers.
type zipf struct {
	n     int64
	total float64   // H(n)
	sums  []float64 // H(1), H(2), ... of the first ranks
}

// tableRanks is how many harmonic numbers are kept; from there on their
// asymptotic series is exact to the last bit.
const tableRanks = 1024

func newZipf(n int64) *zipf {
	z := &zipf{n: n}
	for r, sum := int64(1), 0.0; r <= min(n, tableRanks); r++ {
		sum += 1 / float64(r)
		z.sums = append(z.sums, sum)
	}
	z.total = z.harmonic(n)
	return z
}

// harmonic returns 1 + 1/2 + ... + 1/r, beyond the table as ln r + gamma +
// 1/(2r) - 1/(12 r^2) + ... (NIST DLMF 5.11.2).
func (z *zipf) harmonic(r int64) float64 {
	if r <= int64(len(z.sums)) {
		return z.sums[r-1]
	}
	const gamma = 0.57721566490153286060651209008240243
	x := float64(r)
	return math.Log(x) + gamma + 1/(2*x) - 1/(12*x*x)
}

// at returns the rank of a number in [0, 1): the smallest r with H(r)/H(n) > u.
func (z *zipf) at(u float64) int64 {
	want := u * z.total
	if i, _ := slices.BinarySearch(z.sums, want); i < len(z.sums) {
		if z.sums[i] == want && i+1 < len(z.sums) {
			i++
		}
		return int64(i) + 1
	}
	const gamma = 0.57721566490153286060651209008240243
	r := max(int64(math.Exp(want-gamma)), tableRanks)
	for r > tableRanks && z.harmonic(r-1) > want {
		r--
	}
	for r < z.n && z.harmonic(r) <= want {
		r++
	}
	return min(r, z.n)
}
