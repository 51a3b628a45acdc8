package engine

import (
	"fmt"
	"time"
)

// Event says what an opened record was.
type Event int

// Events.
const (
	Message   Event = iota + 1 // a message, or the last piece of one, appended to dst
	Part                       // a piece of a message, not its last, appended to dst
	Acked                      // the other end has acknowledged what has arrived; waiting senders may try again
	Asked                      // the other end wants something; [Session.Deadline] may have passed
	PeerClose                  // the other end has closed; [Link.PeerCode] says why
	Rekeyed                    // the session has another resume secret; [Link.Saved] is due
	Switched                   // the other end has moved to the keys of a rekey
	Updated                    // the other end has said who it is now; the driver must decide on [Link.Offer]
	Answered                   // the other end has decided on an update; [Link.Answer] says how
)

// Link is a session on one connection. It has the keys of both directions. It ends with the
// connection, with any error, or when another link takes its place. It redacts itself when
// printed.
//
// Seal, Next, Control, SealClose and DropSend use its sending direction, Open and DropReceive
// its receiving one. A driver with several goroutines needs a lock for each direction. All
// links of a session must share the lock for sending.
type Link struct {
	session    *Session
	send, recv direction
	partial    partial // what has arrived of a message: a copy of the inbox's, guarded by the receiving lock
	unfinished bool    // the last record sealed was a piece, and another must follow
	peerClose  closing

	sent, received uint64 // number of the last message sealed, and of the last opened, on this link

	// The session's mu guards what follows.
	probing   bool      // the other end was asked whether it is there
	lastHeard time.Time // when a record last came
	rekey     rekey
	update    update
}

func newLink(s *Session, now time.Time, mine, theirs, id []byte) *Link {
	l := &Link{session: s, send: newDirection(mine, id), recv: newDirection(theirs, id), lastHeard: now}
	l.recv.linkBegan = now
	return l
}

// Seal takes a message to send, header and body, and appends to dst the frame that carries
// it. If [Link.Unfinished] then reports true, the frame carries the first piece, and
// [Link.Next] returns the others. Header and body may not overlap dst's spare capacity. The
// session keeps a copy of the message until the other end has it. It allocates memory for
// that copy and to grow dst, and nothing else. The driver must send all sealed frames, in the
// order of sealing: a gap ends the link at the other end.
//
// Errors: [ErrTooLarge], [ErrBlocked] and [ErrFinished], which change nothing; [ErrClosed];
// [ErrExhausted].
func (l *Link) Seal(now time.Time, dst, header, body []byte) ([]byte, error) {
	if len(header)+len(body) > l.session.maxMessage {
		return dst, ErrTooLarge
	}
	if l.send.aead == nil {
		return dst, ErrClosed
	}
	piece, kind, err := l.session.number(l, now, header, body)
	if err != nil {
		return dst, err
	}
	return l.sealPiece(now, dst, kind, piece)
}

// Next appends the frame of the next piece of a message or, after a resume, of what has to
// be sent again. It appends nothing when nothing is left. Until then Seal returns
// [ErrBlocked]; Control may be called, so that its records go between the pieces. Errors are
// those of Seal.
func (l *Link) Next(now time.Time, dst []byte) ([]byte, error) {
	if l.send.aead == nil {
		return dst, ErrClosed
	}
	piece, kind := l.session.piece(l, now)
	if piece == nil {
		l.unfinished = false
		return dst, nil
	}
	return l.sealPiece(now, dst, kind, piece)
}

// Unfinished reports whether a message has begun on this link and not ended. Then Next
// returns more of it.
func (l *Link) Unfinished() bool { return l.unfinished }

func (l *Link) sealPiece(now time.Time, dst []byte, kind byte, piece []byte) ([]byte, error) {
	l.unfinished = kind == typePart
	return l.send.seal(now, dst, kind, piece)
}

// piece returns the plaintext of the next record to seal on l, and its type. The plaintext
// stays valid until another message is numbered. The driver's lock for sending, which the
// caller holds, prevents that.
func (s *Session) piece(l *Link, now time.Time) (piece []byte, kind byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		return nil, 0
	}
	if s.out.resends() {
		s.stats.Resent++
	}
	if piece, kind = s.out.next(); piece != nil {
		l.rekey.onSend(s, now)
	}
	return piece, kind
}

