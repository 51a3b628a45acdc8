package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// gcm is AES-256-GCM as its fastest user has it: the key prepared, the nonce
// counted, the buffers reused.
type gcm struct {
	aead           cipher.AEAD
	nonce          [12]byte
	count          uint64
	sealed, opened []byte
}

func (g *gcm) init() error {
	block, err := aes.NewCipher(message(32))
	if err != nil {
		return err
	}
	g.aead, err = cipher.NewGCM(block)
	return err
}

func (g *gcm) seal(plaintext []byte) error {
	g.count++
	binary.BigEndian.PutUint64(g.nonce[4:], g.count)
	g.sealed = g.aead.Seal(g.sealed[:0], g.nonce[:], plaintext, nil)
	return nil
}

func (g *gcm) open() (_ []byte, err error) {
	g.opened, err = g.aead.Open(g.opened[:0], g.nonce[:], g.sealed, nil)
	return g.opened, err
}

func newGCM() (codec, error) {
	g := new(gcm)
	return codec{"AES-256-GCM", g.seal, g.open}, g.init()
}

var errSignature = errors.New("the signature does not verify")

// signedGCM is the least that a sealed and signed message takes: AES-256-GCM, and
// Ed25519 of one short input.
type signedGCM struct {
	gcm
	public  ed25519.PublicKey
	private ed25519.PrivateKey
	input   func() []byte // what is signed, 32 bytes
	sig     []byte
}

func (s *signedGCM) init() (err error) {
	if s.public, s.private, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return err
	}
	return s.gcm.init()
}

func (s *signedGCM) seal(plaintext []byte) error {
	err := s.gcm.seal(plaintext)
	s.sig = ed25519.Sign(s.private, s.input())
	return err
}

func (s *signedGCM) open() ([]byte, error) {
	if !ed25519.Verify(s.public, s.input(), s.sig) {
		return nil, errSignature
	}
	return s.gcm.open()
}

// newSignedGCM signs an input that costs nothing to make.
func newSignedGCM() (codec, error) {
	input := message(sha256.Size)
	s := &signedGCM{input: func() []byte { return input }}
	return codec{"AES-256-GCM + Ed25519", s.seal, s.open}, s.init()
}

// newDigestedGCM signs the digest of the ciphertext.
func newDigestedGCM() (codec, error) {
	var digest [sha256.Size]byte
	s := new(signedGCM)
	s.input = func() []byte {
		digest = sha256.Sum256(s.sealed)
		return digest[:]
	}
	return codec{"AES-256-GCM + SHA-256 + Ed25519", s.seal, s.open}, s.init()
}
