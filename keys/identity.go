package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/freshkeys"
	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/internal/xwing"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/missing"
	"github.com/hopseal/hopseal/keys/internal/ring"
	"github.com/hopseal/hopseal/keys/internal/version"
)

// Errors of an [Identity].
var (
	// ErrIdentity is returned for bytes that are not an identity's secret half.
	ErrIdentity = errors.New("keys: not a valid identity")
	// ErrUnseal is returned by [Identity.UnsealKey] for every failure.
	ErrUnseal = errors.New("keys: key does not open")
	// ErrDetached is returned where an operation needs a key that is kept elsewhere and is not
	// attached, see [Identity.Attach].
	ErrDetached = errors.New("keys: the key is not here: attach its Signer first")
	// ErrRevoked is returned for every use of an identity that has been revoked.
	ErrRevoked = errors.New("keys: the identity has been revoked")
)

// An Identity is the secret half: a root key and, under it, the Tink keysets that sign and open. It
// prints as its name and fingerprint, never as its keys.
//
// An Identity is safe for concurrent use. A rotation (see keystore.Store) reaches all users of the
// Identity at once. Messages take no lock for that.
type Identity struct {
	state atomic.Pointer[identityState]
	fresh freshkeys.Mark
}

// identityState is an Identity at one moment. It is immutable: each step makes a new state, which a
// store saves before anybody uses it.
type identityState struct {
	root    Signer    // nil while detached
	signing ring.Ring // the zero ring where an external Signer signs
	sealing ring.Ring
	signer  Signer // of the primary signing key, nil while detached
	openers map[SealingKeyID]opener
	infos   []KeyInfo // of the keys in the rings, the signing keys first
	public  *PublicIdentity
}

// opener is the private half of a sealing key.
type opener struct {
	key   *xwing.PrivateKey
	stage Stage
}

// GenerateIdentity makes a new root, a signing and a sealing keyset, and signs the first public
// statement. The statement is valid for [MaxLifetime]: after these 30 days peers refuse the identity,
// unless keystore.Store.Run or [Identity.KeepAlive] has renewed it. Others see the name, 1 to 128
// bytes of UTF-8. It proves nothing to them.
func GenerateIdentity(name string) (*Identity, error) {
	root, err := newRoot()
	if err != nil {
		return nil, err
	}
	return generateIdentity(name, root, nil)
}

func newRoot() (Signer, error) {
	_, root, err := ed25519.GenerateKey(rand.Reader)
	return newLocalSigner(root), err
}

// GenerateIdentityWith is [GenerateIdentity] with private keys that stay outside: in a key service,
// an agent or an offline file. Root signs statements. Signer, if not nil, signs messages in place of
// a keyset made here. Neither key is saved with the identity; [Identity.Attach] brings them back.
func GenerateIdentityWith(name string, root, signer Signer) (*Identity, error) {
	if root == nil {
		return nil, missing.Arg("Signer")
	}
	return generateIdentity(name, root, signer)
}

func generateIdentity(name string, root, signer Signer) (*Identity, error) {
	now := time.Now()
	s := &identityState{root: root, signer: signer}
	var err error
	if signer == nil {
		if s.signing, err = ring.New(keyset.Ed25519, now); err != nil {
			return nil, err
		}
	}
	if s.sealing, err = ring.New(keyset.XWing, now); err != nil {
		return nil, err
	}
	id, err := s.begin(name, now)
	if err == nil {
		id.fresh.Set()
	}
	return id, err
}

// begin signs the first statement about the keys of a new identity.
func (s *identityState) begin(name string, now time.Time) (*Identity, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	if err := s.issue(name, 1, nil, now); err != nil {
		return nil, err
	}
	return newIdentity(s), nil
}

// checkName returns nil for a name that a new identity can have. Two names that differ in what nobody
// sees at their ends look the same, so there is none such. Peers do not check that: a name proves nothing.
func checkName(name string) error {
	first, _ := utf8.DecodeRuneInString(name)
	last, _ := utf8.DecodeLastRuneInString(name)
	switch {
	case len(name) == 0 || len(name) > MaxNameSize || !utf8.ValidString(name):
		return fmt.Errorf("keys: a name has 1 to %d bytes of UTF-8", MaxNameSize)
	case safetext.Invisible(first) || safetext.Invisible(last):
		return errors.New("keys: a name begins and ends with a character that can be seen")
	}
	return nil
}

func newIdentity(s *identityState) *Identity {
	id := new(Identity)
	id.state.Store(s)
	return id
}

