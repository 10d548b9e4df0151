package awsapi

import (
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/google/go-cmp/cmp"
)

// Examples of RFC 8949, appendix A.
func TestDecodeCBOR(t *testing.T) {
	for in, want := range map[string]any{
		"00":                         uint64(0),
		"1818":                       uint64(24),
		"1903e8":                     uint64(1000),
		"1bffffffffffffffff":         uint64(math.MaxUint64),
		"20":                         int64(-1),
		"3903e7":                     int64(-1000),
		"3b7fffffffffffffff":         int64(math.MinInt64),
		"f93c00":                     1.0,
		"f97bff":                     65504.0,
		"f90001":                     5.960464477539063e-8,
		"f9c400":                     -4.0,
		"f97c00":                     math.Inf(1),
		"f9fc00":                     math.Inf(-1),
		"fa47c35000":                 100000.0,
		"fb3ff199999999999a":         1.1,
		"f4":                         false,
		"f5":                         true,
		"f6":                         nil,
		"f7":                         nil,
		"c11a514b67b0":               uint64(1363896240),
		"c1fb41d452d9ec200000":       1363896240.5,
		"4401020304":                 []byte{1, 2, 3, 4},
		"62c3bc":                     "ü",
		"83010203":                   []any{uint64(1), uint64(2), uint64(3)},
		"a26161016162820203":         map[string]any{"a": uint64(1), "b": []any{uint64(2), uint64(3)}},
		"5f42010243030405ff":         []byte{1, 2, 3, 4, 5},
		"7f657374726561646d696e67ff": "streaming",
		"9fff":                       []any{},
		"9f018202039f0405ffff":       []any{uint64(1), []any{uint64(2), uint64(3)}, []any{uint64(4), uint64(5)}},
		"bf6346756ef563416d7421ff":   map[string]any{"Fun": true, "Amt": int64(-2)},
	} {
		b, err := hex.DecodeString(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeCBOR(b)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", in, d)
		}
	}
	for name, in := range map[string]string{
		"empty":             "",
		"cut number":        "19",
		"cut text":          "63 61",
		"huge text":         "7bffffffffffffffff",
		"huge array":        "9bffffffffffffffff",
		"huge map":          "bbffffffffffffffff",
		"unended":           "9f01",
		"lone break":        "ff",
		"rest":              "0000",
		"reserved":          "1c",
		"number key":        "a10101",
		"chunk type":        "7f4101ff",
		"nested chunk":      "7f7fffff",
		"not UTF-8":         "61ff",
		"timestamp text":    "c16161",
		"indefinite number": "1f",
		"simple":            "f0",
		"too negative":      "3bffffffffffffffff",
		"deep":              strings.Repeat("81", 100) + "00",
	} {
		b, _ := hex.DecodeString(strings.ReplaceAll(in, " ", ""))
		if v, err := decodeCBOR(b); err == nil {
			t.Errorf("%s: decodes as %v", name, v)
		}
	}
}

// The SDK's decoder reads what is encoded here.
func TestAppendCBOR(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 500e6, time.UTC)
	value := struct {
		Numbers []float64         `json:"Numbers"`
		Empty   []string          `json:"Empty"`
		Left    []string          `json:"Left,omitempty"`
		At      timestamp         `json:"At"`
		Names   map[string]string `json:"Names"`
		Nested  *quotaPeriod      `json:"Nested,omitempty"`
		None    *quotaPeriod      `json:"None,omitempty"`
		Text    string            `json:"Text"`
		Yes     bool              `json:"Yes"`
		No      bool              `json:"No"`
	}{
		Numbers: []float64{0, 1.5, -2},
		At:      timestamp(at),
		Names:   map[string]string{"a": "b"},
		Nested:  &quotaPeriod{-70000, "SECOND"},
		Text:    strings.Repeat("ü", 200),
		Yes:     true,
	}
	got, err := cbor.Decode(appendCBOR(nil, reflect.ValueOf(value)))
	if err != nil {
		t.Fatal(err)
	}
	want := cbor.Map{
		"Numbers": cbor.List{cbor.Float64(0), cbor.Float64(1.5), cbor.Float64(-2)},
		"Empty":   cbor.List{},
		"At":      &cbor.Tag{ID: 1, Value: cbor.Float64(float64(at.UnixMilli()) / 1000)},
		"Names":   cbor.Map{"a": cbor.String("b")},
		"Nested":  cbor.Map{"PeriodValue": cbor.NegInt(70000), "PeriodUnit": cbor.String("SECOND")},
		"Text":    cbor.String(value.Text),
		"Yes":     cbor.Bool(true),
		"No":      cbor.Bool(false),
	}
	if d := cmp.Diff(cbor.Value(want), got); d != "" {
		t.Error(d)
	}
}
