package envelope

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// rehead gives both messages of a kit another header, under the same keys, without
// proving anew.
func (k *kit) rehead(change func(h *Header)) *kit {
	c := *k
	h := made(parseHeader(k.sealed.header, "", ""))
	change(&h)
	c.sealed.header = h.append(nil)
	c.head.header = strict.AppendBin(h.appendFields(strict.AppendArray(nil, headerFields+1)), k.head.salt)
	return &c
}

// refusedEverywhere checks that neither message of a kit opens, verifies or is
// sealed again.
func (k *kit) refusedEverywhere(t *testing.T, what ...any) {
	t.Helper()
	again := Sealer{From: k.Sealer.From, To: k.To, Context: k.Sealer.Context}
	for name, err := range map[string]error{
		"Open": k.open(false), "NewReader": k.open(true), "Verify": k.verify(false), "VerifyStream": k.verify(true),
	} {
		if ReasonOf(err) == 0 {
			t.Errorf("%s, %v: %s: %v", k.name, what, name, err)
		}
	}
	if k.suite != SuiteRecipients {
		return
	}
	if _, err := again.Rewrap(nil, k.envelope()); ReasonOf(err) == 0 {
		t.Errorf("%v: Rewrap: %v", what, err)
	}
	if err := again.RewrapStream(io.Discard, bytes.NewReader(k.stream())); ReasonOf(err) == 0 {
		t.Errorf("%v: RewrapStream: %v", what, err)
	}
}

// A07: a proof covers every field. The attacker changes one, in a valid encoding,
// and leaves the proof, or puts one of its own.
func TestA07EveryFieldOfEverySuite(t *testing.T) {
	eve, others := identity(t, "eve"), sharedKeyset(t)
	for _, k := range kits(t) {
		other := newKit(t, k.link)
		for name, change := range map[string]func(h *Header){
			"suite": func(h *Header) { h.Suite = h.Suite%3 + 1 },
			"sender": func(h *Header) {
				if h.Sender = eve.Fingerprint(); h.Suite == SuiteShared {
					h.Party = "c"
				}
			},
			"seal key":     func(h *Header) { h.SealKey[0] ^= 1 },
			"proof key":    func(h *Header) { h.ProofKey = eve.Public().VerifyingKey().ID() },
			"another pair": func(h *Header) { h.SealKey = SealKeyID(others.Primary().ID()) },
			"message id":   func(h *Header) { h.ID[15] ^= 1 },
			"time":         func(h *Header) { h.Time = h.Time.Add(time.Millisecond) },
			"content type": func(h *Header) { h.ContentType = "text/html" },
			"no type":      func(h *Header) { h.ContentType = "" },
			"context":      func(h *Header) { h.Context = "another" },
			"both texts":   func(h *Header) { h.ContentType, h.Context = "text/plainc", "ontext" },
		} {
			c := k.rehead(change)
			if bytes.Equal(c.sealed.header, k.sealed.header) {
				continue // a field that the suite has not
			}
			c.refusedEverywhere(t, name)
			c.sealed.proof, c.head.proof, c.final = c.proofsBy(t, eve, others)
			c.refusedEverywhere(t, name, "proved by another")
		}
		for name, change := range map[string]func(c *kit){
			"salt": func(c *kit) {
				c.head.header = bytes.Clone(c.head.header)
				c.head.header[len(c.head.header)-1] ^= 1
				c.sealed.body = other.sealed.body
			},
			"headers": func(c *kit) { c.sealed.header, c.head.header = other.sealed.header, other.head.header },
			"recipients": func(c *kit) {
				c.sealed.recipients, c.head.recipients = other.sealed.recipients, other.head.recipients
				if c.suite != SuiteRecipients {
					c.sealed.proof, c.head.proof = other.sealed.proof, other.head.proof
				}
			},
			"ciphertexts": func(c *kit) { c.sealed.body, c.head, c.segment = other.sealed.body, other.head, k.segment },
			"proofs": func(c *kit) {
				c.sealed.proof, c.head.proof, c.final = other.sealed.proof, other.head.proof, other.final
			},
		} {
			c := *k
			change(&c)
			c.refusedEverywhere(t, name)
		}
		if k.open(false) != nil || k.open(true) != nil {
			t.Errorf("%s: unchanged: %v, %v", k.name, k.open(false), k.open(true))
		}
	}
}

