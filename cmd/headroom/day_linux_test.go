package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/scenarios/measure"
)

func init() { programs["peak"] = peak }

// peak is "peak COMMAND ARGS...": it runs the command and prints the most memory
// that it had, in bytes. It is a program of its own because Linux counts what the
// parent has for the child, until that is another program, and this one has little.
func peak() {
	c := exec.Command(os.Args[1], os.Args[2:]...)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10)
}

// mostOfADay is how many times the memory of a minute's report that of a day may take.
// It takes about 1.08 times as much, and up to 1.15 where the collector of garbage has
// to wait for a processor: the bound is halfway to what it took with all in memory, 1.45.
const mostOfADay = 1.3

// TestReportOfADay: the report of a day at 5,000/s takes hardly more memory than that of
// a minute, as the README says. With rows and points as structs it took six times as
// much, and with all that was packed in memory one and a half times.
func TestReportOfADay(t *testing.T) {
	if testing.Short() {
		t.Skip("it writes the record of a day")
	}
	minute := memoryOfReports(t, 60, 5)[2]
	day := memoryOfReports(t, 24*3600, 1)[0]
	if ratio := day / minute; ratio > mostOfADay {
		t.Errorf("the report of a day took %.2f times the memory of a minute's, want at most %g", ratio, mostOfADay)
	}
}

// memoryOfReports returns the memory, in MiB, that each of n reports of a run takes, in
// rising order.
func memoryOfReports(t *testing.T, seconds, n int) []float64 {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	longRun(t, dir, seconds)
	all := make([]float64, n)
	for i := range all {
		began := time.Now()
		said := new(strings.Builder)
		report := exec.Command("peak", "headroom", "report", dir)
		report.Stderr = said
		out, err := report.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		bytes, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = float64(bytes) / (1 << 20)
		t.Logf("%d s: %.1f MiB, %v", seconds, all[i], time.Since(began))
	}
	slices.Sort(all)
	return all
}

