// Package engine is Hopseal's session protocol without I/O: the handshake that
// makes two ends sure of each other, and the records that follow it. The wire
// format is specified in docs/protocol-session.md.
//
// The engine takes frames, decisions, signatures and the time in; it gives frames,
// messages and the next thing to do out. It starts no goroutine, reads no clock
// and never blocks, so the same code runs under a Go socket, in a browser where
// JavaScript owns the socket, and in a test that has neither.
//
// A driver runs a [Handshake] by doing what each [Step] says until it says
// [Done], and then has a [Session] with its first [Link]:
//
//	for step.Next != Done {
//		write step.Frame, if there is one
//		Read:   step = h.Receive(now, next frame from the other end)
//		Sign:   step = h.Signed(now, signature of h.ToSign())
//		Decide: step = h.Accept(now), or h.Refuse(code), about h.Peer()
//	}
//
// The driver signs and decides, because both may wait: for a key service or
// WebCrypto, for a database of known peers.
//
// The Link seals this end's messages into frames and opens the frames of the other
// end. The Session counts what has arrived and how much each end may still send:
//
//	to send:            frame = link.Seal(now, header, body); ErrBlocked means wait for an Acked
//	the rest of it:     for link.Unfinished() { frame = link.Next(now) }, Control in between
//	from the other end: event, message = link.Open(now, frame)
//	once a message is with the application: session.Consumed(now, its length)
//	at session.Deadline(), and whenever that is past: frame = link.Control(now)
//
// When the connection ends, the Session lives on and keeps what has not arrived. The
// client runs a [Resume] over its next connection. The server runs one when
// [ResumeID] finds a session in a first frame. Then both ends send again what is missing:
//
//	for frame = link.Next(now); there is one; frame = link.Next(now)
//
// A session can outlive its process. The driver stores [Session.AppendState] before it
// writes a frame, whenever the [Mark] has changed, and later gives the state to
// [RestoreSession].
//
// From time to time the ends agree on new keys and on a new resume secret, in records
// among the others. Only a driver that stores or indexes that secret has work to do: on
// the event [Rekeyed] it stores the secret. Every driver then calls [Link.Saved].
//
// An error from a Handshake or from [Link.Open] ends that value: its keys are dropped
// and every later call fails. Nothing is sent to the other end.
//
// A Session may be used by several goroutines: its lock is held for moments only.
// Nothing else here is safe for concurrent use, but one goroutine may seal on a Link
// while another opens.
package engine

