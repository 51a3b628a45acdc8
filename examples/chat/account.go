//go:build !js

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
	"github.com/hopseal/hopseal/keys/trust"
)

const (
	passphraseVariable = "HOPSEAL_PASSPHRASE"
	replaySuffix       = ".replay"      // of the file beside the store's
	renewAfter         = 24 * time.Hour // since the identity was last signed
)

// An account is an identity, the peers that its user admitted and what it opened
// of late: in memory, or in a store with the replay guard in a file beside it.
type account struct {
	identity *keys.Identity
	known    *trust.KnownPeers
	replay   *envelope.ReplayGuard

	store *keystore.Store // nil in memory
	saved []byte          // the replay guard as it stands in its file
}

// openAccount returns the account in the file, made if it is missing, or one in
// memory where path is "". An empty name means the one in the file.
func openAccount(path, name string, std stdio) (*account, error) {
	if len(name) > maxName || !utf8.ValidString(name) {
		return nil, usageError{fmt.Errorf("a name has at most %d bytes of UTF-8: choose a shorter one", maxName)}
	}
	if path == "" {
		return newAccount(name)
	}
	_, err := os.Stat(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	passphrase, err := askPassphrase(path, isNew, std)
	if err != nil {
		return nil, err
	}
	if isNew {
		return createAccount(path, name, keystore.Passphrase(passphrase))
	}
	return loadAccount(path, name, keystore.Passphrase(passphrase))
}

// newAccount makes an identity. Nothing can have been sealed to it before, so that
// its replay guard begins empty.
func newAccount(name string) (*account, error) {
	if name == "" {
		return nil, usageError{errors.New("who are you? say it with -name NAME")}
	}
	identity, err := keys.GenerateIdentity(name)
	return &account{identity: identity, known: new(trust.KnownPeers), replay: envelope.FirstReplayGuard(identity)}, err
}

func createAccount(path, name string, secret keystore.Secret) (*account, error) {
	a, err := newAccount(name)
	if err != nil {
		return nil, err
	}
	if a.store, err = keystore.Create(context.Background(), path, secret, a.identity); err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w: is the folder there, and may you write to it?", err)
		}
		return nil, err
	}
	a.known = a.store.KnownPeers()
	return a, a.keep()
}

func loadAccount(path, name string, secret keystore.Secret) (*account, error) {
	store, err := keystore.Open(context.Background(), path, secret)
	if err != nil {
		return nil, err
	}
	a := &account{identity: store.Identity(), known: store.KnownPeers(), store: store}
	if err := a.load(path, name); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *account) load(path, name string) error {
	if name != "" && name != a.identity.Name() {
		return fmt.Errorf("%s is the identity of %s: leave out -name, or name another file",
			path, shownName(a.identity.Name()))
	}
	a.replay = loadReplay(path + replaySuffix)
	// Once a day, since peers refuse an identity that was signed 30 days ago.
	if time.Since(a.identity.Public().Issued()) < renewAfter {
		return nil
	}
	return a.store.Renew()
}

// loadReplay returns the guard in the file. Where there is none that can be read,
// everything is refused that an earlier run may have opened.
func loadReplay(path string) *envelope.ReplayGuard {
	if b, err := os.ReadFile(path); err == nil {
		if g, err := envelope.ParseReplayGuard(b); err == nil {
			return g
		}
	}
	return envelope.NewReplayGuard()
}

// keep saves the replay guard if it changed. The store saves the known peers.
func (a *account) keep() error {
	if a.store == nil {
		return nil
	}
	now := a.replay.Bytes()
	if bytes.Equal(now, a.saved) {
		return nil
	}
	path := a.store.Path() + replaySuffix
	next := path + ".new"
	if err := errors.Join(os.WriteFile(next, now, 0o600), os.Rename(next, path)); err != nil {
		return fmt.Errorf("what was opened was not saved, so that a restart may show it again: %w", err)
	}
	a.saved = now
	return nil
}

func (a *account) close() error {
	if a.store == nil {
		return nil
	}
	return a.store.Close()
}

// askPassphrase takes the passphrase from the environment, or from the terminal
// without showing it; twice where it is for a new file.
func askPassphrase(path string, isNew bool, std stdio) ([]byte, error) {
	if p := std.getenv(passphraseVariable); p != "" {
		return []byte(p), nil
	}
	terminal, ok := std.in.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return nil, fmt.Errorf("%s needs a passphrase, and there is no terminal to ask on: set %s",
			path, passphraseVariable)
	}
	prompt := "Passphrase for " + path
	if isNew {
		prompt = "New passphrase for " + path
	}
	first, err := promptHidden(prompt, terminal, std)
	if err != nil || !isNew {
		return first, err
	}
	again, err := promptHidden("The same once more", terminal, std)
	if err == nil && !bytes.Equal(first, again) {
		err = errors.New("the two passphrases differ: try again")
	}
	return first, err
}

func promptHidden(prompt string, terminal *os.File, std stdio) ([]byte, error) {
	fmt.Fprint(std.err, prompt+": ")
	p, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(std.err)
	if err == nil && len(p) == 0 {
		err = errors.New("an empty passphrase protects nothing: try again")
	}
	return p, err
}
