package http1

import (
	"syscall"
	"unsafe"
)

// Calls that don't block needn't be announced to the scheduler, as those of
// package syscall are. The first one announced after the program was idle wakes
// up the runtime's monitor thread, which sleeps for 20 µs, finds nothing to do
// and goes back to sleep: at rates at which the program is idle between any two
// requests that is a fifth of what a request costs.

func read(fd uintptr, p []byte) (int, error)  { return call(syscall.SYS_READ, fd, p) }
func write(fd uintptr, p []byte) (int, error) { return call(syscall.SYS_WRITE, fd, p) }

func call(number, fd uintptr, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
