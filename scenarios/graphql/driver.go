// Package graphql drives GraphQL over HTTP, AppSync's above all: it checks the
// documents of a scenario before anything is sent, makes the requests of a load
// ahead of their instants, sends each one once and decides what became of it.
//
// An operation is a vegeta.Target, made once; Prepare fills in the variables of
// an arrival and signs where the target wants it, so that Send is nothing but
// the exchange. Answers are read to their end without being kept: a scanner
// follows the JSON and finds errors that come with status 200.
package graphql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/sdl"
)

const (
	// tokenHeader carries the request tokens that AppSync charged (AWS AppSync
	// Developer Guide, "Monitoring"). net/http reads it under this spelling
	// whatever the server's.
	tokenHeader = "X-Amzn-Appsync-Tokensconsumed"
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
}

// Driver is a load.Driver for GraphQL over HTTP.
type Driver struct {
	timeout     time.Duration
	operations  []operation
	client      *client
	signer      *v4.Signer
	credentials aws.CredentialsProvider // nil: nothing is signed
	region      string
	reasons     reasons
}

var _ load.Driver = (*Driver)(nil)

// operation is an operation made ready: what all of its requests have in
// common.
type operation struct {
	target vegeta.Target // Body is whole where nothing varies
	url    *url.URL
	vary   *template // of the body; nil where nothing varies
	rows   [][]string
	digest string // of the body where nothing varies
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
	d := &Driver{timeout: cfg.Load.Timeout, client: newClient(cfg.InFlight)}
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
	h.Set("User-Agent", cfg.UserAgent)
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
	r := &request{driver: d, target: op.target}
	if op.vary != nil {
		row := op.rows[a.N%int64(len(op.rows))]
		r.target.Body = op.vary.render(nil, row)
	}
	r.http = d.client.request(&r.target, op.url)
	if d.credentials != nil {
		if err := d.sign(r, op.digest); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// sign signs the request for the next few minutes.
func (d *Driver) sign(r *request, sum string) error {
	if sum == "" {
		sum = digest(r.target.Body)
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.timeout)
	defer cancel()
	keys, err := d.credentials.Retrieve(ctx)
	if err != nil {
		return errors.New("no AWS credentials")
	}
	// The signer writes to both.
	u := *r.http.URL
	r.target.Header = r.target.Header.Clone()
	r.http.URL, r.http.Header = &u, r.target.Header
	if err := d.signer.SignHTTP(ctx, keys, r.http, sum, signingService, d.region, time.Now()); err != nil {
		return errors.New("request can't be signed")
	}
	return nil
}

// Close closes the connections.
func (d *Driver) Close() error {
	d.client.close()
	return nil
}

// Stats returns what the driver's connections have done until now.
func (d *Driver) Stats() Stats { return d.client.stats() }

// request is one request, to be sent once.
type request struct {
	driver *Driver
	target vegeta.Target
	http   *http.Request
}

// Send implements load.Request.
func (r *request) Send(ctx context.Context, s *measure.Sample) {
	d := r.driver
	s.Tokens = measure.NoTokens
	timed, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()

	x := exchanges.Get().(*exchange)
	defer exchanges.Put(x)
	header, err := d.client.do(timed, r.http, r.target.Body, x)
	s.BytesIn, s.BytesOut = int64(x.result.BytesIn), int64(x.result.BytesOut)
	if header != nil {
		s.Tokens = d.client.tokens(header)
	}
	switch {
	case err == nil:
		s.Outcome, s.Reason = classify(int(x.result.Code), header, &x.scanner)
		if s.Reason != "" {
			s.Reason = d.reasons.bounded(s.Reason)
		}
	case ctx.Err() != nil:
		s.Outcome, s.Reason = measure.Unfinished, "given up"
	case timed.Err() != nil && header == nil:
		s.Outcome, s.Reason = measure.TimedOut, "no answer"
	case timed.Err() != nil:
		s.Outcome, s.Reason = measure.TimedOut, "answer incomplete"
	default:
		s.Outcome, s.Reason = exchangeError(err)
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

// parseTokens reads the token header: a whole number that isn't negative.
func parseTokens(v string) (int64, bool) {
	n, err := strconv.ParseInt(v, 10, 64)
	return n, err == nil && n >= 0
}
