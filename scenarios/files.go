package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// maxFile bounds each file that a scenario names, in bytes.
const maxFile = 16 << 20

// OSFiles returns the machine's own files for ParseFile. Unlike a plain fs.FS
// it opens any path that the operating system knows: absolute ones, and ones
// with "..", relative to the working folder.
func OSFiles() fs.FS { return osFiles{} }

type osFiles struct{}

func (osFiles) Open(name string) (fs.File, error) { return os.Open(filepath.FromSlash(name)) }

// folder is a folder of fsys. It opens names relative to itself, also those
// that lead out of it, and absolute ones, as far as fsys does.
type folder struct {
	fsys fs.FS
	dir  string
}

func (f folder) Open(name string) (fs.File, error) { return f.fsys.Open(f.resolve(name)) }

func (f folder) resolve(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return path.Join(f.dir, filepath.ToSlash(name))
}

// readFile returns the content of a regular file of at most limit bytes, or one
// byte more of a larger one. Its error says what is wrong without the name.
func readFile(fsys fs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, reason(err)
	}
	if info.IsDir() {
		return nil, errors.New("is a folder, not a file")
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(f, limit+1)); err != nil {
		return nil, reason(err)
	}
	return b.Bytes(), nil
}

func reason(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("doesn't exist")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("can't be read: no permission")
	case errors.Is(err, fs.ErrInvalid):
		return errors.New("lies outside of the scenario's files")
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("can't be read: %w", err)
}
