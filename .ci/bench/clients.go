package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// request is what every client sends: a POST of 200 bytes.
var request = `{"query":"query null { null }","variables":{"pad":"` + strings.Repeat("x", 145) + `"}}`

// open measures vegeta and headroom at one rate.
func (b *bench) open(rate, seconds int) {
	b.vegeta(rate, seconds)
	b.headroom(fmt.Sprintf("headroom %d/s", rate), b.urls.Plain, rate, seconds, "default")
}

// targets writes the requests to url as vegeta reads them.
func (b *bench) targets(url string) string {
	check(os.WriteFile(b.file("targets"), []byte("POST "+url+"\nContent-Type: application/json\n@"+b.file("body.json")+"\n"), 0o644))
	return b.file("targets")
}

func (b *bench) vegeta(rate, seconds int) {
	vegeta := b.program("vegeta")
	script := fmt.Sprintf("%s attack -targets=%s -rate=%d/s -duration=%ds | %s report", vegeta, b.targets(b.urls.Plain), rate, seconds, vegeta)
	b.run(fmt.Sprintf("vegeta attack | report %d/s", rate), seconds, nil, "sh", "-c", script)
}

func (b *bench) k6(rate, seconds int) {
	check(os.WriteFile(b.file("k6.js"), fmt.Appendf(nil, `
import http from 'k6/http';
export const options = { scenarios: { open: { executor: 'constant-arrival-rate', rate: %d, timeUnit: '1s', duration: '%ds', preAllocatedVUs: 1000, maxVUs: 3000 } } };
export default () => http.post('%s', %q, { headers: { 'Content-Type': 'application/json' } });
`, rate, seconds, b.urls.Plain, request), 0o644))
	b.run(fmt.Sprintf("k6 %d/s", rate), seconds, nil, "k6", "run", "--quiet", "--no-usage-report", b.file("k6.js"))
}

func (b *bench) headroom(name, url string, rate, seconds int, pacing string) {
	out := b.file("run")
	check(os.WriteFile(b.file("bench.yaml"), fmt.Appendf(nil, `
version: 1
name: bench
target: {graphql: {endpoint: %q}}
loads:
  - name: bench
    arrivals: uniform
    pacing: %s
    profile: [{stage: hold, rate: %d/s, for: %ds}]
    operations: [{name: null_, graphql: {query: "query null_($pad: String) { null(pad: $pad) }", variables: {pad: %q}}}]
`, url, pacing, rate, seconds, strings.Repeat("x", 100)), 0o644))
	b.run(name, seconds, func(r *result) { r.read(out) }, "headroom", "run", "--quiet", b.file("bench.yaml"), "--out", out)
}

// read takes what headroom's record says.
func (r *result) read(dir string) {
	f, err := os.Open(filepath.Join(dir, "metrics.ndjson"))
	if err != nil {
		r.failed = err.Error()
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
				r.sending += p.Value // of the one processor, in a second
			}
		}
	}
	var report struct {
		Operations []struct {
			Planned, Sent, Dropped int64
			Lag                    struct{ P50, P99 float64 }
			Response               struct{ P95, P99 float64 } `json:"response_time"`
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err == nil {
		err = json.Unmarshal(text, &report)
	}
	if err != nil || len(report.Operations) != 1 {
		r.failed = fmt.Sprintf("no report of one operation: %v", err)
		return
	}
	op := report.Operations[0]
	r.planned, r.recorded, r.dropped = op.Planned, op.Sent, op.Dropped
	r.lag50, r.lag99, r.response95, r.response99 = op.Lag.P50, op.Lag.P99, op.Response.P95, op.Response.P99
}

// closedSeconds is the length of a closed-loop run.
const closedSeconds = 3

// closed measures headroom's closed loop and vegeta's with 64 connections.
func (b *bench) closed(suffix, url string) {
	b.run("headroom "+suffix, closedSeconds, nil, "ceiling", url, strconv.Itoa(closedSeconds))
	b.run("vegeta "+suffix, closedSeconds, nil, "vegeta", "attack", "-targets="+b.targets(url), "-rate=0", "-max-workers=64", "-workers=64", "-connections=64",
		fmt.Sprintf("-duration=%ds", closedSeconds), "-output=/dev/null")
}

func (b *bench) ceiling() {
	b.closed("closed", b.urls.Plain)
	check(os.WriteFile(b.file("post.lua"), fmt.Appendf(nil, "wrk.method='POST' wrk.headers['Content-Type']='application/json' wrk.body=%q", request), 0o644))
	b.run("wrk closed", closedSeconds, nil, "wrk", "-t1", "-c64", fmt.Sprintf("-d%ds", closedSeconds), "-s", b.file("post.lua"), b.urls.Plain)
	b.run("h2load closed", closedSeconds, nil, "h2load", "--h1", "-t1", "-c64", "-D", strconv.Itoa(closedSeconds), "-d", b.file("body.json"), "-H", "content-type: application/json", b.urls.Plain)
}

func (b *bench) tls() {
	b.closed("TLS 1 KB", b.urls.TLS)
	b.closed("TLS 100 KB", b.urls.Large)
}
