package keys

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/internal/ring"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

const (
	// A statement lists a key as valid from a little before it was made, for peers whose clocks are
	// behind.
	listedBefore = time.Minute
	// A retired signing key stays valid a little longer, for processes that do not know yet that it
	// has retired.
	retireGrace = 10 * time.Minute
	// The 16 newest signing keys stay listed, for messages that are stored. So do those that retired
	// in the last 30 days, for messages on their way. One entry is left for the sealing key.
	maxListedSigning, minListedSigning = maxListedKeys - 1, 16
)

// issue signs a statement about the present keys. It replaces before, whose retired signing keys stay
// listed.
func (s *identityState) issue(name string, serial uint64, before *PublicIdentity, now time.Time) error {
	if err := unixtime.Check(now); err != nil {
		return err
	}
	now = now.Truncate(time.Second)
	p := &PublicIdentity{name: name, serial: serial, issued: now, expires: now.Add(MaxLifetime)}
	if s.root == nil {
		return ErrDetached
	}
	copy(p.root[:], s.root.PublicKey())
	if serial != revokedSerial {
		if err := s.list(p, before, now); err != nil {
			return err
		}
	}
	statement := p.appendStatement(nil)
	sig, err := s.root.Sign(label.Identity.With(statement))
	if err != nil {
		return fmt.Errorf("keys: the root does not sign: %w", err)
	}
	raw := strict.AppendBin(strict.AppendBin(strict.AppendArray(nil, 2), statement), sig)
	s.public, err = ParsePublic(raw) // by the rules that peers apply
	return err
}

func (s *identityState) list(p, before *PublicIdentity, now time.Time) error {
	if before == nil {
		before = new(PublicIdentity) // which lists nothing
	}
	var err error
	if p.signing, err = s.listSigning(now); err != nil {
		return err
	}
	for i := range p.signing {
		k := &p.signing[i]
		was, _ := before.VerifyingKeyByID(k.id)
		k.window = k.window.issuedAt(now, was.window)
	}
	for _, k := range before.signing {
		if !slices.ContainsFunc(p.signing, func(l VerifyingKey) bool { return l.id == k.id }) {
			p.signing = append(p.signing, k.until(now.Add(retireGrace)))
		}
	}
	p.signing = stillListed(p.signing, now)
	p.sealing, err = s.listSealing(before.RecipientKey(), now)
	return err
}

// stillListed returns the keys that are in use or were in use lately. In all, the newest come first.
func stillListed(all []VerifyingKey, now time.Time) []VerifyingKey {
	n := 0
	for n < min(len(all), maxListedSigning) && (n < minListedSigning || all[n].inTransit(now)) {
		n++
	}
	return all[:n]
}

// inTransit reports whether messages that the key signed may still be on their way.
func (k VerifyingKey) inTransit(now time.Time) bool {
	return k.window.to == 0 || int64(k.window.to) > now.Add(-MaxLifetime).Unix()
}

// listSealing lists the primary of the sealing ring. Before is the sealing key in the statement
// before.
func (s *identityState) listSealing(before *RecipientKey, now time.Time) ([]*RecipientKey, error) {
	set, err := s.sealing.Set.Keyset()
	if err != nil {
		return nil, err
	}
	i := s.sealing.Primary()
	var was window
	if before != nil && bytes.Equal(before.public, set.Keys[i].Public) {
		was = before.window
	}
	w := window{from: listedFrom(s.sealing.Lives[i].Created)}
	return []*RecipientKey{{public: set.Keys[i].Public, window: w.issuedAt(now, was)}}, nil
}

// listedFrom returns the time from which a statement lists a key that was made at that time.
func listedFrom(made uint64) uint64 { return made - min(made, uint64(listedBefore/time.Second)) }

// issuedAt returns the window of a key in a statement of that time. Was is the key's window in the
// statement before, zero for none. A time in the future comes from a clock that was ahead, and does
// not count. The window never begins later than before, since messages that the key signed may still
// be on their way.
func (w window) issuedAt(now time.Time, was window) window {
	w.from = min(w.from, listedFrom(uint64(max(now.Unix(), 0))))
	if was != (window{}) {
		w.from = min(w.from, was.from)
	}
	if end := uint64(max(now.Add(retireGrace).Unix(), 0)); w.to > end {
		w.to = end
		if was.to != 0 {
			w.to = min(w.to, was.to)
		}
	}
	return w
}

