package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/sleep"
)

// A Session is what a [Keeper] must know about the session whose record it keeps.
type Session struct {
	Engine  *engine.Session
	Name    string          // a client's name for it, see [NameID]
	Life    context.Context // ends once the session has hung up
	Ended   <-chan struct{} // closed when the session is over, before Life ends
	Timeout time.Duration   // how long the keeper tries a store that does not work
	Park    time.Duration   // how long a server keeps a session without a line

	Expires func(now time.Time) time.Time // when a record that is saved now expires
	Failed  func(error)                   // ends the session, whose record could not be saved
}

// A Keeper keeps the record of one session up to date. The record is saved before any frame that
// tells the other end something that the stored record does not say.
type Keeper struct {
	vault   Vault
	session Session
	key     [32]byte
	renewal renewal

	turn        chan struct{} // holds a token while the store is being written; guards what follows
	version     uint64        // of the record that is stored
	mark        engine.Mark   // of the state in it
	ids         []sessionstore.ID
	parts       []part      // of the latest record, without those that have been acknowledged since
	unconfirmed *attempt    // the last attempt to save, if nobody knows whether it succeeded
	unlisted    *sealedPart // a part that no record lists yet, and that may not be stored

	gone chan struct{} // closed when the keeper changes nothing any more
}

// An attempt is a record that was given to the store.
type attempt struct {
	record sessionstore.Record
	mark   engine.Mark
}

// Keep returns the keeper of a session. claimed is what this process has claimed in the store, or
// the zero value for a session that is not stored yet.
func (v Vault) Keep(s Session, claimed Stored) *Keeper {
	k := &Keeper{vault: v, session: s, key: KeyOf(s.Engine), version: claimed.record.Version, ids: claimed.record.IDs,
		parts: claimed.parts, turn: make(chan struct{}, 1), gone: make(chan struct{})}
	k.renewal.init(k)
	return k
}

// Key returns the Key of the record.
func (k *Keeper) Key() [32]byte { return k.key }

// Sync saves the session if its state has changed so that it must be saved before the next
// frame is written.
func (k *Keeper) Sync() error { return k.save(k.session.Life, false) }

// Save saves the session, whether it has changed or not.
func (k *Keeper) Save(ctx context.Context) error { return k.save(ctx, true) }

// Delays between attempts to write to a store that does not work.
const (
	RetryFirst = 50 * time.Millisecond
	retryMost  = time.Second
)

// save saves the session. If the store does not work it tries again for the session's Timeout.
// Nothing is sent to the other end meanwhile. The error matches [sessionstore.ErrFenced] or
// [sessionstore.ErrUnavailable], or is [engine.ErrClosed].
func (k *Keeper) save(ctx context.Context, always bool) error {
	ctx, cancel := context.WithTimeout(ctx, k.session.Timeout)
	defer cancel()
	if err := k.enter(ctx); err != nil {
		return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
	}
	defer k.leave()
	for delay := RetryFirst; ; delay = min(2*delay, retryMost) {
		err := k.write(ctx, always)
		if err == nil || errors.Is(err, sessionstore.ErrFenced) || errors.Is(err, engine.ErrClosed) {
			return err
		}
		if sleep.For(ctx, delay) != nil {
			return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
		}
	}
}

