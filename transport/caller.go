//go:build !js

package transport

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

const (
	// authTimeout bounds a call of Authenticate.
	authTimeout = 10 * time.Second

	// maxToken bounds a bearer token, in bytes.
	maxToken = 8 << 10

	// maxPrincipal bounds the name in a grant, in characters.
	maxPrincipal = 256
)

// A Token is a credential: whoever has it passes for the client. It does not show itself in
// formatted text, logs or JSON; string(t) is the credential.
type Token string

const redacted = "[token]"

// Format is described at fmt.Formatter. It writes nothing of the token.
func (t Token) Format(s fmt.State, _ rune) { fmt.Fprint(s, redacted) }

// LogValue is described at slog.LogValuer.
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is described at encoding.TextMarshaler. The result does not contain the token.
func (t Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// A Caller is a client that asks for a connection.
type Caller struct {
	// Token is the one bearer token that the client sent, or "". It comes from the header
	// Authorization, from the offered subprotocols (see [BearerSubprotocol]), or from AuthCookie.
	Token Token

	// Certificate is the client's, or nil. Its chain was verified by the TLS of this server, or by
	// the hops if TrustClientCert is set.
	Certificate *x509.Certificate

	Client string // its IP address, see [Info]
	Origin string // the origin of the browser's page; "" if the client is no page

	// Request is the handshake, without the bearer token, and without cookies if there is no
	// Origin. Its query may hold secrets.
	Request *http.Request
}

// A Grant says who a client is.
type Grant struct {
	// Principal names whom the client acts for, in at most 256 printable characters. [Info] shows
	// it, and it may be logged.
	Principal string

	// Claims holds what else the application wants to know later, see [GrantOf].
	Claims any

	// Expires is when the connection closes with [CodeUnauthorized], which tells the client to come
	// back with a fresh credential. Zero means never.
	Expires time.Time
}
