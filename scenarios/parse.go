package scenarios

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/textproto"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headroom-load/headroom/scenarios/strict"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Bounds of what a scenario may say. They keep a slip of the pen from planning
// a run that no machine can drive.
const (
	maxRate     = 1e7                // arrivals per second of a stage
	maxArrivals = 1e9                // of all loads
	maxLength   = 7 * 24 * time.Hour // of a load, with its start
	maxInFlight = 1_000_000
	maxWeight   = 1e6
	maxWait     = time.Hour // lateness, timeout, settle
)

// ParseFile reads the scenario file with the given name and every file that it
// names, and returns the scenario with defaults filled in, or every fault that
// was found. env looks up environment variables, as os.LookupEnv does.
//
// Relative paths in the file start from its own folder. They are opened through
// fsys, as are absolute ones: OSFiles opens them all, while an ordinary fs.FS
// such as Ready's refuses those that lead out of it. Files are at most 16 MiB,
// the scenario itself 1 MiB.
//
// Fault texts quote what stands in the file, never a value of env.
func ParseFile(fsys fs.FS, name string, env func(string) (string, bool)) (*Scenario, strict.Faults) {
	p := &parser{
		folder:    folder{fsys, path.Dir(name)},
		scenario:  &Scenario{},
		columns:   map[string][]columnUse{},
		private:   map[string]bool{},
		named:     map[string][]byte{},
		loads:     map[string]bool{},
		operation: map[string]*operationUse{},

		environment: map[string]bool{},
	}
	src, err := readFile(fsys, name, strict.MaxSize)
	if err != nil {
		return nil, strict.Faults{{File: name, Problem: err.Error()}}
	}
	var f scenarioFile
	p.doc, p.faults = strict.Options{Expand: func(at, text string) (string, error) {
		e, err := expand(text, env, dataPath.MatchString(at))
		for _, column := range e.columns {
			operation := operationPath.FindString(at)
			p.columns[operation] = append(p.columns[operation], columnUse{at, column})
		}
		p.private[at] = e.environment
		p.environment[at] = strings.Contains(text, "${")
		if at == "target.graphql.endpoint" {
			p.literalHost = !strings.Contains(authority.FindString(text), "${")
		}
		return e.text, err
	}}.Decode(name, src, &f)

	s := p.scenario
	s.document, s.Files, s.Source = p.doc, p.folder, src
	if !slices.ContainsFunc(p.faults, func(f strict.Fault) bool { return f.Path == "" }) {
		p.fill(&f)
	}
	if faults := strict.Merge(p.faults); faults != nil {
		return nil, faults
	}
	s.Digest = p.digest()
	return s, nil
}

var (
	// dataPath matches the scalars that may hold ${row.x}.
	dataPath = regexp.MustCompile(`^loads\[\d+\]\.operations\[\d+\]\.(?:graphql\.variables\b|kafka\.value\.template$)`)
	// operationPath matches the path of what an operation sends.
	operationPath = regexp.MustCompile(`^loads\[\d+\]\.operations\[\d+\]\.(?:graphql|kafka)`)
	// authority matches a URL up to the end of its host and port.
	authority = regexp.MustCompile(`^[^/]*(?://[^/?#]*)?`)
)

type parser struct {
	folder   folder
	doc      *strict.Document
	faults   strict.Faults
	scenario *Scenario
	// columns holds the ${row.x} of each operation's path, private the paths of
	// scalars with a value that only the environment has, and environment those
	// of scalars with any placeholder.
	columns     map[string][]columnUse
	private     map[string]bool
	environment map[string]bool
	literalHost bool
	// named is the content of each file that the scenario names.
	named     map[string][]byte
	loads     map[string]bool
	operation map[string]*operationUse
}

// columnUse is a ${row.x} in the scalar at path.
type columnUse struct{ path, column string }

// operationUse is where an operation was defined, and whether any of its
// arrivals is measured.
type operationUse struct {
	path     string
	measured bool
}

// fault reports a problem at a path that is fine so far. Of very many faults,
// which strict.Merge cuts short anyway, the later ones are left out.
func (p *parser) fault(path, problem, hint string) {
	if len(p.faults) < 5*strict.MaxFaults && !slices.ContainsFunc(p.faults, func(f strict.Fault) bool { return f.Path == path }) {
		p.faults = append(p.faults, p.doc.Fault(path, problem, hint))
	}
}

