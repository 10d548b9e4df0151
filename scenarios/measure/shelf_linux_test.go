package measure_test

import (
	"errors"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// shelved returns rows and points that a shelf can't keep in memory, and what they are.
func shelved() (rows measure.Rows, points measure.Points, wantRows []measure.Row, wantPoints []measure.Point) {
	shelf := new(measure.Shelf)
	rows, points = measure.RowsOn(shelf), measure.PointsOn(shelf)
	for s := range 20_000 {
		row, point := everyField(s), measure.Point{At: time.Unix(int64(s), 7).UTC(), Value: float64(s) / 3}
		rows.Add(&row)
		points.Add(point)
		wantRows, wantPoints = append(wantRows, row), append(wantPoints, point)
	}
	late := everyField(3) // its block is packed, and opened once more
	rows.Add(&late)
	wantRows[3].Add(&late)
	wantRows[3].InFlight = 2 * late.InFlight
	return rows, points, wantRows, wantPoints
}

// unnamed counts the files of shelves that are open.
func unnamed(t *testing.T, dir string) (n int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range open {
		if name, _ := os.Readlink(filepath.Join("/proc/self/fd", f.Name())); strings.HasPrefix(name, dir) && strings.HasSuffix(name, "(deleted)") {
			n++
		}
	}
	return n
}

// TestShelf: rows and points that lie in a file are those that were added, read
// several times at once too; nobody sees the file, and it is closed with the last of
// them.
func TestShelf(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	readShelved(t, dir)
	for range 1000 {
		if runtime.GC(); unnamed(t, dir) == 0 {
			return
		}
	}
	t.Error("the file is open though nobody has it")
}

func readShelved(t *testing.T, dir string) {
	rows, points, wantRows, wantPoints := shelved()
	if n := unnamed(t, dir); n != 1 {
		t.Errorf("%d files are open, want 1", n)
	}
	if named, err := os.ReadDir(dir); err != nil || len(named) > 0 {
		t.Errorf("%v has a name (%v)", named, err)
	}
	same(t, rows, points, wantRows, wantPoints)
	next, stop := iter.Pull(rows.All())
	defer stop()
	i := 0
	for point := range points.All() {
		row, _ := next()
		if point != wantPoints[i] || row.Compare(&wantRows[i]) != 0 || row.BytesIn != wantRows[i].BytesIn {
			t.Fatalf("of second %d: %v and %v", i, point, *row)
		}
		i++
	}
}

// TestShelfWithoutFile: where no file can be made, all stays in memory.
func TestShelfWithoutFile(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	rows, points, wantRows, wantPoints := shelved()
	same(t, rows, points, wantRows, wantPoints)
}

func same(t *testing.T, rows measure.Rows, points measure.Points, wantRows []measure.Row, wantPoints []measure.Point) {
	t.Helper()
	if d := cmp.Diff(wantRows, rows.Slice()); d != "" {
		t.Error(d)
	}
	if !slices.Equal(wantPoints, points.Slice()) {
		t.Error("the points are others")
	}
}

// TestRecovered: what was lost is an error, and any other panic stays one.
func TestRecovered(t *testing.T) {
	recovered := func(panics any) (lost *measure.Lost) {
		defer func() { lost = measure.Recovered(recover()) }()
		if panics != nil {
			panic(panics)
		}
		return nil
	}
	if lost := recovered(&measure.Lost{Err: os.ErrClosed}); lost == nil || !errors.Is(lost, os.ErrClosed) {
		t.Errorf("got %v", lost)
	}
	if lost := recovered(nil); lost != nil {
		t.Errorf("nothing gives %v", lost)
	}
	defer func() {
		if recover() != "other" {
			t.Error("another panic was swallowed")
		}
	}()
	recovered("other")
}
