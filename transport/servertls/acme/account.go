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
	// The account's key has these names in the cache, as with autocert.
	accountName    = "acme_account+key"
	oldAccountName = "acme_account.key"

	// requestTime bounds one request to the authority.
	requestTime = 30 * time.Second
)

// An account is that of this server at the authority.
type account struct {
	opts  *Options
	store *store
	busy  chan struct{} // whoever uses client has put something into it

	client *xacme.Client // registered; nil before
}

func newAccount(opts *Options, s *store) *account {
	return &account{opts: opts, store: s, busy: make(chan struct{}, 1)}
}

// get returns a client whose account the authority knows.
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

// forget makes the next get register anew, with the same key.
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

// key reads the account's key. One that is missing or damaged, as by a crash while it was
// written, is made anew: an account is nothing but the right to ask.
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
	return &xacme.Client{Key: key, DirectoryURL: o.Directory, HTTPClient: o.httpClient(), UserAgent: "hopseal", RetryBackoff: shortly}
}

// httpClient returns one that does not wait for ever.
func (o *Options) httpClient() *http.Client {
	client := http.Client{}
	if o.HTTPClient != nil {
		client = *o.HTTPClient
	}
	client.Transport = sober{cmp.Or(client.Transport, http.DefaultTransport)}
	if client.Timeout == 0 {
		client.Timeout = requestTime
	}
	return &client
}

const (
	maxRetries  = 4
	patientWait = 10 * time.Second
)

// shortly waits before a request is repeated, or gives up: an authority that wants to be
// left alone for longer is, and says why to whoever waits.
func shortly(n int, _ *http.Request, answer *http.Response) time.Duration {
	if n > maxRetries {
		return 0
	}
	if answer.StatusCode == http.StatusBadRequest { // a nonce that is used up, with a new one
		return time.Duration(n) * 50 * time.Millisecond
	}
	pause := doubled(time.Second, patientWait, n-1)
	if asked := parseRetryAfter(answer.Header); asked > 0 {
		pause = asked
	}
	if pause > patientWait {
		return 0
	}
	return pause
}
