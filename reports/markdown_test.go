package reports

import (
	"strings"
	"testing"
)

// Whatever a text begins with or holds, Markdown shows it as it is: no heading, no
// list, no code, no formula, no further column.
func TestMarkdownShowsWhatIsWritten(t *testing.T) {
	r := Report{Title: "$a$ `b` <c>", Sections: []Section{{Title: "one", Blocks: []Block{
		Text("# heading"), Text("- item"), Text("+ item"), Text("12. item"), Text("3) item"), Text("    code"), Text("---"), Text("## two"), Text("3.00 s of it"), Text("-5 %"), Text("a - b # c 1. d"),
		&Table{Columns: []Column{{"a|b", false}}, Rows: [][]Cell{{{Text: "x|y\nz $1$", Sub: "1|2\n3"}}}, Notes: []string{"n|m"}},
	}}}}
	var b strings.Builder
	if err := r.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# \\$a\\$ \\`b\\` &lt;c&gt;\n", "\n\\# heading\n", "\n\\- item\n", "\n\\+ item\n", "\n12\\. item\n", "\n3\\) item\n", "\ncode\n", "\n\\---\n", "\n\\## two\n", "\n3.00 s of it\n", "\n-5 %\n", "\na - b # c 1. d\n",
		"\n| a\\|b |\n|---|\n| x\\|y z \\$1\\$<br>1\\|2<br>3 |\n", " n\\|m  \n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, b.String())
		}
	}
}
