package http1

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"time"
)

// conn is a connection to the server. Whoever has taken it from the client is
// the only one to use it.
type conn struct {
	socket
	tls       *tls.Conn // nil: plain
	stream    io.Reader // of what the server says
	used      int64     // exchanges that were begun
	last      time.Time // when the last one began
	at        int       // in Client.open
	watch     *watch    // of the exchange's context
	firstByte time.Duration
}

// alive reports whether the server hasn't closed the connection, as far as this
// machine knows, nor said something that nobody asked for.
func (cn *conn) alive(deadline time.Time) bool {
	if cn.raw == nil {
		return true
	}
	if cn.begin(deadline) != nil {
		return false
	}
	if cn.tls == nil {
		_, err := cn.readNow(cn.one[:])
		return err == wouldBlock
	}
	// There may be a session ticket to be read, or the alert that says goodbye.
	cn.peeking = true
	_, err := cn.tls.Read(cn.one[:])
	cn.peeking = false
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// write sends the request and waits for its answer to begin.
func (cn *conn) write(text []byte) error {
	if cn.tls == nil {
		return cn.send(text)
	}
	cn.hold, cn.held = true, cn.held[:0]
	_, err := cn.tls.Write(text)
	cn.hold = false
	if err != nil {
		return err
	}
	return cn.send(cn.held)
}

// exchange sends the request and reads its answer.
func (cn *conn) exchange(r *Request, now, deadline time.Time, a *Answer, sink func(piece []byte)) (reusable bool, err error) {
	sampled, began := cn.used%sampleEvery == 1, now
	if sampled {
		began = time.Now()
	}
	cn.used++
	cn.last, cn.firstByte = now, 0
	if err := cn.begin(deadline); err != nil {
		return false, err
	}
	failed := cn.write(r.text)
	switch {
	case failed == nil:
		a.BytesOut = int64(r.body)
		if sampled {
			cn.firstByte = time.Since(began)
		}
	case cn.wrote == 0:
		return false, failed
	case cn.tls == nil:
		a.BytesOut = max(0, cn.wrote-int64(len(r.text)-r.body))
	}
	// A server that doesn't want the whole request may have answered.

	buffer := buffers.Get().(*[bufferSize]byte)
	s := &a.in
	*s = stream{src: cn.stream, buf: buffer[:]}
	defer func() {
		*s = stream{}
		buffers.Put(buffer)
	}()
	if err := a.readHead(s, r.head); err != nil {
		if failed != nil {
			err = failed
		}
		return false, err
	}
	if err := a.readBody(s, sink); err != nil {
		return false, err
	}
	return failed == nil && !a.close && !r.last && s.r == s.w, nil
}

// hangUp ends a connection in good order.
func (cn *conn) hangUp() {
	if cn.tls == nil {
		cn.Conn.Close()
		return
	}
	cn.deadline = time.Now().Add(time.Second)
	cn.tls.Close()
}
