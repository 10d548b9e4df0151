package scenarios

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/headroom-load/headroom/scenarios/strict"
)

// maxIntervals bounds a file of counts: a week of minutes.
const maxIntervals = 7 * 24 * 60

// parseCounts parses a CSV file of counted arrivals. Its header is seconds,count
// or time,count; each row has the instant from which on its arrivals came, in
// seconds from any beginning or as a date and time of RFC 3339, and their number
// up to the next row's instant. The last interval is as long as the one before
// it. Faults are of file.
func parseCounts(file string, src []byte) (Counts, strict.Faults) {
	var c Counts
	var faults strict.Faults
	fault := func(line, column int, problem, hint string) {
		if len(faults) < maxRowFaults {
			faults = append(faults, strict.Fault{File: file, Line: line, Column: column, Problem: problem, Hint: hint})
		}
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(src, []byte("\ufeff"))))
	r.FieldsPerRecord = 2
	r.ReuseRecord = true
	var seconds bool
	var first, last time.Time
	var total float64
	for n := 0; ; n++ {
		record, err := r.Read()
		var bad *csv.ParseError
		switch {
		case errors.Is(err, io.EOF) && n < 3:
			fault(1, 1, "file has fewer than two rows of counts", "two instants say how long an interval is")
			return c, faults
		case errors.Is(err, io.EOF):
			end := 2*last.Sub(first) - c.previous()
			c.Ends = append(c.Ends, end)
			c.Cumulative = append(c.Cumulative, total)
			return c, faults
		case errors.As(err, &bad):
			fault(bad.Line, bad.Column, "not valid CSV: "+bad.Err.Error(), "each row has an instant and a count")
			return c, faults
		}
		line, column := r.FieldPos(0)
		if n == 0 {
			seconds = record[0] == "seconds"
			if !seconds && record[0] != "time" || record[1] != "count" {
				fault(line, column, "columns are not seconds,count or time,count", "the first line names the columns")
				return c, faults
			}
			continue
		}
		if n > maxIntervals {
			fault(line, column, fmt.Sprintf("file has more than %d rows", maxIntervals), "add counts up to longer intervals")
			return c, faults
		}
		at, err := instant(record[0], seconds)
		switch {
		case err != nil:
			fault(line, column, fmt.Sprintf("%.60q is not an instant", record[0]), "write seconds such as 60 or 0.5, or times such as 2026-11-21T21:00:00+09:00")
			return c, faults
		case n > 1 && !at.After(last):
			fault(line, column, "instant is not after the one before it", "rows are in the order of time, each instant once")
			return c, faults
		case n > 1 && at.Sub(first) > maxLength:
			fault(line, column, "is later than 7 days after the first", "")
			return c, faults
		case n == 1:
			first = at
		default:
			c.Ends = append(c.Ends, at.Sub(first))
			c.Cumulative = append(c.Cumulative, total)
		}
		last = at
		line, column = r.FieldPos(1)
		count, err := strconv.ParseFloat(record[1], 64)
		if err != nil || !(count >= 0) || count > maxArrivals {
			fault(line, column, fmt.Sprintf("%.60q is not a count", record[1]), "write a number from 0 to 1000000000")
			continue
		}
		total += count
	}
}

// previous returns the end of the interval before the last.
func (c Counts) previous() time.Duration {
	if len(c.Ends) < 2 {
		return 0
	}
	return c.Ends[len(c.Ends)-2]
}

// instant parses an instant of a file of counts.
func instant(text string, seconds bool) (time.Time, error) {
	if !seconds {
		return time.Parse(time.RFC3339Nano, text)
	}
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || !(math.Abs(s) < 1e12) {
		return time.Time{}, fmt.Errorf("%q is not a number of seconds", text)
	}
	whole, part := math.Modf(s)
	return time.Unix(int64(whole), int64(math.Round(part*1e6))*1e3), nil
}
