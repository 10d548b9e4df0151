package servicequotas_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/capacity/quotas/servicequotas"
)

// account is a fake of Service Quotas (AWS JSON 1.1) and of Lambda's account
// settings (REST). An answer that begins with "!" is an error shape.
type account struct {
	answers map[string]string // by operation and what it asks for: "List appsync", "List appsync page2", "Default appsync L-1", "Lambda"
	calls   []string
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ ServiceCode, QuotaCode, NextToken string }
	key := "Lambda"
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		switch target := r.Header.Get("X-Amz-Target"); target {
		case "ServiceQuotasV20190624.ListServiceQuotas":
			key = strings.TrimSpace("List " + in.ServiceCode + " " + in.NextToken)
		case "ServiceQuotasV20190624.GetAWSDefaultServiceQuota":
			key = "Default " + in.ServiceCode + " " + in.QuotaCode
		default:
			key = target
		}
	} else if r.URL.Path != "/2016-08-19/account-settings" {
		key = r.URL.Path
	}
	a.calls = append(a.calls, key)
	answer, ok := a.answers[key]
	if !ok {
		answer = "!NoSuchResourceException"
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if shape, failed := strings.CutPrefix(answer, "!"); failed {
		w.Header().Set("X-Amzn-ErrorType", shape)
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type": %q, "Message": "as the test wants it"}`, shape)
		return
	}
	fmt.Fprint(w, answer)
}

var (
	tokens      = quotas.Code{Service: "appsync", Quota: "L-FC5E46D0"}
	concurrency = quotas.Code{Service: "lambda", Quota: "L-B99A9384"}
	reads       = quotas.Code{Service: "dynamodb", Quota: "L-CF0CBE56"}
)

func ask(t *testing.T, a *account, codes ...quotas.Code) (map[quotas.Code]quotas.Limit, error) {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return servicequotas.New(aws.Config{
		Region:       "ap-northeast-1",
		BaseEndpoint: aws.String(server.URL),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		}),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
		},
	}).Limits(t.Context(), codes)
}

func quota(c quotas.Code, value float64, more string) string {
	return fmt.Sprintf(`{"ServiceCode": %q, "QuotaCode": %q, "Value": %v%s}`, c.Service, c.Quota, value, more)
}

func page(next string, quotas ...string) string {
	if next != "" {
		next = fmt.Sprintf(`, "NextToken": %q`, next)
	}
	return `{"Quotas": [` + strings.Join(quotas, ",") + `]` + next + `}`
}

const appliedValue = "Service Quotas, applied value"

func TestLimitsReadsPages(t *testing.T) {
	a := &account{answers: map[string]string{
		"List appsync":       page("page2", quota(quotas.Code{Service: "appsync", Quota: "L-OTHER"}, 1, "")),
		"List appsync page2": page("page3", quota(tokens, 1_200_000, `, "Adjustable": true, "Period": {"PeriodValue": 1, "PeriodUnit": "MINUTE"}`)),
		"List lambda":        page("", quota(concurrency, 3000, `, "Adjustable": true`)),
	}}
	got, err := ask(t, a, tokens, concurrency)
	if err != nil {
		t.Fatal(err)
	}
	want := map[quotas.Code]quotas.Limit{
		tokens:      {Amount: 1_200_000, Per: time.Minute, Adjustable: true, Source: appliedValue},
		concurrency: {Amount: 3000, Adjustable: true, Source: appliedValue},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("limits (-want +got)\n%s", d)
	}
	if calls := []string{"List appsync", "List appsync page2", "List lambda"}; !slices.Equal(a.calls, calls) {
		t.Errorf("calls %v, want %v: no page is read when all is known", a.calls, calls)
	}
}

func TestLimitsFallsBackToTheDefault(t *testing.T) {
	a := &account{answers: map[string]string{
		"List appsync":               page(""),
		"Default appsync L-FC5E46D0": `{"Quota": ` + quota(tokens, 10_000, "") + `}`,
		// dynamodb: neither call knows it
	}}
	got, err := ask(t, a, tokens, reads)
	if err != nil {
		t.Fatal(err)
	}
	want := map[quotas.Code]quotas.Limit{tokens: {Amount: 10_000, Source: "Service Quotas, AWS default (no value was applied)"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("limits (-want +got)\n%s", d)
	}
}

func TestLimitsAsksLambdaLast(t *testing.T) {
	settings := `{"AccountLimit": {"ConcurrentExecutions": 50}}`
	for _, tt := range []struct {
		name    string
		answers map[string]string
		err     string
	}{
		{"Service Quotas knows nothing", map[string]string{"Lambda": settings}, ""},
		{"Service Quotas is refused", map[string]string{"Lambda": settings, "List lambda": "!AccessDeniedException"}, "servicequotas:ListServiceQuotas"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ask(t, &account{answers: tt.answers}, concurrency)
			want := map[quotas.Code]quotas.Limit{concurrency: {Amount: 50, Adjustable: true, Source: "Lambda GetAccountSettings"}}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("limits (-want +got)\n%s", d)
			}
			if (tt.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func TestLimitsNamesEachRefusal(t *testing.T) {
	a := &account{answers: map[string]string{
		"List appsync":  "!AccessDeniedException",
		"List lambda":   "!AccessDeniedException",
		"Lambda":        "!AccessDeniedException",
		"List dynamodb": page("", quota(reads, 80_000, "")),
	}}
	got, err := ask(t, a, tokens, concurrency, reads)
	if len(got) != 1 || got[reads].Amount != 80_000 {
		t.Errorf("what was answered is lost: %v", got)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 3 {
		t.Fatalf("not one error for each refused call: %v", err)
	}
	for i, want := range []string{"servicequotas:ListServiceQuotas", "servicequotas:ListServiceQuotas", "lambda:GetAccountSettings"} {
		if text := joined.Unwrap()[i].Error(); !strings.Contains(text, "is not allowed: give the credentials "+want) {
			t.Errorf("error %d: %s", i, text)
		}
	}
}

func TestLimitsTakesNoDoubtfulValue(t *testing.T) {
	for name, answer := range map[string]string{
		"dependency denied": quota(tokens, 0, `, "ErrorReason": {"ErrorCode": "DEPENDENCY_ACCESS_DENIED_ERROR", "ErrorMessage": "no"}`),
		"no value":          `{"ServiceCode": "appsync", "QuotaCode": "L-FC5E46D0"}`,
		"unknown period":    quota(tokens, 1, `, "Period": {"PeriodValue": 1, "PeriodUnit": "FORTNIGHT"}`),
		"period of nothing": quota(tokens, 1, `, "Period": {"PeriodValue": 0, "PeriodUnit": "SECOND"}`),
	} {
		t.Run(name, func(t *testing.T) {
			a := &account{answers: map[string]string{
				"List appsync":               page("", answer),
				"Default appsync L-FC5E46D0": `{"Quota": ` + quota(tokens, 10_000, "") + `}`,
			}}
			got, err := ask(t, a, tokens)
			if len(got) > 0 || err == nil {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestLimitsOutlastsThrottlingAndEndlessPages(t *testing.T) {
	a := &account{answers: map[string]string{"List appsync": "!TooManyRequestsException"}}
	if _, err := ask(t, a, tokens); err == nil || len(a.calls) != 3 {
		t.Errorf("%d calls, %v", len(a.calls), err)
	}
	a = &account{answers: map[string]string{"List appsync": page("x"), "List appsync x": page("x")}}
	if _, err := ask(t, a, tokens); err == nil || !strings.Contains(err.Error(), "pages without end") {
		t.Errorf("error: %v", err)
	}
}
