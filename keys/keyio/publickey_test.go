//go:build !js

package keyio

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/keys"
)

// Keys go out as crypto/x509 writes them, and come back.
func TestPublicKeysAgreeWithX509(t *testing.T) {
	id := testIdentity(t, "alice")
	for _, key := range []ed25519.PublicKey{id.Public().RootKey(), id.Public().VerifyingKey().PublicKey()} {
		der, err := MarshalPublicKeyDER(key)
		want := must(x509.MarshalPKIXPublicKey(key))
		if err != nil || !bytes.Equal(der, want) {
			t.Errorf("DER %x, %v; x509 writes %x", der, err, want)
		}
		text := must(MarshalPublicKeyPEM(key))
		if want := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: want}); !bytes.Equal(text, want) {
			t.Errorf("PEM %s, want %s", text, want)
		}
		dos := bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
		jwk := must(MarshalPublicKeyJWK(key))
		for name, parsed := range map[string]func() (ed25519.PublicKey, error){
			"DER":               func() (ed25519.PublicKey, error) { return ParsePublicKeyDER(der) },
			"PEM":               func() (ed25519.PublicKey, error) { return ParsePublicKeyPEM(text) },
			"PEM without end":   func() (ed25519.PublicKey, error) { return ParsePublicKeyPEM(bytes.TrimSpace(text)) },
			"PEM of DOS":        func() (ed25519.PublicKey, error) { return ParsePublicKeyPEM(dos) },
			"JWK":               func() (ed25519.PublicKey, error) { return ParsePublicKeyJWK(jwk) },
			"JWK on many lines": func() (ed25519.PublicKey, error) { return ParsePublicKeyJWK(indent(jwk)) },
		} {
			if got, err := parsed(); err != nil || !got.Equal(key) {
				t.Errorf("%s: %x, %v", name, got, err)
			}
		}
	}
	if f, err := keys.RootFingerprint(id.Public().RootKey()); err != nil || f != id.Fingerprint() {
		t.Errorf("%v, %v", f, err)
	}
	if (keys.VerifyingKey{}).PublicKey() != nil {
		t.Error("the zero key has a public key")
	}
}

func indent(b []byte) []byte {
	var out bytes.Buffer
	_ = json.Indent(&out, b, "", "  ")
	return out.Bytes()
}

// RFC 8037, appendices A.2 and A.3: the key, and the thumbprint of its JWK.
func TestJWKThumbprint(t *testing.T) {
	const (
		jwk        = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
		thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
	)
	key, err := ParsePublicKeyJWK([]byte(jwk))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(must(MarshalPublicKeyJWK(key)))
	if got := base64.RawURLEncoding.EncodeToString(sum[:]); got != thumbprint {
		t.Errorf("thumbprint %s, want %s", got, thumbprint)
	}
}

// A change of the returned keys changes no identity.
func TestPublicKeysAreCopies(t *testing.T) {
	id := testIdentity(t, "alice")
	id.Public().RootKey()[0] ^= 1
	id.Public().VerifyingKey().PublicKey()[0] ^= 1
	if id.Fingerprint() != must(keys.RootFingerprint(rootKey(id).Public().(ed25519.PublicKey))) ||
		!bytes.Equal(id.Public().VerifyingKey().PublicKey(), id.Signer().PublicKey()) {
		t.Error("an identity's key changed")
	}
}

