package vault

import (
	"context"
	"errors"

	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
)

// TakeOver claims the session that a client has stored under a name, as it is then. The result
// has no Session if none is stored. An unusable record, such as one that has expired, is removed;
// dropped says why.
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
		if !errors.Is(err, sessionstore.ErrFenced) { // by the owner, who has saved
			return s, dropped, err
		}
		dropped = nil
		if err = sleep(ctx, RetryFirst); err != nil {
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
	// The head does not open. The record that it leads to is in the way of another one.
	record, loadErr := v.Store.Load(ctx, key)
	if loadErr != nil {
		return s, loadErr
	}
	return Stored{record: record}, err
}
