// Package simulatortest makes runs for tests from what matters of their System and
// their loads, each written as in its file, and ends the test where one has a fault.
package simulatortest

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/scenarios"
)

// System returns the System named x of the text, which begins behind its name.
func System(t testing.TB, text string) *model.System {
	t.Helper()
	sys, err := model.Parse("x.yaml", []byte("version: 1\nname: x\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return sys
}

// Scenario returns the scenario named s of the text, which begins behind its target.
func Scenario(t testing.TB, text string) *scenarios.Scenario {
	t.Helper()
	return parse(t, fstest.MapFS{"s.yaml": {Data: []byte("version: 1\nname: s\ntarget: {sandbox: premiere}\n" + text)}}, "s.yaml")
}

// Ready returns a ready-made scenario with its System.
func Ready(t testing.TB, name string) (*scenarios.Scenario, *model.System) {
	t.Helper()
	s := parse(t, scenarios.Ready(), name+".yaml")
	sys, err := model.Open(s.Target.Sandbox, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, sys
}

func parse(t testing.TB, files fs.FS, name string) *scenarios.Scenario {
	t.Helper()
	s, faults := scenarios.ParseFile(files, name, func(string) (string, bool) { return "", false })
	if faults != nil {
		t.Fatal(faults)
	}
	return s
}

// Run simulates the scenario request by request; without another id the run's is "run".
func Run(t testing.TB, s *scenarios.Scenario, sys *model.System, o simulator.Options) *capacity.Run {
	t.Helper()
	if o.ID == "" {
		o.ID = "run"
	}
	run, err := simulator.Run(s, sys, o)
	if err != nil {
		t.Fatal(err)
	}
	return run
}
