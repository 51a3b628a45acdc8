// Package meet does what the ends of a connection do before there is a session, or before an
// open one goes on: it drives the handshake of internal/engine over a [transport.Conn], asks
// whoever decides about the peer, and tells the peer the answer.
//
// It knows no session and no configuration. A [Handshake] serves both ends and both kinds of
// [Exchange]: a new session and a resume. A [Greeting] is the server's part around it, for
// connections that may mostly come from strangers.
package meet
