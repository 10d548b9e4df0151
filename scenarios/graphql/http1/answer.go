package http1

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
)

const (
	// bufferSize is how much of an answer is read at a time. Most answers fit.
	bufferSize = 16 << 10
	// maxHead bounds what an answer may have beside its body: the heads of it
	// and of interim answers, and trailers.
	maxHead = 256 << 10
	// maxChunkLine bounds the line before a chunk, as net/http does.
	maxChunkLine = 4 << 10
)

// Answer is what an exchange found out. Its memory is used again by the next
// exchange that it is given to.
type Answer struct {
	Status   int   // 0: none came
	BytesIn  int64 // of the body as it came
	BytesOut int64 // of the request's body
	// Undecoded says that the body came in an encoding that can't be undone:
	// neither gzip nor br, or broken. What the sink was given is then not the whole
	// body.
	Undecoded bool

	wanted  []string // lower case, of the client
	values  [][]byte // of the wanted headers
	present []bool

	close  bool  // the connection ends with this answer
	length int64 // of the body, or one of the following
	coding coding

	in     stream // of the exchange
	plain  []byte // the pieces that a decoder gives
	unzip  *gzip.Reader
	unbrot *brotli.Reader
	coded  coded
}

// Lengths of bodies that say nothing beforehand.
const (
	unknown = -1 // chunks, until the last one
	endless = -2 // to the connection's end
)

// Header returns the value of a header that the client wants, nil where the answer has
// none, and a list where it has several different ones. It is good until the next exchange.
func (a *Answer) Header(name string) []byte {
	for i, wanted := range a.wanted {
		if a.present[i] && isName(name, wanted) {
			return a.values[i]
		}
	}
	return nil
}

// Reset forgets what the answer was told. wanted are the names, in lower case, of
// the headers that it is to keep.
func (a *Answer) Reset(wanted []string) {
	a.Status, a.BytesIn, a.BytesOut, a.Undecoded = 0, 0, 0, false
	a.wanted = wanted
	if len(a.values) != len(wanted) {
		a.values, a.present = make([][]byte, len(wanted)), make([]bool, len(wanted))
	}
}

var (
	errMalformed = errors.New("not an answer of HTTP/1")
	errTooLarge  = errors.New("its head is too large")
)

func malformed(err error) error { return &Error{Malformed, err} }

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// stream is the connection's bytes as an exchange reads them. buf[r:w] is what
// has been read and not used yet.
type stream struct {
	src   io.Reader
	buf   []byte
	r, w  int
	got   bool // a byte of the answer was read
	ended bool // the server has said all
	head  int  // bytes that maxHead still allows
}

