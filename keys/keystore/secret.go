package keystore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/core/registry"

	"github.com/hopseal/hopseal/internal/keyfile"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/internal/missing"
)

// A Secret is where the master key of a [Store] comes from: a [Passphrase] or a
// [KMS].
type Secret interface {
	// create makes a master key of 32 bytes and the protector to store.
	create(context.Context) (master, protector []byte, err error)
	// unlock finds the master key again.
	unlock(ctx context.Context, protector []byte) (master []byte, err error)
}

// errProtector is for a store that another kind of secret protects.
var errProtector = errors.New("the store is protected by another kind of secret")

// argonCost are the costs of new stores.
var argonCost = keyfile.ArgonCost

// passphraseSecret holds the text behind two pointers: fmt follows at most one where it cannot call
// Format.
type passphraseSecret struct{ text *[]byte }

// Passphrase protects a store by a passphrase, through Argon2id with 3 passes, 64 MiB and 4 lanes.
// This takes about 0.2 s for every store that is opened, by intent. [Create] refuses a weak
// passphrase.
func Passphrase(p []byte) Secret {
	text := bytes.Clone(p)
	return &passphraseSecret{&text}
}

func (p *passphraseSecret) create(context.Context) (master, protector []byte, err error) {
	if err := checkPassphrase(*p.text); err != nil {
		return nil, nil, err
	}
	salt := make([]byte, keyfile.ArgonSaltSize)
	rand.Read(salt)
	return argonCost.Key(*p.text, salt), argonCost.Append(nil, salt), nil
}

func (p *passphraseSecret) unlock(_ context.Context, protector []byte) ([]byte, error) {
	r := strict.NewReader(protector)
	if r.ArrayLen(3, 5) != 5 || r.Str(3, 8) != keyfile.KindArgon {
		return nil, fmt.Errorf("%w: it wants its KMS key, not a passphrase", errProtector)
	}
	params, salt := keyfile.ReadArgon(&r)
	if r.Done() != nil {
		return nil, ErrDamaged
	}
	return params.Key(*p.text, salt), nil
}

// Format prints a placeholder, whatever the verb.
func (p *passphraseSecret) Format(s fmt.State, _ rune) {
	fmt.Fprint(s, "keystore.Passphrase[redacted]")
}

// MarshalJSON writes a placeholder.
func (p *passphraseSecret) MarshalJSON() ([]byte, error) { return []byte(`"[redacted]"`), nil }

type kmsSecret struct {
	client registry.KMSClient
	uri    string
}

// KMS protects a store by a key that stays in a key management service. Any of Tink's clients can
// reach the service, which wraps the store's master key with the key URI as associated data. Choose a
// client that sends associated data to the service; that of HashiCorp Vault does so if
// NewClientWithAEADOptions made it.
func KMS(client registry.KMSClient, keyURI string) Secret { return kmsSecret{client, keyURI} }

// ErrKMS is wrapped by every failure of a key management service.
var ErrKMS = errors.New("the key management service did not give the store's key")

var errOtherMaster = errors.New("it gave another key than the store's")

// serviceError shows what a service said as one short line of text (A47).
type serviceError struct{ error }

func (e serviceError) Error() string { return safetext.Line(e.error.Error(), 300) }
func (e serviceError) Unwrap() error { return e.error }

func kmsError(uri string, err error) error {
	err = serviceError{err}
	return fmt.Errorf("%w (%s): %w: check that it is reachable, that it lets you use this key, and that the key is the one the store was made with", ErrKMS, uri, err)
}

func (k kmsSecret) create(ctx context.Context) (master, protector []byte, err error) {
	if k.client == nil {
		return nil, nil, missing.Arg("registry.KMSClient")
	}
	if !k.client.Supported(k.uri) || len(k.uri) > keyfile.MaxURISize {
		return nil, nil, kmsError(k.uri, errors.New("the client does not support this key URI"))
	}
	master = make([]byte, keyfile.MasterSize)
	rand.Read(master)
	wrapped, err := k.call(ctx, func(aead kmsAEAD) ([]byte, error) {
		return aead.Encrypt(master, label.IdentityFile.With([]byte(k.uri)))
	})
	if err != nil {
		return nil, nil, err
	}
	if len(wrapped) > keyfile.MaxWrappedSize {
		return nil, nil, kmsError(k.uri, fmt.Errorf("it wrapped 32 bytes to %d", len(wrapped)))
	}
	b := strict.AppendStr(strict.AppendArray(nil, 3), keyfile.KindKMS)
	return master, strict.AppendBin(strict.AppendStr(b, k.uri), wrapped), nil
}

func (k kmsSecret) unlock(ctx context.Context, protector []byte) ([]byte, error) {
	r := strict.NewReader(protector)
	if r.ArrayLen(3, 5) != 3 || r.Str(3, 8) != keyfile.KindKMS {
		return nil, fmt.Errorf("%w: it wants a passphrase, not a KMS key", errProtector)
	}
	if k.client == nil {
		return nil, missing.Arg("registry.KMSClient")
	}
	uri, wrapped := keyfile.ReadKMS(&r)
	if r.Done() != nil {
		return nil, ErrDamaged
	}
	// A stranger may have written the URI in the file, until the file opens: the caller's URI decides
	// where credentials go.
	if uri != k.uri {
		return nil, kmsError(k.uri, errors.New("the store was made with another key URI"))
	}
	master, err := k.call(ctx, func(aead kmsAEAD) ([]byte, error) {
		return aead.Decrypt(wrapped, label.IdentityFile.With([]byte(uri)))
	})
	if err == nil && len(master) != keyfile.MasterSize {
		err = kmsError(uri, fmt.Errorf("it unwrapped a key of %d bytes", len(master)))
	}
	return master, err
}

type kmsAEAD interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// call returns when ctx ends, although Tink's clients take no context.
func (k kmsSecret) call(ctx context.Context, f func(kmsAEAD) ([]byte, error)) ([]byte, error) {
	type result struct {
		b   []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		aead, err := k.client.GetAEAD(k.uri)
		if err != nil {
			done <- result{nil, err}
			return
		}
		b, err := f(aead)
		done <- result{b, err}
	}()
	select {
	case <-ctx.Done():
		return nil, kmsError(k.uri, ctx.Err())
	case r := <-done:
		if r.err != nil {
			return nil, kmsError(k.uri, r.err)
		}
		return r.b, nil
	}
}

func (k kmsSecret) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "keystore.KMS(%s)", k.uri) }
