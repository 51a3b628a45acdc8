package envelope

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// Vectors are read on every platform, natively with Tink and in wasm without it,
// and by readers in other languages. HOPSEAL_WRITE_VECTORS names a folder to write
// them to, HOPSEAL_READ_VECTORS a folder to read instead of the one in docs.
const vectorFolder = "../docs/vectors/envelope"

// A vector is one case, one file. The keys in it are for tests only.
type vector struct {
	Comment string `json:"comment"`
	Kind    string `json:"kind"`   // "envelope", "stream", or one of vectors_kinds_test.go
	Expect  string `json:"expect"` // "open", or why it is refused: the Reason's text, expectUnusable, or "refused" for other kinds

	Party     string   `json:"party,omitempty"`     // the opener's, suites 1 and 2
	FromParty string   `json:"fromParty,omitempty"` // the expected sender's, suite 1
	Context   string   `json:"context"`
	From      hexBytes `json:"from,omitempty"` // public identity of the expected sender

	// The opener's keys, raw.
	Fingerprint hexBytes     `json:"fingerprint,omitempty"`
	Sealing     []hexBytes   `json:"sealing,omitempty"`  // X-Wing seeds
	Shared      []vectorPair `json:"shared,omitempty"`   // shared pairs
	Archived    []hexBytes   `json:"archived,omitempty"` // ids of those among them that are archived

	// The same keys as Hopseal stores them.
	Identity hexBytes `json:"identity,omitempty"` // cleartext identity
	Keyset   hexBytes `json:"keyset,omitempty"`   // cleartext shared keyset

	Sealed          hexBytes  `json:"sealed"`
	Plaintext       hexBytes  `json:"plaintext,omitzero"` // of what opens
	PlaintextRepeat *repeated `json:"plaintextRepeat,omitempty"`

	judged // kinds other than envelope and stream
}

// expectUnusable is for readers that lack what their suite needs, whatever they are given.
const expectUnusable = "unusable"

type vectorPair struct {
	Type string   `json:"type"`
	AEAD hexBytes `json:"aead"`
	MAC  hexBytes `json:"mac"`
}

// repeated is one byte, many times: a large plaintext in a small file.
type repeated struct {
	Byte  byte `json:"byte"`
	Count int  `json:"count"`
}

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func (v vector) opens() bool { return v.Expect == "open" }

func (v vector) plaintext() []byte {
	if r := v.PlaintextRepeat; r != nil {
		return bytes.Repeat([]byte{r.Byte}, r.Count)
	}
	return v.Plaintext
}

func readVector(t *testing.T, file string) (v vector) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// eachVector runs a test over every file.
func eachVector(t *testing.T, run func(t *testing.T, v vector)) {
	folder := os.Getenv("HOPSEAL_READ_VECTORS")
	if folder == "" {
		folder = vectorFolder
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) < 60 {
		t.Fatalf("%d vectors in %s: %v", len(files), folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) { run(t, readVector(t, file)) })
	}
}

func TestVectors(t *testing.T) {
	opened, refused := 0, 0
	eachVector(t, func(t *testing.T, v vector) {
		v.checkKeys(t)
		got, err := v.opening(t)(nil, v.Sealed)
		if v.opens() {
			if opened++; err != nil || !bytes.Equal(got, v.plaintext()) {
				t.Errorf("opened %.80x, %v (%v)", got, err, ReasonOf(err))
			}
			return
		}
		if refused++; opened > 0 {
			t.Error("what is refused does not come before what opens")
		}
		if !v.refused(err) || v.reason(err) != v.Expect || v.Kind != "stream" && got != nil {
			t.Errorf("got %.80x, %v (%v), want %s", got, err, ReasonOf(err), v.Expect)
		}
	})
	if refused <= opened {
		t.Errorf("%d are refused, %d open", refused, opened)
	}
}

// refused reports whether err is the one error of everything that does not open.
func (v vector) refused(err error) bool {
	if v.Expect == expectUnusable || !v.sealedToOpen() {
		return err != nil && !errors.Is(err, ErrOpen)
	}
	return errors.Is(err, ErrOpen) && err.Error() == ErrOpen.Error() && ReasonOf(err) != 0
}

// authentic reports whether nothing of it can be changed unnoticed.
func (v vector) authentic() bool {
	return v.Kind != "fingerprint" && v.Kind != "private identity" && v.Kind != "shared keyset"
}

// sealedToOpen reports whether the vector is a message.
func (v vector) sealedToOpen() bool { return v.Kind == "envelope" || v.Kind == "stream" }

func (v vector) reason(err error) string {
	switch {
	case v.Expect == expectUnusable:
		return expectUnusable
	case !v.sealedToOpen():
		return "refused"
	}
	return ReasonOf(err).String()
}

// opening returns what appends to dst all that is released of sealed, to the end or
// to the error.
func (v vector) opening(t *testing.T) func(dst, sealed []byte) ([]byte, error) {
	t.Helper()
	if judge := judges[v.Kind]; judge != nil {
		return func(_, sealed []byte) ([]byte, error) { return judge(t, v, sealed) }
	}
	o := v.opener(t)
	switch v.Kind {
	case "envelope":
		return func(dst, sealed []byte) ([]byte, error) { got, _, err := o.Open(dst, sealed); return got, err }
	case "stream":
		return func(_, sealed []byte) ([]byte, error) { return openStream(o, sealed) }
	}
	t.Fatalf("kind %q", v.Kind)
	return nil
}

