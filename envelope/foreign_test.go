//go:build !js

package envelope

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	"github.com/tink-crypto/tink-go/v2/signature"

	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/vectortest"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/keyio"
)

// derive against Wycheproof's HKDF-SHA-256. Its output has 32 bytes; of other sizes
// the beginning is the same.
func TestWycheproofHKDF(t *testing.T) {
	ran := 0
	for _, g := range vectortest.Groups(t, "hkdf_sha256_test.json", 86) {
		for _, c := range g.Tests {
			if !c.Valid() {
				continue // more than HKDF can give, which cannot be asked of derive
			}
			ran++
			got := derive(c.IKM, c.Salt, string(c.Info))
			if n := min(len(got), len(c.OKM)); len(got) != 32 || !bytes.Equal(got[:n], c.OKM[:n]) {
				t.Errorf("case %v (%v): %x, want %x", c.TcID, c.Comment, got, c.OKM)
			}
			if len(c.Salt) == 0 && !bytes.Equal(got, contentKey(c.IKM).expand(label.Label(c.Info))) {
				t.Errorf("case %v: a content key expands to something else", c.TcID)
			}
		}
	}
	if ran < 80 {
		t.Errorf("%d cases", ran)
	}
}

// A tinker does with Tink what docs/protocol.md says, for one link.
type tinker struct {
	t *testing.T
	l link
}

func (k tinker) handle(set *keyio.TinkKeyset, err error) (handle *tinkkeyset.Handle, prefix []byte) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
	b := made(set.Cleartext(keyio.TinkBinary, insecurecleartext.Token{}))
	handle = made(insecurecleartextkeyset.Read(tinkkeyset.NewBinaryReader(bytes.NewReader(b))))
	entry := made(handle.Primary())
	return handle, binary.BigEndian.AppendUint32([]byte{1}, entry.KeyID())
}

func (k tinker) pair() (aeads, macs *tinkkeyset.Handle, aeadPrefix, macPrefix []byte) {
	a, m, err := keyio.ExportSharedKeyset(k.l.Sealer.Shared)
	aeads, aeadPrefix = k.handle(a, err)
	macs, macPrefix = k.handle(m, err)
	return aeads, macs, aeadPrefix, macPrefix
}

// verify has Tink verify a proof, of what the label names.
func (k tinker) verify(name string, digest, proof []byte) error {
	if k.l.Sealer.From == nil {
		_, macs, _, prefix := k.pair()
		return made(mac.New(macs)).VerifyMAC(append(prefix, proof...), labelled(name+" hmac", digest))
	}
	handle, prefix := k.handle(keyio.ExportIdentity(k.l.Sealer.From, keys.UseSigning))
	verifier := made(signature.NewVerifier(made(handle.Public())))
	return verifier.Verify(append(prefix, proof...), labelled(name, digest))
}

// prove has Tink make one.
func (k tinker) prove(name string, digest []byte) []byte {
	if k.l.Sealer.From == nil {
		_, macs, _, prefix := k.pair()
		return made(made(mac.New(macs)).ComputeMAC(labelled(name+" hmac", digest)))[len(prefix):]
	}
	handle, prefix := k.handle(keyio.ExportIdentity(k.l.Sealer.From, keys.UseSigning))
	return made(made(signature.NewSigner(handle)).Sign(labelled(name, digest)))[len(prefix):]
}

// content has Tink open the content key that an entry of recipients holds.
func (k tinker) content(recipients []byte, headerDigest []byte) []byte {
	handle, prefix := k.handle(keyio.ExportIdentity(k.l.Identity, keys.UseSealing))
	decrypt := made(hybrid.NewHybridDecrypt(handle))
	return made(decrypt.Decrypt(append(prefix, sealedKey(recipients)...), k.info(headerDigest)))
}

func (k tinker) info(headerDigest []byte) []byte {
	public := k.l.Identity.Public()
	fingerprint, id := public.Fingerprint(), public.RecipientKey().ID()
	return labelled("envelope recipient", headerDigest, fingerprint[:], id[:])
}

// wrap has Tink seal it, into the same entry.
func (k tinker) wrap(recipients, headerDigest, content []byte) []byte {
	handle, prefix := k.handle(keyio.ExportIdentity(k.l.Identity, keys.UseSealing))
	encrypt := made(hybrid.NewHybridEncrypt(made(handle.Public())))
	return withSealedKey(recipients, made(encrypt.Encrypt(content, k.info(headerDigest)))[len(prefix):])
}

