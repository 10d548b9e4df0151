package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// How the bench is laid out. Both producers have processor 1 for themselves and
// the broker processor 0, and both are measured in the same way: how much the
// topic's end offsets grew and how much processor time the client's process used
// (user and system, of all its threads) between two instants of its steady part.
// What comes before, such as the start of the Java machine and most of its
// compiling, counts for neither.
const (
	benchRounds     = 5
	benchPartitions = 10
	benchRate       = 20_000
	warmHeadroom    = 2 * time.Second // from the first record on
	warmJava        = 6 * time.Second
	benchWindow     = 4 * time.Second
	// The goals: how many times the Java tool's records a second, and how much of
	// its processor time for each.
	goalThroughput, goalCPU = 1.0, 0.7
)

// producing is what was measured of one client in one round.
type producing struct {
	perSecond, cpu float64 // records a second; seconds of processor time for each
	note           string  // of headroom's own record
}

// bench measures headroom beside kafka-producer-perf-test, round by round.
func bench() (err error) {
	pid, version := first.running()
	if pid == 0 {
		return errors.New("no broker runs: up")
	}
	if runtime.NumCPU() < 2 {
		return errors.New("needs two processors: one for the broker, one for the client")
	}
	if err := command("", "taskset", "-a", "-p", "-c", "0", strconv.Itoa(pid)); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "kafka-bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	clients := []struct {
		name  string
		start func(topic string, rate int) *exec.Cmd
		warm  time.Duration
	}{
		{"kafka-producer-perf-test", func(topic string, rate int) *exec.Cmd { return perfTest(dir, version, topic, rate) }, warmJava},
		{"headroom", func(topic string, rate int) *exec.Cmd { return headroomBench(dir, topic, rate) }, warmHeadroom},
	}
	measured := map[string][]producing{} // of each client at each rate, round by round
	key := func(client string, rate int) string { return fmt.Sprintf("%s at %d", client, rate) }
	for round := range benchRounds {
		for _, rate := range []int{0, benchRate} {
			for _, c := range clients {
				topicName := fmt.Sprintf("bench-%d-%d-%s", round, rate, c.name)
				p, err := produced(c.start(topicName, rate), topicName, c.warm)
				if err != nil {
					return fmt.Errorf("%s: %w", key(c.name, rate), err)
				}
				if c.name == "headroom" {
					if p.note, err = ownRecord(filepath.Join(dir, topicName)); err != nil {
						return err
					}
				}
				measured[key(c.name, rate)] = append(measured[key(c.name, rate)], p)
				fmt.Printf("round %d: %-24s %9s  %8.0f records/s  %5.2f us of CPU for each%s\n", round+1, c.name, at(rate), p.perSecond, p.cpu*1e6, p.note)
			}
		}
	}

	fmt.Printf("\nKafka %s, %s/%s, %d processors, %s; medians of %d rounds\n", version, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), benchRounds)
	fmt.Printf("200 B, no key, %d partitions, acks all, idempotent, linger 5 ms, batches of 16 KiB, no compression\n\n", benchPartitions)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "client\trate\trecords/s\tCPU us/record\tof its core\t")
	for _, rate := range []int{0, benchRate} {
		for _, c := range clients {
			m := measured[key(c.name, rate)]
			fmt.Fprintf(w, "%s\t%s\t%.0f\t%.2f\t%.0f %%\t\n", c.name, at(rate),
				median(m, func(p producing) float64 { return p.perSecond }),
				median(m, func(p producing) float64 { return p.cpu * 1e6 }),
				median(m, func(p producing) float64 { return p.cpu * p.perSecond * 100 }))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Println("\nheadroom over kafka-producer-perf-test, median of the rounds' own ratios (smallest to largest):")
	compare := func(what string, rate int, of func(producing) float64, reached func(float64) bool, goal string) {
		var ratios []float64
		for i, p := range measured[key("headroom", rate)] {
			ratios = append(ratios, of(p)/of(measured[key("kafka-producer-perf-test", rate)][i]))
		}
		slices.Sort(ratios)
		middle := ratios[len(ratios)/2]
		fmt.Printf("  %.2fx (%.2f to %.2f)  %s", middle, ratios[0], ratios[len(ratios)-1], what)
		switch {
		case reached == nil:
			fmt.Println()
		case reached(middle):
			fmt.Printf("; goal %s: reached\n", goal)
		default:
			fmt.Printf("; goal %s: not reached\n", goal)
		}
	}
	compare("records/s from one core, as fast as it goes", 0, func(p producing) float64 { return p.perSecond },
		func(r float64) bool { return r >= goalThroughput }, fmt.Sprintf("at least %.1fx", goalThroughput))
	compare("records for each second of its CPU, as fast as it goes", 0, func(p producing) float64 { return 1 / p.cpu }, nil, "")
	compare(fmt.Sprintf("CPU per record at %d/s", benchRate), benchRate, func(p producing) float64 { return p.cpu },
		func(r float64) bool { return r <= goalCPU }, fmt.Sprintf("at most %.1fx", goalCPU))
	fmt.Printf(`
As fast as it goes, both are held back by what may wait for its acknowledgement:
32 MiB in the Java client's buffer, %d records of headroom, which follows a plan that
no broker keeps up with and drops nothing (late: send). Where neither uses its core up,
the broker on the other one is the limit, and the two send as much as it takes.
The Java tool counts latency from the send, headroom from the instant of its plan;
outcomes, histograms and the record on disk are part of headroom's CPU. CPU is user
and system time of the whole process in %s that begin %s (Java: %s) after its
first record: starting is left out, for both.
`, benchInFlight, benchWindow, warmHeadroom, warmJava)
	return nil
}

func at(rate int) string {
	if rate == 0 {
		return "full"
	}
	return fmt.Sprintf("%d/s", rate)
}

func median(of []producing, value func(producing) float64) float64 {
	all := make([]float64, len(of))
	for i, p := range of {
		all[i] = value(p)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// perfTest is the tool of Kafka's own distribution, which sends one of a thousand
// payloads that it reads beforehand: made one by one, their random bytes would
// cost it more than the sending.
func perfTest(dir, version, topic string, rate int) *exec.Cmd {
	payloads := filepath.Join(dir, "payloads")
	if _, err := os.Stat(payloads); err != nil {
		var b strings.Builder
		for i := range 1000 {
			line := strings.Repeat(fmt.Sprintf("%d,", 7919*i), 200)
			b.WriteString(line[:200] + "\n")
		}
		if err := os.WriteFile(payloads, []byte(b.String()), 0o644); err != nil {
			panic(err)
		}
	}
	throughput := cmp.Or(rate, -1)
	return exec.Command("taskset", "-c", "1", "java", "-Xmx512m", "-cp", filepath.Join("bin", "kafka-"+version, "libs", "*"),
		"org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", "1000000000", "--payload-file", payloads, "--throughput", strconv.Itoa(throughput),
		"--producer-props", "bootstrap.servers="+address, "acks=all", "linger.ms=5", "batch.size=16384", "compression.type=none", "enable.idempotence=true", "buffer.memory=33554432")
}

// benchInFlight records of 200 B are what the Java client's buffer of 32 MiB
// holds, in batches that are full.
const benchInFlight = 140_000

func headroomBench(dir, topic string, rate int) *exec.Cmd {
	planned, late := rate, "drop"
	if rate == 0 {
		planned, late = 5_000_000, "send"
	}
	file := filepath.Join(dir, topic+".yaml")
	text := fmt.Sprintf(`version: 1
name: bench
target: {kafka: {brokers: ["%s"]}}
loads:
  - name: bench
    arrivals: uniform
    late: %s
    in_flight: %d
    profile: [{stage: hold, rate: %d/s, for: 1m}]
    operations:
      - {name: send, kafka: {topic: %s, value: {bytes: 200B}, acks: all, linger: 5ms, batch: 16KiB, compression: none, idempotence: true}}
`, address, late, benchInFlight, planned, topic)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		panic(err)
	}
	c := exec.Command("taskset", "-c", "1", "bin/headroom", "run", file, "--out", filepath.Join(dir, topic), "--quiet", "--above-ceiling")
	c.Env = append(os.Environ(), "GOMAXPROCS=1")
	return c
}

// produced starts a client and measures it for a window, then interrupts it and
// waits for its end.
func produced(c *exec.Cmd, name string, warm time.Duration) (p producing, err error) {
	if err := topic(name, benchPartitions); err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, deleteTopic(name)) }()
	if err := c.Start(); err != nil {
		return p, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	defer func() {
		_ = c.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = c.Process.Kill()
			<-ended
		}
	}()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		n, err := endOffsets(name)
		if err != nil {
			return p, err
		}
		if n > 0 {
			break
		}
		if time.Now().After(end) {
			return p, errors.New("it sends nothing")
		}
	}
	time.Sleep(warm)
	before, err := reading(c.Process.Pid, name)
	if err != nil {
		return p, err
	}
	time.Sleep(benchWindow)
	after, err := reading(c.Process.Pid, name)
	if err != nil {
		return p, err
	}
	records := float64(after.written - before.written)
	return producing{perSecond: records / after.at.Sub(before.at).Seconds(), cpu: (after.cpu - before.cpu) / records}, nil
}

