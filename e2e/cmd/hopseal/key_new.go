//go:build !js

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
)

// newResult is what 'key new' made.
type newResult struct {
	Store  string `json:"store"`
	Shared string `json:"shared,omitempty"`
	doneBy
	identityResult
}

func (r newResult) text(w io.Writer) {
	if r.Shared != "" {
		fmt.Fprintf(w, "made shared keyset %s in %s\n", safetext.Quote(r.Shared, 200), shown(r.Store))
		r.doneBy.text(w)
		return
	}
	fmt.Fprintf(w, "made %s\n", shown(r.Store))
	r.identityResult.text(w)
}

func keyNew(ctx context.Context, c *call) error {
	c.storeFlag()
	name := c.String("name", "", "the `name` that others will see; makes a new store")
	shared := c.String("shared", "", "the `name` of a shared keyset to make in the store")
	if err := c.parse(0, 0); err != nil {
		return err
	}
	switch {
	case (*name == "") == (*shared == ""):
		return c.wrong("give -name NAME to make a store, or -shared NAME to add a shared keyset to one")
	case *shared != "":
		return c.newShared(ctx, *shared)
	}
	id, err := keys.GenerateIdentity(*name)
	if err != nil {
		return err
	}
	s, err := c.create(ctx, id)
	if err != nil {
		return err
	}
	defer s.Close()
	return c.print(newResult{Store: s.Path(), identityResult: describe(id.Public())})
}

// create makes the store for an identity.
func (c *call) create(ctx context.Context, id *keys.Identity) (*keystore.Store, error) {
	path, secret, err := c.newStorePath(ctx)
	if err != nil {
		return nil, err
	}
	defer c.progress("making " + path)()
	return keystore.Create(ctx, path, secret, id)
}

// newStorePath returns the path of a store that does not exist yet, and its secret.
func (c *call) newStorePath(ctx context.Context) (string, keystore.Secret, error) {
	path, err := c.storePath()
	if err != nil {
		return "", nil, err
	}
	if err := mustBeFree(path); err != nil {
		return "", nil, err
	}
	secret, err := c.secret(ctx, path, true)
	return path, secret, err
}

func (c *call) newShared(ctx context.Context, name string) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	set, err := keys.GenerateSharedKeyset()
	if err != nil {
		return err
	}
	if err := s.PutSharedKeyset(name, set); err != nil {
		return fmt.Errorf("%w: choose another name", err)
	}
	return c.print(newResult{Store: s.Path(), Shared: name, doneBy: s.doneBy(), identityResult: describe(s.Identity().Public())})
}
