// Command kafka starts and stops a real Apache Kafka broker on loopback, and
// tells stories of headroom against it. Run it in the project's folder.
//
//	go run ./.ci/kafka up 4.x        # or 3.9; jars by mvn, data under bin/
//	go run ./.ci/kafka topic NAME PARTITIONS
//	go run ./.ci/kafka quota BYTES   # a second, for headroom's client id; 0: none
//	go run ./.ci/kafka stories [NAME...]
//	go run ./.ci/kafka down
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/scenarios/kafka"
)

const address = "127.0.0.1:19092"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kafka:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "up":
		return up(args[1], true)
	case len(args) == 1 && args[0] == "down":
		return down(true)
	case len(args) == 3 && args[0] == "topic":
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return topic(args[1], n)
	case len(args) == 2 && args[0] == "quota":
		n, err := strconv.ParseFloat(args[1], 64)
		if err != nil {
			return err
		}
		return quota(n)
	case len(args) > 0 && args[0] == "stories":
		return stories(args[1:])
	}
	return errors.New("up VERSION, down, topic NAME PARTITIONS, quota BYTES or stories")
}

// pidFile holds the broker's process id and its version.
var pidFile = filepath.Join("bin", "kafka.pid")

// running returns the broker's process id, or 0.
func running() (pid int, version string) {
	b, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, ""
	}
	if _, err := fmt.Sscan(string(b), &pid, &version); err != nil || syscall.Kill(pid, 0) != nil {
		return 0, ""
	}
	return pid, version
}

// up starts a broker, with empty data where fresh is set, and returns when a
// topic can be created.
func up(version string, fresh bool) error {
	if pid, v := running(); pid != 0 {
		fmt.Printf("kafka %s runs already, process %d\n", v, pid)
		return nil
	}
	from, err := filepath.Abs(filepath.Join(".ci", "kafka"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(from, version)); err != nil {
		return fmt.Errorf("no version %q: 4.x or 3.9", version)
	}
	dir, err := filepath.Abs(filepath.Join("bin", "kafka-"+version))
	if err != nil {
		return err
	}
	libs := filepath.Join(dir, "libs")
	if _, err := os.Stat(filepath.Join(libs, "done")); err != nil {
		fmt.Println("installing the jars of kafka", version)
		if err := command("", "mvn", "-B", "-q", "-f", filepath.Join(from, version, "pom.xml"), "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+libs); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(libs, "done"), nil, 0o644); err != nil {
			return err
		}
	}
	config := filepath.Join(dir, "server.properties")
	logging := "-Dlog4j2.configurationFile=" + filepath.Join(from, version, "log4j2.xml")
	if version == "3.9" {
		logging = "-Dlog4j.configuration=file:" + filepath.Join(from, version, "log4j.properties")
	}
	class := filepath.Join(libs, "*")
	if fresh {
		if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
			return err
		}
		base, err := os.ReadFile(filepath.Join(from, "server.properties"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(config, append(base, []byte("log.dirs="+filepath.Join(dir, "data")+"\n")...), 0o644); err != nil {
			return err
		}
		id := make([]byte, 16)
		rand.Read(id)
		id[0] &= 0x7f // no id begins with a sign
		if err := command(dir, "java", "-cp", class, logging, "kafka.tools.StorageTool", "format", "-t", base64.RawURLEncoding.EncodeToString(id), "-c", config); err != nil {
			return err
		}
	}
	out, err := os.OpenFile(filepath.Join(dir, "broker.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	broker := exec.Command("java", "-Xms512m", "-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-Dkafka.logs.dir="+dir, logging, "-cp", class, "kafka.Kafka", config)
	broker.Dir, broker.Stdout, broker.Stderr = dir, out, out
	broker.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := broker.Start(); err != nil {
		return err
	}
	if err := os.WriteFile(pidFile, fmt.Appendf(nil, "%d %s\n", broker.Process.Pid, version), 0o644); err != nil {
		return err
	}
	go broker.Wait()
	deadline := time.Now().Add(time.Minute)
	for {
		err := topic("ready", 1)
		if err == nil {
			fmt.Printf("kafka %s is ready on %s, process %d\n", version, address, broker.Process.Pid)
			return nil
		}
		if syscall.Kill(broker.Process.Pid, 0) != nil || time.Now().After(deadline) {
			return fmt.Errorf("the broker doesn't get ready (%w); see %s", err, out.Name())
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// command runs a program whose output is shown where it fails.
func command(dir, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// down stops the broker, and deletes its data where clean is set.
func down(clean bool) error {
	pid, version := running()
	if pid != 0 {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			return err
		}
		for end := time.Now().Add(30 * time.Second); alive(pid); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(end) {
				return syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !clean || version == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join("bin", "kafka-"+version, "data"))
}

// alive reports whether a process runs, and is not just waiting to be reaped.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(after, "Z")
}

// asked calls f with a client of the broker that asks for at most ten seconds.
func asked(f func(context.Context, *kadm.Client) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return err
	}
	return f(ctx, kadm.NewClient(client))
}

func topic(name string, partitions int) error {
	return asked(func(ctx context.Context, admin *kadm.Client) error {
		_, err := admin.CreateTopic(ctx, int32(partitions), 1, nil, name)
		if errors.Is(err, kerr.TopicAlreadyExists) {
			return nil
		}
		return err
	})
}

// quota sets or removes how many bytes a second clients with headroom's id may
// produce.
func quota(bytes float64) error {
	return asked(func(ctx context.Context, admin *kadm.Client) error {
		id := kafka.ClientID
		done, err := admin.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{
			Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &id}},
			Ops:    []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: bytes, Remove: bytes == 0}},
		}})
		if err != nil {
			return err
		}
		return done[0].Err
	})
}
