package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// shed gives back the memory that only what is over has used, before a part of
// the work that needs other memory: that of the heap, and pages of the program
// itself. Of these the kernel maps sixteen around each that is used, and when
// hundreds of packages have started 20 MB are there; what is used again comes
// back from the page cache.
func shed() {
	debug.FreeOSMemory()
	program, err1 := os.Executable()
	maps, err2 := os.ReadFile("/proc/self/smaps")
	if err1 != nil || err2 != nil {
		return // there is no need to
	}
	var low, high uint64
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 6 && fields[5] == program && (fields[1] == "r-xp" || fields[1] == "r--p"):
			from, to, _ := strings.Cut(fields[0], "-")
			low, err1 = strconv.ParseUint(from, 16, 64)
			high, err2 = strconv.ParseUint(to, 16, 64)
		case len(fields) >= 5 && !strings.HasSuffix(fields[0], ":"):
			low, high = 0, 0 // another mapping
		case len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0" && low < high && err1 == nil && err2 == nil:
			// No page of it differs from the file's, not by a relocation nor a breakpoint.
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, uintptr(low), uintptr(high-low), syscall.MADV_DONTNEED)
		}
	}
}
