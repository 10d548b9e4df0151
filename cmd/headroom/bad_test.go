package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every bad scenario ends with exit code 104, each of its faults on a line with
// file, line and column, and leaves nothing behind: nothing was sent.
func TestBadScenarios(t *testing.T) {
	bad, err := filepath.Abs(filepath.Join("..", "..", "testdata", "scenarios", "bad"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	err = filepath.WalkDir(bad, func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(file) == ".yaml" {
			files = append(files, file)
		}
		return err
	})
	if err != nil || len(files) < 40 {
		t.Fatalf("%d bad files, %v", len(files), err)
	}
	t.Chdir(t.TempDir())
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, bytes.Repeat([]byte("# 5 MB of nothing\n"), 5<<20/18), 0o644); err != nil {
		t.Fatal(err)
	}
	files = append(files, large)
	at := regexp.MustCompile(`(?m)^\S+:\d+:\d+: `)
	for _, file := range files {
		t.Run(strings.TrimPrefix(file, bad+"/"), func(t *testing.T) {
			var out, faults bytes.Buffer
			a := app{stdin: strings.NewReader(""), stdout: &out, stderr: &faults, env: func(string) (string, bool) { return "", false }}
			if code := run(context.Background(), []string{"run", file}, a); code != exitInput {
				t.Errorf("exit code %d:\n%s", code, faults.String())
			}
			if !at.Match(faults.Bytes()) || out.Len() > 0 {
				t.Errorf("output %q, faults:\n%s", out.String(), faults.String())
			}
		})
	}
	if left, _ := os.ReadDir("."); len(left) > 0 {
		t.Errorf("something was written: %v", left)
	}
}
