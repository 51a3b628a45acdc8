package keys

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// ErrIdentity is returned for bytes that are not an identity's secret half.
var ErrIdentity = errors.New("keys: not a valid identity")

// ErrUnseal is returned by [Identity.UnsealKey] for every failure.
var ErrUnseal = errors.New("keys: key does not open")

// An Identity is the secret half: a root key and the Tink keysets that sign and
// open under it. It prints as its name and fingerprint, never as its keys.
//
// An Identity is safe for concurrent use. What changes, changes at once for
// every user of it, without a lock on the way of a message.
type Identity struct {
	root    ed25519.PrivateKey
	signing tinkset
	sealing tinkset
	signer  localSigner
	openers map[SealingKeyID]hpke.PrivateKey
	public  atomic.Pointer[PublicIdentity]
}

// GenerateIdentity makes a new root, a signing and a sealing keyset, and signs
// the first public statement, valid for [MaxLifetime]. The name, 1 to 128 bytes
// of UTF-8, is what others will see; it proves nothing to them.
func GenerateIdentity(name string) (*Identity, error) {
	if len(name) == 0 || len(name) > MaxNameSize || !utf8.ValidString(name) {
		return nil, fmt.Errorf("keys: a name has 1 to %d bytes of UTF-8", MaxNameSize)
	}
	signing, err := generateTinkset(keyset.Ed25519)
	if err != nil {
		return nil, err
	}
	sealing, err := generateTinkset(keyset.XWing)
	if err != nil {
		return nil, err
	}
	_, root, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	id := &Identity{root: root, signing: signing, sealing: sealing}
	if err := id.load(); err != nil {
		return nil, err
	}
	return id, id.issue(name, 1)
}

// load takes the keys in use out of the keysets.
func (id *Identity) load() error {
	signing, err := id.signing.keyset()
	if err != nil {
		return err
	}
	sealing, err := id.sealing.keyset()
	if err != nil {
		return err
	}
	id.openers = make(map[SealingKeyID]hpke.PrivateKey)
	for _, k := range signing.Keys {
		if k.Type == keyset.Ed25519 && k.ID == signing.Primary {
			id.signer = localSigner{ed25519.NewKeyFromSeed(k.Secret)}
		}
	}
	for _, k := range sealing.Keys {
		if k.Type != keyset.XWing || k.Status != keyset.Enabled {
			continue
		}
		private, err := hpke.MLKEM768X25519().NewPrivateKey(k.Secret)
		if err != nil {
			return ErrIdentity
		}
		id.openers[sealingKeyID(private.PublicKey().Bytes())] = private
	}
	if id.signer.key == nil || len(id.openers) == 0 {
		return ErrIdentity
	}
	return nil
}

// issue signs a statement about the keys as they are now.
func (id *Identity) issue(name string, serial uint64) error {
	now := time.Now().Truncate(time.Second)
	p := &PublicIdentity{name: name, serial: serial, issued: now, expires: now.Add(MaxLifetime)}
	copy(p.root[:], id.root.Public().(ed25519.PublicKey))
	if before := id.public.Load(); before != nil {
		p.signing, p.sealing = before.signing, before.sealing
	} else if err := id.listKeys(p, now); err != nil {
		return err
	}
	statement := p.appendStatement(nil)
	raw := strict.AppendBin(strict.AppendArray(nil, 2), statement)
	raw = strict.AppendBin(raw, ed25519.Sign(id.root, label.Identity.With(statement)))
	parsed, err := ParsePublic(raw) // what others will accept, by their own rules
	if err != nil {
		return err
	}
	id.public.Store(parsed)
	return nil
}

func (id *Identity) listKeys(p *PublicIdentity, now time.Time) error {
	// A minute back, so that a peer whose clock is a little behind accepts
	// what is signed at once.
	w := window{from: uint64(now.Add(-time.Minute).Unix())}
	k := VerifyingKey{window: w}
	copy(k.public[:], id.signer.PublicKey())
	p.signing = []VerifyingKey{k}
	set, err := id.sealing.keyset()
	if err != nil {
		return err
	}
	for _, k := range set.Keys {
		if k.ID == set.Primary {
			p.sealing = []*RecipientKey{{public: k.Public, window: w}}
		}
	}
	return nil
}

