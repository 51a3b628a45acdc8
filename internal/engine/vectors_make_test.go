package engine

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	hopsealhpke "github.com/hopseal/hopseal/internal/hpke"
	"github.com/hopseal/hopseal/internal/strict"
)

// Vectors are made by the words of the specification, with nothing of this package but
// its padding: what the engine does with them is a test of both. Every secret is the
// hash of a text, so that nobody takes one for a key to use, and that vectors stay as
// they are when others are added.

func testSecret(name string) []byte {
	h := sha256.Sum256([]byte("hopseal test vectors: session " + name))
	return h[:]
}

func testSeed(name string) []byte {
	h := sha512.Sum512([]byte("hopseal test vectors: session " + name))
	return h[:]
}

func testSigner(name string) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(testSecret(name)) }

// statement is a public identity. Most vectors show the same ones.
func statement(name string, serial uint64) []byte {
	who := fmt.Sprint(name, serial)
	if _, made := statements[who]; !made {
		statements[who] = makeStatement(name, serial)
	}
	return statements[who]
}

var statements = map[string][]byte{}

// vectorTime is when the statements of vectors are issued, in Unix seconds: in January 2027.
// No vector looks at the clock.
const vectorTime = 1798761600

// makeStatement follows docs/protocol.md. Carol has a retired key too, which was good in the
// hour before.
func makeStatement(name string, serial uint64) []byte {
	const issued, lifetime = vectorTime, 2592000
	root := testSigner(name + " root")
	keyIn := func(use uint64, public []byte, from, to uint64) []byte {
		return slices.Concat(strict.AppendArray(nil, 5), strict.AppendUint(nil, use), strict.AppendUint(nil, use),
			strict.AppendBin(nil, public), strict.AppendUint(nil, from), strict.AppendUint(nil, to))
	}
	key := func(use uint64, public []byte) []byte { return keyIn(use, public, issued, 0) }
	count, retired := 2, []byte(nil)
	if name == "carol" {
		count, retired = 3, keyIn(1, publicOf(testSigner("carol retired signing")), issued-3600, issued)
	}
	listed := slices.Concat(strict.AppendArray(nil, count),
		key(1, publicOf(testSigner(name+" signing"))), retired,
		key(2, must(hpke.MLKEM768X25519().NewPrivateKey(testSecret(name+" sealing"))).PublicKey().Bytes()))
	if serial == 1<<64-1 { // revoked
		listed = strict.AppendArray(nil, 0)
	}
	said := slices.Concat(strict.AppendArray(nil, 7), strict.AppendUint(nil, 1), strict.AppendStr(nil, name),
		strict.AppendBin(nil, publicOf(root)), strict.AppendUint(nil, serial),
		strict.AppendUint(nil, issued), strict.AppendUint(nil, issued+lifetime), listed)
	signed := append([]byte("hopseal/1 keys public identity\x00"), said...)
	return slices.Concat(strict.AppendArray(nil, 2), strict.AppendBin(nil, said), strict.AppendBin(nil, ed25519.Sign(root, signed)))
}

func publicOf(k ed25519.PrivateKey) []byte { return k.Public().(ed25519.PublicKey) }

// clientEnd and serverEnd are who appears in the vectors.
func clientEnd() *vectorEnd {
	return &vectorEnd{Identity: statement("alice", 1), Signing: testSecret("alice signing"),
		X25519: testSecret("client x25519"), MLKEM: testSeed("client ml-kem")}
}

func serverEnd() *vectorEnd {
	return &vectorEnd{Identity: statement("bob", 1), Signing: testSecret("bob signing"),
		X25519: testSecret("server x25519"), Encapsulation: testSecret("server encapsulation")}
}

// A change replaces one thing while a vector is made. The things are named where they
// are made.
type change struct {
	what string
	to   func(b []byte) []byte
}

// A script makes the frames of an exchange, as far as they are wanted.
type script struct {
	*vector
	changes []change
	frames  int // how many

	noise          *outsider
	hs, transcript []byte
}

