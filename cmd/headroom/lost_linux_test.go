package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

func init() { programs["unreadable"] = unreadable }

// unreadable is "unreadable ARGS...": headroom, in which reading at an
// offset of a file (pread64) fails as that of a broken disk does. Of this program only
// the temporary file of a run's rows is read so.
func unreadable() {
	const (
		setNoNewPrivs, setSeccomp, filterMode = 38, 22, 2 // prctl(2)
		load, jumpIfEqual, give               = 0x20, 0x15, 0x06
		allow, fail                           = 0x7fff0000, 0x00050000 // seccomp(2)
	)
	type instruction struct {
		code   uint16
		jt, jf uint8
		k      uint32
	}
	program := []instruction{ // classic BPF, over the number of the system call
		{code: load},
		{code: jumpIfEqual, jt: 0, jf: 1, k: syscall.SYS_PREAD64},
		{code: give, k: fail | uint32(syscall.EIO)},
		{code: give, k: allow},
	}
	filter := struct {
		n       uint16
		program *instruction
	}{uint16(len(program)), &program[0]}
	runtime.LockOSThread() // to which the filter applies, and to those that it makes
	for _, args := range [][3]uintptr{{setNoNewPrivs, 1}, {setSeccomp, filterMode, uintptr(unsafe.Pointer(&filter))}} {
		if _, _, err := syscall.RawSyscall6(syscall.SYS_PRCTL, args[0], args[1], args[2], 0, 0, 0); err != 0 {
			fmt.Fprintln(os.Stderr, "no filter:", err)
			os.Exit(exitDone)
		}
	}
	main()
}

// TestLostRows: where the temporary file of a long run's rows can't be read back, every
// command that reads a record says so in one line, and writes nothing that it can't know.
func TestLostRows(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	longRun(t, dir, 2*3600)
	pack := filepath.Join(t.TempDir(), "pack")
	asked := []string{"request", dir, "--out", pack}
	if out, err := exec.Command("headroom", append(asked, "--rate", "12000/s", "--region", "ap-northeast-1", "--account", "111122223333")...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, args := range [][]string{
		{"report", dir},
		{"compare", dir, dir},
		{"fit", dir},
		{"plan", dir, "--rate", "12000/s"},
		{"request", dir, "--rate", "12000/s", "--region", "ap-northeast-1", "--account", "111122223333", "--out", pack + "2"},
		{"verify", pack},
		{"simulate", dir, "--out", pack + "3"},
	} {
		c := exec.Command("unreadable", args...)
		var out, said bytes.Buffer
		c.Stdout, c.Stderr = &out, &said
		err := c.Run()
		if strings.HasPrefix(said.String(), "no filter") {
			t.Skip(said.String())
		}
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.ExitCode() != exitFailure {
			t.Errorf("%v: %v, want exit code %d", args, err, exitFailure)
		}
		if !strings.Contains(said.String(), "can't be read back") || strings.Count(said.String(), "\n") != 2 || out.Len() > 0 {
			t.Errorf("%v said\n%s%s", args, said.String(), out.String())
		}
	}
	if _, err := os.Stat(pack + "2"); err == nil {
		t.Error("a pack was written")
	}
}
