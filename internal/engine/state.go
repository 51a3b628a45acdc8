package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// A state is a session without its link, for a store that outlives the process:
//
//	type     meaning
//	array    of 20 values
//	uint     1, the version
//	uint     1 at a client, 0 at a server
//	bin, 32  the session's id
//	str      the application protocol, 1 to 255 bytes
//	uint     1 if messages are signed, else 0
//	uint     when the session began, ms since 1970
//	uint     when the last ML-KEM exchange was, likewise
//	bin      the other end's public identity
//	bin, 32  the resume secret R
//	uint     attempts to resume made with it, or the highest one committed
//	bin      R', 32 bytes: the next resume secret of a server that does not know yet whether
//	         the client has it; else empty
//	uint     the number of a message; the application has taken all through it
//	uint     the cost of all through that one
//	uint     credit that the other end was given
//	uint     the number of the last message that the other end has acknowledged
//	uint     the cost of all messages through that one
//	uint     credit that the other end has given
//	array    the numbers of requests that were acknowledged and not answered, ascending, each a uint
//	uint     the number of the first message that follows, if one does. Those between the last
//	         acknowledged one and this are stored apart, see [Session.StoredApart]
//	array    the messages from there on, in their order, each a bin
//
// It has no key of a link. Whoever goes on from a state makes a new link with fresh key
// shares, so two copies of one state never use the same key (A20).
const (
	stateVersion = 1
	stateFields  = 20
)

// maxCost bounds the costs and numbers in a state, so that no sum of them can overflow. A
// session that moves a gigabyte a second reaches it in 36 years.
const maxCost = 1 << 60

// ErrState is returned for bytes that are not the state of a session, and for the state of
// a session that this Config does not fit.
var ErrState = errors.New("engine: not the state of a session")

// A Mark changes whenever the state must be stored before the next frame is written: when
// messages were sent or taken, when credit was given, or when a secret was replaced. Its only
// use is to be compared.
type Mark struct {
	last, ackSent, granted uint64
	secret, next           [secretSize]byte
	attempts               uint64
}

// Format prints no secrets, whatever the verb (A42).
func (m Mark) Format(f fmt.State, _ rune) { fmt.Fprint(f, "engine.Mark(redacted)") }

// Mark returns the session's current Mark. It covers all that earlier frames tell the other
// end, so these frames may be written once a state with this Mark is stored.
func (s *Session) Mark() Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mark()
}

func (s *Session) mark() Mark {
	m := Mark{last: s.out.last, ackSent: s.in.ackSent, granted: s.in.granted}
	if s.secret != nil {
		m.secret, m.attempts = s.secret.value, s.secret.attempts
	}
	if s.next != nil {
		m.next = s.next.value
	}
	return m
}

// AppendState appends the session's current state and returns its Mark. The state is secret.
// Its times are by the wall clock as it shows now, which may have been set since they passed.
// The error is [ErrClosed] for a session that was forgotten.
func (s *Session) AppendState(now time.Time, dst []byte) ([]byte, Mark, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret == nil {
		return dst, Mark{}, ErrClosed
	}
	dst = strict.AppendUint(strict.AppendArray(dst, stateFields), stateVersion)
	dst = strict.AppendUint(dst, roleNumber(s.client))
	dst = strict.AppendBin(dst, s.id[:])
	dst = strict.AppendStr(dst, s.protocol)
	dst = strict.AppendUint(dst, uint64(s.proof))
	dst = strict.AppendUint(dst, milliseconds(now, s.born))
	dst = strict.AppendUint(dst, milliseconds(now, s.healed))
	dst = strict.AppendBin(dst, s.peer.Bytes())
	dst = strict.AppendBin(dst, s.secret.value[:])
	dst = strict.AppendUint(dst, s.secret.attempts)
	var next []byte
	if s.next != nil {
		next = s.next.value[:]
	}
	dst = strict.AppendBin(dst, next)
	safe := s.in.safe()
	for _, v := range []uint64{safe.number, safe.cost, s.in.granted, s.out.acked, s.out.ackedCost, s.out.credit} {
		dst = strict.AppendUint(dst, v)
	}
	dst = strict.AppendUint(s.in.appendOwed(dst), s.out.stored.number+1)
	return s.out.appendMessages(dst), s.mark(), nil
}

// milliseconds returns the form in which a state has the time t: the wall clock's time now,
// less what has passed since t by the monotonic clock. The result is at least 0: a machine
// without a clock starts in 1970.
func milliseconds(now, t time.Time) uint64 { return uint64(max(now.Add(-now.Sub(t)).UnixMilli(), 0)) }

