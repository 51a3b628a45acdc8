//go:build !js

package main

import (
	"context"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the service and returns the arguments that it tells its user to give
// to the client: -server, fingerprint, URL, text.
func start(t *testing.T) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"serve", "-addr", "127.0.0.1:0"}, w)
		w.CloseWithError(io.EOF)
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	printed := ""
	for command := regexp.MustCompile(`go run \./examples/echo (.*)\n`); ; {
		buf := make([]byte, 1000)
		n, err := r.Read(buf)
		if err != nil {
			t.Fatalf("the service printed %q", printed)
		}
		if printed += string(buf[:n]); command.MatchString(printed) {
			return strings.Fields(command.FindStringSubmatch(printed)[1])
		}
	}
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

// What users get wrong, each with one line that says what to do.
func TestErrors(t *testing.T) {
	args := start(t)
	other := start(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"nothing":           {nil, "usage"},
		"no text":           {args[:3], "usage"},
		"no fingerprint":    {args[2:], "usage"},
		"bad fingerprint":   {[]string{"-server", "fp1x", args[2], "x"}, "not a fingerprint"},
		"wrong fingerprint": {[]string{"-server", other[1], args[2], "x"}, "compare its fingerprint"},
		"wrong URL":         {[]string{"-server", args[1], "gopher://x", "x"}, "wss://"},
		"nobody there":      {[]string{"-server", args[1], "ws://127.0.0.1:1", "x"}, "is the server running"},
		"taken port":        {[]string{"serve", "-addr", taken.Addr().String()}, "-addr"},
	} {
		err := run(t.Context(), test.args, io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
