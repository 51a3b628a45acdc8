package keystore

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hopseal/hopseal/keys"
)

// ErrClosed is returned by every call after [Store.Close].
var ErrClosed = errors.New("keys: the store is closed")

// ErrInUse is wrapped by the error of [Open] if another process has the store open for writing.
var ErrInUse = errors.New("the store is in use")

// ErrReplaced is wrapped by the error of a write if the store's file is not the one that this process
// has opened or written: another file has its place.
var ErrReplaced = errors.New("another file has taken the place of the store")

// ErrClock is wrapped by the error of [Store.Rotate] if the machine's clock is certainly wrong: it shows a
// time before 2026, and the keys were made later.
var ErrClock = errors.New("keys: the clock of this machine is wrong")

// ErrNotDurable is matched by the error of a change that took effect, in the store's file and in this
// program, but may be lost in a power cut: the disk did not confirm the new file's name. Until the disk
// confirms it, each [Store.Rotate] writes the store again.
var ErrNotDurable = errors.New("written, but may not survive a power cut")

// ErrOwner is wrapped by the error of [Open], and of a write, if the store belongs to another user and this
// process may not give the new file to that user.
var ErrOwner = errors.New("the store belongs to another user")

type notDurableError struct {
	path string
	err  error // the disk's
}

func (e *notDurableError) Error() string {
	return fmt.Sprintf("keys: %s: %v: the disk did not confirm it: %v: look after the disk", e.path, ErrNotDurable, e.err)
}

func (e *notDurableError) Unwrap() []error { return []error{ErrNotDurable, e.err} }

// tookEffect reports whether a write with that error has changed the file.
func tookEffect(err error) bool { return err == nil || errors.Is(err, ErrNotDurable) }

// onlyNotDurable reports whether every part of an error says that a change took effect and may not last.
func onlyNotDurable(err error) bool {
	switch e := err.(type) {
	case *notDurableError:
		return true
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(e.Unwrap(), func(err error) bool { return !onlyNotDurable(err) })
	}
	return false
}

// What can be wrong with a key file. The errors returned wrap one of these and
// name the file and what to do.
var (
	ErrPassphrase  = errors.New("wrong passphrase")
	ErrDamaged     = errors.New("not a Hopseal key file, or damaged")
	ErrPermissions = errors.New("key file is open to other users")
)

func fileError(path string, err error, advice string) error {
	return fmt.Errorf("keys: %s: %w: %s", path, err, advice)
}

func damaged(path string) error { return fileError(path, ErrDamaged, "restore it from a backup") }

// unread returns the error for a file whose head or contents do not parse.
func unread(path string, err error) error {
	if errors.Is(err, keys.ErrVersion) {
		return fmt.Errorf("keys: %s: %w", path, keys.ErrVersion)
	}
	return damaged(path)
}
