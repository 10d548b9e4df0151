package http1

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
)

// parsed is what is read of an answer.
type parsed struct {
	status    int
	body      string
	token     string
	hasToken  bool
	bytesIn   int64
	undecoded bool
	close     bool
	rest      string // what comes after the answer
}

// parse reads an answer from a connection.
func parse(src io.Reader, buffer int, headRequest bool) (parsed, error) {
	var (
		a    Answer
		body []byte
	)
	a.Reset([]string{"x-token"})
	s := stream{src: src, buf: make([]byte, buffer)}
	err := a.readHead(&s, headRequest)
	if err == nil {
		err = a.readBody(&s, func(p []byte) { body = append(body, p...) })
	}
	token := a.Header("X-Token")
	var rest []byte
	if err == nil {
		rest, _ = io.ReadAll(io.MultiReader(bytes.NewReader(s.buf[s.r:s.w]), src))
	}
	return parsed{a.Status, string(body), string(token), token != nil, a.BytesIn, a.Undecoded, a.close, string(rest)}, err
}

func zip(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

func brotliOf(text string) string {
	var b bytes.Buffer
	w := brotli.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

func TestAnswers(t *testing.T) {
	long := strings.Repeat("long ", 20_000)
	for _, c := range []struct {
		name, text string
		want       parsed
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-TOKEN:  7 \r\n\r\n{}", parsed{status: 200, body: "{}", token: "7", hasToken: true}},
		{"pipelined", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1", parsed{status: 200, body: "{}", rest: "HTTP/1.1"}},
		{"no reason", "HTTP/1.1 299\r\nContent-Length: 0\r\n\r\n", parsed{status: 299}},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\n{\r\n00A ;x=\"y\"\r\n0123456789\r\n0\r\nX-Token: 3\r\n\r\nrest", parsed{status: 200, body: "{0123456789", rest: "rest"}},
		{"chunks over length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n", parsed{status: 200, body: "{"}},
		{"to the end", "HTTP/1.1 200 OK\r\n\r\nall", parsed{status: 200, body: "all", close: true}},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n1", parsed{status: 200, body: "1", close: true}},
		{"HTTP/1.0 kept", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\n1", parsed{status: 200, body: "1"}},
		{"close", "HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 1\r\n\r\n1", parsed{status: 200, body: "1", close: true}},
		{"interim", "HTTP/1.1 100 Continue\r\nX-Token: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", parsed{status: 200, body: "1"}},
		{"other protocol", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nabc", parsed{status: 101, close: true, rest: "abc"}},
		{"no content", "HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nabc", parsed{status: 204, rest: "abc"}},
		{"not modified", "HTTP/1.1 304 Same\r\n\r\n", parsed{status: 304}},
		{"empty token, twice", "HTTP/1.1 200 OK\r\nX-Token:\r\nX-Token: 2\r\nContent-Length: 0\r\n\r\n", parsed{status: 200, token: ", 2", hasToken: true}},
		{"token twice", "HTTP/1.1 200 OK\r\nX-Token: 2\r\nX-Token: 2\r\nContent-Length: 0\r\n\r\n", parsed{status: 200, token: "2", hasToken: true}},
		{"long header", "HTTP/1.1 200 OK\r\nX-Token: " + long + "\r\nContent-Length: 0\r\n\r\n", parsed{status: 200, token: strings.TrimSpace(long), hasToken: true}},
		{"folded", "HTTP/1.1 200 OK\r\nServer: a\r\n  b\r\nContent-Length: 0\r\n\r\n", parsed{status: 200}},
		{"gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + zip(long) + zip("!"), parsed{status: 200, body: long + "!", close: true}},
		{"empty gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", parsed{status: 200}},
		{"no gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n{}{}", parsed{status: 200, undecoded: true}},
		{"brotli", "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n" + brotliOf(long), parsed{status: 200, body: long, close: true}},
		{"empty brotli", "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 0\r\n\r\n", parsed{status: 200}},
		{"no brotli", "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\n{}{}", parsed{status: 200, undecoded: true}},
		{"brotli of gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip, br\r\nContent-Length: 4\r\n\r\n{}{}", parsed{status: 200, undecoded: true}},
		{"zstd", "HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 4\r\n\r\n{}{}", parsed{status: 200, undecoded: true}},
		{"gzip twice", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: 4\r\n\r\n{}{}", parsed{status: 200, undecoded: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, src := range map[string]io.Reader{
				"whole": strings.NewReader(c.text), "bytes": iotest.OneByteReader(strings.NewReader(c.text)), "with the end": iotest.DataErrReader(strings.NewReader(c.text)),
			} {
				got, err := parse(src, 64, false)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got.bytesIn = 0
				if got != c.want {
					t.Errorf("%s: got %+.200v, want %+.200v", name, got, c.want)
				}
			}
		})
	}
}

func TestBadAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for text, want := range map[string]Failure{
		"":                                 Closed,
		"HTTP":                             Cut,
		ok:                                 Cut,
		ok + "Content-Length: ":            Cut,
		ok + "Content-Length: 3\r\n\r\n{}": Cut,
		ok + "Transfer-Encoding: chunked\r\n\r\n":                                 Cut,
		ok + "Transfer-Encoding: chunked\r\n\r\n5\r\n{}":                          Cut,
		ok + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n":                      Cut,
		ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n":                            Cut,
		ok + "Content-Encoding: gzip\r\nContent-Length: 100\r\n\r\n" + zip(""):    Cut,
		ok + "Content-Encoding: br\r\nContent-Length: 100\r\n\r\n" + brotliOf(""): Cut,
		"HTTP/1.1 100 Continue\r\n\r\n":                                           Cut,

		"SSH-2.0-OpenSSH_9.2\r\n":                                                   Malformed,
		"HTTP/2.0 200 OK\r\n\r\n":                                                   Malformed,
		"HTTP/1.1 20 OK\r\n\r\n":                                                    Malformed,
		"HTTP/1.1 2000 OK\r\n\r\n":                                                  Malformed,
		"HTTP/1.1 099 OK\r\n\r\n":                                                   Malformed,
		"HTTP/1.1200 OK\r\n\r\n":                                                    Malformed,
		ok + "no colon\r\n\r\n":                                                     Malformed,
		ok + " Server: folded first\r\n\r\n":                                        Malformed,
		ok + "Content-Length: 1\r\n 2\r\n\r\n":                                      Malformed,
		ok + "Content-Length: -1\r\n\r\n":                                           Malformed,
		ok + "Content-Length: 9223372036854775808\r\n\r\n":                          Malformed,
		ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}":                     Malformed,
		ok + "Transfer-Encoding: gzip, chunked\r\n\r\n":                             Malformed,
		ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n":     Malformed,
		ok + "Transfer-Encoding: chunked\r\n\r\nx\r\n":                              Malformed,
		ok + "Transfer-Encoding: chunked\r\n\r\n\r\n":                               Malformed,
		ok + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n":                 Malformed,
		ok + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n":                   Malformed,
		ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n":               Malformed,
		ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("a", 1<<20): Malformed,
		strings.Repeat("a", 1<<20):                                                  Malformed,
		ok + strings.Repeat("A: b\r\n", 100_000):                                    Malformed,
		strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100_000):                    Malformed,
		ok + "X-Token: " + strings.Repeat("a", 300<<10) + "\r\n\r\n":                Malformed,
	} {
		for _, buffer := range []int{16, bufferSize} {
			got, err := parse(strings.NewReader(text), buffer, false)
			if err == nil || FailureOf(err) != want {
				t.Errorf("%.80q, buffer %d: got %v, want %v; read %+.200v", text, buffer, err, want, got)
			}
		}
	}
}

// FuzzAnswer holds the parser to net/http's: what that reads without an error
// this reads the same, however it comes in pieces. Nothing makes it panic, and
// it always ends.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Token: 3\r\n\r\n{}rest",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nTrailer: 1\r\n\r\nrest",
		"HTTP/1.0 404 No\r\nConnection: keep-alive\r\nX-Token: a\r\n b\r\n\r\nall the rest",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Same\nConnection: close\n\n",
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + zip("{}"),
		"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n" + brotliOf("{}"),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\n",
		"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 05\r\nContent-Length: 05\r\n\r\nbytes",
	} {
		f.Add([]byte(text), uint8(0), false)
		f.Add([]byte(text), uint8(3), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, size uint8, headRequest bool) {
		got, err := parse(pieces{bytes.NewReader(text), int(size)}, 16+int(size), headRequest)
		want, raw, ok := reference(text, headRequest)
		if !ok {
			return
		}
		if err != nil {
			t.Fatalf("%v, but net/http reads %+v", err, want)
		}
		want.bytesIn = int64(len(raw))
		switch strings.ToLower(want.body) { // here: the encoding
		case "", "identity":
			want.body = raw
		case "gzip", "x-gzip", "br":
			decode := unzipped
			if strings.EqualFold(want.body, "br") {
				decode = unbrotlied
			}
			want.body = got.body
			if raw != "" {
				text, broken := decode(raw)
				if want.undecoded = broken != nil; broken == nil {
					want.body = text
				}
			}
		default:
			want.body, want.undecoded = "", raw != ""
		}
		if got != want {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

// reference reads an answer by net/http. Of the parsed answer, body is its
// encoding. It is not ok where there is an error, or where net/http reads what
// this package refuses on purpose.
func reference(text []byte, headRequest bool) (want parsed, raw string, ok bool) {
	in := bufio.NewReaderSize(bytes.NewReader(text), 1<<20)
	method := "POST"
	if headRequest {
		method = "HEAD"
	}
	for {
		if line, _ := in.Peek(10); !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) && !bytes.HasPrefix(line, []byte("HTTP/1.0 ")) {
			return want, "", false
		}
		r, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil || r.StatusCode < 100 {
			return want, "", false
		}
		if r.StatusCode < 200 && r.StatusCode != 101 {
			continue
		}
		if code, _, _ := strings.Cut(r.Status, " "); fmt.Sprintf("%03d", r.StatusCode) != code {
			return want, "", false
		}
		body, err := io.ReadAll(r.Body)
		folded := bytes.Contains(text, []byte("\n ")) || bytes.Contains(text, []byte("\n\t"))
		if err != nil || folded || len(r.Header["Content-Encoding"]) > 1 {
			return want, "", false
		}
		rest, _ := io.ReadAll(in)
		tokens, has := r.Header["X-Token"]
		want = parsed{status: r.StatusCode, hasToken: has, close: r.Close || r.StatusCode == 101, rest: string(rest), body: r.Header.Get("Content-Encoding")}
		if has {
			want.token = strings.TrimRight(tokens[0], " \t")
		}
		if want.status == 101 {
			want.rest = string(body) + want.rest
			body = nil
		}
		return want, string(body), true
	}
}

func unzipped(raw string) (string, error) {
	z, err := gzip.NewReader(strings.NewReader(raw))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(z)
	return string(text), err
}

func unbrotlied(raw string) (string, error) {
	in := strings.NewReader(raw)
	text, err := io.ReadAll(brotli.NewReader(in))
	if err == nil && in.Len() > 0 {
		err = errors.New("something follows")
	}
	return string(text), err
}

// pieces gives at most n+1 bytes at a time.
type pieces struct {
	r io.Reader
	n int
}

func (p pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.n+1)]) }

// TestReaderThatGivesNothing: a connection that neither gives bytes nor ends.
func TestReaderThatGivesNothing(t *testing.T) {
	_, err := parse(io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r\n"), nothing{}), 64, false)
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }
