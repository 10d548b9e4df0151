// Package graphql drives GraphQL over HTTP, AppSync's above all: it checks the
// documents of a scenario before anything is sent, makes the requests of a load
// ahead of their instants, sends each one once and decides what became of it.
//
// An operation is a vegeta.Target, made once; Prepare fills in the variables of
// an arrival, signs where the target wants it and lays out the bytes, so that
// Send is nothing but the exchange. Answers are read to their end without being kept: a scanner
// follows the JSON and finds errors that come with status 200.
package graphql

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/graphql/http1"
	"github.com/headroom-load/headroom/scenarios/graphql/http2"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/sdl"
)

const (
	// tokenHeader carries the request tokens that AppSync charged (AWS AppSync
	// Developer Guide, "Monitoring").
	tokenHeader = "x-amzn-appsync-TokensConsumed"
	// errorTypeHeader carries the type of an error of an AWS service.
	errorTypeHeader = "x-amzn-ErrorType"
	// signingService is AppSync's name in Signature Version 4.
	signingService = "appsync"
	// keysOutlive is how long credentials must still be good when a request is
	// signed: it may wait a minute to be sent.
	keysOutlive = 2 * time.Minute
	// maxReasons bounds how many different error types of a server are told
	// apart; the rest are "other".
	maxReasons = 200
)

// Config says where a load goes and as whom.
type Config struct {
	Target    scenarios.GraphQL
	Load      scenarios.Load
	InFlight  int    // bounds the connections
	UserAgent string // "headroom/1.2.3"
	// Region and Credentials sign the requests of a target with Auth.IAM.
	Region      string
	Credentials aws.CredentialsProvider
	TLS         *tls.Config // nil: the system's roots, TLS 1.2 and up
}

// Driver is a load.Driver for GraphQL over HTTP.
type Driver struct {
	timeout     time.Duration
	operations  []operation
	client      client
	secure      bool // the endpoint has TLS
	signer      *v4.Signer
	credentials aws.CredentialsProvider // nil: nothing is signed
	region      string
	reasons     reasons
	unreadable  atomic.Int64 // token headers since Watch was called
}

var (
	_ load.Driver  = (*Driver)(nil)
	_ load.Warmer  = (*Driver)(nil)
	_ load.Watcher = (*Driver)(nil)
)

// operation is an operation made ready: what all of its requests have in
// common.
type operation struct {
	target  vegeta.Target // Body is whole where nothing varies
	url     *url.URL
	head    http1.Head // of every request, but for the signature
	vary    *template  // of the body; nil where nothing varies
	rows    [][]string
	digest  string       // of the body where nothing varies
	request load.Request // the same for every arrival; nil where something varies or is signed
}

// New makes the driver of a load. Check finds the same faults with positions;
// here the first one is an error.
func New(cfg Config) (*Driver, error) {
	endpoint, err := parseEndpoint(cfg.Target.Endpoint)
	if err != nil {
		return nil, err
	}
	if cfg.Load.Timeout <= 0 {
		return nil, fmt.Errorf("load %q has no timeout", cfg.Load.Name)
	}
	if cfg.InFlight <= 0 {
		return nil, fmt.Errorf("load %q has no in-flight limit", cfg.Load.Name)
	}
	client, err := newClient(cfg, endpoint)
	if err != nil {
		return nil, err
	}
	d := &Driver{timeout: cfg.Load.Timeout, client: client, secure: endpoint.Scheme == "https"}
	if cfg.Target.Auth.IAM {
		if cfg.Credentials == nil || cfg.Region == "" {
			return nil, errors.New("signing for AppSync needs AWS credentials and a region")
		}
		d.signer, d.region = v4.NewSigner(), cfg.Region
		d.credentials = aws.NewCredentialsCache(cfg.Credentials, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = keysOutlive })
	}
	for _, op := range cfg.Load.Operations {
		made, err := makeOperation(cfg, endpoint, op)
		if err != nil {
			return nil, fmt.Errorf("operation %q: %w", op.Name, err)
		}
		if made.vary == nil && d.credentials == nil {
			if made.request, err = d.request(&made.target, &made.head, made.target.Body); err != nil {
				return nil, fmt.Errorf("operation %q: %w", op.Name, err)
			}
		}
		d.operations = append(d.operations, made)
	}
	return d, nil
}

func parseEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		// The text isn't repeated: it may hold a secret.
		return nil, errors.New("endpoint is no absolute http or https URL")
	}
	return u, nil
}

func makeOperation(cfg Config, endpoint *url.URL, op scenarios.Operation) (operation, error) {
	if op.GraphQL == nil {
		return operation{}, errors.New("is no GraphQL operation")
	}
	doc, errs := sdl.Parse(op.GraphQL.DocumentFile, []byte(op.GraphQL.Document))
	if errs != nil {
		return operation{}, errs
	}
	sent, err := sdl.Named(doc, op.GraphQL.OperationName)
	if err != nil {
		return operation{}, err
	}
	made := operation{url: endpoint, target: vegeta.Target{
		Method: http.MethodPost,
		URL:    endpoint.String(),
		Header: header(cfg, op.GraphQL),
	}}
	if made.head, err = head(&made.target); err != nil {
		return operation{}, err
	}

	text := appendQuoted([]byte(`{"query":`), op.GraphQL.Document)
	if sent.Name != "" {
		text = appendQuoted(append(text, `,"operationName":`...), sent.Name)
	}
	vary := template{}
	if len(op.GraphQL.Variables) > 0 {
		var columns []string
		if op.GraphQL.Rows != nil {
			columns, made.rows = op.GraphQL.Rows.Columns, op.GraphQL.Rows.Values
		}
		var faults []faulty
		vary, faults = compile("variables", op.GraphQL.Variables, columns)
		if faults != nil {
			return operation{}, fmt.Errorf("%s: %s", faults[0].path, faults[0].problem)
		}
		text = append(text, `,"variables":`...)
	}
	if len(vary.parts) > 0 {
		if len(made.rows) == 0 {
			return operation{}, errors.New("there are no rows")
		}
		vary.parts[0].before = slices.Concat(text, vary.parts[0].before)
		vary.tail = append(vary.tail, '}')
		made.vary = &vary
		return made, nil
	}
	made.target.Body = append(append(text, vary.tail...), '}')
	made.digest = digest(made.target.Body)
	return made, nil
}

