package measure

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	hdrhistogram "github.com/HdrHistogram/hdrhistogram-go"
)

func sampleLog(t testing.TB) ([]Interval, []byte) {
	t.Helper()
	var log bytes.Buffer
	if err := WriteLogHeader(&log, time.Date(2026, 11, 21, 22, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	var intervals []Interval
	for i, op := range []string{"listPrograms", "a,b c/d\n"} {
		h := hdrhistogram.New(1, 1_000_000, 3)
		for v := range int64(100) {
			if err := h.RecordValue(1 + v*int64(i+1)); err != nil {
				t.Fatal(err)
			}
		}
		iv := Interval{Load: "viewers", Operation: op, Kind: ResponseTimes, Start: time.Duration(i) * time.Second, End: time.Duration(i+1) * time.Second, Histogram: h, Max: 1 + 99*int64(i+1)}
		intervals = append(intervals, iv)
		line, err := AppendLog(nil, iv)
		if err != nil {
			t.Fatal(err)
		}
		log.Write(line)
	}
	return intervals, log.Bytes()
}

func readLog(r io.Reader) (intervals []Interval, damaged int, err error) {
	damaged, err = ReadLog(r, func(iv Interval) { intervals = append(intervals, iv) })
	return intervals, damaged, err
}

func TestLogRoundTrip(t *testing.T) {
	want, log := sampleLog(t)
	got, damaged, err := readLog(bytes.NewReader(log))
	if err != nil || damaged != 0 || len(got) != len(want) {
		t.Fatalf("got %d intervals, %d damaged, %v", len(got), damaged, err)
	}
	for i, w := range want {
		g := got[i]
		if g.Load != w.Load || g.Operation != w.Operation || g.Kind != w.Kind || g.Start != w.Start || g.End != w.End || g.Max != w.Max {
			t.Errorf("interval %d: got %+v, want %+v", i, g, w)
		}
		if !g.Histogram.Equals(w.Histogram) {
			t.Errorf("interval %d: another histogram came back", i)
		}
	}
}

// A log that was cut at any byte gives its whole lines and never more.
func TestLogCutAnywhere(t *testing.T) {
	_, log := sampleLog(t)
	for n := range log {
		got, _, err := readLog(bytes.NewReader(log[:n]))
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if whole := strings.Count(string(log[:n]), "\n") - 3; len(got) != max(whole, 0) {
			t.Fatalf("cut at %d: %d intervals from %d whole lines", n, len(got), whole)
		}
	}
}

// The project's own reader finds the same intervals at the same times.
func TestLogReadByLibrary(t *testing.T) {
	want, log := sampleLog(t)
	r := hdrhistogram.NewHistogramLogReader(bytes.NewReader(log))
	for i, w := range want {
		h, err := r.NextIntervalHistogram()
		if err != nil || h == nil {
			t.Fatalf("interval %d: %v, %v", i, h, err)
		}
		if h.TotalCount() != w.Histogram.TotalCount() || h.Max() != w.Histogram.Max() {
			t.Errorf("interval %d: got n=%d max=%d", i, h.TotalCount(), h.Max())
		}
	}
}

func FuzzReadLog(f *testing.F) {
	_, log := sampleLog(f)
	f.Add(log)
	f.Add([]byte("Tag=response/a/b,0.000,1.000,1.0,HISTFAAA\n"))
	f.Fuzz(func(t *testing.T, log []byte) {
		if _, _, err := readLog(bytes.NewReader(log)); err != nil {
			t.Fatal(err)
		}
	})
}
