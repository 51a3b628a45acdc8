package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
)

// ErrResume is matched by the error of every resume that failed for a cause that the other
// end, or somebody in between, could have produced. All have the same text, as with
// [ErrHandshake].
var ErrResume = errors.New("engine: resume failed")

// ErrUnknownSession is returned to a client whose server does not know the session and has
// proved that it said so. Another server of the same identity may know the session.
var ErrUnknownSession = errors.New("engine: the session is not known at the other end")

// Sizes in bytes of the resume's messages.
const (
	r1Size = hashSize + shareSize + tagSize
	r2Size = shareSize + tagSize

	clientHelloFields = 8 + progressSize
	serverHelloFields = verdictSize + progressSize
)

// ResumeID returns the id in an r1, under which the client asks for its session. It
// reports false for every other frame. Anybody can send any id.
func ResumeID(frame []byte) (id [32]byte, ok bool) {
	if len(frame) != r1Size {
		return id, false
	}
	copy(id[:], frame)
	return id, true
}

// resumeID returns the id that stands for a resume secret on the wire.
func resumeID(secret [secretSize]byte) (id [32]byte) {
	copy(id[:], expand(secret[:], []byte(label.ResumeID), len(id)))
	return id
}

// A secret is a resume secret. Both ends of a session share it beside the keys of the
// link, and make the next link with it. A resume replaces it with the next one.
type secret struct {
	value    [secretSize]byte
	attempts uint64 // at a client, how many it has made; at a server, the highest one committed
}

// Format prints no secrets, whatever the verb (A42).
func (x secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "engine.secret(redacted)") }

// Resume is one end of one attempt to give a session another link. It is driven like
// a [Handshake], but asks for no signature:
//
//	client: Start, Read r2, Read r4, Decide, Done
//	server: Start, Read r1, Read r3, Decide, Done with r4
//
// A failed attempt changes nothing, except that a client's old link no longer works. A
// Resume redacts itself when printed.
type Resume struct {
	cfg      Config
	session  *Session
	state    state
	deadline time.Time
	now      time.Time // of the last call

	secret         [secretSize]byte // with which this attempt is made
	attempt        uint64
	exchange       *exchange
	first          [hashSize]byte // H(r1), at a client
	schedule       *schedule
	peer           *keys.PublicIdentity
	storedIdentity []byte   // the identity in the hello, until the session is loaded
	peerProgress   progress // what the other end says has arrived
	link           *Link
	terms
}

// NewResume returns a client's attempt to go on with its session. The caller no longer
// uses the session's link. The error says what is wrong with cfg, or is [ErrClosed] for a
// session that was forgotten or is not a client's.
func NewResume(cfg Config, s *Session, now time.Time) (*Resume, error) {
	r, err := newResume(cfg, s, now, clientStart)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.client || s.secret == nil {
		return nil, ErrClosed
	}
	// From here on this end receives nothing more on the old link. So r3 says for certain
	// what has arrived, and nothing that the server sends again arrives twice.
	s.unlink()
	s.secret.attempts++
	r.secret, r.attempt = s.secret.value, s.secret.attempts
	return r, nil
}

// AnswerResume returns the server's end of an attempt.
func AnswerResume(cfg Config, s *Session, now time.Time) (*Resume, error) {
	if s.client {
		return nil, ErrClosed
	}
	return newResume(cfg, s, now, serverStart)
}

func newResume(cfg Config, s *Session, now time.Time, start state) (*Resume, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Resume{cfg: cfg, session: s, state: start, deadline: now.Add(cfg.HandshakeTimeout)}, nil
}

// Deadline returns the time from which every call fails with [ErrExpired].
func (r *Resume) Deadline() time.Time { return r.deadline }

// Peer returns the other end's identity as it is now: the one that the handshake
// proved, or a later statement by the same root. The driver decides whether it is still
// welcome. If it is revoked the session has to end, and [Resume.Accept] fails.
func (r *Resume) Peer() *keys.PublicIdentity { return r.peer }

// Link returns the session's new link once a Step has said [Done], and nil before.
func (r *Resume) Link() *Link { return r.link }

// Start returns a client's first frame. A server has none: it waits.
func (r *Resume) Start(now time.Time) (Step, error) {
	switch {
	case r.late(now):
		return r.end(ErrExpired)
	case r.state == serverStart:
		r.state = serverReadsM1
		return Step{Next: Read}, nil
	case r.state == clientStart:
		return r.sendFirst()
	}
	return r.end(ErrClosed)
}

