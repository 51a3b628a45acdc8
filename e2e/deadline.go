package e2e

import (
	"context"

	"github.com/hopseal/hopseal/e2e/sessionstore"
)

// A store is not this package's, and neither are a Verifier, Authenticate and Credentials: behind
// them may be a disk, a file that another machine has locked or a service, and they take for
// ever, whatever their context says. So nobody waits for one longer than that lasts. Each call
// that has not returned keeps a goroutine, and one of so many turns.

// mostOfClient is how many turns a client has, which has one session.
const mostOfClient = 16

// aside makes a call in one of so many turns, which is kept until the call has returned. The
// error is the context's where that ends before; the call may have its effect all the same.
func aside[T any](ctx context.Context, turns chan struct{}, call func(context.Context) (T, error)) (none T, _ error) {
	select {
	case turns <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	return within(ctx, func(ctx context.Context) (T, error) {
		defer func() { <-turns }()
		return call(ctx)
	})
}

// deadlined is a store whose calls end with their contexts, and whose panics are errors.
type deadlined struct {
	store sessionstore.Store
	turns chan struct{}
}

func (c config) deadlined(turns int) deadlined {
	return deadlined{c.Store, make(chan struct{}, turns)}
}

// do is aside for what returns nothing but an error.
func (d deadlined) do(ctx context.Context, call func(context.Context) error) error {
	_, err := aside(ctx, d.turns, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
	return err
}

func (d deadlined) Find(ctx context.Context, id [32]byte) (key [32]byte, head []byte, err error) {
	type found struct {
		key  [32]byte
		head []byte
	}
	f, err := aside(ctx, d.turns, func(ctx context.Context) (f found, err error) {
		f.key, f.head, err = d.store.Find(ctx, id)
		return f, err
	})
	return f.key, f.head, err
}

func (d deadlined) Load(ctx context.Context, key [32]byte) (sessionstore.Record, error) {
	return aside(ctx, d.turns, func(ctx context.Context) (sessionstore.Record, error) { return d.store.Load(ctx, key) })
}

func (d deadlined) LoadPart(ctx context.Context, key, id [32]byte) ([]byte, error) {
	return aside(ctx, d.turns, func(ctx context.Context) ([]byte, error) { return d.store.LoadPart(ctx, key, id) })
}

func (d deadlined) Save(ctx context.Context, s sessionstore.Record) error {
	return d.do(ctx, func(ctx context.Context) error { return d.store.Save(ctx, s) })
}

func (d deadlined) SavePart(ctx context.Context, p sessionstore.Part) error {
	return d.do(ctx, func(ctx context.Context) error { return d.store.SavePart(ctx, p) })
}

func (d deadlined) Delete(ctx context.Context, key [32]byte, version uint64) error {
	return d.do(ctx, func(ctx context.Context) error { return d.store.Delete(ctx, key, version) })
}

func (d deadlined) Sweep(ctx context.Context) error { return d.do(ctx, d.store.Sweep) }
