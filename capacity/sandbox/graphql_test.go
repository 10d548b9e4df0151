package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/sandbox/awsapi"
)

// limits is a System with one operation for each way of being refused: the
// first request of each is served, the second one within the second isn't.
const limits = `
version: 1
name: limits
limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: 1000 tokens/s, burst: 1000 tokens}
  - {id: appsync.other, kind: window, rate: 1 requests/s}
  - {id: lambda.concurrency, kind: concurrency, limit: 1}
  - {id: dynamodb.T.read, kind: window, rate: 1 RCU/s}
  - {id: dynamodb.T.write, kind: window, rate: 1 WCU/s}
  - {id: momento.operations, kind: window, rate: 1 ops/s}
  - {id: momento.throughput, kind: window, rate: 1KB/s}
  - {id: mine, kind: window, rate: 1 ops/s}
  - {id: pool, kind: concurrency, limit: 1}
operations:
  - {name: free}
  - {name: slow, service_time: 250ms, response: {bytes: 1KB}, charges: [{limiter: appsync.request-tokens, amount: 3}]}
  - {name: tokens, charges: [{limiter: appsync.request-tokens, amount: 600}]}
  - {name: other, charges: [{limiter: appsync.other, amount: 1}]}
  - {name: lambda, service_time: 1s, charges: [{limiter: appsync.request-tokens, amount: 2}, {limiter: lambda.concurrency, hold: service_time}]}
  - {name: read, charges: [{limiter: appsync.request-tokens, amount: 2}, {limiter: dynamodb.T.read, amount: 1}]}
  - {name: write, charges: [{limiter: dynamodb.T.write, amount: 1}]}
  - {name: operations, charges: [{limiter: momento.operations, amount: 1}]}
  - {name: throughput, charges: [{limiter: momento.throughput, amount: 600}]}
  - {name: mine, charges: [{limiter: mine, amount: 1}]}
  - {name: pool, service_time: 1s, charges: [{limiter: pool, hold: service_time}]}
`

var testCredentials = awsapi.Credentials{AccessKey: "AKIATEST", SecretKey: "not a secret", Region: Region}

func endpoint(t testing.TB, system, schema string) (*graphQL, *awsapi.Metrics) {
	t.Helper()
	s, err := model.Parse("system.yaml", []byte(system))
	if err != nil {
		t.Fatal(err)
	}
	if schema != "" {
		s.Schema, s.SDL = "schema.graphql", []byte(schema)
	}
	m := awsapi.NewMetrics()
	g, err := newGraphQL(s, 1, "da2-key", testCredentials, m)
	if err != nil {
		t.Fatal(err)
	}
	return g, m
}

func body(query string, more ...string) string {
	b, _ := json.Marshal(query)
	return `{"query":` + string(b) + strings.Join(more, "") + `}`
}

// post sends a body with the API key.
func post(g http.Handler, body string) *http.Response {
	r := httptest.NewRequest("POST", "/graphql", strings.NewReader(body))
	r.Header.Set("X-Api-Key", "da2-key")
	return do(g, r)
}

func do(g http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	// As a client sees it, whose header names are canonical.
	header := http.Header{}
	for name, values := range w.Header() {
		header.Set(name, values[0])
	}
	response := w.Result()
	response.Header = header
	return response
}

