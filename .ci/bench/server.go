package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// urls are where the null server answers.
type urls struct {
	Plain   string // with 1 KB
	Stalled string // the same; every stallEvery it holds all answers for stallFor
	TLS     string // with 1 KB over TLS 1.3
	Large   string // with 100 KB over TLS 1.3
}

const (
	stallEvery = 5 * time.Second
	stallFor   = 500 * time.Millisecond
)

// certificate is the file with the server's certificate.
const certificate = "server.pem"

func parseURLs(line string) urls {
	var u urls
	check(json.Unmarshal([]byte(line), &u))
	return u
}

// counted is what the null server has seen: the requests that it has answered,
// the connections that are open, and the most of them since it was last asked.
var counted struct{ requests, open, most atomic.Int64 }

// nullServer answers every POST with the same bytes. It says its URLs first, and
// then, for each line of its input, its counts once every connection is closed:
// what a client leaves behind would be counted with, and slow down, the next. With
// them it says how much of the time the machine was slow.
func nullServer(dir string) {
	conf := &tls.Config{Certificates: []tls.Certificate{selfSigned(filepath.Join(dir, certificate))}, MinVersion: tls.VersionTLS13}
	var at urls
	for _, one := range []struct {
		url  *string
		size int
		tls  *tls.Config
		hold func()
	}{
		{&at.Plain, 1000, nil, nil},
		{&at.Stalled, 1000, nil, stall(time.Now())},
		{&at.TLS, 1000, conf, nil},
		{&at.Large, 100_000, conf, nil},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		check(err)
		scheme := "http"
		if one.tls != nil {
			l, scheme = tls.NewListener(l, one.tls), "https"
		}
		*one.url = fmt.Sprintf("%s://%s/graphql", scheme, l.Addr())
		body := `{"data":{"null":"` + strings.Repeat("x", one.size) + `"}}`
		answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-amzn-appsync-TokensConsumed: 3\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		go accept(l, answer, one.hold)
	}
	var speed speed
	go speed.watch()
	check(json.NewEncoder(os.Stdout).Encode(at))
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		for counted.open.Load() > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		fmt.Println(counted.requests.Load(), counted.most.Swap(0), speed.slow())
	}
}

// stall returns what waits while answers are held.
func stall(began time.Time) func() {
	return func() {
		if within := time.Since(began) % stallEvery; within < stallFor {
			time.Sleep(stallFor - within)
		}
	}
}

func accept(l net.Listener, answer []byte, hold func()) {
	for {
		c, err := l.Accept()
		check(err)
		open := counted.open.Add(1)
		for most := counted.most.Load(); open > most && !counted.most.CompareAndSwap(most, open); most = counted.most.Load() {
		}
		go serve(c, answer, hold)
	}
}

// serve answers the requests of one connection.
func serve(c net.Conn, answer []byte, hold func()) {
	defer counted.open.Add(-1)
	defer c.Close()
	buf := make([]byte, 0, 8192)
	for {
		k, err := c.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return
		}
		buf = buf[:len(buf)+k]
		for size := requestSize(buf); size > 0; size = requestSize(buf) {
			counted.requests.Add(1)
			if hold != nil {
				hold()
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
			buf = buf[:copy(buf, buf[size:])]
		}
	}
}

// requestSize returns the length of the first whole request in b, or 0.
func requestSize(b []byte) int {
	head := bytes.Index(b, []byte("\r\n\r\n"))
	if head < 0 {
		return 0
	}
	size := head + 4
	for line := range bytes.SplitSeq(b[:head], []byte("\r\n")) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("content-length")) {
			n, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			check(err)
			size += n
		}
	}
	if len(b) < size {
		return 0
	}
	return size
}

// selfSigned makes a certificate for loopback and writes it to path.
func selfSigned(path string) tls.Certificate {
	key, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	made := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	check(err1)
	der, err2 := x509.CreateCertificate(rand.Reader, made, made, &key.PublicKey, key)
	check(err2, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
