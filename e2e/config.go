package e2e

import (
	"context"
	"time"

	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/slog"
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
	// Identity is who this end is. Only the other end sees it: it travels encrypted, and
	// a client shows it only after its Verifier has accepted the server. Required.
	Identity *keys.Identity

	// Verifier decides whether the other end is the one that was meant. It has until the
	// handshake's deadline, or until the context given to Recheck ends: nobody waits
	// longer, and no answer is not a yes. A call of Verifier, Authenticate or Credentials
	// that goes on all the same keeps a goroutine and a turn. A [Server] has
	// [ServerConfig].MaxHandshakes turns, a client 256.
	//
	// If the Verifier is a [trust.ChangeNotifier], each change that it tells of has it
	// asked again about every open session, within a second. A no ends the session, as
	// with [Session.Recheck]. If there is no answer the session goes on, and the Verifier
	// is asked again.
	//
	// Required, and there is no default: see [trust.Pinned] and [trust.KnownPeers].
	Verifier trust.Verifier

	// Protocol names what the application speaks, with its version, such as
	// "billing/2": 1 to 255 bytes. Ends with different names cannot talk, and each learns
	// the other's: see [ProtocolError]. A server tells its own to whoever dials it. A
	// client tells it only to a server that its Verifier has accepted. Required.
	Protocol string

	Options

	// Credentials returns what the client shows the server beside its identity: a token, a
	// ticket, whatever the two applications have agreed on, at most [MaxCredentials]
	// bytes. Only the server sees it: it travels inside the encryption. Nil shows nothing.
	//
	// The client calls Credentials for each connection, within the handshake's deadline,
	// once the Verifier has accepted the server. It also calls it before the server lets
	// expire what was shown. It does so at most once a second, except that some of the
	// connections that replace each other follow at once.
	Credentials func(ctx context.Context) ([]byte, error)

	// PeerFingerprint tells the Verifier which root the other end must have. A client
	// that dials one of several pinned servers sets it, so that one cannot answer for
	// another. Zero leaves it to the Verifier.
	PeerFingerprint keys.Fingerprint

	// Dial has the options of the connection below. Nil means the zero value. Sealed is
	// always set.
	Dial *transport.DialOptions

	// Retry says how a client comes back when its connection is lost. The zero value
	// tries for as long as the session may live, see [ActionFor]: KeepTrying is always set.
	// The client calls Refresh after a 401 or a close code 3000, and gives it a minute. If
	// there is no Refresh, or it fails, the client goes on with the credential that it has.
	// The first dial is made once, whatever Retry says.
	//
	// A Stable of zero means two seconds: once a connection was secure for so long, the
	// client forgets the tries and waits before it. A shorter connection counts like a dial
	// that failed, so a server that lets a client come back and cuts it at once is dialled
	// no more often than one that is down. A MaxRetryAfter of zero means
	// a minute: set a shorter one if the server's ParkTimeout is a few minutes or less.
	//
	// The caller's limits and Decide hold: MaxTries, MaxTime and [redial.Stop] end the
	// session. Decide gets a [*DisconnectError] for a connection that was lost. For an
	// attempt that failed it gets the error that Dial would return, for errors.As. A Decide
	// that always stops makes a session end with its connection. A Decide that calls
	// [redial.ActionFor] instead of this package's ActionFor lets any hop end the session.
	Retry redial.Policy

	// StoreName names a client's session in the Store. Dial requires it with a Store. If a
	// session is stored under the name, Dial goes on with it. It tries for as long as its
	// context lasts, whatever it meets on the way. If it fails the error is a [*CloseError]:
	//
	//   - If the session is over the error has its gap, and the next Dial begins another session.
	//   - Otherwise the error is Stored and has the last failure, and the next Dial finds the
	//     session as it was.
	//
	// If two processes use one name the later one takes the session over. In the other
	// process the session ends with [sessionstore.ErrFenced].
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

	// Authenticate decides, after the Verifier, what a client may do. The credentials may
	// be empty, and nobody has checked them. In a session that goes on, Peer.Claims has
	// what was granted before. The server calls Authenticate for each connection of a
	// session, and when the client shows other credentials in between. Authenticate must
	// return when its context ends, and must not keep credentials. Nil accepts every
	// client that the Verifier accepts.
	//
	// An error that matches [ErrCredentials], [transport.ErrUnauthorized],
	// [transport.ErrForbidden] or a [*trust.Error] refuses the client, and ends its session
	// if there is one. [ErrCredentialsExpired] ends no session. After any other error the
	// client is told to try again later.
	Authenticate func(ctx context.Context, peer Peer, credentials []byte) (Grant, error)

	// Accept has the options of the connection below, in ServeHTTP. Nil means the zero
	// value. Sealed is always set.
	Accept *transport.AcceptOptions

	// MaxSessions is how many sessions a server holds at once, and MaxSessionsPerIdentity
	// how many with one identity, so that one client cannot have them all. Sessions that
	// wait for their clients count too. Further clients are told to try again later. If many
	// clients share an identity, set both alike. Zero means 10,000 and 1,000.
	MaxSessions            int
	MaxSessionsPerIdentity int

	// MaxParked is how many of its sessions a server lets wait for clients that have lost
	// their connections. One identity may have the same share of them as
	// MaxSessionsPerIdentity is of MaxSessions. When there are too many, the session that
	// has waited longest ends: among those of one identity if that has too many. Zero
	// means MaxSessions, because all sessions wait when a proxy before the server fails. A
	// negative MaxParked means that sessions end with their connections.
	MaxParked int

	// ParkTimeout is how long a server lets a session wait. Zero means ten minutes.
	ParkTimeout time.Duration

	// MaxHandshakes is how many handshakes with strangers, clients that ask for a new
	// session, a server has under way at once. MaxHandshakesPerAddress is how many of them
	// one address may have (for IPv6, one /64). Zero means 256 and 64.
	//
	// Others wait for a slot, up to half of HandshakeTimeout. A stranger who is silent in
	// his turn for longer than those who make progress loses his slot, so peers who stall
	// cannot lock out those who do not. If a flood comes from an address, its honest clients
	// get in as often as their share of it allows. As many connections again may have said
	// nothing yet. There is also room for every client that the server waits for: these
	// come back before strangers get in, however many they are, even behind one address.
	// The server computes first for the handshakes that are furthest.
	//
	// A client that finds no room is told when to come back, by a Retry-After or a close with
	// [transport.CodeTryLater]. Its error is a [HandshakeError] with ReasonUnavailable, or a
	// [transport.DialError], and a session that comes back waits for as long as it says.
	//
	// With a Store, each first frame that asks for a session that does not exist costs a
	// look-up. If 16 such frames a second come from an address, the server slows the address
	// down to five times MaxHandshakesPerAddress a second. Clients of that address that come
	// back to sessions wait with them for their turns.
	MaxHandshakes           int
	MaxHandshakesPerAddress int
}

