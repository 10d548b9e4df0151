// Bench measures headroom beside vegeta, k6, wrk and h2load against one null
// server: the server pinned to processor 0, each client to processor 1, rounds
// interleaved, medians and ratios of the same rounds. It is run by make
// bench-peers, which builds the programs.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"
)

// request is what every client sends: a POST of 200 bytes.
var request = `{"query":"query null { null }","variables":{"pad":"` + strings.Repeat("x", 145) + `"}}`

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 5, "rounds of each row")
	seconds := flag.Int("seconds", 6, "length of an open-loop run in seconds")
	bin := flag.String("bin", "bin", "folder of headroom, vegeta, k6, wrk and h2load; the last two may be on PATH")
	serve := flag.Bool("serve", false, "be the null server")
	flag.Parse()
	if *serve {
		nullServer()
		return
	}
	work, err := os.MkdirTemp("", "headroom-bench-")
	check(err)
	defer os.RemoveAll(work)
	b := &bench{bin: *bin, work: work, rounds: *rounds, seconds: *seconds, results: map[string][]result{}}
	b.start()
	defer b.stop()
	for round := range b.rounds {
		log.Printf("round %d of %d", round+1, b.rounds)
		for _, rate := range []int{2000, 5000, 10000} {
			b.vegeta(rate)
			b.headroom(rate)
			if rate == 5000 {
				b.k6(rate)
			}
		}
		b.closed()
	}
	b.print()
}

// result is one run of one client.
type result struct {
	sent   int64         // counted by the server
	cpu    time.Duration // of the finished process
	wall   time.Duration
	memory int64 // peak resident, in KiB
	// headroom's own record of the run
	sending  float64 // CPU seconds while load was sent
	dropped  int64
	lag50    float64 // seconds
	lag99    float64
	failures string
}

type bench struct {
	bin, work       string
	rounds, seconds int
	url             string
	server          *exec.Cmd
	ask             *bufio.ReadWriter
	results         map[string][]result
	order           []string
}

// start starts the null server on processor 0.
func (b *bench) start() {
	self, err := os.Executable()
	check(err)
	b.server = exec.Command("taskset", "-c", "0", self, "-serve")
	in, err1 := b.server.StdinPipe()
	out, err2 := b.server.StdoutPipe()
	check(err1, err2, b.server.Start())
	b.ask = bufio.NewReadWriter(bufio.NewReader(out), bufio.NewWriter(in))
	line, err := b.ask.ReadString('\n')
	check(err)
	b.url = strings.TrimSpace(line)
	check(os.WriteFile(filepath.Join(b.work, "body.json"), []byte(request), 0o644))
}

func (b *bench) stop() { _ = b.server.Process.Kill(); _ = b.server.Wait() }

// count returns the requests that the server has answered so far.
func (b *bench) count() int64 {
	_, err1 := b.ask.WriteString("\n")
	line, err2 := "", error(nil)
	err3 := b.ask.Flush()
	line, err2 = b.ask.ReadString('\n')
	check(err1, err2, err3)
	n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	check(err)
	return n
}

// run runs a client on processor 1 and keeps its result under the name.
func (b *bench) run(name string, after func(*result), program string, args ...string) {
	if path := filepath.Join(b.bin, program); exists(path) {
		program = path
	}
	cmd := exec.Command("taskset", append([]string{"-c", "1", program}, args...)...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "CI=true", "K6_NO_USAGE_REPORT=true")
	var errors bytes.Buffer
	cmd.Stderr = &errors
	before, began := b.count(), time.Now()
	err := cmd.Run()
	r := result{sent: b.count() - before, wall: time.Since(began)}
	if cmd.ProcessState == nil {
		log.Printf("%s is left out: %v", name, err)
		return
	}
	if err != nil {
		r.failures = fmt.Sprintf("%v: %s", err, bytes.TrimSpace(errors.Bytes()))
	}
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	r.memory = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	if after != nil {
		after(&r)
	}
	if _, ok := b.results[name]; !ok {
		b.order = append(b.order, name)
	}
	b.results[name] = append(b.results[name], r)
	log.Printf("  %-32s %8d requests  %6.1f us/request  %4d MiB  %s", name, r.sent, r.perRequest()*1e6, r.memory/1024, r.failures)
}

