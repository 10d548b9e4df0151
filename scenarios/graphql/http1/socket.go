package http1

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// socket is a TCP connection with a deadline that costs nothing while it isn't
// reached, and with which a request is written and its answer waited for in one
// step.
//
// The connection's own read deadline may be an earlier one: when it fires too
// soon it is moved on. With requests of a few milliseconds and a timeout of 30
// seconds that happens once in 30 seconds.
type socket struct {
	net.Conn
	deadline time.Time // of the exchange
	armed    time.Time // the connection's read deadline
	out      []byte    // what is still to be written
	wrote    int64     // bytes of the exchange that were given to the kernel
	hold     bool      // Write keeps what it is given in held
	held     []byte
	peeking  bool // Read doesn't wait
	one      [1]byte
	poller
}

// begin starts an exchange.
func (s *socket) begin(deadline time.Time) error {
	s.deadline, s.wrote = deadline, 0
	if s.armed.After(deadline) || s.armed.IsZero() {
		return s.arm()
	}
	return nil
}

func (s *socket) arm() error {
	s.armed = s.deadline
	return s.Conn.SetReadDeadline(s.deadline)
}

// moved reports whether err comes of a deadline that was too early, which it
// then has moved on.
func (s *socket) moved(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(s.deadline) && s.arm() == nil
}

// send writes p and waits until there is something to read. An error means that
// p was not written whole.
func (s *socket) send(p []byte) error {
	s.out = p
	if s.raw != nil {
		if err := s.writeAndWait(); err != nil {
			return err
		}
	}
	if len(s.out) > 0 {
		return s.writeRest()
	}
	return nil
}

// writeRest writes what the kernel didn't take at once.
func (s *socket) writeRest() error {
	if err := s.Conn.SetWriteDeadline(s.deadline); err != nil {
		return err
	}
	n, err := s.Conn.Write(s.out)
	s.wrote += int64(n)
	s.out = nil
	return err
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	if s.peeking {
		return s.readNow(p)
	}
	for {
		n, err := s.read(p)
		if n == 0 && err != nil && s.moved(err) {
			continue
		}
		return n, err
	}
}

// Write implements net.Conn.
func (s *socket) Write(p []byte) (int, error) {
	if s.hold {
		s.held = append(s.held, p...)
		return len(p), nil
	}
	s.out = p
	before := s.wrote
	err := s.writeRest()
	return int(s.wrote - before), err
}

var _ net.Conn = (*socket)(nil)

// wouldBlock is what reading gives when nothing is there and it may not wait.
// TLS takes it for a timeout, after which it can go on.
var wouldBlock = os.ErrDeadlineExceeded

func rawConn(c net.Conn) syscall.RawConn {
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}
