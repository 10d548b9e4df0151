package calibration_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/calibration"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/graphql"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// server answers after a constant time, but holds every answer in a stall.
type server struct {
	began time.Time
	after time.Duration
	until atomic.Int64
}

func (s *server) stall(d time.Duration) error {
	s.until.Store(int64(time.Since(s.began) + d))
	return nil
}

func (s *server) driver(scenarios.Load, int) (load.Driver, error) { return s, nil }
func (s *server) Prepare(load.Arrival) (load.Request, error)      { return s, nil }
func (s *server) Close() error                                    { return nil }
func (s *server) Send(ctx context.Context, sample *measure.Sample) {
	time.Sleep(max(s.after, time.Duration(s.until.Load())-time.Since(s.began)))
	sample.Outcome, sample.Tokens = measure.OK, 1
	if ctx.Err() != nil {
		sample.Outcome = measure.Unfinished
	}
}

var tiny = calibration.Steps{
	Timers: 20, Connections: 8, Ceiling: time.Second, Open: 2 * time.Second, WarmUp: time.Second,
	Rate: 500, Length: 8 * time.Second, Stall: 1500 * time.Millisecond,
}

// In virtual time everything is known: timers are exact, eight connections that
// wait 4 ms each make 2,000 requests a second, nothing is late, and the stall
// comes out as the closed form says.
func TestMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{began: time.Now(), after: 4 * time.Millisecond}
		two := &server{began: time.Now(), after: 100 * time.Millisecond} // for each of 128 a processor
		var steps []string
		got, err := calibration.Measure(t.Context(), calibration.Config{
			Driver: s.driver, DriverHTTP2: two.driver, Stall: s.stall, Scratch: t.TempDir(), Tool: capacity.Tool{Version: "v1"}, Steps: tiny,
			Progress: func(step string) { steps = append(steps, step) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if got.Timer.N != 20 || got.Timer.Max != 0 {
			t.Errorf("timers %+v", got.Timer)
		}
		if one, two := got.CeilingOver(false), got.CeilingOver(true); one < 1990 || one > 2010 || math.Abs(two/float64(1280*got.GOMAXPROCS)-1) > 0.005 {
			t.Errorf("ceiling %g, over HTTP/2 %g", one, two)
		}
		if got.Open.Status != capacity.Valid || got.Open.Rate < 990 || got.Open.Rate > 1010 || got.Open.Lag.Max > 0.001 || got.Open.Lag.N == 0 {
			t.Errorf("open loop %+v", got.Open)
		}
		if !got.Stall.Passed || got.Stall.Error == nil || *got.Stall.Error > 0.01 || len(got.Stall.Quantiles) != 3 {
			t.Errorf("stall %+v", got.Stall)
		}
		if got.Tool != "v1" || got.OS != runtime.GOOS || len(steps) != 5 {
			t.Errorf("%+v after %q", got, steps)
		}
		if line := got.String(); !strings.Contains(line, "/s over HTTP/1.1, ") || !strings.Contains(line, " over HTTP/2, lag p99 ") || !strings.Contains(line, " %") || !strings.Contains(line, "(2000-01-01)") {
			t.Errorf("line %s", line)
		}
	})
}

// A step that takes too long ends the calibration; steps that take long together
// don't.
func TestMeasureIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		open, length time.Duration
		busy         bool
	}{
		"one endless step":     {time.Second, time.Hour, true},
		"long steps, in order": {20 * time.Second, 20 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{began: time.Now(), after: 4 * time.Millisecond}
				steps := tiny
				steps.Open, steps.Length = c.open, c.length
				start := time.Now()
				_, err := calibration.Measure(t.Context(), calibration.Config{Driver: s.driver, Stall: s.stall, Scratch: t.TempDir(), Steps: steps})
				took := time.Since(start)
				switch {
				case !c.busy && (err != nil || took < calibration.Longest):
					t.Errorf("%v after %s", err, took)
				case c.busy && (!errors.Is(err, calibration.ErrBusy) || err.Error() != "stall self-test: it took more than 25s, as this machine is busy: close other programs and calibrate again"):
					t.Errorf("%v after %s", err, took)
				case c.busy && took > calibration.Longest+5*time.Second: // the steps before it
					t.Errorf("gave up after %s", took)
				}
			})
		})
	}
}

