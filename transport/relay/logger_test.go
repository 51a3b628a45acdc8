//go:build !js

package relay_test

import (
	"bytes"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// A notebook collects what is logged.
type notebook struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (n *notebook) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.out.Write(b)
}

func (n *notebook) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.out.String()
}

// logs makes slog.Default write to a notebook until the test ends.
func logs(t *testing.T) *notebook {
	t.Helper()
	n, before, flags := new(notebook), slog.Default(), log.Flags()
	slog.SetDefault(slog.New(slog.NewTextHandler(n, nil)))
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(os.Stderr) // SetDefault has directed package log to the handler
		log.SetFlags(flags)
	})
	return n
}

// A hub without a Logger logs to slog.Default whom it refuses, at a limited rate.
func TestAHubIsNotSilentByDefault(t *testing.T) {
	n := logs(t)
	hub := relay.New(relay.Options{Accept: &transport.AcceptOptions{Policy: transport.Development}})
	_, url := serveHub(t, hub)
	for range 3 {
		answer, err := http.Get("http" + strings.TrimPrefix(url, "ws"))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	if got := n.text(); strings.Count(got, `level=WARN msg="connection refused" client=127.0.0.1 error="transport: accept: `) != 1 || !strings.Contains(got, "count=1") {
		t.Errorf("of three refusals it says\n%s", got)
	}
}

// A hub without a Logger logs each client that it cuts or has no room for, with the reason.
func TestAHubLogsWhomItCuts(t *testing.T) {
	n := logs(t)
	synctest.Test(t, func(t *testing.T) {
		hub := relay.New(relay.Options{})
		a, b := transport.Pipe()
		done := make(chan error, 1)
		go func() { done <- hub.ServeConn(b) }()
		a.Write(t.Context(), []byte{0xff})
		<-done
		_, b = transport.Pipe()
		go func() { done <- hub.ServeConn(b) }()
		time.Sleep(time.Minute)
		<-done
		hub.Shutdown(t.Context())
		full := relay.New(relay.Options{MaxConns: 1})
		_, b = transport.Pipe()
		go func() { done <- full.ServeConn(b) }()
		synctest.Wait()
		_, c := transport.Pipe()
		full.ServeConn(c)
		b.Close(transport.CodeNormal, "")
		<-done
	})
	for _, want := range []string{
		`level=INFO msg="connection cut" client="" error="relay: the client sent something that is not a frame" count=1`,
		`level=INFO msg="connection cut" client="" error="relay: the client joins no topic" count=1`,
		`level=WARN msg="connection refused" client="" error="relay: as many connections as it may have" count=1`,
	} {
		if strings.Count(n.text(), want) != 1 {
			t.Errorf("lacks %s\n%s", want, n.text())
		}
	}
}
