//go:build !unix

package rehearsal

import "time"

func processTime() (time.Duration, bool) { return 0, false }

// OpenFiles returns 0: this system's limit of open files isn't known.
func OpenFiles() int { return 0 }