// number gives a number to a message that l is about to seal, and returns what piece does.
func (s *Session) number(l *Link, now time.Time, header, body []byte) (piece []byte, kind byte, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.link != l:
		return nil, 0, ErrClosed
	case s.out.finished:
		return nil, 0, ErrFinished
	case !s.out.ready(kindOf(header, body)):
		return nil, 0, ErrBlocked
	}
	l.rekey.onSend(s, now)
	s.stats.send(now, len(header)+len(body))
	l.sent = s.out.last + 1
	s.out.append(header, body)
	piece, kind = s.out.next()
	return piece, kind, nil
}

// Queue numbers a message of a [Config].Stored session. [Link.Next] seals it once the
// session's state is stored. The caller holds the driver's lock for sending. Errors are
// those of [Link.Seal].
func (s *Session) Queue(now time.Time, header, body []byte) error {
	if len(header)+len(body) > s.maxMessage {
		return ErrTooLarge
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.secret == nil:
		return ErrClosed
	case s.out.finished:
		return ErrFinished
	case !s.out.hasRoom(kindOf(header, body)):
		return ErrBlocked
	}
	s.stats.send(now, len(header)+len(body))
	s.out.append(header, body)
	s.in.forgetAnswered(header)
	return nil
}

// Control appends one control record if one is due: an ack, a request for one, a step of a
// rekey, or an update. If none is due it returns dst as it is. Control records need no
// credit, so two ends that have none left can still give each other some. A driver must go on
// reading while it sends one. Errors are those of [Link.Seal] and [ErrSilent].
func (l *Link) Control(now time.Time, dst []byte) ([]byte, error) {
	if l.send.aead == nil {
		return dst, ErrClosed
	}
	var fields [ackFieldsSize]byte
	kind, size, plain, err := l.session.control(l, now, &fields)
	switch {
	case err != nil:
		l.send.drop()
		return dst, err
	case kind == 0:
		return dst, nil
	case kind == typeRekeyRequest || kind == typeRekeyAnswer || kind == typeSwitch:
		return l.sealRekey(now, dst, kind)
	case plain != nil:
		return l.send.seal(now, dst, kind, plain)
	}
	return l.send.sealFields(now, dst, kind, fields[:size])
}

// control chooses the next control record. It makes the record's fields, or the plaintext
// of an update; sealRekey makes those of a rekey.
func (s *Session) control(l *Link, now time.Time, fields *[ackFieldsSize]byte) (kind byte, size int, plain []byte, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		return 0, 0, nil, nil
	}
	silent := passed(s.silence(), now)
	switch {
	case passed(s.in.ackAt, now):
		kind, size = typeAck, len(s.in.ack().append(fields[:0]))
	case silent && l.probing:
		return 0, 0, nil, ErrSilent
	case silent || s.out.askDue():
		l.probing = l.probing || silent
		s.out.countAsk()
		s.stats.ask(now, &s.out)
		kind = typeAsk
	case l.update.pending():
		kind, plain = l.update.next()
	case passed(l.rekey.due, now):
		return l.rekey.next(s.client), 0, nil, nil
	default:
		return 0, 0, nil, nil
	}
	l.rekey.onSend(s, now)
	return kind, size, plain, nil
}