// Options are what a [Config] and a [ServerConfig] may both set. The zero value works.
type Options struct {
	// Proof says whether each message is signed, for third parties. Both ends must say
	// the same: otherwise they cannot talk, as with [Config.Protocol]. Zero means [ProofNone].
	Proof Proof

	// AllowSelf accepts a peer that shows this end's own identity. False refuses
	// it, because a hop that reflects messages would look like that.
	AllowSelf bool

	// Known remembers identities of peers whose root has been verified, so that peers who
	// come again cost less. They still have to prove themselves, and the Verifier is still
	// asked. See [keys.PublicCache], also for who can learn something from it. Nil
	// remembers nobody.
	Known *keys.PublicCache

	// MaxMessage is the largest message in bytes, sent or received, at most 256 MiB. Both
	// ends should agree on it. Zero means 1 MiB. The frames on the connection are smaller:
	// [MaxFrame] replaces MaxMessage in [Config.Dial] and [ServerConfig.Accept].
	MaxMessage int

	// Window bounds what a session holds, in bytes. It bounds each of the following by
	// itself, and each may exceed it by one message:
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
	// Small messages count 64 bytes. They may take twice as much memory, and no peer can
	// make it more, whatever it sends. Calls wait at this end while more than Window is
	// unanswered, so the other end should have a Window no smaller. Window is 64 KiB to 1
	// GiB. A link carries at most Window for each round trip, one stream half of that. Zero
	// means 1 MiB.
	Window int

	// MaxCalls is how many Calls of a session may wait for their answers at a time. Zero
	// means 64.
	MaxCalls int

	// Refused is told which messages the other end has refused, if no Call waits for them.
	// A goroutine of its own calls it, in order. If it is slow, later ones are left out.
	// Nil tells Logger.
	Refused func(*Session, *RefusedError)

	// KeepAlive is how long the other end may be silent before this one asks it, inside the
	// encryption, whether it is there. If it stays silent for as long again, this end gives
	// up the connection. A server waits half as long again. Zero means 25 seconds. A
	// negative value means that nobody asks. In a browser asking is the only way to find
	// out, and anywhere it is the only one that reaches beyond the next hop.
	//
	// A slow line is not silent while 64 KiB of a message arrive in less than twice
	// KeepAlive: by default that takes 11 kbit/s. On a slower line a connection is lost
	// once, and then 4 KiB have to arrive in that time.
	KeepAlive time.Duration

	// HandshakeTimeout bounds the handshake, from an open connection to a usable
	// session. Zero means 10 seconds.
	HandshakeTimeout time.Duration

	// SendTimeout is how long a message may wait for the other end to make room for it,
	// while none of the messages before it arrives. It is also how long each 64 KiB of a
	// message may wait for the connection. If messages are signed, it is also how long the
	// Signer may take for one. A peer that takes nothing for so long is cut. Zero means one
	// minute.
	SendTimeout time.Duration

	// IdleTimeout is how long a session, connected or not, may go without a message of the
	// applications, and without a part of one that is known to have arrived. What the
	// session itself sends does not count. Zero means no such limit.
	IdleTimeout time.Duration

	// MaxAge is how long a session may live, at most 24 hours: then its ends have to
	// prove anew who they are. Zero means 24 hours. A clock that nobody sets measures this
	// and the other limits. On most systems it stands still while the machine sleeps, so a
	// client that wakes may find that the server's limits have passed.
	MaxAge time.Duration

	// Store keeps sessions so that they outlive this process. They go on after a restart,
	// and behind a load balancer on whatever node a client reaches. This end stores each
	// message before it sends it, and acknowledges only what the application has taken, see
	// [Session.Receive]. So nothing is lost with a process. A message that the application
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
	// keys. Required with a Store. A key that was replaced must stay in the keyset for as
	// long as sessions live.
	StoreKeys *keys.SharedKeyset

	// Notify is told what becomes of a session. A goroutine of its own calls it, in order.
	// If it is slow, the oldest of more than 16 waiting events are left out. Nil means that
	// nobody is told.
	Notify func(Event)

	// Logger records what becomes of sessions, in the order of Notify's events, and which
	// handshakes with a server fail. Nil means [slog.Default]. For silence give
	// slog.New(slog.DiscardHandler). No line holds a message, a key, a credential or the
	// name of an identity. What others have chosen is escaped.
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
	// Others can make handshakes fail, and messages be refused, at will. So for each reason
	// there is at most one line a minute, about the latest. A line has those of these
	// attributes that apply:
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
	// When a session closes the line also has its [Stats] as messages_sent,
	// messages_received, bytes_sent, bytes_received, messages_refused,
	// messages_turned_down, unacked, resent, resumes and rekeys. A session ends for one of
	// these reasons:
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
	// The connection of a session that goes on is lost for the same reasons.
	// ServerStats.Greeted lists the reasons of handshakes.
	Logger *slog.Logger
}
