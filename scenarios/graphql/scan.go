package graphql

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
)

const (
	// maxNesting is how deep JSON may nest, as in encoding/json.
	maxNesting = 10_000
	// maxErrorsKept bounds the part of the "errors" value that is kept; the
	// types of the errors that stand in it decide the outcome.
	maxErrorsKept = 64 << 10
	// maxKey is longer than any spelling of "errors" with escapes.
	maxKey = 40
)

// A scanner reads the body of an answer piece by piece, in constant memory. It
// knows whether the body is valid JSON (exactly as encoding/json has it), finds
// the keys "data" and "errors" of the outermost object without decoding
// anything, and keeps the beginning of a value of "errors" that is not empty.
// Where a key comes twice the last one holds, as in encoding/json.
type scanner struct {
	state  state
	after  state  // of a string: where it goes on, colon or afterValue
	rest   string // of a literal: what must still come
	depth  int
	object [maxNesting/64 + 1]uint64 // bit d: the container at depth d is an object

	inKey bool // a key of the outermost object is being read
	key   []byte
	field field // the key whose value is being read at depth 1

	data   valueKind
	errors valueKind
	kept   []byte // the value of "errors", up to maxErrorsKept bytes
	keep   bool   // the value is being read
}

type field uint8

const (
	otherField field = iota
	dataField
	errorsField
)

type valueKind uint8

const (
	absent valueKind = iota
	null
	emptyList
	list
	objectValue
	otherValue
)

type state uint8

const (
	value      state = iota // any value
	firstValue              // after [: a value or ]
	firstKey                // after {: a key or }
	nextKey                 // after , in an object
	colon
	afterValue // , or the end of the container; at depth 0 nothing but space
	inString
	escape
	unicode1 // four hex digits to come
	unicode2
	unicode3
	unicode4
	minus // a digit must come
	zero  // no digit may come
	digits
	point // a digit must come
	fraction
	exponent // a sign or a digit must come
	sign     // a digit must come
	power
	literal
	invalid
)

func (s *scanner) reset() {
	s.state, s.depth, s.rest = value, 0, ""
	s.inKey, s.key = false, s.key[:0]
	s.field, s.data, s.errors = otherField, absent, absent
	s.kept, s.keep = s.kept[:0], false
}

// valid reports whether all that was fed is one JSON value.
func (s *scanner) valid() bool {
	if s.depth > 0 {
		return false
	}
	switch s.state {
	case afterValue, zero, digits, fraction, power:
		return true
	}
	return false
}

// empty reports whether nothing but space was fed.
func (s *scanner) empty() bool { return s.state == value && s.depth == 0 }