// proofsBy are what an attacker with keys of its own proves.
func (k *kit) proofsBy(t *testing.T, eve *keys.Identity, shared *keys.SharedKeyset) (sealed, opening, final []byte) {
	by := prover{signer: eve.Signer()}
	if k.suite == SuiteShared {
		by = prover{pair: shared.Primary()}
	}
	return made(by.append(nil, proofInput(envelopeProof.label(k.suite), k.sealed, k.ToParty))),
		made(by.append(nil, openingInput(openingProof.label(k.suite), k.head, k.ToParty))),
		made(by.append(nil, k.finalDigest().input(k.suite)))
}

// A09: Bob has opened Alice's messages, knows every key in them, and passes them on to Carol.
func TestA09NoForwardingInAnySuiteOrStream(t *testing.T) {
	carol := identity(t, "carol")
	for _, k := range kits(t) {
		bob := k.Opener.Identity
		toCarol := k.Opener
		if toCarol.Identity = carol; k.suite != SuiteRecipients {
			toCarol.Party = "carol"
		}
		if k.suite == SuiteShared {
			toCarol.Identity = nil
		}
		alices := *k
		alices.Opener = toCarol
		if alices.open(false) == nil || alices.open(true) == nil {
			t.Errorf("%s: opens as it is", k.name)
		}
		if k.suite == SuiteShared {
			continue // every holder can write as any party, and the documentation says so
		}
		// As Alice's, for Carol: only Alice can prove that.
		forCarol := func(c *kit) *kit {
			if c.suite == SuiteRecipients {
				c.sealed.recipients = wrap(c.content, c.sealed.header, carol.Public())
				c.head.recipients = made(c.content.wrap([]*keys.PublicIdentity{carol.Public()}, c.head.digest()))
			}
			return c
		}
		forCarol(&alices)
		for _, by := range []*keys.Identity{nil, bob} {
			if by != nil {
				alices.sealed.proof = sign(t, by, proofInput(envelopeProof.signed, alices.sealed, toCarol.Party))
				alices.head.proof = sign(t, by, openingInput(openingProof.signed, alices.head, toCarol.Party))
			}
			if ReasonOf(alices.open(false)) != ReasonProof || ReasonOf(alices.open(true)) != ReasonProof {
				t.Errorf("%s: as Alice's: %v, %v", k.name, alices.open(false), alices.open(true))
			}
		}
		// As Bob's own, with what Alice sealed left as it is: that names Alice.
		bobs := forCarol(k.rehead(func(h *Header) {
			h.Sender, h.ProofKey = bob.Fingerprint(), bob.Public().VerifyingKey().ID()
		}))
		bobs.Opener = toCarol
		bobs.Opener.From, bobs.Sealer.From, bobs.ToParty = bob.Public(), bob, toCarol.Party
		bobs.prove(t)
		if ReasonOf(bobs.open(false)) != ReasonBody || ReasonOf(bobs.open(true)) != ReasonBody {
			t.Errorf("%s: as Bob's: %v, %v", k.name, ReasonOf(bobs.open(false)), ReasonOf(bobs.open(true)))
		}
		if k.suite != SuiteRecipients {
			continue
		}
		again := Sealer{From: bob, To: []*keys.PublicIdentity{carol.Public()}, Context: "context"}
		if _, err := again.Rewrap(nil, k.envelope()); ReasonOf(err) != ReasonSender {
			t.Errorf("Bob seals Alice's message again: %v", err)
		}
		if err := again.RewrapStream(io.Discard, bytes.NewReader(k.stream())); ReasonOf(err) != ReasonSender {
			t.Errorf("Bob seals Alice's stream again: %v", err)
		}
	}
}

