package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The scenario that the README shows is one that check accepts, and the verbs
// that it names are there.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("no scenario in the README")
	}
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{
		"launch.yaml":  string(block[1]),
		"list.graphql": "query listPrograms($first: Int!) { listPrograms(first: $first) { id } }",
		"get.graphql":  "query getProgram($id: ID!) { getProgram(id: $id) { id } }",
		"ids.csv":      "id\np1\np2\n",
	} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out, faults bytes.Buffer
	a := app{stdin: strings.NewReader(""), stdout: &out, stderr: &faults, env: func(name string) (string, bool) {
		v, ok := map[string]string{
			"APPSYNC_URL": "https://abc.appsync-api.ap-northeast-1.amazonaws.com/graphql", "APPSYNC_API_KEY": "da2-key", "HOME": t.TempDir(),
		}[name]
		return v, ok
	}}
	if code := run(context.Background(), []string{"check", "launch.yaml"}, a); code != exitDone {
		t.Errorf("exit code %d: %s%s", code, out.String(), faults.String())
	}
	if lines := bytes.Count(block[1], []byte("\n")); lines > 15 {
		t.Errorf("the README's scenario has %d lines, which is more than a first look takes in", lines)
	}
	for _, verb := range regexp.MustCompile(`(?m)^headroom ([a-z]+).* #`).FindAllSubmatch(readme, -1) {
		if code := run(context.Background(), []string{string(verb[1]), "--help"}, a); code != exitDone {
			t.Errorf("headroom %s: exit code %d", verb[1], code)
		}
	}
}
