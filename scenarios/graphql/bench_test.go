package graphql

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// BenchmarkPrepare is what a request costs ahead of its instant.
func BenchmarkPrepare(b *testing.B) {
	for _, c := range []struct {
		name         string
		varies, sign bool
	}{{"constant", false, false}, {"rows", true, false}, {"signed", true, true}} {
		b.Run(c.name, func(b *testing.B) {
			cfg := config("http://127.0.0.1:1/graphql")
			if op := cfg.Load.Operations[0].GraphQL; c.varies {
				op.Document = "query listPrograms($id: ID) { listPrograms(id: $id) }"
				op.Variables = []byte(`{"id":"${row.id}"}`)
				op.Rows = &scenarios.Rows{Columns: []string{"id"}, Values: [][]string{{`"a"`}, {`"b"`}}}
			}
			if c.sign {
				cfg.Target.Auth.IAM, cfg.Region = true, "ap-northeast-1"
				cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, nil
				})
			}
			d, err := New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for n := int64(0); b.Loop(); n++ {
				if _, err := d.Prepare(load.Arrival{N: n}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSend is one exchange with a server in the same process, which is
// part of the figure.
func BenchmarkSend(b *testing.B) {
	body := answer(1 << 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header()["x-amzn-appsync-TokensConsumed"] = []string{"1"}
		w.Write(body)
	}))
	defer server.Close()
	d, err := New(config(server.URL))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	b.ReportAllocs()
	for b.Loop() {
		r, err := d.Prepare(load.Arrival{})
		if err != nil {
			b.Fatal(err)
		}
		var s measure.Sample
		if r.Send(b.Context(), &s); s.Outcome != measure.OK || s.Tokens != 1 {
			b.Fatalf("%+v", s)
		}
	}
}
