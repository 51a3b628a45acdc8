package e2e

import (
	"context"
	"errors"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/lobby"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
)

// An outcome is what became of a connection or a session, in a word for logs and
// figures. There are few, because each is a label of metrics, and none holds anything
// that the other end has chosen.
type outcome string

const (
	outcomeEstablished outcome = "established"
	outcomeResumed     outcome = "resumed"
	outcomeRestored    outcome = "restored"

	outcomeNotAuthentic   outcome = "not_authentic"
	outcomeUntrusted      outcome = "untrusted"
	outcomeRefused        outcome = "refused"
	outcomeUnavailable    outcome = "unavailable"
	outcomeTimeout        outcome = "timeout"
	outcomeLost           outcome = "lost"
	outcomeUnknownSession outcome = "unknown_session"
	outcomeUnauthorized   outcome = "unauthorized"
	outcomeRolledBack     outcome = "rolled_back"
	outcomeProtocol       outcome = "protocol"
	outcomeIdentity       outcome = "identity"
	outcomePeerExpired    outcome = "peer_expired"
	outcomeFenced         outcome = "fenced"
	outcomeStore          outcome = "store"

	outcomeFull     outcome = "full"
	outcomeBusy     outcome = "busy"
	outcomeEvicted  outcome = "evicted"
	outcomeShutdown outcome = "shutdown"
	outcomeUpgrade  outcome = "upgrade"
	outcomeDial     outcome = "dial"

	outcomeClosed     outcome = "closed"
	outcomePeerClosed outcome = "peer_closed"
	outcomeGoingAway  outcome = "going_away"
	outcomeIncomplete outcome = "incomplete"
	outcomeFailed     outcome = "failed"
	outcomeExpired    outcome = "expired"
	outcomeTampered   outcome = "tampered"
	outcomeMisbehaved outcome = "misbehaved"
	outcomeSilent     outcome = "silent"
	outcomeStalled    outcome = "stalled"
	outcomeCrowded    outcome = "crowded"
	outcomeAbandoned  outcome = "abandoned"
	outcomePanic      outcome = "panic"
)

// What can become of a connection at a server, and of a session.
var (
	greetings = []outcome{outcomeEstablished, outcomeResumed, outcomeRestored, outcomeNotAuthentic, outcomeUntrusted, outcomePeerExpired, outcomeUnauthorized, outcomeProtocol, outcomeIdentity, outcomeTimeout,
		outcomeLost, outcomeUnknownSession, outcomeFull, outcomeBusy, outcomeEvicted, outcomeShutdown, outcomeUpgrade,
		outcomeAbandoned, outcomePanic, outcomeFailed, outcomeRolledBack, outcomeStore}
	endings = []outcome{outcomeClosed, outcomePeerClosed, outcomeGoingAway, outcomeIncomplete, outcomeFailed, outcomeExpired, outcomeLost,
		outcomeTampered, outcomeMisbehaved, outcomeSilent, outcomeStalled, outcomeCrowded, outcomeUntrusted,
		outcomeUnauthorized, outcomeRefused, outcomeAbandoned, outcomeRolledBack, outcomeFenced, outcomeStore}
)

// known are the errors that each have an outcome of their own.
var known = []struct {
	err error
	outcome
}{
	{errFull, outcomeFull},
	{lobby.ErrBusy, outcomeBusy},
	{lobby.ErrEvicted, outcomeEvicted},
	{ErrServerClosed, outcomeShutdown},
	{ErrTampered, outcomeTampered},
	{ErrMisbehaved, outcomeMisbehaved},
	{ErrSilent, outcomeSilent},
	{ErrExpired, outcomeExpired},
	{ErrUntrusted, outcomeUntrusted},
	{ErrCredentials, outcomeUnauthorized},
	{ErrCrowded, outcomeCrowded},
	{ErrStalled, outcomeStalled},
	{sessionstore.ErrFenced, outcomeFenced},
	{sessionstore.ErrUnavailable, outcomeStore},
}

var ofReason = map[Reason]outcome{
	ReasonNotAuthentic:   outcomeNotAuthentic,
	ReasonUntrusted:      outcomeUntrusted,
	ReasonRefused:        outcomeRefused,
	ReasonUnavailable:    outcomeUnavailable,
	ReasonTimeout:        outcomeTimeout,
	ReasonLost:           outcomeLost,
	ReasonUnknownSession: outcomeUnknownSession,
	ReasonUnauthorized:   outcomeUnauthorized,
	ReasonRolledBack:     outcomeRolledBack,
	ReasonProtocol:       outcomeProtocol,
	ReasonIdentity:       outcomeIdentity,
}

// outcomeOf says in a word what an error of this package is about.
func outcomeOf(err error) outcome {
	switch {
	case errors.As(err, new(*PanicError)):
		return outcomePanic
	case errors.As(err, new(*notYet)):
		return outcomeAbandoned
	case fault.OfLapsedPeer(err):
		return outcomePeerExpired
	}
	for _, k := range known {
		if errors.Is(err, k.err) {
			return k.outcome
		}
	}
	failed, closed := new(HandshakeError), new(CloseError)
	switch {
	case errors.As(err, &failed) && ofReason[failed.Reason] != "":
		return ofReason[failed.Reason]
	case errors.As(err, &closed) && closed.Err == nil:
		return outcomeOfCode(closed)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return outcomeAbandoned
	case errors.Is(err, ErrTruncated), errors.As(err, new(*DisconnectError)):
		return outcomeLost
	case errors.As(err, new(*transport.DialError)):
		return outcomeDial
	}
	return outcomeFailed
}

// outcomeOfCode is for a session that one of its ends has closed.
func outcomeOfCode(e *CloseError) outcome {
	switch {
	case e.Code == CodeGoingAway:
		return outcomeGoingAway
	case e.Code == CodeIncomplete:
		return outcomeIncomplete
	case e.Code == CodeExpired:
		return outcomeExpired
	case e.Code == CodeRefused:
		return outcomeRefused
	case e.Code != CodeDone:
		return outcomeFailed
	case e.Remote:
		return outcomePeerClosed
	}
	return outcomeClosed
}

// tally counts outcomes, each under one of the names in its list.
type tally map[outcome]uint64

func (t tally) count(o outcome, among []outcome) {
	for _, one := range among {
		if one == o {
			t[o]++
			return
		}
	}
	t[outcomeFailed]++
}

// figures returns the counts of all outcomes in the list.
func (t tally) figures(of []outcome) map[string]uint64 {
	out := make(map[string]uint64, len(of))
	for _, o := range of {
		out[string(o)] = t[o]
	}
	return out
}
