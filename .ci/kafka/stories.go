package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// invalid is the exit code of a run that the generator's machine spoilt.
const invalid = 120

// story is a run against the broker and what must hold of it.
type story struct {
	name       string
	rate       int
	length     time.Duration
	load       string                     // further keys of the load
	meanwhile  func(version string) error // while the run goes on
	stalls     bool                       // an INVALID run is what it is about
	check      func(o *told) error
	quotaBytes float64
}

// told is what a story's run left.
type told struct {
	story
	run      *capacity.Run
	verdict  capacity.Verdict
	sum      measure.Row
	response measure.Distribution
	written  int64
	topic    string
}

const partitions = 6

// stories tells those that are named, or all.
func stories(names []string) error {
	_, version := first.running()
	if version == "" {
		return errors.New("no broker runs: up")
	}
	dir, err := os.MkdirTemp("", "kafka-stories")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var failed []error
	for _, s := range all {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		for try := 1; ; try++ {
			o, err := s.tell(dir, version, try)
			if err == nil {
				err = s.check(o)
			}
			if err == nil {
				fmt.Printf("ok    %s\n", s.name)
				break
			}
			fmt.Printf("      %s, try %d: %v\n", s.name, try, err)
			if try == 3 {
				failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
				break
			}
		}
	}
	return errors.Join(failed...)
}

func (s story) tell(dir, version string, try int) (o *told, err error) {
	o = &told{story: s, topic: fmt.Sprintf("%s-%d-%d", s.name, time.Now().Unix(), try)}
	if err := topic(o.topic, partitions); err != nil {
		return nil, err
	}
	if err := quota(s.quotaBytes); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, quota(0)) }()
	file := filepath.Join(dir, s.name+".yaml")
	text := fmt.Sprintf(`version: 1
name: %s
target: {kafka: {brokers: ["%s"]}}
loads:
  - name: views
    %s
    profile: [{stage: steady, rate: %d/s, for: %s}]
    operations:
      - {name: view, kafka: {topic: %s, key: {zipf: 1000}, value: {bytes: 200B}}}
`, s.name, address, s.load, s.rate, s.length, o.topic)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, err
	}
	out := filepath.Join(dir, o.topic)
	c := exec.Command("bin/headroom", "run", file, "--out", out, "--quiet")
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		return nil, err
	}
	if s.meanwhile != nil {
		time.Sleep(s.length / 3)
		err = s.meanwhile(version)
	}
	ended := c.Wait()
	if err != nil {
		return nil, err
	}
	var exit *exec.ExitError
	if errors.As(ended, &exit) && exit.ExitCode() == invalid && !s.stalls {
		return nil, errors.New("the run is INVALID")
	}
	if o.run, err = record.Read(out); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, said.String())
	}
	o.verdict = capacity.Assess(o.run).Verdict
	for i := range o.run.Rows {
		o.sum.Add(&o.run.Rows[i])
	}
	for _, i := range o.run.Latency {
		if i.Kind == measure.ResponseTimes {
			o.response.Add(i)
		}
	}
	err = asked(func(ctx context.Context, admin *kadm.Client) error {
		ends, err := admin.ListEndOffsets(ctx, o.topic)
		ends.Each(func(e kadm.ListedOffset) { o.written += e.Offset })
		return err
	})
	return o, err
}

// conserved checks that nothing is lost, doubled or unaccounted for.
func (o *told) conserved() error {
	s := &o.sum
	switch {
	case s.Planned != s.Sent+s.Dropped() || s.Sent != s.Completed()+s.TimedOut+s.GeneratorErrors+s.Unfinished:
		return fmt.Errorf("not every arrival is accounted for: %+v", *s)
	case s.OK == 0 || o.written != s.OK || s.OK != s.Sent:
		return fmt.Errorf("sent %d, acknowledged %d, end offsets grew by %d", s.Sent, s.OK, o.written)
	}
	return nil
}

// series returns the points of the driver's series of a metric.
func (o *told) series(metric string) (values []float64) {
	for _, s := range o.run.Series {
		if s.Metric == metric {
			for _, p := range s.Points {
				values = append(values, p.Value)
			}
		}
	}
	return values
}

// throttledRate returns the bytes a second that the broker took over the run and
// the time in which it worked off what had waited.
func (o *told) throttledRate() float64 {
	taken := o.series(measure.KafkaProducedBytes)
	sum, seconds := 0.0, 0.0
	for _, v := range taken {
		sum += v
		seconds++
	}
	return sum / (seconds + windows)
}

// windows is how many seconds of quota a broker grants beforehand.
const windows = 10

