package envelope

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

func identity(t testing.TB, name string) *keys.Identity {
	t.Helper()
	id, err := keys.GenerateIdentity(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func sharedKeyset(t testing.TB) *keys.SharedKeyset {
	t.Helper()
	s, err := keys.GenerateSharedKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// link is a sender and the opener that expects it.
type link struct {
	name string
	Sealer
	Opener
}

// links returns one link for each suite, without a replay guard.
func links(t testing.TB) []link {
	t.Helper()
	alice, bob, carol := identity(t, "alice"), identity(t, "bob"), identity(t, "carol")
	shared := sharedKeyset(t)
	all := []link{
		{"shared", Sealer{Shared: shared, Party: "a", ToParty: "b"}, Opener{Shared: shared, Party: "b", FromParty: "a"}},
		{"shared signed", Sealer{Shared: shared, From: alice, ToParty: "b"}, Opener{Shared: shared, Party: "b", Identity: bob, From: alice.Public()}},
		{"recipients", Sealer{From: alice, To: []*keys.PublicIdentity{carol.Public(), bob.Public()}}, Opener{Identity: bob, From: alice.Public()}},
	}
	for i := range all {
		all[i].Sealer.Context, all[i].Opener.Context = "context", "context"
		all[i].ContentType = "text/plain"
		all[i].InsecureAllowReplay = true
	}
	return all
}

func seal(t testing.TB, s *Sealer, plaintext string) []byte {
	t.Helper()
	sealed, err := s.Seal(nil, []byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestRoundTrip(t *testing.T) {
	for _, l := range links(t) {
		for _, n := range []int{0, 1, 59, 60, 61, 255, 256, 1000, 65535, 65536, 1 << 20} {
			plaintext := make([]byte, n)
			rand.Read(plaintext)
			sealed, err := l.Seal([]byte("before"), plaintext)
			if err != nil {
				t.Fatal(err)
			}
			got, h, err := l.Open([]byte("dst"), sealed[len("before"):])
			if err != nil || !bytes.Equal(got, append([]byte("dst"), plaintext...)) {
				t.Fatalf("%s, %d bytes: %v", l.name, n, err)
			}
			if h.ContentType != "text/plain" || h.Context != "context" || time.Since(h.Time) > time.Minute {
				t.Errorf("%s: header %+v", l.name, h)
			}
			if string(sealed[:6]) != "before" || n >= 8 && bytes.Contains(sealed, plaintext[:8]) {
				t.Errorf("%s: dst changed, or the plaintext stands in the envelope", l.name)
			}
		}
	}
}

// A10, A30: whatever is changed, cut off or added, nothing comes out, whether the
// opener would have got as far as the body or not.
func TestA10EveryBitEveryPrefixEveryExtension(t *testing.T) {
	for _, l := range links(t) {
		l.To = l.To[min(1, len(l.To)):] // one recipient keeps this quick
		l.refusesEveryChange(t)
	}
}

func (l *link) refusesEveryChange(t *testing.T) {
	t.Helper()
	sealed := seal(t, &l.Sealer, "attack at dawn")
	refused := func(b []byte, what string, at int) {
		t.Helper()
		dst := make([]byte, 0, 4096)
		got, h, err := l.Open(dst, b)
		if !errors.Is(err, ErrOpen) || err.Error() != ErrOpen.Error() || ReasonOf(err) == 0 || got != nil || h != (Header{}) {
			t.Fatalf("%s, %s %d: %q %v", l.name, what, at, got, err)
		}
		if bytes.Contains(dst[:cap(dst)], []byte("attack")) {
			t.Fatalf("%s, %s %d: plaintext left in dst", l.name, what, at)
		}
	}
	for bit := range 8 * len(sealed) {
		if (testing.Short() || slowtest.Mode) && bit%5 != 0 {
			continue
		}
		changed := bytes.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		refused(changed, "bit", bit)
	}
	for n := range sealed {
		refused(sealed[:n], "prefix", n)
	}
	for extra := range 256 {
		refused(append(bytes.Clone(sealed), byte(extra)), "extension", extra)
	}
}

func expectReason(t *testing.T, o *Opener, sealed []byte, want Reason, what string) {
	t.Helper()
	got, _, err := o.Open(nil, sealed)
	if !errors.Is(err, ErrOpen) || ReasonOf(err) != want || got != nil {
		t.Errorf("%s: %v (%v), want %v", what, err, ReasonOf(err), want)
	}
}

// A07: the proof covers the sender, the keys, the context, the recipients and the
// purpose. The attacker changes one, and cannot sign as the sender.
func TestA07SwappingAnyOneFails(t *testing.T) {
	l := links(t)[2]
	eve := identity(t, "eve")
	sealed, other := seal(t, &l.Sealer, "one"), seal(t, &l.Sealer, "two")
	otherParts, _ := parseParts(other)
	for what, change := range map[string]func(h *Header, p *parts){
		"sender":       func(h *Header, _ *parts) { h.Sender = eve.Fingerprint() },
		"seal key":     func(h *Header, _ *parts) { h.SealKey[0] ^= 1 },
		"proof key":    func(h *Header, _ *parts) { h.ProofKey = eve.Public().VerifyingKey().ID() },
		"message id":   func(h *Header, _ *parts) { h.ID[0] ^= 1 },
		"time":         func(h *Header, _ *parts) { h.Time = h.Time.Add(time.Millisecond) },
		"content type": func(h *Header, _ *parts) { h.ContentType = "text/html" },
		"context":      func(h *Header, _ *parts) { h.Context = "other" },
		"header":       func(_ *Header, p *parts) { p.header = otherParts.header },
		"recipients":   func(_ *Header, p *parts) { p.recipients = otherParts.recipients },
		"body":         func(_ *Header, p *parts) { p.body = otherParts.body },
		"proof":        func(_ *Header, p *parts) { p.proof = otherParts.proof },
		"no proof":     func(_ *Header, p *parts) { p.proof = make([]byte, signSize) },
	} {
		changed := remake(t, sealed, nil, change)
		if got, _, err := l.Open(nil, changed); !errors.Is(err, ErrOpen) || got != nil {
			t.Errorf("%s: %v", what, err)
		}
		// Signed again by the attacker, it is the attacker's, not the sender's.
		if got, _, err := l.Open(nil, remake(t, sealed, eve, change)); !errors.Is(err, ErrOpen) || got != nil {
			t.Errorf("%s, signed by another: %v", what, err)
		}
	}
	if _, _, err := l.Open(nil, remake(t, sealed, nil, func(*Header, *parts) {})); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

// A09: Bob, who received a message, cannot make Carol believe that Alice sent it
// to her, nor that he wrote it himself by putting his proof on it.
func TestA09NoForwardingAsIfSent(t *testing.T) {
	alice, bob, carol := identity(t, "alice"), identity(t, "bob"), identity(t, "carol")
	s := Sealer{From: alice, To: []*keys.PublicIdentity{bob.Public()}, Context: "c"}
	sealed := seal(t, &s, "to bob only")
	p, _ := parseParts(sealed)
	h, _ := parseHeader(p.header, "", "")
	content, err := unwrap(bob, false, &h, p.recipients, headerDigest(label.EnvelopeHeader, p.header))
	if err != nil {
		t.Fatal(err)
	}
	// Bob knows the content key, and wraps it for Carol under Alice's header.
	rewrapped := remake(t, sealed, nil, func(_ *Header, p *parts) {
		p.recipients = wrap(content, p.header, carol.Public())
	})
	toCarol := Opener{Identity: carol, From: alice.Public(), Context: "c", InsecureAllowReplay: true}
	expectReason(t, &toCarol, rewrapped, ReasonProof, "as Alice's")
	// Bob puts himself in as sender of Alice's body: the header is under the AAD.
	stolen := remake(t, sealed, bob, func(h *Header, p *parts) {
		h.Sender, h.ProofKey = bob.Fingerprint(), bob.Public().VerifyingKey().ID()
		p.recipients = wrap(content, h.append(nil), carol.Public())
	})
	toCarol.From = bob.Public()
	expectReason(t, &toCarol, stolen, ReasonBody, "as Bob's own")
}

// The sender's list of recipients is signed, and an opener must be on it.
func TestOpenerMustBeListed(t *testing.T) {
	l := links(t)[2]
	o := Opener{Identity: identity(t, "dave"), From: l.Sealer.From.Public(), Context: "context", InsecureAllowReplay: true}
	expectReason(t, &o, seal(t, &l.Sealer, "m"), ReasonNotForUs, "not listed")
}

// A07: two parties of one keyset are not told apart by the key, so the proof says
// which one is meant.
func TestA07MisdirectionFails(t *testing.T) {
	all := links(t)
	for _, l := range all[:2] {
		sealed := seal(t, &l.Sealer, "cancel all")
		o := l.Opener
		o.Party = "bank"
		expectReason(t, &o, sealed, ReasonProof, l.name)
	}
	o := all[0].Opener
	o.FromParty = "c"
	expectReason(t, &o, seal(t, &all[0].Sealer, "m"), ReasonSender, "another party's message")
	o = all[2].Opener
	o.From = identity(t, "eve").Public()
	expectReason(t, &o, seal(t, &all[2].Sealer, "m"), ReasonSender, "another signer's message")
}

// A07, A09: Eve lists Bob's sealing key as her own, so that Bob can open what is
// sealed to her; he must not take it for his.
func TestA07UnknownKeyShare(t *testing.T) {
	l := links(t)[2]
	sealed := seal(t, &l.Sealer, "I owe you")
	p, _ := parseParts(sealed)
	h, _ := parseHeader(p.header, "", "")
	eve := identity(t, "eve")
	forEve := remake(t, sealed, l.Sealer.From, func(_ *Header, p *parts) {
		content, err := unwrap(l.Identity, false, &h, p.recipients, headerDigest(label.EnvelopeHeader, p.header))
		if err != nil {
			t.Fatal(err)
		}
		bob := l.Identity.Public().RecipientKey()
		list := strict.AppendArray(nil, 1)
		id := bob.ID()
		wrapped, err := bob.SealKey(recipientInfo(headerDigest(label.EnvelopeHeader, p.header), eve.Fingerprint(), id), content)
		if err != nil {
			t.Fatal(err)
		}
		p.recipients = strict.AppendBin(strict.AppendBin(strict.AppendArray(list, 2), id[:]), wrapped)
	})
	expectReason(t, &l.Opener, forEve, ReasonKey, "sealed to Eve under Bob's key")
}

// A sender that signs nonsense is refused after its proof, each for its reason.
func TestSignedNonsenseIsRefused(t *testing.T) {
	l := links(t)[2]
	base := seal(t, &l.Sealer, "m")
	body := func(padded []byte) func(*Header, *parts) {
		return func(h *Header, p *parts) { resealedAs(h, p, padded, l.Sealer.To...) }
	}
	dirty := padded("m")
	dirty[len(dirty)-1] = 1
	short := padded("m")[:63]
	for name, c := range map[string]struct {
		change func(*Header, *parts)
		want   Reason
	}{
		"padding not zero":    {body(dirty), ReasonBody},
		"padding too short":   {body(short), ReasonBody},
		"no body to speak of": {func(_ *Header, p *parts) { p.body = p.body[:27] }, ReasonBody},
		"no recipients":       {func(_ *Header, p *parts) { p.recipients = nil }, ReasonMalformed},
		"an empty list":       {func(_ *Header, p *parts) { p.recipients = strict.AppendArray(nil, 0) }, ReasonMalformed},
		"listed twice": {func(_ *Header, p *parts) {
			one := p.recipients[1:][:recipientSize]
			p.recipients = slices.Concat(strict.AppendArray(nil, 2), one, one)
		}, ReasonMalformed},
		"out of order": {func(_ *Header, p *parts) {
			one, two := p.recipients[1:][:recipientSize], p.recipients[1+recipientSize:]
			p.recipients = slices.Concat(strict.AppendArray(nil, 2), two, one)
		}, ReasonMalformed},
		"another content key": {func(h *Header, p *parts) {
			resealed(h, p, l.Sealer.To...)
			p.recipients = wrap(make([]byte, contentSize), p.header, l.Sealer.To...)
		}, ReasonKey},
		"a short content key": {func(h *Header, p *parts) {
			resealed(h, p, l.Sealer.To...)
			p.recipients = wrap(make([]byte, contentSize)[:31], p.header, l.Sealer.To...)
		}, ReasonMalformed},
		"after the sender expired": {func(h *Header, p *parts) {
			h.Time = l.Sealer.From.Public().Expires()
			resealed(h, p, l.Sealer.To...)
		}, ReasonExpired},
		"time out of range": {func(h *Header, p *parts) { h.Time = time.UnixMilli(maxTime) }, ReasonMalformed},
	} {
		expectReason(t, &l.Opener, remake(t, base, l.Sealer.From, c.change), c.want, name)
	}
}

// What stands after dst when a message was refused, or opened, holds no plaintext.
func TestNoPlaintextIsLeftBehind(t *testing.T) {
	const secret = "0123456789abcdefghijklmnopqrstuvwxyz"
	for _, l := range links(t) {
		l.InsecureAllowReplay, l.Replay = false, anyTime()
		sealed := seal(t, &l.Sealer, secret)
		dst := make([]byte, 0, 4096)
		got, _, err := l.Open(dst, sealed)
		if err != nil || string(got) != secret {
			t.Fatal(err)
		}
		if rest := dst[len(secret):cap(dst)]; bytes.ContainsAny(rest, secret) {
			t.Errorf("%s: %q behind the plaintext", l.name, bytes.Trim(rest, "\x00"))
		}
		clear(dst[:cap(dst)])
		expectReason(t, &l.Opener, sealed, ReasonReplay, l.name)
		if _, _, err := l.Open(dst, sealed); err == nil || bytes.ContainsAny(dst[:cap(dst)], secret) {
			t.Errorf("%s: %q left after a replay", l.name, bytes.Trim(dst[:cap(dst)], "\x00"))
		}
	}
}

func TestOverlapIsRefused(t *testing.T) {
	for _, l := range links(t) {
		buffer := append(make([]byte, 0, 8192), "message"...)
		if _, err := l.Seal(buffer[:0], buffer); err == nil {
			t.Errorf("%s: sealed over its own plaintext", l.name)
		}
		sealed := append(make([]byte, 0, 8192), seal(t, &l.Sealer, strings.Repeat("x", 2000))...)
		if _, _, err := l.Open(sealed[:0], sealed); err == nil || errors.Is(err, ErrOpen) {
			t.Errorf("%s: opened over itself: %v", l.name, err)
		}
		if _, _, err := l.Open(sealed[len(sealed):], sealed); err != nil {
			t.Errorf("%s: opened behind itself: %v", l.name, err)
		}
	}
}

// A11: what one sent does not come back as another's.
func TestA11Reflection(t *testing.T) {
	shared, alice, bob := sharedKeyset(t), identity(t, "alice"), identity(t, "bob")
	own := Sealer{Shared: shared, Party: "a", ToParty: "b"}
	o := Opener{Shared: shared, Party: "a", FromParty: "b", InsecureAllowReplay: true}
	expectReason(t, &o, seal(t, &own, "m"), ReasonReflected, "shared keyset")

	signed := Sealer{From: alice, To: []*keys.PublicIdentity{alice.Public(), bob.Public()}}
	o = Opener{Identity: alice, From: bob.Public(), InsecureAllowReplay: true}
	expectReason(t, &o, seal(t, &signed, "m"), ReasonReflected, "signed")
	o.From = alice.Public() // asked for by mistake: still refused
	expectReason(t, &o, seal(t, &signed, "m"), ReasonReflected, "signed, expecting oneself")
}

// A04, A24: an envelope of one suite opens in no other, and the number on the
// wire is compared with the keys, not obeyed.
func TestA24SuiteIsTheKeys(t *testing.T) {
	all := links(t)
	for i, from := range all {
		sealed := seal(t, &from.Sealer, "m")
		for j, to := range all {
			_, _, err := to.Open(nil, sealed)
			if i != j && ReasonOf(err) != ReasonSuite {
				t.Errorf("%s opened as %s: %v (%v)", from.name, to.name, err, ReasonOf(err))
			}
		}
		for suite := range 256 {
			if Suite(suite) == from.suiteOf(t) {
				continue
			}
			p, _ := parseParts(sealed)
			p.header = bytes.Clone(p.header)
			if p.header[1] = byte(suite); suite > 127 {
				continue // no longer one byte
			}
			if _, _, err := from.Open(nil, p.append(nil)); !errors.Is(err, ErrOpen) || ReasonOf(err) == ReasonProof {
				t.Errorf("%s as suite %d: %v (%v)", from.name, suite, err, ReasonOf(err))
			}
		}
	}
}

func (l *link) suiteOf(t *testing.T) Suite {
	t.Helper()
	s, err := l.Sealer.suite()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVersionsAreRefused(t *testing.T) {
	l := links(t)[0]
	sealed := seal(t, &l.Sealer, "m")
	for _, v := range []byte{0, 2, 127} {
		sealed[1] = v
		expectReason(t, &l.Opener, sealed, ReasonVersion, fmt.Sprint("version ", v))
	}
}

// A21: a body that opens under two content keys helps nobody, since the header
// commits to one, and the header is signed.
func TestA21ContentKeyIsCommitted(t *testing.T) {
	alice, bob := identity(t, "alice"), identity(t, "bob")
	s := Sealer{From: alice, To: []*keys.PublicIdentity{bob.Public()}}
	o := Opener{Identity: bob, From: alice.Public(), InsecureAllowReplay: true}
	// Alice is the attacker: she wraps another key than the one named, and
	// signs it all.
	other := newContentKey()
	crafted := remake(t, seal(t, &s, "m"), alice, func(h *Header, p *parts) {
		p.recipients = wrap(other, p.header, s.To...)
		p.body = sealBody(other, p.header, padded("other"))
	})
	expectReason(t, &o, crafted, ReasonKey, "a body under another key than the one named")
}

// A22: the key that a message names is looked up; no other is tried. An opener
// with the named key only finds it, whatever else is in the keyset.
func TestA22OneKeyIsTried(t *testing.T) {
	l := links(t)[0]
	sealed := seal(t, &l.Sealer, "m")
	o := l.Opener
	o.Shared = sharedKeyset(t)
	expectReason(t, &o, sealed, ReasonNotForUs, "another keyset")
}

// A37: all causes have one text, also under every verb of fmt.
func TestA37OneErrorText(t *testing.T) {
	for r := ReasonMalformed; int(r) < len(reasonTexts); r++ {
		err := fail(r)
		if !errors.Is(err, ErrOpen) || err.Error() != ErrOpen.Error() {
			t.Errorf("%v is told apart: %v", r, err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			if got := fmt.Sprintf(verb, err); got != ErrOpen.Error() {
				t.Errorf("%v is told apart by %s: %s", r, verb, got)
			}
		}
		if ReasonOf(fmt.Errorf("wrapped: %w", err)) != r || strings.HasPrefix(r.String(), "Reason(") {
			t.Errorf("reason %d", r)
		}
	}
	if ReasonOf(errors.New("x")) != 0 || ReasonOf(nil) != 0 {
		t.Error("a reason for another error")
	}
}

// The buffers are pooled, and the expected texts are not copied: what remains is
// the AES state of the message. The race detector drops pooled items at random.
func TestSharedAllocations(t *testing.T) {
	if slowtest.Mode {
		t.Skip("the race detector allocates")
	}
	l := links(t)[0]
	plaintext := make([]byte, 1024)
	sealed := seal(t, &l.Sealer, string(plaintext))
	room := make([]byte, 0, 2048)
	if n := testing.AllocsPerRun(100, func() { l.Sealer.Seal(room, plaintext) }); n > 4 {
		t.Errorf("Seal allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { l.Opener.Open(room, sealed) }); n > 4 {
		t.Errorf("Open allocates %v times", n)
	}
}

// A39: plaintexts of one bucket give envelopes of one length.
func TestA39PaddingBuckets(t *testing.T) {
	for _, l := range links(t) {
		short, long := len(seal(t, &l.Sealer, "")), len(seal(t, &l.Sealer, strings.Repeat("x", 60)))
		// The proof and the ids have fixed sizes; only the body varies.
		if short != long {
			t.Errorf("%s: 0 bytes give %d, 60 give %d", l.name, short, long)
		}
		if next := len(seal(t, &l.Sealer, strings.Repeat("x", 61))); next == long {
			t.Errorf("%s: 61 bytes fit the bucket of 60", l.name)
		}
	}
}

func TestPadding(t *testing.T) {
	for n, want := range map[int]int{0: 64, 60: 64, 61: 72, 68: 72, 1020: 1024, 1021: 1088, 1 << 20: 1<<20 + 1<<15} {
		if got := int(padme(int64(n + lengthSize))); got != want {
			t.Errorf("%d bytes are padded to %d, want %d", n, got, want)
		}
	}
	last := 0
	for n := range 200_000 {
		size := int(padme(int64(n + lengthSize)))
		if size < n+lengthSize || size < last || n > 60 && float64(size) > 1.12*float64(n+lengthSize) {
			t.Fatalf("%d bytes are padded to %d", n, size)
		}
		last = size
	}
	good := padded("data")
	if got, ok := unpad(good); !ok || string(got) != "data" {
		t.Error("does not come back")
	}
	for at := range good {
		if at >= 4 && at < 8 {
			continue
		}
		bad := bytes.Clone(good)
		bad[at] ^= 1
		if _, ok := unpad(bad); ok && at != 3 {
			t.Errorf("byte %d of the padding changed: accepted", at)
		}
	}
	for _, n := range []int{0, 3, 63, 65, 72} {
		if _, ok := unpad(make([]byte, n)); ok {
			t.Errorf("%d zeros are accepted", n)
		}
	}
}

func TestMisuseIsAnErrorOfItsOwn(t *testing.T) {
	alice, bob, shared := identity(t, "alice"), identity(t, "bob"), sharedKeyset(t)
	to := []*keys.PublicIdentity{bob.Public()}
	for name, s := range map[string]Sealer{
		"nothing":                    {},
		"no sender":                  {To: to},
		"no recipients":              {From: alice},
		"shared without a party":     {Shared: shared, ToParty: "b"},
		"shared without a receiver":  {Shared: shared, Party: "a"},
		"signed without a receiver":  {Shared: shared, From: alice},
		"to itself":                  {Shared: shared, Party: "a", ToParty: "a"},
		"shared and recipients":      {Shared: shared, From: alice, To: to},
		"recipients and a receiver":  {From: alice, To: to, ToParty: "b"},
		"party and signer":           {Shared: shared, From: alice, Party: "a", ToParty: "b"},
		"a zero identity":            {From: new(keys.Identity), To: to},
		"a zero keyset":              {Shared: new(keys.SharedKeyset), Party: "a", ToParty: "b"},
		"a zero recipient":           {From: alice, To: []*keys.PublicIdentity{new(keys.PublicIdentity)}},
		"a long receiver":            {Shared: shared, Party: "a", ToParty: strings.Repeat("x", MaxPartySize+1)},
		"a nil recipient":            {From: alice, To: []*keys.PublicIdentity{nil}},
		"one recipient twice":        {From: alice, To: []*keys.PublicIdentity{bob.Public(), bob.Public()}},
		"too many recipients":        {From: alice, To: slices.Repeat(to, MaxRecipients+1)},
		"a long context":             {From: alice, To: to, Context: strings.Repeat("x", MaxContextSize+1)},
		"a context that is not text": {From: alice, To: to, Context: "\xff"},
		"a long content type":        {From: alice, To: to, ContentType: strings.Repeat("x", MaxContentTypeSize+1)},
		"a long party":               {Shared: shared, Party: strings.Repeat("x", MaxPartySize+1), ToParty: "b"},
	} {
		if b, err := s.Seal(nil, nil); err == nil || b != nil || errors.Is(err, ErrOpen) {
			t.Errorf("Sealer with %s: %v", name, err)
		}
	}
	l := links(t)[2]
	sealed := seal(t, &l.Sealer, "m")
	for name, o := range map[string]Opener{
		"no guard":       {Identity: bob, From: alice.Public()},
		"nothing":        {InsecureAllowReplay: true},
		"no sender":      {Identity: bob, InsecureAllowReplay: true},
		"no identity":    {From: alice.Public(), InsecureAllowReplay: true},
		"shared alone":   {Shared: shared, InsecureAllowReplay: true},
		"one party only": {Shared: shared, Party: "a", InsecureAllowReplay: true},
		"a party beside": {Identity: bob, From: alice.Public(), Party: "b", InsecureAllowReplay: true},
		"no own party":   {Shared: shared, Identity: bob, From: alice.Public(), InsecureAllowReplay: true},
		"a zero keyset":  {Shared: new(keys.SharedKeyset), Party: "a", FromParty: "b", InsecureAllowReplay: true},
		"zero identity":  {Identity: new(keys.Identity), From: alice.Public(), InsecureAllowReplay: true},
		"equal parties":  {Shared: shared, Party: "a", FromParty: "a", InsecureAllowReplay: true},
	} {
		if _, _, err := o.Open(nil, sealed); err == nil || errors.Is(err, ErrOpen) {
			t.Errorf("Opener with %s: %v", name, err)
		}
	}
}

func TestExpiredRecipientIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := links(t)[2]
		time.Sleep(keys.MaxLifetime)
		if _, err := l.Seal(nil, nil); err == nil {
			t.Error("sealed to an identity that has expired")
		}
	})
}

// A19: no two messages share a nonce or a key.
func TestA19NothingRepeats(t *testing.T) {
	for _, l := range links(t) {
		seen := map[string]bool{}
		for range 100 {
			p, _ := parseParts(seal(t, &l.Sealer, "same"))
			h, _ := parseHeader(p.header, "", "")
			for _, v := range []string{string(p.body[:24]), string(p.proof), h.ID.String()} {
				if seen[v] {
					t.Fatalf("%s: a nonce, proof or id repeats", l.name)
				}
				seen[v] = true
			}
		}
	}
}

// A15: what was opened once does not open again, nor does what is too old.
func TestA15Replay(t *testing.T) {
	for i := range 3 {
		synctest.Test(t, func(t *testing.T) {
			l := links(t)[i]
			l.InsecureAllowReplay, l.Replay = false, anyTime()
			first, second := seal(t, &l.Sealer, "1"), seal(t, &l.Sealer, "2")
			for _, sealed := range [][]byte{second, first} { // order is not the guard's business
				if _, _, err := l.Open(nil, sealed); err != nil {
					t.Fatal(err)
				}
				expectReason(t, &l.Opener, sealed, ReasonReplay, "at once")
			}
			late := seal(t, &l.Sealer, "3")
			time.Sleep(replayWindow + time.Second)
			expectReason(t, &l.Opener, first, ReasonTime, "after the window")
			expectReason(t, &l.Opener, late, ReasonTime, "held back")
			if _, _, err := l.Open(nil, seal(t, &l.Sealer, "4")); err != nil {
				t.Error(err)
			}
		})
	}
}

// A forgery must not use an honest message's id up.
func TestReplayGuardIsNotPoisoned(t *testing.T) {
	l := links(t)[2]
	l.InsecureAllowReplay, l.Replay = false, anyTime()
	sealed := seal(t, &l.Sealer, "m")
	forged := bytes.Clone(sealed)
	forged[len(forged)-1] ^= 1
	expectReason(t, &l.Opener, forged, ReasonProof, "forged")
	if _, _, err := l.Open(nil, sealed); err != nil {
		t.Error(err)
	}
}

// A16: a process that lost its guard refuses what it may have opened before.
func TestA16RestartRaisesTheFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := links(t)[2]
		before := seal(t, &l.Sealer, "m")
		time.Sleep(time.Second)
		// A sender whose clock is ahead can have dated it after the restart.
		ahead := remake(t, before, l.Sealer.From, func(h *Header, p *parts) {
			h.Time = h.Time.Add(replayWindow)
			resealed(h, p, l.Sealer.To...)
		})
		l.InsecureAllowReplay, l.Replay = false, NewReplayGuard()
		expectReason(t, &l.Opener, before, ReasonTime, "sealed before the restart")
		expectReason(t, &l.Opener, ahead, ReasonTime, "sealed before the restart, by a clock that is ahead")
		time.Sleep(replayWindow + time.Second)
		if _, _, err := l.Open(nil, seal(t, &l.Sealer, "m")); err != nil {
			t.Error(err)
		}
	})
}

// The guard refuses rather than forgets: whatever it accepted it never accepts
// again, however full it is and whatever the clock does, and its memory is bounded.
func TestReplayGuardRefusesRatherThanForgets(t *testing.T) {
	g := anyTime()
	now := time.Unix(1_800_000_000, 0)
	var accepted []Header
	for i := range 3 * replayPerSender {
		h := Header{ID: newMessageID(), Time: now.Add(time.Duration(i%977) * time.Millisecond)}
		if g.accept(h, now) == nil {
			accepted = append(accepted, h)
		}
	}
	if n := len(g.senders[sender{}].ids); n > replayPerSender {
		t.Errorf("remembers %d ids", n)
	}
	if len(accepted) < replayPerSender {
		t.Errorf("accepted only %d", len(accepted))
	}
	for _, later := range []time.Duration{0, time.Minute, -time.Hour, replayWindow, time.Hour, -replayWindow} {
		at := now.Add(later)
		_ = g.accept(Header{ID: newMessageID(), Time: at, Suite: SuiteShared, Party: "another"}, at)
		for _, h := range accepted[:1000] {
			if g.accept(h, at) == nil {
				t.Fatalf("accepted twice, %v later", later)
			}
		}
	}
	if len(g.senders) > 3 {
		t.Errorf("remembers %d senders", len(g.senders))
	}
}

// Holders of another keyset, one of whose parties has the same name, see the id of
// a message and send one of their own with it: the message opens all the same.
func TestReplayGuardKeepsKeysetsApart(t *testing.T) {
	orders, invoices, guard := links(t)[0], links(t)[0], anyTime()
	for _, l := range []*link{&orders, &invoices} {
		l.InsecureAllowReplay, l.Replay = false, guard
	}
	sealed := seal(t, &orders.Sealer, "m")
	h, _, err := parse(sealed, "", "")
	if err != nil {
		t.Fatal(err)
	}
	pair := invoices.Sealer.Shared.Primary()
	same := h
	same.SealKey = SealKeyID(pair.ID())
	p := parts{header: same.append(nil)}
	if p.body, err = pair.Seal(nil, padded("mine"), label.EnvelopeBody.With(p.header)); err != nil {
		t.Fatal(err)
	}
	p.proof = pair.MAC(nil, proofInput(envelopeProof.keyed, p, "b"))
	if _, _, err := invoices.Open(nil, p.append(nil)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := orders.Open(nil, sealed); err != nil {
		t.Errorf("its id is used up: %v (%v)", err, ReasonOf(err))
	}
	expectReason(t, &orders.Opener, sealed, ReasonReplay, "again")
}

func TestReplayGuardKeepsSendersApart(t *testing.T) {
	g, now := anyTime(), time.Now()
	h := Header{Suite: SuiteShared, ID: newMessageID(), Time: now, Party: "a"}
	other := h
	other.Party = "b"
	if g.accept(h, now) != nil || g.accept(other, now) != nil || g.accept(h, now) == nil {
		t.Error("one sender's message id counts for another")
	}
	late := Header{ID: newMessageID(), Time: now.Add(replayWindow + time.Second)}
	if ReasonOf(g.accept(late, now)) != ReasonTime {
		t.Error("a message from the future is accepted")
	}
	for i := range 10_000 { // many senders, once each, over a long time
		at := now.Add(time.Duration(i) * time.Second)
		if err := g.accept(Header{Suite: SuiteShared, ID: newMessageID(), Time: at, Party: fmt.Sprint(i)}, at); err != nil {
			t.Fatal(err)
		}
	}
	if len(g.senders) > 2000 {
		t.Errorf("%d senders are remembered", len(g.senders))
	}
}

// A16: what a guard remembers survives a restart, and whatever it accepted is
// refused afterwards.
func TestA16ReplayGuardComesBack(t *testing.T) {
	g, now := anyTime(), time.Now()
	var accepted []Header
	for i := range 300 {
		h := Header{Suite: SuiteShared, ID: newMessageID(), Time: now.Add(time.Duration(i) * time.Millisecond), Party: fmt.Sprint(i % 7)}
		if err := g.accept(h, now); err != nil {
			t.Fatal(err)
		}
		accepted = append(accepted, h)
	}
	b := g.Bytes()
	again, err := ParseReplayGuard(b)
	if err != nil || !bytes.Equal(again.Bytes(), b) {
		t.Fatalf("came back otherwise: %v", err)
	}
	for _, h := range accepted {
		if again.accept(h, now) == nil {
			t.Fatal("accepted twice")
		}
	}
	if err := again.accept(Header{Suite: SuiteShared, ID: newMessageID(), Time: now, Party: "1"}, now); err != nil {
		t.Errorf("a new message after a restart: %v", err)
	}
	for n := range b {
		if _, err := ParseReplayGuard(b[:n]); !errors.Is(err, ErrReplayGuard) {
			t.Fatalf("%d bytes of %d: %v", n, len(b), err)
		}
	}
}

func FuzzParseReplayGuard(f *testing.F) {
	g, now := anyTime(), time.Now()
	_ = g.accept(Header{Suite: SuiteShared, ID: newMessageID(), Time: now, Party: "a"}, now)
	f.Add(g.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := ParseReplayGuard(b); err == nil && len(g.Bytes()) > len(b) {
			t.Fatalf("%x grew to %x", b, g.Bytes())
		}
	})
}

func TestOneOfManyConcurrentOpensWins(t *testing.T) {
	l := links(t)[2]
	l.InsecureAllowReplay, l.Replay = false, anyTime()
	sealed := seal(t, &l.Sealer, "m")
	var opened atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, _, err := l.Open(nil, sealed); err == nil {
				opened.Add(1)
			}
		})
	}
	wg.Wait()
	if opened.Load() != 1 {
		t.Errorf("opened %d times", opened.Load())
	}
}

