package strict

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type pause time.Duration

func (p *pause) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	if err != nil {
		return hinted{fmt.Sprintf("%q is not a pause", b)}
	}
	*p = pause(d)
	return nil
}

type hinted struct{ problem string }

func (h hinted) Error() string           { return h.problem }
func (h hinted) Fault() (string, string) { return h.problem, "write it like 30s" }

// amount is either a number or {cold: n, warm: n}.
type amount struct {
	constant float64
	phases   struct {
		Cold float64 `yaml:"cold,required"`
		Warm float64 `yaml:"warm"`
	}
}

func (a *amount) Choose(k Kind) any {
	switch k {
	case Scalar:
		return &a.constant
	case Mapping:
		return &a.phases
	}
	return nil
}

type shared struct {
	Note string `yaml:"note"`
}

type example struct {
	Name    string `yaml:"name,required"`
	Count   int    `yaml:"count"`
	Seed    uint64 `yaml:"seed"`
	Weight  *float64
	Measure *bool           `yaml:"measure"`
	Wait    pause           `yaml:"wait"`
	Amount  amount          `yaml:"amount"`
	Steps   []step          `yaml:"steps"`
	Headers Map[string]     `yaml:"headers"`
	Sizes   map[string]int  `yaml:"sizes"`
	Data    json.RawMessage `yaml:"data"`
	Skipped string          `yaml:"-"`
	shared  `yaml:",inline"`
}

type step struct {
	In_Flight int `yaml:"in_flight"`
}

func TestDecodeFillsEveryKindOfValue(t *testing.T) {
	const src = `# comment
name: "über: 1"
count: 3.0
seed: 18446744073709551615
weight: 0.5
measure: false
wait: 1m30s
amount: {cold: 200, warm: 1e2}
steps:
  - in_flight: 4
  - {}
headers: {b: "1", a: "2"}
sizes:
  x: 1
data: {z: 12345678901234567890, a: [1.50, null, true, "<b>", 2026-11-21, {}], "k": []}
note: joined
`
	var got example
	doc, faults := Decode("f.yaml", []byte(src), &got)
	if faults != nil {
		t.Fatal(faults)
	}
	weight, measure := 0.5, false
	want := example{
		Name: "über: 1", Count: 3, Seed: 1<<64 - 1, Weight: &weight, Measure: &measure,
		Wait: pause(90 * time.Second), Steps: []step{{4}, {}}, Headers: Map[string]{{"b", "1"}, {"a", "2"}},
		Sizes: map[string]int{"x": 1}, shared: shared{"joined"},
		Data: json.RawMessage(`{"z":12345678901234567890,"a":[1.50,null,true,"<b>","2026-11-21",{}],"k":[]}`),
	}
	want.Amount.phases.Cold, want.Amount.phases.Warm = 200, 100
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(example{}, amount{}, shared{})); diff != "" {
		t.Error(diff)
	}
	for path, at := range map[string]string{
		"name": "2:7", "steps": "9:1", "steps[0]": "10:5", "steps[1].in_flight": "11:5", "data.a[5].nothing": "15:74", "nothing": "2:1", "": "2:1",
	} {
		f := doc.Fault(path, "", "")
		if got := fmt.Sprintf("%d:%d", f.Line, f.Column); got != at {
			t.Errorf("%q is at %s, want %s", path, got, at)
		}
	}
}