func TestJudge(t *testing.T) {
	steps := calibration.Whole // 1.5 s of 8 s: 0.7, 1.1 and 1.42 s
	for name, c := range map[string]struct {
		p90, p95, p99 float64
		passed        bool
		worst         float64
	}{
		"exact":          {0.7, 1.1, 1.42, true, 0},
		"a little late":  {0.72, 1.12, 1.43, true, 0.02 / 0.7},
		"too late":       {0.74, 1.12, 1.43, false, 0.04 / 0.7},
		"stall not seen": {0.002, 0.003, 1.4, false, (1.1 - 0.003) / 1.1},
	} {
		got := calibration.Judge(steps, capacity.Times{N: 4000, P90: &c.p90, P95: &c.p95, P99: &c.p99})
		if got.Passed != c.passed || got.Error == nil || *got.Error < c.worst-1e-9 || *got.Error > c.worst+1e-9 || (got.Reason == "") != c.passed {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := calibration.Judge(steps, capacity.Times{}); got.Passed || got.Error != nil || got.Reason == "" {
		t.Errorf("withheld: %+v", got)
	}
}

// The null server answers what the product's driver counts as ok, with tokens, over
// either version of HTTP, and holds answers as long as it is told.
func TestServeNull(t *testing.T) {
	in, orders := io.Pipe()
	said, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- calibration.ServeNull(in, out) }()
	var hello struct{ URL string }
	line, err := bufio.NewReader(said).ReadBytes('\n')
	if err := errors.Join(err, json.Unmarshal(line, &hello)); err != nil {
		t.Fatal(err)
	}
	l := scenarios.Load{Name: "null", Timeout: 10 * time.Second, Operations: []scenarios.Operation{{Name: "null", Weight: 1, GraphQL: &scenarios.GraphQLOperation{Document: "{ null }"}}}}
	var drivers []*graphql.Driver
	for _, two := range []bool{false, true} {
		d, err := graphql.New(graphql.Config{Target: scenarios.GraphQL{Endpoint: hello.URL, HTTP2: two}, Load: l, InFlight: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		drivers = append(drivers, d)
	}
	send := func(d *graphql.Driver) measure.Sample {
		r, err := d.Prepare(load.Arrival{})
		if err != nil {
			t.Fatal(err)
		}
		s := measure.Sample{Tokens: measure.NoTokens}
		r.Send(t.Context(), &s)
		return s
	}
	for _, d := range drivers {
		for range 3 {
			if s := send(d); s.Outcome != measure.OK || s.Tokens != 1 || s.BytesIn != 1000 {
				t.Errorf("sample %+v", s)
			}
		}
	}
	const held = 50 * time.Millisecond
	for _, d := range drivers {
		before := time.Now()
		// The second order is read when the first one has been obeyed.
		for range 2 {
			if _, err := io.WriteString(orders, "stall 50ms\n"); err != nil {
				t.Fatal(err)
			}
		}
		if s := send(d); s.Outcome != measure.OK || time.Since(before) < held {
			t.Errorf("sample %+v after %s", s, time.Since(before))
		}
	}
	// Another client's requests, with a body and without.
	for _, body := range []string{"", strings.Repeat(" ", 10_000)} {
		answer, err := http.Post(hello.URL, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !json.Valid(b) {
			t.Errorf("%s %s %v", answer.Status, b, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	_ = orders.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, d := range drivers {
		if s := send(d); s.Outcome == measure.OK {
			t.Error("the server is still there")
		}
	}

	if err := calibration.ServeNull(strings.NewReader("fly\n"), io.Discard); err == nil {
		t.Error("an order that is none was obeyed")
	}
}

func TestKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "calibration.json")
	tool := capacity.Tool{Version: "v1"}
	if c, err := calibration.Kept(path, tool); c != nil || err != nil {
		t.Errorf("missing: %v, %v", c, err)
	}
	worst, p90 := 0.012, 0.7
	want := &capacity.Calibration{
		At: time.Date(2026, 11, 21, 22, 0, 0, 0, time.UTC), Tool: "v1",
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0),
		Timer: capacity.Spread{N: 200, P50: 0.0005, P99: 0.001, Max: 0.002}, Ceiling: 41000, Connections: 64,
		Open: capacity.OpenLoop{Rate: 20500, For: 3, Status: capacity.Valid, Lag: capacity.Spread{N: 61500, P50: 0.0005, P99: 0.0011, Max: 0.004}, CPU: 3e-5},
		Stall: capacity.StallTest{
			Rate: 500, For: 8, Stall: 1.5, Error: &worst, Passed: true,
			Quantiles: []capacity.StallQuantile{{P: 0.9, Want: 0.7, Printed: &p90}, {P: 0.95, Want: 1.1}},
		},
	}
	for range 2 {
		if err := calibration.Save(path, want); err != nil {
			t.Fatal(err)
		}
		got, err := calibration.Kept(path, tool)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if line := want.String(); line != "ceiling 41,000 requests/s over HTTP/1.1, lag p99 1.10 ms at 20,500/s, stall self-test 1.20 % (2026-11-21)" {
		t.Error(line)
	}
	want.CeilingHTTP2 = 21000
	if line := want.String(); !strings.HasPrefix(line, "ceiling 41,000 requests/s over HTTP/1.1, 21,000 over HTTP/2, lag p99 ") {
		t.Error(line)
	}
	if err := calibration.Save(path, want); err != nil {
		t.Fatal(err)
	}
	if got, err := calibration.Kept(path, tool); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left %v, %v", entries, err)
	}
	if c, err := calibration.Kept(path, capacity.Tool{Version: "v2"}); c != nil || err != nil {
		t.Errorf("of another version: %v, %v", c, err)
	}
	other := *want
	other.GOMAXPROCS++
	if err := calibration.Save(path, &other); err != nil {
		t.Fatal(err)
	}
	if c, err := calibration.Kept(path, tool); c != nil || err != nil {
		t.Errorf("of other CPUs: %v, %v", c, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"schema":"headroom.calibration/1","ceiling":41000}`))
	f.Add([]byte(`{"schema":"headroom.calibration/2","ceiling":41000}`))
	f.Add([]byte(`{"schema":"headroom.calibration/1","ceiling":-1}`))
	f.Add([]byte(`null`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "c.json")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := calibration.Read(path)
		if (c == nil) == (err == nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if err == nil && (c.Ceiling <= 0 || c.String() == "" || !bytes.Contains(b, []byte("calibration/1"))) {
			t.Errorf("%+v", c)
		}
	})
}

func TestAbove(t *testing.T) {
	c := &capacity.Calibration{Ceiling: 1000}
	for _, http2 := range []bool{false, true} {
		if err := calibration.Above(c, http2, 1000); err != nil {
			t.Error(err)
		}
		if err := calibration.Above(nil, http2, 1e9); err != nil {
			t.Error(err)
		}
	}
	if err := calibration.Above(c, true, 1e9); err != nil {
		t.Errorf("without a ceiling over HTTP/2: %v", err)
	}
	c.CeilingHTTP2 = 500
	for http2, ceiling := range map[bool]string{false: "1,000", true: "500"} {
		err := calibration.Above(c, http2, 2500)
		if err == nil || !strings.Contains(err.Error(), "2,500") || !strings.Contains(err.Error(), "ceiling "+ceiling+" ") {
			t.Error(err)
		}
	}
}

// Loads add up where they coincide, and only there.
func TestPeak(t *testing.T) {
	hold := func(start time.Duration, rates ...float64) load.Plan {
		l := scenarios.Load{Name: "l", Start: start, Operations: []scenarios.Operation{{Name: "o", Weight: 1}}}
		for _, r := range rates {
			l.Profile = append(l.Profile, scenarios.Stage{From: r, To: r, For: 1500 * time.Millisecond})
		}
		return load.Plan{Load: l, Schedule: load.NewSchedule(l)}
	}
	for name, c := range map[string]struct {
		plans []load.Plan
		want  float64
	}{
		"nothing":        {nil, 0},
		"one":            {[]load.Plan{hold(0, 10, 40, 20)}, 40},
		"together":       {[]load.Plan{hold(0, 10, 40), hold(0, 40, 10)}, 50},
		"one by one":     {[]load.Plan{hold(0, 10, 40), hold(3*time.Second, 40, 10)}, 40},
		"at odd moments": {[]load.Plan{hold(300*time.Millisecond, 10, 40), hold(1700*time.Millisecond, 40)}, 80},
	} {
		if got := calibration.Peak(c.plans); got < c.want-1e-6 || got > c.want+1e-6 {
			t.Errorf("%s: %g, want %g", name, got, c.want)
		}
	}
}
