package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// backend answers each request after its delay, with 200 tokens.
type backend struct{ delay time.Duration }

func (b backend) Prepare(load.Arrival) (load.Request, error) { return b, nil }
func (b backend) Close() error                               { return nil }

func (b backend) Send(ctx context.Context, s *measure.Sample) {
	select {
	case <-time.After(b.delay):
		s.Outcome, s.Tokens = measure.OK, 200
	case <-ctx.Done():
		s.Outcome, s.Tokens = measure.Unfinished, measure.NoTokens
	}
}

func config(rate float64, length time.Duration, b backend, stop ...scenarios.Threshold) Config {
	return Config{
		ID: "test",
		Scenario: &scenarios.Scenario{
			Name: "test",
			Loads: []scenarios.Load{{
				Name: "viewers", Arrivals: scenarios.Poisson, Seed: 1, Late: scenarios.Drop, Lateness: 100 * time.Millisecond, Timeout: 30 * time.Second,
				Profile:    []scenarios.Stage{{Name: "steady", From: rate, To: rate, For: length, Measure: true}},
				Operations: []scenarios.Operation{{Name: "list", Weight: 1}},
			}},
			Stop: stop,
		},
		Target: "a fake",
		Driver: func(scenarios.Load, int) (load.Driver, error) { return b, nil },
		Quotas: []capacity.Quota{{ID: "appsync.request-tokens", Kind: capacity.RateQuota, Limit: 20_000, Unit: "tokens", Period: "s"}},
	}
}

// rehearse runs the configuration in virtual time and reads its record back.
func rehearse(t *testing.T, c Config, meanwhile func(cancel context.CancelFunc, abort func())) (run *capacity.Run) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		given := make(chan struct{})
		if meanwhile != nil {
			go meanwhile(cancel, func() { close(given) })
		}
		if _, err := Run(ctx, given, c, dir); err != nil {
			t.Fatal(err)
		}
	})
	run, err := record.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if run.Damage != nil {
		t.Fatalf("the record is damaged: %v", run.Damage)
	}
	return run
}

// sums adds up a run's rows and checks that nothing was lost.
func sums(t *testing.T, run *capacity.Run) (s measure.Row) {
	t.Helper()
	for r := range run.Rows.All() {
		s.Planned += r.Planned
		s.Sent += r.Sent
		s.DroppedGenerator += r.DroppedGenerator
		s.DroppedSaturation += r.DroppedSaturation
		s.NotDue += r.NotDue
		s.OK += r.OK
		s.Unfinished += r.Unfinished
		s.TokensDone += r.TokensDone
	}
	if planned := run.Manifest.Loads[0].Planned; s.Planned != planned {
		t.Errorf("rows plan %d arrivals, the manifest %d", s.Planned, planned)
	}
	if s.Planned != s.Sent+s.DroppedGenerator+s.DroppedSaturation+s.NotDue || s.Sent != s.OK+s.Unfinished {
		t.Errorf("not conserved: %+v", s)
	}
	return s
}

func TestRunToItsEnd(t *testing.T) {
	run := rehearse(t, config(50, 20*time.Second, backend{20 * time.Millisecond}), nil)
	s := sums(t, run)
	if run.Manifest.State != capacity.Complete || s.OK != s.Planned || s.TokensDone != 200*s.OK {
		t.Errorf("state %s, %+v", run.Manifest.State, s)
	}
	if d := run.Manifest.End.Sub(run.Manifest.Start); d < 19*time.Second || d > 21*time.Second {
		t.Errorf("it took %s", d)
	}
}

func TestInterrupted(t *testing.T) {
	run := rehearse(t, config(50, time.Hour, backend{200 * time.Millisecond}), func(cancel context.CancelFunc, _ func()) {
		time.Sleep(3 * time.Second)
		cancel()
	})
	s := sums(t, run)
	if run.Manifest.State != capacity.Interrupted || s.NotDue == 0 || s.Unfinished != 0 || s.OK != s.Sent {
		t.Errorf("state %s, %+v", run.Manifest.State, s)
	}
	if d := run.Manifest.End.Sub(run.Manifest.Start); d > 4*time.Second {
		t.Errorf("it went on for %s", d)
	}
	if last := run.Events[len(run.Events)-1]; last.Kind != "interrupt" {
		t.Errorf("events: %+v", run.Events)
	}
}

