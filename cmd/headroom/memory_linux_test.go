package main

import (
	"bytes"
	"os"
	"testing"
)

// resident returns how many kilobytes of files are mapped and there.
func resident(t *testing.T) (kilobytes int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	_, after, ok := bytes.Cut(status, []byte("RssFile:"))
	if !ok {
		t.Skip("the kernel doesn't say")
	}
	for _, c := range bytes.TrimLeft(after, " \t") {
		if c < '0' || c > '9' {
			break
		}
		kilobytes = 10*kilobytes + int(c-'0')
	}
	return kilobytes
}

// Pages of the program that are shed are no longer there, and come back when
// they are used.
func TestShed(t *testing.T) {
	before := resident(t)
	shed()
	if after := resident(t); after > before*3/4 {
		t.Errorf("%d kB of files are there, %d kB before", after, before)
	}
}
