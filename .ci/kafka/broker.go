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
)

// The listeners of the first node (server.properties); secured ones take the
// users and certificates of identities.go.
const (
	address     = "127.0.0.1:19092" // plaintext
	addressSASL = "127.0.0.1:19094" // SASL without TLS
	addressTLS  = "127.0.0.1:19095" // TLS that asks for a client's certificate
	addressBoth = "127.0.0.1:19096" // SASL within TLS
)

// node is one process of the cluster. The first is its controller too; the
// second only holds replicas, and has a plaintext listener alone.
type node int

const (
	first  node = 1
	second node = 2
)

// second's part of server.properties.
const secondProperties = `process.roles=broker
node.id=2
listeners=PLAINTEXT://127.0.0.1:19192
advertised.listeners=PLAINTEXT://127.0.0.1:19192
`

// pidFile holds the node's process id and its version.
func (n node) pidFile() string { return filepath.Join("bin", fmt.Sprintf("kafka-%d.pid", n)) }

// running returns the node's process id, or 0.
func (n node) running() (pid int, version string) {
	b, err := os.ReadFile(n.pidFile())
	if err != nil {
		return 0, ""
	}
	if _, err := fmt.Sscan(string(b), &pid, &version); err != nil || !alive(pid) {
		return 0, ""
	}
	return pid, version
}

// installation is a version of Kafka in bin/, with all that its nodes write.
type installation struct {
	version string
	from    string // the project's files for it
	dir     string
}

// install fetches the jars of a version, once.
func install(version string) (installation, error) {
	from, err1 := filepath.Abs(filepath.Join(".ci", "kafka"))
	dir, err2 := filepath.Abs(filepath.Join("bin", "kafka-"+version))
	if err := errors.Join(err1, err2); err != nil {
		return installation{}, err
	}
	i := installation{version, from, dir}
	if _, err := os.Stat(filepath.Join(from, version)); err != nil {
		return i, fmt.Errorf("no version %q: 4.x or 3.9", version)
	}
	done := filepath.Join(i.libs(), "done")
	if _, err := os.Stat(done); err == nil {
		return i, nil
	}
	fmt.Println("installing the jars of kafka", version)
	if err := command("", "mvn", "-B", "-q", "-f", filepath.Join(from, version, "pom.xml"), "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+i.libs()); err != nil {
		return i, err
	}
	return i, os.WriteFile(done, nil, 0o644)
}

func (i installation) libs() string { return filepath.Join(i.dir, "libs") }

// data is the folder of the nodes' logs.
func (i installation) data() string { return filepath.Join(i.dir, "data") }

// java returns the arguments of a class of this version.
func (i installation) java(class string, args ...string) []string {
	logging := "-Dlog4j2.configurationFile=" + filepath.Join(i.from, i.version, "log4j2.xml")
	if i.version == "3.9" {
		logging = "-Dlog4j.configuration=file:" + filepath.Join(i.from, i.version, "log4j.properties")
	}
	return append([]string{"-Dkafka.logs.dir=" + i.dir, logging, "-cp", filepath.Join(i.libs(), "*"), class}, args...)
}

// up starts the first node, with empty data where fresh is set, and returns when
// a topic can be created.
func up(version string, fresh bool) error {
	if pid, v := first.running(); pid != 0 {
		fmt.Printf("kafka %s runs already, process %d\n", v, pid)
		return nil
	}
	i, err := install(version)
	if err != nil {
		return err
	}
	if fresh {
		if err := os.RemoveAll(i.data()); err != nil {
			return err
		}
		if err := i.identities(); err != nil {
			return err
		}
		id := make([]byte, 16)
		rand.Read(id)
		id[0] &= 0x7f // no id begins with a sign
		if err := i.format(first, base64.RawURLEncoding.EncodeToString(id), ""); err != nil {
			return err
		}
	}
	if err := i.start(first, func() error { return topic("ready", 1) }); err != nil {
		return err
	}
	if fresh {
		return scramUsers()
	}
	return nil
}

// join adds the second node to the cluster of the first.
func join() error {
	_, version := first.running()
	i, err := install(version)
	if err != nil {
		return err
	}
	var cluster kadm.Metadata
	ask := func() error {
		return asked(func(ctx context.Context, admin *kadm.Client) (err error) {
			cluster, err = admin.BrokerMetadata(ctx)
			return err
		})
	}
	if err := ask(); err != nil {
		return err
	}
	if err := i.format(second, cluster.Cluster, secondProperties); err != nil {
		return err
	}
	return i.start(second, func() error {
		if err := ask(); err != nil {
			return err
		}
		if len(cluster.Brokers) < 2 {
			return errors.New("it doesn't know its second node yet")
		}
		return nil
	})
}

func (i installation) config(n node) string {
	return filepath.Join(i.dir, fmt.Sprintf("server-%d.properties", n))
}

// format writes a node's configuration and makes its data anew.
func (i installation) format(n node, cluster, properties string) error {
	base, err := os.ReadFile(filepath.Join(i.from, "server.properties"))
	if err != nil {
		return err
	}
	data := filepath.Join(i.data(), fmt.Sprint(n))
	text := fmt.Sprintf("%s%slog.dirs=%s\nssl.keystore.location=%s\nssl.truststore.location=%s\n", base, properties, data, i.tls("broker.pem"), i.tls("ca.pem"))
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := os.WriteFile(i.config(n), []byte(text), 0o600); err != nil {
		return err
	}
	return command(i.dir, "java", i.java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", i.config(n))...)
}

// start starts a node and returns when it is ready.
func (i installation) start(n node, ready func() error) error {
	out, err := os.OpenFile(filepath.Join(i.dir, fmt.Sprintf("broker-%d.log", n)), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	options := []string{"-Xms512m", "-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"}
	broker := exec.Command("java", append(options, i.java("kafka.Kafka", i.config(n))...)...)
	broker.Dir, broker.Stdout, broker.Stderr = i.dir, out, out
	broker.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := keepFiles(); err != nil {
		return err
	}
	if err := broker.Start(); err != nil {
		return err
	}
	pid := broker.Process.Pid
	if err := os.WriteFile(n.pidFile(), fmt.Appendf(nil, "%d %s\n", pid, i.version), 0o644); err != nil {
		return err
	}
	go broker.Wait()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(250 * time.Millisecond) {
		err := ready()
		if err == nil {
			fmt.Printf("kafka %s is ready, node %d, process %d\n", i.version, n, pid)
			return nil
		}
		if !alive(pid) || time.Now().After(deadline) {
			return fmt.Errorf("node %d doesn't get ready (%w); see %s", n, err, out.Name())
		}
	}
}

// keepFiles keeps a broker, which outlives this program, from inheriting what the
// program's caller left open, such as a lock.
func keepFiles() error {
	open, err := os.ReadDir("/proc/self/fd")
	for _, f := range open {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return err
}

// stop ends a node's process, if there is one.
func (n node) stop() error {
	pid, _ := n.running()
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
	if err := os.Remove(n.pidFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// down stops the cluster and deletes its data.
func down() error {
	_, version := first.running()
	if err := errors.Join(second.stop(), first.stop()); err != nil || version == "" {
		return err
	}
	return os.RemoveAll(installation{dir: filepath.Join("bin", "kafka-"+version)}.data())
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
