package engine

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// An update tells the other end on a link what a resume would tell it: who this end is
// now, and from a client fresh credentials. Its record has no fields and this data:
//
//	type   meaning
//	array  of 2 values from a client, 1 from a server
//	bin    the sender's public identity as it is now
//	bin    credentials, at most MaxCredentials bytes: from a client only
//
// The receiver decides in its own time. Then it answers with these fields, and no data:
//
//	size  meaning
//	1     code: 0 accepted, 2 unavailable: what it accepted before stays valid
//	4     lifetime: as in a verdict, from a server that accepts; else 0
//
// A receiver that refuses does not answer: it closes the session. The sender sends no
// second update before the first is answered.
const updateAnswerSize = 1 + 4

const clientUpdateData, serverUpdateData = 2, 1

// An Offer is what the other end says in an update.
type Offer struct {
	Peer        *keys.PublicIdentity // who the other end is now; if it is revoked the session has to end
	Credentials []byte               // from a client only
}

// update is what a link knows about updates. It is guarded by the session's mu.
type update struct {
	announced  *keys.PublicIdentity // who this end is, as it told the other end last
	announcing *keys.PublicIdentity // the identity in the update that is due
	dueData    []byte               // the data of the update that is due

	unanswered      bool // this end's update is due or sent, and not answered
	offerUnanswered bool // the other end's update is not answered
	answerDue       bool // an answer to the other end's update is due

	offer      Offer
	answer     verdict
	peerAnswer verdict // the last answer of the other end
}

// Announced returns who this end is, as it told the other end last. The other end can check
// with it what this end seals from now on.
func (l *Link) Announced() *keys.PublicIdentity {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	return l.update.announced
}

// Update makes [Link.Control] tell the other end who this end is now, and from a client its
// credentials. A server has none. It returns [ErrBlocked] while an earlier update is not
// answered, [ErrClosed] if this is no longer the session's link, and [ErrCredentials] if the
// credentials are too long.
func (l *Link) Update(identity *keys.PublicIdentity, credentials []byte) error {
	if len(credentials) > MaxCredentials {
		return ErrCredentials
	}
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.link != l:
		return ErrClosed
	case l.update.unanswered:
		return ErrBlocked
	}
	l.update.announcing, l.update.unanswered = identity, true
	l.update.dueData = appendUpdate(nil, identity.Bytes(), credentials, s.client)
	return nil
}

// Updating reports whether this end's update is not answered yet.
func (l *Link) Updating() bool {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	return l.update.unanswered
}

// Offer returns what the other end said in its update, after [Updated].
func (l *Link) Offer() Offer {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	return l.update.offer
}

// Decided answers the other end's offer. Either this end accepts it, and a server does so
// for the given lifetime, as with Grant. Or this end could not decide, and the peer stays
// who it was.
func (l *Link) Decided(accepted bool, lifetime time.Duration) {
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	u := &l.update
	if s.link != l || !u.offerUnanswered || u.answerDue {
		return
	}
	if accepted {
		s.acceptStatement(u.offer.Peer)
	}
	u.answer, u.answerDue = verdict{code: CodeUnavailable}, true
	if accepted {
		u.answer = verdict{lifetime: lifetime}
	}
}

// Answer returns the other end's answer to this end's update, after [Answered]: whether it
// has accepted the update, and at a client for how long.
func (l *Link) Answer() (accepted bool, lifetime time.Duration) {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	return l.update.peerAnswer.code == codeAccepted, l.update.peerAnswer.lifetime
}

// pending reports whether a record of an update is due.
func (u *update) pending() bool { return u.answerDue || u.dueData != nil }

// next returns the type and the plaintext of the record that is due, and counts it as
// sent.
func (u *update) next() (kind byte, plain []byte) {
	if u.answerDue {
		u.answerDue, u.offerUnanswered, u.offer = false, false, Offer{}
		fields := binary.BigEndian.AppendUint32([]byte{byte(u.answer.code)}, toMillis(u.answer.lifetime))
		return typeUpdateAnswer, appendPadded(nil, fields, nil)
	}
	plain, u.dueData, u.announced = appendPadded(nil, nil, u.dueData), nil, u.announcing
	return typeUpdate, plain
}

// takeOffer decides whether an update may come now, before anything reads it. The caller
// holds the session's mu.
func (u *update) takeOffer() (Event, error) {
	if u.offerUnanswered {
		return 0, &Error{ReasonUpdate, ErrRecord}
	}
	u.offerUnanswered = true
	return Updated, nil
}

// noteStatement keeps what the peer's root has stated, so that this end can check what the
// peer signs from now on. It ignores a statement that is not later than the one that it has.
// The caller holds the session's mu.
func (s *Session) noteStatement(peer *keys.PublicIdentity) {
	if peer.Serial() > s.stated.Serial() {
		s.stated = peer
	}
}

// acceptStatement keeps a statement that the driver has accepted. The caller holds the
// session's mu.
func (s *Session) acceptStatement(peer *keys.PublicIdentity) {
	if peer.Serial() > s.peer.Serial() {
		s.peer = peer
	}
}

// readOffer reads an update. The driver decides whether to accept it. The caller does not
// hold the session's mu, since readOffer verifies a signature.
func (l *Link) readOffer(data []byte) error {
	s := l.session
	identity, credentials, ok := parseUpdate(data, !s.client)
	if !ok {
		return &Error{ReasonUpdate, ErrRecord}
	}
	peer, ok := laterStatement(s.Stated(), identity)
	if !ok {
		return &Error{ReasonUpdate, ErrRecord}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		return ErrClosed
	}
	if !peer.Revoked() {
		s.noteStatement(peer)
	}
	l.update.offer = Offer{peer, bytes.Clone(credentials)}
	return nil
}

// laterStatement returns the identity that a peer says is its own now. This is either the known
// one, or a later statement by the same root, which may revoke it. Anything else is refused.
func laterStatement(known *keys.PublicIdentity, identity []byte) (*keys.PublicIdentity, bool) {
	if string(identity) == string(known.Bytes()) {
		return known, true
	}
	peer, err := keys.ParsePublic(identity)
	return peer, err == nil && peer.Fingerprint() == known.Fingerprint() && peer.Serial() > known.Serial()
}

// takeAnswer takes the other end's answer to an update. The caller holds the session's mu.
func (u *update) takeAnswer(fields []byte, client bool) (Event, error) {
	v := verdict{code: Code(fields[0]), lifetime: fromMillis(binary.BigEndian.Uint32(fields[1:]))}
	possible := v.code == codeAccepted && (client || v.lifetime == 0) || v == verdict{code: CodeUnavailable}
	if !possible || !u.unanswered || u.dueData != nil {
		return 0, &Error{ReasonUpdate, ErrRecord}
	}
	u.unanswered, u.peerAnswer = false, v
	return Answered, nil
}

func appendUpdate(dst, identity, credentials []byte, client bool) []byte {
	if !client {
		return strict.AppendBin(strict.AppendArray(dst, serverUpdateData), identity)
	}
	dst = strict.AppendBin(strict.AppendArray(dst, clientUpdateData), identity)
	return strict.AppendBin(dst, credentials)
}

func parseUpdate(data []byte, fromClient bool) (identity, credentials []byte, ok bool) {
	in := strict.NewReader(data)
	if fromClient {
		in.Array(clientUpdateData)
	} else {
		in.Array(serverUpdateData)
	}
	identity = in.Bin(1, keys.MaxPublicSize)
	if fromClient {
		credentials = in.Bin(0, MaxCredentials)
	}
	return identity, credentials, in.Done() == nil
}
