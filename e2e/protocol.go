package e2e

import (
	"fmt"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/safetext"
)

// A ProtocolError says what each end of a handshake speaks, where that is not the same. The
// other end has proved who it is, and what stands here is its own word. It is the cause of
// a [HandshakeError] with [ReasonProtocol], at both ends.
type ProtocolError struct {
	Own, Theirs           string // Config.Protocol
	OwnProof, TheirsProof Proof  // Config.Proof; Theirs may have any value
}

// Error returns one line that says what each end speaks, and what to set.
func (e *ProtocolError) Error() string {
	if e.Own == e.Theirs {
		return fmt.Sprintf("both ends speak %s, but the other end %s, and this end %s: set Config.Proof alike at both ends",
			quoteProtocol(e.Own), e.TheirsProof.habit(), e.OwnProof.habit())
	}
	return fmt.Sprintf("the other end speaks %s, this end %s: set Config.Protocol alike at both ends", quoteProtocol(e.Theirs), quoteProtocol(e.Own))
}

// quoteProtocol shows a name that somebody else may have chosen.
func quoteProtocol(name string) string { return safetext.Quote(name, engine.MaxProtocol) }

// habit says whether an end signs.
func (p Proof) habit() string {
	switch p {
	case ProofNone:
		return "does not sign messages"
	case ProofEd25519:
		return "signs messages"
	}
	return fmt.Sprintf("signs messages in way %d", p)
}

func protocolError(e *engine.SpeechError) *HandshakeError {
	return &HandshakeError{Reason: ReasonProtocol, Err: spoken(e)}
}

func spoken(e *engine.SpeechError) *ProtocolError {
	return &ProtocolError{
		Own: e.Own.Protocol, OwnProof: Proof(e.Own.Proof),
		Theirs: e.Theirs.Protocol, TheirsProof: Proof(e.Theirs.Proof),
	}
}

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
		return protocolError(other)
	}
	return err
}
