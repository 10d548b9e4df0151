package measure

import (
	"fmt"
	"os"
	"sync"
)

// Shelf keeps what is packed of Rows and Points: the last of it in memory, and what
// was there before in a temporary file without a name, which is closed once nobody has
// the shelf any more. Where there is no room for such a file, all stays in memory.
// A file that can't be read back is Lost. The zero value is empty. It is safe for concurrent use.
type Shelf struct {
	mu       sync.Mutex
	file     *os.File // nil before the first bytes go there; the collector of garbage closes it
	filed    int64    // bytes in the file
	rest     []byte   // those after them
	inMemory bool     // for good: the file can't be written
}

// shelved is where bytes of a Shelf are.
type shelved struct {
	at int64
	n  int
}

// mostInMemory is how many bytes are kept in memory before they are written, about
// as much as rows and points of a run of an hour take.
const mostInMemory = 1 << 19

// put keeps a copy of b.
func (s *Shelf) put(b []byte) shelved {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rest)+len(b) > mostInMemory && !s.inMemory {
		s.write()
	}
	at := s.filed + int64(len(s.rest))
	s.rest = append(s.rest, b...)
	return shelved{at, len(b)}
}

// write moves what is in memory to the file.
func (s *Shelf) write() {
	err := error(nil)
	if s.file == nil {
		s.file, err = nameless()
	}
	if err == nil {
		_, err = s.file.WriteAt(s.rest, s.filed)
	}
	if err != nil {
		s.inMemory = true
		return
	}
	s.filed, s.rest = s.filed+int64(len(s.rest)), s.rest[:0]
}

// nameless returns a new temporary file that has no name.
func nameless() (*os.File, error) {
	f, err := os.CreateTemp("", "headroom-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil { // a system that keeps files that are open
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, err
	}
	return f, nil
}

// get returns what was put, in the memory of into where it has room, and as many
// bytes after it as readColumn asks for.
func (s *Shelf) get(k shelved, into []byte) []byte {
	if n := k.n + loaded; cap(into) < n {
		into = make([]byte, n)
	}
	into = into[:k.n+loaded]
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.at >= s.filed {
		copy(into, s.rest[k.at-s.filed:][:k.n])
		return into
	}
	if _, err := s.file.ReadAt(into[:k.n], k.at); err != nil {
		panic(&Lost{err})
	}
	return into
}

// Lost is what reading rows or points panics with where their temporary file can't be
// read back. It is as if memory were lost: nothing can be told of the run without it,
// and nobody who reads them could go on. The program ends with it as its error.
type Lost struct{ Err error }

func (l *Lost) Error() string {
	return fmt.Sprintf("rows of the run were lost: their temporary file in %s can't be read back: %v", os.TempDir(), l.Err)
}

func (l *Lost) Unwrap() error { return l.Err }

// Recovered is the Lost that a deferred function has recovered, nil without one. Any
// other panic goes on.
func Recovered(panicked any) *Lost {
	lost, ok := panicked.(*Lost)
	if !ok && panicked != nil {
		panic(panicked)
	}
	return lost
}
