package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// A notebook is what was logged, without times.
type notebook struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (n *notebook) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.out.Write(b)
}

// logger returns a Logger for the notebook that leaves nothing out.
func (n *notebook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(n, &slog.HandlerOptions{
		Level: slog.LevelDebug - 10,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// text returns what was written, with names in the place of what differs each time.
func (n *notebook) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := n.out.String()
	for _, id := range []*keys.Identity{alice, bob, mallory} {
		text = strings.ReplaceAll(text, id.Fingerprint().String(), "<"+id.Public().Name()+">")
	}
	return regexp.MustCompile(`session=[0-9a-f]{16}`).ReplaceAllString(text, "session=<id>")
}

func wantLog(t *testing.T, n *notebook, want string) {
	t.Helper()
	if got := n.text(); got != strings.TrimPrefix(want, "\n") {
		t.Errorf("logged\n%s", got)
	}
}

// The life of a session, as its ends log it.
func TestLogOfASession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var atClient, atServer notebook
		cfg := hosting(bob, alice)
		cfg.Logger = atServer.logger()
		spoil := numbered(6, func(frame []byte) [][]byte { return [][]byte{append(frame[:40:40], 0)} })
		r := &road{srv: newServer(t, cfg, echo), faults: []transport.PipeOption{transport.WithFaults(spoil, nil)}}
		client := trusting(alice, bob)
		client.Logger = atClient.logger()
		c := r.client(t, client)
		for _, message := range []string{"PLAINTEXT", "PLAINTEXT", "PLAINTEXT", "PLAINTEXT"} {
			mustSend(t, c, message)
			mustReceive(t, c, message)
		}
		c.Close()
		synctest.Wait()
		wantLog(t, &atClient, goldenClient)
		wantLog(t, &atServer, goldenServer)
	})
}

const goldenClient = `
level=DEBUG msg="session connecting" state=connecting
level=DEBUG msg="session handshaking" state=handshaking
level=INFO msg="session secure" session=<id> peer=<bob> state=secure
level=INFO msg="session reconnecting" session=<id> peer=<bob> state=reconnecting reason=lost error="transport: the peer closed the connection: policy violation (1008)"
level=DEBUG msg="session handshaking" session=<id> peer=<bob> state=handshaking
level=INFO msg="session secure" session=<id> peer=<bob> state=secure
level=INFO msg="session closed" session=<id> peer=<bob> state=closed reason=closed messages_sent=4 messages_received=4 bytes_sent=68 bytes_received=68 messages_refused=0 messages_turned_down=0 unacked=0 resent=1 resumes=1 rekeys=0
`

const goldenServer = `
level=INFO msg="session secure" session=<id> peer=<alice> state=secure
level=WARN msg="session reconnecting" session=<id> peer=<alice> state=reconnecting reason=tampered error="a message was changed, dropped, repeated or reordered on the way"
level=INFO msg="session secure" session=<id> peer=<alice> state=secure
level=INFO msg="session closed" session=<id> peer=<alice> state=closed reason=peer_closed messages_sent=4 messages_received=4 bytes_sent=68 bytes_received=68 messages_refused=0 messages_turned_down=0 unacked=0 resent=0 resumes=1 rekeys=0
`

// What goes wrong in the application's own code: a line for an error, one with a stack
// for a panic.
func TestLogOfFunctions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log notebook
		cfg := hosting(bob, alice)
		cfg.Logger = log.logger()
		srv := newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
			message, _ := s.Receive(ctx)
			if string(message) == "panic" {
				panic("bad\nluck")
			}
			return errors.New("no such table\x1b[2J")
		})
		r := &road{srv: srv}
		for _, message := range []string{"fail", "panic"} {
			c := r.client(t, trusting(alice, bob))
			mustSend(t, c, message)
			wantEnd(t, c, e2e.CloseError{Remote: true, Code: e2e.CodeFailed}, false)
		}
		synctest.Wait()
		got := log.text()
		for _, want := range []string{
			`level=WARN msg="the function of a session failed" session=<id> peer=<alice> reason=failed error="no such table\\x1b[2J"` + "\n",
			`level=ERROR msg="the function of a session panicked" session=<id> peer=<alice> reason=panic error="e2e: panic: bad\\nluck" stack="goroutine `,
		} {
			if strings.Count(got, want) != 1 {
				t.Errorf("lacks %s\n%s", want, got)
			}
		}
	})
}

