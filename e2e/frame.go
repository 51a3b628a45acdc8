package e2e

import (
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/meet"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// MaxFrame returns the size in bytes of the largest message that a session with the given
// MaxMessage hands to its connection. It is 65,553 at most, because the session sends larger
// messages in pieces.
func MaxFrame(maxMessage int) int { return engine.MaxFrame(maxMessage + engine.MaxHeader) }

// newLine makes a line of a connection behind its handshake.
func newLine(conn transport.Conn, link *engine.Link, hop engine.Hop, maxMessage int) *flow.Line {
	meet.Limit(conn, MaxFrame(maxMessage))
	return flow.NewLine(conn, link, hop)
}