// Receive takes the other end's next frame. It does not keep the frame.
func (r *Resume) Receive(now time.Time, frame []byte) (Step, error) {
	switch {
	case r.late(now):
		return r.end(ErrExpired)
	case len(frame) > MaxHandshakeFrame:
		return r.fail(ReasonSize)
	}
	switch r.state {
	case serverReadsM1:
		return r.receiveFirst(frame)
	case clientReadsM2:
		return r.receiveSecond(frame)
	case serverReadsM3:
		return r.receiveClientHello(frame)
	case clientReadsM4:
		return r.receiveServerHello(frame)
	}
	return r.end(ErrClosed)
}

// Accept says that the peer is still welcome. A server commits here: its old link
// is dead, and the driver must send the Step's frame.
func (r *Resume) Accept(now time.Time) (Step, error) {
	switch {
	case r.late(now):
		return r.end(ErrExpired)
	case r.peer != nil && r.peer.Revoked():
		return r.fail(ReasonIdentity)
	case r.state == clientDecides:
		return r.adopt()
	case r.state == serverDecides:
		return r.commit()
	}
	return r.end(ErrClosed)
}

// Refuse ends the attempt. A server tells its peer so, encrypted.
func (r *Resume) Refuse(code Code) (Step, error) {
	step := Step{}
	if (r.state == serverDecides || r.state == serverLoads) && code != codeAccepted {
		step.Frame = r.sealServerHello(verdict{code: code}, progress{})
	}
	r.drop()
	return step, nil
}

// The messages, in their order.

// → id, psk, e
func (r *Resume) sendFirst() (Step, error) {
	r.begin(true)
	first, err := r.exchange.writeFirst(nil)
	if err != nil {
		return r.end(err)
	}
	id := resumeID(r.secret)
	frame := append(id[:], first...)
	r.state, r.first = clientReadsM2, sha256.Sum256(frame)
	return Step{Frame: frame, Next: Read}, nil
}

func (r *Resume) receiveFirst(frame []byte) (Step, error) {
	id, ok := ResumeID(frame)
	if !ok {
		return r.fail(ReasonSize)
	}
	if ok = r.takeSecret(id); !ok {
		return r.fail(ReasonCipher)
	}
	r.begin(false)
	// The tag shows that somebody who holds the secret has made this message, but not
	// when. So the server acts on nothing before r3.
	if _, err := r.exchange.readFirst(frame[hashSize:]); err != nil {
		return r.fail(ReasonCipher)
	}
	// ← e, ee. The token ee refuses a low-order share.
	second, schedule, err := r.exchange.writeSecond()
	if err != nil {
		return r.fail(ReasonKeyShare)
	}
	r.schedule, r.exchange, r.state = schedule, nil, serverReadsM3
	return Step{Frame: second, Next: Read}, nil
}

// ← e, ee, or a refusal; → client hello
func (r *Resume) receiveSecond(frame []byte) (Step, error) {
	if len(frame) != r2Size {
		return r.receiveRefusal(frame)
	}
	var err error
	if r.schedule, err = r.exchange.readSecond(frame); err != nil {
		return r.fail(ReasonCipher)
	}
	r.exchange, r.state = nil, clientReadsM4
	fields := binary.BigEndian.AppendUint64(nil, r.attempt)
	fields = r.session.progress().append(fields)
	return Step{Frame: r.seal(label.ResumeClientHello, fields, clientHelloData), Next: Read}, nil
}

func (r *Resume) receiveClientHello(frame []byte) (Step, error) {
	fields, reason := r.open(label.ResumeClientHello, frame, clientHelloFields, clientHelloData)
	if reason != 0 {
		return r.fail(reason)
	}
	r.attempt = binary.BigEndian.Uint64(fields)
	r.peerProgress = parseProgress(fields[8:])
	if r.session == nil {
		r.state = serverLoads
		return Step{Next: Load}, nil
	}
	r.state = serverDecides
	return Step{Next: Decide}, nil
}

// ← server hello
func (r *Resume) sealServerHello(v verdict, has progress) []byte {
	fields := has.append(v.append(nil))
	return r.seal(label.ResumeServerHello, fields, serverHelloData)
}

