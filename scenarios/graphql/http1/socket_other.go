//go:build !unix

package http1

import (
	"net"
	"syscall"
)

// poller would reach below net.Conn, which only Unix lets it do.
type poller struct {
	raw syscall.RawConn
}

func (s *socket) init(c net.Conn)               { s.Conn = c }
func (s *socket) writeAndWait() error           { return nil }
func (s *socket) read(p []byte) (int, error)    { return s.Conn.Read(p) }
func (s *socket) readNow(p []byte) (int, error) { return 0, wouldBlock }
