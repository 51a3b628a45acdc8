// Package agent keeps private signing keys in another process: a server that holds
// them and signs, and a client that asks it over a Unix socket, as ssh-agent does.
//
// In the process that holds the keys:
//
//	server, err := agent.Listen("/run/user/1000/hopseal/agent", agent.Key{Signer: root, For: agent.Statements})
//	err = server.Serve(ctx)
//
// In the program that uses the identity, which never sees a private key:
//
//	client := agent.NewClient("/run/user/1000/hopseal/agent", 0)
//	err := identity.Attach(client.Signer(identity.Public().RootKey()))
//
// What is protected: the keys themselves. Nobody who reads the client's memory or
// disk can sign after the agent has ended. What is not: whoever may open the
// socket, which is the user who runs the agent and root, has everything signed
// that the purposes of the keys allow. The agent signs only what begins with a label
// of the Hopseal protocol that goes with the key's [Purpose], so that an
// identity's keys cannot be used to sign for another protocol, nor a message key
// to sign statements.
//
// What the caller must do: give the socket a directory that only its user can
// enter. Server and client both check that, and refuse else.
//
// A connection carries one request and one reply:
//
//	frame   = length 2, big-endian ‖ body
//	request = array(2) [ version=1, 1 ]                                list the keys
//	        | array(4) [ version=1, 2, key bin 32, message bin 1..8192 ]   sign
//	reply   = array(2) [ status, result bin ]
//	result  = (purpose 1 ‖ key 32)…, at most 64                        for list
//	        | signature 64                                             for sign
//	        | nothing                                                  where status is not 0
//
// in the encoding of section 1 of docs/protocol.md. What does not parse is not
// answered.
package agent

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hopseal/hopseal/internal/label"
)

// A Purpose is what a key may sign. Purposes add up with |.
type Purpose byte

const (
	Statements Purpose = 1 << iota // a root's: public identities and successions
	Messages                       // a signing key's: envelopes, streams, sessions and vouchers
)

// String names the purposes.
func (p Purpose) String() string {
	var names []string
	if p&Statements != 0 {
		names = append(names, "statements")
	}
	if p&Messages != 0 {
		names = append(names, "messages")
	}
	if p&^(Statements|Messages) != 0 || p == 0 {
		names = append(names, fmt.Sprintf("Purpose(%d)", byte(p)))
	}
	return strings.Join(names, " and ")
}

var labels = map[Purpose][]label.Label{
	Statements: {label.Identity, label.Succession},
	Messages: {label.EnvelopeProof, label.StreamOpening, label.StreamFinal, label.Voucher, label.SessionServerSign,
		label.SessionClientSign, label.SessionSigned, label.ResumeRefusalSign},
}

// allows reports whether message begins with a label that goes with the purpose.
func (p Purpose) allows(message []byte) bool {
	for one, list := range labels {
		for _, l := range list {
			if p&one != 0 && strings.HasPrefix(string(message[:min(len(message), len(l))]), string(l)) {
				return true
			}
		}
	}
	return false
}

// What can go wrong between a client and an agent. The errors returned wrap one of
// these and name the socket and what to do.
var (
	ErrGone       = errors.New("the signing agent does not answer")
	ErrTimeout    = errors.New("the signing agent did not answer in time")
	ErrRefused    = errors.New("the signing agent does not sign this with this key")
	ErrNoKey      = errors.New("the signing agent does not hold this key")
	ErrSigner     = errors.New("the signing agent could not sign")
	ErrReply      = errors.New("the signing agent's answer makes no sense")
	ErrSignature  = errors.New("the signing agent's signature does not fit the key")
	ErrNotPrivate = errors.New("the signing agent's socket is open to other users")
	ErrInUse      = errors.New("another signing agent listens here")
)

func agentError(path string, err error, advice string) error {
	return fmt.Errorf("agent: %s: %w: %s", path, err, advice)
}
