package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/calibration"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/capacity/sandbox"
)

// The stories of the command line are in testdata/script: each is a user's
// session, with the files that it begins with.

func TestMain(m *testing.M) { testscript.Main(m, programs) }

// programs are what stories and tests run as processes of their own.
var programs = map[string]func(){"headroom": main}

func TestScripts(t *testing.T) {
	testscript.RunT(inTurn{t}, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"serve":    serve,
			"sandbox":  serveSandbox,
			"json":     checkJSON,
			"agree":    agree,
			"cloudsum": cloudSum,
			"waitfor":  waitFor,
			"ceiling":  ceiling,
		},
		// What this machine's user keeps, such as a calibration, is not the stories'.
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			e.Setenv("LocalAppData", filepath.Join(e.WorkDir, "cache"))
			e.Values[story{}] = e.T()
			return nil
		},
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// inTurn runs the stories one after the other: two rehearsals at once would
// take each other's processor time and make each other INVALID. After them come
// those that may run beside others.
type inTurn struct{ *testing.T }

// beside are the stories of which nothing hangs on how a run's verdict turns out.
var beside = strings.Fields("aws bad ceiling check fit guard guard-units interrupt msk out plan prices proxy ready sandbox schema simulate tasks tls video")

func (t inTurn) Parallel() {
	if slices.Contains(beside, path.Base(t.Name())) {
		t.T.Parallel()
	}
}

func (inTurn) Verbose() bool { return testing.Verbose() }

func (t inTurn) Run(name string, f func(testscript.T)) {
	t.T.Run(name, func(t *testing.T) { f(inTurn{t}) })
}

// exits is "exits CODE[|CODE...][:CHECK] ARGS...": it runs the program and checks its
// exit code and, with CHECK, that the report names it among the checks that failed.
// A run that is INVALID instead, or for another reason, is tried again.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE[|CODE...][:CHECK] ARGS...")
	}
	codes, check, _ := strings.Cut(args[0], ":")
	for try, held := 1, 0; ; try++ {
		w := newWitness()
		err := ts.Exec("headroom", args[1:]...)
		if w.end() {
			held++
		}
		code := 0
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			ts.Fatalf("headroom %s: %v", strings.Join(args[1:], " "), err)
		}
		if slices.Contains(strings.Split(codes, "|"), strconv.Itoa(code)) && (check == "" || strings.Contains(ts.ReadFile("stdout"), "\n- "+check+": ")) {
			return
		}
		if try > 1 {
			again.Add(int64(w.took))
		}
		said := fmt.Sprintf("headroom %s: exit code %d, want %s", strings.Join(args[1:], " "), code, args[0])
		t := ts.Value(story{}).(inTurn)
		deadline, bounded := t.Deadline()
		last := try == mostTries || try >= leastTries && time.Duration(again.Load()) > patience || bounded && time.Until(deadline) < reserve
		switch {
		case code != exitInvalid || last && 2*held <= try:
			ts.Fatalf("%s", said)
		case last:
			t.Skipf("%s in %d tries; this machine was busy in %d of them, and kept a sleeper waiting for %s", said, try, held, w)
		}
		ts.Logf("try %d was INVALID; this machine kept a sleeper waiting for %s", try, w)
	}
}

// story is the key of the value that is the story's inTurn.
type story struct{}

// serve is "serve KIND": it starts a GraphQL server that behaves in the given
// way and puts its URL into $URL. A kind that begins with "tls-" is served over
// TLS; its certificate is in authority.pem.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: serve KIND")
	}
	if args[0] == "refuse" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Setenv("URL", "http://"+l.Addr().String()+"/graphql")
		ts.Check(l.Close())
		return
	}
	kind, tls := strings.CutPrefix(args[0], "tls-")
	answer, ok := answers[kind]
	if !ok {
		ts.Fatalf("no server is %q", args[0])
	}
	var n atomic.Int64
	done := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, n.Add(1)-1, done)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true // for clients that ask for it
	if tls {
		s.StartTLS()
		authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
		ts.Check(os.WriteFile(ts.MkAbs("authority.pem"), authority, 0o644))
	} else {
		s.Start()
	}
	ts.Defer(func() { close(done); s.CloseClientConnections(); s.Close() })
	ts.Setenv("URL", s.URL+"/graphql")
}

