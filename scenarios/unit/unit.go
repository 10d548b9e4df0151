// Package unit is the room where numbers get their units: rates, quantities,
// sizes, durations and shares as types that are parsed from and printed to the
// notation of scenario and System files.
//
// A rate is an amount, a thing and a period: "5000/s", "300000/min",
// "2000 tokens/s", "1.5GB/s". A bare number never parses where a unit belongs;
// that is how per second and per minute get mixed up. Inside the program a
// period-free value is always per second, bytes or seconds; periods and
// prefixes exist at the edges only.
package unit

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Things that a rate or a quantity can count, in canonical spelling. The empty
// thing means arrivals of whatever the context sends.
const (
	Arrivals     = ""
	Requests     = "requests"
	Tokens       = "tokens"
	Operations   = "ops"
	Bytes        = "B"
	Records      = "records"
	ReadUnits    = "RCU"
	WriteUnits   = "WCU"
	Environments = "environments"
	Partitions   = "partitions"
	Connections  = "connections"
)

// The notations as regular expressions (of Go and of ECMAScript alike). They
// describe form alone: a text that matches may still be out of range.
const (
	amountPattern = `[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?`
	bytesPattern  = `(?:[KMGT]i?|k)?B`
	thingPattern  = `(?:[kM] *)?(?:requests?|req|tokens?|ops?|operations?|records?|RCU|rcu|WCU|wcu|environments?|partitions?|connections?)`

	periodPattern = ` */ *(?:s|sec|second|m|min|minute|h|hour)$`

	RatePattern = `^` + amountPattern + ` *(?:` + bytesPattern + `|` + thingPattern + `|[kM])?` + periodPattern
	// ArrivalRatePattern is of rates that count arrivals or requests, and
	// UsageRatePattern of those that name what they count.
	ArrivalRatePattern = `^` + amountPattern + ` *(?:[kM] *)?(?:requests?|req)?` + periodPattern
	UsageRatePattern   = `^` + amountPattern + ` *(?:` + bytesPattern + `|` + thingPattern + `)` + periodPattern
	QuantityPattern    = `^` + amountPattern + ` *(?:` + bytesPattern + `|` + thingPattern + `)$`
	SizePattern        = `^` + amountPattern + ` *` + bytesPattern + `$`
	SharePattern       = `^` + amountPattern + ` *%$`
	DurationPattern    = `^(?:[0-9]+d)?(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))*$`
)

// things maps each accepted spelling to its canonical one.
var things = map[string]string{
	"request": Requests, "requests": Requests, "req": Requests,
	"token": Tokens, "tokens": Tokens,
	"op": Operations, "ops": Operations, "operation": Operations, "operations": Operations,
	"record": Records, "records": Records,
	"RCU": ReadUnits, "rcu": ReadUnits,
	"WCU": WriteUnits, "wcu": WriteUnits,
	"environment": Environments, "environments": Environments,
	"partition": Partitions, "partitions": Partitions,
	"connection": Connections, "connections": Connections,
}