// A08: weak keys and unusual encodings of keys are refused in every format.
func TestA08WeakPublicKeysAreRefused(t *testing.T) {
	weak := map[string]string{
		"identity point":            "0100000000000000000000000000000000000000000000000000000000000000",
		"order 8":                   "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"not reduced":               "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"identity with sign":        "0100000000000000000000000000000000000000000000000000000000000080",
		"not reduced, large order":  "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"order 2 with another sign": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	}
	for name, text := range weak {
		key := must(hex.DecodeString(text))
		der := append(bytes.Clone(spki), key...)
		for form, err := range map[string]error{
			"DER":         second(ParsePublicKeyDER(der)),
			"PEM":         second(ParsePublicKeyPEM(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}))),
			"JWK":         second(ParsePublicKeyJWK(fmt.Appendf(nil, `{"kty":"OKP","crv":"Ed25519","x":"%s"}`, base64.RawURLEncoding.EncodeToString(key)))),
			"writing DER": second(MarshalPublicKeyDER(key)),
			"writing PEM": second(MarshalPublicKeyPEM(key)),
			"writing JWK": second(MarshalPublicKeyJWK(key)),
			"fingerprint": second(keys.RootFingerprint(key)),
		} {
			if !errors.Is(err, keys.ErrPublicKey) {
				t.Errorf("%s as %s: %v", name, form, err)
			}
		}
	}
	if _, err := keys.RootFingerprint(nil); !errors.Is(err, keys.ErrPublicKey) {
		t.Error(err)
	}
}

func TestPublicKeyTextsAreStrict(t *testing.T) {
	id := testIdentity(t, "alice")
	key := id.Public().RootKey()
	good := string(must(MarshalPublicKeyPEM(key)))
	der := must(MarshalPublicKeyDER(key))
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	other := must(x509.MarshalPKIXPublicKey(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).Public()))
	private := must(x509.MarshalPKCS8PrivateKey(rootKey(id)))
	withHeader := string(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der, Headers: map[string]string{"Proc-Type": "4"}}))
	for name, c := range map[string]struct{ text, says string }{
		"nothing":         {"", "no PEM block"},
		"two blocks":      {good + good, "nothing else"},
		"text before":     {"key:\n" + good, "nothing else"},
		"text behind":     {good + "x", "nothing else"},
		"a header":        {withHeader, "nothing else"},
		"another type":    {block("CERTIFICATE", der), "nothing else"},
		"a private key":   {block("PRIVATE KEY", private), "keep it secret"},
		"P-256":           {block(pemType, other), "another algorithm"},
		"cut":             {block(pemType, der[:43]), "damaged"},
		"a byte more":     {block(pemType, append(bytes.Clone(der), 0)), "damaged"},
		"one long line":   {strings.Replace(good, "MCow", "MC\now", 1), "nothing else"},
		"much":            {good + strings.Repeat(" ", 1<<20), "too long"},
		"parameters NULL": {block(pemType, append([]byte{0x30, 0x2c, 0x30, 0x07, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x05, 0x00, 0x03, 0x21, 0x00}, key...)), "another algorithm"},
	} {
		_, err := ParsePublicKeyPEM([]byte(c.text))
		if !errors.Is(err, keys.ErrPublicKey) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("PEM, %s: %v, want %q", name, err, c.says)
		}
	}

	x := base64.RawURLEncoding.EncodeToString(key)
	jwk := func(more string) string { return `{"kty":"OKP","crv":"Ed25519","x":"` + x + `"` + more + `}` }
	for name, c := range map[string]struct{ text, says string }{
		"nothing":          {"", "not a JSON object"},
		"an array":         {"[]", "not a JSON object"},
		"text":             {`"x"`, "not a JSON object"},
		"cut":              {jwk("")[:40], "not a JSON object"},
		"no end":           {strings.TrimSuffix(jwk(""), "}"), "not a JSON object"},
		"two":              {jwk("") + jwk(""), "follows"},
		"key twice":        {jwk(`,"x":"` + x + `"`), "twice"},
		"key twice, \\u":   {jwk(`,"\u0078":"` + x + `"`), "twice"},
		"a private key":    {jwk(`,"d":"` + x + `"`), "keep it secret"},
		"another type":     {`{"kty":"EC","crv":"Ed25519","x":"` + x + `"}`, "kty"},
		"another curve":    {`{"kty":"OKP","crv":"X25519","x":"` + x + `"}`, "crv"},
		"capitals":         {`{"KTY":"OKP","crv":"Ed25519","x":"` + x + `"}`, "kty"},
		"to encrypt":       {jwk(`,"use":"enc"`), "not meant"},
		"another alg":      {jwk(`,"alg":"none"`), "not meant"},
		"to sign only":     {jwk(`,"key_ops":["sign"]`), "not meant"},
		"odd ops":          {jwk(`,"key_ops":[["verify"],{}]`), "not meant"},
		"padded":           {strings.Replace(jwk(""), x, x+"=", 1), "base64url"},
		"a line break":     {strings.Replace(jwk(""), x, x[:5]+`\n`+x[5:], 1), "base64url"},
		"31 bytes":         {strings.Replace(jwk(""), x, x[:42], 1), "base64url"},
		"a number":         {`{"kty":"OKP","crv":"Ed25519","x":5}`, "base64url"},
		"no key":           {`{"kty":"OKP","crv":"Ed25519"}`, "base64url"},
		"much":             {jwk(strings.Repeat(" ", 1<<20)), "too long"},
		"an object as kty": {`{"kty":{"a":[]},"crv":"Ed25519"}`, "kty"},
	} {
		_, err := ParsePublicKeyJWK([]byte(c.text))
		if !errors.Is(err, keys.ErrPublicKey) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("JWK, %s: %v, want %q", name, err, c.says)
		}
		if err != nil && strings.Contains(err.Error(), x) {
			t.Errorf("JWK, %s: the error shows the input", name)
		}
	}
	for _, more := range []string{`,"kid":"none"`, `,"use":"sig","alg":"EdDSA","key_ops":["sign","verify"],"x5c":[{}]`, `,"alg":"Ed25519"`} {
		if got, err := ParsePublicKeyJWK([]byte(jwk(more))); err != nil || !got.Equal(key) {
			t.Errorf("with %s: %v", more, err)
		}
	}
}

