// Package transport moves whole messages between two ends: over a WebSocket, in
// a browser or outside of one, or in memory. It knows nothing of keys and adds
// no secrecy of its own.
//
// Most programs never call it: package e2e dials and accepts for them. On its
// own it is three functions and one interface.
//
//	conn, err := transport.Dial(ctx, "wss://example.com/socket", nil) // a client
//	conn, err := transport.Accept(w, r, nil)                          // in an http.Handler
//	a, b := transport.Pipe()                                          // in a test
//
// # What it promises
//
// A [Conn] carries binary messages, in order, each one whole or not at all. Text
// messages, compressed messages and messages above a limit end the connection.
// Every error is final: whatever made a Read or a Write fail, a context that
// ended included, the connection is closed and every later call returns the
// error that ended it, which matches [net.ErrClosed]. There is no half-open
// state to reason about, and no use in polling with short deadlines.
//
// # What it does not promise
//
// With ws:// everybody on the way reads and changes what passes; with wss://
// everybody who terminates TLS does. The end of a connection is not
// authenticated either: a hop can cut it at any message and send any close code
// and reason. Package e2e is what makes a link trustworthy.
//
// # Policy
//
// These rules hold on every link, because what runs above assumes them:
//
//   - Compression is neither offered nor accepted: the length of compressed
//     plaintext tells about its content.
//   - Redirects are refused, since credentials would follow them, from wss to
//     cleartext too.
//   - Accept refuses browsers whose page comes from another origin. A client
//     that sends no Origin header, which no browser does, is let in: Origin
//     protects users of browsers, it is not authentication.
//   - TLS is at least 1.2. Dial and Accept take ws:// only for what is sealed
//     above it, or in development between programs on one machine, see [Policy];
//     a dialler's log gets one warning for each such host.
//   - What a request says about whoever sent it to a proxy or load balancer
//     counts only where that is listed as a trusted hop.
//   - A proxy is asked to CONNECT, for ws:// too (net/http would send that as a
//     plain GET that the proxy reads). It learns host and port, and a password
//     that is for it; the server's credentials go to the server alone.
//   - No error, [Info] or log holds the query or the user part of a URL.
//
// # Dialling
//
// A dial has up to five phases: the name of the next hop becomes addresses, one of
// them is reached, a proxy connects to the server, TLS proves the server's name, and
// the server opens a WebSocket. Each has a deadline; a [DialError] names the one that
// failed. Redirects, old TLS and certificates that do not verify end it, and nothing
// in the environment changes that.
//
// The proxy comes from DialOptions.Proxy, or from HTTPS_PROXY, HTTP_PROXY, ALL_PROXY
// and NO_PROXY. Whom a dial trusts and who it is itself is in DialOptions.TLS: private
// roots, client certificates, pins, Encrypted Client Hello. Names in there that start
// with Insecure mean it.
//
// A credential goes over TLS, or nowhere: a bearer token, a cookie or a token among
// the subprotocols is refused for ws://, a password for a proxy on another machine
// unless the proxy speaks TLS. Nothing can be told of tokens in the query of a URL:
// do not put any there.
//
// # Who is let in
//
// A server that wants to know its clients sets Authenticate in AcceptOptions. It is
// asked before the upgrade about the one bearer token that the client shows, which
// comes in the header Authorization, among the subprotocols where the client is a
// page ([BearerSubprotocol]), or in a named cookie together with an Origin that was
// checked. Package jwtauth checks JSON Web Tokens. When what was granted ends, the
// connection closes with [CodeUnauthorized], on which a redial.Redialer has the
// credential refreshed.
//
// # Servers that strangers can reach
//
// A [Gate] in the [AcceptOptions] bounds connections, for each address and in all,
// before any other work is done for them; slows down who sends too much and cuts who
// does not read; has handlers for probes; tells of each connection that has ended, to
// a log and in figures for Prometheus; and drains the server before it ends.
// [NewHTTPServer] has the limits for the time before there is a connection. What is
// not bounded by default, because only the application knows: [GateOptions].MessageRate,
// ByteRate and IdleTimeout.
//
// # Coming back
//
// A Conn that has ended stays so. Package redial dials until there is a connection,
// and keeps a link: it waits between tries with a back-off that spreads the
// clients of a server, obeys Retry-After, has expired credentials refreshed, and
// knows which errors make another try pointless.
//
// # Browsers
//
// Compiled with GOOS=js GOARCH=wasm the package drives the browser's own
// WebSocket. Then the browser decides about TLS, proxies and headers, which is
// why [DialOptions] has fewer fields there, and Accept returns an error. A page
// cannot slow a sender down: a connection whose messages are not read ends when
// 1,024 of them, or eight times the size limit, are waiting.
package transport

import (
	"context"
	"errors"
	"time"
)

// DefaultMaxMessage is the largest message, in bytes, that is accepted where an
// option does not say otherwise: 1 MiB.
const DefaultMaxMessage = 1 << 20

// DefaultKeepAlive is the time between pings where an option does not say
// otherwise. It is below the 30 seconds after which the more impatient proxies
// forget an idle connection.
const DefaultKeepAlive = 25 * time.Second

const (
	// dialTimeout bounds a dial whose context has a later deadline or none.
	dialTimeout = 30 * time.Second

	// closeGrace is how long the peer has to confirm a close before the
	// connection is cut. It also frees a Write that is stuck in a full socket.
	closeGrace = 2 * time.Second
)

// ErrOrigin is matched by the error of an Accept that refused a browser because
// its page comes from an origin that is not allowed.
var ErrOrigin = errors.New("origin not allowed")

// A Conn is one connection that carries whole binary messages.
//
// One goroutine may read while any number write; Close may be called at any time
// by anybody. Every error of Read and Write is final, see the package's
// documentation.
type Conn interface {
	// Read waits for one message and appends it to dst, which may be nil. Where
	// dst has the room, nothing is allocated. After an error the result is dst
	// as it was, and the error matches net.ErrClosed. What the peer sent before
	// it closed is delivered first, unless a Write failed meanwhile. If the peer
	// closed in an orderly way the error, a [*CloseError], matches io.EOF too.
	Read(ctx context.Context, dst []byte) ([]byte, error)

	// Write sends msg as one message and returns when it was handed on, which
	// is not when it arrived. It waits while the peer does not keep up. The
	// caller may reuse msg.
	Write(ctx context.Context, msg []byte) error

	// Close tells the peer code and reason if that is still possible, and
	// ends the connection. It unblocks Read and Write and takes a few seconds
	// at most, even where the peer is gone. Only the first call counts; the
	// others return nil. A code that may not be sent becomes [CodeInternal], a
	// reason is cut at 123 bytes. Reasons are read by strangers: do not put
	// secrets in them. The error says that the peer did not confirm.
	Close(code Code, reason string) error

	// Info returns what is known about the link, the same at every call.
	Info() Info
}
