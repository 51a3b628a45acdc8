//go:build !js

package acme

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"net/http"
	"time"

	xacme "golang.org/x/crypto/acme"
)

const (
	// The cache has the account's key under these names, as with autocert.
	accountName    = "acme_account+key"
	oldAccountName = "acme_account.key"

	// requestTime bounds one request to the authority.
	requestTime = 30 * time.Second
)

// An account is this server's account at the authority.
type account struct {
	opts  *Options
	store *store
	busy  chan struct{} // a lock that a context can interrupt: it holds an element while client is in use

	client *xacme.Client // nil until the account is registered
}

func newAccount(opts *Options, s *store) *account {
	return &account{opts: opts, store: s, busy: make(chan struct{}, 1)}
}

// get returns a client whose account the authority knows. It registers the account if need
// be.
func (a *account) get(ctx context.Context) (*xacme.Client, error) {
	select {
	case a.busy <- struct{}{}:
		defer func() { <-a.busy }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if a.client != nil {
		return a.client, nil
	}
	key, err := a.key(ctx)
	if err != nil {
		return nil, err
	}
	client := a.opts.newClient(key)
	if _, err := client.Discover(ctx); err != nil {
		return nil, &orderError{step: "its directory", err: err}
	}
	contact := xacme.Account{ExternalAccountBinding: a.opts.ExternalAccountBinding}
	if a.opts.Email != "" {
		contact.Contact = []string{"mailto:" + a.opts.Email}
	}
	if _, err := client.Register(ctx, &contact, xacme.AcceptTOS); err != nil && !errors.Is(err, xacme.ErrAccountAlreadyExists) {
		return nil, &orderError{step: "the account", err: err}
	}
	a.client = client
	return client, nil
}

// forget makes the next get register the account again, with the same key.
func (a *account) forget(ctx context.Context, client *xacme.Client) {
	select {
	case a.busy <- struct{}{}:
		defer func() { <-a.busy }()
	case <-ctx.Done():
		return
	}
	if a.client == client {
		a.client = nil
	}
}

// key reads the account's key. It makes a new one if the key is missing or damaged, as
// after a crash during a write. Nothing is lost: an account is only the right to ask.
func (a *account) key(ctx context.Context) (crypto.Signer, error) {
	for _, name := range []string{accountName, oldAccountName} {
		text, err := a.store.get(ctx, name)
		if err != nil {
			return nil, err
		}
		if text == nil {
			continue
		}
		if key, _, err := decodeKey(text); err == nil {
			return key, nil
		} else {
			a.opts.Logger.Warn("acme: the account's key in the cache is damaged, a new account is made", "name", name, "error", err)
		}
	}
	key, err := certKey{}.newKey()
	if err != nil {
		return nil, err
	}
	text, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return key, a.store.put(ctx, accountName, text)
}

func (o *Options) newClient(key crypto.Signer) *xacme.Client {
	return &xacme.Client{Key: key, DirectoryURL: o.Directory, HTTPClient: o.httpClient(), UserAgent: "hopseal", RetryBackoff: retryBackoff}
}

// httpClient returns a client whose requests and answers are bounded.
func (o *Options) httpClient() *http.Client {
	client := http.Client{}
	if o.HTTPClient != nil {
		client = *o.HTTPClient
	}
	client.Transport = boundedTransport{cmp.Or(client.Transport, http.DefaultTransport)}
	if client.Timeout == 0 {
		client.Timeout = requestTime
	}
	return &client
}

const (
	maxRetries  = 4
	patientWait = 10 * time.Second
)

// retryBackoff returns how long to wait before a request is repeated, or 0 to give up. It
// gives up where the authority asks for a longer wait: the caller then reports the
// authority's reason.
func retryBackoff(n int, _ *http.Request, answer *http.Response) time.Duration {
	if n > maxRetries {
		return 0
	}
	if answer.StatusCode == http.StatusBadRequest { // the nonce was used up: the next request has a new one
		return time.Duration(n) * 50 * time.Millisecond
	}
	pause := backoff(time.Second, patientWait, n-1)
	if asked := parseRetryAfter(answer.Header); asked > 0 {
		pause = asked
	}
	if pause > patientWait {
		return 0
	}
	return pause
}