// Every change of a byte is refused or gives another key: no other bytes read as the same key.
func TestPublicKeyDERTampering(t *testing.T) {
	key := testIdentity(t, "alice").Public().RootKey()
	der := must(MarshalPublicKeyDER(key))
	for bit := range 8 * len(der) {
		changed := bytes.Clone(der)
		changed[bit/8] ^= 1 << (bit % 8)
		if got, err := ParsePublicKeyDER(changed); err == nil && (bit/8 < len(spki) || got.Equal(key)) {
			t.Errorf("bit %d", bit)
		}
	}
}

func FuzzParsePublicKey(f *testing.F) {
	key := ed25519.PublicKey(bytes.Repeat([]byte{7}, 32))
	f.Add(must(MarshalPublicKeyDER(key)))
	f.Add(must(MarshalPublicKeyPEM(key)))
	f.Add(must(MarshalPublicKeyJWK(key)))
	f.Add([]byte(`{"kty":"OKP","crv":"Ed25519","x":"","use":"sig","key_ops":["verify"],"alg":"EdDSA"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, form := range []struct {
			parse func([]byte) (ed25519.PublicKey, error)
			write func(ed25519.PublicKey) ([]byte, error)
		}{
			{ParsePublicKeyDER, MarshalPublicKeyDER}, {ParsePublicKeyPEM, MarshalPublicKeyPEM}, {ParsePublicKeyJWK, MarshalPublicKeyJWK},
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			key, err := form.parse(b)
			runtime.ReadMemStats(&after)
			// A28; a small JSON value takes more than its text, within the limit on size.
			if used := after.TotalAlloc - before.TotalAlloc; used > 8*uint64(len(b))+1<<18 {
				t.Fatalf("%d bytes allocated %d", len(b), used)
			}
			if err != nil {
				continue
			}
			if again, err := form.parse(must(form.write(key))); err != nil || !again.Equal(key) {
				t.Fatalf("%x comes back as %x, %v", key, again, err)
			}
		}
	})
}
