package envelope

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
)

// A04, the full matrix. A kit is what one sender makes for one opener in every
// layer with the same keys, content key included: the dishonest insider of these
// tests holds them all, and proves anew whatever is exchanged, so that only the
// separation of the layers is left to refuse it.
type kit struct {
	link
	suite   Suite
	content contentKey // of suite 3
	sealed  parts
	head    streamHead
	segment []byte // the only one
	final   []byte // proof
}

func newKit(t testing.TB, l link) *kit {
	l.To = l.To[max(0, len(l.To)-1):] // one recipient, the opener
	m, err := l.Sealer.begin()
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{link: l, suite: m.Suite, content: m.content}
	k.sealed = parts{header: m.append(nil)}
	k.head = newStreamHead(&m.Header)
	k.sealed.recipients, err = m.wrap(l.To, label.EnvelopeHeader, k.sealed.header)
	if err != nil {
		t.Fatal(err)
	}
	if k.head.recipients, err = m.wrap(l.To, label.StreamHeader, k.head.header); err != nil {
		t.Fatal(err)
	}
	if k.sealed.body, err = m.bodyKey().Seal(nil, padded("m"), label.EnvelopeBody.With(k.sealed.header)); err != nil {
		t.Fatal(err)
	}
	key, err := m.streamKey(k.head)
	if err != nil {
		t.Fatal(err)
	}
	c := newSegmentCipher(key)
	k.segment = c.Seal(nil, c.nonceOf(0, true), padded("m"), nil)
	k.prove(t)
	return k
}

// proof makes any proof of the sender's.
func (k *kit) proof(t testing.TB, input []byte) []byte {
	t.Helper()
	if k.suite == SuiteShared {
		return k.Sealer.Shared.Primary().MAC(nil, input)
	}
	return sign(t, k.Sealer.From, input)
}

func (k *kit) prove(t testing.TB) {
	t.Helper()
	k.sealed.proof = k.proof(t, proofInput(envelopeProof.label(k.suite), k.sealed, k.ToParty))
	k.head.proof = k.proof(t, openingInput(openingProof.label(k.suite), k.head, k.ToParty))
	k.final = k.proof(t, k.finalDigest().input(k.suite))
}

func (k *kit) finalDigest() *streamDigest {
	d := newStreamDigest(k.head.digest(), k.ToParty)
	d.add(k.segment)
	return d
}

func (k *kit) envelope() []byte { return k.sealed.append(nil) }
func (k *kit) stream() []byte   { return slices.Concat(k.head.append(nil), k.segment, k.final) }

// open returns what opens or verifies of the kit, in any way: nothing that was
// exchanged may.
func (k *kit) open(stream bool) error {
	o := k.opener()
	if !stream {
		_, _, err := o.Open(nil, k.envelope())
		return err
	}
	_, err := openStream(o, k.stream())
	if _, at := o.NewReaderAt(bytes.NewReader(k.stream()), int64(len(k.stream()))); (at == nil) != (err == nil) {
		return fmt.Errorf("NewReader says %v, NewReaderAt %v", err, at)
	}
	return err
}

// twin marks the links of AES-256-GCM pairs.
const twin = " by AES-256-GCM"

// kits returns one for each kind of keys: XAES-256-GCM pairs, recipients and, where
// there are stores to count their messages, the same pairs' twins for AES-256-GCM,
// whose key bytes are equal.
func kits(t testing.TB) (out []*kit) {
	all := links(t)
	for _, l := range append(all, gcmTwins(t, all)...) {
		out = append(out, newKit(t, l))
	}
	return out
}

func sealedKey(recipients []byte) []byte {
	return bytes.Clone(recipients[len(recipients)-keys.SealedKeySize:])
}

