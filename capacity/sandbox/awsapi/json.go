package awsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// timestamp is an instant as AWS JSON writes it: seconds since 1970, with
// milliseconds as a fraction.
type timestamp time.Time

func (t timestamp) seconds() float64 { return float64(time.Time(t).UnixMilli()) / 1000 }

func (t timestamp) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, t.seconds(), 'f', -1, 64), nil
}

func (t *timestamp) UnmarshalJSON(b []byte) error {
	var v float64
	if err := json.Unmarshal(b, &v); err != nil {
		return errors.New("a timestamp is not a number of seconds")
	}
	const year10000 = 253402300800
	if v < 0 || v >= year10000 {
		return fmt.Errorf("the timestamp %v is outside the years 1970 to 9999", v)
	}
	*t = timestamp(time.UnixMilli(int64(math.Round(v * 1000))))
	return nil
}

// RequestID returns a random UUID.
func RequestID() string {
	const digits = "0123456789abcdef"
	b := []byte("00000000-0000-4000-8000-000000000000")
	var bits uint64
	for i := range b {
		if i%16 == 0 {
			bits = rand.Uint64()
		}
		if b[i] == '0' {
			b[i] = digits[bits&15]
		}
		bits >>= 4
	}
	return string(b)
}
