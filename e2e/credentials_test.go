package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// showing returns a client's Config that shows what token says, each time anew.
func showing(token func() string) e2e.Config {
	cfg := trusting(alice, bob)
	cfg.Credentials = func(context.Context) ([]byte, error) { return []byte(token()), nil }
	return cfg
}

func always(token string) func() string { return func() string { return token } }

// granting returns a server's Config that decides by the text of the credentials.
func granting(decide func(token string) (e2e.Grant, error)) e2e.ServerConfig {
	cfg := hosting(bob, alice)
	cfg.Authenticate = func(_ context.Context, _ e2e.Peer, credentials []byte) (e2e.Grant, error) {
		return decide(string(credentials))
	}
	return cfg
}

// What a client shows decides what it may do, and the function sees what was found.
func TestCredentialsBecomeClaims(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := hosting(bob, alice)
		cfg.Authenticate = func(_ context.Context, peer e2e.Peer, credentials []byte) (e2e.Grant, error) {
			if peer.Fingerprint() != alice.Fingerprint() || peer.Claims != nil {
				t.Errorf("asked about %v", peer)
			}
			return e2e.Grant{Claims: "claims of " + string(credentials)}, nil
		}
		r := &road{srv: newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
			return s.Send(ctx, []byte(s.Peer().Claims.(string)))
		})}
		c := r.client(t, showing(always("a token")))
		mustReceive(t, c, "claims of a token")
		if c.Peer().Claims != nil {
			t.Error("the client has claims of the server's")
		}
		if r.client(t, trusting(alice, bob)); r.links() != 2 {
			t.Error("a client without credentials did not get to where they are decided on")
		}
	})
}

// A refusal and a failure are told apart, on the wire as with a Verifier, and no
// detail is sent.
func TestA37CredentialsAreRefused(t *testing.T) {
	down := errors.New("the database is down")
	for name, test := range map[string]struct {
		err            error
		grant          e2e.Grant
		client, server e2e.Reason
	}{
		"unknown":      {err: transport.ErrUnauthorized, client: e2e.ReasonRefused, server: e2e.ReasonUnauthorized},
		"forbidden":    {err: fmt.Errorf("no: %w", transport.ErrForbidden), client: e2e.ReasonRefused, server: e2e.ReasonUnauthorized},
		"not accepted": {err: e2e.ErrCredentials, client: e2e.ReasonRefused, server: e2e.ReasonUnauthorized},
		"untrusted":    {err: &trust.Error{Reason: trust.Revoked}, client: e2e.ReasonRefused, server: e2e.ReasonUntrusted},
		"expired":      {grant: e2e.Grant{Expires: time.Now()}, client: e2e.ReasonRefused, server: e2e.ReasonUnauthorized},
		"out of order": {err: down, client: e2e.ReasonUnavailable, server: e2e.ReasonLocal},
	} {
		t.Run(name, func(t *testing.T) {
			server := granting(func(string) (e2e.Grant, error) { return test.grant, test.err })
			cErr, sErr := both(t, showing(always("a token")), server)
			failed := wantHandshake(t, cErr, test.client)
			if failed.Err != nil || failed.Permanent() != (test.client == e2e.ReasonRefused) {
				t.Errorf("the client was told %v, permanent %v", failed.Err, failed.Permanent())
			}
			wantHandshake(t, sErr, test.server)
			if test.err != nil && !errors.Is(sErr, test.err) {
				t.Errorf("the server does not say why: %v", sErr)
			}
		})
	}
}

// The Verifiers come first: a server that the client did not mean sees no credentials,
// and no credentials of a stranger are looked at.
func TestA06CredentialsAreForTheServerThatWasMeant(t *testing.T) {
	client, asked := showing(always("a token")), false
	client.Credentials = func(context.Context) ([]byte, error) { asked = true; return nil, nil }
	cErr, _ := both(t, client, hosting(mallory, alice))
	if wantHandshake(t, cErr, e2e.ReasonUntrusted); asked {
		t.Error("credentials were fetched for the wrong server")
	}
	server := hosting(bob, mallory)
	server.Authenticate = func(context.Context, e2e.Peer, []byte) (e2e.Grant, error) { asked = true; return e2e.Grant{}, nil }
	_, sErr := both(t, trusting(alice, bob), server)
	if wantHandshake(t, sErr, e2e.ReasonUntrusted); asked {
		t.Error("credentials of a stranger were looked at")
	}
}

