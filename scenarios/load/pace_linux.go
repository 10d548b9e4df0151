package load

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// clockMonotonic is CLOCK_MONOTONIC, which time.Since reads too.
const clockMonotonic = 1

// exactRange is how long a wait is left to the kernel's timer. The runtime's,
// which can be stopped, waits for what comes before.
const exactRange = 2 * time.Millisecond

// exact waits with a timer of the kernel (timerfd) that the runtime's poller
// watches. The poller itself sleeps for whole milliseconds; an event wakes it at
// once. A thread that blocks in nanosleep is no cheaper and later: when it
// wakes up, it first has to get a processor of the scheduler.
type exact struct {
	*sleeper
	file    *os.File
	conn    syscall.RawConn
	useless bool

	delay syscall.Timespec // to set the kernel's timer to; zero once that is done
	errno syscall.Errno    // of the last call

	attempt func(fd uintptr) bool // expire
}

// newExact returns the most exact timer there is: some tens of microseconds
// late on an idle machine.
func newExact(start time.Time, stopped <-chan struct{}) timer {
	s := newSleeper(start, stopped)
	fd, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return s
	}
	file := os.NewFile(fd, "timer")
	conn, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return s
	}
	e := &exact{sleeper: s, file: file, conn: conn}
	e.attempt = e.expire
	return e
}

func (e *exact) wait(until time.Duration) bool {
	for !e.useless {
		if !e.sleeper.wait(until - exactRange) {
			return false
		}
		if e.passed(until) {
			return true
		}
		now := e.reached
		// A clock that stood still meanwhile isn't the kernel's: testing/synctest
		// has one that only the runtime's timers move.
		e.useless = !e.sleep(until-now) || time.Since(e.start) == now
	}
	return e.sleeper.wait(until)
}

// sleep waits for d, and reports whether it could.
func (e *exact) sleep(d time.Duration) bool {
	e.delay = syscall.NsecToTimespec(int64(d))
	err := e.conn.Read(e.attempt)
	return err == nil && e.errno == 0
}

// expire sets the timer at first and reads it when it may have expired. It
// reports whether there is nothing more to wait for.
func (e *exact) expire(fd uintptr) (done bool) {
	if e.delay != (syscall.Timespec{}) {
		spec := struct{ interval, value syscall.Timespec }{value: e.delay}
		e.delay = syscall.Timespec{}
		_, _, e.errno = syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
		return e.errno != 0
	}
	var expired [8]byte
	_, _, e.errno = syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&expired)), unsafe.Sizeof(expired))
	return e.errno != syscall.EAGAIN
}

func (e *exact) close() {
	e.sleeper.close()
	e.file.Close()
}
