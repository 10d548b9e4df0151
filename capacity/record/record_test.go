package record

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

var start = time.Date(2026, 11, 21, 22, 0, 30, 0, time.UTC)

// write leaves a small finished record and returns its folder.
func write(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	m := capacity.Manifest{ID: "launch-1", Kind: capacity.Measured, State: capacity.Running, Start: start}
	w, err := Create(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	rec := measure.NewRecorder([]measure.Operation{{Load: "viewers", Name: "list"}}, 1)
	for i := range 30 {
		at := time.Duration(i) * 100 * time.Millisecond
		rec.Plan(0, at, true)
		rec.Record(0, &measure.Sample{Measured: true, Intended: at, Sent: at + time.Millisecond, Done: at + 20*time.Millisecond, Tokens: 200, BytesIn: 1000})
		if i%10 == 9 {
			flush := time.Duration(i/10+1) * time.Second
			cpu := measure.Series{
				Source: "generator", Metric: "cpu", Statistic: "Average", Period: time.Second,
				Points: measure.PointsOf(measure.Point{At: start.Add(flush), Value: 0.25}),
			}
			if err := errors.Join(w.Window(rec.Flush(flush)), w.Series(cpu)); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.State, m.End = capacity.Complete, start.Add(3*time.Second)
	if err := errors.Join(w.Event(capacity.Event{At: 1, Kind: "stage", Text: "viewers: steady"}), w.Finish(m)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRoundTrip(t *testing.T) {
	run, err := Read(write(t))
	if err != nil {
		t.Fatal(err)
	}
	if run.Damage != nil {
		t.Errorf("damage: %v", run.Damage)
	}
	var sent, tokens, n int64
	for r := range run.Rows.All() {
		sent += r.Sent
		tokens += r.TokensDone
	}
	for _, iv := range run.Latency {
		if iv.Kind == measure.ResponseTimes {
			n += iv.Histogram.TotalCount()
		}
	}
	if sent != 30 || tokens != 6000 || n != 30 {
		t.Errorf("sent %d, tokens %d, response times %d; want 30, 6000, 30", sent, tokens, n)
	}
	if len(run.Series) != 1 || run.Series[0].Points.Len() != 3 {
		t.Errorf("the parts of a series did not join: %+v", run.Series)
	}
	if len(run.Events) != 1 || run.Manifest.State != capacity.Complete || run.Manifest.ID != "launch-1" {
		t.Errorf("events %+v, manifest %+v", run.Events, run.Manifest)
	}
}

// A record that was cut anywhere in any file is read, its whole lines
// counted and no more, and the cut is reported.
func TestCutAnywhere(t *testing.T) {
	dir := write(t)
	whole, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{windowsFile, latencyFile, metricsFile, eventsFile} {
		path := filepath.Join(dir, name)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// Every byte of a histogram log is cut at in package measure's own test.
		step := max(1, len(content)/150)
		for n := 0; n < len(content); n += step {
			if err := os.WriteFile(path, content[:n], 0o644); err != nil {
				t.Fatal(err)
			}
			run, err := Read(dir)
			if err != nil {
				t.Fatalf("%s cut at %d: %v", name, n, err)
			}
			if len(run.Damage) == 0 {
				t.Fatalf("%s cut at %d is called whole", name, n)
			}
			if len(run.Rows.Slice()) > len(whole.Rows.Slice()) || len(run.Latency) > len(whole.Latency) || len(run.Events) > len(whole.Events) {
				t.Fatalf("%s cut at %d holds more than the whole", name, n)
			}
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Read(dir)
	if err != nil || cmp.Diff(whole.Rows.Slice(), again.Rows.Slice()) != "" || again.Damage != nil {
		t.Errorf("the restored record differs: %v %v", err, again.Damage)
	}
}

// The histograms of a long run are merged as they are read: nothing is lost,
// and what is kept stays bounded, in steps of equal length.
func TestLongRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := Create(dir, capacity.Manifest{State: capacity.Running, Start: start, Loads: []capacity.Load{{Operations: make([]capacity.Operation, 100)}}})
	if err != nil {
		t.Fatal(err)
	}
	rec := measure.NewRecorder([]measure.Operation{{Load: "viewers", Name: "list"}}, 1)
	const seconds, step = 50, 8 // of 7 steps at most
	for i := range seconds {
		at := time.Duration(i) * time.Second
		rec.Plan(0, at, true)
		rec.Record(0, &measure.Sample{Measured: true, Intended: at, Sent: at, Done: at + time.Duration(i)*time.Millisecond, Tokens: measure.NoTokens})
		if err := w.Window(rec.Flush(at + time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(capacity.Manifest{State: capacity.Complete, Start: start, Loads: []capacity.Load{{Operations: make([]capacity.Operation, 100)}}}); err != nil {
		t.Fatal(err)
	}
	run, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	kept, n := map[string]int{}, map[string]int64{}
	var end time.Duration
	for _, iv := range run.Latency {
		kept[iv.Kind]++
		n[iv.Kind] += iv.Histogram.TotalCount()
		if iv.Kind == measure.ResponseTimes {
			if iv.Start < end {
				t.Errorf("intervals overlap: one begins at %s, the one before ends at %s", iv.Start, end)
			}
			if length := iv.End - iv.Start; length != step*time.Second && iv.End != seconds*time.Second {
				t.Errorf("a step from %s lasts %s", iv.Start, length)
			}
			end = iv.End
		}
	}
	if kept[measure.ResponseTimes] > 7 || kept[measure.Lags] != 1 || n[measure.ResponseTimes] != seconds || n[measure.Lags] != seconds || end != seconds*time.Second {
		t.Errorf("kept %v, counted %v, to %s", kept, n, end)
	}
}

func TestChangedByte(t *testing.T) {
	dir := write(t)
	path := filepath.Join(dir, windowsFile)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(content), `"sent":10`, `"sent":11`, 1)
	if changed == string(content) {
		t.Fatal("nothing to change")
	}
	if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	run, err := Read(dir)
	if err != nil || len(run.Damage) != 1 || !strings.Contains(run.Damage[0], "SHA-256") {
		t.Errorf("damage %v, error %v", run.Damage, err)
	}
}

// Any changed bit of the manifest is found: in what it says, in the sums and in
// their names. One without a sum of itself, as records of before have it, is read.
func TestChangedManifest(t *testing.T) {
	dir := write(t)
	path := filepath.Join(dir, manifestFile)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range content {
		for _, bit := range []byte{1, 32} {
			changed := bytes.Clone(content)
			changed[at] ^= bit
			if err := os.WriteFile(path, changed, 0o644); err != nil {
				t.Fatal(err)
			}
			if run, err := Read(dir); err == nil && len(run.Damage) == 0 {
				t.Fatalf("byte %d changed, and the record is called whole:\n%s", at, changed)
			}
		}
	}
	own := regexp.MustCompile(`(?s)\s*"manifest.json": \{[^}]*\},`)
	before := own.ReplaceAll(content, nil)
	if bytes.Equal(before, content) {
		t.Fatal("the manifest has no sum of itself")
	}
	if err := os.WriteFile(path, before, 0o644); err != nil {
		t.Fatal(err)
	}
	if run, err := Read(dir); err != nil || len(run.Damage) > 0 || run.Manifest.ID != "launch-1" {
		t.Errorf("a record without a sum of its manifest: %v, %+v", err, run)
	}
}

// The manifest of a run that goes on has a sum too, and no end.
func TestCutOff(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := Create(dir, capacity.Manifest{State: capacity.Running, Start: start})
	if err != nil {
		t.Fatal(err)
	}
	rec := measure.NewRecorder([]measure.Operation{{Load: "viewers", Name: "list"}}, 1)
	rec.Plan(0, 2500*time.Millisecond, true)
	if err := errors.Join(w.Window(rec.Flush(3*time.Second)), w.close()); err != nil {
		t.Fatal(err)
	}
	run, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Damage) != 1 || !run.Manifest.End.IsZero() || run.Length() != 3 {
		t.Errorf("damage %v, end %s, %g s long", run.Damage, run.Manifest.End, run.Length())
	}
	content, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil || bytes.Contains(content, []byte(`"end"`)) || !bytes.Contains(content, []byte(manifestFile)) {
		t.Errorf("%v: %s", err, content)
	}
}

// A folder with a record is replaced, files of the user's in it stay; a folder
// with anything else is refused and untouched.
func TestCreateReplacesOnlyRecords(t *testing.T) {
	dir := write(t)
	mine := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(mine, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	w, err := Create(dir, capacity.Manifest{State: capacity.Running, Start: start})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(capacity.Manifest{State: capacity.Complete, Start: start}); err != nil {
		t.Fatal(err)
	}
	run, err := Read(dir)
	if err != nil || len(run.Rows.Slice()) != 0 {
		t.Errorf("rows of the replaced run are still there: %v %v", run.Rows.Slice(), err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}

	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "thesis.md"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(other, capacity.Manifest{}); !errors.Is(err, ErrNotARecord) {
		t.Errorf("got %v, want ErrNotARecord", err)
	}
	if entries, _ := os.ReadDir(other); len(entries) != 1 {
		t.Errorf("the refused folder was changed: %v", entries)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, content := range map[string]string{
		"no manifest":    "",
		"not JSON":       "{",
		"another schema": `{"schema":"headroom.record/9"}`,
	} {
		dir := t.TempDir()
		if content != "" {
			if err := os.WriteFile(filepath.Join(dir, manifestFile), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Read(dir); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func TestID(t *testing.T) {
	if got := ID("Launch day / Tokyo", start); got != "Launch-day---Tokyo-20261121-220030" {
		t.Error(got)
	}
	if got := ID("../..", start); strings.ContainsAny(got, "/") || strings.HasPrefix(got, ".") {
		t.Error(got)
	}
}
