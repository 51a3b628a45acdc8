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

// A Token is a credential: whoever has it is taken for the client. It shows itself
// to nobody, neither in formatted text nor in a log or JSON; string(t) is what it
// holds.
type Token string

const redacted = "[token]"

// Format is described at fmt.Formatter. It writes nothing of the token.
func (t Token) Format(s fmt.State, _ rune) { fmt.Fprint(s, redacted) }

// LogValue is described at slog.LogValuer.
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is described at encoding.TextMarshaler. The token cannot be read
// back.
func (t Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// A Caller is a client that asks for a connection.
type Caller struct {
	// Token is the one bearer token that the client shows, "" if none. It comes
	// from the header Authorization, from the offered subprotocols (see
	// [BearerSubprotocol]), or from AuthCookie.
	Token Token

	// Certificate is the client's, after its chain was verified: by the TLS of
	// this server, or by the hops with TrustClientCert. Nil if there is none.
	Certificate *x509.Certificate

	Client string // its IP address, see [Info]
	Origin string // of the page that it is, "" if it is none

	// Request is the handshake, without the bearer token, and without cookies
	// where there is no Origin. Its query may hold secrets.
	Request *http.Request
}

// A Grant says who a client is.
type Grant struct {
	// Principal names whom the client acts for, in at most 256 printable
	// characters. It is shown in [Info] and may be logged.
	Principal string

	// Claims is whatever else the application wants to know later, see
	// [GrantOf].
	Claims any

	// Expires is when the connection is closed with [CodeUnauthorized], which
	// tells the client to come back with a fresh credential. Zero means never.
	Expires time.Time
}
