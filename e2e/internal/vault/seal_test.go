package vault

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
)

func newVault(t *testing.T) Vault {
	t.Helper()
	set, err := keys.GenerateSharedKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return Vault{sessionstore.Memory(), set}
}

// What is sealed for one place in the store opens there, and nowhere else.
func TestSealedOpensInItsPlaceOnly(t *testing.T) {
	v, one, two := newVault(t), [32]byte{1}, [32]byte{2}
	places := map[string][]byte{
		"head":                      headData(one, two),
		"head of another id":        headData(one, one),
		"head of another record":    headData(two, two),
		"part":                      partData(one, two),
		"part of another record":    partData(two, two),
		"record":                    recordData(one, 1),
		"record of another version": recordData(one, 2),
		"record of another session": recordData(two, 1),
	}
	for at := range places {
		sealed, err := v.seal([]byte("secret"), slices.Clone(places[at]))
		if err != nil {
			t.Fatal(err)
		}
		for from := range places {
			plain, err := v.open(sealed, slices.Clone(places[from]))
			if from == at && (err != nil || string(plain) != "secret") || from != at && err != errSealed {
				t.Errorf("sealed as %s, opened as %s: %q, %v", at, from, plain, err)
			}
		}
		if _, err := newVault(t).open(sealed, slices.Clone(places[at])); err != errSealed {
			t.Errorf("%s opens with other keys: %v", at, err)
		}
	}
}

// Whatever a store says of a record, only what is inside counts.
func TestRecordExpiresByTheTimeInside(t *testing.T) {
	v := newVault(t)
	for _, lasts := range []time.Duration{time.Hour, -time.Second} {
		r := sessionstore.Record{Key: [32]byte{1}, Version: 3}
		parts := []part{{id: [32]byte{4}, hash: [32]byte{5}, first: 6, last: 7}}
		if err := v.sealRecord(&r, contents{time.Now().Add(lasts), parts, []byte("state")}); err != nil {
			t.Fatal(err)
		}
		r.Expires, r.Parts = time.Now().Add(24*time.Hour), nil
		c, err := v.openRecord(r)
		if lasts < 0 {
			if err != errSealed {
				t.Errorf("a record that has expired opens: %v", err)
			}
			continue
		}
		if err != nil || string(c.state) != "state" || !slices.Equal(c.parts, parts) || time.Until(c.expires) > lasts {
			t.Errorf("%+v, %v", c, err)
		}
	}
}

// A record counts on the very parts that it was sealed with.
func TestPartsAreThoseOfTheRecord(t *testing.T) {
	v, key := newVault(t), [32]byte{1}
	sealed := func(message string) *sealedPart {
		p, err := v.sealPart(key, engine.Apart{First: 1, Messages: []byte(message)}, 2, time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p, other := sealed("messages"), sealed("others")
	if _, err := v.loadParts(t.Context(), key, []part{p.part}); !errors.Is(err, errPart) {
		t.Errorf("a part that is not stored: %v", err)
	}
	if err := v.Store.SavePart(t.Context(), p.stored); err != nil {
		t.Fatal(err)
	}
	all, err := v.loadParts(t.Context(), key, []part{p.part})
	if err != nil || len(all) != 1 || all[0].First != 1 || !bytes.Equal(all[0].Messages, []byte("messages")) {
		t.Errorf("%+v, %v", all, err)
	}
	wrong := p.part
	wrong.hash = other.hash
	if _, err := v.loadParts(t.Context(), key, []part{wrong}); !errors.Is(err, errPart) {
		t.Errorf("another part under this id: %v", err)
	}
}