// pieces are the ciphertexts and proofs of a kit, by name.
func (k *kit) pieces() map[string][]byte {
	c := newSegmentCipher(make([]byte, 32))
	nonce := bytes.Clone(c.nonceOf(0, true))
	start := k.bodyKey().Overhead() - gcm.TagSize
	name := func(s string) string { return k.name + ", " + s }
	out := map[string][]byte{
		name("body"):                           k.sealed.body,
		name("body without nonce"):             k.sealed.body[start:],
		name("segment"):                        k.segment,
		name("segment behind its nonce"):       append(bytes.Clone(nonce), k.segment...),
		name("segment behind a nonce of XAES"): slices.Concat(make([]byte, 12), nonce, k.segment),
		name("proof"):                          k.sealed.proof,
		name("opening proof"):                  k.head.proof,
		name("final proof"):                    k.final,
	}
	if k.suite == SuiteRecipients {
		out[name("sealed key")] = sealedKey(k.sealed.recipients)
		out[name("stream's sealed key")] = sealedKey(k.head.recipients)
	}
	return out
}

// A slot puts bytes where one kind of piece belongs. The rest is proved anew, so
// that it is as the sender would have made it.
type slot struct {
	name   string
	stream bool
	put    func(t testing.TB, k *kit, piece []byte)
}

var slots = []slot{
	{"body", false, func(t testing.TB, k *kit, b []byte) { k.sealed.body = b; k.prove(t) }},
	{"proof", false, func(_ testing.TB, k *kit, b []byte) { k.sealed.proof = b }},
	{"segment", true, func(t testing.TB, k *kit, b []byte) { k.segment = b; k.prove(t) }},
	{"opening proof", true, func(_ testing.TB, k *kit, b []byte) { k.head.proof = b }},
	{"final proof", true, func(_ testing.TB, k *kit, b []byte) { k.final = b }},
	{"sealed key", false, func(t testing.TB, k *kit, b []byte) {
		k.sealed.recipients = withSealedKey(k.sealed.recipients, b)
		k.prove(t)
	}},
	{"stream's sealed key", true, func(t testing.TB, k *kit, b []byte) {
		k.head.recipients = withSealedKey(k.head.recipients, b)
		k.prove(t)
	}},
}

func withSealedKey(recipients, sealed []byte) []byte {
	if recipients == nil {
		return nil
	}
	return append(bytes.Clone(recipients[:len(recipients)-keys.SealedKeySize]), sealed...)
}

// A04: every piece of every layer is put into the place of every other.
func TestA04EveryPieceInEveryPlace(t *testing.T) {
	all := kits(t)
	pieces := foreignPieces(t)
	for _, k := range all {
		maps.Copy(pieces, k.pieces())
	}
	opened := 0
	for _, k := range all {
		for _, s := range slots {
			if k.suite != SuiteRecipients && (s.name == "sealed key" || s.name == "stream's sealed key") {
				continue
			}
			for name, piece := range pieces {
				crafted := *k
				s.put(t, &crafted, piece)
				err, verified := crafted.open(s.stream), crafted.verify(s.stream)
				switch own := k.name + ", " + s.name; {
				case name == own:
					if opened++; err != nil {
						t.Errorf("%s itself does not open: %v (%v)", name, err, ReasonOf(err))
					}
				case ReasonOf(err) == 0:
					t.Errorf("%s opens as %s", name, own)
				case strings.HasSuffix(s.name, "proof") && ReasonOf(verified) == 0:
					t.Errorf("a gateway takes %s for %s", name, own)
				}
			}
		}
	}
	if opened != 5*len(all)+2 {
		t.Errorf("%d places were filled rightly", opened)
	}
}

// verify gives the kit to a gateway.
func (k *kit) verify(stream bool) (err error) {
	switch {
	case k.suite == SuiteShared:
		err = fail(ReasonSuite) // not for gateways
	case stream:
		_, err = k.gateway().VerifyStream(bytes.NewReader(k.stream()))
	default:
		_, err = k.gateway().Verify(k.envelope())
	}
	return err
}

// foreignPieces are what the other layers make of secrets: a session's records, the
// keys layer's statements and, where there is one, a key file.
func foreignPieces(t testing.TB) map[string][]byte {
	out := map[string][]byte{}
	id, shared := identity(t, "erin"), sharedKeyset(t)
	out["public identity"] = id.Public().Bytes()
	out["identity"], _ = id.MarshalCleartext(insecurecleartext.Token{})
	out["shared keyset"], _ = shared.MarshalCleartext(insecurecleartext.Token{})
	client, server := session(t)
	for name, s := range map[string]*engine.Link{"client": client, "server": server} {
		frame, err := s.Seal(time.Now(), nil, nil, []byte("m"))
		if err != nil {
			t.Fatal(err)
		}
		out["record of a session's "+name] = frame
	}
	g := anyTime()
	_ = g.accept(Header{ID: newMessageID(), Time: time.Now()}, time.Now())
	out["replay guard"] = g.Bytes()
	if b := keyFile(t); b != nil {
		out["key file"] = b
	}
	return out
}

