package e2e_test

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
)

// logs has slog.Default lead to a notebook until the test ends.
func logs(t *testing.T) *notebook {
	t.Helper()
	n, before, flags := new(notebook), slog.Default(), log.Flags()
	slog.SetDefault(n.logger())
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(os.Stderr) // SetDefault has led package log to the handler
		log.SetFlags(flags)
	})
	return n
}

// talkative is trusting without a Logger.
func talkative[C anyConfig](cfg C) C {
	options(&cfg).Logger = nil
	return cfg
}

// Whatever goes wrong is logged where a program has set nothing: neither Logger, nor
// Notify or Refused.
func TestNothingIsSilentByDefault(t *testing.T) {
	for name, test := range map[string]struct {
		do    func(t *testing.T)
		want  string
		times int
	}{
		"a stranger": {func(t *testing.T) {
			a, b := transport.Pipe()
			served := serve(newServer(t, talkative(hosting(bob, alice)), echo), b)
			e2e.Connect(t.Context(), a, "pipe", trusting(mallory, bob))
			<-served
		}, `level=WARN msg="handshake failed" reason=untrusted error="e2e: handshake: the other end is not trusted: keys: peer <mallory> is unknown`, 1},
		"no handshake": {func(t *testing.T) {
			a, b := transport.Pipe()
			served := serve(newServer(t, talkative(hosting(bob, alice)), echo), b)
			a.Write(t.Context(), []byte("GET / HTTP/1.1"))
			<-served
		}, `level=WARN msg="handshake failed" reason=not_authentic check=size`, 1},
		"a client that is refused": {func(t *testing.T) {
			a, b := transport.Pipe()
			served := serve(newServer(t, hosting(bob, alice), echo), b)
			e2e.Connect(t.Context(), a, "pipe", talkative(trusting(mallory, bob)))
			<-served
		}, `level=INFO msg="session closed" state=closed reason=refused error="e2e: handshake: the server does not accept this identity`, 1},
		"a function that fails": {func(t *testing.T) {
			meetAndSend(t, talkative(hosting(bob, alice)), func(context.Context, *e2e.Session) error { return errors.New("no such table") })
		}, `level=WARN msg="the function of a session failed" session=<id> peer=<alice> reason=failed error="no such table"`, 1},
		"a function that panics": {func(t *testing.T) {
			meetAndSend(t, talkative(hosting(bob, alice)), func(context.Context, *e2e.Session) error { panic("no such table") })
		}, `level=ERROR msg="the function of a session panicked" session=<id> peer=<alice> reason=panic error="e2e: panic: no such table" stack=`, 1},
		"Notify panics": {func(t *testing.T) {
			cfg := talkative(hosting(bob, alice))
			cfg.Notify = func(e2e.Event) { panic("no such table") }
			meetAndSend(t, cfg, echo)
		}, `level=ERROR msg="Notify panicked" reason=panic error="e2e: panic: no such table" stack=`, 2},
		"a message of a Mux that fails": {func(t *testing.T) {
			meetAndSend(t, talkative(hosting(bob, alice)), muxOf(func(context.Context, *e2e.Request) ([]byte, error) { return nil, errors.New("no such table") }).Serve)
		}, `level=WARN msg="message refused" session=<id> peer=<alice> type="" reason=failed error="no such table" count=1`, 1},
		"a message of a Mux that panics": {func(t *testing.T) {
			meetAndSend(t, talkative(hosting(bob, alice)), muxOf(func(context.Context, *e2e.Request) ([]byte, error) { panic("no such table") }).Serve)
		}, `level=ERROR msg="message refused" session=<id> peer=<alice> type="" reason=panic error="e2e: panic: no such table" stack=`, 1},
		"a message that is not allowed": {func(t *testing.T) {
			router := muxOf(func(context.Context, *e2e.Request) ([]byte, error) { return nil, nil })
			router.Authorize = func(context.Context, e2e.Peer, e2e.Message) error { return errors.New("only on Mondays") }
			meetAndSend(t, talkative(hosting(bob, alice)), router.Serve)
		}, `level=WARN msg="message refused" session=<id> peer=<alice> type="" reason=unauthorized error="only on Mondays" count=1`, 1},
		"a message that the other end refuses": {func(t *testing.T) {
			a, b := transport.Pipe()
			served := serve(newServer(t, hosting(bob, alice), mux.New().Serve), b)
			c, err := e2e.Connect(t.Context(), a, "pipe", talkative(trusting(alice, bob)))
			if err != nil {
				t.Fatal(err)
			}
			mustSend(t, c, "hello")
			mustSend(t, c, "hello")
			go c.Receive(t.Context())
			synctest.Wait()
			c.Close()
			<-served
		}, `level=WARN msg="message refused by the other end" session=<id> peer=<bob> message=1 reason=type error="e2e: the other end refused message 1: it does not serve messages of this type" count=1`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := logs(t)
			bubble(t, func(t *testing.T) {
				test.do(t)
				synctest.Wait()
			})
			if got := n.text(); strings.Count(got, test.want) != test.times {
				t.Errorf("lacks %s\n%s", test.want, got)
			}
		})
	}
}

// muxOf serves all messages without a type.
func muxOf(f func(context.Context, *e2e.Request) ([]byte, error)) *mux.Mux {
	router := mux.New()
	router.Handle("", f)
	return router
}

// meetAndSend has a client send one message to a server.
func meetAndSend(t *testing.T, server e2e.ServerConfig, handle func(context.Context, *e2e.Session) error) {
	t.Helper()
	a, b := transport.Pipe()
	served := serve(newServer(t, server, handle), b)
	c, err := e2e.Connect(t.Context(), a, "pipe", trusting(alice, bob))
	if err != nil {
		t.Fatal(err)
	}
	c.Send(t.Context(), []byte("hello"))
	synctest.Wait()
	c.Close()
	<-served
}

// A stored session that is of no use any more is dropped, with what it had to send: not in silence.
func TestDroppedSessionsAreTold(t *testing.T) {
	n := logs(t)
	bubble(t, func(t *testing.T) {
		cfg := stored(talkative(trusting(alice, bob)), sessionstore.Memory())
		cfg.StoreName = "client"
		old := &road{srv: newServer(t, hosting(bob, alice), echo)}
		c := old.client(t, cfg)
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		server := hosting(bob, alice)
		server.Protocol, cfg.Protocol = "test/2", "test/2"
		young := &road{srv: newServer(t, server, echo)}
		c = young.client(t, cfg)
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		synctest.Wait()
	})
	const want = `level=WARN msg="stored session dropped" reason=store error="no such session is stored: the stored session is of another protocol: it speaks \"test/1\" and does not sign messages, this end \"test/2\" and does not sign messages"`
	if got := n.text(); strings.Count(got, want) != 1 {
		t.Errorf("lacks %s\n%s", want, got)
	}
}
