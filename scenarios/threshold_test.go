package scenarios

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestParseThreshold(t *testing.T) {
	for text, want := range map[string]Threshold{
		"p99(listPrograms) < 800ms":              {"", "p99", "listPrograms", "<", 0.8},
		"p999 <= 1m30s":                          {"", "p999", "", "<=", 90},
		"p50<20ms":                               {"", "p50", "", "<", 0.02},
		"mean ( op ) > 1s":                       {"", "mean", "op", ">", 1},
		"max(番組:一覧/v2.1-a) < 1s":                 {"", "max", "番組:一覧/v2.1-a", "<", 1},
		"errors < 0.1%":                          {"", "errors", "", "<", 0.001},
		"errors <= 0%":                           {"", "errors", "", "<=", 0},
		"throttled(op) < 1 %":                    {"", "throttled", "op", "<", 0.01},
		"dropped <= 100%":                        {"", "dropped", "", "<=", 1},
		"tokens(op) < 3":                         {"", "tokens", "op", "<", 3},
		"tokens < 1.5 tokens":                    {"", "tokens", "", "<", 1.5},
		"rate > 100/s":                           {"", "rate", "", ">", 100},
		"rate(op) >= 6000 requests/min":          {"", "rate", "op", ">=", 100},
		"headroom(appsync.request-tokens) > 30%": {"", "headroom", "appsync.request-tokens", ">", 0.3},
		"headroom(q) < 0%":                       {"", "headroom", "q", "<", 0},
		"utilization(dynamodb.E_p.read) < 150%":  {"", "utilization", "dynamodb.E_p.read", "<", 1.5},
		"binds_at(lambda.concurrency) > 500/s":   {"", "binds_at", "lambda.concurrency", ">", 500},
	} {
		want.Text = text
		if got, err := parseThreshold(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestParseThresholdRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                        `"" is not a threshold`,
		"p99":                     `"p99" is not a threshold`,
		"p99 == 1s":               `"p99 == 1s" is not a threshold`,
		"p99 = 1s":                `"p99 = 1s" is not a threshold`,
		"1s > p99":                `"1s > p99" is not a threshold`,
		"p99(a b) < 1s":           `"p99(a b) < 1s" is not a threshold`,
		"P99 < 1s":                `"P99 < 1s" is not a threshold`,
		"p98 < 1s":                `"p98 < 1s" has the unknown metric "p98"`,
		"p99() < 1s":              `"p99() < 1s" has nothing in its brackets`,
		"p99(.a) < 1s":            `"p99(.a) < 1s" has brackets with no operation's name in them`,
		"headroom > 30%":          `"headroom > 30%" doesn't say which quota's headroom`,
		"headroom() > 30%":        `"headroom() > 30%" doesn't say which quota's headroom`,
		"headroom(_) > 30%":       `"headroom(_) > 30%" has brackets with no quota's id in them`,
		"p99 < 800":               `"p99 < 800" compares p99 to what is not a duration`,
		"p99 < 10%":               `"p99 < 10%" compares p99 to what is not a duration`,
		"p99 <":                   `"p99 <" compares p99 to what is not a duration`,
		"p99 < -1s":               `"p99 < -1s" compares p99 to what is not a duration`,
		"p99 < 1s and p50 < 1s":   `"p99 < 1s and p50 < 1s" compares p99 to what is not a duration`,
		"errors < 0.001":          `"errors < 0.001" compares errors to what is not a percentage`,
		"rate > 100":              `"rate > 100" compares rate to what is not a rate`,
		"rate > 100 tokens/s":     `"rate > 100 tokens/s" compares rate to what is not a rate`,
		"tokens < 3ms":            `"tokens < 3ms" compares tokens to what is not a number of tokens`,
		"tokens < 3k":             `"tokens < 3k" compares tokens to what is not a number of tokens`,
		"tokens < 3 tokenstokens": `"tokens < 3 tokenstokens" compares tokens to what is not a number of tokens`,
		"errors < 0%":             `"errors < 0%" can never hold: errors is never negative`,
		"p99 < 0s":                `"p99 < 0s" can never hold: p99 is never negative`,
		"errors >= 0%":            `"errors >= 0%" always holds: errors is never negative`,
		"errors > 100%":           `"errors > 100%" is beyond 100%, which errors never is`,
		"errors < 101%":           `"errors < 101%" is beyond 100%, which errors never is`,
	} {
		_, err := parseThreshold(text)
		if f, ok := err.(*fault); !ok || f.problem != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestStopRulesAreWhatTheClientsLedgerKnows(t *testing.T) {
	for text, want := range map[string]bool{
		"utilization(appsync.request-tokens) > 90%": true, "errors >= 20%": true, "throttled > 5%": true, "cost > 5 USD": true, "cost >= 0.25 USD": true,
		"cost < 5 USD": false, "cost > 5": false, "cost > 5 EUR": false, "cost(op) > 5 USD": false,
		"utilization(lambda.concurrency) > 90%": false, "errors(op) > 20%": false, "throttled(op) > 1%": false, "errors < 20%": false,
		"p99 > 1s": false, "headroom(appsync.request-tokens) < 10%": false, "dropped > 1%": false,
	} {
		var rule stopText
		if err := rule.UnmarshalText([]byte(text)); (err == nil) != want || want && rule.Text != text {
			t.Errorf("%q: %v", text, err)
		}
		if matches := regexp.MustCompile(rule.pattern()).MatchString(text); matches != want {
			t.Errorf("%q: the pattern says %v", text, matches)
		}
	}
}

func FuzzThreshold(f *testing.F) {
	for _, s := range []string{
		"p99(listPrograms) < 800ms", "errors<=0.1%", "tokens(op) < 3 tokens", "rate >= 5k/min", "headroom ( a.b-c ) > 30 %", "binds_at(q)>1e3/s", "p99 < 0s", "max(é) < 1d",
	} {
		f.Add(s)
	}
	pattern := regexp.MustCompile(thresholdPattern(metrics))
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseThreshold(s)
		if err != nil {
			problem := err.(*fault).problem
			bound := strings.Contains(problem, "never") || strings.Contains(problem, "to what is not") // such as an amount out of range
			if pattern.MatchString(s) && !bound {
				t.Errorf("%q matches the pattern, but %v", s, err)
			}
			return
		}
		if !pattern.MatchString(s) {
			t.Errorf("%q doesn't match the pattern", s)
		}
		known := slices.ContainsFunc(metrics, func(m metric) bool { return m.name == got.Metric && (m.of == anOperation || got.Of != "") })
		if !known || !slices.Contains([]string{"<", "<=", ">", ">="}, got.Op) || !(got.Value >= 0) || math.IsInf(got.Value, 0) || got.Text != s {
			t.Errorf("%q is %+v", s, got)
		}
	})
}

func FuzzRows(f *testing.F) {
	f.Add("id,title\n1,\"One\"\n", true)
	f.Add("\ufeffid\n\"\n\"\n", true)
	f.Add("{\"id\": 1, \"t\": [null]}\n\n{\"t\": {}, \"id\": \"x\"}", false)
	f.Fuzz(func(t *testing.T, src string, commas bool) {
		file := "r.jsonl"
		if commas {
			file = "r.csv"
		}
		rows, faults := parseRows(file, []byte(src))
		for _, fault := range faults {
			if fault.Line < 1 || fault.Line > strings.Count(src, "\n")+2 || fault.Column < 1 {
				t.Errorf("a fault outside of the file: %v", fault)
			}
		}
		if faults != nil {
			return
		}
		for _, row := range rows.Values {
			if len(row) != len(rows.Columns) {
				t.Errorf("a row of %d values for %d columns", len(row), len(rows.Columns))
			}
			for _, v := range row {
				if !json.Valid([]byte(v)) {
					t.Errorf("not JSON: %q", v)
				}
			}
		}
	})
}
