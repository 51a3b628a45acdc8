package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// A keeper keeps the stored record of one session up to date: before any frame is written
// from which the other end could conclude something that the record does not say.
type keeper struct {
	session *Session
	vault   vault
	key     [32]byte
	name    *[32]byte // a client's only id; a server's follow from its secrets

	turn    chan struct{} // holds a token while the store is being written; guards what follows
	version uint64        // of the record that is stored
	mark    engine.Mark   // of the state in it
	doubt   *tried        // a record of which nobody knows whether it is stored

	gone chan struct{} // closed when the record is as it stays

	timer *time.Timer // for what is due while nothing is written, see check

	mu      sync.Mutex // guards what follows
	pending []*letter  // messages that wait to be stored, in the order of their Sends
	handed  []incoming // messages that the application was given, and may be busy with
	wait    time.Duration
}

// tried is a record that was given to the store.
type tried struct {
	record StoredSession
	mark   engine.Mark
}

// A vault is a store and the keys that what is in it is encrypted with.
type vault struct {
	store SessionStore
	keys  *keys.SharedKeyset
}

// storedKey is the name of a session's record, which the store may know.
func storedKey(id [32]byte) [32]byte { return sha256.Sum256(label.SessionStoreKey.With(id[:])) }

// storedName is the key and the only id of the record of a client.
func storedName(name string) [32]byte {
	return sha256.Sum256(label.SessionStoreName.With([]byte(name)))
}

// newKeeper gives a session a keeper, whose record has the given version, 0 for none yet.
func newKeeper(s *Session, v vault, name string, version uint64) *keeper {
	k := &keeper{session: s, vault: v, key: storedKey(s.engine.ID()), version: version, turn: make(chan struct{}, 1), gone: make(chan struct{})}
	if s.engine.Client() {
		id := storedName(name)
		k.key, k.name = id, &id
	}
	k.timer = time.AfterFunc(time.Hour, k.check)
	k.timer.Stop()
	return k
}

// Data of a record is
//
//	array(3) [ version=1, id of the pair of keys bin 32, sealed bin ]
//
// where sealed is, under the AEAD of that pair,
//
//	array(2) [ expires uint ms, the engine's state bin ]
//
// with the associated data label ‖ key 32 ‖ version of the record u64 ‖ id of the pair 32. So
// a record opens in its own place only, and not as another version of itself.
const recordVersion = 1

func (v vault) seal(key [32]byte, version uint64, expires time.Time, state []byte) ([]byte, error) {
	pair := v.keys.Primary()
	if pair == nil {
		return nil, errors.New("e2e: Config.StoreKeys is empty")
	}
	plain := strict.AppendUint(strict.AppendArray(nil, 2), uint64(expires.UnixMilli()))
	plain = strict.AppendBin(plain, state)
	id := pair.ID()
	sealed, err := pair.Seal(nil, plain, recordAAD(key, version, id))
	clear(plain)
	if err != nil {
		return nil, err
	}
	data := strict.AppendUint(strict.AppendArray(nil, 3), recordVersion)
	return strict.AppendBin(strict.AppendBin(data, id[:]), sealed), nil
}

func recordAAD(key [32]byte, version uint64, pair keys.SharedKeyID) []byte {
	return label.SessionStoreRecord.With(key[:], binary.BigEndian.AppendUint64(nil, version), pair[:])
}

// errRecord is why a record is as good as none: it is not of these keys, not in its own
// place, or has expired. Which of these does not matter to anybody but a debugger.
var errRecord = errors.New("e2e: a stored session does not open")

// open returns the state in a record.
func (v vault) open(r StoredSession) (state []byte, err error) {
	in := strict.NewReader(r.Data)
	in.Array(3)
	version := in.Uint()
	id := in.Bin(32, 32)
	sealed := in.Bin(1, len(r.Data))
	if in.Done() != nil || version != recordVersion {
		return nil, errRecord
	}
	pair, ok := v.keys.Key(keys.SharedKeyID(id))
	if !ok || pair.Stage() == keys.StageArchived {
		return nil, errRecord
	}
	plain, err := pair.Open(nil, sealed, recordAAD(r.Key, r.Version, pair.ID()))
	if err != nil {
		return nil, errRecord
	}
	in = strict.NewReader(plain)
	in.Array(2)
	expires := in.Uint()
	state = in.Bin(1, len(plain))
	if in.Done() != nil || uint64(time.Now().UnixMilli()) >= expires {
		return nil, errRecord
	}
	return state, nil
}

