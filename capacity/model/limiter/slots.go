package limiter

import "strings"

// Slots is the number of hash slots of a Redis Cluster.
const Slots = 16384

// Slot returns the slot of a key: CRC16 of its hash tag, modulo 16,384. The tag is
// what stands between the first { and the next }; where that is nothing, the
// whole key counts. Keys of one tag share a slot, and so a node, however many
// nodes there are (Redis Cluster specification, "Hash tags").
func Slot(key string) int {
	if open := strings.IndexByte(key, '{'); open >= 0 {
		if n := strings.IndexByte(key[open+1:], '}'); n > 0 {
			key = key[open+1 : open+1+n]
		}
	}
	return int(crc16(key)) % Slots
}

// Node returns which of n nodes has a slot, where each has a range of equal size.
func Node(slot, n int) int { return slot * n / Slots }

// crc16 is CRC-16/XMODEM: polynomial 0x1021, initial value 0.
func crc16(s string) uint16 {
	var crc uint16
	for i := range len(s) {
		crc ^= uint16(s[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
