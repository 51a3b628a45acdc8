package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
)

// The attack on which A21 rests: AES-GCM does not commit to its key. GHASH is
// linear in each block of the ciphertext, so whoever knows two keys leaves one
// block free and solves for the value that gives both the same tag (Grubbs, Lu,
// Ristenpart, CRYPTO 2017; Dodis et al., CRYPTO 2018). The ciphertext then opens
// under either key, to two texts of the attacker's choice.

// A bareGCM is AES-256-GCM in its parts, for one key and one nonce of 12 bytes.
type bareGCM struct {
	block cipher.Block
	nonce []byte
}

func newBareGCM(key, nonce []byte) bareGCM {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return bareGCM{block, nonce}
}

func (g bareGCM) keystream(n int) []byte {
	out := make([]byte, n)
	cipher.NewCTR(g.block, append(slices.Clip(g.nonce), 0, 0, 0, 2)).XORKeyStream(out, out)
	return out
}

// collide solves for one block of c, counted from 0, and returns the tag that c
// then has under both keys.
func collide(a, b bareGCM, aad, c []byte, free int) []byte {
	block := c[16*free:][:16]
	clear(block)
	tagA, hA := gcmTag(a.block, a.nonce, aad, c)
	tagB, hB := gcmTag(b.block, b.nonce, aad, c)
	n := (len(c)+15)/16 - free + 1 // how many times the block is multiplied by h
	tagA.plus(tagB).times(hA.power(n).plus(hB.power(n)).inverse()).put(block)
	tagA, _ = gcmTag(a.block, a.nonce, aad, c)
	tag := make([]byte, 16)
	tagA.put(tag)
	return tag
}

// twoKeyBody returns a ciphertext and tag that open under both, to padded
// plaintexts that begin with the first text and hold the second. It fails for most
// nonces: the padding has to be right under both keys, which chance gives for 16
// bits of the length.
func twoKeyBody(a, b bareGCM, aad []byte, first, second string) (body []byte, ok bool) {
	const n, size, at, free = 1<<16 - 1, 1<<16 - 1 + lengthSize, 64, 8
	differ := binary.BigEndian.Uint32(a.keystream(4)) ^ binary.BigEndian.Uint32(b.keystream(4))
	if differ >= 1<<16 || n^differ < 16*(free+1) {
		return nil, false
	}
	c, forA, forB := make([]byte, size), a.keystream(size), b.keystream(size)
	binary.BigEndian.PutUint32(c, n|chosenTotal)
	copy(c[lengthSize:], first)
	for i := range lengthSize + len(first) {
		c[i] ^= forA[i]
	}
	for i := range second {
		c[at+i] = second[i] ^ forB[at+i]
	}
	zeros := lengthSize + int(n^differ) // where padding begins under b
	copy(c[zeros:], forB[zeros:])
	return append(c, collide(a, b, aad, c, free)...), true
}

const forBob, forCarol = "Bob, sell all", "Carol, buy all that Bob sells"

