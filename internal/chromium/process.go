//go:build !js

package chromium

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// flags make a browser quiet and the same everywhere, mostly as Puppeteer does.
var flags = []string{
	"--headless", "--remote-debugging-pipe",
	"--no-sandbox", // in a container there are no namespaces for one
	"--disable-gpu", "--disable-quic", "--disable-component-update", "--window-size=1280,800",
	"--no-first-run", "--no-default-browser-check", "--hide-scrollbars", "--mute-audio",
	"--disable-background-networking", "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
	"--disable-breakpad", "--disable-client-side-phishing-detection", "--disable-default-apps", "--disable-dev-shm-usage",
	"--disable-extensions", "--disable-features=Translate", "--disable-hang-monitor", "--disable-ipc-flooding-protection",
	"--disable-popup-blocking", "--disable-prompt-on-repost", "--disable-renderer-backgrounding", "--disable-sync",
	"--force-color-profile=srgb", "--metrics-recording-only", "--safebrowsing-disable-auto-update", "--enable-automation",
	"--password-store=basic", "--use-mock-keychain",
}

// endTime is how long a browser may take to end before it is killed.
const endTime = 10 * time.Second

// start starts a browser that ends with the test: it also ends by itself when this process
// does, and closes the pipes.
func start(t testing.TB, path string, more ...string) *devtools {
	t.Helper()
	profile, err := os.MkdirTemp("", "chromium-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(profile) })
	cmd := exec.Command(path, append(append(append([]string{}, flags...), more...), "--user-data-dir="+profile, "about:blank")...)
	var said output
	cmd.Stdout, cmd.Stderr = &said, &said
	to, from, err := startPiped(cmd)
	if err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	d := newDevtools(to, from)
	t.Cleanup(func() { stop(cmd, d, from) })
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	if err := d.call(ctx, "", "Browser.getVersion", nil, nil); err != nil {
		t.Fatalf("starting Chromium: %v\n%s", err, said.String())
	}
	return d
}

// startPiped starts a browser that reads calls as its file 3 and writes answers as its file 4.
func startPiped(cmd *exec.Cmd) (to io.WriteCloser, from io.ReadCloser, err error) {
	reads, to, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer reads.Close()
	from, writes, err := os.Pipe()
	if err != nil {
		to.Close()
		return nil, nil, err
	}
	defer writes.Close()
	cmd.ExtraFiles = []*os.File{reads, writes}
	if err := cmd.Start(); err != nil {
		to.Close()
		from.Close()
		return nil, nil, err
	}
	return to, from, nil
}

func stop(cmd *exec.Cmd, d *devtools, from io.Closer) {
	d.send("", "Browser.close", nil)
	late := time.AfterFunc(endTime, func() { cmd.Process.Kill() })
	defer late.Stop()
	cmd.Wait()
	d.to.Close()
	<-d.ended
	from.Close()
}

// remove removes a browser's profile. Processes that the browser leaves behind may write
// into it for a moment.
func remove(profile string) {
	for range 100 {
		if os.RemoveAll(profile) == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// An output keeps the beginning of what a process says.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b[:min(len(b), max(0, 4000-o.text.Len()))])
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(o.text.String())
}
