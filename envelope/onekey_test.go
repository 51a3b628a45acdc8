//go:build !js

package envelope

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
)

// A ringed sender and opener have as many keys of each kind as fit, all but the
// newest retiring, which is to say accepted.
type ringed struct {
	alice, bob *keys.Identity
	shared     *keys.SharedKeyset

	alices, bobs *keystore.Store
	pairs        []*keys.SharedKey      // the primary last, as below
	signing      []keys.SigningKeyID    // alice's
	sealing      []*keys.PublicIdentity // bob's, each with another key
}

func newRinged(t *testing.T, count int) *ringed {
	t.Helper()
	alice, bob := testStore(t, "alice"), testStore(t, "bob")
	r := &ringed{alice: alice.Identity(), bob: bob.Identity(), shared: sharedKeyset(t), alices: alice, bobs: bob}
	if err := alice.PutSharedKeyset("s", r.shared); err != nil {
		t.Fatal(err)
	}
	for n := range count {
		if n > 0 {
			another(t, alice, keystore.KeyRef{Use: keys.UseShared, Keyset: "s"})
			another(t, alice, keystore.KeyRef{Use: keys.UseSigning})
			another(t, bob, keystore.KeyRef{Use: keys.UseSealing})
		}
		name, _ := r.alice.Signing()
		r.pairs = append(r.pairs, r.shared.Primary())
		r.signing = append(r.signing, name)
		r.sealing = append(r.sealing, r.bob.Public())
	}
	return r
}

func another(t *testing.T, s *keystore.Store, ref keystore.KeyRef) {
	t.Helper()
	if err := promoteAnother(s, ref); err != nil {
		t.Fatal(err)
	}
}

func promoteAnother(s *keystore.Store, ref keystore.KeyRef) error {
	id, err := s.Add(ref)
	if ref.TinkID = id; err != nil {
		return err
	}
	return s.Promote(ref)
}

func (r *ringed) links() []link {
	to := []*keys.PublicIdentity{r.bob.Public()}
	return []link{
		{"shared", Sealer{Shared: r.shared, Party: "a", ToParty: "b"}, Opener{Shared: r.shared, Party: "b", FromParty: "a", InsecureAllowReplay: true}},
		{"shared signed", Sealer{Shared: r.shared, From: r.alice, ToParty: "b"}, Opener{Shared: r.shared, Party: "b", Identity: r.bob, From: r.alice.Public(), InsecureAllowReplay: true}},
		{"recipients", Sealer{From: r.alice, To: to}, Opener{Identity: r.bob, From: r.alice.Public(), InsecureAllowReplay: true}},
	}
}

// A22: a message that another key than the one it names would open or verify does
// not open, though the other is in the same keyset: only the named one is tried.
func TestA22OnlyTheNamedKeyIsTried(t *testing.T) {
	r := newRinged(t, 5)
	for _, l := range r.links() {
		for named := range r.pairs {
			k := newKit(t, l)
			k.use(t, r, named)
			if err, stream := k.open(false), k.open(true); err != nil || stream != nil {
				t.Fatalf("%s, key %d: %v (%v), stream %v (%v)", l.name, named, err, ReasonOf(err), stream, ReasonOf(stream))
			}
			for used := range r.pairs {
				if used == named {
					continue
				}
				k.seal(t, r, named, used)
				if want := map[bool]Reason{true: ReasonKey, false: ReasonBody}[k.suite == SuiteRecipients]; ReasonOf(k.open(false)) != want || ReasonOf(k.open(true)) != want {
					t.Errorf("%s names key %d and is sealed with %d: %v, stream %v", l.name, named, used, ReasonOf(k.open(false)), ReasonOf(k.open(true)))
				}
				k.seal(t, r, named, named)
				k.sign(t, r, used)
				if ReasonOf(k.open(false)) != ReasonProof || ReasonOf(k.open(true)) != ReasonProof {
					t.Errorf("%s names key %d and is proved with %d: %v, stream %v", l.name, named, used, ReasonOf(k.open(false)), ReasonOf(k.open(true)))
				}
				if k.suite != SuiteShared && (ReasonOf(k.verify(false)) != ReasonProof || ReasonOf(k.verify(true)) != ReasonProof) {
					t.Errorf("%s names key %d and is proved with %d: a gateway takes it", l.name, named, used)
				}
				k.sign(t, r, named)
			}
		}
	}
}

// use makes the kit's messages with the keys of that number.
func (k *kit) use(t *testing.T, r *ringed, n int) {
	h := made(parseHeader(k.sealed.header, "", ""))
	if k.suite != SuiteShared {
		h.ProofKey = r.signing[n]
	}
	if k.suite != SuiteRecipients {
		h.SealKey = SealKeyID(r.pairs[n].ID())
	}
	k.sealed.header = h.append(nil)
	k.head = newStreamHead(&h)
	k.seal(t, r, n, n)
	k.sign(t, r, n)
}