// until closes an open window at t.
func (k VerifyingKey) until(t time.Time) VerifyingKey {
	if k.window.to == 0 {
		k.window.to = uint64(max(t.Unix(), 1))
		k.window.from = min(k.window.from, listedFrom(k.window.to))
	}
	return k
}

// listSigning lists the keys of the signing ring: the primary, then its successors, then its
// predecessors, the newest first.
func (s *identityState) listSigning(now time.Time) ([]VerifyingKey, error) {
	if s.external() {
		return []VerifyingKey{listed(s.signer.PublicKey(), ring.Life{Created: uint64(now.Unix())})}, nil
	}
	set, err := s.signing.Set.Keyset()
	if err != nil {
		return nil, err
	}
	var primary, pending, past []VerifyingKey
	for i, l := range s.signing.Lives {
		k := listed(set.Keys[i].Public, l)
		switch Stage(l.Stage()) {
		case StagePrimary:
			primary = append(primary, k)
		case StagePending:
			pending = append(pending, k)
		default:
			past = append(past, k)
		}
	}
	slices.Reverse(past)
	return slices.Concat(primary, pending, past), nil
}

func listed(public []byte, l ring.Life) VerifyingKey {
	k := VerifyingKey{id: signingKeyID(public), window: window{from: listedFrom(l.Created)}}
	if l.Retired != 0 {
		k.window.to = l.Retired + uint64(retireGrace/time.Second)
	}
	copy(k.public[:], public)
	return k
}

// Renew signs a new statement with the next serial and a fresh lifetime. Call it well before
// [PublicIdentity.Expires], save the identity, and hand out the new statement. Peers that know the
// root go on trusting it. A keystore.Store renews its own identity.
func (id *Identity) Renew() error {
	for {
		before := id.state.Load()
		after, err := before.renewed(time.Now())
		if err != nil {
			return err
		}
		if id.state.CompareAndSwap(before, after) {
			return nil
		}
	}
}

// step returns the state after a change of its keys, with a new statement about them.
func (s *identityState) step(now time.Time, change func(*identityState) error) (*identityState, error) {
	if s.public.Revoked() {
		return nil, ErrRevoked
	}
	if s.public.serial >= revokedSerial-1 {
		return nil, errors.New("keys: no serial is left")
	}
	next := *s
	if err := change(&next); err != nil {
		return nil, err
	}
	if err := next.load(); err != nil {
		return nil, err
	}
	// The serial is at least the time. So if a statement was handed out and then lost before it was
	// saved, no other statement gets its serial.
	serial := max(s.public.serial+1, uint64(now.Unix()))
	return &next, next.issue(s.public.name, serial, s.public, now)
}

func (s *identityState) renewed(now time.Time) (*identityState, error) {
	return s.step(now, func(*identityState) error { return nil })
}

// revoked returns the state with a statement that withdraws the identity for
// good.
func (s *identityState) revoked(now time.Time) (*identityState, error) {
	if s.public.Revoked() {
		return nil, ErrRevoked
	}
	next := *s
	return &next, next.issue(s.public.name, math.MaxUint64, nil, now)
}

// Use says what a keyset is for.
type Use byte

const (
	UseSigning Use = iota + 1 // an identity's Ed25519 keys
	UseSealing                // an identity's X-Wing keys
	UseShared                 // pairs of AEAD and HMAC keys
)

func (u Use) String() string {
	switch u {
	case UseSigning:
		return "signing"
	case UseSealing:
		return "sealing"
	case UseShared:
		return "shared"
	}
	return fmt.Sprintf("Use(%d)", u)
}

// KeyInfo describes one key without its secret.
type KeyInfo struct {
	Use      Use
	TinkID   uint32 // the key's id in its Tink keyset; operators use it to name the key
	ID       string // the key's name on the wire in hex: a SigningKeyID, SealingKeyID or SharedKeyID
	Stage    Stage
	Created  time.Time
	Promoted time.Time // zero if not yet, like the next two
	Retired  time.Time
	Archived time.Time
}

// Keys lists the keys that the identity holds: the signing keys, then the sealing keys, each in the
// order in which they were made.
func (id *Identity) Keys() []KeyInfo { return slices.Clone(id.state.Load().infos) }

// keyInfo describes a key with that life.
func keyInfo(l ring.Life, use Use, name string) KeyInfo {
	return KeyInfo{use, l.ID, name, Stage(l.Stage()), unixtime.Time(l.Created), unixtime.Time(l.Promoted), unixtime.Time(l.Retired), unixtime.Time(l.Archived)}
}
