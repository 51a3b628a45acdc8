//go:build !js

// Package jwtauth checks JSON Web Tokens (RFC 7519) that clients show to
// transport.Accept. It is a module of its own, so that only those who import it have
// go-jose among their dependencies.
//
//	verifier, err := jwtauth.New(jwtauth.Options{
//		Issuer:   "https://login.example.com/",
//		Audience: "https://chat.example.com/",
//		URL:      "https://login.example.com/.well-known/jwks.json",
//	})
//	conn, err := transport.Accept(w, r, &transport.AcceptOptions{Authenticate: verifier.Authenticate})
//
// # What is checked
//
// A token counts if it is signed by a key that the issuer publishes (a JWK Set, RFC
// 7517), names that issuer, this audience and a subject, is not before its time, and
// has an end that is still to come. Each key is good for one algorithm, which
// follows from the key and never from the token alone; there are signatures only, no
// shared secrets and no "none" (RFC 8725). Keys and addresses of keys inside a token
// are ignored. A member that is there twice, or an extension that must be
// understood, makes a token invalid.
//
// # Keys
//
// Keys come over https from the one configured address, without redirects, and are
// kept. They are fetched again from time to time, and when a token names an unknown
// key: once in 30 seconds in the long run, and four times at once, so that strangers with
// invented names do not load the issuer. A token whose key is not published is refused once
// a fetch that was made for its sake has said so. Where such a fetch may not be made yet, one
// of the last 30 seconds for the same name will do; else, or where it fails, nothing is decided: the error is a
// [*transport.UnavailableError] that says when to try again, Accept answers 503, and
// a session goes on. So a genuine token under a new key waits for half a minute where
// strangers have used the fetches up, and is not turned down. A key that the issuer
// withdraws counts until the next fetch. While the issuer cannot be reached the keys stay
// good for a day.
//
// Tokens are bearer tokens: whoever reads one has it. They are never shown in
// errors.
package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/hopseal/hopseal/transport"
)

const (
	defaultLeeway  = 30 * time.Second
	maxLeeway      = 5 * time.Minute
	defaultRefresh = 15 * time.Minute
)

// Options says whose tokens count.
type Options struct {
	// Issuer has to be the token's "iss", to the letter. Required.
	Issuer string

	// Audience has to be the token's "aud", or among its several. It keeps out
	// tokens that were made for another service. Required.
	Audience string

	// URL is where the issuer publishes its keys. It starts with https://.
	URL string

	// Keys is a JWK Set for an issuer without a URL. One of the two is required.
	Keys []byte

	// Algorithms lists the algorithms that count, as in RFC 7518, section 3.1.
	// Keys for others are ignored. A key that does not say its algorithm is
	// good for the first one listed that fits it. Nil means EdDSA, ES256, ES384,
	// ES512, RS256, RS384, RS512, PS256, PS384, PS512.
	Algorithms []string

	// Type has to be the token's "typ", such as "at+jwt" for access tokens (RFC
	// 9068), which keeps out other tokens of the same issuer. Empty means any.
	Type string

	// Leeway is by how much clocks may differ. Zero means 30 seconds, a
	// negative value none. It is at most 5 minutes.
	Leeway time.Duration

	// Refresh is how old keys become before they are fetched again. Zero means
	// 15 minutes.
	Refresh time.Duration

	// Client has the Transport that fetches the keys, for roots or proxies of
	// one's own; the rest of it is not used. Nil means the defaults of net/http.
	Client *http.Client
}

// A Verifier checks tokens. It may be used by many goroutines.
type Verifier struct {
	opts Options
	keys *source
}

// New returns a Verifier, or an error that says which option is wrong. It does not
// fetch keys yet.
func New(opts Options) (*Verifier, error) {
	switch {
	case opts.Leeway == 0:
		opts.Leeway = defaultLeeway
	case opts.Leeway < 0:
		opts.Leeway = 0
	}
	if opts.Refresh == 0 {
		opts.Refresh = defaultRefresh
	}
	if opts.Algorithms == nil {
		opts.Algorithms = algorithms
	}
	if err := opts.check(); err != nil {
		return nil, err
	}
	keys := newSource(opts)
	if opts.URL == "" {
		set, err := parseSet(opts.Keys, opts.Algorithms)
		if err != nil {
			return nil, fmt.Errorf("jwtauth: Options.Keys: %w", err)
		}
		keys.set = set
	}
	return &Verifier{opts: opts, keys: keys}, nil
}

func (o Options) check() error {
	switch {
	case o.Issuer == "":
		return errors.New("jwtauth: Options.Issuer is empty")
	case o.Audience == "":
		return errors.New("jwtauth: Options.Audience is empty: without it tokens for other services count here")
	case (o.URL == "") == (o.Keys == nil):
		return errors.New("jwtauth: one of Options.URL and Options.Keys is needed")
	case len(o.Algorithms) == 0:
		return errors.New("jwtauth: Options.Algorithms is empty: nil means all that count")
	case o.Leeway > maxLeeway:
		return errors.New("jwtauth: Options.Leeway is above 5 minutes")
	case o.Refresh < 0:
		return errors.New("jwtauth: Options.Refresh is negative")
	}
	for _, name := range o.Algorithms {
		if !slices.Contains(algorithms, name) {
			return fmt.Errorf("jwtauth: Options.Algorithms: %q is none of %v", name, algorithms)
		}
	}
	if o.URL == "" {
		return nil
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errors.New("jwtauth: Options.URL must be an https:// address without a user")
	}
	return nil
}

// Authenticate is for AcceptOptions.Authenticate: the principal is the token's
// subject, Claims its [*Claims], and the connection ends with the token.
func (v *Verifier) Authenticate(ctx context.Context, c *transport.Caller) (transport.Grant, error) {
	if c.Token == "" {
		return transport.Grant{}, invalid("there is none")
	}
	claims, err := v.Verify(ctx, string(c.Token))
	if err != nil {
		return transport.Grant{}, err
	}
	return transport.Grant{Principal: claims.Subject, Claims: claims, Expires: claims.Expires.Add(v.opts.Leeway)}, nil
}

// invalid is the error for a token that does not count.
func invalid(problem string) error {
	return fmt.Errorf("jwtauth: token: %s: %w", problem, transport.ErrUnauthorized)
}
