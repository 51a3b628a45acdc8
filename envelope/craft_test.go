package envelope

import (
	"bytes"
	"slices"
	"testing"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// What an attacker, or a dishonest holder of keys, makes envelopes with.

// remake takes an envelope apart, lets the attacker change it, and puts it
// together with a proof by whoever signs.
func remake(t *testing.T, sealed []byte, by *keys.Identity, change func(h *Header, p *parts)) []byte {
	t.Helper()
	p, err := parseParts(sealed)
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseHeader(p.header, "", "")
	if err != nil {
		t.Fatal(err)
	}
	header := p.header
	if change(&h, &p); bytes.Equal(header, p.header) {
		p.header = h.append(nil)
	}
	if by != nil {
		if p.proof, err = by.Signer().Sign(proofInput(envelopeProof.signed, p, "")); err != nil {
			t.Fatal(err)
		}
	}
	return p.append(nil)
}

// resealed puts a body and recipients under a header that has changed, as the
// sender itself would.
func resealed(h *Header, p *parts, to ...*keys.PublicIdentity) {
	resealedAs(h, p, padded("resealed"), to...)
}

// resealedAs does so with a padded plaintext of the sender's making.
func resealedAs(h *Header, p *parts, padded []byte, to ...*keys.PublicIdentity) {
	content := newContentKey()
	h.SealKey = content.id()
	p.header = h.append(nil)
	p.recipients = wrap(content, p.header, to...)
	p.body = sealBody(content, p.header, padded)
}

func wrap(content contentKey, header []byte, to ...*keys.PublicIdentity) []byte {
	b, err := content.wrap(to, headerDigest(label.EnvelopeHeader, header))
	if err != nil {
		panic(err)
	}
	return b
}

func sealBody(content contentKey, header, padded []byte) []byte {
	b, err := content.body().Seal(nil, padded, label.EnvelopeBody.With(header))
	if err != nil {
		panic(err)
	}
	return b
}

// padded is what the default padding makes of data.
func padded(data string) []byte {
	size, length, err := Padding{}.padded(len(data))
	if err != nil {
		panic(err)
	}
	return appendPadded(nil, []byte(data), size, length)
}

func proofInput(l label.Label, p parts, receiver string) []byte {
	w := getScratch()
	defer putScratch(w)
	return bytes.Clone(w.proofInput(l, p, receiver))
}

func (p parts) append(dst []byte) []byte {
	dst = appendHead(dst, p, len(p.body))
	return strict.AppendBin(append(dst, p.body...), p.proof)
}

func openingInput(l label.Label, head streamHead, receiver string) []byte {
	w := getScratch()
	defer putScratch(w)
	return bytes.Clone(w.openingInput(l, head, receiver))
}

func sign(t testing.TB, by *keys.Identity, input []byte) []byte {
	t.Helper()
	sig, err := by.Signer().Sign(input)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// wrapEach gives each recipient of an envelope a content key of its own, as only a
// dishonest sender would.
func wrapEach(t testing.TB, header []byte, content map[*keys.Identity]contentKey) []byte {
	t.Helper()
	return wrapDigest(t, headerDigest(label.EnvelopeHeader, header), content)
}

func wrapDigest(t testing.TB, digest []byte, content map[*keys.Identity]contentKey) []byte {
	t.Helper()
	var entries [][]byte
	for to, key := range content {
		one, err := key.wrap([]*keys.PublicIdentity{to.Public()}, digest)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, one[1:]) // behind the array's head
	}
	slices.SortFunc(entries, bytes.Compare)
	return append(strict.AppendArray(nil, len(entries)), bytes.Join(entries, nil)...)
}
