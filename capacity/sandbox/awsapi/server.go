// Package awsapi is the sandbox's side of the AWS APIs that a rehearsal reads:
// CloudWatch in Smithy RPC v2 CBOR and AWS JSON 1.0 and 1.1, Service Quotas in
// AWS JSON 1.1 and Lambda's account settings in REST JSON, on one handler and
// behind verified signatures. Shapes, names and errors are those that the
// services answer, so that any AWS SDK reads them.
//
// Metrics holds what CloudWatch answers; the sandbox adds to it as it serves.
package awsapi

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"
)

// Limits of a request's body, as it was received and inflated.
const (
	maxBody     = 1 << 20
	maxInflated = 16 << 20
)

// Config says who a handler serves and what it answers.
type Config struct {
	Credentials Credentials
	Account     string
	Metrics     *Metrics
	Applied     []AppliedQuota
}

// AppliedQuota is the applied value of a quota, by Service Quotas' codes.
type AppliedQuota struct {
	Service, Code string
	Value         float64
}

type server struct {
	Config
	cloudwatch, quotas map[string]operation
}

// operation answers one API operation: the request as JSON in, a struct with
// json tags or nil out.
type operation func(in []byte, now time.Time) (any, *fault)

// typed makes an operation of a function over its request's type.
func typed[In any](f func(in *In, now time.Time) (any, *fault)) operation {
	return func(b []byte, now time.Time) (any, *fault) {
		in := new(In)
		if err := json.Unmarshal(b, in); err != nil {
			return nil, &fault{shape: "SerializationException", message: "the request is malformed: " + strings.TrimPrefix(err.Error(), "json: ")}
		}
		return f(in, now)
	}
}

// fault is an error answer.
type fault struct {
	status  int    // 0: 400
	shape   string // the error's name in the service's model
	query   string // its code in the Query protocol, where that differs
	message string
}

// New returns the handler of every service.
func New(cfg Config) http.Handler {
	s := &server{Config: cfg}
	s.cloudwatch = map[string]operation{
		"GetMetricData": typed(s.getMetricData),
		"ListMetrics":   typed(s.listMetrics),
		"PutMetricData": typed(s.putMetricData),
	}
	s.quotas = map[string]operation{
		"ListServices":                typed(s.listServices),
		"ListServiceQuotas":           typed(s.listServiceQuotas),
		"GetServiceQuota":             typed(s.getServiceQuota),
		"ListAWSDefaultServiceQuotas": typed(s.listDefaultQuotas),
		"GetAWSDefaultServiceQuota":   typed(s.getDefaultQuota),
		"RequestServiceQuotaIncrease": typed(s.requestIncrease),
	}
	return s
}

// protocol is how one request's service writes its answers.
type protocol struct {
	contentType string
	cbor        bool
	header      [2]string // set on every answer
	rest        bool      // the error's name goes into a header
	query       bool      // errors also carry their Query code
	namespace   string    // of error names
}

const (
	cloudWatchTarget    = "GraniteServiceVersion20100801"
	serviceQuotasTarget = "ServiceQuotasV20190624"
	settingsPath        = "/2016-08-19/account-settings"
)

