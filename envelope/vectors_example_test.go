package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hpke"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/strict"
)

const protocolFile = "../docs/protocol.md"

// Every example in docs/protocol.md is a vector, byte for byte, with the values
// that lead to it: made anew here from the file, and held against the keys.
func TestProtocolExamples(t *testing.T) {
	b, err := os.ReadFile(protocolFile)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for name, explain := range map[string]func(*testing.T, vector) *example{
		"good-identity-example":      explainIdentity,
		"good-shared-example":        explainEnvelope,
		"good-signed-example":        explainEnvelope,
		"good-recipients-example":    explainEnvelope,
		"good-stream-shared-example": explainStream,
	} {
		v := readVector(t, filepath.Join(vectorFolder, name+".json"))
		want := fmt.Sprintf("```\n%s.json\n%s```\n", name, explain(t, v))
		if strings.Count(text, want) != 1 {
			t.Errorf("docs/protocol.md does not show this once:\n%s", want)
		}
		text = strings.Replace(text, want, "", 1)
	}
	if i := strings.Index(text, "-example.json\n"); i >= 0 {
		t.Errorf("docs/protocol.md has an example that no test makes: %s", text[max(0, i-30):i])
	}
}

// An example is a text of rows: an offset or a name, bytes, what they are.
type example struct{ strings.Builder }

// bytes adds a row for each 16 bytes. The head of a value, its type and length,
// stands apart unless all fit one row. Long values are elided.
func (e *example) bytes(offset int, b []byte, head int, name string) {
	if len(b) <= 16 {
		head = 0
	}
	e.rows(offset, b[:head], name)
	if head > 0 {
		name = ""
	}
	if value := b[head:]; len(value) <= 256 {
		e.rows(offset+head, value, name)
	} else {
		e.rows(offset+head, value[:16], name)
		fmt.Fprintf(e, "       … %d bytes …\n", len(value)-32)
		e.rows(offset+len(b)-16, value[len(value)-16:], "")
	}
}

func (e *example) rows(offset int, b []byte, name string) {
	for part := range slices.Chunk(b, 16) {
		fmt.Fprintln(e, strings.TrimRight(fmt.Sprintf("%5d  %-49x%s", offset, spaced(part), name), " "))
		offset, name = offset+len(part), ""
	}
}

// value adds what is computed and not sent.
func (e *example) value(name string, b []byte) {
	fmt.Fprintf(e, "\n%s\n", name)
	for part := range slices.Chunk(b, 16) {
		fmt.Fprintf(e, "       %x\n", spaced(part))
	}
}

// spaced prints bytes apart.
type spaced []byte

func (s spaced) Format(f fmt.State, _ rune) {
	text := fmt.Sprintf("% x", []byte(s))
	if width, ok := f.Width(); ok {
		text = fmt.Sprintf("%-*s", width, text)
	}
	fmt.Fprint(f, text)
}