// Strangers cannot fill a log: a line a minute for each thing that they can do.
func TestA33StrangersCannotFillTheLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log notebook
		cfg := hosting(bob, alice)
		cfg.Logger = log.logger()
		srv := newServer(t, cfg, echo)
		knock := func() {
			a, b := transport.Pipe()
			a.Write(t.Context(), make([]byte, 100))
			srv.ServeConn(t.Context(), b)
			a, b = transport.Pipe()
			go e2e.Connect(t.Context(), a, "pipe", trusting(mallory, bob))
			srv.ServeConn(t.Context(), b)
		}
		for range 100 {
			knock()
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		knock()
		synctest.Wait()
		wantLog(t, &log, `
level=WARN msg="handshake failed" reason=not_authentic check=size error="e2e: handshake: the other end did not prove who it is: something in between may have changed a message, or the two ends are of different versions" count=1
level=WARN msg="handshake failed" reason=untrusted error="e2e: handshake: the other end is not trusted: keys: peer <mallory> is unknown: compare its fingerprint with the owner, then admit it" count=1
level=WARN msg="handshake failed" reason=not_authentic check=size error="e2e: handshake: the other end did not prove who it is: something in between may have changed a message, or the two ends are of different versions" count=100
level=WARN msg="handshake failed" reason=untrusted error="e2e: handshake: the other end is not trusted: keys: peer <mallory> is unknown: compare its fingerprint with the owner, then admit it" count=100
`)
	})
}

// A client that speaks another protocol is a mistake of somebody's settings: a server says so,
// with both names, in a reason of its own.
func TestOtherProtocolIsLoggedAsWhatItIs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log notebook
		server, client := hosting(bob, alice), trusting(alice, bob)
		server.Logger, client.Logger = log.logger(), log.logger()
		client.Protocol = "test/2"
		srv := newServer(t, server, echo)
		a, b := transport.Pipe()
		served := serve(srv, b)
		e2e.Connect(t.Context(), a, "pipe", client)
		<-served
		synctest.Wait()
		got := log.text()
		for _, want := range []string{
			`level=WARN msg="handshake failed" reason=protocol error="e2e: handshake: the two ends do not speak the same protocol: the other end speaks \"test/2\", this end \"test/1\": set Config.Protocol alike at both ends" count=1` + "\n",
			`level=INFO msg="session closed" state=closed reason=protocol error="e2e: handshake: the two ends do not speak the same protocol: the other end speaks \"test/1\", this end \"test/2\": set Config.Protocol alike at both ends"` + "\n",
		} {
			if strings.Count(got, want) != 1 {
				t.Errorf("lacks %s\n%s", want, got)
			}
		}
		if greeted := srv.Stats().Greeted; greeted["protocol"] != 1 || greeted["not_authentic"] != 0 {
			t.Errorf("counted as %v", greeted)
		}
	})
}

// A42, A47: whatever is planted where it must not be logged is not, and what is logged of
// others' choice is escaped.
func TestA42LogsHoldNoSecrets(t *testing.T) {
	const marker, escapes = "PLANTED", "\x1b[2J\r\n\u202e"
	vandal := newIdentity(marker + escapes + marker)
	bubble(t, func(t *testing.T) {
		var log notebook
		server := hosting(bob, vandal)
		server.Logger = log.logger()
		server.Notify = func(e e2e.Event) {
			if e.State == e2e.StateReconnecting {
				panic(escapes)
			}
		}
		r := &road{srv: newServer(t, server, func(ctx context.Context, s *e2e.Session) error {
			if err := echo(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", escapes, errors.New(escapes))
			}
			return nil
		})}
		client := trusting(vandal, bob)
		client.Protocol, server.Protocol = "test/1", "test/1"
		client.Logger = log.logger()
		dial := func(ctx context.Context) (transport.Conn, error) {
			conn, err := r.dial(ctx)
			if r.links() == 2 {
				conn.Close(transport.CodeNormal, escapes)
			}
			return conn, err
		}
		c, err := e2e.DialFunc(t.Context(), "example.com/"+marker+"?token="+marker, client, dial)
		if err != nil {
			t.Fatal(err)
		}
		id := e2e.IDOf(c)
		mustSend(t, c, marker+escapes)
		mustReceive(t, c, marker+escapes)
		secrets := e2e.Secrets(c)
		for i := range r.links() {
			r.pipes[i].Close(transport.CodePolicy, escapes)
		}
		mustSend(t, c, marker)
		mustReceive(t, c, marker)
		secrets = append(append(secrets, e2e.Secrets(c)...), id)
		c.Send(t.Context(), []byte(marker)) // is in the gap
		c.Close()
		synctest.Wait()

		got := log.out.String() // with ids as they are
		if n := strings.Count(got, "\n"); n < 8 {
			t.Fatalf("%d lines only:\n%s", n, got)
		}
		if strings.Contains(got, marker) || strings.ContainsAny(strings.ReplaceAll(got, "\n", ""), "\x1b\r\u202e") {
			t.Errorf("logged\n%s", got)
		}
		for _, secret := range secrets {
			for _, form := range []string{"%s", "%x", "%X", "%d", "%q"} {
				if strings.Contains(got, strings.Trim(fmt.Sprintf(form, secret[:8]), `[]"`)) {
					t.Errorf("a secret is logged as %s:\n%s", form, got)
				}
			}
		}
	})
}
