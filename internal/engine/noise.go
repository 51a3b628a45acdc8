package engine

import (
	"bytes"
	"crypto/ecdh"
	"crypto/mlkem"
	"io"

	"github.com/flynn/noise"

	"github.com/hopseal/hopseal/internal/label"
)

// random makes the fresh shares of a handshake. Its zero value uses the operating
// system's generator. Only known-answer tests set anything else.
type random struct {
	ephemeral   io.Reader
	generate    func() (*mlkem.DecapsulationKey768, error)
	encapsulate func(*mlkem.EncapsulationKey768) (shared, ct []byte)
}

func (r random) generateKEM() (*mlkem.DecapsulationKey768, error) {
	if r.generate != nil {
		return r.generate()
	}
	return mlkem.GenerateKey768()
}

func (r random) encapsulateTo(ek *mlkem.EncapsulationKey768) (shared, ct []byte) {
	if r.encapsulate != nil {
		return r.encapsulate(ek)
	}
	return ek.Encapsulate()
}

// exchange is one run of Noise_NNpsk2_25519_AESGCM_SHA256. A resume and a rekey run
// NNpsk0 instead. The type keeps the library's traps in one place: a caller may forget
// the pre-shared key, the state is useless after any error, and results alias the
// library's own memory.
type exchange struct {
	noise *noise.HandshakeState
	share *x25519 // this end's
	keyed bool
}

// newSuite returns the cipher suite for one exchange, with this end's share.
func newSuite(share *x25519) noise.CipherSuite {
	return noise.NewCipherSuite(share, noise.CipherAESGCM, noise.HashSHA256)
}

// x25519 is Noise's Diffie-Hellman function for one exchange of the NN patterns,
// in which an end has only one key. The library's own function would compute the public
// half of that key again for each secret, a third of all its work.
type x25519 struct{ key *ecdh.PrivateKey }

func (x *x25519) GenerateKeypair(random io.Reader) (noise.DHKey, error) {
	secret := make([]byte, shareSize)
	if _, err := io.ReadFull(random, secret); err != nil {
		return noise.DHKey{}, err
	}
	key, err := ecdh.X25519().NewPrivateKey(secret)
	if err != nil {
		return noise.DHKey{}, err
	}
	x.key = key
	return noise.DHKey{Private: secret, Public: key.PublicKey().Bytes()}, nil
}

// DH ignores the private key that it is given, which can only be the one generated
// here. It returns an error for a share of low order, whose secret is all zeros.
func (x *x25519) DH(_, public []byte) ([]byte, error) {
	share, err := ecdh.X25519().NewPublicKey(public)
	if err != nil || x.key == nil {
		return nil, ErrClosed
	}
	return x.key.ECDH(share)
}

func (x *x25519) DHLen() int     { return shareSize }
func (x *x25519) DHName() string { return "25519" }

func newExchange(initiator bool, prologue []byte, ephemeral io.Reader) *exchange {
	share := new(x25519)
	return &exchange{share: share, noise: must(noise.NewHandshakeState(noise.Config{
		CipherSuite: newSuite(share),
		Pattern:     noise.HandshakeNN,
		// The key itself is made during the handshake, from the ML-KEM exchange.
		PresharedKeyPlacement: 2,
		Initiator:             initiator,
		Prologue:              prologue,
		Random:                ephemeral,
	}))}
}

// newKeyedExchange is like newExchange, for Noise_NNpsk0_25519_AESGCM_SHA256, whose key
// is there from the beginning. It panics without a key, since the library would then
// build the pattern that has none.
func newKeyedExchange(initiator bool, prologue, psk []byte, ephemeral io.Reader) *exchange {
	if len(psk) != secretSize {
		panic("hopseal: an exchange without its key")
	}
	share := new(x25519)
	return &exchange{keyed: true, share: share, noise: must(noise.NewHandshakeState(noise.Config{
		CipherSuite:  newSuite(share),
		Pattern:      noise.HandshakeNN,
		PresharedKey: psk,
		Initiator:    initiator,
		Prologue:     prologue,
		Random:       ephemeral,
	}))}
}

// prologue binds an exchange to the version and to a purpose. Both ends make the same
// prologue.
func prologue(purpose string, more ...[]byte) []byte {
	b := append(label.SessionPrologue.With([]byte{byte(len(purpose))}), purpose...)
	return append(b, bytes.Join(more, nil)...)
}

// sessionPrologue says nothing about the ends. Anybody can open the payload of m1, and so
// could test guesses of anything else in the prologue. The ends say what they speak inside
// the encryption.
func sessionPrologue() []byte { return prologue("session") }

// resumePrologue binds a resume to what the ends have agreed to speak.
func resumePrologue(s Speech) []byte {
	return prologue("resume", []byte{byte(len(s.Protocol))}, []byte(s.Protocol), []byte{byte(s.Proof)})
}

// rekeyPrologue binds a rekey to this session, this link and this epoch of the link. The
// ids are derived from everything that the two ends agreed on before.
func rekeyPrologue(session, link []byte) []byte { return prologue("rekey", session, link) }

func (x *exchange) writeFirst(payload []byte) ([]byte, error) {
	out, _, _, err := x.noise.WriteMessage(nil, payload)
	return out, err
}

func (x *exchange) readFirst(message []byte) (payload []byte, err error) {
	payload, _, _, err = x.noise.ReadMessage(nil, message)
	return payload, err
}

// setPSK sets the pre-shared key. The caller calls it before the second message: a reader
// without a key would accept a peer that used an empty one, and the post-quantum protection
// would be gone (A25).
func (x *exchange) setPSK(psk []byte) {
	if err := x.noise.SetPresharedKey(psk); err != nil {
		panic("hopseal: " + err.Error())
	}
	x.keyed = true
}

func (x *exchange) writeSecond() ([]byte, *schedule, error) { return x.writeSecondWith(nil, nil) }

// writeSecondWith is like writeSecond, with a payload, and with a secret of 32 bytes that
// goes into the schedule.
func (x *exchange) writeSecondWith(payload, secret []byte) ([]byte, *schedule, error) {
	if !x.keyed {
		return nil, nil, ErrClosed
	}
	out, toResponder, toInitiator, err := x.noise.WriteMessage(nil, payload)
	if err != nil {
		return nil, nil, err
	}
	return out, x.split(toResponder, toInitiator, secret), nil
}

func (x *exchange) readSecond(message []byte) (*schedule, error) {
	if !x.keyed || len(message) != noiseM2Size {
		return nil, ErrClosed
	}
	return x.readSecondWith(message, func([]byte) ([]byte, error) { return nil, nil })
}

// readSecondWith reads what the other end wrote with writeSecondWith. secretOf makes the
// secret from the payload.
func (x *exchange) readSecondWith(message []byte, secretOf func(payload []byte) ([]byte, error)) (*schedule, error) {
	payload, toResponder, toInitiator, err := x.noise.ReadMessage(nil, message)
	if err != nil {
		return nil, err
	}
	secret, err := secretOf(payload)
	if err != nil {
		return nil, err
	}
	return x.split(toResponder, toInitiator, secret), nil
}

// split ends the exchange. Noise returns the two keys in the same order at both ends, and
// split does not swap them by role: together they are one secret.
func (x *exchange) split(toResponder, toInitiator *noise.CipherState, secret []byte) *schedule {
	first, second := toResponder.UnsafeKey(), toInitiator.UnsafeKey()
	return newSchedule(x.noise.ChannelBinding(), first[:], second[:], secret)
}
