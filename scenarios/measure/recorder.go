package measure

import (
	"strings"
	"sync"
	"time"

	hdrhistogram "github.com/HdrHistogram/hdrhistogram-go"
)

// Cause says whose fault a dropped arrival is.
type Cause uint8

// The causes of a drop.
const (
	Generator  Cause = iota // this machine was late: pacing, preparing or a starved CPU
	Saturation              // every request that the in-flight limit allows was waiting for its answer
)

// maxReasons is how many different reasons a recorder tells apart. Further ones
// are counted under "other" of their outcome, so that a target that puts ids
// into its error types can't fill the memory.
const maxReasons = 32

// maxFree is how many cells a book keeps for further use. Only the many that are
// not due after an interrupted run are more.
const maxFree = 4096

// maxReason is the length in bytes to which a reason is cut.
const maxReason = 80

// Recorder counts what happens in a run. Workers record into shards that they
// don't share; Flush merges these. Its memory depends on the number of
// operations and shards, not on the length of the run or its rate: each
// operation takes 94 kB for each kind of histogram that has values, once per
// shard and three times more.
type Recorder struct {
	ops     []Operation
	shards  []shard // the last one is the planner's: Plan, Drop and NotDue
	reasons reasons

	flushing sync.Mutex
	spare    *book
	merged   []window
	packed   []*hdrhistogram.PackedHistogram // of the intervals that Flush returned last
	last     time.Duration
}

// Window is what happened since the flush before.
type Window struct {
	Start, End time.Duration
	Rows       []Row // as Sum returns them
	Intervals  []Interval
	// Clipped counts values beyond a histogram's range, which were recorded as
	// its end: times of more than an hour, or negative ones.
	Clipped int64
}

// shard is one worker's part of the recorder. The padding keeps the locks of
// two shards out of one cache line.
type shard struct {
	mu   sync.Mutex
	book *book
	_    [48]byte
}

// NewRecorder returns a recorder for the given operations, which samples name
// by index. One shard per CPU is plenty.
func NewRecorder(ops []Operation, shards int) *Recorder {
	r := &Recorder{
		ops:    ops,
		shards: make([]shard, max(shards, 1)+1),
		spare:  newBook(len(ops)),
		merged: make([]window, len(ops)*len(kinds)),
		packed: make([]*hdrhistogram.PackedHistogram, len(ops)*len(kinds)),
	}
	for i := range r.shards {
		r.shards[i].book = newBook(len(ops))
	}
	return r
}

// Plan counts an arrival whose turn has come. Exactly one of Record and Drop
// follows for it.
func (r *Recorder) Plan(op int, intended time.Duration, measured bool) {
	p := r.planner()
	p.mu.Lock()
	p.book.cell(op, intended, measured).plan(intended)
	p.mu.Unlock()
}

// Drop counts an arrival that was not sent because it would have been too late.
func (r *Recorder) Drop(op int, intended time.Duration, measured bool, cause Cause) {
	p := r.planner()
	p.mu.Lock()
	p.book.drop(op, intended, measured, cause)
	p.mu.Unlock()
}

// NotDue counts n arrivals of the second of intended whose turn did not come
// before the run was stopped. It counts them as planned too, without slots.
func (r *Recorder) NotDue(op int, intended time.Duration, measured bool, n int64) {
	p := r.planner()
	p.mu.Lock()
	row := &p.book.cell(op, intended, measured).row
	row.Planned += n
	row.NotDue += n
	p.mu.Unlock()
}

func (r *Recorder) planner() *shard { return &r.shards[len(r.shards)-1] }

// Record counts a request that was sent. Any shard from 0 up is right; workers
// that use different ones don't wait for each other. The sample is not kept.
func (r *Recorder) Record(shard int, s *Sample) {
	reason := -1
	if s.Reason != "" && s.Outcome != OK {
		reason = r.reasons.index(s.Outcome, s.Reason)
	}
	sh := &r.shards[shard%(len(r.shards)-1)]
	sh.mu.Lock()
	sh.book.record(s, Attempt{s.Sent, s.Done, s.Tokens, true}, reason, &sh.book.tallies[s.Op*len(kinds)+response])
	sh.mu.Unlock()
}

