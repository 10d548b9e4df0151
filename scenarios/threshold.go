package scenarios

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/headroom-load/headroom/scenarios/unit"
)

// metric is one figure that a threshold can bound.
type metric struct {
	name  string
	value valueKind
	of    subject
	// bounded is set where the figure is never above 1.
	bounded bool
}

// subject says what a metric may be of.
type subject string

const (
	anOperation subject = "an operation" // or nothing, for all of them
	aQuota      subject = "a quota"
)

// valueKind is the kind of value that a metric is compared to.
type valueKind struct {
	what, pattern, example string
	parse                  func(string) (float64, error)
}

var (
	aDuration = valueKind{"a duration", unit.DurationPattern, "800ms", func(s string) (float64, error) {
		d, err := unit.ParseDuration(s)
		return d.Seconds(), err
	}}
	aShare = valueKind{"a percentage", unit.SharePattern, "0.1%", unit.ParseShare}
	aRate  = valueKind{"a rate", unit.ArrivalRatePattern, "100/s", func(s string) (float64, error) {
		var r arrivalRate
		err := r.UnmarshalText([]byte(s))
		return r.perSecond(), err
	}}
	aTokenCount = valueKind{"a number of tokens", tokenCountForm.String(), "3", func(s string) (float64, error) {
		parts := tokenCountForm.FindStringSubmatch(s)
		if parts == nil {
			return 0, &unit.SyntaxError{Text: s, Problem: "is not a number of tokens"}
		}
		q, err := unit.ParseQuantity(parts[1] + " tokens")
		return q.Amount, err
	}}
	tokenCountForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(?: *tokens?)?$`)
)

// metrics lists every metric. Percentiles are of the response times of ok
// answers; tokens is the mean of an answer; rate counts the ok answers of a second.
var metrics = []metric{
	{"p50", aDuration, anOperation, false},
	{"p90", aDuration, anOperation, false},
	{"p95", aDuration, anOperation, false},
	{"p99", aDuration, anOperation, false},
	{"p999", aDuration, anOperation, false},
	{"mean", aDuration, anOperation, false},
	{"max", aDuration, anOperation, false},
	{"errors", aShare, anOperation, true},
	{"throttled", aShare, anOperation, true},
	{"dropped", aShare, anOperation, true},
	{"tokens", aTokenCount, anOperation, false},
	{"rate", aRate, anOperation, false},
	{"headroom", aShare, aQuota, true},
	{"utilization", aShare, aQuota, false},
	{"binds_at", aRate, aQuota, false},
}

var thresholdForm = regexp.MustCompile(`^([a-z_][a-z0-9_]*)(?: *\( *([^()\s]*) *\))? *(<=|>=|<|>) *(.*)$`)

const thresholdHint = "write a metric, what it is of, <, <=, > or >= and a value, such as p99(listPrograms) < 800ms"

// parseThreshold parses the notation of thresholds. Its error is a *fault whose
// hint doesn't depend on the text.
func parseThreshold(s string) (Threshold, error) {
	refuse := func(hint, format string, args ...any) (Threshold, error) {
		return Threshold{}, &fault{fmt.Sprintf("%.60q ", s) + fmt.Sprintf(format, args...), hint}
	}
	parts := thresholdForm.FindStringSubmatch(s)
	if parts == nil {
		return refuse(thresholdHint, "is not a threshold")
	}
	t := Threshold{Text: s, Metric: parts[1], Of: parts[2], Op: parts[3]}
	i := slices.IndexFunc(metrics, func(m metric) bool { return m.name == t.Metric })
	if i < 0 {
		names := make([]string, len(metrics))
		for i, m := range metrics {
			names[i] = m.name
		}
		return refuse("metrics are "+strings.Join(names, ", "), "has the unknown metric %.40q", t.Metric)
	}
	m := metrics[i]
	switch {
	case t.Of == "" && m.of == aQuota:
		return refuse(fmt.Sprintf("write %s(appsync.request-tokens)", m.name), "doesn't say which quota's %s", m.name)
	case t.Of == "" && strings.Contains(s, "("):
		return refuse(fmt.Sprintf("name %s, or leave the brackets out", m.of), "has nothing in its brackets")
	case t.Of != "" && m.of == anOperation && !nameForm.matches(t.Of):
		return refuse("", "has brackets with no operation's name in them")
	case t.Of != "" && m.of == aQuota && !quotaID.MatchString(t.Of):
		return refuse("quota ids look like appsync.request-tokens", "has brackets with no quota's id in them")
	}
	v, err := m.value.parse(parts[4])
	if err != nil {
		return refuse(fmt.Sprintf("write one, such as %s(%s) %s %s", m.name, exampleOf[m.of], t.Op, m.value.example), "compares %s to what is not %s", m.name, m.value.what)
	}
	switch {
	case v == 0 && t.Op == "<" && m.name != "headroom":
		return refuse("", "can never hold: %s is never negative", m.name)
	case v == 0 && t.Op == ">=" && m.name != "headroom":
		return refuse("", "always holds: %s is never negative", m.name)
	case m.bounded && (v > 1 || v == 1 && t.Op == ">"):
		return refuse("", "is beyond 100%%, which %s never is", m.name)
	}
	t.Value = v
	return t, nil
}

var exampleOf = map[subject]string{anOperation: "listPrograms", aQuota: "appsync.request-tokens"}

var quotaID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// costForm is the rule that ends a run which has cost too much.
var (
	costForm  = regexp.MustCompile(`^cost *(>=?) *([0-9]+(?:\.[0-9]+)?) *USD$`)
	costBegin = regexp.MustCompile(`^cost\b`)
)

type (
	thresholdText Threshold
	// stopText is a threshold that stops the run when it holds. It is decided
	// from the client's own ledger, second by second, which knows outcomes and
	// the token quota and nothing of what the cloud counts.
	stopText Threshold
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *thresholdText) UnmarshalText(b []byte) error {
	parsed, err := parseThreshold(string(b))
	if err == nil {
		*t = thresholdText(parsed)
	}
	return err
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *stopText) UnmarshalText(b []byte) error {
	const hint = "rules are errors > SHARE, throttled > SHARE and utilization(appsync.request-tokens) > SHARE, over all operations, and cost > 5 USD"
	if parts := costForm.FindStringSubmatch(string(b)); parts != nil {
		v, err := strconv.ParseFloat(parts[2], 64)
		if err != nil || v <= 0 {
			return &fault{fmt.Sprintf("%.60q would stop the run at once", b), hint}
		}
		*t = stopText{Text: string(b), Metric: "cost", Op: parts[1], Value: v}
		return nil
	}
	if costBegin.Match(b) {
		return &fault{fmt.Sprintf("%.60q isn't a cost in USD that may be exceeded", b), "write one, such as cost > 5 USD"}
	}
	parsed, err := parseThreshold(string(b))
	if err != nil {
		return err
	}
	known := parsed.Metric == "utilization" && parsed.Of == "appsync.request-tokens" ||
		(parsed.Metric == "errors" || parsed.Metric == "throttled") && parsed.Of == ""
	switch {
	case !known:
		return &fault{fmt.Sprintf("%.60q can't stop a run: it isn't known while the run goes on", b), hint}
	case strings.HasPrefix(parsed.Op, "<"):
		return &fault{fmt.Sprintf("%.60q would stop the run at once", b), hint}
	}
	*t = stopText(parsed)
	return nil
}

// thresholdPattern describes thresholds of the given metrics as a regular expression.
func thresholdPattern(among []metric) string {
	var alternatives []string
	for _, m := range among {
		of := ` *\( *` + inner(nameForm.pattern()) + ` *\)`
		if m.of == aQuota {
			of = ` *\( *` + inner(quotaID.String()) + ` *\)`
		} else {
			of = `(?:` + of + `)?`
		}
		alternatives = append(alternatives, m.name+of+` *(?:<=|>=|<|>) *`+inner(m.value.pattern))
	}
	return `^(?:` + strings.Join(alternatives, `|`) + `)$`
}

// inner is a pattern without its anchors, as a part of another.
func inner(pattern string) string {
	return `(?:` + strings.TrimSuffix(strings.TrimPrefix(pattern, `^`), `$`) + `)`
}
