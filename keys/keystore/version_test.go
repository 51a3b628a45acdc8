package keystore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/keyfile"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
)

// versionAt is where the version of an encoded structure stands: its first value, or behind a
// head, or in its first value.
func versionAt(b []byte) int {
	r := strict.NewReader(b[1:])
	head, value := r.Next()
	switch code := b[1]; {
	case code >= 0xc4 && code <= 0xc6:
		return 1 + head + 1
	case code&0xe0 == 0xa0:
		return 1 + head + value
	}
	return 1
}

// A structure is one kind of bytes that are kept or sent, and may come from a later version.
type structure struct {
	name  string
	bytes []byte
	parse func(b []byte) error
	fails error // what bytes that do not parse give, nil for more than one error
}

func structures(t *testing.T) []structure {
	cheap(t)
	alice, bob, token := testIdentity(t, "alice"), testIdentity(t, "bob"), insecurecleartext.Token{}
	shared, err := keys.GenerateSharedKeyset()
	known := new(trust.KnownPeers)
	if err != nil {
		t.Fatal(err)
	}
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	must(nil, known.Admit(trust.Expected{Address: "wss://a"}, bob.Public()))
	succession, err := trust.Succeed(alice, bob)
	must(nil, err)
	authority := trust.NewAuthority(alice.Public())
	s, path := newStore(t)
	contents := must(s.freeze().append(nil))
	s.Close()
	return []structure{
		{"public identity", alice.Public().Bytes(), func(b []byte) error { _, err := keys.ParsePublic(b); return err }, keys.ErrPublicIdentity},
		{"identity", must(alice.MarshalCleartext(token)), func(b []byte) error { _, err := keys.ParseCleartextIdentity(b, token); return err }, keys.ErrIdentity},
		{"shared keyset", must(shared.MarshalCleartext(token)), func(b []byte) error { _, err := keys.ParseCleartextSharedKeyset(b, token); return err }, keys.ErrSharedKeyset},
		{"known peers", known.Bytes(), func(b []byte) error { _, err := trust.ParseKnownPeers(b); return err }, trust.ErrKnownPeers},
		{"succession", succession.Bytes(), func(b []byte) error { _, err := trust.ParseSuccession(b); return err }, trust.ErrSuccession},
		{"voucher", must(trust.Vouch(alice, trust.Expected{Room: "r"}, bob.Public().Fingerprint(), time.Now().Add(time.Hour))), authority.Add, trust.ErrVoucher},
		{"store's contents", contents, func(b []byte) error { _, err := parseFrozen(b); return err }, nil},
		{"store", must(os.ReadFile(path)), opensStore(t, path), nil},
	}
}

// opensStore reads bytes as a store and as a replica's, which must agree.
func opensStore(t *testing.T, path string) func(b []byte) error {
	return func(b []byte) error {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(context.Background(), path, passphrase)
		if err == nil {
			s.Close()
		}
		_, replica := OpenReplica(context.Background(), path, passphrase)
		if (err == nil) != (replica == nil) || errors.Is(err, keys.ErrVersion) != errors.Is(replica, keys.ErrVersion) {
			t.Errorf("a store says %v, a replica %v", err, replica)
		}
		return err
	}
}

// A reader of today tells what a later version has written from what is damaged, whatever it
// holds behind the version, and takes nothing from it.
func TestLaterVersionsAreNamed(t *testing.T) {
	for _, s := range structures(t) {
		if err := s.parse(s.bytes); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		at := versionAt(s.bytes)
		for name, b := range map[string][]byte{
			"with the same values": edited(s.bytes, at, 9),
			"with another value":   append(edited(edited(s.bytes, at, 9), 0, s.bytes[0]+1), 0xc0),
			"and larger":           append(edited(s.bytes, at, 9), bytes.Repeat([]byte{0xc0}, 1<<14)...),
			"with other values":    otherValues(s.bytes, at),
		} {
			err := s.parse(b)
			if !errors.Is(err, keys.ErrVersion) || s.fails != nil && !errors.Is(err, s.fails) || !strings.HasSuffix(err.Error(), "made by a later version: upgrade this program") {
				t.Errorf("%s of a later version, %s: %v", s.name, name, err)
			}
		}
		for name, b := range map[string][]byte{"version 0": edited(s.bytes, at, 0), "cut short": s.bytes[:at], "empty": nil} {
			if err := s.parse(b); err == nil || errors.Is(err, keys.ErrVersion) {
				t.Errorf("%s, %s: %v", s.name, name, err)
			}
		}
	}
}

// What a store holds may be of a later version than the store.
func TestLaterVersionsWithinAStore(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	content, err := s.freeze().append(nil)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := s.Identity().MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(content, identity)
	later := edited(content, at+versionAt(identity), 2)
	file := keyfile.Seal(later, s.master, s.protector)
	s.Close()
	if err := opensStore(t, path)(file); !errors.Is(err, keys.ErrVersion) || errors.Is(err, ErrDamaged) {
		t.Errorf("a store whose identity is of a later version: %v", err)
	}
}

// otherValues has of the structure only what all versions have in common.
func otherValues(b []byte, at int) []byte {
	if b[1] >= 0xc4 && b[1] <= 0xc6 {
		return append([]byte{0x93}, strict.AppendBin(nil, []byte{0x92, 9, 0xc0})...)
	}
	return edited(b[:at+1], at, 9)
}

func edited(b []byte, at int, value byte) []byte {
	out := bytes.Clone(b)
	out[at] = value
	return out
}
