package keystore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/atomicfile"
	"github.com/hopseal/hopseal/internal/keyfile"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/missing"
	"github.com/hopseal/hopseal/keys/trust"
)

// A Store is an encrypted file with an identity, and with the shared keysets and the known peers that
// go with it. Every change is on disk before it takes effect: whatever happens to the process, the
// file is the old one or the new one. The file keeps its owner and its mode, even if root makes the
// change. An error that matches [ErrNotDurable] is about a change that took effect.
//
// A lock lets one Store write at a time (A20). Any number of [Replica]s follow it. A Store is safe
// for concurrent use.
type Store struct {
	name      string // as the caller gave it
	path      string // behind symbolic links
	lock      *fileLock
	master    []byte
	protector []byte
	clock     func() time.Time
	uptime    func() measure
	elapsed   func(since, now time.Time) time.Duration // by a clock that nobody sets
	written   func(step string)                        // for tests: called after each step of a write
	sync      func(dir *os.File) error                 // atomicfile.Sync, except in tests
	control   controls
	turn      chan struct{} // holds a token during a change of several steps; taken before mu

	mu          sync.Mutex // guards what follows, and the order of writes
	contents    contents
	known       []byte        // the list of known peers as it was last written
	onDisk      frozen        // what was last written or read
	lastSecond  time.Time     // when this process last counted a second, zero for never
	rest        time.Duration // from then to when it last read the clock
	unconfirmed bool          // the disk has not confirmed the last write
	closed      bool
}

// Create makes a store for an identity. It refuses a path that exists, and a weak passphrase with a
// [*WeakPassphraseError]. After an error it leaves nothing behind.
func Create(ctx context.Context, path string, secret Secret, id *keys.Identity) (*Store, error) {
	if noIdentity(id) {
		return nil, missing.Arg("Identity")
	}
	return createStore(ctx, path, secret, contents{identity: id, known: new(trust.KnownPeers)})
}

func createStore(ctx context.Context, path string, secret Secret, c contents) (*Store, error) {
	if secret == nil {
		return nil, missing.Arg("Secret")
	}
	s, err := claimStore(path)
	if err != nil {
		return nil, err
	}
	s.contents = c
	if err := s.create(ctx, secret); err != nil {
		s.lock.abandon()
		return nil, err
	}
	return s, nil
}

// claimStore locks the store, so that this process is its one writer.
func claimStore(name string) (*Store, error) {
	path, err := realPath(name)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	lock, err := lockStore(path)
	if err != nil {
		return nil, err
	}
	removeLeftovers(path)
	return &Store{name: name, path: path, lock: lock, clock: time.Now, uptime: uptime, elapsed: elapsed,
		written: func(string) {}, sync: atomicfile.Sync, control: controls{closing: make(chan struct{})}, turn: make(chan struct{}, 1)}, nil
}

func (s *Store) create(ctx context.Context, secret Secret) error {
	if _, err := os.Lstat(s.path); err == nil {
		return fileError(s.path, fs.ErrExist, "choose another path, or open it")
	}
	var err error
	if s.master, s.protector, err = secret.create(ctx); err != nil {
		return fmt.Errorf("keys: %s: %w", s.path, err)
	}
	s.known = s.contents.known.Bytes()
	if err := s.write(s.freeze()); err != nil {
		if e, ok := err.(*notDurableError); ok {
			err = errors.Join(fmt.Errorf("keys: %s not written: %w", s.path, e.err), os.Remove(s.path))
		}
		return err
	}
	s.follow()
	return nil
}

// Open opens a store for writing. It removes unfinished files that a killed writer has left. Errors
// wrap [ErrInUse], [ErrPassphrase], [ErrKMS], [ErrDamaged], [ErrPermissions], [ErrOwner] or the file
// system's. After an error it leaves nothing behind.
func Open(ctx context.Context, path string, secret Secret) (*Store, error) {
	if secret == nil {
		return nil, missing.Arg("Secret")
	}
	return openStore(ctx, path, secret, func(*Store) {})
}

// openStore is Open. Tests change the store in prepare, before its file is read.
func openStore(ctx context.Context, path string, secret Secret, prepare func(*Store)) (*Store, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("keys: %w", err) // before a lock is made beside a file that does not exist
	}
	s, err := claimStore(path)
	if err != nil {
		return nil, err
	}
	prepare(s)
	f, err := s.read(ctx, secret)
	if err == nil {
		err = s.checkOwner()
	}
	if err != nil {
		s.lock.abandon()
		return nil, err
	}
	s.contents, s.known, s.onDisk = f.thaw(), f.known, f
	s.readClock()
	s.follow()
	return s, nil
}