func TestCredentialsThatCannotBeHad(t *testing.T) {
	lost := errors.New("the smartcard is gone")
	for name, test := range map[string]struct {
		call func(context.Context) ([]byte, error)
		want error
	}{
		"4097 bytes": {func(context.Context) ([]byte, error) { return make([]byte, 4097), nil }, fault.ErrCredentialsTooLarge},
		"an error":   {func(context.Context) ([]byte, error) { return nil, lost }, lost},
	} {
		client := trusting(alice, bob)
		client.Credentials = test.call
		cErr, sErr := both(t, client, hosting(bob, alice))
		wantHandshake(t, cErr, e2e.ReasonLocal)
		if !errors.Is(cErr, test.want) {
			t.Errorf("%s: %v", name, cErr)
		}
		wantHandshake(t, sErr, e2e.ReasonLost)
	}
	client := trusting(alice, bob)
	client.Credentials = func(context.Context) ([]byte, error) { return bytes.Repeat([]byte{'x'}, 4096), nil }
	server := granting(func(token string) (e2e.Grant, error) {
		if len(token) != 4096 {
			t.Errorf("%d bytes arrived", len(token))
		}
		return e2e.Grant{}, nil
	})
	if cErr, sErr := both(t, client, server); cErr != nil || sErr != nil {
		t.Errorf("4096 bytes: %v, %v", cErr, sErr)
	}
}

// A callback that never returns costs a handshake and no more; one that panics likewise.
func TestCallbacksOfCredentialsThatHangOrPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		forever := make(chan struct{})
		defer close(forever)
		client, server := trusting(alice, bob), hosting(bob, alice)
		client.Credentials = func(context.Context) ([]byte, error) { <-forever; return nil, nil }
		cErr, sErr := both(t, client, server)
		wantHandshake(t, cErr, e2e.ReasonTimeout)
		if sErr == nil {
			t.Error("the server goes on")
		}
		server.Authenticate = func(context.Context, e2e.Peer, []byte) (e2e.Grant, error) { <-forever; return e2e.Grant{}, nil }
		cErr, sErr = both(t, trusting(alice, bob), server)
		if cErr == nil {
			t.Error("the client goes on")
		}
		wantHandshake(t, sErr, e2e.ReasonTimeout)

		var panicked *e2e.PanicError
		client.Credentials = func(context.Context) ([]byte, error) { panic("no token") }
		if cErr, _ = both(t, client, hosting(bob, alice)); !errors.As(cErr, &panicked) || panicked.Value != "no token" {
			t.Errorf("the client says %v", cErr)
		}
		server.Authenticate = func(context.Context, e2e.Peer, []byte) (e2e.Grant, error) { panic("no database") }
		cErr, sErr = both(t, trusting(alice, bob), server)
		wantHandshake(t, cErr, e2e.ReasonUnavailable)
		if !errors.As(sErr, &panicked) || panicked.Value != "no database" {
			t.Errorf("the server says %v", sErr)
		}
	})
}

// Each connection of a session shows fresh credentials, and what is found in them
// takes the place of what was found before.
func TestResumeShowsFreshCredentials(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n atomic.Int32
		var before []any
		cfg := hosting(bob, alice)
		cfg.Authenticate = func(_ context.Context, peer e2e.Peer, credentials []byte) (e2e.Grant, error) {
			before = append(before, peer.Claims)
			return e2e.Grant{Claims: string(credentials)}, nil
		}
		r := &road{srv: newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
			for {
				if _, err := s.Receive(ctx); err != nil {
					return err
				}
				if err := s.Send(ctx, []byte(s.Peer().Claims.(string))); err != nil {
					return err
				}
			}
		})}
		c := r.client(t, showing(func() string { return fmt.Sprint("token ", n.Add(1)) }))
		for i := range 3 {
			mustSend(t, c, "who am I")
			mustReceive(t, c, fmt.Sprint("token ", i+1))
			r.cut()
		}
		synctest.Wait()
		if fmt.Sprint(before[:3]) != "[<nil> token 1 token 2]" {
			t.Errorf("Authenticate was told of %v", before)
		}
	})
}

