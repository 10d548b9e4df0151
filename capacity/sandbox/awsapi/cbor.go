package awsapi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"unicode/utf8"
)

// The part of CBOR (RFC 8949) that Smithy RPC v2 uses. Written apart from the
// SDK's codec, so that a mistake in one is seen by the other.

// maxDepth bounds the nesting of a decoded value.
const maxDepth = 64

// Major types.
const (
	cborUint = iota
	cborNegative
	cborBytes
	cborText
	cborArray
	cborMap
	cborTag
	cborOther
)

const (
	indefinite   = 31
	breakByte    = 0xff
	timestampTag = 1 // epoch seconds
)

var errTruncated = errors.New("cbor: ends in the middle of a value")

// decodeCBOR reads exactly one value and returns it as encoding/json would:
// map[string]any, []any, string, bool, nil, with int64, uint64 and float64 for
// numbers. A tag is dropped: a timestamp becomes its seconds.
func decodeCBOR(b []byte) (any, error) {
	d := cborDecoder{rest: b}
	v, err := d.value(0)
	if err == nil && len(d.rest) > 0 {
		err = fmt.Errorf("cbor: %d bytes follow the value", len(d.rest))
	}
	return v, err
}

type cborDecoder struct{ rest []byte }

// head reads a value's major type, the low five bits of its first byte and its
// argument.
func (d *cborDecoder) head() (major int, minor byte, arg uint64, err error) {
	if len(d.rest) == 0 {
		return 0, 0, 0, errTruncated
	}
	major, minor = int(d.rest[0]>>5), d.rest[0]&31
	d.rest = d.rest[1:]
	if minor < 24 {
		return major, minor, uint64(minor), nil
	}
	if minor == indefinite {
		return major, minor, 0, nil
	}
	if minor > 27 {
		return 0, 0, 0, fmt.Errorf("cbor: reserved length %d", minor)
	}
	size := 1 << (minor - 24)
	if len(d.rest) < size {
		return 0, 0, 0, errTruncated
	}
	for _, c := range d.rest[:size] {
		arg = arg<<8 | uint64(c)
	}
	d.rest = d.rest[size:]
	return major, minor, arg, nil
}

func (d *cborDecoder) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("cbor: nested more than %d deep", maxDepth)
	}
	major, minor, arg, err := d.head()
	if err != nil {
		return nil, err
	}
	if minor == indefinite && (major == cborUint || major == cborNegative || major == cborTag || major == cborOther) {
		return nil, errors.New("cbor: unexpected break or indefinite length")
	}
	switch major {
	case cborUint:
		return arg, nil
	case cborNegative:
		if arg > math.MaxInt64 {
			return nil, errors.New("cbor: integer out of range")
		}
		return -1 - int64(arg), nil
	case cborBytes, cborText:
		return d.str(major, minor, arg)
	case cborArray:
		list := []any{}
		for i := uint64(0); minor == indefinite || i < arg; i++ {
			if minor == indefinite && d.broke() {
				break
			}
			v, err := d.value(depth + 1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case cborMap:
		m := map[string]any{}
		for i := uint64(0); minor == indefinite || i < arg; i++ {
			if minor == indefinite && d.broke() {
				break
			}
			key, err := d.value(depth + 1)
			if err != nil {
				return nil, err
			}
			name, ok := key.(string)
			if !ok {
				return nil, errors.New("cbor: a map's key is not a text")
			}
			if m[name], err = d.value(depth + 1); err != nil {
				return nil, err
			}
		}
		return m, nil
	case cborTag:
		v, err := d.value(depth + 1)
		if err != nil || arg != timestampTag {
			return v, err
		}
		switch v.(type) {
		case uint64, int64, float64:
			return v, nil
		}
		return nil, errors.New("cbor: a timestamp is not a number")
	}
	switch minor {
	case 20:
		return false, nil
	case 21:
		return true, nil
	case 22, 23:
		return nil, nil
	case 25:
		return half(uint16(arg)), nil
	case 26:
		return float64(math.Float32frombits(uint32(arg))), nil
	case 27:
		return math.Float64frombits(arg), nil
	}
	return nil, fmt.Errorf("cbor: unknown simple value %d", arg)
}

// broke consumes the break that ends an indefinite length, if it is next.
func (d *cborDecoder) broke() bool {
	if len(d.rest) == 0 || d.rest[0] != breakByte {
		return false
	}
	d.rest = d.rest[1:]
	return true
}

// str reads a string, in one piece or in chunks.
func (d *cborDecoder) str(major int, minor byte, size uint64) (any, error) {
	var b []byte
	if minor == indefinite {
		for !d.broke() {
			m, chunk, size, err := d.head()
			if err != nil {
				return nil, err
			}
			if m != major || chunk == indefinite {
				return nil, errors.New("cbor: a string's chunk is of another type")
			}
			if uint64(len(d.rest)) < size {
				return nil, errTruncated
			}
			b, d.rest = append(b, d.rest[:size]...), d.rest[size:]
		}
	} else {
		if uint64(len(d.rest)) < size {
			return nil, errTruncated
		}
		b, d.rest = d.rest[:size], d.rest[size:]
	}
	if major == cborBytes {
		return b, nil
	}
	if !utf8.Valid(b) {
		return nil, errors.New("cbor: a text is not UTF-8")
	}
	return string(b), nil
}

// half converts an IEEE 754 half-precision number.
func half(h uint16) float64 {
	sign, exponent, fraction := float64(1), int(h>>10&31), float64(h&1023)
	if h>>15 == 1 {
		sign = -1
	}
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(fraction+1024, exponent-25)
}

// appendCBOR appends v, made of structs with json tags, slices, string maps,
// pointers and scalars. A timestamp is tag 1 and a double.
func appendCBOR(b []byte, v reflect.Value) []byte {
	if t, ok := v.Interface().(timestamp); ok {
		b = appendHead(b, cborTag, timestampTag)
		return appendCBOR(b, reflect.ValueOf(t.seconds()))
	}
	switch v.Kind() {
	case reflect.Pointer:
		return appendCBOR(b, v.Elem())
	case reflect.Bool:
		if v.Bool() {
			return append(b, cborOther<<5|21)
		}
		return append(b, cborOther<<5|20)
	case reflect.Int, reflect.Int32, reflect.Int64:
		if n := v.Int(); n < 0 {
			return appendHead(b, cborNegative, uint64(-1-n))
		}
		return appendHead(b, cborUint, uint64(v.Int()))
	case reflect.Float64:
		b = append(b, cborOther<<5|27)
		return binary.BigEndian.AppendUint64(b, math.Float64bits(v.Float()))
	case reflect.String:
		return append(appendHead(b, cborText, uint64(v.Len())), v.String()...)
	case reflect.Slice:
		b = appendHead(b, cborArray, uint64(v.Len()))
		for i := range v.Len() {
			b = appendCBOR(b, v.Index(i))
		}
		return b
	case reflect.Map:
		b = appendHead(b, cborMap, uint64(v.Len()))
		for it := v.MapRange(); it.Next(); {
			b = appendCBOR(appendCBOR(b, it.Key()), it.Value())
		}
		return b
	case reflect.Struct:
		b = append(b, cborMap<<5|indefinite)
		for i := range v.NumField() {
			name, omit, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if omit == "omitempty" && (v.Field(i).IsZero() || v.Field(i).Kind() == reflect.Slice && v.Field(i).Len() == 0) {
				continue
			}
			b = appendCBOR(appendCBOR(b, reflect.ValueOf(name)), v.Field(i))
		}
		return append(b, breakByte)
	}
	panic("cbor: cannot encode " + v.Type().String())
}

func appendHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}
