package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/sandbox/awsapi"
	"github.com/headroom-load/headroom/scenarios/sdl"
)

const (
	maxRequest    = 1 << 20  // bytes of a request's body
	answerCache   = 64 << 20 // bytes of rendered answers
	documentCache = 64 << 20 // bytes of parsed documents
	treeBytes     = 32       // of a parsed document, for each byte of its text
)

// tokensHeader is spelled as AppSync sends it over HTTP/1.1.
const tokensHeader = "x-amzn-appsync-TokensConsumed"

// graphQL is the AppSync-like endpoint.
type graphQL struct {
	apiKey      string
	credentials awsapi.Credentials
	executor    *executor
	operations  []string // of the System
	meters      *meters
	tokens      bool // whether the System has request tokens at all
	documents   *cache[*sdl.Document]
	answers     *cache[*prepared] // by request body

	start   time.Time
	mu      sync.Mutex
	backend *model.Backend
}

// prepared is a request that only has to be charged and answered. Answers are
// the same for the same body, so it is kept.
type prepared struct {
	operation string
	body      []byte // the answer when the System serves it
	roots     []root
}

// root is what a throttled answer says of a root field.
type root struct {
	name    string
	at      location
	nonNull bool
}

func newGraphQL(s *model.System, seed uint64, apiKey string, c awsapi.Credentials, m *awsapi.Metrics) (*graphQL, error) {
	file, src := s.Schema, s.SDL
	if src == nil {
		file, src = "schema of the operations' names", plainSchema(s)
	}
	schema, err := sdl.LoadSchema(file, src)
	if err != nil {
		return nil, err
	}
	g := &graphQL{
		apiKey:      apiKey,
		credentials: c,
		executor:    &executor{schema, seed},
		meters:      newMeters(s, m),
		documents:   newCache[*sdl.Document](documentCache),
		answers:     newCache[*prepared](answerCache),
		start:       time.Now(),
		backend:     s.Start(seed),
	}
	for _, o := range s.Operations {
		g.operations = append(g.operations, o.Name)
	}
	g.tokens = slices.ContainsFunc(s.Limiters, func(l model.Limiter) bool { return l.ID == model.RequestTokens })
	return g, nil
}

// plainSchema is what a System without a schema serves: a nullable field for
// each operation whose name can be a field's, as a query and as a mutation.
func plainSchema(s *model.System) []byte {
	name := regexp.MustCompile(`^(_?[A-Za-z][_0-9A-Za-z]*|_)$`)
	fields := ""
	for _, o := range s.Operations {
		if name.MatchString(o.Name) {
			fields += "  " + o.Name + ": String\n"
		}
	}
	if fields == "" {
		fields = "  _: String\n"
	}
	return []byte("type Query {\n" + fields + "}\ntype Mutation {\n" + fields + "}\n")
}

// graphQLError is one of errors[], as AppSync writes it.
type graphQLError struct {
	Path      []string   `json:"path"`
	Data      any        `json:"data"`
	ErrorType string     `json:"errorType,omitempty"`
	ErrorInfo any        `json:"errorInfo"`
	Locations []location `json:"locations"`
	Message   string     `json:"message"`
}

type location struct {
	Line       int     `json:"line"`
	Column     int     `json:"column"`
	SourceName *string `json:"sourceName"`
}

// requestError ends a request before it is charged. An invalid document or
// variables are 4XX too: AppSync counts an "incorrect query" in 4XXError (AppSync
// Developer Guide, "Using CloudWatch to monitor").
type requestError struct {
	status    int
	errorType string
	message   string
	faults    sdl.Errors // instead of the message
}

func malformed(format string, args ...any) *requestError {
	return &requestError{status: http.StatusBadRequest, errorType: "MalformedHttpRequestException", message: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) *requestError {
	return &requestError{status: http.StatusBadRequest, errorType: "BadRequestException", message: fmt.Sprintf(format, args...)}
}

func invalid(faults sdl.Errors) *requestError {
	return &requestError{status: http.StatusBadRequest, errorType: "BadRequestException", faults: faults}
}

// answer is everything that is written in answer to a request.
type answer struct {
	status    int
	errorType string // for a header; "" where there is none
	tokens    string // what the request was charged; "" where that isn't said
	body      []byte
	size      int64 // that the body is padded to; 0: not at all
}

func (g *graphQL) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	a := g.serve(w, r, arrived)
	// Before the answer leaves, so that whoever has read it finds its metrics.
	g.meters.answered(arrived, a.status, time.Since(arrived))
	a.write(w)
}

