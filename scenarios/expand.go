package scenarios

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var (
	variableForm = regexp.MustCompile(`^([A-Z_][A-Z0-9_]*)(?:(:-)(.*))?$`)
	columnForm   = regexp.MustCompile(`^row\.(.+)$`)
)

// expansion is the text of a scalar with the environment's values in it.
type expansion struct {
	text string
	// columns are the columns of ${row.x} placeholders, which stay in text.
	columns []string
	// environment is set where some value can come from nowhere else: no
	// default for it stands in the text.
	environment bool
}

// expand replaces ${NAME} and ${NAME:-default} in text by the environment's
// values; a default counts where the variable is unset or empty. $${ stands for
// ${. With data, ${row.x} stays for the driver to fill in, and a literal ${ is
// kept as $${. The error joins one *fault for each placeholder that is wrong.
func expand(text string, env func(string) (string, bool), data bool) (expansion, error) {
	literal := func(s string) string {
		if data {
			return strings.ReplaceAll(s, "${", "$${")
		}
		return s
	}
	var e expansion
	var b strings.Builder
	var errs []error
	for rest := text; ; {
		at := strings.Index(rest, "${")
		if at < 0 {
			b.WriteString(rest)
			break
		}
		if at > 0 && rest[at-1] == '$' {
			b.WriteString(rest[:at-1] + literal("${"))
			rest = rest[at+2:]
			continue
		}
		b.WriteString(rest[:at])
		inside, after, ok := strings.Cut(rest[at+2:], "}")
		if !ok {
			errs = append(errs, &fault{"has a placeholder without its closing }", "write $${ for a literal ${"})
			break
		}
		rest = after
		if column := columnForm.FindStringSubmatch(inside); column != nil {
			if data {
				e.columns = append(e.columns, column[1])
				b.WriteString("${" + inside + "}")
			} else {
				errs = append(errs, &fault{fmt.Sprintf("%.60q is data, which stands in variables only", "${"+inside+"}"), "an environment variable has capital letters"})
			}
			continue
		}
		parts := variableForm.FindStringSubmatch(inside)
		if parts == nil {
			errs = append(errs, &fault{fmt.Sprintf("has the unknown placeholder %.60q", "${"+inside+"}"), "write ${NAME}, ${NAME:-default} or ${row.column}; $${ is a literal ${"})
			continue
		}
		v, set := env(parts[1])
		if parts[3] == "" {
			e.environment = true
		}
		switch {
		case parts[2] != "" && v == "":
			v = parts[3]
		case !set:
			errs = append(errs, &fault{fmt.Sprintf("the environment variable %s is not set", parts[1]), fmt.Sprintf("set it, or write ${%s:-default}", parts[1])})
		}
		b.WriteString(literal(v))
	}
	e.text = b.String()
	return e, errors.Join(errs...)
}
