package engine

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/flynn/noise"

	"github.com/hopseal/hopseal/internal/label"
)

// hexBytes reads the hexadecimal strings of the vector file.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

type noiseVector struct {
	Name          string     `json:"protocol_name"`
	InitPrologue  hexBytes   `json:"init_prologue"`
	InitPSKs      []hexBytes `json:"init_psks"`
	InitEphemeral hexBytes   `json:"init_ephemeral"`
	RespEphemeral hexBytes   `json:"resp_ephemeral"`
	Hash          hexBytes   `json:"handshake_hash"`
	Messages      []struct{ Payload, Ciphertext hexBytes }
}

// The library, called as this package calls it (a key set mid-handshake for
// psk2), gives the published vectors.
func TestNoiseVectors(t *testing.T) {
	dir := os.Getenv("HOPSEAL_VECTORS")
	if dir == "" {
		t.Skip("HOPSEAL_VECTORS is not set: no folder with noise.json")
	}
	var file struct{ Vectors []noiseVector }
	if err := json.Unmarshal(must(os.ReadFile(filepath.Join(dir, "noise.json"))), &file); err != nil {
		t.Fatal(err)
	}
	placements := map[string]int{
		"Noise_NN_25519_AESGCM_SHA256":     -1,
		"Noise_NNpsk0_25519_AESGCM_SHA256": 0,
		"Noise_NNpsk2_25519_AESGCM_SHA256": 2,
	}
	for _, v := range file.Vectors {
		placement, known := placements[v.Name]
		if !known {
			continue
		}
		delete(placements, v.Name)
		t.Run(v.Name, func(t *testing.T) { checkNoise(t, v, placement) })
	}
	if len(placements) != 0 {
		t.Errorf("no vectors for %v", placements)
	}
}

func checkNoise(t *testing.T, v noiseVector, placement int) {
	party := func(initiator bool, ephemeral []byte) *noise.HandshakeState {
		cfg := noise.Config{CipherSuite: newSuite(new(x25519)), Pattern: noise.HandshakeNN, Initiator: initiator,
			Prologue: v.InitPrologue, Random: bytes.NewReader(ephemeral)}
		switch placement {
		case 0:
			cfg.PresharedKey = v.InitPSKs[0]
		case 2:
			cfg.PresharedKeyPlacement = 2
		}
		return must(noise.NewHandshakeState(cfg))
	}
	from, to := party(true, v.InitEphemeral), party(false, v.RespEphemeral)
	var toResponder, toInitiator *noise.CipherState
	for i, m := range v.Messages {
		if i >= 2 { // after Split the vectors' messages take turns, the initiator's first
			sender := toResponder
			if i%2 == 1 {
				sender = toInitiator
			}
			if got := must(sender.Encrypt(nil, nil, m.Payload)); !bytes.Equal(got, m.Ciphertext) {
				t.Errorf("transport message %d: %x, want %x", i, got, m.Ciphertext)
			}
			continue
		}
		if i == 1 && placement == 2 {
			from.SetPresharedKey(v.InitPSKs[0])
			to.SetPresharedKey(v.InitPSKs[0])
		}
		out, c1, c2, err := from.WriteMessage(nil, m.Payload)
		if err != nil || !bytes.Equal(out, m.Ciphertext) {
			t.Fatalf("message %d: %x, %v, want %x", i, out, err, m.Ciphertext)
		}
		if payload, _, _, err := to.ReadMessage(nil, out); err != nil || !bytes.Equal(payload, m.Payload) {
			t.Fatalf("message %d read as %x, %v", i, payload, err)
		}
		toResponder, toInitiator = c1, c2
		from, to = to, from
	}
	if !bytes.Equal(from.ChannelBinding(), v.Hash) {
		t.Errorf("handshake hash %x, want %x", from.ChannelBinding(), v.Hash)
	}
}

