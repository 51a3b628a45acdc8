package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/signing"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// signed has both ends sign what they send.
func signed(c *e2e.Config, s *e2e.ServerConfig) {
	c.Proof, s.Proof = e2e.ProofEd25519, e2e.ProofEd25519
}

// signedMessage returns a message that alice has sent, with its proof.
func signedMessage(t testing.TB, typ, data string) e2e.Message {
	t.Helper()
	c, s := overAs(t, signed)
	sendTyped(t, c, "before", "")
	sendTyped(t, c, typ, data)
	if _, err := s.ReceiveMessage(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, err := s.ReceiveMessage(t.Context())
	if err != nil || m.Type != typ || string(m.Data) != data || m.ID != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	return m
}

// A message of a session that signs proves to a third party who has sent it: that it was
// this message, in this place, and nobody else.
func TestProofsHoldForOthers(t *testing.T) {
	m := signedMessage(t, "order.create", "one pear")
	got, err := e2e.VerifyProof(alice.Public(), m.Proof, m.Data)
	if err != nil || got.Type != m.Type || got.ID != m.ID || !got.Time.Equal(m.Time) || !bytes.Equal(got.Data, m.Data) {
		t.Fatalf("%+v, %v", got, err)
	}
	for bit := range 8 * len(m.Proof) {
		bad := bytes.Clone(m.Proof)
		bad[bit/8] ^= 1 << (bit % 8)
		if got, err := e2e.VerifyProof(alice.Public(), bad, m.Data); err != signing.ErrProof {
			t.Errorf("bit %d: %+v, %v", bit, got, err)
		}
	}
	for n := range m.Proof {
		if _, err := e2e.VerifyProof(alice.Public(), m.Proof[:n], m.Data); err != signing.ErrProof {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	for name, wrong := range map[string]error{
		"another sender":  verdict(e2e.VerifyProof(bob.Public(), m.Proof, m.Data)),
		"other data":      verdict(e2e.VerifyProof(alice.Public(), m.Proof, []byte("two pears"))),
		"more of it":      verdict(e2e.VerifyProof(alice.Public(), append(bytes.Clone(m.Proof), 0), m.Data)),
		"another's proof": verdict(e2e.VerifyProof(alice.Public(), signedMessage(t, "order.create", "a plum").Proof, m.Data)),
	} {
		if wrong != signing.ErrProof {
			t.Errorf("%s: %v", name, wrong)
		}
	}
}

func verdict(_ e2e.Message, err error) error { return err }

func TestUnsignedSessionsProveNothing(t *testing.T) {
	c, s := over(t)
	sendTyped(t, c, "order", "x")
	if m, err := s.ReceiveMessage(t.Context()); err != nil || m.Proof != nil {
		t.Errorf("%+v, %v", m, err)
	}
}

// Calls, answers, values, refusals and gaps work in sessions that sign.
func TestSignedSession(t *testing.T) {
	told, heard := refusals()
	c, s := overAs(t, func(c *e2e.Config, s *e2e.ServerConfig) { signed(c, s); c.Refused = told })
	mustSend(t, s, "bare")
	mustReceive(t, c, "bare")
	router := mux.New()
	router.Handle("upper", func(ctx context.Context, r *e2e.Request) ([]byte, error) {
		if _, err := e2e.VerifyProof(alice.Public(), r.Proof, r.Data); err != nil {
			t.Error(err)
		}
		return upper(ctx, r)
	})
	serving(t, s, router)
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			for j := range 20 {
				m := fmt.Sprint("m", i, " ", j)
				mustCall(t, c, "upper", m, strings.ToUpper(m))
				if j%5 == 0 {
					sendTyped(t, c, "unknown", m) // its refusal takes a number among the answers
				}
			}
		})
	}
	work.Wait()
	wantRefused(t, <-heard, 0, e2e.RefusedType)
}

// A message without its sender's signature ends the session, with a reason of its own.
func TestBadSignatureEndsTheSession(t *testing.T) {
	header := []byte{0, 0, 0, 0, 0, 0, 0, 0}
	for name, message := range map[string][]byte{
		"none":       header,
		"half of it": append(bytes.Clone(header), make([]byte, 95)...),
		"zeros":      append(bytes.Clone(header), make([]byte, 96)...),
		"a request":  append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 100)...),
	} {
		t.Run(name, func(t *testing.T) {
			c, s := overAs(t, signed)
			if err := e2e.SendRaw(s, message); err != nil {
				t.Fatal(err)
			}
			wantEnd(t, c, e2e.CloseError{Remote: true, Err: flow.ErrSignature}, false)
		})
	}
	// A signature that was good in another place of the same session.
	c, s := overAs(t, signed)
	mustSend(t, s, "hello")
	m, err := c.ReceiveMessage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again := append(bytes.Clone(m.Proof[42+96:]), m.Proof[42:42+96]...)
	if err := e2e.SendRaw(s, append(again, "hello"...)); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, c, e2e.CloseError{Remote: true, Err: flow.ErrSignature}, false)
}

// A Signer that fails costs its message only; one that is slow holds up no acks.
func TestSignerThatFails(t *testing.T) {
	broken := errors.New("the signing service is down")
	signer := &faultySigner{Signer: alice.Signer()}
	id, err := keys.GenerateIdentityWith("slow", newIdentity("root").Signer(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, s := overAs(t, func(c *e2e.Config, s *e2e.ServerConfig) {
		signed(c, s)
		c.Identity = id
		s.Verifier = trust.Pinned(id.Fingerprint())
	})
	signer.set(func([]byte) ([]byte, error) { return nil, broken })
	if err := c.Send(t.Context(), []byte("x")); !errors.Is(err, broken) {
		t.Errorf("Send: %v", err)
	}
	if _, err := c.Call(t.Context(), "x", nil); !errors.Is(err, broken) {
		t.Errorf("Call: %v", err)
	}
	signer.set(func([]byte) ([]byte, error) { return []byte("short"), nil })
	if err := c.Send(t.Context(), []byte("x")); err == nil {
		t.Error("a short signature was sent")
	}
	waits, signs := make(chan struct{}), make(chan struct{})
	signer.set(func(m []byte) ([]byte, error) {
		close(signs)
		<-waits
		return signer.Signer.Sign(m)
	})
	var work sync.WaitGroup
	work.Go(func() { mustSend(t, c, "slow") })
	<-signs
	mustSend(t, s, "meanwhile")
	mustReceive(t, c, "meanwhile")
	if err := s.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	close(waits)
	work.Wait()
	mustReceive(t, s, "slow")
}

type faultySigner struct {
	keys.Signer
	mu   sync.Mutex
	sign func([]byte) ([]byte, error)
}

func (f *faultySigner) set(sign func([]byte) ([]byte, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sign = sign
}

func (f *faultySigner) Sign(message []byte) ([]byte, error) {
	f.mu.Lock()
	sign := f.sign
	f.mu.Unlock()
	if sign == nil {
		sign = f.Signer.Sign
	}
	return sign(message)
}

// A32: no proof from outside panics.
func FuzzA32Proof(f *testing.F) {
	f.Add([]byte{1}, []byte("data"))
	f.Add(append([]byte{1}, make([]byte, 200)...), []byte{})
	f.Fuzz(func(t *testing.T, proof, data []byte) {
		if m, err := e2e.VerifyProof(alice.Public(), proof, data); err == nil {
			t.Fatalf("%x proves %+v", proof, m)
		}
	})
}
