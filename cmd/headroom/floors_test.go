package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/headroom-load/headroom/"

// room is a package and what it may import.
type room struct {
	pkg    string
	why    string   // said when the rule is broken
	may    []string // packages of the project; "x/..." is x and all below it
	doorOf []string // modules that only this and equally listed packages import
}

// rooms lists every package with what of the project it may import and which
// modules it is the door of. Imports run one way: cmd -> reports -> capacity ->
// scenarios. Adjust the table with the tree, in the same commit.
var rooms = []room{
	{"scenarios/unit", "units are values that everything else is built from", nil, nil},
	{"scenarios/strict", "the YAML door knows no meaning of what it reads", nil, []string{"go.yaml.in/yaml/v4"}},
	{"scenarios/sdl", "the GraphQL door knows nothing of load", nil, []string{"github.com/vektah/gqlparser/v2"}},
	{"capacity/stats", "statistics know only numbers", nil, []string{"gonum.org/v1/gonum"}},

	{"scenarios/measure", "samples are made of units", floor0, []string{"github.com/HdrHistogram/hdrhistogram-go"}},
	{"scenarios", "a scenario is values", append([]string{"scenarios/measure"}, floor0...), nil},
	{"scenarios/load", "the schedule and the runner know no protocol", floor1, nil},
	{"scenarios/graphql/http1", "the client for load knows only bytes and the network", nil, []string{"github.com/andybalholm/brotli"}},
	{"scenarios/graphql/http2", "the client for load knows only bytes and the network", []string{"scenarios/graphql/http1"}, nil},
	{"scenarios/graphql", "a driver reaches its target over the wire alone", append([]string{"scenarios/load", "scenarios/graphql/http1", "scenarios/graphql/http2"}, floor1...), []string{"github.com/tsenart/vegeta/v12", "github.com/aws/aws-sdk-go-v2"}},
	{"scenarios/kafka", "a driver reaches its target over the wire alone", append([]string{"scenarios/load"}, floor1...), []string{"github.com/twmb/franz-go", "github.com/aws/aws-sdk-go-v2"}},

	{"capacity/model/limiter", "a limiter is arithmetic in explicit time", floor1, nil},
	{"capacity/model", "the model is the one truth of sandbox and simulator, so it knows neither", append([]string{"capacity/model/limiter"}, floor1...), nil},
	{"capacity/model/fluid", "rates know the System's values alone", append([]string{"capacity/model"}, floor1...), nil},
	{"capacity/model/retry", "what clients do is arithmetic in explicit time", nil, nil},
	{"capacity", "an assessment is pure", floor4, nil},

	{"capacity/quotas", "limits know no cloud client", floor5, nil},
	{"capacity/observe", "collecting knows no cloud client", floor5, nil},
	{"capacity/record", "a record is what a run leaves", floor5, nil},
	{"capacity/comparison", "a comparison is pure", floor5, nil},
	{"capacity/observe/cloudwatch", "a source never knows the sandbox: it reaches it as it reaches AWS", append([]string{"capacity/observe"}, floor5...), []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"}},
	{"capacity/observe/kafkabroker", "what brokers say is asked over the wire alone, as the driver reaches them", append([]string{"scenarios/kafka", "capacity/quotas"}, floor5...), []string{"github.com/twmb/franz-go"}},
	{"capacity/quotas/servicequotas", "a source never knows the sandbox: it reaches it as it reaches AWS", append([]string{"capacity/quotas"}, floor5...), []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"}},
	{"capacity/sandbox/broker", "the sandbox is a backend: it must not know what measures it", floor4, []string{"github.com/twmb/franz-go"}},
	{"capacity/sandbox/...", "the sandbox is a backend: it must not know what measures it", []string{"capacity/sandbox/...", "scenarios/unit", "scenarios/measure", "scenarios/strict", "scenarios/sdl", "capacity", "capacity/model/..."}, []string{"github.com/aws/smithy-go"}},
	{"capacity/loads", "what a run plans is the same whether it is measured or simulated", append([]string{"scenarios/load", "capacity/quotas"}, floor5...), nil},
	{"capacity/simulator", "a simulation knows no clock and no wire: only the schedule, the System and the record's values", append([]string{"scenarios/load", "capacity/loads", "capacity/quotas"}, floor5...), nil},
	{"capacity/simulator/simulatortest", "runs for tests are simulated", append([]string{"capacity/simulator"}, floor5...), nil},
	{"capacity/rehearsal", "a rehearsal gets its drivers and sources from the wiring", append([]string{"scenarios/load", "capacity/loads", "capacity/observe", "capacity/record", "capacity/quotas", "capacity/price"}, floor5...), nil},

	{"capacity/price", "prices are a list and arithmetic", floor5, nil},
	{"capacity/fit", "a System is fitted to runs alone", floor5, nil},
	{"capacity/plan", "a plan is arithmetic from an assessed run", append([]string{"capacity/price"}, floor5...), nil},
	{"capacity/search", "a search knows only rates and results", nil, nil},
	{"capacity/calibration", "a calibration goes the way of a run, with drivers from the wiring", append([]string{"scenarios/load", "capacity/record", "capacity/rehearsal"}, floor5...), nil},

	{"reports/plot", "figures are drawn from a run alone", floor5, []string{"gonum.org/v1/plot", "golang.org/x/image"}},
	{"reports", "reports are made from a record alone, offline", append([]string{"reports/plot", "capacity/comparison", "capacity/plan", "capacity/price"}, floor5...), nil},
	{"reports/pack", "a request is made from a record alone, offline", append([]string{"reports", "capacity/plan", "capacity/record"}, floor5...), nil},
	{"cmd/headroom", "the command line wires everything, but what is for tests", []string{"scenarios/...", "capacity/...", "reports/..."}, []string{"github.com/spf13/cobra", "github.com/aws/aws-sdk-go-v2"}},
}

var (
	floor0 = []string{"scenarios/unit", "scenarios/strict", "scenarios/sdl", "capacity/stats"}
	floor1 = append([]string{"scenarios", "scenarios/measure"}, floor0...)
	floor4 = append([]string{"capacity/model/..."}, floor1...)
	floor5 = append([]string{"capacity"}, floor4...)
)

// pure lists the packages that must give the same answer every time, and what
// they may therefore not call.
var pure = map[string][]string{
	"capacity/model":         {"os", "net", "net/http"},
	"capacity/model/limiter": {"os", "net", "net/http"},
	"capacity/model/fluid":   {"os", "net", "net/http"},
	"capacity/model/retry":   {"os", "net", "net/http"},
	"capacity/stats":         {"os", "net", "net/http"},
	"capacity":               {"os", "net", "net/http"},
	"capacity/comparison":    {"os", "net", "net/http"},
	"capacity/loads":         {"os", "net", "net/http"},
	"capacity/simulator":     {"os", "net", "net/http"},
	"capacity/search":        {"os", "net", "net/http", "time"},
	"capacity/plan":          {"os", "net", "net/http", "time"},
	"capacity/fit":           {"os", "net", "net/http", "time"},
	"capacity/price":         {"os", "net", "net/http"},
	"reports":                {"net", "net/http"},
	"reports/plot":           {"net", "net/http", "os"},
}

func TestFloors(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	for _, top := range []string{"cmd", "scenarios", "capacity", "reports"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			rel, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			pkg := path.Dir(filepath.ToSlash(rel))
			seen[pkg] = true
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, spec := range f.Imports {
				name, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				if problem := forbidden(pkg, name); problem != "" {
					t.Errorf("%s imports %s: %s", rel, name, problem)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range rooms {
		if !strings.HasSuffix(r.pkg, "/...") && !seen[r.pkg] {
			t.Errorf("the table names %s, which is not there", r.pkg)
		}
	}
}

// forbidden says why a package may not import another, or "". What is for tests, whose
// name ends in test, is imported by them alone.
func forbidden(pkg, name string) string {
	at := slices.IndexFunc(rooms, func(r room) bool { return matches(r.pkg, pkg) })
	if at < 0 {
		return fmt.Sprintf("package %s is not in the table of floors", pkg)
	}
	r := rooms[at]
	if local, ok := strings.CutPrefix(name, module); ok {
		if local != pkg && (strings.HasSuffix(local, "test") || !slices.ContainsFunc(r.may, func(m string) bool { return matches(m, local) })) {
			return r.why
		}
		return ""
	}
	if slices.Contains(pure[pkg], name) {
		return "this package calls no network and no file system"
	}
	if !strings.Contains(strings.SplitN(name, "/", 2)[0], ".") {
		return "" // the standard library
	}
	for _, door := range r.doorOf {
		if name == door || strings.HasPrefix(name, door+"/") {
			return ""
		}
	}
	return "each module has one door: " + r.why
}

func matches(pattern, pkg string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == base || strings.HasPrefix(pkg, base+"/")
	}
	return pattern == pkg
}

// The table itself must refuse what it is for.
func TestFloorsRefuse(t *testing.T) {
	for _, c := range []struct{ pkg, imports string }{
		{"scenarios/graphql", module + "capacity/sandbox"},
		{"capacity/observe/cloudwatch", module + "capacity/sandbox"},
		{"capacity/model", "net/http"},
		{"scenarios", module + "capacity"},
		{"reports", "github.com/aws/aws-sdk-go-v2/aws"},
		{"capacity", "go.yaml.in/yaml/v4"},
		{"scenarios/util", "fmt"},
		{"cmd/headroom", module + "capacity/simulator/simulatortest"},
	} {
		if forbidden(c.pkg, c.imports) == "" {
			t.Errorf("%s may import %s", c.pkg, c.imports)
		}
	}
}