// ServeHTTP routes a request by path and target, verifies its signature and
// answers it in its own protocol.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	target, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	p := protocol{contentType: "application/x-amz-json-1.0"}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-amz-json-1.1") {
		p.contentType = "application/x-amz-json-1.1"
	}
	var service, method string
	var operations map[string]operation
	method = http.MethodPost
	if rpc, ok := strings.CutPrefix(r.URL.Path, "/service/"+cloudWatchTarget+"/operation/"); ok {
		p = protocol{contentType: "application/cbor", cbor: true, header: [2]string{"Smithy-Protocol", "rpc-v2-cbor"}, query: true, namespace: "com.amazonaws.cloudwatch"}
		service, name, operations = "monitoring", rpc, s.cloudwatch
	} else if r.URL.Path == settingsPath {
		p = protocol{contentType: "application/json", rest: true}
		service, name, method = "lambda", "GetAccountSettings", http.MethodGet
		operations = map[string]operation{name: s.getAccountSettings}
	} else if r.URL.Path == "/" && target == cloudWatchTarget {
		p.query, p.namespace = true, "com.amazonaws.cloudwatch"
		service, operations = "monitoring", s.cloudwatch
	} else if r.URL.Path == "/" && target == serviceQuotasTarget {
		p.namespace = "com.amazonaws.servicequotas"
		service, operations = "servicequotas", s.quotas
	}

	body, f := readBody(w, r)
	if f == nil && service != "" {
		if err := s.Credentials.Verify(r, body, service, now); err != nil {
			var bad *SignatureError
			errors.As(err, &bad)
			f = &fault{status: http.StatusForbidden, shape: bad.Code, message: bad.Message}
		}
	}
	op := operations[name]
	if f == nil && (op == nil || r.Method != method) {
		f = &fault{status: http.StatusNotFound, shape: "UnknownOperationException", message: fmt.Sprintf(
			"the sandbox does not know %s %s %s; it serves CloudWatch (GetMetricData, ListMetrics, PutMetricData), Service Quotas (list and get) and Lambda GetAccountSettings",
			r.Method, r.URL.Path, r.Header.Get("X-Amz-Target"))}
	}
	if f == nil {
		body, f = inflate(r, body)
	}
	if f == nil && p.cbor {
		body, f = cborToJSON(r, body)
	}
	var out any
	if f == nil {
		out, f = op(body, now)
	}
	if f != nil {
		p.fail(w, f)
		return
	}
	p.answer(w, http.StatusOK, out)
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *fault) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &fault{status: http.StatusRequestEntityTooLarge, shape: "RequestEntityTooLargeException", message: "the request has more than 1 MiB"}
	case err != nil:
		return nil, &fault{shape: "SerializationException", message: "the request's body is cut off"}
	}
	return body, nil
}

// inflate undoes the compression that SDKs apply to large requests.
func inflate(r *http.Request, body []byte) ([]byte, *fault) {
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
		return body, nil
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			body, err = io.ReadAll(io.LimitReader(z, maxInflated+1))
		}
		if err != nil {
			return nil, &fault{shape: "SerializationException", message: "the request's body is not gzip"}
		}
		if len(body) > maxInflated {
			return nil, &fault{status: http.StatusRequestEntityTooLarge, shape: "RequestEntityTooLargeException", message: "the request inflates to more than 16 MiB"}
		}
		return body, nil
	}
	return nil, &fault{shape: "SerializationException", message: "the only known Content-Encoding is gzip"}
}

func cborToJSON(r *http.Request, body []byte) ([]byte, *fault) {
	if r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
		return nil, &fault{shape: "SerializationException", message: "a request to this path needs the header Smithy-Protocol: rpc-v2-cbor"}
	}
	if len(body) == 0 {
		return []byte("{}"), nil
	}
	v, err := decodeCBOR(body)
	if err == nil {
		body, err = json.Marshal(v) // refuses NaN and infinities
	}
	if err != nil {
		return nil, &fault{shape: "SerializationException", message: "the request is malformed: " + err.Error()}
	}
	return body, nil
}

// errorBody is an error answer in JSON and CBOR.
type errorBody struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}

func (p protocol) fail(w http.ResponseWriter, f *fault) {
	if p.query {
		code := f.query
		if code == "" {
			code = strings.TrimSuffix(f.shape, "Exception")
		}
		w.Header().Set("X-Amzn-Query-Error", code+";Sender")
	}
	body := errorBody{f.shape, f.message}
	if p.rest {
		w.Header().Set("X-Amzn-Errortype", f.shape)
	} else if p.namespace != "" {
		body.Type = p.namespace + "#" + f.shape
	}
	status := f.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	p.answer(w, status, body)
}

// answer writes out, a struct with json tags. The answer to an operation
// without output is empty: in CBOR the Go SDK accepts nothing else.
func (p protocol) answer(w http.ResponseWriter, status int, out any) {
	h := w.Header()
	h.Set("Content-Type", p.contentType)
	if p.header[0] != "" {
		h.Set(p.header[0], p.header[1])
	}
	h.Set("X-Amzn-Requestid", RequestID())
	var body []byte
	switch {
	case out == nil && p.cbor:
	case out == nil:
		body = []byte("{}")
	case p.cbor:
		body = appendCBOR(nil, reflect.ValueOf(out))
	default:
		var err error
		if body, err = json.Marshal(out); err != nil {
			status, body = http.StatusInternalServerError, []byte(`{"__type":"InternalFailure"}`)
		}
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}