// outsider is Noise NNpsk2 again, written from the specification with nothing of
// this package or its library, and with every part open. It plays the attacker
// who departs from the protocol, and checks the numbers of those who follow it.
type outsider struct {
	h, ck, k []byte
	n        uint64
}

func newOutsider() *outsider {
	name := []byte("Noise_NNpsk2_25519_AESGCM_SHA256")
	o := &outsider{ck: name, h: name} // 32 bytes, exactly a hash
	o.mixHash([]byte("hopseal/1 session prologue\x00\x07session"))
	return o
}

func sum(parts ...[]byte) []byte {
	s := sha256.Sum256(bytes.Join(parts, nil))
	return s[:]
}

func (o *outsider) mixHash(data []byte) { o.h = sum(o.h, data) }

func (o *outsider) hkdf(ikm []byte, n int) []byte {
	return must(hkdf.Key(sha256.New, ikm, o.ck, "", 32*n))
}

func (o *outsider) mixKey(ikm []byte) {
	out := o.hkdf(ikm, 2)
	o.ck, o.k, o.n = out[:32], out[32:], 0
}

func (o *outsider) mixKeyAndHash(ikm []byte) {
	out := o.hkdf(ikm, 3)
	o.ck, o.k, o.n = out[:32], out[64:], 0
	o.mixHash(out[32:64])
}

func (o *outsider) nonce() []byte {
	o.n++
	return []byte{11: byte(o.n - 1)}
}

func (o *outsider) encrypt(plain []byte) []byte {
	out := newAEAD(o.k).Seal(nil, o.nonce(), plain, o.h)
	o.mixHash(out)
	return out
}

func (o *outsider) decrypt(sealed []byte) ([]byte, error) {
	out, err := newAEAD(o.k).Open(nil, o.nonce(), sealed, o.h)
	o.mixHash(sealed)
	return out, err
}

// e takes a share in: in a psk pattern it is mixed into the key too.
func (o *outsider) e(share []byte) {
	o.mixHash(share)
	o.mixKey(share)
}

func (o *outsider) split() (toResponder, toInitiator []byte) {
	out := o.hkdf(nil, 2)
	return out[:32], out[32:]
}

// The payload of m1 looks encrypted and is not: anybody can open it. That is why
// nothing but a public key is in it.
func TestM1PayloadIsReadableByAnyHop(t *testing.T) {
	c := client(alice)
	m1, _ := c.start()
	o := newOutsider()
	o.e(m1[:32])
	ek, err := o.decrypt(m1[32:])
	if err != nil || !bytes.Equal(ek, c.h.kem.EncapsulationKey().Bytes()) {
		t.Errorf("an outsider reads %d bytes, %v", len(ek), err)
	}
}

// withEK makes the m1 of a hop that exchanges ek for its own choice, which it can
// encrypt as well as the client could.
func withEK(m1, ek []byte) []byte {
	o := newOutsider()
	o.e(m1[:32])
	return append(bytes.Clone(m1[:32]), o.encrypt(ek)...)
}

// A25: the post-quantum share is part of what both ends agree on. A hop that puts
// in its own, a zero one or none gets no session.
func TestA25PostQuantumShareCannotBeReplaced(t *testing.T) {
	hopKey := must(mlkem.GenerateKey768()).EncapsulationKey().Bytes()
	outOfRange := bytes.Repeat([]byte{0xff}, ekSize)
	for name, test := range map[string]struct {
		ek     []byte
		reason Reason // at the server, or 0 when only the client can notice
	}{
		"replaced":          {hopKey, 0},
		"zeroed":            {make([]byte, ekSize), ReasonKeyShare},
		"zeroed, seed left": {append(make([]byte, ekSize-32), hopKey[ekSize-32:]...), ReasonKeyShare},
		"above modulus":     {outOfRange, ReasonKeyShare},
		"removed":           {nil, ReasonSize},
		"shortened":         {hopKey[:ekSize-1], ReasonSize},
	} {
		t.Run(name, func(t *testing.T) {
			cErr, sErr := meet(client(alice), server(bob), changing(1, func(m1 []byte) []byte { return withEK(m1, test.ek) }))
			if test.reason != 0 {
				wantReason(t, sErr, ErrHandshake, test.reason)
			} else {
				wantReason(t, cErr, ErrHandshake, ReasonCipher)
			}
		})
	}
}

