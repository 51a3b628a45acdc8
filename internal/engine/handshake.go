package engine

import (
	"crypto/ed25519"
	"crypto/mlkem"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
)

// An Action is what a driver must do next.
type Action int

// Actions.
const (
	Closed Action = iota // nothing: the handshake has failed; close the connection
	Read                 // give the other end's next frame to [Handshake.Receive]
	Sign                 // sign [Handshake.ToSign] and give the result to [Handshake.Signed]
	Decide               // decide about [Handshake.Peer] with [Handshake.Accept] or [Handshake.Refuse]
	Load                 // give the stored session to [Resume.Loaded], or call [Resume.Refuse] if the store has none
	Done                 // take [Handshake.Session]
)

// A Step is what the driver must do after a call: first write Frame, unless it is nil,
// then take the next action.
type Step struct {
	Frame []byte
	Next  Action
}

// state is how far a handshake has come.
type state int

const (
	dead state = iota
	clientStart
	clientReadsM2
	clientDecides
	clientSigns
	clientReadsM4
	serverStart
	serverReadsM1
	serverSigns
	serverReadsM3
	serverLoads // only in a resume of a stored session
	serverDecides
	established
)

// Handshake is one end of one handshake. The package comment says how to drive it.
// It redacts itself when printed.
type Handshake struct {
	cfg      Config
	state    state
	deadline time.Time
	now      time.Time // of the last call

	exchange *exchange                  // until m2
	kem      *mlkem.DecapsulationKey768 // a client's, until m2
	head     []byte                     // a server's m2 without its auth, until signed
	schedule *schedule                  // from m2 to the end
	peer     *keys.PublicIdentity       // from when its signature was verified
	differ   *SpeechError               // set with peer, and kept to the end, if the peer speaks something else
	toSign   []byte
	session  *Session
	terms
}

// NewClient returns a handshake that begins with [Handshake.Start]. Its
// [Handshake.Deadline] counts from now. The error says what is wrong with cfg.
func NewClient(cfg Config, now time.Time) (*Handshake, error) {
	return newHandshake(cfg, now, clientStart)
}

// NewServer is like [NewClient], for the end that waits for the first frame.
func NewServer(cfg Config, now time.Time) (*Handshake, error) {
	return newHandshake(cfg, now, serverStart)
}

func newHandshake(cfg Config, now time.Time, start state) (*Handshake, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Handshake{
		cfg:      cfg,
		state:    start,
		deadline: now.Add(cfg.HandshakeTimeout),
		exchange: newExchange(start == clientStart, sessionPrologue(), cfg.random.ephemeral),
	}, nil
}

// Deadline returns the time from which every call fails with [ErrExpired].
func (h *Handshake) Deadline() time.Time { return h.deadline }

// ToSign returns the message to sign with the primary key of this end's identity.
// It starts with a label.
func (h *Handshake) ToSign() []byte { return h.toSign }

// Peer returns the other end's identity once it is proved: its root has signed it, and
// the holder of its primary signing key takes part in this very handshake. The driver
// decides whether it is the peer that was meant.
func (h *Handshake) Peer() *keys.PublicIdentity { return h.peer }

// Session returns the session once a Step has said [Done], and nil before.
func (h *Handshake) Session() *Session { return h.session }

// Start returns a client's first frame. A server has none: it waits.
func (h *Handshake) Start(now time.Time) (Step, error) {
	switch {
	case h.late(now):
		return h.end(ErrExpired)
	case h.state == serverStart:
		h.state = serverReadsM1
		return Step{Next: Read}, nil
	case h.state == clientStart:
		return h.sendM1()
	}
	return h.end(ErrClosed)
}

// Receive takes the other end's next frame. It does not keep the frame.
func (h *Handshake) Receive(now time.Time, frame []byte) (Step, error) {
	switch {
	case h.late(now):
		return h.end(ErrExpired)
	case len(frame) > MaxHandshakeFrame:
		return h.fail(ReasonSize)
	}
	switch h.state {
	case serverReadsM1:
		return h.receiveM1(frame)
	case clientReadsM2:
		return h.receiveM2(frame)
	case serverReadsM3:
		return h.receiveM3(frame)
	case clientReadsM4:
		return h.receiveM4(frame)
	}
	return h.end(ErrClosed)
}