func (r *Resume) receiveServerHello(frame []byte) (Step, error) {
	fields, reason := r.open(label.ResumeServerHello, frame, serverHelloFields, serverHelloData)
	if reason != 0 {
		return r.fail(reason)
	}
	r.peerProgress = parseProgress(fields[verdictSize:])
	switch v, ok := parseVerdict(fields, codeAccepted, CodeRefused, CodeUnavailable, CodeUnknown, CodeLapsed, CodeStale); {
	case !ok, v.code != codeAccepted && r.peerProgress != progress{}:
		return r.fail(ReasonEncoding)
	case v.code != codeAccepted:
		return r.end(v.code.err())
	case !r.acceptVerdict(v):
		return r.fail(ReasonEncoding)
	}
	r.state = clientDecides
	return Step{Next: Decide}, nil
}

// commit makes a server's attempt count. It retires the old link and says what has arrived
// while it holds the session's mu, so that nothing arrives on both links. The client's
// secret stays good until the server knows that the client has the next one.
func (r *Resume) commit() (Step, error) {
	s := r.session
	s.mu.Lock()
	defer s.mu.Unlock()
	current, reason := s.commitSecret(r)
	if reason == ReasonAck { // the attempt counts, and says what cannot be: the server commits none any more
		s.closeToResumes()
	}
	if reason != 0 {
		return r.fail(reason)
	}
	frame := r.sealServerHello(r.granted(), s.in.progress())
	s.secret, s.next = current, r.nextSecret()
	r.attach(label.ResumeServerKey, label.ResumeClientKey)
	return Step{Frame: frame, Next: Done}, nil
}

// adopt makes a client's attempt count. The server has the next secret for certain, so
// the client drops the old one.
func (r *Resume) adopt() (Step, error) {
	s := r.session
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.secret == nil || s.secret.value != r.secret || s.secret.attempts != r.attempt:
		return r.end(ErrClosed) // the client has begun another attempt
	case !s.out.plausible(r.peerProgress):
		return r.fail(ReasonAck)
	}
	s.secret = r.nextSecret()
	r.attach(label.ResumeClientKey, label.ResumeServerKey)
	return Step{Next: Done}, nil
}

func (r *Resume) nextSecret() *secret {
	x := new(secret)
	copy(x.value[:], r.schedule.derive(label.ResumeNext))
	return x
}

// attach gives the session its new link. The caller holds the session's mu.
func (r *Resume) attach(mine, theirs label.Label) {
	s := r.session
	link := newLink(s, r.now, r.schedule.derive(mine), r.schedule.derive(theirs), r.schedule.derive(label.ResumeLinkID))
	link.rekey = newRekey(s, r.schedule.derive(label.ResumeRekey))
	link.update.announced = r.cfg.Identity
	s.unlink() // drops a rekey that was under way too
	s.link = link
	s.noteStatement(r.peer)
	s.acceptStatement(r.peer)
	s.out.rewind(r.peerProgress)
	link.partial = s.in.partial
	s.stats.resume()
	s.in.ackAt, s.in.ackForPieces = longAgo, false // each end's first record is an ack
	agreed, peer := terms{hop: r.hop, lifetime: r.lifetime}, r.peer
	r.drop()
	r.link, r.peer, r.state, r.terms = link, peer, established, agreed
}

// begin starts Noise with the attempt's secret.
func (r *Resume) begin(initiator bool) {
	psk := expand(r.secret[:], []byte(label.ResumePSK), secretSize)
	r.exchange = newKeyedExchange(initiator, resumePrologue(r.cfg.speech()), psk, r.cfg.random.ephemeral)
}

func (r *Resume) late(now time.Time) bool {
	r.now = now
	return !now.Before(r.deadline)
}

func (r *Resume) fail(reason Reason) (Step, error) { return r.end(&Error{reason, ErrResume}) }

func (r *Resume) end(err error) (Step, error) {
	r.drop()
	return Step{}, err
}

// drop forgets every secret of the attempt.
func (r *Resume) drop() {
	if r.schedule != nil {
		r.schedule.clear()
	}
	*r = Resume{deadline: r.deadline}
}

// Format prints no secrets, whatever the verb (A42).
func (r Resume) Format(f fmt.State, _ rune) { fmt.Fprint(f, "engine.Resume(redacted)") }
