//go:build unix

package main

import (
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// The command that the README gives, run as a newcomer runs it: from the root of
// the repository, on the standard port. It answers with the page and the built
// WebAssembly, and Ctrl-C ends it. Where the port is taken it says so.
func TestREADMECommand(t *testing.T) {
	out := newScreen()
	cmd := exec.Command("go", "run", "./examples/chat")
	cmd.Dir = "../.."
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches the whole group
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	u := &user{t: t, name: "go run", out: out, errors: newScreen()}
	line := u.seesUnless(ended, "The chat is at")
	if line == "" {
		if !strings.Contains(out.String(), defaultAddr+" is taken: stop what runs there") {
			t.Fatalf("ended with:\n%s", out)
		}
		return
	}
	defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // where the test fails below
	url := regexp.MustCompile(`http://\S+`).FindString(line)
	if _, body := get(t, url); !strings.Contains(body, "Hopseal") {
		t.Errorf("the page is %q", body)
	}
	if r, body := get(t, url+"/hopseal/core.wasm"); r.StatusCode != 200 || !strings.HasPrefix(body, "\x00asm") {
		t.Errorf("the core: status %d, %d bytes", r.StatusCode, len(body))
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-ended // the go command reports the interrupt as 1; TestServe has the program's own status
	if text := out.String(); strings.Contains(text, "chat:") || strings.Contains(text, "exit status") {
		t.Errorf("Ctrl-C left:\n%s", text)
	}
}