// counters are what grows while a client produces.
type counters struct {
	at      time.Time
	written int64
	cpu     float64 // seconds
}

func reading(pid int, topic string) (c counters, err error) {
	if c.written, err = endOffsets(topic); err != nil {
		return c, err
	}
	c.at = time.Now()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return c, err
	}
	// utime and stime are fields 14 and 15, in hundredths of a second (proc(5)).
	_, after, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(after)
	if len(f) < 13 {
		return c, fmt.Errorf("/proc/%d/stat is %q", pid, b)
	}
	user, err1 := strconv.ParseFloat(f[11], 64)
	system, err2 := strconv.ParseFloat(f[12], 64)
	c.cpu = (user + system) / 100
	return c, errors.Join(err1, err2)
}

func endOffsets(topic string) (sum int64, err error) {
	err = asked(func(ctx context.Context, admin *kadm.Client) error {
		ends, err := admin.ListEndOffsets(ctx, topic)
		ends.Each(func(e kadm.ListedOffset) { sum += e.Offset })
		return err
	})
	return sum, err
}

func deleteTopic(name string) error {
	return asked(func(ctx context.Context, admin *kadm.Client) error {
		_, err := admin.DeleteTopic(ctx, name)
		return err
	})
}

// ownRecord reads what headroom's record says of a run: nothing may be lost.
func ownRecord(dir string) (string, error) {
	run, err := record.Read(dir)
	if err != nil {
		return "", err
	}
	var sum measure.Row
	for r := range run.Rows.All() {
		sum.Add(r)
	}
	if sum.OK == 0 || sum.OK != sum.Sent {
		return "", fmt.Errorf("headroom: %d of %d records were acknowledged: %v", sum.OK, sum.Sent, sum.Reasons)
	}
	var response measure.Distribution
	for _, i := range run.Latency {
		if i.Kind == measure.ResponseTimes {
			response.Add(i)
		}
	}
	return fmt.Sprintf("  (%d dropped, p50 %.1f ms, p99 %.1f ms)", sum.Dropped(), response.Quantile(0.5)/1e3, response.Quantile(0.99)/1e3), nil
}
