package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A pty is a terminal with nobody before it but the test.
type pty struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	seen   bytes.Buffer
}

func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals to be had here:", err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		t.Skip("no terminals to be had here:", err)
	}
	return master, slave
}

func atTerminal(t *testing.T, dir string, args ...string) *pty {
	t.Helper()
	master, slave := openPTY(t)
	defer slave.Close()
	cmd := exec.Command(filepath.Join(binary(t), "hopseal"), args...)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return &pty{t: t, master: master, cmd: cmd}
}

// expect reads until the terminal shows the text.
func (p *pty) expect(text string) {
	p.t.Helper()
	timer := time.AfterFunc(time.Minute, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	buf := make([]byte, 4096)
	for !strings.Contains(p.seen.String(), text) {
		n, err := p.master.Read(buf)
		p.seen.Write(buf[:n])
		if err != nil {
			p.t.Fatalf("the terminal shows no %q: %q", text, p.seen.String())
		}
	}
}

// answer types a line, once the terminal has shown the question.
func (p *pty) answer(question, line string) {
	p.t.Helper()
	p.expect(question)
	p.seen.Reset()
	// The question is shown a moment before the echo is off: wait for that.
	for range 1000 {
		state, err := unix.IoctlGetTermios(int(p.master.Fd()), unix.TCGETS)
		if err == nil && state.Lflag&unix.ECHO == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	fmt.Fprint(p.master, line)
}

// end waits for the command and returns what it has shown since the last answer.
func (p *pty) end() (string, int) {
	p.t.Helper()
	buf := make([]byte, 4096)
	for {
		n, err := p.master.Read(buf)
		p.seen.Write(buf[:n])
		if err != nil { // EIO: nobody holds the other side
			break
		}
	}
	p.cmd.Wait()
	return p.seen.String(), p.cmd.ProcessState.ExitCode()
}

func TestTerminal(t *testing.T) {
	dir := t.TempDir()
	const words = "nine quiet herons ford a wide brown river"
	p := atTerminal(t, dir, "key", "new", "-store", "a.store", "-name", "alice")
	p.answer("passphrase of a.store: ", words+"\n")
	p.answer("the same again: ", words+"\n")
	shown, code := p.end()
	if code != 0 || !strings.Contains(shown, "making a.store…") || !strings.Contains(shown, "made a.store") || strings.Contains(shown, "herons") {
		t.Fatalf("%d %q", code, shown)
	}
	p = atTerminal(t, dir, "key", "fingerprint", "-store", "a.store")
	p.answer("passphrase of a.store: ", "something else\n")
	if shown, code := p.end(); code != exitFailure || !strings.Contains(shown, "unlocking a.store…") || !strings.Contains(shown, "hopseal: a.store: wrong passphrase") {
		t.Fatalf("%d %q", code, shown)
	}
	p = atTerminal(t, dir, "key", "new", "-store", "b.store", "-name", "bob")
	p.answer("passphrase of b.store: ", "\x03") // Ctrl-C
	if shown, code := p.end(); code != exitFailure || !strings.Contains(shown, "hopseal: interrupted") {
		t.Fatalf("%d %q", code, shown)
	}
	if _, err := os.Stat(filepath.Join(dir, "b.store")); err == nil {
		t.Error("an interrupted command made a store")
	}
}

// An interrupt leaves a terminal that shows what is typed.
func TestInterruptRestoresTheTerminal(t *testing.T) {
	p := atTerminal(t, t.TempDir(), "key", "new", "-store", "a.store", "-name", "alice")
	p.answer("passphrase of a.store: ", "\x03")
	p.expect("hopseal: interrupted")
	state, err := unix.IoctlGetTermios(int(p.master.Fd()), unix.TCGETS)
	if err != nil || state.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal hides what is typed: %v", err)
	}
	p.end()
}
