package engine

import (
	"bytes"
	"crypto/ed25519"
	"crypto/mlkem"
	"errors"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// Sizes in bytes of the handshake's parts.
const (
	shareSize = 32 // X25519, Noise e
	ekSize    = mlkem.EncapsulationKeySize768
	ctSize    = mlkem.CiphertextSize768

	m1Size      = shareSize + ekSize + tagSize
	noiseM2Size = shareSize + tagSize
	m2HeadSize  = ctSize + noiseM2Size
	m4Size      = minBucket + tagSize

	minAuthSize = minBucket + tagSize
)

// MaxHandshakeFrame is the largest handshake message, in bytes: the largest identity
// and the largest credentials fit. Longer frames are refused unread.
const MaxHandshakeFrame = 12 << 10

// MaxFirstFrame is the largest first frame that a server takes from a stranger, in bytes.
// It is well above the size of m1: a frame that is a little longer than m1 is refused like
// every other frame that cannot be an m1.
const MaxFirstFrame = 8 << 10

// m1, client to server:
//
//	size  meaning                                                     seen by a hop
//	32    Noise e: the client's X25519 share                          yes
//	1184  ek: its ML-KEM-768 encapsulation key, as Noise payload      yes (see below)
//	16    Noise tag
//
// In a psk pattern the first payload is encrypted under a key that anybody can
// derive from e, so everybody can read ek. It is a public key.
//
// Noise makes and reads these bytes. There is nothing else in m1.

// parseKEMKey reads ek. It checks that every coefficient is below the modulus. It also
// refuses the key whose polynomials are all zero: a ciphertext for that key shows its
// secret to everybody, and only an attacker would send such a key (A25).
func parseKEMKey(b []byte) (*mlkem.EncapsulationKey768, error) {
	const seedSize = 32
	if len(b) == ekSize && bytes.Equal(b[:ekSize-seedSize], make([]byte, ekSize-seedSize)) {
		return nil, errZeroKey
	}
	return mlkem.NewEncapsulationKey768(b)
}

var errZeroKey = errors.New("engine: zero encapsulation key")

// m2 is the server's answer:
//
//	size      meaning                                                 seen by a hop
//	1088      ct: the ML-KEM-768 ciphertext for ek                    yes
//	32        Noise e: the server's X25519 share                      yes
//	16        Noise tag over the transcript; the payload is empty
//	variable  server auth, encrypted                                  length
type m2 struct{ ct, noise, auth []byte }

func parseM2(frame []byte) (m2, bool) {
	if len(frame) < m2HeadSize+minAuthSize || len(frame) > MaxHandshakeFrame {
		return m2{}, false
	}
	return m2{frame[:ctSize], frame[ctSize:m2HeadSize], frame[m2HeadSize:]}, true
}

// auth is the plaintext of server auth and of client auth, padded like every other
// one. m3 is client auth and nothing else.
//
//	type         meaning
//	array        of 3 values from a server, 5 from a client
//	bin          the sender's public identity, at most keys.MaxPublicSize bytes
//	bin, 257     what the sender speaks, see Speech
//	bin          credentials, at most MaxCredentials bytes: from a client only
//	bin, 0 | 32  hop mark, see hopMark: from a client only
//	bin, 64      Ed25519 signature by the identity's primary signing key
type auth struct{ identity, speech, credentials, mark, signature []byte }

const serverAuthFields, clientAuthFields = 3, 5

func appendAuth(dst []byte, fields int, a auth) []byte {
	body := strict.AppendArray(nil, fields)
	body = strict.AppendBin(strict.AppendBin(body, a.identity), a.speech)
	if fields == clientAuthFields {
		body = strict.AppendBin(body, a.credentials)
		body = strict.AppendBin(body, a.mark)
	}
	body = strict.AppendBin(body, a.signature)
	return appendPadded(dst, nil, body)
}

func parseAuth(plain []byte, fields int) (auth, bool) {
	_, body, ok := parsePadded(plain, 0)
	if !ok {
		return auth{}, false
	}
	r := strict.NewReader(body)
	var a auth
	r.Array(fields)
	a.identity = r.Bin(1, keys.MaxPublicSize)
	a.speech = r.Bin(speechSize, speechSize)
	if fields == clientAuthFields {
		a.credentials = r.Bin(0, MaxCredentials)
		a.mark = r.Bin(0, hashSize)
	}
	a.signature = r.Bin(ed25519.SignatureSize, ed25519.SignatureSize)
	return a, r.Done() == nil && markFits(a.mark)
}

// A Code is the server's verdict in m4.
type Code byte

// Codes. All of them are sent encrypted, in frames of one length.
const (
	codeAccepted Code = iota

	// CodeRefused says that the server will not speak to this identity. The server
	// does not say which rule refused it.
	CodeRefused

	// CodeUnavailable says that the server has no room now, or is shutting down.
	CodeUnavailable

	// CodeUnknown says, in a resume only, that the session is not there any more. The
	// server's store found that out after r3.
	CodeUnknown

	// codeSpeech says, in a handshake only, that the two ends do not speak the same, see Speech.
	codeSpeech

	// CodeLapsed says that the client's statement has expired, or is from the future, by the
	// server's clock. In a handshake the server sends it whenever it refuses such a statement,
	// whatever else it knows about the owner. In a resume the server sends it if nothing else is
	// wrong, or if it has seen a later statement. The session then waits for another attempt.
	CodeLapsed

	// CodeStale says, in a resume only, that the client's credentials are not valid at this time
	// by the server's clock, and that nothing else is wrong. The session waits for another attempt.
	CodeStale
)

// appendM4 appends the plaintext of m4, server to client: a verdict as its fields and no
// data, padded to one bucket.
func appendM4(dst []byte, v verdict) []byte {
	var fields [verdictSize]byte
	return appendPadded(dst, v.append(fields[:0]), nil)
}

func parseM4(plain []byte) (verdict, bool) {
	fields, data, ok := parsePadded(plain, verdictSize)
	if !ok || len(data) != 0 {
		return verdict{}, false
	}
	return parseVerdict(fields, codeAccepted, CodeRefused, CodeUnavailable, codeSpeech, CodeLapsed)
}
