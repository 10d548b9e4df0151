package load

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Purposes of random streams.
const (
	forArrivals = "arrivals"
	forMix      = "mix"
)

// Stream is a sequence of random numbers with an address for each: number i is
// a pure function of the stream and i, so that any part of a run can be drawn
// without what comes before it.
type Stream struct{ key uint64 }

// NewStream returns the stream of a load for one purpose. Streams of different
// seeds, loads or purposes have nothing in common.
func NewStream(seed uint64, load, purpose string) Stream {
	b := binary.LittleEndian.AppendUint64(nil, seed)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(load)))
	b = append(append(b, load...), purpose...)
	sum := sha256.Sum256(b)
	return Stream{binary.LittleEndian.Uint64(sum[:])}
}

// At returns number i of the stream, uniform over all 64 bits: output i of
// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
func (s Stream) At(i uint64) uint64 {
	z := s.key + (i+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Uniform returns number i of the stream as a fraction in [0, 1).
func (s Stream) Uniform(i uint64) float64 { return float64(s.At(i)>>11) / (1 << 53) }

// seed sets p to the beginning of the stream's segment i.
func (s Stream) seed(p *rand.PCG, i uint64) { p.Seed(s.At(2*i), s.At(2*i+1)) }
