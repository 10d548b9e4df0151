// Package record is the room of the run on disk: one folder that holds all
// that reports, comparisons and what-ifs need, readable at any moment.
//
//	manifest.json   what was settled before the first byte, and how the run ended
//	windows.ndjson  counters, a line for each second and operation; lines add up
//	latency.hlog    histograms, in the HdrHistogram log format
//	metrics.ndjson  series from the cloud and of the generator; points of equal series join
//	events.ndjson   what happened when
//
// Files are only appended to, in whole lines, and each line stands for itself,
// so a record that was cut off anywhere can be read up to the cut. What a long one
// has of each second lies in a temporary file once it is read (measure.Shelf). A finished
// manifest carries every file's length and SHA-256, and every manifest its own
// SHA-256, taken while zeros stand in its place; Read compares them and says in
// Run.Damage what does not fit. Records of before have no sum of the manifest.
package record

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// Schema is the format that this package writes and the only one it reads.
const Schema = "headroom.record/1"

const (
	manifestFile = "manifest.json"
	windowsFile  = "windows.ndjson"
	latencyFile  = "latency.hlog"
	metricsFile  = "metrics.ndjson"
	eventsFile   = "events.ndjson"
)

// Files lists the names of a record's files, in the order in which a reader needs
// them.
func Files() []string {
	return []string{manifestFile, windowsFile, latencyFile, metricsFile, eventsFile}
}

// ours lists what a record's folder may hold: the record and what is rebuilt
// from it.
var ours = []string{
	manifestFile, windowsFile, latencyFile, metricsFile, eventsFile,
	"report.json", "report.md", "report.html", "junit.xml", "plots",
}

// ErrNotARecord says that a folder holds something that is no record and must
// not be replaced.
var ErrNotARecord = errors.New("folder is not empty and holds no headroom record")

// manifest is manifest.json: the run's manifest and the sums of its files.
type manifest struct {
	capacity.Manifest
	Files map[string]sum `json:"files,omitempty"`
}

// sum is of one file; of the manifest there is no length.
type sum struct {
	Bytes  int64  `json:"bytes,omitempty"`
	SHA256 string `json:"sha256"`
}

// unsummed stands in a manifest for its own sum while that is taken.
var unsummed = strings.Repeat("0", 2*sha256.Size)

func sumOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// Writer appends to the record of a run that goes on. It is not safe for
// concurrent use.
type Writer struct {
	dir     string
	files   map[string]*file
	latency measure.LogEncoder
}

type file struct {
	*os.File
	hash  hash.Hash
	bytes int64
}

// Write appends whole lines.
func (f *file) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	f.hash.Write(b[:n])
	f.bytes += int64(n)
	return n, err
}

// Check reports whether Create would accept the folder: one that is missing,
// empty or holds a record. Its error wraps ErrNotARecord otherwise.
func Check(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, _, err := readManifest(dir); err != nil {
		return fmt.Errorf("%s: %w", dir, ErrNotARecord)
	}
	return nil
}

