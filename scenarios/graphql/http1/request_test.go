package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"testing"
)

func mustURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// post returns a request that needs no care.
func post(t testing.TB, u *url.URL, body string) *Request {
	t.Helper()
	h, err := NewHead("POST", u, map[string][]string{"Content-Type": {"application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	r := h.Request([]byte(body))
	return &r
}

func TestRequest(t *testing.T) {
	h, err := NewHead("POST", mustURL(t, "http://[fe80::1%25eth0]:8080/graphql?a=b%20c#part"), http.Header{
		"X-B": {"2", "3"}, "x-a": {"é"}, "Content-Length": {"99"}, "Transfer-Encoding": {"chunked"}, "Trailer": {"X"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"", `{"a":1}`} {
		r := h.Request([]byte(body))
		want := "POST /graphql?a=b%20c HTTP/1.1\r\nHost: [fe80::1]:8080\r\nX-B: 2\r\nX-B: 3\r\nx-a: é\r\nContent-Length: "
		if !bytes.HasPrefix(r.text, []byte(want)) {
			t.Errorf("got %q", r.text)
		}
		read, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.text)))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(read.Body); string(got) != body || read.ContentLength != int64(len(body)) {
			t.Errorf("net/http reads %q of length %d", got, read.ContentLength)
		}
	}
	h, err = NewHead("GET", mustURL(t, "http://example.com"), http.Header{"Host": {"other"}, "Connection": {"Close"}})
	if r := h.Request(nil); err != nil || string(r.text) != "GET / HTTP/1.1\r\nHost: other\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n" || !r.last {
		t.Errorf("got %q, %v", r.text, err)
	}
}

func TestRequestRefuses(t *testing.T) {
	u := mustURL(t, "http://example.com/")
	for want, try := range map[string]func() (Head, error){
		`"" is not a method for requests`:              func() (Head, error) { return NewHead("", u, nil) },
		`"A B" is not a method for requests`:           func() (Head, error) { return NewHead("A B", u, nil) },
		`"CONNECT" is not a method for requests`:       func() (Head, error) { return NewHead("CONNECT", u, nil) },
		`"a:" is not a header's name`:                  func() (Head, error) { return NewHead("GET", u, http.Header{"a:": {"b"}}) },
		`header A has a value that no header can have`: func() (Head, error) { return NewHead("GET", u, http.Header{"A": {"b\r\nC: d"}}) },
		`the path holds what no request line can hold`: func() (Head, error) { return NewHead("GET", &url.URL{Host: "a", Opaque: "/a b"}, nil) },
		`the host is not plain ASCII: write an international name in its xn-- form`: func() (Head, error) {
			return NewHead("GET", &url.URL{Host: "bücher.example"}, nil)
		},
	} {
		if _, err := try(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
