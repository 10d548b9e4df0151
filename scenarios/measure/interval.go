package measure

import (
	"iter"
	"math"
	"math/bits"
	"time"

	hdrhistogram "github.com/HdrHistogram/hdrhistogram-go"
)

// What an Interval's histogram holds.
const (
	ResponseTimes = "response" // done - intended of ok answers, and of timeouts at least their timeout; microseconds
	ServiceTimes  = "service"  // done - sent of completed requests; microseconds
	Lags          = "lag"      // sent - intended of sent requests; microseconds
	TokenCounts   = "tokens"   // tokens of one answer
)

// kinds lists what the recorder keeps of each operation; response, service, lag
// and tokens are its indices.
var kinds = [...]string{ResponseTimes, ServiceTimes, Lags, TokenCounts}

const (
	response = iota
	service
	lag
	tokens
)

// Histograms count values from 1 to highest (an hour in microseconds) with
// three significant digits. That is 188 kB each and half of that in a tally, as
// they have a place for every value; packed ones, which have none for values
// that didn't come, take a few kilobytes.
const (
	highest = int64(time.Hour / time.Microsecond)
	digits  = 3
)

// Interval is one operation's histogram over one flush interval. Only requests
// of measured stages are in it.
type Interval struct {
	Load, Operation string
	Kind            string
	Start, End      time.Duration // from the run's start
	Histogram       *hdrhistogram.PackedHistogram
	// Max is the largest value exactly, where Histogram knows it to three
	// digits; 0 where it is not known.
	Max int64
}

// Merge adds the values of o, another interval of the same operation and kind,
// and takes its time in. The histogram of i is changed.
func (i *Interval) Merge(o Interval) {
	i.Max = max(i.highest(), o.highest())
	i.Histogram.Merge(o.Histogram)
	i.Start, i.End = min(i.Start, o.Start), max(i.End, o.End)
}

// Above returns how many values lie above v, and how many are v, as far as the
// histogram tells values apart.
func (i *Interval) Above(v int64) (above, equal int64) {
	for of, n := range i.Histogram.ForEachBucket {
		if of > v {
			above += n
		}
	}
	return above, i.Histogram.CountAtValue(v)
}

// highest returns the largest value as exactly as it is known, 0 where there is
// none.
func (i *Interval) highest() int64 {
	if i.Max > 0 || i.Histogram.TotalCount() == 0 {
		return max(i.Max, 0)
	}
	return i.Histogram.Max()
}

// Distribution is any number of intervals of one kind in one. Its values are in
// the kind's unit: microseconds or tokens. The zero value is empty.
type Distribution struct{ window }

// Add merges an interval into d.
func (d *Distribution) Add(i Interval) {
	if i.Histogram.TotalCount() == 0 {
		return
	}
	d.open()
	d.clipped += i.Histogram.MergeInto(d.histogram)
	d.max = max(d.max, i.highest())
}

// Merge adds the values of o to d.
func (d *Distribution) Merge(o *Distribution) { d.merge(&o.window) }

// Record counts one value. Values outside 0 to an hour in microseconds count as
// the nearest end.
func (d *Distribution) Record(v int64) { d.record(v) }

// RecordMany counts a value n times.
func (d *Distribution) RecordMany(v, n int64) {
	if n <= 0 {
		return
	}
	d.open()
	d.max = max(d.max, v)
	if v < 0 || v > highest {
		d.clipped += n
		v = min(max(v, 0), highest)
	}
	// Only a value out of range can be refused.
	_ = d.histogram.RecordValues(v, n)
}

// Reset leaves d empty, with its memory.
func (d *Distribution) Reset() { d.reset() }

// Interval returns the values of d as an interval.
func (d *Distribution) Interval(load, operation, kind string, start, end time.Duration) Interval {
	return Interval{Load: load, Operation: operation, Kind: kind, Start: start, End: end, Histogram: d.pack(nil), Max: d.max}
}

// Values yields the values of d in rising order, each the middle of those that d
// doesn't tell apart, with how many there are of it.
func (d *Distribution) Values() iter.Seq2[float64, int64] {
	return func(yield func(float64, int64) bool) {
		if d.histogram == nil {
			return
		}
		for _, bar := range d.histogram.Distribution() {
			if bar.Count > 0 && !yield(float64(bar.From+bar.To)/2, bar.Count) {
				return
			}
		}
	}
}

// N returns the number of values.
func (d *Distribution) N() int64 {
	if d.histogram == nil {
		return 0
	}
	return d.histogram.TotalCount()
}

// Max returns the largest value, exactly where the intervals knew it. It is NaN
// where d is empty, as are Mean and Quantile.
func (d *Distribution) Max() float64 {
	if d.N() == 0 {
		return math.NaN()
	}
	return float64(d.max)
}

// Deviation returns the standard deviation of the values, 0 where there is none.
func (d *Distribution) Deviation() float64 {
	if d.N() == 0 {
		return 0
	}
	return d.histogram.StdDev()
}

