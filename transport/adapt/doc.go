// Package adapt turns other connections into a [transport.Conn], and a Conn into other
// connections. Most programs need one of the first two:
//
//	conn := adapt.FromGorilla(ws, nil)  // a connection of github.com/gorilla/websocket or a fork
//	conn := adapt.FromNetConn(tcp, nil) // a net.Conn, or anything else that carries bytes
//
//	stream := adapt.NetConn(conn)        // for code that needs a net.Conn: TLS, HTTP, gRPC, yamux
//	frames := adapt.LengthPrefixed(conn) // for code that speaks length-prefixed messages
//	ws := adapt.ToGorilla(conn)          // for code written for gorilla/websocket
//
// Package adapt imports none of these libraries. Its Conns keep all promises of a
// transport.Conn: a message arrives whole or not at all, every error is final, messages
// sent before the close are delivered, and a context that ends during a call ends the
// connection. The test suite in package conntest checks this with the real libraries.
//
// # What adapters do not do
//
// They add no authentication, no Origin check and no TLS, and send no pings: the code
// that makes the connection below does all that. Turn compression off in that
// connection, because the length of compressed plaintext reveals something of its
// content. Gorilla leaves it off unless EnableCompression is set.
//
// # Length-prefixed messages
//
// Over a net.Conn each message is a length of four bytes, big-endian, followed by as
// many bytes. A length whose first bit is set announces a close message: the other 31
// bits are the length of its body of at most 125 bytes, which has the form of a
// WebSocket's (RFC 6455, section 5.5.1). Each end sends one. So each end can tell an
// orderly end from a broken link, as with a WebSocket. And as with a WebSocket, anybody
// on the path can forge both. [Options.Plain] leaves out the close message, for peers
// that know only lengths.
package adapt
