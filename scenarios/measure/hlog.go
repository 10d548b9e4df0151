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
	"slices"
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

// The parts of an encoded histogram: eight bytes of cookie and length, and
// compressed the parameters and the counts.
const (
	sealedCookie = 0x1c849314
	plainCookie  = 0x1c849313
	writersBits  = 0xf0 // of a cookie
	headLength   = 40
)

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
	if h.LowestTrackableValue() != 1 || h.SignificantFigures() != digits {
		return errSlots
	}
	p := append(e.plain[:0], make([]byte, headLength)...)
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
	if len(p) == headLength {
		p = append(p, 0) // the library has a slot for the greatest value, even of none
	}
	binary.BigEndian.PutUint32(p[0:], plainCookie)
	binary.BigEndian.PutUint32(p[4:], uint32(len(p)-headLength))
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
	e.sealed = binary.BigEndian.AppendUint32(e.sealed[:0], sealedCookie)
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
	var d logDecoder
	for {
		line, err := in.ReadString('\n')
		if line != "" && line[0] != '#' && line[0] != '"' {
			iv, lineErr := d.interval(line)
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

var (
	errLogLine = errors.New("not a line of a histogram log")
	errSlots   = errors.New("a histogram of other slots than the recorder's")
)

// logDecoder reads the lines of a histogram log. It keeps what it works with
// from line to line: the library's own decoder takes 40 kB for each.
type logDecoder struct {
	text, sealed, plain []byte
	in                  bytes.Reader
	zip                 io.ReadCloser
}

func (d *logDecoder) interval(line string) (Interval, error) {
	line, whole := strings.CutSuffix(line, "\n")
	fields := strings.Split(line, ",")
	if !whole || len(fields) != 5 {
		return Interval{}, errLogLine
	}
	tag, tagged := strings.CutPrefix(fields[0], "Tag=")
	parts := strings.Split(strings.Clone(tag), "/") // they outlive the line
	if !tagged || len(parts) != 3 {
		return Interval{}, errLogLine
	}
	load, err1 := url.QueryUnescape(parts[1])
	operation, err2 := url.QueryUnescape(parts[2])
	start, err3 := strconv.ParseFloat(fields[1], 64)
	length, err4 := strconv.ParseFloat(fields[2], 64)
	highest, err5 := strconv.ParseFloat(fields[3], 64)
	h, err6 := d.histogram(fields[4])
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

// histogram decodes what LogEncoder encodes.
func (d *logDecoder) histogram(text string) (*hdrhistogram.PackedHistogram, error) {
	d.text = append(d.text[:0], text...)
	d.sealed = slices.Grow(d.sealed[:0], base64.StdEncoding.DecodedLen(len(d.text)))
	n, err := base64.StdEncoding.Decode(d.sealed[:cap(d.sealed)], d.text)
	if err != nil {
		return nil, err
	}
	b := d.sealed[:n]
	if len(b) < 8 || binary.BigEndian.Uint32(b)&^writersBits != sealedCookie&^writersBits || int64(binary.BigEndian.Uint32(b[4:])) != int64(len(b)-8) {
		return nil, errLogLine
	}
	d.in.Reset(b[8:])
	if d.zip == nil {
		d.zip, err = zlib.NewReader(&d.in)
	} else {
		err = d.zip.(zlib.Resetter).Reset(&d.in, nil)
	}
	if err != nil {
		d.zip = nil
		return nil, err
	}
	// The parameters come first: a short text must not ask for much memory.
	d.plain = append(d.plain[:0], make([]byte, headLength)...)
	if _, err := io.ReadFull(d.zip, d.plain); err != nil {
		return nil, err
	}
	head := d.plain
	const most = 64 << slotBits * binary.MaxVarintLen64
	length := binary.BigEndian.Uint32(head[4:])
	if binary.BigEndian.Uint32(head)&^writersBits != plainCookie&^writersBits || length > most {
		return nil, errLogLine
	}
	if binary.BigEndian.Uint32(head[12:]) != digits || binary.BigEndian.Uint64(head[16:]) != 1 {
		return nil, errSlots
	}
	h := hdrhistogram.NewPacked(1, int64(binary.BigEndian.Uint64(head[24:])), digits)
	d.plain = slices.Grow(d.plain[:0], int(length))[:length]
	if _, err := io.ReadFull(d.zip, d.plain); err != nil {
		return nil, err
	}
	if n, err := d.zip.Read(make([]byte, 1)); n != 0 || err != io.EOF { // which also compares the checksum
		return nil, errors.Join(errLogLine, err)
	}
	slot := 0
	for p := d.plain; len(p) > 0; {
		count, n := binary.Varint(p)
		if n <= 0 || n > 8 || count < -most { // the format's ninth byte is another than a varint's
			return nil, errLogLine
		}
		p = p[n:]
		if count < 0 {
			slot += int(-count)
			continue
		}
		if slot >= 64<<slotBits {
			return nil, errLogLine
		}
		if err := h.RecordValues(valueOf(slot), count); err != nil {
			return nil, err
		}
		slot++
	}
	h.Compact()
	return h, nil
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
