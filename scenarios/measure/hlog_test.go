package measure

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"io"
	"slices"
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
	var e LogEncoder
	for i, op := range []string{"listPrograms", "a,b c/d\n"} {
		h := hdrhistogram.NewPacked(1, 1_000_000, 3)
		for v := range int64(100) {
			if err := h.RecordValue(1 + v*int64(i+1)); err != nil {
				t.Fatal(err)
			}
		}
		iv := Interval{Load: "viewers", Operation: op, Kind: ResponseTimes, Start: time.Duration(i) * time.Second, End: time.Duration(i+1) * time.Second, Histogram: h, Max: 1 + 99*int64(i+1)}
		intervals = append(intervals, iv)
		line, err := e.Append(nil, iv)
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
		if got, want := buckets(g.Histogram), buckets(w.Histogram); !slices.Equal(got, want) || g.Histogram.HighestTrackableValue() != w.Histogram.HighestTrackableValue() {
			t.Errorf("interval %d: %v came back of %v", i, got, want)
		}
	}
}

// buckets returns the values of a histogram, each with its count.
func buckets(h *hdrhistogram.PackedHistogram) (all [][2]int64) {
	for v, n := range h.ForEachBucket {
		all = append(all, [2]int64{v, n})
	}
	return all
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

// The encoder's lines are those of the library's own encoder, and it makes them
// without a megabyte of garbage each.
func TestLogEncoder(t *testing.T) {
	var e LogEncoder
	var d logDecoder
	for _, values := range [][]int64{nil, {0}, {1}, {0, 0, 3}, {2047, 2048, 4097, 1_000_000}, {highest}, {5, 5, 5, 90_000, 90_001, highest}} {
		h := hdrhistogram.New(1, highest, digits)
		for _, v := range values {
			if err := h.RecordValues(v, 1+v%1000*1_000_000); err != nil {
				t.Fatal(err)
			}
		}
		packed := hdrhistogram.NewPacked(1, highest, digits)
		packed.MergeFrom(h)
		if err := e.encode(packed); err != nil {
			t.Fatal(err)
		}
		theirs, err := h.EncodeV2()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := inflated(t, e.sealed), inflated(t, unbase64(t, theirs)); !bytes.Equal(got, want) {
			t.Errorf("%v: encoded as\n%x, by the library\n%x", values, got, want)
		}
		ours := base64.StdEncoding.EncodeToString(e.sealed)
		back, err := hdrhistogram.Decode([]byte(ours))
		if err != nil || !back.Equals(h) {
			t.Errorf("%v: another histogram came back, %v", values, err)
		}
		for _, text := range []string{ours, string(theirs)} {
			read, err := d.histogram(text)
			if err != nil || !slices.Equal(buckets(read), buckets(packed)) || read.HighestTrackableValue() != highest {
				t.Errorf("%v: read as %v, %v", values, read, err)
			}
		}
	}
}

func unbase64(t *testing.T, text []byte) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// inflated returns the cookie of an encoded histogram and what was compressed.
func inflated(t *testing.T, sealed []byte) []byte {
	t.Helper()
	z, err := zlib.NewReader(bytes.NewReader(sealed[8:]))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return append(sealed[:4:4], plain...)
}

// BenchmarkLogEncoder encodes the times of a second with 5,000 requests.
func BenchmarkLogEncoder(b *testing.B) {
	h := hdrhistogram.New(1, highest, digits)
	for i := range int64(5000) {
		_ = h.RecordValue(500 + i*i%1500)
	}
	iv := Interval{Load: "viewers", Operation: "listPrograms", Kind: ResponseTimes, End: time.Second, Histogram: hdrhistogram.NewPacked(1, highest, digits)}
	iv.Histogram.MergeFrom(h)
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		var e LogEncoder
		var line []byte
		for b.Loop() {
			line, _ = e.Append(line[:0], iv)
		}
		b.ReportMetric(float64(len(line)), "bytes")
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		var line []byte
		for b.Loop() {
			line, _ = h.EncodeV2()
		}
		b.ReportMetric(float64(len(line)), "bytes")
	})
}

// BenchmarkReadLog reads the times of a second with 5,000 requests.
func BenchmarkReadLog(b *testing.B) {
	var d Distribution
	for i := range int64(5000) {
		d.Record(500 + i*i%1500)
	}
	var e LogEncoder
	line, err := e.Append(nil, d.Interval("viewers", "listPrograms", ResponseTimes, 0, time.Second))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var decoder logDecoder
	for b.Loop() {
		if _, err := decoder.interval(string(line)); err != nil {
			b.Fatal(err)
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
		// What is read, the library reads as the same.
		var d logDecoder
		for line := range strings.Lines(string(log)) {
			iv, err := d.interval(line)
			if err != nil {
				continue
			}
			theirs, err := hdrhistogram.DecodePacked([]byte(line[strings.LastIndexByte(line, ',')+1 : len(line)-1]))
			if err != nil || !slices.Equal(buckets(theirs), buckets(iv.Histogram)) || theirs.TotalCount() != iv.Histogram.TotalCount() {
				t.Fatalf("%q: %v by the library, %v: not %v", line, theirs, err, iv.Histogram)
			}
		}
	})
}