// forgeM2 is the answer of a server that mixes in a pre-shared key of its choice,
// and shows the given identity.
func forgeM2(m1, ct []byte, psk func(o *outsider)) []byte {
	o := newOutsider()
	o.e(m1[:32])
	o.decrypt(m1[32:])
	key := must(ecdh.X25519().GenerateKey(nil))
	o.e(key.PublicKey().Bytes())
	o.mixKey(must(key.ECDH(must(ecdh.X25519().NewPublicKey(m1[:32])))))
	psk(o)
	second := append(key.PublicKey().Bytes(), o.encrypt(nil)...)

	schedule := newSchedule(o.h, o.hkdf(nil, 2)[:32], o.hkdf(nil, 2)[32:])
	sig := signWith(bob)(schedule.signed(label.SessionServerSign, bob.Public().Bytes(), test1))
	plain := appendAuth(nil, serverAuthFields, auth{identity: bob.Public().Bytes(), speech: test1, signature: sig})
	return schedule.seal(append(ct, second...), label.SessionServerAuth, plain)
}

// A25: a server, even one that holds the right identity, cannot leave the
// ML-KEM secret out of the handshake.
func TestA25ServerCannotLeavePostQuantumSecretOut(t *testing.T) {
	var shared []byte
	for name, test := range map[string]struct {
		psk    func(o *outsider)
		accept bool
	}{
		"the right key":   {func(o *outsider) { o.mixKeyAndHash(shared) }, true},
		"an empty key":    {func(o *outsider) { o.mixKeyAndHash(nil) }, false},
		"a zero key":      {func(o *outsider) { o.mixKeyAndHash(make([]byte, 32)) }, false},
		"no psk token":    {func(o *outsider) {}, false},
		"the bare secret": {func(o *outsider) { o.mixKeyAndHash(bareSecret) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(alice)
			m1, _ := c.start()
			var ct []byte
			bareSecret, ct = c.h.kem.EncapsulationKey().Encapsulate()
			shared = makePSK(bareSecret, c.h.kem.EncapsulationKey().Bytes(), ct)
			_, err := c.receive(forgeM2(m1, ct, test.psk))
			if test.accept && err != nil {
				t.Errorf("the forgery itself is wrong: %v", err)
			}
			if !test.accept {
				wantReason(t, err, ErrHandshake, ReasonCipher)
			}
		})
	}
}

var bareSecret []byte

// The wrapper refuses what the library would let pass: a second message without a
// key, from a peer that used an empty one.
func TestA25ExchangeRefusesUnsetKey(t *testing.T) {
	second := func(a *exchange) []byte {
		m1 := must(a.writeFirst(nil))
		o := &outsider{h: []byte("Noise_NNpsk2_25519_AESGCM_SHA256"), ck: []byte("Noise_NNpsk2_25519_AESGCM_SHA256")}
		o.mixHash(nil)
		o.e(m1[:32])
		o.decrypt(m1[32:])
		key := must(ecdh.X25519().GenerateKey(nil))
		o.e(key.PublicKey().Bytes())
		o.mixKey(must(key.ECDH(must(ecdh.X25519().NewPublicKey(m1[:32])))))
		o.mixKeyAndHash(nil)
		return append(key.PublicKey().Bytes(), o.encrypt(nil)...)
	}
	bare := newExchange(true, nil, nil)
	if _, _, _, err := bare.noise.ReadMessage(nil, second(bare)); err != nil {
		t.Fatalf("the library has changed, and this test with it: %v", err)
	}
	wrapped := newExchange(true, nil, nil)
	if _, err := wrapped.readSecond(second(wrapped)); err == nil {
		t.Error("read the second message without a key")
	}
	b := newExchange(false, nil, nil)
	b.readFirst(must(newExchange(true, nil, nil).writeFirst(nil)))
	if _, _, err := b.writeSecond(); err == nil {
		t.Error("wrote the second message without a key")
	}
}

