package fault

import (
	"fmt"

	"github.com/hopseal/hopseal/e2e/internal/message"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/safetext"
)

// A ProtocolError says what each end of a handshake speaks, if they speak different protocols.
// The other end has proved who it is, and has said itself what it speaks. A ProtocolError is
// the cause of a [HandshakeError] with [ReasonProtocol], at both ends.
type ProtocolError struct {
	Own, Theirs           string        // Config.Protocol
	OwnProof, TheirsProof message.Proof // Config.Proof; Theirs may have any value
}

// Error returns one line that says what each end speaks, and what to set.
func (e *ProtocolError) Error() string {
	if e.Own == e.Theirs {
		return fmt.Sprintf("both ends speak %s, but the other end %s, and this end %s: set Config.Proof alike at both ends",
			QuoteProtocol(e.Own), Habit(e.TheirsProof), Habit(e.OwnProof))
	}
	return fmt.Sprintf("the other end speaks %s, this end %s: set Config.Protocol alike at both ends", QuoteProtocol(e.Theirs), QuoteProtocol(e.Own))
}

// QuoteProtocol quotes a name that somebody else may have chosen.
func QuoteProtocol(name string) string { return safetext.Quote(name, engine.MaxProtocol) }

// Habit says whether an end signs.
func Habit(p message.Proof) string {
	switch p {
	case message.ProofNone:
		return "does not sign messages"
	case message.ProofEd25519:
		return "signs messages"
	}
	return fmt.Sprintf("signs messages in way %d", p)
}

// Protocol returns the error of a handshake whose ends do not speak the same.
func Protocol(e *engine.SpeechError) *HandshakeError {
	return &HandshakeError{Reason: ReasonProtocol, Err: Speech(e)}
}

// Speech turns what the engine says about both ends into an error for the application.
func Speech(e *engine.SpeechError) *ProtocolError {
	return &ProtocolError{
		Own: e.Own.Protocol, OwnProof: message.Proof(e.Own.Proof),
		Theirs: e.Theirs.Protocol, TheirsProof: message.Proof(e.Theirs.Proof),
	}
}
