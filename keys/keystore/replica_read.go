package keystore

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"slices"
	"time"
)

// The errors that keep a [Replica] from following its file.
var (
	// ErrRolledBack is returned by [Replica.Refresh] for a file that is older than
	// one that it has read.
	ErrRolledBack = errors.New("keys: the store on disk is older than the one read before")
	// ErrOtherIdentity is returned by [Replica.Refresh] for the store of another identity.
	ErrOtherIdentity = errors.New("keys: the store on disk is that of another identity than the one read before")
	// ErrOtherHistory is returned by [Replica.Refresh] for a file that did not come from the one that
	// the replica has read: two copies of a store were changed, each on its own.
	ErrOtherHistory = errors.New("keys: the store on disk has another history than the one read before")
)

// A reading is what a replica found in its file.
type reading struct {
	info   os.FileInfo       // of the file that was read, nil for none
	at     time.Time         // when reading began
	file   [sha256.Size]byte // digest of the file
	frozen frozen
	digest [sha256.Size]byte // of the content
}

// read reads the file. It runs Argon2 or asks the KMS again only if the master key has changed.
func (r *Replica) read(ctx context.Context) (found reading, err error) {
	found.at = time.Now()
	b, info, err := readPrivate(r.path)
	found.info = info
	if err != nil {
		return found, err
	}
	switch found.file = sha256.Sum256(b); found.file {
	case r.seen.file:
		found.frozen, found.digest = r.seen.frozen, r.seen.digest
		return found, nil
	case r.refused.file:
		return found, r.refusal
	}
	content, err := r.open(ctx, b)
	if err != nil {
		return found, err
	}
	found.digest = sha256.Sum256(content)
	if found.frozen, err = parseFrozen(content); err != nil {
		return found, unread(r.path, err)
	}
	return found, nil
}

// precedes returns an error if b is not a later state of a's store. The number of writes, or the
// statement's serial, gives away a copy that was changed on its own. precedes does not notice a copy
// with more changes than this store.
func (a reading) precedes(b reading) error {
	now, next := a.frozen.identity.Public(), b.frozen.identity.Public()
	same := a.frozen.generation == b.frozen.generation
	switch {
	case now.Fingerprint() != next.Fingerprint():
		return ErrOtherIdentity
	case b.frozen.generation < a.frozen.generation:
		return ErrRolledBack
	case same && a.digest != b.digest, next.Serial() < now.Serial(), next.Serial() == now.Serial() && !next.Equal(now):
		return ErrOtherHistory
	}
	return nil
}

// permanentErrors are the errors that the same file would cause again. A replica remembers them, since
// another try takes as long as Argon2.
var permanentErrors = []error{ErrRolledBack, ErrOtherIdentity, ErrOtherHistory, ErrDamaged, ErrPassphrase}

// refuse remembers a file that the replica does not follow.
func (r *Replica) refuse(found reading, err error) {
	if slices.ContainsFunc(permanentErrors, func(e error) bool { return errors.Is(err, e) }) {
		r.refused, r.refusal = found, err
	}
}

// coarsestTick is the coarsest tick of a file system's clock. Two writes within one tick look the
// same, even if the second made a new file: the new file may get the inode number of the old one.
const coarsestTick = 2 * time.Second

// unchanged reports whether the file that is now at the path is the one that was read: the same file,
// time, size and mode, last written well before it was read.
func (a reading) unchanged(now os.FileInfo) bool {
	old := a.info
	return old != nil && os.SameFile(now, old) && now.ModTime().Equal(old.ModTime()) && now.Size() == old.Size() && now.Mode() == old.Mode() &&
		old.ModTime().Before(a.at.Add(-coarsestTick))
}