func (s *script) may(what string, b []byte) []byte {
	for _, c := range s.changes {
		if c.what == what {
			b = c.to(bytes.Clone(b))
		}
	}
	return b
}

// frame appends a frame and reports whether it is the last.
func (s *script) frame(name string, parts ...[]byte) bool {
	s.Frames = append(s.Frames, s.may(name, slices.Concat(parts...)))
	return len(s.Frames) == s.frames
}

func labelled(name string, parts ...[]byte) []byte {
	return append([]byte("hopseal/1 session "+name+"\x00"), bytes.Join(parts, nil)...)
}

func expand32(secret []byte, info []byte) []byte {
	return must(hkdf.Expand(sha256.New, secret, string(info), 32))
}

func uint8s(b ...byte) []byte { return b }

func uint64s(values ...uint64) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// begin starts Noise.
func (s *script) begin(pattern, purpose string, more ...[]byte) {
	name := []byte("Noise_" + pattern + "_25519_AESGCM_SHA256")
	s.noise = &outsider{ck: name, h: name}
	prologue := slices.Concat(append([][]byte{uint8s(byte(len(purpose))), []byte(purpose)}, more...)...)
	s.noise.mixHash(s.may("prologue", labelled("prologue", prologue)))
}

// said is what an end says to speak.
func (s *script) said(end *vectorEnd) []byte {
	speech := s.speech(end)
	b := append(uint8s(byte(speech.Proof), byte(len(speech.Protocol))), speech.Protocol...)
	return append(b, make([]byte, 257-len(b))...)
}

func (s *script) clientKey() *ecdh.PrivateKey {
	return must(ecdh.X25519().NewPrivateKey(s.Client.X25519))
}
func (s *script) serverKey() *ecdh.PrivateKey {
	return must(ecdh.X25519().NewPrivateKey(s.Server.X25519))
}
func (s *script) kem() *mlkem.DecapsulationKey768 {
	return must(mlkem.NewDecapsulationKey768(s.Client.MLKEM))
}

// clientShare takes the client's e in, serverShare the server's and ee.
func (s *script) clientShare() []byte {
	share := s.may("client share", s.clientKey().PublicKey().Bytes())
	s.noise.e(share)
	return share
}

func (s *script) serverShare() []byte {
	share := s.may("server share", s.serverKey().PublicKey().Bytes())
	s.noise.e(share)
	s.noise.mixKey(s.may("ee", must(s.serverKey().ECDH(s.clientKey().PublicKey()))))
	return share
}

func (s *script) encapsulate(name string) (secret, ct []byte) {
	ek := s.kem().EncapsulationKey()
	shared, ct, err := mlkemtest.Encapsulate768(ek, s.Server.Encapsulation)
	if err != nil {
		panic(err)
	}
	info := labelled(name, sum(ek.Bytes()), sum(ct))
	return s.may(name, must(hkdf.Key(sha256.New, shared, nil, string(info), 32))), ct
}

// split ends Noise.
func (s *script) split(more ...[]byte) {
	k1, k2 := s.noise.split()
	s.hs = must(hkdf.Extract(sha256.New, slices.Concat(append([][]byte{k1, k2}, more...)...), s.noise.h))
	s.transcript = s.noise.h
}

func (s *script) key(name string) []byte { return expand32(s.hs, labelled(name, s.transcript)) }

func (s *script) absorb(part []byte) { s.transcript = sum(labelled("transcript", s.transcript, part)) }

// seal makes a message that is sealed once: fields and values, which are changed by the
// names "… fields", "… values", "… plain" and "…" itself.
func (s *script) seal(name string, fields []byte, values ...[]byte) []byte {
	var data []byte
	if len(values) > 0 {
		data = slices.Concat(append([][]byte{strict.AppendArray(nil, len(values))}, values...)...)
	}
	plain := appendPadded(nil, s.may(name+" fields", fields), s.may(name+" values", data))
	label := s.may(name+" label", labelled(name))
	sealed := newAEAD(expand32(s.hs, slices.Concat(label, s.transcript))).Seal(nil, make([]byte, 12), s.may(name+" plain", plain), label)
	sealed = s.may(name, sealed)
	s.absorb(sealed)
	return sealed
}

