package engine

import (
	"crypto/mlkem"
	"time"

	"github.com/hopseal/hopseal/internal/label"
)

// A rekey gives the two ends of a link new keys, and the session a new resume secret,
// from fresh X25519 and ML-KEM-768 shares and from what they had before:
//
//	client                                            server
//	  request: Noise m1, its payload ek    ->
//	                                       <-         answer: Noise m2, its payload ct
//	  switch, ask                          ->
//	                                       <-         switch
//
// The records travel among the others, which do not wait for them. A switch is the last
// record of its direction's epoch. Whoever had the state of either end before the
// request, and only listens, opens nothing behind the switches: it heals.
//
// The answer replaces the resume secret as the server hello of a resume does. The server
// keeps the old secret and the next one from before it answers. The client drops the old one
// when the answer opens, the server when a record opens under keys that came with the next
// one. So the link may break at any step.
const (
	rekeyRequestSize = shareSize + ekSize + tagSize
	rekeyAnswerSize  = shareSize + ctSize + tagSize
)

// rekeyPause is the least time from taking one request on a link to taking the next. It
// is half of what a client waits, since two clocks differ. A request cannot overtake
// anything, so a delay on the way never makes the time between two of them seem shorter
// than the client's: its own clock starts with the answer.
const rekeyPause = MinRekeyAfter / 2

// rekeyStep says how far a rekey has come at one end.
type rekeyStep uint8

const (
	rekeyIdle     rekeyStep = iota
	rekeyWanted             // at a client a request is due, at a server the record that asks for one
	rekeyAsked              // a client's request was sent
	rekeyMade               // the new secrets are there; the driver has not saved yet
	rekeyAnswers            // a server's answer is due
	rekeySwitches           // this end's switch is due
	rekeySwitched           // this end's switch was sent; the other's has not come
	rekeyDead
)

// rekey is what a link knows about rekeys. It is guarded by the session's mu.
type rekey struct {
	secret [secretSize]byte // of this epoch: the psk of the next exchange
	wantAt time.Time        // from then on, the next record sent starts a rekey; zero: none does
	due    time.Time        // when the next record of the rekey is due; zero: none is

	step          rekeyStep
	notFirstEpoch bool // this is not the epoch that the link began with
	serverAsked   bool // the server has asked for one in this epoch
	unconfirmed   bool // a server's next secret came with a rekey; until the client's switch records confirm nothing

	exchange *exchange // a client's, until the answer
	kem      *mlkem.DecapsulationKey768
	answer   []byte     // a server's, until it is sent
	send     *epochKeys // what each direction switches to
	recv     *epochKeys
}

func newRekey(s *Session, secret []byte) (r rekey) {
	copy(r.secret[:], secret)
	r.startClock(s)
	return r
}

// startClock starts the clock of an epoch. The clock is the session's, not the link's: links
// that last only minutes must not put a rekey off for ever.
func (r *rekey) startClock(s *Session) {
	r.wantAt, r.serverAsked = time.Time{}, false
	if s.rekeyAfter > 0 {
		r.wantAt = s.healed.Add(s.rekeyAfter)
	}
}

// onSend wants a rekey if one is due when a record is sent. Keys that nobody uses need no rekey.
func (r *rekey) onSend(s *Session, now time.Time) {
	if passed(r.wantAt, now) && r.step == rekeyIdle {
		r.wantAt = time.Time{}
		r.want(s)
	}
}

// want makes the first record of a rekey due. At a client it waits until the server will
// accept a request.
func (r *rekey) want(s *Session) {
	r.step, r.due = rekeyWanted, longAgo
	if s.client && r.notFirstEpoch {
		r.due = s.healed.Add(MinRekeyAfter)
	}
}

// next returns the type of the record that is due, and counts it as sent.
func (r *rekey) next(client bool) (kind byte) {
	switch {
	case r.step == rekeyWanted && client:
		r.step, kind = rekeyAsked, typeRekeyRequest
	case r.step == rekeyWanted:
		r.step, kind = rekeyIdle, typeRekeyWanted
	case r.step == rekeyAnswers:
		r.step = rekeySwitches
		return typeRekeyAnswer // the switch is due next
	case r.step == rekeySwitches:
		r.step, kind = rekeySwitched, typeSwitch
	}
	r.due = time.Time{}
	return kind
}

