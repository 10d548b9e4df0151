// Package pack is the room of the request for more quota: one folder that tells
// whoever decides what is asked for, why and by when, with the run that shows it,
// the figures drawn from it, the rows behind them and the exact parameters of the
// Service Quotas call.
//
// A pack is a pure function of the run's record and of what was asked: Build
// makes every file from these two, and Verify makes them again and compares. So
// a figure that was changed, in the text or in the rows, is found, and so is a
// file that was added.
package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/plan"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/reports"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Asked is what a pack says beyond what its run shows.
type Asked struct {
	Rate      float64 `json:"rate"`   // target, arrivals per second
	Margin    float64 `json:"margin"` // confidence; 0: means only
	LoseOneOf int     `json:"lose_one_of,omitempty"`
	Region    string  `json:"region"`
	Account   string  `json:"account,omitempty"`
	Contact   string  `json:"contact,omitempty"` // who asks
	Why       string  `json:"why,omitempty"`
	By        string  `json:"by,omitempty"` // date of the launch, YYYY-MM-DD
}

// Raise is the parameters of one RequestServiceQuotaIncrease call, which takes
// no free text: the text is for the support case.
type Raise struct {
	Quota        string  `json:"quota"`
	ServiceCode  string  `json:"ServiceCode"`
	QuotaCode    string  `json:"QuotaCode"`
	DesiredValue float64 `json:"DesiredValue"`
	Current      float64 `json:"current"`
	CLI          string  `json:"cli"`
}

// Request is request.json.
type Request struct {
	Schema  string          `json:"schema"`
	Asked   Asked           `json:"asked"`
	Run     string          `json:"run"`
	Kind    capacity.Kind   `json:"kind"`
	Verdict capacity.Status `json:"verdict"`
	// Raises are asked of Service Quotas; Elsewhere are the quotas that it does
	// not know, which are asked of their service's support, or designed away.
	Raises    []Raise    `json:"raises"`
	Elsewhere []string   `json:"elsewhere"`
	Plan      *plan.Plan `json:"plan"`
}

// Schema is the version of request.json.
const Schema = "headroom.request/1"

const (
	requestFile = "request.json"
	textFile    = "request.md"
	sumsFile    = "SHA256SUMS"
	recordDir   = "record"
)

// RefusedError is the refusal to ask on the strength of a run that is not VALID.
type RefusedError struct{ Status capacity.Status }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the run is %s, so it is no evidence: rehearse again", e.Status)
}

// ErrEnough says that there is nothing to ask for.
var ErrEnough = errors.New("every quota whose cost is known suffices for the target: there is nothing to ask for")

// Write builds the pack of the record in runDir and writes it to dir, which must
// not exist or be empty, or hold a pack. It returns the request and the digest of
// the whole pack.
func Write(dir, runDir string, a Asked) (*Request, string, error) {
	if err := replaceable(dir); err != nil {
		return nil, "", err
	}
	files, request, err := build(runDir, a)
	if err != nil {
		return nil, "", err
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, "", err
	}
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return nil, "", err
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return nil, "", err
		}
	}
	return request, digest(files), nil
}

// ErrNotAPack says that a folder holds something else, which is not replaced.
var ErrNotAPack = errors.New("folder is not empty and holds no request pack")

func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := readRequest(dir); err != nil {
		return fmt.Errorf("%s: %w", dir, ErrNotAPack)
	}
	return nil
}

func readRequest(dir string) (*Request, error) {
	b, err := os.ReadFile(filepath.Join(dir, requestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no request pack there (no %s): name the folder that headroom request made", requestFile)
	}
	if err != nil {
		return nil, err
	}
	var r Request
	if err := json.Unmarshal(b, &r); err != nil || r.Schema != Schema {
		return nil, fmt.Errorf("%s is no request of this program", requestFile)
	}
	return &r, nil
}

// Read returns what a pack asks for.
func Read(dir string) (*Request, error) { return readRequest(dir) }

// Verify makes the pack in dir again from its own record and returns the digest
// of the whole, and every difference there is. An error means that there is no
// pack to verify.
func Verify(dir string) (sum string, differences []string, err error) {
	request, err := readRequest(dir)
	if err != nil {
		return "", nil, err
	}
	there := map[string][]byte{}
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		there[filepath.ToSlash(rel)], err = os.ReadFile(name)
		return err
	})
	if err != nil {
		return "", nil, err
	}
	// Sums are quick to check and tell a changed byte from a changed program.
	if sums := sumsOf(there); !bytes.Equal(sums, there[sumsFile]) {
		return digest(there), unlike(sums, there), nil
	}
	made, _, err := build(filepath.Join(dir, recordDir), request.Asked)
	if err != nil {
		return digest(there), []string{"it can't be made from its record: " + err.Error()}, nil
	}
	for name, content := range made {
		switch got, ok := there[name]; {
		case !ok:
			differences = append(differences, name+" is missing")
		case !bytes.Equal(got, content):
			differences = append(differences, name+" is not what the record gives")
		}
	}
	for name := range there {
		if _, ok := made[name]; !ok {
			differences = append(differences, name+" doesn't belong to the pack")
		}
	}
	slices.Sort(differences)
	return digest(there), differences, nil
}

