package http1

import (
	"compress/gzip"
	"io"
	"net/textproto"

	"github.com/andybalholm/brotli"
)

type coding uint8

const (
	identity coding = iota
	gzipped
	brotlied
	foreign // none of these, or more than one
)

// and returns the coding of a body to which one more Content-Encoding was
// applied.
func (c coding) and(name []byte) coding {
	switch {
	case len(name) == 0 || isName(name, "identity"):
		return c
	case c == identity && (isName(name, "gzip") || isName(name, "x-gzip")):
		return gzipped
	case c == identity && isName(name, "br"):
		return brotlied
	}
	return foreign
}

// Receive takes in an answer that came by another protocol: its status, its
// header with canonical names, and the pieces of its body up to io.EOF, which it
// decodes and gives to the sink as Do does.
func (a *Answer) Receive(status int, header map[string][]string, next func() ([]byte, error), sink func(piece []byte)) error {
	a.Status, a.coding = status, identity
	for i, name := range a.wanted {
		a.present[i] = false
		for _, value := range header[textproto.CanonicalMIMEHeaderKey(name)] {
			a.keep(i, []byte(value))
		}
	}
	for _, value := range header["Content-Encoding"] {
		a.coding = a.coding.and([]byte(value))
	}
	counted := func() ([]byte, error) {
		piece, err := next()
		a.BytesIn += int64(len(piece))
		return piece, err
	}
	if a.coding == gzipped || a.coding == brotlied {
		return a.decode(counted, sink)
	}
	for {
		piece, err := counted()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case a.coding == foreign:
			a.Undecoded = true
		default:
			sink(piece)
		}
	}
}

// decoder undoes an encoding. It is used again and again.
type decoder interface {
	io.Reader
	Reset(src io.Reader) error
}

func (a *Answer) decoder() decoder {
	if a.plain == nil {
		a.plain = make([]byte, bufferSize)
	}
	if a.coding == brotlied {
		if a.unbrot == nil {
			a.unbrot = new(brotli.Reader)
		}
		return a.unbrot
	}
	if a.unzip == nil {
		a.unzip = new(gzip.Reader)
	}
	return a.unzip
}

// decode gives the sink what the pieces of an encoded body stand for. Whatever
// they are, they are read to their end.
func (a *Answer) decode(next func() ([]byte, error), sink func(piece []byte)) error {
	z := &a.coded
	*z = coded{next: next}
	defer func() { *z = coded{} }()
	if z.piece, z.err = z.next(); z.err != nil {
		return z.failure()
	}
	d := a.decoder()
	for err := d.Reset(z); err == nil; {
		var n int
		n, err = d.Read(a.plain)
		if n > 0 {
			sink(a.plain[:n])
		}
		if err == io.EOF && z.more() == io.EOF && len(z.piece) == 0 {
			return nil
		}
	}
	// It is broken, on the wire or before.
	for z.err == nil {
		z.piece, z.err = z.next()
	}
	if err := z.failure(); err != nil {
		return err
	}
	a.Undecoded = true
	return nil
}

// coded is a body as a decoder reads it.
type coded struct {
	next  func() ([]byte, error)
	piece []byte
	err   error // of the body's; io.EOF at its end
}

func (z *coded) more() error {
	for len(z.piece) == 0 && z.err == nil {
		z.piece, z.err = z.next()
	}
	return z.err
}

func (z *coded) Read(p []byte) (int, error) {
	if err := z.more(); len(z.piece) == 0 {
		return 0, err
	}
	n := copy(p, z.piece)
	z.piece = z.piece[n:]
	return n, nil
}

func (z *coded) ReadByte() (byte, error) {
	if err := z.more(); len(z.piece) == 0 {
		return 0, err
	}
	c := z.piece[0]
	z.piece = z.piece[1:]
	return c, nil
}

func (z *coded) failure() error {
	if z.err == io.EOF {
		return nil
	}
	return z.err
}