var all = []story{
	{
		name: "steady", rate: 2000, length: time.Minute,
		check: func(o *told) error { return errors.Join(o.conserved(), o.readBack()) },
	},
	{
		// Half of what is offered, of which the client's buffer holds the rest. A
		// record of 200 B takes about 212 B on the wire. The broker averages over
		// eleven windows of a second, the first ten of which are a burst for free
		// (ClientQuotaManager): what it takes from the first throttle to the end of
		// the last is the quota. 30 s hold three of its windows, which leaves a fifth
		// of it to chance (189,000 to 244,000 bytes/s were seen).
		name: "quota", rate: 2000, length: 30 * time.Second, quotaBytes: quotaLimit,
		check: func(o *told) error {
			throttled := 0.0
			for _, v := range o.series(measure.KafkaThrottles) {
				throttled += v
			}
			if throttled == 0 {
				return errors.New("no throttle time was seen")
			}
			if mean := o.throttledRate(); math.Abs(mean/quotaLimit-1) > 0.25 {
				return fmt.Errorf("%.0f bytes/s were produced in the quota of %d", mean, quotaLimit)
			}
			if p50 := o.response.Quantile(0.5) / 1e6; p50 < 3 {
				return fmt.Errorf("response time is %.2f s at the median: no backlog", p50)
			}
			return o.conserved()
		},
	},
	{
		name: "quota-small-buffer", rate: 2000, length: 20 * time.Second, quotaBytes: quotaLimit, load: "in_flight: 2000", stalls: true,
		check: func(o *told) error {
			if o.sum.DroppedSaturation == 0 || o.sum.DroppedGenerator > o.sum.DroppedSaturation/100 || o.verdict.Status == capacity.Valid {
				return fmt.Errorf("%d dropped by saturation, %d by the generator, %s", o.sum.DroppedSaturation, o.sum.DroppedGenerator, o.verdict.Status)
			}
			return o.conserved()
		},
	},
	{
		// Quantile p of the response time is D - (1-p)T for a pause of D in T.
		name: "pause", rate: 1000, length: 30 * time.Second, meanwhile: pause,
		check: func(o *told) error {
			if p99, want := o.response.Quantile(0.99)/1e6, 3-0.01*30; math.Abs(p99/want-1) > 0.05 {
				return fmt.Errorf("p99 is %.3f s, want %.3f", p99, want)
			}
			return o.conserved()
		},
	},
	{
		name: "pause-small-buffer", rate: 1000, length: 15 * time.Second, load: "in_flight: 200", meanwhile: pause, stalls: true,
		check: func(o *told) error {
			if o.sum.DroppedSaturation < 2000 || o.verdict.Status == capacity.Valid {
				return fmt.Errorf("%d dropped by saturation, %s", o.sum.DroppedSaturation, o.verdict.Status)
			}
			return o.conserved()
		},
	},
	{
		name: "restart", rate: 1000, length: 20 * time.Second, meanwhile: func(version string) error {
			return errors.Join(first.stop(), up(version, false))
		},
		check: func(o *told) error {
			marked := false
			for _, e := range o.run.Events {
				marked = marked || e.Kind == "broker"
			}
			if !marked {
				return errors.New("no event marks the restart")
			}
			return o.conserved()
		},
	},
}

const quotaLimit = 220_000

// pause holds the broker for three seconds.
func pause(string) error {
	pid, _ := first.running()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	time.Sleep(3 * time.Second)
	return syscall.Kill(pid, syscall.SIGCONT)
}

// readBack reads the topic with kcat: as many records as were acknowledged, each
// on the partition of its key.
func (o *told) readBack() error {
	kcat := exec.Command("kcat", "-C", "-q", "-b", address, "-t", o.topic, "-o", "beginning", "-e", "-f", "%p %k %S\n")
	out, err := kcat.Output()
	if err != nil {
		return fmt.Errorf("kcat: %w", err)
	}
	read := int64(0)
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); read++ {
		f := strings.Fields(lines.Text())
		if len(f) != 3 || f[2] != "200" {
			return fmt.Errorf("read %q", lines.Text())
		}
		if want := int(murmur2([]byte(f[1]))&0x7fffffff) % partitions; f[0] != strconv.Itoa(want) {
			return fmt.Errorf("key %s is on partition %s, the Java client chooses %d", f[1], f[0], want)
		}
	}
	if read != o.sum.OK {
		return fmt.Errorf("acknowledged %d, read back %d", o.sum.OK, read)
	}
	return nil
}

// murmur2 is the hash of the Java client's partitioner (Kafka, Utils.murmur2).
func murmur2(b []byte) uint32 {
	const m, r = 0x5bd1e995, 24
	h := uint32(0x9747b28c) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
	}
	for i := len(b) - 1; i >= 0; i-- {
		h ^= uint32(b[i]) << (8 * i)
	}
	if len(b) > 0 {
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