// unlike says of each file what differs from the sums that the pack came with, where
// those of what is there are others.
func unlike(sums []byte, there map[string][]byte) (differences []string) {
	listed, ok := there[sumsFile]
	if !ok {
		return []string{sumsFile + " is missing"}
	}
	was, is := byName(listed), byName(sums)
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if sum, ok := was[name]; !ok {
			differences = append(differences, name+" was added: "+sumsFile+" doesn't name it")
		} else if sum != is[name] {
			differences = append(differences, name+" was changed: it is not what "+sumsFile+" says")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if _, ok := is[name]; !ok {
			differences = append(differences, name+" is missing: "+sumsFile+" names it")
		}
	}
	if len(differences) == 0 {
		differences = []string{sumsFile + " was changed: it isn't as headroom writes it"}
	}
	return differences
}

// byName reads sums as sha256sum writes them: two spaces stand before the name.
func byName(sums []byte) map[string]string {
	files := map[string]string{}
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		files[name] = sum
	}
	return files
}

// digest is the SHA-256 of the sums of all files.
func digest(files map[string][]byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(files[sumsFile]))
}

// build makes every file of the pack.
func build(runDir string, a Asked) (map[string][]byte, *Request, error) {
	run, err := record.Read(runDir)
	if err != nil {
		return nil, nil, err
	}
	if len(run.Damage) > 0 {
		return nil, nil, fmt.Errorf("the record is damaged: %s", strings.Join(run.Damage, "; "))
	}
	assessment := capacity.Assess(run)
	if s := assessment.Verdict.Status; s != capacity.Valid {
		return nil, nil, &RefusedError{s}
	}
	p, err := plan.New(run, assessment, plan.Request{Rate: a.Rate, Margin: a.Margin, LoseOneOf: a.LoseOneOf})
	if err != nil {
		return nil, nil, err
	}
	if len(p.Steps) == 0 {
		return nil, nil, ErrEnough
	}
	request := &Request{
		Schema: Schema, Asked: a, Run: run.Manifest.ID, Kind: run.Manifest.Kind, Verdict: assessment.Verdict.Status,
		Raises: []Raise{}, Elsewhere: []string{}, Plan: p,
	}
	for _, s := range p.Steps {
		if s.Code == "" || !s.Adjustable {
			request.Elsewhere = append(request.Elsewhere, s.Quota)
			continue
		}
		request.Raises = append(request.Raises, raise(s, a.Region))
	}
	covered := p
	if a.Margin == 0 {
		if covered, err = plan.New(run, assessment, plan.Request{Rate: a.Rate, Margin: usual, LoseOneOf: a.LoseOneOf}); err != nil {
			return nil, nil, err
		}
	}
	report := text(run, assessment, request, covered)
	files, err := report.Pictures()
	if err != nil {
		return nil, nil, err
	}
	var md bytes.Buffer
	if err := report.Markdown(&md); err != nil {
		return nil, nil, err
	}
	files[textFile] = md.Bytes()
	if files[requestFile], err = json.MarshalIndent(request, "", "  "); err != nil {
		return nil, nil, err
	}
	files[requestFile] = append(files[requestFile], '\n')
	for _, name := range record.Files() {
		b, err := os.ReadFile(filepath.Join(runDir, name))
		if err != nil {
			return nil, nil, err
		}
		files[path.Join(recordDir, name)] = b
	}
	files[sumsFile] = sumsOf(files)
	return files, request, nil
}

// sumsOf returns the sums of all files but of the sums themselves, as sha256sum
// writes and checks them.
func sumsOf(files map[string][]byte) []byte {
	var sums bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != sumsFile {
			fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(files[name]), name)
		}
	}
	return sums.Bytes()
}

func raise(s plan.Step, region string) Raise {
	value := strconv.FormatFloat(s.Required, 'f', -1, 64)
	return Raise{
		Quota: s.Quota, ServiceCode: s.Service, QuotaCode: s.Code, DesiredValue: s.Required, Current: s.Limit,
		CLI: fmt.Sprintf("aws service-quotas request-service-quota-increase --service-code %s --quota-code %s --desired-value %s --region %s", s.Service, s.Code, value, region),
	}
}

// usual is the confidence of the margin that a request without one is held against.
const usual = 0.99

