package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/calls"
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/outcome"
	"github.com/hopseal/hopseal/e2e/internal/streams"
	"github.com/hopseal/hopseal/e2e/internal/upkeep"
	"github.com/hopseal/hopseal/e2e/internal/vault"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// A Session is one end of a conversation with one authenticated peer.
//
// Its connections come and go. While there is none a client dials again as
// [Config.Retry] says, a [Server] waits, and Send and Receive wait too. The session sends
// again what is lost with a connection, so messages still arrive once and in order.
// A session made with [Connect] or [Accept] has one connection, and ends with it.
//
// A Session ends when either end closes it, when it cannot go on, or when the other
// end breaks the rules. From then on every call returns the same [*CloseError]. The session
// sends no more messages. Receive still returns those that had arrived before the other end
// or the network ended it.
type Session struct {
	engine *engine.Session
	flow   *flow.Flow
	id     string // for logs

	lost    func(why *CloseError) // finds another line after one is lost; nil: the session ends
	found   func()                // runs when there is another line, or none after all
	renewed func()                // runs when a rekey has changed the resume secret

	calls     *calls.Calls
	streams   *streams.Streams
	refusals  flow.Worker[*RefusedError]
	onRefused func(*Session, *RefusedError)
	doorbell  outcome.Doorbell // logs refusals if there is no onRefused

	local    *localEnd
	updates  updates
	reminder *upkeep.Reminder // nil at a Server, which has one for all
	follower *upkeep.Follower // nil at a server, which has one for all
	followed upkeep.Followed

	grantMu sync.Mutex // guards what follows
	peer    Peer       // as this end accepted it last
	expires time.Time  // when the client's credentials expire; zero if they do not

	events *events

	keeper   *vault.Keeper // nil without a store
	restored bool
	joining  *flow.Line // the first line of a session that was restored, until the function runs
}

// Info describes a session. It holds no secrets and may be logged.
type Info struct {
	Transport  transport.Info
	ID         string // names the session in logs, the same at both ends: 16 hexadecimal digits
	HopTLS     HopTLS // what the ends have found out about the TLS of Transport
	Protocol   string
	MaxMessage int // bytes
}

// remind makes a session check its identity, as it begins and whenever it checks its connection.
func (s *Session) remind() {
	if s.reminder != nil {
		s.reminder.Look(s.local.Identity, s.local.logger, upkeep.SharedPause)
	}
}

// logID returns a name for a session that may be shown: nobody can find the session's id from it.
func logID(id [32]byte) string {
	hash := sha256.Sum256(label.SessionLogID.With(id[:]))
	return hex.EncodeToString(hash[:8])
}

// entitle records who the peer is now and what the client's credentials grant, as accepted on
// a link. It records nothing if another link has been made since: that one brought its own
// identity and credentials.
func (s *Session) entitle(on *engine.Link, peer *keys.PublicIdentity, g Grant) bool {
	s.grantMu.Lock()
	defer s.grantMu.Unlock()
	if s.engine.Link() != on {
		return false
	}
	s.peer, s.expires = Peer{peer, g.Claims}, g.Expires
	s.flow.Limits.SetExpiry(g.Expires)
	s.updates.renewBefore(g.Expires)
	return true
}

// recognize is entitle for a peer that is a server: it records the server's new identity.
func (s *Session) recognize(on *engine.Link, peer *keys.PublicIdentity) {
	s.grantMu.Lock()
	defer s.grantMu.Unlock()
	if s.engine.Link() == on {
		s.peer.PublicIdentity = peer
	}
}

// Peer returns the identity that the other end has proved and the Verifier has accepted,
// and what [ServerConfig.Authenticate] has granted. Both are those of the last connection,
// or of the last update from the other end since. An update counts once this end has
// accepted it.
func (s *Session) Peer() Peer {
	s.grantMu.Lock()
	defer s.grantMu.Unlock()
	return s.peer
}

// Info returns what is known about the session and the connection under it. While there is
// none it is about the last one.
func (s *Session) Info() Info {
	hop := s.flow.Hop()
	return Info{hop.Transport, s.id, HopTLS(hop.TLS), s.local.Protocol, s.local.maxMessage}
}

// subject says which session, if there is one, and which connection a line of the log is about.
func (s *Session) subject(on transport.Info) outcome.Subject {
	if s == nil {
		return outcome.Subject{On: on}
	}
	return outcome.Subject{Session: s.id, Peer: s.Peer().PublicIdentity, On: on}
}

// Done returns a channel that is closed when the session has ended. The errors of Send and
// Receive then say how.
func (s *Session) Done() <-chan struct{} { return s.flow.Done() }

// Restored reports whether the session began in another process, or in this one before
// another took it over: what the application knew about it there is not here.
func (s *Session) Restored() bool { return s.restored }

// Format prints no secrets, whatever the verb.
func (s *Session) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "e2e.Session(%s, peer %v)", fault.QuoteProtocol(s.local.Protocol), s.Peer())
}
