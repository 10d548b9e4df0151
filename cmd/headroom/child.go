package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// child is this program in a process of its own, so that its processor time is
// not the generator's. It ends when its standard input closes.
type child struct {
	in    io.Writer // the child's standard input
	close func() error
}

// startChild starts this program with args and reads the line of JSON that the
// child says first into hello. name is what the child is called in errors.
func (a app) startChild(name string, hello any, args ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, failure(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Stderr = a.stderr
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, failure(err)
	}
	if err := cmd.Start(); err != nil {
		return nil, failure(fmt.Errorf("%s: %w", name, err))
	}
	c := &child{in: stdin, close: func() error { return errors.Join(stdin.Close(), cmd.Wait()) }}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, hello)
	}
	if err != nil {
		return nil, failure(fmt.Errorf("the %s didn't start: %w", name, errors.Join(err, c.close())))
	}
	return c, nil
}
