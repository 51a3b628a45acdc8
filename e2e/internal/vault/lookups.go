package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
)

// Limits on what strangers can make a server ask its store for.
const (
	mostFinds = 64 // ids looked up at a time
	mostLoads = 64 // sessions loaded at a time, each for a client that has shown its secret
)

// Lookups limit what strangers can make a server ask its store for. Whoever wants to go on with a
// session sends an id, and every hop has seen the ids of others.
type Lookups struct {
	vault        Vault
	finds, loads aside.Turns
}

// NewLookups returns the look-ups of a server. The calls of the store need no other bound.
func NewLookups(v Vault) *Lookups {
	return &Lookups{v, aside.Limit(mostFinds), aside.Limit(mostLoads)}
}

// A Lead is what the id in a first frame leads to: the Key of a record, and the resume secret.
type Lead struct{ Key, Secret [32]byte }

// Find returns what an id leads to. The error matches [sessionstore.ErrNotStored] if the id leads
// to nothing, and otherwise [sessionstore.ErrUnavailable].
func (l *Lookups) Find(ctx context.Context, id [32]byte) (Lead, error) {
	to, err := aside.Call(ctx, l.finds, func(ctx context.Context) (Lead, error) { return l.vault.lead(ctx, id) })
	if err != nil && !errors.Is(err, sessionstore.ErrNotStored) {
		err = fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
	}
	return to, err
}

func (v Vault) lead(ctx context.Context, id [32]byte) (to Lead, err error) {
	key, secret, err := v.Find(ctx, id)
	if err != nil {
		return to, err
	}
	defer clear(secret)
	if len(secret) != len(to.Secret) { // the id is that of a client's name
		return to, sessionstore.ErrNotStored
	}
	return Lead{key, [32]byte(secret)}, nil
}

// Load is [Vault.Load].
func (l *Lookups) Load(ctx context.Context, key [32]byte, cfg engine.Config) (Stored, error) {
	return aside.Call(ctx, l.loads, func(ctx context.Context) (Stored, error) { return l.vault.Load(ctx, key, cfg) })
}
