package awsapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

var testCredentials = Credentials{AccessKey: "AKIATEST", SecretKey: "not a secret", Region: "ap-northeast-1"}

// signed returns a request as a server receives it, signed by the SDK's signer.
func signed(t testing.TB, method, url, service string, body []byte, at time.Time, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	credentials := aws.Credentials{AccessKeyID: testCredentials.AccessKey, SecretAccessKey: testCredentials.SecretKey}
	err = v4.NewSigner().SignHTTP(context.Background(), credentials, r, hexHash(body), service, testCredentials.Region, at)
	if err != nil {
		t.Fatal(err)
	}
	got := httptest.NewRequest(method, url, bytes.NewReader(body))
	got.Header = r.Header
	got.Host = r.URL.Host
	return got
}

func TestVerifyAcceptsTheSDKsSignatures(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, url := range []string{
		"http://127.0.0.1:4000/graphql",
		"http://127.0.0.1:4000",
		"http://127.0.0.1:4000/service/GraniteServiceVersion20100801/operation/GetMetricData",
		"http://127.0.0.1:4000/a%20b/%E3%81%82+c/?b=2&a=1&a=x%20y&empty=",
	} {
		r := signed(t, "POST", url, "appsync", []byte(`{"query":"{ a }"}`), now, "X-Thing", "  two   spaces ")
		body, _ := io.ReadAll(r.Body)
		if err := testCredentials.Verify(r, body, "appsync", now.Add(4*time.Minute)); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// The signature of AWS's published example (Signature Version 4 test suite,
// get-vanilla), so that the signer and the verifier can't be wrong together.
func TestVerifyPublishedExample(t *testing.T) {
	c := Credentials{AccessKey: "AKIDEXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Region: "us-east-1"}
	r := httptest.NewRequest("GET", "http://example.amazonaws.com/", nil)
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "+
		"SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
	if err := c.Verify(r, nil, "service", time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)); err != nil {
		t.Error(err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	body := []byte(`{"query":"{ a }"}`)
	for name, c := range map[string]struct {
		service string
		at      time.Time
		spoil   func(r *http.Request)
		code    string
	}{
		"unsigned":        {spoil: func(r *http.Request) { r.Header.Del("Authorization") }, code: "MissingAuthenticationTokenException"},
		"other scheme":    {spoil: func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, code: "IncompleteSignatureException"},
		"no fields":       {spoil: func(r *http.Request) { r.Header.Set("Authorization", algorithm+" ") }, code: "IncompleteSignatureException"},
		"key":             {spoil: replaceAuth("AKIATEST", "AKIAOTHER"), code: "UnrecognizedClientException"},
		"no date":         {spoil: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, code: "IncompleteSignatureException"},
		"too old":         {at: now.Add(-5*time.Minute - time.Second), code: "InvalidSignatureException"},
		"from the future": {at: now.Add(5*time.Minute + time.Second), code: "InvalidSignatureException"},
		"region":          {spoil: replaceAuth("ap-northeast-1", "us-east-1"), code: "InvalidSignatureException"},
		"service":         {service: "monitoring", code: "InvalidSignatureException"},
		"host unsigned":   {spoil: replaceAuth("host;", ""), code: "InvalidSignatureException"},
		"other host":      {spoil: func(r *http.Request) { r.Host = "127.0.0.1:4001" }, code: "InvalidSignatureException"},
		"other path":      {spoil: func(r *http.Request) { r.URL.Path = "/" }, code: "InvalidSignatureException"},
		"other query":     {spoil: func(r *http.Request) { r.URL.RawQuery = "a=1" }, code: "InvalidSignatureException"},
		"other method":    {spoil: func(r *http.Request) { r.Method = "PUT" }, code: "InvalidSignatureException"},
		"not hex":         {spoil: replaceAuth("Signature=", "Signature=zz"), code: "InvalidSignatureException"},
		"cut signature":   {spoil: func(r *http.Request) { h := r.Header.Get("Authorization"); r.Header.Set("Authorization", h[:len(h)-2]) }, code: "InvalidSignatureException"},
		"claimed hash":    {spoil: func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, code: "InvalidSignatureException"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.service == "" {
				c.service = "appsync"
			}
			if c.at.IsZero() {
				c.at = now
			}
			r := signed(t, "POST", "http://127.0.0.1:4000/graphql", c.service, body, c.at)
			if c.spoil != nil {
				c.spoil(r)
			}
			var got *SignatureError
			if err := testCredentials.Verify(r, body, "appsync", now); !errors.As(err, &got) || got.Code != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
	r := signed(t, "POST", "http://127.0.0.1:4000/graphql", "appsync", body, now)
	if err := testCredentials.Verify(r, append(body, ' '), "appsync", now); err == nil {
		t.Error("another body is accepted")
	}
}

func replaceAuth(old, with string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, with, 1))
	}
}
