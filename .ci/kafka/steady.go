package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"time"
)

// What is acknowledged is in the log once, on the partition of its key.
var steady = story{
	name: "steady", rate: 2000, length: time.Minute, anyVerdict: true,
	check: func(o *told) error { return errors.Join(o.conserved(), o.readBack()) },
}

// keys are as many as the stories' records have.
const keys = 1000

// readBack reads the topic with kcat: as many records as were acknowledged, each
// on the partition that the Java client chooses for its key.
func (o *told) readBack() error {
	chosen, err := javaPartitions()
	if err != nil {
		return err
	}
	read := int64(0)
	err = kcat(o.topic, func(partition int, key string, size int) error {
		read++
		if size != 200 {
			return fmt.Errorf("read a record of %d bytes", size)
		}
		if want, ok := chosen[key]; !ok || partition != want {
			return fmt.Errorf("key %s is on partition %d, the Java client chooses %d (known: %t)", key, partition, want, ok)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if read != o.sum.OK {
		return fmt.Errorf("acknowledged %d, read back %d", o.sum.OK, read)
	}
	return nil
}

// kcat reads a topic from its beginning to its end.
func kcat(topic string, record func(partition int, key string, size int) error) error {
	out, err := exec.Command("kcat", "-C", "-q", "-b", address, "-t", topic, "-o", "beginning", "-e", "-f", "%p %k %S\n").Output()
	if err != nil {
		return fmt.Errorf("kcat: %w", err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var partition, size int
		var key string
		if _, err := fmt.Sscan(lines.Text(), &partition, &key, &size); err != nil {
			return fmt.Errorf("kcat: %q: %w", lines.Text(), err)
		}
		if err := record(partition, key, size); err != nil {
			return err
		}
	}
	return nil
}

// javaPartitions tells on which partition of a story's topic the Java client puts
// each key: its console producer is asked, once.
var javaPartitions = sync.OnceValues(func() (map[string]int, error) {
	_, version := first.running()
	i, err := install(version)
	if err != nil {
		return nil, err
	}
	const name = "java-client"
	if err := topic(name, partitions); err != nil {
		return nil, err
	}
	class := "org.apache.kafka.tools.ConsoleProducer"
	if version == "3.9" {
		class = "kafka.tools.ConsoleProducer"
	}
	producer := exec.Command("java", i.java(class, "--bootstrap-server", address, "--topic", name, "--property", "parse.key=true", "--property", "key.separator=,")...)
	var records bytes.Buffer
	for key := range keys {
		fmt.Fprintf(&records, "%d,x\n", key)
	}
	producer.Stdin = &records
	if out, err := producer.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", class, err, out)
	}
	chosen := map[string]int{}
	err = kcat(name, func(partition int, key string, _ int) error {
		chosen[key] = partition
		return nil
	})
	if err == nil && len(chosen) != keys {
		err = fmt.Errorf("the Java client's console producer wrote %d keys of %d", len(chosen), keys)
	}
	return chosen, err
})
