package vault

import (
	"context"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/e2e/sessionstore"
)

// Bounded wraps a store: calls end with their contexts, panics become errors, and at most so many
// calls are under way.
func Bounded(store sessionstore.Store, calls int) sessionstore.Store {
	return bounded{store, aside.Limit(calls)}
}

type bounded struct {
	store sessionstore.Store
	turns aside.Turns
}

func (b bounded) Find(ctx context.Context, id [32]byte) (key [32]byte, head []byte, err error) {
	type found struct {
		key  [32]byte
		head []byte
	}
	f, err := aside.Call(ctx, b.turns, func(ctx context.Context) (f found, err error) {
		f.key, f.head, err = b.store.Find(ctx, id)
		return f, err
	})
	return f.key, f.head, err
}

func (b bounded) Load(ctx context.Context, key [32]byte) (sessionstore.Record, error) {
	return aside.Call(ctx, b.turns, func(ctx context.Context) (sessionstore.Record, error) { return b.store.Load(ctx, key) })
}

func (b bounded) LoadPart(ctx context.Context, key, id [32]byte) ([]byte, error) {
	return aside.Call(ctx, b.turns, func(ctx context.Context) ([]byte, error) { return b.store.LoadPart(ctx, key, id) })
}

func (b bounded) Save(ctx context.Context, r sessionstore.Record) error {
	return aside.Do(ctx, b.turns, func(ctx context.Context) error { return b.store.Save(ctx, r) })
}

func (b bounded) SavePart(ctx context.Context, p sessionstore.Part) error {
	return aside.Do(ctx, b.turns, func(ctx context.Context) error { return b.store.SavePart(ctx, p) })
}

func (b bounded) Delete(ctx context.Context, key [32]byte, version uint64) error {
	return aside.Do(ctx, b.turns, func(ctx context.Context) error { return b.store.Delete(ctx, key, version) })
}

func (b bounded) Sweep(ctx context.Context) error { return aside.Do(ctx, b.turns, b.store.Sweep) }
