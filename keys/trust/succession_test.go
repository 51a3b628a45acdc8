package trust

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hopseal/hopseal/internal/slowtest"
)

// An owner retires a root: peers follow the first successor that both roots signed, and no longer
// call it verified.
func TestSuccession(t *testing.T) {
	old, next, eve := testIdentity(t, "old"), testIdentity(t, "new"), testIdentity(t, "eve")
	known := new(KnownPeers)
	at, room := Expected{Address: "x", Role: RoleServer}, Expected{Room: "blue"}
	for _, e := range []Expected{at, room} {
		if err := known.Admit(e, old.Public()); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Succeed(old, next)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Bytes()) != 210 || s.Old() != old.Fingerprint() || s.Next() != next.Fingerprint() {
		t.Errorf("%d bytes", len(s.Bytes()))
	}
	again, err := ParseSuccession(s.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it may come twice
		if err := known.Succeed(again); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range []Expected{at, room} {
		if err := known.Verify(t.Context(), e, next.Public()); err != nil {
			t.Errorf("the successor: %v", err)
		}
		if level, _ := known.Level(e, next.Fingerprint()); level != Succeeded {
			t.Errorf("known by %v", level)
		}
		if err := known.Verify(t.Context(), e, old.Public()); reason(err) != Revoked {
			t.Errorf("the retired root: %v", err)
		}
	}
	// A thief of the old root comes too late.
	second, err := Succeed(old, eve)
	if err != nil {
		t.Fatal(err)
	}
	if err := known.Succeed(second); reason(err) != Changed {
		t.Errorf("a second successor: %v", err)
	}
	stranger, _ := Succeed(eve, next)
	if err := known.Succeed(stranger); reason(err) != Unknown {
		t.Errorf("a stranger's: %v", err)
	}
	other := new(KnownPeers)
	if err := other.Admit(at, eve.Public()); err != nil {
		t.Fatal(err)
	}
	_ = other.Verify(t.Context(), at, revocationOf(t, eve))
	if err := other.Succeed(stranger); reason(err) != Revoked {
		t.Errorf("a revoked root's: %v", err)
	}
	stored, err := ParseKnownPeers(known.Bytes())
	if err != nil || stored.Verify(t.Context(), at, next.Public()) != nil || stored.Verify(t.Context(), at, old.Public()) == nil {
		t.Errorf("came back otherwise: %v", err)
	}
}

func TestSuccessionTampering(t *testing.T) {
	old, next := testIdentity(t, "old"), testIdentity(t, "new")
	s, _ := Succeed(old, next)
	step := 1
	if slowtest.Mode {
		step = 9 // one bit of each byte, another in the next
	}
	for bit := 0; bit < 8*len(s.Bytes()); bit += step {
		b := bytes.Clone(s.Bytes())
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := ParseSuccession(b); !errors.Is(err, ErrSuccession) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	for n := range s.Bytes() {
		if _, err := ParseSuccession(s.Bytes()[:n]); !errors.Is(err, ErrSuccession) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	if _, err := Succeed(old, old); err == nil {
		t.Error("its own successor")
	}
}

func FuzzParseSuccession(f *testing.F) {
	s, _ := Succeed(testIdentity(f, "old"), testIdentity(f, "new"))
	f.Add(s.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzParse(t, b, func() ([]byte, error) {
			s, err := ParseSuccession(b)
			if err != nil {
				return nil, err
			}
			return s.Bytes(), nil
		})
	})
}