// longRun writes the record of a run at 5,000/s as a rehearsal does, but for lines of
// series and histograms, of which one is of a minute.
func longRun(t *testing.T, dir string, seconds int) {
	t.Helper()
	start := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	const rate, tokens = 5000, 200
	shares := map[string]int64{"list": 9, "get": 1} // in ten
	tokensUsed := measure.Series{
		Source: "cloudwatch", Namespace: "AWS/AppSync", Metric: "TokensConsumed", Labels: map[string]string{"GraphQLAPIId": "x"},
		Quota: capacity.RequestTokens, Role: capacity.RoleUsage, Statistic: "Sum", Unit: "tokens", Period: time.Minute,
	}
	m := capacity.Manifest{
		ID: "day", Kind: capacity.Measured, State: capacity.Running, Start: start, Sandbox: true, Target: "sandbox",
		Scenario: capacity.Scenario{Name: "day"},
		Loads: []capacity.Load{{
			Name: "viewers", Arrivals: "poisson", Late: "drop", Lateness: 0.1, Timeout: 30, InFlight: 20000,
			Stages:     []capacity.Stage{{Name: "steady", From: rate, To: rate, For: float64(seconds), Measure: true}},
			Operations: []capacity.Operation{{Name: "list", Kind: "graphql", Share: 0.9}, {Name: "get", Kind: "graphql", Share: 0.1}},
		}},
		Quotas:   []capacity.Quota{{ID: capacity.RequestTokens, Kind: capacity.RateQuota, Limit: 2e6, Unit: "tokens", Period: "s", Origin: "system"}},
		Expected: []measure.Series{tokensUsed},
	}
	w, err := record.Create(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	own := ownSeries()
	for second := range seconds {
		var win measure.Window
		for op, share := range shares {
			row := measure.Row{Second: second, Load: "viewers", Operation: op, Measured: true, InFlight: rng.Float64() * float64(share) * 50}
			for k := range measure.Slots {
				mean := float64(rate * share / 10 / measure.Slots)
				n := int64(math.Round(mean + math.Sqrt(mean)*rng.NormFloat64()))
				row.PlannedSlots[k], row.SentSlots[k] = n, n
				row.Sent += n
			}
			late := rng.Int64N(row.Sent / 10) // their answers come in the next second
			row.Planned, row.TokensSent, row.TokensNSent = row.Sent, row.Sent*tokens, row.Sent
			answered := measure.Row{Second: second, Load: "viewers", Operation: op, Measured: true}
			for r, n := range map[*measure.Row]int64{&row: row.Sent - late, &answered: late} {
				r.OK, r.TokensN, r.TokensDone, r.BytesIn, r.BytesOut = n, n, n*tokens, n*1024, n*200
			}
			if second%7 != 0 {
				answered.Second = min(second+1, seconds-1)
			}
			win.Rows = append(win.Rows, row, answered)
		}
		at := start.Add(time.Duration(second)*time.Second + time.Duration(rng.IntN(200_000)))
		for i := range own {
			own[i].Points.Add(measure.Point{At: at, Value: own[i].value(rng)})
		}
		if second%60 == 59 {
			from, to := time.Duration(second-59)*time.Second, time.Duration(second+1)*time.Second
			for op, share := range shares {
				for _, kind := range []string{measure.ResponseTimes, measure.ServiceTimes, measure.Lags, measure.TokenCounts} {
					win.Intervals = append(win.Intervals, times(rng, op, kind, from, to, 60*rate*share/10))
				}
			}
			var series []measure.Series
			for i := range own {
				series = append(series, own[i].Series)
				own[i].Points = measure.Points{}
			}
			sum := tokensUsed
			sum.Points = measure.PointsOf(measure.Point{At: start.Truncate(time.Minute).Add(from), Value: 60 * rate * tokens})
			check(w.Series(append(series, sum)...))
		}
		check(w.Window(win))
	}
	m.State, m.End = capacity.Complete, start.Add(time.Duration(seconds)*time.Second)
	check(w.Finish(m))
}

// times is an operation's histogram of a minute.
func times(rng *rand.Rand, op, kind string, from, to time.Duration, n int64) measure.Interval {
	var d measure.Distribution
	switch kind {
	case measure.TokenCounts:
		d.RecordMany(200, n)
	case measure.Lags:
		d.RecordMany(100, n)
	default:
		for range 500 {
			d.RecordMany(int64(50_000+20_000*rng.ExpFloat64()), n/500)
		}
		d.RecordMany(50_000, n-n/500*500)
	}
	return d.Interval("viewers", op, kind, from, to)
}

// ownSeries are those that a generator writes each second, with what they are.
func ownSeries() (all []ownSeriesOf) {
	add := func(source, metric, statistic, unit string, value func(*rand.Rand) float64) {
		s := measure.Series{Source: source, Metric: metric, Statistic: statistic, Unit: unit, Period: time.Second}
		if source == measure.HTTPClient {
			s.Labels = map[string]string{"load": "viewers"}
		}
		all = append(all, ownSeriesOf{s, value})
	}
	none := func(*rand.Rand) float64 { return 0 }
	about := func(n int) func(*rand.Rand) float64 {
		return func(rng *rand.Rand) float64 { return float64(n - rng.IntN(n/10)) }
	}
	upTo := func(d time.Duration) func(*rand.Rand) float64 {
		return func(rng *rand.Rand) float64 { return time.Duration(rng.Int64N(int64(d))).Seconds() }
	}
	add("generator", "cpu", "Average", "fraction", func(rng *rand.Rand) float64 { return 0.3 * rng.Float64() })
	add("generator", "gc_pause", "Maximum", "s", upTo(time.Millisecond))
	add("generator", "sched_latency", "p99", "s", upTo(time.Millisecond))
	add("generator", "clock_offset", "Last", "s", upTo(10*time.Microsecond))
	add(measure.HTTPClient, measure.HTTPOpen, "Last", "count", about(300))
	add(measure.HTTPClient, measure.HTTPReused, "Sum", "count", about(5000))
	for _, metric := range []string{measure.HTTPOpened, measure.HTTPClosed, measure.HTTPDead, measure.HTTPResets, measure.HTTPUnreadable, measure.HTTPResumed} {
		add(measure.HTTPClient, metric, "Sum", "count", none)
	}
	for _, metric := range []string{measure.HTTPConnectTime, measure.HTTPHandshakeTime} {
		add(measure.HTTPClient, metric, "SampleCount", "count", none)
		add(measure.HTTPClient, metric, "Sum", "seconds", none)
	}
	add(measure.HTTPClient, measure.HTTPFirstByteTime, "SampleCount", "count", about(80))
	add(measure.HTTPClient, measure.HTTPFirstByteTime, "Sum", "seconds", upTo(100*time.Millisecond))
	add(measure.HTTPClient, measure.HTTPFirstByteTime, "Maximum", "seconds", upTo(10*time.Millisecond))
	return all
}

type ownSeriesOf struct {
	measure.Series
	value func(*rand.Rand) float64
}
