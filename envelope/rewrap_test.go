package envelope

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/hopseal/hopseal/keys"
)

// A story is of one who seals to herself and another, and later for others.
type story struct {
	alice, bob, carol *keys.Identity
	first, later      Sealer
}

func newStory(t testing.TB) *story {
	s := &story{alice: identity(t, "alice"), bob: identity(t, "bob"), carol: identity(t, "carol")}
	s.first = Sealer{From: s.alice, To: []*keys.PublicIdentity{s.alice.Public(), s.bob.Public()}, Context: "c", ContentType: "t"}
	s.later = Sealer{From: s.alice, To: []*keys.PublicIdentity{s.alice.Public(), s.carol.Public()}, Context: "c"}
	return s
}

func (s *story) opener(id *keys.Identity) *Opener {
	return &Opener{Identity: id, From: s.alice.Public(), Context: "c", InsecureAllowReplay: true}
}

func TestRewrap(t *testing.T) {
	s := newStory(t)
	sealed := seal(t, &s.first, "message")
	again, err := s.later.Rewrap([]byte("dst"), sealed)
	if err != nil || !bytes.HasPrefix(again, []byte("dst")) {
		t.Fatal(err)
	}
	again = again[3:]
	got, h, err := s.opener(s.carol).Open(nil, again)
	if err != nil || string(got) != "message" || h.ContentType != "t" {
		t.Errorf("Carol reads %q, %v (%v)", got, err, ReasonOf(err))
	}
	expectReason(t, s.opener(s.bob), again, ReasonNotForUs, "Bob, who was removed")
	before, _ := parseParts(sealed)
	after, _ := parseParts(again)
	if !bytes.Equal(before.header, after.header) || !bytes.Equal(before.body, after.body) || bytes.Equal(before.proof, after.proof) {
		t.Error("header or body have changed, or the proof has not")
	}
	if twice, err := s.first.Rewrap(nil, again); err != nil {
		t.Error("and back:", err)
	} else if _, _, err := s.opener(s.bob).Open(nil, twice); err != nil {
		t.Error("Bob, who is back:", err)
	}
}

func TestRewrapStream(t *testing.T) {
	s := newStory(t)
	genuine := content(2*segmentData + 5)
	sealed := sealStream(t, &s.first, genuine)
	var again bytes.Buffer
	if err := s.later.RewrapStream(&again, bytes.NewReader(sealed)); err != nil {
		t.Fatal(err)
	}
	if got, err := openStream(s.opener(s.carol), again.Bytes()); err != nil || !bytes.Equal(got, genuine) {
		t.Errorf("Carol reads %d bytes, %v", len(got), err)
	}
	if _, err := openStream(s.opener(s.bob), again.Bytes()); ReasonOf(err) != ReasonNotForUs {
		t.Errorf("Bob, who was removed: %v", err)
	}
	before, after := cutStream(t, sealed), cutStream(t, again.Bytes())
	if !bytes.Equal(bytes.Join(before.segments, nil), bytes.Join(after.segments, nil)) || !bytes.Equal(before.proof, after.proof) {
		t.Error("segments or final proof have changed")
	}
	// The parts of the two do not mix.
	if _, err := openStream(s.opener(s.carol), cut{before.head, after.segments, after.proof}.join()); ReasonOf(err) != ReasonNotForUs {
		t.Errorf("the old head: %v", err)
	}
	sealed[len(after.head)+segmentSize] ^= 1
	again.Reset()
	if err := s.later.RewrapStream(&again, bytes.NewReader(sealed)); err != nil {
		t.Fatal(err)
	}
	refusedStream(t, s.opener(s.carol), again.Bytes(), genuine, "rewrapped after a change")
}

// Rewrap signs nothing that its sender has not signed, and opens nothing for a
// sender who is not listed.
func TestRewrapRefuses(t *testing.T) {
	s := newStory(t)
	sealed := seal(t, &s.first, "message")
	streamed := sealStream(t, &s.first, []byte("message"))
	both := func(sealer *Sealer, envelope, stream []byte) [2]error {
		_, err := sealer.Rewrap(nil, envelope)
		return [2]error{err, sealer.RewrapStream(io.Discard, bytes.NewReader(stream))}
	}
	flip := func(b []byte, at int) []byte { b = bytes.Clone(b); b[at] ^= 1; return b }
	notListed := s.first
	notListed.To = notListed.To[1:]
	bobs := Sealer{From: s.bob, To: s.later.To, Context: "c"}
	other := s.later
	other.Context = "another"
	shared := links(t)[1].Sealer
	for name, c := range map[string]struct {
		errs [2]error
		want Reason
	}{
		"body changed":        {[2]error{both(&s.later, flip(sealed, len(sealed)-70), streamed)[0], fail(ReasonProof)}, ReasonProof},
		"proof changed":       {both(&s.later, flip(sealed, len(sealed)-1), flip(streamed, cutSize(t, streamed)-1)), ReasonProof},
		"header changed":      {both(&s.later, flip(sealed, 120), flip(streamed, 120)), ReasonProof},
		"another's message":   {both(&bobs, sealed, streamed), ReasonSender},
		"another context":     {both(&other, sealed, streamed), ReasonContext},
		"sender not listed":   {both(&s.later, seal(t, &notListed, "m"), sealStream(t, &notListed, nil)), ReasonNotForUs},
		"under a shared pair": {both(&s.later, seal(t, &shared, "m"), sealStream(t, &shared, nil)), ReasonSuite},
		"garbage":             {both(&s.later, []byte("x"), []byte("x")), ReasonMalformed},
	} {
		for _, err := range c.errs {
			if ReasonOf(err) != c.want || !errors.Is(err, ErrOpen) {
				t.Errorf("%s: %v (%v), want %v", name, err, ReasonOf(err), c.want)
			}
		}
	}
	for name, sealer := range map[string]*Sealer{
		"shared": &shared, "no recipients": {From: s.alice, Context: "c"}, "zero": {},
	} {
		for _, err := range both(sealer, sealed, streamed) {
			if err == nil || errors.Is(err, ErrOpen) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	room := append(make([]byte, 0, 3*len(sealed)), sealed...)
	if _, err := s.later.Rewrap(room[:0], room); err != errOverlap {
		t.Errorf("overlap: %v", err)
	}
}

func cutSize(t *testing.T, stream []byte) int { return len(cutStream(t, stream).head) }