// timeOf is the reverse of milliseconds. Its result no longer moves with the wall clock. A
// time in the future, because that clock was set back, becomes now.
func timeOf(now time.Time, ms uint64) time.Time {
	return now.Add(-max(now.Sub(time.UnixMilli(int64(ms))), 0))
}

func roleNumber(client bool) uint64 {
	if client {
		return 1
	}
	return 0
}

// appendOwed appends the requests whose answers the other end waits for.
func (i *inbox) appendOwed(dst []byte) []byte {
	owed := i.acknowledgedOwed()
	dst = strict.AppendArray(dst, len(owed))
	for _, number := range owed {
		dst = strict.AppendUint(dst, number)
	}
	return dst
}

// restoreOwed is the reverse of appendOwed.
func (i *inbox) restoreOwed(r *strict.Reader) {
	last := uint64(0)
	for range r.ArrayLen(0, maxUnacked) {
		number := r.Uint()
		if number <= last || number > i.received {
			r.Fail()
		}
		if r.Failed() {
			return
		}
		i.owed, last = append(i.owed, number), number
	}
}

// RestoreSession returns the session that a state was taken of, without a link: a client
// goes on with [NewResume], a server with [AnswerResume]. The other end sends again what the
// application had not taken. The caller passes what was stored apart, in its order. The error
// matches [ErrState], or says what is wrong with cfg. If the ends of the session spoke
// something other than cfg, it matches a [*SpeechError] too.
func RestoreSession(cfg Config, now time.Time, state []byte, apart ...Apart) (*Session, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	cfg.Stored = true
	r := strict.NewReader(state)
	r.Array(stateFields)
	version, role := r.Uint(), r.Uint()
	s := emptySession(role == 1, nil, cfg)
	copy(s.id[:], r.Bin(len(s.id), len(s.id)))
	s.protocol = r.Str(1, MaxProtocol)
	proof := r.Uint()
	born, healed := r.Uint(), r.Uint()
	peer := r.Bin(1, keys.MaxPublicSize)
	copy(s.secret.value[:], r.Bin(secretSize, secretSize))
	s.secret.attempts = r.Uint()
	if next := r.Bin(0, secretSize); len(next) == secretSize && role == 0 {
		s.next = &secret{value: [secretSize]byte(next)}
	} else if len(next) > 0 {
		r.Fail()
	}
	s.restoreNumbers(&r, apart)
	if r.Done() != nil || version != stateVersion || role > 1 || proof > math.MaxUint8 || born > maxCost || healed > maxCost {
		return nil, ErrState
	}
	if differ := cfg.compare(Speech{s.protocol, Proof(proof)}); differ != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, differ)
	}
	s.born, s.healed = timeOf(now, born), timeOf(now, healed)
	if s.peer, err = keys.ParsePublic(bytes.Clone(peer)); err != nil || s.peer.Revoked() {
		return nil, ErrState
	}
	s.stated = s.peer
	return s, nil
}

// restoreNumbers reads the counters of delivery and the messages.
func (s *Session) restoreNumbers(r *strict.Reader, apart []Apart) {
	in, out := &s.in, &s.out
	for _, v := range []*uint64{&in.received, &in.cost, &in.granted, &out.acked, &out.ackedCost, &out.credit} {
		if *v = r.Uint(); *v > maxCost {
			r.Fail()
		}
	}
	if in.granted < initialCredit || out.credit < initialCredit || !validCost(in.received, in.cost) || !validCost(out.acked, out.ackedCost) {
		r.Fail()
	}
	in.consumed, in.ackSent = in.cost, in.received
	in.unusedCredit = in.granted - min(in.granted, in.cost)
	in.restoreOwed(r)
	out.last, out.cost = out.acked, out.ackedCost
	if first := r.Uint(); r.Failed() || !out.restoreApart(apart, s.maxMessage) || first != out.last+1 {
		r.Fail()
	}
	for range r.ArrayLen(0, maxUnacked) {
		message := r.Bin(0, s.maxMessage)
		if r.Failed() {
			return
		}
		out.append(nil, message)
	}
	out.cursor, out.offset = out.acked, 0
	out.linkStart, out.arrived = out.ackedCost, out.ackedCost
	out.maxSealed = out.cost // which of these were sent nobody knows
	in.arrivedSent = in.cost
}

// maxUnacked is how many messages fit into the largest window, plus one, and the same again
// for messages that need no credit.
const maxUnacked = 2 * (MaxWindow/minBucket + 1)

// validCost reports whether n messages can have this cost.
func validCost(n, cost uint64) bool {
	return n <= cost/minBucket && cost%minBucket == 0 && (n > 0) == (cost > 0)
}
