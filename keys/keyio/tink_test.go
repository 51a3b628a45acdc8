//go:build !js

package keyio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcmsiv"
	"github.com/tink-crypto/tink-go/v2/aead/xaesgcm"
	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/hybrid/hpke"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/key"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	"github.com/tink-crypto/tink-go/v2/mac/hmac"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/signature"
	"github.com/tink-crypto/tink-go/v2/signature/ed25519"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

var (
	cleartext   = insecurecleartext.Token{}
	tinkFormats = []TinkFormat{TinkBinary, TinkJSON}
)

// params returns Tink's parameters of a kind with one of the prefixes.
func params(kind keyset.Type, prefix keyset.Prefix) key.Parameters {
	pick := func(p keyset.Prefix) int { return slices.Index([]keyset.Prefix{1, 4, 3}, p) }
	switch i := pick(prefix); kind {
	case keyset.Ed25519:
		v := []ed25519.Variant{ed25519.VariantTink, ed25519.VariantCrunchy, ed25519.VariantNoPrefix}[i]
		p := must(ed25519.NewParameters(v))
		return &p
	case keyset.XWing:
		v := []hpke.Variant{hpke.VariantTink, hpke.VariantCrunchy, hpke.VariantNoPrefix}[i]
		return must(hpke.NewParameters(hpke.ParametersOpts{
			KEMID: hpke.X_WING, KDFID: hpke.HKDFSHA256, AEADID: hpke.AES256GCM, Variant: v}))
	case keyset.XAESGCM:
		v := []xaesgcm.Variant{xaesgcm.VariantTink, xaesgcm.VariantUnknown, xaesgcm.VariantNoPrefix}[i]
		return must(xaesgcm.NewParameters(v, 12))
	case keyset.AESGCM:
		v := []aesgcm.Variant{aesgcm.VariantTink, aesgcm.VariantCrunchy, aesgcm.VariantNoPrefix}[i]
		return must(aesgcm.NewParameters(aesgcm.ParametersOpts{KeySizeInBytes: 32, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: v}))
	}
	v := []hmac.Variant{hmac.VariantTink, hmac.VariantCrunchy, hmac.VariantNoPrefix}[pick(prefix)]
	return must(hmac.NewParameters(hmac.ParametersOpts{KeySizeInBytes: 32, TagSizeInBytes: 32, HashType: hmac.SHA256, Variant: v}))
}

// tinkMade is a keyset that Tink's manager made: one key for each of the
// parameters, the primary among them.
func tinkMade(primary int, ps ...key.Parameters) *tinkkeyset.Handle {
	m := tinkkeyset.NewManager()
	for i, p := range ps {
		id := must(m.AddNewKeyFromParameters(p))
		if i == primary {
			if err := m.SetPrimary(id); err != nil {
				panic(err)
			}
		}
	}
	return must(m.Handle())
}

func proto(h *tinkkeyset.Handle) *tinkpb.Keyset {
	b := must(TinkBinary.write(func(w tinkkeyset.Writer) error { return insecurecleartextkeyset.Write(h, w) }))
	return must(must(TinkBinary.reader(b)).Read())
}

// written returns the keyset as Tink writes it in the clear.
func written(f TinkFormat, k *tinkpb.Keyset) []byte {
	return must(f.write(func(w tinkkeyset.Writer) error { return w.Write(k) }))
}

func read(h *tinkkeyset.Handle) *TinkKeyset {
	return must(ReadCleartextTinkKeyset(written(TinkBinary, proto(h)), TinkBinary, cleartext))
}

func newKEK() tink.AEAD {
	return must(aead.New(must(tinkkeyset.NewHandle(aead.AES256GCMKeyTemplate()))))
}

// prefixOf returns what Tink puts before the output of a key.
func prefixOf(k keyset.Key) []byte {
	id := []byte{byte(k.ID >> 24), byte(k.ID >> 16), byte(k.ID >> 8), byte(k.ID)}
	switch k.Prefix {
	case keyset.PrefixTink:
		return append([]byte{1}, id...)
	case keyset.PrefixCrunchy:
		return append([]byte{0}, id...)
	}
	return nil
}

