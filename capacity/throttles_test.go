package capacity

import "testing"

func TestThrottlingService(t *testing.T) {
	for reason, want := range map[string]string{
		"HTTP 429":                                             "appsync",
		"HTTP 429 ThrottlingException":                         "appsync",
		"Lambda:TooManyRequestsException":                      "lambda",
		"TooManyRequestsException":                             "lambda",
		"DynamoDB:ProvisionedThroughputExceededException":      "dynamodb",
		"com.amazonaws.dynamodb.v20120810#ThrottlingException": "dynamodb",
		"LimitExceededException":                               "momento",
		"Momento:LimitExceededException":                       "momento",
		"HTTP 503 SlowDown":                                    "",
		"Redis:Busy":                                           "redis",
		"ThrottlingException":                                  "",
		"other":                                                "",
		"":                                                     "",
	} {
		if got := throttlingService(reason); got != want {
			t.Errorf("throttlingService(%q) = %q, want %q", reason, got, want)
		}
	}
}
