package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/capacity/loads"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/price"
	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/graphql"
	"github.com/headroom-load/headroom/scenarios/kafka"
	"github.com/headroom-load/headroom/scenarios/strict"
)

// prepared is a scenario that nothing is known to be wrong with.
type prepared struct {
	scenario *scenarios.Scenario
	// system is the sandbox's backend, and systemRef how another process of
	// this program finds it; nil and "" for other targets.
	system    *model.System
	systemRef string
	// sandboxSeed drives the sandbox's random draws.
	sandboxSeed uint64
}

// prepare reads the scenario with the given file name, or the ready-made one of
// that name, and everything it names, and reports every fault at once.
func (a app) prepare(ref string) (*prepared, error) { return a.prepareAgainst(ref, nil) }

// prepareAgainst does so with a System in the place of the scenario's target,
// where sys is not nil.
func (a app) prepareAgainst(ref string, sys *model.System) (*prepared, error) {
	files, name := scenarios.OSFiles(), filepath.ToSlash(ref)
	if info, err := os.Stat(ref); (errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir()) && !strings.ContainsAny(ref, `./\`) {
		if slices.Contains(readyNames(), ref) {
			files, name = scenarios.Ready(), ref+".yaml"
		} else {
			return nil, inputFaults(strict.Faults{{
				File: ref, Problem: "is no file and no ready-made scenario", Hint: "ready-made are " + strings.Join(readyNames(), ", "),
			}})
		}
	}
	s, faults := scenarios.ParseFile(files, name, a.env)
	if faults != nil {
		return nil, inputFaults(faults)
	}
	p := &prepared{scenario: s, sandboxSeed: 1}
	var schema []byte
	if sys != nil {
		p.system, schema = sys, sys.SDL
	} else if sandbox := s.Target.Sandbox; sandbox != "" {
		sys, err := model.Open(sandbox, s.Files)
		var faults strict.Faults
		switch {
		case errors.As(err, &faults):
			return nil, inputFaults(faults)
		case err != nil:
			hint := "ready-made are " + strings.Join(model.Names(), ", ")
			return nil, inputFaults(strict.Faults{s.Fault("target.sandbox", "is neither a ready-made System nor a file that can be read", hint)})
		}
		p.system, p.systemRef, schema = sys, sandbox, sys.SDL
		if !slices.Contains(model.Names(), sandbox) {
			p.systemRef = sandbox
			if !filepath.IsAbs(sandbox) {
				p.systemRef = filepath.Join(filepath.Dir(ref), filepath.FromSlash(sandbox))
			}
		}
	}
	faults = append(graphql.Check(s, schema), slices.Concat(kafka.Check(s), quotas.Check(s, p.system), price.Check(s), loads.Check(s))...)
	if len(faults) > 0 {
		return nil, inputFaults(strict.Merge(faults))
	}
	return p, nil
}

// readyNames returns the names of the ready-made scenarios.
func readyNames() []string {
	files, err := fs.Glob(scenarios.Ready(), "*.yaml")
	if err != nil {
		return nil
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".yaml")
	}
	return files
}
