//go:build !js

// Package jwtauth checks JSON Web Tokens (RFC 7519) that clients show to
// transport.Accept. Most programs need [New] and pass the method Authenticate to Accept:
//
//	verifier, err := jwtauth.New(jwtauth.Options{
//		Issuer:   "https://login.example.com/",
//		Audience: "https://chat.example.com/",
//		URL:      "https://login.example.com/.well-known/jwks.json",
//	})
//	conn, err := transport.Accept(w, r, &transport.AcceptOptions{Authenticate: verifier.Authenticate})
//
// Package jwtauth is a module of its own, so that only programs that import it depend on
// go-jose.
//
// # What is checked
//
// A Verifier accepts a token if a key that the issuer publishes (a JWK Set, RFC 7517)
// signed it, if it names that issuer, this audience and a subject, if it is valid already,
// and if it has an expiry that has not passed. Each key is good for one algorithm, which
// follows from the key and never from the token alone. Only signatures count: no shared
// secrets and no "none" (RFC 8725). A Verifier ignores keys and addresses of keys inside a
// token. It refuses a token that has a member twice, or an extension that must be
// understood.
//
// # Keys
//
// A Verifier fetches the keys over https from the one configured address, follows no
// redirects, and keeps them. It fetches them again from time to time, and when a token
// names an unknown key. To protect the issuer from strangers who invent names, it makes at
// most four fetches in a row, and one in 30 seconds in the long run.
//
// It refuses a token with an unknown key once a fetch has shown that the issuer does not
// publish that key. If it may not fetch yet, a fetch of the last 30 seconds for the same
// name is enough. Without one, or if the fetch fails, it does not decide: it returns a
// [*transport.UnavailableError] that says when to try again, Accept answers 503, and a
// session goes on. So when strangers have used up the fetches, a genuine token under a new
// key has to wait for half a minute, but is not refused.
//
// A key that the issuer withdraws counts until the next fetch. If the issuer cannot be
// reached, the keys stay good for a day.
//
// Tokens are bearer tokens: whoever reads one can use it. Errors never show them.
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

// Options says which tokens count.
type Options struct {
	// Issuer must equal the token's "iss" exactly. Required.
	Issuer string

	// Audience must equal the token's "aud", or one of them. It keeps out tokens
	// that were made for another service. Required.
	Audience string

	// URL is the https:// address where the issuer publishes its keys. Exactly one
	// of URL and Keys is required.
	URL string

	// Keys is a JWK Set, for an issuer without a URL.
	Keys []byte

	// Algorithms lists the algorithms that count, by their names in RFC 7518,
	// section 3.1. Keys for others are ignored. A key that names no algorithm is
	// good for the first one in the list that fits it. Nil means EdDSA, ES256, ES384,
	// ES512, RS256, RS384, RS512, PS256, PS384, PS512.
	Algorithms []string

	// Type must equal the token's "typ", such as "at+jwt" for access tokens (RFC
	// 9068). It keeps out other tokens of the same issuer. Empty means any.
	Type string

	// Leeway is how much clocks may differ, at most 5 minutes. Zero means 30
	// seconds, a negative value none.
	Leeway time.Duration

	// Refresh is the age at which keys are fetched again. Zero means 15 minutes.
	Refresh time.Duration

	// Client gives the Transport that fetches the keys, for roots or proxies of your
	// own. Nothing else of it is used. Nil means a Transport that uses the proxy of
	// the environment and the system's roots.
	Client *http.Client
}

// A Verifier checks tokens. Many goroutines may use it at once.
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

// Authenticate is a function for AcceptOptions.Authenticate. In the Grant that it returns,
// Principal is the token's subject, Claims its [*Claims], and Expires the token's expiry
// plus Leeway, when the connection ends.
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

// invalid returns the error for a token that does not count.
func invalid(problem string) error {
	return fmt.Errorf("jwtauth: token: %s: %w", problem, transport.ErrUnauthorized)
}
