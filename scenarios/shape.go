package scenarios

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/headroom-load/headroom/scenarios/strict"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// The following types are the scenario file as it is written. The JSON Schema
// is made from them: doc describes a key, eg gives an example of its value.
// Pointers tell a key that was left out from a zero.
type (
	scenarioFile struct {
		Version     int               `yaml:"version,required" doc:"Version of the file format; 1."`
		Name        text[label]       `yaml:"name,required" doc:"What the run is called in reports." eg:"launch"`
		Description text[prose]       `yaml:"description" doc:"What is rehearsed, for readers of the report."`
		Target      *targetFile       `yaml:"target,required" doc:"Where the load goes: a sandbox, or real endpoints."`
		Forecast    *arrivalRate      `yaml:"forecast" doc:"The arrival rate that the launch must survive; what it requires of each quota is printed as arithmetic. The highest planned rate where left out." eg:"5000/s"`
		Loads       []loadFile        `yaml:"loads,required" doc:"Streams of arrivals on one clock, each with its own profile and mix of operations."`
		Observe     []observeFile     `yaml:"observe" doc:"What else is read while the run goes on: of CloudWatch, and of the Kafka brokers."`
		Settle      *unit.Duration    `yaml:"settle" doc:"How long to wait for cloud metrics after the run, and to go on reading consumer lag. 0s for a sandbox and 3m plus the longest timeout for AWS where left out." eg:"3m"`
		Quotas      strict.Map[limit] `yaml:"quotas" doc:"Limits by quota id, which override what Service Quotas and the catalogue say." eg:"{appsync.request-tokens: 20000 tokens/s}"`
		Prices      []Price           `yaml:"prices" doc:"Prices that stand in the place of list prices, by id, such as those of a contract or of another Region." eg:"[{id: lambda.requests, usd: 0.2, per: 1000000, unit: requests, source: contract of 2026, as_of: \"2026-04-01\"}]"`
		Thresholds  []thresholdText   `yaml:"thresholds" doc:"Bounds that the run must keep; one that is missed gives exit code 99." eg:"[p99(listPrograms) < 800ms, errors < 0.1%]"`
		Stop        []stopText        `yaml:"stop" doc:"Conditions on the client's own ledger that end the run within 2 s." eg:"[utilization(appsync.request-tokens) > 90%]"`
	}
	targetFile struct {
		Sandbox *text[file]  `yaml:"sandbox" doc:"A ready-made System, or the path of a System file; nothing else is set beside it." eg:"premiere"`
		AWS     *awsFile     `yaml:"aws" doc:"The account that the quotas and metrics are read from; no AWS API is asked where left out."`
		GraphQL *graphqlFile `yaml:"graphql" doc:"A GraphQL endpoint over HTTP."`
		Kafka   *kafkaFile   `yaml:"kafka" doc:"A Kafka cluster."`
	}
	awsFile struct {
		Region  text[region]    `yaml:"region,required" doc:"AWS region." eg:"ap-northeast-1"`
		Account text[accountID] `yaml:"account" doc:"Number of the account that the quotas belong to." eg:"\"111122223333\""`
	}
	graphqlFile struct {
		Endpoint string             `yaml:"endpoint,required" doc:"URL of the endpoint." eg:"https://example.appsync-api.ap-northeast-1.amazonaws.com/graphql"`
		Auth     *authFile          `yaml:"auth" doc:"How requests are authorised; not at all where left out."`
		Schema   text[file]         `yaml:"schema" doc:"An SDL file that documents are checked against before anything is sent." eg:"schema.graphql"`
		Headers  strict.Map[string] `yaml:"headers" doc:"HTTP headers of every request."`
		HTTP     *int               `yaml:"http" doc:"Version of HTTP that is spoken: 1 (HTTP/1.1) where left out, or 2, by which many requests share a connection. It takes more of this machine, and calibrate measures the former."`
	}
	authFile struct {
		APIKey *text[secret] `yaml:"api_key" doc:"Sent as x-api-key; from the environment." eg:"\"${APPSYNC_API_KEY}\""`
		Bearer *text[secret] `yaml:"bearer" doc:"Sent as Authorization, as it is: a token of OIDC, Cognito or a Lambda authorizer; from the environment." eg:"\"${ID_TOKEN}\""`
		IAM    *bool         `yaml:"iam" doc:"true: sign with AWS Signature Version 4 and the credentials of the AWS chain."`
	}
	loadFile struct {
		Name       text[name]      `yaml:"name,required" doc:"Unique in the file." eg:"viewers"`
		Arrivals   arrivalsFile    `yaml:"arrivals" doc:"poisson (the default), uniform, or {replay: FILE} to repeat counts from a CSV file, which is the profile then." eg:"{replay: premiere.csv}"`
		Seed       *uint64         `yaml:"seed" doc:"Seed of the random streams; 1 where left out."`
		Start      unit.Duration   `yaml:"start" doc:"When the load begins, from the beginning of the run; 0s where left out." eg:"30s"`
		Profile    []stageFile     `yaml:"profile" doc:"Stages, one after the other. Needed but where counts are replayed."`
		Operations []operationFile `yaml:"operations,required" doc:"The mix of requests."`
		InFlight   *int            `yaml:"in_flight" doc:"Most requests that wait for an answer; from the plan where left out (peak rate x 5 s, within 64 and 20,000)."`
		Late       text[late]      `yaml:"late" doc:"What happens to an arrival that can't be sent within its lateness: drop (the default) or send."`
		Lateness   *unit.Duration  `yaml:"lateness" doc:"How late an arrival may be sent; 100ms where left out." eg:"100ms"`
		Pacing     text[pacing]    `yaml:"pacing" doc:"default releases up to five arrivals, those of at most a millisecond, together at rates from 3000/s on; precise releases each at its own instant, for more CPU."`
		Timeout    *unit.Duration  `yaml:"timeout" doc:"How long an answer may take; 30s where left out." eg:"30s"`
	}
	stageFile struct {
		Stage   text[label]    `yaml:"stage,required" doc:"Name of the stage." eg:"premiere"`
		Rate    *arrivalRate   `yaml:"rate" doc:"Hold this rate; 0/s is a pause." eg:"5000/s"`
		Ramp    *arrivalRate   `yaml:"ramp" doc:"Go in a straight line to this rate, from the one before (0/s at first)." eg:"5000/s"`
		Spike   *spikeFile     `yaml:"spike" doc:"A rush of visitors, each of whom arrives once." eg:"{visitors: 150000, shape: triangle}"`
		Sine    *sineFile      `yaml:"sine" doc:"Up and down around a mean." eg:"{mean: 500/s, amplitude: 300/s, period: 10m}"`
		For     *unit.Duration `yaml:"for,required" doc:"Length of the stage." eg:"2m"`
		Measure *bool          `yaml:"measure" doc:"false: leave the stage out of the operations' statistics, as for a warm-up; quota use counts always."`
	}
	replayFile struct {
		Replay text[file] `yaml:"replay,required" doc:"A CSV file with the columns seconds (from any beginning) or time (RFC 3339), and count: the arrivals from that instant to the next row's. The last interval is as long as the one before it." eg:"premiere.csv"`
	}
	spikeFile struct {
		Visitors int64          `yaml:"visitors,required" doc:"Arrivals of the whole stage." eg:"150000"`
		Shape    text[shape]    `yaml:"shape,required" doc:"triangle rises and falls in straight lines, to twice the mean rate; gamma rises and dies away, as after a broadcast." eg:"triangle"`
		Peak     *unit.Duration `yaml:"peak" doc:"When the rate is highest, from the beginning of the stage; after half of a triangle and an eighth of a gamma where left out." eg:"10s"`
	}
	sineFile struct {
		Mean      *arrivalRate   `yaml:"mean,required" doc:"Mean rate, from which the stage begins upwards." eg:"500/s"`
		Amplitude *arrivalRate   `yaml:"amplitude,required" doc:"How far the rate goes above and below the mean; at most the mean." eg:"300/s"`
		Period    *unit.Duration `yaml:"period,required" doc:"From one peak to the next." eg:"10m"`
	}
	operationFile struct {
		Name    text[name]            `yaml:"name,required" doc:"Unique in the file; a sandbox finds its operation by it." eg:"listPrograms"`
		Weight  *float64              `yaml:"weight" doc:"Share within the load, against the other weights; 1 where left out." eg:"9"`
		GraphQL *graphqlOperationFile `yaml:"graphql" doc:"A GraphQL request."`
		Kafka   *kafkaOperationFile   `yaml:"kafka" doc:"A record that is produced to Kafka."`
	}
	graphqlOperationFile struct {
		Query     *text[document]    `yaml:"query" doc:"The document, inline. Either this or document." eg:"\"query getProgram($id: ID!) { getProgram(id: $id) { title } }\""`
		Document  *text[file]        `yaml:"document" doc:"A file that holds the document. Either this or query." eg:"queries/list.graphql"`
		Operation *text[graphqlName] `yaml:"operation" doc:"Which operation of the document; needed where it has several." eg:"listPrograms"`
		Variables *variables         `yaml:"variables" doc:"Variables of the request. A string may hold ${row.column}; one that is nothing else takes the row's own type." eg:"{first: 50, id: \"${row.id}\"}"`
		Rows      *text[file]        `yaml:"rows" doc:"A CSV file with a header (all values are text) or a JSON Lines file; each arrival takes the next row." eg:"ids.csv"`
		Headers   strict.Map[string] `yaml:"headers" doc:"HTTP headers of this request, which override the target's."`
	}
	observeFile struct {
		Lambda     *text[label] `yaml:"lambda" doc:"A Lambda function's name." eg:"programs"`
		DynamoDB   *text[label] `yaml:"dynamodb" doc:"A DynamoDB table's name." eg:"Episodes"`
		Momento    *text[label] `yaml:"momento" doc:"A Momento cache's name." eg:"programs-cache"`
		KafkaGroup *text[label] `yaml:"kafka_group" doc:"A consumer group of target.kafka, whose lag on the topics that records go to is read each second." eg:"view-consumer"`
		MSK        *text[label] `yaml:"msk" doc:"Name of the Amazon MSK cluster that target.kafka is, whose brokers, and whose lag of each kafka_group, are read of CloudWatch; sandbox is that of a sandbox." eg:"views-cluster"`
	}
)

