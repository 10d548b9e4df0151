// Package kafka drives Kafka with records, open loop: it makes each record ahead
// of its instant, hands it to a producer without ever waiting, and counts the
// acknowledgement from the intended instant on.
//
// A record bears its intended instant as timestamp. Its key, its value and its
// row are pure functions of the load's seed and the arrival's number, and a key
// goes to the partition that the Java client chooses. What shapes a response
// time in the client (linger, batches, acks, compression, how soon it asks for
// new metadata) is set explicitly, never left to the library. Time for which a
// broker throttles belongs to its quota: the record is acknowledged late, and ok.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// ClientID is the client id of every producer, by which a broker's quotas may
// know it, and observerID that of the client that asks how things stand.
const (
	ClientID   = "headroom"
	observerID = "headroom-observer"
)

// Config says where a load goes and as whom. Connect needs no Load and no
// InFlight.
type Config struct {
	Target   scenarios.Kafka
	Load     scenarios.Load
	InFlight int    // bounds the records that wait for their acknowledgement
	Version  string // of the program, which brokers are told
	// Credentials are those of the AWS chain, for msk_iam.
	Credentials awssdk.CredentialsProvider
	// Accounts are shared by all clients of one cluster; nil: the driver's own.
	Accounts *Accounts
	// Dial replaces the network where it is not nil; with TLS it returns a
	// connection that is encrypted already.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Driver is a load.Driver for Kafka.
type Driver struct {
	timeout    time.Duration
	operations []operation
	producers  []*kgo.Client // each with its own Producer
	meter      *meter

	mu   sync.Mutex
	free []*request
}

var (
	_ load.Driver  = (*Driver)(nil)
	_ load.Watcher = (*Driver)(nil)
	_ load.Starter = (*request)(nil)
)

// New connects to the cluster and makes the driver of a load. It returns an
// error where the cluster can't be reached or doesn't let this client in, where
// a topic doesn't exist, and where records are larger than their topic allows.
// It returns within ctx, or half a minute for each way in which the load's records
// are produced.
func New(ctx context.Context, cfg Config) (*Driver, error) {
	if cfg.Load.Timeout <= 0 || cfg.InFlight <= 0 {
		return nil, fmt.Errorf("load %q has no timeout or no in-flight limit", cfg.Load.Name)
	}
	if cfg.Accounts == nil {
		cfg.Accounts = NewAccounts()
	}
	d := &Driver{timeout: cfg.Load.Timeout, meter: newMeter(cfg.Accounts)}
	var known []scenarios.Producer
	for _, op := range cfg.Load.Operations {
		if op.Kafka == nil {
			return nil, errors.Join(fmt.Errorf("operation %q is no Kafka record", op.Name), d.Close())
		}
		made, err := newOperation(cfg.Load, op)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("operation %q: %w", op.Name, err), d.Close())
		}
		at := slices.Index(known, op.Kafka.Producer)
		if at < 0 {
			client, err := newClient(cfg, op.Kafka.Producer, d.meter)
			if err != nil {
				return nil, errors.Join(err, d.Close())
			}
			at = len(known)
			known, d.producers = append(known, op.Kafka.Producer), append(d.producers, client)
		}
		made.producer, made.counts = d.producers[at], d.meter.countsOf(made.topic)
		d.operations = append(d.operations, made)
	}
	if err := d.check(ctx, cfg.Target); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Prepare makes the record of an arrival.
func (d *Driver) Prepare(a load.Arrival) (load.Request, error) {
	r := d.request()
	r.op = &d.operations[a.Operation]
	r.op.fill(r, a.N)
	return r, nil
}

func (d *Driver) request() *request {
	d.mu.Lock()
	if n := len(d.free); n > 0 {
		r := d.free[n-1]
		d.free = d.free[:n-1]
		d.mu.Unlock()
		return r
	}
	d.mu.Unlock()
	r := &request{driver: d}
	r.promise = r.acknowledged
	return r
}

// Close gives up what is not acknowledged and closes the connections.
func (d *Driver) Close() error {
	d.meter.closing()
	for _, p := range d.producers {
		p.Close()
	}
	return nil
}

// request is a record on its way. It is used again after its acknowledgement.
type request struct {
	driver  *Driver
	op      *operation
	record  kgo.Record
	key     []byte                   // room for what is made anew each time
	promise func(*kgo.Record, error) // acknowledged
	sample  *measure.Sample
	done    func(sent bool)
}

// Send implements load.Request: it waits for the acknowledgement.
func (r *request) Send(ctx context.Context, s *measure.Sample) {
	done := make(chan bool, 1)
	r.Start(ctx, s, func(sent bool) { done <- sent })
	select {
	case sent := <-done:
		if !sent {
			s.Outcome, s.Reason = measure.GeneratorError, "buffer full"
		}
	case <-ctx.Done():
		s.Outcome = measure.Unfinished
	}
}

// Start implements load.Starter.
func (r *request) Start(ctx context.Context, s *measure.Sample, done func(sent bool)) {
	r.sample, r.done = s, done
	r.record.Timestamp = time.Now().Add(s.Intended - s.Sent)
	r.op.producer.TryProduce(ctx, &r.record, r.promise)
}

// acknowledged is called by the producer when it is done with the record. It
// must not block.
func (r *request) acknowledged(record *kgo.Record, err error) {
	d, s, done := r.driver, r.sample, r.done
	if errors.Is(err, kgo.ErrMaxBuffered) {
		d.release(r)
		done(false)
		return
	}
	s.BytesOut = int64(len(record.Key) + len(record.Value))
	s.Outcome, s.Reason = outcome(err)
	if err == nil {
		d.meter.acknowledged(r.op.counts, record.Partition)
	}
	intended := record.Timestamp
	d.release(r)
	if s.Outcome != measure.TimedOut {
		done(true)
		return
	}
	if waited := time.Since(intended); waited < d.timeout {
		// The producer gives up whatever lies behind a record that is too late.
		// It enters as what it is known to have waited for at least.
		time.AfterFunc(d.timeout-waited, func() { done(true) })
		return
	}
	done(true)
}

func (d *Driver) release(r *request) {
	r.record = kgo.Record{}
	r.sample, r.done = nil, nil
	d.mu.Lock()
	d.free = append(d.free, r)
	d.mu.Unlock()
}
