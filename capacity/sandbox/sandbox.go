// Package sandbox is the room where a System answers over real protocols on
// loopback, so that a rehearsal reaches it exactly as it would reach AWS: an
// AppSync-like GraphQL endpoint, and CloudWatch, Service Quotas and Lambda's
// account settings behind signed requests, and a Kafka cluster (package broker)
// where the System has one.
//
// The GraphQL endpoint parses, validates and executes every document against
// the System's schema. A request that passes authorisation and validation is
// charged to the System's limiters at the instant it is served; the outcome's
// service time, refusal and tokens become the answer, and its charges become
// CloudWatch metrics. No limit is decided here: package model alone refuses.
//
// Listeners bind 127.0.0.1 only. Credentials are drawn anew at each start.
package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/sandbox/awsapi"
	"github.com/headroom-load/headroom/capacity/sandbox/broker"
)

// Who the sandbox is in AWS's terms.
const (
	Region    = "ap-northeast-1"
	Account   = "111122223333"
	APIID     = "sandbox" // the GraphQLAPIId dimension
	CacheName = "sandbox" // the CacheName dimension
	Cluster   = "sandbox" // the Cluster Name dimension of MSK
	// FunctionName is the dimension of that name, and the Resource dimension.
	FunctionName = "sandbox"
)

// drainTime is how long Close waits for requests that are being served.
const drainTime = 40 * time.Second

// Config says what a sandbox serves and where.
type Config struct {
	System *model.System
	// Seed drives the System's random draws and the synthetic values.
	Seed uint64
	// GraphQLPort and AWSPort are ports of 127.0.0.1; 0: any free one.
	GraphQLPort, AWSPort int
}

// Endpoints is everything a client needs to reach a sandbox.
type Endpoints struct {
	GraphQL   string `json:"graphql"` // http://127.0.0.1:PORT/graphql
	AWS       string `json:"aws"`     // http://127.0.0.1:PORT, for every AWS service
	APIKey    string `json:"api_key"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
	Region    string `json:"region"`
	Account   string `json:"account"`
	// Kafka are the addresses of the brokers, each host:port; none without Kafka.
	Kafka []string `json:"kafka,omitempty"`
}

// Sandbox is a running sandbox.
type Sandbox struct {
	endpoints Endpoints
	servers   []*http.Server
	broker    *broker.Broker // nil: the System has no Kafka
	serving   sync.WaitGroup
}

// Start listens and serves until Close. The System's clock starts with it.
func Start(cfg Config) (*Sandbox, error) {
	if cfg.System == nil {
		return nil, errors.New("start sandbox: no System given")
	}
	graphQLAt, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", cfg.GraphQLPort))
	if err != nil {
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	awsAt, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", cfg.AWSPort))
	if err != nil {
		graphQLAt.Close()
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	s, err := open(cfg, graphQLAt, awsAt)
	if err != nil {
		graphQLAt.Close()
		awsAt.Close()
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	return s, nil
}

// open serves on two listeners.
func open(cfg Config, graphQLAt, awsAt net.Listener) (*Sandbox, error) {
	s := &Sandbox{endpoints: Endpoints{
		GraphQL:   "http://" + graphQLAt.Addr().String() + "/graphql",
		AWS:       "http://" + awsAt.Addr().String(),
		APIKey:    "da2-" + strings.ToLower(rand.Text()),
		AccessKey: "AKIA" + rand.Text()[:16],
		SecretKey: secret(),
		Region:    Region,
		Account:   Account,
	}}
	credentials := awsapi.Credentials{AccessKey: s.endpoints.AccessKey, SecretKey: s.endpoints.SecretKey, Region: Region}
	metrics := awsapi.NewMetrics()
	api, err := newGraphQL(cfg.System, cfg.Seed, s.endpoints.APIKey, credentials, metrics)
	if err != nil {
		return nil, err
	}
	if cfg.System.Kafka != nil {
		if s.broker, err = broker.Start(cfg.System, broker.Loopback, newBrokerMeters(cfg.System.Kafka.Brokers, metrics)); err != nil {
			return nil, err
		}
		s.endpoints.Kafka = s.broker.Addresses()
	}
	s.serve(graphQLAt, api)
	s.serve(awsAt, awsapi.New(awsapi.Config{
		Credentials: credentials,
		Account:     Account,
		Metrics:     metrics,
		Applied:     applied(cfg.System),
	}))
	return s, nil
}

func (s *Sandbox) serve(l net.Listener, h http.Handler) {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	s.servers = append(s.servers, server)
	s.serving.Go(func() { server.Serve(l) })
}

// Endpoints returns where and with which credentials the sandbox is reached.
func (s *Sandbox) Endpoints() Endpoints { return s.endpoints }

// Close stops accepting, waits for the requests that are being served and
// returns when nothing of the sandbox runs any more. Requests that take longer
// than 40 s from then are cut off, which is the only error.
func (s *Sandbox) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	var closing sync.WaitGroup
	results := make([]error, len(s.servers))
	for i, server := range s.servers {
		closing.Go(func() {
			if results[i] = server.Shutdown(ctx); results[i] != nil {
				server.Close()
			}
		})
	}
	closing.Wait()
	s.serving.Wait()
	if s.broker != nil {
		s.broker.Close()
	}
	if err := errors.Join(results...); err != nil {
		return fmt.Errorf("close sandbox: requests were cut off: %w", err)
	}
	return nil
}

// secret returns a random key of the length of an AWS secret key.
func secret() string {
	var b [25]byte
	rand.Read(b[:])
	return base32.StdEncoding.EncodeToString(b[:])
}