// fault is an error with a hint, for strict.
type fault struct{ problem, hint string }

func (f *fault) Error() string           { return f.problem + " (" + f.hint + ")" }
func (f *fault) Fault() (string, string) { return f.problem, f.hint }

// arrivalRate is a rate of arrivals.
type arrivalRate unit.Rate

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *arrivalRate) UnmarshalText(b []byte) error {
	parsed, err := unit.ParseRate(string(b))
	if err != nil {
		return err
	}
	if parsed.Thing != unit.Arrivals && parsed.Thing != unit.Requests {
		return &unit.SyntaxError{Text: string(b), Problem: "counts " + parsed.Thing + ", not arrivals", Hint: "write an arrival rate, such as 5000/s"}
	}
	if parsed.PerSecond() > maxRate {
		return &unit.SyntaxError{Text: string(b), Problem: "is too large", Hint: "the highest rate is 10000000/s"}
	}
	*r = arrivalRate(parsed)
	return nil
}

func (r *arrivalRate) perSecond() float64 { return unit.Rate(*r).PerSecond() }

// arrivalsFile is the name of a process, or a file to replay.
type arrivalsFile struct {
	process text[arrivals]
	replay  *replayFile
}

// Choose implements strict.Choice.
func (a *arrivalsFile) Choose(k strict.Kind) any {
	if k == strict.Mapping {
		a.replay = new(replayFile)
		return a.replay
	}
	return &a.process
}

