package e2e_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/hpke"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

const r1Size = 80

// A forger is a hop that answers those who resume in their server's place.
type forger struct {
	up   func(r1 []byte) []byte         // what reaches the server, nil: r1 itself
	down func(r1, honest []byte) []byte // what reaches the client in place of the honest answer

	mu     sync.Mutex
	on     bool
	forged int
}

func (f *forger) set(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = on
}

// link is the hop on one connection.
func (f *forger) link() []transport.PipeOption {
	var r1 []byte
	up := func(m []byte) [][]byte {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.on && len(m) == r1Size {
			if r1 = bytes.Clone(m); f.up != nil {
				m = f.up(m)
			}
		}
		return [][]byte{m}
	}
	down := func(m []byte) [][]byte {
		f.mu.Lock()
		defer f.mu.Unlock()
		if r1 != nil {
			m, r1 = f.down(r1, m), nil
			f.forged++
		}
		return [][]byte{m}
	}
	return []transport.PipeOption{transport.WithFaults(up, down)}
}

func changedID(r1 []byte) []byte {
	r1 = bytes.Clone(r1)
	r1[0] ^= 1
	return r1
}

func honest(_, answer []byte) []byte { return answer }

func garbage(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// asItself has the server refuse the hop: an r1 with a share of the hop's own, whose
// refusal it can read, and says again to the client.
func asItself(t *testing.T) *forger {
	own, err := ecdh.X25519().NewPrivateKey(garbage(32))
	if err != nil {
		t.Fatal(err)
	}
	info := func(r1 []byte) []byte {
		digest := sha256.Sum256(r1)
		return append([]byte("hopseal/1 session resume refusal\x00"), digest[:]...)
	}
	swapped := func(r1 []byte) []byte {
		return slices.Concat(changedID(r1)[:32], own.PublicKey().Bytes(), r1[64:])
	}
	return &forger{up: swapped, down: func(r1, refusal []byte) []byte {
		plain, err := hpke.OpenX25519(own, info(swapped(r1)), refusal[1:])
		if err != nil {
			t.Errorf("the hop cannot read what it asked for: %d bytes, %v", len(refusal), err)
			return refusal
		}
		to, err := ecdh.X25519().NewPublicKey(r1[32:64])
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := hpke.SealX25519(own, to, info(r1), plain)
		if err != nil {
			t.Fatal(err)
		}
		return append([]byte{0}, sealed...)
	}}
}

// A55: a hop that answers each attempt to resume in the server's place, with whatever it
// can make, or has heard the server say, ends no session: the attempt has failed, and that
// is all. A server with a store says nothing else.
func TestA55ForgedRefusalsEndNoSession(t *testing.T) {
	for name, server := range map[string]func() e2e.ServerConfig{
		"":        func() e2e.ServerConfig { return hosting(bob, alice) },
		"/stored": func() e2e.ServerConfig { return stored(hosting(bob, alice), sessionstore.Memory()) },
	} {
		for what, f := range forgers(t) {
			t.Run(what+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) { f.bother(t, server()) })
			})
		}
	}
}

func forgers(t *testing.T) map[string]*forger {
	var recorded []byte
	return map[string]*forger{
		"one byte":                         {down: func(_, _ []byte) []byte { return []byte{0} }},
		"nothing":                          {down: func(_, _ []byte) []byte { return []byte{} }},
		"random bytes":                     {down: func(_, _ []byte) []byte { return garbage(1 + int(garbage(1)[0])) }},
		"random bytes in the form of one":  {down: func(_, _ []byte) []byte { return append([]byte{0}, garbage(1024)...) }},
		"a refusal of what it has changed": {up: changedID, down: honest},
		"a refusal of an earlier attempt": {up: changedID, down: func(_, honest []byte) []byte {
			if recorded == nil {
				recorded = honest
			}
			return recorded
		}},
		"a refusal of the hop itself": asItself(t),
	}
}

// bother has a forger answer a client for a minute.
func (f *forger) bother(t *testing.T, server e2e.ServerConfig) {
	r := &road{srv: newServer(t, server, echo), each: f.link}
	c := r.client(t, trusting(alice, bob))
	mustSend(t, c, "before")
	mustReceive(t, c, "before")
	f.set(true)
	r.cut()
	mustSend(t, c, "meanwhile")
	time.Sleep(time.Minute)
	f.set(false)
	mustReceive(t, c, "meanwhile")
	mustSend(t, c, "after")
	mustReceive(t, c, "after")
	if f.forged < 3 {
		t.Errorf("only %d answers were forged", f.forged)
	}
}

// A refusal that the server's Signer does not sign, or not in time, is none: the client is
// told to come again, and does; and the Signer that hangs holds nobody else up.
func TestRefusalWithoutASignature(t *testing.T) {
	broken := errors.New("the signing service is down")
	for name, sign := range map[string]func(wait <-chan struct{}) func([]byte) ([]byte, error){
		"fails": func(<-chan struct{}) func([]byte) ([]byte, error) {
			return func([]byte) ([]byte, error) { return nil, broken }
		},
		"panics": func(<-chan struct{}) func([]byte) ([]byte, error) {
			return func([]byte) ([]byte, error) { panic("no signer") }
		},
		"leaves": func(<-chan struct{}) func([]byte) ([]byte, error) {
			return func([]byte) ([]byte, error) { runtime.Goexit(); return nil, nil }
		},
		"hangs": func(wait <-chan struct{}) func([]byte) ([]byte, error) {
			return func([]byte) ([]byte, error) { <-wait; return nil, broken }
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				wait := make(chan struct{})
				defer close(wait)
				signer := &faultySigner{Signer: bob.Signer()}
				dan, err := keys.GenerateIdentityWith("dan", newIdentity("root").Signer(), signer)
				if err != nil {
					t.Fatal(err)
				}
				srv := newServer(t, hosting(dan, alice), echo)
				r := &road{srv: srv}
				stays, lost := r.client(t, trusting(alice, dan)), r.client(t, trusting(alice, dan))
				mustSend(t, stays, "before")
				mustReceive(t, stays, "before")
				signer.set(sign(wait))
				for range 100 { // strangers
					a, err := r.dial(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if err := a.Write(t.Context(), garbage(r1Size)); err != nil {
						t.Fatal(err)
					}
					defer a.Close(transport.CodeNormal, "")
				}
				r.cut()
				mustSend(t, stays, "after")
				mustReceive(t, stays, "after")
				time.Sleep(time.Minute)
				a, err := r.dial(t.Context())
				if err == nil {
					err = a.Write(t.Context(), garbage(r1Size))
				}
				if err != nil {
					t.Fatal(err)
				}
				var closed *transport.CloseError
				if frame, err := a.Read(t.Context(), nil); !errors.As(err, &closed) || closed.Code != transport.CodeTryLater {
					t.Errorf("an unsigned refusal is %x, %v", frame, err)
				}
				mustSend(t, lost, "still there")
				mustReceive(t, lost, "still there")
			})
		})
	}
}
