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

// makePSK turns the ML-KEM shared secret into the Noise pre-shared key. Both sides
// of the exchange go in, so that neither can be exchanged for that of another
// session with the same secret (A26).
func makePSK(shared, ek, ct []byte) []byte { return bindKEM(label.SessionPSK, shared, ek, ct) }

// bindKEM turns an ML-KEM shared secret into one for a purpose, of this key and this
// ciphertext.
func bindKEM(purpose label.Label, shared, ek, ct []byte) []byte {
	ekHash, ctHash := sha256.Sum256(ek), sha256.Sum256(ct)
	info := purpose.With(ekHash[:], ctHash[:])
	return must(hkdf.Key(sha256.New, shared, nil, string(info), secretSize))
}

// schedule is the key schedule. Everything after Noise is derived from one secret
// and from the transcript at that point, so a key exists only where both ends
// have seen the same bytes.
type schedule struct {
	secret     [secretSize]byte // hs
	transcript [hashSize]byte   // h, then t, then th
}

// newSchedule starts from what Noise leaves: its handshake hash and its two split
// keys, first the initiator's. Both are used as one secret and encrypt nothing
// themselves, so that no nonce of theirs can repeat. A rekey has a third secret, that
// of its ML-KEM exchange.
func newSchedule(h []byte, secrets ...[]byte) *schedule {
	s := new(schedule)
	ikm := slices.Concat(secrets...)
	copy(s.secret[:], must(hkdf.Extract(sha256.New, ikm, h)))
	copy(s.transcript[:], h)
	clear(ikm)
	return s
}

// absorb moves the transcript on over one authentication message, as it was on
// the wire. One message at a time: hashing the two in a row would leave their
// boundary open.
func (s *schedule) absorb(message []byte) {
	s.transcript = sha256.Sum256(label.SessionTranscript.With(s.transcript[:], message))
}

// derive returns a secret for one purpose at this point of the handshake.
func (s *schedule) derive(purpose label.Label) []byte {
	return expand(s.secret[:], purpose.With(s.transcript[:]), secretSize)
}

// signed returns what an end signs to prove that it, holding this identity and speaking
// this, takes part in this handshake in this role.
func (s *schedule) signed(role label.Label, identity, speech []byte) []byte {
	hash := sha256.Sum256(identity)
	return role.With(s.transcript[:], hash[:], speech)
}

// seal appends a handshake message encrypted under its own key. The nonce is
// fixed because the key is used for this one message: its derivation holds the
// transcript, and the transcript both ends' fresh shares.
func (s *schedule) seal(dst []byte, purpose label.Label, plain []byte) []byte {
	var nonce [12]byte
	return newAEAD(s.derive(purpose)).Seal(dst, nonce[:], plain, []byte(purpose))
}

// open is the reverse of seal.
func (s *schedule) open(purpose label.Label, sealed []byte) ([]byte, error) {
	var nonce [12]byte
	return newAEAD(s.derive(purpose)).Open(nil, nonce[:], sealed, []byte(purpose))
}

func (s *schedule) clear() { *s = schedule{} }

func expand(secret, info []byte, size int) []byte {
	return must(hkdf.Expand(sha256.New, secret, string(info), size))
}

func newAEAD(key []byte) cipher.AEAD { return must(cipher.NewGCM(must(aes.NewCipher(key)))) }

// must is for calls that fail only on a wrong size, which is our own bug.
func must[T any](v T, err error) T {
	if err != nil {
		panic("hopseal: " + err.Error())
	}
	return v
}
