package pebbletest

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func decodeBinding(text string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(text) }

// Where a front has both ports, only http-01 can work, and nothing else is tried. The
// lines for nginx are those of docs/deploy.md.
func TestHTTP01BehindNginx(t *testing.T) {
	t.Parallel()
	front, service := freeAddress(t), freeAddress(t)
	startNginx(t, front, service)
	for what, opts := range map[string]nodeOptions{"handler alone": {}, "Challenge": {challenge: "http-01"}} {
		t.Run(what, func(t *testing.T) {
			p := startPebble(t, pebbleOptions{tls: portOf(front), http: portOf(front)})
			opts.cache = dir(t)
			n := p.node(t, opts)
			serve(t, must(net.Listen("tcp", service)), n.HTTPHandler(nil))
			if _, err := n.visit(name); err != nil {
				t.Fatal(err, n.why(name))
			}
			if p.orders() != 1 || p.said("INVALID") != 0 || p.said("Attempting to validate w/ HTTP") == 0 {
				t.Errorf("%d orders, %d failed", p.orders(), p.said("INVALID"))
			}
		})
	}
	answer := must((&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get("http://" + front + "/socket?x=1"))
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	if to := answer.Header.Get("Location"); answer.StatusCode != 301 || !strings.HasSuffix(to, "/socket?x=1") || !strings.HasPrefix(to, "https://") {
		t.Errorf("a browser is sent to %s by %d", to, answer.StatusCode)
	}
}

// startNginx runs the server block of docs/deploy.md.
func startNginx(t *testing.T, front, service string) {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		if os.Getenv("HOPSEAL_FRONT_TESTS") == "require" {
			t.Fatal(err)
		}
		t.Skip("nginx is not installed: apt-get install nginx")
	}
	_, section, _ := strings.Cut(string(must(os.ReadFile("../../../../docs/deploy.md"))), "\n### Behind nginx on port 80\n")
	block := regexp.MustCompile("(?s)```nginx\n(.*?)```").FindStringSubmatch(section)
	if block == nil {
		t.Fatal("docs/deploy.md has no block for nginx on port 80")
	}
	conf := block[1]
	for old, now := range map[string]string{"listen 80;": "listen " + front + ";", "http://127.0.0.1:8081;": "http://" + service + ";"} {
		if !strings.Contains(conf, old) {
			t.Fatalf("the block has no %q", old)
		}
		conf = strings.ReplaceAll(conf, old, now)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "nginx.conf")
	conf = fmt.Sprintf("daemon off; master_process off; pid %s/pid; error_log stderr;\nevents {}\nhttp { access_log off; client_body_temp_path %s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;\n%[3]s}\n", folder, folder, conf)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nginx", "-c", file, "-p", folder)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 200 {
		if c, err := net.Dial("tcp", front); err == nil {
			c.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("nginx does not listen")
}
