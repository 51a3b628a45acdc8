package keystore

import (
	"errors"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/version"
	"github.com/hopseal/hopseal/keys/trust"
)

// frozen is the contents of a store at one moment, as they stand in its file. Nobody else has these
// objects, and they never change.
type frozen struct {
	generation uint64
	identity   *keys.Identity
	shared     []frozenKeyset
	known      []byte
	tally      tally
}

type frozenKeyset struct {
	name string
	set  *keys.SharedKeyset
}

func (a frozenKeyset) compare(b frozenKeyset) int { return compareNames(a.name, b.name) }

func (a namedKeyset) compare(b namedKeyset) int { return compareNames(a.name, b.name) }

func compareNames(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// freeze takes the states in use. The known peers are taken as they were last
// written: their own lock comes before the store's.
func (s *Store) freeze() frozen { return s.contents.freeze(s.known) }

func (c *contents) freeze(known []byte) frozen {
	f := frozen{identity: identities.Copy(c.identity), known: known, tally: c.tally}
	for _, n := range c.shared {
		f.shared = append(f.shared, frozenKeyset{n.name, sharedKeysets.Copy(n.set)})
	}
	return f
}

func (f frozen) thaw() contents {
	known, err := trust.ParseKnownPeers(f.known)
	if err != nil {
		panic(err) // parseFrozen has read it
	}
	c := contents{generation: f.generation, identity: identities.Copy(f.identity), known: known, tally: f.tally}
	for _, k := range f.shared {
		c.shared = append(c.shared, namedKeyset{k.name, sharedKeysets.Copy(k.set)})
	}
	return c
}

// append writes the contents:
//
//	array(6) [ version=1, generation, identity bin, shared array of array(2) [ name str, keyset ], known peers bin, tally ]
func (f frozen) append(dst []byte) ([]byte, error) {
	identity, err := f.identity.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		return nil, err
	}
	dst = strict.AppendUint(strict.AppendArray(dst, 6), 1)
	dst = strict.AppendUint(dst, f.generation)
	dst = strict.AppendBin(dst, identity)
	dst = strict.AppendArray(dst, len(f.shared))
	for _, k := range f.shared {
		dst = strict.AppendStr(strict.AppendArray(dst, 2), k.name)
		if dst, err = sharedKeysets.Append(dst, k.set); err != nil {
			return nil, err
		}
	}
	return f.tally.append(strict.AppendBin(dst, f.known), f.keys()), nil
}

// maxIdentitySize has room for as many sealing keys as there may be, with 1.4 KB each.
const maxIdentitySize = 1 << 20

var errContents = errors.New("keys: not a store's contents")

func parseFrozen(b []byte) (f frozen, err error) {
	defer version.Later(&err, b, 1)
	r := strict.NewReader(b)
	r.Array(6)
	version := r.Uint()
	f.generation = r.Uint()
	if f.identity, err = keys.ParseCleartextIdentity(r.Bin(1, maxIdentitySize), insecurecleartext.Token{}); err != nil {
		return frozen{}, err
	}
	for range r.ArrayLen(0, len(b)) {
		r.Array(2)
		name := r.Str(1, MaxKeysetName)
		set, err := sharedKeysets.Parse(&r)
		if n := len(f.shared); err != nil || n > 0 && f.shared[n-1].name >= name {
			return frozen{}, errContents
		}
		f.shared = append(f.shared, frozenKeyset{name, set})
	}
	f.known = r.Bin(1, len(b))
	f.tally = parseTally(&r, f.keys())
	if r.Done() != nil || version != 1 {
		return frozen{}, errContents
	}
	_, err = trust.ParseKnownPeers(f.known)
	return f, err
}