// Renew signs a new statement with the next serial and a fresh lifetime. Call it
// well before [PublicIdentity.Expires], save the identity, and hand the new
// statement out; peers that know the root go on trusting it.
func (id *Identity) Renew() error {
	p := id.Public()
	if p.serial >= revokedSerial-1 {
		return errors.New("keys: the identity has been revoked or has no serial left")
	}
	return id.issue(p.name, p.serial+1)
}

// Public returns the public half as it stands now.
func (id *Identity) Public() *PublicIdentity { return id.public.Load() }

// Name returns the name given to [GenerateIdentity].
func (id *Identity) Name() string { return id.Public().Name() }

// Fingerprint names the root.
func (id *Identity) Fingerprint() Fingerprint { return id.Public().Fingerprint() }

// Signer returns the primary signing key.
func (id *Identity) Signer() Signer { return id.signer }

// UnsealKey opens what [RecipientKey.SealKey] sealed to the named key with the
// same info. It returns [ErrUnseal] for every failure.
func (id *Identity) UnsealKey(to SealingKeyID, info, sealed []byte) ([]byte, error) {
	private, ok := id.openers[to]
	if !ok {
		return nil, ErrUnseal
	}
	key, err := hpke.Open(private, hpke.HKDFSHA256(), hpke.AES256GCM(), info, sealed)
	if err != nil {
		return nil, ErrUnseal
	}
	return key, nil
}

// HasSealingKey reports whether the identity holds the named key.
func (id *Identity) HasSealingKey(to SealingKeyID) bool {
	_, ok := id.openers[to]
	return ok
}

type localSigner struct{ key ed25519.PrivateKey }

func (s localSigner) PublicKey() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

func (s localSigner) Sign(message []byte) ([]byte, error) {
	return ed25519.Sign(s.key, message), nil
}

func (s localSigner) Format(state fmt.State, _ rune) { printRedacted(state, "keys.Signer") }

func (s localSigner) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalCleartext returns every secret of the identity, unencrypted, for a
// caller that wraps it itself: a KMS, or a browser page with a non-extractable
// WebCrypto key. About 3 KB.
//
//	array(5) [ version=1, root seed bin 32, signing keyset bin, sealing keyset bin, public bin ]
func (id *Identity) MarshalCleartext(insecurecleartext.Token) ([]byte, error) {
	signing, err := id.signing.bytes()
	if err != nil {
		return nil, err
	}
	sealing, err := id.sealing.bytes()
	if err != nil {
		return nil, err
	}
	b := strict.AppendUint(strict.AppendArray(nil, 5), 1)
	b = strict.AppendBin(b, id.root.Seed())
	b = strict.AppendBin(b, signing)
	b = strict.AppendBin(b, sealing)
	return strict.AppendBin(b, id.Public().Bytes()), nil
}

// ParseCleartextIdentity reads what [Identity.MarshalCleartext] returned and
// holds its parts against each other. It returns [ErrIdentity] for anything else.
func ParseCleartextIdentity(b []byte, _ insecurecleartext.Token) (*Identity, error) {
	r := strict.NewReader(b)
	r.Array(5)
	version := r.Uint()
	seed := r.Bin(ed25519.SeedSize, ed25519.SeedSize)
	signing, sealing := r.Bin(1, math.MaxUint16), r.Bin(1, math.MaxUint16)
	public := r.Bin(1, MaxPublicSize)
	if r.Done() != nil || version != 1 {
		return nil, ErrIdentity
	}
	id := &Identity{root: ed25519.NewKeyFromSeed(seed)}
	var err error
	if id.signing, err = parseTinkset(signing); err != nil {
		return nil, ErrIdentity
	}
	if id.sealing, err = parseTinkset(sealing); err != nil {
		return nil, ErrIdentity
	}
	p, err := ParsePublic(public)
	if err != nil || id.load() != nil || !id.matches(p) {
		return nil, ErrIdentity
	}
	id.public.Store(p)
	return id, nil
}

// matches reports whether the statement is about this identity's keys.
func (id *Identity) matches(p *PublicIdentity) bool {
	if p.Revoked() || p.Fingerprint() != fingerprintOf(id.root.Public().(ed25519.PublicKey)) {
		return false
	}
	return p.VerifyingKey().ID() == signingKeyID(id.signer.PublicKey()) &&
		id.HasSealingKey(p.RecipientKey().ID())
}