func (r result) perRequest() float64 {
	if r.sent == 0 {
		return 0
	}
	if r.sending > 0 {
		return r.sending / float64(r.sent)
	}
	return r.cpu.Seconds() / float64(r.sent)
}

func (b *bench) vegeta(rate int) {
	vegeta := "vegeta"
	if path := filepath.Join(b.bin, vegeta); exists(path) {
		vegeta = path
	}
	target := filepath.Join(b.work, "targets")
	check(os.WriteFile(target, []byte("POST "+b.url+"\nContent-Type: application/json\n@"+filepath.Join(b.work, "body.json")+"\n"), 0o644))
	script := fmt.Sprintf("%s attack -targets=%s -rate=%d/s -duration=%ds | %s report", vegeta, target, rate, b.seconds, vegeta)
	b.run(fmt.Sprintf("vegeta attack | report %d/s", rate), nil, "sh", "-c", script)
}

func (b *bench) k6(rate int) {
	script := filepath.Join(b.work, "k6.js")
	check(os.WriteFile(script, fmt.Appendf(nil, `
import http from 'k6/http';
export const options = { scenarios: { open: { executor: 'constant-arrival-rate', rate: %d, timeUnit: '1s', duration: '%ds', preAllocatedVUs: 1000, maxVUs: 3000 } } };
export default () => http.post('%s', %q, { headers: { 'Content-Type': 'application/json' } });
`, rate, b.seconds, b.url, request), 0o644))
	b.run(fmt.Sprintf("k6 %d/s", rate), nil, "k6", "run", "--quiet", "--no-usage-report", script)
}

func (b *bench) headroom(rate int) {
	scenario, out := filepath.Join(b.work, "bench.yaml"), filepath.Join(b.work, "run")
	check(os.WriteFile(scenario, fmt.Appendf(nil, `
version: 1
name: bench
target: {graphql: {endpoint: %q}}
loads:
  - name: bench
    arrivals: uniform
    profile: [{stage: hold, rate: %d/s, for: %ds}]
    operations: [{name: null_, graphql: {query: "query null_($pad: String) { null(pad: $pad) }", variables: {pad: %q}}}]
`, b.url, rate, b.seconds, strings.Repeat("x", 100)), 0o644))
	b.run(fmt.Sprintf("headroom %d/s", rate), func(r *result) { readRecord(out, r) }, "headroom", "run", "--quiet", scenario, "--out", out)
}