// seal seals to or under one key, and lists another.
func (k *kit) seal(t *testing.T, r *ringed, listed, used int) {
	body, segment := k.content.segment(t, k.head)
	if k.suite != SuiteRecipients {
		key, err := r.pairs[used].StreamKey(k.head.salt, label.StreamKey.With(k.head.digest()))
		if err != nil {
			t.Fatal(err)
		}
		body, segment = r.pairs[used], newSegmentCipher(key)
	} else {
		list := func(digest []byte) []byte {
			id, to := r.sealing[listed].RecipientKey().ID(), r.bob.Fingerprint()
			sealed := made(r.sealing[used].RecipientKey().SealKey(recipientInfo(digest, to, id), k.content))
			b := strict.AppendArray(strict.AppendArray(nil, 1), 2)
			return strict.AppendBin(strict.AppendBin(b, id[:]), sealed)
		}
		k.sealed.recipients, k.head.recipients = list(headerDigest(label.EnvelopeHeader, k.sealed.header)), list(k.head.digest())
	}
	k.sealed.body = made(body.Seal(nil, padded("m"), label.EnvelopeBody.With(k.sealed.header)))
	k.segment = segment.Seal(nil, segment.nonceOf(0, true), padded("m"), nil)
	k.sign(t, r, listed)
}

func (c contentKey) segment(t *testing.T, head streamHead) (bodyKey, *segmentCipher) {
	if c == nil {
		return nil, nil
	}
	return c.body(), newSegmentCipher(derive(c, head.salt, string(label.StreamKey.With(head.digest()))))
}

// sign proves with the key of that number.
func (k *kit) sign(t *testing.T, r *ringed, n int) {
	t.Helper()
	by := prover{pair: r.pairs[n]}
	if k.suite != SuiteShared {
		signer, held := r.alice.SignerOf(r.signing[n])
		if !held {
			t.Fatal("the key is gone")
		}
		by = prover{signer: signer}
	}
	k.sealed.proof = made(by.append(nil, proofInput(envelopeProof.label(k.suite), k.sealed, k.ToParty)))
	k.head.proof = made(by.append(nil, openingInput(openingProof.label(k.suite), k.head, k.ToParty)))
	k.final = made(by.append(nil, k.finalDigest().input(k.suite)))
}

// A22: what a bad message costs does not grow with the keys that are held. Every use
// of an HPKE or an AES key allocates, so the allocations count them.
func TestA22BadMessagesCostTheSame(t *testing.T) {
	if slowtest.Mode {
		t.Skip("the race detector allocates")
	}
	cost := map[string]float64{}
	for _, keysHeld := range []int{1, 16} {
		r := newRinged(t, keysHeld)
		for _, l := range r.links() {
			bad := map[string]*kit{}
			for _, name := range []string{"proof", "body", "segment", "sealed key", "unknown key"} {
				bad[name] = newKit(t, l)
			}
			bad["proof"].sealed.proof[0] ^= 1
			bad["proof"].head.proof[0] ^= 1
			bad["body"].sealed.body[30] ^= 1
			bad["segment"].segment[30] ^= 1
			for _, recipients := range [][]byte{bad["sealed key"].sealed.recipients, bad["sealed key"].head.recipients} {
				if recipients != nil {
					recipients[len(recipients)-1] ^= 1
				}
			}
			bad["unknown key"].rename(t)
			for name, k := range bad {
				if name != "proof" {
					k.prove(t)
				}
				for form, open := range map[string]func(){
					"envelope": func() { k.opener().Open(nil, k.envelope()) },
					"stream": func() {
						if r, err := k.opener().NewReader(bytes.NewReader(k.stream())); err == nil {
							io.Copy(io.Discard, r)
						}
					},
				} {
					what := fmt.Sprintf("%s, %s of bad %s", l.name, form, name)
					n := testing.AllocsPerRun(50, open)
					if before, measured := cost[what]; measured && n > before+1 { // a pool may be emptied
						t.Errorf("%s: %v allocations with 1 key, %v with %d", what, before, n, keysHeld)
					}
					cost[what] = n
				}
			}
		}
	}
}

// rename has the kit name keys that nobody holds.
func (k *kit) rename(t *testing.T) {
	h := made(parseHeader(k.sealed.header, "", ""))
	h.SealKey[0] ^= 1
	k.sealed.header, k.head = h.append(nil), newStreamHead(&h)
	if k.suite == SuiteRecipients {
		stranger := identity(t, "stranger").Public()
		k.sealed.recipients = wrap(k.content, k.sealed.header, stranger)
		k.head.recipients = wrap(k.content, k.head.header, stranger)
	}
}
