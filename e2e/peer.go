package e2e

import (
	"github.com/hopseal/hopseal/internal/slog"
	"github.com/hopseal/hopseal/keys"
)

// A Peer is the other end of a session: who it has proved to be, and what its
// credentials say.
type Peer struct {
	*keys.PublicIdentity

	// Claims is what this end has found in the other's credentials, of the
	// application's own type. It is nil where nobody looks at credentials, and at a
	// client always.
	Claims any
}

// String says who it is in one line: the name, which its owner chose and which proves nothing,
// and the fingerprint. Claims are not shown: they are the application's.
func (p Peer) String() string { return p.PublicIdentity.String() }

// LogValue is what String returns.
func (p Peer) LogValue() slog.Value { return slog.StringValue(p.String()) }
