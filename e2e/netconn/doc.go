// Package netconn makes a session a net.Conn, and a server of sessions a net.Listener: HTTP,
// gRPC or yamux run inside of sessions unchanged, and notice nothing when a connection
// below is cut. Most programs need two calls:
//
//	conn := netconn.New(session)
//
//	listener, err := netconn.Listen(cfg)
//	http.Handle("/tunnel", listener) // where clients connect to
//	server.Serve(listener)           // what runs inside
//
// Nobody between the ends reads or changes a byte, as in any session of package e2e. A
// reader gets io.EOF only where the other end itself has finished.
package netconn
