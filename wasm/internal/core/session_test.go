package core

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// echoServer answers every message with itself, and every request.
func echoServer(t testing.TB, identity *keys.Identity) *e2e.Server {
	t.Helper()
	srv, err := e2e.NewServer(e2e.ServerConfig{Identity: identity, Verifier: trust.InsecureAnyone(), Protocol: "echo/1"},
		func(ctx context.Context, s *e2e.Session) error {
			return s.Serve(ctx, func(ctx context.Context, r *e2e.Request) ([]byte, error) {
				if r.OneWay {
					return nil, s.Send(ctx, r.Data)
				}
				return r.Data, nil
			}, nil)
		})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Shutdown(context.Background()) })
	return srv
}

// dialTo makes the page's dial one of a server in this process.
func (p *page) dialTo(srv *e2e.Server) {
	p.callbacks[callDial] = func(f fields) ([]any, *Error) {
		limit := int(f.number())
		here, there := transport.Pipe()
		go srv.ServeConn(context.Background(), there)
		return []any{p.pipe(here, limit)}, nil
	}
}

// options are those of connect and of a server, all by default.
var options = []any{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

func connectFields(id uint32, peers uint32, pinned []uint32, asks int, protocol string) []any {
	fields := append([]any{1, id, peers, pinned, asks, protocol, "example.com"}, options...)
	return append(fields, 0, "", 0, 0, 0, 0, "")
}

func TestASessionSendsCallsAndEnds(t *testing.T) {
	p := newPage(t)
	server, err := keys.GenerateIdentity("server")
	if err != nil {
		t.Fatal(err)
	}
	p.dialTo(echoServer(t, server))
	ann := p.generate("ann")
	f := p.must("publicParse", server.Public().Bytes())
	pinned := readPublic(&f).handle
	f, err = p.wait("connect", connectFields(ann.handle, 0, []uint32{pinned}, 0, "echo/1")...)
	if err != nil {
		t.Fatal(err)
	}
	s := f.number()
	if f.number() != 0 {
		t.Error("a new session was restored")
	}
	_, ended := p.begin("sessionEnded", s)
	var sent []chan outcome
	for i := range 100 {
		_, done := p.begin("sessionSend", s, "", fmt.Appendf(nil, "message %d", i))
		sent = append(sent, done)
	}
	for i := range 100 {
		f, err := p.wait("sessionReceive", s)
		if err != nil {
			t.Fatal(err)
		}
		f.text()
		f.uint64()
		f.uint64()
		if got := f.text(); got != fmt.Sprintf("message %d", i) {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	for i, done := range sent {
		if o := <-done; o.err != nil || o.fields.uint64() != uint64(i+1) {
			t.Fatalf("send %d: %v", i, o.err)
		}
	}
	if f, err = p.wait("sessionCall", s, "twice", []byte("hello")); err != nil || f.text() != "hello" {
		t.Fatalf("call: %v", err)
	}
	if _, err := p.wait("sessionFlush", s); err != nil {
		t.Error(err)
	}
	if f, err := p.wait("sessionStats", s); err != nil || f.uint64() != 101 {
		t.Errorf("stats: %v", err)
	}
	if _, err := p.wait("sessionClose", s, 0, 5000); err != nil {
		t.Error(err)
	}
	if o := <-ended; codeOf(o.err) != "session-closed" {
		t.Errorf("ended: %v", o.err)
	}
	var e *Error
	if _, err := p.wait("sessionSend", s, "", []byte{1}); !errors.As(err, &e) || e.Reason != "closed" || e.Known[1] != "0" {
		t.Errorf("send after close: %v", err)
	}
}