// Flush returns everything that was recorded since the flush before, and names
// the window's end until. A request that ends after the second in which it was
// sent makes rows for seconds that were returned before; their sum counts. The
// histograms of the returned intervals are reused: they hold until the next
// Flush.
func (r *Recorder) Flush(until time.Duration) Window {
	r.flushing.Lock()
	defer r.flushing.Unlock()

	w := Window{Start: r.last, End: until}
	for i := range r.merged {
		r.merged[i].reset()
	}
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		sh.book, r.spare = r.spare, sh.book
		sh.mu.Unlock()
		w.Rows = r.drain(r.spare, w.Rows)
	}
	w.Rows = Sum(w.Rows)
	for i := range r.merged {
		m := &r.merged[i]
		if m.histogram == nil || m.histogram.TotalCount() == 0 {
			continue
		}
		op := r.ops[i/len(kinds)]
		r.packed[i] = m.pack(r.packed[i])
		w.Intervals = append(w.Intervals, Interval{
			Load: op.Load, Operation: op.Name, Kind: kinds[i%len(kinds)],
			Start: r.last, End: until, Histogram: r.packed[i], Max: m.max,
		})
		w.Clipped += m.clipped
	}
	r.last = until
	return w
}

// drain appends the rows of b, merges its histograms and leaves it empty.
func (r *Recorder) drain(b *book, rows []Row) []Row {
	rows = b.take(r.ops, &r.reasons, rows)
	for i := range b.tallies {
		b.tallies[i].drain(&r.merged[i])
	}
	return rows
}

// book is what one shard has recorded since it was last drained.
type book struct {
	cells   map[cellKey]*cell
	recent  []recent // the cells that operation i used last, at 2i and, where measured, 2i+1
	free    []*cell
	tallies []tally // of operation i and kind k at i*len(kinds)+k
}

type cellKey struct {
	second   int32
	op       int32
	measured bool
}

// cell is a row in the making.
type cell struct {
	row     Row
	held    time.Duration // the in-flight integral
	reasons []int64       // by the index that the recorder gave the reason
}

// recent holds cells that are found without a look-up: most of what an operation
// records lies in few seconds, those in which requests are intended, sent and
// done.
type recent [4]struct {
	second int32
	cell   *cell
}

func newBook(ops int) *book {
	return &book{cells: make(map[cellKey]*cell), recent: make([]recent, 2*ops), tallies: make([]tally, ops*len(kinds))}
}

// cell returns the cell of the second in which at lies.
func (b *book) cell(op int, at time.Duration, measured bool) *cell {
	second := int32(at / time.Second)
	i := 2 * op
	if measured {
		i++
	}
	last := &b.recent[i][uint32(second)%uint32(len(recent{}))]
	if last.cell != nil && last.second == second {
		return last.cell
	}
	key := cellKey{second, int32(op), measured}
	c := b.cells[key]
	if c == nil {
		if n := len(b.free); n > 0 {
			c, b.free = b.free[n-1], b.free[:n-1]
		} else {
			c = new(cell)
		}
		b.cells[key] = c
	}
	last.second, last.cell = second, c
	return c
}

// take appends the rows of b, in any order, and leaves it without.
func (b *book) take(ops []Operation, reasons *reasons, rows []Row) []Row {
	for key, c := range b.cells {
		row := c.row
		op := ops[key.op]
		row.Second, row.Load, row.Operation, row.Measured = int(key.second), op.Load, op.Name, key.measured
		row.InFlight = c.held.Seconds()
		for i, n := range c.reasons {
			if n > 0 {
				if row.Reasons == nil {
					row.Reasons = make(map[string]int64)
				}
				row.Reasons[reasons.name(i)] += n
			}
		}
		rows = append(rows, row)
		clear(c.reasons)
		*c = cell{reasons: c.reasons}
		b.free = append(b.free, c)
	}
	if len(b.cells) > maxFree {
		b.cells, b.free = make(map[cellKey]*cell), nil
	}
	clear(b.cells)
	clear(b.recent)
	return rows
}

func (c *cell) plan(intended time.Duration) {
	c.row.Planned++
	c.row.PlannedSlots[slot(intended)]++
}

