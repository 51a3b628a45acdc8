package main

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha3"
	"fmt"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
)

// recipientRows hold the suite for recipients against the X-Wing encapsulations
// without which there is none.
func recipientRows(e effort) ([]row, error) {
	var rows []row
	for _, c := range []struct {
		recipients int
		goal       goal
	}{{100, atMost(1.1)}, {1, goal{}}} {
		bare, err := newEncapsulations(c.recipients)
		if err != nil {
			return nil, err
		}
		ours, err := newRecipients(c.recipients)
		if err != nil {
			return nil, err
		}
		more, err := compare(e, 1<<10, ours, bare, c.goal)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	one, err := oneRecipient(e)
	return append(rows, one...), err
}

// oneRecipient has all that one recipient takes on the other side.
func oneRecipient(e effort) ([]row, error) {
	ours, err := newRecipients(1)
	if err != nil {
		return nil, err
	}
	bare, err := newXWingSigned()
	if err != nil {
		return nil, err
	}
	return compare(e, 1<<10, ours, bare, goal{})
}

func newRecipients(n int) (codec, error) {
	alice, err := keys.GenerateIdentity("alice")
	if err != nil {
		return codec{}, err
	}
	s := &envelope.Sealer{From: alice, Context: "bench"}
	var last *keys.Identity
	for range n {
		if last, err = keys.GenerateIdentity("bob"); err != nil {
			return codec{}, err
		}
		s.To = append(s.To, last.Public())
	}
	o := &envelope.Opener{Identity: last, From: alice.Public(), Context: "bench", InsecureAllowReplay: true}
	return envelopeCodec(fmt.Sprintf("recipients (%d)", n), s, o), nil
}

// xwing is a key pair of X-Wing (draft-connolly-cfrg-xwing-kem), made ready to
// use: what cannot be prepared is done for each message.
type xwing struct {
	m     *mlkem.DecapsulationKey768
	mPub  *mlkem.EncapsulationKey768
	x     *ecdh.PrivateKey
	xPub  *ecdh.PublicKey
	bytes []byte // of xPub
}

// newXWing expands a seed of 32 bytes, section 5.2.
func newXWing(seed []byte) (*xwing, error) {
	expanded := sha3.SumSHAKE256(seed, 96)
	m, err := mlkem.NewDecapsulationKey768(expanded[:64])
	if err != nil {
		return nil, err
	}
	x, err := ecdh.X25519().NewPrivateKey(expanded[64:])
	if err != nil {
		return nil, err
	}
	return &xwing{m, m.EncapsulationKey(), x, x.PublicKey(), x.PublicKey().Bytes()}, nil
}

// encapsulate is section 5.4.
func (k *xwing) encapsulate() (secret [32]byte, ciphertext []byte, err error) {
	e, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return secret, nil, err
	}
	ssX, err := e.ECDH(k.xPub)
	if err != nil {
		return secret, nil, err
	}
	ssM, ctM := k.mPub.Encapsulate()
	ctX := e.PublicKey().Bytes()
	return combine(ssM, ssX, ctX, k.bytes), append(ctM, ctX...), nil
}

// decapsulate is section 5.5.
func (k *xwing) decapsulate(ciphertext []byte) (secret [32]byte, err error) {
	ctM, ctX := ciphertext[:mlkem.CiphertextSize768], ciphertext[mlkem.CiphertextSize768:]
	ssM, err := k.m.Decapsulate(ctM)
	if err != nil {
		return secret, err
	}
	e, err := ecdh.X25519().NewPublicKey(ctX)
	if err != nil {
		return secret, err
	}
	ssX, err := k.x.ECDH(e)
	if err != nil {
		return secret, err
	}
	return combine(ssM, ssX, ctX, k.bytes), nil
}

// combine is section 5.3.
func combine(ssM, ssX, ctX, pkX []byte) [32]byte {
	var room [32*4 + 6]byte
	input := append(append(append(append(room[:0], ssM...), ssX...), ctX...), pkX...)
	return sha3.Sum256(append(input, `\.//^\`...))
}

// newEncapsulations seals nothing: it makes a secret for each of n keys.
func newEncapsulations(n int) (codec, error) {
	var all []*xwing
	for range n {
		k, err := newXWing(message(32))
		if err != nil {
			return codec{}, err
		}
		all = append(all, k)
	}
	encapsulate := func([]byte) error {
		for _, k := range all {
			if _, _, err := k.encapsulate(); err != nil {
				return err
			}
		}
		return nil
	}
	return codec{name: fmt.Sprintf("X-Wing, encapsulate to %d", n), seal: encapsulate}, nil
}

// newXWingSigned has an encapsulation beside its seal, whose key it does not use.
func newXWingSigned() (codec, error) {
	k, err := newXWing(message(32))
	if err != nil {
		return codec{}, err
	}
	rest, err := newSignedGCM()
	var ciphertext []byte
	return codec{"X-Wing + " + rest.name,
		func(plaintext []byte) (err error) {
			if _, ciphertext, err = k.encapsulate(); err != nil {
				return err
			}
			return rest.seal(plaintext)
		},
		func() ([]byte, error) {
			if _, err := k.decapsulate(ciphertext); err != nil {
				return nil, err
			}
			return rest.open()
		}}, err
}
