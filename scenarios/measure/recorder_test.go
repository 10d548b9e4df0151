package measure_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/headroom-load/headroom/scenarios/measure"
)

var twoOps = []measure.Operation{{Load: "a", Name: "get"}, {Load: "a", Name: "list"}}

func TestPlacesEachPartAtItsInstant(t *testing.T) {
	r := measure.NewRecorder(twoOps, 2)
	r.Plan(0, 950*time.Millisecond, true)
	r.Plan(0, 1100*time.Millisecond, true)
	r.Plan(1, 1200*time.Millisecond, false)
	r.Record(0, &measure.Sample{
		Op: 0, Measured: true, Intended: 950 * time.Millisecond, Sent: 1050 * time.Millisecond, Done: 3250 * time.Millisecond,
		Outcome: measure.OK, Tokens: 7, BytesIn: 100, BytesOut: 10,
	})
	r.Drop(0, 1100*time.Millisecond, true, measure.Saturation)
	r.Drop(1, 1200*time.Millisecond, false, measure.Generator)
	r.NotDue(0, 4*time.Second, true, 5)

	w := r.Flush(4 * time.Second)
	want := []measure.Row{
		{Second: 0, Load: "a", Operation: "get", Measured: true, Planned: 1, Sent: 1, PlannedSlots: slots(9)},
		{
			Second: 1, Load: "a", Operation: "get", Measured: true, Planned: 1, DroppedSaturation: 1, InFlight: 0.95,
			TokensSent: 7, TokensNSent: 1, PlannedSlots: slots(1), SentSlots: slots(0),
		},
		{Second: 1, Load: "a", Operation: "list", Planned: 1, DroppedGenerator: 1, PlannedSlots: slots(2)},
		{Second: 2, Load: "a", Operation: "get", Measured: true, InFlight: 1},
		{Second: 3, Load: "a", Operation: "get", Measured: true, OK: 1, InFlight: 0.25, TokensDone: 7, TokensN: 1, BytesIn: 100, BytesOut: 10},
		{Second: 4, Load: "a", Operation: "get", Measured: true, Planned: 5, NotDue: 5},
	}
	if diff := cmp.Diff(want, w.Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	got := map[string]float64{}
	for _, i := range w.Intervals {
		var d measure.Distribution
		d.Add(i)
		if i.Load != "a" || i.Operation != "get" || i.Start != 0 || i.End != 4*time.Second || d.N() != 1 {
			t.Errorf("interval %+v with %d values", i, d.N())
		}
		got[i.Kind] = d.Max()
	}
	if diff := cmp.Diff(map[string]float64{"response": 2.3e6, "service": 2.2e6, "lag": 1e5, "tokens": 7}, got); diff != "" {
		t.Errorf("maxima (-want +got):\n%s", diff)
	}

	if w = r.Flush(5 * time.Second); len(w.Rows) != 0 || len(w.Intervals) != 0 || w.Start != 4*time.Second {
		t.Errorf("a second flush returned %+v", w)
	}
}

func slots(at ...int) (s [measure.Slots]int64) {
	for _, i := range at {
		s[i]++
	}
	return s
}

func TestWhichHistogramTakesWhich(t *testing.T) {
	for outcome := range measure.Outcomes {
		r := measure.NewRecorder(twoOps, 1)
		s := measure.Sample{Measured: true, Sent: 1, Done: time.Second, Outcome: measure.Outcome(outcome), Tokens: measure.NoTokens}
		r.Record(0, &s)
		s.Measured = false
		r.Record(0, &s)
		got := map[string]int64{}
		for _, i := range r.Flush(0).Intervals {
			got[i.Kind] = i.Histogram.TotalCount()
		}
		want := map[string]int64{measure.Lags: 1}
		switch measure.Outcome(outcome) {
		case measure.OK:
			want[measure.ResponseTimes], want[measure.ServiceTimes] = 1, 1
		case measure.Throttled, measure.Failed, measure.Rejected, measure.Unclassified:
			want[measure.ServiceTimes] = 1
		case measure.TimedOut:
			want[measure.ResponseTimes] = 1
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", measure.Outcome(outcome), diff)
		}
	}
}

func TestReasonsAreBounded(t *testing.T) {
	r := measure.NewRecorder(twoOps, 1)
	for i := range 100 {
		r.Record(0, &measure.Sample{Outcome: measure.Failed, Reason: fmt.Sprintf("id %03d", i)})
		r.Record(0, &measure.Sample{Outcome: measure.TimedOut, Reason: fmt.Sprintf("id %03d", i)})
	}
	r.Record(0, &measure.Sample{Outcome: measure.OK, Reason: "none counts"})
	got := r.Flush(0).Rows[0].Reasons
	if len(got) != 34 || got["failed id 000"] != 1 || got["failed other"] != 84 || got["timed_out other"] != 84 {
		t.Errorf("%d reasons: %v", len(got), got)
	}
}

func TestOutOfRangeIsCounted(t *testing.T) {
	r := measure.NewRecorder(twoOps, 1)
	r.Record(0, &measure.Sample{Measured: true, Done: 3 * time.Hour, Tokens: measure.NoTokens})
	w := r.Flush(0)
	if w.Clipped != 2 { // response and service
		t.Errorf("clipped %d values, want 2", w.Clipped)
	}
	for _, i := range w.Intervals {
		var d measure.Distribution
		if d.Add(i); i.Kind == measure.ResponseTimes && d.Quantile(1) != 3*3600e6 {
			t.Errorf("max %v, want 3 h in microseconds", d.Quantile(1))
		}
	}
	if w = r.Flush(0); w.Clipped != 0 {
		t.Errorf("clipped %d values after the flush", w.Clipped)
	}
}

func TestConservation(t *testing.T) {
	instant := rapid.Int64Range(0, int64(8*time.Second))
	rapid.Check(t, func(t *rapid.T) {
		r := measure.NewRecorder(twoOps, 3)
		var planned, sent, dropped, notDue, tokens, withTokens, bytes int64
		var outcomes [len(measure.Outcomes)]int64
		var inFlight time.Duration
		var response []float64
		var rows []measure.Row
		var merged measure.Distribution
		flush := func(w measure.Window) {
			rows = append(rows, w.Rows...)
			for _, i := range w.Intervals {
				if i.Kind == measure.ResponseTimes {
					merged.Add(i)
				}
			}
		}
		for range rapid.IntRange(0, 200).Draw(t, "events") {
			op := rapid.IntRange(0, 1).Draw(t, "op")
			measured := rapid.Bool().Draw(t, "measured")
			intended := time.Duration(instant.Draw(t, "intended"))
			switch rapid.SampledFrom([]string{"send", "send", "send", "drop", "not due", "flush"}).Draw(t, "event") {
			case "send":
				s := measure.Sample{
					Op: op, Measured: measured, Intended: intended,
					Outcome: measure.Outcome(rapid.IntRange(0, len(measure.Outcomes)-1).Draw(t, "outcome")),
					Reason:  rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "reason"),
					Tokens:  rapid.Int64Range(measure.NoTokens, 500).Draw(t, "tokens"), BytesIn: 3,
				}
				s.Sent = s.Intended + time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "lag"))
				s.Done = s.Sent + time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "service"))
				r.Plan(op, intended, measured)
				r.Record(rapid.IntRange(0, 9).Draw(t, "shard"), &s)
				planned, sent, bytes = planned+1, sent+1, bytes+3
				outcomes[s.Outcome]++
				inFlight += s.Done - s.Sent
				if s.Tokens != measure.NoTokens {
					tokens, withTokens = tokens+s.Tokens, withTokens+1
				}
				if measured && (s.Outcome == measure.OK || s.Outcome == measure.TimedOut) {
					response = append(response, math.Round(float64(s.Done-s.Intended)/1e3))
				}
			case "drop":
				r.Plan(op, intended, measured)
				r.Drop(op, intended, measured, measure.Cause(rapid.IntRange(0, 1).Draw(t, "cause")))
				planned, dropped = planned+1, dropped+1
			case "not due":
				r.NotDue(op, intended, measured, 4)
				planned, notDue = planned+4, notDue+4
			case "flush":
				flush(r.Flush(intended))
			}
		}
		flush(r.Flush(time.Minute))

		sum := measure.Sum(rows)
		if !slices.IsSortedFunc(sum, func(a, b measure.Row) int { return a.Second - b.Second }) {
			t.Fatal("rows are not sorted")
		}
		type key struct {
			second   int
			op       string
			measured bool
		}
		seen := map[key]bool{}
		var all measure.Row
		for _, row := range sum {
			k := key{row.Second, row.Operation, row.Measured}
			if seen[k] {
				t.Fatalf("two rows of %v", k)
			}
			seen[k] = true
			all.Add(&row)
		}
		check := func(what string, got, want int64) {
			if got != want {
				t.Fatalf("%s: %d, want %d", what, got, want)
			}
		}
		check("planned", all.Planned, planned)
		check("sent", all.Sent, sent)
		check("dropped", all.Dropped(), dropped)
		check("not due", all.NotDue, notDue)
		check("sent + dropped + not due", all.Sent+all.Dropped()+all.NotDue, all.Planned)
		check("outcomes", all.Completed()+all.TimedOut+all.GeneratorErrors+all.Unfinished, all.Sent)
		for o, got := range []int64{all.OK, all.Throttled, all.Failed, all.Rejected, all.Unclassified, all.TimedOut, all.GeneratorErrors, all.Unfinished} {
			check(measure.Outcomes[o], got, outcomes[o])
		}
		check("tokens by sent", all.TokensSent, tokens)
		check("tokens by done", all.TokensDone, tokens)
		check("answers with tokens", all.TokensN, withTokens)
		check("answers with tokens by sent", all.TokensNSent, withTokens)
		check("bytes", all.BytesIn, bytes)
		var plannedSlots, sentSlots int64
		for i := range all.PlannedSlots {
			plannedSlots, sentSlots = plannedSlots+all.PlannedSlots[i], sentSlots+all.SentSlots[i]
		}
		check("planned slots", plannedSlots, planned-notDue)
		check("sent slots", sentSlots, sent)
		if math.Abs(all.InFlight-inFlight.Seconds()) > 1e-6 {
			t.Fatalf("in flight for %v s, want %v", all.InFlight, inFlight.Seconds())
		}
		check("response times", merged.N(), int64(len(response)))
		if len(response) > 0 {
			slices.Sort(response)
			for _, p := range []float64{0, 0.07, 0.5, 0.9, 0.95, 0.99, 1} {
				want := response[max(int(math.Ceil(p*float64(len(response))-1e-9))-1, 0)]
				if got := merged.Quantile(p); got < want || got > want*1.001+1 {
					t.Fatalf("quantile %v of %d is %v, want %v", p, len(response), got, want)
				}
			}
			if merged.Max() != response[len(response)-1] {
				t.Fatalf("max %v, want %v", merged.Max(), response[len(response)-1])
			}
		}
	})
}

