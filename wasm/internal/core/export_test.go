//go:build !js

package core

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/hopseal/hopseal/internal/keyfile"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
	"github.com/hopseal/hopseal/keys/trust"
)

const words = "trivial gadget ostrich banjo lantern"

// What a page exports is a store that Go opens, and the other way round.
func TestAnExportIsAStore(t *testing.T) {
	c := newClient(t)
	ann, bob := c.generate("ann"), c.generate("bob")
	made := c.must("peersCreate")
	p := made.number()
	c.must("peersAdmit", p, "", "room", 3, "", bob.public.handle)
	exported := c.must("accountExport", ann.handle, p, words)
	file := bytes.Clone(exported.bytes())

	path := filepath.Join(t.TempDir(), "ann.store")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := keystore.Open(t.Context(), path, keystore.Passphrase([]byte(words)))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Identity().Fingerprint().String(); got != ann.fingerprint {
		t.Errorf("the store is %s, not %s", got, ann.fingerprint)
	}
	room := trust.Expected{Room: "room", Role: trust.RoleMember}
	if got := s.KnownPeers().Admitted(room); len(got) != 1 || got[0].String() != bob.fingerprint {
		t.Errorf("the store knows %v", got)
	}
	if err := s.Renew(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	if file, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	f := c.must("accountImport", file, words)
	f.number()
	if back := readPublic(&f); back.fingerprint != ann.fingerprint || back.serial <= ann.serial {
		t.Errorf("back comes %+v", back)
	}
	peers := c.must("peersAdmitted", f.number(), "", "room", 3, "")
	if peers.text() != bob.fingerprint {
		t.Error("back comes without its peers")
	}

	c.wantCode("wrong-passphrase", "accountImport", file, words+" ")
	c.wantCode("wrong-passphrase", "accountImport", file, "")
	c.wantCode("bad-argument", "accountExport", ann.handle, p, "password")
	c.wantCode("bad-argument", "accountExport", ann.handle, p, "")
	for at := 0; at < len(file); at += 97 {
		changed := bytes.Clone(file)
		changed[at] ^= 1
		if _, err := c.call("accountImport", changed, words); err == nil {
			t.Errorf("byte %d may change", at)
		}
	}
	greedy := keyfile.Argon{Passes: 3, KiB: 256 << 10, Lanes: 1}
	c.wantCode("invalid", "accountImport", keyfile.Seal(nil, make([]byte, 32), greedy.Append(nil, make([]byte, 16))), words)
	for _, cut := range [][]byte{nil, file[:40], file[:len(file)-1], append(bytes.Clone(file), 0)} {
		c.wantCode("invalid", "accountImport", cut, words)
	}
}

// What an account has no place for is said.
func TestAStoreOfMoreThanAnAccountIsRefused(t *testing.T) {
	c := newClient(t)
	path := filepath.Join(t.TempDir(), "service.store")
	id, err := keys.GenerateIdentity("service")
	if err != nil {
		t.Fatal(err)
	}
	s, err := keystore.Create(t.Context(), path, keystore.Passphrase([]byte(words)), id)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	shared, err := keys.GenerateSharedKeyset()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutSharedKeyset("orders", shared); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c.wantCode("bad-argument", "accountImport", file, words)
}
