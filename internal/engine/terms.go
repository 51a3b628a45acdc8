package engine

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/hopseal/hopseal/internal/label"
)

// MaxCredentials is the size of the largest credentials that a client may show beside its
// identity, in bytes.
const MaxCredentials = 4 << 10

// ErrCredentials is returned for credentials of more than [MaxCredentials] bytes.
var ErrCredentials = errors.New("engine: credentials exceed 4096 bytes")

// A Hop says what both ends have found out about the TLS of the connection below.
type Hop byte

// Hops. Their values are on the wire.
const (
	HopUnknown      Hop = iota // one end sees no TLS connection, or does not know its channel binding
	HopUnbroken                // both ends see the same TLS connection
	HopReterminated            // each end sees another one: something in between has the plaintext of both
)

// terms are what a handshake or a resume agrees on beside keys: what the client shows
// beside its identity, for how long the server lets it in, and what both know about the
// connection below.
type terms struct {
	credentials []byte
	binding     []byte // of this end's connection; nil if it is not known
	mark        []byte // the client's, see hopMark
	hop         Hop
	lifetime    time.Duration
}

// Present sets what a client shows the server beside its identity. The driver calls it
// before [Handshake.Accept] in a handshake, and before [Resume.Start] in a resume.
func (t *terms) Present(credentials []byte) error {
	if len(credentials) > MaxCredentials {
		return ErrCredentials
	}
	t.credentials = credentials
	return nil
}

// Credentials returns, at a server that has to decide, what the client has shown. It may
// be empty, and it may be anything: nobody has checked it.
func (t *terms) Credentials() []byte { return t.credentials }

// Bind sets the channel binding of the TLS connection below: 32 bytes, or nothing if there
// is none. The driver calls it before the client's second message.
func (t *terms) Bind(binding []byte) { t.binding = binding }

// Hop returns what is known about the connection below, once a Step has said [Done].
func (t *terms) Hop() Hop { return t.hop }

// Grant sets for how long a server lets the client in. The driver calls it before Accept.
// Zero, the default, means no limit.
func (t *terms) Grant(lifetime time.Duration) { t.lifetime = lifetime }

// Lifetime returns for how long the server lets this client in, once a Step has said
// [Done]. Zero means no limit.
func (t *terms) Lifetime() time.Duration { return t.lifetime }

// hopMark returns a hash of the TLS connection's channel binding, by which two ends find
// out whether they see the same connection. The hash means something in this exchange
// only. It is empty if the binding is not known.
func hopMark(k *schedule, binding []byte) []byte {
	if len(binding) == 0 {
		return nil
	}
	mark := sha256.Sum256(label.SessionHop.With(k.transcript[:], binding))
	return mark[:]
}

// compareHops returns what a server finds out from the client's mark. The transcript must
// be the one with which the client made the mark.
func compareHops(k *schedule, mark, binding []byte) Hop {
	own := hopMark(k, binding)
	switch {
	case len(mark) == 0 || len(own) == 0:
		return HopUnknown
	case subtle.ConstantTimeCompare(mark, own) == 1:
		return HopUnbroken
	}
	return HopReterminated
}

// markFits reports whether a field has a size that a mark can have.
func markFits(mark []byte) bool { return len(mark) == 0 || len(mark) == hashSize }

// A verdict is a server's decision, as m4 and r4 carry it:
//
//	size  meaning
//	1     code: 0 accepted, 1 refused, 2 unavailable; 3 unknown, in r4 only; 4 another protocol, in m4 only; 5 lapsed; 6 stale, in r4 only
//	1     hop: 0 unknown, 1 unbroken, 2 re-terminated
//	4     lifetime: for how many ms the client is let in, 0 for no limit
//
// Hop and lifetime are 0 unless the code is 0.
type verdict struct {
	code     Code
	hop      Hop
	lifetime time.Duration
}

const verdictSize = 1 + 1 + 4

func (v verdict) append(dst []byte) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(v.code), byte(v.hop)), toMillis(v.lifetime))
}

// parseVerdict reads verdictSize bytes, and reports whether they are a verdict with one of
// the codes.
func parseVerdict(b []byte, codes ...Code) (v verdict, ok bool) {
	v = verdict{Code(b[0]), Hop(b[1]), fromMillis(binary.BigEndian.Uint32(b[2:]))}
	return v, slices.Contains(codes, v.code) && v.hop <= HopReterminated &&
		(v.code == codeAccepted || v == verdict{code: v.code})
}

// granted returns the verdict that lets the client in on these terms.
func (t *terms) granted() verdict { return verdict{codeAccepted, t.hop, t.lifetime} }

// acceptVerdict takes a verdict that accepts. It reports false if the server says more
// about the connection than it can know.
func (t *terms) acceptVerdict(v verdict) bool {
	t.hop, t.lifetime, t.credentials = v.hop, v.lifetime, nil
	return v.hop == HopUnknown || len(t.mark) > 0
}

// err returns the error that a verdict gives the client, or nil for any other code.
func (c Code) err() error {
	switch c {
	case CodeRefused:
		return ErrRefused
	case CodeUnavailable:
		return ErrUnavailable
	case CodeUnknown:
		return ErrUnknownSession
	case CodeLapsed:
		return ErrLapsed
	case CodeStale:
		return ErrStale
	}
	return nil
}

// toMillis rounds down, to 1 ms at least, since 0 means no limit. It returns 49 days for
// anything longer: they are as good as more.
func toMillis(d time.Duration) uint32 {
	if d == 0 {
		return 0
	}
	return uint32(min(max(d.Milliseconds(), 1), math.MaxUint32))
}

func fromMillis(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }
