package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/lobby"
	"github.com/hopseal/hopseal/e2e/internal/outcome"
	"github.com/hopseal/hopseal/e2e/internal/upkeep"
	"github.com/hopseal/hopseal/e2e/internal/vault"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// A Server makes a session with each client that connects and runs a function on it. A
// client that has lost its connection comes back to its session, whose function is still
// running. [ServerConfig.ParkTimeout] says how long the server waits. As an http.Handler a
// Server takes WebSockets (not in browsers); [Server.ServeConn] takes any connection.
type Server struct {
	cfg      config
	given    ServerConfig // with defaults filled in
	handle   func(context.Context, *Session) error
	lobby    *lobby.Lobby
	lookups  *vault.Lookups  // in the store, for strangers
	suspects *lobby.Suspects // addresses whose first frames ask for sessions that are not stored
	vault    vault.Vault

	follower *upkeep.Follower

	proving chan struct{} // has room for each handshake that may be signed at a time
	signing chan struct{} // has room for each refusal that may be signed at a time

	running sync.WaitGroup // one for each ServeConn

	mu       sync.Mutex // guards what follows
	closed   bool
	quota    lobby.Quota
	sessions map[*Session]*entry

	resumable map[[32]byte]*Session // by id of resume
	stored    map[[32]byte]*Session // by key in the store
	swept     time.Time             // when the store was swept last
	parked    parked                // sessions without a line

	totals   totals
	doorbell outcome.Doorbell
	reminder upkeep.Reminder
}

// maxSigning is how many refusals a server signs at once: strangers can ask for them, and a
// Signer that does not answer keeps its goroutine.
const maxSigning = 64

// NewServer returns a server that runs handle once for each session, in a goroutine of its
// own. Use the context for what handle does beside the session: it ends when the session
// does, or the context given to ServeConn. When handle returns the server closes the session
// with [CodeDone]. It closes it with [CodeFailed] if handle returns an error other than the
// session's own. Before that, what handle has sent has [Options.SendTimeout] to arrive, even
// if the client has yet to come back. A panic of handle ends its session only.
//
// The error says what is missing in cfg.
func NewServer(cfg ServerConfig, handle func(ctx context.Context, s *Session) error) (*Server, error) {
	own, err := cfg.config()
	if err != nil {
		return nil, err
	}
	if cfg.Store != nil && cfg.MaxParked < 0 {
		return nil, errors.New("e2e: NewServer: Config.Store is for sessions that outlive their connections: MaxParked must not be negative")
	}
	if handle == nil {
		return nil, errors.New("e2e: NewServer: the function is nil")
	}
	srv := &Server{
		cfg:      own,
		given:    cfg,
		handle:   handle,
		lobby:    lobby.New(lobby.Limits{Handshakes: cfg.MaxHandshakes, PerAddress: cfg.MaxHandshakesPerAddress, Timeout: own.HandshakeTimeout}),
		parked:   parked{most: cfg.MaxParked, mostPerIdentity: cfg.maxParkedPerIdentity()},
		quota:    lobby.Quota{Most: cfg.MaxSessions, MostPerIdentity: cfg.MaxSessionsPerIdentity},
		sessions: map[*Session]*entry{},
		lookups:  vault.NewLookups(vault.Vault{Store: own.Store, Keys: own.StoreKeys}),
		suspects: lobby.NewSuspects(max(1, cfg.MaxHandshakesPerAddress/4), sessionstore.ErrNotStored),
		vault:    own.vault(cfg.MaxSessions),

		proving:   make(chan struct{}, cfg.MaxHandshakes),
		signing:   make(chan struct{}, maxSigning),
		resumable: map[[32]byte]*Session{},
		totals:    newTotals(),
		stored:    map[[32]byte]*Session{},
		reminder:  upkeep.Reminder{Whose: "server"},
	}
	srv.remind()
	upkeep.Hourly(srv, (*Server).remind)
	srv.follower = srv.cfg.follower(srv.followed)
	return srv, nil
}

// Format prints who the server is and what it speaks, and no secrets, whatever the verb.
func (srv *Server) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "e2e.Server(%s, %v)", fault.QuoteProtocol(srv.cfg.Protocol), srv.cfg.Identity.Public())
}

