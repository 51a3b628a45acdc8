package e2e

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/meet"
	"github.com/hopseal/hopseal/e2e/internal/upkeep"
	"github.com/hopseal/hopseal/e2e/internal/vault"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// Dial connects to the server at a ws:// or wss:// URL and makes a session with it.
// When the connection is lost the session makes another by itself, as [Config.Retry]
// says. The context bounds the first dial and the handshake, not the session. Dial makes the
// first dial once; for a session that is stored already see [Config.StoreName].
//
// The Verifier is asked about [trust.RoleServer] at the address host:port, or
// host:port/path where the URL has a path, and again for each new connection.
//
// Errors: one that says what is missing in cfg; [*transport.DialError];
// [*HandshakeError]; for a session that was stored [*CloseError]. Their method Permanent() bool
// reports whether another Dial would fail in the same way.
func Dial(ctx context.Context, url string, cfg Config) (*Session, error) {
	// The transport explains a URL that names no host.
	address, _ := addressOf(url)
	c, err := newClient(cfg, address, func(ctx context.Context) (transport.Conn, error) {
		return transport.Dial(ctx, url, cfg.dialOptions())
	})
	if err != nil {
		return nil, err
	}
	return c.dialFirst(ctx)
}

// DialFunc is [Dial] over the connections that dial makes. The first call of dial gets ctx.
// Later calls, when the session comes back, get a context of a minute. Nobody waits for dial
// longer than its context lasts. The connections must outlive that context and let messages of
// [MaxFrame] bytes through. The Verifier is asked about the given address.
func DialFunc(ctx context.Context, address string, cfg Config, dial func(context.Context) (transport.Conn, error)) (*Session, error) {
	c, err := newClient(cfg, address, func(ctx context.Context) (transport.Conn, error) { return meet.DialAside(ctx, dial) })
	if err != nil {
		return nil, err
	}
	return c.dialFirst(ctx)
}

// Connect makes a session, as the client, over a connection that is already open. The session
// gets no other connection. Connect takes the connection over and closes it when the session
// ends, or at once if there is an error: one about cfg, or a [*HandshakeError]. The Verifier
// is asked about [trust.RoleServer] at the given address. The connection must let messages of
// [MaxFrame] bytes through.
//
// The context bounds the handshake, not the session.
func Connect(ctx context.Context, conn transport.Conn, address string, cfg Config) (*Session, error) {
	c, err := newClient(cfg, address, nil)
	if err != nil {
		conn.Close(transport.CodeNormal, "")
		return nil, err
	}
	s, err := c.connect(ctx, conn)
	if err != nil {
		c.follower.End()
		c.events.tell(Event{State: StateClosed, Err: err})
		return nil, err
	}
	return s.begun(), nil
}

// A client has what it takes to make a session and to go on with it.
type client struct {
	cfg       config
	retry     redial.Policy
	storeName string
	dial      func(context.Context) (transport.Conn, error)
	events    *events
	vault     vault.Vault

	follower *upkeep.Follower // made before the session, and ends with it
}

// newClient returns a client, or an error that says what is missing in cfg.
func newClient(cfg Config, address string, dial func(context.Context) (transport.Conn, error)) (*client, error) {
	own, err := cfg.config(address)
	if err != nil {
		return nil, err
	}
	return &client{own, cfg.Retry, cfg.StoreName, dial, newEvents(own.Logger, own.Notify), own.vault(clientCalls), own.follower(nil)}, nil
}

// connect makes a session over a connection.
func (c *client) connect(ctx context.Context, conn transport.Conn) (*Session, error) {
	self, signer := c.cfg.engine()
	h, err := engine.NewClient(self, time.Now())
	if err != nil {
		conn.Close(transport.CodeNormal, "")
		return nil, err
	}
	c.events.tell(Event{State: StateHandshaking, Transport: conn.Info()})
	if err := c.run(ctx, conn, h, signer); err != nil {
		return nil, err
	}
	s := newSession(context.Background(), conn, h, grantFor(h.Lifetime()), &c.cfg, c.events)
	s.followedBy(c.follower)
	s.updates.pace.Asked()
	return s, nil
}

