// Package adapt makes a [transport.Conn] of other connections, and other connections
// of a Conn.
//
//	conn := adapt.FromGorilla(ws, nil)   // github.com/gorilla/websocket and its forks
//	conn := adapt.FromNetConn(tcp, nil)  // anything that carries bytes
//	stream := adapt.NetConn(conn)        // for what wants a net.Conn: TLS, HTTP, gRPC, yamux
//	frames := adapt.LengthPrefixed(conn) // for what speaks length-prefixed messages
//	ws := adapt.ToGorilla(conn)          // for code written for gorilla/websocket
//
// It imports none of these libraries. What it makes of them keeps all promises of a
// Conn: messages are whole or not there, every error is final, what came before the
// close is delivered, a context that ends ends the connection. The test suite in
// package conntest holds them to it, over the real libraries.
//
// # What adapters do not do
//
// They add no authentication, no Origin check and no TLS, and send no pings: all
// that belongs to whoever made the connection below. Compression should be off in
// it, because the length of compressed plaintext tells about its content: gorilla
// leaves it off unless EnableCompression is set.
//
// # Length-prefixed messages
//
// Over a net.Conn each message is four bytes of length, the largest first, and so
// many bytes. A length whose first bit is set ends the connection: the other 31 bits
// are the length of a body of at most 125 bytes, which is that of a WebSocket's
// close message (RFC 6455, section 5.5.1), and each end sends one. So an end of the
// link that neither end meant can be told from one that they did, as with a
// WebSocket; that anybody on the way can forge both is as true here.
// [Options.Plain] leaves the close message out, for peers that know lengths only.
package adapt
