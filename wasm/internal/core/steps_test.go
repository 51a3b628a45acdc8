package core

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// stepper does WebCrypto's part of the steps.
type stepper struct {
	client
	ann, bob identity
	sealed   []byte
}

func newStepper(t *testing.T) *stepper {
	s := &stepper{client: newClient(t)}
	s.ann, s.bob = s.generate("ann"), s.generate("bob")
	handle, digest, message := s.seal("text")
	tail := s.must("sealEnd", handle, digest)
	s.sealed = append(message, tail.bytes()...)
	return s
}

// seal returns what the last step takes, and the message up to what that gives.
func (s *stepper) seal(text string) (handle uint32, digest, message []byte) {
	f := s.must("sealBegin", s.ann.handle, []uint32{s.bob.public.handle}, 0, "", "", "", "", len(text))
	handle = f.number()
	key, nonce, aad := f.bytes(), f.bytes(), f.bytes()
	before, after, head, length, size := f.bytes(), f.bytes(), f.bytes(), f.number(), f.number()
	f.end()
	padded := append(binary.BigEndian.AppendUint32(nil, length), text...)
	body := gcm(s.t, key).Seal(nil, nonce, append(padded, make([]byte, int(size)-len(padded))...), aad)
	sum := sha256.Sum256(slices.Concat(before, body, after))
	return handle, sum[:], slices.Concat(head, body)
}

func gcm(t testing.TB, key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return aead
}

// open returns the handle, the digest that verifies, and what gives the padded plaintext.
func (s *stepper) open(guard uint32) (handle uint32, digest []byte, decrypt func(verified fields) []byte) {
	f := s.must("openBegin", s.bob.handle, s.ann.public.handle, 0, "", "", "", 0, guard, s.sealed)
	handle = f.number()
	before, after, at, size := f.bytes(), f.bytes(), f.number(), f.number()
	f.end()
	body := s.sealed[at:][:size]
	sum := sha256.Sum256(slices.Concat(before, body, after))
	return handle, sum[:], func(verified fields) []byte {
		key, nonce, aad := verified.bytes(), verified.bytes(), verified.bytes()
		padded, err := gcm(s.t, key).Open(nil, nonce, body[verified.number():], aad)
		if err != nil {
			s.t.Fatal(err)
		}
		return padded
	}
}

func (s *stepper) wantReason(reason, name string, values ...any) {
	s.t.Helper()
	if e := s.wantCode("open-failed", name, values...); e.Reason != reason {
		s.t.Errorf("%s: reason %q, want %q", name, e.Reason, reason)
	}
}

// A10: nothing of a message counts, is given out or is remembered before its proof has verified,
// in whatever order the steps are taken.
func TestA10StepsOutOfOrder(t *testing.T) {
	s := newStepper(t)
	guard := s.guard()
	_, _, decrypt := s.open(guard)
	other, digest, _ := s.open(guard)
	padded := decrypt(s.must("openVerify", other, digest))

	unverified, _, _ := s.open(guard)
	s.wantReason("proof", "openEnd", unverified, padded)
	s.wantCode("closed", "openVerify", unverified, digest)

	forged, _, _ := s.open(guard)
	s.wantReason("proof", "openVerify", forged, make([]byte, 32))
	s.wantReason("proof", "openEnd", forged, padded)

	s.must("openEnd", other, padded)
	s.wantCode("closed", "openEnd", other, padded)
}

// A plaintext of another size than the body's is none, whoever decrypted it.
func TestStepsTakeAPlaintextOfTheBodysSize(t *testing.T) {
	s := newStepper(t)
	chosen := append(binary.BigEndian.AppendUint32(nil, 1<<31|4), "text"...)
	for name, other := range map[string]func(padded []byte) []byte{
		"none":           func([]byte) []byte { return nil },
		"shorter":        func(padded []byte) []byte { return chosen },
		"longer":         func(padded []byte) []byte { return append(chosen, make([]byte, len(padded))...) },
		"not by padding": func(padded []byte) []byte { return append(padded, 0) },
	} {
		guard := s.guard()
		handle, digest, decrypt := s.open(guard)
		padded := decrypt(s.must("openVerify", handle, digest))
		s.wantReason("body", "openEnd", handle, other(slices.Clone(padded)))
		handle, digest, _ = s.open(guard)
		s.must("openVerify", handle, digest)
		if _, err := s.call("openEnd", handle, padded); err != nil {
			t.Errorf("after one that is %s: %v", name, err)
		}
	}
}

// One sealing signs one digest.
func TestASealingSignsOnce(t *testing.T) {
	s := newStepper(t)
	handle, digest, _ := s.seal("text")
	s.must("sealEnd", handle, digest)
	s.wantCode("closed", "sealEnd", handle, make([]byte, 32))
	handle, digest, _ = s.seal("text")
	s.wantCode("bad-argument", "sealEnd", handle, digest[1:])
	s.wantCode("closed", "sealEnd", handle, digest)
}

// What is sealed here opens here: the largest message, with all recipients there may be, is a request.
func TestTheLargestMessageCanBeOpened(t *testing.T) {
	s := newStepper(t)
	sizes := func(to []uint32, shared uint32, party string) (head, padded int) {
		from := s.ann.handle
		if shared != 0 {
			from = 0
		}
		f := s.must("sealBegin", from, to, shared, party, party+party, strings.Repeat("t", 128), strings.Repeat("c", 1024), MaxPlaintext)
		for range 6 {
			f.bytes() // handle, key, nonce, AAD, before, after
		}
		head = len(f.bytes())
		f.number() // length
		return head, int(f.number())
	}
	const others = 999 * (1 + 2 + 32 + 3 + 1168)
	const fields = 2000 // of openBegin beside the envelope
	head, padded := sizes([]uint32{s.bob.public.handle}, 0, "")
	if whole := head + padded + 16 + 66 + others + fields; whole > MaxRequest {
		t.Errorf("an envelope takes %d bytes, a request %d", whole, MaxRequest)
	}
	shared := s.must("sharedGenerate")
	if head, padded = sizes(nil, shared.number(), "x"); head+padded+fields > MaxRequest {
		t.Error("under a shared keyset it does not fit")
	}
	s.wantCode("too-large", "sealBegin", s.ann.handle, []uint32{s.bob.public.handle}, 0, "", "", "", "", MaxPlaintext+1)
	s.wantCode("too-large", "sealBegin", s.ann.handle, []uint32{s.bob.public.handle}, 0, "", "", "", "", uint32(1<<32-1))
	s.wantCode("too-large", "seal", s.ann.handle, []uint32{s.bob.public.handle}, 0, "", "", "", "", make([]byte, MaxPlaintext+1))
}