// session returns both ends of a session.
func session(t testing.TB) (client, server *engine.Link) {
	t.Helper()
	now := time.Now()
	type end struct {
		*engine.Handshake
		id *keys.Identity
	}
	make := func(name string, start func(engine.Config, time.Time) (*engine.Handshake, error)) end {
		id := identity(t, name)
		h, err := start(engine.Config{Identity: id.Public(), Protocol: "test/1"}, now)
		if err != nil {
			t.Fatal(err)
		}
		return end{h, id}
	}
	settle := func(e end, step engine.Step, err error) (frame []byte) {
		for {
			if err != nil {
				t.Fatal(err)
			}
			if step.Frame != nil {
				frame = step.Frame
			}
			switch step.Next {
			case engine.Sign:
				step, err = e.Signed(now, sign(t, e.id, e.ToSign()))
			case engine.Decide:
				step, err = e.Accept(now)
			default:
				return frame
			}
		}
	}
	begin := func(e end) []byte { step, err := e.Start(now); return settle(e, step, err) }
	receive := func(e end, frame []byte) []byte { step, err := e.Receive(now, frame); return settle(e, step, err) }
	c, s := make("client", engine.NewClient), make("server", engine.NewServer)
	begin(s)
	for frame := begin(c); frame != nil; {
		if frame = receive(s, frame); frame != nil {
			frame = receive(c, frame)
		}
	}
	return c.Session().Link(), s.Session().Link()
}

// A04: every whole message, file and record is given to every opener, verifier and
// parser that is not its own.
func TestA04EveryWholeToEveryOpener(t *testing.T) {
	all := kits(t)
	client, _ := session(t)
	wholes := foreignPieces(t)
	openers := map[string]func([]byte) error{
		"public identity": func(b []byte) error { _, err := keys.ParsePublic(b); return err },
		"identity": func(b []byte) error {
			_, err := keys.ParseCleartextIdentity(b, insecurecleartext.Token{})
			return err
		},
		"shared keyset": func(b []byte) error {
			_, err := keys.ParseCleartextSharedKeyset(b, insecurecleartext.Token{})
			return err
		},
		"replay guard":                 func(b []byte) error { _, err := ParseReplayGuard(b); return err },
		"record of a session's client": func(b []byte) error { _, _, err := engineClone(client).Open(time.Now(), nil, b); return err },
		"known peers":                  func(b []byte) error { _, err := trust.ParseKnownPeers(b); return err },
	}
	if open := keyFileOpener(t); open != nil {
		openers["key file"] = open
	}
	for _, k := range all {
		name := k.name + ", envelope"
		wholes[name] = k.envelope()
		openers[name] = func(b []byte) error { _, _, err := k.opener().Open(nil, b); return err }
		if k.suite != SuiteShared {
			openers[name+", gateway"] = func(b []byte) error { _, err := k.gateway().Verify(b); return err }
		}
		name = k.name + ", stream"
		wholes[name] = k.stream()
		openers[name] = func(b []byte) error { _, err := openStream(k.opener(), b); return err }
		openers[name+", at random"] = func(b []byte) error {
			_, err := k.opener().NewReaderAt(bytes.NewReader(b), int64(len(b)))
			return err
		}
		if k.suite != SuiteShared {
			openers[name+", gateway"] = func(b []byte) error { _, err := k.gateway().VerifyStream(bytes.NewReader(b)); return err }
		}
	}
	s := all[2].Sealer
	s.To = append(slices.Clip(s.To), s.From.Public())
	again := newKit(t, link{"to oneself", s, all[2].Opener}) // the sender is the recipient that is left
	wholes["to oneself, envelope"], wholes["to oneself, stream"] = again.envelope(), again.stream()
	openers["to oneself, envelope, again"] = func(b []byte) error { _, err := s.Rewrap(nil, b); return err }
	openers["to oneself, stream, again"] = func(b []byte) error { return s.RewrapStream(io.Discard, bytes.NewReader(b)) }
	mayOpen := func(whole, opener string) bool {
		// A gateway, and the sender itself, take what is signed, whoever opens it.
		if whole == "to oneself, envelope" && opener == "recipients, envelope, gateway" ||
			whole == "to oneself, stream" && opener == "recipients, stream, gateway" {
			return true
		}
		signed := strings.ReplaceAll(whole, twin, "") // a gateway knows nothing of pairs
		return whole == opener || strings.ReplaceAll(opener, twin, "") == signed+", gateway" || opener == whole+", at random" || opener == whole+", again"
	}
	opened := map[string]bool{}
	for whole, b := range wholes {
		for name, open := range openers {
			switch err := open(b); {
			case err == nil && !mayOpen(whole, name):
				t.Errorf("%s passes for %s", whole, name)
			case err == nil:
				opened[name] = true
			}
		}
	}
	for name := range openers {
		never := name == "known peers" || name == "record of a session's client" // whose own are not among them
		if opened[name] == never {
			t.Errorf("%s opens what is its own: %v", name, opened[name])
		}
	}
}