// feed reads the next piece of the body.
func (s *scanner) feed(p []byte) {
	from := 0 // where the kept part of p begins
	for i := 0; i < len(p); {
		switch s.state {
		case inString:
			n := plain(p[i:])
			if s.inKey {
				s.addKey(p[i : i+n])
			}
			if i += n; i == len(p) {
				continue
			}
			switch p[i] {
			case '"':
				if s.inKey {
					s.endKey()
				}
				s.state = s.after
				if s.state == afterValue && s.keep && s.depth == 1 {
					s.endKeep(p[from : i+1])
				}
			case '\\':
				s.addEscape(p[i])
				s.state = escape
			default: // a control character
				s.state = invalid
			}
			i++
			continue

		case escape:
			switch p[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				s.state = inString
			case 'u':
				s.state = unicode1
			default:
				s.state = invalid
			}
			s.addEscape(p[i])
			i++
			continue

		case unicode1, unicode2, unicode3, unicode4:
			c := p[i]
			switch {
			case c-'0' > 9 && c|0x20-'a' > 5:
				s.state = invalid
			case s.state == unicode4:
				s.state = inString
			default:
				s.state++
			}
			s.addEscape(c)
			i++
			continue

		case literal:
			if p[i] != s.rest[0] {
				s.state = invalid
				continue
			}
			s.rest = s.rest[1:]
			i++
			if s.rest == "" {
				s.state = afterValue
				if s.keep && s.depth == 1 {
					s.endKeep(p[from:i])
				}
			}
			continue

		case invalid:
			return

		case minus, zero, digits, point, fraction, exponent, sign, power:
			if i += s.number(p[i:]); i < len(p) && s.state == afterValue && s.keep && s.depth == 1 {
				s.endKeep(p[from:i])
			}
			continue
		}

		// Between tokens.
		if s.depth > 1 && !s.keep {
			if i += s.skim(p[i:]); i == len(p) {
				continue
			}
		}
		c := p[i]
		if c == ' ' || c == '\n' || c == '\r' || c == '\t' {
			i++
			continue
		}
		switch s.state {
		case value, firstValue:
			if c == ']' && s.state == firstValue {
				s.close(false)
			} else {
				if s.depth == 1 && s.field != otherField {
					s.beginField(c)
					from = i
				} else if s.depth == 2 && s.keep && s.state == firstValue && s.errors == emptyList {
					s.errors = list
				}
				s.begin(c)
			}
		case firstKey, nextKey:
			switch {
			case c == '"':
				s.inKey, s.key = s.depth == 1, s.key[:0]
				s.state, s.after = inString, colon
			case c == '}' && s.state == firstKey:
				s.close(true)
			default:
				s.state = invalid
			}
		case colon:
			s.state = value
			if c != ':' {
				s.state = invalid
			}
		case afterValue:
			switch {
			case s.depth == 0:
				s.state = invalid
			case c == ',' && s.isObject():
				s.state = nextKey
				if s.depth == 1 {
					s.field = otherField
				}
			case c == ',':
				s.state = value
			default:
				if c != ']' && c != '}' {
					s.state = invalid
					break
				}
				s.close(c == '}')
			}
		}
		i++
		if s.keep && s.depth == 1 && s.state == afterValue {
			s.endKeep(p[from:i])
		}
	}
	if s.keep {
		s.addKept(p[from:])
	}
}

// skim reads whole tokens of the plainest forms, which is most of every answer,
// and returns how many bytes they take; feed goes on where it stops. It works
// below the outermost object's values, where no key means anything.
func (s *scanner) skim(p []byte) int {
	state, object := s.state, s.isObject()
	i := 0
tokens:
	for i < len(p) {
		c := p[i]
		if c == ' ' || c == '\n' {
			i++
			continue
		}
		switch state {
		case afterValue:
			switch {
			case c == ',' && object:
				state = nextKey
			case c == ',':
				state = value
			case s.depth > 2 && (c == '}' && object || c == ']' && !object):
				s.depth--
				object = s.isObject()
			default:
				break tokens
			}
			i++
		case firstKey, nextKey:
			if c != '"' {
				break tokens
			}
			n := i + 1 + plain(p[i+1:])
			if n+1 >= len(p) || p[n] != '"' || p[n+1] != ':' {
				break tokens
			}
			i, state = n+2, value
		case value, firstValue:
			n := i + 1
			switch c {
			case '"':
				n += plain(p[n:])
				if n == len(p) || p[n] != '"' {
					break tokens
				}
				n++
			case '1', '2', '3', '4', '5', '6', '7', '8', '9':
				for n < len(p) && p[n]-'0' <= 9 {
					n++
				}
				if n == len(p) || p[n] == '.' || p[n]|0x20 == 'e' {
					break tokens
				}
			case 't', 'f', 'n':
				switch rest := p[i:]; {
				case len(rest) >= 4 && (string(rest[:4]) == "true" || string(rest[:4]) == "null"):
					n = i + 4
				case len(rest) >= 5 && string(rest[:5]) == "false":
					n = i + 5
				default:
					break tokens
				}
			case '{', '[':
				if s.depth == maxNesting {
					break tokens
				}
				s.open(c == '{')
				state, object = s.state, c == '{'
				i = n
				continue
			default:
				break tokens
			}
			i, state = n, afterValue
		default: // a colon with space around it
			break tokens
		}
	}
	s.state = state
	return i
}

// begin starts a value with its first character.
func (s *scanner) begin(c byte) {
	switch c {
	case '"':
		s.state, s.after, s.inKey = inString, afterValue, false
	case '{':
		s.open(true)
	case '[':
		s.open(false)
	case '-':
		s.state = minus
	case '0':
		s.state = zero
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		s.state = digits
	case 't':
		s.state, s.rest = literal, "rue"
	case 'f':
		s.state, s.rest = literal, "alse"
	case 'n':
		s.state, s.rest = literal, "ull"
	default:
		s.state = invalid
	}
}

