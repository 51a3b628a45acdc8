//go:build unix

package fronts

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/freeport"
)

// patience is how long a program may take to listen.
const patience = time.Minute

// A Front is a program between clients and a service.
type Front struct {
	Kind *Kind
	Addr string // host:port on which it listens

	dir, conf string
	setup     Setup
	out       output

	mu    sync.Mutex // guards what follows
	cmd   *exec.Cmd  // nil while it does not run
	ended chan struct{}
}

// Setup configures a front.
type Setup struct {
	Services []string // host:port of each node of the service, for fronts before a service
	Cert     *Cert    // for fronts that end TLS
	Plain    string   // host:port on which nginx listens without TLS too, or ""
}

// Start runs a front until the test ends. It skips the test if the program is missing,
// unless HOPSEAL_FRONT_TESTS is "require".
func Start(t testing.TB, kind *Kind, setup Setup) *Front {
	t.Helper()
	Need(t, kind.Program)
	f := &Front{Kind: kind, Addr: freeport.Address(t), setup: setup}
	var err error
	if f.dir, err = os.MkdirTemp("", "hopseal-front-"); err == nil {
		err = os.Chmod(f.dir, 0o755) // squid and dante change to another user
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Kill()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", kind.Name, f.Logs())
		}
		os.RemoveAll(f.dir)
		for _, name := range f.litter() {
			os.Remove(name)
		}
	})
	f.conf = filepath.Join(f.dir, "front.conf")
	if err := os.WriteFile(f.conf, []byte(kind.conf(f)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	return f
}

// litter returns what a killed squid leaves behind.
func (f *Front) litter() []string {
	names, _ := filepath.Glob("/dev/shm/" + squidName(f) + "-*")
	return names
}

// Need skips a test whose program is missing. It fails the test instead if
// HOPSEAL_FRONT_TESTS is "require".
func Need(t testing.TB, program string) {
	t.Helper()
	if _, err := find(program); err == nil {
		return
	}
	text := program + " is not installed: apt-get install nginx libnginx-mod-stream haproxy squid tinyproxy dante-server"
	if os.Getenv("HOPSEAL_FRONT_TESTS") == "require" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// find looks for a program in the path, and then in /usr/sbin, where Debian has system
// programs and which is not in everybody's path.
func find(program string) (string, error) {
	if found, err := exec.LookPath(program); err == nil {
		return found, nil
	}
	return exec.LookPath("/usr/sbin/" + program)
}

// Start runs the program again, and returns when it listens. It does nothing if the
// program runs already.
func (f *Front) Start() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cmd != nil {
		return nil
	}
	program, err := find(f.Kind.Program)
	if err != nil {
		return err
	}
	cmd := exec.Command(program, f.Kind.args(f)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = &f.out, &f.out, f.dir
	cmd.Env = append(os.Environ(), "TMPDIR="+f.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // one group with its workers
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	f.cmd, f.ended = cmd, ended
	if err := f.awaitListener(); err != nil {
		f.kill()
		return err
	}
	return nil
}

func (f *Front) awaitListener() error {
	late := time.After(patience)
	try := time.NewTicker(10 * time.Millisecond)
	defer try.Stop()
	for {
		if conn, err := net.Dial("tcp", f.Addr); err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-try.C:
		case <-f.ended:
			return fmt.Errorf("%s did not start:\n%s", f.Kind.Name, f.Logs())
		case <-late:
			return fmt.Errorf("%s does not listen:\n%s", f.Kind.Name, f.Logs())
		}
	}
}

// Kill ends the program and its workers at once.
func (f *Front) Kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kill()
}

func (f *Front) kill() {
	if f.cmd != nil {
		syscall.Kill(-f.cmd.Process.Pid, syscall.SIGKILL)
		<-f.ended
		f.cmd = nil
	}
}

// Reload makes the program read its configuration again.
func (f *Front) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cmd == nil {
		return errors.New("it does not run")
	}
	return f.cmd.Process.Signal(f.Kind.reload)
}

// Pause stops the program and its workers where they are. Resume lets them go on.
func (f *Front) Pause()  { f.signal(syscall.SIGSTOP) }
func (f *Front) Resume() { f.signal(syscall.SIGCONT) }

func (f *Front) signal(s syscall.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cmd != nil {
		syscall.Kill(-f.cmd.Process.Pid, s)
	}
}

// Logs returns what the front has printed and what is in its log files.
func (f *Front) Logs() string {
	all := f.out.String()
	for _, name := range []string{"access.log", "error.log"} {
		b, _ := os.ReadFile(filepath.Join(f.dir, name))
		all += string(b)
	}
	return all
}

// maxOutput is how much an output keeps of what a program prints, in bytes.
const maxOutput = 256 << 10

// An output keeps the last part of what several programs print.
type output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.b.Len() > maxOutput {
		o.b.Reset()
	}
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
