//go:build !js

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/keyio"
	"github.com/hopseal/hopseal/keys/keystore"
	"github.com/hopseal/hopseal/keys/trust"
)

func stagesOf(r showResult, use string) string {
	var out []string
	for _, k := range r.Keys {
		if k.Use == use {
			out = append(out, k.Stage)
		}
	}
	return strings.Join(out, " ")
}

// The life of a key from the shell, for every kind of key.
func TestLifeOfAKey(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	w.key("new", "-shared", "orders")
	for use, selected := range map[string][]string{"signing": {"-use", "signing"}, "sealing": {"-use", "sealing"}, "shared": {"-shared", "orders"}} {
		expect := func(want string) {
			t.Helper()
			if got := stagesOf(keyJSON[showResult](w, "show"), use); got != want {
				t.Fatalf("%s: %s, want %s", use, got, want)
			}
		}
		expect("primary")
		w.key(append([]string{"rotate", "-add"}, selected...)...)
		expect("primary pending")
		w.key("promote", w.pick("pending", use))
		expect("retiring primary")
		w.key("disable", w.pick("retiring", use))
		w.key("destroy", w.pick("archived", use))
		r := keyJSON[changeResult](w, append([]string{"rotate", "-now"}, selected...)...)
		if len(r.Changes) != 2 || r.Changes[0].To != "retiring" || r.Changes[1].From != stageNew || r.Changes[1].To != "primary" || r.Renewed == (use == "shared") {
			t.Errorf("%s: %+v", use, r)
		}
		expect("retiring primary")
		old := w.pick("retiring", use)
		w.key("disable", old)
		expect("archived primary")
		out := w.key(append([]string{"destroy", old}, selected...)...)
		if !strings.Contains(out, old+": destroyed, was archived") {
			t.Error(out)
		}
		expect("primary")
	}
}

func TestRotateTakesTheStepsThatAreDue(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	w.key("new", "-shared", "orders")
	r := keyJSON[changeResult](w, "rotate")
	if len(r.Changes) != 0 || r.Next == nil {
		t.Errorf("nothing is due: %+v", r)
	}
	if out := w.key("rotate"); !strings.Contains(out, "nothing is due\nnext step due: 2") {
		t.Error(out)
	}
	if r = keyJSON[changeResult](w, "rotate", "-age", "6h", "-lead", "0", "-follow", "orders"); len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "messages verify for 15 days") {
		t.Errorf("a policy that changes keys too often: %q", r.Warnings)
	}
	r = keyJSON[changeResult](w, "rotate", "-age", "1d", "-lead", "24h", "-follow", "orders")
	if len(r.Changes) != 2 || r.Changes[0].To != "pending" || r.Changes[1].To != "pending" || !r.Renewed {
		t.Errorf("made: %+v", r)
	}
	w.key("promote", w.pick("pending", "signing"))
	r = keyJSON[changeResult](w, "rotate", "-age", "0", "-lead", "0", "-overlap", "0", "-follow", "orders")
	show := keyJSON[showResult](w, "show")
	if stagesOf(show, "signing") != "archived primary" || stagesOf(show, "sealing") != "retiring primary" || stagesOf(show, "shared") != "primary" {
		t.Errorf("%+v", show.Keys)
	}
	if out := w.key("disable", w.pick("retiring", "sealing")); !strings.Contains(out, "warning: until ") || !strings.Contains(out, "peers may seal to sealing key ") {
		t.Error("a key that a statement in use lists is archived without a warning:", out)
	}
	out := w.key("rotate", "-age", "0", "-lead", "0", "-overlap", "0", "-keep", "1ms", "-follow", "orders")
	if strings.Count(out, "destroyed") != 2 {
		t.Error(out)
	}
}