func (k *Keeper) enter(ctx context.Context) error {
	select {
	case k.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *Keeper) leave() { <-k.turn }

// write repeats the last attempt if its outcome is unknown, and then saves the session if it must
// be saved. The caller holds the turn.
func (k *Keeper) write(ctx context.Context, always bool) error {
	for {
		if k.unconfirmed == nil {
			if !always && k.mark == k.session.Engine.Mark() {
				return nil
			}
			var err error
			if k.unconfirmed, err = k.next(ctx); err != nil {
				return err
			}
			always = false
		}
		if err := k.vault.Store.Save(ctx, k.unconfirmed.record); err != nil {
			if errors.Is(err, sessionstore.ErrFenced) {
				k.unconfirmed = nil
			}
			return err
		}
		k.version, k.mark, k.unconfirmed = k.unconfirmed.record.Version, k.unconfirmed.mark, nil
	}
}

// next makes the session's next record.
func (k *Keeper) next(ctx context.Context) (*attempt, error) {
	if err := k.gather(ctx); err != nil {
		return nil, err
	}
	now := time.Now()
	state, mark, err := k.session.Engine.AppendState(now, nil)
	if err != nil {
		return nil, err
	}
	r := sessionstore.Record{Key: k.key, Version: k.version + 1}
	if r.IDs, err = k.nextIDs(); err != nil {
		return nil, err
	}
	if err = k.vault.sealRecord(&r, contents{k.session.Expires(now), slices.Clone(k.parts), state}); err != nil {
		return nil, err
	}
	return &attempt{r, mark}, nil
}

// nextIDs returns the ids of the next record: for a client the id of its name, for a server the
// ids of its resume secrets. An id that the last record had keeps its head.
func (k *Keeper) nextIDs() (ids []sessionstore.ID, err error) {
	heads := k.session.Engine.Heads()
	if len(heads) == 0 {
		return nil, engine.ErrClosed
	}
	client := k.session.Engine.Client()
	if client {
		heads = []engine.Head{{ID: NameID(k.session.Name)}}
	}
	for _, h := range heads {
		i := slices.IndexFunc(k.ids, func(x sessionstore.ID) bool { return x.ID == h.ID })
		if i >= 0 {
			ids = append(ids, k.ids[i])
			continue
		}
		secret := h.Secret[:]
		if client {
			secret = nil
		}
		head, err := k.vault.seal(secret, headData(k.key, h.ID))
		if err != nil {
			return nil, err
		}
		ids = append(ids, sessionstore.ID{ID: h.ID, Head: head})
	}
	k.ids = ids
	return ids, nil
}

// partLife is how long a part may be needed: no session lives longer than a day.
const partLife = 25 * time.Hour

// gather stores the messages that have gathered as a part, once there are enough. It forgets the
// parts whose messages are all acknowledged. The caller holds the turn, and then makes a record
// that lists the parts.
func (k *Keeper) gather(ctx context.Context) error {
	e := k.session.Engine
	acked := e.Acked()
	for len(k.parts) > 0 && k.parts[0].last <= acked {
		k.parts = k.parts[1:]
	}
	if k.unlisted == nil && e.UnstoredSize() >= k.partSize() {
		messages, last := e.Unstored()
		if last == 0 {
			return engine.ErrClosed
		}
		p, err := k.vault.sealPart(k.key, messages, last, born(time.Now(), e).Add(partLife))
		if err != nil {
			return err
		}
		k.unlisted = p
	}
	if k.unlisted == nil {
		return nil
	}
	if err := k.vault.Store.SavePart(ctx, k.unlisted.stored); err != nil {
		return err
	}
	e.StoredApart(k.unlisted.last)
	k.parts, k.unlisted = append(k.parts, k.unlisted.part), nil
	return nil
}

// partSize returns how many bytes must gather for another part.
func (k *Keeper) partSize() int {
	if len(k.parts) >= manyParts {
		return partSizeLong
	}
	return partSize
}

// born returns when a session began, as the wall clock shows it now: that is the time to store.
func born(now time.Time, e *engine.Session) time.Time { return now.Add(-now.Sub(e.Born())) }

// End ends the keeper once the session is over. It removes the record unless stays says that the
// session goes on elsewhere.
func (k *Keeper) End(stays bool) {
	k.renewal.stop()
	if !stays {
		k.remove()
	}
	close(k.gone)
}

// Gone is closed after [Keeper.End]: from then on the keeper changes nothing in the store.
func (k *Keeper) Gone() <-chan struct{} { return k.gone }

// removeTimeout is how long the end of a session waits for the removal of its record.
const removeTimeout = 2 * time.Second

// remove deletes the record of a session that is over for good. If that fails the record stays
// until it expires: only the two ends could go on with it, and neither will.
func (k *Keeper) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	if k.enter(ctx) != nil {
		return
	}
	defer k.leave()
	if k.unconfirmed != nil && k.vault.Store.Save(ctx, k.unconfirmed.record) == nil {
		k.version = k.unconfirmed.record.Version
	}
	if k.version > 0 {
		k.vault.Store.Delete(ctx, k.key, k.version)
	}
}
