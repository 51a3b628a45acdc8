package envelope

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hopseal/hopseal/keys"
)

// What a later version has sealed is told from what is damaged, by every way in, whatever it
// holds behind the version.
func TestLaterVersionsAreNamed(t *testing.T) {
	for _, l := range links(t) {
		k := newKit(t, l)
		for name, b := range map[string][]byte{
			"an envelope":                     ofVersion2(k.sealed.append(nil)),
			"one of six values":               append(ofVersion2(append([]byte{0x96}, k.sealed.append(nil)[1:]...)), 0xc0),
			"an envelope that ends there":     {0x91, 2},
			"a stream":                        ofVersion2(k.stream()),
			"a stream of other values":        append([]byte{0x9f, 2}, make([]byte, 100)...),
			"a stream with a map in its head": {0x94, 2, 0x80, 0xc0, 0xc0},
		} {
			_, _, opened := l.Opener.Open(nil, b)
			_, read := l.Opener.NewReader(bytes.NewReader(b))
			_, at := l.Opener.NewReaderAt(bytes.NewReader(b), int64(len(b)))
			_, inspected := Inspect(b)
			_, streamed := InspectStream(bytes.NewReader(b))
			_, _, _, steps := openedInSteps(&l.Opener, b)
			v := Verifier{From: l.Opener.From, Context: l.Opener.Context}
			_, verified := v.Verify(b)
			for way, err := range map[string]error{"Open": opened, "NewReader": read, "NewReaderAt": at, "Inspect": inspected, "InspectStream": streamed, "steps": steps, "Verify": verified} {
				if ReasonOf(err) != ReasonVersion || !errors.Is(err, ErrOpen) {
					t.Errorf("%s, %s, %s: %v (%v)", l.name, name, way, err, ReasonOf(err))
				}
			}
		}
	}
	g := NewReplayGuard().Bytes()
	for name, b := range map[string][]byte{"a guard": edited(g, 1, guardVersion+1), "a guard of other values": {0x92, guardVersion + 1, 0xc0}} {
		if _, err := ParseReplayGuard(b); !errors.Is(err, ErrReplayGuard) || !errors.Is(err, keys.ErrVersion) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// ofVersion2 changes the version only.
func ofVersion2(b []byte) []byte { return edited(b, 1, 2) }

// A suite that there is not yet is told from what is damaged too, with a header and a proof of
// its own.
func TestLaterSuitesAreNamed(t *testing.T) {
	for _, l := range links(t) {
		k := newKit(t, l)
		long := make([]byte, 3309) // an ML-DSA-65 signature
		for name, header := range map[string][]byte{
			"the same header": edited(k.sealed.header, 1, 4), "another header": {0x9b, 4, 0xc0}, "suite 0": edited(k.sealed.header, 1, 0),
		} {
			sealed, head := k.sealed, k.head
			sealed.header, sealed.proof = header, long
			head.header, head.proof = header, long
			_, _, opened := l.Opener.Open(nil, sealed.append(nil))
			_, read := l.Opener.NewReader(bytes.NewReader(append(head.append(nil), k.segment...)))
			_, inspected := Inspect(sealed.append(nil))
			for way, err := range map[string]error{"Open": opened, "NewReader": read, "Inspect": inspected} {
				if ReasonOf(err) != ReasonSuite {
					t.Errorf("%s, %s, %s: %v (%v)", l.name, name, way, err, ReasonOf(err))
				}
			}
		}
		for name, proof := range map[string][]byte{"longer": append(bytes.Clone(k.sealed.proof), 0), "of another suite": long} {
			sealed, head := k.sealed, k.head
			sealed.proof, head.proof = proof, proof
			_, _, opened := l.Opener.Open(nil, sealed.append(nil))
			_, read := l.Opener.NewReader(bytes.NewReader(append(head.append(nil), k.segment...)))
			if ReasonOf(opened) != ReasonMalformed || ReasonOf(read) != ReasonMalformed {
				t.Errorf("%s, a proof that is %s: %v, %v", l.name, name, ReasonOf(opened), ReasonOf(read))
			}
		}
	}
}

func edited(b []byte, at int, value byte) []byte {
	b = bytes.Clone(b)
	b[at] = value
	return b
}
