package broker

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// produceKey is the produce request's in the Kafka protocol.
const produceKey = 0

// largestRequest is a broker's socket.request.max.bytes.
const largestRequest = 100 << 20

// listener accepts the connections of one broker.
type listener struct {
	net.Listener
	broker *Broker
	node   int
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.broker.connected(l.node, 1)
	return &conn{Conn: c, broker: l.broker, node: l.node, closed: make(chan struct{}), throttled: map[int32]throttle{}}, nil
}

// conn is a connection as its broker sees it: requests come whole, one after the
// other, none while the broker is muted or stalled.
type conn struct {
	net.Conn
	broker *Broker
	node   int
	once   sync.Once
	closed chan struct{}

	request []byte    // what is still to be read of it
	muted   time.Time // until when nothing is read

	mu        sync.Mutex
	throttled map[int32]throttle // by correlation id
}

// throttle is what the answer to a produce request says of its throttle time.
type throttle struct {
	version int16
	wait    time.Duration
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.request) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.request)
	c.request = c.request[n:]
	return n, nil
}

// next reads a request.
func (c *conn) next() error {
	if !c.wait(time.Until(c.muted)) || !c.standstill() {
		return net.ErrClosed
	}
	var size [4]byte
	if _, err := io.ReadFull(c.Conn, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > largestRequest {
		return errors.New("request too large")
	}
	request := make([]byte, 4+n)
	copy(request, size[:])
	if _, err := io.ReadFull(c.Conn, request[4:]); err != nil {
		return err
	}
	if !c.standstill() {
		return net.ErrClosed
	}
	c.request = request
	c.produced(request[4:])
	return nil
}

// produced throttles the connection where the request is one to produce.
func (c *conn) produced(request []byte) {
	const header = 2 + 2 + 4 + 2
	if len(request) < header || binary.BigEndian.Uint16(request) != produceKey {
		return
	}
	id := ""
	if n := int(int16(binary.BigEndian.Uint16(request[8:]))); n > 0 && len(request) >= header+n {
		id = string(request[header : header+n])
	}
	wait := c.broker.produced(c.node, id, request)
	if wait <= 0 {
		return
	}
	c.muted = time.Now().Add(wait)
	c.mu.Lock()
	c.throttled[int32(binary.BigEndian.Uint32(request[4:]))] = throttle{int16(binary.BigEndian.Uint16(request[2:])), wait}
	c.mu.Unlock()
}

// contents returns how many bytes and records a request to produce holds, without
// what is the request's own; nothing where it can't be read.
func contents(request []byte) (bytes, records int) {
	r := kbin.Reader{Src: request}
	r.Int16() // the request's key
	p := kmsg.NewPtrProduceRequest()
	p.SetVersion(r.Int16())
	r.Int32() // the correlation id
	r.NullableString()
	if p.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if !r.Ok() || p.UnsafeReadFrom(r.Src) != nil {
		return 0, 0
	}
	for _, t := range p.Topics {
		for _, part := range t.Partitions {
			bytes += len(part.Records)
			records += count(part.Records)
		}
	}
	return bytes, records
}

// count returns how many records lie in batches, one after the other (Kafka
// protocol, record batch): each says how long it is, after its first offset, and
// how many records it has.
func count(batches []byte) (records int) {
	const length, number, header = 8, 57, 61
	for len(batches) >= header {
		records += int(int32(binary.BigEndian.Uint32(batches[number:])))
		next := length + 4 + int(binary.BigEndian.Uint32(batches[length:]))
		batches = batches[min(next, len(batches)):]
	}
	return records
}

// Write implements net.Conn. The cluster writes each answer in one call.
func (c *conn) Write(answer []byte) (int, error) {
	if !c.standstill() {
		return 0, net.ErrClosed
	}
	said := answer
	if len(answer) >= 8 {
		id := int32(binary.BigEndian.Uint32(answer[4:]))
		c.mu.Lock()
		t, ok := c.throttled[id]
		delete(c.throttled, id)
		c.mu.Unlock()
		if ok {
			var err error
			if said, err = t.in(answer); err != nil {
				return 0, err
			}
		}
	}
	if _, err := c.Conn.Write(said); err != nil {
		return 0, err
	}
	return len(answer), nil
}

// in returns an answer to a produce request with the throttle time in it.
func (t throttle) in(answer []byte) ([]byte, error) {
	r := kmsg.NewPtrProduceResponse()
	r.SetVersion(t.version)
	head := 8
	if r.IsFlexible() {
		head++ // no tags
	}
	if len(answer) < head {
		return nil, io.ErrUnexpectedEOF
	}
	if err := r.ReadFrom(answer[head:]); err != nil {
		return nil, err
	}
	r.ThrottleMillis = int32(t.wait.Milliseconds())
	said := r.AppendTo(append([]byte(nil), answer[:head]...))
	binary.BigEndian.PutUint32(said, uint32(len(said)-4))
	return said, nil
}

// standstill waits until the brokers don't stall any more, and reports whether the
// connection is still open.
func (c *conn) standstill() bool {
	for {
		d := c.broker.stalled()
		if d <= 0 {
			return true
		}
		if !c.wait(d) {
			return false
		}
	}
}

// wait waits, and reports whether the connection is still open.
func (c *conn) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.closed:
		return false
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.broker.connected(c.node, -1)
	})
	return c.Conn.Close()
}