// What one store exports another one imports; both then see the same number.
func TestPeers(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.store("alice"), w.store("bob")
	if got := strings.TrimSpace(w.key("fingerprint")); got != alice {
		t.Error(got)
	}
	if got := strings.TrimSpace(w.key("fingerprint", "bob.pub")); got != bob {
		t.Error(got)
	}
	number := w.key("safety-number", "bob.pub")
	if other := w.key("safety-number", "-store", "bob.store", alice); number != other || len(strings.Fields(number)) != 12 {
		t.Errorf("%s %s", number, other)
	}
	code := keyJSON[compareResult](w, "safety-number", bob).Code
	a, _ := keys.ParseFingerprint(alice)
	b, _ := keys.ParseFingerprint(bob)
	if err := trust.ScanSafetyCode(code, b, a); err != nil {
		t.Error(err)
	}
	for _, at := range [][]string{{"-address", "wss://Orders.example/link/"}, {"-room", "blue"}, {"-client"}} {
		args := append([]string{"import", "bob.pub", "-fingerprint", bob}, at...)
		if r := keyJSON[importResult](w, args...); !r.Changed || r.Imported != importedPeer || r.Peer.Level != "verified" {
			t.Errorf("%+v", r)
		}
		if out := w.key(args...); !strings.Contains(out, "nothing changed") {
			t.Error(out)
		}
	}
	want := []peerResult{
		{Address: "orders.example:443/link", Role: "server"}, {Room: "blue", Role: "member"}, {Role: "client"},
	}
	for i := range want {
		want[i].Fingerprint, want[i].Level, want[i].Serial = bob, "verified", 1
	}
	if got := keyJSON[showResult](w, "show").Peers; !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	if out := w.key("show"); !strings.Contains(out, bob+"  verified, in room \"blue\"") {
		t.Error(out)
	}
	w.key("forget", "-room", "blue", bob)
	w.fails(exitFailure, "not admitted there", "forget", "-room", "blue", bob)
	w.stdin = w.read("bob.pub")
	w.key("import", "-", "-room", "blue", "-fingerprint", bob)
}

// A person types the fingerprint that the owner told them.
func TestPersonConfirms(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	bob := w.store("bob")
	w.fails(exitFailure, "give -fingerprint", "import", "bob.pub", "-client")
	w.person = &person{answers: []string{bob[:20] + " " + bob[20:]}}
	_, errs, code := w.run("key", "import", "bob.pub", "-client")
	if code != 0 || !strings.Contains(errs, `calls itself "bob". Its fingerprint is `+bob) {
		t.Error(code, errs)
	}
	for _, typed := range []string{"", "yes", strings.ToUpper(bob), w.key("fingerprint", "-store", "alice.store")} {
		w.person = &person{answers: []string{typed}}
		before := w.files()
		_, errs, code := w.run("key", "import", "bob.pub", "-room", "blue")
		if code != exitFailure || !strings.Contains(errs, "nothing was changed") || len(changedFiles(before, w.files())) > 0 {
			t.Errorf("%q: %d %s", typed, code, errs)
		}
	}
}

