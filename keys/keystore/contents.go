package keystore

import (
	"errors"
	"time"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/ring"
	"github.com/hopseal/hopseal/keys/internal/version"
	"github.com/hopseal/hopseal/keys/trust"
)

// frozen is the contents of a store at one moment, as its file holds them. Nobody else has these
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

// contents is what a store or a replica holds now: the objects stay, and their states change.
type contents struct {
	generation uint64 // of writes
	identity   *keys.Identity
	shared     []namedKeyset // by name, ascending
	known      *trust.KnownPeers
	tally      tally
}

type namedKeyset struct {
	name string
	set  *keys.SharedKeyset
}

// MaxKeysetName is the longest name of a shared keyset in a store, in bytes.
const MaxKeysetName = 128

func (c *contents) keysetNames() []string {
	names := make([]string, len(c.shared))
	for i, n := range c.shared {
		names[i] = n.name
	}
	return names
}

func (c *contents) keyset(name string) (*keys.SharedKeyset, bool) {
	for _, n := range c.shared {
		if n.name == name {
			return n.set, true
		}
	}
	return nil, false
}

// reserved returns how many messages a pair may have sealed, by the store's file.
func (c *contents) reserved(name string, id [32]byte) uint64 {
	set, _ := c.keyset(name)
	n, _ := sharedKeysets.Reserved(set, id)
	return n
}

// keys lists all keys in the order in which they are written. A pair is listed by its AEAD's id.
func (f frozen) keys() (out []heldKey) {
	add := func(use keys.Use, name string, r ring.Ring) {
		for _, l := range r.Lives {
			out = append(out, heldKey{KeyRef{use, name, l.ID}, l, keys.Stage(l.Stage())})
		}
	}
	signing, sealing := identities.Rings(f.identity)
	add(keys.UseSigning, "", signing)
	add(keys.UseSealing, "", sealing)
	for _, k := range f.shared {
		aeads, _ := sharedKeysets.Rings(k.set)
		add(keys.UseShared, k.name, aeads)
	}
	return out
}

// listedUntil returns until when the statement that lists a key for peers to seal to is valid. If the
// key retired before the store knew of it, it returns the latest time possible.
func (f frozen) listedUntil(k heldKey, known bool) int64 {
	switch {
	case k.ref.Use != keys.UseSealing:
		return 0
	case k.stage == keys.StagePrimary && !f.identity.Public().Revoked():
		return f.identity.Public().Expires().Unix()
	case k.stage == keys.StageRetiring && !known:
		return int64(k.Retired) + int64(keys.MaxLifetime/time.Second)
	}
	return 0
}