func bins(values ...[]byte) (encoded [][]byte) {
	for _, v := range values {
		encoded = append(encoded, strict.AppendBin(nil, v))
	}
	return encoded
}

func (s *script) auth(role string, end *vectorEnd, shown ...[]byte) []byte {
	identity := s.may(role+" identity", end.Identity)
	speech := s.may(role+" speech", s.said(end))
	toSign := s.may(role+" signed", labelled(role+" signature", s.transcript, sum(identity), speech))
	signature := s.may(role+" signature", ed25519.Sign(ed25519.NewKeyFromSeed(s.may(role+" signer", end.Signing)), toSign))
	return s.seal(role+" auth", nil, bins(append(append([][]byte{identity, speech}, shown...), signature)...)...)
}

// mark is the client's hop mark.
func (s *script) mark() []byte {
	if s.Client.Binding == nil {
		return nil
	}
	return sum(labelled("hop", s.transcript, s.Client.Binding))
}

func (s *script) verdict() []byte {
	o := s.Opened
	return binary.BigEndian.AppendUint32(uint8s(o.Code, o.Hop), o.Lifetime)
}

// handshake makes m1 to m4.
func (s *script) handshake() {
	s.begin("NNpsk2", "session")
	share := s.clientShare()
	if s.frame("m1", share, s.noise.encrypt(s.may("ek", s.kem().EncapsulationKey().Bytes()))) {
		return
	}
	psk, ct := s.encapsulate("psk")
	share = s.serverShare()
	s.noise.mixKeyAndHash(psk)
	tag := s.noise.encrypt(nil)
	s.split()
	h := s.transcript
	if s.frame("m2", ct, share, tag, s.auth("server", s.Server)) {
		return
	}
	if s.frame("m3", s.auth("client", s.Client, s.may("credentials", s.Opened.Credentials), s.may("mark", s.mark()))) {
		return
	}
	th := s.transcript
	s.frame("m4", s.seal("accept", s.verdict()))
	if s.transcript = th; s.Opened.Code == 0 {
		s.derive("id", "client traffic", "server traffic", "resume secret", "rekey secret")
		s.Secrets["psk"], s.Secrets["h"], s.Secrets["hs"] = psk, h, s.hs
	}
}

func (s *script) derive(names ...string) {
	s.Secrets = map[string]hexBytes{}
	for _, name := range names {
		s.Secrets[name] = s.key(name)
	}
}

// firstOfResume makes r1, and reports whether it is the last frame.
func (s *script) firstOfResume() bool {
	s.begin("NNpsk0", "resume", uint8s(byte(len(s.Protocol))), []byte(s.Protocol), uint8s(byte(s.Proof)))
	s.noise.mixKeyAndHash(expand32(s.may("secret", s.Secret), labelled("resume psk")))
	id, share := expand32(s.Secret, labelled("resume id")), s.clientShare()
	return s.frame("r1", id, share, s.noise.encrypt(nil))
}

// refusal makes r1 and the refusal.
func (s *script) refusal() {
	s.firstOfResume()
	sealedTo, signedFor := sum(s.may("r1 sealed for", s.Frames[0])), sum(s.may("r1 signed for", s.Frames[0]))
	identity := s.may("identity", s.Server.now().Identity)
	enc := s.serverKey().PublicKey().Bytes()
	toSign := labelled("resume refusal signature", signedFor, sum(s.may("enc signed for", enc)), sum(s.may("identity signed for", identity)))
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(s.may("signer", s.Server.Signing)), s.may("signed", toSign))
	values := slices.Concat(append([][]byte{strict.AppendArray(nil, 2)}, bins(identity, s.may("signature", signature))...)...)
	plain := s.may("plain", appendPadded(nil, nil, s.may("values", values)))
	sealed := must(hopsealhpke.SealX25519(s.serverKey(), s.clientKey().PublicKey(), s.may("info", labelled("resume refusal", sealedTo)), plain))
	s.frame("refusal", uint8s(0), sealed)
}