// serve works out the answer to a request, and takes the service time for it.
func (g *graphQL) serve(w http.ResponseWriter, r *http.Request, arrived time.Time) answer {
	body, bad := g.read(w, r)
	if bad == nil {
		bad = g.authorize(r, body, arrived)
	}
	var p *prepared
	if bad == nil {
		p, bad = g.prepare(body)
	}
	if bad != nil {
		return bad.answer()
	}
	out := g.charge(p.operation)
	wait(r, arrived.Add(out.ServiceTime))

	if strings.HasPrefix(out.RefusedBy, "appsync.") {
		return answer{
			status:    http.StatusTooManyRequests,
			errorType: "ThrottlingException",
			body:      []byte(`{"errors":[{"errorType":"ThrottlingException","message":"Rate exceeded"}]}`),
		}
	}
	a := answer{status: http.StatusOK, body: p.body, size: out.ResponseBytes}
	if g.tokens {
		a.tokens = strconv.FormatInt(out.Tokens, 10)
	}
	if out.RefusedBy != "" {
		a.body = p.throttled(out.RefusedBy)
	}
	return a
}

func (g *graphQL) read(w http.ResponseWriter, r *http.Request) ([]byte, *requestError) {
	if r.URL.Path != "/graphql" {
		return nil, &requestError{status: http.StatusNotFound, errorType: "NotFoundException", message: "the sandbox's GraphQL endpoint is /graphql"}
	}
	if r.Method != http.MethodPost {
		return nil, &requestError{status: http.StatusMethodNotAllowed, errorType: "BadRequestException", message: "GraphQL requests are POST requests"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return nil, badRequest("the request's body is cut off or has more than 1 MiB")
	}
	return body, nil
}

// authorize accepts the API key, a SigV4 signature for appsync and any bearer
// token but "expired".
func (g *graphQL) authorize(r *http.Request, body []byte, now time.Time) *requestError {
	deny := func(message string) *requestError {
		return &requestError{status: http.StatusUnauthorized, errorType: "UnauthorizedException", message: message}
	}
	if key := r.Header.Get("X-Api-Key"); key != "" {
		if key != g.apiKey {
			return deny("You are not authorized to make this call.")
		}
		return nil
	}
	if awsapi.Signed(r) {
		if err := g.credentials.Verify(r, body, "appsync", now); err != nil {
			return deny(err.Error())
		}
		return nil
	}
	token := r.Header.Get("Authorization")
	if scheme, rest, ok := strings.Cut(token, " "); ok && strings.EqualFold(scheme, "bearer") {
		token = strings.TrimSpace(rest)
	}
	switch {
	case token == "" || strings.EqualFold(token, "bearer"):
		return deny("Missing authorization header")
	case token == "expired":
		return deny("Token has expired.")
	}
	return nil
}

// prepare parses, validates and executes a request's operation.
func (g *graphQL) prepare(body []byte) (*prepared, *requestError) {
	if p, ok := g.answers.get(body); ok {
		return p, nil
	}
	var request struct {
		Query         string          `json:"query"`
		OperationName string          `json:"operationName"`
		Variables     json.RawMessage `json:"variables"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, malformed("Request body is not a GraphQL request in JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if strings.TrimSpace(request.Query) == "" {
		return nil, malformed("Request body has no query.")
	}
	doc, bad := g.document(request.Query)
	if bad != nil {
		return nil, bad
	}
	op, err := sdl.Named(doc, request.OperationName)
	if err != nil {
		return nil, badRequest("%s", err)
	}
	if !slices.Contains(g.operations, op.Name) {
		name := strconv.Quote(op.Name)
		if op.Name == "" {
			name = "an operation without a name"
		}
		return nil, badRequest("the document asks for %s; the System has %s", name, strings.Join(g.operations, ", "))
	}
	variables, errs := sdl.Variables(g.executor.schema, op, request.Variables)
	if errs != nil {
		return nil, invalid(errs)
	}
	p := &prepared{operation: op.Name}
	fields, err := g.executor.plan(op, variables)
	if err != nil {
		return nil, badRequest("%s", err)
	}
	for _, f := range fields {
		p.roots = append(p.roots, root{f.at.Alias, location{Line: f.at.Position.Line, Column: f.at.Position.Column}, f.typ.NonNull})
	}
	data, _, err := g.executor.answer(fields)
	if err != nil {
		p.body = envelope([]byte("null"), []graphQLError{{ErrorType: "ResolverExecutionLimitReached", Message: err.Error()}})
	} else {
		p.body = slices.Concat([]byte(`{"data":`), data, []byte("}"))
	}
	g.answers.put(string(body), p, len(p.body)+len(body))
	return p, nil
}

// document parses and validates a document, or finds it in the cache.
func (g *graphQL) document(query string) (*sdl.Document, *requestError) {
	key := []byte(query)
	if doc, ok := g.documents.get(key); ok {
		return doc, nil
	}
	doc, errs := sdl.Load(g.executor.schema, "", key)
	if errs != nil {
		return nil, invalid(errs)
	}
	g.documents.put(query, doc, treeBytes*len(query))
	return doc, nil
}

// charge serves an arrival of one of the System's operations and publishes what
// it charged. Arrivals are charged in the order in which they come to the lock.
func (g *graphQL) charge(operation string) model.Outcome {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	out, _ := g.backend.Serve(now.Sub(g.start), operation)
	g.meters.served(now, out)
	out.Charges = nil // the backend's own, until its next call
	return out
}

// wait blocks until an instant, or until the client goes away.
func wait(r *http.Request, until time.Time) {
	d := time.Until(until)
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
}

// throttled is the answer of resolvers whose service refused: every root field
// null, or all of the data where one of them can't be.
func (p *prepared) throttled(limiter string) []byte {
	errorType, message := "ThrottlingException", "Rate exceeded"
	switch service, _, _ := strings.Cut(limiter, "."); service {
	case "lambda":
		errorType, message = "Lambda:TooManyRequestsException", "Rate Exceeded."
	case "dynamodb":
		errorType, message = "DynamoDB:ProvisionedThroughputExceededException", "The level of configured provisioned throughput for the table was exceeded."
	case "momento":
		errorType, message = "LimitExceededException", "Limit exceeded: "+limiter
	}
	data := "{"
	var errs []graphQLError
	for i, root := range p.roots {
		if i > 0 {
			data += ","
		}
		data += strconv.Quote(root.name) + ":null"
		errs = append(errs, graphQLError{Path: []string{root.name}, ErrorType: errorType, Locations: []location{root.at}, Message: message})
	}
	data += "}"
	if slices.ContainsFunc(p.roots, func(r root) bool { return r.nonNull }) {
		data = "null"
	}
	return envelope([]byte(data), errs)
}

// envelope is a GraphQL answer with errors; data nil: without data.
func envelope(data json.RawMessage, errs any) []byte {
	b, err := json.Marshal(struct {
		Data   json.RawMessage `json:"data,omitempty"`
		Errors any             `json:"errors"`
	}{data, errs})
	if err != nil {
		panic(err) // the parts are JSON already
	}
	return b
}

// answer is the answer to a request that was not charged.
func (bad *requestError) answer() answer {
	type fault struct {
		ErrorType string     `json:"errorType"`
		Message   string     `json:"message"`
		Locations []location `json:"locations,omitempty"`
	}
	var errs []fault
	if bad.faults == nil {
		errs = append(errs, fault{ErrorType: bad.errorType, Message: bad.message})
	}
	for _, e := range bad.faults {
		f := fault{ErrorType: bad.errorType, Message: e.Message}
		if e.Path != "" {
			f.Message = "variable " + e.Path + " " + e.Message
		}
		if e.Line > 0 {
			f.Locations = []location{{Line: e.Line, Column: e.Column}}
		}
		errs = append(errs, f)
	}
	return answer{status: bad.status, errorType: bad.errorType, body: envelope(nil, errs)}
}

const (
	paddingBefore = `,"extensions":{"padding":"`
	paddingAfter  = `"}}`
)

var padding = []byte(strings.Repeat("x", 64<<10))

// write writes the answer. A body that is shorter than its size is filled up to
// it with a string in its extensions, where there is room for that; a longer
// one stays as it is.
func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	h["x-amzn-requestid"] = []string{awsapi.RequestID()}
	if a.tokens != "" {
		h[tokensHeader] = []string{a.tokens}
	}
	if a.errorType != "" {
		h.Set("X-Amzn-Errortype", a.errorType)
	}
	fill := a.size - int64(len(a.body)-1+len(paddingBefore)+len(paddingAfter))
	size := a.size
	if fill < 0 {
		size = int64(len(a.body))
	}
	h.Set("Content-Type", "application/json;charset=UTF-8")
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	w.WriteHeader(a.status)
	if fill < 0 {
		w.Write(a.body)
		return
	}
	w.Write(a.body[:len(a.body)-1])
	io.WriteString(w, paddingBefore)
	for ; fill > 0; fill -= int64(len(padding)) {
		if _, err := w.Write(padding[:min(fill, int64(len(padding)))]); err != nil {
			return
		}
	}
	io.WriteString(w, paddingAfter)
}
