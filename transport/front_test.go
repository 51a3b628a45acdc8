//go:build !js

package transport_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A front is a reverse proxy of Debian that runs with a configuration of
// docs/deploy.md.
type front struct {
	dir string
	out *lockedBuffer
}

// logs returns everything that the front has written down.
func (f front) logs(t *testing.T) string {
	t.Helper()
	all := f.out.String()
	for _, name := range []string{"access.log", "error.log"} {
		b, err := os.ReadFile(filepath.Join(f.dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all += string(b)
	}
	return all
}

// configuration returns the file that stands under a heading of docs/deploy.md, with
// what differs on this machine replaced. Each of these has to be in it.
func configuration(t *testing.T, heading string, replace map[string]string) string {
	t.Helper()
	doc, err := os.ReadFile("../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(doc), "\n## "+heading+"\n")
	found := regexp.MustCompile("(?s)```(?:nginx|haproxy)\n(.*?)```").FindStringSubmatch(section)
	if !ok || found == nil {
		t.Fatalf("docs/deploy.md has no configuration under %q", heading)
	}
	conf := found[1]
	for old, now := range replace {
		if !strings.Contains(conf, old) {
			t.Fatalf("the configuration under %q does not have %q", heading, old)
		}
		conf = strings.ReplaceAll(conf, old, now)
	}
	return conf
}

// need skips a test whose program is missing, unless it has to be there.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("HOPSEAL_FRONT_TESTS") == "require" {
			t.Fatal(err)
		}
		t.Skipf("%s is not installed: apt-get install nginx libnginx-mod-stream haproxy", program)
	}
}

func startNginx(t *testing.T, address, conf string) front {
	need(t, "nginx")
	f := newFront(t)
	conf = strings.Replace(conf, "http {", "http { client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;", 1)
	conf = strings.ReplaceAll(conf, "/var/log/nginx/app.log", filepath.Join(f.dir, "access.log"))
	conf = strings.ReplaceAll(conf, "/var/log/nginx/error.log", filepath.Join(f.dir, "error.log"))
	conf = strings.ReplaceAll(conf, "load_module modules/", "load_module /usr/lib/nginx/modules/")
	f.start(t, address, conf, "nginx", "-p", f.dir, "-e", "stderr", "-g", "daemon off; pid nginx.pid;", "-c")
	return f
}

func startHAProxy(t *testing.T, address, conf string) front {
	need(t, "haproxy")
	f := newFront(t)
	f.start(t, address, conf, "haproxy", "-db", "-f")
	return f
}

func newFront(t *testing.T) front { return front{t.TempDir(), new(lockedBuffer)} }

// start runs the front until the test ends, and returns when it listens.
func (f front) start(t *testing.T, address, conf, program string, args ...string) {
	t.Helper()
	file := filepath.Join(f.dir, "front.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append(args, file)...)
	cmd.Stdout, cmd.Stderr = f.out, f.out
	cmd.Dir = f.dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			t.Logf("%s wrote:\n%s", program, f.logs(t))
		}
	})
	f.awaitListener(t, address, ended)
}

func (f front) awaitListener(t *testing.T, address string, ended <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	try := time.NewTicker(20 * time.Millisecond)
	defer try.Stop()
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		select {
		case <-try.C:
		case <-ended:
			t.Fatalf("the front did not start:\n%s", f.out)
		case <-ctx.Done():
			t.Fatalf("the front does not listen:\n%s", f.out)
		}
	}
}

// A lockedBuffer takes what several programs write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
