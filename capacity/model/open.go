package model

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/scenarios/strict"
)

//go:embed systems
var ready embed.FS

// Names lists the ready-made Systems, sorted.
func Names() []string {
	files, err := fs.Glob(ready, "systems/*.yaml")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".yaml")
	}
	slices.Sort(files)
	return files
}

// Open reads the System that ref names: a ready-made one, or a System file of
// files, which is nil where only ready-made ones are meant. It reads the file of the System's schema too. What is wrong with a
// System file is strict.Faults; a file that can't be read is the fs.FS's error.
func Open(ref string, files fs.FS) (*System, error) {
	file := path.Clean(ref)
	if slices.Contains(Names(), ref) || files == nil {
		file, files = path.Join("systems", ref+".yaml"), ready
	}
	src, err := fs.ReadFile(files, file)
	if err != nil {
		return nil, fmt.Errorf("system %q is neither ready-made (%s) nor a file that can be read: %w", ref, strings.Join(Names(), ", "), err)
	}
	s, doc, faults := parse(file, src)
	if faults != nil {
		return nil, faults
	}
	if s.Schema != "" {
		s.SDL, err = fs.ReadFile(files, path.Join(path.Dir(file), s.Schema))
		if err != nil {
			return nil, strict.Faults{doc.Fault("schema", "can't be read: "+err.Error(), "")}
		}
	}
	return s, nil
}
