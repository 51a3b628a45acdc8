package e2e

import (
	"github.com/hopseal/hopseal/internal/slog"
	"github.com/hopseal/hopseal/keys"
)

// A Peer is the other end of a session: the identity that it has proved, and what its credentials
// say.
type Peer struct {
	*keys.PublicIdentity

	// Claims is what the server's Authenticate has found in the client's credentials, of the
	// application's own type. It is nil without Authenticate, and always at a client.
	Claims any
}

// String returns the name and the fingerprint in one line. The owner chose the name; it proves nothing.
// String does not show Claims, which are the application's.
func (p Peer) String() string { return p.PublicIdentity.String() }

// LogValue returns what String returns.
func (p Peer) LogValue() slog.Value { return slog.StringValue(p.String()) }