// A50: a session whose credentials count no longer does not come back, and is gone for
// good: neither end keeps anything to try again with.
func TestA50ResumeWithRefusedCredentials(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var withdrawn atomic.Bool
		ended := make(chan error, 1)
		r := &road{srv: newServer(t, granting(func(string) (e2e.Grant, error) {
			if withdrawn.Load() {
				return e2e.Grant{}, transport.ErrUnauthorized
			}
			return e2e.Grant{}, nil
		}), func(ctx context.Context, s *e2e.Session) error {
			err := echo(ctx, s)
			ended <- err
			return err
		})}
		c := r.client(t, showing(always("a token")))
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		withdrawn.Store(true)
		r.cut()
		_, err := c.Receive(t.Context())
		var failed *e2e.HandshakeError
		if !errors.As(err, &failed) || failed.Reason != e2e.ReasonRefused || !failed.Permanent() {
			t.Errorf("the client's end: %v", err)
		}
		if err := <-ended; !errors.Is(err, e2e.ErrCredentials) || !errors.Is(err, transport.ErrUnauthorized) {
			t.Errorf("the server's end: %v", err)
		}
	})
}

// Where nothing can be decided now, the session waits for another attempt.
func TestResumeWhileCredentialsCannotBeChecked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var calls atomic.Int32
		r := &road{srv: newServer(t, granting(func(string) (e2e.Grant, error) {
			if n := calls.Add(1); n == 2 || n == 3 {
				return e2e.Grant{}, errors.New("the database is down")
			}
			return e2e.Grant{}, nil
		}), echo)}
		c := r.client(t, showing(always("a token")))
		r.cut()
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		if calls.Load() != 4 {
			t.Errorf("asked %d times", calls.Load())
		}
	})
}

// A50: what has expired is over at both ends, for the reason that it is, with a link and
// without one.
func TestA50CredentialsExpire(t *testing.T) {
	for _, parked := range []bool{false, true} {
		t.Run(fmt.Sprint(parked), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				began := time.Now()
				ended := make(chan error, 1)
				server := granting(func(string) (e2e.Grant, error) {
					return e2e.Grant{Expires: began.Add(time.Minute)}, nil
				})
				server.ParkTimeout = time.Hour
				r := &road{srv: newServer(t, server, func(ctx context.Context, s *e2e.Session) error {
					err := echo(ctx, s)
					ended <- err
					return err
				})}
				c := r.client(t, trusting(alice, bob))
				if parked {
					r.set(func(r *road) { r.closed = true })
					r.cut()
				}
				_, err := c.Receive(t.Context())
				if !errors.Is(err, e2e.ErrCredentials) {
					t.Errorf("the client's end: %v", err)
				}
				if err := <-ended; !errors.Is(err, e2e.ErrCredentials) {
					t.Errorf("the server's end: %v", err)
				}
				if lived := time.Since(began); lived < time.Minute || lived > time.Minute+time.Second {
					t.Errorf("expired after %v", lived)
				}
			})
		})
	}
}

// Sessions of one connection expire too.
func TestCredentialsOfOneConnectionExpire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := transport.Pipe()
		server := granting(func(string) (e2e.Grant, error) {
			return e2e.Grant{Expires: time.Now().Add(time.Minute)}, nil
		})
		var s *e2e.Session
		var wg sync.WaitGroup
		wg.Go(func() { s, _ = e2e.Accept(context.Background(), b, server) })
		c, err := e2e.Connect(t.Context(), a, "pipe", trusting(alice, bob))
		if wg.Wait(); err != nil {
			t.Fatal(err)
		}
		for _, end := range []*e2e.Session{c, s} {
			if _, err := end.Receive(t.Context()); !errors.Is(err, e2e.ErrCredentials) {
				t.Errorf("ended with %v", err)
			}
		}
	})
}
