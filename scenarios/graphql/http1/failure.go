package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Failure is why an exchange has no whole answer.
type Failure uint8

// The failures. The first four are of this machine, the next seven of
// connecting, and the others of the exchange itself.
const (
	DNSLookup      Failure = iota // the name has no address, or nobody says
	NoPort                        // all local ports are in use
	NoFile                        // too many open files
	NoBuffer                      // the kernel is out of memory
	Refused                       // the server's machine refused the connection
	Unreachable                   // there is no way to the server
	ConnectTimeout                // the connection took longer than it may
	ProxyRefused                  // the proxy made no connection
	BadCertificate                // the server's certificate isn't to be trusted
	Handshake                     // TLS was not agreed on, or the server ended it with an alert
	Reset                         // the server reset the connection
	Closed                        // the server closed the connection before it answered
	Cut                           // the server closed the connection within its answer
	Malformed                     // the answer is not HTTP/1, or its head is too large
	TimedOut                      // no whole answer within the time that was given
	Cancelled                     // the context was done
	Broken                        // anything else
)

var failures = [...]string{
	"DNS lookup", "no free port", "too many open files", "no buffer space",
	"connection refused", "host unreachable", "connection timed out", "proxy refused", "TLS certificate", "TLS handshake",
	"connection reset", "connection closed", "answer cut", "malformed HTTP", "timed out", "cancelled", "connection broken",
}

func (f Failure) String() string { return failures[f] }

// Own reports whether it is this machine's.
func (f Failure) Own() bool { return f <= NoBuffer }

// Error is an exchange, or an attempt to connect, that failed.
type Error struct {
	Failure Failure
	Err     error
}

func (e *Error) Error() string { return e.Failure.String() + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// FailureOf classifies an error: that of an Error, or else what the standard
// library's errors tell.
func FailureOf(err error) Failure {
	var known *Error
	if errors.As(err, &known) {
		return known.Failure
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return DNSLookup
	}
	for _, c := range [...]struct {
		is      error
		failure Failure
	}{
		{syscall.EADDRNOTAVAIL, NoPort},
		{syscall.EMFILE, NoFile},
		{syscall.ENFILE, NoFile},
		{syscall.ENOBUFS, NoBuffer},
		{syscall.ENOMEM, NoBuffer},
		{syscall.ECONNREFUSED, Refused},
		{syscall.ENETUNREACH, Unreachable},
		{syscall.EHOSTUNREACH, Unreachable},
		{syscall.ETIMEDOUT, ConnectTimeout},
		{syscall.ECONNRESET, Reset},
		{syscall.EPIPE, Reset},
		{syscall.ECONNABORTED, Reset},
		{context.Canceled, Cancelled},
		{context.DeadlineExceeded, TimedOut},
		{os.ErrDeadlineExceeded, TimedOut},
		{io.EOF, Closed},
		{io.ErrUnexpectedEOF, Cut},
	} {
		if errors.Is(err, c.is) {
			return c.failure
		}
	}
	var (
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       *net.OpError // of package tls: what the server said
	)
	switch {
	case errors.As(err, &certificate):
		return BadCertificate
	case errors.As(err, &record), errors.As(err, &alert) && alert.Op == "remote error":
		return Handshake
	}
	return Broken
}
