package pack_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/capacity/simulator/simulatortest"
	"github.com/headroom-load/headroom/reports/pack"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// recorded is the record of a simulated premiere.
func recorded(t *testing.T) string {
	t.Helper()
	s, sys := simulatortest.Ready(t, "premiere")
	run := simulatortest.Run(t, s, sys, simulator.Options{Seed: 1})
	dir := filepath.Join(t.TempDir(), "run")
	if err := record.Save(dir, run); err != nil {
		t.Fatal(err)
	}
	return dir
}

var asked = pack.Asked{Rate: 5000, Margin: 0.99, Region: "ap-northeast-1", Why: "the premiere", By: "2027-01-15"}

// One changed byte, whatever file it is in, is found; so is a file that is gone
// or was added.
func TestVerifyFindsAnyByte(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pack")
	request, sum, err := pack.Write(dir, recorded(t), asked)
	if err != nil {
		t.Fatal(err)
	}
	if len(request.Raises) == 0 || request.Raises[0].QuotaCode != "L-FC5E46D0" || request.Raises[0].DesiredValue < 1_000_000 ||
		!strings.Contains(request.Raises[0].CLI, "--service-code appsync --quota-code L-FC5E46D0 --desired-value") {
		t.Errorf("raises %+v", request.Raises)
	}
	got, differences, err := pack.Verify(dir)
	if err != nil || len(differences) > 0 || got != sum {
		t.Fatalf("a fresh pack: %v, %v, digest %s, want %s", differences, err, got, sum)
	}
	files := 0
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		whole, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, at := range []int{0, len(whole) / 2, len(whole) - 1} {
			changed := bytes.Clone(whole)
			changed[at] ^= 1
			if err := os.WriteFile(name, changed, 0o644); err != nil {
				return err
			}
			if _, differences, err := pack.Verify(dir); err == nil && len(differences) == 0 {
				t.Errorf("byte %d of %s changed, and nothing was found", at, name)
			}
		}
		return os.WriteFile(name, whole, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 8 {
		t.Errorf("only %d files", files)
	}
	if err := os.WriteFile(filepath.Join(dir, "more.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, differences, _ := pack.Verify(dir); len(differences) != 1 || !strings.HasPrefix(differences[0], "more.txt was added") {
		t.Errorf("an added file: %v", differences)
	}
	if err := os.Remove(filepath.Join(dir, "more.txt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "request.md")); err != nil {
		t.Fatal(err)
	}
	if _, differences, _ := pack.Verify(dir); len(differences) != 1 || !strings.HasPrefix(differences[0], "request.md is missing") {
		t.Errorf("a removed file: %v", differences)
	}
	if err := os.WriteFile(filepath.Join(dir, "request.md"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, differences, _ := pack.Verify(dir); len(differences) != 1 || !strings.HasPrefix(differences[0], "request.md was changed") {
		t.Errorf("a changed file: %v", differences)
	}
	if err := os.Remove(filepath.Join(dir, "SHA256SUMS")); err != nil {
		t.Fatal(err)
	}
	if _, differences, _ := pack.Verify(dir); len(differences) != 1 || differences[0] != "SHA256SUMS is missing" {
		t.Errorf("without sums: %v", differences)
	}
}

// A pack whose sums were made anew for a changed manifest is found by the manifest's
// own sum.
func TestVerifyFindsAChangedManifest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pack")
	if _, _, err := pack.Write(dir, recorded(t), asked); err != nil {
		t.Fatal(err)
	}
	manifest, sums := filepath.Join(dir, "record", "manifest.json"), filepath.Join(dir, "SHA256SUMS")
	was, err1 := os.ReadFile(manifest)
	listed, err2 := os.ReadFile(sums)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(was)
	changed[bytes.Index(changed, []byte(`"in_flight": `))+len(`"in_flight": `)] ^= 2
	listed = bytes.ReplaceAll(listed, fmt.Appendf(nil, "%x", sha256.Sum256(was)), fmt.Appendf(nil, "%x", sha256.Sum256(changed)))
	if err := errors.Join(os.WriteFile(manifest, changed, 0o644), os.WriteFile(sums, listed, 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, differences, err := pack.Verify(dir); err != nil || len(differences) != 1 || !strings.Contains(differences[0], "manifest.json is not as it was written") {
		t.Errorf("%v, differences %q", err, differences)
	}
}

// A request without a margin says so, and what one with a margin would ask for; its
// figures stay the means.
func TestMarginIsSaid(t *testing.T) {
	dir := recorded(t)
	read := func(margin float64) (text string, raises []pack.Raise) {
		a := asked
		a.Margin = margin
		out := filepath.Join(t.TempDir(), "pack")
		r, _, err := pack.Write(out, dir, a)
		if err != nil {
			t.Fatal(err)
		}
		md, err := os.ReadFile(filepath.Join(out, "request.md"))
		if err != nil {
			t.Fatal(err)
		}
		return string(md), r.Raises
	}
	bare, mean := read(0)
	covered, more := read(0.99)
	if mean[0].DesiredValue >= more[0].DesiredValue {
		t.Fatalf("%g tokens/s without a margin, %g with", mean[0].DesiredValue, more[0].DesiredValue)
	}
	const none = "no margin for the busiest second or for tails"
	want := fmt.Sprintf("%s. With --margin p99 it would be ", none)
	_, rest, ok := strings.Cut(bare, want)
	line, _, _ := strings.Cut(rest, "\n")
	if !ok || !strings.Contains(line, "to "+unit.HumanRate(more[0].DesiredValue, unit.Tokens)) {
		t.Errorf("without a margin it says %q", line)
	}
	if strings.Contains(covered, none) || !strings.Contains(covered, "margin 99") {
		t.Error("with a margin it doesn't say which")
	}
	// Each of account and Region is said not to be given where it isn't.
	if !strings.Contains(bare, "| account | not said (--account) |") || !strings.Contains(bare, "| Region | ap-northeast-1 |") {
		t.Error("without an account it doesn't say so")
	}
	if unit.Human(mean[0].DesiredValue) != "1,000,000" {
		t.Errorf("the mean is %g", mean[0].DesiredValue)
	}
}

// A figure that was changed together with its sum is not what the record gives.
func TestVerifyFindsForgedSums(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pack")
	if _, _, err := pack.Write(dir, recorded(t), asked); err != nil {
		t.Fatal(err)
	}
	replace := func(name, old, new string) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(b, []byte(old)) {
			t.Fatalf("%s has no %q", name, old)
		}
		if err := os.WriteFile(filepath.Join(dir, name), bytes.ReplaceAll(b, []byte(old), []byte(new)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sum := func() string {
		b, err := os.ReadFile(filepath.Join(dir, "request.md"))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%x", sha256.Sum256(b))
	}
	before := sum()
	replace("request.md", "the premiere", "something else")
	replace("SHA256SUMS", before, sum())
	if _, differences, err := pack.Verify(dir); err != nil || len(differences) == 0 || !strings.Contains(differences[0], "request.md") && !strings.Contains(differences[0], "SHA256SUMS") {
		t.Errorf("differences %v, %v", differences, err)
	}
}

// A run that isn't VALID is no evidence.
func TestRefusesWhatIsNotValid(t *testing.T) {
	dir := recorded(t)
	run, err := record.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	run.Manifest.State = capacity.Interrupted
	if err := record.Save(dir, run); err != nil {
		t.Fatal(err)
	}
	_, _, err = pack.Write(filepath.Join(t.TempDir(), "pack"), dir, asked)
	var refused *pack.RefusedError
	if !errors.As(err, &refused) || refused.Status == capacity.Valid {
		t.Errorf("error %v", err)
	}
}

func TestNothingToAskFor(t *testing.T) {
	a := asked
	a.Rate = 1
	if _, _, err := pack.Write(filepath.Join(t.TempDir(), "pack"), recorded(t), a); !errors.Is(err, pack.ErrEnough) {
		t.Errorf("error %v", err)
	}
}

// What is no pack is not replaced.
func TestForeignFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine.txt"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := pack.Write(dir, recorded(t), asked); !errors.Is(err, pack.ErrNotAPack) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mine.txt")); err != nil {
		t.Error(err)
	}
}