// Mean returns the mean of the values, within 0.05 %: that of the middles of the
// histogram's slots, which is above the maximum where nearly all values are equal.
func (d *Distribution) Mean() float64 {
	if d.N() == 0 {
		return math.NaN()
	}
	return min(d.histogram.Mean(), d.Max())
}

// Quantile returns the smallest value that at least the fraction p of the
// values does not exceed, within 0.1 %: p is 0.99 for the 99th percentile.
// Quantile(1) is Max.
func (d *Distribution) Quantile(p float64) float64 {
	switch {
	case d.N() == 0 || math.IsNaN(p):
		return math.NaN()
	case p >= 1:
		return d.Max()
	}
	// The histogram takes percent, rounds to the nearest rank and answers with
	// the upper end of a bucket. The rank asked for is whole, less the error of
	// the product.
	n := float64(d.N())
	rank := max(math.Ceil(p*n*(1-1e-12)), 1)
	return min(float64(d.histogram.ValueAtPercentile(100*rank/n)), d.Max())
}

// tally counts values in the slots of such a histogram, for less time and memory
// than the histogram itself. It takes no memory before its first value, and can
// count 2³² values in a slot before it is merged.
type tally struct {
	counts  *[slotCount]uint32
	used    int // slots, from the first on
	max     int64
	clipped int64 // values that were out of range
}

// The slots: 2,048 for the values below 2,048, then 1,024 for each doubling.
const (
	slotBits  = 10                                    // of the values that share a power of two
	slotCount = (32-slotBits)<<slotBits + 1<<slotBits // highest has 32 bits
)

// slotOf returns the slot of a value from 0 on.
func slotOf(v int64) int {
	shift := bits.Len64(uint64(v)>>slotBits|1) - 1
	return shift<<slotBits + int(v>>shift)
}

// valueOf returns the lowest value of a slot.
func valueOf(slot int) int64 {
	shift := max(slot>>slotBits-1, 0)
	return int64(slot-shift<<slotBits) << shift
}

func (t *tally) record(v int64) {
	t.max = max(t.max, v)
	if uint64(v) > uint64(highest) {
		t.clipped++
		v = min(max(v, 0), highest)
	}
	if t.counts == nil {
		t.counts = new([slotCount]uint32)
	}
	i := slotOf(v)
	t.used = max(t.used, i+1)
	t.counts[i]++
}

// drain adds what t has counted to w and leaves t empty.
func (t *tally) drain(w *window) {
	if t.used == 0 {
		return
	}
	w.open()
	w.max, w.clipped = max(w.max, t.max), w.clipped+t.clipped
	t.take(w.histogram.RecordValues)
}

// take gives each slot's lowest value and count to record, and leaves t empty.
func (t *tally) take(record func(v, n int64) error) {
	for i, n := range t.counts[:t.used] {
		if n > 0 {
			// Only a value out of range can be refused.
			_ = record(valueOf(i), int64(n))
		}
	}
	clear(t.counts[:t.used])
	*t = tally{counts: t.counts}
}

// pack returns what t has counted, put together in p's memory, and leaves t empty.
func (t *tally) pack(p *hdrhistogram.PackedHistogram) *hdrhistogram.PackedHistogram {
	p.Reset()
	t.take(p.RecordValues)
	return p.Clone()
}

// window is a histogram with its exact maximum. It takes no memory before its
// first value.
type window struct {
	histogram *hdrhistogram.Histogram
	max       int64
	clipped   int64 // values that were out of range
}

func (w *window) open() {
	if w.histogram == nil {
		w.histogram = hdrhistogram.New(1, highest, digits)
	}
}

func (w *window) record(v int64) {
	w.open()
	w.max = max(w.max, v)
	if v < 0 || v > highest {
		w.clipped++
		v = min(max(v, 0), highest)
	}
	// Only a value out of range can be refused.
	_ = w.histogram.RecordValue(v)
}

func (w *window) merge(o *window) {
	if o.histogram == nil || o.histogram.TotalCount() == 0 {
		return
	}
	if w.histogram == nil {
		w.histogram = o.histogram.Clone() // for a tenth of a merge
	} else {
		w.histogram.Merge(o.histogram)
	}
	w.max, w.clipped = max(w.max, o.max), w.clipped+o.clipped
}

// pack returns what w counts in p's memory, or in new one where p is nil.
func (w *window) pack(p *hdrhistogram.PackedHistogram) *hdrhistogram.PackedHistogram {
	if p == nil {
		p = hdrhistogram.NewPacked(1, highest, digits)
	}
	p.Reset()
	if w.histogram != nil {
		p.MergeFrom(w.histogram)
	}
	return p
}

func (w *window) reset() {
	if w.histogram != nil && w.histogram.TotalCount() > 0 {
		w.histogram.Reset()
	}
	w.max, w.clipped = 0, 0
}
