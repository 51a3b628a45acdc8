//go:build !js

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
)

const (
	passphraseVariable = "HOPSEAL_PASSPHRASE"
	peersSuffix        = ".peers"       // of the file beside the identity's
	renewAfter         = 24 * time.Hour // since the identity was last signed
)

// An account is an identity and the peers that its user admitted, in memory, or
// in two files under one passphrase.
type account struct {
	identity *keys.Identity
	known    *keys.KnownPeers
	isNew    bool // made now: nothing can have been sealed to it before

	path       string // "" in memory
	passphrase []byte
	saved      []byte // the known peers as they stand in the file
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
		return createAccount(path, name, passphrase)
	}
	return loadAccount(path, name, passphrase)
}

func newAccount(name string) (*account, error) {
	if name == "" {
		return nil, usageError{errors.New("who are you? say it with -name NAME")}
	}
	identity, err := keys.GenerateIdentity(name)
	return &account{identity: identity, known: new(keys.KnownPeers), isNew: true}, err
}

func createAccount(path, name string, passphrase []byte) (*account, error) {
	a, err := newAccount(name)
	if err != nil {
		return nil, err
	}
	a.path, a.passphrase = path, passphrase
	if err := a.loadPeers(); err != nil {
		return nil, err
	}
	if err := keys.SaveIdentity(path, a.identity, passphrase); err != nil {
		return nil, fmt.Errorf("%w: is the folder there, and may you write to it?", err)
	}
	return a, nil
}

func loadAccount(path, name string, passphrase []byte) (*account, error) {
	identity, err := keys.LoadIdentity(path, passphrase)
	if err != nil {
		return nil, err
	}
	if name != "" && name != identity.Name() {
		return nil, fmt.Errorf("%s is the identity of %s: leave out -name, or name another file",
			path, shownName(identity.Name()))
	}
	a := &account{identity: identity, known: new(keys.KnownPeers), path: path, passphrase: passphrase}
	if err := a.loadPeers(); err != nil {
		return nil, err
	}
	return a, a.renew()
}

func (a *account) loadPeers() error {
	known, err := keys.LoadKnownPeers(a.path+peersSuffix, a.passphrase)
	if errors.Is(err, fs.ErrNotExist) {
		a.saved = a.known.Bytes()
		return nil
	}
	if err != nil {
		return err
	}
	a.known, a.saved = known, known.Bytes()
	return nil
}

// renew signs the identity anew once a day, since peers refuse one that was
// signed 30 days ago. It is saved before anybody sees it: the same serial under
// two different statements would be an alarm to them.
func (a *account) renew() error {
	if time.Since(a.identity.Public().Issued()) < renewAfter {
		return nil
	}
	if err := a.identity.Renew(); err != nil {
		return err
	}
	return keys.SaveIdentity(a.path, a.identity, a.passphrase)
}

// keep saves the known peers if they changed.
func (a *account) keep() error {
	now := a.known.Bytes()
	if a.path == "" || bytes.Equal(now, a.saved) {
		return nil
	}
	if err := keys.SaveKnownPeers(a.path+peersSuffix, a.known, a.passphrase); err != nil {
		return fmt.Errorf("whom you admitted was not saved: %w", err)
	}
	a.saved = now
	return nil
}

// replayGuard refuses what an earlier run of the same identity may have opened.
func (a *account) replayGuard() *envelope.ReplayGuard {
	if a.isNew {
		return envelope.NewReplayGuard(time.Time{})
	}
	return envelope.NewReplayGuard(time.Now())
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
