package e2e_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// both runs a handshake with the two configurations and returns both errors.
func both(t *testing.T, client e2e.Config, server e2e.ServerConfig, opts ...transport.PipeOption) (clientErr, serverErr error) {
	t.Helper()
	a, b := transport.Pipe(opts...)
	done := make(chan error, 1)
	go func() {
		s, err := e2e.Accept(context.Background(), b, server)
		if err == nil {
			s.Close()
		}
		done <- err
	}()
	s, err := e2e.Connect(context.Background(), a, "pipe", client)
	if err == nil {
		s.Close()
	}
	return err, <-done
}

func TestConfigIsCheckedAtOnce(t *testing.T) {
	wants := func(want, what string, err error) {
		t.Helper()
		if err == nil || !strings.HasPrefix(err.Error(), "e2e: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s with a bad %s: %v", what, want, err)
		}
	}
	for name, change := range map[string]func(*e2e.Config){
		"Identity":        func(c *e2e.Config) { c.Identity = nil },
		"Verifier":        func(c *e2e.Config) { c.Verifier = nil },
		"Protocol":        func(c *e2e.Config) { c.Protocol = "" },
		"Config.Protocol": func(c *e2e.Config) { c.Protocol = strings.Repeat("p", 256) },
		"Config.Proof":    func(c *e2e.Config) { c.Proof = e2e.ProofEd25519 + 1 },
		"MaxMessage":      func(c *e2e.Config) { c.MaxMessage = -1 },
		"268435456":       func(c *e2e.Config) { c.MaxMessage = 1<<28 + 1 },
		"a limit":         func(c *e2e.Config) { c.HandshakeTimeout = -1 },
		"a limit in":      func(c *e2e.Config) { c.SendTimeout = -1 },
	} {
		cfg := trusting(alice, bob)
		change(&cfg)
		_, err := e2e.Dial(t.Context(), "ws://127.0.0.1:1/", cfg)
		wants(name, "Dial", err)
		a, b := transport.Pipe()
		_, err = e2e.Connect(t.Context(), a, "", cfg)
		wants(name, "Connect", err)
		if _, err := a.Read(t.Context(), nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Connect left the connection open: %v", err)
		}
		server := e2e.ServerConfig{Identity: cfg.Identity, Verifier: cfg.Verifier, Protocol: cfg.Protocol, Options: cfg.Options}
		_, err = e2e.NewServer(server, echo)
		wants(name, "NewServer", err)
		_, err = e2e.Accept(t.Context(), b, server)
		wants(name, "Accept", err)
	}
	for _, change := range []func(*e2e.ServerConfig){
		func(c *e2e.ServerConfig) { c.MaxSessions = -1 },
		func(c *e2e.ServerConfig) { c.MaxHandshakes = -1 },
		func(c *e2e.ServerConfig) { c.MaxHandshakesPerAddress = -1 },
	} {
		cfg := hosting(bob, alice)
		change(&cfg)
		_, err := e2e.NewServer(cfg, echo)
		wants("a limit in Config ", "NewServer", err)
	}
	if _, err := e2e.NewServer(hosting(bob), nil); err == nil {
		t.Error("NewServer without a function")
	}
}

// A06: a server that is not the one that was meant learns nothing of the client,
// and the client says why.
func TestA06WrongServerIsRefused(t *testing.T) {
	cErr, sErr := both(t, trusting(alice, bob), hosting(mallory, alice))
	failed := wantHandshake(t, cErr, e2e.ReasonUntrusted)
	var refusal *trust.Error
	if !errors.As(cErr, &refusal) || refusal.Reason != trust.Unknown || refusal.Got != mallory.Fingerprint() || !failed.Permanent() {
		t.Errorf("%v", cErr)
	}
	wantHandshake(t, sErr, e2e.ReasonLost)
	if strings.Contains(sErr.Error(), alice.Fingerprint().String()) {
		t.Errorf("the wrong server knows who called: %v", sErr)
	}
}

// A37: a client that the server does not know is told so, and no more.
func TestA37UnknownClientIsRefused(t *testing.T) {
	cErr, sErr := both(t, trusting(mallory, bob), hosting(bob, alice))
	if failed := wantHandshake(t, cErr, e2e.ReasonRefused); failed.Err != nil || !failed.Permanent() {
		t.Errorf("%+v", failed)
	}
	var refusal *trust.Error
	if wantHandshake(t, sErr, e2e.ReasonUntrusted); !errors.As(sErr, &refusal) || refusal.Got != mallory.Fingerprint() {
		t.Errorf("the server does not say whom it refused: %v", sErr)
	}
}