// A low-order share makes a Diffie-Hellman secret that everybody knows.
func TestA08LowOrderShareRefused(t *testing.T) {
	lowOrder := [][]byte{make([]byte, 32), append([]byte{1}, make([]byte, 31)...),
		must(hex.DecodeString("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")),
		must(hex.DecodeString("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"))}
	ek := must(mlkem.GenerateKey768()).EncapsulationKey().Bytes()
	for _, share := range lowOrder {
		s := server(bob)
		s.start()
		_, err := s.receive(withEK(share, ek))
		wantReason(t, err, ErrHandshake, ReasonKeyShare)
	}
}

// fixed returns the randomness of the known-answer tests.
func fixed(ephemeral, seed byte) random {
	return random{
		ephemeral: bytes.NewReader(bytes.Repeat([]byte{ephemeral}, 32)),
		generate: func() (*mlkem.DecapsulationKey768, error) {
			return mlkem.NewDecapsulationKey768(bytes.Repeat([]byte{seed}, 64))
		},
		encapsulate: func(ek *mlkem.EncapsulationKey768) (shared, ct []byte) {
			shared, ct, err := mlkemtest.Encapsulate768(ek, bytes.Repeat([]byte{seed}, 32))
			if err != nil {
				panic(err)
			}
			return shared, ct
		},
	}
}

