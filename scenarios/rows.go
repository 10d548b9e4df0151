package scenarios

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/headroom-load/headroom/scenarios/strict"
)

// The bounds of a rows file.
const (
	maxRows      = 1_000_000
	maxColumns   = 1000
	maxRowFaults = 20 // that are reported
)

// parseRows parses a rows file by the kind that its name says. A CSV file has a
// header and text values; a JSON Lines file has one object on each line, all
// with the same keys, and values of any type. Faults are of file.
func parseRows(file string, src []byte) (*Rows, strict.Faults) {
	r := &rowReader{rows: &Rows{File: file}}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	switch ext := strings.ToLower(path.Ext(file)); {
	case !utf8.Valid(src):
		r.fault(1, 1, "file is not UTF-8 text", "save it as UTF-8")
	case ext == ".csv":
		r.csv(src)
	case ext == ".jsonl" || ext == ".ndjson":
		r.jsonLines(src)
	default:
		r.fault(1, 1, "kind of file is unknown", "rows are in .csv, .jsonl or .ndjson files")
	}
	if r.faults == nil && len(r.rows.Values) == 0 {
		r.fault(1, 1, "file has no rows", "")
	}
	for _, column := range r.rows.Columns {
		if strings.ContainsFunc(column, unicode.IsControl) {
			r.fault(1, 1, fmt.Sprintf("column %.60q has a control character in its name", column), "")
		}
	}
	return r.rows, r.faults
}

type rowReader struct {
	rows   *Rows
	faults strict.Faults
}

func (r *rowReader) fault(line, column int, problem, hint string) {
	if len(r.faults) < maxRowFaults {
		r.faults = append(r.faults, strict.Fault{File: r.rows.File, Line: line, Column: column, Problem: problem, Hint: hint})
	}
}

func (r *rowReader) csv(src []byte) {
	c := csv.NewReader(bytes.NewReader(src))
	for {
		record, err := c.Read()
		var bad *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.Is(err, csv.ErrFieldCount):
			line, _ := c.FieldPos(0)
			r.fault(line, 1, fmt.Sprintf("row has %d values for %d columns", len(record), len(r.rows.Columns)), "")
			continue
		case errors.As(err, &bad):
			r.fault(bad.Line, bad.Column, "not valid CSV: "+bad.Err.Error(), "")
			return
		}
		if r.rows.Columns == nil {
			if len(record) > maxColumns {
				r.fault(1, 1, fmt.Sprintf("file has more than %d columns", maxColumns), "")
				return
			}
			r.rows.Columns = record
			for i, column := range record {
				line, at := c.FieldPos(i)
				switch {
				case column == "":
					r.fault(line, at, "a column has no name", "the first line names the columns")
				case slices.Contains(record[:i], column):
					r.fault(line, at, fmt.Sprintf("two columns are named %.60q", column), "")
				}
			}
			continue
		}
		if len(r.rows.Values) == maxRows {
			line, _ := c.FieldPos(0)
			r.fault(line, 1, fmt.Sprintf("file has more than %d rows", maxRows), "")
			return
		}
		for i, v := range record {
			record[i] = jsonString(v)
		}
		r.rows.Values = append(r.rows.Values, record)
	}
}

func jsonString(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

func (r *rowReader) jsonLines(src []byte) {
	lines := bufio.NewScanner(bytes.NewReader(src))
	lines.Buffer(nil, maxFile+1)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(line, &object); err != nil || object == nil {
			r.fault(n, 1, "line is not a JSON object", "write one object on each line")
			continue
		}
		if r.rows.Columns == nil {
			for column := range object {
				r.rows.Columns = append(r.rows.Columns, column)
			}
			slices.Sort(r.rows.Columns)
		}
		switch {
		case len(r.rows.Columns) > maxColumns:
			r.fault(n, 1, fmt.Sprintf("file has more than %d columns", maxColumns), "")
			return
		case len(r.rows.Values) == maxRows:
			r.fault(n, 1, fmt.Sprintf("file has more than %d rows", maxRows), "")
			return
		}
		values := make([]string, 0, len(r.rows.Columns))
		for _, column := range r.rows.Columns {
			v, ok := object[column]
			if !ok {
				r.fault(n, 1, fmt.Sprintf("row lacks %.60q, which the first row has", column), "")
				continue
			}
			var b bytes.Buffer
			_ = json.Compact(&b, v) // it is valid, as a part of what was
			values = append(values, b.String())
		}
		if len(values) == len(r.rows.Columns) && len(object) > len(values) {
			r.fault(n, 1, fmt.Sprintf("row has %d values for %d columns", len(object), len(values)), "")
		}
		r.rows.Values = append(r.rows.Values, values)
	}
}
