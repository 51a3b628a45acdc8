//go:build !js

// Package jwt has the JSON Web Tokens that clients show inside of sessions checked by
// package jwtauth. They never leave the encryption, and a session ends with its token
// unless the client has shown another. It is a module of its own, as jwtauth is.
//
//	verifier, err := jwtauth.New(jwtauth.Options{ … })
//	srv, err := e2e.NewServer(e2e.ServerConfig{ …, Authenticate: jwt.Authenticate(verifier)}, handle)
//
// The client's Config.Credentials returns the token. Tokens are bearer tokens: the server
// that was shown one can show it to others, so it should name this service as its
// audience. A token says who somebody is besides the identity that the session has
// proved; that the two belong together is the issuer's word if the token says so, and the
// application's to check.
package jwt

import (
	"context"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/jwtauth"
)

// Authenticate is for [e2e.ServerConfig].Authenticate. Claims of the peer is the token's
// [*jwtauth.Claims]. A token that does not count refuses the client; while it cannot be
// checked, the client is told to try again later.
func Authenticate(v *jwtauth.Verifier) func(ctx context.Context, peer e2e.Peer, credentials []byte) (e2e.Grant, error) {
	return func(ctx context.Context, _ e2e.Peer, credentials []byte) (e2e.Grant, error) {
		g, err := v.Authenticate(ctx, &transport.Caller{Token: transport.Token(credentials)})
		return e2e.Grant{Claims: g.Claims, Expires: g.Expires}, err
	}
}