// resume makes r1 to r4.
func (s *script) resume() {
	if s.firstOfResume() {
		return
	}
	share := s.serverShare()
	tag := s.noise.encrypt(nil)
	s.split()
	if s.frame("r2", share, tag) {
		return
	}
	o := s.Opened
	values := bins(s.may("client identity", s.Client.now().Identity), s.may("credentials", o.Credentials), s.may("mark", s.mark()))
	if s.frame("r3", s.seal("resume client hello", uint64s(*o.Attempt, *o.ClientReceived, *o.ClientArrived), values...)) {
		return
	}
	identity := s.may("server identity", s.Server.now().Identity)
	s.frame("r4", s.seal("resume server hello", append(s.verdict(), uint64s(*o.ServerReceived, *o.ServerArrived)...), bins(identity)...))
	if o.Code == 0 {
		s.derive("resume next secret", "resume client traffic", "resume server traffic", "resume link id", "resume rekey secret")
	}
}

// rekey makes the fields of the request and of the answer.
func (s *script) rekey() {
	s.begin("NNpsk0", "rekey", s.may("session", s.Session), s.may("link", s.Link))
	s.noise.mixKeyAndHash(s.may("secret", s.Secret))
	share := s.clientShare()
	if s.frame("request", share, s.noise.encrypt(s.may("ek", s.kem().EncapsulationKey().Bytes()))) {
		return
	}
	secret, ct := s.encapsulate("rekey kem")
	share = s.serverShare()
	s.frame("answer", share, s.noise.encrypt(s.may("ct", ct)))
	s.split(secret)
	s.derive("rekey client traffic", "rekey server traffic", "rekey link id", "rekey next secret", "rekey resume secret")
}

// A peerDirection makes the records of one direction of the other end.
type peerDirection struct {
	*vector
	chain, key []byte
	number     uint64
	size       int // of the generation so far, in records
}

func (v *vector) direction() *peerDirection {
	d := &peerDirection{vector: v, chain: v.Chain, number: v.Number}
	d.advance()
	d.size = int(v.Number % 1024)
	return d
}

func (d *peerDirection) advance() {
	both := must(hkdf.Expand(sha256.New, d.chain, string(labelled("next generation")), 64))
	d.chain, d.key, d.size = both[:32], both[32:], 0
}

// record appends one record with this plaintext, and notes what it says.
func (d *peerDirection) record(kind byte, plain []byte) {
	d.Frames = append(d.Frames, d.sealed(kind|byte(d.Epoch)<<6, plain))
}

func (d *peerDirection) sealed(head byte, plain []byte) []byte {
	aad := labelled("record", uint8s(head), d.Link)
	nonce := binary.BigEndian.AppendUint64(make([]byte, 4), d.number)
	out := append(uint8s(head), newAEAD(d.key).Seal(nil, nonce, plain, aad)...)
	d.number++
	if d.size++; d.size == 1024 || head&0x20 != 0 {
		d.advance()
	}
	return out
}

// say appends an honest record.
func (d *peerDirection) say(kind byte, fields, data []byte) {
	d.record(kind, appendPadded(nil, fields, data))
	d.Records = append(d.Records, vectorRecord{Type: kind & 0x1f, Fields: bytes.Clone(fields), Data: bytes.Clone(data)})
}

// A making is a vector to be: its file's name, and what makes it.
type making struct {
	name string
	make func() *vector
}

func TestWriteVectors(t *testing.T) {
	folder := os.Getenv("HOPSEAL_WRITE_SESSION_VECTORS")
	if folder == "" {
		t.Skip("HOPSEAL_WRITE_SESSION_VECTORS names no folder to write to")
	}
	seen := map[string]bool{}
	for _, m := range makings() {
		if seen[m.name] {
			t.Errorf("two vectors are called %s", m.name)
		}
		seen[m.name] = true
		text, err := json.MarshalIndent(m.make(), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, m.name+".json"), append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