// Two ends that do not speak the same are both told what each speaks, and what to set.
func TestWrongProtocol(t *testing.T) {
	for name, test := range map[string]struct {
		change         func(*e2e.ServerConfig)
		client, server string
	}{
		"name": {func(c *e2e.ServerConfig) { c.Protocol = "test/2" },
			`e2e: handshake: the two ends do not speak the same protocol: the other end speaks "test/2", this end "test/1": set Config.Protocol alike at both ends`,
			`e2e: handshake: the two ends do not speak the same protocol: the other end speaks "test/1", this end "test/2": set Config.Protocol alike at both ends`},
		"odd name": {func(c *e2e.ServerConfig) { c.Protocol = "\x1b[2J\n" },
			`e2e: handshake: the two ends do not speak the same protocol: the other end speaks "\x1b[2J\n", this end "test/1": set Config.Protocol alike at both ends`,
			`e2e: handshake: the two ends do not speak the same protocol: the other end speaks "test/1", this end "\x1b[2J\n": set Config.Protocol alike at both ends`},
		"proof": {func(c *e2e.ServerConfig) { c.Proof = e2e.ProofEd25519 },
			`e2e: handshake: the two ends do not speak the same protocol: both ends speak "test/1", but the other end signs messages, and this end does not sign messages: set Config.Proof alike at both ends`,
			`e2e: handshake: the two ends do not speak the same protocol: both ends speak "test/1", but the other end does not sign messages, and this end signs messages: set Config.Proof alike at both ends`},
	} {
		t.Run(name, func(t *testing.T) {
			client, other := trusting(alice, bob), hosting(bob, alice)
			client.Credentials = func(context.Context) ([]byte, error) { t.Error("asked for credentials"); return nil, nil }
			test.change(&other)
			cErr, sErr := both(t, client, other)
			for _, end := range []struct {
				err  error
				want string
			}{{cErr, test.client}, {sErr, test.server}} {
				failed, told := wantHandshake(t, end.err, e2e.ReasonProtocol), new(e2e.ProtocolError)
				if end.err.Error() != end.want || !failed.Permanent() || !errors.As(end.err, &told) {
					t.Errorf("got  %v\nwant %s", end.err, end.want)
				}
			}
		})
	}
}

// A client that knows what the server speaks says so, also where a hop keeps the server's last
// word from it; and one that does not trust the server says that, and nothing to the server.
func TestWrongProtocolWithoutTheLastWord(t *testing.T) {
	for name, lose := range map[string]func(m []byte) [][]byte{
		"changed": func(m []byte) [][]byte { m[0] ^= 1; return [][]byte{m} },
		"another": func(m []byte) [][]byte { return [][]byte{[]byte("?")} },
	} {
		other := hosting(bob, alice)
		other.Protocol = "test/2"
		cErr, _ := both(t, trusting(alice, bob), other, transport.WithFaults(nil, numbered(2, lose)))
		if wantHandshake(t, cErr, e2e.ReasonProtocol); t.Failed() {
			t.Fatal(name)
		}
	}
	other := hosting(bob, alice)
	other.Protocol = "test/2"
	cErr, sErr := both(t, trusting(alice, mallory), other)
	wantHandshake(t, cErr, e2e.ReasonUntrusted)
	wantHandshake(t, sErr, e2e.ReasonLost)
}

// A37: whichever check fails, the peer sees the same: a close with one code and no
// words. And the local text does not tell the checks apart either.
func TestA37FailuresLookAlike(t *testing.T) {
	texts := map[string]bool{}
	for _, frame := range [][]byte{nil, {1}, make([]byte, 1231), make([]byte, 1232), make([]byte, 1233), make([]byte, 9000)} {
		a, b := transport.Pipe()
		done := make(chan error, 1)
		go func() { _, err := e2e.Accept(context.Background(), b, hosting(bob, alice)); done <- err }()
		a.Write(t.Context(), frame)
		_, err := a.Read(t.Context(), nil)
		var closed *transport.CloseError
		if !errors.As(err, &closed) || closed.Code != transport.CodePolicy || closed.Reason != "" {
			t.Errorf("%d bytes: the hop sees %v", len(frame), err)
		}
		err = <-done
		wantHandshake(t, err, e2e.ReasonNotAuthentic)
		texts[err.Error()] = true
	}
	if len(texts) != 1 {
		t.Errorf("the checks can be told apart: %v", texts)
	}
}

// Each message of the handshake, changed on the way, fails at its receiver; the
// sender finds the connection closed.
func TestA15TamperedHandshake(t *testing.T) {
	flip := func(m []byte) [][]byte { m[len(m)-1] ^= 1; return [][]byte{m} }
	for n := 1; n <= 4; n++ {
		var there, back transport.Fault
		if n%2 == 1 {
			there = numbered((n+1)/2, flip)
		} else {
			back = numbered(n/2, flip)
		}
		cErr, sErr := both(t, trusting(alice, bob), hosting(bob, alice), transport.WithFaults(there, back))
		receiver, sender := sErr, cErr
		if n%2 == 0 {
			receiver, sender = cErr, sErr
		}
		wantHandshake(t, receiver, e2e.ReasonNotAuthentic)
		if n < 4 { // after m4 the server has a session, whose connection is closed
			wantHandshake(t, sender, e2e.ReasonLost)
		}
	}
}