func passed(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// Open opens the next frame from the other end. If it is a message or a piece of one, Open
// appends it to dst, which must not overlap frame. Open grows dst by the size of the frame,
// or by less than four times what has arrived of the message, and otherwise allocates
// nothing. Any error ends the link: [Error] of kind [ErrRecord], or [ErrClosed].
//
// After [Part] the driver passes the returned slice as the next dst, so that the next piece
// goes behind this one. Other records may come in between. If the link ends before the
// message does, the driver keeps what it has: the next link goes on behind it.
func (l *Link) Open(now time.Time, dst, frame []byte) ([]byte, Event, error) {
	if l.recv.aead == nil {
		return dst, 0, ErrClosed
	}
	// First come the checks that need no key.
	if len(frame) < recordOverhead+minBucket || len(frame) > MaxFrame(l.session.maxMessage) {
		return l.refuse(dst, ReasonSize)
	}
	kind := frame[0] & typeMask
	fieldsSize, known := fieldsSizeOf(kind)
	if frame[0]&epochMask != l.recv.epoch || !known {
		return l.refuse(dst, ReasonType)
	}
	if kind == typeData || kind == typePart {
		return l.openPiece(now, dst, frame, kind)
	}
	plain, reason := l.recv.open(now, l.recv.plain[:0], frame) // not into dst, which may be full of pieces
	if reason != 0 {
		return l.refuse(dst, reason)
	}
	fields, data, ok := parsePadded(plain, fieldsSize)
	if !ok || len(data) > 0 && kind != typeUpdate {
		return l.refuse(dst, ReasonEncoding)
	}
	event, err := l.take(now, kind, fields)
	switch {
	case err != nil:
	case kind == typeRekeyRequest:
		event, err = l.takeRequest(now, fields)
	case kind == typeRekeyAnswer:
		event, err = l.takeAnswer(now, fields)
	case kind == typeUpdate:
		err = l.readOffer(data)
	}
	if err != nil {
		l.recv.drop()
		return dst, 0, err
	}
	return dst, event, nil
}

// openPiece opens a message, or a piece of one.
func (l *Link) openPiece(now time.Time, dst, frame []byte, kind byte) ([]byte, Event, error) {
	size, first := len(frame)-recordOverhead, l.partial.left == 0
	if !l.partial.fits(kind, size) {
		return l.refuse(dst, ReasonSize)
	}
	dst = l.partial.grow(dst, size)
	out, reason := l.recv.open(now, dst, frame)
	if reason != 0 {
		return l.refuse(dst, reason)
	}
	data, reason := l.partial.take(kind, out[len(dst):], l.session.maxMessage)
	if reason != 0 {
		return l.refuse(dst, reason)
	}
	event, err := l.take(now, kind, nil)
	if err != nil {
		l.recv.drop()
		return dst, 0, err
	}
	if first { // the length stands before the data
		return append(out[:len(dst)], data...), event, nil
	}
	return out[:len(dst)+len(data)], event, nil
}

// fieldsSizeOf returns the size in bytes of the fields of a type of record.
func fieldsSizeOf(kind byte) (size int, known bool) {
	switch kind {
	case typeData, typePart, typeAsk, typeRekeyWanted, typeSwitch, typeUpdate:
		return 0, true
	case typeUpdateAnswer:
		return updateAnswerSize, true
	case typeRekeyRequest:
		return rekeyRequestSize, true
	case typeRekeyAnswer:
		return rekeyAnswerSize, true
	case typeClose:
		return closeFieldsSize, true
	case typeAck:
		return ackFieldsSize, true
	}
	return 0, false
}

// take does what a record says. Nothing earlier changes the session. A record changes
// nothing either if another link has taken this one's place meanwhile.
func (l *Link) take(now time.Time, kind byte, fields []byte) (Event, error) {
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		return 0, ErrClosed
	}
	s.confirmNext()
	l.lastHeard, l.probing = now, false
	switch kind {
	case typeData, typePart:
		if !s.in.hasCredit(l.partial.free) {
			return 0, &Error{ReasonCredit, ErrRecord}
		}
		if kind == typePart {
			s.in.takePiece(now, l.partial)
			return Part, nil
		}
		s.in.take(now, l.partial.size, l.partial.free)
		s.in.rememberRequest(l.partial.asks)
		s.stats.receive(l.partial.size)
		l.received = s.in.received
		return Message, nil
	case typeAck:
		if !s.out.acknowledge(parseAck(fields)) {
			return 0, &Error{ReasonAck, ErrRecord}
		}
		s.stats.answer(now, s.out.acked)
		return Acked, nil
	case typeAsk:
		s.in.ackAt = now
		return Asked, nil
	case typeRekeyWanted, typeRekeyRequest, typeRekeyAnswer, typeSwitch:
		return l.takeRekey(now, kind)
	case typeUpdate:
		return l.update.takeOffer()
	case typeUpdateAnswer:
		return l.update.takeAnswer(fields, s.client)
	}
	return l.takeClose(fields)
}

// LastHeard returns when the last record came or, before the first one, when the link began.
func (l *Link) LastHeard() time.Time {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	return l.lastHeard
}

// Sent returns the number of the message that Seal sealed last. The caller holds the
// driver's lock for sending.
func (l *Link) Sent() uint64 { return l.sent }

// Received returns the number of the message that Open opened last. The caller holds the
// driver's lock for receiving.
func (l *Link) Received() uint64 { return l.received }

func (l *Link) refuse(dst []byte, reason Reason) ([]byte, Event, error) {
	l.recv.drop()
	return dst, 0, &Error{reason, ErrRecord}
}

// DropSend forgets the keys for sending. Go cannot promise that no copy is left in memory,
// but this package can reach none.
func (l *Link) DropSend() {
	l.send.drop()
	l.dropRekey()
}

// DropReceive forgets the keys for receiving, as [Link.DropSend] does those for sending.
func (l *Link) DropReceive() {
	l.recv.drop()
	l.dropRekey()
}

// Format prints no secrets, whatever the verb (A42).
func (l Link) Format(f fmt.State, _ rune) { fmt.Fprint(f, "engine.Link(redacted)") }
