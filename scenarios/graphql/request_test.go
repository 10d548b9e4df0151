package graphql

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// received is what a server saw of one request.
type received struct {
	header http.Header
	host   string
	body   string
}

// record returns a driver whose server keeps what it receives.
func record(t *testing.T, change func(*Config)) (*Driver, func() received) {
	seen := make(chan received, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- received{r.Header, r.Host, string(body)}
		io.WriteString(w, clean200)
	}))
	t.Cleanup(server.Close)
	cfg := config(server.URL + "/graphql")
	change(&cfg)
	return driver(t, cfg), func() received { return <-seen }
}

func TestRequest(t *testing.T) {
	d, seen := record(t, func(c *Config) {
		c.Target.Auth.APIKey = "da2-key"
		c.Target.Headers = []scenarios.Header{{Name: "x-tenant", Value: "t"}, {Name: "x-both", Value: "target"}}
		op := c.Load.Operations[0].GraphQL
		op.Headers = []scenarios.Header{{Name: "X-Both", Value: "operation"}}
		op.Document = "query other { b }\nquery getProgram($id: ID!, $n: Int) { getProgram(id: $id, n: $n) { title } }"
		op.OperationName = "getProgram"
		op.Variables = []byte(`{"id":"p-${row.id}","n":"${row.n}","literal":"$${row.id}","nested":{"list":["${row.id}",null,1.50,true]}}`)
		op.Rows = &scenarios.Rows{Columns: []string{"n", "id"}, Values: [][]string{{`1`, `"a\"b"`}, {`{"x":"y"}`, `"é"`}, {`null`, `12`}}}
	})
	for i, want := range []string{
		`{"id":"p-a\"b","literal":"${row.id}","n":1,"nested":{"list":["a\"b",null,1.50,true]}}`,
		`{"id":"p-é","literal":"${row.id}","n":{"x":"y"},"nested":{"list":["é",null,1.50,true]}}`,
		`{"id":"p-12","literal":"${row.id}","n":null,"nested":{"list":[12,null,1.50,true]}}`,
	} {
		s := send(t, t.Context(), d, load.Arrival{N: int64(i + 3)})
		got := seen()
		var body struct {
			Query, OperationName string
			Variables            json.RawMessage
		}
		if err := json.Unmarshal([]byte(got.body), &body); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(body.Variables)); diff != "" {
			t.Error(diff)
		}
		if !strings.HasPrefix(body.Query, "query other { b }\nquery getProgram") || body.OperationName != "getProgram" {
			t.Errorf("got %s", got.body)
		}
		if s.BytesOut != int64(len(got.body)) || s.BytesIn != int64(len(clean200)) {
			t.Errorf("%d bytes out and %d in, want %d and %d", s.BytesOut, s.BytesIn, len(got.body), len(clean200))
		}
		if diff := cmp.Diff(http.Header{
			"Accept":         {"application/graphql-response+json, application/json;q=0.9"},
			"Content-Type":   {"application/json"},
			"Content-Length": {strconv.Itoa(len(got.body))},
			"User-Agent":     {"headroom/test"},
			"X-Api-Key":      {"da2-key"},
			"X-Tenant":       {"t"},
			"X-Both":         {"operation"},
		}, got.header); diff != "" {
			t.Error(diff)
		}
	}

	d, seen = record(t, func(c *Config) { c.Target.Auth.Bearer = "Bearer abc" })
	send(t, t.Context(), d, load.Arrival{})
	if got := seen(); got.header.Get("Authorization") != "Bearer abc" || got.body != `{"query":"query listPrograms { listPrograms }","operationName":"listPrograms"}` {
		t.Errorf("got %+v", got)
	}
}

// TestSignature recomputes the signature from what the server received, by the
// steps of the AWS documentation and with none of the SDK's code.
func TestSignature(t *testing.T) {
	const secret, region = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "ap-northeast-1"
	for _, varies := range []bool{false, true} {
		d, seen := record(t, func(c *Config) {
			c.Target.Auth.IAM = true
			c.Region = region
			c.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret, SessionToken: "token=="}, nil
			})
			if op := c.Load.Operations[0].GraphQL; varies {
				op.Document = "query listPrograms($id: ID) { listPrograms(id: $id) }"
				op.Variables = []byte(`{"id":"${row.id}"}`)
				op.Rows = &scenarios.Rows{Columns: []string{"id"}, Values: [][]string{{`"a"`}, {`"b"`}}}
			}
		})
		for n := range 2 {
			if s := send(t, t.Context(), d, load.Arrival{N: int64(n)}); s.Outcome != measure.OK {
				t.Fatalf("%v %q", s.Outcome, s.Reason)
			}
			got := seen()
			auth := got.header.Get("Authorization")
			var scope, signed, signature string
			for _, field := range strings.Split(strings.TrimPrefix(auth, "AWS4-HMAC-SHA256 "), ", ") {
				switch k, v, _ := strings.Cut(field, "="); k {
				case "Credential":
					scope = strings.TrimPrefix(v, "AKIDEXAMPLE/")
				case "SignedHeaders":
					signed = v
				case "Signature":
					signature = v
				}
			}
			names := strings.Split(signed, ";")
			for _, name := range []string{"host", "content-length", "content-type", "x-amz-date", "x-amz-security-token"} {
				if !slices.Contains(names, name) {
					t.Errorf("%s isn't signed: %s", name, signed)
				}
			}
			got.header.Set("Host", got.host)
			canonical := "POST\n/graphql\n\n"
			for _, name := range names {
				canonical += name + ":" + got.header.Get(name) + "\n"
			}
			canonical += "\n" + signed + "\n" + sum(got.body)
			date := got.header.Get("X-Amz-Date")
			if want := date[:8] + "/" + region + "/appsync/aws4_request"; scope != want {
				t.Errorf("scope %s, want %s", scope, want)
			}
			key := []byte("AWS4" + secret)
			for _, part := range strings.Split(scope, "/") {
				key = mac(key, part)
			}
			want := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+sum(canonical)))
			if signature != want {
				t.Errorf("signature %s, want %s over\n%s", signature, want, canonical)
			}
			if at, err := time.Parse("20060102T150405Z", date); err != nil || time.Since(at).Abs() > time.Minute {
				t.Errorf("dated %s", date)
			}
		}
	}
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, s)
	return h.Sum(nil)
}

func TestCredentialsThatFail(t *testing.T) {
	cfg := config("http://127.0.0.1:1/graphql")
	cfg.Target.Auth.IAM = true
	if _, err := New(cfg); err == nil {
		t.Error("a driver that can't sign")
	}
	cfg.Region = "eu-west-1"
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("the id of a request: 1234")
	})
	if _, err := driver(t, cfg).Prepare(load.Arrival{}); err == nil || err.Error() != "no AWS credentials" {
		t.Errorf("got %v", err)
	}
}