func TestSumLeavesItsArgument(t *testing.T) {
	rows := []measure.Row{
		{Second: 1, Operation: "b", OK: 1, Reasons: map[string]int64{"x": 1}},
		{Second: 0, Operation: "b", OK: 2},
		{Second: 1, Operation: "b", OK: 4, Reasons: map[string]int64{"x": 2, "y": 1}},
		{Second: 1, Operation: "b", OK: 8, Measured: true},
		{Second: 1, Operation: "a", OK: 16},
	}
	want := []measure.Row{
		{Second: 0, Operation: "b", OK: 2},
		{Second: 1, Operation: "a", OK: 16},
		{Second: 1, Operation: "b", OK: 5, Reasons: map[string]int64{"x": 3, "y": 1}},
		{Second: 1, Operation: "b", OK: 8, Measured: true},
	}
	if diff := cmp.Diff(want, measure.Sum(rows)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if rows[0].OK != 1 || rows[0].Reasons["x"] != 1 || len(rows[0].Reasons) != 1 || rows[1].Second != 0 {
		t.Errorf("the argument became %+v", rows)
	}
}

func TestEmptyDistribution(t *testing.T) {
	var d measure.Distribution
	if !math.IsNaN(d.Quantile(0.5)) || !math.IsNaN(d.Max()) || !math.IsNaN(d.Mean()) || d.N() != 0 {
		t.Error("an empty distribution has values")
	}
	d.Record(0)
	if d.Quantile(0) != 0 || d.Quantile(1) != 0 || d.N() != 1 {
		t.Errorf("a zero is lost: %v of %d", d.Quantile(1), d.N())
	}
}

// Where all values are equal the mean is no larger.
func TestMeanOfEqualValues(t *testing.T) {
	var d measure.Distribution
	for range 100 {
		d.Record(20_000)
	}
	if d.Mean() != 20_000 || d.Max() != 20_000 {
		t.Errorf("mean %v, maximum %v", d.Mean(), d.Max())
	}
}

func TestConcurrentUse(t *testing.T) {
	r := measure.NewRecorder(twoOps, 2)
	var workers sync.WaitGroup
	for i := range 4 {
		workers.Go(func() {
			for n := range 2000 {
				at := time.Duration(n) * time.Millisecond
				r.Plan(i%2, at, true)
				r.Record(i, &measure.Sample{Op: i % 2, Measured: true, Intended: at, Sent: at, Done: at + 5*time.Millisecond, Outcome: measure.Failed, Reason: "x"})
			}
		})
	}
	var rows []measure.Row
	for i := range 20 {
		rows = append(rows, r.Flush(time.Duration(i)).Rows...)
	}
	workers.Wait()
	rows = append(rows, r.Flush(time.Minute).Rows...)
	var all measure.Row
	for _, row := range rows {
		all.Add(&row)
	}
	if all.Planned != 8000 || all.Failed != 8000 || all.Reasons["failed x"] != 8000 {
		t.Errorf("lost samples: %+v", all)
	}
}

// steady returns a recorder in its steady state and a function that records one
// request: every call a later one, of an error every fourth time.
func steady() (*measure.Recorder, func()) {
	r := measure.NewRecorder(twoOps, 2)
	var n int
	record := func() {
		n++
		at := time.Duration(n) * time.Millisecond
		s := measure.Sample{Op: n & 1, Measured: true, Intended: at, Sent: at + 50*time.Microsecond, Done: at + 30*time.Millisecond, Tokens: 3}
		if n&3 == 0 {
			s.Outcome, s.Reason = measure.Failed, "Lambda:Unhandled"
		}
		r.Plan(s.Op, s.Intended, true)
		r.Record(n>>1, &s)
	}
	for i := range 5 {
		for range 8000 {
			record()
		}
		r.Flush(time.Duration(i) * time.Second)
	}
	return r, record
}

func TestRecordDoesNotAllocate(t *testing.T) {
	_, record := steady()
	if n := testing.AllocsPerRun(5000, record); n != 0 {
		t.Errorf("%v allocations per request, want 0", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	r := measure.NewRecorder(twoOps, 1)
	s := measure.Sample{Measured: true, Intended: time.Second, Sent: time.Second + 50*time.Microsecond, Done: time.Second + 30*time.Millisecond, Tokens: measure.NoTokens}
	b.ReportAllocs()
	for b.Loop() {
		r.Record(0, &s)
	}
}

func BenchmarkPlanAndRecord(b *testing.B) {
	_, record := steady()
	b.ReportAllocs()
	for b.Loop() {
		record()
	}
}

func BenchmarkFlush(b *testing.B) {
	r, record := steady()
	b.ReportAllocs()
	for b.Loop() {
		for range 100 {
			record()
		}
		r.Flush(0)
	}
}

// A day needs no more memory than a minute: what a second leaves is merged when
// it is over and used again. How many requests a second had doesn't matter to it.
func TestDayInConstantMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("a day takes many minutes under the race detector, and is of one goroutine")
	}
	rec := measure.NewRecorder([]measure.Operation{{Load: "l", Name: "a"}, {Load: "l", Name: "b"}}, 2)
	rng := rand.New(rand.NewPCG(1, 1))
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var minute int64
	for second := range 24 * 3600 {
		at := time.Duration(second) * time.Second
		for i := range 10 {
			intended := at + time.Duration(i)*100*time.Millisecond
			lasts := time.Duration(rng.ExpFloat64() * 80e6)
			rec.Plan(i%2, intended, true)
			rec.Record(i%2, &measure.Sample{Op: i % 2, Measured: true, Intended: intended, Sent: intended, Done: intended + lasts, Tokens: 200, BytesIn: 1000})
		}
		rec.Flush(at + time.Second)
		if second == 60 {
			minute = heap()
		}
	}
	if day := heap(); day > minute+256<<10 {
		t.Errorf("%d bytes after a minute, %d after a day", minute, day)
	}
}