// text is request.md: the answers to what a support case asks, then the
// evidence. covered is the plan with a margin.
func text(run *capacity.Run, a capacity.Assessment, r *Request, covered *plan.Plan) *reports.Report {
	m := &run.Manifest
	planned := reports.Plan(r.Plan)
	full := reports.New(run, a)
	out := &reports.Report{
		Title: "Request for quota: " + m.Scenario.Name,
		Facts: []string{string(m.Kind) + " run " + m.ID, m.Start.UTC().Format("2006-01-02 15:04:05 UTC"), string(a.Verdict.Status)},
		Lead:  planned.Lead,
		Under: planned.Under,
	}
	if m.Kind != capacity.Measured || m.Sandbox {
		out.Banner = &reports.Banner{Tone: reports.Warning, Head: "NO EVIDENCE", Text: "The run behind this request went to a sandbox or was simulated: it shows what the request will look like. Rehearse against the real service before you send it."}
	}
	fields := &reports.Table{Columns: []reports.Column{{Name: "question"}, {Name: "answer"}}}
	add := func(question, answer, missing string) {
		c := reports.Cell{Text: answer}
		if answer == "" {
			c = reports.Cell{Text: missing, Tone: reports.Warning}
		}
		fields.Rows = append(fields.Rows, []reports.Cell{{Text: question}, c})
	}
	add("who", r.Asked.Contact, "not said (--contact)")
	add("account", r.Asked.Account, "not said (--account)")
	add("Region", r.Asked.Region, "not said (--region)")
	add("what", strings.Join(wanted(r.Plan), "; "), "")
	margin := reports.Margin(r.Plan.Margin)
	if r.Plan.Margin == 0 {
		margin += ". With --margin p99 it would be " + strings.Join(wanted(covered), "; ")
	}
	add("margin", margin, "")
	add("why", r.Asked.Why, "not said (--why)")
	add("by when", r.Asked.By, "not said (--by)")
	add("peak and mean rate", rates(run, r.Asked.Rate), "")
	add("ramp", profile(run), "not recorded")
	out.Sections = append(out.Sections, reports.Section{ID: "request", Title: "The request", Blocks: []reports.Block{fields}})
	if len(r.Raises) > 0 {
		calls := &reports.Table{Columns: []reports.Column{{Name: "quota"}, {Name: "command"}}}
		for _, x := range r.Raises {
			calls.Rows = append(calls.Rows, []reports.Cell{{Text: x.Quota}, {Text: x.CLI}})
		}
		out.Sections = append(out.Sections, reports.Section{ID: "calls", Title: "The calls", Blocks: []reports.Block{calls}})
	}
	if len(r.Elsewhere) > 0 {
		out.Sections = append(out.Sections, reports.Section{ID: "elsewhere", Title: "Not in Service Quotas", Blocks: []reports.Block{
			reports.Text("Service Quotas can't raise " + strings.Join(r.Elsewhere, ", ") + ": ask the service's support with this text, or design the limit away as the steps say."),
		}})
	}
	out.Sections = append(out.Sections, planned.Sections...)
	for _, s := range full.Sections {
		if slices.Contains([]string{"headroom", "operations", "tokens", "figures", "checks", "provenance", "glossary"}, s.ID) {
			s.Title = "Evidence: " + strings.ToLower(s.Title[:1]) + s.Title[1:]
			out.Sections = append(out.Sections, s)
		}
	}
	return out
}

// wanted lists what is asked for.
func wanted(p *plan.Plan) []string {
	var out []string
	for _, s := range p.Steps {
		show := func(v float64) string {
			if s.Kind == capacity.RateQuota {
				return unit.HumanCount(v, s.Unit) + "/s"
			}
			return unit.HumanCount(v, s.Unit)
		}
		name := s.Name
		if s.Code != "" {
			name += " (" + s.Code + ")"
		}
		out = append(out, fmt.Sprintf("%s: from %s to %s", name, show(s.Limit), show(s.Required)))
	}
	return out
}

func rates(run *capacity.Run, target float64) string {
	var planned, end float64
	for _, l := range run.Manifest.Loads {
		planned += float64(l.Planned)
		end = max(end, l.End())
	}
	thing, each := unit.Requests, unit.Requests // in all, and a second
	switch {
	case run.Manifest.OnlyKafka():
		thing, each = unit.Records, unit.Records
	case slices.ContainsFunc(run.Manifest.Loads, capacity.Load.Kafka):
		thing, each = "requests and records", unit.Arrivals
	}
	if end == 0 {
		return fmt.Sprintf("peak %s", unit.HumanRate(target, each))
	}
	return fmt.Sprintf("peak %s expected; the rehearsal sent %s over %s, %s on average",
		unit.HumanRate(target, each), unit.HumanCount(planned, thing), unit.HumanSeconds(end), unit.HumanRate(planned/end, each))
}

func profile(run *capacity.Run) string {
	var out []string
	for _, l := range run.Manifest.Loads {
		for _, s := range l.Stages {
			out = append(out, fmt.Sprintf("%s: %s to %s in %s", s.Name, unit.HumanRate(s.From, unit.Arrivals), unit.HumanRate(s.To, unit.Arrivals), unit.HumanSeconds(s.For)))
		}
	}
	return strings.Join(out, "; ")
}
