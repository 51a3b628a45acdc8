package e2e

import (
	"context"
	"log/slog"
	"time"

	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// Config says who a client is, which server it means, and how it comes back: for [Dial],
// [DialFunc] and [Connect]. Identity, Verifier and Protocol are required; everything else
// has a default. A Config may be used again, at the same time too.
//
// What a server may set as well is in [Options]:
//
//	e2e.Config{Identity: me, Verifier: v, Protocol: "billing/2", Options: e2e.Options{Logger: log}}
type Config struct {
	// Identity is who this end is. It is shown to the other end only, encrypted,
	// and by a client only after its Verifier has accepted the server. Required.
	Identity *keys.Identity

	// Verifier decides whether the other end is the one that was meant. It runs
	// within the handshake's deadline, or that of whoever calls Recheck: nobody waits for
	// it any longer, and no answer is not a yes. A call of it, of Authenticate or of
	// Credentials that goes on all the same keeps a goroutine, and one of
	// so many turns: a [Server] has [ServerConfig].MaxHandshakes of them, a client 256. Where it is a
	// [trust.ChangeNotifier] it is asked again about every open session within a second of
	// each change that it tells of, and a no ends the session, as [Session.Recheck] does;
	// where it has no answer the session goes on, and it is asked again. Required, and
	// there is no default: see [trust.Pinned] and [trust.KnownPeers].
	Verifier trust.Verifier

	// Protocol names what the application speaks, with its version, such as
	// "billing/2": 1 to 255 bytes. Ends with different names cannot talk, and each is
	// told the other's: see [ProtocolError]. A server tells its own to whoever dials it, a
	// client only to a server that its Verifier has accepted. Required.
	Protocol string

	Options

	// Credentials returns what the client shows the server beside its identity: a token, a
	// ticket, whatever the two applications have agreed on, at most [MaxCredentials]
	// bytes. It is called anew for each connection, within the handshake's deadline, once
	// the Verifier has accepted the server, and ahead of the time at which the server
	// lets what was shown expire. It is called once a second at most, but for connections
	// that replace each other: of those some follow at once. They travel inside the
	// encryption, and nobody but the server sees them. Nil shows nothing.
	Credentials func(ctx context.Context) ([]byte, error)

	// PeerFingerprint is handed to the Verifier as the root that the other end
	// must have. A client that dials one of several pinned servers sets it, so
	// that one cannot answer for another. Zero leaves it to the Verifier.
	PeerFingerprint keys.Fingerprint

	// Dial is for the connection below. Nil means its zero value. What crosses it is
	// Sealed in any case.
	Dial *transport.DialOptions

	// Retry says how a client comes back when its connection is lost. Its zero value
	// tries for as long as the session may live, see [ActionFor]: KeepTrying is always set.
	// Refresh is asked after a 401 or a close code 3000, and has a minute; where there is
	// none, or it fails, the client goes on with the credential that it has.
	//
	// A Stable of zero means [DefaultStable]: a connection that was secure for so long makes
	// the tries and waits before it forgotten. One that was not counts like a dial that
	// failed, so that a server which lets a client come back and cuts it at once is asked
	// no more often than one that is down. A MaxRetryAfter of zero means
	// [DefaultMaxRetryAfter]: set a shorter one where the server has a ParkTimeout of a few
	// minutes or less.
	//
	// Limits, and a Decide, are the caller's word, and hold: MaxTries, MaxTime and
	// [redial.Stop] end the session. Decide is given a [*DisconnectError] for a
	// connection that was lost, and for an attempt that failed what Dial returns, for
	// errors.As to look into. One that always stops makes a session end with its connection.
	// One that calls [redial.ActionFor], and not ActionFor of this package, lets any hop
	// end the session. The first dial is made once, whatever Retry says.
	Retry redial.Policy

	// StoreName names a client's session in the Store. Required with a Store in Dial. If a
	// session is stored under the name Dial goes on with it, and tries for as long as its
	// context lasts, whatever it meets on the way. If that fails the error is a [*CloseError]:
	//
	//   - The session is over: the error has its gap, and the next Dial begins another session.
	//   - Otherwise the error is Stored and has the last failure, and the next Dial finds the
	//     session as it was.
	//
	// If two processes use one name the later one takes the session over, and it ends at the
	// other one with [sessionstore.ErrFenced].
	StoreName string
}

// ServerConfig says who a server is, whom it serves, and how many at once: for [NewServer],
// netconn.Listen and [Accept]. Identity, Verifier and Protocol are required; everything else
// has a default. A ServerConfig may be used again, at the same time too.
//
// What a client may set as well is in [Options]:
//
//	e2e.ServerConfig{Identity: me, Verifier: v, Protocol: "billing/2", Options: e2e.Options{Logger: log}}
type ServerConfig struct {
	// Identity, Verifier and Protocol are those of [Config], at the other end. Required.
	Identity *keys.Identity
	Verifier trust.Verifier
	Protocol string

	Options

	// Authenticate decides, after the Verifier, what a client may do by
	// its credentials, of which nothing is known, and which may be empty. Peer.Claims is
	// what was granted before, in a session that goes on. It is called for each
	// connection of a session, and when the client shows others in between. An error that
	// matches [ErrCredentials], [transport.ErrUnauthorized], [transport.ErrForbidden] or a
	// [*trust.Error] refuses the client, and ends a session that there is, but for
	// [ErrCredentialsExpired]; after any other the client is told to try again later. It has
	// to return when its context ends, and must not keep credentials. Nil accepts every
	// client that the Verifier accepts.
	Authenticate func(ctx context.Context, peer Peer, credentials []byte) (Grant, error)

	// Accept is for the connection below, in ServeHTTP. Nil means its zero value. What
	// crosses it is Sealed in any case.
	Accept *transport.AcceptOptions

	// MaxSessions is how many sessions a server holds at once, and MaxSessionsPerIdentity
	// how many with one identity, so that one client cannot have them all. Those that wait
	// for their clients count too. Further clients are told to try again later. Where many
	// clients share an identity, set both alike. Zero means 10,000 and 1,000.
	MaxSessions            int
	MaxSessionsPerIdentity int

	// MaxParked is how many of its sessions a server lets wait for a client that has lost
	// its connection. Of one identity there may be as large a share of them as
	// MaxSessionsPerIdentity is of MaxSessions. Beyond that the one ends that has waited
	// longest, of the same identity where that has too many. Zero means MaxSessions: when
	// what stands before a server fails, all of its sessions wait. A negative MaxParked
	// means that sessions end with their connections.
	MaxParked int

	// ParkTimeout is how long a server lets a session wait. Zero means
	// ten minutes.
	ParkTimeout time.Duration

	// MaxHandshakes is how many handshakes with strangers, who ask for a session, a server has
	// under way at once, and MaxHandshakesPerAddress how many for one address (for IPv6, one
	// /64). Others wait for a place, up to half of HandshakeTimeout. A place is taken from a
	// stranger who is silent while it is his turn, for longer than those who get on, so that
	// peers who stall cannot lock out those who do not. Honest clients of an address from which a
	// flood comes get in as often as their share of it allows. There is room for as many connections
	// again that have said nothing yet, and for every client whom the server waits for: those
	// come back before strangers get in, however many they are and also behind one address.
	// What is furthest is computed first.
	//
	// Whoever finds no room is told when to come back, by a Retry-After or a close with
	// [transport.CodeTryLater]. Its error is a [HandshakeError] with ReasonUnavailable, or a
	// [transport.DialError], and a session that comes back keeps to it. Zero means
	// 256 and 64.
	//
	// With a Store, first frames that ask for sessions which there are not cost a look-up
	// each. An address from which 16 of them come in a second is slowed down, to five times
	// MaxHandshakesPerAddress of these a second; clients that come back to sessions wait with
	// them for their turns.
	MaxHandshakes           int
	MaxHandshakesPerAddress int
}

// Options are what a [Config] and a [ServerConfig] may both set. The zero value works.
type Options struct {
	// Proof says whether each message is signed, for third parties. Both ends must say
	// the same: otherwise they cannot talk, as with [Config.Protocol]. Zero means [ProofNone].
	Proof Proof

	// AllowSelf accepts a peer that shows this end's own identity. Zero refuses
	// it, because a hop that reflects messages would look like that.
	AllowSelf bool

	// Known remembers identities of peers whose root has been verified, so that those who
	// come again cost less: see [keys.PublicCache], also for whom that tells something.
	// Their proofs of the moment, and the Verifier, are not spared. Nil remembers nobody.
	Known *keys.PublicCache

	// MaxMessage is the largest message in bytes, sent or received, at most 256
	// MiB. Both ends should agree on it. Zero means 1 MiB. What
	// crosses the connection is smaller, see [MaxFrame], which replaces MaxMessage in
	// [Config.Dial] and [ServerConfig.Accept].
	MaxMessage int

	// Window bounds what a session holds, in bytes, each of the following for itself and
	// each up to one message more:
	//
	//	messages   that the other end has sent and the application has not received
	//	requests   of the other end's, until their answers are on their way; what comes
	//	           beyond is refused with RefusedBusy
	//	answers    of Handlers that wait to be sent: beyond, no request is begun, see
	//	           ServeOptions.Concurrent
	//	streams    that the application has not read, and 16 KiB more of each
	//	own        messages, until they have arrived; and as much of calls, answers and
	//	           refusals
	//
	// Small messages count 64 bytes. Memory for that may be twice as large, and a peer that
	// sends as it likes cannot make it more. Calls wait at this end while more than Window
	// is unanswered, so the other end should have a Window no smaller. It is 64 KiB to 1
	// GiB; the throughput of a link is at most Window for each round trip, that of one
	// stream half of it. Zero means 1 MiB.
	Window int

	// MaxCalls is how many Calls of a session may wait for their answers at a time. Zero
	// means 64.
	MaxCalls int

	// Refused is told which messages the other end has refused that no Call waits for, in
	// order, from a goroutine of its own. Where it is slow, later ones are left out. Nil
	// tells Logger.
	Refused func(*Session, *RefusedError)

	// KeepAlive is how long nothing may come from the other end before it is asked, inside
	// the encryption, whether it is there. Where nothing comes for as long once more
	// the connection is given up. It is the only way to find out in a browser, and the only one
	// anywhere that reaches beyond the next hop. A server waits half as long again.
	// A slow line is no silence while 64 KiB of a message arrive in less than twice
	// KeepAlive, which by default takes 11 kbit/s; on slower ones a connection is lost
	// once, and then 4 KiB have to.
	// Zero means 25 seconds, a negative value that nobody asks.
	KeepAlive time.Duration

	// HandshakeTimeout bounds the handshake, from an open connection to a usable
	// session. Zero means 10 seconds.
	HandshakeTimeout time.Duration

	// SendTimeout is how long a message may wait for the other end to make room for
	// it, while nothing of those before it arrives, and each 64 KiB of it for the connection. It is
	// also how long the Signer may take for one, where messages are signed. A peer that takes nothing for so
	// long is cut. Zero means one minute.
	SendTimeout time.Duration

	// IdleTimeout is how long a session may be without a message of the applications,
	// connected or not, and without a part of one that is known to have arrived. What
	// the session itself sends does not count. Zero means that
	// there is no such limit.
	IdleTimeout time.Duration

	// MaxAge is how long a session may live, at most 24 hours: then its ends have to
	// prove anew who they are. Zero means 24 hours. This and the other limits are
	// measured by a clock that nobody sets. On most systems it stands still while the machine
	// sleeps, so a client that wakes may find that the server's limits have passed.
	MaxAge time.Duration

	// Store keeps sessions so that they outlive this process: they go on after a restart,
	// and behind a load balancer on whatever node a client reaches. This end stores what it
	// sends before it sends it, and acknowledges only what the application has taken, see
	// [Session.Receive]. So nothing is lost with a process, and a message that the application
	// was busy with comes again, under its number.
	//
	// A server's function runs again for a session that another process has begun, with
	// [Session.Restored]. For a client see [Config.StoreName]. [Connect] and [Accept] store nothing.
	// While the store does not work, sessions wait. After SendTimeout they end at this end, with
	// [sessionstore.ErrUnavailable].
	//
	// Nil means that sessions end with the process, and that Send never waits for a disk.
	Store sessionstore.Store

	// StoreKeys encrypt what is in the Store. All processes that share a Store need the same
	// keys. Required with a Store. After a key was replaced it has to stay for as long as
	// sessions live.
	StoreKeys *keys.SharedKeyset

	// Notify is told what becomes of a session, in order, from a goroutine of its own.
	// Where it is slow, the oldest of more than 16 waiting events are left out. Nil
	// means that nobody is told.
	Notify func(Event)

	// Logger is told what becomes of sessions, in the order of Notify's events, and of
	// the handshakes with a server that fail. Nil means [slog.Default]; who wants silence
	// gives slog.New(slog.DiscardHandler). No line holds a message, a key, a credential or
	// the name of an identity, and what others have chosen is escaped.
	//
	//	level  message                              when
	//	debug  session connecting, handshaking      a client dials; it has a connection
	//	info   session secure, reconnecting, closed
	//	warn   session reconnecting, closed         for a reason that no honest end and no bad network gives
	//	warn   handshake failed                     a client got no session; info where networks and restarts do that
	//	warn   the function of a session failed     it has returned an error of its own
	//	warn   stored session dropped               it is of no use to this process: with another Protocol, or other StoreKeys
	//	warn   peers not rechecked                  the Verifier had no answer about so many; they are asked about again
	//	warn   message refused                      by a Handler without OnError; error if it panicked
	//	warn   message refused by the other end     no Call waits for it, and Refused is nil
	//	error  the function of a session panicked   also where Notify, Refused, or the Verifier in a handshake, did
	//
	// Others can make handshakes fail, and messages be refused, at will: for each reason
	// there is one line a minute at most, about the latest. The attributes are, where
	// there is one,
	//
	//	session  names the session at both ends, see Info.ID
	//	peer     fingerprint of the other end's identity
	//	remote   address of the client, or of the next hop
	//	state    as in an Event
	//	reason   why, in one word
	//	check    for not_authentic: which check failed
	//	error    the same in words; stack, for a panic
	//	count    handshakes that failed, or messages refused, for this reason since the last such line; peers not rechecked
	//	type     of a message that was refused; message, its number
	//	missed   lines about this session that were left out, because Notify was slow
	//
	// and, when a session is closed, its [Stats] as messages_sent, messages_received,
	// bytes_sent, bytes_received, messages_refused, messages_turned_down, unacked, resent, resumes and
	// rekeys. The reasons for which a
	// session ends are
	//
	//	closed, peer_closed  an end had no more to say
	//	going_away           an end shuts down, or the context given to ServeConn ended
	//	incomplete           an end closed, and not everything that it had accepted is known to have arrived
	//	failed               the function returned an error, or something at this end failed
	//	expired              see ErrExpired
	//	lost                 the connection was lost, for good
	//	tampered             see ErrTampered
	//	misbehaved           see ErrMisbehaved
	//	silent               see ErrSilent
	//	stalled              see ErrStalled
	//	crowded              see ErrCrowded
	//	untrusted            the other end is not trusted any more
	//	unauthorized         the client's credentials are not accepted any more, or have expired
	//	refused              the other end does not accept this one any more
	//	abandoned            a context of this end ended, or Dial gave up on a session that stays stored
	//	rolled_back          an end has gone back to what the session was before
	//	fenced               see sessionstore.ErrFenced
	//	store                see sessionstore.ErrUnavailable
	//
	// A connection of a session that goes on is lost for the same reasons. Those of
	// handshakes are listed at ServerStats.Greeted.
	Logger *slog.Logger
}
