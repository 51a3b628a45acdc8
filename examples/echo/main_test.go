//go:build !js

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/hopseal/hopseal/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// background runs a command until the test ends, and returns what the given expression
// finds in what it prints.
func background(t *testing.T, wanted string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, args, w)
		w.CloseWithError(io.EOF)
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%q: %v", args, err)
		}
	})
	printed := ""
	for find := regexp.MustCompile(wanted); ; {
		buf := make([]byte, 1000)
		n, err := r.Read(buf)
		if err != nil {
			t.Fatalf("%q printed %q", args, printed)
		}
		if printed += string(buf[:n]); find.MatchString(printed) {
			go io.Copy(io.Discard, r) // until the command has ended
			return find.FindStringSubmatch(printed)[1]
		}
	}
}

// start runs the service and returns the arguments that it tells its user to give
// to the client: client, -server, fingerprint, URL, text.
func start(t *testing.T) []string {
	t.Helper()
	return strings.Fields(background(t, `go run \./examples/echo (client .*)\n`, "serve", "-addr", "127.0.0.1:0"))
}

func TestEcho(t *testing.T) {
	args := append(start(t), "and again", "\x1b[2J")
	var out strings.Builder
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err)
	}
	if want := "hello\nand again\n\\x1b[2J\n"; out.String() != want {
		t.Errorf("the client printed %q, want %q", out.String(), want)
	}
}

// figures are those of a client, as it prints them at its end.
type figures struct{ sent, received, lost, doubled, reconnects int }

// wantNothingLost reads the last figures in what was printed.
func wantNothingLost(t *testing.T, printed string, cuts int) {
	t.Helper()
	var f figures
	at := strings.LastIndex(printed, "\nsent ")
	if at < 0 {
		t.Fatalf("no figures in %q", printed)
	}
	if _, err := fmt.Sscanf(printed[at+1:], "sent %d, received %d, lost %d, doubled %d, reconnects %d",
		&f.sent, &f.received, &f.lost, &f.doubled, &f.reconnects); err != nil {
		t.Fatal(err)
	}
	if f.received != f.sent || f.sent < cuts || f.lost != 0 || f.doubled != 0 || f.reconnects < cuts {
		t.Errorf("%+v, with %d cuts", f, cuts)
	}
}

// A screen keeps what is printed.
type screen struct {
	mu sync.Mutex
	bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(b)
}

// The command that the README gives, with a hop that is less patient.
func TestREADMECommand(t *testing.T) {
	var out screen
	if err := run(t.Context(), []string{"-cuts", "4", "-cut", "50ms", "-every", "1ms"}, &out); err != nil {
		t.Fatal(err)
	}
	printed := out.String()
	wantNothingLost(t, printed, 4)
	for _, line := range []string{
		`(?m)^hop: connection 4$`,
		`(?m)^client: connected; .* TLS between them re-terminated$`,
		`0\.\d{3} s  client  -> service   1232 bytes  handshake   ([0-9a-f]{2} ){12}…`,
		`0\.\d{3} s  client  -> service     80 bytes  resume  `,
		`0\.\d{3} s  service -> client      81 bytes  data  `,
		`s  connection 1 is cut: \d+ messages, \d+ bytes seen`,
		`(?m)^the hop saw \d{2,} messages, \d{4,} bytes, on \d+ connections, and "nobody on the way" in 0 of them$`,
	} {
		if !regexp.MustCompile(line).MatchString(printed) {
			t.Errorf("no line %s in:\n%s", line, printed)
		}
	}
	if strings.Contains(printed, "unknown") {
		t.Errorf("the hop saw what it does not know:\n%s", printed)
	}
}

// The three programs by themselves, and the client ended by Ctrl-C.
func TestHopOfItsOwn(t *testing.T) {
	args := start(t)
	ca := background(t, `-ca (\S+ wss://\S+)\n`, "hop", "-addr", "127.0.0.1:0", "-cut", "50ms", args[3])
	file, url, _ := strings.Cut(ca, " ")
	ctx, cancel := context.WithCancel(t.Context())
	out := &stopper{after: "connected again", stop: cancel}
	if err := run(ctx, []string{"client", "-server", args[2], "-ca", file, "-every", "1ms", "-cuts", "0", url}, out); err != nil {
		t.Fatal(err)
	}
	wantNothingLost(t, out.String(), 1)
}

// A stopper is a screen in front of which sits somebody who presses Ctrl-C when he has
// read something.
type stopper struct {
	screen
	after string
	stop  func()
}

func (s *stopper) Write(b []byte) (int, error) {
	if strings.Contains(string(b), s.after) {
		s.stop()
	}
	return s.screen.Write(b)
}

// What the hop says that it looks for, it finds where it is: in what is not sealed.
func TestHopReadsWhatIsNotSealed(t *testing.T) {
	var out screen
	p := &proxy{out: &out, show: 1, look: "hello"}
	l := p.newLink()
	var client, service bytes.Buffer
	// A masked frame, as RFC 6455, section 5.7 has it, a ping, and one that is too long.
	client.WriteString("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n" +
		"\x82\x85\x37\xfa\x21\x3d\x5f\x9f\x4d\x51\x58" + "\x89\x00" + "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff")
	sent := client.String()
	l.pass(bufio.NewReader(&client), &service, true)
	l.over()
	p.summary()
	if !strings.HasPrefix(sent, service.String()) || !strings.HasSuffix(service.String(), "\x89\x00") {
		t.Errorf("passed on %q", service.String())
	}
	if !strings.Contains(out.String(), `the hop saw 1 messages, 5 bytes, on 1 connections, and "hello" in 1 of them`) {
		t.Errorf("printed %s", out.String())
	}
}

// The counter counts what goes wrong, which a session does not let it show.
func TestTally(t *testing.T) {
	y := tally{sent: 6}
	for _, n := range []uint64{1, 2, 2, 5, 4, 6} {
		y.back(n)
	}
	if y.received != 4 || y.doubled != 2 || y.skipped != 2 {
		t.Errorf("%+v", y)
	}
	if got, want := y.summary(), "sent 6, received 4, lost 2, doubled 2, reconnects 0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What users get wrong, each with one line that says what to do.
func TestErrors(t *testing.T) {
	args := start(t)
	other := start(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	const nobody = "ws://127.0.0.1:1"
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"unknown command":   {[]string{"server"}, "usage: echo [-cuts"},
		"no URL":            {args[:3], "usage: echo client"},
		"no fingerprint":    {[]string{"client", nobody}, "-server: keys: not a fingerprint"},
		"bad fingerprint":   {[]string{"client", "-server", "fp1x", nobody}, "not a fingerprint"},
		"wrong fingerprint": {[]string{"client", "-server", other[2], args[3]}, "compare its fingerprint"},
		"wrong URL":         {[]string{"client", "-server", args[2], "gopher://x"}, "wss://"},
		"nobody there":      {[]string{"client", "-server", args[2], nobody}, "is the server running"},
		"no such file":      {[]string{"client", "-server", args[2], "-ca", "/does/not/exist", nobody}, "no such file"},
		"no time":           {[]string{"client", "-server", args[2], "-every", "0s", args[3]}, "-every"},
		"taken port":        {[]string{"serve", "-addr", taken.Addr().String()}, "-addr"},
		"hop to nowhere":    {[]string{"hop"}, "usage: echo hop"},
		"hop behind TLS":    {[]string{"hop", "wss://127.0.0.1:1"}, "ws://host:port"},
		"hop on taken port": {[]string{"hop", "-addr", taken.Addr().String(), nobody}, "-addr"},
	} {
		err := run(t.Context(), test.args, io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
