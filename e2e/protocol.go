package e2e

import (
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// differ returns how what the ends speak differs, or nil, also for a resume: its ends have
// agreed.
func differ(e exchange) *engine.SpeechError {
	if h, ok := e.(*engine.Handshake); ok {
		return h.Differ()
	}
	return nil
}

// known is what an end tells of a handshake that failed. A client that has accepted a server
// which speaks another protocol says so, also where the server's last word does not come.
func (h *handshake) known(err error) error {
	failed, ok := err.(*HandshakeError)
	if other := differ(h.engine); other != nil && h.accepted && ok && failed.Reason != ReasonLocal {
		return fault.Protocol(other)
	}
	return err
}
