package keystore

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/keyfile"
	"github.com/hopseal/hopseal/internal/lapse"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/missing"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
	"github.com/hopseal/hopseal/keys/trust"
)

// A Replica follows a store that another process writes. What comes out of it is live: its sealers
// and openers use a key that the writer has promoted without a restart. It must not rotate. What its
// known peers learn does not outlive it.
//
// It follows while [Replica.Run] runs, or at each [Replica.Refresh]. Without either it stays as it
// was opened: a server with its known peers goes on trusting peers that the writer has revoked or
// forgotten since.
//
// A Replica is safe for concurrent use.
type Replica struct {
	path   string
	secret Secret

	turn     sync.Mutex // guards what follows, even during a request to the KMS for the key
	seen     reading    // what contents come from
	refused  reading    // a file that the replica does not follow
	refusal  error      // why not
	master   []byte
	sealedBy []byte // the protector that master belongs to

	mu       sync.Mutex // guards contents, and is held for a moment
	contents contents
}

// OpenReplica reads a store without locking it. It returns the errors of [Open], except [ErrInUse]
// and [ErrOwner].
//
// It takes the file that it finds for the newest one. If that is an old backup, only peers can tell.
func OpenReplica(ctx context.Context, path string, secret Secret) (*Replica, error) {
	if secret == nil {
		return nil, missing.Arg("Secret")
	}
	r := &Replica{path: path, secret: secret}
	found, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	r.contents, r.seen = found.frozen.thaw(), found
	return r, nil
}

func (r *Replica) open(ctx context.Context, b []byte) ([]byte, error) {
	protector, size, ok := keyfile.Head(b)
	if ok && r.master != nil && string(protector) == string(r.sealedBy) {
		return openBody(r.path, b, size, r.master)
	}
	content, master, protector, err := openFile(ctx, r.path, b, r.secret)
	if err == nil {
		r.master, r.sealedBy = master, append([]byte(nil), protector...)
	}
	return content, err
}

// Refresh reads the store again if its file has changed, and reports whether the store has changed.
// It returns the errors of [OpenReplica], and [ErrRolledBack], [ErrOtherIdentity] and
// [ErrOtherHistory]. After an error the earlier state stays in use, and each Refresh returns the
// error again until the replica can follow the file.
func (r *Replica) Refresh(ctx context.Context) (changed bool, err error) {
	changed, trusted, err := r.refresh(ctx)
	if trusted {
		knownPeers.Tell(r.KnownPeers()) // without locks: whoever is told may ask the replica
	}
	return changed, err
}

func (r *Replica) refresh(ctx context.Context) (changed, trusted bool, err error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	info, err := os.Stat(r.path)
	switch {
	case err != nil:
		return false, false, fmt.Errorf("keys: %w", err)
	case r.seen.unchanged(info):
		return false, false, nil
	case r.refusal != nil && r.refused.unchanged(info):
		return false, false, r.refusal
	}
	found, err := r.read(ctx)
	if err == nil {
		err = r.seen.precedes(found)
	}
	r.refused, r.refusal = reading{}, nil
	if err != nil {
		r.refuse(found, err)
		return false, false, err
	}
	again := found.file == r.seen.file
	if r.seen = found; again {
		return false, false, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	changed, trusted = r.contents.follow(found.frozen)
	return changed, trusted, nil
}

// follow moves the live objects to the states of f. It reports whether f is another generation, and
// whether the known peers have to call their listeners.
func (c *contents) follow(f frozen) (changed, trusted bool) {
	changed = f.generation != c.generation
	c.generation, c.tally = f.generation, f.tally
	identities.Follow(c.identity, f.identity)
	var shared []namedKeyset
	for _, k := range f.shared {
		set, had := c.keyset(k.name)
		if had {
			sharedKeysets.Move(set, k.set)
		} else {
			set = sharedKeysets.Copy(k.set)
		}
		shared = append(shared, namedKeyset{k.name, set})
	}
	c.shared = shared
	if known, err := trust.ParseKnownPeers(f.known); err == nil {
		trusted = knownPeers.Replace(c.known, known)
	}
	return changed, trusted
}

// DefaultRefresh is the interval of [Replica.Run] if it is given none.
const DefaultRefresh = time.Second

// Run refreshes every interval until ctx ends; zero means [DefaultRefresh]. If nothing has changed, a
// refresh costs one look at the file's size and time. The known peers call whoever waits for changes,
// see [trust.ChangeNotifier]: a server with these known peers ends the sessions of a peer that the
// writer has revoked or forgotten, within a second of the refresh. Run gives errors to report, which
// may be nil, and goes on. It reports [ErrExpiring] too: then the store's writer has stopped.
func (r *Replica) Run(ctx context.Context, interval time.Duration, report func(error)) error {
	if interval <= 0 {
		interval = DefaultRefresh
	}
	if report == nil {
		report = func(error) {}
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var told lapse.Watch
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if _, err := r.Refresh(ctx); err != nil {
				report(err)
			}
			if err := r.lapsing(&told); err != nil {
				report(err)
			}
		}
	}
}

// Identity returns the store's identity as the writer left it.
func (r *Replica) Identity() *keys.Identity { return r.contents.identity }

// KnownPeers returns the store's known peers.
func (r *Replica) KnownPeers() *trust.KnownPeers { return r.contents.known }

// SharedKeyset returns the shared keyset of that name.
func (r *Replica) SharedKeyset(name string) (*keys.SharedKeyset, bool) {
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

// ClockJump returns what [Store.ClockJump] of the store's writer returned when it last wrote.
func (r *Replica) ClockJump() (from, to time.Time, doubted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.contents.tally.unconfirmedJump()
}

// ListedUntil is [Store.ListedUntil].
func (r *Replica) ListedUntil(ref KeyRef) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return unixtime.Time(uint64(r.contents.tally.ages[ref].listed))
}

// Format prints the path, whatever the verb.
func (r *Replica) Format(state fmt.State, _ rune) { fmt.Fprintf(state, "keystore.Replica(%s)", r.path) }