// drop forgets every secret but those that records still need.
func (r *rekey) drop() { *r = rekey{step: rekeyDead, unconfirmed: r.unconfirmed} }

func (l *Link) dropRekey() {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	l.rekey.drop()
}

// sealRekey appends a record of a rekey. If it cannot, it ends the link.
func (l *Link) sealRekey(now time.Time, dst []byte, kind byte) ([]byte, error) {
	var fields []byte
	var next *epochKeys
	var err error
	switch kind {
	case typeRekeyRequest:
		fields, err = l.request()
	case typeRekeyAnswer:
		fields, err = l.answer()
	case typeSwitch:
		next, err = l.switchSend()
	}
	if err != nil {
		l.send.drop()
		return dst, err
	}
	dst, err = l.send.sealFields(now, dst, kind, fields)
	if err == nil && next != nil {
		l.send.startEpoch(next)
	}
	return dst, err
}

// request makes the fields of a request: → psk, e, [ek]. It makes the shares outside the
// session's mu, since that takes a while.
func (l *Link) request() ([]byte, error) {
	psk, err := l.psk()
	if err != nil {
		return nil, err
	}
	random := l.session.random
	kem, err := random.generateKEM()
	if err != nil {
		return nil, err
	}
	x := newKeyedExchange(true, rekeyPrologue(l.session.id[:], l.send.id()), psk, random.ephemeral)
	fields, err := x.writeFirst(kem.EncapsulationKey().Bytes())
	if err != nil {
		return nil, err
	}
	return fields, l.withRekey(func(r *rekey) { r.exchange, r.kem = x, kem })
}

func (l *Link) answer() (fields []byte, err error) {
	err = l.withRekey(func(r *rekey) { fields, r.answer = r.answer, nil })
	return fields, err
}

func (l *Link) switchSend() (next *epochKeys, err error) {
	err = l.withRekey(func(r *rekey) {
		next, r.send = r.send, nil
		r.finish()
		// The server keeps the old resume secret until a record comes under the new keys.
		l.session.out.ask = l.session.out.ask || l.session.client
	})
	return next, err
}

func (l *Link) psk() (psk []byte, err error) {
	err = l.withRekey(func(r *rekey) { psk = append(psk, r.secret[:]...) })
	return psk, err
}

// withRekey calls f under the session's mu if l is still the current link. Otherwise it
// returns ErrClosed.
func (l *Link) withRekey(f func(*rekey)) error {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	if l.session.link != l || l.rekey.step == rekeyDead {
		return ErrClosed
	}
	f(&l.rekey)
	return nil
}

// takeRekey does what a record of a rekey says. For a request and an answer, which take
// computing, it only decides whether the record is due. The caller holds the session's mu.
func (l *Link) takeRekey(now time.Time, kind byte) (Event, error) {
	s, r := l.session, &l.rekey
	switch {
	case r.step == rekeyDead:
		return 0, ErrClosed
	case kind == typeRekeyWanted && s.client && !r.serverAsked:
		if r.serverAsked = true; r.step == rekeyIdle {
			r.want(s)
		}
		return Asked, nil
	case kind == typeRekeyRequest && !s.client && r.mayRequest(s, now):
		return Rekeyed, nil
	case kind == typeRekeyAnswer && s.client && r.step == rekeyAsked:
		return Rekeyed, nil
	case kind == typeSwitch && r.recv != nil && r.step != rekeyAnswers && (s.client || r.step != rekeyMade):
		l.recv.startEpoch(r.recv)
		r.recv, r.unconfirmed = nil, false
		r.finish()
		s.stats.Rekeys++
		return Switched, nil
	}
	return 0, &Error{ReasonRekey, ErrRecord}
}

