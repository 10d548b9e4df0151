package unit

import (
	"encoding"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]Rate{
		"5000/s":          {5000, Arrivals, time.Second},
		"300000/min":      {300000, Arrivals, time.Minute},
		"300_000/min":     {300000, Arrivals, time.Minute},
		"5k/s":            {5000, Arrivals, time.Second},
		"0/s":             {0, Arrivals, time.Second},
		"0.5/h":           {0.5, Arrivals, time.Hour},
		"1e3/second":      {1000, Arrivals, time.Second},
		"2000 tokens/s":   {2000, Tokens, time.Second},
		"2k tokens / s":   {2000, Tokens, time.Second},
		"1 token/s":       {1, Tokens, time.Second},
		"100 requests/m":  {100, Requests, time.Minute},
		"15000 ops/s":     {15000, Operations, time.Second},
		"3000 RCU/s":      {3000, ReadUnits, time.Second},
		"1.5GB/s":         {1.5e9, Bytes, time.Second},
		"1.1 MB/s":        {1.1e6, Bytes, time.Second},
		"1KiB/s":          {1024, Bytes, time.Second},
		"1 environment/h": {1, Environments, time.Hour},
	} {
		if got, err := ParseRate(text); err != nil || got != want {
			t.Errorf("ParseRate(%q) = %+v, %v", text, got, err)
		}
	}
}

func TestRatesPerSecond(t *testing.T) {
	for text, want := range map[string]float64{"5000/s": 5000, "300000/min": 5000, "18000000/h": 5000, "1.5GB/s": 1.5e9, "0/min": 0} {
		r, err := ParseRate(text)
		if got := r.PerSecond(); err != nil || got != want {
			t.Errorf("%s is %v per second, want %v (%v)", text, got, want, err)
		}
	}
	if got := (Rate{}).PerSecond(); got != 0 {
		t.Errorf("the zero rate is %v per second", got)
	}
}

func TestParseRefuses(t *testing.T) {
	into := map[string]func() encoding.TextUnmarshaler{
		"rate":     func() encoding.TextUnmarshaler { return new(Rate) },
		"quantity": func() encoding.TextUnmarshaler { return new(Quantity) },
		"duration": func() encoding.TextUnmarshaler { return new(Duration) },
		"size":     func() encoding.TextUnmarshaler { return new(Size) },
		"share":    func() encoding.TextUnmarshaler { return new(Share) },
	}
	for _, c := range []struct{ kind, text, problem string }{
		{"rate", "5000", `"5000" is not a rate: it has no period`},
		{"rate", "", `"" is not a rate: it has no period`},
		{"rate", "/s", `"/s" has no amount`},
		{"rate", "-5/s", `"-5/s" is negative`},
		{"rate", "-0/s", `"-0/s" is negative`},
		{"rate", "+5/s", `"+5/s" has no amount`},
		{"rate", ".5/s", `".5/s" has no amount`},
		{"rate", "5/ms", `"5/ms" has the unknown period "ms"`},
		{"rate", "5/s/s", `"5/s/s" has the unknown period "s/s"`},
		{"rate", "5 tps/s", `"5 tps/s" has the unknown unit "tps"`},
		{"rate", "5k MB/s", `"5k MB/s" has the unknown unit "k MB"`},
		{"rate", "5 Tokens/s", `"5 Tokens/s" has the unknown unit "Tokens"`},
		{"rate", "NaN/s", `"NaN/s" has no amount`},
		{"rate", "Inf/s", `"Inf/s" has no amount`},
		{"rate", "0x10/s", `"0x10/s" has the unknown unit "x10"`},
		{"rate", "1e19/s", `"1e19/s" is too large`},
		{"rate", "1e999/s", `"1e999/s" is too large`},
		{"rate", "1e-999/s", `"1e-999/s" is too small`},
		{"rate", "1e999999999/s", `"1e999999999/s" has the unknown unit "999999"`},
		{"size", "0e999999999999999999B", `"0e999999999999999999B" has the unknown unit "999999999999999B"`},
		{"rate", "1e17k/s", `"1e17k/s" is too large`},
		{"rate", "5000/s\n", `"5000/s\n" has the unknown period "s\n"`},
		{"rate", strings.Repeat("1", 61) + "/s", `"` + strings.Repeat("1", 60) + `" has too many digits`},
		{"quantity", "2000", `"2000" has no unit`},
		{"quantity", "5k", `"5k" has no unit`},
		{"quantity", "2000 tokens/s", `"2000 tokens/s" is a rate, not an amount`},
		{"quantity", "tokens", `"tokens" has no amount`},
		{"size", "200", `"200" has no unit`},
		{"size", "200 tokens", `"200 tokens" is not a size`},
		{"size", "1.5B", `"1.5B" is not a whole number of bytes`},
		{"size", "10000000TB", `"10000000TB" is too large`},
		{"share", "0.1", `"0.1" is not a percentage`},
		{"share", "%", `"%" has no amount`},
		{"share", "-1%", `"-1%" is negative`},
		{"duration", "30", `"30" has no unit of time`},
		{"duration", "0", `"0" has no unit of time`},
		{"duration", "", `"" is not a duration`},
		{"duration", "-5s", `"-5s" is negative`},
		{"duration", "1d-5s", `"1d-5s" is not a duration`},
		{"duration", "5 s", `"5 s" is not a duration`},
		{"duration", "5 seconds", `"5 seconds" is not a duration`},
		{"duration", "1.5d", `"1.5d" is not a duration`},
		{"duration", "40000d", `"40000d" is too long`},
		{"duration", "9999999h", `"9999999h" is too long`},
		{"duration", "36500d2000000h", `"36500d2000000h" is too long`},
	} {
		err := into[c.kind]().UnmarshalText([]byte(c.text))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%s %q: got the error %v", c.kind, c.text, err)
			continue
		}
		if problem, _ := syntax.Fault(); problem != c.problem {
			t.Errorf("%s %q: got %q, want %q", c.kind, c.text, problem, c.problem)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "800ms": 800 * time.Millisecond, "2m30s": 150 * time.Second, "1.5h": 90 * time.Minute, "1d": 24 * time.Hour,
		"1d12h": 36 * time.Hour, "250us": 250 * time.Microsecond, "250µs": 250 * time.Microsecond,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v", text, got, err)
		}
	}
}