// Signed takes the signature over [Handshake.ToSign], 64 bytes.
func (h *Handshake) Signed(now time.Time, signature []byte) (Step, error) {
	switch {
	case h.late(now):
		return h.end(ErrExpired)
	case len(signature) != ed25519.SignatureSize:
		return h.end(fmt.Errorf("engine: a signature of %d bytes", len(signature)))
	case h.state == serverSigns:
		return h.sendM2(signature)
	case h.state == clientSigns:
		return h.sendM3(signature)
	}
	return h.end(ErrClosed)
}

// Differ returns how the two ends differ in what they speak, or nil if they do not. It
// rests on what [Handshake.Peer] says, who may not be the peer that was meant. Such a
// handshake ends with a [*SpeechError] at each end, and the client shows no credentials.
// A client that has accepted the server can call Differ even if the handshake then fails
// in another way, because the server's last message does not come.
func (h *Handshake) Differ() *SpeechError { return h.differ }

// Accept says that the peer is the one that was meant.
func (h *Handshake) Accept(now time.Time) (Step, error) {
	switch {
	case h.late(now):
		return h.end(ErrExpired)
	case h.state == clientDecides:
		h.toSign = h.signs(label.SessionClientSign)
		h.state = clientSigns
		return Step{Next: Sign}, nil
	case h.state == serverDecides:
		return h.sendM4(codeAccepted)
	}
	return h.end(ErrClosed)
}

// Refuse ends the handshake. A server tells its peer so, encrypted, with the frame in
// the Step. A client tells its peer nothing, since the peer does not know yet who the
// client is.
func (h *Handshake) Refuse(code Code) (Step, error) {
	if h.state == serverDecides && code != codeAccepted {
		return h.sendM4(code)
	}
	h.drop()
	return Step{}, nil
}

// The messages, in their order. The tokens are Noise's. The rest of the message follows
// them.

// → e, [ek]
func (h *Handshake) sendM1() (Step, error) {
	kem, err := h.cfg.random.generateKEM()
	if err != nil {
		return h.end(err)
	}
	frame, err := h.exchange.writeFirst(kem.EncapsulationKey().Bytes())
	if err != nil {
		return h.end(err)
	}
	h.kem, h.state = kem, clientReadsM2
	return Step{Frame: frame, Next: Read}, nil
}

func (h *Handshake) receiveM1(frame []byte) (Step, error) {
	// The size is checked first, so that garbage of any other size costs nothing (A33).
	if len(frame) != m1Size {
		return h.fail(ReasonSize)
	}
	payload, err := h.exchange.readFirst(frame)
	if err != nil {
		return h.fail(ReasonCipher)
	}
	ek, err := parseKEMKey(payload)
	if err != nil {
		return h.fail(ReasonKeyShare)
	}
	shared, ct := h.cfg.random.encapsulateTo(ek)
	h.exchange.setPSK(makePSK(shared, payload, ct))

	// ← ct, e, ee, psk. The token ee refuses a low-order share.
	second, schedule, err := h.exchange.writeSecond()
	if err != nil {
		return h.fail(ReasonKeyShare)
	}
	h.head, h.schedule, h.exchange = append(ct, second...), schedule, nil
	h.toSign = h.signs(label.SessionServerSign)
	h.state = serverSigns
	return Step{Next: Sign}, nil
}

// ← server auth
func (h *Handshake) sendM2(signature []byte) (Step, error) {
	frame := h.sealAuth(h.head, label.SessionServerAuth, serverAuthFields, signature)
	h.head, h.state = nil, serverReadsM3
	return Step{Frame: frame, Next: Read}, nil
}

