package model_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/headroom-load/headroom/capacity/model"
)

var update = flag.Bool("update", false, "rewrite the outcomes of testdata/*.txt")

// Each testdata/*.txt is an example worked by hand: a System, arrivals ("0s get
// x3") and what becomes of them.
func TestWorkedExamples(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			example, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			system, arrivals, outcomes := &example.Files[0], &example.Files[1], &example.Files[2]
			s, err := model.Parse(system.Name, system.Data)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			b := s.Start(1)
			for line := range strings.Lines(string(arrivals.Data)) {
				at, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
				name, times, _ := strings.Cut(rest, " x")
				offset, err := time.ParseDuration(at)
				if err != nil {
					t.Fatal(err)
				}
				n, _ := strconv.Atoi(times)
				for range max(n, 1) {
					out, ok := b.Serve(offset, name)
					if !ok {
						t.Fatalf("no operation %q", name)
					}
					fmt.Fprintf(&got, "%s %s %s\n", at, name, describe(out))
				}
			}
			if *update {
				outcomes.Data = got.Bytes()
				if err := os.WriteFile(file, txtar.Format(example), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(outcomes.Data), got.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// describe prints an outcome on one line.
func describe(o model.Outcome) string {
	var b strings.Builder
	if o.RefusedBy == "" {
		b.WriteString("served")
	} else {
		b.WriteString("refused by " + o.RefusedBy)
	}
	fmt.Fprintf(&b, " after %v", o.ServiceTime)
	if o.Tokens > 0 {
		fmt.Fprintf(&b, ", %d tokens", o.Tokens)
	}
	if o.ResponseBytes > 0 {
		fmt.Fprintf(&b, ", %d B", o.ResponseBytes)
	}
	for _, c := range o.Charges {
		fmt.Fprintf(&b, "; %s %g", c.Limiter, c.Amount)
		if c.Hold > 0 {
			fmt.Fprintf(&b, " for %v", c.Hold)
		}
		if c.Level > 0 {
			fmt.Fprintf(&b, ", %g in use", c.Level)
		}
		if c.Refused {
			b.WriteString(" refused")
		}
	}
	return b.String()
}
