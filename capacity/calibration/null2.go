package calibration

import (
	"bufio"
	"encoding/binary"
	"io"
	"strconv"
)

// What the null server knows of HTTP/2 (RFC 9113): the kinds of frames that it
// looks at, and their flags. It takes no notice of windows for its answers, since
// a client that reads them opens its own in time, and of what requests say.
const (
	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	dataFrame, headersFrame, settingsFrame, pingFrame, windowFrame = 0, 1, 4, 6, 8

	endStream, acknowledges, endHeaders = 1, 1, 4

	maxConcurrentStreams = 3 // a setting
)

// streams is how many requests a connection may carry at once, as many as common
// servers allow: a client with more of them opens another, so that more than one
// processor may read its answers.
const streams = 128

// window is how much requests may bring in before the client is told of more: the
// largest there is, of which half is given again each time.
const window = 1<<31 - 1

// answer2 is the head of the null server's answers over HTTP/2, whose body is that
// of those over HTTP/1.1: fields of the static table and literals (RFC 7541).
var answer2 = func() []byte {
	b := []byte{0x80 | 8} // :status 200
	literal := func(index byte, name, value string) {
		if index > 0 {
			b = append(b, 0x0f, index-0x0f)
		} else {
			b = append(append(b, 0, byte(len(name))), name...)
		}
		b = append(append(b, byte(len(value))), value...)
	}
	literal(31, "content-type", "application/json")
	literal(28, "content-length", strconv.Itoa(len(body)))
	literal(0, "x-amzn-appsync-tokensconsumed", "1")
	return b
}()

// framer writes frames.
type framer struct{ *bufio.Writer }

func (f framer) frame(kind, flags byte, stream uint32, payload []byte) {
	var head [9]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(payload))<<8|uint32(kind))
	head[4] = flags
	binary.BigEndian.PutUint32(head[5:], stream)
	// A failed write shows at the flush.
	_, _ = f.Write(head[:])
	_, _ = f.Write(payload)
}

// serve2 answers the requests of one connection over HTTP/2 until it ends.
func (n *null) serve2(conn io.Writer, r *bufio.Reader) error {
	out := framer{bufio.NewWriterSize(conn, 64<<10)}
	more := func(by int) { out.frame(windowFrame, 0, 0, binary.BigEndian.AppendUint32(nil, uint32(by))) }
	out.frame(settingsFrame, 0, 0, binary.BigEndian.AppendUint32([]byte{0, maxConcurrentStreams}, streams))
	more(window - 65535) // on top of what a connection begins with
	if _, err := r.Discard(len(preface)); err != nil {
		return err
	}
	for taken := 0; ; {
		if r.Buffered() < 9 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		head, err := r.Peek(9)
		if err != nil {
			return err
		}
		length, kind, flags := int(binary.BigEndian.Uint32(head)>>8), head[3], head[4]
		stream := binary.BigEndian.Uint32(head[5:])
		_, _ = r.Discard(len(head))
		switch {
		case kind == settingsFrame && flags&acknowledges == 0:
			out.frame(settingsFrame, acknowledges, 0, nil)
		case kind == pingFrame && flags&acknowledges == 0:
			said, err := r.Peek(length)
			if err != nil {
				return err
			}
			out.frame(pingFrame, acknowledges, 0, said)
		case kind == dataFrame:
			if taken += length; taken > window/2 {
				more(taken)
				taken = 0
			}
		}
		if _, err := r.Discard(length); err != nil {
			return err
		}
		if (kind == headersFrame || kind == dataFrame) && flags&endStream != 0 {
			n.hold()
			out.frame(headersFrame, endHeaders, stream, answer2)
			out.frame(dataFrame, endStream, stream, body)
		}
	}
}