// Stages stand in the record in their order, once they have begun: one that would
// have begun while the last answers of an interrupted run came has not.
func TestStagesThatBegan(t *testing.T) {
	c := config(50, 2*time.Second, backend{500 * time.Millisecond})
	l := &c.Scenario.Loads[0]
	steady := l.Profile[0]
	rush, calm := steady, steady
	rush.Name, rush.For = "rush", 1200*time.Millisecond // to 200 ms after the interrupt and lead
	calm.Name = "calm"
	l.Profile = []scenarios.Stage{steady, rush, calm}
	run := rehearse(t, c, func(cancel context.CancelFunc, _ func()) {
		time.Sleep(3*time.Second + lead)
		cancel()
	})
	var got []string
	for _, e := range run.Events {
		got = append(got, fmt.Sprintf("%g %s %s", e.At, e.Kind, e.Text))
	}
	if want := []string{"0 stage viewers: steady", "2 stage viewers: rush", "3 interrupt interrupted by the user"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	if end := run.Manifest.End.Sub(run.Manifest.Start); end < 3300*time.Millisecond {
		t.Errorf("it ended after %s, before calm would have begun", end)
	}

	run = rehearse(t, c, nil)
	if n := len(run.Events); n != 3 || run.Events[2].Text != "viewers: calm" {
		t.Errorf("events of a whole run: %+v", run.Events)
	}
}

func TestGivenUp(t *testing.T) {
	run := rehearse(t, config(50, time.Hour, backend{time.Hour}), func(cancel context.CancelFunc, abort func()) {
		time.Sleep(3 * time.Second)
		cancel()
		time.Sleep(time.Second)
		abort()
	})
	s := sums(t, run)
	if run.Manifest.State != capacity.Interrupted || s.Unfinished == 0 || s.Unfinished != s.Sent {
		t.Errorf("state %s, %+v", run.Manifest.State, s)
	}
	if d := run.Manifest.End.Sub(run.Manifest.Start); d > 5*time.Second {
		t.Errorf("it went on for %s", d)
	}
}

// The ramp of 10/s per second crosses 90 % of 20,000 tokens/s, 90/s, in second
// 9; sending must have ended 2 s later.
func TestStopRule(t *testing.T) {
	c := config(0, 0, backend{20 * time.Millisecond}, scenarios.Threshold{
		Text: "utilization(appsync.request-tokens) > 90%", Metric: "utilization", Of: "appsync.request-tokens", Op: ">", Value: 0.9,
	})
	l := &c.Scenario.Loads[0]
	l.Arrivals = scenarios.Uniform
	l.Profile = []scenarios.Stage{{Name: "ramp", Ramp: true, To: 600, For: time.Minute, Measure: true}}
	run := rehearse(t, c, nil)
	sums(t, run)
	if run.Manifest.State != capacity.Stopped || !strings.Contains(run.Manifest.Reason, "utilization") {
		t.Errorf("state %s: %s", run.Manifest.State, run.Manifest.Reason)
	}
	for r := range run.Rows.All() {
		if r.Second >= 11 && r.Sent > 0 {
			t.Errorf("%d requests were still sent in second %d", r.Sent, r.Second)
		}
	}
}

// warming counts the connections it is asked to open ahead of the load.
type warming struct {
	backend
	n chan int
}

func (w warming) Warm(_ context.Context, n int, _ float64) error {
	w.n <- n
	return nil
}

func TestWarm(t *testing.T) {
	for rate, want := range map[float64]int{50: 5, 4000: 20} {
		c := config(rate, 100*time.Millisecond, backend{time.Millisecond})
		c.Scenario.Loads[0].InFlight = 20
		asked := make(chan int, 1)
		c.Driver = func(scenarios.Load, int) (load.Driver, error) { return warming{backend{time.Millisecond}, asked}, nil }
		rehearse(t, c, nil)
		if n := <-asked; n != want {
			t.Errorf("at %g/s: %d connections, want %d", rate, n, want)
		}
	}
}

// watched is a driver whose connections are opened ahead and then more of them.
type watched struct {
	warming
	opened *int64
}

func (w watched) Watch(at time.Time, period time.Duration) ([]measure.Series, []load.Notice) {
	*w.opened++
	return []measure.Series{{
		Source: measure.HTTPClient, Metric: measure.HTTPOpened, Statistic: "Sum", Labels: map[string]string{}, Period: period,
		Points: measure.PointsOf(measure.Point{At: at, Value: float64(*w.opened)}),
	}}, []load.Notice{{At: at, For: 1500 * time.Millisecond, Kind: "broker", Text: "silent"}}
}

// What a driver sees of its target is one series for each load, whose first point
// lies before the run: it is of what was opened ahead. What happened to it is an
// event of the load, as long as it lasted.
func TestWatch(t *testing.T) {
	c := config(50, 3*time.Second, backend{time.Millisecond})
	c.Driver = func(scenarios.Load, int) (load.Driver, error) {
		return watched{warming{backend{time.Millisecond}, make(chan int, 1)}, new(int64)}, nil
	}
	run := rehearse(t, c, nil)
	var found []measure.Series
	for _, s := range run.Series {
		if s.Source == measure.HTTPClient {
			found = append(found, s)
		}
	}
	if len(found) != 1 || found[0].Labels["load"] != "viewers" {
		t.Fatalf("got %+v", found)
	}
	points := found[0].Points.Slice()
	if len(points) < 4 || !points[0].At.Before(run.Manifest.Start) || points[0].Value != 1 || points[1].At.Before(run.Manifest.Start) || points[3].Value != 4 {
		t.Errorf("run from %s: got %+v", run.Manifest.Start, points)
	}
	if !slices.ContainsFunc(run.Events, func(e capacity.Event) bool {
		return e.Kind == "broker" && e.Text == "viewers: silent" && e.For == 1.5
	}) {
		t.Errorf("the events are %+v", run.Events)
	}
}

// cloud publishes a minute's use whatever it is asked, by a clock that is ahead; 0: it
// doesn't tell.
type cloud struct{ ahead time.Duration }

func (cloud) Read(_ context.Context, want []measure.Series, from, to time.Time) ([]measure.Series, error) {
	want = slices.Clone(want)
	for i := range want {
		for at := from; at.Before(to); at = at.Add(time.Minute) {
			want[i].Points.Add(measure.Point{At: at, Value: 100})
		}
	}
	return want, nil
}

func (c cloud) Ahead() (time.Duration, bool) { return c.ahead, c.ahead != 0 }

// By how much the cloud's clock is ahead is in the record, where the cloud tells it,
// and where its minutes are not the run's, no conclusion is drawn from them.
func TestCloudClock(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Second, 20 * time.Second, -90 * time.Second} {
		c := config(20, 5*time.Second, backend{time.Millisecond})
		c.Source = cloud{ahead}
		c.Want = []measure.Series{{Quota: "appsync.request-tokens", Role: capacity.RoleUsage, Source: "cloudwatch", Metric: "TokensConsumed", Statistic: "Sum", Period: time.Minute, Unit: "tokens"}}
		run := rehearse(t, c, nil)
		var told []float64
		for _, s := range run.Series {
			if s.Metric == capacity.CloudClock {
				told = append(told, s.Points.Slice()[0].Value)
			}
		}
		if ahead == 0 && told != nil || ahead != 0 && !slices.Equal(told, []float64{ahead.Seconds()}) {
			t.Errorf("ahead by %v: the record has %v", ahead, told)
		}
		for _, check := range capacity.VerdictOf(run).Checks {
			if apart := ahead.Abs() > 3*time.Second; check.Name == capacity.CheckCloudCoverage && (check.Status == capacity.CheckFailed) != apart {
				t.Errorf("ahead by %v: %+v", ahead, check)
			}
		}
	}
}

