package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/keys"
)

// Of all ways to set the fields that decide how, exactly three seal and three
// open: what is set beside them was meant for something.
func TestEveryChoiceOfFields(t *testing.T) {
	alice, bob, shared := identity(t, "alice"), identity(t, "bob"), sharedKeyset(t)
	sealing := map[byte]Suite{0b00011: SuiteRecipients, 0b11100: SuiteShared, 0b10101: SuiteSharedSigned}
	opening := map[byte]Suite{0b00011: SuiteRecipients, 0b11100: SuiteShared, 0b01111: SuiteSharedSigned}
	for set := range byte(1 << 5) {
		has := func(bit int) bool { return set>>bit&1 == 1 }
		var s Sealer
		if has(0) {
			s.From = alice
		}
		if has(1) {
			s.To = []*keys.PublicIdentity{bob.Public()}
		}
		if has(2) {
			s.Shared = shared
		}
		if has(3) {
			s.Party = "a"
		}
		if has(4) {
			s.ToParty = "b"
		}
		got, err := s.suite()
		if want := sealing[set]; got != want || (err == nil) != (want != 0) {
			t.Errorf("Sealer with fields %05b: suite %d, %v, want %d", set, got, err, want)
		}
		o := Opener{InsecureAllowReplay: true}
		if has(0) {
			o.Identity = bob
		}
		if has(1) {
			o.From = alice.Public()
		}
		if has(2) {
			o.Shared = shared
		}
		if has(3) {
			o.Party = "b"
		}
		if has(4) {
			o.FromParty = "a"
		}
		got, err = o.suite()
		if want := opening[set]; got != want || (err == nil) != (want != 0) {
			t.Errorf("Opener with fields %05b: suite %d, %v, want %d", set, got, err, want)
		}
		for name, err := range map[string]error{
			"NewReader":   second(o.NewReader(bytes.NewReader(nil))),
			"NewReaderAt": second(o.NewReaderAt(bytes.NewReader(nil), 0)),
			"NewWriter":   second(s.NewWriter(io.Discard)),
		} {
			usable := opening[set] != 0
			if name == "NewWriter" {
				if usable = sealing[set] != 0; usable == (err == nil) {
					continue
				}
			}
			if errors.Is(err, ErrOpen) != usable {
				t.Errorf("%s with fields %05b: %v", name, set, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// Each text is looked at by itself, and each error says what is wrong.
func TestSealerSaysWhatIsWrong(t *testing.T) {
	all := links(t)
	shared, people := all[0].Sealer, all[2].Sealer
	for name, c := range map[string]struct {
		base   Sealer
		change func(*Sealer)
		want   string
	}{
		"party":         {shared, func(s *Sealer) { s.Party = "\xff" }, "not UTF-8"},
		"receiver":      {shared, func(s *Sealer) { s.ToParty = "\xff" }, "not UTF-8"},
		"content type":  {shared, func(s *Sealer) { s.ContentType = "\xff" }, "not UTF-8"},
		"context":       {shared, func(s *Sealer) { s.Context = "\xff" }, "not UTF-8"},
		"long party":    {shared, func(s *Sealer) { s.Party = strings.Repeat("x", MaxPartySize+1) }, "too long"},
		"long receiver": {shared, func(s *Sealer) { s.ToParty = strings.Repeat("x", MaxPartySize+1) }, "too long"},
		"recipients": {people, func(s *Sealer) { s.To = slices.Repeat(s.To[:1], MaxRecipients+1) },
			fmt.Sprintf("at most %d recipients", MaxRecipients)},
		"one twice": {people, func(s *Sealer) { s.To = slices.Repeat(s.To[:1], 2) }, "for two recipients"},
	} {
		c.change(&c.base)
		if _, err := c.base.Seal(nil, nil); err == nil || errors.Is(err, ErrOpen) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one that says %q", name, err, c.want)
		}
	}
}
