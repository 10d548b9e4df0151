package unit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

var decimalSizes = []struct {
	suffix string
	size   float64
}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}}

// FormatBytes prints a number of bytes with the largest decimal prefix that
// takes at most two decimals: "1.5GB", "200B".
func FormatBytes(v float64) string {
	for _, p := range decimalSizes {
		q := v / p.size
		if q >= 1 && q == math.Round(q*100)/100 && q*p.size == v {
			return number(q) + p.suffix
		}
	}
	return number(v) + "B"
}

// Human prints v for a reader: three significant digits below 100, whole and
// grouped in thousands above ("1,000,000", "10.0", "0.25").
func Human(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v):
		return "n/a"
	case a == 0:
		return "0"
	case a >= 99.95:
		return group(strconv.FormatFloat(math.Round(v), 'f', 0, 64))
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.9995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// Digits prints v for a reader who goes on to calculate with it: seven significant
// digits and all of a whole number, without zeros at the end ("1.0314", "3,000,000").
func Digits(v float64) string {
	before := int(math.Floor(math.Log10(max(math.Abs(v), 1e-9)))) // the first digit's power of ten
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(v, 'f', max(0, 6-before), 64), ".")
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		fraction = "." + fraction
	}
	return group(whole) + fraction
}

// HumanQuantity prints an amount of a thing for a reader: "2,000 tokens",
// "1.20 GB".
func HumanQuantity(v float64, thing string) string {
	switch thing {
	case Arrivals:
		return Human(v)
	case Bytes:
		return HumanBytes(v)
	}
	return Human(v) + " " + thing
}

// HumanCount prints a number of things that come in ones for a reader, whole ones
// without decimals: "5 requests", "1 request", "0.25 requests". A mean that is
// whole by chance is no count: HumanQuantity shows how exactly it is known.
func HumanCount(v float64, thing string) string {
	if thing == Bytes {
		return HumanBytes(v)
	}
	s := Human(v)
	if v == math.Trunc(v) && math.Abs(v) < 100 {
		s = strconv.FormatFloat(v, 'f', 0, 64)
	}
	if v == 1 {
		thing = strings.TrimSuffix(thing, "s")
	}
	return strings.TrimSuffix(s+" "+thing, " ")
}

// HumanRate prints an amount of a thing per second for a reader:
// "2,000 tokens/s", "10.0/s".
func HumanRate(perSecond float64, thing string) string { return HumanQuantity(perSecond, thing) + "/s" }

// HumanBytes prints a number of bytes for a reader, rounded: "1.20 GB".
func HumanBytes(v float64) string {
	for _, p := range decimalSizes {
		if math.Abs(v) >= 0.9995*p.size {
			return Human(v/p.size) + " " + p.suffix
		}
	}
	return Human(v) + " B"
}

// HumanSeconds prints a duration given in seconds for a reader: "80.1 ms".
func HumanSeconds(s float64) string {
	a := math.Abs(s)
	switch {
	case math.IsNaN(s):
		return "n/a"
	case a == 0:
		return "0 s"
	case a < 0.9995e-3:
		return Human(s*1e6) + " µs"
	case a < 0.9995:
		return Human(s*1e3) + " ms"
	}
	return Human(s) + " s"
}

// HumanShare prints a fraction as a percentage for a reader: "12.5 %".
func HumanShare(f float64) string { return Human(f*100) + " %" }

// FormatDuration prints d as short as ParseDuration reads it: "2m30s", "20s".
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func group(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return fmt.Sprint(sign, b.String())
}
