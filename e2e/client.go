package e2e

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// Dial connects to the server at a ws:// or wss:// URL and makes a session with it.
// The context bounds the dial and the handshake, not the session.
//
// The Verifier is asked about [keys.RoleServer] at the address host:port, or
// host:port/path where the URL has a path.
//
// Errors: one that says what is missing in cfg; [*transport.DialError];
// [*HandshakeError]. The latter two have a method Permanent() bool.
func Dial(ctx context.Context, url string, cfg Config) (*Session, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	conn, err := transport.Dial(ctx, url, cfg.dialOptions())
	if err != nil {
		return nil, err
	}
	address, err := addressOf(url)
	if err != nil {
		conn.Close(transport.CodeNormal, "")
		return nil, err
	}
	return connect(ctx, conn, address, cfg)
}

// Connect makes a session, as the client, over a connection that is already open.
// It takes the connection over and closes it when the session ends, or at once if
// there is an error, which is one about cfg or a [*HandshakeError]. The Verifier is
// asked about [keys.RoleServer] at the given address. The connection must let
// messages of [MaxFrame] bytes through.
//
// The context bounds the handshake, not the session.
func Connect(ctx context.Context, conn transport.Conn, address string, cfg Config) (*Session, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		conn.Close(transport.CodeNormal, "")
		return nil, err
	}
	return connect(ctx, conn, address, cfg)
}

func connect(ctx context.Context, conn transport.Conn, address string, cfg Config) (*Session, error) {
	h, err := engine.NewClient(cfg.engine(), time.Now())
	if err != nil {
		conn.Close(transport.CodeNormal, "")
		return nil, err
	}
	return begun(newSession(ctx, conn, h, cfg, func(ctx context.Context, peer *keys.PublicIdentity) error {
		return cfg.Verifier.Verify(ctx, cfg.expect(keys.RoleServer, address), peer)
	}))
}

// Accept is [Connect] for the other end, the server. Most servers use [NewServer],
// which bounds the number of handshakes too.
func Accept(ctx context.Context, conn transport.Conn, cfg Config) (*Session, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		conn.Close(transport.CodeNormal, "")
		return nil, err
	}
	return begun(accept(ctx, conn, cfg, func() error { return nil }))
}

// begun starts a new session's clock.
func begun(s *Session, err error) (*Session, error) {
	if err == nil {
		s.alarm.set(time.Now().Add(idleReader))
	}
	return s, err
}

// accept asks room, which may have none, after the Verifier.
func accept(ctx context.Context, conn transport.Conn, cfg Config, room func() error) (*Session, error) {
	h, err := engine.NewServer(cfg.engine(), time.Now())
	if err != nil {
		conn.Close(transport.CodeNormal, "")
		return nil, err
	}
	return newSession(ctx, conn, h, cfg, func(ctx context.Context, peer *keys.PublicIdentity) error {
		if err := cfg.Verifier.Verify(ctx, cfg.expect(keys.RoleClient, ""), peer); err != nil {
			return err
		}
		return room()
	})
}

func (c Config) expect(role keys.Role, address string) keys.Expected {
	return keys.Expected{Address: address, Role: role, Fingerprint: c.PeerFingerprint}
}

// MaxFrame returns the size in bytes of the largest message that a session with
// the given MaxMessage hands to its connection.
func MaxFrame(maxMessage int) int { return engine.MaxFrame(maxMessage) }

// addressOf returns the part of a URL that says which server is meant: no scheme,
// since a server keeps its identity when it gets a certificate, and no query,
// which may hold a token.
func addressOf(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return "", errors.New("e2e: the URL names no host")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "http": "80"}[u.Scheme]
	}
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port) + strings.TrimSuffix(u.EscapedPath(), "/"), nil
}
