// Package mux serves the messages of sessions by their type, each by a function of its
// own, and sends and receives Go values. Most programs need two calls:
//
//	m := mux.New()
//	mux.HandleFunc(m, "order.create", func(ctx context.Context, o Order) (Receipt, error) { … })
//	srv, err := e2e.NewServer(cfg, m.Serve)
//
//	receipt, err := mux.CallValue[Receipt](ctx, session, "order.create", order)
//
// What no function serves is refused, and so is what [Mux.Authorize] does not let pass and
// what is no value of the function's type: the sender gets an [e2e.RefusedError], and the
// session goes on.
//
// Everything here is made of what package e2e exports: [e2e.Session.Serve] takes any
// [e2e.Handler].
package mux