func TestParseShareAndSize(t *testing.T) {
	for text, want := range map[string]float64{"0%": 0, "0.1%": 0.001, "30 %": 0.3, "99.9%": 0.999, "100%": 1, "250%": 2.5} {
		if got, err := ParseShare(text); err != nil || got != want {
			t.Errorf("ParseShare(%q) = %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]int64{"0B": 0, "200B": 200, "1.1KB": 1100, "64KiB": 65536, "3 MB": 3e6, "1.23TB": 123e10} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %v, %v", text, got, err)
		}
	}
}

var (
	amounts = rapid.OneOf(
		rapid.Just(0.0),
		rapid.Float64Range(smallest*1e6, largest/1e6),
		rapid.Map(rapid.Int64Range(0, 1<<52), func(n int64) float64 { return float64(n) }),
		rapid.Map(rapid.IntRange(1, 99999), func(n int) float64 { return float64(n) * 1e7 }),
	)
	anyThing = rapid.SampledFrom([]string{Arrivals, Requests, Tokens, Operations, Bytes, Records, ReadUnits, WriteUnits, Environments, Partitions, Connections})
)

func TestWhatIsPrintedIsParsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{amounts.Draw(t, "amount"), anyThing.Draw(t, "thing"), rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "per")}
		if got, err := ParseRate(r.String()); err != nil || got != r {
			t.Errorf("%+v prints as %q, which is %+v (%v)", r, r, got, err)
		}
		q := Quantity{r.Amount, r.Thing}
		if got, err := ParseQuantity(q.String()); q.Thing != Arrivals && (err != nil || got != q) {
			t.Errorf("%+v prints as %q, which is %+v (%v)", q, q, got, err)
		}
		d := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "duration"))
		d = d.Truncate(rapid.SampledFrom([]time.Duration{1, time.Millisecond, time.Second, time.Minute, time.Hour}).Draw(t, "step"))
		if got, err := ParseDuration(FormatDuration(d)); err != nil || got != d {
			t.Errorf("%d prints as %q, which is %v (%v)", d, FormatDuration(d), got, err)
		}
	})
}

