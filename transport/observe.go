//go:build !js

package transport

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// maxConnEvents is how many events wait for a slow GateOptions.Notify.
const maxConnEvents = 256

// A ConnEvent reports that a connection has ended, or that a client got none. It shows nothing of
// the request but where it came from: no path, query, header or credential, and no text that the
// peer chose.
type ConnEvent struct {
	Client   string        // the client's address
	Start    time.Time     // when the request came in
	Duration time.Duration // since then

	// Outcome is one of a few words. Of a client that got no connection:
	//
	//	full           the Gate holds MaxConns, or keeps the rest for others
	//	address        the client holds MaxConnsPerAddress
	//	rate           the client connects more often than ConnRate
	//	draining       the server is going away
	//	unauthorized   answered 401
	//	forbidden      answered 403 or 421, such as for a foreign origin or name
	//	handshake      answered 400, 405 or 426: no WebSocket handshake
	//	failed         something else, see Status
	//
	// Of a connection:
	//
	//	closed         this end closed it
	//	peer_closed    the peer closed it
	//	lost           it broke
	//	silent         the peer answered no ping
	//	slow           the peer did not take what was sent, see WriteTimeout
	//	idle           there was no message for IdleTimeout
	//	expired        what Authenticate granted ended
	//	drained        Drain ended it
	//	violation      the peer broke the protocol, or sent what is not accepted
	//	abandoned      a context of this end did
	Outcome string

	Status int  // the HTTP status that answered the request: 101 for a connection
	Code   Code // how the connection ended; 0 if there was none

	BytesIn, BytesOut       int64 // on the connection, after the handshake: messages, control messages and framing
	MessagesIn, MessagesOut int64

	Missed int // how many earlier events were dropped because Notify was slow
}

// Accepted reports whether there was a connection.
func (e ConnEvent) Accepted() bool { return e.Status == http.StatusSwitchingProtocols }

// LogTo returns a GateOptions.Notify that logs each event with a fixed set of names: client, start,
// duration, outcome, status, code, bytes_in, bytes_out, messages_in, messages_out, missed. A client
// that got no connection is a warning.
func LogTo(log *slog.Logger) func(ConnEvent) {
	return func(e ConnEvent) {
		level, text := slog.LevelInfo, "connection ended"
		if !e.Accepted() {
			level, text = slog.LevelWarn, "connection refused"
		}
		log.LogAttrs(context.Background(), level, text,
			slog.String("client", e.Client),
			slog.Time("start", e.Start),
			slog.Duration("duration", e.Duration),
			slog.String("outcome", e.Outcome),
			slog.Int("status", e.Status),
			slog.Int("code", int(e.Code)),
			slog.Int64("bytes_in", e.BytesIn),
			slog.Int64("bytes_out", e.BytesOut),
			slog.Int64("messages_in", e.MessagesIn),
			slog.Int64("messages_out", e.MessagesOut),
			slog.Int("missed", e.Missed),
		)
	}
}

// An outcome is a ConnEvent.Outcome. There are few, because each is a label of metrics.
type outcome string

const (
	outcomeFull         outcome = "full"
	outcomeAddress      outcome = "address"
	outcomeRate         outcome = "rate"
	outcomeDraining     outcome = "draining"
	outcomeUnauthorized outcome = "unauthorized"
	outcomeForbidden    outcome = "forbidden"
	outcomeHandshake    outcome = "handshake"
	outcomeFailed       outcome = "failed"

	outcomeClosed     outcome = "closed"
	outcomePeerClosed outcome = "peer_closed"
	outcomeLost       outcome = "lost"
	outcomeSilent     outcome = "silent"
	outcomeSlow       outcome = "slow"
	outcomeIdle       outcome = "idle"
	outcomeExpired    outcome = "expired"
	outcomeDrained    outcome = "drained"
	outcomeViolation  outcome = "violation"
	outcomeAbandoned  outcome = "abandoned"
)

var (
	refusals = []outcome{outcomeFull, outcomeAddress, outcomeRate, outcomeDraining,
		outcomeUnauthorized, outcomeForbidden, outcomeHandshake, outcomeFailed}
	endings = []outcome{outcomeClosed, outcomePeerClosed, outcomeLost, outcomeSilent, outcomeSlow,
		outcomeIdle, outcomeExpired, outcomeDrained, outcomeViolation, outcomeAbandoned}
)

// outcomeOfStatus returns the outcome of a request that Accept refused.
func outcomeOfStatus(status int) outcome {
	switch status {
	case http.StatusUnauthorized:
		return outcomeUnauthorized
	case http.StatusForbidden, http.StatusMisdirectedRequest:
		return outcomeForbidden
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusUpgradeRequired:
		return outcomeHandshake
	}
	return outcomeFailed
}

// outcomeOf returns the outcome of a connection that has ended.
func outcomeOf(why *CloseError) outcome {
	switch {
	case errors.Is(why, ErrSlowPeer):
		return outcomeSlow
	case errors.Is(why, ErrIdle):
		return outcomeIdle
	case errors.Is(why, errDrained):
		return outcomeDrained
	case errors.Is(why, ErrUnauthorized):
		return outcomeExpired
	case errors.Is(why, errSilent):
		return outcomeSilent
	case why.Remote && why.Code == CodeAbnormal:
		return outcomeLost
	case why.Remote:
		return outcomePeerClosed
	case why.Err == nil:
		return outcomeClosed
	case why.Code == CodeAbnormal:
		return outcomeAbandoned
	}
	return outcomeViolation
}

// errSilent is the cause if the peer answered no ping.
var errSilent = errors.New("no answer to a ping")

// errDrained is the cause if Drain ended the connection.
var errDrained = errors.New("the server is going away")
