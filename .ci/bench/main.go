// Bench measures headroom beside vegeta, k6, wrk and h2load against one null
// server: the server pinned to processor 0, each client to processor 1, rounds
// interleaved. It holds the medians, and the ratios of the same rounds, against
// the goals that goals.go lists. It is run by make bench-peers, which builds the
// programs.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 5, "rounds of each row")
	// A run's start and its report take as much as some thousand requests.
	short := flag.Int("seconds", 20, "length of an open-loop run in seconds")
	long := flag.Int("long", 60, "length of the run at 10,000/s and of the second memory run in seconds")
	rows := flag.String("rows", "", "measure only the rows whose name this regular expression matches: 2000 5000 10000 ceiling tls stall memory")
	realtime := flag.Bool("realtime", false, "run clients before all other programs of this machine (chrt, needs root), so that a busy machine doesn't add to their lag")
	bin := flag.String("bin", "bin", "folder of headroom, ceiling, vegeta, k6, wrk and h2load; the last two may be on PATH")
	serve := flag.String("serve", "", "be the null server, which leaves its certificate in this folder")
	flag.Parse()
	if *serve != "" {
		nullServer(*serve)
		return
	}
	only, err := regexp.Compile(*rows)
	check(err)
	work, err := os.MkdirTemp("", "headroom-bench-")
	check(err)
	defer os.RemoveAll(work)
	b := &bench{bin: *bin, work: work, rounds: *rounds, realtime: *realtime, results: map[string][]result{}, length: map[string]int{}}
	b.start()
	defer b.stop()
	for round := range b.rounds {
		log.Printf("round %d of %d", round+1, b.rounds)
		for _, row := range []struct {
			name string
			run  func()
		}{
			{"2000", func() { b.open(2000, *short) }},
			{"5000", func() {
				b.open(5000, *short)
				b.k6(5000, *short)
				b.headroom("headroom 5000/s precise", b.urls.Plain, 5000, *short, "precise")
			}},
			{"10000", func() {
				b.vegeta(10000, min(*short, 6)) // with ever more connections
				b.headroom("headroom 10000/s", b.urls.Plain, 10000, *long, "default")
			}},
			{"ceiling", b.ceiling},
			{"tls", b.tls},
			{"stall", func() { b.headroom("headroom 2000/s stalled", b.urls.Stalled, 2000, 20, "default") }},
			{"memory", func() {
				b.headroom("headroom 5000/s short", b.urls.Plain, 5000, max(*long/3, 1), "default")
				b.headroom("headroom 5000/s long", b.urls.Plain, 5000, *long, "default")
			}},
		} {
			if only.MatchString(row.name) {
				row.run()
			}
		}
	}
	b.print()
}

// result is one run of one client.
type result struct {
	sent   int64         // counted by the server
	open   int64         // most connections at once, counted by the server
	cpu    time.Duration // of the finished process and its children
	memory int64         // peak resident, in KiB
	// foreign is the share of the processor that others took meanwhile: other
	// programs, and the host of a virtual machine.
	foreign float64
	// slow is the share of the time in which the machine ran at a fraction of its
	// speed.
	slow   float64
	failed string
	// What headroom's own record says of the run; times are in seconds.
	sending           float64 // CPU time while load was sent
	planned           int64
	recorded, dropped int64 // sent, by the record
	lag50, lag99      float64
	response95        float64
	response99        float64
}

// perRequest returns the processor time of a request in seconds, NaN where none
// was sent.
func (r result) perRequest() float64 {
	if r.sent == 0 {
		return math.NaN()
	}
	return r.cpu.Seconds() / float64(r.sent)
}

// own returns a figure of headroom's record, NaN where there is none.
func (r result) own(figure float64) float64 {
	if r.planned == 0 {
		return math.NaN()
	}
	return figure
}

type bench struct {
	bin, work string
	rounds    int
	realtime  bool
	urls      urls
	server    *exec.Cmd
	ask       *bufio.ReadWriter
	results   map[string][]result
	order     []string
	length    map[string]int // of each client's runs, in seconds
}

