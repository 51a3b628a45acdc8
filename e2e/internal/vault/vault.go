// Package vault keeps the sessions of package e2e in a session store. It seals what it gives to
// the store, finds and loads a stored session, claims it for this process, and keeps its record
// up to date while the session lives.
//
// It knows stores, keys and the protocol's sessions ([engine.Session]). It knows no servers,
// clients or connections.
package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/message"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
)

// A Vault is a store and the keys that encrypt what is in it.
type Vault struct {
	Store sessionstore.Store
	Keys  *keys.SharedKeyset
}

// KeyOf returns the Key of the record of this end of a session. It is no secret from the store. No
// two sessions share one, so a process that missed the end of this session cannot save over the
// next.
func KeyOf(e *engine.Session) [32]byte {
	id, role := e.ID(), byte(0)
	if e.Client() {
		role = 1
	}
	return sha256.Sum256(label.SessionStoreKey.With(id[:], []byte{role}))
}

// NameID returns the id by which a client finds the session that it has stored under a name.
func NameID(name string) [32]byte {
	return sha256.Sum256(label.SessionStoreName.With([]byte(name)))
}

// Find returns the Key of the record that has an id, and the secret in the id's head. The id may
// come from a stranger: it costs only this one read. The error matches
// [sessionstore.ErrNotStored] if nothing usable is stored.
func (v Vault) Find(ctx context.Context, id [32]byte) (key [32]byte, secret []byte, err error) {
	key, head, err := v.Store.Find(ctx, id)
	if err != nil {
		return key, nil, err
	}
	if len(head) > sessionstore.MaxHead {
		return key, nil, notStored(errSealed)
	}
	if secret, err = v.open(head, headData(key, id)); err != nil {
		return key, nil, notStored(err)
	}
	return key, secret, nil
}

func notStored(why error) error { return fmt.Errorf("%w: %w", sessionstore.ErrNotStored, why) }

// A Stored is a session as it is in a store. The zero value is no session.
type Stored struct {
	Session *engine.Session

	record sessionstore.Record
	parts  []part
}

// Load returns a session as it is stored now. The error matches [sessionstore.ErrNotStored] if
// no usable one is stored.
func (v Vault) Load(ctx context.Context, key [32]byte, cfg engine.Config) (s Stored, err error) {
	for version := uint64(0); ; version = s.record.Version {
		s, err = v.tryLoad(ctx, key, cfg)
		if !errors.Is(err, errPart) || s.record.Version == version {
			return s, err
		}
		// The session's owner may have saved another record meanwhile, which does not need the part.
	}
}

// tryLoad returns the record even if it is unusable, so that the caller can remove it.
func (v Vault) tryLoad(ctx context.Context, key [32]byte, cfg engine.Config) (s Stored, err error) {
	if s.record, err = v.Store.Load(ctx, key); err != nil {
		return Stored{}, err
	}
	s.record.Key = key
	c, err := v.openRecord(s.record)
	if err != nil {
		return s, notStored(err)
	}
	// Only the time inside counts: the store may claim another one.
	s.record.Expires, s.parts = c.expires, c.parts
	apart, err := v.loadParts(ctx, key, c.parts)
	if err != nil && !errors.Is(err, errPart) {
		return Stored{}, err
	}
	if err == nil {
		s.Session, err = engine.RestoreSession(cfg, time.Now(), c.state, apart...)
	}
	if other := new(engine.SpeechError); errors.As(err, &other) {
		err = otherProtocol(other)
	}
	if err == nil && KeyOf(s.Session) != key {
		err = errSealed
	}
	if err != nil {
		return s, notStored(err)
	}
	return s, nil
}

func otherProtocol(e *engine.SpeechError) error {
	was, is := fault.Speech(e), e.Own
	return fmt.Errorf("the stored session is of another protocol: it speaks %s and %s, this end %s and %s",
		fault.QuoteProtocol(was.Theirs), fault.Habit(was.TheirsProof), fault.QuoteProtocol(is.Protocol), fault.Habit(message.Proof(is.Proof)))
}

// Claim makes this process the owner of a session: the earlier owner can no longer save it. The new
// record expires when the earlier one would have, by the time inside that one. The error matches
// [sessionstore.ErrFenced] if the session was saved since it was loaded.
func (v Vault) Claim(ctx context.Context, s *Stored) error {
	state, _, err := s.Session.AppendState(time.Now(), nil)
	if err != nil {
		return err
	}
	r := s.record
	r.Version++
	if err = v.sealRecord(&r, contents{r.Expires, s.parts, state}); err != nil {
		return err
	}
	if err = v.Store.Save(ctx, r); err == nil {
		s.record.Version = r.Version
	}
	return err
}

// Delete removes a session from the store, if it was not saved since it was loaded or claimed.
// Otherwise the error matches [sessionstore.ErrFenced].
func (v Vault) Delete(ctx context.Context, s Stored) error {
	return v.Store.Delete(ctx, s.record.Key, s.record.Version)
}
