package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"

	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/webcrypto"
)

// sealedInSteps does what the page does: WebCrypto's part is Go's here.
func sealedInSteps(t testing.TB, s *Sealer, plaintext []byte) []byte {
	t.Helper()
	m, err := webcrypto.Seal(s, len(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	padded := append(binary.BigEndian.AppendUint32(nil, m.Length), plaintext...)
	padded = append(padded, make([]byte, m.Padded-len(padded))...)
	ciphertext := gcm.New(m.Key).Seal(nil, m.Nonce, padded, m.AAD)
	digest := sha256.Sum256(slices.Concat(m.Before, ciphertext, m.After))
	tail, err := m.Prove(digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(m.Head, ciphertext, tail)
}

// openedInSteps reports whether the steps are for this message at all, too.
func openedInSteps(o *Opener, sealed []byte) (data []byte, h Header, possible bool, err error) {
	given := bytes.Clone(sealed)
	m, err := webcrypto.Open(o, given)
	clear(given) // the room is used for something else by the next step
	if err != nil || m == nil {
		return nil, h, err != nil, err
	}
	body := sealed[m.At:][:m.Size]
	digest := sha256.Sum256(slices.Concat(m.Before, body, m.After))
	key, err := m.Verify(digest[:])
	if err != nil {
		return nil, h, true, err
	}
	padded, _ := gcm.New(key.Key).Open(nil, key.Nonce, body[key.Start:], key.AAD)
	data, header, err := m.Finish(padded)
	if err != nil {
		return nil, h, true, err
	}
	return data, header.(Header), true, nil
}

// With the same random bytes and at the same time, a message that is sealed in steps is the
// same, byte for byte.
func TestStepsSealTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, l := range links(t) {
			for _, n := range []int{0, 1, 60, 61, 1000, 70_000} {
				for name, padding := range map[string]Padding{"padmé": {}, "none": NoPadding(), "bucket": Buckets(1 << 17)} {
					l.Padding = padding
					content := content(n)
					cryptotest.SetGlobalRandom(t, uint64(n))
					want := seal(t, &l.Sealer, string(content))
					cryptotest.SetGlobalRandom(t, uint64(n))
					got := sealedInSteps(t, &l.Sealer, content)
					if !bytes.Equal(got, want) {
						t.Errorf("%s, %d bytes, padding %s: another message", l.name, n, name)
					}
					data, h, possible, err := openedInSteps(&l.Opener, want)
					if err != nil || !possible || !bytes.Equal(data, content) || h.ContentType != l.ContentType {
						t.Errorf("%s, %d bytes, padding %s: %v, %v", l.name, n, name, possible, err)
					}
				}
			}
		}
	})
}

// What is refused is refused in steps too, for the same reason: all vectors, and each message
// that opens with any one of its bytes changed.
func TestStepsRefuseTheSame(t *testing.T) {
	eachVector(t, func(t *testing.T, v vector) {
		if v.Kind != "envelope" {
			return
		}
		o := v.opener(t)
		want, _, wantErr := o.Open(nil, v.Sealed)
		got, _, possible, err := openedInSteps(o, v.Sealed)
		if aes := strings.Contains(t.Name(), "-aes-") || strings.Contains(t.Name(), "xaes"); !possible && !aes {
			t.Error("not in steps")
		}
		if possible && (ReasonOf(err) != ReasonOf(wantErr) || !bytes.Equal(got, want)) {
			t.Errorf("got %v (%v), want %v (%v)", err, ReasonOf(err), wantErr, ReasonOf(wantErr))
		}
	})
	for _, l := range links(t) {
		sealed := seal(t, &l.Sealer, "message")
		for i := range sealed {
			if i > 600 && i < len(sealed)-400 { // within sealed keys
				continue
			}
			changed := bytes.Clone(sealed)
			changed[i] ^= 1
			_, _, wantErr := l.Opener.Open(nil, changed)
			if _, _, _, err := openedInSteps(&l.Opener, changed); err == nil || ReasonOf(err) != ReasonOf(wantErr) {
				t.Errorf("%s, byte %d: %v (%v), want %v", l.name, i, err, ReasonOf(err), ReasonOf(wantErr))
			}
		}
	}
}

// The guard counts at the last step, and once, however many openings of one message overlap.
func TestStepsOpenOnce(t *testing.T) {
	for _, l := range links(t) {
		l.InsecureAllowReplay, l.Replay = false, anyTime()
		sealed := seal(t, &l.Sealer, "message")
		finish := func() func() error {
			m, err := webcrypto.Open(&l.Opener, bytes.Clone(sealed))
			if err != nil {
				t.Fatal(err)
			}
			body := sealed[m.At:][:m.Size]
			digest := sha256.Sum256(slices.Concat(m.Before, body, m.After))
			key, err := m.Verify(digest[:])
			if err != nil {
				t.Fatal(err)
			}
			padded, _ := gcm.New(key.Key).Open(nil, key.Nonce, body[key.Start:], key.AAD)
			return func() error { _, _, err := m.Finish(padded); return err }
		}
		first, second := finish(), finish()
		if err := second(); err != nil {
			t.Errorf("%s: %v", l.name, err)
		}
		if err := first(); ReasonOf(err) != ReasonReplay {
			t.Errorf("%s: opened again: %v", l.name, err)
		}
	}
}