// ← ct, e, ee, psk, server auth
func (h *Handshake) receiveM2(frame []byte) (Step, error) {
	m, ok := parseM2(frame)
	if !ok {
		return h.fail(ReasonSize)
	}
	// A wrong ciphertext gives a wrong secret, not an error. Noise's tag then fails.
	shared, err := h.kem.Decapsulate(m.ct)
	if err != nil {
		return h.fail(ReasonKeyShare)
	}
	h.exchange.setPSK(makePSK(shared, h.kem.EncapsulationKey().Bytes(), m.ct))
	if h.schedule, err = h.exchange.readSecond(m.noise); err != nil {
		return h.fail(ReasonCipher)
	}
	h.kem, h.exchange = nil, nil
	if reason := h.openAuth(label.SessionServerAuth, label.SessionServerSign, serverAuthFields, m.auth); reason != 0 {
		return h.fail(reason)
	}
	// The client must know that this is the right server before the server learns who it is.
	h.state = clientDecides
	return Step{Next: Decide}, nil
}

// → client auth
func (h *Handshake) sendM3(signature []byte) (Step, error) {
	frame := h.sealAuth(nil, label.SessionClientAuth, clientAuthFields, signature)
	h.state = clientReadsM4
	return Step{Frame: frame, Next: Read}, nil
}

func (h *Handshake) receiveM3(frame []byte) (Step, error) {
	if len(frame) < minAuthSize {
		return h.fail(ReasonSize)
	}
	if reason := h.openAuth(label.SessionClientAuth, label.SessionClientSign, clientAuthFields, frame); reason != 0 {
		return h.fail(reason)
	}
	// The driver need not decide about a client that speaks something else.
	if h.differ != nil {
		step, _ := h.sendM4(codeSpeech)
		return step, h.differ
	}
	h.state = serverDecides
	return Step{Next: Decide}, nil
}

// ← verdict
func (h *Handshake) sendM4(code Code) (Step, error) {
	v := verdict{code: code}
	if code == codeAccepted {
		v = h.granted()
	}
	frame := h.schedule.seal(nil, label.SessionAccept, appendM4(nil, v))
	if code != codeAccepted {
		h.drop()
		return Step{Frame: frame}, nil
	}
	h.establish(false)
	return Step{Frame: frame, Next: Done}, nil
}

func (h *Handshake) receiveM4(frame []byte) (Step, error) {
	if len(frame) != m4Size {
		return h.fail(ReasonSize)
	}
	plain, err := h.schedule.open(label.SessionAccept, frame)
	if err != nil {
		return h.fail(ReasonCipher)
	}
	switch v, ok := parseM4(plain); {
	case !ok, v.code == codeSpeech && h.differ == nil:
		return h.fail(ReasonEncoding)
	case h.differ != nil: // whatever the server says
		return h.end(h.differ)
	case v.code != codeAccepted:
		return h.end(v.code.err())
	case !h.acceptVerdict(v):
		return h.fail(ReasonEncoding)
	}
	h.establish(true)
	return Step{Next: Done}, nil
}

// establish derives what the session needs, and drops the rest.
func (h *Handshake) establish(client bool) {
	session := newSession(h.schedule, client, h.peer, h.cfg, h.now)
	h.schedule.clear()
	h.schedule, h.state, h.session = nil, established, session
	h.terms = terms{hop: h.hop, lifetime: h.lifetime}
}

func (h *Handshake) late(now time.Time) bool {
	h.now = now
	return !now.Before(h.deadline)
}

func (h *Handshake) fail(reason Reason) (Step, error) { return h.end(&Error{reason, ErrHandshake}) }

func (h *Handshake) end(err error) (Step, error) {
	h.drop()
	return Step{}, err
}

// drop forgets every secret of a handshake that will not go on. It cannot reach copies
// that the runtime or the libraries made.
func (h *Handshake) drop() {
	if h.schedule != nil {
		h.schedule.clear()
	}
	*h = Handshake{deadline: h.deadline, differ: h.differ}
}

// Format prints no secrets, whatever the verb (A42).
func (h Handshake) Format(f fmt.State, _ rune) { fmt.Fprint(f, "engine.Handshake(redacted)") }
