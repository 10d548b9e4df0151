package graphql

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/headroom-load/headroom/scenarios/graphql/http1"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// throttleTypes are the error types by which a quota refuses: in errors[] as
// errorType (AppSync), as extensions.code (most other servers), or in the
// x-amzn-errortype header. A service's prefix ("DynamoDB:", "Lambda:") is taken
// off before.
var throttleTypes = map[string]bool{
	// What the AWS SDK for Go counts as throttling (aws/retry,
	// DefaultThrottleErrorCodes), without TransactionInProgressException, which
	// is a conflict. AppSync passes the type of its data source on.
	"Throttling":                             true,
	"ThrottlingException":                    true, // AppSync, DynamoDB control and on-demand tables
	"ThrottledException":                     true,
	"RequestThrottledException":              true,
	"RequestThrottled":                       true,
	"TooManyRequestsException":               true, // Lambda
	"ProvisionedThroughputExceededException": true, // DynamoDB
	"RequestLimitExceeded":                   true, // DynamoDB, account limits
	"BandwidthLimitExceeded":                 true,
	"LimitExceededException":                 true,
	"SlowDown":                               true,
	"PriorRequestNotComplete":                true,
	"EC2ThrottledException":                  true,
	// Momento's codes for an exceeded limit, as its SDKs throw them in a
	// resolver, and AppSync's own for a limit on connections.
	"LimitExceededError":   true,
	"LIMIT_EXCEEDED_ERROR": true,
	"LimitExceeded":        true,
	// extensions.code of Shopify; of graphql-rate-limit and, as type, GitHub; of
	// Apollo Router; of Hasura; the names of HTTP 429 and of gRPC's status.
	"THROTTLED":            true,
	"RATE_LIMITED":         true,
	"REQUEST_RATE_LIMITED": true,
	"rate-limit-exceeded":  true,
	"TOO_MANY_REQUESTS":    true,
	"RESOURCE_EXHAUSTED":   true,
}

// throttleTexts are messages of AWS services that reach the client under a type
// that doesn't say it: DynamoDB's through AppSync, and the status that the AWS
// SDK for Java puts into the message of any service's exception.
var throttleTexts = []string{
	"Throughput exceeds the current capacity of your table or index",
	"exceeded the maximum allowed provisioned throughput",
	"Status Code: 429",
}

// refusalTypes are the error types by which a server refuses the caller. With a
// service's prefix they are failures of a resolver.
var refusalTypes = map[string]bool{
	"Unauthorized":          true, // AppSync, one field
	"UnauthorizedException": true, // AppSync, the request
	// The common errors of AWS services, of signatures and permissions.
	"AccessDeniedException":               true,
	"ExpiredTokenException":               true,
	"IncompleteSignatureException":        true,
	"InvalidSignatureException":           true,
	"MissingAuthenticationTokenException": true,
	"UnrecognizedClientException":         true,
	// Apollo Server and Spring for GraphQL; Apollo Router; Hasura.
	"UNAUTHENTICATED":            true,
	"UNAUTHORIZED":               true,
	"FORBIDDEN":                  true,
	"UNAUTHORIZED_FIELD_OR_TYPE": true,
	"access-denied":              true,
	"invalid-headers":            true,
	"invalid-jwt":                true,
}

// graphqlError is what decides about one entry of errors[].
type graphqlError struct {
	Message    json.RawMessage `json:"message"`
	ErrorType  json.RawMessage `json:"errorType"` // AppSync
	Type       json.RawMessage `json:"type"`      // GitHub
	Extensions struct {
		Code           json.RawMessage `json:"code"`           // Apollo and most others
		ErrorType      json.RawMessage `json:"errorType"`      // DGS
		Classification json.RawMessage `json:"classification"` // graphql-java
	} `json:"extensions"`
}

// name returns the error's type, "" where it has none.
func (e *graphqlError) name() string {
	for _, raw := range []json.RawMessage{e.ErrorType, e.Extensions.Code, e.Extensions.ErrorType, e.Extensions.Classification, e.Type} {
		if s := text(raw); s != "" {
			return s
		}
	}
	return ""
}