func TestDecodeReportsEveryFault(t *testing.T) {
	const src = `nam: x
count: two
seed: -1
weight: "3"
measure: yes
wait: 30
amount: [1]
steps:
  - inFlight: 3
  - in_flight: 0x10
  - 7
headers: {a: 1, a: "2"}
sizes: none
data: {n: 012, a: !!str 5, b: &x 1, c: *x}
count: 4
"\e[31m": 1
note:
? {a: 1}
: 2
<<: {name: y}
`
	const want = `f.yaml:1:1: nam: unknown key (did you mean "name"?)
f.yaml:1:1: name: is missing
f.yaml:2:8: count: must be a whole number, not "two"
f.yaml:3:7: seed: must be a whole number, not "-1"
f.yaml:4:9: weight: must be a number, not "3" (write it without quotes)
f.yaml:5:10: measure: must be true or false, not "yes"
f.yaml:6:7: wait: "30" is not a pause (write it like 30s)
f.yaml:7:9: amount: can't be a list
f.yaml:9:5: steps[0].inFlight: unknown key (did you mean "in_flight"?)
f.yaml:10:16: steps[1].in_flight: must be a whole number, not "0x10" (write a decimal number without leading zeros or separators)
f.yaml:11:5: steps[2]: must be a mapping of keys to values, not a single value (its keys are in_flight)
f.yaml:12:14: headers.a: must be text, not a number (put it in quotes)
f.yaml:12:17: headers.a: is set twice (the first is on line 12)
f.yaml:13:8: sizes: must be a mapping of keys to values, not a single value
f.yaml:14:11: data.n: "012" can be read in more than one way (write a decimal number, or put text in quotes)
f.yaml:14:19: data.a: tags are not supported (write the value without "!!str")
f.yaml:14:31: data.b: anchors are not supported (write the value without "&x")
f.yaml:14:40: data.c: aliases are not supported (write the value out)
f.yaml:15:1: count: is set twice (the first is on line 2)
f.yaml:16:1: ["\x1b[31m"]: unknown key (known keys are name, count, seed, weight, measure, wait, amount, steps, headers, sizes, data, note)
f.yaml:17:6: note: has no value (give it one, or leave the key out)
f.yaml:18:3: a key must be text
f.yaml:20:1: ["<<"]: merge keys are not supported (write the keys out)`
	var into example
	_, faults := Decode("f.yaml", []byte(src), &into)
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(faults.Error(), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeRefusesWhatIsNoDocument(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"empty":          {"", "1:1: file is empty (its keys are in_flight)"},
		"comments only":  {"# nothing\n\n", "1:1: file is empty (its keys are in_flight)"},
		"null":           {"---\n...\n", "1:1: file is empty (its keys are in_flight)"},
		"text":           {"hello", "1:1: must be a mapping of keys to values, not a single value (its keys are in_flight)"},
		"two documents":  {"in_flight: 1\n---\nin_flight: 2\n", `2:1: file has more than one document (keep what stands before this "---")`},
		"tab":            {"in_flight:\n\t1: 2\n", "2:1: not valid YAML: found character that cannot start any token while scanning for the next token (indent with spaces, not with tabs)"},
		"unclosed":       {"in_flight: [1,\n", "2:1: not valid YAML: did not find expected node content while parsing a flow node"},
		"colon":          {"a: b: c", `1:5: not valid YAML: mapping values are not allowed in this context (quote text that contains ": ", or check the indentation)`},
		"NUL":            {"in_flight: 1\nx: \x00", "2:4: file is not plain text: it has the control character 0x00 (save the file as UTF-8 text)"},
		"escape":         {"x: \x1b[31m", "1:4: file is not plain text: it has the control character 0x1b (save the file as UTF-8 text)"},
		"binary":         {"\x7fELF\xff", "1:1: file is not plain text: it has the control character 0x7f (save the file as UTF-8 text)"},
		"UTF-16":         {"\xff\xfea\x00", "1:1: file is not UTF-8 text: it has the byte 0xff (save the file as UTF-8 text)"},
		"deep":           {strings.Repeat("[", 100), "1:51: not valid YAML: values are nested more than 50 deep"},
		"too large":      {strings.Repeat("a", MaxSize+1), "1:1: file is larger than 1 MiB (large data belongs in a file of its own, such as rows)"},
		"unknown anchor": {"in_flight: *x", "1:12: not valid YAML: unknown anchor 'x' referenced"},
	} {
		t.Run(name, func(t *testing.T) {
			doc, faults := Decode("f", []byte(c.src), &step{})
			if want := "f:" + c.want; faults.Error() != want {
				t.Errorf("got  %s\nwant %s", faults, want)
			}
			if f := doc.Fault("any[0].path", "", ""); f.File != "f" {
				t.Errorf("the document doesn't know its file: %+v", f)
			}
		})
	}
}

func TestAFileOfFaultsIsCutShort(t *testing.T) {
	_, faults := Decode("f", []byte(strings.Repeat("? [a]\n", 100_000)), &step{})
	if len(faults) != MaxFaults+1 || faults[MaxFaults].Problem != fmt.Sprint(100_000-MaxFaults, " more faults are not shown") {
		t.Errorf("%d faults, the last %v", len(faults), faults[len(faults)-1])
	}
}

func TestExpandedTextTakesItsTypeAndIsNeverQuoted(t *testing.T) {
	expand := func(_, text string) (string, error) {
		switch text {
		case "$N":
			return "5", nil
		case "$SECRET":
			return "hunter2", nil
		case "$NONE":
			return "", errors.Join(hinted{"$NONE is not set"}, errors.New("and more"))
		}
		return text, nil
	}
	var got example
	_, faults := Options{Expand: expand}.Decode("f", []byte(`name: $SECRET
count: $N
note: $N
data: {plain: $N, quoted: "$N"}
`), &got)
	if faults != nil || got.Name != "hunter2" || got.Count != 5 || got.Note != "5" || string(got.Data) != `{"plain":5,"quoted":"5"}` {
		t.Errorf("%+v\n%v", got, faults)
	}
	doc, faults := Options{Expand: expand}.Decode("f", []byte(`name: $NONE
count: $SECRET
measure: $SECRET
weight: $SECRET
wait: $SECRET
seed: "$N"
`), &got)
	const want = `f:1:7: name: $NONE is not set (write it like 30s)
f:1:7: name: and more
f:2:8: count: must be a whole number, not "$SECRET"
f:3:10: measure: must be true or false, not "$SECRET"
f:4:9: weight: must be a number, not "$SECRET"
f:5:7: wait: the value of "$SECRET" is of the wrong form (write it like 30s)
f:6:7: seed: must be a whole number, not "$N" (write it without quotes)`
	if diff := cmp.Diff(want, faults.Error()); diff != "" {
		t.Error(diff)
	}
	if q := doc.Quote("wait", "hunter2"); q != `"$SECRET"` {
		t.Errorf("quoted %s", q)
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"in_flight", "lateness", "late", "operations", "for", "rate"}
	for word, want := range map[string]string{
		"inFlight": "in_flight", "in-flight": "in_flight", "operatoins": "operations", "lat": "late", "latenes": "lateness",
		"rat": "rate", "four": "for", "ramp": "", "duration": "", "": "", "xyz": "",
	} {
		if got := Nearest(word, keys); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// The words and the limit are small, so that both ways of stopping are seen.
func TestDistanceIsSymmetricAndZeroOnlyForEqualWords(t *testing.T) {
	word := rapid.SliceOfN(rapid.RuneFrom([]rune("ab")), 0, 6)
	rapid.Check(t, func(t *rapid.T) {
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		d := distance(a, b, 6)
		if d != distance(b, a, 6) || (d == 0) != (string(a) == string(b)) || d > max(len(a), len(b)) {
			t.Errorf("distance(%q, %q) = %d", string(a), string(b), d)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "name: x\ncount: 3\n", "a: &x [*x]\n", "? [a]\n: b", "name: |\n  text\n---\n", "data: {a: .inf, b: 012}", "\xff\xfe", "<<: *a",
		"headers: {a: b, a: c}", "steps: [{in_flight: 1e3}]", "name: !!binary aGk=", "%YAML 1.1\n---\na", "amount: {cold: 1}", "data: \"\\u2028\"",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var into example
		doc, faults := Decode("f", src, &into)
		lines := strings.Count(string(src), "\n") + strings.Count(string(src), "\r") + strings.Count(string(src), "\u0085") +
			strings.Count(string(src), "\u2028") + strings.Count(string(src), "\u2029") + 2
		for _, fault := range faults {
			if fault.Line < 1 || fault.Column < 1 || fault.Line > lines {
				t.Errorf("a fault outside of the file: %v", fault)
			}
			if strings.ContainsFunc(fault.Error(), func(r rune) bool { return r < ' ' }) {
				t.Errorf("a fault with control characters: %q", fault.Error())
			}
		}
		if faults == nil && into.Data != nil && !json.Valid(into.Data) {
			t.Errorf("not JSON: %s", into.Data)
		}
		doc.Fault("steps[0].in_flight", "", "")
	})
}

func TestPathQuotesLongKeys(t *testing.T) {
	plain := strings.Repeat("é", 80)
	if got := Path("a", plain); got != "a."+plain {
		t.Errorf("80 characters: %s", got)
	}
	if got := Path("a", plain+"é"); !strings.HasPrefix(got, `a["é`) {
		t.Errorf("81 characters: %s", got)
	}
}