func TestHuman(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Human(0), "0"},
		{Human(1e6), "1,000,000"},
		{Human(-12345.6), "-12,346"},
		{Human(100), "100"},
		{Human(99.94), "99.9"},
		{Human(99.96), "100"},
		{Human(10), "10.0"},
		{Human(9.999), "10.0"},
		{Human(1), "1.00"},
		{Human(0.9999), "1.00"},
		{Human(0.25), "0.25"},
		{Human(math.NaN()), "n/a"},
		{Digits(5157.0 / 5000), "1.0314"},
		{Digits(1.0 / 3), "0.3333333"},
		{Digits(20.0 / 3), "6.666667"},
		{Digits(3e6), "3,000,000"},
		{Digits(1234567.8), "1,234,568"},
		{Digits(-1234.5), "-1,234.5"},
		{Digits(1e-5), "0.00001"},
		{Digits(0), "0"},
		{Digits(1), "1"},
		{HumanBytes(1.2e9), "1.20 GB"},
		{HumanBytes(999.96e3), "1.00 MB"},
		{HumanBytes(512), "512 B"},
		{HumanSeconds(0.0801), "80.1 ms"},
		{HumanSeconds(0.99999), "1.00 s"},
		{HumanSeconds(250e-6), "250 µs"},
		{HumanSeconds(0), "0 s"},
		{HumanSeconds(math.NaN()), "n/a"},
		{HumanShare(0.125), "12.5 %"},
		{HumanCount(5, Requests), "5 requests"},
		{HumanCount(1, Requests), "1 request"},
		{HumanCount(0, Requests), "0 requests"},
		{HumanCount(1, ReadUnits), "1 RCU"},
		{HumanCount(29, ""), "29"},
		{HumanCount(2.5, Tokens), "2.50 tokens"},
		{HumanCount(1234, Requests), "1,234 requests"},
		{HumanCount(1.5e9, Bytes), "1.50 GB"},
		{HumanRate(2000, Tokens), "2,000 tokens/s"},
		{HumanRate(10, Arrivals), "10.0/s"},
		{HumanQuantity(1.5e9, Bytes), "1.50 GB"},
		{FormatBytes(1.5e9), "1.5GB"},
		{FormatBytes(200), "200B"},
		{FormatBytes(1024), "1024B"},
		{FormatBytes(1.234e6), "1234KB"},
		{FormatDuration(150 * time.Second), "2m30s"},
		{FormatDuration(time.Hour), "1h"},
		{FormatDuration(10 * time.Minute), "10m"},
		{FormatDuration(0), "0s"},
	} {
		if c.got != c.want {
			t.Errorf("printed %q, want %q", c.got, c.want)
		}
	}
}

// FuzzParse feeds one text to all parsers. What one accepts must match its
// published pattern and survive printing; what it refuses in spite of the
// pattern must be out of range.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"5000/s", "2k tokens / min", "1.5GB/h", "30s", "1d12h", "0.1%", "64KiB", "1e18/s", "5k", "-0/s", "1e999999999 ops", "0e99999999B", "µs", "1.5.5s", "00_1 RCU", "1h1h"} {
		f.Add(s)
	}
	patterns := map[string]*regexp.Regexp{}
	for _, p := range []string{RatePattern, QuantityPattern, SizePattern, SharePattern, DurationPattern} {
		patterns[p] = regexp.MustCompile(p)
	}
	f.Fuzz(func(t *testing.T, s string) {
		agree := func(pattern string, err error) {
			var syntax *SyntaxError
			if err != nil && !errors.As(err, &syntax) {
				t.Fatalf("%q: an error of another kind: %v", s, err)
			}
			ranged := syntax != nil && (strings.HasPrefix(syntax.Problem, "is too ") || strings.HasPrefix(syntax.Problem, "has too ") || syntax.Problem == "is not a whole number of bytes")
			if matches := patterns[pattern].MatchString(s); err == nil && !matches || matches && err != nil && !ranged && s != "" {
				t.Fatalf("%q: the pattern says %v, the parser %v", s, matches, err)
			}
		}
		r, err := ParseRate(s)
		agree(RatePattern, err)
		if again, failed := ParseRate(r.String()); err == nil && (failed != nil || again != r) {
			t.Errorf("%q is %+v, prints as %q, is then %+v (%v)", s, r, r, again, failed)
		}
		q, err := ParseQuantity(s)
		agree(QuantityPattern, err)
		if again, failed := ParseQuantity(q.String()); err == nil && (failed != nil || again != q) {
			t.Errorf("%q is %+v, prints as %q, is then %+v (%v)", s, q, q, again, failed)
		}
		n, err := ParseSize(s)
		agree(SizePattern, err)
		if err == nil && n < 0 {
			t.Errorf("%q is a size of %d", s, n)
		}
		share, err := ParseShare(s)
		agree(SharePattern, err)
		if err == nil && !(share >= 0) {
			t.Errorf("%q is a share of %v", s, share)
		}
		d, err := ParseDuration(s)
		agree(DurationPattern, err)
		if err == nil && d < 0 {
			t.Errorf("%q is a duration of %v", s, d)
		}
	})
}