// text returns a JSON string's text, "" for any other value.
func text(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func (e *graphqlError) throttles() bool {
	name := e.name()
	if throttleTypes[name[strings.LastIndexAny(name, ":#")+1:]] {
		return true
	}
	message := text(e.Message)
	for _, t := range throttleTexts {
		if strings.Contains(message, t) {
			return true
		}
	}
	return false
}

// graphqlErrors decodes the value of "errors", or as much of it as was kept.
// There is at least one when the value isn't an empty list.
func graphqlErrors(value []byte) []graphqlError {
	var list []graphqlError
	d := json.NewDecoder(bytes.NewReader(value))
	if t, err := d.Token(); err == nil && t == json.Delim('[') {
		for d.More() {
			var e graphqlError
			err := d.Decode(&e)
			var wrong *json.UnmarshalTypeError // such as a bare string for an error
			if err != nil && !errors.As(err, &wrong) {
				break
			}
			list = append(list, e)
		}
	}
	if list == nil {
		list = []graphqlError{{}}
	}
	return list
}

// classify decides the outcome of a whole answer. The first that matches holds:
// throttled, rejected, failed, unclassified, ok. A status outside of 2xx, 4xx
// and 5xx, such as a redirect, is unclassified: nobody has answered the query.
// Status 294 is the GraphQL-over-HTTP draft's "partial success", which failed.
//
// The reason is the type of the error that decided, after the status where it
// is not 2xx. Of a very long list of errors only those at its beginning count
// (maxErrorsKept).
func classify(status int, errorType []byte, s *scanner) (measure.Outcome, string) {
	complete := status >= 200 && status <= 299 && status != 294
	if complete && s.valid() && s.errors <= emptyList && s.data == objectValue {
		return measure.OK, ""
	}
	var list []graphqlError
	if s.valid() && s.errors > emptyList {
		list = graphqlErrors(s.kept)
	} else if status >= 400 {
		if name, _, _ := strings.Cut(string(errorType), ":"); name != "" {
			list = []graphqlError{{ErrorType: appendQuoted(nil, name)}}
		}
	}
	reason := func(e *graphqlError) string {
		var words []string
		if !complete {
			words = append(words, "HTTP "+strconv.Itoa(status))
		}
		if e != nil && e.name() != "" {
			words = append(words, clean(e.name()))
		} else if len(words) == 0 {
			words = append(words, "error without a type")
		}
		return strings.Join(words, " ")
	}
	first := func(match func(*graphqlError) bool) *graphqlError {
		for i := range list {
			if match(&list[i]) {
				return &list[i]
			}
		}
		return nil
	}
	var leading *graphqlError
	if len(list) > 0 {
		leading = &list[0]
	}

	if e := first((*graphqlError).throttles); e != nil {
		return measure.Throttled, reason(e)
	}
	if status == http.StatusTooManyRequests {
		return measure.Throttled, reason(leading)
	}
	if e := first(func(e *graphqlError) bool { return refusalTypes[e.name()] }); e != nil {
		return measure.Rejected, reason(e)
	}
	if status >= 400 && status <= 499 {
		return measure.Rejected, reason(leading)
	}
	if leading != nil || status >= 500 || status == 294 {
		return measure.Failed, reason(leading)
	}
	switch {
	case !complete:
		return measure.Unclassified, reason(nil)
	case s.empty():
		return measure.Unclassified, "empty body"
	case !s.valid():
		return measure.Unclassified, "not JSON"
	case s.data == absent:
		return measure.Unclassified, "no data and no errors"
	}
	// The specification has null only together with errors.
	return measure.Unclassified, "data is no object"
}

// clean makes a name that a server chose fit to be a reason: at most 64
// characters of a harmless set.
func clean(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._:/#-", r):
			return r
		}
		return '_'
	}, name[:min(len(name), 64)])
}

// failures are the outcomes of exchanges that ended without a whole answer.
// What keeps this machine from sending is a generator error; everything else is
// the other side's.
var failures = map[http1.Failure]struct {
	outcome measure.Outcome
	reason  string
}{
	http1.DNSLookup:      {measure.GeneratorError, "DNS lookup"},
	http1.NoPort:         {measure.GeneratorError, "no free port"},
	http1.NoFile:         {measure.GeneratorError, "too many open files"},
	http1.NoBuffer:       {measure.GeneratorError, "no buffer space"},
	http1.ProxyRefused:   {measure.GeneratorError, "proxy refused"},
	http1.Refused:        {measure.Failed, "connection refused"},
	http1.Unreachable:    {measure.Failed, "host unreachable"},
	http1.ConnectTimeout: {measure.Failed, "connection timed out"},
	http1.BadCertificate: {measure.Failed, "TLS certificate"},
	http1.Handshake:      {measure.Failed, "TLS handshake"},
	http1.Reset:          {measure.Failed, "connection reset"},
	// The server closed a kept connection while the request was on its way.
	http1.Closed:    {measure.Failed, "connection closed"},
	http1.Cut:       {measure.Failed, "body cut"},
	http1.Malformed: {measure.Failed, "malformed HTTP"},
	http1.Broken:    {measure.Failed, "connection broken"},
	http1.TimedOut:  {measure.TimedOut, "no answer"},
	http1.Cancelled: {measure.Unfinished, "given up"},
}

// exchangeError decides the outcome of an exchange that ended without a whole
// answer.
func exchangeError(err error) (measure.Outcome, string) {
	f := failures[http1.FailureOf(err)]
	return f.outcome, f.reason
}