func text(r *http.Response) string {
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := endpoint(t, limits, "")
		resolver := func(field, errorType, message string) string {
			return fmt.Sprintf(`{"data":{%q:null},"errors":[{"path":[%q],"data":null,"errorType":%q,"errorInfo":null,"locations":[{"line":1,"column":%d,"sourceName":null}],"message":%q}]}`,
				field, field, errorType, len("query "+field+" { ")+1, message)
		}
		throttled := `{"errors":[{"errorType":"ThrottlingException","message":"Rate exceeded"}]}`
		for _, c := range []struct {
			operation  string
			first      string // token header of the served request
			status     int
			tokens     string // of the refused one
			body, kind string
		}{
			{"tokens", "600", 429, "", throttled, "ThrottlingException"},
			{"other", "0", 429, "", throttled, "ThrottlingException"},
			{"lambda", "2", 200, "2", resolver("lambda", "Lambda:TooManyRequestsException", "Rate Exceeded."), ""},
			{"read", "2", 200, "2", resolver("read", "DynamoDB:ProvisionedThroughputExceededException", "The level of configured provisioned throughput for the table was exceeded."), ""},
			{"write", "0", 200, "0", resolver("write", "DynamoDB:ProvisionedThroughputExceededException", "The level of configured provisioned throughput for the table was exceeded."), ""},
			{"operations", "0", 200, "0", resolver("operations", "LimitExceededException", "Limit exceeded: momento.operations"), ""},
			{"throughput", "0", 200, "0", resolver("throughput", "LimitExceededException", "Limit exceeded: momento.throughput"), ""},
			{"mine", "0", 200, "0", resolver("mine", "ThrottlingException", "Rate exceeded"), ""},
			{"pool", "0", 200, "0", resolver("pool", "ThrottlingException", "Rate exceeded"), ""},
		} {
			request := body("query " + c.operation + " { " + c.operation + " }")
			served := make(chan *http.Response)
			go func() { served <- post(g, request) }()
			synctest.Wait()
			refused := post(g, request)
			first := <-served
			if got := text(first); first.StatusCode != 200 || first.Header.Get(tokensHeader) != c.first || !strings.HasPrefix(got, `{"data":{"`+c.operation+`":"`) {
				t.Errorf("%s: served with %d, %q tokens: %s", c.operation, first.StatusCode, first.Header.Get(tokensHeader), got)
			}
			if refused.StatusCode != c.status || refused.Header.Get(tokensHeader) != c.tokens || refused.Header.Get("X-Amzn-Errortype") != c.kind {
				t.Errorf("%s: refused with %d, %q tokens, type %q", c.operation, refused.StatusCode, refused.Header.Get(tokensHeader), refused.Header.Get("X-Amzn-Errortype"))
			}
			if d := cmp.Diff(c.body, text(refused)); d != "" {
				t.Errorf("%s: %s", c.operation, d)
			}
			time.Sleep(time.Second) // virtual
		}
	})
}

// A root field that can't be null takes all of the data with it.
func TestRefusedNonNull(t *testing.T) {
	g, _ := endpoint(t, limits, "type Query { mine: String! other: String }")
	request := body("query mine { a: mine b: other }")
	post(g, request)
	got := text(post(g, request))
	if !strings.HasPrefix(got, `{"data":null,"errors":[{"path":["a"],`) || !strings.Contains(got, `{"path":["b"],`) {
		t.Error(got)
	}
}

func TestServiceTimeAndSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := endpoint(t, limits, "")
		start := time.Now()
		r := post(g, body("query slow { slow }"))
		if took := time.Since(start); took != 250*time.Millisecond {
			t.Errorf("takes %v", took)
		}
		got := text(r)
		if len(got) != 1000 || r.ContentLength != 1000 || !json.Valid([]byte(got)) || !strings.Contains(got, `"extensions":{"padding":"x`) {
			t.Errorf("%d bytes: %s", len(got), got)
		}

		// A client that goes away isn't waited for, but was charged.
		ctx, cancel := context.WithCancel(t.Context())
		request := httptest.NewRequestWithContext(ctx, "POST", "/graphql", strings.NewReader(body("query slow { slow }")))
		request.Header.Set("X-Api-Key", "da2-key")
		start = time.Now()
		time.AfterFunc(100*time.Millisecond, cancel)
		do(g, request)
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("waits %v for a client that is gone", took)
		}
	})
}

