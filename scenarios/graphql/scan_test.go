package graphql

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// seen is what a scanner finds out about a body.
type seen struct {
	valid        bool
	data, errors valueKind
	kept         string
}

// scanned feeds the body in pieces of the given size.
func scanned(s *scanner, body []byte, piece int) seen {
	s.reset()
	for len(body) > 0 {
		n := min(piece, len(body))
		s.feed(body[:n])
		body = body[n:]
	}
	if !s.valid() {
		return seen{}
	}
	return seen{true, s.data, s.errors, string(s.kept)}
}

// decoded finds out the same with encoding/json.
func decoded(body []byte) seen {
	if !json.Valid(body) {
		return seen{}
	}
	out := seen{valid: true}
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return out // valid, but no object
	}
	kind := func(key string) valueKind {
		raw, ok := top[key]
		if !ok {
			return absent
		}
		switch raw[0] {
		case 'n':
			return null
		case '{':
			return objectValue
		case '[':
			var items []json.RawMessage
			if json.Unmarshal(raw, &items) == nil && len(items) == 0 {
				return emptyList
			}
			return list
		}
		return otherValue
	}
	out.data, out.errors = kind("data"), kind("errors")
	if out.data == list || out.data == emptyList {
		out.data = otherValue
	}
	out.kept = string(top["errors"][:min(len(top["errors"]), maxErrorsKept)])
	return out
}