// start starts the null server on processor 0.
func (b *bench) start() {
	self, err := os.Executable()
	check(err)
	b.server = exec.Command("taskset", "-c", "0", self, "-serve", b.work)
	b.server.Stderr = os.Stderr
	in, err1 := b.server.StdinPipe()
	out, err2 := b.server.StdoutPipe()
	check(err1, err2, b.server.Start())
	b.ask = bufio.NewReadWriter(bufio.NewReader(out), bufio.NewWriter(in))
	line, err := b.ask.ReadString('\n')
	check(err)
	b.urls = parseURLs(line)
	check(os.WriteFile(b.file("body.json"), []byte(request), 0o644))
}

func (b *bench) stop() { _ = b.server.Process.Kill(); _ = b.server.Wait() }

func (b *bench) file(name string) string { return filepath.Join(b.work, name) }

// count returns the requests that the server has answered so far, the most
// connections that it had at once since it was last asked, and the share of the time
// since then in which the machine was slow.
func (b *bench) count() (requests, connections int64, slow float64) {
	_, err1 := b.ask.WriteString("\n")
	err2 := b.ask.Flush()
	line, err3 := b.ask.ReadString('\n')
	check(err1, err2, err3)
	_, err := fmt.Sscan(line, &requests, &connections, &slow)
	check(err)
	return requests, connections, slow
}

// program returns how a program is started.
func (b *bench) program(name string) string {
	if path := filepath.Join(b.bin, name); exists(path) {
		return path
	}
	return name
}

// run runs a client, which is to send for so many seconds, on processor 1 and
// keeps its result under the name.
func (b *bench) run(name string, seconds int, after func(*result), program string, args ...string) {
	args = append([]string{"taskset", "-c", "1", b.program(program)}, args...)
	if b.realtime {
		args = append([]string{"chrt", "-f", "10"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "CI=true", "K6_NO_USAGE_REPORT=true", "SSL_CERT_FILE="+b.file(certificate))
	var said bytes.Buffer
	cmd.Stderr = &said
	requests, _, _ := b.count()
	busy, began := busyTime(), time.Now()
	err := cmd.Run()
	wall := time.Since(began)
	if cmd.ProcessState == nil {
		log.Printf("%s is left out: %v", name, err)
		return
	}
	var r result
	r.sent, r.open, r.slow = b.count()
	r.sent -= requests
	if err != nil {
		r.failed = fmt.Sprintf("%v %s", err, bytes.TrimSpace(said.Bytes()))
	}
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	r.foreign = max(0, (busyTime()-busy-r.cpu).Seconds()/wall.Seconds())
	r.memory = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	if after != nil {
		after(&r)
	}
	if _, ok := b.results[name]; !ok {
		b.order = append(b.order, name)
	}
	b.results[name], b.length[name] = append(b.results[name], r), seconds
	log.Printf("  %-32s %8d requests  %6.1f us/request  %4d MiB  %3.0f %% foreign  %4.1f %% slow  %s", name, r.sent, r.perRequest()*1e6, r.memory/1024, r.foreign*100, r.slow*100, strings.ReplaceAll(r.failed, "\n", "; "))
}

// busyTime returns how long processor 1 has been busy, of the hundredths of
// seconds that /proc/stat counts.
func busyTime() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	check(err)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 9 || fields[0] != "cpu1" {
			continue
		}
		var ticks int64
		for i, f := range fields[1:9] { // user nice system idle iowait irq softirq steal
			n, err := strconv.ParseInt(f, 10, 64)
			check(err)
			if i != 3 && i != 4 {
				ticks += n
			}
		}
		return time.Duration(ticks) * 10 * time.Millisecond
	}
	log.Fatal("there is no processor 1: one is the server's, one the client's")
	return 0
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func check(errs ...error) {
	for _, err := range errs {
		if err != nil {
			log.Fatal(err)
		}
	}
}
