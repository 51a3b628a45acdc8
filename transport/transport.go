// Package transport moves whole messages between two ends: over a WebSocket, inside or outside of a
// browser, or in memory. It knows nothing of keys and adds no secrecy of its own.
//
// Most programs use package e2e, which dials and accepts for them. Programs that need a plain link
// call Dial or Accept, and Pipe in tests:
//
//	conn, err := transport.Dial(ctx, "wss://example.com/socket", nil) // a client
//	conn, err := transport.Accept(w, r, nil)                          // in an http.Handler
//	a, b := transport.Pipe()                                          // in a test
//
// # What it promises
//
// A [Conn] carries binary messages, in order, each one whole or not at all. Text messages,
// compressed messages and messages above a limit end the connection. Every error is final: if a
// Read or a Write fails for any reason, even because a context ended, the connection is closed.
// Every later call returns the error that ended it, which matches [net.ErrClosed]. There is no
// half-open state, and no use in polling with short deadlines.
//
// # What it does not promise
//
// With ws:// everybody on the way can read and change what passes; with wss:// everybody who
// terminates TLS can. The end of a connection is not authenticated either: a hop can cut it after
// any message and send any close code and reason. Package e2e is what makes a link trustworthy.
//
// # Policy
//
// These rules hold on every link, because the layers above rely on them:
//
//   - Compression is neither offered nor accepted: the length of compressed plaintext tells about
//     its content.
//   - Redirects are refused: credentials would follow them, even from wss to cleartext.
//   - Accept refuses browsers whose page comes from another origin. It lets in a client that sends
//     no Origin header, because every browser sends one: Origin protects users of browsers, it is
//     not authentication.
//   - TLS is at least 1.2. Dial and Accept take ws:// only for what is sealed above it, or in
//     development between programs on one machine, see [Policy]. A dialling program logs one
//     warning for each such host.
//   - What the headers of a request say about the original client counts only if a trusted hop sent
//     them.
//   - A proxy is asked to CONNECT, even for ws://, for which net/http would send a plain GET that
//     the proxy reads. The proxy learns host and port, and the password that is for it; the
//     server's credentials go to the server alone.
//   - No error, [Info] or log holds the query or the user part of a URL.
//
// # Dialling
//
// A dial has up to five phases: DNS looks up the next hop, TCP connects to it, a proxy connects to
// the server, TLS proves the server's name, and the server opens a WebSocket. Each phase has a
// deadline, and a [DialError] names the phase that failed. Redirects, old TLS and certificates that
// do not verify end a dial, and nothing in the environment changes that.
//
// The proxy comes from DialOptions.Proxy, or from HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.
// DialOptions.TLS says whom a dial trusts and how it identifies itself: private roots, client
// certificates, pins, Encrypted Client Hello. Options whose names start with Insecure are insecure.
//
// Dial never sends credentials in the clear. It refuses a bearer token, a cookie or a token among
// the subprotocols for ws://, and a password for a proxy on another machine unless the proxy speaks
// TLS. It cannot recognise a token in the query of a URL: do not put any there.
//
// # Who is let in
//
// A server that wants to know its clients sets Authenticate in AcceptOptions. Accept calls it
// before the upgrade with the one bearer token that the client shows. The token comes in the header
// Authorization; from a page among the subprotocols ([BearerSubprotocol]); or in a named cookie,
// together with an Origin that was checked. Package jwtauth checks JSON Web Tokens. When the grant
// expires, the connection closes with [CodeUnauthorized], and a redial.Redialer refreshes the
// credential.
//
// # Servers that strangers can reach
//
// A [Gate] in the [AcceptOptions] protects a server. It limits connections, for each address and in
// all, before any other work is done for them. It slows down clients that send too much and cuts
// those that do not read. It has handlers for probes, and reports each connection that has ended to
// a log and in figures for Prometheus. It drains the server before the process ends.
// [NewHTTPServer] has the limits for the time before there is a connection. Some limits are off by
// default, because only the application knows them: [GateOptions].MessageRate, ByteRate and
// IdleTimeout.
//
// # Coming back
//
// A Conn that has ended stays so. Package redial dials until there is a connection, and keeps a
// link. It waits between tries with a back-off that spreads the clients of a server, obeys
// Retry-After, refreshes expired credentials, and knows which errors make another try pointless.
//
// # Browsers
//
// Compiled with GOOS=js GOARCH=wasm the package uses the browser's own WebSocket. Then the browser
// decides about TLS, proxies and headers, so [DialOptions] has fewer fields, and Accept returns an
// error. A page cannot slow a sender down: a connection ends when 1,024 unread messages, or eight
// times the size limit, are waiting.
package transport

import (
	"context"
	"errors"
	"time"
)

// DefaultMaxMessage is the default limit for the size of a message, in bytes: 1 MiB.
const DefaultMaxMessage = 1 << 20

// DefaultKeepAlive is the default time between pings. It is below the 30 seconds after which
// impatient proxies forget an idle connection.
const DefaultKeepAlive = 25 * time.Second

const (
	// dialTimeout bounds a dial whose context has a later deadline or none.
	dialTimeout = 30 * time.Second

	// closeGrace is how long the peer has to confirm a close before the connection is cut. Cutting
	// also frees a Write that is stuck in a full socket.
	closeGrace = 2 * time.Second
)

// ErrOrigin is matched by the error of an Accept that refused a browser because
// its page comes from an origin that is not allowed.
var ErrOrigin = errors.New("origin not allowed")

// A Conn is one connection that carries whole binary messages.
//
// One goroutine may read while any number write; anybody may call Close at any time. Every error of
// Read and Write is final, see the package's documentation.
type Conn interface {
	// Read waits for one message and appends it to dst, which may be nil. It allocates nothing if
	// dst has room. After an error it returns dst unchanged, and the error matches net.ErrClosed.
	// If the peer closed, Read first delivers what the peer had sent, unless a Write failed
	// meanwhile. If the peer closed in an orderly way, the error, a [*CloseError], also matches
	// io.EOF.
	Read(ctx context.Context, dst []byte) ([]byte, error)

	// Write sends msg as one message. It returns when the message was handed on, which is not when
	// it has arrived. It waits while the peer does not keep up. The caller may reuse msg.
	Write(ctx context.Context, msg []byte) error

	// Close tells the peer code and reason if that is still possible, and ends the connection. It
	// unblocks Read and Write and takes a few seconds at most, even if the peer is gone. Only the
	// first call counts; later calls return nil. A code that may not be sent becomes
	// [CodeInternal], and a reason is cut at 123 bytes. Strangers read reasons: do not put secrets
	// in them. An error means that the peer did not confirm.
	Close(code Code, reason string) error

	// Info returns what is known about the link. The result does not change.
	Info() Info
}
