// Headroom rehearses a spike against a GraphQL backend on services with quotas
// and says which quota stops it first, at what rate, and why.
//
// This package is the command line: one file for each verb, wiring.go as the
// only list of drivers and sources, exit.go as the only list of exit codes.
// Results go to standard output, progress and faults to standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.LookupEnv,
	}))
}

// app is what a verb has of the world.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) (string, bool)
}

// run executes a command line and returns its exit code.
func run(ctx context.Context, args []string, a app) int {
	root := &cobra.Command{
		Use:   "headroom",
		Short: "Rehearse a spike and see which quota stops it first",
		Long: `headroom drives GraphQL and Kafka load at a target rate (open loop) from a
scenario file, relates it to the quotas it uses up, and reports which one binds
first, at what rate, and what the launch requires.`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(a.run(), a.simulate(), a.check(), a.report(), a.compare(), a.fit(), a.plan(), a.request(), a.verify(), a.calibrate(), a.sandbox(), a.schema())
	err := execute(ctx, root)
	if err == nil {
		return exitDone
	}
	var e *exitError
	if !errors.As(err, &e) {
		// What cobra refuses itself is a wrong command line.
		e = &exitError{code: exitUsage, err: err, hint: "see headroom --help"}
	}
	if e.err != nil {
		fmt.Fprintf(a.stderr, "headroom: %v\n", e.err)
	}
	if e.hint != "" {
		fmt.Fprintf(a.stderr, "hint: %s\n", e.hint)
	}
	return e.code
}

// execute runs the command. What it can't go on without is its error, wherever it was
// missing.
func execute(ctx context.Context, root *cobra.Command) (err error) {
	defer func() {
		if lost := measure.Recovered(recover()); lost != nil {
			err = &exitError{code: exitFailure, err: lost, hint: "set TMPDIR to a folder on a disk that is sound"}
		}
	}()
	return root.ExecuteContext(ctx)
}

// tool describes this program for records.
func tool() capacity.Tool {
	t := capacity.Tool{Version: "devel"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return t
	}
	t.Go = info.GoVersion
	if v := info.Main.Version; v != "" && v != "(devel)" {
		t.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			t.Revision = s.Value
		case "vcs.modified":
			t.Dirty = s.Value == "true"
		}
	}
	return t
}

// userAgent names this program to servers.
func userAgent() string { return "headroom/" + tool().Version }

func version() string {
	t := tool()
	v := t.Version
	if t.Revision != "" {
		v += " " + t.Revision[:min(12, len(t.Revision))]
	}
	if t.Dirty {
		v += " (modified)"
	}
	return v + " " + t.Go
}