// mayRequest reports whether the client may make the server compute: once in an epoch, and
// not within rekeyPause of the link's last rekey, so that short epochs are no excuse.
func (r *rekey) mayRequest(s *Session, now time.Time) bool {
	idle := r.step == rekeyIdle || r.step == rekeyWanted // the server wants a rekey itself
	return idle && !(r.notFirstEpoch && now.Before(s.healed.Add(rekeyPause)))
}

// finish ends a rekey when both directions have switched.
func (r *rekey) finish() {
	if r.send == nil && r.recv == nil {
		r.step = rekeyIdle
	}
}

// takeRequest takes a request and makes the answer: ← e, ee, [ct].
func (l *Link) takeRequest(now time.Time, request []byte) (Event, error) {
	psk, err := l.psk()
	if err != nil {
		return 0, err
	}
	random := l.session.random
	x := newKeyedExchange(false, rekeyPrologue(l.session.id[:], l.recv.id()), psk, random.ephemeral)
	payload, err := x.readFirst(request)
	if err != nil {
		return 0, &Error{ReasonRekey, ErrRecord}
	}
	ek, err := parseKEMKey(payload)
	if err != nil {
		return 0, &Error{ReasonRekey, ErrRecord}
	}
	shared, ct := random.encapsulateTo(ek)
	answer, schedule, err := x.writeSecondWith(ct, bindKEM(label.RekeyKEM, shared, payload, ct))
	if err != nil { // a low-order share
		return 0, &Error{ReasonRekey, ErrRecord}
	}
	return Rekeyed, l.withRekey(func(r *rekey) {
		l.session.next = l.adoptEpoch(now, schedule)
		r.answer, r.unconfirmed = answer, true
	})
}

// takeAnswer takes the answer, ← e, ee, [ct], and ends the exchange.
func (l *Link) takeAnswer(now time.Time, answer []byte) (Event, error) {
	var x *exchange
	var kem *mlkem.DecapsulationKey768
	if err := l.withRekey(func(r *rekey) { x, kem, r.exchange, r.kem = r.exchange, r.kem, nil, nil }); err != nil {
		return 0, err
	}
	if x == nil { // the answer to a request that this end has not sealed yet
		return 0, &Error{ReasonRekey, ErrRecord}
	}
	schedule, err := x.readSecondWith(answer, func(ct []byte) ([]byte, error) {
		shared, err := kem.Decapsulate(ct)
		if err != nil {
			return nil, err
		}
		return bindKEM(label.RekeyKEM, shared, kem.EncapsulationKey().Bytes(), ct), nil
	})
	if err != nil {
		return 0, &Error{ReasonRekey, ErrRecord}
	}
	// The server has the next secret for certain, so the client drops the old one, as in a resume.
	return Rekeyed, l.withRekey(func(*rekey) { l.session.secret = l.adoptEpoch(now, schedule) })
}

// adoptEpoch takes the keys of a finished exchange, and returns the next resume secret. It
// replaces the secret with which the exchange was made. The caller holds the session's mu.
func (l *Link) adoptEpoch(now time.Time, k *schedule) *secret {
	s, r := l.session, &l.rekey
	mine, theirs := label.RekeyClientKey, label.RekeyServerKey
	if !s.client {
		mine, theirs = theirs, mine
	}
	id := k.derive(label.RekeyLinkID)
	r.send, r.recv = &epochKeys{k.derive(mine), id}, &epochKeys{k.derive(theirs), id}
	copy(r.secret[:], k.derive(label.RekeyNext))
	next := new(secret)
	copy(next.value[:], k.derive(label.RekeyResume))
	k.clear()
	s.healed, r.notFirstEpoch = now, true
	r.startClock(s)
	r.step, r.due = rekeyMade, time.Time{}
	return next
}

// Saved says that the driver has stored what it needs to find the session again by its
// resume secret, or that it stores nothing. Before that, the link sends nothing that could
// leave only one of the ends with the secret.
func (l *Link) Saved() {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	r := &l.rekey
	if r.step != rekeyMade {
		return
	}
	r.due = longAgo
	if r.step = rekeySwitches; !l.session.client {
		r.step = rekeyAnswers
	}
}