// A21: a dishonest sender makes one signed message that says one thing to Bob and
// another to Carol. Bare AES-GCM opens it for both. Here the header commits to one
// content key, and who was given the other one gets nothing.
func TestA21TwoKeyBody(t *testing.T) {
	alice, bob, carol := identity(t, "alice"), identity(t, "bob"), identity(t, "carol")
	first, second := newContentKey(), newContentKey()
	h := Header{Suite: SuiteRecipients, Sender: alice.Fingerprint(), SealKey: first.id(),
		ProofKey: alice.Public().VerifyingKey().ID(), ID: newMessageID(), Time: alice.Public().Issued()}
	p := parts{header: h.append(nil)}
	aad := label.EnvelopeBody.With(p.header)
	p.body = searchBody(t, aad, 0, func([]byte) (a, b []byte) {
		return first.expand(label.EnvelopeBodyKey), second.expand(label.EnvelopeBodyKey)
	})
	for key, text := range map[*contentKey]string{&first: forBob, &second: forCarol} {
		opened, err := decrypt(nil, key.body(), p.body, aad)
		if err != nil || !bytes.Contains(opened, []byte(text)) {
			t.Fatalf("the attack fails: %v", err)
		}
	}
	p.recipients = wrapEach(t, p.header, map[*keys.Identity]contentKey{bob: first, carol: second})
	p.proof, _ = alice.Signer().Sign(proofInput(envelopeProof.signed, p, ""))
	sealed := p.append(nil)
	toBob, toCarol := Opener{Identity: bob, From: alice.Public(), InsecureAllowReplay: true}, Opener{Identity: carol, From: alice.Public(), InsecureAllowReplay: true}
	if got, _, err := toBob.Open(nil, sealed); err != nil || !bytes.HasPrefix(got, []byte(forBob)) {
		t.Errorf("under the key that is named: %.20q, %v", got, err)
	}
	expectReason(t, &toCarol, sealed, ReasonKey, "under the other key")
	// Named the other way round, the body's associated data is another.
	h.SealKey = second.id()
	p.header = h.append(nil)
	p.recipients = wrapEach(t, p.header, map[*keys.Identity]contentKey{bob: first, carol: second})
	p.proof, _ = alice.Signer().Sign(proofInput(envelopeProof.signed, p, ""))
	expectReason(t, &toBob, p.append(nil), ReasonKey, "Bob, when the other key is named")
	expectReason(t, &toCarol, p.append(nil), ReasonBody, "Carol, when her key is named")
}

// A21: the same with two shared keysets, of which Bob holds one and Carol the other,
// and XAES-256-GCM, which does not commit either.
func TestA21TwoKeyBodyUnderSharedKeysets(t *testing.T) {
	alice, bob := identity(t, "alice"), identity(t, "bob")
	bobs, carols := sharedKeyset(t), sharedKeyset(t)
	for _, suite := range []Suite{SuiteShared, SuiteSharedSigned} {
		h := Header{Suite: suite, SealKey: SealKeyID(bobs.Primary().ID()), ID: newMessageID(), Time: alice.Public().Issued()}
		toBob := Opener{Shared: bobs, Party: "b", FromParty: "a", InsecureAllowReplay: true}
		if h.Party = "a"; suite == SuiteSharedSigned {
			h.Party, h.Sender, h.ProofKey = "", alice.Fingerprint(), alice.Public().VerifyingKey().ID()
			toBob.FromParty, toBob.Identity, toBob.From = "", bob, alice.Public()
		}
		p := parts{header: h.append(nil)}
		aad := label.EnvelopeBody.With(p.header)
		first, _ := pairSecrets(t, bobs)
		second, _ := pairSecrets(t, carols)
		p.body = searchBody(t, aad, 12, func(nonce []byte) (a, b []byte) {
			return xaesMessageKey(first, nonce), xaesMessageKey(second, nonce)
		})
		for shared, text := range map[*keys.SharedKeyset]string{bobs: forBob, carols: forCarol} {
			opened, err := decrypt(nil, shared.Primary(), p.body, aad)
			if err != nil || !bytes.Contains(opened, []byte(text)) {
				t.Fatalf("suite %d: the attack fails: %v", suite, err)
			}
		}
		input := proofInput(envelopeProof.label(suite), p, "b")
		if p.proof, _ = alice.Signer().Sign(input); suite == SuiteShared {
			p.proof = bobs.Primary().MAC(nil, input)
		}
		if got, _, err := toBob.Open(nil, p.append(nil)); err != nil || !bytes.HasPrefix(got, []byte(forBob)) {
			t.Errorf("suite %d: under the pair that is named: %.20q, %v", suite, got, err)
		}
		toCarol := toBob
		toCarol.Shared = carols
		expectReason(t, &toCarol, p.append(nil), ReasonNotForUs, "under the other pair")
		// With Carol's pair named and, in suite 1, its MAC, the body is another's.
		h.SealKey = SealKeyID(carols.Primary().ID())
		p.header = h.append(nil)
		input = proofInput(envelopeProof.label(suite), p, "b")
		if p.proof, _ = alice.Signer().Sign(input); suite == SuiteShared {
			p.proof = carols.Primary().MAC(nil, input)
		}
		expectReason(t, &toBob, p.append(nil), ReasonNotForUs, "Bob, when the other pair is named")
		expectReason(t, &toCarol, p.append(nil), ReasonBody, "Carol, when her pair is named")
	}
}

