package e2e

import (
	"context"
	"errors"
	"time"
)

// A SessionStore keeps sessions, so that they go on in another process: after a restart,
// or on another node. What it is given is encrypted, and it need not be trusted with more
// than [Config.Store] says. Package sessionstore has one in memory, one in files, and one
// over anything that can compare and swap.
//
// A store may be used by any number of processes at once. It must be safe for concurrent
// use, and what Save has returned for must survive what the sessions are to survive.
type SessionStore interface {
	// Load returns the record that has this id among its IDs. The error matches
	// [ErrNotStored] if there is none, and only then.
	Load(ctx context.Context, id [32]byte) (StoredSession, error)

	// Save stores a record in place of the one with its Key, in one step. That one must
	// have the Version before: where there is none, or one that has expired, the Version
	// is 1. Otherwise nothing
	// changes and the error matches [ErrFenced]: somebody else has saved. Saving the very
	// record that is stored already succeeds: it is how an unknown outcome is settled.
	Save(ctx context.Context, s StoredSession) error

	// Delete removes the record of a Key if it has this Version. If it has another one
	// the error matches [ErrFenced]; if there is none, there is no error.
	Delete(ctx context.Context, key [32]byte, version uint64) error

	// Sweep removes the records that have expired. A [Server] calls it now and then. A
	// store that forgets by itself does nothing.
	Sweep(ctx context.Context) error
}

// A StoredSession is the record of one session.
type StoredSession struct {
	Key     [32]byte   // names the session for as long as it lives
	Version uint64     // counts the records, from 1. Whoever saves with the next one is the session's owner
	IDs     [][32]byte // 1 to 2, by which Load finds it
	Expires time.Time  // from when on nobody needs it
	Data    []byte     // encrypted
}

// Errors of a [SessionStore], and of what depends on one.
var (
	// ErrNotStored: there is no such record.
	ErrNotStored = errors.New("no such session is stored")

	// ErrFenced: the session goes on elsewhere, in another process or, after a client came
	// back another way, in this one. In a [CloseError] it says that this end of it is over.
	ErrFenced = errors.New("the session goes on elsewhere")

	// ErrStore: the store did not work for [Config.SendTimeout]. In a [CloseError] it says
	// that this end of the session is over, which others can go on with once the store works.
	ErrStore = errors.New("the session store does not work")
)