// A33: a peer that stops answering, at any point, is cut at the deadline.
func TestA33StalledPeerIsCut(t *testing.T) {
	drop := func([]byte) [][]byte { return nil }
	for n := 1; n <= 3; n++ {
		bubble(t, func(t *testing.T) {
			var there, back transport.Fault
			if n%2 == 1 {
				there = numbered((n+1)/2, drop)
			} else {
				back = numbered(n/2, drop)
			}
			start := time.Now()
			cErr, sErr := both(t, trusting(alice, bob), hosting(bob, alice), transport.WithFaults(there, back))
			if took := time.Since(start); took != e2e.DefaultHandshakeTimeout {
				t.Errorf("m%d lost: cut after %v", n, took)
			}
			var failed *e2e.HandshakeError
			for _, err := range []error{cErr, sErr} {
				// Whose deadline comes first closes the connection; the other end sees that.
				if !errors.As(err, &failed) || failed.Reason != e2e.ReasonTimeout && failed.Reason != e2e.ReasonLost {
					t.Errorf("m%d lost: %v", n, err)
				}
			}
		})
	}
	bubble(t, func(t *testing.T) { // m4 lost: the server is done, the client is not
		a, b := transport.Pipe(transport.WithFaults(nil, numbered(2, drop)))
		result := serve(newServer(t, hosting(bob, alice), echo), b)
		_, err := e2e.Connect(context.Background(), a, "", trusting(alice, bob))
		wantHandshake(t, err, e2e.ReasonTimeout)
		<-result
	})
	bubble(t, func(t *testing.T) { // nobody there at all
		a, _ := transport.Pipe()
		_, err := e2e.Connect(context.Background(), a, "", trusting(alice, bob))
		if wantHandshake(t, err, e2e.ReasonTimeout); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v does not match DeadlineExceeded", err)
		}
	})
}

// asked is a Verifier that records what it is asked.
type asked struct {
	mu     sync.Mutex
	wants  []trust.Expected
	answer func(ctx context.Context) error
}

func (v *asked) Verify(ctx context.Context, want trust.Expected, _ *keys.PublicIdentity) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wants = append(v.wants, want)
	if v.answer == nil {
		return nil
	}
	return v.answer(ctx)
}

func TestVerifierIsAskedAboutWhatWasMeant(t *testing.T) {
	atClient, atServer := &asked{}, &asked{}
	client, server := trusting(alice), hosting(bob)
	client.Verifier, server.Verifier = atClient, atServer
	client.PeerFingerprint = bob.Fingerprint()
	if cErr, sErr := both(t, client, server); cErr != nil || sErr != nil {
		t.Fatal(cErr, sErr)
	}
	if want := (trust.Expected{Address: "pipe", Role: trust.RoleServer, Fingerprint: bob.Fingerprint()}); len(atClient.wants) != 1 || atClient.wants[0] != want {
		t.Errorf("the client's was asked %+v", atClient.wants)
	}
	if want := (trust.Expected{Role: trust.RoleClient}); len(atServer.wants) != 1 || atServer.wants[0] != want {
		t.Errorf("the server's was asked %+v", atServer.wants)
	}
}

// A Verifier that fails is not one that says no: the client may try again.
func TestVerifierThatFails(t *testing.T) {
	broken := errors.New("the database is down")
	server := hosting(bob)
	server.Verifier = &asked{answer: func(context.Context) error { return broken }}
	cErr, sErr := both(t, trusting(alice, bob), server)
	if failed := wantHandshake(t, cErr, e2e.ReasonUnavailable); failed.Permanent() {
		t.Error("called permanent")
	}
	if wantHandshake(t, sErr, e2e.ReasonLocal); !errors.Is(sErr, broken) {
		t.Errorf("%v hides the cause", sErr)
	}
}

func TestVerifierWorksWithinTheDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := hosting(bob)
		server.Verifier = &asked{answer: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		start := time.Now()
		_, sErr := both(t, trusting(alice, bob), server)
		wantHandshake(t, sErr, e2e.ReasonTimeout)
		if took := time.Since(start); took != e2e.DefaultHandshakeTimeout {
			t.Errorf("took %v", took)
		}
	})
}

func TestContextEndsHandshake(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	changed := errors.New("the user went away")
	cancel(changed)
	a, _ := transport.Pipe()
	_, err := e2e.Connect(ctx, a, "", trusting(alice, bob))
	if wantHandshake(t, err, e2e.ReasonLocal); !errors.Is(err, changed) {
		t.Errorf("%v", err)
	}
}

func TestOwnIdentityAsPeer(t *testing.T) {
	cErr, sErr := both(t, trusting(alice, alice), hosting(alice, alice))
	wantHandshake(t, cErr, e2e.ReasonNotAuthentic)
	wantHandshake(t, sErr, e2e.ReasonLost)
	client, server := trusting(alice, alice), hosting(alice, alice)
	client.AllowSelf, server.AllowSelf = true, true
	if cErr, sErr := both(t, client, server); cErr != nil || sErr != nil {
		t.Errorf("asked for: %v, %v", cErr, sErr)
	}
}