func (s *scanner) open(object bool) {
	if s.depth == maxNesting {
		s.state = invalid
		return
	}
	s.depth++
	bit := uint64(1) << (s.depth % 64)
	if object {
		s.object[s.depth/64] |= bit
		s.state = firstKey
	} else {
		s.object[s.depth/64] &^= bit
		s.state = firstValue
	}
}

func (s *scanner) isObject() bool { return s.object[s.depth/64]>>(s.depth%64)&1 == 1 }

func (s *scanner) close(object bool) {
	if s.isObject() != object {
		s.state = invalid
		return
	}
	s.depth--
	s.state = afterValue
}

// number reads on in a number and returns how many bytes belong to it; the
// state is afterValue when p holds a byte that doesn't.
func (s *scanner) number(p []byte) int {
	for i, c := range p {
		digit := c-'0' <= 9
		switch s.state {
		case minus:
			switch {
			case c == '0':
				s.state = zero
			case digit:
				s.state = digits
			default:
				s.state = invalid
				return i
			}
			continue
		case point, sign:
			if !digit {
				s.state = invalid
				return i
			}
			s.state++
			continue
		case exponent:
			switch {
			case c == '+' || c == '-':
				s.state = sign
			case digit:
				s.state = power
			default:
				s.state = invalid
				return i
			}
			continue
		case digits, fraction, power:
			if digit {
				continue
			}
		}
		switch {
		case c == '.' && (s.state == zero || s.state == digits):
			s.state = point
		case c|0x20 == 'e' && s.state != power:
			s.state = exponent
		default:
			s.state = afterValue
			return i
		}
	}
	return len(p)
}

func (s *scanner) addKey(p []byte) {
	if len(s.key) <= maxKey {
		s.key = append(s.key, p[:min(len(p), maxKey+1)]...)
	}
}

// addEscape notes one byte of an escape sequence, where a key is being read.
func (s *scanner) addEscape(c byte) {
	if s.inKey && len(s.key) <= maxKey {
		s.key = append(s.key, c)
	}
}

func (s *scanner) endKey() {
	s.inKey = false
	switch string(s.key) {
	case "data":
		s.field = dataField
	case "errors":
		s.field = errorsField
	default:
		s.field = otherField
		for _, c := range s.key {
			if c == '\\' {
				s.field = escapedField(s.key)
				return
			}
		}
	}
}

// escapedField reads a key that has escapes in it.
func escapedField(key []byte) field {
	var text string
	if len(key) > maxKey || json.Unmarshal(append(append([]byte{'"'}, key...), '"'), &text) != nil {
		return otherField
	}
	switch text {
	case "data":
		return dataField
	case "errors":
		return errorsField
	}
	return otherField
}

// beginField notes the kind of the value of "data" or "errors", which begins
// with c.
func (s *scanner) beginField(c byte) {
	kind := otherValue
	switch c {
	case 'n':
		kind = null
	case '[':
		kind = emptyList // until something stands in it
	case '{':
		kind = objectValue
	}
	if s.field == dataField {
		if kind == emptyList {
			kind = otherValue
		}
		s.data = kind
		return
	}
	s.errors, s.keep, s.kept = kind, true, s.kept[:0]
}

func (s *scanner) addKept(p []byte) {
	s.kept = append(s.kept, p[:min(len(p), maxErrorsKept-len(s.kept))]...)
}

func (s *scanner) endKeep(p []byte) {
	s.addKept(p)
	s.keep = false
}

// plain returns how many bytes of p are string characters before the first
// quote, backslash or control character.
func plain(p []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(p); i += 8 {
		x := binary.LittleEndian.Uint64(p[i:])
		quote, backslash := x^(ones*'"'), x^(ones*'\\')
		// The lowest marked byte is exact; those above it need not be.
		if found := ((quote-ones)&^quote | (backslash-ones)&^backslash | (x-ones*0x20)&^x) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(p); i++ {
		if c := p[i]; c == '"' || c == '\\' || c < 0x20 {
			break
		}
	}
	return i
}
