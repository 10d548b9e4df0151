package measure

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	hdrhistogram "github.com/HdrHistogram/hdrhistogram-go"
)

// The histogram log is the HdrHistogram project's own interval log format,
// version 1.3, so that its tools in any language read it: one line for each
// interval, tagged kind/load/operation with each part query-escaped, times in
// seconds from the StartTime line, values in microseconds (token counts as
// they are), the maximum in milliseconds.

// WriteLogHeader begins a histogram log of a run that started at start.
func WriteLogHeader(w io.Writer, start time.Time) error {
	_, err := fmt.Fprintf(w, "#[Histogram log format version %s]\n#[StartTime: %.3f (seconds since epoch), %s]\n\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
		hdrhistogram.HISTOGRAM_LOG_FORMAT_VERSION, float64(start.UnixMilli())/1e3, start.UTC().Format(time.RFC3339))
	return err
}

// AppendLog appends the interval's line to b.
func AppendLog(b []byte, iv Interval) ([]byte, error) {
	payload, err := iv.Histogram.EncodeV2()
	if err != nil {
		return b, err
	}
	highest := iv.Max
	if highest == 0 {
		highest = iv.Histogram.Max()
	}
	b = fmt.Appendf(b, "Tag=%s/%s/%s,%.3f,%.3f,%.3f,", iv.Kind, url.QueryEscape(iv.Load), url.QueryEscape(iv.Operation),
		iv.Start.Seconds(), (iv.End - iv.Start).Seconds(), float64(highest)/logUnit(iv.Kind))
	return append(append(b, payload...), '\n'), nil
}

// ReadLog calls each with the intervals of a histogram log, one by one: a long
// log's intervals don't fit in memory together. Lines that are no whole
// interval, such as the last line of a log that was cut off, are left out and
// counted.
func ReadLog(r io.Reader, each func(Interval)) (damaged int, err error) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" && line[0] != '#' && line[0] != '"' {
			iv, lineErr := parseLogLine(line)
			if lineErr != nil {
				damaged++
			} else {
				each(iv)
			}
		}
		if err == io.EOF {
			return damaged, nil
		}
		if err != nil {
			return damaged, err
		}
	}
}

var errLogLine = errors.New("not a line of a histogram log")

func parseLogLine(line string) (Interval, error) {
	line, whole := strings.CutSuffix(line, "\n")
	fields := strings.Split(line, ",")
	if !whole || len(fields) != 5 {
		return Interval{}, errLogLine
	}
	tag, tagged := strings.CutPrefix(fields[0], "Tag=")
	parts := strings.Split(tag, "/")
	if !tagged || len(parts) != 3 {
		return Interval{}, errLogLine
	}
	load, err1 := url.QueryUnescape(parts[1])
	operation, err2 := url.QueryUnescape(parts[2])
	start, err3 := strconv.ParseFloat(fields[1], 64)
	length, err4 := strconv.ParseFloat(fields[2], 64)
	highest, err5 := strconv.ParseFloat(fields[3], 64)
	h, err6 := hdrhistogram.Decode([]byte(fields[4]))
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return Interval{}, err
	}
	if !(highest >= 0 && highest < 1e15) {
		return Interval{}, errLogLine
	}
	return Interval{
		Load: load, Operation: operation, Kind: parts[0], Histogram: h,
		Start: seconds(start), End: seconds(start + length), Max: int64(math.Round(highest * logUnit(parts[0]))),
	}, nil
}

// logUnit returns what the log divides an interval's maximum by.
func logUnit(kind string) float64 {
	if kind == TokenCounts {
		return 1
	}
	return 1e3
}

// seconds converts to a duration, to the millisecond that the log keeps.
func seconds(s float64) time.Duration {
	return time.Duration(s*1e3+0.5) * time.Millisecond
}
