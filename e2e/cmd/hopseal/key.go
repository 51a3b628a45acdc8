//go:build !js

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
	"github.com/hopseal/hopseal/keys/trust"
)

func (c *call) storeFlag() {
	c.StringVar(&c.store, "store", c.getenv(envStore), "`path` of the store, by default what "+envStore+" names")
}

// storePath checks that a store was named.
func (c *call) storePath() (string, error) {
	if c.store == "" {
		return "", c.wrong("no store is named: give -store PATH, or set " + envStore)
	}
	return c.store, nil
}

// existingStore returns the path of a store that exists, and its secret.
func (c *call) existingStore(ctx context.Context) (string, keystore.Secret, error) {
	path, err := c.storePath()
	if err != nil {
		return "", nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("there is no store %s: make one with 'hopseal key new -name NAME', or name another with -store or %s", path, envStore)
	}
	secret, err := c.secret(ctx, path, false)
	return path, secret, err
}

// read opens the store for reading, which works while a service has it open.
func (c *call) read(ctx context.Context) (*keystore.Replica, error) {
	path, secret, err := c.existingStore(ctx)
	if err != nil {
		return nil, err
	}
	defer c.progress("unlocking " + path)()
	r, err := keystore.OpenReplica(ctx, path, secret)
	return r, interrupted(ctx, err)
}

// contents are the methods that a Store and a Replica have in common.
type contents interface {
	Identity() *keys.Identity
	KnownPeers() *trust.KnownPeers
	SharedKeyset(string) (*keys.SharedKeyset, bool)
	SharedKeysets() []string
}

// keysOf lists the keys of all keysets of a store.
func keysOf(s contents) []keyResult {
	var out []keyResult
	for _, k := range s.Identity().Keys() {
		out = append(out, describeKey("", k))
	}
	for _, name := range s.SharedKeysets() {
		set, _ := s.SharedKeyset(name)
		for _, k := range set.Keys() {
			out = append(out, describeKey(name, k))
		}
	}
	return out
}

// selection is the keyset that a call is about.
type selection struct{ use, shared string }

func (c *call) selectFlags() *selection {
	var s selection
	c.StringVar(&s.use, "use", "", "the identity's `signing` or sealing keys")
	c.StringVar(&s.shared, "shared", "", "the shared keyset of this `name`")
	return &s
}

func (c *call) checkSelection(s *selection) error {
	switch {
	case s.use != "" && s.shared != "":
		return c.wrong("-use and -shared are about different keys: give one")
	case s.use != "" && s.use != keys.UseSigning.String() && s.use != keys.UseSealing.String():
		return c.wrong(fmt.Sprintf("-use is signing or sealing, not %q", s.use))
	}
	return nil
}

func (s selection) any() bool { return s == selection{} }

func (s selection) includes(k keyResult) bool {
	return s.any() || s.shared == "" && k.Use == s.use || s.shared != "" && k.Keyset == s.shared
}

// ref returns the name of the selected keyset.
func (s selection) ref() keystore.KeyRef { return refOf(s.use, s.shared) }

func refOf(use, keyset string) keystore.KeyRef {
	switch {
	case keyset != "":
		return keystore.KeyRef{Use: keys.UseShared, Keyset: keyset}
	case use == keys.UseSigning.String():
		return keystore.KeyRef{Use: keys.UseSigning}
	}
	return keystore.KeyRef{Use: keys.UseSealing}
}

// find returns the key with that number.
func (s selection) find(store contents, number string) (keystore.KeyRef, error) {
	id, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return keystore.KeyRef{}, fmt.Errorf("%q is not a key's number: 'hopseal key show' lists them", number)
	}
	var found []keyResult
	for _, k := range keysOf(store) {
		if k.Key == uint32(id) && s.includes(k) {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		return keystore.KeyRef{}, fmt.Errorf("there is no key %d here: 'hopseal key show' lists them", id)
	case 1:
		ref := refOf(found[0].Use, found[0].Keyset)
		ref.TinkID = uint32(id)
		return ref, nil
	}
	var sets []string
	for _, k := range found {
		sets = append(sets, k.set())
	}
	return keystore.KeyRef{}, fmt.Errorf("key %d is in several keysets (%s): give -use or -shared", id, strings.Join(sets, ", "))
}

// hasShared checks that the store has the keyset.
func hasShared(s contents, name string) error {
	if !slices.Contains(s.SharedKeysets(), name) {
		return fmt.Errorf("the store has no shared keyset %q: 'hopseal key show' lists them", name)
	}
	return nil
}