// A21: one segment that opens under the stream keys of two content keys.
func TestA21TwoKeySegment(t *testing.T) {
	alice, bob, carol := identity(t, "alice"), identity(t, "bob"), identity(t, "carol")
	first, second := newContentKey(), newContentKey()
	h := Header{Suite: SuiteRecipients, Sender: alice.Fingerprint(), SealKey: first.id(),
		ProofKey: alice.Public().VerifyingKey().ID(), ID: newMessageID(), Time: alice.Public().Issued()}
	head := newStreamHead(&h)
	info := string(label.StreamKey.With(head.digest()))
	a, b := derive(first, head.salt, info), derive(second, head.salt, info)
	nonce := newSegmentCipher(a).nonceOf(0, true)
	bareA, bareB := newBareGCM(a, nonce), newBareGCM(b, nonce)
	segment := make([]byte, 1024)
	copy(segment, append(binary.BigEndian.AppendUint32(nil, uint32(len(segment)-lengthSize)|chosenTotal), forBob...))
	for i, k := range bareA.keystream(len(segment)) {
		segment[i] ^= k
	}
	segment = append(segment, collide(bareA, bareB, nil, segment, 8)...)
	for _, key := range [][]byte{a, b} {
		if _, err := gcm.New(key).Open(nil, nonce, segment, nil); err != nil {
			t.Fatalf("the attack fails: %v", err)
		}
	}
	head.recipients = wrapDigest(t, head.digest(), map[*keys.Identity]contentKey{bob: first, carol: second})
	head.proof = sign(t, alice, openingInput(label.StreamOpening, head, ""))
	digest := newStreamDigest(head.digest(), "")
	digest.add(segment)
	sealed := slices.Concat(head.append(nil), segment, sign(t, alice, digest.input(SuiteRecipients)))
	toBob, toCarol := Opener{Identity: bob, From: alice.Public(), InsecureAllowReplay: true}, Opener{Identity: carol, From: alice.Public(), InsecureAllowReplay: true}
	if got, err := openStream(&toBob, sealed); err != nil || !bytes.HasPrefix(got, []byte(forBob)) {
		t.Errorf("under the key that is named: %.20q, %v", got, err)
	}
	if got, err := openStream(&toCarol, sealed); ReasonOf(err) != ReasonKey || len(got) > 0 {
		t.Errorf("under the other key: %.20q, %v", got, err)
	}
}

// searchBody tries nonces until a two-key body comes out: some 2^16. The first
// fixed bytes of the nonce stay.
func searchBody(t *testing.T, aad []byte, fixed int, keysOf func(nonce []byte) (a, b []byte)) []byte {
	t.Helper()
	nonce := make([]byte, fixed+gcm.NonceSize)
	a, b := keysOf(nonce)
	bareA, bareB := newBareGCM(a, nonce[fixed:]), newBareGCM(b, nonce[fixed:])
	for n := range uint64(1 << 22) {
		binary.BigEndian.PutUint64(nonce[fixed:], n)
		if body, ok := twoKeyBody(bareA, bareB, aad, forBob, forCarol); ok {
			return append(nonce, body...)
		}
	}
	t.Fatal("no nonce fits")
	return nil
}

// xaesMessageKey derives the AES key of one message as XAES-256-GCM says: two
// blocks of CMAC.
func xaesMessageKey(key, nonce []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	k1 := make([]byte, 16)
	block.Encrypt(k1, k1)
	msb := k1[0] >> 7
	for i := range k1 {
		k1[i] <<= 1
		if i < 15 {
			k1[i] |= k1[i+1] >> 7
		}
	}
	k1[15] ^= msb * 0x87
	var out []byte
	for counter := range byte(2) {
		m := append([]byte{0, counter + 1, 'X', 0}, nonce[:12]...)
		for i := range m {
			m[i] ^= k1[i]
		}
		block.Encrypt(m, m)
		out = append(out, m...)
	}
	return out
}
