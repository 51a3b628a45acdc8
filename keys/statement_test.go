package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/ring"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

func mustParse(t *testing.T, b []byte) *PublicIdentity {
	t.Helper()
	p, err := ParsePublic(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func revocationOf(t *testing.T, id *Identity) *PublicIdentity {
	t.Helper()
	return mustParse(t, signed(t, id, func(p *PublicIdentity) { p.serial, p.signing, p.sealing = math.MaxUint64, nil, nil }))
}

// Many signatures would verify under the zero key, a point of small order.
func TestZeroKeyVerifiesNothing(t *testing.T) {
	var k VerifyingKey
	revoked := revocationOf(t, testIdentity(t, "x")).VerifyingKey()
	zero := make([]byte, 32)
	for s := range 256 { // R of small order, S = 0
		for _, r := range smallOrderY {
			sig := append(bytes.Clone(r), zero...)
			message := []byte(fmt.Sprint(s))
			if k.Verify(message, sig) || revoked.Verify(message, sig) || new(PublicIdentity).VerifyingKey().Verify(message, sig) {
				t.Fatal("a signature under no key verifies")
			}
		}
	}
	if k.ValidAt(time.Now()) || revoked.ValidAt(time.Now()) || new(PublicIdentity).RecipientKey() != nil {
		t.Error("no key is valid")
	}
}

// A08, from others: the eight points of small order and their other encodings, as published by C.
// Cremers and D. Jackson (Prime, Order Please!, 2019).
func TestA08PublishedPoints(t *testing.T) {
	for _, text := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		b, err := hex.DecodeString(text)
		if err != nil || len(b) != 32 {
			t.Fatal(text)
		}
		if checkEd25519(b) == nil {
			t.Errorf("%s is accepted", text)
		}
	}
	for _, text := range []string{ // X25519, RFC 7748 section 7 and its references
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		b, _ := hex.DecodeString(text)
		if checkCoordinate(b, smallOrderU) == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

// A08: a weak root is refused too: its own signature would verify everything.
func TestA08WeakRootIsRefused(t *testing.T) {
	id := testIdentity(t, "alice")
	p := *id.Public()
	p.root = [32]byte{1} // the identity point
	statement := p.appendStatement(nil)
	sig := append(append([]byte{1}, make([]byte, 31)...), make([]byte, 32)...)
	if !ed25519.Verify(p.root[:], label.Identity.With(statement), sig) {
		t.Fatal("the forgery is not one: the test proves nothing")
	}
	b := strict.AppendBin(strict.AppendBin(strict.AppendArray(nil, 2), statement), sig)
	if _, err := ParsePublic(b); !errors.Is(err, ErrPublicIdentity) {
		t.Error("an identity that nobody signed is accepted")
	}
}

func TestStatementFieldsAreChecked(t *testing.T) {
	id := testIdentity(t, "alice")
	good := id.Public().appendStatement(nil)
	if _, err := parseStatement(good); err != nil {
		t.Fatal(err)
	}
	keyAt := bytes.Index(good, id.Public().signing[0].public[:]) - 2 // before it: array, use, type, bin head
	for name, change := range map[string]func(b []byte){
		"version": func(b []byte) { b[1] = 2 },
		"use":     func(b []byte) { b[keyAt-2] = 3 },
		"type":    func(b []byte) { b[keyAt-1] = 2 },
	} {
		b := bytes.Clone(good)
		change(b)
		if _, err := parseStatement(b); err == nil {
			t.Errorf("another %s is accepted", name)
		}
	}
	for name, change := range map[string]func(p *PublicIdentity){
		"times too late": func(p *PublicIdentity) {
			p.issued = time.Unix(unixtime.Limit, 0)
			p.expires = p.issued.Add(time.Hour)
		},
		"window too late": func(p *PublicIdentity) {
			p.signing = slices.Clone(p.signing)
			p.signing[0].window.from = unixtime.Limit
		},
	} {
		if _, err := ParsePublic(signed(t, id, change)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	sealingFirst := func(p *PublicIdentity) []byte {
		b := strict.AppendUint(strict.AppendArray(nil, 7), publicVersion)
		b = strict.AppendBin(strict.AppendStr(b, p.name), p.root[:])
		for _, v := range []uint64{1, uint64(p.issued.Unix()), uint64(p.expires.Unix())} {
			b = strict.AppendUint(b, v)
		}
		b = appendListedKey(strict.AppendArray(b, 2), useSeal, typeXWing, p.sealing[0].public, window{})
		return appendListedKey(b, useSign, typeEd25519, p.signing[0].public[:], window{})
	}
	if _, err := ParsePublic(signStatement(id, sealingFirst(id.Public()))); err == nil {
		t.Error("keys out of order are accepted")
	}
	if _, err := ParsePublic(make([]byte, MaxPublicSize+1)); err == nil {
		t.Error("an oversize identity is accepted")
	}
}

// What was parsed shares no memory with its input, which a caller may use again.
func TestParsedSecretsAreCopies(t *testing.T) {
	id := testIdentity(t, "alice")
	shared, _ := GenerateSharedKeyset()
	b, _ := id.MarshalCleartext(insecurecleartext.Token{})
	s, _ := shared.MarshalCleartext(insecurecleartext.Token{})
	inputID, inputShared, inputPublic := bytes.Clone(b), bytes.Clone(s), bytes.Clone(id.Public().Bytes())
	gotID, err := ParseCleartextIdentity(inputID, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	gotShared, err := ParseCleartextSharedKeyset(inputShared, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	public := mustParse(t, inputPublic)
	for _, in := range [][]byte{inputID, inputShared, inputPublic} {
		for i := range in {
			in[i] = 'A'
		}
	}
	if again, err := gotID.MarshalCleartext(insecurecleartext.Token{}); err != nil || !bytes.Equal(again, b) {
		t.Errorf("the identity changed with its input: %v", err)
	}
	if again, err := gotShared.MarshalCleartext(insecurecleartext.Token{}); err != nil || !bytes.Equal(again, s) {
		t.Errorf("the keyset changed with its input: %v", err)
	}
	if !bytes.Equal(gotShared.Primary().MAC(nil, []byte("m")), shared.Primary().MAC(nil, []byte("m"))) {
		t.Error("the MAC key changed with its input")
	}
	if !public.Equal(id.Public()) || public.RecipientKey().ID() != sealingKeyID(public.sealing[0].public) {
		t.Error("the public identity changed with its input")
	}
}

// A42: unexported fields, where fmt cannot call a method, print no secret.
func TestA42UnexportedFieldsPrintNoSecret(t *testing.T) {
	id := testIdentity(t, "alice")
	_, external := id.Signing()
	seed := rootKey(id).Seed()
	k, _ := id.state.Load().signing.Set.Keyset()
	holder := struct {
		id     *Identity
		signer Signer
		ring   ring.Ring
	}{id, external, id.state.Load().signing}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		text := fmt.Sprintf(verb, holder)
		for _, secret := range [][]byte{seed, k.Keys[0].Secret} {
			for _, form := range []string{string(secret[:8]), fmt.Sprintf("%x", secret[:8]), strings.Trim(fmt.Sprint(secret[:6]), "[]")} {
				if strings.Contains(text, form) {
					t.Errorf("%s prints %q", verb, form)
				}
			}
		}
	}
}

// Attached keys: the private half stays where it is.
func TestExternalRootAndSigner(t *testing.T) {
	_, rootPrivate, _ := ed25519.GenerateKey(nil)
	_, signPrivate, _ := ed25519.GenerateKey(nil)
	root, signer := &localSignerOutside{rootPrivate}, &localSignerOutside{signPrivate}
	id, err := GenerateIdentityWith("alice", root, signer)
	if err != nil {
		t.Fatal(err)
	}
	b, err := id.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{rootPrivate.Seed(), signPrivate.Seed()} {
		if bytes.Contains(b, secret) {
			t.Error("a key that is kept outside is in the export")
		}
	}
	again, err := ParseCleartextIdentity(b, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Signer().Sign([]byte("m")); !errors.Is(err, ErrDetached) {
		t.Errorf("detached: %v", err)
	}
	if err := again.Renew(); !errors.Is(err, ErrDetached) {
		t.Errorf("detached root: %v", err)
	}
	stranger := &localSignerOutside{ed25519.NewKeyFromSeed(make([]byte, 32))}
	if err := again.Attach(stranger); err == nil {
		t.Error("a stranger's key is attached")
	}
	if err := errors.Join(again.Attach(root), again.Attach(signer), again.Renew()); err != nil {
		t.Fatal(err)
	}
	sig, err := again.Signer().Sign([]byte("m"))
	if err != nil || !again.Public().VerifyingKey().Verify([]byte("m"), sig) || again.Public().Serial() <= id.Public().Serial() {
		t.Errorf("attached: %v", err)
	}
	if _, err := GenerateIdentityWith("x", nil, nil); err == nil {
		t.Error("no root")
	}
}

type localSignerOutside struct{ key ed25519.PrivateKey }

func (s *localSignerOutside) PublicKey() ed25519.PublicKey {
	return s.key.Public().(ed25519.PublicKey)
}
func (s *localSignerOutside) Sign(m []byte) ([]byte, error) { return ed25519.Sign(s.key, m), nil }

// Lives and keyset must tell of the same states.
func TestRingMustAgreeWithItsKeyset(t *testing.T) {
	id := testIdentity(t, "alice")
	for name, change := range map[string]func(*ring.Life){
		"id": func(l *ring.Life) { l.ID++ }, "not promoted": func(l *ring.Life) { l.Promoted = 0 }, "never made": func(l *ring.Life) { l.Created = 0 },
		"retired": func(l *ring.Life) { l.Retired = l.Promoted }, "archived": func(l *ring.Life) { l.Retired, l.Archived = l.Promoted, l.Promoted },
		"promoted before made": func(l *ring.Life) { l.Promoted = l.Created - 1 },
	} {
		s := *id.state.Load()
		s.signing.Lives = slices.Clone(s.signing.Lives)
		change(&s.signing.Lives[0])
		b, err := s.marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCleartextIdentity(b, insecurecleartext.Token{}); !errors.Is(err, ErrIdentity) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseCleartextIdentity(f *testing.F) {
	b, _ := testIdentity(f, "alice").MarshalCleartext(insecurecleartext.Token{})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := ParseCleartextIdentity(b, insecurecleartext.Token{})
		if err != nil {
			return
		}
		if again, err := id.MarshalCleartext(insecurecleartext.Token{}); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is read, and written again as %x", b, again)
		}
	})
}

// A peer whose clock is one and a half minutes ahead accepts the key as one that is in use, however
// short its time is.
func TestCurrentKeyWithinClockSkew(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		from, to int
		current  bool
	}{
		"in use":               {0, 0, true},
		"in use for a moment":  {0, 1, true},
		"a minute, soon":       {60, 120, true},
		"a minute, before":     {-120, -60, true},
		"from five minutes on": {300, 0, true},
		"a second later":       {301, 0, false},
		"until a moment since": {-600, -299, true},
		"until five minutes":   {-600, -300, false},
	} {
		w := window{from: uint64(int(now.Unix()) + c.from)}
		if c.to != 0 {
			w.to = uint64(int(now.Unix()) + c.to)
		}
		p := &PublicIdentity{signing: []VerifyingKey{{id: SigningKeyID{1}, window: w}}}
		if currentKey(p, now) != c.current || currentKey(p, now.Add(999*time.Millisecond)) != c.current {
			t.Errorf("%s: not %v", name, c.current)
		}
	}
}
