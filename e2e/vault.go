package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// A vault is a store and the keys that what is in it is encrypted with.
type vault struct {
	store sessionstore.Store
	keys  *keys.SharedKeyset
}

func (c config) vault(turns int) vault { return vault{c.deadlined(turns), c.StoreKeys} }

// storedKey is the name of the record of a session's end, which the store may know. No other
// session has it: whoever missed the end of this one cannot save over the next.
func storedKey(e *engine.Session) [32]byte {
	id, role := e.ID(), byte(0)
	if e.Client() {
		role = 1
	}
	return sha256.Sum256(label.SessionStoreKey.With(id[:], []byte{role}))
}

// storedName is the id by which a client finds its session.
func storedName(name string) [32]byte {
	return sha256.Sum256(label.SessionStoreName.With([]byte(name)))
}

// What a vault seals is
//
//	array(3) [ version=1, id of the pair of keys bin 32, sealed bin ]
//
// under the AEAD of that pair, with the id of the pair behind the associated data that is
// given below. So nothing opens but in its own place.
//
//	of      associated data                                  plaintext
//	a head  label ‖ key of the record 32 ‖ id 32             the resume secret of the id, 32 bytes; of a client's name, nothing
//	a part  label ‖ key of the record 32 ‖ id of the part 32 messages, see engine.Apart
//	record  label ‖ key of the record 32 ‖ version u64       array(3) [ expires uint ms, array of its parts, the engine's state bin ]
const sealedVersion = 1

// errSealed is why what a store returned is as good as nothing: it is not of these keys, not
// in its own place, or has expired. Which of these does not matter to anybody but a debugger.
var errSealed = errors.New("e2e: a stored session does not open")

// seal clears the plaintext.
func (v vault) seal(plain, place []byte) ([]byte, error) {
	defer clear(plain)
	pair := v.keys.Primary()
	if pair == nil {
		return nil, errors.New("e2e: Config.StoreKeys is empty: give it a key, see keys.GenerateSharedKeyset")
	}
	id := pair.ID()
	sealed, err := pair.Seal(nil, plain, append(place, id[:]...))
	if err != nil {
		return nil, err
	}
	out := strict.AppendUint(strict.AppendArray(nil, 3), sealedVersion)
	return strict.AppendBin(strict.AppendBin(out, id[:]), sealed), nil
}

func (v vault) open(data, place []byte) (plain []byte, err error) {
	in := strict.NewReader(data)
	in.Array(3)
	version := in.Uint()
	id := in.Bin(32, 32)
	sealed := in.Bin(1, len(data))
	if in.Done() != nil || version != sealedVersion {
		return nil, errSealed
	}
	pair, ok := v.keys.Key(keys.SharedKeyID(id))
	if !ok || pair.Stage() == keys.StageArchived {
		return nil, errSealed
	}
	if plain, err = pair.Open(nil, sealed, append(place, id...)); err != nil {
		return nil, errSealed
	}
	return plain, nil
}

func headPlace(key, id [32]byte) []byte { return label.SessionStoreHead.With(key[:], id[:]) }

func recordPlace(key [32]byte, version uint64) []byte {
	return label.SessionStoreRecord.With(key[:], binary.BigEndian.AppendUint64(nil, version))
}

// contents is what a record says inside.
type contents struct {
	expires time.Time
	parts   []part
	state   []byte
}

// sealRecord fills in the Data of a record that is otherwise made. It clears the state.
func (v vault) sealRecord(r *sessionstore.Record, c contents) (err error) {
	plain := strict.AppendUint(strict.AppendArray(nil, 3), uint64(max(c.expires.UnixMilli(), 0)))
	plain = strict.AppendBin(appendParts(plain, c.parts), c.state)
	clear(c.state)
	r.Expires, r.Parts = c.expires, partIDs(c.parts)
	r.Data, err = v.seal(plain, recordPlace(r.Key, r.Version))
	return err
}

