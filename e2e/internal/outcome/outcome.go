// Package outcome names in one word what became of a connection or a session, for logs and figures.
// It counts these words and writes the log lines that have them. It knows no session: a [Subject]
// says which one a line is about.
package outcome

import (
	"context"
	"errors"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/lobby"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
)

// An Outcome names in one word, for logs and figures, what became of a connection or a session.
// There are few, because each is a label of metrics. None holds anything that the other end has
// chosen.
type Outcome string

const (
	Established Outcome = "established"
	Resumed     Outcome = "resumed"
	Restored    Outcome = "restored"

	NotAuthentic   Outcome = "not_authentic"
	Untrusted      Outcome = "untrusted"
	Refused        Outcome = "refused"
	Unavailable    Outcome = "unavailable"
	Timeout        Outcome = "timeout"
	Lost           Outcome = "lost"
	UnknownSession Outcome = "unknown_session"
	Unauthorized   Outcome = "unauthorized"
	RolledBack     Outcome = "rolled_back"
	Protocol       Outcome = "protocol"
	Identity       Outcome = "identity"
	PeerExpired    Outcome = "peer_expired"
	Fenced         Outcome = "fenced"
	Store          Outcome = "store"

	Full     Outcome = "full"
	Busy     Outcome = "busy"
	Evicted  Outcome = "evicted"
	Shutdown Outcome = "shutdown"
	Upgrade  Outcome = "upgrade"
	Dial     Outcome = "dial"

	Closed     Outcome = "closed"
	PeerClosed Outcome = "peer_closed"
	GoingAway  Outcome = "going_away"
	Incomplete Outcome = "incomplete"
	Failed     Outcome = "failed"
	Expired    Outcome = "expired"
	Tampered   Outcome = "tampered"
	Misbehaved Outcome = "misbehaved"
	Silent     Outcome = "silent"
	Stalled    Outcome = "stalled"
	Crowded    Outcome = "crowded"
	Abandoned  Outcome = "abandoned"
	Panic      Outcome = "panic"
)

// Greetings are the outcomes of a connection at a server, Endings those of a session.
var (
	Greetings = []Outcome{Established, Resumed, Restored, NotAuthentic, Untrusted, PeerExpired, Unauthorized, Protocol, Identity, Timeout,
		Lost, UnknownSession, Full, Busy, Evicted, Shutdown, Upgrade,
		Abandoned, Panic, Failed, RolledBack, Store}
	Endings = []Outcome{Closed, PeerClosed, GoingAway, Incomplete, Failed, Expired, Lost,
		Tampered, Misbehaved, Silent, Stalled, Crowded, Untrusted,
		Unauthorized, Refused, Abandoned, RolledBack, Fenced, Store}
)

// known has the errors that each have an outcome of their own.
var known = []struct {
	err error
	Outcome
}{
	{lobby.ErrFull, Full},
	{lobby.ErrBusy, Busy},
	{lobby.ErrEvicted, Evicted},
	{fault.ErrServerClosed, Shutdown},
	{fault.ErrTampered, Tampered},
	{fault.ErrMisbehaved, Misbehaved},
	{fault.ErrSilent, Silent},
	{fault.ErrExpired, Expired},
	{fault.ErrUntrusted, Untrusted},
	{fault.ErrCredentials, Unauthorized},
	{fault.ErrCrowded, Crowded},
	{fault.ErrStalled, Stalled},
	{sessionstore.ErrFenced, Fenced},
	{sessionstore.ErrUnavailable, Store},
}

var ofReason = map[fault.Reason]Outcome{
	fault.ReasonNotAuthentic:   NotAuthentic,
	fault.ReasonUntrusted:      Untrusted,
	fault.ReasonRefused:        Refused,
	fault.ReasonUnavailable:    Unavailable,
	fault.ReasonTimeout:        Timeout,
	fault.ReasonLost:           Lost,
	fault.ReasonUnknownSession: UnknownSession,
	fault.ReasonUnauthorized:   Unauthorized,
	fault.ReasonRolledBack:     RolledBack,
	fault.ReasonProtocol:       Protocol,
	fault.ReasonIdentity:       Identity,
}

// Of returns the outcome that an error of package e2e stands for.
func Of(err error) Outcome {
	switch {
	case errors.As(err, new(*fault.PanicError)):
		return Panic
	case errors.As(err, new(*fault.NotYet)):
		return Abandoned
	case fault.OfLapsedPeer(err):
		return PeerExpired
	}
	for _, k := range known {
		if errors.Is(err, k.err) {
			return k.Outcome
		}
	}
	failed, closed := new(fault.HandshakeError), new(fault.CloseError)
	switch {
	case errors.As(err, &failed) && ofReason[failed.Reason] != "":
		return ofReason[failed.Reason]
	case errors.As(err, &closed) && closed.Err == nil:
		return ofCode(closed)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Abandoned
	case errors.Is(err, fault.ErrTruncated), errors.As(err, new(*fault.DisconnectError)):
		return Lost
	case errors.As(err, new(*transport.DialError)):
		return Dial
	}
	return Failed
}

// ofCode returns the outcome of a session that one of its ends has closed.
func ofCode(e *fault.CloseError) Outcome {
	switch {
	case e.Code == fault.CodeGoingAway:
		return GoingAway
	case e.Code == fault.CodeIncomplete:
		return Incomplete
	case e.Code == fault.CodeExpired:
		return Expired
	case e.Code == fault.CodeRefused:
		return Refused
	case e.Code != fault.CodeDone:
		return Failed
	case e.Remote:
		return PeerClosed
	}
	return Closed
}
