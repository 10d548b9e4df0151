package scenarios

import (
	"errors"
	"strings"
)

// ParseThresholds parses thresholds that are joined by " and ", such as
// "p99 < 500ms and throttled < 0.1%". What they are of is not checked.
func ParseThresholds(text string) ([]Threshold, error) {
	var all []Threshold
	var errs []error
	for part := range strings.SplitSeq(text, " and ") {
		t, err := parseThreshold(strings.TrimSpace(part))
		all, errs = append(all, t), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return all, nil
}
