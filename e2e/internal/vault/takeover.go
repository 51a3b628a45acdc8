package vault

import (
	"context"
	"errors"

	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/sleep"
)

// TakeOver claims the session that a client has stored under a name, in its latest state. The
// result has no Session if none is stored. TakeOver removes an unusable record, such as one that
// has expired; dropped says why.
func (v Vault) TakeOver(ctx context.Context, name string, cfg engine.Config) (s Stored, dropped, err error) {
	for {
		s, err = v.findNamed(ctx, NameID(name), cfg)
		switch {
		case errors.Is(err, sessionstore.ErrNotStored) && s.record.Version > 0:
			dropped = err
			err = v.Delete(ctx, s)
			s = Stored{}
		case errors.Is(err, sessionstore.ErrNotStored):
			return Stored{}, nil, nil
		case err == nil:
			err = v.Claim(ctx, &s)
		}
		if !errors.Is(err, sessionstore.ErrFenced) { // fenced: the owner has saved meanwhile
			return s, dropped, err
		}
		dropped = nil
		if err = sleep.For(ctx, RetryFirst); err != nil {
			return Stored{}, nil, err
		}
	}
}

// findNamed returns the session that a client's name leads to.
func (v Vault) findNamed(ctx context.Context, name [32]byte, cfg engine.Config) (s Stored, err error) {
	key, _, err := v.Find(ctx, name)
	if err == nil {
		return v.Load(ctx, key, cfg)
	}
	if key == [32]byte{} || !errors.Is(err, sessionstore.ErrNotStored) {
		return s, err
	}
	// The head does not open. The record that it leads to must go before another can be saved.
	record, loadErr := v.Store.Load(ctx, key)
	if loadErr != nil {
		return s, loadErr
	}
	return Stored{record: record}, err
}