// fill reads more behind what is there, for which it makes room.
func (s *stream) fill() error {
	if s.r > 0 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	if s.w == len(s.buf) {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	for range 100 {
		n, err := s.src.Read(s.buf[s.w:])
		s.w += n
		if n > 0 {
			s.got = true
			return nil
		}
		if s.ended = err == io.EOF; s.ended && s.got {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// line returns the next line with its end. It is good until the next call.
func (s *stream) line() ([]byte, error) {
	for seen := 0; ; {
		if n := bytes.IndexByte(s.buf[s.r+seen:s.w], '\n'); n >= 0 {
			line := s.buf[s.r : s.r+seen+n+1]
			s.r += len(line)
			if s.head -= len(line); s.head < 0 {
				return nil, malformed(errTooLarge)
			}
			return line, nil
		}
		if seen = s.w - s.r; seen > s.head {
			return nil, malformed(errTooLarge)
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

// bare returns a line without its end.
func bare(line []byte) []byte {
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// readHead reads the head of the final answer; interim ones are passed over.
func (a *Answer) readHead(s *stream, headRequest bool) error {
	s.head = maxHead
	for {
		line, err := s.line()
		if err != nil {
			return err
		}
		line = bare(line)
		status, old, ok := parseStatus(line)
		if !ok {
			return malformed(errMalformed)
		}
		if err := a.readFields(s, old); err != nil {
			return err
		}
		switch {
		case status == 101:
			// Nobody asked for another protocol.
			a.close, a.length = true, 0
		case status < 200:
			continue
		case headRequest || status == 204 || status == 304:
			a.length = 0
		case a.length == endless:
			a.close = true
		}
		a.Status = status
		return nil
	}
}

// parseStatus reads a status line: HTTP/1.x nnn, and a reason that means
// nothing. An old server speaks HTTP/1.0.
func parseStatus(line []byte) (status int, old, ok bool) {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7]-'0' > 1 || line[8] != ' ' {
		return 0, false, false
	}
	old = line[7] == '0'
	line = bytes.TrimLeft(line[9:], " ")
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' {
		return 0, false, false
	}
	for _, c := range line[:3] {
		if c-'0' > 9 {
			return 0, false, false
		}
		status = status*10 + int(c-'0')
	}
	return status, old, status >= 100
}

// readFields reads the header fields of one head, to its end.
func (a *Answer) readFields(s *stream, old bool) error {
	a.coding = identity
	clear(a.present)
	var (
		chunked, closes, keeps bool
		length                 int64 = endless
		matters                bool  // the field before means something here
	)
	for first := true; ; first = false {
		line, err := s.line()
		if err != nil {
			return err
		}
		line = bare(line)
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' { // a line of the field before, as old servers write
			if first || matters {
				return malformed(errMalformed)
			}
			continue
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 {
			return malformed(errMalformed)
		}
		name, value := line[:colon], trim(line[colon+1:])
		matters = true
		switch {
		case len(name) == 14 && isName(name, "content-length"):
			n, ok := parseLength(value)
			if !ok || length != endless && n != length {
				return malformed(errMalformed)
			}
			length = n
		case len(name) == 17 && isName(name, "transfer-encoding"):
			if old {
				break // it came with HTTP/1.1
			}
			if chunked || !isName(value, "chunked") {
				return malformed(errMalformed)
			}
			chunked = true
		case len(name) == 10 && isName(name, "connection"):
			closes = closes || hasToken(value, "close")
			keeps = keeps || hasToken(value, "keep-alive")
		case len(name) == 16 && isName(name, "content-encoding"):
			a.coding = a.coding.and(value)
		default:
			matters = false
		}
		for i, wanted := range a.wanted {
			if len(name) == len(wanted) && isName(name, wanted) {
				matters = true
				a.keep(i, value)
			}
		}
	}
	a.close = closes || old && !keeps
	a.length = length
	if chunked {
		a.length = unknown
	}
	return nil
}

// keep keeps a value of the wanted header i. Of a header that comes again with
// another value, the values make a list (RFC 9110, section 5.3): which of them holds
// nobody knows.
func (a *Answer) keep(i int, value []byte) {
	switch {
	case !a.present[i]:
		a.present[i] = true
		a.values[i] = append(a.values[i][:0], value...)
		if a.values[i] == nil {
			a.values[i] = []byte{}
		}
	case !bytes.Equal(a.values[i], value):
		a.values[i] = append(append(a.values[i], ", "...), value...)
	}
}

// readBody reads the body to its end and gives it to the sink in pieces.
func (a *Answer) readBody(s *stream, sink func(piece []byte)) error {
	b := body{s: s, left: a.length, chunked: a.length == unknown, read: &a.BytesIn}
	if b.chunked {
		b.left = 0
	}
	if a.coding == gzipped || a.coding == brotlied {
		rest := b // b itself stays off the heap
		return a.decode(rest.next, sink)
	}
	for {
		piece, err := b.next()
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

// body is what is left of an answer's body.
type body struct {
	s       *stream
	left    int64 // of the body or the chunk; endless: all there is
	chunked bool
	inChunk bool // a chunk's data have begun
	read    *int64
}

// next returns the next piece, which is good until the next call, or io.EOF.
func (b *body) next() ([]byte, error) {
	if b.left == 0 {
		if !b.chunked {
			return nil, io.EOF
		}
		if err := b.chunk(); err != nil {
			return nil, err
		}
	}
	s := b.s
	if s.r == s.w {
		if err := s.fill(); err != nil {
			if b.left == endless && s.ended {
				err = io.EOF
			}
			return nil, err
		}
	}
	n := s.w - s.r
	if b.left >= 0 {
		n = int(min(int64(n), b.left))
		b.left -= int64(n)
	}
	piece := s.buf[s.r : s.r+n]
	s.r += n
	*b.read += int64(n)
	return piece, nil
}

// chunk goes on to the next chunk's data. After the last one it reads the
// trailers and returns io.EOF.
func (b *body) chunk() error {
	s := b.s
	if b.inChunk {
		for s.w-s.r < 2 {
			if err := s.fill(); err != nil {
				return err
			}
		}
		if s.buf[s.r] != '\r' || s.buf[s.r+1] != '\n' {
			return malformed(errMalformed)
		}
		s.r += 2
	}
	before := s.head
	line, err := s.line()
	if err != nil {
		return err
	}
	n, ok := parseChunk(line)
	if !ok {
		return malformed(errMalformed)
	}
	b.left, b.inChunk = n, true
	if n > 0 {
		s.head = before // there may be any number of chunks
		return nil
	}
	for {
		line, err := s.line()
		if err != nil {
			return err
		}
		if len(bare(line)) == 0 {
			b.chunked = false
			return io.EOF
		}
	}
}

// parseLength reads a Content-Length.
func parseLength(p []byte) (int64, bool) {
	var n int64
	for _, c := range p {
		d := int64(c - '0')
		if c-'0' > 9 || n > (1<<63-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(p) > 0
}

// parseChunk reads the line before a chunk: its size in hexadecimal, and
// extensions that mean nothing. It ends in CR LF and has no other CR.
func parseChunk(line []byte) (int64, bool) {
	if len(line) < 2 || len(line) > maxChunkLine || bytes.IndexByte(line, '\r') != len(line)-2 {
		return 0, false
	}
	size, _, _ := bytes.Cut(line[:len(line)-2], []byte{';'})
	for len(size) > 0 && (size[len(size)-1] == ' ' || size[len(size)-1] == '\t') {
		size = size[:len(size)-1]
	}
	var n int64
	for _, c := range size {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case (c|0x20)-'a' <= 5:
			c = (c | 0x20) - 'a' + 10
		default:
			return 0, false
		}
		if n >= 1<<58 {
			return 0, false
		}
		n = n<<4 | int64(c)
	}
	return n, len(size) > 0
}

// trim takes off the white space around a value.
func trim(p []byte) []byte {
	for len(p) > 0 && (p[0] == ' ' || p[0] == '\t') {
		p = p[1:]
	}
	for len(p) > 0 && (p[len(p)-1] == ' ' || p[len(p)-1] == '\t') {
		p = p[:len(p)-1]
	}
	return p
}

// isName reports whether name is lower, whatever its case.
func isName[T string | []byte](name T, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := name[i]
		if c-'A' <= 'Z'-'A' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// hasToken reports whether a list separated by commas has a token.
func hasToken(list []byte, lower string) bool {
	for len(list) > 0 {
		var item []byte
		item, list, _ = bytes.Cut(list, []byte{','})
		if isName(trim(item), lower) {
			return true
		}
	}
	return false
}