func (s *Store) read(ctx context.Context, secret Secret) (frozen, error) {
	b, _, err := readPrivate(s.path)
	if err != nil {
		return frozen{}, err
	}
	content, master, protector, err := openFile(ctx, s.path, b, secret)
	if err != nil {
		return frozen{}, err
	}
	s.master, s.protector = master, slices.Clone(protector)
	f, err := parseFrozen(content)
	if err != nil {
		return frozen{}, unread(s.path, err)
	}
	return f, nil
}

// follow makes the store write what the known peers learn, and count the messages that shared keys
// seal.
func (s *Store) follow() {
	for _, n := range s.contents.shared {
		sharedKeysets.Move(n.set, sharedKeysets.Counted(n.set, s.ledger(n.name)))
	}
	knownPeers.Persist(s.contents.known, func(b []byte) (done bool, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		f := s.freeze()
		f.known = b
		err = s.write(f)
		if done = tookEffect(err); done {
			s.known = b
		}
		return done, err
	})
}

// Close ends [Store.Run] and [Store.Serve] and releases the store's lock. What came out of the store
// stays usable and does not change any more.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.control.end() // before another writer can listen there
	clear(s.master)
	return s.lock.release()
}

// Path returns the path of the store's file.
func (s *Store) Path() string { return s.name }

// Identity returns the store's identity. It follows every rotation.
func (s *Store) Identity() *keys.Identity { return s.contents.identity }

// KnownPeers returns the store's list of known peers. A change of the list is on disk before it takes
// effect.
func (s *Store) KnownPeers() *trust.KnownPeers { return s.contents.known }

// SharedKeyset returns the shared keyset of that name, which follows every
// rotation.
func (s *Store) SharedKeyset(name string) (*keys.SharedKeyset, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.contents.keyset(name)
}

// SharedKeysets returns the names of the shared keysets.
func (s *Store) SharedKeysets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.contents.keysetNames()
}

// PutSharedKeyset adds a shared keyset under a name of 1 to 128 bytes, which must be free. AES256_GCM
// keys that somebody took out of set before go on opening only: to seal, take its primary again.
func (s *Store) PutSharedKeyset(name string, set *keys.SharedKeyset) error {
	if noSharedKeyset(set) {
		return missing.Arg("SharedKeyset")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(name) == 0 || len(name) > MaxKeysetName {
		return fmt.Errorf("keys: a keyset's name has 1 to %d bytes", MaxKeysetName)
	}
	if _, taken := s.contents.keyset(name); taken {
		return fmt.Errorf("keys: there is a shared keyset %q already", name)
	}
	counted := sharedKeysets.Counted(set, s.ledger(name))
	f := s.freeze()
	f.shared = append(f.shared, frozenKeyset{name, counted})
	slices.SortFunc(f.shared, frozenKeyset.compare)
	err := s.write(f)
	if tookEffect(err) {
		sharedKeysets.Move(set, counted)
		s.contents.shared = append(s.contents.shared, namedKeyset{name, set})
		slices.SortFunc(s.contents.shared, namedKeyset.compare)
	}
	return err
}

// write puts the contents on disk as the next generation. The caller then makes the change take
// effect, unless tookEffect says that the file is still the old one. The caller holds mu, except for
// a new store.
func (s *Store) write(f frozen) error {
	if s.closed {
		return ErrClosed
	}
	f.generation = s.contents.generation + 1
	f.tally = s.contents.tally.follow(f.keys(), f.listedUntil, s.readClock())
	content, err := f.append(nil)
	if err != nil {
		return err
	}
	if err := s.readable(f, content); err != nil {
		return fmt.Errorf("keys: %s was not written, since it could not be read again: %w", s.path, err)
	}
	err = s.replaceFile(keyfile.Seal(content, s.master, s.protector))
	if tookEffect(err) {
		s.contents.generation++
		s.contents.tally, s.onDisk = f.tally, f
	}
	return err
}

// readable parses the contents as a reader will, before they replace the old ones. Parsing a key
// takes half a millisecond: if no key has changed, readable parses only the known peers.
func (s *Store) readable(f frozen, content []byte) error {
	sameSet := func(a, b frozenKeyset) bool { return sharedKeysets.Same(a.set, b.set) }
	if s.onDisk.identity == nil || !identities.Same(f.identity, s.onDisk.identity) || !slices.EqualFunc(f.shared, s.onDisk.shared, sameSet) {
		_, err := parseFrozen(content)
		return err
	}
	_, err := trust.ParseKnownPeers(f.known)
	return err
}

// Format prints the path.
func (s *Store) Format(state fmt.State, _ rune) { fmt.Fprintf(state, "keystore.Store(%s)", s.path) }

// freeze returns the states in use. It takes the known peers as they were last written: their own
// lock comes before the store's.
func (s *Store) freeze() frozen { return s.contents.freeze(s.known) }
