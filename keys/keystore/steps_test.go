package keystore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// held says which keys the store holds at which stage.
func held(s *Store) string {
	var out []string
	for _, ref := range []KeyRef{{Use: keys.UseSigning}, {Use: keys.UseSealing}, {Use: keys.UseShared, Keyset: "orders"}} {
		for _, k := range s.keys(ref) {
			out = append(out, fmt.Sprintf("%v:%d:%v", k.Use, k.TinkID, k.Stage))
		}
	}
	return strings.Join(out, " ")
}

// A step of a store, with the stage that a key of the set is brought to before.
type storeStep struct {
	name   string
	before keys.Stage
	take   func(*Store, KeyRef) error
}

var lifeSteps = []storeStep{
	{"add", 0, func(s *Store, ref KeyRef) error { ref.TinkID = 0; _, err := s.Add(ref); return err }},
	{"promote", keys.StagePending, (*Store).Promote},
	{"disable", keys.StageRetiring, (*Store).Disable},
	{"destroy", keys.StageArchived, (*Store).Destroy},
	{"renew", 0, func(s *Store, _ KeyRef) error { return s.Renew() }},
	{"revoke", 0, func(s *Store, _ KeyRef) error { return s.Revoke() }},
	{"put", 0, func(s *Store, _ KeyRef) error {
		set, err := keys.GenerateSharedKeyset()
		return errors.Join(err, s.PutSharedKeyset("invoices", set))
	}},
	{"admit", 0, func(s *Store, _ KeyRef) error {
		peer, err := keys.GenerateIdentity("peer")
		if err != nil {
			return err
		}
		return s.KnownPeers().Admit(trust.Expected{Room: "blue"}, peer.Public())
	}},
}

// takeStep takes the step of that name, "use step", of the key that it is about.
func takeStep(s *Store, name string) error {
	use, verb, _ := strings.Cut(name, " ")
	ref := KeyRef{Use: keys.UseSigning}
	if use == "shared" {
		ref = KeyRef{Use: keys.UseShared, Keyset: "orders"}
	}
	for _, step := range lifeSteps {
		if step.name != verb {
			continue
		}
		for _, k := range s.keys(ref) {
			if k.Stage == step.before {
				ref.TinkID = k.TinkID
			}
		}
		return step.take(s, ref)
	}
	return fmt.Errorf("no step %q", name)
}