// header returns the headers of an operation's requests. Those of the operation
// override the target's, and both override the driver's own.
func header(cfg Config, op *scenarios.GraphQLOperation) http.Header {
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/graphql-response+json, application/json;q=0.9")
	if cfg.UserAgent != "" {
		h.Set("User-Agent", cfg.UserAgent)
	}
	switch auth := cfg.Target.Auth; {
	case auth.APIKey != "":
		h.Set("X-Api-Key", auth.APIKey)
	case auth.Bearer != "":
		h.Set("Authorization", auth.Bearer)
	}
	for _, of := range [][]scenarios.Header{cfg.Target.Headers, op.Headers} {
		for _, one := range of {
			h.Set(one.Name, one.Value)
		}
	}
	return h
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// Prepare makes the request of an arrival: the body with the arrival's row and
// the signature, which is dated now. Arrival n takes row n modulo their number.
func (d *Driver) Prepare(a load.Arrival) (load.Request, error) {
	op := &d.operations[a.Operation]
	if op.request != nil {
		return op.request, nil
	}
	body := op.target.Body
	if op.vary != nil {
		body = op.vary.render(nil, op.rows[a.N%int64(len(op.rows))])
	}
	if d.credentials == nil {
		return d.request(&op.target, &op.head, body)
	}
	signed, err := d.sign(op, body)
	if err != nil {
		return nil, err
	}
	h, err := head(&signed)
	if err != nil {
		return nil, err
	}
	return d.request(&signed, &h, body)
}

// sign returns the target of a request that is signed for the next few minutes.
func (d *Driver) sign(op *operation, body []byte) (vegeta.Target, error) {
	sum := op.digest
	if sum == "" {
		sum = digest(body)
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.timeout)
	defer cancel()
	keys, err := d.credentials.Retrieve(ctx)
	if err != nil {
		return vegeta.Target{}, errors.New("no AWS credentials")
	}
	// The signer writes to the URL and the header, and to Host what it signs as
	// the host if that isn't the URL's.
	u := *op.url
	r := &http.Request{Method: op.target.Method, URL: &u, Header: op.target.Header.Clone(), ContentLength: int64(len(body))}
	if err := d.signer.SignHTTP(ctx, keys, r, sum, signingService, d.region, time.Now()); err != nil {
		return vegeta.Target{}, errors.New("request can't be signed")
	}
	if r.Host != "" {
		r.Header.Set("Host", r.Host)
	}
	return vegeta.Target{Method: r.Method, URL: u.String(), Header: r.Header}, nil
}

// Warm opens connections until n are open, perSecond of them a second, so that
// the requests to come find them. It returns when all are open or one has
// failed, with what keeps this machine from sending or the target from being
// reached.
func (d *Driver) Warm(ctx context.Context, n int, perSecond float64) error {
	return d.client.Warm(ctx, n, perSecond)
}

// Close closes the connections.
func (d *Driver) Close() error {
	d.client.Close()
	return nil
}

// request is a request that may be sent any number of times.
type request struct {
	driver *Driver
	http   http1.Request
}

// Send implements load.Request.
func (r *request) Send(ctx context.Context, s *measure.Sample) {
	x := exchanges.Get().(*exchange)
	defer exchanges.Put(x)
	x.scanner.reset()
	err := r.driver.client.one.Do(ctx, &r.http, r.driver.timeout, &x.answer, x.feed)
	r.driver.judge(s, x, err)
}

// request2 is a request over HTTP/2.
type request2 struct {
	driver *Driver
	http   http2.Request
}

// Send implements load.Request.
func (r *request2) Send(ctx context.Context, s *measure.Sample) {
	x := exchanges.Get().(*exchange)
	defer exchanges.Put(x)
	x.scanner.reset()
	err := r.driver.client.two.Do(ctx, &r.http, r.driver.timeout, &x.answer, x.feed)
	r.driver.judge(s, x, err)
}

// judge decides what became of an exchange that ended with err.
func (d *Driver) judge(s *measure.Sample, x *exchange, err error) {
	a := &x.answer
	s.BytesIn, s.BytesOut, s.Tokens = a.BytesIn, a.BytesOut, measure.NoTokens
	if a.Status != 0 {
		s.Tokens = d.tokens(a)
	}
	if err != nil {
		s.Outcome, s.Reason = exchangeError(err)
		if s.Outcome == measure.TimedOut && a.Status != 0 {
			s.Reason = "answer incomplete"
		}
		return
	}
	if a.Undecoded {
		x.scanner.feed([]byte{0}) // whatever it is, it is no JSON
	}
	s.Outcome, s.Reason = classify(a.Status, a.Header(errorTypeHeader), &x.scanner)
	if s.Reason != "" {
		s.Reason = d.reasons.bounded(s.Reason)
	}
}

// reasons keeps the number of different reasons small.
type reasons struct {
	mu   sync.RWMutex
	seen map[string]string
}

func (r *reasons) bounded(reason string) string {
	r.mu.RLock()
	known, ok := r.seen[reason]
	r.mu.RUnlock()
	if ok {
		return known
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) >= maxReasons {
		return "other"
	}
	if r.seen == nil {
		r.seen = map[string]string{}
	}
	r.seen[reason] = reason
	return reason
}

// mostTokens is how many tokens an answer may say that it cost: far more than a
// request can, and so few that sums and histograms hold those of any run.
const mostTokens = 1e9

// parseTokens reads the token header: a whole number of at most mostTokens that isn't
// negative.
func parseTokens(v string) (int64, bool) {
	n, err := strconv.ParseInt(v, 10, 64)
	return n, err == nil && n >= 0 && n <= mostTokens
}