func (v vault) openRecord(r sessionstore.Record) (c contents, err error) {
	plain, err := v.open(r.Data, recordPlace(r.Key, r.Version))
	if err != nil {
		return c, err
	}
	in := strict.NewReader(plain)
	in.Array(3)
	ms := in.Uint()
	c.parts = readParts(&in)
	c.state = in.Bin(1, len(plain))
	if in.Done() != nil || uint64(time.Now().UnixMilli()) >= ms {
		return c, errSealed
	}
	c.expires = time.UnixMilli(int64(ms))
	return c, nil
}

// find returns the key of the record that has an id, and the secret in the id's head. What a
// stranger has sent costs no more than this. The error matches [sessionstore.ErrNotStored] where there is
// nothing that is good for anything.
func (v vault) find(ctx context.Context, id [32]byte) (key [32]byte, secret []byte, err error) {
	key, head, err := v.store.Find(ctx, id)
	if err != nil {
		return key, nil, err
	}
	if len(head) > sessionstore.MaxHead {
		return key, nil, fmt.Errorf("%w: %w", sessionstore.ErrNotStored, errSealed)
	}
	if secret, err = v.open(head, headPlace(key, id)); err != nil {
		return key, nil, fmt.Errorf("%w: %w", sessionstore.ErrNotStored, err)
	}
	return key, secret, nil
}

// A loaded is a session as it is in a store.
type loaded struct {
	session *engine.Session
	record  sessionstore.Record
	parts   []part

	dropped error // why there is no session, where a record was removed that was good for nothing
}

// load returns a session and the record that it was restored from. The error matches
// [sessionstore.ErrNotStored] where there is none that is good for anything; the record has a Version
// if there is one all the same.
func (v vault) load(ctx context.Context, key [32]byte, cfg engine.Config) (l loaded, err error) {
	for version := uint64(0); ; version = l.record.Version {
		l, err = v.tryLoad(ctx, key, cfg)
		if !errors.Is(err, errPart) || l.record.Version == version {
			return l, err
		}
		// Whoever has the session may have saved another record meanwhile, that does not need the part.
	}
}

// errPart is why a record is as good as none: a part of it is not there, or another one.
var errPart = errors.New("e2e: a part of a stored session is missing")

func (v vault) tryLoad(ctx context.Context, key [32]byte, cfg engine.Config) (l loaded, err error) {
	if l.record, err = v.store.Load(ctx, key); err != nil {
		return loaded{}, err
	}
	l.record.Key = key
	c, err := v.openRecord(l.record)
	if err != nil {
		return l, fmt.Errorf("%w: %w", sessionstore.ErrNotStored, err)
	}
	// Only the time inside counts: the store may say another.
	l.record.Expires, l.parts = c.expires, c.parts
	apart, err := v.loadParts(ctx, key, c.parts)
	if err != nil && !errors.Is(err, errPart) {
		return loaded{}, err
	}
	if err == nil {
		l.session, err = engine.RestoreSession(cfg, time.Now(), c.state, apart...)
	}
	if other := new(engine.SpeechError); errors.As(err, &other) {
		was, is := fault.Speech(other), other.Own
		err = fmt.Errorf("the stored session is of another protocol: it speaks %s and %s, this end %s and %s",
			fault.QuoteProtocol(was.Theirs), fault.Habit(was.TheirsProof), fault.QuoteProtocol(is.Protocol), fault.Habit(Proof(is.Proof)))
	}
	if err == nil && storedKey(l.session) != key {
		err = errSealed
	}
	if err != nil {
		return l, fmt.Errorf("%w: %w", sessionstore.ErrNotStored, err)
	}
	return l, nil
}

// claim makes this process the owner of a session: whoever had it can save no more. The
// record expires when the one before did, by what that says inside.
func (v vault) claim(ctx context.Context, l loaded) (version uint64, err error) {
	state, _, err := l.session.AppendState(time.Now(), nil)
	if err != nil {
		return 0, err
	}
	r := l.record
	r.Version++
	if err = v.sealRecord(&r, contents{r.Expires, l.parts, state}); err != nil {
		return 0, err
	}
	return r.Version, v.store.Save(ctx, r)
}
