// Package about tells a Verifier which session it is asked about, if there is one. It
// does so for package peer, whose members have a name in each session: the one under which
// it began, whatever they are called when they come back.
package about

import "context"

type key struct{}

// Session returns a context for questions about a session, whose own context is life.
func Session(ctx, life context.Context) context.Context {
	return context.WithValue(ctx, key{}, life)
}

// Life returns the context of the session that is asked about: ctx itself where none is
// named, since it then belongs to a handshake or to the session.
func Life(ctx context.Context) context.Context {
	if life, ok := ctx.Value(key{}).(context.Context); ok {
		return life
	}
	return ctx
}