// engineClone keeps a session from being closed by its first refusal.
func engineClone(s *engine.Link) *engine.Link { c := *s; return &c }

// A04: the same keys under every other label of the protocol. For each use that
// the envelope layer makes of a key there is one label with which it works.
func TestA04EveryLabelInEveryPlace(t *testing.T) {
	for _, k := range kits(t) {
		for name, use := range map[string]struct {
			right  label.Label
			stream bool
			put    func(c *kit, l label.Label)
		}{
			"proof": {envelopeProof.label(k.suite), false, func(c *kit, l label.Label) {
				c.sealed.proof = c.proof(t, proofInput(l, c.sealed, c.ToParty))
			}},
			"opening proof": {openingProof.label(k.suite), true, func(c *kit, l label.Label) {
				c.head.proof = c.proof(t, openingInput(l, c.head, c.ToParty))
			}},
			"final proof": {finalProof.label(k.suite), true, func(c *kit, l label.Label) {
				c.final = c.proof(t, c.finalDigest().total.Sum([]byte(l)))
			}},
			"digest": {label.EnvelopeDigest, false, func(c *kit, l label.Label) {
				c.sealed.proof = c.proof(t, digestUnder(l, envelopeProof.label(c.suite), c.sealed.header, c.sealed.recipients, c.sealed.body, []byte(c.ToParty)))
			}},
			"opening digest": {label.StreamOpeningDigest, true, func(c *kit, l label.Label) {
				c.head.proof = c.proof(t, digestUnder(l, openingProof.label(c.suite), c.head.header, c.head.recipients, []byte(c.ToParty)))
			}},
			"final digest": {label.StreamFinalDigest, true, func(c *kit, l label.Label) {
				c.final = c.proof(t, finalUnder(c, l, label.StreamSegment, label.StreamHeader))
			}},
			"segment digest": {label.StreamSegment, true, func(c *kit, l label.Label) {
				c.final = c.proof(t, finalUnder(c, label.StreamFinalDigest, l, label.StreamHeader))
			}},
			"header digest in the final proof": {label.StreamHeader, true, func(c *kit, l label.Label) {
				c.final = c.proof(t, finalUnder(c, label.StreamFinalDigest, label.StreamSegment, l))
			}},
			"associated data": {label.EnvelopeBody, false, func(c *kit, l label.Label) {
				c.sealed.body = made(c.bodyKey().Seal(nil, padded("m"), l.With(c.sealed.header)))
				c.prove(t)
			}},
			"stream key": {label.StreamKey, true, func(c *kit, l label.Label) { c.reseal(t, l, label.StreamHeader) }},
			"header digest in the stream key": {label.StreamHeader, true, func(c *kit, l label.Label) {
				c.reseal(t, label.StreamKey, l)
			}},
			"body key": {label.EnvelopeBodyKey, false, func(c *kit, l label.Label) {
				if c.content == nil {
					return
				}
				key := contentAEAD{gcm.NewRandom(c.content.expand(l))}
				c.sealed.body = made(key.Seal(nil, padded("m"), label.EnvelopeBody.With(c.sealed.header)))
				c.prove(t)
			}},
			"content key id": {label.EnvelopeContentID, false, func(c *kit, l label.Label) {
				if c.content == nil {
					return
				}
				h := made(parseHeader(c.sealed.header, "", ""))
				h.SealKey = SealKeyID(c.content.expand(l))
				c.sealed.header = h.append(nil)
				c.sealed.recipients = wrap(c.content, c.sealed.header, c.To...)
				c.sealed.body = sealBody(c.content, c.sealed.header, padded("m"))
				c.prove(t)
			}},
			"HPKE's info": {label.EnvelopeRecipient, false, func(c *kit, l label.Label) {
				if c.content == nil {
					return
				}
				c.sealed.recipients = c.sealedTo(t, l, headerDigest(label.EnvelopeHeader, c.sealed.header))
				c.prove(t)
			}},
			"header digest in HPKE's info": {label.EnvelopeHeader, false, func(c *kit, l label.Label) {
				if c.content == nil {
					return
				}
				c.sealed.recipients = c.sealedTo(t, label.EnvelopeRecipient, headerDigest(l, c.sealed.header))
				c.prove(t)
			}},
			"header digest in a stream's HPKE info": {label.StreamHeader, true, func(c *kit, l label.Label) {
				if c.content == nil {
					return
				}
				c.head.recipients = c.sealedTo(t, label.EnvelopeRecipient, headerDigest(l, c.head.header))
				c.prove(t)
			}},
		} {
			for _, l := range label.All() {
				crafted := *k
				use.put(&crafted, l)
				if same := bytes.Equal(crafted.envelope(), k.envelope()) && bytes.Equal(crafted.stream(), k.stream()); same && l != use.right {
					continue // not used in this suite
				}
				if err := crafted.open(use.stream); (err == nil) != (l == use.right) || err != nil && ReasonOf(err) == 0 {
					t.Errorf("%s, %s under %q: %v (%v)", k.name, name, l, err, ReasonOf(err))
				}
			}
		}
	}
}

