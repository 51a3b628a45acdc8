package engine

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"slices"

	"github.com/hopseal/hopseal/internal/label"
)

const (
	hashSize   = sha256.Size
	secretSize = 32
	keySize    = 32 // AES-256
	tagSize    = 16
)

// makePSK turns the ML-KEM shared secret into the Noise pre-shared key. The ML-KEM key and
// the ciphertext both go in, so that nobody can replace either by that of another session
// with the same secret (A26).
func makePSK(shared, ek, ct []byte) []byte { return bindKEM(label.SessionPSK, shared, ek, ct) }

// bindKEM derives from an ML-KEM shared secret one for a purpose, bound to this key and
// this ciphertext.
func bindKEM(purpose label.Label, shared, ek, ct []byte) []byte {
	ekHash, ctHash := sha256.Sum256(ek), sha256.Sum256(ct)
	info := purpose.With(ekHash[:], ctHash[:])
	return must(hkdf.Key(sha256.New, shared, nil, string(info), secretSize))
}

// schedule is the key schedule. It derives everything after Noise from one secret and from
// the transcript at that point. So both ends have the same key only if they have seen the
// same bytes.
type schedule struct {
	secret     [secretSize]byte // hs
	transcript [hashSize]byte   // h, then t, then th
}

// newSchedule starts from what Noise returns: its handshake hash and its two split keys,
// the initiator's first. Together they are one secret. They encrypt nothing themselves, so
// that no nonce can repeat under them. A rekey adds a third secret, that of its ML-KEM
// exchange.
func newSchedule(h []byte, secrets ...[]byte) *schedule {
	s := new(schedule)
	ikm := slices.Concat(secrets...)
	copy(s.secret[:], must(hkdf.Extract(sha256.New, ikm, h)))
	copy(s.transcript[:], h)
	clear(ikm)
	return s
}

// absorb adds one authentication message to the transcript, as it was on the wire. It
// takes one message at a time: a hash of two in a row would not fix the boundary between
// them.
func (s *schedule) absorb(message []byte) {
	s.transcript = sha256.Sum256(label.SessionTranscript.With(s.transcript[:], message))
}

// derive returns a secret for one purpose at this point of the handshake.
func (s *schedule) derive(purpose label.Label) []byte {
	return expand(s.secret[:], purpose.With(s.transcript[:]), secretSize)
}

// signed returns what an end signs. The signature proves that the holder of this identity,
// who speaks this, takes part in this handshake in this role.
func (s *schedule) signed(role label.Label, identity, speech []byte) []byte {
	hash := sha256.Sum256(identity)
	return role.With(s.transcript[:], hash[:], speech)
}

// seal appends a handshake message, encrypted under its own key. The nonce is fixed
// because the key encrypts only this message: it is derived from the transcript, which
// contains both ends' fresh shares.
func (s *schedule) seal(dst []byte, purpose label.Label, plain []byte) []byte {
	var nonce [12]byte
	return newAEAD(s.derive(purpose)).Seal(dst, nonce[:], plain, []byte(purpose))
}

// open decrypts what seal has appended.
func (s *schedule) open(purpose label.Label, sealed []byte) ([]byte, error) {
	var nonce [12]byte
	return newAEAD(s.derive(purpose)).Open(nil, nonce[:], sealed, []byte(purpose))
}

func (s *schedule) clear() { *s = schedule{} }

func expand(secret, info []byte, size int) []byte {
	return must(hkdf.Expand(sha256.New, secret, string(info), size))
}

func newAEAD(key []byte) cipher.AEAD { return must(cipher.NewGCM(must(aes.NewCipher(key)))) }

// must returns v, and panics on an error. It is for calls that fail only on a wrong size,
// which is our own bug.
func must[T any](v T, err error) T {
	if err != nil {
		panic("hopseal: " + err.Error())
	}
	return v
}
