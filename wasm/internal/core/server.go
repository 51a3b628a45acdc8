package core

import (
	"context"

	"github.com/hopseal/hopseal/e2e"
)

// A server is what JavaScript has a handle of. Its sockets are JavaScript's, so it is for Node.
type server struct{ *e2e.Server }

// serverCreate: ends, options, authenticates number, most sessions number, most of one identity
// number, most parked number, park timeout number, most handshakes number, most of one address
// number → server handle.
func (c *Core) serverCreate(r *request, out []byte) ([]byte, error) {
	e := c.readEnds(r)
	cfg := e2e.ServerConfig{Identity: e.identity, Verifier: e.verifier, Protocol: e.protocol, Options: e.readOptions(r)}
	if r.uint32() == 1 {
		cfg.Authenticate = e.authenticate
	}
	cfg.MaxSessions, cfg.MaxSessionsPerIdentity = int(r.uint32()), int(r.uint32())
	cfg.MaxParked, cfg.ParkTimeout = int(r.uint32()), r.duration()
	cfg.MaxHandshakes, cfg.MaxHandshakesPerAddress = int(r.uint32()), int(r.uint32())
	if err := r.done(); err != nil {
		return nil, err
	}
	srv, err := e2e.NewServer(cfg, e.serve)
	if err != nil {
		return nil, err
	}
	return c.objects.appendHandle(out, &server{srv})
}

// authenticate asks JavaScript what a client may do.
func (b callbacks) authenticate(ctx context.Context, peer e2e.Peer, credentials []byte) (e2e.Grant, error) {
	r, err := b.ask(ctx, callAuthenticate, appendBytes(appendPeer(nil, peer.PublicIdentity), credentials))
	switch codeOf(err) {
	case "credentials":
		return e2e.Grant{}, e2e.ErrCredentials
	case "credentials-expired":
		return e2e.Grant{}, e2e.ErrCredentialsExpired
	}
	if err != nil {
		return e2e.Grant{}, err
	}
	expires := r.time()
	return e2e.Grant{Expires: expires}, r.done()
}

// serve has JavaScript's function run on a session.
func (b callbacks) serve(ctx context.Context, s *e2e.Session) error {
	fields, err := b.core.appendSession(nil, b.session(s))
	if err != nil {
		return err
	}
	r, err := b.run(ctx, callSession, fields)
	if err != nil {
		return err
	}
	return r.done()
}

// serverServe: server handle, connection handle → nothing, once the connection's session is over.
func (c *Core) serverServe(r *request) (job, error) {
	srv, over := required[*server](r), required[*conn](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]byte, error) { return nil, srv.ServeConn(ctx, over) }, nil
}

// serverShutdown: server handle → nothing, once all its functions have returned.
func (c *Core) serverShutdown(r *request) (job, error) {
	srv := required[*server](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]byte, error) { return nil, srv.Shutdown(ctx) }, nil
}

// serverStats: server handle → open sessions number, parked number, handshakes number, then the
// outcomes of connections, then those of sessions: each name text, count serial; the second list
// begins behind an empty name.
func (c *Core) serverStats(r *request) (job, error) {
	srv := required[*server](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return func(context.Context) ([]byte, error) {
		of := srv.Stats()
		out := appendUint32(appendUint32(nil, uint32(of.Sessions)), uint32(of.Parked))
		out = appendCounts(appendUint32(out, uint32(of.Handshakes)), of.Greeted)
		return appendCounts(appendText(out, ""), of.Ended), nil
	}, nil
}

func appendCounts(out []byte, counts map[string]uint64) []byte {
	for name, n := range counts {
		out = appendUint64(appendText(out, name), n)
	}
	return out
}