// readRecord takes from headroom's record what its process's totals don't tell
// apart: reports are rendered after the load.
func readRecord(dir string, r *result) {
	f, err := os.Open(filepath.Join(dir, "metrics.ndjson"))
	if err != nil {
		r.failures = err.Error()
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s struct {
			Source, Metric string
			Points         []struct{ Value float64 }
		}
		if json.Unmarshal(lines.Bytes(), &s) == nil && s.Source == "generator" && s.Metric == "cpu" {
			for _, p := range s.Points {
				r.sending += p.Value
			}
		}
	}
	var report struct {
		Operations []struct {
			Dropped int64
			Lag     struct{ P50, P99 float64 }
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err == nil && json.Unmarshal(b, &report) == nil && len(report.Operations) == 1 {
		op := report.Operations[0]
		r.dropped, r.lag50, r.lag99 = op.Dropped, op.Lag.P50, op.Lag.P99
	}
}

// closed measures the ceilings with 64 connections.
func (b *bench) closed() {
	const seconds = 3
	target := filepath.Join(b.work, "targets")
	b.run("vegeta closed", nil, "vegeta", "attack", "-targets="+target, "-rate=0", "-max-workers=64", "-workers=64", "-connections=64",
		fmt.Sprintf("-duration=%ds", seconds), "-output=/dev/null")
	lua := filepath.Join(b.work, "post.lua")
	check(os.WriteFile(lua, fmt.Appendf(nil, "wrk.method='POST' wrk.headers['Content-Type']='application/json' wrk.body=%q", request), 0o644))
	b.run("wrk closed", nil, "wrk", "-t1", "-c64", fmt.Sprintf("-d%ds", seconds), "-s", lua, b.url)
	b.run("h2load closed", nil, "h2load", "--h1", "-t1", "-c64", "-D", strconv.Itoa(seconds), "-d", filepath.Join(b.work, "body.json"), "-H", "content-type: application/json", b.url)
}

// print prints the median of each row, and each pair's ratio round by round.
func (b *bench) print() {
	fmt.Printf("%s/%s, %d processors, %s, %d rounds\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), b.rounds)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "client\trequests/s\tCPU us/request\tpeak MiB\tdropped\tlag p50 ms\tlag p99 ms\t")
	for _, name := range b.order {
		rs := b.results[name]
		fmt.Fprintf(w, "%s\t%.0f\t%.1f\t%.0f\t%.0f\t%.2f\t%.2f\t\n", name,
			median(rs, func(r result) float64 { return float64(r.sent) / b.length(name) }),
			median(rs, func(r result) float64 { return r.perRequest() * 1e6 }),
			median(rs, func(r result) float64 { return float64(r.memory) / 1024 }),
			median(rs, func(r result) float64 { return float64(r.dropped) }),
			median(rs, func(r result) float64 { return r.lag50 * 1e3 }),
			median(rs, func(r result) float64 { return r.lag99 * 1e3 }))
	}
	check(w.Flush())
	fmt.Println("\nCPU per request, median of the rounds' own ratios:")
	for _, pair := range [][2]string{
		{"headroom 2000/s", "vegeta attack | report 2000/s"},
		{"headroom 5000/s", "vegeta attack | report 5000/s"},
		{"headroom 5000/s", "k6 5000/s"},
		{"headroom 10000/s", "vegeta attack | report 10000/s"},
	} {
		a, v := b.results[pair[0]], b.results[pair[1]]
		var ratios []float64
		for i := range min(len(a), len(v)) {
			if v[i].perRequest() > 0 {
				ratios = append(ratios, a[i].perRequest()/v[i].perRequest())
			}
		}
		if len(ratios) > 0 {
			slices.Sort(ratios)
			fmt.Printf("  %.2fx  (%.2f to %.2f)  %s over %s\n", ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1], pair[0], pair[1])
		}
	}
	fmt.Println("\nheadroom's CPU is that of its process while it sent, with outcome, ledger, histograms and record on;\nthe reports it renders afterwards are left out. The others' is of their whole process.")
}

// length is how long the named client sent, in seconds.
func (b *bench) length(name string) float64 {
	if strings.HasSuffix(name, "closed") {
		return 3
	}
	return float64(b.seconds)
}

func median(rs []result, of func(result) float64) float64 {
	vs := make([]float64, len(rs))
	for i, r := range rs {
		vs[i] = of(r)
	}
	slices.Sort(vs)
	return vs[len(vs)/2]
}

// nullServer answers every POST with the same kilobyte and tells its count for
// each line of its input.
func nullServer() {
	var n atomic.Int64
	body := `{"data":{"null":"` + strings.Repeat("x", 1000) + `"}}`
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-amzn-appsync-TokensConsumed: 3\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Printf("http://%s/graphql\n", l.Addr())
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			fmt.Println(n.Load())
		}
		os.Exit(0)
	}()
	for {
		c, err := l.Accept()
		check(err)
		go func() {
			defer c.Close()
			buf := make([]byte, 0, 8192)
			for {
				k, err := c.Read(buf[len(buf):cap(buf)])
				if err != nil {
					return
				}
				buf = buf[:len(buf)+k]
				for {
					size := requestSize(buf)
					if size == 0 {
						break
					}
					n.Add(1)
					if _, err := c.Write(answer); err != nil {
						return
					}
					buf = buf[:copy(buf, buf[size:])]
				}
			}
		}()
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

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func check(errs ...error) {
	for _, err := range errs {
		if err != nil {
			log.Fatal(err)
		}
	}
}
