package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
)

// withSigner returns an identity whose signatures are made elsewhere.
func withSigner(t testing.TB) (*keys.Identity, *faultySigner) {
	t.Helper()
	signer := &faultySigner{Signer: bob.Signer()}
	id, err := keys.GenerateIdentityWith("elsewhere", newIdentity("root").Signer(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return id, signer
}

// hang has a Signer not answer the first signature of a purpose, until the test says so.
func (f *faultySigner) hang(purpose label.Label) (asked, answer chan struct{}) {
	asked, answer = make(chan struct{}), make(chan struct{})
	var once sync.Once
	f.set(func(m []byte) ([]byte, error) {
		if bytes.HasPrefix(m, []byte(purpose)) {
			hangs := false
			once.Do(func() { hangs = true })
			if hangs {
				close(asked)
				<-answer
			}
		}
		return f.Signer.Sign(m)
	})
	return asked, answer
}

// A58: while a Signer takes its time for a message of a session that is stored, that session
// loses its line and gets another, and others begin and go on.
func TestA58SlowSignerHoldsUpNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		id, signer := withSigner(t)
		scfg := stored(hosting(id, alice), sessionstore.Memory())
		scfg.Proof = e2e.ProofEd25519
		ccfg := trusting(alice, id)
		ccfg.Proof = e2e.ProofEd25519
		srv := newServer(t, scfg, echo)
		slow, quick := &road{srv: srv}, &road{srv: srv}
		one := slow.client(t, ccfg)
		mustSend(t, one, "one")
		mustReceive(t, one, "one")
		asked, answer := signer.hang(label.SessionSigned)
		mustSend(t, one, "two")
		<-asked
		slow.cut()
		time.Sleep(time.Second) // parked, and back
		began := time.Now()
		two := quick.client(t, ccfg)
		for i := range 5 {
			mustSend(t, two, fmt.Sprint(i))
			mustReceive(t, two, fmt.Sprint(i))
			quick.cut()
		}
		if stats := srv.Stats(); stats.Sessions != 2 {
			t.Errorf("%d sessions", stats.Sessions)
		}
		if waited := time.Since(began); waited > 15*time.Second { // five times a client that comes back
			t.Errorf("another session needed %v", waited)
		}
		close(answer)
		mustReceive(t, one, "two")
		one.Close()
		two.Close()
	})
}

// A58: a Signer that does not answer costs its message, after SendTimeout, and not the session;
// and a handshake its deadline.
func TestA58SignerThatDoesNotAnswer(t *testing.T) {
	for name, store := range map[string]sessionstore.Store{"": nil, "stored": sessionstore.Memory()} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				id, signer := withSigner(t)
				scfg, ccfg := hosting(alice, id), trusting(id, alice)
				ccfg.Proof, scfg.Proof = e2e.ProofEd25519, e2e.ProofEd25519
				ccfg.SendTimeout, ccfg.Store, ccfg.StoreKeys, ccfg.StoreName = 7*time.Second, store, storeKeys, "signs"
				r := &road{srv: newServer(t, scfg, echo)}
				c := r.client(t, ccfg)
				_, answer := signer.hang(label.SessionSigned)
				began := time.Now()
				if err := c.Send(t.Context(), []byte("never signed")); err == nil || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Send: %v", err)
				}
				if waited := time.Since(began); waited != 7*time.Second {
					t.Errorf("Send waited %v", waited)
				}
				close(answer) // the session goes on, and so do its messages
				mustSend(t, c, "signed")
				mustReceive(t, c, "signed")

				_, answer = signer.hang(label.SessionClientSign)
				began = time.Now()
				ccfg.Store = nil
				_, err := e2e.DialFunc(t.Context(), "road", ccfg, r.dial)
				wantHandshake(t, err, e2e.ReasonTimeout)
				if waited := time.Since(began); waited != e2e.DefaultHandshakeTimeout {
					t.Errorf("the handshake took %v", waited)
				}
				close(answer)
				c.Close()
				synctest.Wait()
			})
		})
	}
}

// Messages of a stored session that are signed at the same time are stored together all the
// same, each under the number that it was signed with.
func TestStoredSignaturesInGroups(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const messages = 200
		store := newFlaky()
		ccfg, scfg := stored(trusting(alice, bob), store), hosting(bob, alice)
		ccfg.Proof, scfg.Proof, ccfg.StoreName = e2e.ProofEd25519, e2e.ProofEd25519, "groups"
		got := make(chan e2e.Message, messages)
		r := &road{srv: newServer(t, scfg, func(ctx context.Context, s *e2e.Session) error {
			for {
				m, err := s.ReceiveMessage(ctx)
				if err != nil {
					return err
				}
				got <- m
			}
		})}
		c := r.client(t, ccfg)
		store.set(func(f *flaky) { f.slow = 10 * time.Millisecond })
		before := store.count()
		var sends sync.WaitGroup
		for n := range messages {
			sends.Go(func() {
				if err := c.Send(context.Background(), fmt.Append(nil, n)); err != nil {
					t.Error(err)
				}
			})
		}
		for n := range messages {
			m := <-got
			if _, err := e2e.VerifyProof(alice.Public(), m.Proof, m.Data); err != nil || m.ID != uint64(n+1) {
				t.Fatalf("message %d has number %d, %v", n+1, m.ID, err)
			}
		}
		sends.Wait()
		if saves := store.count() - before; saves > messages/4 {
			t.Errorf("%d messages took %d saves", messages, saves)
		}
		c.Close()
	})
}
