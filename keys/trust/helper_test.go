package trust

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"runtime"
	"testing"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func testIdentity(t testing.TB, name string) *keys.Identity {
	t.Helper()
	id, err := keys.GenerateIdentity(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func revocationOf(t *testing.T, id *keys.Identity) *keys.PublicIdentity {
	t.Helper()
	p, err := id.Revocation()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func reason(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return 0
}

// statement is what a root signs about its identity.
type statement struct {
	name                    string
	serial, issued, expires uint64
	keys                    []listedKey
}

type listedKey struct {
	use, kind uint64
	public    []byte
	from, to  uint64
}

// signed returns an identity after change has changed its statement. Its root has signed the result.
func signed(t testing.TB, id *keys.Identity, change func(*statement)) *keys.PublicIdentity {
	t.Helper()
	r := strict.NewReader(id.Public().Bytes())
	r.Array(2)
	r = strict.NewReader(r.Bin(1, keys.MaxPublicSize))
	r.Array(7)
	version := r.Uint()
	s := statement{name: r.Str(1, keys.MaxNameSize)}
	root := r.Bin(32, 32)
	s.serial, s.issued, s.expires = r.Uint(), r.Uint(), r.Uint()
	for range r.ArrayLen(0, 64) {
		r.Array(5)
		s.keys = append(s.keys, listedKey{r.Uint(), r.Uint(), r.Bin(32, 2048), r.Uint(), r.Uint()})
	}
	if r.Done() != nil {
		t.Fatal("this is not a statement")
	}
	change(&s)
	b := strict.AppendUint(strict.AppendArray(nil, 7), version)
	b = strict.AppendBin(strict.AppendStr(b, s.name), root)
	b = strict.AppendUint(strict.AppendUint(strict.AppendUint(b, s.serial), s.issued), s.expires)
	b = strict.AppendArray(b, len(s.keys))
	for _, k := range s.keys {
		b = strict.AppendUint(strict.AppendUint(strict.AppendArray(b, 5), k.use), k.kind)
		b = strict.AppendUint(strict.AppendUint(strict.AppendBin(b, k.public), k.from), k.to)
	}
	raw := strict.AppendBin(strict.AppendArray(nil, 2), b)
	raw = strict.AppendBin(raw, ed25519.Sign(rootKey(id), label.Identity.With(b)))
	return must(keys.ParsePublic(raw))
}

// rootKey is the private key of an identity's root.
func rootKey(id *keys.Identity) ed25519.PrivateKey {
	r := strict.NewReader(must(id.MarshalCleartext(insecurecleartext.Token{})))
	r.Array(5)
	r.Uint()
	return ed25519.NewKeyFromSeed(r.Bin(ed25519.SeedSize, ed25519.SeedSize))
}

// fuzzParse checks a parser against A28 and A30: it writes what it has read again byte for byte, and
// it allocates in proportion to its input.
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
