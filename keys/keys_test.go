package keys

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

func testIdentity(t testing.TB, name string) *Identity {
	t.Helper()
	id, err := GenerateIdentity(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// signed returns a PublicIdentity after change has changed a good statement. Its root has signed the
// result.
func signed(t testing.TB, id *Identity, change func(*PublicIdentity)) []byte {
	t.Helper()
	p := *id.Public()
	change(&p)
	return signStatement(id, p.appendStatement(nil))
}

func signStatement(id *Identity, statement []byte) []byte {
	b := strict.AppendBin(strict.AppendArray(nil, 2), statement)
	return strict.AppendBin(b, ed25519.Sign(rootKey(id), label.Identity.With(statement)))
}

func rootKey(id *Identity) ed25519.PrivateKey { return *id.state.Load().root.(*localSigner).key }

func TestPublicIdentityComesBack(t *testing.T) {
	id := testIdentity(t, "alice <img src=x> \x1b[31m")
	p, err := ParsePublic(id.Public().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !p.Equal(id.Public()) || p.Name() != id.Name() || p.Fingerprint() != id.Fingerprint() || p.Serial() != 1 ||
		p.Expires().Sub(p.Issued()) != MaxLifetime || p.VerifyingKey().ID() != id.Public().VerifyingKey().ID() {
		t.Error("the statement came back otherwise")
	}
	if n := len(p.Bytes()); n > 1500 {
		t.Errorf("%d bytes", n)
	}
}

func TestNamesAreBounded(t *testing.T) {
	for _, name := range []string{"", strings.Repeat("x", MaxNameSize+1), "\xff"} {
		if _, err := GenerateIdentity(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestNamesEndInWhatCanBeSeen(t *testing.T) {
	for _, end := range []string{" ", "\n", "\t", "\u00a0", "\u00ad", "\u200b", "\u200e", "\u2028", "\u2800", "\u3164", "\ufeff", "\x00"} {
		for _, name := range []string{end, end + "bob", "bob" + end} {
			if _, err := GenerateIdentity(name); err == nil {
				t.Errorf("%q is accepted", name)
			}
		}
		if _, err := GenerateIdentity("bob" + end + "cid"); err != nil {
			t.Errorf("%q inside: %v", end, err)
		}
	}
	for _, name := range []string{"Zoë", "李雷", "Ann ❤️", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\U0001fae9"} {
		if _, err := GenerateIdentity(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// A clock may show anything. What is made under it is what everybody reads, or is not made.
func TestClocksThatNoKeyCanHave(t *testing.T) {
	for _, seconds := range []int64{-1 << 62, -1, 0, 1 << 40, 1 << 62} {
		if _, err := ring.New(keyset.XAESGCM, time.Unix(seconds, 0)); err == nil {
			t.Errorf("a ring of %d", seconds)
		}
		s := testIdentity(t, "alice").state.Load()
		if err := s.issue("alice", 2, nil, time.Unix(seconds, 0)); err == nil || !strings.Contains(err.Error(), "clock") {
			t.Errorf("a statement of %d: %v", seconds, err)
		}
	}
}

func TestPublicIdentityTampering(t *testing.T) {
	b, step := testIdentity(t, "alice").Public().Bytes(), 1
	if slowtest.Mode {
		step = 9 // one bit of each byte, another in the next
	}
	for bit := 0; bit < 8*len(b); bit += step {
		changed := bytes.Clone(b)
		changed[bit/8] ^= 1 << (bit % 8)
		if _, err := ParsePublic(changed); !errors.Is(err, ErrPublicIdentity) {
			t.Fatalf("bit %d changed: %v", bit, err)
		}
	}
	for n := range b {
		if _, err := ParsePublic(b[:n]); !errors.Is(err, ErrPublicIdentity) {
			t.Fatalf("%d bytes of %d: %v", n, len(b), err)
		}
	}
	if _, err := ParsePublic(append(bytes.Clone(b), 0)); !errors.Is(err, ErrPublicIdentity) {
		t.Error("a trailing byte is accepted")
	}
}

// A root that signs nonsense is still refused.
func TestPublicIdentityContentIsChecked(t *testing.T) {
	id := testIdentity(t, "alice")
	other := testIdentity(t, "bob").Public()
	for name, change := range map[string]func(p *PublicIdentity){
		"lives too long":         func(p *PublicIdentity) { p.expires = p.issued.Add(MaxLifetime + time.Second) },
		"expires before issued":  func(p *PublicIdentity) { p.expires = p.issued.Add(-time.Second) },
		"expires when issued":    func(p *PublicIdentity) { p.expires = p.issued },
		"empty name":             func(p *PublicIdentity) { p.name = "" },
		"long name":              func(p *PublicIdentity) { p.name = strings.Repeat("x", MaxNameSize+1) },
		"name not UTF-8":         func(p *PublicIdentity) { p.name = "\xff" },
		"no signing key":         func(p *PublicIdentity) { p.signing = nil },
		"no sealing key":         func(p *PublicIdentity) { p.sealing = nil },
		"one signing key twice":  func(p *PublicIdentity) { p.signing = append(p.signing, p.signing[0]) },
		"one sealing key twice":  func(p *PublicIdentity) { p.sealing = append(p.sealing, p.sealing[0]) },
		"revoked, but with keys": func(p *PublicIdentity) { p.serial = math.MaxUint64 },
		"another's root":         func(p *PublicIdentity) { p.root = other.root },
		"a window that is inside out": func(p *PublicIdentity) {
			p.signing = []VerifyingKey{p.signing[0]}
			p.signing[0].window = window{from: 2, to: 1}
		},
	} {
		if _, err := ParsePublic(signed(t, id, change)); !errors.Is(err, ErrPublicIdentity) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParsePublic(signed(t, id, func(*PublicIdentity) {})); err != nil {
		t.Errorf("unchanged: %v", err)
	}
	if _, err := ParsePublic(signed(t, id, func(p *PublicIdentity) { p.serial, p.signing, p.sealing = math.MaxUint64, nil, nil })); err != nil {
		t.Errorf("a revocation: %v", err)
	}
}

func TestA08WeakKeysAreRefused(t *testing.T) {
	id := testIdentity(t, "alice")
	refusedAsSigning := func(public []byte) bool {
		_, err := ParsePublic(signed(t, id, func(p *PublicIdentity) {
			k := VerifyingKey{}
			copy(k.public[:], public)
			p.signing = []VerifyingKey{k}
		}))
		return err != nil
	}
	for _, y := range smallOrderY {
		for _, sign := range []byte{0, 0x80} {
			public := bytes.Clone(y)
			public[31] |= sign
			if !refusedAsSigning(public) {
				t.Errorf("small order %x is accepted", public)
			}
			// The same points, with y not reduced, where that fits 255 bits.
			if sum := int(y[0]) + 0xed; sum < 256 && y[1] == 0 {
				long := bytes.Repeat([]byte{0xff}, 32)
				long[0], long[31] = byte(sum), 0x7f|sign
				if !refusedAsSigning(long) {
					t.Errorf("non-canonical %x is accepted", long)
				}
			}
		}
	}
	if key := id.Public().VerifyingKey(); refusedAsSigning(key.public[:]) {
		t.Error("a good key is refused")
	}
	// The reason: under the identity point one signature verifies all messages.
	identity := append([]byte{1}, make([]byte, 31)...)
	sig := append(bytes.Clone(identity), make([]byte, 32)...)
	if !ed25519.Verify(identity, []byte("any message"), sig) {
		t.Error("crypto/ed25519 has begun to refuse the identity point: say so in the comment on smallOrderY")
	}
}

func TestA08WeakSealingKeysAreRefused(t *testing.T) {
	good := id1216(t)
	private, _ := ecdh.X25519().GenerateKey(rand.Reader)
	for _, u := range smallOrderU {
		point, err := ecdh.X25519().NewPublicKey(u)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := private.ECDH(point); err == nil {
			t.Errorf("%x is not of small order: the list is wrong", u)
		}
		bad := append(bytes.Clone(good[:1184]), u...)
		if err := checkXWing(bad); err == nil {
			t.Errorf("low-order X25519 half %x is accepted", u)
		}
	}
	unreduced := bytes.Clone(good)
	for i := range 3 {
		unreduced[i] = 0xff // coefficients 4095, above ML-KEM's 3329
	}
	for name, bad := range map[string][]byte{
		"short":                    good[:1215],
		"long":                     append(bytes.Clone(good), 0),
		"ML-KEM above the modulus": unreduced,
		"X25519 not reduced":       append(bytes.Clone(good[:1184]), fieldPrime...),
		"X25519 with the top bit":  append(bytes.Clone(good[:1215]), good[1215]|0x80),
	} {
		if err := checkXWing(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := checkXWing(good); err != nil {
		t.Errorf("a good key: %v", err)
	}
}

func id1216(t *testing.T) []byte { return testIdentity(t, "x").Public().sealing[0].public }

// A03: the same 32 or 1,216 bytes have another name as each kind of key.
func TestA03IDsHaveTheirOwnDomains(t *testing.T) {
	b := make([]byte, 32)
	names := map[[32]byte]string{}
	for kind, id := range map[string][32]byte{
		"fingerprint": fingerprintOf(b), "signing key": signingKeyID(b), "sealing key": sealingKeyID(b),
	} {
		if other, taken := names[id]; taken {
			t.Errorf("a %s and a %s share a name", kind, other)
		}
		names[id] = kind
	}
}

func TestFingerprintText(t *testing.T) {
	f := testIdentity(t, "alice").Fingerprint()
	if got, err := ParseFingerprint(f.String()); err != nil || got != f {
		t.Errorf("%s: %v, %v", f, got, err)
	}
	grouped := f.String()[:3] + " " + f.String()[3:30] + " " + f.String()[30:]
	if got, err := ParseFingerprint(grouped); err != nil || got != f {
		t.Errorf("grouped: %v", err)
	}
	s := f.String()
	for _, bad := range []string{"", "fp1", s[:54], s + "a", strings.ToUpper(s), "fp2" + s[3:], s[:54] + "1", s[3:], s[:54] + "b", s + "\n"} {
		if _, err := ParseFingerprint(bad); err == nil && bad != s {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestCleartextIdentityComesBack(t *testing.T) {
	id := testIdentity(t, "alice")
	b, err := id.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseCleartextIdentity(b, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	sealed, _ := id.Public().RecipientKey().SealKey([]byte("info"), make([]byte, 32))
	if _, err := got.UnsealKey(id.Public().RecipientKey().ID(), []byte("info"), sealed); err != nil {
		t.Error(err)
	}
	if _, err := got.UnsealKey(id.Public().RecipientKey().ID(), []byte("other"), sealed); !errors.Is(err, ErrUnseal) {
		t.Error("opened under other info")
	}
	sig, _ := got.Signer().Sign([]byte("m"))
	if !id.Public().VerifyingKey().Verify([]byte("m"), sig) {
		t.Error("the signature is another's")
	}
}

// Parts of two identities do not make one.
func TestCleartextIdentityPartsMustMatch(t *testing.T) {
	a, b := testIdentity(t, "a"), testIdentity(t, "b")
	x, y := a.state.Load(), b.state.Load()
	for name, mixed := range map[string]*identityState{
		"root":    {root: y.root, signing: x.signing, sealing: x.sealing},
		"signing": {root: x.root, signing: y.signing, sealing: x.sealing},
		"sealing": {root: x.root, signing: x.signing, sealing: y.sealing},
		"swapped": {root: x.root, signing: x.sealing, sealing: x.signing},
	} {
		mixed.public = x.public
		raw, err := mixed.marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCleartextIdentity(raw, insecurecleartext.Token{}); !errors.Is(err, ErrIdentity) {
			t.Errorf("another's %s: %v", name, err)
		}
	}
}

func TestRenew(t *testing.T) {
	id := testIdentity(t, "alice")
	before := id.Public()
	if err := id.Renew(); err != nil {
		t.Fatal(err)
	}
	after := id.Public()
	if after.Serial() <= before.Serial() || after.Fingerprint() != before.Fingerprint() ||
		after.VerifyingKey().ID() != before.VerifyingKey().ID() {
		t.Error("renewal changed more than the serial and the lifetime")
	}
}

func TestSharedKeysetComesBack(t *testing.T) {
	s, err := GenerateSharedKeyset()
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := s.MarshalCleartext(insecurecleartext.Token{})
	got, err := ParseCleartextSharedKeyset(raw, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	key, known := got.Key(s.Primary().ID())
	if !known {
		t.Fatal("the pair has another id")
	}
	if data, err := key.Open(nil, must(s.Primary().Seal(nil, []byte("m"), nil)), nil); err != nil || string(data) != "m" {
		t.Error(err)
	}
	if !key.VerifyMAC([]byte("m"), s.Primary().MAC(nil, []byte("m"))) || key.VerifyMAC([]byte("n"), s.Primary().MAC(nil, []byte("m"))) {
		t.Error("MAC")
	}
}

// A21: the id depends on both keys of the pair, so a pair that shares only one of them has another
// id.
func TestA21SharedKeyIDCommitsToBothKeys(t *testing.T) {
	a, b := make([]byte, 32), append(make([]byte, 31), 1)
	seen := map[SharedKeyID]bool{}
	for _, kind := range []keyset.Type{keyset.XAESGCM, keyset.AESGCM} {
		for _, pair := range [][2][]byte{{a, a}, {a, b}, {b, a}, {b, b}} {
			k, err := newSharedKey(kind, pair[0], pair[1])
			if err != nil {
				t.Fatal(err)
			}
			seen[k.ID()] = true
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d ids for four pairs of two kinds", len(seen))
	}
}

// A42: no verb, logger or encoder prints a secret.
func TestA42SecretsRedactThemselves(t *testing.T) {
	id := testIdentity(t, "alice")
	shared, _ := GenerateSharedKeyset()
	idBytes, _ := id.MarshalCleartext(insecurecleartext.Token{})
	sharedBytes, _ := shared.MarshalCleartext(insecurecleartext.Token{})
	secrets := map[string][]byte{"root": rootKey(id).Seed()}
	state, sharedState := id.state.Load(), shared.state.Load()
	for name, r := range map[string]ring.Ring{"signing": state.signing, "sealing": state.sealing, "aead": sharedState.aeads, "mac": sharedState.macs} {
		k, err := r.Set.Keyset()
		if err != nil {
			t.Fatal(err)
		}
		secrets[name] = k.Keys[0].Secret
	}
	if !bytes.Contains(idBytes, secrets["root"]) || !bytes.Contains(sharedBytes, secrets["mac"]) {
		t.Fatal("the test does not look for the right bytes")
	}
	type holder struct {
		Identity *Identity
		Shared   *SharedKeyset
		Key      *SharedKey
		Signer   Signer
	}
	values := []any{id, shared, shared.Primary(), id.Signer(), holder{id, shared, shared.Primary(), id.Signer()}, []any{id}}
	var printed bytes.Buffer
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%X", "%s", "%q", "%d"} {
			fmt.Fprintf(&printed, verb, v)
		}
		slog.New(slog.NewTextHandler(&printed, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&printed, nil)).Info("m", "v", v)
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		printed.Write(b)
	}
	text := printed.String()
	for name, secret := range secrets {
		for _, form := range []string{string(secret), fmt.Sprintf("%x", secret[:8]), fmt.Sprintf("%X", secret[:8]),
			strings.Trim(fmt.Sprint(secret[:6]), "[]"), strings.Trim(fmt.Sprintf("%#v", secret[:4]), "[]byte{}")} {
			if strings.Contains(text, form) {
				t.Errorf("the %s key is printed as %q", name, form)
			}
		}
	}
	if !strings.Contains(text, redacted) {
		t.Error("nothing says that anything was left out")
	}
}

func FuzzParsePublic(f *testing.F) {
	f.Add(testIdentity(f, "alice").Public().Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzParse(t, b, func() ([]byte, error) {
			p, err := ParsePublic(b)
			if err != nil {
				return nil, err
			}
			return p.Bytes(), nil
		})
	})
}

func FuzzParseStatement(f *testing.F) {
	f.Add(testIdentity(f, "alice").Public().appendStatement(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzParse(t, b, func() ([]byte, error) {
			p, err := parseStatement(b)
			if err != nil {
				return nil, err
			}
			return p.appendStatement(nil), nil
		})
	})
}

// fuzzParse checks a parser against A28 and A30: it writes what it has read again byte for byte, and
// it allocates in proportion to its input. The constant covers what one ML-KEM key expands to.
func fuzzParse(t *testing.T, b []byte, parse func() ([]byte, error)) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	again, err := parse()
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 8*uint64(len(b))+1<<17 {
		t.Fatalf("parsing %d bytes allocated %d", len(b), used)
	}
	if err == nil && !bytes.Equal(again, b) {
		t.Fatalf("%x is read, and written again as %x", b, again)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