func TestRevoke(t *testing.T) {
	w := newWorld(t)
	alice := w.store("alice")
	w.store("bob")
	w.key("import", "alice.pub", "-store", "bob.store", "-client", "-fingerprint", alice)
	prepared := w.write("prepared", w.key("revoke", "-prepare"))
	if keyJSON[showResult](w, "show").Revoked {
		t.Fatal("a prepared revocation revokes")
	}
	w.fails(exitFailure, "give -fingerprint", "revoke")
	w.fails(exitFailure, "not the one that you gave", "revoke", "-fingerprint", w.fingerprint("bob.pub"))
	r := keyJSON[revokeResult](w, "revoke", "-fingerprint", alice)
	if !r.Revoked || r.Prepared {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"revoke", "-fingerprint", alice}, {"rotate"}, {"rotate", "-use", "signing", "-now"}, {"revoke", "-prepare"}} {
		w.fails(exitFailure, "has been revoked: make a new identity", args...)
	}
	if out := w.key("show"); !strings.Contains(out, "REVOKED") {
		t.Error(out)
	}
	for _, file := range []string{prepared, w.write("revoked", r.Identity)} {
		got := keyJSON[importResult](w, "import", "-store", "bob.store", file)
		if got.Imported != importedRevocation || got.Fingerprint != alice || file == prepared && !got.Changed {
			t.Errorf("%+v", got)
		}
	}
	if out := w.key("show", "-store", "bob.store"); !strings.Contains(out, alice+"  REVOKED, as a client") {
		t.Error(out)
	}
	w.fails(exitFailure, "is revoked", "import", "-store", "bob.store", "alice.pub", "-client", "-fingerprint", alice)
	w.fails(exitFailure, "the store itself", "import", prepared)
	w.store("eve")
	if out := w.key("import", "-store", "eve.store", prepared); out != "noted: "+alice+" was not known to eve.store; it can never be admitted now\n" {
		t.Error(out)
	}
	if got := keyJSON[importResult](w, "import", "-store", "eve.store", prepared); got.Changed {
		t.Errorf("the second time: %+v", got)
	}
	w.fails(exitFailure, "is revoked", "import", "-store", "eve.store", "alice.pub", "-client", "-fingerprint", alice)
}

func (w *world) fingerprint(file string) string {
	w.t.Helper()
	return strings.TrimSpace(w.key("fingerprint", file))
}

func TestSuccession(t *testing.T) {
	w := newWorld(t)
	alice, next := w.store("alice"), w.store("next")
	w.store("bob")
	w.key("import", "alice.pub", "-store", "bob.store", "-room", "blue", "-fingerprint", alice)
	succession := w.write("succession", w.key("succeed", "next.store"))
	r := keyJSON[importResult](w, "import", "-store", "bob.store", succession)
	if r.Imported != importedSuccession || r.Fingerprint != alice || r.Successor != next || !r.Changed {
		t.Errorf("%+v", r)
	}
	if out := w.key("show", "-store", "bob.store"); !strings.Contains(out, next+"  succeeded, in room") || strings.Contains(out, alice) {
		t.Error(out)
	}
	w.key("rotate", "-store", "next.store", "-now", "-use", "signing")
	w.fails(exitFailure, "is unknown", "import", "-store", "next.store", succession)
}

// A shared keyset goes from one store to another, sealed, and again after each
// rotation. Nothing of it is on disk or screen in clear.
func TestSharedKeysetIsHandedOver(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.store("alice"), w.store("bob")
	eve := w.store("eve")
	w.key("new", "-shared", "orders")
	hand := func(file string) {
		t.Helper()
		w.key("export", "-shared", "orders", "-to", "bob.pub", "-fingerprint", bob, "-o", file)
	}
	take := []string{"import", "-store", "bob.store", "-shared", "orders", "-from", "alice.pub", "-fingerprint", alice}
	hand("1")
	w.key(append(take, "1")...)
	if out := w.key(append(take, "1")...); !strings.Contains(out, "nothing changed") {
		t.Error(out)
	}
	w.key("rotate", "-shared", "orders", "-now")
	hand("2")
	if r := keyJSON[importResult](w, append(take, "2")...); !r.Changed || r.Shared != "orders" {
		t.Errorf("%+v", r)
	}
	a, b := keyJSON[showResult](w, "show"), keyJSON[showResult](w, "show", "-store", "bob.store")
	if stagesOf(b, "shared") != "retiring primary" || a.Keys[3].WireID != b.Keys[3].WireID {
		t.Errorf("%+v %+v", a.Keys, b.Keys)
	}
	other := func(flag, value string) []string {
		args := slices.Clone(take)
		args[slices.Index(args, flag)+1] = value
		return args
	}
	w.fails(exitFailure, "import in the order", append(take, "1")...)
	w.fails(exitFailure, "sealed to somebody else", append(other("-store", "eve.store"), "2")...)
	w.fails(exitFailure, "the keyset of another name", append(other("-shared", "invoices"), "2")...)
	w.fails(exitFailure, "not the one that you gave", append(other("-fingerprint", eve), "2")...)
	eves := other("-fingerprint", eve)
	eves[slices.Index(eves, "-from")+1] = "eve.pub"
	w.fails(exitFailure, "somebody else sealed it", append(eves, "2")...)
	sealed := w.read("2")
	w.fails(exitFailure, "damaged, cut short", append(take, w.write("cut", sealed[:len(sealed)/2]))...)
	changed := []byte(decodeText([]byte(sealed)))
	changed[len(changed)-1] ^= 1
	w.fails(exitFailure, "was changed", append(take, w.write("flipped", string(changed)))...)
	w.fails(exitFailure, "damaged, cut short", append(take, "alice.pub")...)
	reflected := other("-store", "alice.store")
	w.fails(exitFailure, "sealed it itself", append(reflected, "2")...)
}

