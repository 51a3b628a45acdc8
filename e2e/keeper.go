package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
)

// A keeper keeps the stored record of one session up to date: before any frame is written
// from which the other end could conclude something that the record does not say.
type keeper struct {
	session *Session
	vault   vault
	key     [32]byte
	name    *[32]byte // a client's only id; a server's follow from its secrets

	turn    chan struct{}     // holds a token while the store is being written; guards what follows
	version uint64            // of the record that is stored
	mark    engine.Mark       // of the state in it
	doubt   *tried            // a record of which nobody knows whether it is stored
	ids     []sessionstore.ID // in the latest record
	unsure  *sealedPart       // that the next record will name
	parts   []part            // of it, but for those that have arrived since

	gone chan struct{} // closed when the record is as it stays

	timer *time.Timer // for what is due while nothing is written, see check
	pause sync.Mutex  // guards wait. A server's lock is held meanwhile, so nothing takes long under it
	wait  time.Duration
}

// tried is a record that was given to the store.
type tried struct {
	record sessionstore.Record
	mark   engine.Mark
}

// keepIn has a session kept in a store. What this process has claimed is the zero value for a
// session that is not stored yet.
func keepIn(s *Session, v vault, name string, claimed loaded) {
	k := &keeper{session: s, vault: v, key: storedKey(s.engine), version: claimed.record.Version, ids: claimed.record.IDs,
		parts: claimed.parts, turn: make(chan struct{}, 1), gone: make(chan struct{})}
	if s.engine.Client() {
		id := storedName(name)
		k.name = &id
	}
	k.timer = time.AfterFunc(time.Hour, k.check)
	k.timer.Stop()
	s.keeper, s.spool = k, &spool{session: s, records: k}
}

// sync has what must be stored before the next frame is written.
func (k *keeper) sync() error { return k.save(k.session.life, false) }

// Delays between attempts to write a store that does not work.
const (
	storeRetryFirst = 50 * time.Millisecond
	storeRetryMost  = time.Second
)

// save stores the session's state if it must be stored, or in any case. It goes on trying
// for the session's SendTimeout while the store does not work: everything that has to be
// told to the other end waits meanwhile. Errors match [sessionstore.ErrFenced], or [sessionstore.ErrUnavailable], or the
// session is over.
func (k *keeper) save(ctx context.Context, always bool) error {
	ctx, cancel := context.WithTimeout(ctx, k.session.sendTimeout)
	defer cancel()
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, ctx.Err())
	}
	for delay := storeRetryFirst; ; delay = min(2*delay, storeRetryMost) {
		err := k.write(ctx, always)
		if err == nil || errors.Is(err, sessionstore.ErrFenced) || errors.Is(err, engine.ErrClosed) {
			return err
		}
		if sleep(ctx, delay) != nil {
			return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
		}
	}
}

// write settles what is in doubt, and then saves what has to be.
func (k *keeper) write(ctx context.Context, always bool) error {
	for {
		if k.doubt == nil {
			if !always && k.mark == k.session.engine.Mark() {
				return nil
			}
			var err error
			if k.doubt, err = k.next(ctx); err != nil {
				return err
			}
			always = false
		}
		if err := k.vault.store.Save(ctx, k.doubt.record); err != nil {
			if errors.Is(err, sessionstore.ErrFenced) {
				k.doubt = nil
			}
			return err
		}
		k.version, k.mark, k.doubt = k.doubt.record.Version, k.doubt.mark, nil
	}
}

// next makes the session's next record.
func (k *keeper) next(ctx context.Context) (*tried, error) {
	e := k.session.engine
	if err := k.gather(ctx); err != nil {
		return nil, err
	}
	now := time.Now()
	state, mark, err := e.AppendState(now, nil)
	if err != nil {
		return nil, err
	}
	r := sessionstore.Record{Key: k.key, Version: k.version + 1}
	if r.IDs, err = k.nextIDs(); err != nil {
		return nil, err
	}
	expires := k.session.limits.recordExpires(now, e.Client())
	if err = k.vault.sealRecord(&r, contents{expires, slices.Clone(k.parts), state}); err != nil {
		return nil, err
	}
	return &tried{r, mark}, nil
}

// nextIDs returns what the next record is found by. What an id had a head for keeps it.
func (k *keeper) nextIDs() (ids []sessionstore.ID, err error) {
	heads := k.session.engine.Heads()
	switch {
	case len(heads) == 0:
		return nil, engine.ErrClosed
	case k.name != nil:
		heads = []engine.Head{{ID: *k.name}}
	}
	for _, h := range heads {
		i := slices.IndexFunc(k.ids, func(x sessionstore.ID) bool { return x.ID == h.ID })
		if i >= 0 {
			ids = append(ids, k.ids[i])
			continue
		}
		secret := h.Secret[:]
		if k.name != nil {
			secret = nil
		}
		head, err := k.vault.seal(secret, headPlace(k.key, h.ID))
		if err != nil {
			return nil, err
		}
		ids = append(ids, sessionstore.ID{ID: h.ID, Head: head})
	}
	k.ids = ids
	return ids, nil
}

// end is called once the session is over. The record stays where it goes on elsewhere.
func (k *keeper) end(stays bool) {
	k.timer.Stop()
	if !stays {
		k.remove()
	}
	close(k.gone)
}

// remove deletes the record of a session that is over for good. Where that fails it stays
// until it expires; nobody but the two ends could go on with it, and neither will.
func (k *keeper) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTimeout)
	defer cancel()
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return
	}
	if k.doubt != nil && k.vault.store.Save(ctx, k.doubt.record) == nil {
		k.version = k.doubt.record.Version
	}
	if k.version > 0 {
		k.vault.store.Delete(ctx, k.key, k.version)
	}
}

// checkFirst is how soon a server looks whether a session that has lost its line goes on
// elsewhere.
const checkFirst = time.Second

// watch begins to see that the record does not expire while the session lives, and that
// nobody else has it.
func (k *keeper) watch() { k.reset(k.session.limits.park / 2) }

// parked says that the session has lost its line, or has one again: the record expires at
// another time.
func (k *keeper) parked(parked bool) {
	if parked {
		k.reset(checkFirst)
	} else {
		k.watch()
	}
}

func (k *keeper) reset(wait time.Duration) {
	if k.session.engine.Client() || k.session.over() {
		return // a client's record expires with the session
	}
	k.pause.Lock()
	defer k.pause.Unlock()
	k.wait = max(wait, time.Millisecond)
	k.timer.Reset(k.wait)
}

func (k *keeper) check() {
	s := k.session
	if s.over() {
		return
	}
	if err := k.save(s.life, true); err != nil {
		s.unkept(err)
		return
	}
	k.pause.Lock()
	wait := min(2*k.wait, s.limits.park/2)
	k.pause.Unlock()
	k.reset(wait)
}

// lasts stores that the session lasts for another time. Otherwise a client that has
// nothing to say meanwhile would find its record expired with the credentials before.
func (k *keeper) lasts() {
	if err := k.save(k.session.life, true); err != nil {
		k.session.unkept(err)
	}
}
