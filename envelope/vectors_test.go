package envelope

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// Vectors are sealed on one platform and opened on every other: natively with
// Tink, in wasm without it. HOPSEAL_WRITE_VECTORS names a folder to write this
// platform's vectors to, HOPSEAL_READ_VECTORS a folder to read instead of the one
// in docs.
const vectorFolder = "../docs/vectors/envelope"

// A vector is one case, one file. The keys in it are for tests only.
type vector struct {
	Comment   string `json:"comment"`
	Expect    string `json:"expect"`              // "open", or the Reason it is refused for
	Identity  string `json:"identity,omitempty"`  // cleartext identity of the opener, hex
	From      string `json:"from,omitempty"`      // public identity of the expected sender, hex
	Shared    string `json:"shared,omitempty"`    // cleartext shared keyset, hex
	Party     string `json:"party,omitempty"`     // the opener's
	FromParty string `json:"fromParty,omitempty"` // the expected sender's
	Context   string `json:"context"`
	Sealed    string `json:"sealed"`    // hex
	Plaintext string `json:"plaintext"` // hex, of what opens
}

func TestVectors(t *testing.T) {
	folder := os.Getenv("HOPSEAL_READ_VECTORS")
	if folder == "" {
		folder = vectorFolder
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var v vector
			if err := json.Unmarshal(b, &v); err != nil {
				t.Fatal(err)
			}
			v.run(t)
		})
	}
}

func (v vector) run(t *testing.T) {
	o := v.opener(t)
	got, _, err := o.Open(nil, unhex(t, v.Sealed))
	switch {
	case v.Expect == "open":
		if err != nil || hex.EncodeToString(got) != v.Plaintext {
			t.Errorf("opened %x, %v (%v)", got, err, ReasonOf(err))
		}
	case !errors.Is(err, ErrOpen) || ReasonOf(err).String() != v.Expect || got != nil:
		t.Errorf("got %v (%v), want %s", err, ReasonOf(err), v.Expect)
	}
}

func (v vector) opener(t *testing.T) *Opener {
	o := &Opener{Party: v.Party, FromParty: v.FromParty, Context: v.Context, InsecureAllowReplay: true}
	var err error
	if v.Identity != "" {
		if o.Identity, err = keys.ParseCleartextIdentity(unhex(t, v.Identity), insecurecleartext.Token{}); err != nil {
			t.Fatal(err)
		}
	}
	if v.From != "" {
		if o.From, err = keys.ParsePublic(unhex(t, v.From)); err != nil {
			t.Fatal(err)
		}
	}
	if v.Shared != "" {
		if o.Shared, err = keys.ParseCleartextSharedKeyset(unhex(t, v.Shared), insecurecleartext.Token{}); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWriteVectors(t *testing.T) {
	folder := os.Getenv("HOPSEAL_WRITE_VECTORS")
	if folder == "" {
		t.Skip("HOPSEAL_WRITE_VECTORS names no folder to write to")
	}
	for _, l := range links(t) {
		for name, v := range l.vectors(t) {
			b, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			file := fmt.Sprintf("%s-%s-%s.json", runtime.GOARCH, l.suiteName(), name)
			if err := os.WriteFile(filepath.Join(folder, file), append(b, '\n'), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (l *link) suiteName() string {
	return map[string]string{"shared": "shared", "shared signed": "signed", "recipients": "recipients"}[l.name]
}

// vectors returns one case that opens, and cases that an attacker made of it.
func (l *link) vectors(t *testing.T) map[string]vector {
	const plaintext = "\x00plain\nt\u00e9xt\xff"
	sealed := seal(t, &l.Sealer, plaintext)
	flip := func(part func(parts) []byte) []byte {
		b := append([]byte(nil), sealed...)
		p, _ := parseParts(b)
		in := part(p)
		in[len(in)-1] ^= 1
		return b
	}
	version := append([]byte(nil), sealed...)
	version[1] = 2
	good := l.vector(t, "sealed by "+runtime.GOARCH, "open", sealed)
	good.Plaintext = hex.EncodeToString([]byte(plaintext))
	cases := map[string]vector{}
	if l.name == "recipients" {
		cases = l.signedNonsense(t, sealed)
	}
	other := l.vector(t, "made for another context", ReasonContext.String(), sealed)
	other.Context = "another"
	reflected := l.vector(t, "the opener's own message", ReasonReflected.String(), sealed)
	if reflected.Identity == "" {
		reflected.Party, reflected.FromParty = l.Sealer.Party, l.Opener.Party
	} else {
		sender, err := l.Sealer.From.MarshalCleartext(insecurecleartext.Token{})
		if err != nil {
			t.Fatal(err)
		}
		reflected.Identity = hex.EncodeToString(sender)
	}
	maps.Copy(cases, map[string]vector{
		"open":    good,
		"reflect": reflected,
		"context": other,
		"body":    l.vector(t, "last bit of the body changed", ReasonProof.String(), flip(func(p parts) []byte { return p.body })),
		"proof":   l.vector(t, "last bit of the proof changed", ReasonProof.String(), flip(func(p parts) []byte { return p.proof })),
		"cut":     l.vector(t, "last byte missing", ReasonMalformed.String(), sealed[:len(sealed)-1]),
		"version": l.vector(t, "version 2", ReasonVersion.String(), version),
	})
	return cases
}

// signedNonsense returns cases whose proof verifies.
func (l *link) signedNonsense(t *testing.T, sealed []byte) map[string]vector {
	padding := remake(t, sealed, l.Sealer.From, func(h *Header, p *parts) {
		dirty := padded("m")
		dirty[len(dirty)-1] = 1
		resealedAs(h, p, dirty, l.Sealer.To...)
	})
	commitment := remake(t, sealed, l.Sealer.From, func(h *Header, p *parts) {
		resealed(h, p, l.Sealer.To...)
		p.recipients = wrap(make([]byte, contentSize), p.header, l.Sealer.To...)
	})
	return map[string]vector{
		"padding":    l.vector(t, "a byte of the padding is not zero", ReasonBody.String(), padding),
		"commitment": l.vector(t, "another content key than the one named", ReasonKey.String(), commitment),
	}
}

func (l *link) vector(t *testing.T, comment, expect string, sealed []byte) vector {
	v := vector{Comment: comment, Expect: expect, Party: l.Opener.Party, FromParty: l.FromParty,
		Context: l.Opener.Context, Sealed: hex.EncodeToString(sealed)}
	if id := l.Identity; id != nil {
		b, err := id.MarshalCleartext(insecurecleartext.Token{})
		if err != nil {
			t.Fatal(err)
		}
		v.Identity = hex.EncodeToString(b)
	}
	if from := l.Opener.From; from != nil {
		v.From = hex.EncodeToString(from.Bytes())
	}
	if shared := l.Opener.Shared; shared != nil {
		b, err := shared.MarshalCleartext(insecurecleartext.Token{})
		if err != nil {
			t.Fatal(err)
		}
		v.Shared = hex.EncodeToString(b)
	}
	return v
}