// load returns a session and the record that it was restored from. The error matches
// [ErrNotStored] where there is none that is good for anything.
func (v vault) load(ctx context.Context, id [32]byte, cfg engine.Config) (*engine.Session, StoredSession, error) {
	r, err := v.store.Load(ctx, id)
	if err != nil {
		return nil, r, err
	}
	r.Data = bytes.Clone(r.Data)
	state, err := v.open(r)
	if err == nil {
		var e *engine.Session
		if e, err = engine.RestoreSession(cfg, state); err == nil {
			return e, r, nil
		}
	}
	return nil, r, fmt.Errorf("%w: %w", ErrNotStored, err)
}

// claim makes this process the owner of a session: whoever had it can save no more.
func (v vault) claim(ctx context.Context, e *engine.Session, from StoredSession) (version uint64, err error) {
	state, _, err := e.AppendState(nil)
	if err != nil {
		return 0, err
	}
	r := from
	r.Version++
	if r.Data, err = v.seal(r.Key, r.Version, from.Expires, state); err != nil {
		return 0, err
	}
	return r.Version, v.store.Save(ctx, r)
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
// told to the other end waits meanwhile. Errors match [ErrFenced], or [ErrStore], or the
// session is over.
func (k *keeper) save(ctx context.Context, always bool) error {
	ctx, cancel := context.WithTimeout(ctx, k.session.sendTimeout)
	defer cancel()
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrStore, ctx.Err())
	}
	for delay := storeRetryFirst; ; delay = min(2*delay, storeRetryMost) {
		err := k.write(ctx, always)
		if err == nil || errors.Is(err, ErrFenced) || errors.Is(err, engine.ErrClosed) {
			return err
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrStore, err)
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
			if k.doubt, err = k.next(); err != nil {
				return err
			}
			always = false
		}
		if err := k.vault.store.Save(ctx, k.doubt.record); err != nil {
			if errors.Is(err, ErrFenced) {
				k.doubt = nil
			}
			return err
		}
		k.version, k.mark, k.doubt = k.doubt.record.Version, k.doubt.mark, nil
	}
}

// next makes the session's next record.
func (k *keeper) next() (*tried, error) {
	e := k.session.engine
	state, mark, err := e.AppendState(nil)
	if err != nil {
		return nil, err
	}
	defer clear(state)
	r := StoredSession{Key: k.key, Version: k.version + 1, Expires: k.session.limits.stored(time.Now(), e.Client())}
	if k.name != nil {
		r.IDs = [][32]byte{*k.name}
	} else {
		r.IDs = e.ResumeIDs()
	}
	if len(r.IDs) == 0 {
		return nil, engine.ErrClosed
	}
	if r.Data, err = k.vault.seal(k.key, r.Version, r.Expires, state); err != nil {
		return nil, err
	}
	return &tried{r, mark}, nil
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

// unkept is the end of a session by its store. What was stored stays there.
func (s *Session) unkept(err error) error {
	switch {
	case s.over():
		return s.err
	case errors.Is(err, ErrFenced):
		return s.fail(&CloseError{Err: ErrFenced, Stored: true})
	}
	return s.fail(&CloseError{Err: err, Stored: true})
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
	k.mu.Lock()
	defer k.mu.Unlock()
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
	k.mu.Lock()
	wait := min(2*k.wait, s.limits.park/2)
	k.mu.Unlock()
	k.reset(wait)
}

// lasts stores that the session lasts for another time. Otherwise a client that has
// nothing to say meanwhile would find its record expired with the credentials before.
func (k *keeper) lasts() {
	if err := k.save(k.session.life, true); err != nil {
		k.session.unkept(err)
	}
}

// stored returns when a record of the session as it is now expires: a server's when its
// client would come too late, should this process end now.
func (l *limits) stored(now time.Time, client bool) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.born.Add(l.age)
	earliest := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	if !l.expiry.IsZero() {
		earliest(l.expiry)
	}
	if l.idle > 0 {
		earliest(time.Unix(0, l.active.Load()).Add(l.idle))
	}
	switch {
	case client:
	case l.parked.IsZero():
		earliest(now.Add(2 * l.park)) // it is saved again in half of one
	default:
		earliest(l.parked.Add(l.park))
	}
	return at
}

// hand says that the application was given a message.
func (k *keeper) hand(m incoming) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m.body = nil
	k.handed = append(k.handed, m)
}

// askedBehind says that the application is done with everything that it was given.
func (k *keeper) askedBehind() {
	k.mu.Lock()
	handed := k.handed
	k.handed = nil
	k.mu.Unlock()
	for _, m := range handed {
		k.session.consumed(m)
	}
}