// explainEnvelope shows an envelope and what it is made of, section 3.2 and 3.3.
func explainEnvelope(t *testing.T, v vector) *example {
	in, err := Inspect(v.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	e := new(example)
	e.parts(v.Sealed, in)
	m := taken(v, in, "envelope header")
	padded := paddedOf(v.Plaintext)
	if m.suite == 3 {
		m.content = contentOf(t, e, v, m)
		e.value("body key", derivedBodyKey(m.content))
		if !bytes.Equal(padded, openGCM(t, derivedBodyKey(m.content), m.body, labelled("envelope body", m.header))) {
			t.Error("the body opens to something else")
		}
	}
	e.value("padded plaintext", padded)
	e.value("SHA-256 that the proof is over", m.digest(section(v, in, "recipients")))
	m.holds(t, v, "envelope proof", m.digest(section(v, in, "recipients")), section(v, in, "proof"))
	return e
}

func (e *example) parts(sealed []byte, in Inspection) {
	for _, p := range in.Parts {
		e.bytes(int(p.Offset), sealed[p.Offset:][:p.Size], p.Head, p.Name)
	}
}

// section is the bytes of one section of an envelope or a stream.
func section(v vector, in Inspection, name string) []byte {
	for _, p := range in.Sections() {
		if p.Section == name {
			return v.Sealed[p.Offset:][:p.Size]
		}
	}
	return nil
}

// taken is the message that a vector holds.
func taken(v vector, in Inspection, headerLabel string) *message {
	m := &message{headerLabel: headerLabel, suite: int(in.Header.Suite), receiver: v.Party}
	m.header, m.body = section(v, in, "header"), section(v, in, "body")
	if v.Shared != nil {
		p := v.Shared[0]
		m.pair = pair{p.Type, p.AEAD, p.MAC}
	}
	return m
}

// contentOf shows how the one recipient comes to the content key.
func contentOf(t *testing.T, e *example, v vector, m *message) []byte {
	private := made(hpke.MLKEM768X25519().NewPrivateKey(v.Sealing[0]))
	to := addressee{fingerprint: v.Fingerprint, public: private.PublicKey().Bytes()}
	e.value("header digest", m.headerDigest())
	e.value("HPKE info", m.recipientInfo(to))
	in := made(Inspect(v.Sealed))
	entry := section(v, in, "recipients")[1:]
	content, err := hpke.Open(private, hpke.HKDFSHA256(), hpke.AES256GCM(), m.recipientInfo(to), entry[len(entry)-1168:])
	if err != nil {
		t.Fatal(err)
	}
	e.value("content key", content)
	if !bytes.Contains(m.header, contentID(content)) {
		t.Error("the header names another content key")
	}
	return content
}

func openGCM(t *testing.T, key, sealed, aad []byte) []byte {
	t.Helper()
	b, err := made(cipher.NewGCM(made(aes.NewCipher(key)))).Open(nil, sealed[:12], sealed[12:], aad)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// holds checks a proof over a digest with the keys of the vector.
func (m *message) holds(t *testing.T, v vector, purpose string, digest, proof []byte) {
	t.Helper()
	ok := m.suite == 1 && bytes.Equal(proof, macOf(m.pair.mac, labelled(purpose+" hmac", digest)))
	if m.suite != 1 {
		ok = ed25519.Verify(publicOf(castAlice.signer()), labelled(purpose, digest), proof)
	}
	if !ok {
		t.Errorf("%s does not hold", purpose)
	}
}

// explainStream shows a stream of one segment in suite 1, section 3.6.
func explainStream(t *testing.T, v vector) *example {
	in, err := InspectStream(bytes.NewReader(v.Sealed))
	if err != nil {
		t.Fatal(err)
	}
	e := new(example)
	e.parts(v.Sealed, in)
	s := &streamMessage{message: taken(v, in, "envelope stream header"), salt: in.Salt[:]}
	segment := section(v, in, "segments")
	s.segments = [][]byte{segment}
	nonce := binary.BigEndian.AppendUint32(make([]byte, 8), 1) // number 0, the last
	plain := openGCM(t, s.key(), slices.Concat(nonce, segment), nil)
	if !bytes.Equal(plain, paddedOf(v.Plaintext)) {
		t.Error("the segment opens to something else")
	}
	e.value("header digest", s.headerDigest())
	e.value("SHA-256 that the opening proof is over", s.openingDigest())
	e.value("stream key", s.key())
	e.value("nonce of segment 0", nonce)
	e.value("plaintext of segment 0", plain)
	e.value("digest of segment 0", sha(labelled("envelope stream segment", segment)))
	e.value("SHA-256 that the final proof is over", s.finalDigest())
	s.holds(t, v, "envelope stream opening proof", s.openingDigest(), section(v, in, "opening proof"))
	s.holds(t, v, "envelope stream final proof", s.finalDigest(), section(v, in, "final proof"))
	return e
}

// explainIdentity shows a public identity with one key of each use, section 2.1.
func explainIdentity(t *testing.T, v vector) *example {
	s := castAlice.statement()
	if !bytes.Equal(v.Sealed, s.sign()) {
		t.Error("the vector is another identity")
	}
	statement := encBin(s.bytes())
	e, at := new(example), 0
	add := func(b []byte, head int, name string) {
		e.bytes(at, b, head, name)
		at += len(b)
	}
	value := func(b []byte, name string) {
		r := strict.NewReader(b)
		head, _ := r.Next()
		add(b, head, name)
	}
	add(encArray(2), 0, "identity array")
	add(statement[:3], 0, "statement size")
	add(encArray(7), 0, "statement array")
	for i, name := range []string{"version", "name", "root", "serial", "issued", "expires"} {
		value(s.fields[i], name)
	}
	add(encArray(len(s.keys)), 0, "keys array")
	for _, k := range s.keys {
		add(encArray(5), 0, "key array")
		add(encUint(k.use), 0, "use")
		add(encUint(k.kind), 0, "type")
		value(encBin(k.public), "public")
		add(encUint(k.from), 0, "valid from")
		add(encUint(k.to), 0, "valid to")
	}
	value(v.Sealed[at:], "signature")
	e.value("fingerprint", castAlice.fingerprint())
	e.value("signing key id", signingID(s.keys[0].public))
	e.value("sealing key id", sealingID(s.keys[1].public))
	return e
}
