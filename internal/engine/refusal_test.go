package engine

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/hopseal/hopseal/internal/hpke"
	"github.com/hopseal/hopseal/keys"
)

// refusalOf is what a server answers to an r1 of a session that it does not know.
func refusalOf(t testing.TB, by *keys.Identity, r1 []byte) []byte {
	t.Helper()
	r, err := NewRefusal(configFor(by), r1)
	if err != nil {
		t.Fatal(err)
	}
	return must(r.Frame(must(by.Signer().Sign(r.ToSign()))))
}

// attempt begins a client's attempt, and returns it with its r1.
func attempt(t testing.TB, s *Session) (*reviver, []byte) {
	t.Helper()
	x := reviverOf(t, s)
	return x, must(x.start())
}

// A client believes what its server has signed over its very r1. All else is a failed
// attempt, whatever it says, and leaves the session as it is.
func TestRefusalIsTheServersWord(t *testing.T) {
	c, s := sessions(t)
	x, r1 := attempt(t, c)
	good := refusalOf(t, bob, r1)
	if _, err := x.receive(good); !errors.Is(err, ErrUnknownSession) {
		t.Errorf("the server's word: %v", err)
	}
	_, other := attempt(t, c)
	for name, test := range map[string]struct {
		frame  func(r1 []byte) []byte
		reason Reason
	}{
		"one byte":              {func([]byte) []byte { return []byte{0} }, ReasonSize},
		"another one":           {func([]byte) []byte { return []byte{1} }, ReasonSize},
		"zeros":                 {func([]byte) []byte { return make([]byte, len(good)) }, ReasonCipher},
		"of an earlier attempt": {func([]byte) []byte { return good }, ReasonCipher},
		"of another r1":         {func([]byte) []byte { return refusalOf(t, bob, other) }, ReasonCipher},
		"by somebody else":      {func(r1 []byte) []byte { return refusalOf(t, mallory, r1) }, ReasonIdentity},
		"by the client itself":  {func(r1 []byte) []byte { return refusalOf(t, alice, r1) }, ReasonIdentity},
	} {
		x, r1 := attempt(t, c)
		_, err := x.receive(test.frame(r1))
		if !errors.Is(err, ErrResume) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantReason(t, err, ErrResume, test.reason)
	}
	mustRevive(t, c, s)
}

// Every changed bit, and every other length, makes of a refusal nothing.
func TestChangedRefusalIsNone(t *testing.T) {
	c, _ := sessions(t)
	check := func(what string, change func(frame []byte) []byte) {
		t.Helper()
		x, r1 := attempt(t, c)
		if _, err := x.receive(change(refusalOf(t, bob, r1))); !errors.Is(err, ErrResume) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, r1 := attempt(t, c)
	for at := range refusalOf(t, bob, r1) {
		check(fmt.Sprintf("a bit of byte %d", at), func(frame []byte) []byte { frame[at] ^= 1 << (at % 8); return frame })
	}
	for _, n := range []int{0, 1, r2Size - 1, r2Size, r2Size + 1, minRefusalSize - 1, minRefusalSize} {
		check(fmt.Sprintf("%d bytes of it", n), func(frame []byte) []byte { return frame[:n] })
	}
	check("one byte more", func(frame []byte) []byte { return append(frame, 0) })
}

// A37: a refusal has one length, whatever is wrong with the r1, and shows nobody else who
// has made it.
func TestA37RefusalsLookAlike(t *testing.T) {
	c, _ := sessions(t)
	_, r1 := attempt(t, c)
	for _, first := range [][]byte{r1, flipped(r1), append(bytes.Repeat([]byte{9}, r1Size-1), 0)} {
		frame := refusalOf(t, bob, first)
		if len(frame) != len(refusalOf(t, bob, r1)) || frame[0] != 0 {
			t.Errorf("%d bytes, the first of which is %d", len(frame), frame[0])
		}
		if bytes.Contains(frame, []byte(bob.Name())) || bytes.Contains(frame, bob.Public().Bytes()[:64]) {
			t.Error("a hop sees who has refused")
		}
	}
}

// A server that is later by a statement, with another key, is still believed; one that is
// earlier is not.
func TestRefusalByALaterStatement(t *testing.T) {
	id, err := keys.GenerateIdentity("carol")
	if err != nil {
		t.Fatal(err)
	}
	earlier := configFor(id)
	c, _ := sessions(t)
	if err := id.Renew(); err != nil {
		t.Fatal(err)
	}
	refuse := func(cfg Config, known *keys.PublicIdentity) error {
		c.stated, c.peer = known, known
		x, r1 := attempt(t, c)
		r := must(NewRefusal(cfg, r1))
		_, err := x.receive(must(r.Frame(must(id.Signer().Sign(r.ToSign())))))
		return err
	}
	if err := refuse(configFor(id), earlier.Identity); !errors.Is(err, ErrUnknownSession) {
		t.Errorf("by a later statement: %v", err)
	}
	if c.Peer() != earlier.Identity {
		t.Error("a refusal has changed who the peer is")
	}
	wantReason(t, refuse(earlier, id.Public()), ErrResume, ReasonIdentity)
}

// Nothing is sealed to a share of low order, and no r1 of another size is refused.
func TestRefusalNeedsAShare(t *testing.T) {
	r, err := NewRefusal(configFor(bob), make([]byte, r1Size))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Frame(make([]byte, 64))
	wantReason(t, err, ErrResume, ReasonKeyShare)
	_, err = NewRefusal(configFor(bob), make([]byte, r1Size-1))
	wantReason(t, err, ErrResume, ReasonSize)
}

// FuzzA32Refusal gives a client what somebody has sealed to it who has made up the rest.
func FuzzA32Refusal(f *testing.F) {
	c, _ := sessions(f)
	f.Add([]byte{}, []byte{})
	f.Add([]byte{0x92, 0xc4, 1, 0, 0xc4, 0}, []byte{})
	f.Add([]byte{0x92, 0xc5, 255, 255}, []byte{0})
	f.Fuzz(func(t *testing.T, data, padding []byte) {
		x, r1 := attempt(t, c)
		r := must(NewRefusal(configFor(mallory), r1))
		plain := append(appendPadded(nil, nil, data), padding...)
		frame := append([]byte{0}, must(hpke.SealX25519(r.ephemeral, r.to, refusalInfo(r.first), plain))...)
		if _, err := x.receive(frame); !errors.Is(err, ErrResume) {
			t.Errorf("%v", err)
		}
	})
}
