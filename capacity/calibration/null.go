package calibration

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// bodySize is the size in bytes of the null server's answers.
const bodySize = 1000

// body and answer are what the null server answers to everything, the latter over
// HTTP/1.1.
var (
	body = func() []byte {
		const begin, end = `{"data":{"null":"`, `"}}`
		return []byte(begin + strings.Repeat("x", bodySize-len(begin)-len(end)) + end)
	}()
	answer = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-amzn-appsync-TokensConsumed: 1\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
)

// hello is the null server's first line.
type hello struct {
	URL string `json:"url"`
}

// ServeNull is a GraphQL server on loopback that does as little as a server
// can: it answers every request with the same kilobyte, so that whoever asks it
// as fast as possible measures itself. It speaks HTTP/1.1 and, to a client that
// begins with it, HTTP/2. It writes its URL to out as a line of JSON and ends when
// in does. A line "stall 1.5s" on in makes it hold every
// answer until that time has passed.
func ServeNull(in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	n := &null{began: time.Now(), open: map[net.Conn]bool{}}
	n.group.Go(func() { n.accept(l) })
	defer n.end(l)
	if err := json.NewEncoder(out).Encode(hello{URL: "http://" + l.Addr().String() + "/graphql"}); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := n.obey(lines.Text()); err != nil {
			return err
		}
	}
	return lines.Err()
}

type null struct {
	began time.Time
	until atomic.Int64 // nanoseconds after began before which nothing is answered

	mu    sync.Mutex
	open  map[net.Conn]bool // nil: the server has ended
	group sync.WaitGroup
}

func (n *null) obey(line string) error {
	text, ok := strings.CutPrefix(line, "stall ")
	d, err := time.ParseDuration(text)
	if !ok || err != nil || d < 0 || d > time.Minute {
		return fmt.Errorf("null server: no order is %.40q", line)
	}
	n.until.Store(int64(time.Since(n.began) + d))
	return nil
}

func (n *null) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		n.mu.Lock()
		if n.open == nil {
			n.mu.Unlock()
			_ = conn.Close()
			return
		}
		n.open[conn] = true
		n.group.Go(func() { n.serve(conn) })
		n.mu.Unlock()
	}
}

func (n *null) end(l net.Listener) {
	_ = l.Close()
	n.mu.Lock()
	for conn := range n.open {
		_ = conn.Close()
	}
	n.open = nil
	n.mu.Unlock()
	n.group.Wait()
}

// serve answers the requests of one connection until it is closed or holds
// something that is no request with a Content-Length.
func (n *null) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		n.mu.Lock()
		delete(n.open, conn)
		n.mu.Unlock()
	}()
	r := bufio.NewReaderSize(conn, 4<<10)
	if begin, err := r.Peek(3); err == nil && string(begin) == preface[:3] {
		_ = n.serve2(conn, r)
		return
	}
	for {
		if err := readRequest(r); err != nil {
			return
		}
		n.hold()
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// hold waits until a stall is over.
func (n *null) hold() {
	if until := n.until.Load(); until > 0 {
		time.Sleep(time.Duration(until) - time.Since(n.began))
	}
}

var contentLength = []byte("content-length:")

// readRequest reads one request to its end: the lines of its head, each no
// longer than r's buffer, and as many bytes as Content-Length says.
func readRequest(r *bufio.Reader) error {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case len(line) == 0 && first:
			return errors.New("no request")
		case len(line) == 0:
			_, err := r.Discard(length)
			return err
		case len(line) > len(contentLength) && bytes.EqualFold(line[:len(contentLength)], contentLength):
			length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):])))
			if err != nil || length < 0 {
				return errors.New("no length")
			}
		}
	}
}