func (k *kit) bodyKey() bodyKey {
	if k.content != nil {
		return k.content.body()
	}
	return k.Sealer.Shared.Primary()
}

// reseal makes the segment under a key that other labels gave.
func (k *kit) reseal(t testing.TB, key, digest label.Label) {
	t.Helper()
	info := key.With(headerDigest(digest, k.head.header))
	var secret []byte
	if k.content != nil {
		secret = derive(k.content, k.head.salt, string(info))
	} else {
		secret = made(k.Sealer.Shared.Primary().StreamKey(k.head.salt, info))
	}
	c := newSegmentCipher(secret)
	k.segment = c.Seal(nil, c.nonceOf(0, true), padded("m"), nil)
	k.prove(t)
}

// sealedTo seals the content key to the recipient with another info.
func (k *kit) sealedTo(t testing.TB, l label.Label, digest []byte) []byte {
	t.Helper()
	to := k.Opener.Identity.Public()
	id, fingerprint := to.RecipientKey().ID(), to.Fingerprint()
	sealed, err := to.RecipientKey().SealKey(l.With(digest, fingerprint[:], id[:]), k.content)
	if err != nil {
		t.Fatal(err)
	}
	return withSealedKey(k.sealed.recipients, sealed)
}

// digestUnder is the input of a proof with another label inside.
func digestUnder(inner, outer label.Label, fields ...[]byte) []byte {
	w := getScratch()
	defer putScratch(w)
	w.begin(inner)
	for _, f := range fields {
		w.field(f)
	}
	return bytes.Clone(w.input(outer))
}

func finalUnder(k *kit, total, segment, header label.Label) []byte {
	d := newStreamDigest(headerDigest(header, k.head.header), k.ToParty)
	if total != label.StreamFinalDigest {
		d.total.Reset()
		d.total.Write([]byte(total))
		d.total.Write(headerDigest(header, k.head.header))
		d.total.Write(append([]byte{0, 0, 0, 0, 0, 0, 0, byte(len(k.ToParty))}, k.ToParty...))
	}
	d.room = []byte(segment)
	d.add(k.segment)
	return d.input(k.suite)
}