import (
	"errors"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// Limits and defaults.
const (
	// MaxProtocol is the longest name of an application protocol, in bytes.
	MaxProtocol = 255

	// MaxMessageLimit is the largest value of Config.MaxMessage, in bytes: 256 MiB and
	// a header. Both ends hold a message whole.
	MaxMessageLimit = 1<<28 + MaxHeader

	// DefaultMaxMessage is the largest message of a session by default, in bytes.
	DefaultMaxMessage = 1 << 20

	// DefaultKeepAlive is how long a link may be silent by default before an end asks
	// whether the other is there. Impatient proxies forget a connection after 30 seconds;
	// this is less.
	DefaultKeepAlive = 25 * time.Second

	// DefaultRekeyAfter is how long a client uses its keys by default before it begins a
	// rekey. MinRekeyAfter is the smallest value of Config.RekeyAfter.
	DefaultRekeyAfter = 15 * time.Minute
	MinRekeyAfter     = time.Minute

	// DefaultHandshakeTimeout is how long a handshake may take by default.
	DefaultHandshakeTimeout = 10 * time.Second
)

// A Proof says what each message of a session carries to convince third parties.
type Proof byte

// Proofs. Their values are on the wire.
const (
	ProofNone    Proof = iota // nothing: only the two ends know that a message is authentic
	ProofEd25519              // a signature by the sender's primary signing key
)

// Config says who this end is and what it speaks. The engine does not change it, so one
// Config serves any number of handshakes.
type Config struct {
	// Identity is shown to the other end, encrypted. Required. The driver holds
	// its primary signing key.
	Identity *keys.PublicIdentity

	// Protocol names what the application speaks, in 1 to [MaxProtocol] bytes. If the two
	// ends name different protocols, both get a [*SpeechError] from the handshake. Required.
	Protocol string

	// Proof says whether messages are signed. If the two ends do not agree, both get a
	// [*SpeechError] from the handshake. The driver does the signing.
	Proof Proof

	// MaxMessage is the size in bytes of the largest message, sent or received, with its
	// header. 0 means [DefaultMaxMessage].
	MaxMessage int

	// Window bounds what may be under way in each direction, in bytes of cost; a message
	// costs the size of its padded plaintext. This end holds up to a window, and one
	// message more, of the other's messages until the application takes them, and as much
	// of its own until the other end has them. 0 means [DefaultWindow].
	Window int

	// KeepAlive is how long the other end may be silent before this end asks it for an
	// ack. A server waits half as long again, so that usually only the client asks. The
	// link is dead if the silence then lasts as long once more. 0 means
	// [DefaultKeepAlive]; with a negative value this end never asks.
	KeepAlive time.Duration

	// RekeyAfter is the age of the last ML-KEM exchange from which on a client begins
	// another one, as soon as it sends a record. A server asks for one after a third
	// more. 0 means [DefaultRekeyAfter]; with a negative value this end begins none.
	RekeyAfter time.Duration

	// HandshakeTimeout bounds the time from the first call to the last. 0 means
	// [DefaultHandshakeTimeout].
	HandshakeTimeout time.Duration

	// AllowSelf accepts a peer with this end's own fingerprint. Without it such a peer is
	// refused, since somebody may be reflecting this end's own messages.
	AllowSelf bool

	// Known remembers the identities that peers have shown, so that none is verified
	// twice. If it is nil, each is verified every time.
	Known *keys.PublicCache

	// Stored says that the driver stores the session's state before it writes frames.
	// Then this end acknowledges a message when the application has taken it, not when it
	// has arrived: what nobody has taken would be lost with the process. Such a driver
	// sends with [Session.Queue] and [Link.Next].
	Stored bool

	random random // replaced by tests that need the same handshake twice
}

// withDefaults returns c with defaults for its zero values, or an error that says what is
// wrong with it.
func (c Config) withDefaults() (Config, error) {
	if c.MaxMessage == 0 {
		c.MaxMessage = DefaultMaxMessage
	}
	if c.Window == 0 {
		c.Window = DefaultWindow
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = DefaultKeepAlive
	}
	if c.RekeyAfter == 0 {
		c.RekeyAfter = DefaultRekeyAfter
	}
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = DefaultHandshakeTimeout
	}
	switch {
	case c.Identity == nil:
		return c, errors.New("engine: no identity given")
	case len(c.Protocol) == 0 || len(c.Protocol) > MaxProtocol:
		return c, errors.New("engine: the protocol name must have 1 to 255 bytes")
	case c.Proof > ProofEd25519:
		return c, errors.New("engine: Proof is unknown")
	case c.MaxMessage < 1 || c.MaxMessage > MaxMessageLimit:
		return c, errors.New("engine: MaxMessage is out of range")
	case c.Window < MinWindow || c.Window > MaxWindow:
		return c, errors.New("engine: Window is out of range")
	case c.RekeyAfter > 0 && c.RekeyAfter < MinRekeyAfter:
		return c, errors.New("engine: RekeyAfter is too short")
	case c.HandshakeTimeout < 0:
		return c, errors.New("engine: HandshakeTimeout is negative")
	}
	return c, nil
}

// parse reads and verifies a public identity, unless Known has verified it before.
func (c Config) parse(identity []byte) (*keys.PublicIdentity, error) {
	if c.Known != nil {
		return c.Known.Parse(identity)
	}
	return keys.ParsePublic(identity)
}