// sizes maps each accepted size suffix to its number of bytes. Decimal
// prefixes are powers of 1,000 and binary ones of 1,024.
var sizes = map[string]int64{
	"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

var periods = map[string]time.Duration{
	"s": time.Second, "sec": time.Second, "second": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute,
	"h": time.Hour, "hour": time.Hour,
}

// SyntaxError says what is wrong with a text that should have been a value
// with a unit, and what would have been right.
type SyntaxError struct {
	Text    string
	Problem string
	Hint    string // may be empty
}

func (e *SyntaxError) Error() string {
	problem, hint := e.Fault()
	if hint == "" {
		return problem
	}
	return problem + " (" + hint + ")"
}

// Fault returns the two parts of the error's text. The hint does not depend on
// Text.
func (e *SyntaxError) Fault() (problem, hint string) {
	return fmt.Sprintf("%.60q %s", e.Text, e.Problem), e.Hint
}

// Quantity is an amount of a thing: "2000 tokens", "1MB", "100 ops". Bytes are
// held in bytes, whatever prefix was written.
type Quantity struct {
	Amount float64
	Thing  string
}

// Rate is an amount of a thing per period. The zero Rate is a pause.
type Rate struct {
	Amount float64
	Thing  string
	Per    time.Duration // 1 s, 1 min or 1 h; 0 only in the zero Rate
}

// The following types are the values of YAML keys: each reads its own notation
// through encoding.TextUnmarshaler and refuses a number without a unit.
type (
	// Duration is a length of time, such as "2m30s".
	Duration time.Duration
	// Size is a number of bytes, such as "64KiB".
	Size int64
	// Share is a fraction written as a percentage, such as "0.1%".
	Share float64
)

// UnmarshalText implements encoding.TextUnmarshaler with ParseRate.
func (r *Rate) UnmarshalText(b []byte) error { return unmarshal(r, b, ParseRate) }

// UnmarshalText implements encoding.TextUnmarshaler with ParseQuantity.
func (q *Quantity) UnmarshalText(b []byte) error { return unmarshal(q, b, ParseQuantity) }

// UnmarshalText implements encoding.TextUnmarshaler with ParseDuration.
func (d *Duration) UnmarshalText(b []byte) error {
	return unmarshal((*time.Duration)(d), b, ParseDuration)
}

// UnmarshalText implements encoding.TextUnmarshaler with ParseSize.
func (s *Size) UnmarshalText(b []byte) error { return unmarshal((*int64)(s), b, ParseSize) }

// UnmarshalText implements encoding.TextUnmarshaler with ParseShare.
func (s *Share) UnmarshalText(b []byte) error { return unmarshal((*float64)(s), b, ParseShare) }

func unmarshal[T any](into *T, b []byte, parse func(string) (T, error)) error {
	v, err := parse(string(b))
	if err == nil {
		*into = v
	}
	return err
}

// PerSecond returns the rate's amount per second.
func (r Rate) PerSecond() float64 {
	if r.Per == 0 {
		return 0
	}
	return r.Amount / r.Per.Seconds()
}

// String prints the rate in the notation that ParseRate reads.
func (r Rate) String() string {
	p := "s"
	switch r.Per {
	case time.Minute:
		p = "min"
	case time.Hour:
		p = "h"
	}
	return Quantity{r.Amount, r.Thing}.String() + "/" + p
}

// String prints the quantity in the notation that ParseQuantity reads.
func (q Quantity) String() string {
	switch q.Thing {
	case Arrivals:
		return number(q.Amount)
	case Bytes:
		return FormatBytes(q.Amount)
	}
	return number(q.Amount) + " " + q.Thing
}

// ParseRate parses an amount, an optional thing and a period.
func ParseRate(s string) (Rate, error) {
	const hint = "write an amount, what is counted and a period, such as 5000/s, 300000/min or 2000 tokens/s"
	head, period, ok := strings.Cut(s, "/")
	if !ok {
		return Rate{}, &SyntaxError{s, "is not a rate: it has no period", hint}
	}
	period = strings.TrimLeft(period, " ")
	per, ok := periods[period]
	if !ok {
		return Rate{}, &SyntaxError{s, fmt.Sprintf("has the unknown period %.20q", period), "periods are s, min and h"}
	}
	q, err := parseQuantity(s, strings.TrimRight(head, " "), hint)
	if err != nil {
		return Rate{}, err
	}
	return Rate{q.Amount, q.Thing, per}, nil
}

// ParseQuantity parses an amount and a thing. The thing may not be left out.
func ParseQuantity(s string) (Quantity, error) {
	const hint = "write an amount and what is counted, such as 2000 tokens, 100 ops or 1MB"
	if strings.Contains(s, "/") {
		if _, err := ParseRate(s); err == nil {
			return Quantity{}, &SyntaxError{s, "is a rate, not an amount", hint}
		}
	}
	q, err := parseQuantity(s, s, hint)
	if err == nil && q.Thing == Arrivals {
		return Quantity{}, &SyntaxError{s, "has no unit", hint}
	}
	return q, err
}

// ParseSize parses a size in bytes, such as "200B", "1KB" or "64KiB".
func ParseSize(s string) (int64, error) {
	const hint = "write an amount and B, KB, MB, GB, KiB, MiB or GiB, such as 200B"
	q, err := parseQuantity(s, s, hint)
	switch {
	case err != nil:
		return 0, err
	case q.Thing == Arrivals:
		return 0, &SyntaxError{s, "has no unit", hint}
	case q.Thing != Bytes:
		return 0, &SyntaxError{s, "is not a size", hint}
	case q.Amount != math.Trunc(q.Amount):
		return 0, &SyntaxError{s, "is not a whole number of bytes", ""}
	}
	return int64(q.Amount), nil
}

// ParseShare parses a percentage from "0%" up and returns it as a fraction.
func ParseShare(s string) (float64, error) {
	const hint = "write a percentage, such as 0.1%"
	head, ok := strings.CutSuffix(s, "%")
	if !ok {
		return 0, &SyntaxError{s, "is not a percentage", hint}
	}
	return parseAmount(s, strings.TrimRight(head, " "), hint, 1, 100)
}

// ParseDuration parses a duration of zero or more in Go's notation ("2m30s",
// "800ms"), with d for days in front ("1d12h").
func ParseDuration(s string) (time.Duration, error) {
	const hint = "write a number and ms, s, m, h or d, such as 30s or 2m30s"
	switch {
	case strings.HasPrefix(s, "-"):
		return 0, &SyntaxError{s, "is negative", ""}
	case amountForm.MatchString(s):
		return 0, &SyntaxError{s, "has no unit of time", hint}
	case s == "" || !durationForm.MatchString(s):
		return 0, &SyntaxError{s, "is not a duration", hint}
	}
	rest := s
	var days time.Duration
	if head, tail, ok := strings.Cut(rest, "d"); ok {
		n, err := strconv.ParseUint(head, 10, 16)
		if err != nil || n > 36500 {
			return 0, &SyntaxError{s, "is too long", ""}
		}
		days, rest = time.Duration(n)*24*time.Hour, tail
		if rest == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d > math.MaxInt64-days {
		return 0, &SyntaxError{s, "is too long", ""}
	}
	return days + d, nil
}

var (
	amountForm   = regexp.MustCompile(`^` + amountPattern + `$`)
	quantityForm = regexp.MustCompile(`^(-?` + amountPattern + `) *(.*)$`)
	durationForm = regexp.MustCompile(DurationPattern)
)

// parseQuantity parses text, a part of whole, as an amount and an optional thing.
func parseQuantity(whole, text, hint string) (Quantity, error) {
	parts := quantityForm.FindStringSubmatch(text)
	if parts == nil {
		return Quantity{}, &SyntaxError{whole, "has no amount", hint}
	}
	name := parts[2]
	scale, thing := int64(1), Arrivals
	if bytes, ok := sizes[name]; ok {
		scale, thing = bytes, Bytes
	} else {
		counted := name
		if strings.HasPrefix(name, "k") || strings.HasPrefix(name, "M") {
			scale = map[byte]int64{'k': 1e3, 'M': 1e6}[name[0]]
			counted = strings.TrimLeft(name[1:], " ")
		}
		if thing, ok = things[counted]; !ok && counted != "" {
			return Quantity{}, &SyntaxError{whole, fmt.Sprintf("has the unknown unit %.40q", name), "units are requests, tokens, ops, records, RCU, WCU, environments, partitions, connections and sizes from B to TiB"}
		}
	}
	v, err := parseAmount(whole, parts[1], hint, scale, 1)
	if err != nil {
		return Quantity{}, err
	}
	return Quantity{v, thing}, nil
}

// Amounts other than 0 lie between these bounds, so that they print in a few
// digits and neither they nor their sums overflow.
const (
	smallest = 1e-12
	largest  = 1e18
)

// parseAmount returns the number times by/over, rounded once. Digits is the
// number's text within whole.
func parseAmount(whole, digits, hint string, by, over int64) (float64, error) {
	if strings.HasPrefix(digits, "-") {
		return 0, &SyntaxError{whole, "is negative", ""}
	}
	if !amountForm.MatchString(digits) {
		return 0, &SyntaxError{whole, "has no amount", hint}
	}
	if len(digits) > 60 {
		return 0, &SyntaxError{whole, "has too many digits", ""}
	}
	exact, ok := new(big.Rat).SetString(strings.ReplaceAll(digits, "_", ""))
	if !ok {
		return 0, &SyntaxError{whole, "has no amount", hint}
	}
	v, _ := exact.Mul(exact, big.NewRat(by, over)).Float64()
	switch {
	case v > largest:
		return 0, &SyntaxError{whole, "is too large", ""}
	case exact.Sign() != 0 && v < smallest:
		return 0, &SyntaxError{whole, "is too small", ""}
	}
	return v, nil
}

// number prints v with no exponent and no more digits than it needs.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