func (b *book) drop(op int, intended time.Duration, measured bool, cause Cause) {
	row := &b.cell(op, intended, measured).row
	if cause == Saturation {
		row.DroppedSaturation++
	} else {
		row.DroppedGenerator++
	}
}

// attempt counts how long an attempt was in flight and what it charged. It returns the
// cells of its instants.
func (b *book) attempt(op int, measured bool, a Attempt) (sent, done *cell) {
	done = b.cell(op, a.Done, measured)
	if sent = done; a.Sent >= a.Done.Truncate(time.Second) {
		done.held += a.Done - a.Sent
	} else {
		sent = b.cell(op, a.Sent, measured)
		for at := a.Sent; at < a.Done; {
			end := min(at.Truncate(time.Second)+time.Second, a.Done)
			b.cell(op, at, measured).held += end - at
			at = end
		}
	}
	if a.Tokens != NoTokens {
		sent.row.TokensSent += a.Tokens
		done.row.TokensDone += a.Tokens
		if a.First {
			sent.row.TokensNSent++
			done.row.TokensN++
		}
	}
	return sent, done
}

// record counts s and its last attempt, each part of it at the instant that Row names,
// and its response time in responses. It returns the cell of the intended instant.
func (b *book) record(s *Sample, last Attempt, reason int, responses *tally) (intended *cell) {
	sent, done := b.attempt(s.Op, s.Measured, last)
	if last.Sent != s.Sent {
		sent = b.cell(s.Op, s.Sent, s.Measured)
	}
	intended = sent
	if second := s.Sent.Truncate(time.Second); s.Intended < second || s.Intended >= second+time.Second {
		intended = b.cell(s.Op, s.Intended, s.Measured)
	}
	intended.row.Sent++
	sent.row.SentSlots[slot(s.Sent)]++
	if s.Outcome == OK {
		done.row.OK++
	} else {
		*done.row.count(s.Outcome)++
	}
	done.row.BytesIn += s.BytesIn
	done.row.BytesOut += s.BytesOut
	if reason >= 0 {
		if done.reasons == nil {
			done.reasons = make([]int64, maxReasons+len(Outcomes))
		}
		done.reasons[reason]++
	}

	if !s.Measured {
		return intended
	}
	t := b.tallies[s.Op*len(kinds):][:len(kinds)]
	t[lag].record(microseconds(s.Sent - s.Intended))
	if s.Outcome == OK || s.Outcome == TimedOut {
		responses.record(microseconds(s.Done - s.Intended))
	}
	if s.Outcome.Completed() {
		t[service].record(microseconds(s.Done - s.Sent))
	}
	if s.Tokens != NoTokens {
		t[tokens].record(s.Tokens)
	}
	return intended
}

// slot returns the tenth of its second in which at lies.
func slot(at time.Duration) int { return int(at % time.Second / (time.Second / Slots)) }

// microseconds rounds d to whole microseconds.
func microseconds(d time.Duration) int64 { return int64((d + time.Microsecond/2) / time.Microsecond) }

// reasons numbers the reasons of a run: those met first get a number of their
// own, the rest share one per outcome.
type reasons struct {
	mu    sync.RWMutex
	known map[reasonKey]int
	names []string
}

type reasonKey struct {
	outcome Outcome
	reason  string
}

// index returns the number of a reason.
func (r *reasons) index(o Outcome, reason string) int {
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	key := reasonKey{o, reason}
	r.mu.RLock()
	i, ok := r.known[key]
	full := len(r.names) == maxReasons
	r.mu.RUnlock()
	if ok {
		return i
	}
	if full {
		return maxReasons + int(o)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i, ok = r.known[key]; ok {
		return i
	}
	if len(r.names) == maxReasons {
		return maxReasons + int(o)
	}
	if r.known == nil {
		r.known = make(map[reasonKey]int)
	}
	key.reason = strings.Clone(reason)
	r.names = append(r.names, o.String()+" "+key.reason)
	r.known[key] = len(r.names) - 1
	return len(r.names) - 1
}

// name returns the reason of a number as rows spell it.
func (r *reasons) name(i int) string {
	if i >= maxReasons {
		return Outcomes[i-maxReasons] + " other"
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.names[i]
}
