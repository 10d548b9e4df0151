package measure

import (
	"encoding/binary"
	"math/bits"
)

// What a long run has of each second is kept on a Shelf in columns: whole numbers
// that lie close together, each as its distance from the least of its column, in as
// few bytes as the greatest distance takes. A column of equal numbers takes none.

// loaded is how many bytes are read for a number, however many it takes: as many
// follow the last column.
const loaded = 8

// appendColumn appends n numbers, of which at returns the i-th.
func appendColumn(b []byte, n int, at func(i int) int64) []byte {
	least, most := at(0), at(0)
	for i := range n {
		least, most = min(least, at(i)), max(most, at(i))
	}
	width := (bits.Len64(uint64(most-least)) + 7) / 8
	b = binary.AppendVarint(append(b, byte(width)), least)
	for i := range n {
		for distance, k := uint64(at(i)-least), 0; k < width; k++ {
			b = append(b, byte(distance>>(8*k)))
		}
	}
	return b
}

// column reads the numbers of one column.
type column struct {
	least  int64
	width  int
	mask   uint64
	packed []byte // from its first number on
}

// readColumn returns the column of n numbers that b begins with, and what follows.
func readColumn(b []byte, n int) (c column, rest []byte) {
	least, size := binary.Varint(b[1:])
	width, b := int(b[0]), b[1+size:]
	return column{least, width, 1<<(8*width) - 1, b}, b[n*width:] // all bits where it takes eight bytes
}

// at returns the i-th number.
func (c *column) at(i int) int64 {
	return c.least + int64(binary.LittleEndian.Uint64(c.packed[i*c.width:])&c.mask)
}