func digestOf(p parts, receiver string) []byte {
	return sha(labelled("envelope digest", lengthPrefixed(p.header, p.recipients, p.body, []byte(receiver))))
}

// Tink reads and verifies our envelopes, and we read and verify Tink's: bodies under
// XAES-256-GCM and AES-256-GCM, sealed keys, HMACs and signatures.
func TestTinkEnvelopes(t *testing.T) {
	all := links(t)
	for _, l := range append(all, gcmTwins(t, all)...) {
		l.To = l.To[max(0, len(l.To)-1):]
		k := tinker{t, l}
		sealed := seal(t, &l.Sealer, "from us to Tink")
		p := made(parseParts(sealed))
		aad, digest := labelled("envelope body", p.header), sha(labelled("envelope header", p.header))

		// Ours, by Tink.
		if err := k.verify("envelope proof", digestOf(p, l.ToParty), p.proof); err != nil {
			t.Errorf("%s: Tink does not verify ours: %v", l.name, err)
		}
		if k.verify("envelope proof", digestOf(p, l.ToParty+"x"), p.proof) == nil {
			t.Errorf("%s: Tink verifies another receiver's", l.name)
		}
		content := make([]byte, 32)
		var plain []byte
		if l.Sealer.Shared != nil {
			handle, _, prefix, _ := k.pair()
			plain = made(made(aead.New(handle)).Decrypt(append(prefix, p.body...), aad))
		} else {
			content = k.content(p.recipients, digest)
			plain = made(gcm.New(hkdf32(content, nil, labelled("envelope body key"))).Open(nil, p.body[:12], p.body[12:], aad))
		}
		if !bytes.Equal(plain, paddedOf([]byte("from us to Tink"))) {
			t.Errorf("%s: Tink reads %q", l.name, plain)
		}

		// Tink's, by us, under the same header.
		theirs := paddedOf([]byte("from Tink to us"))
		if l.Sealer.Shared != nil {
			handle, _, prefix, _ := k.pair()
			p.body = made(made(aead.New(handle)).Encrypt(theirs, aad))[len(prefix):]
		} else {
			p.recipients = k.wrap(p.recipients, digest, content)
			p.body = gcmSeal(hkdf32(content, nil, labelled("envelope body key")), theirs, aad)
		}
		p.proof = k.prove("envelope proof", digestOf(p, l.ToParty))
		if got, _, err := l.Open(nil, p.append(nil)); err != nil || string(got) != "from Tink to us" {
			t.Errorf("%s: Tink's opens as %q, %v (%v)", l.name, got, err, ReasonOf(err))
		}
	}
}

// The same for streams: what Tink has a part in, its proofs and sealed keys.
func TestTinkStreams(t *testing.T) {
	all := links(t)
	for _, l := range append(all, gcmTwins(t, all)...) {
		l.To = l.To[max(0, len(l.To)-1):]
		k := tinker{t, l}
		sealed := sealStream(t, &l.Sealer, content(2*segmentData))
		c := cutStream(t, sealed)
		s := made(readStream(bytes.NewReader(sealed), "", "", 0))
		head, digest := s.head, sha(labelled("envelope stream header", s.head.header))
		opening := func() []byte {
			return sha(labelled("envelope stream opening digest", lengthPrefixed(head.header, head.recipients, []byte(l.ToParty))))
		}
		final := labelled("envelope stream final digest", digest, lengthPrefixed([]byte(l.ToParty)))
		for _, segment := range c.segments {
			final = append(final, sha(labelled("envelope stream segment", segment))...)
		}
		if err := k.verify("envelope stream opening proof", opening(), head.proof); err != nil {
			t.Errorf("%s: the opening proof: %v", l.name, err)
		}
		if err := k.verify("envelope stream final proof", sha(final), c.proof); err != nil {
			t.Errorf("%s: the final proof: %v", l.name, err)
		}
		if l.Sealer.Shared == nil {
			head.recipients = k.wrap(head.recipients, digest, k.content(head.recipients, digest))
		}
		head.proof = k.prove("envelope stream opening proof", opening())
		c.head, c.proof = head.append(nil), k.prove("envelope stream final proof", sha(final))
		r, err := l.Opener.NewReader(bytes.NewReader(c.join()))
		if err != nil {
			t.Fatalf("%s: with Tink's proofs: %v (%v)", l.name, err, ReasonOf(err))
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content(2*segmentData)) {
			t.Errorf("%s: with Tink's proofs: %d bytes, %v (%v)", l.name, len(got), err, ReasonOf(err))
		}
	}
}
