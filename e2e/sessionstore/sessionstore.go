// Package sessionstore keeps the sessions of package e2e where they outlive a process.
//
//	store, err := sessionstore.Dir("/var/lib/orders/sessions")
//	cfg.Store, cfg.StoreKeys = store, keyset
//
// [Dir] is for the processes of one machine, or of several that share a directory with
// working locks. [Memory] is for tests and for servers of one process. [Over] makes a
// store of anything that can compare and swap: a database, Redis, etcd. Whoever needs
// none of that implements [Store].
//
// Records are encrypted before they get here. A store sees how many sessions there are,
// when they are used, how much of each is unacknowledged, and ids that a network sees as
// well. Whoever can write to it can delete sessions or put earlier records back: then
// they end, with an error that says so. Nobody can make one up, or read one.
package sessionstore

import (
	"context"
	"errors"
	"time"
)

// A Store keeps the records of sessions, so that these go on in another process: after a
// restart, or on another node.
//
// Any number of processes may use a store at once. It must be safe for concurrent use. What
// Save has returned for must survive whatever the sessions are to survive.
//
// Package e2e waits for no call once its context is over, and does not know then whether the
// call had its effect. A call that does not return keeps a goroutine. A server lets the calls
// for its sessions keep as many as its MaxSessions, and those for clients that come back 128; a
// client 16. A call that panics, or ends its goroutine, counts as a store that does not work.
type Store interface {
	// Find returns the Key of the record that has this id among its IDs, and the Head
	// beside it. It is asked for whatever id a stranger sends, so it must cost one small
	// read: what it returns has at most [MaxHead] and 32 bytes. The answer may be out of
	// date, and lead to a record that is gone. The error matches [ErrNotStored] if no
	// record has the id, and only then.
	Find(ctx context.Context, id [32]byte) (key [32]byte, head []byte, err error)

	// Load returns the record of a Key. The error matches [ErrNotStored] if there is none
	// or it has expired, and only then.
	Load(ctx context.Context, key [32]byte) (Record, error)

	// Save replaces the record that has the same Key, in one step. The record before must
	// have the Version before; where there is none the Version is 1. Each of the IDs must
	// lead to the record afterwards. None of them may lead to another record that is there
	// and has not expired. Otherwise Save changes nothing, and the error matches
	// [ErrFenced]: somebody else has saved.
	//
	// Saving the very record that is stored already succeeds: so whoever does not know
	// whether a Save had its effect repeats it.
	Save(ctx context.Context, r Record) error

	// Delete removes the record of a Key if it has this Version. If it has another one
	// the error matches [ErrFenced]; if there is none, there is no error.
	Delete(ctx context.Context, key [32]byte, version uint64) error

	// SavePart stores a part of a record. The record is saved afterwards, and lists the
	// part's ID, which nobody has used before.
	//
	// The store removes a part that its record does not list any more: in Save, in Delete, or
	// in Sweep once the part has expired. So it does with a part whose record was fenced,
	// if the latest record does not list it.
	SavePart(ctx context.Context, p Part) error

	// LoadPart returns the Data of a part. The error matches [ErrNotStored] if there is none,
	// and only then.
	LoadPart(ctx context.Context, key, id [32]byte) ([]byte, error)

	// Sweep removes the records and parts that have expired. A server calls it now and then. A
	// store that forgets by itself does nothing.
	Sweep(ctx context.Context) error
}

// A Record is what is stored of one session.
type Record struct {
	Key     [32]byte   // names the session for as long as it lives, and never another one
	Version uint64     // counts the records, from 1. Whoever saves the next one owns the session
	IDs     []ID       // 1 to 2, by which Find finds it
	Parts   [][32]byte // ids of what was saved with SavePart, at most [MaxParts]
	Expires time.Time  // from when on nobody needs it
	Data    []byte     // encrypted
}

// An ID is what a record is found by. The Head of an ID is the same in each record that
// has it.
type ID struct {
	ID   [32]byte
	Head []byte // encrypted, at most [MaxHead] bytes
}

// A Part holds messages of a session that do not change any more: a record is saved anew with
// each message, and should be small.
type Part struct {
	Key     [32]byte // of the record
	ID      [32]byte
	Expires time.Time // from when on nobody needs it, unless its record lasts longer
	Data    []byte    // encrypted
}

const (
	MaxHead  = 256  // the size of the largest [ID.Head], in bytes
	MaxParts = 4096 // how many parts a record has at most
)

// Errors of a [Store], and of a session that depends on one.
var (
	// ErrNotStored: there is no such record.
	ErrNotStored = errors.New("no such session is stored")

	// ErrFenced: the session goes on elsewhere, in another process or, after a client came
	// back another way, in this one. An e2e.CloseError that matches it says that this end of
	// the session is over.
	ErrFenced = errors.New("the session goes on elsewhere")

	// ErrUnavailable: the store did not work for as long as e2e.Config.SendTimeout. An
	// e2e.CloseError that matches it says that this end of the session is over; others can go
	// on with the session once the store works. A Store need not return it.
	ErrUnavailable = errors.New("the session store does not work")
)