// limit is a rate of something, or a level of it.
type limit struct {
	unit.Quantity
	per unit.Rate
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *limit) UnmarshalText(b []byte) error {
	const hint = "write what is counted, such as 20000 tokens/s for a rate or 1000 environments for a level"
	text := string(b)
	var err error
	if strings.Contains(text, "/") {
		l.per, err = unit.ParseRate(text)
		l.Quantity = unit.Quantity{Amount: l.per.Amount, Thing: l.per.Thing}
	} else {
		l.Quantity, err = unit.ParseQuantity(text)
	}
	switch {
	case err != nil:
		return err
	case l.Thing == unit.Arrivals:
		return &unit.SyntaxError{Text: text, Problem: "doesn't say what is counted", Hint: hint}
	case l.Amount == 0:
		return &unit.SyntaxError{Text: text, Problem: "is no limit", Hint: "a quota is greater than 0"}
	}
	return nil
}

// variables is a mapping of any kind of value, as JSON.
type variables struct{ json json.RawMessage }

// Choose implements strict.Choice.
func (v *variables) Choose(k strict.Kind) any {
	if k != strict.Mapping {
		return nil
	}
	return &v.json
}

// text is a string of the form F.
type text[F interface{ form() form }] string

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *text[F]) UnmarshalText(b []byte) error {
	var f F
	if form := f.form(); !form.matches(string(b)) {
		if any(f) == any(secret{}) {
			return &fault{"is not " + form.what, form.hint}
		}
		return &fault{fmt.Sprintf("%.60q is not %s", b, form.what), form.hint}
	}
	*t = text[F](b)
	return nil
}