func primaryOf(r ring.Ring) keyset.Key {
	k := must(r.Set.Keyset())
	return k.Keys[r.Primary()]
}

// An identity's public keysets work in Tink's verifier and hybrid encrypter.
func TestTinkReadsPublicKeysets(t *testing.T) {
	id := testIdentity(t, "alice")
	for _, f := range tinkFormats {
		holdIdentityAgainstTink(t, id, func(use keys.Use) *tinkkeyset.Handle {
			b := must(must(ExportIdentity(id, use)).Public(f))
			if bytes.Contains(b, primaryOf(ringsOf(id).signing).Secret) {
				t.Error("a secret in a public keyset")
			}
			return must(tinkkeyset.ReadWithNoSecrets(must(f.reader(b))))
		})
	}
}

func holdIdentityAgainstTink(t *testing.T, id *keys.Identity, public func(keys.Use) *tinkkeyset.Handle) {
	t.Helper()
	message, info := []byte("message"), []byte("info")
	s := ringsOf(id)

	sig := append(prefixOf(primaryOf(s.signing)), must(id.Signer().Sign(message))...)
	if err := must(signature.NewVerifier(public(keys.UseSigning))).Verify(sig, message); err != nil {
		t.Errorf("Tink does not verify ours: %v", err)
	}
	sealed := must(must(hybrid.NewHybridEncrypt(public(keys.UseSealing))).Encrypt(message, info))
	sealed, ok := bytes.CutPrefix(sealed, prefixOf(primaryOf(s.sealing)))
	if got, err := id.UnsealKey(id.Public().RecipientKey().ID(), info, sealed); !ok || err != nil || !bytes.Equal(got, message) {
		t.Errorf("what Tink sealed opens as %q, %v", got, err)
	}
}