// ServeConn runs the handshake and then the server's function over a connection
// that is already open, and returns when both are done. It takes the connection
// over. When the context ends, so does the session, with [CodeGoingAway].
//
// If the client goes on with a session over this connection, ServeConn does not run the
// function again, and returns when the connection is over.
//
// Errors: [ErrServerClosed], [*HandshakeError], what the function returned, a
// [*PanicError], or a [*CloseError] if not everything that was sent is known to have arrived.
func (srv *Server) ServeConn(ctx context.Context, conn transport.Conn) error {
	if err := srv.begin(); err != nil {
		srv.turnAway(conn, transport.CodeGoingAway, err)
		return err
	}
	defer srv.running.Done()
	session, l, err := srv.greetAside(ctx, conn)
	if err != nil {
		return err
	}
	if l != nil {
		srv.greeted(outcome.Resumed)
		srv.goOn(ctx, session, l)
		return nil
	}
	defer srv.conclude(session)
	if session.joining == nil {
		srv.greeted(outcome.Established)
	} else {
		srv.greeted(outcome.Restored)
		srv.running.Go(func() { session.flow.Attach(session.joining) })
	}
	err = srv.serve(ctx, session)
	if err != nil && err != error(session.flow.Err()) {
		outcome.LogFunction(srv.cfg.Logger, session.subject(session.Info().Transport), err)
	}
	return err
}

// turnAway closes a connection that led to no session, counts it and logs it.
func (srv *Server) turnAway(conn transport.Conn, code transport.Code, err error) {
	lobby.HangUp(conn, code, err)
	srv.turnedAway(conn.Info(), outcome.Of(err), err)
}

// turnedAway counts and logs a connection that led to no session.
func (srv *Server) turnedAway(on transport.Info, why outcome.Outcome, err error) {
	srv.greeted(why)
	srv.doorbell.Ring(srv.cfg.Logger, on, why, err)
}

// Shutdown closes every session with [CodeGoingAway], breaks off every handshake, and waits
// until all functions have returned. If the context ends before, Shutdown returns the
// context's error. Clients that connect afterwards are turned away.
func (srv *Server) Shutdown(ctx context.Context) error {
	var leaving sync.WaitGroup // not running: an earlier Shutdown may wait for that
	for _, s := range srv.stop() {
		leaving.Go(func() { s.flow.GoAway() })
	}
	srv.lobby.Close(ErrServerClosed)
	srv.follower.End()
	done := make(chan struct{})
	go func() {
		leaving.Wait()
		srv.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin counts a connection in, unless the server is shut down.
func (srv *Server) begin() error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed {
		return ErrServerClosed
	}
	srv.running.Add(1)
	return nil
}

// stop makes the server turn newcomers away from now on, and returns the open sessions.
func (srv *Server) stop() (open []*Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.closed = true
	return slices.Collect(maps.Keys(srv.sessions))
}

// greetAside runs greet in a goroutine of its own. A handshake grows its stack, and the
// caller's stack stays for as long as the session.
func (srv *Server) greetAside(ctx context.Context, conn transport.Conn) (s *Session, l *flow.Line, err error) {
	done := make(chan struct{})
	err = fault.ErrGoexit
	go func() {
		defer close(done)
		s, l, err = srv.greet(ctx, conn)
	}()
	<-done
	return s, l, err
}

// greet makes a new session from a connection, or a line of an open session. The server
// computes nothing for a connection that the lobby does not hold.
func (srv *Server) greet(ctx context.Context, conn transport.Conn) (_ *Session, _ *flow.Line, err error) {
	err = fault.ErrGoexit // stays if the goroutine ends here
	defer func() {
		if err != nil {
			err = srv.cfg.ownFault(err)
			srv.turnAway(conn, transport.CodePolicy, err)
		}
	}()
	defer fault.Contain(&err)
	entered, guest, full := srv.lobby.Enter(ctx, conn, srv.room())
	if full != nil {
		return nil, nil, &HandshakeError{Reason: ReasonLocal, Err: full}
	}
	defer func() {
		if why := guest.Leave(); why != nil && err != nil {
			err = &HandshakeError{Reason: ReasonLocal, Err: why}
		}
	}()
	g := newGreeting(ctx, &srv.cfg, conn, guest, srv.proving, srv.signing)
	g.seen = srv.follower.Seen()
	if err := g.Read(entered); err != nil {
		return nil, nil, err
	}
	if id, ok := engine.ResumeID(g.First); ok {
		if s := srv.find(id); s != nil {
			l, err := g.resume(entered, s, func() error { return srv.committed(s) })
			return s, l, err
		}
		if srv.cfg.Store != nil {
			s, err := srv.restore(ctx, entered, g, id)
			return s, nil, err
		}
	}
	s, err := srv.accept(ctx, entered, g)
	return s, nil, err
}

// room returns how many connections the server allows, beside MaxHandshakes, for sessions that
// wait for their clients. The clients of all stored sessions may be on their way.
func (srv *Server) room() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	waiting := srv.parked.all.Len()
	if srv.cfg.Store != nil {
		waiting += max(0, srv.given.MaxSessions-len(srv.sessions))
	}
	return waiting
}