// external reports whether messages are signed outside.
func (s *identityState) external() bool { return s.signing.Lives == nil }

// load reads the keys out of the keysets, and makes the list of what is known of them.
func (s *identityState) load() error {
	s.infos = nil // not those of the state before
	if !s.external() {
		k, err := s.signing.Set.Keyset()
		if err != nil {
			return err
		}
		s.signer = newLocalSigner(ed25519.NewKeyFromSeed(k.Keys[s.signing.Primary()].Secret))
		for i, key := range k.Keys {
			s.infos = append(s.infos, keyInfo(s.signing.Lives[i], UseSigning, signingKeyID(key.Public).String()))
		}
	}
	k, err := s.sealing.Set.Keyset()
	if err != nil {
		return err
	}
	s.openers = make(map[SealingKeyID]opener)
	for i, key := range k.Keys {
		private, err := xwing.NewPrivateKey(key.Secret)
		if err != nil {
			return ErrIdentity
		}
		name := sealingKeyID(private.PublicKey())
		s.openers[name] = opener{private, Stage(s.sealing.Lives[i].Stage())}
		s.infos = append(s.infos, keyInfo(s.sealing.Lives[i], UseSealing, name.String()))
	}
	return nil
}

// Public returns the public half as it stands now, nil for the zero Identity.
func (id *Identity) Public() *PublicIdentity {
	if s := id.state.Load(); s != nil {
		return s.public
	}
	return nil
}

// Name returns the name given to [GenerateIdentity].
func (id *Identity) Name() string { return id.Public().Name() }

// Fingerprint names the root.
func (id *Identity) Fingerprint() Fingerprint { return id.Public().Fingerprint() }

// Signer returns the primary signing key. Its Sign returns [ErrRevoked] if the identity has been
// revoked, and [ErrDetached] if the key is kept outside and is not attached.
func (id *Identity) Signer() Signer {
	_, signer := id.Signing()
	return signer
}

// Signing returns the primary signing key and its name as they are at one moment: no rotation can
// come between them. The name is zero for a revoked identity.
func (id *Identity) Signing() (SigningKeyID, Signer) {
	s := id.state.Load()
	switch primary := s.public.VerifyingKey(); {
	case s.public.Revoked():
		return SigningKeyID{}, noSigner{nil, ErrRevoked}
	case s.signer == nil:
		return primary.id, noSigner{primary.public[:], ErrDetached}
	default:
		return primary.id, s.signer
	}
}

// SignerOf returns the signing key of that name, primary or not, if the identity still holds it. It
// serves to sign again what the identity signed before. A revoked identity signs nothing.
func (id *Identity) SignerOf(name SigningKeyID) (Signer, bool) {
	if primary, signer := id.Signing(); primary == name {
		return signer, true
	}
	s := id.state.Load()
	if s.external() || s.public.Revoked() {
		return nil, false
	}
	k, err := s.signing.Set.Keyset()
	if err != nil {
		return nil, false
	}
	for _, key := range k.Keys {
		if signingKeyID(key.Public) == name {
			return newLocalSigner(ed25519.NewKeyFromSeed(key.Secret)), true
		}
	}
	return nil, false
}

// Attach gives the identity a private key that is kept outside. The public key of s says whether it
// is the root or the primary signing key.
func (id *Identity) Attach(s Signer) error {
	if s == nil {
		return missing.Arg("Signer")
	}
	for {
		before := id.state.Load()
		after := *before
		switch public := s.PublicKey(); {
		case public.Equal(ed25519.PublicKey(before.public.root[:])):
			after.root = s
		case !before.public.Revoked() && public.Equal(ed25519.PublicKey(before.public.signing[0].public[:])):
			after.signer = s
		default:
			return errors.New("keys: this Signer holds neither the root nor the primary signing key")
		}
		if id.state.CompareAndSwap(before, &after) {
			return nil
		}
	}
}

// UnsealKey opens what [RecipientKey.SealKey] sealed to the named key with the same info. It does not
// look at the key's stage: the caller asks [Identity.SealingKey] first. It returns [ErrUnseal] for
// every failure.
func (id *Identity) UnsealKey(to SealingKeyID, info, sealed []byte) ([]byte, error) {
	private, ok := id.state.Load().openers[to]
	if !ok {
		return nil, ErrUnseal
	}
	key, err := private.key.Open(info, sealed)
	if err != nil {
		return nil, ErrUnseal
	}
	return key, nil
}