// A keyset of AES256_GCM keys, which a program took over from Tink, goes the same
// ways: to another holder, through rotations and into a backup.
func TestKeysetFromTinkGoesTheSameWays(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.store("alice"), w.store("bob")
	seals := func(store string, want bool) {
		t.Helper()
		s, err := keystore.Open(t.Context(), store, keystore.KMS(fakeKMS{}, testKMSKey))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		set, _ := s.SharedKeyset("orders")
		if _, err := set.Primary().Seal(nil, []byte("m"), nil); (err == nil) != want || err != nil && !errors.Is(err, keys.ErrSealLimit) {
			t.Errorf("%s: %v", store, err)
		}
		if set.Primary().Overhead() != 28 {
			t.Errorf("%s has another type of key", store)
		}
	}
	take := func(kind keyset.Type) *keyio.TinkKeyset {
		made, err := keyset.Generate(kind)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := made.Append(nil)
		set, err := keyio.ReadCleartextTinkKeyset(b, keyio.TinkBinary, insecurecleartext.Token{})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	s, err := keystore.Open(t.Context(), "alice.store", keystore.KMS(fakeKMS{}, testKMSKey))
	if err != nil {
		t.Fatal(err)
	}
	shared, err := keyio.ImportSharedKeyset(take(keyset.AESGCM), take(keyset.HMAC))
	if err = errors.Join(err, s.PutSharedKeyset("orders", shared), s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"1", "2"} {
		w.key("export", "-shared", "orders", "-to", "bob.pub", "-fingerprint", bob, "-o", file)
		w.key("import", "-store", "bob.store", "-shared", "orders", "-from", "alice.pub", "-fingerprint", alice, file)
		seals("alice.store", true)
		seals("bob.store", true)
		w.key("rotate", "-shared", "orders", "-now")
	}
	if got := stagesOf(keyJSON[showResult](w, "show", "-store", "bob.store"), "shared"); got != "retiring primary" {
		t.Error(got)
	}
	w.key("export", "-insecure-cleartext", "-o", "backup")
	w.key("import", "-insecure-cleartext", "-store", "again.store", "backup")
	seals("again.store", false)
	w.key("rotate", "-store", "again.store", "-shared", "orders", "-now")
	seals("again.store", true)
}

func TestBackupAndRestore(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	bob := w.store("bob")
	w.key("new", "-shared", "orders")
	w.key("import", "bob.pub", "-client", "-fingerprint", bob)
	w.key("export", "-insecure-cleartext", "-o", "backup")
	if info, _ := os.Stat("backup"); info.Mode().Perm() != 0o600 {
		t.Errorf("a cleartext backup has mode %v", info.Mode())
	}
	w.fails(exitFailure, "exists already", "import", "-insecure-cleartext", "backup")
	w.fails(exitFailure, "exists already", "export", "-insecure-cleartext", "-o", "backup")
	w.key("import", "-insecure-cleartext", "-store", "again.store", "backup")
	a, b := keyJSON[showResult](w, "show"), keyJSON[showResult](w, "show", "-store", "again.store")
	b.Store = a.Store
	if fmt.Sprintf("%+v", described(a)) != fmt.Sprintf("%+v", described(b)) {
		t.Errorf("%+v\n%+v", a, b)
	}
	w.stdin = w.key("export", "-insecure-cleartext")
	w.key("import", "-insecure-cleartext", "-store", "third.store", "-")
	whole := w.read("backup")
	for name, bad := range map[string]string{"cut": whole[:len(whole)-3], "longer": whole + "\n", "flipped": strings.Replace(whole, "\n", "\nA", 1), "a store": w.read("alice.store")} {
		w.fails(exitFailure, "not a cleartext backup", "import", "-insecure-cleartext", "-store", "new.store", w.write("bad-"+strings.Fields(name)[0], bad))
	}
}

// described leaves out pointers, which print as addresses.
func described(r showResult) any {
	out := []string{r.Fingerprint, fmt.Sprint(r.Serial)}
	for _, k := range r.Keys {
		out = append(out, k.WireID, k.Stage, timeText(k.since()))
	}
	return append(out, fmt.Sprint(r.Peers))
}

// Tink reads what is exported for it. That it then works with it is for package
// keys to test.
func TestExportForTink(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	for use, kind := range map[string]string{"signing": "Ed25519PublicKey", "sealing": "HpkePublicKey"} {
		text := w.key("export", "-tink-public", use)
		set, err := tinkkeyset.ReadWithNoSecrets(tinkkeyset.NewJSONReader(strings.NewReader(text)))
		if err != nil || !strings.Contains(set.String(), kind) {
			t.Errorf("%s: %v", text, err)
		}
		if r := keyJSON[exportResult](w, "export", "-tink-public", use); strings.TrimSpace(text) != strings.TrimSpace(r.Tink) {
			t.Errorf("%+v", r)
		}
	}
}

// No secret comes out unless the flag that says insecure is given.
func TestA42NoSecretInTheOutput(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	bob := w.store("bob")
	w.key("new", "-shared", "orders")
	backup, err := parseBackup(w.key("export", "-insecure-cleartext"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, args := range [][]string{
		{"show"}, {"fingerprint"}, {"export"}, {"revoke", "-prepare"}, {"safety-number", bob}, {"rotate"}, {"export", "-tink-public", "signing"}, {"export", "-tink-public", "sealing"},
		{"export", "-shared", "orders", "-to", "bob.pub", "-fingerprint", bob},
	} {
		out.WriteString(w.key(args...) + w.key(append(args, "-json")...))
	}
	secrets := secretsIn(t, backup)
	if len(secrets) != 5 { // root, signing, sealing, and two of the shared pair
		t.Fatalf("found %d secrets in the backup", len(secrets))
	}
	for _, secret := range secrets {
		for _, form := range []string{string(secret), fmt.Sprintf("%x", secret)} {
			if strings.Contains(out.String(), form) {
				t.Error("a secret is in the output")
			}
		}
		for field := range strings.FieldsSeq(out.String()) {
			if strings.Contains(string(decodeText([]byte(strings.Trim(field, `",`)))), string(secret)) {
				t.Error("a secret is in the output, in base64")
			}
		}
	}
}

// secretsIn finds the seeds and keys in a cleartext backup, 32 bytes each.
func secretsIn(t *testing.T, backup []byte) [][]byte {
	t.Helper()
	var out [][]byte
	text := string(backup)
	// The root is the first byte string of 32 after the identity's version.
	i := strings.Index(text, "\x95\x01\xc4\x20")
	out = append(out, backup[i+4:i+36])
	for _, mark := range []string{"Ed25519PrivateKey\x12\x46\x12\x20", "HmacKey\x12\x28\x12\x04\x08\x03\x10\x20\x1a\x20", "XAesGcmKey\x12\x26\x12\x02\x08\x0c\x1a\x20"} {
		at := strings.Index(text, mark)
		if at < 0 {
			t.Fatalf("no %q in the backup", mark[:10])
		}
		out = append(out, backup[at+len(mark):at+len(mark)+32])
	}
	at := strings.Index(text, "HpkePrivateKey")
	end := strings.Index(text[at:], "\x1a\x20") + at
	for end-at < 1216 { // the public key may hold the mark
		end += 2 + strings.Index(text[end+2:], "\x1a\x20")
	}
	return append(out, backup[end+2:end+34])
}

// Names come from outside: they do not steer the terminal.
func TestA47NamesAreEscaped(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	hostile := "eve\x1b[2J\u202e\ngnp"
	w.key("new", "-store", "eve.store", "-name", hostile)
	w.key("export", "-store", "eve.store", "-o", "eve.pub")
	eve := w.fingerprint("eve.pub")
	w.key("new", "-shared", hostile)
	w.key("import", "eve.pub", "-room", hostile, "-fingerprint", eve)
	w.person = &person{answers: []string{eve}}
	_, asked, _ := w.run("key", "import", "eve.pub", "-client")
	w.person = nil
	out := asked + w.key("show") + w.key("show", "-json") + w.key("show", "-store", "eve.store") +
		w.key("export", "-store", "eve.store", "-json") + w.key("rotate", "-now", "-shared", hostile) + w.key("rotate", "-now", "-shared", hostile, "-json")
	out += w.fails(exitFailure, "there is no store", "show", "-store", hostile)
	out += w.fails(exitFailure, "no shared keyset", "rotate", "-now", "-shared", hostile+"x")
	for _, bad := range []string{"\x1b", "\u202e", "\ngnp"} {
		if strings.Contains(out, bad) {
			t.Errorf("%q is in the output", bad)
		}
	}
	if r := keyJSON[showResult](w, "show", "-store", "eve.store"); r.Name != hostile {
		t.Errorf("JSON tells another name: %q", r.Name)
	}
}

func TestHelp(t *testing.T) {
	w := newWorld(t)
	for _, c := range keyCommands.group {
		out, errs, code := w.run("key", c.name, "-h")
		if code != 0 || errs != "" || !strings.Contains(out, c.summary) || !strings.Contains(out, "-json") || !strings.Contains(out, "-store") {
			t.Errorf("%s: %d %s%s", c.name, code, out, errs)
		}
		if out, _, _ := w.run("key", "help"); !strings.Contains(out, " "+c.name+" ") {
			t.Errorf("%s is not listed: %s", c.name, out)
		}
	}
	if out, _, code := w.run("-h"); code != 0 || !strings.Contains(out, "hopseal key") {
		t.Error(code, out)
	}
}

// A call that cannot be meant like this exits with 2 and points to the help.
func TestUsageErrors(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	for _, args := range []string{
		"", "nothing", "new", "new -name a -shared b", "new -name", "new extra -name a", "show extra more", "show -x",
		"rotate -now", "rotate -add", "rotate -use signing -now -add", "rotate -use signing", "rotate -use shared -now", "rotate -use signing -shared orders -now", "rotate -age 1", "rotate -age -1d",
		"rotate -age 1d -lead 2d", "promote", "promote 1 2", "export -shared orders", "export -to bob.pub", "export -raw",
		"export -insecure-cleartext -shared a -to b", "export -tink-public shared", "export -tink-public signing -insecure-cleartext", "import", "import a -shared b", "import a -from b", "import alice.pub", "import alice.pub -room a -client",
		"import alice.pub -address nonsense", "import a -insecure-cleartext -room b", "forget", "forget x", "safety-number", "succeed",
	} {
		line := w.fails(exitUsage, " -h'", strings.Fields(args)...)
		if strings.Contains(line, "flag provided") && !strings.Contains(line, "-x") {
			t.Error(line)
		}
	}
	delete(w.env, envStore)
	w.fails(exitUsage, "-store PATH, or set HOPSEAL_STORE", "show")
	w.env[envPassphrase] = "x"
	w.fails(exitUsage, "are both set: unset one", "show", "-store", "alice.store")
}
