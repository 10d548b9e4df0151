package calibration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Schema is the format of a kept calibration.
const Schema = "headroom.calibration/1"

type file struct {
	Schema string `json:"schema"`
	*capacity.Calibration
}

// Path returns where this machine's calibration is kept: in the user's cache.
func Path() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "headroom", "calibration.json"), nil
}

// Save writes a calibration to a file, whose folder it makes.
func Save(path string, c *capacity.Calibration) error {
	b, err := json.MarshalIndent(file{Schema, c}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// Whole or not at all: a run may read it at this moment.
	f, err := os.CreateTemp(filepath.Dir(path), ".calibration-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// Read reads a calibration from a file.
func Read(path string) (*capacity.Calibration, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var f file
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("%s: is no calibration: %w", path, err)
	}
	if f.Schema != Schema || f.Calibration == nil || !(f.Ceiling > 0) || f.CeilingHTTP2 < 0 {
		return nil, fmt.Errorf("%s: is no calibration", path)
	}
	return f.Calibration, nil
}

// Kept returns the calibration that is kept at path for this machine and
// program. It is nil where there is none, or where it is of another machine,
// another number of CPUs or another version.
func Kept(path string, t capacity.Tool) (*capacity.Calibration, error) {
	c, err := Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if os, arch, cpus, procs, tool := here(t); c.OS != os || c.Arch != arch || c.CPUs != cpus || c.GOMAXPROCS != procs || c.Tool != tool {
		return nil, nil
	}
	return c, nil
}

// Above says that the peak rate of a plan, over HTTP/2 or HTTP/1.1, is above the
// ceiling of the calibration, or nothing. Where that isn't known, nothing is known to
// be above.
func Above(c *capacity.Calibration, http2 bool, peak float64) error {
	ceiling := c.CeilingOver(http2)
	if ceiling == 0 || peak <= ceiling {
		return nil
	}
	return fmt.Errorf("the plan's peak is %s requests/s, and this machine's ceiling %s requests/s (calibrated %s)",
		unit.Human(peak), unit.Human(ceiling), c.At.Format("2006-01-02"))
}
