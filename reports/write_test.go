package reports_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/reports"
	"github.com/headroom-load/headroom/reports/plot"
)

func TestWrite(t *testing.T) {
	run, a := premiere()
	dir := filepath.Join(t.TempDir(), "runs", "before")
	if _, err := reports.Write(dir, run, a); err != nil {
		t.Fatal(err)
	}
	first := files(t, dir)
	want := []string{"junit.xml", "report.html", "report.json", "report.md"}
	for _, f := range plot.Figures(run, a) {
		want = append(want, "plots/"+f.Name+".png", "plots/"+f.Name+".svg")
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(string(page), -1) {
		if !slices.Contains(first, m[1]) {
			t.Errorf("report.md refers to %s, which is not there", m[1])
		}
	}
	again, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	// The same run gives the same bytes, and figures that are gone go.
	if _, err := reports.Write(dir, run, a); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(filepath.Join(dir, "report.html")); err != nil || !bytes.Equal(now, again) {
		t.Errorf("a second report differs (%v)", err)
	}
	a.Quotas = a.Quotas[:1]
	if _, err := reports.Write(dir, run, a); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); slices.Contains(got, "plots/use-lambda.concurrency.png") || len(got) != len(first)-4 {
		t.Errorf("after a report without Lambda: %v", got)
	}
}

func TestWriteFails(t *testing.T) {
	run, a := premiere()
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := reports.Write(blocked, run, a); err == nil {
		t.Error("no error where the folder is a file")
	}
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
