package reports

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/reports/plot"
)

// Write writes report.html, report.md, report.json, junit.xml and the figures,
// plots/NAME.svg and plots/NAME.png, into dir. Everything is rendered before
// the first file is touched, and each file appears whole or not at all. Figures
// of an earlier report that this one doesn't have are removed. It returns the report
// that it has written.
//
// The run is let go before figures are painted: a long one and its pictures don't
// need memory at once.
func Write(dir string, run *capacity.Run, a capacity.Assessment) (*Report, error) {
	r := New(run, a)
	var json, junit bytes.Buffer
	if err := errors.Join(JSON(&json, run, a), JUnit(&junit, run, a)); err != nil {
		return nil, err
	}
	files, err := r.Pictures()
	if err != nil {
		return nil, err
	}
	var html, markdown bytes.Buffer
	if err := errors.Join(r.HTML(&html), r.Markdown(&markdown)); err != nil {
		return nil, err
	}
	files["report.json"], files["junit.xml"] = json.Bytes(), junit.Bytes()
	files["report.html"], files["report.md"] = html.Bytes(), markdown.Bytes()
	if err := os.MkdirAll(filepath.Join(dir, "plots"), 0o755); err != nil {
		return nil, fmt.Errorf("write the reports: %w", err)
	}
	for name, content := range files {
		if err := replace(filepath.Join(dir, name), content); err != nil {
			return nil, fmt.Errorf("write the reports: %w", err)
		}
	}
	return r, removeOthers(dir, files)
}

// painters is how many figures are painted at once: each takes some megabytes.
const painters = 2

// Pictures renders the report's figures, by their path in the report's folder.
func (r *Report) Pictures() (map[string][]byte, error) {
	var figures []Figure
	for _, s := range r.Sections {
		for _, b := range s.Blocks {
			if f, ok := b.(Figure); ok && f.Missing == "" {
				figures = append(figures, f)
			}
		}
	}
	files := map[string][]byte{}
	var mu sync.Mutex
	var failed []error
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0), painters) {
		wg.Go(func() {
			var canvas plot.Canvas
			for i := next.Add(1) - 1; i < int64(len(figures)); i = next.Add(1) - 1 {
				f := figures[i]
				svg, err := f.SVG()
				png, err2 := canvas.PNG(f.Figure)
				mu.Lock()
				failed = append(failed, err, err2)
				files["plots/"+f.Name+".svg"], files["plots/"+f.Name+".png"] = svg, png
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return files, errors.Join(failed...)
}

// replace writes a file under a temporary name and renames it.
func replace(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".report-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// removeOthers removes figures that are not among files.
func removeOthers(dir string, files map[string][]byte) error {
	plots := filepath.Join(dir, "plots")
	entries, err := os.ReadDir(plots)
	if err != nil {
		return fmt.Errorf("write the reports: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		_, ours := files["plots/"+name]
		if ext := filepath.Ext(name); ours || ext != ".svg" && ext != ".png" {
			continue
		}
		if err := os.Remove(filepath.Join(plots, name)); err != nil {
			return fmt.Errorf("remove a figure of an earlier report: %w", err)
		}
	}
	return nil
}