// Encrypted keysets go to Tink and come back, bound to the key and the associated
// data.
func TestTinkReadsEncryptedKeysets(t *testing.T) {
	id, kek, aad := testIdentity(t, "alice"), newKEK(), []byte("backup 1")
	aeads, macs, err := ExportSharedKeyset(must(keys.GenerateSharedKeyset()))
	if err != nil {
		t.Fatal(err)
	}
	aes, _, err := ExportSharedKeyset(aesKeyset(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]*TinkKeyset{
		"signing": must(ExportIdentity(id, keys.UseSigning)), "sealing": must(ExportIdentity(id, keys.UseSealing)), "aead": aeads, "mac": macs, "AES": aes,
	} {
		for _, f := range tinkFormats {
			b := must(set.Encrypted(f, kek, aad))
			if bytes.Contains(b, keysOf(set).Keys[0].Secret) {
				t.Errorf("%s: the key stands in the clear", name)
			}
			theirs, err := tinkkeyset.ReadWithAssociatedData(must(f.reader(b)), kek, aad)
			if err != nil || !bytes.Equal(must((&TinkKeyset{handle: theirs}).bytes()), must(set.bytes())) {
				t.Errorf("%s: Tink reads another keyset: %v", name, err)
			}
			again, err := ReadTinkKeyset(b, f, kek, aad)
			if err != nil || !bytes.Equal(must(again.bytes()), must(set.bytes())) {
				t.Errorf("%s: comes back otherwise: %v", name, err)
			}
			for problem, open := range map[string]func() (*TinkKeyset, error){
				"another key":             func() (*TinkKeyset, error) { return ReadTinkKeyset(b, f, newKEK(), aad) },
				"another associated data": func() (*TinkKeyset, error) { return ReadTinkKeyset(b, f, kek, []byte("backup 2")) },
			} {
				if _, err := open(); reasonOf(err) != TinkLocked {
					t.Errorf("%s: %s: %v", name, problem, err)
				}
			}
			clear := must(set.Cleartext(f, cleartext))
			if again, err := ReadCleartextTinkKeyset(clear, f, cleartext); err != nil || !bytes.Equal(must(again.bytes()), must(set.bytes())) {
				t.Errorf("%s: comes back otherwise from the clear: %v", name, err)
			}
		}
	}
}

func reasonOf(err error) TinkReason {
	if e, ok := errors.AsType[*TinkKeysetError](err); ok {
		return e.Reason
	}
	return 0
}

// Keysets that Tink made load, with every prefix, and each side opens what the
// other sealed.
func TestImportOfTinkKeysets(t *testing.T) {
	for _, prefix := range []keyset.Prefix{keyset.PrefixTink, keyset.PrefixCrunchy, keyset.PrefixRaw} {
		signing, sealing := tinkMade(0, params(keyset.Ed25519, prefix)), tinkMade(0, params(keyset.XWing, prefix))
		id, err := ImportIdentity("alice", read(signing), read(sealing))
		if err != nil {
			t.Fatal(err)
		}
		holdIdentityAgainstTink(t, id, func(use keys.Use) *tinkkeyset.Handle {
			return must(map[keys.Use]*tinkkeyset.Handle{keys.UseSigning: signing, keys.UseSealing: sealing}[use].Public())
		})
		message, info := []byte("message"), []byte("info")
		sig, _ := bytes.CutPrefix(must(must(signature.NewSigner(signing)).Sign(message)), prefixOf(primaryOf(ringsOf(id).signing)))
		if !id.Public().VerifyingKey().Verify(message, sig) {
			t.Error("what Tink signed does not verify")
		}
		ours := append(prefixOf(primaryOf(ringsOf(id).sealing)), must(id.Public().RecipientKey().SealKey(info, message))...)
		if got, err := must(hybrid.NewHybridDecrypt(sealing)).Decrypt(ours, info); err != nil || !bytes.Equal(got, message) {
			t.Errorf("Tink opens ours as %q, %v", got, err)
		}

		for _, kind := range []keyset.Type{keyset.XAESGCM, keyset.AESGCM} {
			aeadPrefix := prefix
			if kind == keyset.XAESGCM && prefix == keyset.PrefixCrunchy {
				aeadPrefix = keyset.PrefixTink // X_AES_GCM has no other
			}
			aeads, macs := tinkMade(0, params(kind, aeadPrefix)), tinkMade(0, params(keyset.HMAC, prefix))
			shared, err := ImportSharedKeyset(read(aeads), read(macs))
			if err != nil {
				t.Fatal(err)
			}
			holdSharedAgainstTink(t, shared, aeads, macs)
		}
	}
}

// counted has the messages of a keyset's AES256_GCM keys counted, as a store does.
func counted(s *keys.SharedKeyset) {
	sharedKeysets.Move(s, sharedKeysets.Counted(s, func(_ [32]byte, room *atomic.Uint64, n uint64) error {
		room.Store(n)
		return nil
	}))
}

func holdSharedAgainstTink(t *testing.T, shared *keys.SharedKeyset, aeads, macs *tinkkeyset.Handle) {
	t.Helper()
	message, aad := []byte("message"), []byte("associated data")
	counted(shared) // or AES256_GCM does not seal
	aeadRing, macRing := sharedKeysets.Rings(shared)
	aeadPrefix, macPrefix := prefixOf(primaryOf(aeadRing)), prefixOf(primaryOf(macRing))

	tinkAEAD := must(aead.New(aeads))
	sealed, ok := bytes.CutPrefix(must(tinkAEAD.Encrypt(message, aad)), aeadPrefix)
	if got, err := shared.Primary().Open(nil, sealed, aad); !ok || err != nil || !bytes.Equal(got, message) {
		t.Errorf("what Tink sealed opens as %q, %v", got, err)
	}
	ours := append(aeadPrefix, must(shared.Primary().Seal(nil, message, aad))...)
	if got, err := tinkAEAD.Decrypt(ours, aad); err != nil || !bytes.Equal(got, message) {
		t.Errorf("Tink opens ours as %q, %v", got, err)
	}
	tag := append(macPrefix, shared.Primary().MAC(nil, message)...)
	if err := must(mac.New(macs)).VerifyMAC(tag, message); err != nil {
		t.Errorf("Tink does not verify ours: %v", err)
	}
}

// A22, A23, A24: what is refused, and that the error says which key and why.
func TestTinkKeysetsNotTaken(t *testing.T) {
	signing := params(keyset.Ed25519, keyset.PrefixTink)
	raw := params(keyset.Ed25519, keyset.PrefixRaw)
	two := func(change func(*tinkpb.Keyset)) *tinkpb.Keyset {
		k := proto(tinkMade(0, signing, signing))
		change(k)
		return k
	}
	many := slices.Repeat([]key.Parameters{signing}, maxImportedKeys+1)
	otherHMAC := must(hmac.NewParameters(hmac.ParametersOpts{KeySizeInBytes: 32, TagSizeInBytes: 16, HashType: hmac.SHA256, Variant: hmac.VariantTink}))
	otherHPKE := must(hpke.NewParameters(hpke.ParametersOpts{
		KEMID: hpke.X_WING, KDFID: hpke.HKDFSHA256, AEADID: hpke.AES128GCM, Variant: hpke.VariantTink}))
	otherKEM := must(hpke.NewParameters(hpke.ParametersOpts{
		KEMID: hpke.DHKEM_X25519_HKDF_SHA256, KDFID: hpke.HKDFSHA256, AEADID: hpke.AES256GCM, Variant: hpke.VariantTink}))
	otherSalt := must(xaesgcm.NewParameters(xaesgcm.VariantTink, 8))
	shortAES := must(aesgcm.NewParameters(aesgcm.ParametersOpts{KeySizeInBytes: 16, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: aesgcm.VariantTink}))
	siv := must(aesgcmsiv.NewParameters(32, aesgcmsiv.VariantTink))
	newerAES := proto(tinkMade(0, params(keyset.AESGCM, keyset.PrefixTink)))
	newerAES.Key[0].KeyData.Value = append([]byte{1 << 3, 1}, newerAES.Key[0].KeyData.Value...)
	for name, c := range map[string]struct {
		set  *tinkpb.Keyset
		want TinkReason
	}{
		"A23 two keys of one id":      {two(func(k *tinkpb.Keyset) { k.Key[1].KeyId = k.Key[0].KeyId }), TinkDuplicateID},
		"A22 RAW before another":      {proto(tinkMade(1, raw, signing)), TinkAmbiguous},
		"A22 RAW behind another":      {proto(tinkMade(0, signing, raw)), TinkAmbiguous},
		"A22 two RAW":                 {proto(tinkMade(0, raw, raw)), TinkAmbiguous},
		"A24 another type":            {proto(tinkMade(0, siv)), TinkType},
		"A24 XAES and AES":            {proto(tinkMade(0, params(keyset.XAESGCM, keyset.PrefixTink), params(keyset.AESGCM, keyset.PrefixTink))), TinkType},
		"AES of 16 bytes":             {proto(tinkMade(0, shortAES)), TinkParameters},
		"AES of another version":      {newerAES, TinkParameters},
		"A24 two types":               {proto(tinkMade(0, signing, params(keyset.HMAC, keyset.PrefixTink))), TinkType},
		"short tag":                   {proto(tinkMade(0, otherHMAC)), TinkParameters},
		"another AEAD in HPKE":        {proto(tinkMade(0, otherHPKE)), TinkParameters},
		"another KEM in HPKE":         {proto(tinkMade(0, otherKEM)), TinkParameters},
		"short salt":                  {proto(tinkMade(0, otherSalt)), TinkParameters},
		"another public half":         {two(func(k *tinkpb.Keyset) { k.Key[0].KeyData.Value[40] ^= 1 }), TinkParameters},
		"cut key":                     {two(func(k *tinkpb.Keyset) { k.Key[0].KeyData.Value = k.Key[0].KeyData.Value[:20] }), TinkParameters},
		"symmetric said to be public": {two(func(k *tinkpb.Keyset) { k.Key[0].KeyData.KeyMaterialType = 3 }), TinkParameters},
		"legacy prefix":               {two(func(k *tinkpb.Keyset) { k.Key[0].OutputPrefixType = tinkpb.OutputPrefixType_LEGACY }), TinkPrefix},
		"one key twice":               {two(func(k *tinkpb.Keyset) { k.Key[1].KeyData = k.Key[0].KeyData }), TinkRepeatedKey},
		"too many keys":               {proto(tinkMade(0, many...)), TinkTooMany},
		"no keys":                     {&tinkpb.Keyset{PrimaryKeyId: 1}, TinkUnreadable},
		"only a destroyed key": {two(func(k *tinkpb.Keyset) {
			k.Key = k.Key[:1]
			k.Key[0].Status = tinkpb.KeyStatusType_DESTROYED
		}), TinkUnreadable},
		"disabled primary": {two(func(k *tinkpb.Keyset) { k.Key[0].Status = tinkpb.KeyStatusType_DISABLED }), TinkPrimary},
		"no primary":       {two(func(k *tinkpb.Keyset) { k.PrimaryKeyId ^= 1 }), TinkPrimary},
		"no state":         {two(func(k *tinkpb.Keyset) { k.Key[1].Status = 0 }), TinkUnreadable},
		"no key data":      {two(func(k *tinkpb.Keyset) { k.Key[1].KeyData = nil }), TinkType},
		"a public keyset":  {proto(must(tinkMade(0, signing).Public())), TinkType},
		"id 0":             {two(func(k *tinkpb.Keyset) { k.Key[1].KeyId = 0 }), TinkUnreadable},
	} {
		for _, f := range tinkFormats {
			_, err := ReadCleartextTinkKeyset(written(f, c.set), f, cleartext)
			if reasonOf(err) != c.want {
				t.Errorf("%s: %v, want %s", name, err, tinkReasons[c.want])
			}
			if err != nil && (strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 300) {
				t.Errorf("%s: not one short line: %q", name, err)
			}
		}
	}
}

// A47: the type is the only text of a keyset that an error shows.
func TestA47ForeignTypeIsEscaped(t *testing.T) {
	k := proto(tinkMade(0, params(keyset.Ed25519, keyset.PrefixTink)))
	k.Key[0].KeyData.TypeUrl = "\x1b[31mevil\n" + strings.Repeat("x", 1000)
	_, err := ReadCleartextTinkKeyset(written(TinkBinary, k), TinkBinary, cleartext)
	if reasonOf(err) != TinkType || strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 300 {
		t.Errorf("%q", err)
	}
}

func TestDestroyedKeysAreDropped(t *testing.T) {
	k := proto(tinkMade(0, params(keyset.HMAC, keyset.PrefixTink), params(keyset.HMAC, keyset.PrefixTink)))
	k.Key[1].Status, k.Key[1].KeyData = tinkpb.KeyStatusType_DESTROYED, nil
	set, err := ReadCleartextTinkKeyset(written(TinkJSON, k), TinkJSON, cleartext)
	if err != nil || len(keysOf(set).Keys) != 1 {
		t.Errorf("%v, %v", set, err)
	}
}

func TestImportRefusesTheWrongKeysets(t *testing.T) {
	signing := read(tinkMade(0, params(keyset.Ed25519, keyset.PrefixTink)))
	aeadParams, macParams := params(keyset.XAESGCM, keyset.PrefixTink), params(keyset.HMAC, keyset.PrefixTink)
	aeads, macs := read(tinkMade(0, aeadParams)), read(tinkMade(0, macParams))
	for name, err := range map[string]error{
		"signing for sealing": second(ImportIdentity("alice", nil, signing)),
		"HMAC for signing":    second(ImportIdentity("alice", macs, nil)), // A24
		"halves exchanged":    second(ImportSharedKeyset(macs, aeads)),
	} {
		if reasonOf(err) != TinkType {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, err := range []error{second(ImportSharedKeyset(aeads, nil)), second(ImportSharedKeyset(nil, macs))} {
		if err == nil || !strings.Contains(err.Error(), "no TinkKeyset was given") {
			t.Errorf("a half is missing: %v", err)
		}
	}
	for name, other := range map[string]*tinkkeyset.Handle{
		"more keys":       tinkMade(0, macParams, macParams),
		"another primary": tinkMade(1, macParams, macParams),
	} {
		if _, err := ImportSharedKeyset(aeads, read(other)); reasonOf(err) != TinkUnpaired {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ImportIdentity("", signing, nil); err == nil {
		t.Error("an identity without a name")
	}
	if _, err := signing.Public(0); !errors.Is(err, errTinkFormat) {
		t.Error(err)
	}
	if _, err := macs.Public(TinkJSON); err == nil {
		t.Error("an HMAC key has a public half")
	}
	if _, err := ExportIdentity(testIdentity(t, "alice"), keys.UseShared); err == nil {
		t.Error("an identity has a shared keyset")
	}
	outside := outsideSigner(rootKey(testIdentity(t, "root")))
	id := must(keys.GenerateIdentityWith("alice", outside, outside))
	if _, err := ExportIdentity(id, keys.UseSigning); !errors.Is(err, keys.ErrDetached) {
		t.Error(err)
	}
}

func TestTruncatedTinkKeysets(t *testing.T) {
	k := proto(tinkMade(0, params(keyset.XWing, keyset.PrefixTink)))
	for _, f := range tinkFormats {
		b := written(f, k)
		for n := range b {
			if _, err := ReadCleartextTinkKeyset(b[:n], f, cleartext); reasonOf(err) == 0 {
				t.Fatalf("%d bytes of %d: %v", n, len(b), err)
			}
		}
	}
	if _, err := ReadCleartextTinkKeyset(make([]byte, MaxTinkKeysetSize+1), TinkBinary, cleartext); reasonOf(err) != TinkUnreadable {
		t.Error(err)
	}
}

func TestA42TinkKeysetsPrintNoSecret(t *testing.T) {
	set := read(tinkMade(0, params(keyset.Ed25519, keyset.PrefixTink)))
	secret := keysOf(set).Keys[0].Secret
	if s := fmt.Sprintf("%+v", set); !strings.Contains(s, redacted) {
		t.Error(s)
	}
	type holder struct{ Set, hidden *TinkKeyset }
	for _, v := range []any{set, *set, holder{set, set}, []*TinkKeyset{set}} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "set", v)
		encoded, _ := json.Marshal(v)
		out := fmt.Sprintf("%v %+v %#v %x %s %q %d", v, v, v, v, v, v, v) + log.String() + string(encoded)
		for _, shown := range []string{string(secret), fmt.Sprintf("%x", secret), strings.Trim(fmt.Sprint(secret), "[]")} {
			if strings.Contains(out, shown) {
				t.Errorf("%T prints its key", v)
			}
		}
	}
}

func FuzzReadTinkKeyset(f *testing.F) {
	for _, kind := range []keyset.Type{keyset.Ed25519, keyset.XWing, keyset.XAESGCM, keyset.HMAC, keyset.AESGCM} {
		k := proto(tinkMade(0, params(kind, keyset.PrefixTink), params(kind, keyset.PrefixTink)))
		for _, format := range tinkFormats {
			f.Add(written(format, k), byte(format))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, format byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		set, err := ReadCleartextTinkKeyset(b, TinkFormat(format), cleartext)
		runtime.ReadMemStats(&after)
		// Tink and protobuf read it: what they take is bounded by the size limit.
		if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
			t.Fatalf("reading %d bytes allocated %d", len(b), used)
		}
		if err != nil {
			return
		}
		again, err := ReadCleartextTinkKeyset(must(set.Cleartext(TinkJSON, cleartext)), TinkJSON, cleartext)
		if err != nil || !bytes.Equal(must(again.bytes()), must(set.bytes())) {
			t.Fatalf("%x comes back otherwise: %v", b, err)
		}
	})
}

// A28: this is the most that a reader allocates within the limit on the size.
func TestA28HostileKeysetsAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		b []byte
		f TinkFormat
	}{
		"empty keys":         {bytes.Repeat([]byte{2<<3 | 2, 0}, MaxTinkKeysetSize/2), TinkBinary},
		"empty keys in JSON": {[]byte(`{"key":[{}` + strings.Repeat(",{}", MaxTinkKeysetSize/3-8) + "]}"), TinkJSON},
		"deep JSON":          {bytes.Repeat([]byte(`[`), MaxTinkKeysetSize), TinkJSON},
		"empty key data":     {bytes.Repeat([]byte{2<<3 | 2, 2, 1<<3 | 2, 0}, MaxTinkKeysetSize/4), TinkBinary},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ReadCleartextTinkKeyset(c.b, c.f, cleartext)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; err == nil || used > 8<<20 {
			t.Errorf("%s: %d bytes allocated %d: %v", name, len(c.b), used, err)
		} else {
			t.Logf("%s: %d bytes allocated %d", name, len(c.b), used)
		}
	}
}