// lost is a cloud whose points can't be read back.
type lost struct{ cloud }

func (lost) Read(context.Context, []measure.Series, time.Time, time.Time) ([]measure.Series, error) {
	panic(&measure.Lost{Err: errors.New("the disk is broken")})
}

// Points that are lost while they are collected are so to the caller, who can end with
// an error.
func TestLostPoints(t *testing.T) {
	c := config(20, 5*time.Second, backend{time.Millisecond})
	c.Source, c.Want = lost{}, []measure.Series{{Metric: "TokensConsumed"}}
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if measure.Recovered(recover()) == nil {
				t.Error("nothing was lost")
			}
		}()
		_, err := Run(t.Context(), nil, c, filepath.Join(t.TempDir(), "run"))
		t.Errorf("got %v", err)
	})
}

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		endpoint string
		literal  bool
		allow    []string
		ok       bool
	}{
		{"http://127.0.0.1:8080/graphql", false, nil, true},
		{"http://[::1]/graphql", false, nil, true},
		{"http://localhost/graphql", false, nil, true},
		{"https://x.appsync-api.ap-northeast-1.amazonaws.com/graphql", true, nil, true},
		{"https://x.appsync-api.ap-northeast-1.amazonaws.com/graphql", false, nil, false},
		{"https://x.appsync-api.ap-northeast-1.amazonaws.com/graphql", false, []string{"X.appsync-api.ap-northeast-1.amazonaws.com"}, true},
		{"https://x.appsync-api.ap-northeast-1.amazonaws.com/graphql", false, []string{"amazonaws.com"}, false},
		{"https://127.0.0.1.example.com/", false, nil, false},
		{"https://user@localhost.example.com/", false, nil, false},
	} {
		s := &scenarios.Scenario{Target: scenarios.Target{GraphQL: &scenarios.GraphQL{Endpoint: c.endpoint, Literal: c.literal}}}
		if err := Guard(s, c.allow); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
