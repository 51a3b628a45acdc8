package envelope

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// Nothing is sealed that nobody would open: whose own statement has expired is told so by name,
// and which recipient's has.
func TestSealerWithAnExpiredIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		me, peer := made(keys.GenerateIdentity("me")), made(keys.GenerateIdentity("peer"))
		shared := made(keys.GenerateSharedKeyset())
		time.Sleep(keys.MaxLifetime)
		theirs := made(keys.GenerateIdentity("their"))
		uses := map[string]func(*Sealer) error{
			"Seal":      func(s *Sealer) error { _, err := s.Seal(nil, nil); return err },
			"SealValue": func(s *Sealer) error { _, err := SealValue(s, nil, "x"); return err },
			"NewWriter": func(s *Sealer) error { _, err := s.NewWriter(io.Discard); return err },
		}
		for name, use := range uses {
			for _, s := range []*Sealer{{From: me, To: []*keys.PublicIdentity{theirs.Public()}}, {From: me, Shared: shared, ToParty: "b"}} {
				if err := use(s); !errors.Is(err, keys.ErrExpired) || !strings.Contains(err.Error(), "Sealer.From: keys: the identity "+me.Fingerprint().String()+" expired at ") {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := use(&Sealer{Shared: shared, Party: "a", ToParty: "b"}); err != nil {
				t.Errorf("%s, without an identity: %v", name, err)
			}
			s := &Sealer{From: theirs, To: []*keys.PublicIdentity{theirs.Public(), peer.Public()}}
			want := fmt.Sprintf("the statement of recipient 1 expired at %s", peer.Public().Expires().UTC().Format(time.RFC3339))
			if err := use(s); err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, keys.ErrExpired) {
				t.Errorf("%s, to an expired recipient: %v", name, err)
			}
		}
		if err := me.Renew(); err != nil {
			t.Fatal(err)
		}
		if err := uses["Seal"](&Sealer{From: me, Shared: shared, ToParty: "b"}); err != nil {
			t.Error(err)
		}
	})
}

// An Opener that has an old copy of the sender's statement says so to its caller, and nothing to
// anybody else. That of today opens the message.
func TestOpenerWithAnExpiredStatementOfTheSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		me, peer := made(keys.GenerateIdentity("me")), made(keys.GenerateIdentity("peer"))
		copied := peer.Public()
		time.Sleep(keys.MaxLifetime)
		if err := errors.Join(me.Renew(), peer.Renew()); err != nil {
			t.Fatal(err)
		}
		sealed := made((&Sealer{From: peer, To: []*keys.PublicIdentity{me.Public()}}).Seal(nil, []byte("hello")))
		o := Opener{Identity: me, From: copied, InsecureAllowReplay: true}
		if _, _, err := o.Open(nil, sealed); ReasonOf(err) != ReasonExpired || err.Error() != ErrOpen.Error() {
			t.Errorf("%v (%v)", err, ReasonOf(err))
		}
		o.From = peer.Public()
		if data, _, err := o.Open(nil, sealed); err != nil || string(data) != "hello" {
			t.Error(string(data), err)
		}
	})
}
