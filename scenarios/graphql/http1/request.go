package http1

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Head is the head of requests that differ in their bodies alone.
type Head struct {
	text []byte // up to the value of Content-Length, which comes last
	head bool   // the answer to HEAD has no body
	last bool   // the connection ends with the answer
}

// NewHead lays out the head of requests for u. A Host in the header replaces
// u's. Content-Length, Transfer-Encoding and Trailer in it are left out: they
// follow from the body. It is an error if a part can't stand in a request.
func NewHead(method string, u *url.URL, header map[string][]string) (Head, error) {
	host := u.Host
	target := u.RequestURI()
	h := Head{head: method == "HEAD"}
	var rest []byte
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if !isToken(name) {
			return Head{}, fmt.Errorf("%q is not a header's name", name)
		}
		for _, value := range header[name] {
			if !isText(value) {
				return Head{}, fmt.Errorf("header %s has a value that no header can have", name)
			}
			switch lower := strings.ToLower(name); lower {
			case "host":
				host = value
				continue
			case "content-length", "transfer-encoding", "trailer":
				continue
			case "connection":
				h.last = h.last || hasToken([]byte(value), "close")
			}
			rest = append(append(append(append(rest, name...), ": "...), value...), "\r\n"...)
		}
	}
	if zone := strings.IndexByte(host, '%'); zone >= 0 { // of an IPv6 address
		if end := strings.IndexByte(host, ']'); end > zone {
			host = host[:zone] + host[end:]
		}
	}
	switch {
	case !isToken(method) || method == "CONNECT":
		return Head{}, fmt.Errorf("%q is not a method for requests", method)
	case !isVisible(target):
		return Head{}, fmt.Errorf("the path holds what no request line can hold")
	case host == "" || !isVisible(host):
		return Head{}, fmt.Errorf("the host is not plain ASCII: write an international name in its xn-- form")
	}
	h.text = fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: ", method, target, host, rest)
	return h, nil
}

// Request returns the request with a body, of which it keeps a copy.
func (h *Head) Request(body []byte) Request {
	text := make([]byte, 0, len(h.text)+len("18446744073709551615\r\n\r\n")+len(body))
	text = append(text, h.text...)
	text = strconv.AppendInt(text, int64(len(body)), 10)
	text = append(text, "\r\n\r\n"...)
	return Request{text: append(text, body...), body: len(body), head: h.head, last: h.last}
}

// Request is a request in the bytes that are sent. It may be sent any number of
// times, by many at once.
type Request struct {
	text []byte
	body int // how many bytes at the end of text are the body
	head bool
	last bool
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c-'0' > 9 && (c|0x20)-'a' > 25 && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// isText reports whether s can be the value of a header.
func isText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isVisible(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