// run does a handshake or a resume.
func (c *client) run(ctx context.Context, conn transport.Conn, e meet.Exchange, signer keys.Signer) error {
	h := meet.Handshake{Conn: conn, Engine: e, Signer: signer, Turns: make(chan struct{}, 1), Verify: c.cfg.verify, Decide: func(ctx context.Context, peer *keys.PublicIdentity) error {
		if err := c.cfg.verify(ctx, peer); err != nil {
			return err
		}
		if _, resume := e.(*engine.Resume); resume || meet.Differ(e) != nil {
			return nil // the hello had the credentials, or they are for another service
		}
		credentials, err := c.cfg.present(ctx)
		if err != nil {
			return err
		}
		return e.Present(credentials)
	}}
	return h.Client(ctx)
}

// presentAgain returns the credentials for a server that is known from before, unless the
// Verifier no longer accepts it. A refusal of the known statement alone does not count, because
// that may have expired since: the server is about to show its current one.
func (c *client) presentAgain(ctx context.Context, peer *keys.PublicIdentity) (_ []byte, err error) {
	if c.cfg.Credentials == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.HandshakeTimeout)
	defer cancel()
	if err = c.cfg.verify(ctx, peer); err == nil || fault.Outdated(err) {
		var credentials []byte
		if credentials, err = c.cfg.present(ctx); err == nil {
			return credentials, nil
		}
	}
	var panicked *PanicError
	if errors.As(err, &panicked) {
		return nil, panicked
	}
	if reason, no := fault.Refuses(err); no {
		return nil, &HandshakeError{Reason: reason, Err: err}
	}
	return nil, &HandshakeError{Reason: ReasonLocal, Err: err}
}

// dialFirst makes a session that dials again when it loses its connection.
func (c *client) dialFirst(ctx context.Context) (_ *Session, err error) {
	defer func() {
		if err != nil {
			c.follower.End()
		}
	}()
	c.events.tell(Event{State: StateConnecting})
	if c.cfg.Store != nil {
		if s, err := c.restore(ctx); s != nil || err != nil {
			return s, err
		}
	}
	conn, err := c.dial(ctx)
	var s *Session
	if err == nil {
		s, err = c.connect(ctx, conn)
	}
	if err != nil {
		c.events.tell(Event{State: StateClosed, Err: err})
		return nil, err
	}
	c.comesBack(s)
	if c.cfg.Store != nil {
		keepIn(s, c.vault, c.storeName, vault.Stored{})
		if err := s.keeper.Save(ctx); err != nil {
			s.flow.CloseFor(CodeFailed, &CloseError{Err: err})
			return nil, fmt.Errorf("e2e: %w", err)
		}
	}
	return s.begun(), nil
}

// comesBack gives a session what it needs to get another line.
func (c *client) comesBack(s *Session) *reconnector {
	back := &reconnector{client: c, session: s}
	s.flow.Survive()
	s.lost = func(why *CloseError) { go back.run(why) }
	return back
}

// Accept is [Connect] for the other end, the server. Most servers use [NewServer] instead: it
// also bounds the number of handshakes, and its sessions outlive their connections.
func Accept(ctx context.Context, conn transport.Conn, cfg ServerConfig) (*Session, error) {
	own, err := cfg.config()
	if err != nil {
		conn.Close(transport.CodeNormal, "")
		return nil, err
	}
	g := newGreeting(context.Background(), &own, conn, nil, make(chan struct{}, 1), make(chan struct{}, 1))
	if err := g.Read(ctx); err != nil {
		return nil, err
	}
	follower := own.follower(nil)
	s, err := g.accept(ctx, func(*keys.PublicIdentity) error { return nil }, func(s *Session) error {
		s.followedBy(follower)
		return nil
	})
	if err != nil {
		follower.End()
		return nil, own.ownFault(err)
	}
	s.reminder = upkeep.ReminderOf(own.Identity, "server")
	return s.begun(), nil
}