// A10: whatever stands in the place of the proof, nothing comes out: not from Open,
// not before a stream's opening proof, not from who seals again.
func TestA10ProofRemovedOrReplaced(t *testing.T) {
	const secret = "attack at dawn"
	eve, others := identity(t, "eve"), sharedKeyset(t)
	for _, l := range links(t) {
		k := newKit(t, l)
		k.sealed.body = made(k.bodyKey().Seal(nil, padded(secret), label.EnvelopeBody.With(k.sealed.header)))
		k.prove(t)
		byEve, openingByEve, _ := k.proofsBy(t, eve, others)
		for name, proofs := range map[string][2][]byte{
			"nothing":     {nil, nil},
			"one byte":    {{0}, {0}},
			"zeros":       {make([]byte, k.suite.proofSize()), make([]byte, k.suite.proofSize())},
			"too short":   {k.sealed.proof[1:], k.head.proof[1:]},
			"too long":    {append(bytes.Clone(k.sealed.proof), 0), append(bytes.Clone(k.head.proof), 0)},
			"another's":   {byEve, openingByEve},
			"of the kind": {k.head.proof, k.sealed.proof},
			"an HMAC by the sender's public key": {
				publicMAC(k, proofInput(label.EnvelopeProofKeyed, k.sealed, k.ToParty)), publicMAC(k, openingInput(label.StreamOpeningKeyed, k.head, k.ToParty)),
			},
			"signed where it is MACed": {
				sign(t, eve, proofInput(label.EnvelopeProof, k.sealed, k.ToParty)), sign(t, eve, openingInput(label.StreamOpening, k.head, k.ToParty)),
			},
		} {
			c := *k
			c.sealed.proof, c.head.proof = proofs[0], proofs[1]
			c.refusedEverywhere(t, name)
			forms := map[string][]byte{name: c.envelope()}
			if name == "nothing" {
				whole := k.envelope()
				at := len(whole) - len(k.sealed.proof) - 2
				forms["a nil"] = append(bytes.Clone(whole[:at]), 0xc0)
				forms["cut off"] = whole[:at]
			}
			for name, sealed := range forms {
				dst := make([]byte, 0, 4096)
				if got, h, err := c.opener().Open(dst, sealed); got != nil || h != (Header{}) || ReasonOf(err) == 0 {
					t.Errorf("%s, %s: %q, %v", k.name, name, got, err)
				}
				if !zeros(dst[:cap(dst)]) {
					t.Errorf("%s, %s: %q is left behind", k.name, name, bytes.Trim(dst[:cap(dst)], "\x00"))
				}
			}
		}
	}
}