// serveSandbox is "sandbox SYSTEM": it starts a sandbox and sets the variables
// that point any SDK at it.
func serveSandbox(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sandbox SYSTEM")
	}
	sys, err := openSystem(args[0])
	ts.Check(err)
	s, err := sandbox.Start(sandbox.Config{System: sys, Seed: 1})
	ts.Check(err)
	ts.Defer(func() { ts.Check(s.Close()) })
	e := s.Endpoints()
	for name, value := range map[string]string{
		"APPSYNC_URL": e.GraphQL, "APPSYNC_API_KEY": e.APIKey, "AWS_ENDPOINT_URL": e.AWS,
		"KAFKA_BROKERS": strings.Join(e.Kafka, ","), "AWS_ACCESS_KEY_ID": e.AccessKey, "AWS_SECRET_ACCESS_KEY": e.SecretKey,
	} {
		ts.Setenv(name, value)
	}
}

// answers are the ways in which a server may behave; n counts its requests.
var answers = map[string]func(w http.ResponseWriter, n int64, done <-chan struct{}){
	"ok": func(w http.ResponseWriter, _ int64, _ <-chan struct{}) {
		fmt.Fprint(w, `{"data":{"ping":"pong"}}`)
	},
	// Of each 100 requests: 3 with GraphQL errors in a 200, one of them without
	// an errorType, and 2 throttled.
	"mixed": func(w http.ResponseWriter, n int64, _ <-chan struct{}) {
		w.Header().Set("x-amzn-appsync-TokensConsumed", "3")
		switch n % 100 {
		case 10, 11:
			fmt.Fprint(w, `{"data":{"ping":null},"errors":[{"message":"no","errorType":"Injected"}]}`)
		case 12:
			fmt.Fprint(w, `{"data":{"ping":null},"errors":[{"message":"no"}]}`)
		case 50, 51:
			w.Header().Del("x-amzn-appsync-TokensConsumed")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, `{"errors":[{"errorType":"ThrottlingException"}]}`)
		default:
			fmt.Fprint(w, `{"data":{"ping":"pong"}}`)
		}
	},
	"html": func(w http.ResponseWriter, _ int64, _ <-chan struct{}) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><title>It works</title>`)
	},
	"cut": func(w http.ResponseWriter, _ int64, _ <-chan struct{}) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, `{"data":{"ping":`)
		_ = http.NewResponseController(w).Flush()
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.Close()
		}
	},
	"hang": func(_ http.ResponseWriter, _ int64, done <-chan struct{}) { <-done },
}

// checkJSON is "json FILE PATH WANT [WITHIN]": it checks one value of a JSON
// file. PATH is keys and indices with slashes between; key=value picks the element
// of a list. WANT is a JSON value; with WITHIN, a fraction, the number
// may differ from it by so much of it.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 && len(args) != 4 {
		ts.Fatalf("usage: json FILE PATH WANT [WITHIN]")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	for _, key := range strings.Split(args[1], "/") {
		v = step(ts, v, key)
	}
	got, err := json.Marshal(v)
	ts.Check(err)
	equal := string(got) == args[2]
	if len(args) == 4 {
		want, err1 := strconv.ParseFloat(args[2], 64)
		within, err2 := strconv.ParseFloat(args[3], 64)
		ts.Check(errors.Join(err1, err2))
		number, ok := v.(float64)
		equal = ok && math.Abs(number-want) <= within*math.Abs(want)
	}
	if equal == neg {
		ts.Fatalf("%s: %s is %s, want %s", args[0], args[1], got, strings.Join(args[2:], " within "))
	}
}

// agree is "agree FILE OTHER PATH WITHIN OF": the number at PATH of two JSON files
// differs by at most the part WITHIN of the number at OF.
func agree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: agree FILE OTHER PATH WITHIN OF")
	}
	number := func(file, path string) float64 {
		var v any
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &v))
		for _, key := range strings.Split(path, "/") {
			v = step(ts, v, key)
		}
		n, ok := v.(float64)
		if !ok {
			ts.Fatalf("%s: %s is no number", file, path)
		}
		return n
	}
	within, err := strconv.ParseFloat(args[3], 64)
	ts.Check(err)
	a, b := number(args[0], args[2]), number(args[1], args[2])
	if math.Abs(a-b) > within*number(args[0], args[4]) {
		ts.Fatalf("%s is %v and %v, which differ by more than %s of %s", args[2], a, b, args[3], args[4])
	}
}

func step(ts *testscript.TestScript, v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		if value, ok := v[key]; ok {
			return value
		}
	case []any:
		if name, want, ok := strings.Cut(key, "="); ok {
			for _, e := range v {
				if m, ok := e.(map[string]any); ok && m[name] == want {
					return e
				}
			}
		} else if i, err := strconv.Atoi(key); err == nil && i < len(v) {
			return v[i]
		}
	}
	ts.Fatalf("there is no %q", key)
	return nil
}

// ceiling is "ceiling RATE [HTTP2]": it keeps a calibration of this machine with that
// ceiling, and one over HTTP/2, where the program looks for it.
func ceiling(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 && len(args) != 2 {
		ts.Fatalf("usage: ceiling RATE [HTTP2]")
	}
	rate, err := strconv.ParseFloat(args[0], 64)
	ts.Check(err)
	two := 0.0
	if len(args) == 2 {
		two, err = strconv.ParseFloat(args[1], 64)
		ts.Check(err)
	}
	c := &capacity.Calibration{
		At: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), Tool: tool().Version,
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0),
		Ceiling: rate, Connections: 64, CeilingHTTP2: two,
		Open:  capacity.OpenLoop{Rate: rate / 2, For: 3, Status: capacity.Valid, Lag: capacity.Spread{N: 1000, P50: 0.0005, P99: 0.0011, Max: 0.004}},
		Stall: capacity.StallTest{Rate: 500, For: 8, Stall: 1.5, Error: new(0.012), Passed: true},
	}
	// The user's cache on Linux, macOS and Windows.
	for _, dir := range []string{"cache", filepath.Join("Library", "Caches")} {
		ts.Check(calibration.Save(ts.MkAbs(filepath.Join(dir, "headroom", "calibration.json")), c))
	}
}

// cloudSum is "cloudsum FOLDER METRIC": it checks that what the cloud counted
// of a metric, read from the record in the folder, is what the client's own
// ledger counted.
func cloudSum(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cloudsum FOLDER METRIC")
	}
	run, err := record.Read(ts.MkAbs(args[0]))
	ts.Check(err)
	var ledger, cloud float64
	points := 0
	for r := range run.Rows.All() {
		switch args[1] {
		case "TokensConsumed":
			ledger += float64(r.TokensDone)
		case "Requests":
			ledger += float64(r.Sent)
		}
	}
	for _, s := range run.Series {
		if s.Metric == args[1] && s.Statistic == "Sum" {
			for p := range s.Points.All() {
				cloud += p.Value
				points++
			}
		}
	}
	if points == 0 || cloud != ledger || ledger == 0 {
		ts.Fatalf("%s: the cloud counted %g in %d points, the client %g", args[1], cloud, points, ledger)
	}
}

// waitFor is "waitfor FILE TEXT": it waits until the file of a program in the
// background holds the text.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor FILE TEXT")
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 60 * 50 {
		if b, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && bytes.Contains(b, []byte(args[1])) {
			return
		}
		<-tick.C
	}
	ts.Fatalf("%s never held %q", args[0], args[1])
}

// The sandbox prints what a user needs to reach it, and ends when it is told.
func TestSandboxStaysUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	in, out := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"sandbox", "premiere"}, app{stdin: strings.NewReader(""), stdout: out, stderr: io.Discard, env: os.LookupEnv})
		_ = out.Close()
	}()
	exported := map[string]string{}
	lines := bufio.NewScanner(in)
	for exported["AWS_SECRET_ACCESS_KEY"] == "" && lines.Scan() {
		if name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "="); ok {
			exported[name] = value
		}
	}
	go func() { _, _ = io.Copy(io.Discard, in) }()
	req, err := http.NewRequest(http.MethodPost, exported["APPSYNC_URL"], strings.NewReader(`{"query": "query listPrograms { __typename }"}`))
	if err != nil {
		t.Fatalf("%v in %v", err, exported)
	}
	req.Header.Set("x-api-key", exported["APPSYNC_API_KEY"])
	req.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || answer.Header.Get("x-amzn-appsync-TokensConsumed") != "200" {
		t.Errorf("%s %v %s %v", answer.Status, answer.Header, body, err)
	}
	cancel()
	if got := <-code; got != exitDone {
		t.Errorf("exit code %d", got)
	}
}

// The exit codes and the help are the same in process as in a process.
func TestUsage(t *testing.T) {
	var out, err bytes.Buffer
	a := app{stdin: strings.NewReader(""), stdout: &out, stderr: &err, env: func(string) (string, bool) { return "", false }}
	for args, want := range map[string]int{
		"--help":            exitDone,
		"run":               exitUsage,
		"fly":               exitUsage,
		"run --nope x.yaml": exitUsage,
		// An empty goal is none that was forgotten: it would be a plain run.
		"run premiere --find-max=":                    exitUsage,
		"run premiere --find-max=p99<1s --find-from=": exitUsage,
	} {
		if got := run(context.Background(), strings.Fields(args), a); got != want {
			t.Errorf("headroom %s: exit code %d, want %d", args, got, want)
		}
	}
	if !strings.Contains(out.String(), "rehearse") && !strings.Contains(out.String(), "Rehearse") {
		t.Errorf("help: %s", out.String())
	}
}