func TestNoTokenHeaderWithoutTokens(t *testing.T) {
	g, _ := endpoint(t, "version: 1\nname: plain\noperations: [{name: a}]\n", "")
	r := post(g, body("query a { a }"))
	if _, ok := r.Header[http.CanonicalHeaderKey(tokensHeader)]; ok || r.StatusCode != 200 {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	if len(r.Header.Get("X-Amzn-Requestid")) != 36 {
		t.Errorf("request id %q", r.Header.Get("X-Amzn-Requestid"))
	}
}

func TestAuthorization(t *testing.T) {
	g, _ := endpoint(t, limits, "")
	signer := func(service, secret string) func(r *http.Request, body string) {
		return func(r *http.Request, body string) {
			sum := sha(body)
			err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: secret}, r, sum, service, Region, time.Now())
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	header := func(name, value string) func(*http.Request, string) {
		return func(r *http.Request, _ string) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		apply   func(r *http.Request, body string)
		message string // of the 401; "" where the request is let in
	}{
		"key":             {apply: header("x-api-key", "da2-key")},
		"bearer":          {apply: header("Authorization", "Bearer abc.def")},
		"token":           {apply: header("Authorization", "abc.def")},
		"signature":       {apply: signer("appsync", "not a secret")},
		"nothing":         {func(*http.Request, string) {}, "Missing authorization header"},
		"other key":       {header("x-api-key", "da2-other"), "You are not authorized to make this call."},
		"empty bearer":    {header("Authorization", "Bearer "), "Missing authorization header"},
		"expired":         {header("Authorization", "Bearer expired"), "Token has expired."},
		"wrong secret":    {signer("appsync", "another"), "The request signature we calculated does not match the signature you provided."},
		"another service": {signer("execute-api", "not a secret"), "Credential should be scoped to"},
	} {
		request := body("query free { free }")
		r := httptest.NewRequest("POST", "http://127.0.0.1:4000/graphql", strings.NewReader(request))
		c.apply(r, request)
		got := do(g, r)
		var answer struct {
			Errors []struct{ ErrorType, Message string }
		}
		if err := json.NewDecoder(got.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		switch {
		case c.message == "" && (got.StatusCode != 200 || answer.Errors != nil):
			t.Errorf("%s: %d %v", name, got.StatusCode, answer)
		case c.message != "" && (got.StatusCode != 401 || len(answer.Errors) != 1 || answer.Errors[0].ErrorType != "UnauthorizedException" || !strings.HasPrefix(answer.Errors[0].Message, c.message)):
			t.Errorf("%s: %d %v", name, got.StatusCode, answer)
		}
	}
}

func TestBadRequests(t *testing.T) {
	g, _ := endpoint(t, limits, "")
	for name, c := range map[string]struct {
		body   string
		status int
		want   string
	}{
		"not JSON":          {`{`, 400, `"errorType":"MalformedHttpRequestException"`},
		"empty":             {``, 400, `"errorType":"MalformedHttpRequestException"`},
		"null":              {`null`, 400, "no query"},
		"query is a number": {`{"query":1}`, 400, `"errorType":"MalformedHttpRequestException"`},
		"syntax":            {body("query free { free"), 400, `"locations":[{"line":1,`},
		"unknown operation": {body("query nobody { free }"), 400, `the System has free, slow, tokens`},
		"unnamed":           {body("{ free }"), 400, `asks for an operation without a name; the System has free`},
		"which one":         {body("query free { free } query slow { slow }"), 400, `"errorType":"BadRequestException"`},
		"not in document":   {body("query free { free }", `,"operationName":"slow"`), 400, `"errorType":"BadRequestException"`},
		"introspection":     {body("query free { __schema { types { name } } }"), 400, "introspection is not served"},
		"unknown field":     {body("query free { nothing }"), 400, `"locations":[{"line":1,"column":14,"sourceName":null}]`},
		"variable":          {body("query free($a: Boolean!) { free @include(if: $a) }", `,"variables":{}`), 400, `variable a is required`},
		"too large":         {body("query free { free #" + strings.Repeat("x", maxRequest) + "\n}"), 400, "more than 1 MiB"},
	} {
		r := post(g, c.body)
		got := text(r)
		if r.StatusCode != c.status || !strings.Contains(got, c.want) || !json.Valid([]byte(got)) {
			t.Errorf("%s: %d %s", name, r.StatusCode, got)
		}
		if _, ok := r.Header[http.CanonicalHeaderKey(tokensHeader)]; ok {
			t.Errorf("%s: says tokens of a request that wasn't charged", name)
		}
	}
	if r := do(g, httptest.NewRequest("GET", "/graphql", nil)); r.StatusCode != 405 {
		t.Errorf("GET: %d", r.StatusCode)
	}
	if r := do(g, httptest.NewRequest("POST", "/", nil)); r.StatusCode != 404 {
		t.Errorf("other path: %d", r.StatusCode)
	}
}

func TestAnswersRepeat(t *testing.T) {
	g, _ := endpoint(t, "version: 1\nname: shows\noperations: [{name: Shows}]\n", testSchema)
	const query = "query Shows($n: Int) { shows(first: $n) { id title } }"
	first := text(post(g, body(query, `,"variables":{"n":2}`)))
	if again := text(post(g, body(query, `,"variables":{"n":2}`))); again != first {
		t.Errorf("the same request is answered differently:\n%s\n%s", first, again)
	}
	if other := text(post(g, body(query, `,"variables":{"n":1}`))); other == first {
		t.Error("another request is answered the same")
	}
	if g.documents.bytes == 0 || g.answers.bytes == 0 || len(g.answers.entries) != 2 || len(g.documents.entries) != 1 {
		t.Errorf("%d answers and %d documents are kept", len(g.answers.entries), len(g.documents.entries))
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache[int](100)
	for i := range 50 {
		c.put(fmt.Sprint("key ", i), i, 5)
		c.get([]byte("key 0")) // keeps it recent
		if c.bytes > 100 {
			t.Fatalf("%d bytes are kept", c.bytes)
		}
	}
	if _, ok := c.get([]byte("key 0")); !ok {
		t.Error("the most used one is gone")
	}
	if _, ok := c.get([]byte("key 1")); ok {
		t.Error("the least used one is still there")
	}
	if c.put("large", 1, 1000); len(c.entries) == 0 || c.bytes > 100 {
		t.Error("a large value drives out the others")
	}
}

func FuzzGraphQL(f *testing.F) {
	for _, seed := range []string{
		`{"query":"query Q { shows { id } }"}`,
		`{"query":"query Q($n: Int = 3) { shows(first: $n) { ...F } } fragment F on Show { id @skip(if: true) title episodes { number } }","variables":{"n":2},"operationName":"Q"}`,
		`{"query":"query Q { any { ... on Node { id } __typename } grid scalars { json } }"}`,
		`{"query":"mutation Q { rename(id: \"a\", title: \"b\") { id } }"}`,
		`{"query":"query Q { ...A } fragment A on Query { ...A }"}`,
		`{"query":"subscription Q { renamed { id } }"}`,
		`{"query":null,"variables":[]}`,
	} {
		f.Add([]byte(seed))
	}
	g, _ := endpoint(f, "version: 1\nname: fuzz\noperations: [{name: Q}]\n", testSchema)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := httptest.NewRequest("POST", "/graphql", bytes.NewReader(b))
		r.Header.Set("X-Api-Key", "da2-key")
		got := do(g, r)
		answer := text(got)
		var members struct {
			Data   json.RawMessage
			Errors []json.RawMessage
		}
		if err := json.Unmarshal([]byte(answer), &members); err != nil {
			t.Fatalf("%v: %s", err, answer)
		}
		served := members.Data != nil && string(members.Data) != "null" && members.Errors == nil
		if (got.StatusCode != 200 && got.StatusCode != 400) || served == (len(members.Errors) > 0) {
			t.Errorf("%d %s", got.StatusCode, answer)
		}
	})
}
