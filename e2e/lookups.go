package e2e

import (
	"context"
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/e2e/internal/lobby"
	"github.com/hopseal/hopseal/e2e/internal/vault"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// What strangers can have a server ask its store for.
const (
	mostFinds = 64 // look-ups of ids at a time
	mostLoads = 64 // sessions that are read at a time, each for a client that has shown its secret
)

// lookups bound what a server asks its store for. Whoever wants to go on with a session
// sends an id, and every hop has seen those of others.
type lookups struct {
	vault        vault.Vault   // which returns when it likes
	finds, loads chan struct{} // hold a token for each that is under way
	suspects     *lobby.Suspects
}

func newLookups(cfg config, mostPerAddress int) lookups {
	return lookups{
		vault:    vault.Vault{Store: cfg.Store, Keys: cfg.StoreKeys},
		finds:    make(chan struct{}, mostFinds),
		loads:    make(chan struct{}, mostLoads),
		suspects: lobby.NewSuspects(max(1, mostPerAddress/4), sessionstore.ErrNotStored),
	}
}

// A lead is what a first frame leads to.
type lead struct{ key, secret [32]byte }

// find looks up what an id leads to, and has it followed. It costs one small read, and where
// it comes to nothing, which the error says by [sessionstore.ErrNotStored], some patience.
func (l *lookups) find(ctx context.Context, from transport.Info, id [32]byte, follow func(lead) error) error {
	return l.suspects.Do(ctx, lobby.AddressOf(from), func() error {
		to, err := aside.Call(ctx, l.finds, func(ctx context.Context) (lead, error) { return l.read(ctx, id) })
		defer clear(to.secret[:])
		switch {
		case err == nil:
			return follow(to)
		case errors.Is(err, sessionstore.ErrNotStored):
			return err
		}
		return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
	})
}

func (l *lookups) read(ctx context.Context, id [32]byte) (to lead, err error) {
	key, secret, err := l.vault.Find(ctx, id)
	if err != nil {
		return to, err
	}
	defer clear(secret)
	if len(secret) != len(to.secret) { // the id is a client's name
		return to, sessionstore.ErrNotStored
	}
	return lead{key, [32]byte(secret)}, nil
}

// load reads a session.
func (l *lookups) load(ctx context.Context, key [32]byte, cfg engine.Config) (vault.Stored, error) {
	return aside.Call(ctx, l.loads, func(ctx context.Context) (vault.Stored, error) { return l.vault.Load(ctx, key, cfg) })
}
