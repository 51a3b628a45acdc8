package engine

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// An update tells the other end, within a link, what a resume would: who this end is
// now, and from a client fresh credentials. Its record has no fields and this data:
//
//	type   meaning
//	array  of 2 values from a client, 1 from a server
//	bin    the sender's public identity as it is now
//	bin    credentials, at most MaxCredentials bytes: from a client only
//
// The receiver decides in its own time, and then answers with these fields, and no data:
//
//	size  meaning
//	1     code: 0 accepted, 2 unavailable: what was accepted before goes on to count
//	4     lifetime: as in a verdict, from a server that accepts; else 0
//
// A refusal is no answer: it closes the session. There is no second update before the
// first is answered.
const updateAnswerSize = 1 + 4

const clientUpdateData, serverUpdateData = 2, 1

// An Offer is what the other end has told in an update.
type Offer struct {
	Peer        *keys.PublicIdentity // it may be revoked: then the session has to end
	Credentials []byte               // of a client
}

// update is what a link knows about updates. It is guarded by the session's mu.
type update struct {
	announced  *keys.PublicIdentity // who this end is, as the other was told last
	announcing *keys.PublicIdentity // with the update that is due
	dueData    []byte               // the data of an update that is to be sent

	unanswered      bool // one is due or sent, and not answered
	offerUnanswered bool // the other's is not answered
	answerDue       bool // an answer is due

	offer      Offer
	answer     verdict
	peerAnswer verdict // the last answer of the other end
}

// Announced returns who this end is as the other was told last: what is sealed from here on
// can be checked by it.
func (l *Link) Announced() *keys.PublicIdentity {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	return l.update.announced
}

// Update has [Link.Control] tell the other end who this one is now, and what a client
// has to show; a server has nothing. It returns [ErrBlocked] while an update before it is
// not answered, [ErrClosed] where the link counts no more, and [ErrCredentials].
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

// Updating reports whether an update is under way that is not answered.
func (l *Link) Updating() bool {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	return l.update.unanswered
}

// Offer returns what the other end has told, after [Updated].
func (l *Link) Offer() Offer {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	return l.update.offer
}

// Decided answers the other end's offer: it is accepted, at a server for the given
// lifetime, as with Grant; or it could not be decided upon, and the peer is who it was.
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

// Answer returns what the other end has said to this end's update, after [Answered]:
// whether it has accepted it, and at a client for how long.
func (l *Link) Answer() (accepted bool, lifetime time.Duration) {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	return l.update.peerAnswer.code == codeAccepted, l.update.peerAnswer.lifetime
}

// pending reports whether a record of an update is due.
func (u *update) pending() bool { return u.answerDue || u.dueData != nil }

// next returns the type of the record that is due, and its plaintext, and counts it as
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

// takeOffer decides whether an update is due, before anything looks into it. It is
// called under the session's mu.
func (u *update) takeOffer() (Event, error) {
	if u.offerUnanswered {
		return 0, &Error{ReasonUpdate, ErrRecord}
	}
	u.offerUnanswered = true
	return Updated, nil
}

// noteStatement takes in what the peer's root has stated: what the peer signs from here on can be
// checked by it. A statement that is older than the one before changes nothing. It is
// called under the session's mu, like accept.
func (s *Session) noteStatement(peer *keys.PublicIdentity) {
	if peer.Serial() > s.stated.Serial() {
		s.stated = peer
	}
}

// acceptStatement takes in that the driver has accepted a statement.
func (s *Session) acceptStatement(peer *keys.PublicIdentity) {
	if peer.Serial() > s.peer.Serial() {
		s.peer = peer
	}
}

// readOffer takes in what an update says. That it is accepted is up to the driver. It runs outside the session's mu, since it verifies a signature.
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

// laterStatement returns the identity that a peer says is its own now: the one that is known, or
// a later statement by the same root, which may revoke it. Nothing else will do.
func laterStatement(known *keys.PublicIdentity, identity []byte) (*keys.PublicIdentity, bool) {
	if string(identity) == string(known.Bytes()) {
		return known, true
	}
	peer, err := keys.ParsePublic(identity)
	return peer, err == nil && peer.Fingerprint() == known.Fingerprint() && peer.Serial() > known.Serial()
}

// takeAnswer takes in what the other end says to an update. It is called under the
// session's mu.
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