// Create begins the record of a run in dir. It replaces a record that is there
// already, and leaves other files of that folder alone.
func Create(dir string, m capacity.Manifest) (*Writer, error) {
	if err := Check(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, name := range ours {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	w := &Writer{dir: dir, files: map[string]*file{}}
	for _, name := range []string{windowsFile, latencyFile, metricsFile, eventsFile} {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.files[name] = &file{File: f, hash: sha256.New()}
	}
	m.Schema = Schema
	if err := errors.Join(w.Manifest(m), measure.WriteLogHeader(w.files[latencyFile], m.Start)); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// Save writes the record of a run that is whole already, such as a simulated
// one, into dir.
func Save(dir string, run *capacity.Run) error {
	w, err := Create(dir, run.Manifest)
	if err != nil {
		return err
	}
	err = errors.Join(
		w.Window(measure.Window{Intervals: run.Latency}),
		appendLines(w.files[windowsFile], run.Rows.All()),
		w.Series(run.Series...),
		w.Event(run.Events...))
	return errors.Join(err, w.Finish(run.Manifest))
}

// Manifest replaces the manifest of a run that goes on.
func (w *Writer) Manifest(m capacity.Manifest) error {
	m.Schema = Schema
	return w.writeManifest(manifest{Manifest: m, Files: map[string]sum{}})
}

// Window appends what a Recorder flushed.
func (w *Writer) Window(win measure.Window) error {
	var log []byte
	for _, iv := range win.Intervals {
		var err error
		if log, err = w.latency.Append(log, iv); err != nil {
			return err
		}
	}
	_, err := w.files[latencyFile].Write(log)
	return errors.Join(appendLines(w.files[windowsFile], measure.Each(win.Rows)), err)
}

// Series appends series; points of a series that is there already join it.
func (w *Writer) Series(series ...measure.Series) error {
	return appendLines(w.files[metricsFile], slices.Values(series))
}

// Event appends events.
func (w *Writer) Event(events ...capacity.Event) error {
	return appendLines(w.files[eventsFile], slices.Values(events))
}

// Finish writes the manifest of a run that has ended, with the sums of all
// files, and closes the record.
func (w *Writer) Finish(m capacity.Manifest) error {
	m.Schema = Schema
	done := manifest{Manifest: m, Files: map[string]sum{}}
	for name, f := range w.files {
		if err := f.Sync(); err != nil {
			return errors.Join(err, w.close())
		}
		done.Files[name] = sum{Bytes: f.bytes, SHA256: hex.EncodeToString(f.hash.Sum(nil))}
	}
	return errors.Join(w.close(), w.writeManifest(done))
}

func (w *Writer) close() error {
	var errs []error
	for _, f := range w.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

func (w *Writer) writeManifest(m manifest) error {
	m.Files[manifestFile] = sum{SHA256: unsummed}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	copy(b[bytes.LastIndex(b, []byte(unsummed)):], sumOf(b)) // sums stand at the end
	path := filepath.Join(w.dir, manifestFile)
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// appendLines writes values, so many whole lines at a time as make wholeLines bytes.
func appendLines[T any](w io.Writer, values iter.Seq[T]) error {
	const wholeLines = 1 << 16
	var lines bytes.Buffer
	out := json.NewEncoder(&lines)
	out.SetEscapeHTML(false)
	for v := range values {
		if err := out.Encode(v); err != nil {
			return err
		}
		if lines.Len() >= wholeLines {
			if _, err := lines.WriteTo(w); err != nil {
				return err
			}
		}
	}
	_, err := lines.WriteTo(w)
	return err
}

// Read reads the record in dir, whether it is finished, goes on or was cut off.
// Its error says that there is no record, or one of another schema; anything
// else that is wrong with it stands in Run.Damage.
func Read(dir string) (*capacity.Run, error) {
	m, raw, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	r := reader{dir: dir, run: &capacity.Run{Manifest: m.Manifest}, sums: m.Files, shelf: new(measure.Shelf)}
	r.manifest(raw)
	r.rows()
	r.series()
	lines(&r, eventsFile, func(e capacity.Event) { r.run.Events = append(r.run.Events, e) })
	r.latency()
	if m.State == capacity.Running {
		r.damaged("the run was cut off before it ended")
	}
	return r.run, nil
}

// Manifest reads only the manifest of the record in dir.
func Manifest(dir string) (capacity.Manifest, error) {
	m, _, err := readManifest(dir)
	return m.Manifest, err
}

// readManifest returns the manifest and the bytes that it was read from.
func readManifest(dir string) (m manifest, raw []byte, err error) {
	path := filepath.Join(dir, manifestFile)
	raw, err = os.ReadFile(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s: no headroom record there (no %s)", dir, manifestFile)
		}
		return manifest{}, nil, err
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return manifest{}, nil, fmt.Errorf("%s: not a manifest: %w", path, err)
	}
	if m.Schema != Schema {
		return manifest{}, nil, fmt.Errorf("%s: schema %q is not %q", path, m.Schema, Schema)
	}
	return m, raw, nil
}

// reader collects a record's parts and what is wrong with them.
type reader struct {
	dir  string
	run  *capacity.Run
	sums map[string]sum
	// shelf has the run's rows and points together.
	shelf *measure.Shelf
}

func (r *reader) damaged(format string, args ...any) {
	r.run.Damage = append(r.run.Damage, fmt.Sprintf(format, args...))
}

// manifest compares the manifest with its own sum. A name of a file that no record
// of this program has is of a later one's, or was changed.
func (r *reader) manifest(raw []byte) {
	if own, ok := r.sums[manifestFile]; ok {
		at := bytes.LastIndex(raw, []byte(own.SHA256))
		zeroed := bytes.Clone(raw)
		copy(zeroed[max(at, 0):], unsummed)
		if len(own.SHA256) != len(unsummed) || sumOf(zeroed) != own.SHA256 {
			r.damaged("%s is not as it was written: its SHA-256 differs from its own", manifestFile)
		}
	}
	for _, name := range Files()[1:] {
		if _, ok := r.sums[name]; !ok && r.run.Manifest.State != capacity.Running {
			r.damaged("%s has no sum of %s", manifestFile, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.sums)) {
		if !slices.Contains(Files(), name) {
			r.read(name, func(io.Reader) (int, error) { return 0, nil })
		}
	}
}

// read hands the file to parse, which returns how many lines it could not use.
func (r *reader) read(name string, parse func(io.Reader) (int, error)) {
	f, err := os.Open(filepath.Join(r.dir, name))
	if err != nil {
		r.damaged("%s can't be read", name)
		return
	}
	defer f.Close()
	h := sha256.New()
	in := io.TeeReader(f, h)
	bad, err := parse(in)
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	if err != nil {
		r.damaged("%s can't be read to its end: %v", name, err)
	}
	if bad > 0 {
		r.damaged("%s: %d lines can't be read", name, bad)
	}
	if want, ok := r.sums[name]; ok && hex.EncodeToString(h.Sum(nil)) != want.SHA256 {
		r.damaged("%s is not as it was written: its SHA-256 differs from the manifest's", name)
	}
}

// latencySteps bounds how many steps of response times are kept apart, over all
// operations; each takes a few kilobytes.
const latencySteps = 720

// latency reads the histograms. Response times stay apart by time, in longer
// steps the longer the run was; the others are merged over the whole run.
func (r *reader) latency() {
	operations := 0
	for _, l := range r.run.Manifest.Loads {
		operations += len(l.Operations)
	}
	most := max(latencySteps/max(operations, 1), 2)
	type key struct{ load, operation, kind string }
	merged := map[key]*steps{}
	var order []key
	r.read(latencyFile, func(in io.Reader) (bad int, err error) {
		return measure.ReadLog(in, func(iv measure.Interval) {
			k := key{iv.Load, iv.Operation, iv.Kind}
			s := merged[k]
			if s == nil {
				s = &steps{most: 1, whole: 1}
				if iv.Kind == measure.ResponseTimes {
					s.most = most
				}
				merged[k] = s
				order = append(order, k)
			}
			s.add(iv)
		})
	})
	for _, k := range order {
		r.run.Latency = append(r.run.Latency, merged[k].of...)
	}
}

// steps are at most so many of equal length, of as many intervals as that takes.
type steps struct {
	of    []measure.Interval
	most  int
	whole int // intervals in a step
	last  int // intervals in the last step
}

// add adds the interval that follows the others.
func (s *steps) add(iv measure.Interval) {
	if s.last == s.whole && len(s.of) == s.most {
		half := s.of[:0]
		for i, step := range s.of {
			if i%2 == 0 {
				half = append(half, step)
			} else {
				half[i/2].Merge(step)
				half[i/2].Histogram.Compact()
			}
		}
		clear(s.of[len(half):]) // their histograms take memory
		if s.last = 2 * s.whole; len(s.of)%2 == 1 {
			s.last = s.whole
		}
		s.of, s.whole = half, 2*s.whole
	}
	if n := len(s.of); n > 0 && s.last < s.whole {
		s.of[n-1].Merge(iv)
		if s.last++; s.last == s.whole {
			s.of[n-1].Histogram.Compact()
		}
		return
	}
	s.of, s.last = append(s.of, iv), 1
}

// rows reads the counters. A second has a line for each flush in which something
// of it was counted: they are added up as they come.
func (r *reader) rows() {
	r.run.Rows = measure.RowsOn(r.shelf)
	lines(r, windowsFile, func(row measure.Row) { r.run.Rows.Add(&row) })
}

// lines calls each with the values of a file of one JSON value a line.
func lines[T any](r *reader, name string, each func(T)) {
	r.lines(name, func(line []byte) bool {
		var v T
		if json.Unmarshal(line, &v) != nil {
			return false
		}
		each(v)
		return true
	})
}

// lines calls use with the lines of a file, which reports whether it could use one
// and keeps none. A line without its end is one that was cut.
func (r *reader) lines(name string, use func(line []byte) bool) {
	r.read(name, func(in io.Reader) (bad int, err error) {
		buf := bufio.NewReaderSize(in, 1<<16)
		var line []byte
		for {
			part, err := buf.ReadSlice('\n')
			line = append(line, part...)
			if err == bufio.ErrBufferFull {
				continue
			}
			if len(line) > 0 && (err != nil || !use(line)) {
				bad++
			}
			line = line[:0]
			if err == io.EOF {
				return bad, nil
			}
			if err != nil {
				return bad, err
			}
		}
	})
}

// series reads the series and puts the points of equal ones together, ordered by
// time. A long run has millions of lines that begin alike: what comes before the
// points of a line is read once.
func (r *reader) series() {
	var all []measure.Series
	index := map[string]int{} // by all but their points
	heads := map[string]int{} // by the text before the points, which end the line
	r.lines(metricsFile, func(line []byte) bool {
		head, tail, _ := bytes.Cut(line, []byte(`"points":`))
		var points []measure.Point
		array, closed := bytes.CutSuffix(bytes.TrimSpace(tail), []byte("}"))
		alone := closed && json.Unmarshal(array, &points) == nil
		if i, known := heads[string(head)]; known && alone {
			for _, p := range points {
				all[i].Points.Add(p)
			}
			return true
		}
		var s measure.Series
		if json.Unmarshal(line, &s) != nil {
			return false
		}
		of := s.Points
		s.Points = measure.PointsOn(r.shelf)
		id, err := json.Marshal(s)
		if err != nil {
			return false
		}
		i, ok := index[string(id)]
		if !ok {
			i = len(all)
			index[string(id)] = i
			all = append(all, s)
		}
		if alone {
			heads[string(head)] = i
		}
		for p := range of.All() {
			all[i].Points.Add(p)
		}
		return true
	})
	for i := range all {
		all[i].Points.SortByTime()
	}
	r.run.Series = all
}

// ID names a run by its scenario and start: "premiere-20261121-220501".
func ID(scenario string, start time.Time) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, scenario)
	return strings.Trim(name, ".-") + "-" + start.UTC().Format("20060102-150405")
}
