package scenarios

import (
	"embed"
	"io/fs"
)

//go:embed *.yaml queries
var ready embed.FS

// Ready returns the ready-made scenarios: *.yaml, and the files that they name.
func Ready() fs.FS { return ready }