var bodies = []string{
	`{"data":{"a":1}}`,
	`{"data":{"a":"errors"}}`,
	`{"data":{"errors":[{"message":"inside"}]}}`,
	`{"data":null,"errors":[{"message":"m","errorType":"T"}]}`,
	`{"errors":[],"data":{}}`,
	`{"errors" : [ ] , "data" : null}`,
	`{"errors":null,"data":{"a":[]}}`,
	`{"errors":{"message":"m"}}`,
	`{"errors":"text","data":5}`,
	`{"errors":12,"x":1}`,
	`{"errors":-1.5e+7}`,
	`{"errors":[[]],"errors":null}`,
	`{"errors":null,"errors":[1]}`,
	`{"errors":["}","]"],"data":{}}`,
	"{\"\\u0065rr\\u006Frs\":[{}],\"d\\u0061ta\":{}}",
	`{"\u0065\u0072\u0072\u006f\u0072\u0073":[1],"errors\n":[2]}`,
	`{"err\u006frs":null}`,
	`{"errorsandmoreandmoreandmoreandmoreandmoreandmoreandmore":[1]}`,
	`[{"errors":[1]}]`,
	`"errors"`, `null`, `0`, `-0`, `1.5e-3`, ` 5 `, `true`, ``, ` `,
	`{"":{""""}}`, `{"a":{"b" "c"}}`, `{"a":{"b" : "c"}}`, `{"a":[{"b":{}},[1,23 ,true]]}`, `{"a":[1,}]`, `{"a":{"b":1,}}`, `{"a":[nul,truefalse]}`,
	`{`, `}`, `[`, `{"a"}`, `{"a":}`, `{"a":1,}`, `[1,]`, `[,1]`, `{,}`, `{"a":1]`, `[1}`,
	`01`, `-`, `1.`, `1.e5`, `.5`, `1e`, `1e+`, `+1`, `1 2`, `{} {}`, `{}x`, `nul`, `nulll`, `tru`, `truex`, `True`,
	`"\x"`, `"\u12"`, `"\u12g4"`, "\"\x01\"", "\"\t\"", `"\ud800"`, "\"\xff\xfe\"", `"unclosed`, `"\`,
	`<html><body>502</body></html>`, "\xef\xbb\xbf{}", `{"data":{}}garbage`, `{'data':1}`, "{\"data\":{}}\n",
	strings.Repeat("[", maxNesting) + strings.Repeat("]", maxNesting),
	strings.Repeat("[", maxNesting+1) + strings.Repeat("]", maxNesting+1),
	`{"a":` + strings.Repeat(`{"a":`, maxNesting-1) + `1` + strings.Repeat("}", maxNesting),
	`{"errors":["` + strings.Repeat("x", maxErrorsKept) + `"],"data":{}}`,
}

// TestScannerAgreesWithJSON: valid or not, and what stands in it, whatever the
// pieces in which the body comes.
func TestScannerAgreesWithJSON(t *testing.T) {
	var s scanner
	for _, body := range bodies {
		want := decoded([]byte(body))
		for _, piece := range []int{1, 2, 3, 7, 8, 9, 64, 1 << 20} {
			if got := scanned(&s, []byte(body), piece); got != want {
				t.Errorf("%.80q in pieces of %d: got %+v, want %+v", body, piece, got, want)
			}
		}
	}
}

func FuzzScanner(f *testing.F) {
	for _, body := range bodies {
		if len(body) < 1000 {
			f.Add([]byte(body), 5)
		}
	}
	var s scanner
	f.Fuzz(func(t *testing.T, body []byte, piece int) {
		want := decoded(body)
		for _, piece := range []int{max(piece, 1), 1 << 20} {
			if got := scanned(&s, body, piece); got != want {
				t.Fatalf("%q in pieces of %d: got %+v, want %+v", body, piece, got, want)
			}
		}
	})
}

// TestScannerOnGeneratedAnswers draws valid answers, which mutation by bytes
// rarely reaches, and breaks some of them in one place.
func TestScannerOnGeneratedAnswers(t *testing.T) {
	var s scanner
	keys := rapid.SampledFrom([]string{`"data"`, `"errors"`, `"extensions"`, `"\u0065rrors"`, `"dat\u0061"`, `"a\"b"`, `""`})
	leaf := rapid.SampledFrom([]string{`null`, `true`, `false`, `0`, `-1.25E+3`, `"x"`, `"errors"`, `"\\"`, `"é\u00e9"`, `[]`, `{}`, `[ ]`})
	var value func(depth int) *rapid.Generator[string]
	value = func(depth int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			kind := rapid.IntRange(0, 2).Draw(t, "kind")
			if depth == 0 || kind == 0 {
				return leaf.Draw(t, "leaf")
			}
			var items []string
			for range rapid.IntRange(0, 3).Draw(t, "n") {
				item := value(depth-1).Draw(t, "item")
				if kind == 2 {
					item = keys.Draw(t, "key") + rapid.SampledFrom([]string{":", " : "}).Draw(t, "colon") + item
				}
				items = append(items, item)
			}
			text := strings.Join(items, rapid.SampledFrom([]string{",", " ,\n"}).Draw(t, "comma"))
			if kind == 1 {
				return "[" + text + "]"
			}
			return "{" + text + "}"
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		body := []byte(value(4).Draw(t, "body"))
		if !json.Valid(body) {
			t.Fatalf("drew %q", body)
		}
		if rapid.Bool().Draw(t, "broken") {
			i := rapid.IntRange(0, len(body)-1).Draw(t, "at")
			body[i] = rapid.SampledFrom([]byte(`{}[],:"\0e-. n`)).Draw(t, "by")
		}
		want := decoded(body)
		if got := scanned(&s, body, rapid.IntRange(1, 9).Draw(t, "piece")); got != want {
			t.Fatalf("%q: got %+v, want %+v", body, got, want)
		}
	})
}

// answer is a clean GraphQL answer of about n bytes, with the word in it.
func answer(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"data":{"listPrograms":{"items":[`)
	for i := 0; b.Len() < n; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"%08d","title":"Episode %d of \"errors\"","minutes":%d,"live":false,"note":null}`, i, i, i%60)
	}
	b.WriteString(`]}}}`)
	return b.Bytes()
}

func TestScannerAllocatesNothing(t *testing.T) {
	var s scanner
	body := answer(4 << 10)
	scanned(&s, body, 1<<20)
	if n := testing.AllocsPerRun(100, func() {
		s.reset()
		s.feed(body)
		if !s.valid() || s.data != objectValue || s.errors != absent {
			t.Fatal("misread")
		}
	}); n != 0 {
		t.Errorf("%v allocations for a clean answer, want 0", n)
	}
}

func BenchmarkScanner(b *testing.B) {
	for _, size := range []int{1 << 10, 4 << 10, 100 << 10} {
		body := answer(size)
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			var s scanner
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				s.reset()
				s.feed(body)
			}
		})
		b.Run(fmt.Sprintf("%dKB/json.Valid", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				json.Valid(body)
			}
		})
	}
}