// publicMAC is the HMAC that a reader would compare with if it took a public key
// for an HMAC key (A24).
func publicMAC(k *kit, input []byte) []byte {
	var key []byte
	if k.Sealer.From != nil {
		key = k.Sealer.From.Public().VerifyingKey().PublicKey()
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(input)
	return mac.Sum(nil)
}

// A11: a hop sends everything back to whom it came from, in every suite and form.
func TestA11EverythingIsReflected(t *testing.T) {
	for _, k := range kits(t) {
		back := *k // Alice expects Bob's messages, of the same kind, in the same context
		back.Opener = Opener{Context: "context", InsecureAllowReplay: true, Shared: k.Sealer.Shared}
		if k.suite != SuiteRecipients {
			back.Opener.Party = "a"
		}
		if k.suite == SuiteShared {
			back.Opener.FromParty = "b"
		} else {
			back.Opener.Identity, back.Opener.From = k.Sealer.From, k.Opener.Identity.Public()
		}
		if ReasonOf(back.open(false)) != ReasonReflected || ReasonOf(back.open(true)) != ReasonReflected {
			t.Errorf("%s: %v, %v", k.name, ReasonOf(back.open(false)), ReasonOf(back.open(true)))
		}
		if k.suite == SuiteShared {
			continue
		}
		back.Opener.From = k.Sealer.From.Public() // expects itself, by mistake
		if ReasonOf(back.open(false)) != ReasonReflected || ReasonOf(back.open(true)) != ReasonReflected {
			t.Errorf("%s, expecting itself: %v, %v", k.name, ReasonOf(back.open(false)), ReasonOf(back.open(true)))
		}
	}
}

// nonces records the nonces that an AEAD is used with.
type nonces struct {
	cipher.AEAD
	used *[]string
}

func (n nonces) Seal(dst, nonce, plaintext, aad []byte) []byte {
	*n.used = append(*n.used, string(nonce))
	return n.AEAD.Seal(dst, nonce, plaintext, aad)
}

// A19: no nonce of a stream repeats, and no two streams or clones of a Sealer share
// a key, salt or id.
func TestA19StreamsRepeatNothing(t *testing.T) {
	slowtest.Skip(t)
	for _, l := range links(t) {
		seen := map[string]bool{}
		once := func(what string, b []byte) {
			t.Helper()
			if seen[what+string(b)] {
				t.Errorf("%s: %s repeats", l.name, what)
			}
			seen[what+string(b)] = true
		}
		for range 20 {
			clone := l.Sealer
			for _, s := range []*Sealer{&l.Sealer, &clone} {
				var b bytes.Buffer
				w, err := s.NewWriter(&b)
				if err != nil {
					t.Fatal(err)
				}
				var used []string
				w.cipher.AEAD = nonces{w.cipher.AEAD, &used}
				w.padding = Buckets(4 * segmentData) // segments of padding, too
				w.Write(make([]byte, segmentData+5))
				if err := w.Finish(); err != nil || len(used) != 5 {
					t.Fatalf("%d segments, %v", len(used), err)
				}
				slices.Sort(used)
				if len(slices.Compact(used)) != 5 {
					t.Errorf("%s: a nonce repeats", l.name)
				}
				c := cutStream(t, b.Bytes())
				st := made(readStream(bytes.NewReader(b.Bytes()), "", "", 0))
				once("salt", st.head.salt)
				once("id", st.ID[:])
				once("segment", c.segments[0][:32]) // of one content: equal if the key were
				once("segment of padding", c.segments[3][:32])
				if l.name == "recipients" {
					once("content key", st.SealKey[:])
				}
			}
		}
	}
}

// A24: streams and gateways take the suite from their keys, whatever the wire says.
func TestA24SuiteOfStreamsAndGateways(t *testing.T) {
	all := kits(t)
	for _, k := range all {
		for _, to := range all {
			if k.suite == to.suite {
				continue
			}
			c := *k
			c.Opener = to.Opener
			if ReasonOf(c.open(false)) != ReasonSuite || ReasonOf(c.open(true)) != ReasonSuite {
				t.Errorf("suite %d opened as %d: %v, %v", k.suite, to.suite, c.open(false), c.open(true))
			}
			if to.suite == SuiteShared {
				continue
			}
			v := to.gateway()
			if _, err := v.Verify(k.envelope()); ReasonOf(err) != ReasonSuite {
				t.Errorf("suite %d verified as %d: %v", k.suite, to.suite, err)
			}
			if _, err := v.VerifyStream(bytes.NewReader(k.stream())); ReasonOf(err) != ReasonSuite {
				t.Errorf("%s, stream, verified as %d: %v", k.name, to.suite, err)
			}
		}
		for suite := range uint64(300) {
			if suite == uint64(k.suite) {
				continue
			}
			c := *k
			c.sealed.header = withSuite(k.sealed.header, headerFields, suite)
			c.head.header = withSuite(k.head.header, headerFields+1, suite)
			c.prove(t)
			if c.suite = k.suite; ReasonOf(c.open(false)) == 0 || ReasonOf(c.open(true)) == 0 {
				t.Errorf("suite %d as %d: %v, %v", k.suite, suite, c.open(false), c.open(true))
			}
		}
	}
}

func withSuite(header []byte, fields int, suite uint64) []byte {
	return append(strict.AppendUint(strict.AppendArray(nil, fields), suite), header[2:]...)
}

// A27: nothing is compressed. What is sealed has a size that follows from the size
// of the content alone.
func TestA27NothingIsCompressed(t *testing.T) {
	slowtest.Skip(t)
	for _, l := range links(t) {
		for _, p := range []Padding{{}, NoPadding(), Buckets(1<<10, 1<<20)} {
			l.Sealer.Padding = p
			for _, n := range []int{0, 1, 63, 64, 1000, 1024, 10_000, segmentData, 200_000} {
				random := make([]byte, n)
				rand.Read(random)
				sizes := map[[2]int]string{}
				for name, data := range map[string][]byte{
					"zeros": make([]byte, n), "random": random, "text": bytes.Repeat([]byte("secret=a"), n/8+1)[:n],
				} {
					sizes[[2]int{len(seal(t, &l.Sealer, string(data))), len(sealStream(t, &l.Sealer, data))}] = name
				}
				if len(sizes) != 1 {
					t.Errorf("%s: contents of %d bytes are sealed to different sizes: %v", l.name, n, sizes)
				}
			}
		}
	}
}

// A39: in every suite and form, contents of one bucket are alike on the way, and
// each byte of padding is checked.
func TestA39EverySuiteAndForm(t *testing.T) {
	for _, l := range links(t) {
		for name, c := range map[string]struct {
			p     Padding
			alike [][]int
		}{
			"padmé":   {Padding{}, [][]int{{0, 1, 60}, {61, 68}, {1021, 1050, 1084}, {100_001, 100_340}}},
			"buckets": {Buckets(100, 70_000), [][]int{{0, 50, 100}, {101, 5000, 65_531, 65_532, 65_533, 70_000}}},
		} {
			l.Sealer.Padding = c.p
			seen := map[string]int{}
			for i, sizes := range c.alike {
				for _, n := range sizes {
					for form, size := range map[string]int{
						"envelope": len(seal(t, &l.Sealer, string(content(n)))), "stream": len(sealStream(t, &l.Sealer, content(n))),
					} {
						key := fmt.Sprint(form, " of ", size)
						if bucket, known := seen[key]; known && bucket != i {
							t.Errorf("%s, %s: %d bytes look like another bucket's", l.name, name, n)
						}
						seen[key] = i
					}
				}
			}
			if len(seen) != 2*len(c.alike) {
				t.Errorf("%s, %s: %d sizes: %v", l.name, name, len(seen), seen)
			}
		}
	}
}
