package measure

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
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

// LogEncoder makes the lines of a histogram log. It keeps what it works with
// from line to line: the library's own encoder takes a megabyte for each.
type LogEncoder struct {
	plain, sealed []byte
	zip           *zlib.Writer
	zipped        bytes.Buffer
}

// Append appends the interval's line to b.
func (e *LogEncoder) Append(b []byte, iv Interval) ([]byte, error) {
	if err := e.encode(iv.Histogram); err != nil {
		return b, err
	}
	b = fmt.Appendf(b, "Tag=%s/%s/%s,%.3f,%.3f,%.3f,", iv.Kind, url.QueryEscape(iv.Load), url.QueryEscape(iv.Operation),
		iv.Start.Seconds(), (iv.End - iv.Start).Seconds(), float64(iv.highest())/logUnit(iv.Kind))
	return append(base64.StdEncoding.AppendEncode(b, e.sealed), '\n'), nil
}

// encode sets e.sealed to a histogram in the HdrHistogram project's compressed
// format, version 2: its parameters and then its counts in slot order, those
// above 0 as they are and n zeros in a row as -n, each in zigzag LEB128.
func (e *LogEncoder) encode(h *hdrhistogram.PackedHistogram) error {
	const cookie, compressed, head = 0x1c849313, 0x1c849314, 40
	if h.LowestTrackableValue() != 1 || h.SignificantFigures() != digits {
		return errors.New("a histogram of other slots than the recorder's")
	}
	p := append(e.plain[:0], make([]byte, head)...)
	next := 0
	for v, n := range h.ForEachBucket {
		slot := slotOf(v)
		if zeros := slot - next; zeros == 1 {
			p = append(p, 0)
		} else if zeros > 1 {
			p = binary.AppendVarint(p, -int64(zeros))
		}
		next = slot + 1
		p = binary.AppendVarint(p, n)
	}
	if len(p) == head {
		p = append(p, 0) // the library has a slot for the greatest value, even of none
	}
	binary.BigEndian.PutUint32(p[0:], cookie)
	binary.BigEndian.PutUint32(p[4:], uint32(len(p)-head))
	// At 8 is the normalizing index offset, 0.
	binary.BigEndian.PutUint32(p[12:], digits)
	binary.BigEndian.PutUint64(p[16:], 1)
	binary.BigEndian.PutUint64(p[24:], uint64(h.HighestTrackableValue()))
	binary.BigEndian.PutUint64(p[32:], math.Float64bits(1)) // the values as they are
	e.plain = p

	e.zipped.Reset()
	if e.zip == nil {
		e.zip = zlib.NewWriter(&e.zipped)
	} else {
		e.zip.Reset(&e.zipped)
	}
	_, err1 := e.zip.Write(p)
	if err := errors.Join(err1, e.zip.Close()); err != nil {
		return err
	}
	e.sealed = binary.BigEndian.AppendUint32(e.sealed[:0], compressed)
	e.sealed = binary.BigEndian.AppendUint32(e.sealed, uint32(e.zipped.Len()))
	e.sealed = append(e.sealed, e.zipped.Bytes()...)
	return nil
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
	h, err6 := hdrhistogram.DecodePacked([]byte(fields[4]))
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return Interval{}, err
	}
	if !(highest >= 0 && highest < 1e15) {
		return Interval{}, errLogLine
	}
	h.Compact()
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
