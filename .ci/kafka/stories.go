package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// story is a run against the broker and what must hold of it.
type story struct {
	name       string
	rate       int
	length     time.Duration
	target     string // what target.kafka holds; "": the plaintext listener
	load       string // further keys of the load
	replicas   int    // of the topic's partitions; 0: one
	quotaBytes float64
	alike      bool                     // on a sandbox with the same quota
	before     func() error             // ahead of the topic
	meanwhile  func(topic string) error // when a third of the run is over
	after      func() error
	anyVerdict bool // an INVALID run tells it too
	check      func(o *told) error
	group      string                                         // that is observed
	settle     time.Duration                                  // after the load
	beside     func(topic string, length time.Duration) error // while the run goes on, from its start
}

// all are told in this order.
var all = slices.Concat([]story{steady}, quotas, faults, secured)

// told is what a story's run left.
type told struct {
	story
	run      *capacity.Run
	report   report
	verdict  capacity.Verdict
	sum      measure.Row
	response measure.Distribution
	written  int64
	topic    string
}

const partitions = 6

// A story is told so often before it has failed. A run that this machine stalled is
// INVALID, which tells nothing of Kafka: where that came between, it is told again.
const (
	mostTries        = 3
	mostTriesInvalid = 6
)

// errInvalid is of a story that needs more than an INVALID run.
var errInvalid = errors.New("the run is INVALID")

// stories tells those that are named, or all.
func stories(names []string) error {
	pid, version := first.running()
	if pid == 0 {
		return errors.New("no broker runs: up")
	}
	dir, err := os.MkdirTemp("", "kafka-stories")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	i, err := install(version)
	if err != nil {
		return err
	}
	if err := os.Symlink(i.tls(""), filepath.Join(dir, "tls")); err != nil {
		return err
	}
	began := time.Now()
	var failed []error
	if len(names) == 0 || slices.Contains(names, "refused") {
		failed = append(failed, refused(dir))
	}
	for _, s := range all {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		for try := 1; ; try++ {
			o, err := s.tell(dir, try)
			if err == nil {
				err = s.check(o)
			}
			if err == nil && s.alike {
				err = o.alikeOnSandbox(dir)
			}
			if err == nil {
				fmt.Printf("ok    %s: %d planned, %d dropped, %d acknowledged, end offsets grew by %d; p99 of the acknowledged %.3f s; %s\n",
					s.name, o.sum.Planned, o.sum.Dropped(), o.sum.OK, o.written, o.response.Quantile(0.99)/1e6, o.verdict.Status)
				break
			}
			fmt.Printf("      %s, try %d: %v\n", s.name, try, err)
			invalid := errors.Is(err, errInvalid) || o != nil && o.verdict.Status == capacity.Invalid
			if try >= mostTries && !invalid || try == mostTriesInvalid {
				failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
				break
			}
		}
	}
	fmt.Printf("stories of kafka %s: %s\n", version, time.Since(began).Round(time.Second))
	return errors.Join(failed...)
}

// tell runs a story against the broker.
func (s story) tell(dir string, try int) (o *told, err error) {
	if err := quota(s.quotaBytes); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, quota(0)) }()
	if s.before != nil {
		if err := s.before(); err != nil {
			return nil, err
		}
	}
	if s.after != nil {
		defer func() { err = errors.Join(err, s.after()) }()
	}
	topic := fmt.Sprintf("%s-%d-%d", s.name, time.Now().Unix(), try)
	if err := replicated(topic, partitions, max(s.replicas, 1)); err != nil {
		return nil, err
	}
	if o, err = s.rehearse(filepath.Join(dir, topic), topic, fmt.Sprintf("{kafka: {%s}}", cmp.Or(s.target, brokers(address)))); err != nil {
		return nil, err
	}
	o.written, err = endOffsets(topic)
	return o, err
}

// rehearse runs a story's scenario against a target, with its record in out.
func (s story) rehearse(out, topic, target string) (o *told, err error) {
	o = &told{story: s, topic: topic}
	file := filepath.Join(filepath.Dir(out), s.name+".yaml")
	text := fmt.Sprintf(`version: 1
name: %s
target: %s
loads:
  - name: views
    %s
    profile: [{stage: steady, rate: %d/s, for: %s}]
    operations:
      - {name: view, kafka: {topic: %s, key: {zipf: 1000}, value: {bytes: 200B}}}
`, s.name, target, s.load, s.rate, s.length, topic)
	if s.group != "" {
		text += fmt.Sprintf("observe: [{kafka_group: %s}]\nsettle: %s\n", s.group, s.settle)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, err
	}
	beside := make(chan error, 1)
	if s.beside != nil {
		go func() { beside <- s.beside(topic, s.length) }()
	} else {
		beside <- nil
	}
	c := headroom("run", file, "--out", out, "--quiet")
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		return nil, err
	}
	if s.meanwhile != nil {
		time.Sleep(s.length / 3)
		err = s.meanwhile(topic)
	}
	_ = c.Wait() // its exit code says how it ended
	if err = errors.Join(err, <-beside); err != nil {
		return nil, err
	}
	if o.run, err = record.Read(out); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, said.String())
	}
	if o.report, err = readReport(out); err != nil {
		return nil, err
	}
	o.verdict = capacity.Assess(o.run).Verdict
	if o.verdict.Status == capacity.Invalid && !s.anyVerdict {
		return nil, fmt.Errorf("%w: %s", errInvalid, o.failed())
	}
	for r := range o.run.Rows.All() {
		o.sum.Add(r)
	}
	for _, i := range o.run.Latency {
		if i.Kind == measure.ResponseTimes {
			o.response.Add(i)
		}
	}
	return o, nil
}

// failed names the checks that don't hold.
func (o *told) failed() string {
	var names []string
	for _, c := range o.verdict.Checks {
		if c.Status == capacity.CheckFailed {
			names = append(names, fmt.Sprintf("%s %s", c.Name, c.Value))
		}
	}
	return strings.Join(names, ", ")
}

// brokers is the beginning of target.kafka.
func brokers(address string) string { return fmt.Sprintf("brokers: [%q]", address) }

// headroom is the program with a verb, and the user's passwords in its environment.
func headroom(args ...string) *exec.Cmd {
	c := exec.Command("bin/headroom", args...)
	c.Env = append(os.Environ(), "KAFKA_PASSWORD="+password, "WRONG_PASSWORD=not "+password)
	return c
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
	return o.offsetsChecked()
}

// marked checks that an event of a kind stands on the run's time axis.
func (o *told) marked(kind string) error {
	for _, e := range o.run.Events {
		if e.Kind == kind && e.At > 0 && e.At < o.length.Seconds()+5 {
			return nil
		}
	}
	return fmt.Errorf("no event of the kind %s is marked", kind)
}

// series returns the points of the driver's series of a metric.
func (o *told) series(metric string) (values []float64) {
	for _, s := range o.run.Series {
		if s.Metric == metric {
			for p := range s.Points.All() {
				values = append(values, p.Value)
			}
		}
	}
	return values
}
