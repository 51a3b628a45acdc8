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
// use, and what Save has returned for must survive what the sessions are to survive. Nobody
// waits for a call once its context is over, and what it does then counts as not known. A call
// that does not return even so keeps a goroutine, of which a [Server] has no more than
// Config.MaxSessions, and 128 for clients that come back; a client has 16. One that panics, or
// ends its goroutine, is a store that does not work.
type SessionStore interface {
	// Find returns the Key of the record that has this id among its IDs, and the Head
	// beside it. It is asked for whatever id a stranger sends, and so must cost one small
	// read: what it returns has at most [MaxStoredHead] and 32 bytes. The answer may be out
	// of date, and lead to a record that there is no more. The error matches [ErrNotStored]
	// if there is none, and only then.
	Find(ctx context.Context, id [32]byte) (key [32]byte, head []byte, err error)

	// Load returns the record of a Key. The error matches [ErrNotStored] if there is none,
	// or it has expired, and only then.
	Load(ctx context.Context, key [32]byte) (StoredSession, error)

	// Save stores a record in place of the one with its Key, in one step. That one must
	// have the Version before; where there is none the Version is 1. Each of its IDs must
	// lead to it then, and must not have led to another record that is there and has not
	// expired. Otherwise nothing changes and the error matches [ErrFenced]: somebody else
	// has saved. Saving the very record that is stored already succeeds: it is how an
	// unknown outcome is settled.
	Save(ctx context.Context, s StoredSession) error

	// Delete removes the record of a Key if it has this Version. If it has another one
	// the error matches [ErrFenced]; if there is none, there is no error.
	Delete(ctx context.Context, key [32]byte, version uint64) error

	// SavePart stores a part of a record that will be saved behind it, which then lists its
	// ID. Nobody has used the ID before. LoadPart returns its Data; the error matches
	// [ErrNotStored] if there is none, and only then. A part that the record does not list
	// any more, or the latest one of its Key does not list once another was fenced, is
	// removed by the store: by Save, by Delete, or once it has expired.
	SavePart(ctx context.Context, p StoredPart) error
	LoadPart(ctx context.Context, key, id [32]byte) ([]byte, error)

	// Sweep removes the records and parts that have expired. A [Server] calls it now and then. A
	// store that forgets by itself does nothing.
	Sweep(ctx context.Context) error
}

// A StoredSession is the record of one session.
type StoredSession struct {
	Key     [32]byte   // names the session for as long as it lives, and no other one ever
	Version uint64     // counts the records, from 1. Whoever saves with the next one is the session's owner
	IDs     []StoredID // 1 to 2, by which Find finds it
	Parts   [][32]byte // ids of what was saved with SavePart, at most [MaxStoredParts]
	Expires time.Time  // from when on nobody needs it
	Data    []byte     // encrypted
}

// A StoredPart holds some of what a record is about, which does not change any more: a record
// is saved anew with each message, and should be small.
type StoredPart struct {
	Key     [32]byte // of the record
	ID      [32]byte
	Expires time.Time // from when on nobody needs it, but for a record that lasts longer
	Data    []byte    // encrypted
}

// MaxStoredParts is how many parts a record has at most.
const MaxStoredParts = 4096

// A StoredID is what a record is found by. The Head of an ID is the same in each record that
// has it.
type StoredID struct {
	ID   [32]byte
	Head []byte // encrypted, at most MaxStoredHead bytes
}

// MaxStoredHead is the size of the largest [StoredID.Head], in bytes.
const MaxStoredHead = 256

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
