package envelope

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// A making is a vector to be: its file's name, and what makes it.
type making struct {
	name string
	make func() vector
}

// makings are all vectors. What is refused sorts before what opens.
func makings() []making {
	return slices.Concat(badEnvelopes(), edgeEnvelopes(false), unusable(), badStreams(), edgeStreams(false), badIdentities(), badOthers(),
		goodEnvelopes(), edgeEnvelopes(true), goodStreams(), edgeStreams(true), goodIdentities(), goodOthers())
}

// run makes the vector with a clock and randomness of its own, so that it comes out
// the same wherever it is made, and whatever else is.
func (m making) run(t *testing.T) (v vector) {
	h := fnv.New64a()
	h.Write([]byte(m.name))
	cryptotest.SetGlobalRandom(t, h.Sum64())
	synctest.Test(t, func(*testing.T) {
		time.Sleep(time.Until(castTime))
		v = m.make()
	})
	return v
}

func TestWriteVectors(t *testing.T) {
	folder := os.Getenv("HOPSEAL_WRITE_VECTORS")
	if folder == "" {
		t.Skip("HOPSEAL_WRITE_VECTORS names no folder to write to")
	}
	for _, m := range makings() {
		t.Run(m.name, func(t *testing.T) {
			b, err := json.MarshalIndent(m.run(t), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, m.name+".json"), append(b, '\n'), 0o666); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Every case has its file, and every file its case, with the same text.
func TestVectorsAreComplete(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectorFolder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	extra := map[string]bool{}
	for _, f := range files {
		extra[filepath.Base(f)] = true
	}
	for _, m := range makings() {
		file := m.name + ".json"
		if !extra[file] {
			t.Errorf("%s is missing", file)
			continue
		}
		delete(extra, file)
		if want, got := m.run(t), readVector(t, filepath.Join(vectorFolder, file)); got.Comment != want.Comment || got.Expect != want.Expect {
			t.Errorf("%s is %q, %q; want %q, %q", file, got.Comment, got.Expect, want.Comment, want.Expect)
		}
	}
	for file := range extra {
		t.Errorf("%s is made by no case", file)
	}
}

// What attacks start from opens as it is.
func TestDraftsOpen(t *testing.T) {
	for suite := 1; suite <= 3; suite++ {
		for kind, sealed := range map[string]func() []byte{
			"envelope": func() []byte { return draft(suite).honest() },
			"stream":   func() []byte { return streamDraft(suite, make([]byte, 70_000)).seal().bytes() },
		} {
			m := making{kind, func() vector { return endOf(suite).vector(kind, "", sealed()) }}
			v := m.run(t)
			if _, err := v.opening(t)(nil, v.Sealed); err != nil {
				t.Errorf("%s of suite %d: %v (%v)", kind, suite, err, ReasonOf(err))
			}
		}
	}
	if _, err := keys.ParsePublic(castAlice.statement().sign()); err != nil {
		t.Error(err)
	}
}

// An end is who opens, and what it expects.
type end struct {
	party, fromParty, context string
	from                      *person    // nil in suite 1
	who                       *person    // nil in suite 1
	pairs                     pairs      // none in suite 3
	statement                 *statement // in place of from's own
}

const castContext = "orders"

// endOf is the honest receiver of a suite.
func endOf(suite int) end {
	switch suite {
	case 1:
		return end{party: "bank", fromParty: "shop", context: castContext, pairs: sharedNow}
	case 2:
		return end{party: "bank", context: castContext, from: &castAlice, who: &castBob, pairs: sharedNow}
	}
	return end{context: castContext, from: &castAlice, who: &castBob}
}

// vector describes the end, and what reaches it.
func (e end) vector(kind, comment string, sealed []byte) vector {
	v := vector{Comment: comment, Kind: kind, Expect: "open", Party: e.party, FromParty: e.fromParty, Context: e.context, Sealed: sealed}
	if e.from != nil {
		v.From = e.from.statement().sign()
	}
	if e.statement != nil {
		v.From = e.statement.sign()
	}
	archived := func(k aged, id []byte) {
		if !k.archived.IsZero() {
			v.Archived = append(v.Archived, id)
		}
	}
	if e.who != nil {
		v.Fingerprint, v.Identity = e.who.fingerprint(), e.who.cleartext()
	}
	if e.who != nil && e.pairs.ring == nil {
		for _, k := range e.who.sealing {
			seed := testSecret(k.name)
			v.Sealing = append(v.Sealing, seed)
			archived(k, sealingID(sealingPublic(seed)))
		}
	}
	if e.pairs.ring != nil {
		v.Keyset = e.pairs.cleartext()
	}
	for _, k := range e.pairs.ring {
		p := e.pairs.pair(k)
		v.Shared = append(v.Shared, vectorPair{p.kind, p.aead, p.mac})
		archived(k, p.id())
	}
	return v
}

// gives says what opens.
func (v vector) gives(plaintext []byte) vector {
	v.Plaintext = plaintext
	if n := len(plaintext); n > 2000 && bytes.Count(plaintext, plaintext[:1]) == n {
		v.Plaintext, v.PlaintextRepeat = nil, &repeated{plaintext[0], n}
	}
	return v
}

func (v vector) because(reason Reason) vector {
	v.Expect = reason.String()
	return v
}

var suiteNames = map[int]string{1: "shared", 2: "signed", 3: "recipients"}

// sealerOf is the honest sender of a suite, to whom endOf belongs.
func sealerOf(suite int) *Sealer {
	s := &Sealer{ContentType: "text/plain", Context: castContext}
	if suite != 1 {
		s.From = castAlice.identity()
	}
	if suite != 3 {
		s.Shared, s.ToParty = sharedNow.keyset(), "bank"
	}
	switch suite {
	case 1:
		s.Party = "shop"
	case 3:
		s.To = []*keys.PublicIdentity{castBob.public()}
	}
	return s
}

// looksRandom is content of n bytes without a pattern.
func looksRandom(n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = append(b, testSecret(fmt.Sprintf("content %d", i))...)
	}
	return b[:n]
}

// goodEnvelopes are sealed by the Sealer.
func goodEnvelopes() (all []making) {
	add := func(suite int, name, comment string, plaintext []byte, change func(s *Sealer, e *end)) {
		all = append(all, making{"good-" + suiteNames[suite] + "-" + name, func() vector {
			s, e := sealerOf(suite), endOf(suite)
			if change != nil {
				change(s, &e)
			}
			return e.vector("envelope", comment, made(s.Seal(nil, plaintext))).gives(plaintext)
		}})
	}
	for suite := 1; suite <= 3; suite++ {
		add(suite, "example", "one short message, taken apart in docs/protocol.md", []byte("attack at dawn"), nil)
		for _, n := range []int{0, 1, 60, 61, 1000} {
			add(suite, fmt.Sprintf("%04d-bytes", n), "content of this size", looksRandom(n), nil)
		}
		add(suite, "unicode", "texts in many scripts, content that is no text", []byte("\x00\xff\xc0\x80"), func(s *Sealer, e *end) {
			s.ContentType, s.Context = "text/\U0001f9c5", "заказы \U0001f6d2\n\x00e\u0301"
			e.context = s.Context
			rename(s, e, "магазин", "銀行")
		})
		add(suite, "longest-texts", "texts of the largest sizes", []byte("long"), func(s *Sealer, e *end) {
			s.ContentType, s.Context = strings.Repeat("t", MaxContentTypeSize), strings.Repeat("é", MaxContextSize/2)
			e.context = s.Context
			rename(s, e, strings.Repeat("s", MaxPartySize), strings.Repeat("b", MaxPartySize))
		})
	}
	add(1, "no-texts", "no content type and no context, party names of one byte", []byte("short"), func(s *Sealer, e *end) {
		s.ContentType, s.Context, e.context = "", "", ""
		rename(s, e, "a", "b")
	})
	aes := func(suite, n int) {
		// A keyset in clear only opens, so the Sealer has no part in these.
		all = append(all, making{fmt.Sprintf("good-%s-aes-%04d-bytes", suiteNames[suite], n), func() vector {
			m, e := draft(suite).underAES(), endOf(suite)
			e.pairs, m.padded = sharedAES, paddedOf(looksRandom(n))
			return e.vector("envelope", "content of this size under an AES256_GCM pair", m.honest()).gives(looksRandom(n))
		}})
	}
	all = append(all, making{"good-shared-latest-time", func() vector {
		m, e := draft(1).with(atTime, encUint(1<<48-1)), endOf(1)
		m.padded = paddedOf([]byte("late"))
		return e.vector("envelope", "the latest time that a header has room for", m.honest()).gives([]byte("late"))
	}})
	aes(1, 0)
	aes(1, 60)
	aes(1, 1000)
	aes(2, 60)
	add(1, "retiring-pair", "sealed under a pair that has begun to retire at the opener", []byte("late"), func(_ *Sealer, e *end) { e.pairs = sharedLater })
	add(2, "retired-signing-key", "signed by a key that is listed as retired, in its time", []byte("late"), func(_ *Sealer, e *end) { e.from = &aliceLater })
	add(3, "retired-signing-key", "signed by a key that is listed as retired, in its time", []byte("late"), func(_ *Sealer, e *end) { e.from = &aliceLater })
	add(3, "retiring-sealing-key", "sealed to a key that has begun to retire at the opener", []byte("late"), func(_ *Sealer, e *end) { e.who = &bobLater })
	for i, place := range []string{"first", "second", "last"} {
		add(3, "three-opener-"+place, "three recipients, the opener is the "+place+" of them", []byte("to three"), func(s *Sealer, e *end) {
			three := inOrder(castBob, castCarol, castEve)
			s.To = publics(three)
			e.who = &three[i]
		})
	}
	for suite := 1; suite <= 3; suite++ {
		add(suite, "unpadded", "no padding", []byte("unpadded"), func(s *Sealer, _ *end) { s.Padding = NoPadding() })
		add(suite, "bucket", "padded to the second of three buckets", []byte("in a bucket"), func(s *Sealer, _ *end) { s.Padding = Buckets(10, 100, 1000) })
	}
	add(1, "unpadded-empty", "no content and no padding", []byte{}, func(s *Sealer, _ *end) { s.Padding = NoPadding() })
	add(1, "bucket-full", "content that fills its bucket", looksRandom(100), func(s *Sealer, _ *end) { s.Padding = Buckets(100) })
	add(3, "twenty", "twenty recipients", []byte("to all"), func(s *Sealer, _ *end) { s.To = append(s.To, publics(crowd(19))...) })
	all = append(all, making{"good-recipients-rewrapped", func() vector {
		before, after := rewrappers()
		sealed := made(after.Rewrap(nil, made(before.Seal(nil, []byte("again")))))
		e := endOf(3)
		e.who = &castCarol
		return e.vector("envelope", "sealed again for others by its sender", sealed).gives([]byte("again"))
	}})
	return all
}

// rewrappers returns who seals for Alice herself and Bob, and later again for Carol.
func rewrappers() (before, after *Sealer) {
	before, after = sealerOf(3), sealerOf(3)
	before.To = publics([]person{castAlice, castBob})
	after.To = publics([]person{castCarol})
	return before, after
}

// rename changes the party names that a suite has.
func rename(s *Sealer, e *end, from, to string) {
	if s.Party != "" {
		s.Party, e.fromParty = from, from
	}
	if s.ToParty != "" {
		s.ToParty, e.party = to, to
	}
}

// crowd is n people with nothing to say.
func crowd(n int) (people []person) {
	for i := range n {
		people = append(people, newcomer(fmt.Sprintf("member %d", i+1)))
	}
	return people
}

// inOrder sorts people as their entries stand among the recipients.
func inOrder(people ...person) []person {
	slices.SortFunc(people, func(a, b person) int { return bytes.Compare(a.addressee().id(), b.addressee().id()) })
	return people
}

func publics(people []person) (out []*keys.PublicIdentity) {
	for _, p := range people {
		out = append(out, p.public())
	}
	return out
}
