package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// What is acknowledged is in the log once, on the partition of its key.
var steady = story{
	name: "steady", rate: 2000, length: time.Minute,
	check: func(o *told) error { return errors.Join(o.conserved(), o.readBack()) },
}

// readBack reads the topic with kcat: as many records as were acknowledged, each
// on the partition of its key.
func (o *told) readBack() error {
	kcat := exec.Command("kcat", "-C", "-q", "-b", address, "-t", o.topic, "-o", "beginning", "-e", "-f", "%p %k %S\n")
	out, err := kcat.Output()
	if err != nil {
		return fmt.Errorf("kcat: %w", err)
	}
	read := int64(0)
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); read++ {
		f := strings.Fields(lines.Text())
		if len(f) != 3 || f[2] != "200" {
			return fmt.Errorf("read %q", lines.Text())
		}
		if want := int(murmur2([]byte(f[1]))&0x7fffffff) % partitions; f[0] != strconv.Itoa(want) {
			return fmt.Errorf("key %s is on partition %s, the Java client chooses %d", f[1], f[0], want)
		}
	}
	if read != o.sum.OK {
		return fmt.Errorf("acknowledged %d, read back %d", o.sum.OK, read)
	}
	return nil
}

// murmur2 is the hash of the Java client's partitioner (Kafka, Utils.murmur2).
func murmur2(b []byte) uint32 {
	const m, r = 0x5bd1e995, 24
	h := uint32(0x9747b28c) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
	}
	for i := len(b) - 1; i >= 0; i-- {
		h ^= uint32(b[i]) << (8 * i)
	}
	if len(b) > 0 {
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