// fine reports whether nothing was found wrong at the path or below it, so that
// conclusions from the whole of it hold.
func (p *parser) fine(path string) bool {
	return !slices.ContainsFunc(p.faults, func(f strict.Fault) bool {
		rest, below := strings.CutPrefix(f.Path, path)
		return below && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

func (p *parser) fill(f *scenarioFile) {
	s := p.scenario
	if s.Version = f.Version; f.Version != 1 {
		p.fault("version", p.quote("version", strconv.Itoa(f.Version))+" is not a known version", "write version: 1")
	}
	s.Name, s.Description = string(f.Name), string(f.Description)
	if f.Target != nil {
		p.target(f.Target)
	}
	if f.Forecast != nil {
		if s.Forecast = f.Forecast.perSecond(); s.Forecast == 0 {
			p.fault("forecast", "must be greater than 0", "")
		}
	}
	if len(f.Loads) == 0 {
		p.fault("loads", "has no load", "a scenario sends at least one")
	}
	var planned float64
	for i := range f.Loads {
		l, arrivals := p.load(fmt.Sprintf("loads[%d]", i), &f.Loads[i])
		s.Loads = append(s.Loads, l)
		planned += arrivals
	}
	if planned > maxArrivals {
		p.fault("loads", fmt.Sprintf("plan %.3g arrivals, more than %.0g", planned, maxArrivals), "check the units of the rates: is per second meant?")
	}
	p.observe(f.Observe)
	s.Settle = -1
	if f.Settle != nil {
		s.Settle = p.wait("settle", f.Settle)
	}
	for _, q := range f.Quotas {
		if !quotaID.MatchString(q.Key) {
			p.fault(strict.Path("quotas", q.Key), fmt.Sprintf("%.60q is not a quota's id", q.Key), "ids look like appsync.request-tokens")
		}
		s.Quotas = append(s.Quotas, QuotaOverride{ID: q.Key, Amount: q.Value.Amount, Thing: q.Value.Thing, Per: q.Value.per.Per})
	}
	s.Prices = p.prices(f.Prices)
	for _, t := range f.Thresholds {
		s.Thresholds = append(s.Thresholds, Threshold(t))
	}
	if p.fine("loads") {
		p.thresholds(s.Thresholds)
	}
	for _, t := range f.Stop {
		s.Stop = append(s.Stop, Threshold(t))
	}
}

// prices checks what can be seen of prices without the list of those that there are.
func (p *parser) prices(all []Price) []Price {
	for i, price := range all {
		at := fmt.Sprintf("prices[%d]", i)
		if slices.ContainsFunc(p.faults, func(f strict.Fault) bool { return f.Path == at }) {
			continue // it is no price at all
		}
		if slices.ContainsFunc(all[:i], func(o Price) bool { return o.ID == price.ID }) {
			p.fault(at+".id", p.quote(at+".id", price.ID)+" has a price already", "")
		}
		if price.USD < 0 {
			p.fault(at+".usd", "must not be negative", "")
		}
		if price.Per <= 0 {
			p.fault(at+".per", "must be greater than 0", "it is for how many units the price is")
		}
		if !labelForm.matches(price.Source) {
			p.fault(at+".source", "doesn't say where the price is from", labelForm.hint)
		}
		if _, err := time.Parse(time.DateOnly, price.AsOf); err != nil {
			p.fault(at+".as_of", p.quote(at+".as_of", price.AsOf)+" is not a date", "write it as 2026-04-01")
		}
	}
	return all
}

// wait checks a duration that something is waited for.
func (p *parser) wait(path string, d *unit.Duration) time.Duration {
	if time.Duration(*d) > maxWait {
		p.fault(path, "is too long", "the longest is "+unit.FormatDuration(maxWait))
	}
	return time.Duration(*d)
}

func (p *parser) quote(path, value string) string { return p.doc.Quote(path, value) }

func (p *parser) target(f *targetFile) {
	t := &p.scenario.Target
	switch {
	case f.Sandbox != nil && (f.AWS != nil || f.GraphQL != nil || f.Kafka != nil):
		p.fault("target", "names both a sandbox and a real endpoint", "keep sandbox, or keep the rest")
	case f.Sandbox == nil && f.GraphQL == nil && f.Kafka == nil && p.fine("target"):
		p.fault("target", "names nothing to send to", "write sandbox: premiere, graphql with an endpoint, or kafka with brokers")
	}
	if f.Sandbox != nil {
		t.Sandbox = string(*f.Sandbox)
		// What doesn't look like a file is the name of a ready-made System.
		if strings.ContainsAny(t.Sandbox, `/\`) || path.Ext(t.Sandbox) == ".yaml" || path.Ext(t.Sandbox) == ".yml" {
			p.read("target.sandbox", t.Sandbox)
		}
	}
	if f.AWS != nil {
		t.AWS = AWS{Region: string(f.AWS.Region), Account: string(f.AWS.Account)}
	}
	if f.GraphQL != nil {
		t.GraphQL = p.endpoint("target.graphql", f.GraphQL)
	}
	if f.Kafka != nil {
		t.Kafka = p.kafka("target.kafka", f.Kafka)
	}
}

func (p *parser) endpoint(at string, f *graphqlFile) *GraphQL {
	g := &GraphQL{Endpoint: f.Endpoint, Literal: p.literalHost, Schema: string(f.Schema), Headers: p.headers(at+".headers", f.Headers)}
	if path := at + ".endpoint"; p.fine(path) {
		u, err := url.Parse(f.Endpoint)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
			p.fault(path, "is not the URL of an endpoint", "write http:// or https://, a host and a path")
		case u.User != nil:
			p.fault(path, "holds a user name", "credentials belong into auth or headers")
		case u.Port() != "" && !portForm.MatchString(u.Port()):
			p.fault(path, "has an impossible port", "")
		}
	}
	if g.Schema != "" {
		p.read(at+".schema", g.Schema)
	}
	if f.HTTP != nil && *f.HTTP != 1 && *f.HTTP != 2 {
		p.fault(at+".http", "is no version of HTTP that is spoken", "write 1 or 2")
	}
	g.HTTP2 = f.HTTP != nil && *f.HTTP == 2
	if f.Auth == nil {
		return g
	}
	at += ".auth"
	ways := 0
	if f.Auth.APIKey != nil {
		ways++
		g.Auth.APIKey = string(*f.Auth.APIKey)
		p.secret(at + ".api_key")
	}
	if f.Auth.Bearer != nil {
		ways++
		g.Auth.Bearer = string(*f.Auth.Bearer)
		p.secret(at + ".bearer")
	}
	if f.Auth.IAM != nil {
		ways++
		g.Auth.IAM = true
		if !*f.Auth.IAM {
			p.fault(at+".iam", "can only be true", "leave it out where requests aren't signed")
		}
		if f := p.scenario.Target.AWS; f.Region == "" && p.fine("target.aws") {
			p.fault(at+".iam", "signing needs a region", "write target.aws.region")
		}
	}
	switch {
	case ways > 1:
		p.fault(at, "names more than one way to authorise", "keep one of api_key, bearer and iam")
	case ways == 0 && p.fine(at):
		p.fault(at, "names no way to authorise", "write api_key, bearer or iam, or leave auth out")
	}
	return g
}

var portForm = regexp.MustCompile(`^(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$`)

// secret checks that the scalar at path comes from the environment: scenario
// files are kept in repositories and copied into every record.
func (p *parser) secret(path string) {
	if !p.private[path] && p.fine(path) {
		p.fault(path, "is a secret that stands in the file", "write ${NAME} and set the variable")
	}
}

var (
	headerName  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	headerValue = regexp.MustCompile(`^[\t -~\x80-\x{10ffff}]*$`)
	// secretName matches headers whose values are credentials.
	secretName = regexp.MustCompile(`(?i)^(?:.*authorization|cookie|.*api-?key|.*token|.*secret|.*password)$`)
)

func (p *parser) headers(at string, f strict.Map[string]) []Header {
	var headers []Header
	seen := map[string]bool{}
	for _, e := range f {
		path := strict.Path(at, e.Key)
		name := textproto.CanonicalMIMEHeaderKey(e.Key)
		switch {
		case !headerName.MatchString(e.Key):
			p.fault(path, fmt.Sprintf("%.60q is not a header's name", e.Key), "")
		case seen[name]:
			p.fault(path, "is set twice", "case doesn't tell headers apart")
		case name == "Host" || name == "Content-Length" || name == "Content-Type" || name == "Transfer-Encoding" || name == "Connection":
			p.fault(path, "can't be set", "it follows from the request")
		case !headerValue.MatchString(e.Value):
			p.fault(path, "has a value that no header can have", "it is one line of text")
		case secretName.MatchString(e.Key):
			p.secret(path)
		}
		seen[name] = true
		headers = append(headers, Header{Name: e.Key, Value: e.Value})
	}
	return headers
}

// load returns a load and how many arrivals it plans.
func (p *parser) load(at string, f *loadFile) (Load, float64) {
	l := Load{
		Name:     string(f.Name),
		Arrivals: cmp.Or(Arrivals(f.Arrivals.process), Poisson),
		Seed:     1,
		Start:    time.Duration(f.Start),
		Late:     cmp.Or(Late(f.Late), Drop),
		Lateness: 100 * time.Millisecond,
		Pacing:   cmp.Or(Pacing(f.Pacing), DefaultPacing),
		Timeout:  30 * time.Second,
	}
	if p.loads[l.Name] && l.Name != "" {
		p.fault(at+".name", "load "+p.quote(at+".name", l.Name)+" is defined twice", "names of loads are unique in the file")
	}
	p.loads[l.Name] = true
	if f.Seed != nil {
		l.Seed = *f.Seed
	}
	if f.InFlight != nil {
		if l.InFlight = *f.InFlight; l.InFlight < 1 || l.InFlight > maxInFlight {
			p.fault(at+".in_flight", fmt.Sprintf("must be from 1 to %d", maxInFlight), "")
		}
	}
	if f.Lateness != nil {
		l.Lateness = p.positive(at+".lateness", f.Lateness)
	}
	if f.Timeout != nil {
		l.Timeout = p.positive(at+".timeout", f.Timeout)
	}
	var arrivals float64
	var measured bool
	profile := at + ".profile"
	if f.Arrivals.replay == nil {
		l.Profile, arrivals, measured = p.profile(profile, f.Profile)
	} else {
		if f.Profile != nil {
			p.fault(profile, "stands beside a replay", "the counts that are replayed are the profile")
		}
		profile = at + ".arrivals.replay"
		l.Arrivals = Replay
		if stage, ok := p.replay(profile, string(f.Arrivals.replay.Replay)); ok {
			l.Profile, arrivals, measured = []Stage{stage}, stage.Arrivals(), true
		}
	}
	length := l.Start.Seconds()
	for _, stage := range l.Profile {
		length += stage.For.Seconds()
	}
	if length > maxLength.Seconds() && p.fine(profile) {
		p.fault(profile, "ends later than 7 days after the start of the run", "")
	}
	for j := range f.Operations {
		l.Operations = append(l.Operations, p.loadOperation(fmt.Sprintf("%s.operations[%d]", at, j), &f.Operations[j], measured))
	}
	if len(f.Operations) == 0 {
		p.fault(at+".operations", "has no operation", "a load sends at least one")
	}
	p.oneKind(at+".operations", l.Operations)
	return l, arrivals
}

// oneKind checks that the operations of a load are of one kind, and that the
// target takes it.
func (p *parser) oneKind(at string, operations []Operation) {
	t := p.scenario.Target
	for i, o := range operations {
		path := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case !p.fine(path) || !p.fine("target"):
		case (o.Kafka != nil) != (operations[0].Kafka != nil) && (o.Kafka != nil || o.GraphQL != nil):
			p.fault(path, "is not of the same kind as the load's first operation", "GraphQL requests and Kafka records are loads of their own, on one clock")
		case t.Sandbox != "":
		case o.Kafka != nil && t.Kafka == nil:
			p.fault(path+".kafka", "has no broker to go to", "write target.kafka")
		case o.GraphQL != nil && t.GraphQL == nil:
			p.fault(path+".graphql", "has no endpoint to go to", "write target.graphql")
		}
	}
}

func (p *parser) positive(path string, d *unit.Duration) time.Duration {
	if *d == 0 {
		p.fault(path, "must be greater than 0", "")
	}
	return p.wait(path, d)
}

func (p *parser) loadOperation(at string, f *operationFile, measured bool) Operation {
	o := Operation{Name: string(f.Name), Weight: 1}
	if first, twice := p.operation[o.Name]; twice {
		p.fault(at+".name", "operation "+p.quote(at+".name", o.Name)+" is defined twice", "the first is "+first.path+"; names of operations are unique in the file")
	} else if o.Name != "" {
		p.operation[o.Name] = &operationUse{at, measured}
	}
	if f.Weight != nil {
		switch o.Weight = *f.Weight; {
		case o.Weight <= 0:
			p.fault(at+".weight", "must be greater than 0", "leave an operation out that isn't sent")
		case o.Weight > maxWeight:
			p.fault(at+".weight", "is too large", "the largest is 1000000")
		}
	}
	switch {
	case f.GraphQL != nil && f.Kafka != nil:
		p.fault(at, "is both a GraphQL request and a Kafka record", "keep one")
	case f.GraphQL != nil:
		o.GraphQL = p.graphqlOperation(at+".graphql", f.GraphQL)
	case f.Kafka != nil:
		o.Kafka = p.kafkaOperation(at+".kafka", f.Kafka)
	case p.fine(at):
		p.fault(at, "doesn't say what to send", "write graphql: with a query or a document, or kafka: with a topic")
	}
	return o
}

func (p *parser) graphqlOperation(at string, f *graphqlOperationFile) *GraphQLOperation {
	o := &GraphQLOperation{Headers: p.headers(at+".headers", f.Headers)}
	switch {
	case f.Query != nil && f.Document != nil:
		p.fault(at, "has both a query and a document", "keep the inline query, or the file")
	case f.Query != nil:
		o.Document = string(*f.Query)
	case f.Document != nil:
		o.DocumentFile = string(*f.Document)
		o.Document = string(p.read(at+".document", o.DocumentFile))
	case p.fine(at):
		p.fault(at, "has no document", "write query: with the text, or document: with a file")
	}
	if f.Operation != nil {
		o.OperationName = string(*f.Operation)
	}
	if f.Variables != nil {
		o.Variables = f.Variables.json
	}
	if f.Rows != nil {
		o.Rows = p.rows(at+".rows", string(*f.Rows))
	}
	p.placeholders(at, f, o.Rows)
	return o
}

// placeholders checks the ${row.x} of an operation's variables against its
// rows, which are nil where they couldn't be read.
func (p *parser) placeholders(at string, f *graphqlOperationFile, rows *Rows) {
	uses := p.columns[at]
	for _, use := range uses {
		switch {
		case f.Rows == nil:
			p.fault(use.path, fmt.Sprintf("%.60q has no rows to come from", "${row."+use.column+"}"), "write rows: with a CSV or JSON Lines file")
		case rows != nil && !slices.Contains(rows.Columns, use.column) && len(p.faults) <= strict.MaxFaults: // later ones are not shown
			p.faults = append(p.faults, p.doc.Fault(use.path, fmt.Sprintf("%s has no column %.60q", p.quote(at+".rows", rows.File), use.column), suggest("columns", use.column, rows.Columns)))
		}
	}
	if uses == nil && f.Rows != nil && p.fine(at) {
		p.fault(at+".rows", "is not used", "write ${row.column} in a variable, or leave rows out")
	}
}

// rows returns the rows of a file, or nil where they can't be read.
func (p *parser) rows(path, name string) *Rows {
	src := p.read(path, name)
	if src == nil {
		return nil
	}
	rows, faults := parseRows(p.resolved(path, name), src)
	if faults != nil {
		for _, f := range faults {
			f.Path = path
			p.faults = append(p.faults, f)
		}
		return nil
	}
	rows.File = name
	return rows
}

// resolved returns the name of a file for faults in it: from the working folder
// on, or as the scenario spells it where values of the environment are in it.
func (p *parser) resolved(path, name string) string {
	if p.doc.Expanded(path) {
		return p.doc.Written(path)
	}
	return p.folder.resolve(name)
}

// read returns the content of a file that the key at path names, or nil after
// a fault.
func (p *parser) read(path, name string) []byte {
	if src, ok := p.named[name]; ok {
		return src
	}
	src, err := readFile(p.folder, name, maxFile)
	if err == nil && len(src) > maxFile {
		err = fmt.Errorf("is larger than %d MiB", maxFile>>20)
	}
	if err != nil {
		p.fault(path, "file "+p.quote(path, name)+" "+err.Error(), "paths start from the scenario's folder")
		return nil
	}
	p.named[name] = src
	return src
}

// readSecret does so for a file whose content must not even enter the digest.
func (p *parser) readSecret(path, name string) []byte {
	src, err := readFile(p.folder, name, maxFile)
	if err != nil {
		p.fault(path, "file "+p.quote(path, name)+" "+err.Error(), "paths start from the scenario's folder")
	}
	return src
}

func (p *parser) observe(files []observeFile) {
	seen := map[Observe]bool{}
	for i, f := range files {
		path := fmt.Sprintf("observe[%d]", i)
		var o Observe
		named := 0
		for _, k := range []struct {
			from *text[label]
			to   *string
		}{{f.Lambda, &o.Lambda}, {f.DynamoDB, &o.DynamoDB}, {f.Momento, &o.Momento}, {f.KafkaGroup, &o.KafkaGroup}, {f.MSK, &o.MSK}} {
			if k.from != nil {
				*k.to = string(*k.from)
				named++
			}
		}
		switch {
		case !p.fine(path):
		case named != 1:
			p.fault(path, "must name one thing to observe", "write lambda, dynamodb, momento, kafka_group or msk, each as an item of its own")
		case seen[o]:
			p.fault(path, "is listed twice", "")
		case !p.fine("target") || !p.fine("loads"):
		case o.KafkaGroup != "":
			p.observeKafka(path+".kafka_group", "has no topic to lag on: no load produces records", "lag is read of the topics that kafka: operations produce to")
		case o.MSK != "":
			p.observeKafka(path+".msk", "is of no load: none produces records", "the cluster is observed while kafka: operations produce to it")
			if slices.ContainsFunc(p.scenario.Observe, func(other Observe) bool { return other.MSK != "" }) {
				p.fault(path+".msk", "is a second cluster", "target.kafka is one")
			}
		}
		seen[o] = true
		p.scenario.Observe = append(p.scenario.Observe, o)
	}
}

// observeKafka checks that there is a Kafka cluster, and a load that produces to it.
func (p *parser) observeKafka(path, idle, hint string) {
	if p.scenario.Target.Kafka == nil && p.scenario.Target.Sandbox == "" {
		p.fault(path, "is of no cluster: the target has no Kafka", "write target.kafka")
	} else if !slices.ContainsFunc(p.scenario.Loads, Load.Kafka) {
		p.fault(path, idle, hint)
	}
}

// thresholds checks that each threshold can be evaluated: that what it is of is
// sent, and measured.
func (p *parser) thresholds(list []Threshold) {
	names := slices.Sorted(maps.Keys(p.operation))
	anyMeasured := slices.ContainsFunc(names, func(name string) bool { return p.operation[name].measured })
	for i, t := range list {
		path := fmt.Sprintf("thresholds[%d]", i)
		if !slices.ContainsFunc(metrics, func(m metric) bool { return m.name == t.Metric && m.of == anOperation }) {
			continue
		}
		switch use := p.operation[t.Of]; {
		case t.Of == "" && !anyMeasured, use != nil && !use.measured:
			p.fault(path, p.quote(path, t.Text)+" can never be evaluated: no stage that sends it is measured", "leave measure: false out of one stage")
		case t.Of != "" && use == nil:
			hint := ""
			if !p.doc.Expanded(path) && len(p.faults) <= strict.MaxFaults { // later ones are not shown
				hint = suggest("operations", t.Of, names)
			}
			p.fault(path, p.quote(path, t.Text)+" is of an operation that no load sends", hint)
		case t.Metric == "rate" && !slices.ContainsFunc(p.scenario.Loads, func(l Load) bool { return l.sends(t.Of) && l.measuresSecond() }):
			p.fault(path, p.quote(path, t.Text)+" can never be evaluated: no whole second of the run is measured", "answers are counted by the second: measure for 2s or more")
		}
	}
}

// suggest is the hint for a word that is none of the known ones.
func suggest(what, word string, known []string) string {
	if near := strict.Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	list := strings.Join(known[:min(len(known), 20)], ", ")
	if len(known) > 20 {
		list += ", ..."
	}
	return what + " are " + list
}

// digest is the SHA-256 of the source and of every file that it names, each
// with its name and length.
func (p *parser) digest() string {
	h := sha256.New()
	add := func(name string, content []byte) {
		fmt.Fprintf(h, "%q %d\n", name, len(content))
		h.Write(content)
	}
	add("", p.scenario.Source)
	for _, name := range slices.Sorted(maps.Keys(p.named)) {
		add(name, p.named[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}
