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
// Signing and deciding are left to the driver because both may wait: for a key
// service or WebCrypto, for a database of known peers.
//
// The Link seals messages into frames and opens those of the other end. The
// Session counts what has arrived and how much the ends may still send:
//
//	to send:            frame = link.Seal(now, header, body); ErrBlocked means wait for an Acked
//	the rest of it:     for link.Unfinished() { frame = link.Next(now) }, Control in between
//	from the other end: event, message = link.Open(now, frame)
//	once a message is with the application: session.Consumed(now, its length)
//	at session.Deadline(), and whenever that is past: frame = link.Control(now)
//
// When the connection ends the Session lives on, with what has not arrived. A client
// runs a [Resume] over its next connection, the server another one on a first frame
// in which [ResumeID] finds the session. What is missing is then sent again:
//
//	for frame = link.Next(now); there is one; frame = link.Next(now)
//
// A session outlives its process where the driver stores its state, [Session.AppendState],
// whenever its [Mark] has changed before the next frame is written, and hands it to
// [RestoreSession] later.
//
// From time to time the ends agree on new keys, in records among the others, and on a
// new secret to resume with. A driver has to know of it only in so far as it stores or
// indexes that secret: on the event [Rekeyed] it does so, and then calls [Link.Saved].
//
// After any error from a Handshake or from [Link.Open] the value is dead: its
// keys are dropped and every later call fails. Nothing is sent to the other end.
// Nothing here is safe for concurrent use, but the sealing and the opening half
// of a Link may each be used under a lock of their own, and the methods of a
// Session at any time: what they share is guarded, for moments only.
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
	// whether the other is there. It is below the 30 seconds after which the more
	// impatient proxies forget a connection.
	DefaultKeepAlive = 25 * time.Second

	// DefaultRekeyAfter is how long a client uses keys by default before it begins a
	// rekey, and MinRekeyAfter the least that it may be told to.
	DefaultRekeyAfter = 15 * time.Minute
	MinRekeyAfter     = time.Minute

	// DefaultHandshakeTimeout is how long a handshake may take by default.
	DefaultHandshakeTimeout = 10 * time.Second
)

// A Proof is what the messages of a session carry for third parties.
type Proof byte

// Proofs. Their values are on the wire.
const (
	ProofNone    Proof = iota // nothing: they are authenticated to the ends only
	ProofEd25519              // a signature on each by the sender's primary signing key
)

// Config says who this end is and what it speaks. It is not changed, and may be
// used for any number of handshakes.
type Config struct {
	// Identity is shown to the other end, encrypted. Required. The driver holds
	// its primary signing key.
	Identity *keys.PublicIdentity

	// Protocol names what the application speaks, 1 to [MaxProtocol] bytes. A handshake
	// of two ends with different names ends with a [*SpeechError] at both. Required.
	Protocol string

	// Proof says whether messages are signed. A handshake of two ends that do not agree
	// ends with a [*SpeechError] at both. Signing is up to the driver.
	Proof Proof

	// MaxMessage is the largest message in bytes, sent or received, its header included.
	// 0 means
	// [DefaultMaxMessage].
	MaxMessage int

	// Window is how much of each direction may be under way, as the cost in bytes
	// of messages: the size of their padded plaintext. It bounds what this end has
	// to hold of the other's messages before the application takes them, and of its
	// own before the other end has them, each up to one message more. 0 means
	// [DefaultWindow].
	Window int

	// KeepAlive is how long nothing may have come from the other end before this end
	// asks for an ack; a server waits half as long again, so that usually only the
	// client asks. If then nothing comes for as long once more, the link is dead. 0
	// means [DefaultKeepAlive], a negative value that nobody asks.
	KeepAlive time.Duration

	// RekeyAfter is how old the last ML-KEM exchange may be when a client sends a record;
	// it begins another one then. A server asks for one after a third more. 0 means
	// [DefaultRekeyAfter], a negative value that this end begins none by itself.
	RekeyAfter time.Duration

	// HandshakeTimeout bounds the time from the first call to the last. 0 means
	// [DefaultHandshakeTimeout].
	HandshakeTimeout time.Duration

	// AllowSelf accepts a peer with this end's own fingerprint. Without it such a
	// peer is refused: it would be this end's own messages, reflected.
	AllowSelf bool

	// Known remembers the identities of peers, so that one that was shown before is not
	// verified again. Nil means that each is.
	Known *keys.PublicCache

	// Stored is for a session whose states are stored before its frames are written. What
	// this end acknowledges is then what the application has taken, not what has arrived:
	// the rest would be lost with the process. Messages are sealed with [Session.Queue]
	// and [Link.Next].
	Stored bool

	random random // replaced by tests that need the same handshake twice
}

// withDefaults returns c with its zero values filled in, or what is wrong with it.
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

// parse returns the public identity that the bytes are, verified now or before.
func (c Config) parse(identity []byte) (*keys.PublicIdentity, error) {
	if c.Known != nil {
		return c.Known.Parse(identity)
	}
	return keys.ParsePublic(identity)
}
