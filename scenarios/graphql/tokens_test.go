package graphql

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

func TestTokens(t *testing.T) {
	for _, c := range []struct {
		value string
		want  int64
		bad   int64
	}{{"0", 0, 0}, {"200", 200, 0}, {"", measure.NoTokens, 1}, {"1.5", measure.NoTokens, 1}, {"-1", measure.NoTokens, 1}, {"many", measure.NoTokens, 1}, {"1000000000", 1e9, 0}, {"1000000001", measure.NoTokens, 1}, {"9223372036854775807", measure.NoTokens, 1}, {"9223372036854775808", measure.NoTokens, 1}} {
		for _, name := range []string{"x-amzn-appsync-TokensConsumed", "X-AMZN-APPSYNC-TOKENSCONSUMED", "x-amzn-appsync-tokensconsumed"} {
			d := serve(t, respond(429, "", name, c.value))
			if s := send(t, t.Context(), d, load.Arrival{}); s.Tokens != c.want || d.unreadable.Load() != c.bad {
				t.Errorf("%s: %q: got %d and %d unreadable, want %d and %d", name, c.value, s.Tokens, d.unreadable.Load(), c.want, c.bad)
			}
		}
	}
}

// An answer that says twice what it cost says it once where the two are equal, and
// otherwise not at all.
func TestTokensTwice(t *testing.T) {
	for _, two := range []bool{false, true} {
		for second, want := range map[string]int64{"7": 7, "100": measure.NoTokens} {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["X-Amzn-Appsync-Tokensconsumed"] = []string{"7", second}
				io.WriteString(w, clean200)
			}))
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetHTTP1(true)
			server.Config.Protocols.SetUnencryptedHTTP2(true)
			server.Start()
			defer server.Close()
			cfg := config(server.URL)
			cfg.Target.HTTP2 = two
			d := driver(t, cfg)
			if s := send(t, t.Context(), d, load.Arrival{}); s.Outcome != measure.OK || s.Tokens != want || (d.unreadable.Load() == 1) != (want == measure.NoTokens) {
				t.Errorf("HTTP/2 %v: 7 and %s: %v with %d tokens", two, second, s.Outcome, s.Tokens)
			}
		}
	}
}
