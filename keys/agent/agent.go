// Package agent keeps private signing keys in another process. A server holds them and signs; a
// client asks it over a Unix socket, as with ssh-agent.
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
// The agent protects the keys themselves: nobody who reads the client's memory or disk can sign after
// the agent has ended. It does not protect from whoever may open the socket, which is the user who
// runs the agent, and root: they can have everything signed that the purposes of the keys allow. The
// agent signs only messages that begin with a label of the Hopseal protocol that fits the key's
// [Purpose]. So nobody can use an identity's keys to sign for another protocol, nor a message key to
// sign statements.
//
// The caller must give the socket a directory that only its user can enter. Server and client both
// check that, and refuse any other directory.
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
// in the encoding of section 1 of docs/protocol.md. The agent does not answer what does not parse.
package agent

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hopseal/hopseal/internal/label"
)

// A Purpose is what a key may sign. Combine purposes with |.
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

// allows reports whether message begins with a label that fits the purpose.
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

// The errors of clients and agents. What functions return wraps one of these, and names the socket
// and what to do.
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
