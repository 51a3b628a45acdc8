//go:build !js

package keys

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"
)

// A Replica follows a store that another process writes. What comes out of it is
// live: a promotion in the writer reaches its sealers and openers without a
// restart. It must not rotate; its known peers learn nothing that outlives it.
//
// A Replica is safe for concurrent use.
type Replica struct {
	path   string
	secret Secret

	mu       sync.Mutex // guards what follows
	contents contents
	seen     os.FileInfo
	master   []byte
	sealedBy []byte // the protector that master belongs to
}

// OpenReplica reads a store without locking it. Errors are those of [OpenStore]
// but for [ErrStoreInUse].
func OpenReplica(ctx context.Context, path string, secret Secret) (*Replica, error) {
	r := &Replica{path: path, secret: secret}
	f, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	r.contents = f.thaw()
	return r, nil
}

// read reads the file. Argon2 or the KMS is asked again only where the master key
// has changed.
func (r *Replica) read(ctx context.Context) (frozen, error) {
	info, err := os.Stat(r.path)
	if err != nil {
		return frozen{}, err
	}
	b, err := readPrivate(r.path)
	if err != nil {
		return frozen{}, err
	}
	content, err := r.open(ctx, b)
	if err != nil {
		return frozen{}, err
	}
	f, err := parseFrozen(content)
	if err != nil {
		return frozen{}, damaged(r.path)
	}
	r.seen = info
	return f, nil
}

func (r *Replica) open(ctx context.Context, b []byte) ([]byte, error) {
	protector, size, ok := parseFileHead(b)
	if ok && r.master != nil && string(protector) == string(r.sealedBy) {
		return openBody(r.path, b, size, r.master)
	}
	content, master, protector, err := openFile(ctx, r.path, b, r.secret)
	if err == nil {
		r.master, r.sealedBy = master, append([]byte(nil), protector...)
	}
	return content, err
}

// ErrRolledBack is returned by [Replica.Refresh] for a file that is older than
// one that it has read.
var ErrRolledBack = errors.New("keys: the store on disk is older than the one read before")

// Refresh reads the store again if its file has changed, and reports whether it
// had. On an error what was read before stays in use.
func (r *Replica) Refresh(ctx context.Context) (changed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	info, err := os.Stat(r.path)
	if err != nil {
		return false, err
	}
	if os.SameFile(info, r.seen) && info.ModTime().Equal(r.seen.ModTime()) && info.Size() == r.seen.Size() {
		return false, nil
	}
	f, err := r.read(ctx)
	if err != nil {
		return false, err
	}
	if f.generation < r.contents.generation {
		return false, ErrRolledBack
	}
	return r.contents.follow(f), nil
}

// follow moves the live objects to the states of f.
func (c *contents) follow(f frozen) bool {
	changed := f.generation != c.generation
	c.generation = f.generation
	c.identity.state.Store(f.identity.attachedLike(c.identity.state.Load()))
	var shared []namedKeyset
	for _, k := range f.shared {
		set, had := c.keyset(k.name)
		if had {
			set.state.Store(k.state)
		} else {
			set = newSharedKeyset(k.state)
		}
		shared = append(shared, namedKeyset{k.name, set})
	}
	c.shared = shared
	if known, err := ParseKnownPeers(f.known); err == nil {
		c.known.replace(known.now())
	}
	return changed
}

// attachedLike keeps the Signers that were attached to the state before, as long
// as they are still the ones.
func (s *identityState) attachedLike(before *identityState) *identityState {
	if s.root == nil {
		s.root = before.root
	}
	if s.external() && s.signer == nil && !s.public.Revoked() && before.signer != nil &&
		s.public.signing[0].id == signingKeyID(before.signer.PublicKey()) {
		s.signer = before.signer
	}
	return s
}

// Run refreshes every interval until ctx ends. Errors go to report, which may be
// nil; following goes on after them.
func (r *Replica) Run(ctx context.Context, interval time.Duration, report func(error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if _, err := r.Refresh(ctx); err != nil && report != nil {
				report(err)
			}
		}
	}
}

// Identity returns the store's identity as the writer left it.
func (r *Replica) Identity() *Identity { return r.contents.identity }

// KnownPeers returns the store's known peers.
func (r *Replica) KnownPeers() *KnownPeers { return r.contents.known }

// SharedKeyset returns the shared keyset of that name.
func (r *Replica) SharedKeyset(name string) (*SharedKeyset, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.contents.keyset(name)
}

// SharedKeysets returns the names of the shared keysets.
func (r *Replica) SharedKeysets() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.contents.keysetNames()
}