// Everything that is derived, computed a second time from the specification, and
// held against values that were written down when the format was fixed.
func TestKnownAnswers(t *testing.T) {
	cfg := configFor(alice)
	cfg.random = fixed(1, 2)
	c := clientOf(cfg, alice)
	cfg = configFor(bob)
	cfg.random = fixed(3, 4)
	s := serverOf(cfg, bob)
	var frames, signed [][]byte
	for _, e := range []*end{c, s} {
		sign := e.sign
		e.sign = func(m []byte) []byte { signed = append(signed, m); return sign(m) }
	}
	mustMeetVia(t, c, s, func(_ int, f []byte) []byte { frames = append(frames, f); return f })

	// Noise, with both ends' secrets in hand.
	x25519 := func(b byte) *ecdh.PrivateKey { return must(ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{b}, 32))) }
	eC, eS := x25519(1), x25519(3)
	kem := must(mlkem.NewDecapsulationKey768(bytes.Repeat([]byte{2}, 64)))
	ek, ct := kem.EncapsulationKey().Bytes(), frames[1][:ctSize]
	o := newOutsider()
	o.e(eC.PublicKey().Bytes())
	if m1 := append(eC.PublicKey().Bytes(), o.encrypt(ek)...); !bytes.Equal(m1, frames[0]) {
		t.Fatal("m1 is not what the specification says")
	}
	psk := must(hkdf.Key(sha256.New, must(kem.Decapsulate(ct)), nil,
		"hopseal/1 session psk\x00"+string(sum(ek))+string(sum(ct)), 32))
	o.e(eS.PublicKey().Bytes())
	o.mixKey(must(eS.ECDH(eC.PublicKey())))
	o.mixKeyAndHash(psk)
	if m2 := append(eS.PublicKey().Bytes(), o.encrypt(nil)...); !bytes.Equal(m2, frames[1][ctSize:m2HeadSize]) {
		t.Fatal("m2 is not what the specification says")
	}
	k1, k2 := o.split()
	hs := must(hkdf.Extract(sha256.New, append(k1, k2...), o.h))

	// The rest, with the transcript in two steps.
	const transcript = "hopseal/1 session transcript\x00"
	t1 := sum([]byte(transcript), o.h, frames[1][m2HeadSize:])
	th := sum([]byte(transcript), t1, frames[2])
	key := func(name string, at []byte) []byte {
		return must(hkdf.Expand(sha256.New, hs, "hopseal/1 session "+name+"\x00"+string(at), 32))
	}
	for _, m := range []struct {
		name   string
		at     []byte
		sealed []byte
	}{{"server auth", o.h, frames[1][m2HeadSize:]}, {"client auth", t1, frames[2]}, {"accept", th, frames[3]}} {
		aad := []byte("hopseal/1 session " + m.name + "\x00")
		if _, err := newAEAD(key(m.name, m.at)).Open(nil, make([]byte, 12), m.sealed, aad); err != nil {
			t.Errorf("%s does not open with the key of the specification", m.name)
		}
	}
	id := key("id", th)
	if got := c.h.Session().ID(); !bytes.Equal(got[:], id) {
		t.Errorf("session id %x, want %x", got, id)
	}

	// What was signed: role, transcript, identity, and what the end speaks.
	speech := append([]byte("\x00\x06test/1"), make([]byte, 257-8)...)
	for i, want := range [][]byte{
		bytes.Join([][]byte{[]byte("hopseal/1 session server signature\x00"), o.h, sum(bob.Public().Bytes()), speech}, nil),
		bytes.Join([][]byte{[]byte("hopseal/1 session client signature\x00"), t1, sum(alice.Public().Bytes()), speech}, nil),
	} {
		if !bytes.Equal(signed[i], want) {
			t.Errorf("signature %d is over %q, want %q", i, signed[i], want)
		}
	}

	// The first record and, by way of the chain, the first of the next generation.
	link := generous(c.h.Session().Link())
	generation := must(hkdf.Expand(sha256.New, key("client traffic", th), "hopseal/1 session next generation\x00", 64))
	for i := range uint64(generationRecords + 1) {
		record := must(link.Seal(epoch, nil, nil, []byte("hello")))
		if i == generationRecords {
			generation = must(hkdf.Expand(sha256.New, generation[:32], "hopseal/1 session next generation\x00", 64))
		} else if i > 0 {
			continue
		}
		aad := append([]byte("hopseal/1 session record\x00\x01"), id...)
		nonce := []byte{10: byte(i >> 8), 11: byte(i)}
		plain, err := newAEAD(generation[32:]).Open(nil, nonce, record[1:], aad)
		if want := append([]byte{0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o'}, make([]byte, 55)...); err != nil || !bytes.Equal(plain, want) {
			t.Errorf("record %d opens as %x, %v", i, plain, err)
		}
	}

	// Identities are new in every run, so these stop before the first of them.
	for name, v := range map[string]struct {
		got  []byte
		want string
	}{
		"sha256(m1)": {sum(frames[0]), goldenM1},
		"psk":        {psk, goldenPSK},
		"h":          {o.h, goldenH},
		"hs":         {hs, goldenHS},
	} {
		if hex.EncodeToString(v.got) != v.want {
			t.Errorf("%s = %x, want %s", name, v.got, v.want)
		}
	}
}

// Shares: client X25519 32 x 01, ML-KEM seed 64 x 02; server X25519 32 x 03,
// ML-KEM message 32 x 04.
const (
	goldenM1  = "9ad368b6cab5797c6bf81c1806d9c6ae1c7607b1fc196aa22b78ad82f45cb0b4"
	goldenPSK = "0429a0cae0cb0f9f485973bfb69b6c9d8b3f1e367cd6da5778827feea919ecaa"
	goldenH   = "032559f495c1988e52685130a33effdd59437f1cdcd7d00b7fccf44b18d141d3"
	goldenHS  = "0dfdd33a16e85ce26f5f48ffcfe8dc5c4c014ff482f26cd4b7d5729983c0cbe8"
)

func mustMeetVia(t testing.TB, c, s *end, via hop) {
	t.Helper()
	if cErr, sErr := meet(c, s, via); cErr != nil || sErr != nil {
		t.Fatalf("handshake: client %v, server %v", cErr, sErr)
	}
}
