package mux

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"unicode/utf8"

	"github.com/hopseal/hopseal/e2e"
)

// A Mux serves what arrives in sessions, each type of message by a function of its own.
// What no function serves is refused. Its fields and functions must be set before it is
// used; then it may serve any number of sessions.
//
//	m := mux.New()
//	m.Handle("order.create", createOrder)
//	srv, err := e2e.NewServer(cfg, m.Serve)
//
// Messages that want no answer are served one after the other, in their order; while one
// is, the others wait, and in the end their sender. Requests are served at the same time.
type Mux struct {
	// ServeOptions are those of Serve.
	e2e.ServeOptions

	// Authorize decides whether the peer may send this message, before any function
	// sees it. An error refuses it, with [e2e.RefusedUnauthorized]: the error itself stays
	// here. Nil allows every peer that the session allows.
	Authorize func(ctx context.Context, peer e2e.Peer, m e2e.Message) error

	mu       sync.RWMutex
	handlers map[string]e2e.Handler
}

// maxType bounds the type of a message, in bytes.
const maxType = 128

// New returns a Mux that refuses everything.
func New() *Mux { return &Mux{handlers: map[string]e2e.Handler{}} }

// Handle has a function serve the messages of a type; [e2e.Handler] says what it may do.
// [RequestFrom] finds the request in its context.
//
// Handle panics if the type is served already, or cannot be one (see [e2e.Message]).
func (m *Mux) Handle(typ string, h e2e.Handler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case len(typ) > maxType || !utf8.ValidString(typ):
		panic("e2e: Mux.Handle: a type must have at most 128 bytes of UTF-8")
	case h == nil:
		panic("e2e: Mux.Handle: the function is nil")
	case m.handlers[typ] != nil:
		panic(fmt.Sprintf("e2e: Mux.Handle: %q is served already", typ))
	}
	m.handlers[typ] = h
}

func (m *Mux) find(typ string) e2e.Handler {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.handlers[typ]
}

// Serve is [e2e.Session.Serve] with the functions of the Mux. It fits [e2e.NewServer].
func (m *Mux) Serve(ctx context.Context, s *e2e.Session) error {
	return s.Serve(ctx, m.ServeMessage, &m.ServeOptions)
}

// ServeMessage serves one message by the function for its type. It is an [e2e.Handler], for
// programs that put others around it.
func (m *Mux) ServeMessage(ctx context.Context, r *e2e.Request) ([]byte, error) {
	h := m.find(r.Type)
	if h == nil {
		return nil, e2e.Refuse(e2e.RefusedType, nil)
	}
	ctx = context.WithValue(ctx, requestKey{}, r)
	if err := m.authorize(ctx, r); err != nil {
		return nil, e2e.Refuse(e2e.RefusedUnauthorized, err)
	}
	return h(ctx, r)
}

// authorize makes a panic of Authorize a refusal.
func (m *Mux) authorize(ctx context.Context, r *e2e.Request) (err error) {
	if m.Authorize == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			err = &e2e.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return m.Authorize(ctx, r.Session.Peer(), r.Message)
}

type requestKey struct{}

// RequestFrom returns the request that a function of a [Mux] was called for, from the
// context that it was given, or nil.
func RequestFrom(ctx context.Context) *e2e.Request {
	r, _ := ctx.Value(requestKey{}).(*e2e.Request)
	return r
}
