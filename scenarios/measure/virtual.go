package measure

import (
	"time"

	hdrhistogram "github.com/HdrHistogram/hdrhistogram-go"
)

// Virtual records a run in virtual time. It is of one goroutine, and takes a request
// as soon as its end is known, which may lie ahead. Response times are told apart by
// the steps of the run in which they end, other kinds are of all of it.
type Virtual struct {
	ops     []Operation
	step    time.Duration
	reasons reasons
	book    *book
	rows    Rows
	taken   []Row // the memory of those that are added to rows next
	passed  int   // steps that are over
	// responses are those of the steps that aren't: of operation i in step k at
	// (k-passed)*len(ops)+i. spare has the memory of those that are.
	responses, spare []tally
	closed           []Interval
	packed           *hdrhistogram.PackedHistogram
	// at is the step of the last request, which begins at begin.
	at    int
	begin time.Duration
}

// NewVirtual returns a recorder for the given operations, which samples name by
// index. Each takes 94 kB for each kind of histogram that has values, and for every
// step that has answers and isn't over.
func NewVirtual(ops []Operation, step time.Duration) *Virtual {
	return &Virtual{ops: ops, step: step, book: newBook(len(ops)), packed: hdrhistogram.NewPacked(1, highest, digits)}
}

// Drop counts an arrival that was not sent because it would have been too late.
func (v *Virtual) Drop(op int, intended time.Duration, measured bool, cause Cause) {
	v.book.cell(op, intended, measured).plan(intended)
	v.book.drop(op, intended, measured, cause)
}

// Attempt counts an attempt at a request that its client makes again. What becomes of
// the request is recorded with the last one.
func (v *Virtual) Attempt(op int, measured bool, a Attempt) { v.book.attempt(op, measured, a) }

// Record counts an arrival that was sent, and its request with the last attempt at it.
// The sample, whose tokens are those of all attempts, is not kept.
func (v *Virtual) Record(s *Sample, last Attempt) {
	reason := -1
	if s.Reason != "" && s.Outcome != OK {
		reason = v.reasons.index(s.Outcome, s.Reason)
	}
	if s.Done <= v.begin || s.Done > v.begin+v.step { // seldom, and a division takes long
		v.at = max(v.passed, int(max(0, s.Done-1)/v.step))
		v.begin = time.Duration(v.at) * v.step
	}
	i := (v.at-v.passed)*len(v.ops) + s.Op
	for i >= len(v.responses) {
		var t tally
		if n := len(v.spare); n > 0 {
			t, v.spare = v.spare[n-1], v.spare[:n-1]
		}
		v.responses = append(v.responses, t)
	}
	v.book.record(s, last, reason, &v.responses[i]).plan(s.Intended)
}

// Pass says that what is recorded from now on ends after an instant. It closes the
// steps that are over by then.
func (v *Virtual) Pass(at time.Duration) {
	for time.Duration(v.passed+1)*v.step <= at {
		v.close(time.Duration(v.passed+1) * v.step)
		v.take()
	}
}

// take adds what is counted to the rows.
func (v *Virtual) take() {
	v.taken = v.book.take(v.ops, &v.reasons, v.taken[:0])
	for i := range v.taken {
		v.rows.Add(&v.taken[i])
	}
}

// close makes intervals of the next step's response times, which ends at an instant.
func (v *Virtual) close(end time.Duration) {
	n := min(len(v.ops), len(v.responses))
	for op := range n {
		v.add(&v.responses[op], op, response, time.Duration(v.passed)*v.step, end)
	}
	v.spare = append(v.spare, v.responses[:n]...)
	v.responses = v.responses[n:]
	v.passed++
	v.begin, v.at = time.Duration(v.passed)*v.step, v.passed
}

func (v *Virtual) add(t *tally, op, kind int, start, end time.Duration) {
	if t.used == 0 {
		return
	}
	o, most := v.ops[op], t.max
	v.closed = append(v.closed, Interval{
		Load: o.Load, Operation: o.Name, Kind: kinds[kind],
		Start: start, End: end, Histogram: t.pack(v.packed), Max: most,
	})
}

// End returns what was recorded of a run that ends at an instant: its rows and its
// histograms. Nothing can be recorded after it.
func (v *Virtual) End(at time.Duration) (Rows, []Interval) {
	for v.Pass(at); len(v.responses) > 0; {
		v.close(at)
	}
	for op := range v.ops {
		for kind := range kinds {
			v.add(&v.book.tallies[op*len(kinds)+kind], op, kind, 0, at)
		}
	}
	v.take()
	return v.rows, v.closed
}