func TestRevokedOrRetiredSigningKeyIsRefused(t *testing.T) {
	// A key that was not yet valid when the message says it was sealed.
	alice, bob := identity(t, "alice"), identity(t, "bob")
	s := Sealer{From: alice, To: []*keys.PublicIdentity{bob.Public()}}
	o := Opener{Identity: bob, From: alice.Public(), InsecureAllowReplay: true}
	early := remake(t, seal(t, &s, "m"), alice, func(h *Header, _ *parts) { h.Time = h.Time.Add(-time.Hour) })
	expectReason(t, &o, early, ReasonProof, "before the key's window")
}

func TestOverhead(t *testing.T) {
	l := links(t)
	for i, want := range []int{238, 335, 326 + 2*recipientSize} {
		if got := len(seal(t, &l[i].Sealer, strings.Repeat("x", 64))); got != want {
			t.Errorf("%s: 64 bytes become %d, documented %d", l[i].name, got, want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	all := links(f)
	var seeds [][]byte
	for _, l := range all {
		seeds = append(seeds, seal(f, &l.Sealer, "seed"))
		f.Add(seeds[len(seeds)-1])
	}
	genuine := func(b []byte) bool {
		return slices.ContainsFunc(seeds, func(s []byte) bool { return bytes.Equal(s, b) })
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, l := range all {
			if data, _, err := l.Open(nil, b); err == nil && !genuine(b) {
				t.Fatalf("a forgery opened: %q", data)
			} else if err != nil && !errors.Is(err, ErrOpen) {
				t.Fatal(err)
			}
		}
		in, err := Inspect(b)
		if err != nil {
			return
		}
		p, _ := parseParts(b)
		if !bytes.Equal(p.append(nil), b) || !bytes.Equal(in.Header.append(nil), p.header) {
			t.Fatalf("%x has a second encoding", b)
		}
	})
}