// form says what a text looks like. Patterns are read alike by Go and by
// ECMAScript, which JSON Schema uses.
type form struct {
	*regexp.Regexp
	what, hint string
	// most, where it isn't 0, is how many characters a text may have: one for each
	// class of the pattern, the rest for its *. Go makes a copy of what is repeated
	// for each time that it may be: 4 MB for the letters of all scripts.
	most int
}

func (f form) matches(s string) bool {
	return (f.most == 0 || utf8.RuneCountInString(s) <= f.most) && f.MatchString(s)
}

// pattern returns the whole form as one pattern.
func (f form) pattern() string {
	if f.most == 0 {
		return f.String()
	}
	others := strings.Count(f.String(), "[") - 1
	return strings.Replace(f.String(), "*", fmt.Sprintf("{0,%d}", f.most-others), 1)
}

var (
	labelForm    = form{regexp.MustCompile(`^[^\s\p{Cc}](?:[^\p{Cc}]*[^\s\p{Cc}])?$`), "a name", "write 1 to 100 characters on one line, without spaces around them", 100}
	proseForm    = form{regexp.MustCompile(`^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$`), "plain text", "leave control characters out", 0}
	fileForm     = form{regexp.MustCompile(`^[^\s\p{Cc}](?:[^\p{Cc}]*[^\s\p{Cc}])?$`), "a file name", "paths start from the scenario's folder", 1000}
	documentForm = form{regexp.MustCompile(`\S`), "a GraphQL document", "write a query or a mutation", 0}
	// Thresholds name operations, so their names keep to what can't be taken
	// for the thresholds' own signs.
	nameForm     = form{regexp.MustCompile(`^[\p{L}\p{N}_][\p{L}\p{N}_.:/-]*$`), "a name", "use letters, digits and _ . : / -", 100}
	graphqlForm  = form{regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`), "the name of a GraphQL operation", "use letters, digits and _", 0}
	regionForm   = form{regexp.MustCompile(`^[a-z]{2}(?:-[a-z]+)+-[0-9]+$`), "an AWS region", "regions look like ap-northeast-1", 0}
	accountForm  = form{regexp.MustCompile(`^[0-9]{12}$`), "an AWS account number", "it has 12 digits", 0}
	secretForm   = form{regexp.MustCompile(`^[!-~](?:[ -~]*[!-~])?$`), "a secret that fits into a header", "it has one line of ASCII characters; is the variable empty?", 0}
	arrivalsForm = form{regexp.MustCompile(`^(?:poisson|uniform)$`), "an arrival process", "arrivals are poisson, uniform or {replay: FILE}", 0}
	shapeForm    = form{regexp.MustCompile(`^(?:triangle|gamma)$`), "a shape", "a spike is a triangle or a gamma", 0}
	pacingForm   = form{regexp.MustCompile(`^(?:default|precise)$`), "a pacing", "pacing is default or precise", 0}
	lateForm     = form{regexp.MustCompile(`^(?:drop|send)$`), "a policy for late arrivals", "late arrivals are drop or send", 0}
)

type (
	label       struct{}
	prose       struct{}
	file        struct{}
	document    struct{}
	name        struct{}
	graphqlName struct{}
	region      struct{}
	accountID   struct{}
	secret      struct{}
	arrivals    struct{}
	late        struct{}
	pacing      struct{}
	shape       struct{}
)

func (label) form() form       { return labelForm }
func (prose) form() form       { return proseForm }
func (file) form() form        { return fileForm }
func (document) form() form    { return documentForm }
func (name) form() form        { return nameForm }
func (graphqlName) form() form { return graphqlForm }
func (region) form() form      { return regionForm }
func (accountID) form() form   { return accountForm }
func (secret) form() form      { return secretForm }
func (arrivals) form() form    { return arrivalsForm }
func (late) form() form        { return lateForm }
func (pacing) form() form      { return pacingForm }
func (shape) form() form       { return shapeForm }