// SealingKey returns the stage of the named key, and reports whether the identity holds it. An
// archived key opens stored messages only.
func (id *Identity) SealingKey(to SealingKeyID) (Stage, bool) {
	o, ok := id.state.Load().openers[to]
	return o.stage, ok
}

// A localSigner is a key in this process's memory. The key is behind two pointers: fmt cannot call
// Format on an unexported field, but follows at most one pointer there.
type localSigner struct{ key *ed25519.PrivateKey }

func newLocalSigner(key ed25519.PrivateKey) *localSigner { return &localSigner{&key} }

func (s *localSigner) PublicKey() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

// Immediate marks a Sign that only computes, so that no caller needs a goroutine to wait for it.
func (s *localSigner) Immediate() {}

func (s *localSigner) Sign(message []byte) ([]byte, error) {
	return ed25519.Sign(*s.key, message), nil
}

func (s *localSigner) Format(state fmt.State, _ rune) { printRedacted(state, "keys.Signer") }

func (s *localSigner) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// A noSigner stands for a key that cannot be used.
type noSigner struct {
	public ed25519.PublicKey
	err    error
}

func (s noSigner) PublicKey() ed25519.PublicKey { return s.public }

func (s noSigner) Immediate() {}

func (s noSigner) Sign([]byte) ([]byte, error) { return nil, s.err }

// MarshalCleartext returns every secret that the identity holds, unencrypted, about 3 KB. It is for a
// caller that encrypts them itself: a browser page with a non-extractable WebCrypto key, or a backup.
//
//	array(5) [ version=1, root seed bin 32 | nil, signing ring | nil, sealing ring, public bin ]
//
// The root is nil if it is kept outside. The signing ring is nil if an external Signer signs.
func (id *Identity) MarshalCleartext(insecurecleartext.Token) ([]byte, error) {
	return id.state.Load().marshal()
}

func (s *identityState) marshal() (b []byte, err error) {
	b = strict.AppendUint(strict.AppendArray(nil, 5), 1)
	if root, here := s.root.(*localSigner); here {
		b = strict.AppendBin(b, root.key.Seed())
	} else {
		b = strict.AppendNil(b)
	}
	if s.external() {
		b = strict.AppendNil(b)
	} else if b, err = s.signing.Append(b); err != nil {
		return nil, err
	}
	if b, err = s.sealing.Append(b); err != nil {
		return nil, err
	}
	return strict.AppendBin(b, s.public.Bytes()), nil
}

// ParseCleartextIdentity reads what [Identity.MarshalCleartext] returned and checks that its parts
// belong together. It returns [ErrIdentity] for anything else.
func ParseCleartextIdentity(b []byte, _ insecurecleartext.Token) (*Identity, error) {
	s, err := parseIdentityState(b)
	if err != nil {
		return nil, err
	}
	return newIdentity(s), nil
}

func parseIdentityState(b []byte) (_ *identityState, err error) {
	defer version.Later(&err, b, 1)
	r := strict.NewReader(b)
	r.Array(5)
	version := r.Uint()
	s, ok := new(identityState), true
	if !r.Nil() {
		s.root = newLocalSigner(ed25519.NewKeyFromSeed(seedOrZero(r.Bin(ed25519.SeedSize, ed25519.SeedSize))))
	}
	if !r.Nil() {
		s.signing, ok = ring.Parse(&r, keyset.Ed25519)
	}
	var sealingOK bool
	s.sealing, sealingOK = ring.Parse(&r, keyset.XWing)
	public := r.Bin(1, MaxPublicSize)
	if r.Done() != nil || version != 1 || !ok || !sealingOK {
		return nil, ErrIdentity
	}
	if s.public, err = ParsePublic(public); err != nil || s.load() != nil || !s.matches() {
		return nil, ErrIdentity
	}
	return s, nil
}

// seedOrZero returns a zero seed after a failed read, so that crypto/ed25519 does not panic. The
// Reader remembers the failure.
func seedOrZero(b []byte) []byte {
	if len(b) != ed25519.SeedSize {
		return make([]byte, ed25519.SeedSize)
	}
	return b
}

// matches reports whether the statement is about the keys in the state.
func (s *identityState) matches() bool {
	if s.root != nil && !s.root.PublicKey().Equal(ed25519.PublicKey(s.public.root[:])) {
		return false
	}
	if s.public.Revoked() {
		return true
	}
	o, held := s.openers[s.public.sealing[0].id]
	if !held || o.stage != StagePrimary {
		return false
	}
	return s.external() || s.public.signing[0].id == signingKeyID(s.signer.PublicKey())
}