func (v vector) opener(t *testing.T) *Opener {
	t.Helper()
	o := &Opener{Party: v.Party, FromParty: v.FromParty, Context: v.Context, InsecureAllowReplay: true}
	var err error
	if v.Identity != nil {
		if o.Identity, err = keys.ParseCleartextIdentity(v.Identity, insecurecleartext.Token{}); err != nil {
			t.Fatal(err)
		}
	}
	if v.From != nil {
		if o.From, err = keys.ParsePublic(v.From); err != nil {
			t.Fatal(err)
		}
	}
	if v.Keyset != nil {
		if o.Shared, err = keys.ParseCleartextSharedKeyset(v.Keyset, insecurecleartext.Token{}); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// checkKeys holds the raw keys, which other readers take, against the stored ones.
func (v vector) checkKeys(t *testing.T) {
	t.Helper()
	if !v.sealedToOpen() || v.Expect == expectUnusable {
		return
	}
	archived := func(id []byte) bool {
		for _, a := range v.Archived {
			if bytes.Equal(a, id) {
				return true
			}
		}
		return false
	}
	o := v.opener(t)
	if o.Identity != nil {
		if f := o.Identity.Fingerprint(); !bytes.Equal(f[:], v.Fingerprint) {
			t.Errorf("fingerprint %x is not that of the identity", v.Fingerprint)
		}
	}
	for _, seed := range v.Sealing {
		id := sealingID(sealingPublic(seed))
		if stage, held := o.Identity.SealingKey(keys.SealingKeyID(id)); !held || (stage == keys.StageArchived) != archived(id) {
			t.Errorf("sealing key %x: held %v, %v", id, held, stage)
		}
	}
	for _, p := range v.Shared {
		id := pair{p.Type, p.AEAD, p.MAC}.id()
		if key, held := o.Shared.Key(keys.SharedKeyID(id)); !held || (key.Stage() == keys.StageArchived) != archived(id) {
			t.Errorf("shared pair %x is not held, or in another stage", id)
		}
	}
	if o.Shared != nil && len(o.Shared.Keys()) != len(v.Shared) || o.Shared == nil && len(v.Sealing) == 0 {
		t.Error("raw keys are missing")
	}
}

// A10, A30: of every vector that opens, whatever is changed, cut off or added,
// nothing comes out.
func TestA10EveryChangeOfAVector(t *testing.T) {
	eachVector(t, func(t *testing.T, v vector) {
		if v.opens() && v.authentic() {
			v.tryChanges(t)
		}
	})
}

func (v vector) tryChanges(t *testing.T) {
	open, room, borders := v.opening(t), make([]byte, 0, 2*len(v.Sealed)+256), v.borders(t)
	try := func(sealed []byte, what string, at int) {
		t.Helper()
		got, err := open(room, sealed)
		if !v.refused(err) || !v.harmless(got, len(borders)-1) {
			t.Fatalf("%s %d: %.80x, %v", what, at, got, err)
		}
		if bytes.Count(room[:cap(room)], []byte{0}) != cap(room) {
			t.Fatalf("%s %d: something is left in dst", what, at)
		}
	}
	changed := bytes.Clone(v.Sealed)
	for _, bit := range v.places(borders, 8) {
		changed[bit/8] ^= 1 << (bit % 8)
		try(changed, "bit", bit)
		changed[bit/8] ^= 1 << (bit % 8)
	}
	for _, n := range v.places(borders, 1) {
		try(v.Sealed[:n:n], "prefix", n)
	}
	for extra := 0; extra < 256; extra += max(1, 1000/v.tries()) {
		try(append(changed, byte(extra)), "extension", extra)
	}
}

// harmless reports whether what was released before a refusal may be: nothing, and
// of a stream the content of whole segments, but for the last.
func (v vector) harmless(got []byte, segments int) bool {
	if v.Kind != "stream" || len(got) == 0 {
		return got == nil || v.Kind == "stream"
	}
	content := v.plaintext()
	for n := 1; n < segments; n++ {
		if bytes.Equal(got, content[:min(n*segmentData, len(content))]) {
			return true
		}
	}
	return false
}

// places are where to change a vector, in bits or in bytes: everywhere in what is
// small and quickly refused; else, so that a test takes seconds, at intervals, and
// wherever a segment begins or ends.
func (v vector) places(borders []int, perByte int) (out []int) {
	n := perByte * len(v.Sealed)
	step := n/v.tries() | 1 // odd, so as not to hit the same bits of every byte
	for i := range n {
		at := i / perByte
		if i%step == 0 || slices.Contains(borders, at) || slices.Contains(borders, at+1) {
			out = append(out, i)
		}
	}
	return out
}

// tries is how many changes are worth their time. A signature takes some 100 µs to
// verify, longer in wasm, and a large stream as long to read.
func (v vector) tries() int {
	long, small := os.Getenv("HOPSEAL_LONG_TESTS") != "", len(v.Sealed) < 10_000
	switch {
	case !long && slowtest.Mode:
		return 25
	case !long && !v.sealedToOpen():
		return 100
	case small && !slowtest.Mode && (long || v.FromParty != ""):
		return math.MaxInt
	case long && !slowtest.Mode:
		return 5000
	case long || !testing.Short():
		return 1000
	}
	return 100
}

// borders are the offsets in a stream at which a segment begins, and the end of the
// last.
func (v vector) borders(t *testing.T) (out []int) {
	if v.Kind != "stream" {
		return nil
	}
	c := cutStream(t, v.Sealed)
	at := len(c.head)
	for _, s := range c.segments {
		out = append(out, at)
		at += len(s)
	}
	return append(out, at)
}
