//go:build !js

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys/keystore"
)

// Environment variables. They name the store and say where its secret comes from;
// none holds a key.
const (
	envStore          = "HOPSEAL_STORE"
	envPassphraseFile = "HOPSEAL_PASSPHRASE_FILE"
	envPassphraseFD   = "HOPSEAL_PASSPHRASE_FD"
	envPassphrase     = "HOPSEAL_PASSPHRASE" // visible to others who look at the process: for tests and containers
	envKMSKey         = "HOPSEAL_KMS_KEY"
)

// kmsSecret, if not nil, is how this build reaches a key management service. No
// client is linked in here: each brings a large graph. A build of one's own sets
// this from a file of its own in this folder, in an init function, usually to
// keystore.KMS with one of Tink's clients.
var kmsSecret func(ctx context.Context, keyURI string) (keystore.Secret, error)

const maxPassphrase = 4096 // bytes

// secretSources are looked up in this order; more than one at a time is refused.
var secretSources = []struct {
	name string
	read func(ctx context.Context, value string) (keystore.Secret, error)
}{
	{envPassphraseFile, func(_ context.Context, path string) (keystore.Secret, error) {
		return passphraseOf(readPassphraseFile(path))
	}},
	{envPassphraseFD, func(_ context.Context, fd string) (keystore.Secret, error) { return passphraseOf(readPassphraseFD(fd)) }},
	{envPassphrase, func(_ context.Context, text string) (keystore.Secret, error) { return passphraseOf([]byte(text), nil) }},
	{envKMSKey, kmsFromEnvironment},
}

func passphraseOf(p []byte, err error) (keystore.Secret, error) {
	if err != nil {
		return nil, err
	}
	return keystore.Passphrase(p), nil
}

func kmsFromEnvironment(ctx context.Context, uri string) (keystore.Secret, error) {
	if kmsSecret == nil {
		return nil, errors.New("this build of hopseal reaches no key management service: see docs/keys.md on " + envKMSKey + ", or unset it")
	}
	return kmsSecret(ctx, uri)
}

// secret finds the secret of a store. A person who makes a store types a
// passphrase twice.
func (c *call) secret(ctx context.Context, path string, creating bool) (keystore.Secret, error) {
	var found []int
	for i, s := range secretSources {
		if c.getenv(s.name) != "" {
			found = append(found, i)
		}
	}
	switch {
	case len(found) > 1:
		return nil, c.wrong(fmt.Sprintf("%s and %s are both set: unset one", secretSources[found[0]].name, secretSources[found[1]].name))
	case len(found) == 1 && c.fixed != nil:
		return c.fixed, nil // a file descriptor is read once
	case len(found) == 1:
		s := secretSources[found[0]]
		secret, err := s.read(ctx, c.getenv(s.name))
		c.fixed = secret
		return secret, err
	case !c.console.attended():
		return nil, fmt.Errorf("there is no terminal to ask for the passphrase of %s: set %s to a file that holds it, or %s to a file descriptor",
			path, envPassphraseFile, envPassphraseFD)
	}
	return c.askPassphrase(ctx, path, creating)
}

func (c *call) askPassphrase(ctx context.Context, path string, creating bool) (keystore.Secret, error) {
	shown := safetext.Line(path, maxShownPath)
	first, err := c.console.password(ctx, "passphrase of "+shown+": ")
	if err != nil || !creating {
		return passphraseOf(first, err)
	}
	again, err := c.console.password(ctx, "the same again: ")
	if err == nil && !bytes.Equal(first, again) {
		err = errors.New("the passphrases differ: nothing was made: try again")
	}
	return passphraseOf(first, err)
}

// readPassphraseFile reads a passphrase from a file that nobody else can read.
func readPassphraseFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: make the file, or let it name another", envPassphraseFile, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", envPassphraseFile, err)
	case info.IsDir():
		return nil, fmt.Errorf("%s: %s is a folder: let it name a file", envPassphraseFile, path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s: %s is open to other users (mode %#o): run chmod 600", envPassphraseFile, path, info.Mode().Perm())
	}
	return readPassphrase(f, envPassphraseFile)
}

func readPassphraseFD(text string) ([]byte, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%s is not the number of a file descriptor: give one that is open, such as 3 with 3<file", envPassphraseFD)
	}
	f := os.NewFile(uintptr(n), "passphrase")
	if f == nil {
		return nil, fmt.Errorf("%s: file descriptor %d is not open", envPassphraseFD, n)
	}
	defer f.Close()
	return readPassphrase(f, envPassphraseFD)
}

// readPassphrase reads all there is, without a line end.
func readPassphrase(r io.Reader, source string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxPassphrase+1))
	p := trimNewline(b)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w: check what it names", source, err)
	case byteOrderMark(b):
		return nil, fmt.Errorf("%s: it begins with a byte order mark, which would be part of the passphrase: save it as UTF-8 without one", source)
	case len(p) == 0:
		return nil, fmt.Errorf("%s: the passphrase is empty: check what it names", source)
	case len(b) > maxPassphrase:
		return nil, fmt.Errorf("%s: more than %d bytes: that is no passphrase", source, maxPassphrase)
	}
	return p, nil
}

// byteOrderMark reports whether an editor has put a mark in front. Two bytes are one only
// in front of text of 16 bits a character: a passphrase may be random bytes.
func byteOrderMark(b []byte) bool {
	wide := bytes.HasPrefix(b, []byte{0xff, 0xfe}) || bytes.HasPrefix(b, []byte{0xfe, 0xff})
	return bytes.HasPrefix(b, []byte("\ufeff")) || wide && len(b)%2 == 0 && bytes.IndexByte(b, 0) >= 0
}