// accept makes a session. The session lives with the first context; the handshake has the second.
func (srv *Server) accept(ctx, entered context.Context, g *greeting) (s *Session, err error) {
	var p *entry
	defer func() {
		if err != nil && p != nil {
			srv.cancel(p)
		}
	}()
	made, err := g.accept(entered, func(peer *keys.PublicIdentity) (err error) {
		p, err = srv.reserve(peer)
		return err
	}, func(s *Session) error {
		p.session = s
		srv.adopt(s, vault.Stored{})
		if err := srv.add(p, g.seen); err != nil || s.keeper == nil {
			return err
		}
		return s.keeper.Save(entered)
	})
	if err != nil {
		return nil, err
	}
	srv.sweep()
	return made.begun(), nil
}

// goOn gives a session the line on which its client has come back, and waits until the line
// is over.
func (srv *Server) goOn(ctx context.Context, s *Session, l *flow.Line) {
	defer context.AfterFunc(ctx, func() { s.flow.GoAway() })()
	s.flow.Attach(l)
	select {
	case <-l.Gone():
	case <-s.flow.Life().Done():
	}
}

// add makes a session one of the open ones. seen is what the follower had seen before the
// Verifier was asked.
func (srv *Server) add(e *entry, seen uint64) error {
	if err := srv.admit(e); err != nil {
		return err
	}
	srv.follower.Joined(seen)
	return nil
}

func (srv *Server) admit(e *entry) error {
	s := e.session
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed { // since the reservation
		return ErrServerClosed
	}
	srv.sessions[s] = e
	if s.keeper != nil {
		srv.stored[s.keeper.Key()] = s
	}
	if s.lost != nil {
		srv.indexLocked(e)
	}
	return nil
}

// removeLocked forgets a session. The caller holds mu.
func (srv *Server) removeLocked(e *entry) {
	s := e.session
	srv.quota.Free(e.who)
	srv.unindexLocked(e)
	if s.keeper != nil && srv.stored[s.keeper.Key()] == s {
		delete(srv.stored, s.keeper.Key())
	}
	delete(srv.sessions, s)
	srv.parked.remove(e)
}

// serve runs the function and closes the session.
func (srv *Server) serve(ctx context.Context, s *Session) error {
	defer context.AfterFunc(ctx, func() { s.flow.GoAway() })()
	defer func() { <-s.flow.Life().Done() }() // another goroutine may still be closing it
	returned := false
	defer func() {
		if !returned { // the function has called runtime.Goexit
			srv.finish(s, CodeFailed)
		}
	}()
	err := srv.call(s.flow.Life(), s)
	returned = true
	switch {
	case s.flow.Over() && (err == nil || errors.Is(err, s.flow.Err()) || errors.Is(err, context.Canceled)):
		s.Close()
		return nil
	case err == nil:
		return srv.finish(s, CodeDone)
	}
	srv.finish(s, CodeFailed)
	return err
}

// finish closes a session whose function has returned. Nobody waits for that, as somebody does
// for Close, so finish leaves the client time to come back.
func (srv *Server) finish(s *Session, code Code) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.local.sendTimeout)
	defer cancel()
	return s.CloseWith(ctx, code)
}

// call runs the function and turns a panic into an error.
func (srv *Server) call(ctx context.Context, s *Session) (err error) {
	defer fault.Contain(&err)
	return srv.handle(ctx, s)
}
