//go:build unix

package http1

import (
	"io"
	"net"
	"syscall"
)

// poller reaches below net.Conn. Its functions are made once, so that using
// them allocates nothing.
type poller struct {
	raw     syscall.RawConn // nil: the connection has no file descriptor
	step    func(fd uintptr) bool
	peek    func(fd uintptr) bool
	get     func(fd uintptr) bool
	written bool
	err     error
	into    []byte
	n       int
}

func (s *socket) init(c net.Conn) {
	s.Conn, s.raw = c, rawConn(c)
	s.step, s.peek, s.get = s.writeOnce, s.readOnce, s.readSome
}

// writeAndWait writes s.out and waits until there is something to read, or
// leaves in s.out what can't be written without waiting.
//
// Writing within Read looks odd. It saves the read that would only say that the
// answer isn't there yet: whatever comes after Read has begun wakes it up.
func (s *socket) writeAndWait() error {
	s.written, s.err = false, nil
	err := s.raw.Read(s.step)
	if s.err != nil {
		return s.err
	}
	if err != nil && !s.written {
		if s.moved(err) {
			return s.writeAndWait()
		}
		return err
	}
	// Where waiting has failed, reading will say so again.
	return nil
}

func (s *socket) writeOnce(fd uintptr) bool {
	if s.written {
		return true
	}
	s.written = true
	for len(s.out) > 0 {
		n, err := write(fd, s.out)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return true
		case err != nil:
			s.err = err
			return true
		default:
			s.wrote += int64(n)
			s.out = s.out[n:]
		}
	}
	return false
}

// read reads what is there, for which it waits.
func (s *socket) read(p []byte) (int, error) {
	if s.raw == nil {
		return s.Conn.Read(p)
	}
	s.into, s.n, s.err = p, 0, nil
	if err := s.raw.Read(s.get); err != nil {
		return 0, err
	}
	return s.n, s.err
}

func (s *socket) readSome(fd uintptr) bool {
	s.err = nil
	return s.readOnce(fd) && s.err != wouldBlock
}

// readNow reads what is there already.
func (s *socket) readNow(p []byte) (int, error) {
	s.into, s.n, s.err = p, 0, nil
	if err := s.raw.Read(s.peek); err != nil {
		if s.moved(err) {
			return s.readNow(p)
		}
		return 0, err
	}
	return s.n, s.err
}

func (s *socket) readOnce(fd uintptr) bool {
	for {
		n, err := read(fd, s.into)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			s.err = wouldBlock
		case err != nil:
			s.err = err
		case n == 0:
			s.err = io.EOF
		default:
			s.n = n
		}
		return true
	}
}
